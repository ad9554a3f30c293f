"""Choice of hyperparameters inside the training data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from sklearn.base import clone

from neurokit_snn.errors import EvaluationError
from neurokit_snn.evaluate import Tuned, compare, search
from neurokit_snn.models.psth import PSTH
from neurokit_snn.models.reduced_rank import ReducedRankRegression
from neurokit_snn.recording import splits

Made = Callable[..., xr.Dataset]


@pytest.fixture(scope="module")
def trials() -> xr.Dataset:
    """Trials with a fast bump in their middle, which a wide kernel would flatten."""
    rng = np.random.default_rng(0)
    time = (np.arange(40) + 0.5) * 0.05
    rate = 0.2 + 3.0 * np.exp(-0.5 * ((time - 1.0) / 0.1) ** 2)
    counts = rng.poisson(np.broadcast_to(rate[None, :, None], (60, 40, 3))).astype(np.int32)
    start = np.arange(60) * 5.0
    return xr.Dataset(
        {
            "counts": (("trial", "time", "unit"), counts),
            "mask": (("trial", "time", "unit"), np.ones(counts.shape, bool)),
        },
        coords={
            "time": time,
            "unit": [1, 2, 3],
            "trial_start": ("trial", start),
            "trial_stop": ("trial", start + 2.0),
        },
        attrs={"schema": "neurokit_snn.binned", "schema_version": 1, "bin_width": 0.05, "layout": "trials"},
    )


GRID = {"smoothing": [0.05, 0.5, 2.0]}


def test_the_best_of_a_grid(trials: xr.Dataset) -> None:
    found = search(PSTH(), GRID, trials, 3, task="encode", progress=False)
    assert found.parameters_ == {"smoothing": 0.05}
    scores = found.table_["value"].isel(metric=0).values
    assert scores.argmax() == 0
    assert [*found.table_["model"].values] == [
        '{"smoothing": 0.05}',
        '{"smoothing": 0.5}',
        '{"smoothing": 2.0}',
    ]
    again = PSTH(smoothing=0.05).fit(trials)
    xr.testing.assert_identical(
        found.predict(trials, task="encode")["rate"], again.predict(trials, task="encode")["rate"]
    )
    np.testing.assert_array_equal(
        found.log_likelihood(trials, task="encode"), again.log_likelihood(trials, task="encode")
    )


def test_grids_may_be_several_and_the_metric_another(trials: xr.Dataset) -> None:
    grids = [{"smoothing": [2.0]}, {"smoothing": [0.1], "by": [None]}]
    found = search(PSTH(), grids, trials, 3, task="encode", metric="log_likelihood", progress=False)
    assert found.parameters_ == {"by": None, "smoothing": 0.1}
    assert [*found.table_["metric"].values] == ["log_likelihood"]


def test_the_number_of_latents_by_held_out_likelihood() -> None:
    """Two smooth latents, and so few trials that each one too many costs likelihood."""
    rng = np.random.default_rng(0)
    n_trials, bins, units = 16, 25, 40
    lag = np.subtract.outer(np.arange(bins), np.arange(bins))
    root = np.linalg.cholesky(np.exp(-(lag**2) / (2 * 10.0**2)) + 1e-6 * np.eye(bins))
    latents = np.einsum("ts,rsp->rtp", root, rng.normal(size=(n_trials, bins, 2)))
    log_rate = 0.7 + latents @ (0.35 * rng.normal(size=(units, 2))).T
    counts = rng.poisson(np.exp(log_rate)).astype(np.int32)
    start = np.arange(n_trials) * 5.0
    data = xr.Dataset(
        {
            "counts": (("trial", "time", "unit"), counts),
            "mask": (("trial", "time", "unit"), np.ones(counts.shape, bool)),
        },
        coords={
            "time": (np.arange(bins) + 0.5) * 0.1,
            "unit": np.arange(units),
            "trial_start": ("trial", start),
            "trial_stop": ("trial", start + 2.5),
        },
        attrs={"schema": "neurokit_snn.binned", "schema_version": 1, "bin_width": 0.1, "layout": "trials"},
    )
    found = search(
        ReducedRankRegression(smoothing=(0.3,)),
        {"rank": [1, 2, 6]},
        splits.by_unit(data),
        2,
        task="cosmooth",
        metric="log_likelihood",
        progress=False,
    )
    assert found.parameters_ == {"rank": 2}
    one, two, six = found.table_["value"].sel(metric="log_likelihood").values
    assert two - one > 0.1
    assert two - six > 0.05


def test_the_choice_never_sees_test_trials(trials: xr.Dataset) -> None:
    tuned = Tuned(PSTH(), GRID, task="encode", cv=2)
    table = compare(
        {"tuned": tuned, "wide": PSTH(smoothing=2.0)},
        trials,
        task="encode",
        cv=2,
        seeds=(0,),
        baselines=False,
        progress=False,
        n_boot=200,
    )
    bits = table.sel(metric="bits_per_spike", model="tuned", other="wide")
    assert float(bits["diff_low"]) > 0
    one = compare(
        {"best": PSTH(smoothing=0.05)},
        trials,
        task="encode",
        cv=2,
        seeds=(0,),
        baselines=False,
        progress=False,
    )
    np.testing.assert_allclose(bits["value"], one["value"].sel(metric="bits_per_spike")[0])


def test_it_is_an_estimator_like_any_other() -> None:
    tuned = Tuned(PSTH(), GRID, task="encode", cv=4)
    copy = clone(tuned)
    assert copy is not tuned
    assert copy.get_params(deep=False)["cv"] == 4
    assert copy.tasks == ("encode",)
    assert copy.deterministic is True
    assert copy.history() == 0.0


def test_bad_grids(trials: xr.Dataset) -> None:
    with pytest.raises(EvaluationError, match="grid names 'width', which PSTH does not have"):
        search(PSTH(), {"width": [1]}, trials, task="encode", progress=False)
    with pytest.raises(EvaluationError, match="grid is empty"):
        search(PSTH(), [], trials, task="encode", progress=False)
