"""Bins are half open and exact, masks say what is there, and every layout agrees with a plain count."""

from __future__ import annotations

from itertools import pairwise

import numba
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from neurokit_snn import recording
from neurokit_snn.errors import RecordingError
from neurokit_snn.recording import _kernels
from neurokit_snn.recording.binned import check_binned

WIDTHS = (0.1, 0.3, 0.02, 0.005, 1 / 30, 0.25)
STARTS = (0.0, -1.5, 4397.03, 1e5 / 3, 0.1 + 0.2)


def by_edges(times: np.ndarray, start: float, width: float, n_bins: int) -> np.ndarray:
    """The definition: bin k is [start + k * width, start + (k + 1) * width)."""
    edges = start + np.arange(n_bins + 1) * width
    at = np.searchsorted(edges, times, side="right") - 1
    return np.bincount(at[(at >= 0) & (at < n_bins)], minlength=n_bins)


@st.composite
def adversarial(draw):
    """A grid, and times on its edges, one float beside them, and anywhere."""
    width, start = draw(st.sampled_from(WIDTHS)), draw(st.sampled_from(STARTS))
    n_bins = draw(st.integers(1, 400))
    edges = start + np.arange(n_bins + 1) * width
    nth = st.lists(st.integers(0, n_bins), max_size=20)
    on, above, below = (edges[draw(nth)] for _ in range(3))
    anywhere = draw(st.lists(st.floats(-0.1, 1.1), max_size=20))
    times = [on, np.nextafter(above, np.inf), np.nextafter(below, -np.inf)]
    times.append(start + np.array(anywhere) * n_bins * width)
    return width, start, n_bins, np.unique(np.concatenate(times))


@given(adversarial())
def test_counts_equal_the_definition_on_and_beside_edges(case):
    width, start, n_bins, times = case
    tree = recording.build(spikes={"a": times, "b": times[::2], "none": []}, validate=False)
    data = recording.bin(tree, width, start=start, stop=start + (n_bins + 0.5) * width)
    assert data.sizes == {"trial": 1, "time": n_bins, "unit": 3}
    assert data["counts"].dtype == np.int32
    for unit, expected in (("a", times), ("b", times[::2]), ("none", np.zeros(0))):
        np.testing.assert_array_equal(
            data["counts"].sel(unit=unit).values[0], by_edges(expected, start, width, n_bins)
        )


@given(adversarial(), st.integers(1, 7))
def test_windows_cut_the_session_and_lose_no_spike(case, per_window):
    width, start, n_bins, times = case
    tree = recording.build(spikes={0: times}, validate=False)
    stop = start + n_bins * width
    if n_bins < per_window:
        with pytest.raises(RecordingError, match="no window"):
            recording.windows(tree, width, length=per_window * width, start=start, stop=stop)
        return
    data = recording.windows(tree, width, length=per_window * width, start=start, stop=stop)
    whole = recording.bin(tree, width, start=start, stop=stop)["counts"].values[0, :, 0]
    n = n_bins // per_window
    np.testing.assert_array_equal(data["counts"].values[..., 0].ravel(), whole[: n * per_window])
    np.testing.assert_allclose(
        data["trial_start"], start + np.arange(n) * per_window * width, rtol=0, atol=1e-9
    )
    np.testing.assert_array_equal(data["trial_stop"][:-1], data["trial_start"][1:])


@pytest.mark.parametrize("parallel", [True, False])
def test_many_units_and_slabs_agree_with_numpy(monkeypatch, parallel):
    """Several cache blocks, several slabs of a trial, overlapping trials, one thread and many."""
    monkeypatch.setattr(_kernels, "BYTES_PER_BLOCK", 40 * 4 * 16)
    monkeypatch.setattr(_kernels, "SLAB_BINS", 50)
    monkeypatch.setattr(_kernels, "SLABS_PER_CALL", 3)
    monkeypatch.setattr(_kernels, "_threads", lambda: 4 if parallel else 1)
    rng = np.random.default_rng(3)
    spikes = {u: np.sort(rng.uniform(0, 60, rng.poisson(300))) for u in range(40)}
    start, stop = np.array([0.0, 5.0, 5.5, 30.0]), np.array([12.3, 30.0, 6.0, 60.0])
    trials = xr.Dataset({"start": ("interval", start), "stop": ("interval", stop)})
    data = recording.bin_trials(recording.build(spikes=spikes), 0.05, trials=trials)
    for i, (begin, end) in enumerate(zip(start, stop, strict=True)):
        n = round((end - begin) / 0.05)
        for unit, times in spikes.items():
            row = data["counts"].values[i, :, unit]
            np.testing.assert_array_equal(row[:n], by_edges(times, begin, 0.05, n))
            assert not row[n:].any()


