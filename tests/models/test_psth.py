"""The PSTH as a model."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neurokit_snn.errors import ModelError
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.models.psth import PSTH
from neurokit_snn.testing.model_suite import ModelSuite
from neurokit_snn.testing.place_cells import place_cells


class TestPSTH(ModelSuite):
    def make(self) -> AbstractModel:
        return PSTH(by="direction")


def test_without_smoothing_it_is_the_mean_over_trials() -> None:
    data = place_cells(trials=200, bins=8, units=2)
    model = PSTH(smoothing=0.0).fit(data)
    rate = model.predict(data, task="encode")["rate"].isel(trial=0)
    mean = data["counts"].where(data["mask"]).mean("trial") / data.attrs["bin_width"]
    np.testing.assert_allclose(
        rate.isel(time=slice(0, 6)), mean.transpose("time", "unit")[:6], rtol=0.05, atol=0.1
    )


def test_bandwidth_is_wide_for_flat_rates_and_narrow_for_sharp_ones() -> None:
    rng = np.random.default_rng(1)
    base = place_cells(trials=30, bins=60, units=4)
    base["mask"].values[:] = True
    flat, sharp = base.copy(deep=True), base.copy(deep=True)
    flat["counts"].values[:] = rng.poisson(0.5, flat["counts"].shape)
    rate = np.full(60, 0.05)
    rate[::6] = 6.0
    sharp["counts"].values[:] = rng.poisson(rate[None, :, None], sharp["counts"].shape)
    wide, narrow = (PSTH().fit(d).smoothing_ / d.attrs["bin_width"] for d in (flat, sharp))
    assert wide >= 8
    assert narrow <= 1


def test_conditions_have_their_own_curves_and_unknown_ones_the_common_one() -> None:
    data = place_cells(trials=40)
    model = PSTH(by="direction").fit(data)
    assert model.conditions_ == (-1, 1)
    rate = model.predict(data, task="encode")["rate"]
    assert float(abs(rate.isel(trial=0) - rate.isel(trial=1)).max()) > 5
    unknown = data.assign_coords(direction=("trial", np.full(40, 7)))
    common = model.predict(unknown, task="encode")["rate"].isel(trial=0)
    between = (common - rate.isel(trial=0)) * (common - rate.isel(trial=1))
    assert float((between <= 1.0).mean()) > 0.95


def test_intervals_cover_the_true_rate() -> None:
    rng = np.random.default_rng(2)
    data = place_cells(trials=12, bins=40, units=60)
    data["mask"].values[:] = True
    rates = rng.uniform(0.2, 3.0, size=60)
    data["counts"].values[:] = rng.poisson(rates, data["counts"].shape)
    draws = PSTH(smoothing=0.2).fit(data).posterior_["posterior"]["rate"].isel(condition=-1, time=20)
    low, high = np.percentile(draws.values[0], [5, 95], axis=0)
    inside = ((rates / 0.1 > low) & (rates / 0.1 < high)).mean()
    assert 0.9 - 3 * np.sqrt(0.9 * 0.1 / 60) <= inside <= 1.0


@pytest.mark.parametrize("layout", ["session", "windows"])
def test_layouts_without_a_clock_of_trials_are_refused(layout: str) -> None:
    with pytest.raises(ModelError, match=r"PSTH.*layout"):
        PSTH().fit(place_cells().assign_attrs(layout=layout))


def test_other_times_than_in_training_are_refused() -> None:
    data = place_cells()
    model = PSTH().fit(data.isel(time=slice(0, 10)))
    with pytest.raises(ModelError, match=r"bin at 1.05 s"):
        model.predict(data, task="encode")
    part = model.predict(data.isel(time=slice(2, 5)), task="encode")
    xr.testing.assert_allclose(
        part, model.predict(data.isel(time=slice(0, 10)), task="encode").isel(time=slice(2, 5))
    )


def test_bad_hyperparameters_are_named() -> None:
    data = place_cells(trials=4)
    with pytest.raises(ModelError, match="smoothing"):
        PSTH(smoothing=-1.0).fit(data)
    with pytest.raises(ModelError, match="by='position'"):
        PSTH(by="position").fit(data)
