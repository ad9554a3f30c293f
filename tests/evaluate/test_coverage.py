"""Coverage of intervals of draws: hand-counted, of known distributions, and after alignment."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.linalg import cho_factor, cho_solve
from scipy.stats import norm

from neurokit_snn.errors import EvaluationError
from neurokit_snn.evaluate import align_latents, interval_coverage

DIMS = ("trial", "time", "unit")


def _draws(rng: np.random.Generator, count: int, shape: tuple[int, ...], sd: float = 1.0) -> xr.DataArray:
    return xr.DataArray(sd * rng.normal(size=(count, *shape)), dims=("draw", *DIMS))


def test_it_counts_what_lies_inside():
    draws = xr.DataArray(np.arange(1.0, 20.0), dims="draw").expand_dims(time=2, unit=2)
    truth = xr.DataArray([[10.0, 0.5], [1.0, 19.0]], dims=("time", "unit"), coords={"unit": ["a", "b"]})
    found = interval_coverage(draws, truth)  # of 19 draws the 90% interval is the least to the greatest
    assert found.sel(unit="a") == 1.0
    assert found.sel(unit="b") == 0.5
    assert found["pooled"] == 0.75
    assert found.attrs == {"level": 0.9, "draws": 19}
    half = interval_coverage(draws, truth, level=0.5)  # from the 5th to the 15th draw
    assert half.values.tolist() == [0.5, 0.0]


@pytest.mark.parametrize("count", [19, 39, 100])
def test_the_right_posterior_covers_its_level_however_few_the_draws(count):
    rng = np.random.default_rng(0)
    shape = (50, 40, 10)
    found = interval_coverage(
        _draws(rng, count, shape), xr.DataArray(rng.normal(size=shape), dims=DIMS), level=0.9
    )
    assert float(found["pooled"]) == pytest.approx(0.9, abs=4 * np.sqrt(0.09 / 20_000))
    assert found.sizes == {"unit": 10}


def test_a_posterior_half_as_wide_covers_as_little_as_it_should():
    rng = np.random.default_rng(1)
    shape = (50, 40, 10)
    found = interval_coverage(
        _draws(rng, 999, shape, sd=0.5), xr.DataArray(rng.normal(size=shape), dims=DIMS)
    )
    expected = 2.0 * norm.cdf(0.5 * norm.ppf(0.95)) - 1.0
    assert float(found["pooled"]) == pytest.approx(expected, abs=0.015)


def test_masked_values_do_not_count():
    rng = np.random.default_rng(2)
    draws, truth = _draws(rng, 39, (6, 5, 3)), xr.DataArray(rng.normal(size=(6, 5, 3)), dims=DIMS)
    trials = xr.DataArray(np.ones((6, 5), bool), dims=DIMS[:2])
    trials[4:] = False
    spoilt = truth.where(trials)
    expected = interval_coverage(draws[:, :4], truth[:4])
    xr.testing.assert_identical(interval_coverage(draws.where(trials), spoilt, mask=trials), expected)
    units = xr.DataArray([True, False, True], dims="unit")
    found = interval_coverage(draws, truth.where(units), mask=units)
    assert np.isnan(found[1])
    assert float(found["pooled"]) == pytest.approx(float(found[[0, 2]].mean()))


def test_dims_may_come_in_any_order():
    rng = np.random.default_rng(3)
    draws, truth = _draws(rng, 39, (6, 5, 3)), xr.DataArray(rng.normal(size=(6, 5, 3)), dims=DIMS)
    xr.testing.assert_identical(
        interval_coverage(draws.transpose("unit", "draw", "time", "trial"), truth),
        interval_coverage(draws, truth),
    )


def test_aligned_draws_of_an_exact_posterior_cover():
    """Factor analysis with a Gaussian-process prior, known loadings and noise: exact posterior, in turned axes."""
    rng = np.random.default_rng(4)
    trials, bins, n_latents, units = 60, 30, 2, 6
    gap = np.subtract.outer(np.arange(bins), np.arange(bins))
    kernel = np.exp(-(gap**2) / (2 * 5.0**2)) + 1e-6 * np.eye(bins)
    z = np.einsum("ts,rsp->rtp", np.linalg.cholesky(kernel), rng.normal(size=(trials, bins, n_latents)))
    loading = rng.normal(size=(units, n_latents))
    y = z @ loading.T + rng.normal(size=(trials, bins, units))
    prior = np.kron(kernel, np.eye(n_latents))
    design = np.kron(np.eye(bins), loading)
    factor = cho_factor(design @ prior @ design.T + np.eye(bins * units))
    gain = cho_solve(factor, design @ prior).T
    root = np.linalg.cholesky(prior - gain @ design @ prior + 1e-9 * np.eye(bins * n_latents))
    mean = y.reshape(trials, -1) @ gain.T
    draws = mean + rng.normal(size=(99, trials, bins * n_latents)) @ root.T
    turn = np.array([[0.6, -1.6], [0.8, 1.2]])  # what a model that knows latents only up to a map would give
    names = {"latent": ["neural 0", "neural 1"], "block": ("latent", ["neural"] * 2)}
    latents = xr.DataArray(
        draws.reshape(99, trials, bins, n_latents) @ turn,
        dims=("draw", "trial", "time", "latent"),
        coords=names,
    )
    truth = xr.DataArray(z, dims=("trial", "time", "latent"), coords=names)
    alignment = align_latents(latents[:, :40], truth[:40])
    found = interval_coverage(alignment.apply(latents[:, 40:]), truth[40:])
    assert 0.87 < float(found["pooled"]) < 0.93
    assert "block" in found.coords


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 1.0}, "level=1.0 is not between 0 and 1"),
        ({"level": 0.99}, "39 draws have no 99% interval; it takes at least 199"),
        ({"mask": xr.DataArray(np.ones((6, 5)), dims=DIMS[:2])}, "mask is float64"),
        ({"mask": xr.DataArray(np.ones(4, bool), dims="unit")}, "mask has 4 along unit, truth 3"),
    ],
)
def test_bad_requests_are_named(options, message):
    draws = _draws(np.random.default_rng(5), 39, (6, 5, 3))
    with pytest.raises(EvaluationError, match=message):
        interval_coverage(draws, draws[0], **options)


def test_what_does_not_fit_is_named():
    draws = _draws(np.random.default_rng(6), 39, (6, 5, 3)).assign_coords(unit=list("abc"))
    truth = draws[0]
    with pytest.raises(EvaluationError, match=r"pass draws \(draw, ...\)"):
        interval_coverage(truth, truth)
    with pytest.raises(EvaluationError, match="unit 0 of draws is 'c', of truth 'a'"):
        interval_coverage(draws[..., ::-1], truth)
    with pytest.raises(EvaluationError, match="a valid value at unit 1 is not finite"):
        interval_coverage(draws, truth.where(truth["unit"] != "b"))