def test_unequal_trials_are_filled_up_and_masked():
    tree = recording.build(
        spikes={"a": [0.05, 0.95, 2.0, 2.31, 2.39], "b": [0.5]},
        units={"unit": ["a", "b"], "region": ["CA1", "CA3"], "mask": [1, 2]},
        trials={"start": [0.0, 2.0], "stop": [1.0, 2.35], "side": ["left", "right"], "unit": [3, 4]},
        behavior={"x": ([0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0])},
        session_id="s1",
        subject="rat",
    )
    data = recording.bin_trials(tree, 0.1)
    check_binned(data)
    np.testing.assert_array_equal(data["mask"].sum("time").values, [[10, 10], [3, 3]])
    np.testing.assert_array_equal(data["counts"].sel(unit="a").values[1], [1, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(data["time"], 0.05 + 0.1 * np.arange(10))
    np.testing.assert_allclose(data["trial_stop"], [1.0, 2.3])
    assert data["side"].dims == ("trial",)
    assert data["trial_unit"].values.tolist() == [3, 4]
    assert data["region"].values.tolist() == ["CA1", "CA3"]
    assert data["unit_mask"].values.tolist() == [1, 2]
    assert data.attrs == {
        "schema": "neurokit_snn.binned",
        "schema_version": 1,
        "bin_width": 0.1,
        "layout": "trials",
        "session_id": "s1",
        "subject": "rat",
    }
    np.testing.assert_array_equal(data["mask_behavior_x"].values, data["mask"].values[..., 0])
    assert np.isnan(data["behavior_x"].values[1, 3:]).all()
    np.testing.assert_allclose(data["behavior_x"].values[0], 0.05 + 0.1 * np.arange(10), atol=0.051)


def test_a_trial_shorter_than_a_bin_stays_and_is_masked():
    tree = recording.build(spikes={"a": [0.1]}, trials={"start": [0.0, 1.0], "stop": [1.0, 1.05]})
    data = recording.bin_trials(tree, 0.1)
    assert not data["mask"].values[1].any()
    assert data["trial_start"].values[1] == data["trial_stop"].values[1] == 1.0


def test_rounding_of_clock_times_does_not_cost_a_bin():
    for start in (0.0, 5000.0, 4397.03, 86_400.7):
        tree = recording.build(
            spikes={"a": [start]}, trials={"start": [start], "stop": [np.round(start + 0.3, 6)]}
        )
        for width, n_bins in ((0.1, 3), (0.001, 300), (0.0001, 3000)):
            assert recording.bin_trials(tree, width).sizes["time"] == n_bins
            assert recording.bin_trials(tree, width)["mask"].all()


def test_unobserved_bins_are_masked_and_hold_nothing():
    tree = recording.build(
        spikes={"a": [0.05, 0.305, 0.95], "b": [0.05], "lost": []},  # 0.305: in a bin observed only in part
        observation={"a": [[0.0, 0.31], [0.6, 0.9], [0.92, 1.0]], "b": [[-5.0, 9.0]], "lost": []},
    )
    data = recording.bin(tree, 0.1, start=0.0, stop=1.0)
    np.testing.assert_array_equal(
        data["mask"].sel(unit="a").values[0], np.isin(np.arange(10), [0, 1, 2, 6, 7, 8])
    )
    assert data["mask"].sel(unit="b").all()
    assert not data["mask"].sel(unit="lost").any()
    np.testing.assert_array_equal(data["counts"].sel(unit="a").values[0], [1, 0, 0, 0, 0, 0, 0, 0, 0, 0])


@given(
    st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 300)), min_size=1, max_size=6),
    st.sampled_from(WIDTHS),
    st.sampled_from(STARTS),
)
def test_observation_masks_equal_the_definition(pieces, width, start):
    """A bin is valid when one interval holds both its edges, up to a millionth of its width."""
    bounds = np.cumsum(np.array(pieces).ravel() + 1).reshape(-1, 2) * (width / 7) + start
    tree = recording.build(spikes={"a": [], "b": []}, observation={"a": bounds, "b": bounds[:1]})
    data = recording.bin(tree, width, start=start, stop=start + 120 * width)
    edges = start + np.arange(121) * width
    slack = 1e-6 * width
    for unit, intervals in (("a", bounds), ("b", bounds[:1])):
        inside = [
            any(a - slack <= left and right <= b + slack for a, b in intervals)
            for left, right in pairwise(edges)
        ]
        np.testing.assert_array_equal(data["mask"].sel(unit=unit).values[0], inside)


