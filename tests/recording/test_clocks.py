"""Several clocks: put on one, and found from shared pulses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from neurokit_snn import recording
from neurokit_snn.errors import RecordingError
from neurokit_snn.recording.clocks import affine
from neurokit_snn.recording.schema import datasets, from_datasets
from neurokit_snn.testing import assert_recordings_equal, recordings


@given(recordings())
def test_on_one_clock_every_time_is_mapped_and_nothing_else(tree):
    one = recording.to_session_clock(tree)
    assert recording.problems(one) == []
    for path, node in datasets(tree).items():
        slope, offset = affine(tree, path)
        after = datasets(one)[path]
        assert "clock" not in after.attrs
        for name, variable in node.variables.items():
            times = name in ("time", "start", "stop") and path.split("/")[1] not in ("truth",)
            expected = (
                variable.values * slope + offset if times and "clock" in node.attrs else variable.values
            )
            np.testing.assert_array_equal(after[name].values, expected)
            assert after[name].dtype == variable.dtype
    for unit in tree["units"]["unit"].values:
        np.testing.assert_array_equal(recording.spike_times(one, unit), recording.spike_times(tree, unit))
    assert recording.span(one) == recording.span(tree)
    assert recording.to_session_clock(one) is one


@given(recordings())
def test_lazy_recordings_stay_lazy_on_one_clock(tree):
    lazy = recording.to_session_clock(
        from_datasets({**datasets(tree), "/spikes": tree["spikes"].to_dataset().chunk(4)})
    )
    assert lazy["spikes"].variables["time"].chunks is not None
    assert_recordings_equal(lazy, recording.to_session_clock(tree))


def test_samples_that_fall_together_are_refused():
    entry = {"time": [0.0, 1e-9], "value": [1.0, 2.0], "clock": "far"}
    tree = recording.build(behavior={"x": entry}, clocks={"far": (1.0, 1e9)})
    with pytest.raises(
        RecordingError, match=r"on the session's clock .*/behavior/x \[behavior.sorted\] time\[1\]"
    ):
        recording.to_session_clock(tree)


def test_an_unknown_clock_is_named():
    entry = {"time": [0.0], "value": [1.0], "clock": "cam"}
    tree = recording.build(behavior={"x": entry}, clocks={"rig": (1.0, 0.0)}, validate=False)
    with pytest.raises(RecordingError, match=r"/behavior/x: clock 'cam' is not in /clocks \['rig'\]"):
        recording.to_session_clock(tree)


def _pulses(seed, *, n=400, drift=50e-6, jitter=2e-4, dropped=0, extra=0, even=False, offset=123.456):
    """Pulse times on both clocks, with the true map from theirs to ours."""
    rng = np.random.default_rng(seed)
    ours = np.cumsum(np.ones(n) if even else rng.uniform(0.5, 1.5, n))
    slope = 1.0 + drift
    theirs = (ours - offset) / slope + rng.normal(0.0, jitter, n)
    inner = np.arange(1, n - 1)
    theirs = np.delete(theirs, rng.choice(inner, dropped, replace=False))
    ours = np.delete(ours, rng.choice(inner, dropped, replace=False))
    theirs = np.sort(np.concatenate([theirs, rng.uniform(theirs[0], theirs[-1], extra)]))
    return theirs, ours, slope, offset


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"dropped": 20},
        {"dropped": 20, "extra": 15},
        {"drift": -500e-6, "dropped": 5},
        {"even": True},
        {"even": True, "dropped": 4},
        {"n": 6, "dropped": 1},
        {"jitter": 1e-3, "dropped": 10},
    ],
    ids=str,
)
def test_a_clock_is_found_from_pulses(case):
    for seed in range(3):
        theirs, ours, slope, offset = _pulses(seed, **case)
        fit = recording.fit_clock(theirs, ours)
        mapped = float(fit["slope"]) * theirs + float(fit["offset"])
        jitter = case.get("jitter", 2e-4)
        assert np.abs(mapped - (slope * theirs + offset)).max() < 4 * jitter
        kept = case.get("n", 400) - 2 * case.get("dropped", 0)
        assert kept * 0.98 <= int(fit["n_matched"]) <= min(len(theirs), len(ours))
        assert float(fit["residual_sd"]) == pytest.approx(jitter, rel=0.2 if kept > 50 else 0.9)
        assert float(fit["max_residual"]) < 6 * jitter
        if kept > 50:
            assert float(fit["max_residual"]) > float(fit["residual_sd"])
            standard_error = jitter / len(ours) ** 0.5 / np.std(ours)
            assert float(fit["slope"]) == pytest.approx(slope, abs=4 * standard_error)


def test_one_side_may_start_much_later():
    theirs, ours, slope, offset = _pulses(0, n=1000, dropped=3)
    fit = recording.fit_clock(theirs[600:900], ours)
    assert float(fit["slope"]) * theirs[700] + float(fit["offset"]) == pytest.approx(
        slope * theirs[700] + offset, abs=1e-4
    )
    back = recording.fit_clock(ours, theirs[600:900])
    assert float(back["slope"]) * float(fit["slope"]) == pytest.approx(1.0, abs=1e-6)


def test_pulses_without_jitter_give_the_map_itself():
    ours = np.array([0.0, 1.0, 2.5, 3.0, 7.0])
    fit = recording.fit_clock((ours - 5.0) / 1.0001, ours)
    assert float(fit["slope"]) == pytest.approx(1.0001, abs=1e-12)
    assert float(fit["offset"]) == pytest.approx(5.0, abs=1e-12)
    assert float(fit["max_residual"]) < 1e-12


@pytest.mark.parametrize(
    ("theirs", "ours", "message"),
    [
        ([0.0, 1.0], [0.0, 1.0, 2.0], r"theirs has shape \(2,\); give at least 3"),
        ([0.0, 1.0, 2.0], [0.0, 2.0, 1.0], r"ours\[2\] = 1.0 is not after"),
        ([0.0, np.nan, 2.0], [0.0, 2.0, 3.0], r"theirs\[1\] = nan"),
        (np.arange(20.0)[:15], np.arange(20.0), "evenly spaced pulses do not say which"),
        (
            np.random.default_rng(0).uniform(0, 100, 50).cumsum(),
            np.random.default_rng(1).uniform(0, 100, 50).cumsum(),
            r"only \d+ of 50 pulses match",
        ),
        (
            np.cumsum([0.0, 900, 1100, 700, 1300]),
            np.cumsum([0.0, 0.9, 1.1, 0.7, 1.3]),
            "interval differs 0.001-fold",
        ),
    ],
)
def test_a_bad_fit_is_refused(theirs, ours, message):
    with pytest.raises(RecordingError, match=message):
        recording.fit_clock(theirs, ours)


def test_a_clock_that_runs_too_differently_is_refused():
    ours = np.cumsum(np.random.default_rng(0).uniform(0.5, 1.5, 50))
    with pytest.raises(RecordingError, match="pulses match"):
        recording.fit_clock(ours * 1.01, ours)
    assert float(recording.fit_clock(ours * 1.01, ours, max_drift=0.02)["slope"]) == pytest.approx(1 / 1.01)
