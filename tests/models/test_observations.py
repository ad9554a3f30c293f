"""Predictive distributions against scipy, against their own samples, and as densities that integrate to one."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from neurokit_snn.errors import ModelError
from neurokit_snn.models.observations import (
    Bernoulli,
    GammaPoisson,
    Gaussian,
    Grid,
    NegativeBinomial,
    Poisson,
    log_mean_exp,
)

COUNTS = xr.DataArray(np.arange(8), dims="time")


def _da(value: object, dims: tuple[str, ...] = ()) -> xr.DataArray:
    return xr.DataArray(value, dims=dims)


@pytest.mark.parametrize("rate", [0.01, 0.7, 12.0])
def test_poisson_equals_scipy(rate: float) -> None:
    found = Poisson(rate_per_bin=_da(rate)).log_prob(COUNTS)
    np.testing.assert_allclose(found, stats.poisson(rate).logpmf(COUNTS), rtol=1e-12)


def test_poisson_rate_of_zero_is_floored_and_the_callers_array_untouched() -> None:
    rate = _da(np.zeros(2), ("time",))
    found = Poisson(rate_per_bin=rate).log_prob(xr.DataArray([0, 1], dims="time"))
    np.testing.assert_allclose(found, [-1e-9, np.log(1e-9) - 1e-9], rtol=1e-9)
    assert (rate == 0).all()


def test_negative_binomial_and_gamma_poisson_equal_scipy() -> None:
    expected = stats.nbinom(2.5, 2.5 / (2.5 + 1.3)).logpmf(COUNTS)
    found = NegativeBinomial(mean_per_bin=_da(1.3), concentration=_da(2.5)).log_prob(COUNTS)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    found = GammaPoisson(shape=_da(2.5), rate=_da(2.5 / 1.3)).log_prob(COUNTS)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_gamma_poisson_is_the_limit_of_posterior_draws() -> None:
    rng = np.random.default_rng(0)
    draws = Poisson(rate_per_bin=_da(rng.gamma(4.0, 0.3, size=200_000), ("draw",)))
    exact = GammaPoisson(shape=_da(4.0), rate=_da(1 / 0.3))
    np.testing.assert_allclose(draws.log_marginal(COUNTS), exact.log_marginal(COUNTS), atol=0.02)
    np.testing.assert_allclose(draws.parameter_sd(), exact.parameter_sd(), rtol=0.01)
    np.testing.assert_allclose(draws.mean(), exact.mean(), rtol=0.01)


def test_mixture_is_the_log_of_the_mean_not_the_mean_of_the_log() -> None:
    two = Poisson(rate_per_bin=_da([0.5, 4.0], ("draw",)))
    expected = np.log((stats.poisson(0.5).pmf(COUNTS) + stats.poisson(4.0).pmf(COUNTS)) / 2)
    np.testing.assert_allclose(two.log_marginal(COUNTS), expected, rtol=1e-12)


def test_bernoulli_equals_scipy() -> None:
    binary = xr.DataArray([0, 1], dims="time")
    np.testing.assert_allclose(Bernoulli(p=_da(0.3)).log_prob(binary), stats.bernoulli(0.3).logpmf(binary))


def test_gaussian_sums_event_dims_before_draws_are_mixed() -> None:
    location = _da([[0.0, 0.0], [3.0, 3.0]], ("draw", "axis"))
    target = _da([0.0, 3.0], ("axis",))
    found = Gaussian(location=location, scale=_da(1.0), event_dims=("axis",)).log_marginal(target)
    one = stats.norm(0, 1).logpdf(0) + stats.norm(0, 1).logpdf(3)
    np.testing.assert_allclose(found, one)


@pytest.mark.parametrize("estimate", ["mean", "mode"])
def test_grid_is_a_density_with_unequal_cells(estimate: str) -> None:
    rng = np.random.default_rng(1)
    edges = (np.array([0.0, 1.0, 3.0]), np.array([-1.0, 0.0, 0.5, 2.0]))
    p = rng.dirichlet(np.ones(6), size=4)
    grid = Grid(
        log_p=_da(np.log(p), ("time", "cell")),
        edges=edges,
        axis_dim="axis",
        axis_labels=("x", "y"),
        estimate=estimate,  # type: ignore[arg-type]
    )
    fine = [np.linspace(e[0], e[-1], 601)[:-1] + (e[-1] - e[0]) / 1200 for e in edges]
    points = np.stack([m.ravel() for m in np.meshgrid(*fine, indexing="ij")], axis=-1)
    target = xr.DataArray(
        np.broadcast_to(points[:, None], (points.shape[0], 4, 2)), dims=("point", "time", "axis")
    )
    total = np.exp(grid.log_prob(target)).sum("point") * (3.0 * 3.0) / points.shape[0]
    np.testing.assert_allclose(total, 1.0, atol=5e-3)
    if estimate == "mode":
        np.testing.assert_allclose(grid.mean().transpose("time", "axis"), grid.centres()[p.argmax(1)])
    else:
        np.testing.assert_allclose(grid.mean().transpose("time", "axis"), p @ grid.centres())
    many = [grid.sample(np.random.default_rng(i)).transpose("time", "axis").values for i in range(4000)]
    np.testing.assert_allclose(np.mean(many, 0), p @ grid.centres(), atol=0.08)
    np.testing.assert_allclose(np.std(many, 0), grid.parameter_sd().transpose("time", "axis"), atol=0.08)


def test_grid_outside_and_edges_and_missing() -> None:
    grid = Grid(log_p=_da(np.log([0.25, 0.75]), ("cell",)), edges=(np.array([0.0, 1.0, 2.0]),))
    found = grid.log_prob(_da([0.0, 1.0, 2.0, 2.5, np.nan], ("time",)))
    expected = [np.log(0.25), np.log(0.75), np.log(0.75), np.log(1e-9 / 2.0), np.nan]
    np.testing.assert_allclose(found, expected)


def test_grid_refuses_a_wrong_number_of_cells() -> None:
    with pytest.raises(ModelError, match="3 cells, the edges make 2"):
        Grid(log_p=_da(np.zeros(3), ("cell",)), edges=(np.array([0.0, 1.0, 2.0]),))


def test_log_mean_exp_survives_impossible_and_extreme_values() -> None:
    values = _da([[-np.inf, -np.inf], [-1e4, -np.inf]], ("draw", "time"))
    np.testing.assert_allclose(log_mean_exp(values), [-1e4 - np.log(2), -np.inf])


@pytest.mark.parametrize(
    "observation",
    [
        Poisson(rate_per_bin=_da(np.full(3, 2.0), ("time",))),
        NegativeBinomial(mean_per_bin=_da(np.full(3, 2.0), ("time",)), concentration=_da(3.0)),
        GammaPoisson(shape=_da(np.full(3, 6.0), ("time",)), rate=_da(3.0)),
        Bernoulli(p=_da(np.full(3, 0.4), ("time",))),
    ],
    ids=lambda o: type(o).__name__,
)
def test_probabilities_of_samples_match_their_frequencies(observation: object) -> None:
    rng = np.random.default_rng(2)
    values = np.concatenate([observation.sample(rng).values for _ in range(4000)])  # type: ignore[attr-defined]
    seen, times = np.unique(values, return_counts=True)
    for value, n in zip(seen, times, strict=True):
        target = _da(np.full(3, value), ("time",))
        p = float(np.exp(observation.log_prob(target)[0]))  # type: ignore[attr-defined]
        assert abs(n / values.size - p) < 5 * np.sqrt(p * (1 - p) / values.size) + 1e-4
