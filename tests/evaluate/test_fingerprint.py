"""Fingerprints are equal for equal things and for nothing else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from neurokit_snn.evaluate.fingerprint import fingerprint, of_dataset
from neurokit_snn.evaluate.metric import ConditionR2
from neurokit_snn.evaluate.metrics import METRICS
from neurokit_snn.models.mean_rate import MeanRate
from neurokit_snn.models.psth import PSTH

Made = Callable[..., xr.Dataset]


def test_every_part_of_a_dataset_counts(made: Made) -> None:
    data = made(n_trials=6)
    flipped = data.copy(deep=True)
    flipped["mask"][0, 0, 0] = ~flipped["mask"][0, 0, 0]
    versions = [
        data,
        flipped,
        data.assign(counts=data["counts"].astype(np.int64)),
        data.assign_coords(unit=data["unit"] + 1),
        data.assign_attrs(bin_width=0.2),
        data.rename(condition="odour"),
        data.reset_coords("condition"),
        data.isel(trial=slice(5)),
        data.assign_coords(label=("trial", list("abcdef"))),
        data.assign_coords(label=("trial", list("abcdeg"))),
    ]
    assert len({of_dataset(version) for version in versions}) == len(versions)
    assert of_dataset(data) == of_dataset(made(n_trials=6))


def test_lazy_and_loaded_data_are_the_same(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dask")
    monkeypatch.setattr("neurokit_snn.evaluate.fingerprint.SLAB_VALUES", 100)
    data = made(n_trials=3)
    assert (
        of_dataset(data)
        == of_dataset(data.chunk({"time": 7}))
        == of_dataset(data.chunk({"time": 3, "unit": 2}))
    )


def test_models_and_metrics_by_class_and_parameters() -> None:
    things = [
        MeanRate(),
        PSTH(),
        PSTH(smoothing=0.1),
        PSTH(smoothing=0.1, by="condition"),
        METRICS["r2"],
        METRICS["pearson_r"],
        ConditionR2(name="p", kinds=("counts",), unit_label="R2", condition="a"),
        ConditionR2(name="p", kinds=("counts",), unit_label="R2", condition="b"),
        np.arange(3),
        np.arange(3.0),
        (1, 2),
        (1, 3),
        {1, 2},
        lambda x: x + 1,
        lambda x: x + 2,
        1,
        1.5,
        True,
        "1",
        None,
    ]
    assert len({fingerprint(thing) for thing in things}) == len(things)
    assert fingerprint(PSTH(smoothing=0.1)) == fingerprint(PSTH(smoothing=0.1))
    assert fingerprint(PSTH(by="condition")) == fingerprint(PSTH().set_params(by="condition"))


def test_a_fit_does_not_change_what_a_model_is(made: Made) -> None:
    assert fingerprint(MeanRate().fit(made(n_trials=6))) == fingerprint(MeanRate())


def test_functions_with_other_constants_or_enclosed_values_differ() -> None:
    def adding(n: int) -> Callable[[int], int]:
        return lambda x: x + n

    assert fingerprint(adding(1)) != fingerprint(adding(2))
    assert fingerprint(adding(1)) == fingerprint(adding(1))
