"""The strategies make what they promise, and the comparison sees every bit."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, Phase, given, settings

from neurokit_snn import recording
from neurokit_snn.recording.binned import check_binned
from neurokit_snn.recording.schema import datasets, from_datasets
from neurokit_snn.testing import assert_recordings_equal, binned, recordings, spike_trains


@given(recordings())
def test_recordings_are_valid_and_raise_no_doubt(tree):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        recording.validate(tree)
    assert_recordings_equal(tree.copy(deep=True), tree)


@given(recordings(families=("trials",), min_units=2, max_units=2))
def test_recordings_keep_to_the_families_asked_for(tree):
    assert set(tree.children) <= {"units", "spikes", "trials"}
    assert tree["units"].sizes["unit"] == 2


ODD = {
    "empty unit": lambda tree: any(tree["spikes"]["row_size"] == 0) and tree["spikes"].sizes["spike"] > 0,
    "no units": lambda tree: tree["units"].sizes["unit"] == 0,
    "str labels": lambda tree: tree["units"]["unit"].dtype.kind == "U" and tree["units"].sizes["unit"] > 1,
    "spikes on another clock": lambda tree: (
        "clock" in tree["spikes"].attrs and tree["spikes"].sizes["spike"] > 0
    ),
    "overlapping trials": lambda tree: (
        "trials" in tree.children
        and bool((tree["trials/start"].values[1:] < tree["trials/stop"].values[:-1]).any())
    ),
    "lost for a while": lambda tree: (
        "observation" in tree.children and bool((tree["observation/row_size"] > 1).any())
    ),
    "further dimensions": lambda tree: any("bodypart" in node.dims for node in datasets(tree).values()),
    "event camera": lambda tree: any(
        "event" in n.dims for path, n in datasets(tree).items() if "stimulus" in path
    ),
    "non-ASCII": lambda tree: not tree.attrs["session_id"].isascii(),
}


def test_recordings_reach_the_odd_cases():
    reached = set()

    @settings(max_examples=60, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(recordings())
    def draw(tree):
        reached.update(name for name, odd in ODD.items() if name not in reached and odd(tree))

    draw()
    assert reached == set(ODD)


@given(spike_trains())
def test_spike_trains_are_trains(train):
    assert train.dtype == np.float64
    assert (np.diff(train) > 0).all()
    assert ((train >= 0) & (train <= 4)).all()


@given(binned())
def test_binned_keeps_the_contract(data):
    check_binned(data)
    assert (data["counts"].values[~data["mask"].values] == 0).all()
    assert np.isnan(data["behavior_state"].values[~data["mask_behavior_state"].values]).all()
    assert np.isfinite(data["behavior_state"].values[data["mask_behavior_state"].values]).all()
    last = data["trial_start"] + data["mask"].any("unit").sum("time") * data.attrs["bin_width"]
    assert (last <= data["trial_stop"] + 1e-9).all()


def _edited(tree, path, change):
    nodes = datasets(tree)
    nodes[path] = change(nodes[path].copy(deep=True))
    return from_datasets(nodes)


def _set(name, index, value):
    def change(node):
        node[name].values[index] = value
        return node

    return change


@pytest.mark.parametrize(
    ("path", "change", "message"),
    [
        ("/spikes", _set("time", 1, np.nextafter(0.2, 1)), r"/spikes: time\[1\] is 0.2000000"),
        ("/behavior/x", _set("value", (1, 0), 0.0), r"/behavior/x: value\[1, 0\] is 0.0, expected -0.0"),
        ("/behavior/x", lambda n: n.astype(np.float32), "value has type float32, expected float64"),
        ("/behavior/x", lambda n: n.assign_attrs(clock="c"), "attribute 'clock' is not expected"),
        ("/units", lambda n: n.drop_vars("region"), "/units: variable 'region' is missing"),
        ("/units", lambda n: n.assign(region=("unit", ["CA1", "DG"])), r"region\[1\] is DG, expected CA3"),
        ("/spikes", lambda n: n.isel(spike=[0, 1]), "time is {'spike': 2}, expected {'spike': 3}"),
        ("/units", lambda n: n.set_coords("region"), "/units: 'region' is a coordinate in one of them only"),
        ("/extra/x", lambda n: n, "/extra/x: not expected"),
    ],
)
def test_the_comparison_names_the_first_difference(path, change, message):
    tree = recording.build(
        spikes={"a": [0.1, 0.2], "b": [0.3]},
        units={"region": ["CA1", "CA3"]},
        behavior={"x": ([0.0, 1.0], [[1.0, np.nan], [-0.0, 2.0]])},
    )
    nodes = datasets(tree)
    nodes.setdefault(path, xr.Dataset())
    other = _edited(from_datasets(nodes), path, change)
    with pytest.raises(AssertionError, match=message):
        assert_recordings_equal(other, tree)


def test_the_comparison_forgives_how_strings_are_stored():
    tree = recording.build(spikes={"a": [0.1]}, units={"region": ["CA1"]})
    other = _edited(tree, "/units", lambda n: n.assign(region=n["region"].astype(object)))
    assert_recordings_equal(other, tree)
