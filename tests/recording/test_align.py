"""Windows around events: edges counted from the event, overlaps allowed, columns kept, the unknown masked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurokit_snn import recording
from neurokit_snn.errors import RecordingError
from neurokit_snn.recording.binned import check_binned

RNG = np.random.default_rng(5)
SPIKES = {u: np.sort(RNG.uniform(0, 50, 400)) for u in range(7)}
TREE = recording.build(
    spikes=SPIKES,
    trials={
        "start": [1.0, 9.0, 20.0],
        "stop": [8.0, 19.0, 40.0],
        "choice": [2.5, np.nan, 22.0],
        "side": ["l", "r", "l"],
    },
    events={"lick": {"time": [3.0, 3.2, 3.3, 30.0], "port": [1, 2, 1, 1]}},
    epochs={"all": [[0.0, 50.0]]},
)


@given(
    times=st.lists(st.floats(-1.0, 51.0), min_size=1, max_size=12),
    window=st.sampled_from([(-1.0, 2.0), (-0.3, 0.7), (0.1, 0.4), (-2.0, -1.0)]),
    width=st.sampled_from([0.1, 0.05, 1 / 30]),
)
def test_counts_equal_the_definition(times, window, width):
    data = recording.align(TREE, width, to=times, window=window)
    n = int(np.floor((window[1] - window[0]) / width + 1e-6))
    offsets = window[0] + np.arange(n + 1) * width
    offsets[np.abs(offsets) < 1e-9] = 0.0
    assert data.sizes == {"trial": len(times), "time": n, "unit": 7}
    for i, event in enumerate(times):
        edges = event + offsets
        inside = (edges[:-1] >= -1e-9) & (edges[1:] <= 50.0 + 1e-9)
        np.testing.assert_array_equal(data["mask"].values[i, :, 3], inside)
        for unit, train in SPIKES.items():
            at = np.searchsorted(edges, train, side="right") - 1
            expected = np.bincount(at[(at >= 0) & (at < n)], minlength=n)
            np.testing.assert_array_equal(data["counts"].values[i, :, unit], np.where(inside, expected, 0))


@pytest.mark.parametrize("before", [-0.3, -0.7, -1.0, -0.1])
def test_a_spike_at_the_event_is_in_the_bin_that_begins_there(before):
    train = SPIKES[0]
    data = recording.align(TREE, 0.1, to=train[(train > 1) & (train < 49)], window=(before, 0.5))
    first_after = int(np.argmin(np.abs(data["time"].values - 0.05)))
    assert (data["counts"].values[:, first_after, 0] >= 1).all()


def test_overlapping_windows_each_hold_every_spike():
    data = recording.align(TREE, 0.25, to="events/lick", window=(-1.0, 2.0))
    check_binned(data)
    assert data.attrs["layout"] == "events"
    assert data["port"].values.tolist() == [1, 2, 1, 1]
    np.testing.assert_array_equal(data["event_time"], [3.0, 3.2, 3.3, 30.0])
    np.testing.assert_allclose(data["trial_start"], data["event_time"] - 1.0)
    np.testing.assert_allclose(data["trial_stop"], data["event_time"] + 2.0)
    for i, event in enumerate((3.0, 3.2, 3.3, 30.0)):
        expected = [((t >= event - 1.0) & (t < event + 2.0)).sum() for t in SPIKES.values()]
        np.testing.assert_array_equal(data["counts"].values[i].sum(axis=0), expected)


def test_the_order_of_events_is_kept():
    one = recording.align(TREE, 0.1, to=[30.0, 3.0])
    other = recording.align(TREE, 0.1, to=[3.0, 30.0])
    np.testing.assert_array_equal(one["counts"].values, other["counts"].values[::-1])


def test_trial_columns_are_kept_and_missing_times_left_out():
    starts = recording.align(TREE, 0.1, to="trials/start")
    assert starts["trial"].values.tolist() == [0, 1, 2]
    assert starts["side"].values.tolist() == ["l", "r", "l"]
    choice = recording.align(TREE, 0.1, to="trials/choice")
    assert choice["trial"].values.tolist() == [0, 2]
    np.testing.assert_array_equal(choice["event_time"], [2.5, 22.0])


def test_bins_beyond_the_recording_are_masked():
    data = recording.align(TREE, 0.5, to=[0.5, 49.0], window=(-1.0, 2.0))
    np.testing.assert_array_equal(
        data["mask"].values[:, :, 0], [[False, *[True] * 5], [*[True] * 4, False, False]]
    )
    assert data["trial_stop"].values[1] == 50.0
    beyond = recording.align(TREE, 0.5, to=[-20.0, 10.0])
    assert not beyond["mask"].values[0].any()
    assert beyond["trial_stop"].values[0] == beyond["trial_start"].values[0]


BAD = {
    "no node": ("events/sniff", "no /events/sniff; /events holds: lick"),
    "no column": ("trials/reward", "can be times are: .*start"),
    "a label": ("trials/side", "can be times are"),
    "no path": ("lick", "give 'events/NAME'"),
    "nan": ([1.0, np.nan], "time 1 is nan"),
    "none": ([], "no event"),
    "shape": ([[1.0, 2.0]], "one time per event"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_events_say_what_to_do(case):
    to, message = BAD[case]
    with pytest.raises(RecordingError, match=message):
        recording.align(TREE, 0.1, to=to)


@pytest.mark.parametrize("window", [(2.0, -1.0), (0.0, 0.05), (0.0, np.inf), (1.0,), "ab", None])
def test_bad_windows_say_what_to_do(window):
    with pytest.raises(RecordingError, match="seconds around the event"):
        recording.align(TREE, 0.1, to="events/lick", window=window)
