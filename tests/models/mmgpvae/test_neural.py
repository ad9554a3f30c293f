"""Likelihoods of neural data: densities against SciPy, expectations and slopes against Monte Carlo and finite differences."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
import xarray as xr

from neurokit_snn.errors import ModelError
from neurokit_snn.models.mmgpvae.neural import LIKELIHOODS
from neurokit_snn.models.zero_inflated_gamma import EVENT_FLOOR

DRAWS = 20_000
VALUES = {
    "poisson": np.array([0.0, 1.0, 3.0, 7.0]),
    "negative_binomial": np.array([0.0, 1.0, 3.0, 7.0]),
    "gaussian": np.array([-1.0, 0.0, 0.4, 2.5]),
    "zero_inflated_gamma": np.array([0.0, 0.01, 0.8, 3.0]),
}
EXTRA = {
    "poisson": {},
    "negative_binomial": {"concentration": np.array(2.5)},
    "gaussian": {"sd": np.array(0.7)},
    "zero_inflated_gamma": {"shape": np.array(1.4), "gain": np.array(0.9)},
}
MEAN, VARIANCE = np.array([-1.0, 0.2, 1.0, 0.5]), np.array([0.05, 0.3, 0.6, 0.0])


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


QUADRATURE = ("negative_binomial", "zero_inflated_gamma")
"""Those without a closed form take seconds to compile."""


@pytest.fixture(
    params=[pytest.param(it, marks=pytest.mark.slow) if it in QUADRATURE else it for it in LIKELIHOODS]
)
def name(request) -> str:
    return request.param


def test_density_is_that_of_scipy(name):
    values, a, extra = VALUES[name], MEAN, EXTRA[name]
    found = np.asarray(LIKELIHOODS[name].log_prob(jnp.asarray(values), jnp.asarray(a), extra))
    if name == "poisson":
        exact = scipy.stats.poisson(np.exp(a)).logpmf(values)
    elif name == "negative_binomial":
        n = extra["concentration"]
        exact = scipy.stats.nbinom(n, n / (n + np.exp(a))).logpmf(values)
    elif name == "gaussian":
        exact = scipy.stats.norm(a, extra["sd"]).logpdf(values)
    else:
        p = 1.0 - np.exp(-np.exp(a))
        scale = extra["gain"] * np.exp(a) / p / extra["shape"]
        event = np.log(p) + scipy.stats.gamma(extra["shape"], scale=scale, loc=EVENT_FLOOR).logpdf(values)
        exact = np.where(values > EVENT_FLOOR, event, np.log1p(-p))
    np.testing.assert_allclose(found, exact, rtol=1e-9)


def test_density_is_the_predictive_distribution(name):
    """What is fitted and what is predicted are one distribution."""
    likelihood = LIKELIHOODS[name]
    dims = ("draw", "trial", "time", "unit")
    predictor = xr.DataArray(MEAN[None, None, None], dims=dims)
    extra = {key: xr.DataArray(np.full(4, value), dims="unit") for key, value in EXTRA[name].items()}
    target = xr.DataArray(VALUES[name][None, None], dims=dims[1:])
    if likelihood.variable == "counts":
        target = target.astype(np.int64)
    stated = likelihood.observation(predictor, extra)
    found = np.asarray(likelihood.log_prob(jnp.asarray(VALUES[name]), jnp.asarray(MEAN), EXTRA[name]))
    np.testing.assert_allclose(stated.log_prob(target).values.ravel(), found, rtol=1e-9)
    mean = np.asarray(likelihood.mean(jnp.asarray(MEAN), EXTRA[name]))
    at_most = 1.1 * EVENT_FLOOR if name == "zero_inflated_gamma" else 1e-12
    np.testing.assert_allclose(stated.mean().values.ravel(), mean, rtol=1e-6, atol=at_most)


def test_expected_log_likelihood_is_monte_carlo(name):
    likelihood = LIKELIHOODS[name]
    noise = np.random.default_rng(0).standard_normal((DRAWS, 4))
    drawn = np.asarray(
        likelihood.log_prob(
            jnp.asarray(VALUES[name]), jnp.asarray(MEAN + np.sqrt(VARIANCE) * noise), EXTRA[name]
        )
    )
    exact = np.asarray(likelihood.expected(*map(jnp.asarray, (VALUES[name], MEAN, VARIANCE)), EXTRA[name]))
    error = drawn.std(0, ddof=1) / np.sqrt(DRAWS)
    assert np.all(np.abs(drawn.mean(0) - exact) <= 3.0 * error + 1e-6)
    assert error[:3].min() > 0


def test_slopes_are_finite_differences_of_the_expectation(name):
    likelihood = LIKELIHOODS[name]
    values, mean, variance = jnp.asarray(VALUES[name]), jnp.asarray(MEAN), jnp.asarray(VARIANCE + 0.05)
    slope, precision = likelihood.slopes(values, mean, variance, EXTRA[name])
    h = 1e-5

    def at(m: jax.Array, v: jax.Array) -> np.ndarray:
        return np.asarray(likelihood.expected(values, m, v, EXTRA[name]))

    by_mean = (at(mean + h, variance) - at(mean - h, variance)) / (2 * h)
    by_variance = (at(mean, variance + h) - at(mean, variance - h)) / (2 * h)
    np.testing.assert_allclose(slope, by_mean, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(precision, np.maximum(-2 * by_variance, 0.0), rtol=1e-5, atol=1e-7)


def test_what_has_no_probability_is_refused(name):
    likelihood = LIKELIHOODS[name]
    values = np.ones((2, 3, 2))
    mask = np.ones(values.shape, bool)
    likelihood.check(values, mask, "m")
    wrong = {"gaussian": np.inf, "zero_inflated_gamma": -0.5}.get(name, 0.5)
    values[1, 2, 0] = wrong
    with pytest.raises(ModelError, match=rf"{likelihood.variable} at trial 1, bin 2, unit 0 is {wrong:g};"):
        likelihood.check(values, mask, "m")
    mask[1, 2, 0] = False
    likelihood.check(values, mask, "m")


def test_start_explains_the_mean_of_each_unit(name):
    likelihood = LIKELIHOODS[name]
    rng = np.random.default_rng(1)
    values = rng.poisson([0.5, 3.0], (50, 20, 2)).astype(float)
    mask = rng.uniform(size=values.shape) > 0.2
    offset, extra = likelihood.start(np.where(mask, values, 0.0), mask)
    positive = {key: np.exp(value) for key, value in extra.items()}
    assert set(extra) == set(likelihood.extra)
    exact = values.mean((0, 1), where=mask)
    np.testing.assert_allclose(likelihood.mean(jnp.asarray(offset), positive), exact, rtol=0.02)
