"""The mean rate and its exact posterior."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from neurokit_snn.models.base import AbstractModel
from neurokit_snn.models.mean_rate import MeanRate
from neurokit_snn.testing.model_suite import ModelSuite
from neurokit_snn.testing.place_cells import place_cells


class TestMeanRate(ModelSuite):
    better_than_mean_rate = False

    def make(self) -> AbstractModel:
        return MeanRate()


def test_predictive_is_the_gamma_mixture_of_poissons() -> None:
    data = place_cells(trials=4, bins=10, units=3)
    model = MeanRate().fit(data)
    score = model.log_likelihood(data, task="encode")
    spikes = int(data["counts"].where(data["mask"], 0).sel(unit=101).sum())
    bins = int(data["mask"].sel(unit=101).sum())
    expected = stats.nbinom.logpmf(data["counts"].sel(unit=101), spikes + 0.5, bins / (bins + 1))
    np.testing.assert_allclose(
        score.sel(unit=101).values, np.where(data["mask"].sel(unit=101), expected, np.nan), rtol=1e-9
    )


def test_lazy_counts_are_reduced_without_being_loaded_and_score_the_same() -> None:
    dask = pytest.importorskip("dask")
    data = place_cells(trials=6, bins=40)
    lazy = data.chunk({"time": 7})
    with dask.config.set(scheduler="synchronous"):
        eager_model, lazy_model = MeanRate().fit(data), MeanRate().fit(lazy)
        np.testing.assert_array_equal(eager_model.shape_, lazy_model.shape_)
        np.testing.assert_array_equal(eager_model.exposure_, lazy_model.exposure_)
        score = lazy_model.log_likelihood(lazy, task="encode")
        assert score.chunks is not None, "a score of lazy counts stays lazy"
        np.testing.assert_allclose(
            score.values, eager_model.log_likelihood(data, task="encode").values, rtol=1e-12
        )


def test_posterior_is_in_spikes_per_second() -> None:
    data = place_cells()
    model = MeanRate().fit(data)
    mean = model.posterior_["posterior"]["rate"].mean(("chain", "draw"))
    true = data["counts"].where(data["mask"]).mean(("trial", "time")) / data.attrs["bin_width"]
    np.testing.assert_allclose(mean, true, rtol=0.05)