def test_windows_stay_within_epochs_and_join_those_that_touch():
    tree = recording.build(
        spikes={"a": [0.5, 2.5, 7.0]},
        epochs={"run": {"start": [0.0, 2.0, 2.5, 6.0], "stop": [2.0, 3.0, 4.5, 7.5]}},
    )
    data = recording.windows(tree, 0.5, length=1.0, epoch="run")
    np.testing.assert_array_equal(data["trial_start"], [0, 1, 2, 3, 6])
    assert data.attrs["layout"] == "windows"
    assert recording.windows(tree, 0.5, length=1.0, epoch="run", start=1.5, stop=3.9)[
        "trial_start"
    ].values.tolist() == [1.5, 2.5]


def test_the_whole_session_is_the_default():
    tree = recording.build(spikes={"a": [1.0, 1.2, 3.0]}, epochs={"run": [[0.5, 4.0]]})
    data = recording.bin(tree, 0.5)
    assert data["trial_start"].item() == 0.5
    assert data.sizes["time"] == 7
    assert data["counts"].sum() == 3


def test_other_clocks_are_brought_to_the_session_clock():
    tree = recording.build(
        spikes={"a": [1.0, 1.2]},
        behavior={"x": {"time": [0.0, 1.0, 2.0], "value": [0.0, 1.0, 2.0], "clock": "camera"}},
        clocks={"camera": (1.0, 0.5)},
    )
    data = recording.bin(tree, 0.5, start=0.5, stop=2.5)
    np.testing.assert_allclose(data["behavior_x"].values[0], [0.0, 0.75, 1.0, 1.75])


def test_recordings_without_spikes_or_units_still_bin():
    tree = recording.build(behavior={"x": ([0.0, 1.0, 2.0], [1.0, 2.0, 3.0])})
    data = recording.bin(tree, 0.5)
    assert "counts" not in data
    assert data["behavior_x"].shape == (1, 4)
    empty = recording.build(spikes={}, epochs={"run": [[0.0, 1.0]]})
    assert recording.bin(empty, 0.5)["counts"].shape == (1, 2, 0)


def test_extra_dimensions_that_clash_are_renamed():
    time = np.arange(5.0)
    tree = recording.build(
        spikes={"a": [0.5]},
        behavior={
            "p": {
                "time": time,
                "value": np.ones((5, 2)),
                "dims": ("time", "axis"),
                "coords": {"axis": ["x", "y"]},
            },
            "q": {
                "time": time,
                "value": np.ones((5, 3)),
                "dims": ("time", "axis"),
                "coords": {"axis": ["x", "y", "z"]},
            },
        },
    )
    data = recording.bin(tree, 1.0)
    assert data["behavior_p"].dims == ("trial", "time", "axis")
    assert data["behavior_q"].dims == ("trial", "time", "behavior_q_axis")
    assert data["behavior_q_axis"].values.tolist() == ["x", "y", "z"]


def test_behaviors_and_stimuli_are_chosen_by_name():
    tree = recording.build(
        spikes={"a": [0.5]},
        behavior={"p": ([0.0, 1.0, 2.0], [0.0, 1.0, 2.0]), "q": ([0.0, 1.0, 2.0], [0.0, 1.0, 2.0])},
        stimulus={"movie": ([0.0, 1.0], np.arange(8.0).reshape(2, 2, 2))},
    )
    assert "behavior_q" not in recording.bin(tree, 0.5, behavior=["p"])
    assert "behavior_p" not in recording.bin(tree, 0.5, behavior=False)
    data = recording.bin(tree, 0.5, start=0.0, stop=2.0, stimulus=True)
    check_binned(data)
    np.testing.assert_array_equal(data["stimulus_movie"].values[0, :, 0, 0], [0, 0, 4, 4])
    assert data["mask_stimulus_movie"].values.all()


def test_compiled_code_is_kept_only_where_there_is_a_folder_for_it(monkeypatch):
    plain = numba.njit

    def no_folder(*args, **kwargs):
        if kwargs.pop("cache", False):
            raise RuntimeError("cannot cache function: no locator available")
        return plain(*args, **kwargs)

    monkeypatch.setattr(numba, "njit", no_folder)
    _kernels._compiled.cache_clear()
    try:
        tree = recording.build(spikes={"a": [0.1, 0.2]})
        assert recording.bin(tree, 0.5, start=0.0, stop=1.0)["counts"].sum() == 2
    finally:
        _kernels._compiled.cache_clear()


