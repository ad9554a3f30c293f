"""The laws of slicing, joining and choosing, and what is refused."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from neurokit_snn import recording
from neurokit_snn.errors import RecordingError
from neurokit_snn.recording.clocks import affine, first_at
from neurokit_snn.recording.ragged import count_before, offsets, take_runs, unit_of_spike
from neurokit_snn.recording.schema import datasets, from_datasets
from neurokit_snn.testing import assert_recordings_equal, recordings


def _cuts(tree):
    """Instants where a cut is awkward: at samples and edges, to the bit, on the session's clock, and beside
    them."""
    instants = [0.0]
    for path, node in datasets(tree).items():
        names = {"time", "start", "stop"} & set(node.variables)
        if path.startswith(("/truth", "/units")) or not names:
            continue
        slope, offset = affine(tree, path)
        mapped = np.concatenate([node[name].values for name in sorted(names)]) * slope + offset
        instants += [*mapped[:20].tolist(), *np.nextafter(mapped[:5], np.inf).tolist()]
    return st.sampled_from(instants)


@given(recordings(), st.data())
def test_slicing_then_joining_is_the_identity(tree, data):
    cuts = sorted(data.draw(st.lists(_cuts(tree), max_size=3, unique=True)))
    edges = [-np.inf, *cuts, np.inf]
    parts = [recording.slice_time(tree, a, b) for a, b in pairwise(edges)]
    for part in parts:
        assert recording.problems(part) == []
    assert_recordings_equal(recording.concat_time(parts), tree)


@given(recordings(), st.data())
def test_slicing_lazily_gives_the_same(tree, data):
    start = data.draw(_cuts(tree))
    stop = start + data.draw(st.sampled_from([0.002, 0.7, 3.0]))
    lazy = from_datasets({**datasets(tree), "/spikes": tree["spikes"].to_dataset().chunk(3)})
    assert_recordings_equal(recording.slice_time(lazy, start, stop), recording.slice_time(tree, start, stop))
    assert recording.slice_time(lazy, start, stop)["spikes"].variables["time"].chunks is not None


@given(recordings(), st.data())
def test_a_slice_holds_what_lies_inside(tree, data):
    cut = data.draw(_cuts(tree))
    late = recording.slice_time(tree, cut, np.inf)
    for unit in tree["units"]["unit"].values:
        times = recording.spike_times(tree, unit)
        np.testing.assert_array_equal(recording.spike_times(late, unit), times[times >= cut])


@given(recordings(min_units=1), st.data())
def test_permuting_units_twice_restores(tree, data):
    labels = tree["units"]["unit"].values
    shuffled = labels[data.draw(st.permutations(range(len(labels))))]
    permuted = recording.select_units(tree, shuffled)
    np.testing.assert_array_equal(permuted["units"]["unit"], shuffled)
    for unit in labels:
        np.testing.assert_array_equal(
            recording.spike_times(permuted, unit), recording.spike_times(tree, unit)
        )
    assert recording.problems(permuted) == []
    assert_recordings_equal(recording.select_units(permuted, labels), tree)


@given(recordings(), st.data())
def test_selecting_commutes_with_slicing(tree, data):
    keep = np.array(
        data.draw(st.lists(st.booleans(), min_size=(n := tree["units"].sizes["unit"]), max_size=n)),
        dtype=bool,
    )
    cut = data.draw(_cuts(tree))
    one = recording.slice_time(recording.select_units(tree, keep), cut, np.inf)
    two = recording.select_units(recording.slice_time(tree, cut, np.inf), keep)
    assert_recordings_equal(one, two)
    assert_recordings_equal(recording.select_units(tree, np.ones(n, dtype=bool)), tree)


@pytest.fixture
def tree():
    return recording.build(
        spikes={"a": [0.1, 0.2, 0.9], "b": [], "c": [0.2, 0.5]},
        units={"depth": [1.0, 2.0, 3.0]},
        trials={"start": [0.0, 0.4], "stop": [0.6, 0.9]},
        observation={"a": [[0, 1]], "b": [], "c": [[0, 0.3], [0.4, 1]]},
        calcium=([0.0, 0.5], np.arange(6.0).reshape(2, 3)),
    )


def test_runs_and_offsets(tree):
    np.testing.assert_array_equal(offsets(tree), [0, 3, 3, 5])
    np.testing.assert_array_equal(offsets(tree, path="/observation"), [0, 1, 1, 3])
    np.testing.assert_array_equal(unit_of_spike(tree), [0, 0, 0, 2, 2])


def test_a_slice_cuts_each_node_by_its_rule(tree):
    part = recording.slice_time(tree, 0.2, 0.5)
    np.testing.assert_array_equal(part["spikes"]["time"], [0.2, 0.2])
    np.testing.assert_array_equal(part["spikes"]["row_size"], [1, 0, 1])
    np.testing.assert_array_equal(part["trials"]["trial"], [1])
    assert part["trials"]["stop"].item() == 0.9
    np.testing.assert_array_equal(part["observation"]["start"], [0.2, 0.2, 0.4])
    np.testing.assert_array_equal(part["observation"]["stop"], [0.5, 0.3, 0.5])
    assert part["calcium"].sizes["time"] == 0


def test_units_are_chosen_everywhere(tree):
    part = recording.select_units(tree, ["c", "a"])
    np.testing.assert_array_equal(part["spikes"]["time"], [0.2, 0.5, 0.1, 0.2, 0.9])
    np.testing.assert_array_equal(part["observation"]["row_size"], [2, 1])
    np.testing.assert_array_equal(part["calcium"]["fluorescence"], [[2, 0], [5, 3]])
    np.testing.assert_array_equal(part["units"]["depth"], [3, 1])
    assert recording.select_units(tree, "b")["units"].sizes["unit"] == 1
    assert recording.select_units(tree, tree["units"]["depth"] > 1.5)["units"].sizes["unit"] == 2


def _of_subject(tree, subject):
    tree = tree.copy()
    tree.attrs["subject"] = subject
    return tree


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: recording.select_units(t, ["a", "z"]), r"no unit 'z'; there are 3: 'a', 'b', 'c'"),
        (lambda t: recording.select_units(t, ["a", "a"]), "unit 'a' is asked for twice"),
        (lambda t: recording.select_units(t, [True]), "1 truth values for 3 units"),
        (lambda t: recording.spike_times(t, 3), "no unit 3"),
        (lambda t: recording.spike_times(recording.build(), 3), "has no /spikes"),
        (lambda t: recording.select_units(recording.build(), [3]), "has no /units"),
        (lambda t: recording.slice_time(t, 1.0, 1.0), "start 1.0 is not before stop 1.0"),
        (lambda t: recording.slice_time(t, np.nan, 1.0), "start nan is not before"),
        (lambda t: recording.concat_time([]), "no recordings"),
        (
            lambda t: recording.concat_time([t, t]),
            r"without overlap(.|\n)*\[trials.unique\](.|\n)*\[observation.overlap\]",
        ),
        (lambda t: recording.concat_time([t, recording.build()]), "/calcium is in only one of parts 0 and 1"),
        (
            lambda t: recording.concat_time([t, recording.select_units(t, ["a"])]),
            "of /units differs between parts 0 and 1",
        ),
        (lambda t: recording.concat_time([t, _of_subject(t, "m2")]), r"attributes differ \('subject'\)"),
    ],
)
def test_what_cannot_be_done_is_said(tree, call, message):
    with pytest.raises(RecordingError, match=message):
        call(tree)


def test_parts_out_of_order_are_refused(tree):
    spikes = recording.build(spikes={"a": [0.1, 0.2]})
    parts = [recording.slice_time(spikes, 0.15, 1.0), recording.slice_time(spikes, 0.0, 0.15)]
    with pytest.raises(
        RecordingError, match=r"must follow each other.*unit 'a': time\[1\] = 0.1 comes after 0.2"
    ):
        recording.concat_time(parts)


@given(
    st.floats(-1e6, 1e6),
    st.sampled_from([1.0, 1.00005, 0.9998, 3.7]),
    st.sampled_from([0.0, 1e5, -3.7, 1e-9]),
)
def test_a_cut_on_another_clock_is_exact(instant, slope, offset):
    bound = first_at(instant, slope, offset)
    assert slope * bound + offset >= instant
    assert slope * np.nextafter(bound, -np.inf) + offset < instant


def test_long_runs_are_counted_across_blocks():
    rng = np.random.default_rng(0)
    trains = [np.sort(rng.uniform(0, 10, n)) for n in (7, 0, 1, 30, 0, 12)]
    starts = np.concatenate([[0], np.cumsum([len(t) for t in trains])])
    flat = xr.Variable("spike", np.concatenate(trains)).chunk(spike=5)
    expected = [[np.searchsorted(train, cut) for train in trains] for cut in (2.0, 5.0)]
    np.testing.assert_array_equal(count_before(flat, starts, np.array([2.0, 5.0])), expected)


def test_choosing_everything_copies_nothing():
    values = xr.Variable("spike", np.arange(6.0))
    whole = take_runs(values, np.array([0, 2, 2]), np.array([2, 2, 6]))
    assert np.shares_memory(whole.values, values.values)
