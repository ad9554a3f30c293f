"""Intervals per unit, and the span of everything."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from neurokit_snn import recording
from neurokit_snn.errors import RecordingError
from neurokit_snn.recording.observation import restrict, total
from neurokit_snn.recording.schema import datasets, from_datasets
from neurokit_snn.testing import assert_recordings_equal, recordings


def test_units_are_always_observed_where_nothing_is_said():
    intervals = recording.observed(recording.build(spikes={"a": [0.1], "b": []}))
    np.testing.assert_array_equal(intervals["start"], [-np.inf, -np.inf])
    np.testing.assert_array_equal(intervals["stop"], [np.inf, np.inf])
    assert recording.observed(recording.build()).sizes["unit"] == 0


def test_intervals_are_on_the_clock_of_the_session():
    tree = recording.build(
        spikes=xr.Dataset(
            {"time": ("spike", [0.25]), "row_size": ("unit", [1])},
            coords={"unit": ["a"]},
            attrs={"clock": "rig"},
        ),
        observation={"a": [[0.0, 0.5]]},
        clocks={"rig": (2.0, 10.0)},
    )
    assert tree["observation"].attrs == {"clock": "rig"}
    intervals = recording.observed(tree)
    assert "clock" not in intervals.attrs
    assert (intervals["start"].item(), intervals["stop"].item()) == (10.0, 11.0)


@given(recordings(families=("observation",)), st.floats(-2, 5), st.floats(0.01, 3))
def test_restricting_agrees_with_membership(tree, start, length):
    origin = float(min([0.0, *tree["spikes"]["time"].values]))
    start += origin
    intervals = recording.observed(tree)
    window = restrict(intervals, start, start + length)
    grid = start - 0.5 + np.linspace(0, length + 1, 97)
    for unit in range(intervals.sizes["unit"]):
        inside = _contains(intervals, unit, grid) & (grid >= start) & (grid < start + length)
        np.testing.assert_array_equal(_contains(window, unit, grid), inside)
    assert (window["start"] < window["stop"]).all()
    assert (total(window) <= length + 1e-9).all()


def _contains(intervals, unit, points):
    stop = int(intervals["row_size"].values[: unit + 1].sum())
    rows = slice(stop - int(intervals["row_size"].values[unit]), stop)
    start, stop = intervals["start"].values[rows, None], intervals["stop"].values[rows, None]
    return ((points >= start) & (points < stop)).any(axis=0)


def test_total_time_observed():
    tree = recording.build(spikes={"a": [], "b": []}, observation={"a": [[0, 1], [2, 4]], "b": []})
    seconds = total(recording.observed(tree))
    np.testing.assert_array_equal(seconds, [3.0, 0.0])
    np.testing.assert_array_equal(total(restrict(recording.observed(tree), 0.5, 2.5)), [1.0, 0.0])
    assert seconds.dtype == np.float64
    assert seconds.attrs["units"] == "s"


def test_intervals_that_do_not_add_up_are_refused():
    tree = recording.build(spikes={"a": []}, observation={"a": [[0, 1]]})
    tree["observation"]["row_size"].values[0] = 2
    with pytest.raises(RecordingError, match="row_size sums to 2 but there are 1 intervals"):
        recording.observed(tree)


@given(recordings())
def test_the_span_holds_everything_and_no_more(tree):
    start, stop = recording.span(tree)
    assert_recordings_equal(recording.slice_time(tree, start, np.nextafter(stop, np.inf)), tree)
    lazy = from_datasets({**datasets(tree), "/spikes": tree["spikes"].to_dataset().chunk(3)})
    assert recording.span(lazy) == (start, stop)
    if start < stop:
        assert_recordings_equal(recording.slice_time(tree, start, stop), tree)
        for a, b in ((np.nextafter(start, np.inf), np.inf), (start, np.nextafter(stop, -np.inf))):
            if a < b:
                shorter = recording.slice_time(tree, a, b)
                assert recording.span(shorter) != (start, stop) or b < stop


def test_the_span_of_nothing():
    assert recording.span(recording.build()) == (0.0, 0.0)
    assert recording.span(recording.build(spikes={"a": []})) == (0.0, 0.0)
    start, stop = recording.span(recording.build(spikes={"a": [2.0]}))
    assert start == 2.0
    assert stop == np.nextafter(2.0, 3.0)