TREE = recording.build(
    spikes={"a": [0.1, 0.9]},
    trials={"start": [0.0], "stop": [1.0]},
    behavior={"x": ([0.0, 1.0], [0.0, 1.0])},
    stimulus={"dvs": {"time": [0.1], "x": [1], "y": [1], "p": [1]}},
)
WRONG_PIXEL = recording.build(
    spikes={"a": [0.1]}, stimulus={"dvs": {"time": [0.1, 0.2], "x": [1, -1], "y": [1, 1], "p": [1, 1]}}
)
BAD = {
    "width": (lambda: recording.bin(TREE, 0.0), "bin_width is 0.0"),
    "nan width": (lambda: recording.bin(TREE, float("nan")), "bin_width is nan"),
    "no bin": (lambda: recording.bin(TREE, 100.0), "no bin of 100.0 s fits"),
    "reversed": (lambda: recording.bin(TREE, 0.1, start=2.0, stop=1.0), "start=2.0 and stop=1.0"),
    "no tree": (lambda: recording.bin(xr.Dataset(), 0.1), "expected a recording"),
    "behavior": (lambda: recording.bin(TREE, 0.1, behavior=["y"]), "'y'; the recording holds: x"),
    "pixel": (lambda: recording.bin(WRONG_PIXEL, 0.1, stimulus="dvs"), r"event 1 is at pixel \(-1, 1\)"),
    "chunks": (lambda: recording.bin(TREE, 0.1, chunks={"unit": 3}), "chunks is"),
    "length": (lambda: recording.windows(TREE, 0.1, length=0.25), "no whole number of bins"),
    "epoch": (lambda: recording.windows(TREE, 0.1, length=0.2, epoch="run"), "no /epochs/run; /epochs holds"),
    "trials": (lambda: recording.bin_trials(TREE, 0.1, trials="epochs/x"), "no /epochs/x"),
    "no column": (lambda: recording.bin_trials(TREE, 0.1, trials=xr.Dataset()), "no column start"),
    "too short": (lambda: recording.bin_trials(TREE, 3.0), "no trial holds a bin of 3.0 s"),
    "nan trial": (
        lambda: recording.bin_trials(
            TREE, 0.1, trials=xr.Dataset({"start": ("i", [0.0, np.nan]), "stop": ("i", [1.0, 2.0])})
        ),
        "row 1 has start=nan",
    ),
}


def test_events_of_a_stimulus_become_counts_of_pixels():
    """Every event inside a bin is counted once, at its pixel and polarity; trials that overlap count it in both."""
    rng = np.random.default_rng(0)
    n = 500
    events = {
        "time": np.sort(rng.uniform(0.0, 2.0, n)), "x": rng.integers(0, 4, n), "y": rng.integers(0, 3, n),
        "p": rng.integers(0, 2, n),
    }  # fmt: skip
    tree = recording.build(
        spikes={"a": [0.1]}, trials={"start": [0.0, 0.5], "stop": [1.0, 1.8]}, stimulus={"dvs": events}
    )
    data = recording.bin_trials(tree, 0.1, stimulus="dvs")
    found = data["stimulus_dvs"]
    assert found.dims == ("trial", "time", "y", "x", "polarity")
    assert data["mask_stimulus_dvs"].sum("time").values.tolist() == [10, 13]
    for trial, start, bins in ((0, 0.0, 10), (1, 0.5, 13)):
        for bin in range(bins):
            low, high = start + bin * 0.1, start + (bin + 1) * 0.1
            inside = (events["time"] >= low) & (events["time"] < high)
            expected = np.zeros((3, 4, 2), int)
            np.add.at(expected, tuple(events[k][inside] for k in ("y", "x", "p")), 1)
            np.testing.assert_array_equal(found.values[trial, bin], expected)
    assert int(found[0, 10:].sum()) == 0


@pytest.mark.parametrize("case", BAD)
def test_bad_requests_say_what_to_do(case):
    call, message = BAD[case]
    with pytest.raises(RecordingError, match=message):
        call()


def test_row_sizes_that_do_not_add_up_are_refused():
    tree = TREE.copy(deep=True)
    tree["spikes/row_size"].values[:] = 5
    with pytest.raises(RecordingError, match="row_size adds up to 5 but time holds 2"):
        recording.bin(tree, 0.1)
