"""The zero-inflated gamma: against scipy, as a measure of total one, against its samples, and as a mixture of draws."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import integrate, stats

from neurokit_snn.errors import ModelError
from neurokit_snn.models.zero_inflated_gamma import EVENT_FLOOR, ZeroInflatedGamma


def _da(value: object, *dims: str) -> xr.DataArray:
    return xr.DataArray(value, dims=dims)


def _made(
    p: object = 0.3, shape: object = 1.7, mean: object = 2.5, floor: float = 0.4, *dims: str
) -> ZeroInflatedGamma:
    return ZeroInflatedGamma(
        p_event=_da(p, *dims), shape=_da(shape, *dims), mean_event=_da(mean, *dims), floor=floor
    )


@pytest.mark.parametrize("shape", [0.6, 1.0, 4.0])
def test_events_equal_scipy_and_all_values_up_to_the_floor_are_one_outcome(shape: float) -> None:
    target = np.array([0.0, 0.2, 0.4, 0.41, 1.0, 7.0])
    found = _made(shape=shape).log_prob(_da(target, "time")).values
    np.testing.assert_allclose(found[:3], np.log(0.7), rtol=1e-12)
    event = stats.gamma(shape, loc=0.4, scale=2.1 / shape).logpdf(target[3:])
    np.testing.assert_allclose(found[3:], np.log(0.3) + event, rtol=1e-9)


@pytest.mark.parametrize("shape", [1.0, 3.0])
def test_mass_and_density_make_one(shape: float) -> None:
    made = _made(shape=shape)
    density = integrate.quad(lambda y: float(np.exp(made.log_prob(_da(y)))), 0.4, 60.0)[0]
    assert density + float(np.exp(made.log_prob(_da(0.0)))) == pytest.approx(1.0, abs=1e-6)


def test_samples_have_its_mass_its_density_and_its_mean() -> None:
    n = 60_000
    made = _made(np.full(n, 0.3), np.full(n, 1.7), np.full(n, 2.5), 0.4, "time")
    drawn = made.sample(np.random.default_rng(0)).values
    events = drawn[drawn > 0.4]
    assert set(np.unique(drawn[drawn <= 0.4])) == {0.0}
    assert stats.binomtest(events.size, n, 0.3).pvalue > 1e-3
    fine = np.linspace(0.4, 40.0, 4001)
    density = np.exp(_made().log_prob(_da(fine[1:], "time"))).values / 0.3
    cdf = np.concatenate([[0.0], np.cumsum(density * np.diff(fine))])
    assert stats.kstest(events, lambda y: np.interp(y, fine, cdf / cdf[-1])).statistic < 0.02
    assert drawn.mean() == pytest.approx(float(_made().mean()), rel=0.02)
    assert float(_made().mean()) == pytest.approx(0.75)


def test_draws_are_a_mixture() -> None:
    p, shape, mean = [0.2, 0.9], [1.0, 2.0], [1.0, 3.0]
    both = _made(p, shape, mean, 0.0, "draw")
    target = np.array([0.0, 0.5, 4.0])
    each = [
        np.where(target > 0, a * stats.gamma(k, scale=m / k).pdf(np.maximum(target, 1e-9)), 1 - a)
        for a, k, m in zip(p, shape, mean, strict=True)
    ]
    np.testing.assert_allclose(both.log_marginal(_da(target, "time")), np.log(np.mean(each, 0)), rtol=1e-9)
    assert float(both.mean()) == pytest.approx((0.2 + 2.7) / 2)
    assert float(both.parameter_sd()) == pytest.approx(np.std([0.2, 2.7], ddof=1))
    assert both.sample(np.random.default_rng(0)).dims == ("draw",)


def test_units_broadcast_and_missing_values_stay_missing() -> None:
    made = ZeroInflatedGamma(
        p_event=_da([[0.2, 0.5], [0.0, 1.0]], "time", "unit"),
        shape=_da([1.0, 2.0], "unit"),
        mean_event=_da(3.0),
    )
    found = made.log_prob(_da([[np.nan, 0.0], [0.0, 2.0]], "time", "unit"))
    assert made.floor == EVENT_FLOOR
    assert np.isnan(found[0, 0])
    assert float(found[0, 1]) == pytest.approx(np.log(0.5))
    assert float(found[1, 0]) == pytest.approx(0.0, abs=1e-8), "no event was certain"
    assert np.isfinite(made.log_prob(_da([[1.0, 0.0], [1.0, 0.0]], "time", "unit"))).all(), (
        "floored, not -inf"
    )


@pytest.mark.parametrize(("field", "value"), [("shape", 0.0), ("mean_event", -1.0), ("shape", np.nan)])
def test_parameters_that_are_none_are_refused(field: str, value: float) -> None:
    parameters = {"p_event": 0.5, "shape": 1.0, "mean_event": 1.0} | {field: value}
    with pytest.raises(ModelError, match=f"ZeroInflatedGamma: {field}"):
        ZeroInflatedGamma(**{name: _da(v) for name, v in parameters.items()})
