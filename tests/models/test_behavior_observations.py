"""Angles and categories as predictive distributions: against scipy, against their own samples, and as mixtures."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from neurokit_snn.errors import ModelError
from neurokit_snn.models.behavior_observations import Categorical, VonMises


def _da(value: object, *dims: str) -> xr.DataArray:
    return xr.DataArray(value, dims=dims)


@pytest.mark.parametrize("concentration", [0.0, 0.3, 8.0, 2e3])
@pytest.mark.parametrize("period", [2 * np.pi, 360.0, 1.0])
def test_von_mises_equals_scipy_per_unit_of_the_behaviour(concentration: float, period: float) -> None:
    turns = np.linspace(-1.2, 1.7, 31)
    angle = VonMises(location=_da(0.9 * period), concentration=_da(concentration), period=period)
    found = angle.log_prob(_da(turns * period, "time"))
    if concentration:
        expected = stats.vonmises(concentration, 0.9 * 2 * np.pi).logpdf(turns * 2 * np.pi)
    else:
        expected = np.full(turns.size, -np.log(2 * np.pi))
    np.testing.assert_allclose(found, expected + np.log(2 * np.pi / period), rtol=1e-9)
    grid = (np.arange(20_000) + 0.5) / 20_000 * period
    assert float(np.exp(angle.log_prob(_da(grid, "time"))).mean()) * period == pytest.approx(1.0, abs=1e-9)


def test_von_mises_samples_have_its_density() -> None:
    angle = VonMises(location=_da(np.full(40_000, 350.0), "time"), concentration=_da(1.5), period=360.0)
    drawn = angle.sample(np.random.default_rng(0)).values
    assert (drawn >= 0).all()
    assert (drawn <= 360).all()
    seen = np.histogram(drawn, bins=24, range=(0.0, 360.0))[0]
    fine = (np.arange(24 * 50) + 0.5) * 0.3
    one = VonMises(location=_da(350.0), concentration=_da(1.5), period=360.0)
    p = np.exp(one.log_prob(_da(fine, "time"))).values.reshape(24, 50).sum(1) * 0.3
    assert p.sum() == pytest.approx(1.0, abs=1e-6)
    assert stats.chisquare(seen, p / p.sum() * drawn.size).pvalue > 1e-3


def test_von_mises_draws_are_a_mixture_with_a_circular_mean() -> None:
    location, kappa = np.array([6.2, 0.4, 0.1]), np.array([5.0, 2.0, 0.1])
    angle = VonMises(location=_da(location, "draw"), concentration=_da(kappa, "draw"))
    target = np.linspace(0.0, 6.0, 9)
    expected = np.log(
        np.mean([stats.vonmises(k, m).pdf(target) for m, k in zip(location, kappa, strict=True)], 0)
    )
    np.testing.assert_allclose(angle.log_marginal(_da(target, "time")), expected, rtol=1e-9)
    fine = (np.arange(200_000) + 0.5) / 200_000 * 2 * np.pi
    p = np.exp(angle.log_marginal(_da(fine, "time")).values)
    expected_mean = np.angle(np.sum(p * np.exp(1j * fine))) % (2 * np.pi)
    assert float(angle.mean()) == pytest.approx(expected_mean, abs=1e-9)
    spread = stats.circstd(location)
    assert float(angle.parameter_sd()) == pytest.approx(spread, rel=1e-9)
    degrees = VonMises(
        location=_da(np.rad2deg(location), "draw"), concentration=_da(kappa, "draw"), period=360.0
    )
    assert float(degrees.parameter_sd()) == pytest.approx(np.rad2deg(spread), rel=1e-9)
    assert float(degrees.mean()) == pytest.approx(np.rad2deg(expected_mean), abs=1e-7)


def test_von_mises_without_draws_is_sure_of_its_mean() -> None:
    angle = VonMises(location=_da([-90.0, 450.0], "time"), concentration=_da(3.0), period=360.0)
    np.testing.assert_allclose(angle.mean(), [270.0, 90.0])
    np.testing.assert_array_equal(angle.parameter_sd(), [0.0, 0.0])
    one = VonMises(location=_da([[1.0, 2.0]], "draw", "time"), concentration=_da(3.0))
    assert one.parameter_sd().dims == ("time",)
    with pytest.raises(ModelError, match="period is 0"):
        VonMises(location=_da(0.0), concentration=_da(1.0), period=0.0)


def test_von_mises_is_joint_over_its_axes_and_missing_where_one_is() -> None:
    location = _da([[0.1, 2.0], [0.3, 4.0]], "draw", "axis")
    angle = VonMises(location=location, concentration=_da(2.0), event_dims=("axis",))
    target = _da([[0.2, 3.0], [np.nan, 3.0]], "time", "axis")
    pairs = [stats.vonmises.pdf([0.2, 3.0], 2.0, loc=row).prod() for row in location.values]
    found = angle.log_marginal(target)
    assert float(found[0]) == pytest.approx(np.log(np.mean(pairs)))
    np.testing.assert_array_equal(angle.log_prob(target).isel(draw=0).isnull(), [False, True])


def test_categorical_probabilities_of_values_in_any_order() -> None:
    p = np.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])
    states = Categorical(log_p=_da(np.log(p), "time", "category"), categories=(7.0, -1.0, 2.0))
    np.testing.assert_allclose(states.log_prob(_da([2.0, 7.0], "time")), np.log([0.3, 0.1]))
    np.testing.assert_array_equal(states.mean(), [-1.0, 2.0])
    found = states.log_prob(_da([np.nan, 5.0], "time")).values
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(np.log(1e-9))
    expected = [np.sqrt(np.cov([7.0, -1.0, 2.0], aweights=row, ddof=0)) for row in p]
    np.testing.assert_allclose(states.parameter_sd(), expected)


def test_categorical_draws_are_averaged_before_the_likeliest_is_taken() -> None:
    # Two draws of three say 0, but the third is so sure of 1 that the mixture says 1.
    p = np.array([[0.6, 0.4], [0.6, 0.4], [0.01, 0.99]])
    states = Categorical(log_p=_da(np.log(p), "draw", "category"), categories=(0.0, 1.0))
    np.testing.assert_array_equal(states.conditional_mean(), [0.0, 0.0, 1.0])
    assert float(states.mean()) == 1.0
    assert float(states.log_marginal(_da(1.0))) == pytest.approx(np.log(p[:, 1].mean()))
    q = p[:, 1].mean()
    assert float(states.parameter_sd()) == pytest.approx(np.sqrt(q * (1 - q)))


def test_categorical_samples_have_its_frequencies() -> None:
    p = np.array([0.05, 0.25, 0.7])
    log_p = np.broadcast_to(np.log(p)[:, None], (3, 20_000))  # the category need not be the last dim
    states = Categorical(log_p=_da(log_p, "category", "time"), categories=(3.0, 1.0, 2.0))
    drawn = states.sample(np.random.default_rng(1))
    assert drawn.dims == ("time",)
    seen = [int((drawn == c).sum()) for c in (3.0, 1.0, 2.0)]
    assert stats.chisquare(seen, p * 20_000).pvalue > 1e-3


@pytest.mark.parametrize(
    ("p", "categories", "words"),
    [
        ([0.5, 0.5], (1.0, 2.0, 3.0), "2 along category, there are 3"),
        ([0.5, 0.5], (1.0, 1.0), "give each number once"),
        ([0.5, 0.4], (0.0, 1.0), r"sum to 0\.9; normalise"),
        ([0.5, 0.5], ("left", "right"), "give numbers"),
    ],
)
def test_categorical_refuses_what_is_no_distribution(p: list[float], categories: tuple, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        Categorical(log_p=_da(np.log(p), "category"), categories=categories)
