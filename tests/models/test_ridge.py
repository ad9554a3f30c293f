"""Ridge decoding: against scikit-learn, its posterior, its density."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from sklearn.linear_model import Ridge

from neurokit_snn.errors import ModelError
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.models.correlated_gaussian import CorrelatedGaussian
from neurokit_snn.models.lags import lagged
from neurokit_snn.models.ridge import RidgeDecoder
from neurokit_snn.models.ridge_regression import fit_ridge
from neurokit_snn.testing.model_suite import ModelSuite
from neurokit_snn.testing.place_cells import place_cells


class TestRidge(ModelSuite):
    target = "position"

    def make(self) -> AbstractModel:
        return RidgeDecoder(target="position", past=0.3, future=0.2)


def test_weights_equal_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(2.0, 3.0, size=(120, 5)), rng.normal(size=(120, 2))
    ours = fit_ridge(x, y, np.repeat([0, 1, 2], 40), alpha=7.0)
    z = (x - x.mean(0)) / x.std(0)
    theirs = Ridge(alpha=7.0).fit(z, y)
    np.testing.assert_allclose(ours.predict(x), theirs.predict(z), rtol=1e-10)
    assert ours.alpha == pytest.approx(7.0)


def test_strength_is_chosen_by_blocks_left_out() -> None:
    """Pure noise asks for a strong penalty, a clean line for a weak one."""
    rng = np.random.default_rng(1)
    x, block = rng.normal(size=(150, 30)), np.repeat([0, 1, 2], 50)
    noise, line = fit_ridge(x, rng.normal(size=(150, 1)), block), fit_ridge(x, x[:, :1], block)
    assert noise.alpha > 1000 * line.alpha
    assert np.abs(noise.predict(x)).max() < 0.2


def test_draws_have_the_posterior_of_bayesian_regression() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(60, 3))
    y = x @ np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]) + rng.normal(size=(60, 2)) @ np.array(
        [[1.0, 0.0], [0.8, 0.6]]
    )
    fit = fit_ridge(x, y, np.repeat([0, 1, 2], 20), alpha=2.0)
    at = np.array([[1.0, -1.0, 2.0]])
    draws = fit.draws(at, draws=20_000, rng=rng)[:, 0]
    z = fit.standardised(x)
    inner = np.linalg.inv(z.T @ z + 2.0 * np.eye(3))
    spread = (fit.standardised(at) @ inner @ fit.standardised(at).T).item()
    np.testing.assert_allclose(np.cov(draws.T), spread * fit.covariance, rtol=0.06, atol=0.002)
    np.testing.assert_allclose(draws.mean(0), fit.predict(at)[0], atol=0.02)


def test_density_of_two_axes_is_the_multivariate_normal() -> None:
    rng = np.random.default_rng(3)
    covariance = np.array([[2.0, 1.5], [1.5, 3.0]])
    location = xr.DataArray(rng.normal(size=(4, 3, 2)), dims=("trial", "time", "axis"))
    target = location + xr.DataArray(rng.normal(size=(4, 3, 2)), dims=("trial", "time", "axis"))
    target.values[1, 1, 0] = np.nan
    found = CorrelatedGaussian(location=location, covariance=covariance, axis_dim="axis").log_prob(target)
    expected = stats.multivariate_normal(cov=covariance).logpdf(np.nan_to_num((target - location).values))
    expected[1, 1] = np.nan
    np.testing.assert_allclose(found.values, expected, rtol=1e-10)


def test_predicted_spread_covers_the_behaviour() -> None:
    data = place_cells(trials=60, units=8)
    train, test = data.isel(trial=slice(0, 45)), data.isel(trial=slice(45, None))
    found = RidgeDecoder(target="position").fit(train).predict(test, task="decode")
    z = ((test["behavior_position"] - found["behavior_position"]) / found["behavior_position_sd"]).values
    assert 0.85 < (np.abs(z[np.isfinite(z)]) < stats.norm.ppf(0.95)).mean() < 0.97
    assert np.nanmedian(np.abs(z * found["behavior_position_sd"].values)) < 10


def test_lags_stay_within_the_trial() -> None:
    counts = np.arange(12).reshape(2, 3, 2)
    mask = np.ones(counts.shape, bool)
    mask[1, 0, 1] = False
    found = lagged(counts, mask, before=1, after=1)
    np.testing.assert_array_equal(found[0, 0], [np.nan, np.nan, 0, 1, 2, 3])
    np.testing.assert_array_equal(found[0, 2], [2, 3, 4, 5, np.nan, np.nan])
    np.testing.assert_array_equal(found[1, 0], [np.nan, np.nan, 6, np.nan, 8, 9])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "no target is named"),
        ({"target": "position", "past": -1.0}, "past is -1.0"),
        ({"target": "position", "alpha": 0.0}, "alpha is 0.0"),
    ],
)
def test_bad_hyperparameters_are_named(options: dict, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        RidgeDecoder(**options).fit(place_cells(trials=4, units=2))


def test_circular_targets_are_refused() -> None:
    data = place_cells(trials=4)
    data["behavior_position"].attrs["kind"] = "circular"
    with pytest.raises(ModelError, match="circular"):
        RidgeDecoder(target="position").fit(data)
