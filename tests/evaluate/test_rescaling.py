"""Time rescaling: right models pass at the nominal rate, wrong ones do not, and bins do no harm."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from neurokit_snn.errors import EvaluationError
from neurokit_snn.evaluate.rescaling import time_rescaling

Made = Callable[..., xr.Dataset]


def population(
    expected: np.ndarray, counts: np.ndarray, bin_width: float = 0.05
) -> tuple[xr.Dataset, xr.DataArray]:
    """Binned data of counts ``(trial, time, unit)`` and their rate."""
    dims = ("trial", "time", "unit")
    start = np.arange(counts.shape[0]) * counts.shape[1] * bin_width
    data = xr.Dataset(
        {"counts": (dims, counts.astype(np.int32)), "mask": (dims, np.ones(counts.shape, bool))},
        coords={
            "time": (np.arange(counts.shape[1]) + 0.5) * bin_width,
            "unit": np.arange(counts.shape[2]),
            "trial_start": ("trial", start),
            "trial_stop": ("trial", start + counts.shape[1] * bin_width),
        },
        attrs={
            "schema": "neurokit_snn.binned",
            "schema_version": 1,
            "bin_width": bin_width,
            "layout": "windows",
        },
    )
    return data, xr.DataArray(expected / bin_width, dims=dims, coords={"unit": data["unit"]})


def drawn(kind: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    wave = 1.0 + 0.8 * np.sin(np.arange(150) / 9.0)[None, :, None]
    if kind == "counts":
        expected = np.broadcast_to(0.7 * wave, (8, 150, 200))
        return expected, rng.poisson(expected)
    expected = np.broadcast_to(0.3 * wave, (8, 150, 200))
    return expected, rng.random(expected.shape) < expected


@pytest.mark.parametrize("kind", ["counts", "binary"])
def test_right_models_are_rejected_in_five_per_cent(kind: str) -> None:
    data, rate = population(*drawn(kind))
    found = time_rescaling(data, rate, space=kind)
    assert 0.01 <= float((found["p_value"] < 0.05).mean()) <= 0.10
    assert stats.kstest(found["p_value"].values, "uniform").pvalue > 0.01
    np.testing.assert_array_equal(found["n_spikes"], data["counts"].sum(("trial", "time")))
    assert abs(float(found["serial"].mean())) < 0.01
    outside = found["ks"] > found["band"]
    np.testing.assert_array_equal(outside, found["p_value"] < 0.05)


def test_without_the_correction_for_bins_right_models_would_fail() -> None:
    """What Haslinger et al. 2010 found: rescaled intervals of coarse bins are not exponential."""
    expected, counts = drawn("binary")
    cumulated = np.cumsum(expected[..., 0].ravel())
    intervals = np.diff(cumulated[np.flatnonzero(counts[..., 0].ravel())])
    assert stats.kstest(1 - np.exp(-intervals), "uniform").pvalue < 1e-3


def test_wrong_models_are_rejected() -> None:
    expected, counts = drawn("counts")
    data, rate = population(expected, counts)
    flat = rate.copy(data=np.broadcast_to(expected.mean((0, 1), keepdims=True) / 0.05, expected.shape))
    assert float((time_rescaling(data, flat)["p_value"] < 0.05).mean()) > 0.9
    assert float((time_rescaling(data, 1.3 * rate)["p_value"] < 0.05).mean()) > 0.9


def test_bursts_show_in_successive_intervals() -> None:
    rng = np.random.default_rng(0)
    state = np.repeat(rng.integers(0, 2, (8, 15, 50)), 10, axis=1)
    counts = rng.poisson(0.1 + 1.2 * state)
    data, rate = population(np.full(counts.shape, 0.7), counts)
    assert float(time_rescaling(data, rate)["serial"].mean()) > 0.1


def test_the_distance_is_that_of_scipy() -> None:
    expected, counts = drawn("counts")
    data, rate = population(expected, counts)
    one = time_rescaling(data.isel(unit=[3]), rate.isel(unit=[3]), seed=5)
    rng = np.random.default_rng(5)
    q = expected[..., 3].ravel()
    start = np.cumsum(q) - q
    bins = np.repeat(np.arange(q.size), counts[..., 3].ravel())
    place = np.sort(start[bins] + q[bins] * rng.random(bins.size))
    uniform = 1 - np.exp(-np.diff(place, prepend=0.0))
    expected_test = stats.kstest(uniform, "uniform")
    assert float(one["ks"][0]) == pytest.approx(expected_test.statistic, rel=1e-12)
    assert float(one["p_value"][0]) == pytest.approx(expected_test.pvalue, rel=1e-6)
    levels = one["level"].values
    np.testing.assert_allclose(
        one["empirical"].values[0], [(uniform <= level).mean() for level in levels], atol=1e-12
    )


def test_masked_bins_take_no_time() -> None:
    expected, counts = drawn("counts")
    data, rate = population(expected[:, :, :5], counts[:, :, :5])
    masked = data.copy()
    masked["mask"] = data["mask"] & (data["time"] < 4.0)
    fewer = data.isel(time=data["time"].values < 4.0)
    whole = time_rescaling(masked, rate.where(masked["mask"]))
    xr.testing.assert_allclose(whole, time_rescaling(fewer, rate.isel(time=data["time"].values < 4.0)))


def test_silent_units_have_no_test() -> None:
    expected, counts = drawn("counts")
    counts = counts.copy()
    counts[..., 1] = 0
    found = time_rescaling(*population(expected[..., :3], counts[..., :3]))
    assert np.isnan(found["ks"].values[1])
    assert np.isnan(found["p_value"].values[1])
    assert np.isfinite(found["p_value"].values[[0, 2]]).all()


def test_bad_input(made: Made) -> None:
    data = made()
    rate = xr.ones_like(data["counts"], dtype=float)
    with pytest.raises(EvaluationError, match=r"negative or NaN .*trial number 0, unit number 0"):
        time_rescaling(data, -rate)
    with pytest.raises(EvaluationError, match="at most one spike, one holds"):
        time_rescaling(data, rate, space="binary")
    with pytest.raises(EvaluationError, match="a probability of 2 in a bin"):
        time_rescaling(data.assign(counts=data["counts"].clip(max=1)), 20 * rate, space="binary")
    with pytest.raises(EvaluationError, match="space is 'rates'"):
        time_rescaling(data, rate, space="rates")
