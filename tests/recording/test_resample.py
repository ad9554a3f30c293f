"""Behaviour on bins: averages where there are samples, what lies between where there are none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurokit_snn import recording
from neurokit_snn.errors import RecordingError
from neurokit_snn.recording import resample


def on_bins(value, time, *, width=0.1, start=0.0, stop=1.0, max_gap=None, **attrs):
    tree = recording.build(behavior={"x": {"time": time, "value": value, **attrs}})
    return recording.bin(tree, width, start=start, stop=stop, max_gap=max_gap)


@given(
    st.lists(st.integers(0, 200), min_size=1, max_size=60, unique=True).map(sorted),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.05, 0.3, 2.0]),
)
def test_continuous_equals_a_plain_loop(ticks, seed, max_gap):
    rng = np.random.default_rng(seed)
    time = np.array(ticks) * 0.01
    value = rng.normal(size=(time.size, 2))
    value[rng.random(time.size) < 0.2] = np.nan
    edges = np.stack([0.37 + np.arange(11) * 0.05, np.arange(11) * 0.05, 1.2 + np.arange(11) * 0.05])
    out, valid = resample.on_columns(resample.continuous, time, value, edges, max_gap=max_gap)
    here = np.isfinite(value).all(axis=1)
    t, v = time[here], value[here]
    for i in range(3):
        for k in range(10):
            inside = (t >= edges[i, k]) & (t < edges[i, k + 1])
            centre = 0.5 * (edges[i, k] + edges[i, k + 1])
            before, after = np.flatnonzero(t < edges[i, k]), np.flatnonzero(t >= edges[i, k + 1])
            if inside.any():
                expected = v[inside].mean(axis=0)
            elif before.size and after.size and t[after[0]] - t[before[-1]] <= max_gap:
                b, a = before[-1], after[0]
                expected = v[b] + (v[a] - v[b]) * (centre - t[b]) / (t[a] - t[b])
            else:
                expected = np.full(2, np.nan)
            np.testing.assert_allclose(out[i, k], expected, rtol=0, atol=1e-12)
            assert (valid[i, k] == np.isfinite(expected)).all()


def test_columns_that_miss_different_samples_are_filled_each_by_its_own():
    time = np.arange(0.05, 1.0, 0.1)
    value = np.stack([time, 2 * time, np.full(10, np.nan)], axis=1)
    value[3, 0] = value[6:, 1] = np.nan
    data = on_bins(value, time, dims=("time", "keypoint"))
    np.testing.assert_allclose(data["behavior_x"].values[0, :, 0], time)
    np.testing.assert_allclose(data["behavior_x"].values[0, :6, 1], 2 * time[:6])
    assert np.isnan(data["behavior_x"].values[0, 6:, 1]).all()
    assert not data["mask_behavior_x"].any()  # the third keypoint is never there


def test_a_constant_stays_exactly_constant():
    data = on_bins(np.full(977, 0.1), np.linspace(0, 1, 977), width=0.01)
    assert (data["behavior_x"].values[0] == 0.1).mean() > 0.2
    np.testing.assert_allclose(data["behavior_x"].values[0], 0.1, rtol=1e-15)


def test_gaps_are_filled_up_to_the_limit_and_never_extrapolated():
    time = np.r_[0.25, 0.35, 0.62, 0.65]
    data = on_bins(time, time, max_gap=0.3)
    assert data["mask_behavior_x"].values[0].tolist() == [False] * 2 + [True] * 5 + [False] * 3
    np.testing.assert_allclose(data["behavior_x"].values[0, 4:6], [0.45, 0.55])
    assert on_bins(time, time, max_gap=0.2)["mask_behavior_x"].values[0].sum() == 3


def test_the_default_gap_is_three_bins_or_three_samples():
    assert resample.default_gap(np.array([0.0, 1.0, 2.0]), 0.1) == 3.0
    assert resample.default_gap(np.array([0.0, 0.01, 0.02]), 0.1) == pytest.approx(0.3)
    assert resample.default_gap(np.array([0.0]), 0.1) == pytest.approx(0.3)


@pytest.mark.parametrize("n", [0, 1])
def test_hardly_any_samples(n):
    data = on_bins(np.full(n, 5.0), np.full(n, 0.42))
    assert data["mask_behavior_x"].sum() == n
    assert np.nansum(data["behavior_x"]) == 5.0 * n


@given(st.floats(-20, 20), st.sampled_from(["deg", "rad"]), st.booleans())
def test_circular_means_do_not_depend_on_where_zero_is(turn, units, sparse):
    """Samples around a direction average to that direction, with or without a wrap inside the bin."""
    period = 360.0 if units == "deg" else 2 * np.pi
    spread = np.array([-0.05, 0.05, -0.05, 0.05]) * period
    time = np.array([0.02, 0.08, 0.92, 0.98]) if sparse else np.array([0.41, 0.42, 0.43, 0.44])
    angle = (turn + spread) % period
    data = on_bins(angle, time, kind="circular", units=units, max_gap=1.0)
    value = data["behavior_x"].values[0, 4]
    assert 0 <= value < period
    assert abs(np.angle(np.exp(2j * np.pi * (value - turn) / period))) < 0.75 * 0.1 * 2 * np.pi
    if not sparse:
        assert abs(np.angle(np.exp(2j * np.pi * (value - turn) / period))) < 1e-6


def test_circular_gaps_are_filled_along_the_shorter_arc():
    data = on_bins([350.0, 10.0], [0.1, 0.5], kind="circular", units="degrees", max_gap=1.0)
    np.testing.assert_allclose(data["behavior_x"].values[0, 1:5], [350.0, 357.5, 2.5, 7.5])
    signed = on_bins([-3.0, 3.0], [0.1, 0.5], kind="circular", units="rad", max_gap=1.0)
    assert (signed["behavior_x"].values[0, 1:5] < np.pi).all()
    assert (signed["behavior_x"].values[0, 1:5] >= -np.pi).all()


def test_categorical_takes_the_majority_and_the_nearer_neighbour():
    time = [0.01, 0.02, 0.03, 0.16, 0.55, 0.85]
    data = on_bins([2, 1, 2, 3, 1, 1], time, kind="categorical", max_gap=0.5)
    assert data["behavior_x"].values[0, :9].tolist() == [2, 3, 3, 3, 1, 1, 1, 1, 1]
    assert np.isnan(data["behavior_x"].values[0, 9])


def test_the_last_frame_before_the_centre_is_shown():
    index, valid = resample.frames(np.array([0.0, 0.1, 0.5, 0.6]), np.array([np.arange(-1, 10) * 0.1]))
    assert index[0].tolist() == [0, 0, 1, 1, 1, 1, 2, 3, 3, 3]
    assert valid[0].tolist() == [False, *[True] * 7, False, False]


def test_fluorescence_is_resampled_per_unit_and_masked_where_unobserved():
    time = np.arange(0.0, 1.0, 0.03)
    trace = np.stack([time, np.where(time < 0.5, time, np.nan)], axis=1)
    tree = recording.build(
        calcium={"time": time, "value": trace, "units": "1"}, observation={0: [[0.0, 0.8]], 1: [[0.0, 2.0]]}
    )
    data = recording.bin(tree, 0.1, start=0.0, stop=1.0)
    assert data["calcium"].dims == data["mask_calcium"].dims == ("trial", "time", "unit")
    assert data["mask_calcium"].values[0].sum(axis=0).tolist() == [8, 5]
    np.testing.assert_allclose(data["calcium"].values[0, :5, 0], data["calcium"].values[0, :5, 1])


def test_an_unknown_kind_is_named():
    tree = recording.build(behavior={"x": ([0.0, 1.0], [0.0, 1.0])})
    tree["behavior/x/value"].attrs["kind"] = "angular"
    with pytest.raises(RecordingError, match=r"/behavior/x: attribute kind is 'angular'"):
        recording.bin(tree, 0.1)
