"""Every friendly form of every node, and one clear line where a form cannot be read."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from neurokit_snn import recording
from neurokit_snn.errors import RecordingError
from neurokit_snn.recording.schema import NODES, datasets, describe, find_spec, from_datasets
from neurokit_snn.testing import assert_recordings_equal, recordings, spike_trains


def test_nothing_at_all_is_a_recording():
    tree = recording.build()
    assert list(datasets(tree)) == ["/"]
    recording.validate(tree)


@pytest.mark.parametrize("spikes", [{}, {"a": []}, {3: [], 1: []}, ([], [])])
def test_no_spikes_and_no_units_are_recordings(spikes):
    tree = recording.build(spikes=spikes)
    assert tree["spikes"].sizes["spike"] == 0
    assert tree["spikes"]["time"].dtype == np.float64
    assert tree["spikes"]["row_size"].dtype == np.int64


def test_units_keep_the_order_of_the_mapping():
    tree = recording.build(spikes={9: [0.5], 2: [0.1, 0.2]})
    np.testing.assert_array_equal(tree["units"]["unit"], [9, 2])
    np.testing.assert_array_equal(tree["spikes"]["time"], [0.5, 0.1, 0.2])
    np.testing.assert_array_equal(tree["spikes"]["row_size"], [1, 2])


@given(st.dictionaries(st.integers(0, 20), spike_trains(), max_size=4), st.randoms(use_true_random=False))
def test_flat_spikes_in_any_order_equal_the_mapping(trains, random):
    trains = {unit: train for unit, train in sorted(trains.items()) if len(train)}
    pairs = [(time, unit) for unit, train in trains.items() for time in train]
    random.shuffle(pairs)
    flat = ([time for time, _ in pairs], [unit for _, unit in pairs])
    assert_recordings_equal(recording.build(spikes=flat), recording.build(spikes=trains))


def test_flat_spikes_with_str_units_and_times_in_order():
    tree = recording.build(spikes=(np.array([0.1, 0.2, 0.3]), ["b", "a", "b"]))
    np.testing.assert_array_equal(tree["spikes"]["time"], [0.2, 0.1, 0.3])


def test_flat_spikes_with_labels_far_apart():
    units = [10**9, -5, 10**9, 3]
    tree = recording.build(spikes=([0.4, 0.3, 0.2, 0.1], units))
    np.testing.assert_array_equal(tree["units"]["unit"], [-5, 3, 10**9])
    np.testing.assert_array_equal(tree["spikes"]["time"], [0.3, 0.1, 0.2, 0.4])


def test_spikes_in_the_layout_of_the_schema():
    tree = recording.build(spikes={"a": [0.1, 0.2], "b": []})
    again = recording.build(spikes=tree["spikes"].to_dataset(), units=tree["units"].to_dataset())
    assert_recordings_equal(again, tree)


def test_repeated_times_are_dropped_within_a_unit_only():
    spikes = {"a": [0.1, 0.1, 0.2], "b": [0.2, 0.2, 0.2], "c": [], "d": [0.2]}
    with pytest.raises(RecordingError, match=r"unit 'a': time\[1\] = 0.1 repeats 0.1.*duplicates=\"drop\""):
        recording.build(spikes=spikes)
    tree = recording.build(spikes=spikes, duplicates="drop")
    np.testing.assert_array_equal(tree["spikes"]["row_size"], [2, 1, 0, 1])
    np.testing.assert_array_equal(tree["spikes"]["time"], [0.1, 0.2, 0.2, 0.2])


def test_repeated_samples_are_dropped_and_coinciding_events_kept():
    arguments = {"behavior": {"x": ([0.0, 1.0, 1.0, 2.0], [1, 2, 3, 4])}, "events": {"lick": [1.0, 1.0]}}
    with pytest.raises(RecordingError, match=r"time\[2\] = 1.0 does not come after .*duplicates=\"drop\""):
        recording.build(**arguments)
    tree = recording.build(**arguments, duplicates="drop")
    np.testing.assert_array_equal(tree["behavior/x/value"], [1, 2, 4])
    assert tree["events/lick"].sizes["event"] == 2


def test_drop_does_not_hide_disorder():
    with pytest.raises(RecordingError, match=r"\[spikes.sorted\] unit 'a': time\[1\] = 0.1 comes after 0.2;"):
        recording.build(spikes={"a": [0.2, 0.2, 0.1]}, duplicates="drop")


@pytest.mark.parametrize(
    "units",
    [
        pd.DataFrame({"region": ["CA1", "CA3"], "depth": [1.0, 2.0]}),
        pd.DataFrame({"unit": ["a", "b"], "region": ["CA1", "CA3"], "depth": [1.0, 2.0]}),
        pd.DataFrame({"region": ["CA1", "CA3"], "depth": [1.0, 2.0]}, index=["a", "b"]),
        {"region": ["CA1", "CA3"], "depth": [1.0, 2.0]},
        xr.Dataset(
            {"region": ("unit", ["CA1", "CA3"]), "depth": ("unit", [1.0, 2.0])}, coords={"unit": ["a", "b"]}
        ),
    ],
    ids=["positional", "column", "index", "mapping", "dataset"],
)
def test_columns_of_units_in_every_form(units):
    tree = recording.build(spikes={"a": [0.1], "b": []}, units=units)
    expected = recording.build(
        spikes={"a": [0.1], "b": []}, units={"region": ["CA1", "CA3"], "depth": [1.0, 2.0]}
    )
    assert_recordings_equal(tree, expected)
    assert tree["units"]["region"].dtype.kind == "U"


def test_labelled_rows_order_the_units_and_name_silent_ones():
    tree = recording.build(spikes={"b": [0.2], "a": [0.1]}, units={"unit": ["a", "silent", "b"]})
    np.testing.assert_array_equal(tree["spikes"]["row_size"], [1, 0, 1])
    np.testing.assert_array_equal(tree["spikes"]["time"], [0.1, 0.2])


def test_types_of_columns_are_kept():
    table = pd.DataFrame(
        {"i": np.array([1, 2], "int16"), "b": [True, False], "f": np.array([1, 2], "f4"), "s": ["é", ""]}
    )
    units = recording.build(spikes={0: [], 1: []}, units=table)["units"]
    assert [units[name].dtype for name in "ibf"] == [np.int16, np.bool_, np.float32]
    assert units["s"].values.tolist() == ["é", ""]


@pytest.mark.parametrize(
    "trials",
    [
        pd.DataFrame({"start": [2, 0, 1], "stop": [3, 9, 1], "side": ["l", "r", "l"]}),
        {"start": [2, 0, 1], "stop": [3, 9, 1], "side": ["l", "r", "l"]},
        xr.Dataset(
            {"start": ("trial", [2, 0, 1]), "stop": ("trial", [3, 9, 1]), "side": ("trial", list("lrl"))}
        ),
    ],
)
def test_trials_come_in_order_of_start_with_their_labels(trials):
    node = recording.build(trials=trials)["trials"]
    np.testing.assert_array_equal(node["trial"], [1, 2, 0])
    np.testing.assert_array_equal(node["start"], [0.0, 1.0, 2.0])
    np.testing.assert_array_equal(node["stop"], [9.0, 1.0, 3.0])
    assert node["side"].values.tolist() == ["r", "l", "l"]
    assert node["start"].dtype == np.float64
    assert node["start"].attrs == {"units": "s"}


def test_trials_keep_labels_that_are_given():
    node = recording.build(trials={"trial": ["x", "y"], "start": [1, 0], "stop": [1, 0]})["trials"]
    assert node["trial"].values.tolist() == ["y", "x"]


def test_epochs_and_events_in_every_form():
    tree = recording.build(
        epochs={"run": [[0, 1], [1, 2]], "rest": {"start": [5], "stop": [6], "depth": [2]}, "none": []},
        events={"lick": [0.1, 0.1], "ttl": pd.DataFrame({"time": [1], "line": [3]}), "none": np.empty(0)},
    )
    assert tree["epochs/run"].sizes["interval"] == 2
    assert tree["epochs/rest/depth"].values.tolist() == [2]
    assert tree["epochs/none"].sizes["interval"] == tree["events/none"].sizes["event"] == 0
    assert tree["events/ttl/time"].dtype == np.float64


@pytest.mark.parametrize(
    "given_as",
    [
        ([0, 1], [[1.0, 2.0], [3.0, 4.0]]),
        {"time": [0, 1], "value": [[1.0, 2.0], [3.0, 4.0]]},
        {"time": [0, 1], "value": [[1.0, 3.0], [2.0, 4.0]], "dims": ("axis", "time")},
        xr.DataArray(
            [[1.0, 3.0], [2.0, 4.0]], dims=("axis", "time"), coords={"time": [0, 1], "axis": ["x", "y"]}
        ),
        xr.Dataset({"value": (("time", "axis"), [[1.0, 2.0], [3.0, 4.0]])}, coords={"time": [0.0, 1.0]}),
    ],
    ids=["tuple", "mapping", "dims", "dataarray", "dataset"],
)
def test_behavior_in_every_form(given_as):
    node = recording.build(behavior={"position": given_as})["behavior/position"]
    assert node["value"].dims == ("time", "axis")
    np.testing.assert_array_equal(node["value"], [[1, 2], [3, 4]])
    assert node["axis"].values.tolist() == ["x", "y"]
    assert node["value"].attrs == {"units": "", "kind": "continuous"}
    assert node["time"].dtype == np.float64


def test_behavior_keeps_what_is_said_about_it():
    entry = {
        "time": [0.0],
        "value": [3],
        "units": "rad",
        "kind": "circular",
        "clock": "cam",
        "attrs": {"box": [1, 2]},
    }
    node = recording.build(behavior={"head": entry}, clocks={"cam": (1.0, 0.5)})["behavior/head"]
    assert node["value"].attrs["kind"] == "circular"
    assert node["value"].attrs["units"] == "rad"
    np.testing.assert_array_equal(node["value"].attrs["box"], [1, 2])
    assert node.attrs == {"clock": "cam"}
    assert node["value"].dtype.kind == "i"


def test_behavior_stays_lazy():
    lazy = xr.DataArray(np.zeros(10), dims="time", coords={"time": np.arange(10.0)}).chunk(time=3)
    tree = recording.build(behavior={"x": lazy, "y": {"time": np.arange(10.0), "value": lazy.data}})
    assert tree["behavior/x/value"].chunks == tree["behavior/y/value"].chunks == ((3, 3, 3, 1),)


def test_calcium_signals_and_stimulus():
    tree = recording.build(
        spikes={"a": [], "b": []},
        calcium=([0.0, 1.0, 2.0], np.arange(6).reshape(3, 2)),
        signals={"lfp": ([0.0, 0.1], [1.0, 2.0]), "emg": ([0.0], [[1.0, 2.0]])},
        stimulus={
            "movie": ([0.0, 1.0], np.zeros((2, 3, 4, 3), "u1")),
            "dvs": {"time": [0.0, 0.0], "x": [1, 2], "y": [3, 4], "p": [0, 1]},
        },
    )
    assert tree["calcium/fluorescence"].dtype == np.float64
    assert tree["calcium/unit"].values.tolist() == ["a", "b"]
    assert tree["signals/lfp/value"].dims == ("time", "channel")
    assert tree["stimulus/movie/frames"].dims == ("time", "y", "x", "channel")
    assert tree["stimulus/dvs"].sizes["event"] == 2


def test_calcium_alone_names_the_units():
    data = xr.DataArray(
        np.ones((2, 2)), dims=("time", "unit"), coords={"time": [0.0, 1.0], "unit": ["r1", "r2"]}
    )
    assert recording.build(calcium=data)["units"]["unit"].values.tolist() == ["r1", "r2"]
    assert recording.build(calcium=([0.0, 1.0], np.ones((2, 3))))["units"]["unit"].values.tolist() == [
        0,
        1,
        2,
    ]


def test_observation_takes_the_order_of_units_and_joins_what_touches():
    tree = recording.build(
        spikes={"b": [0.6], "a": []}, observation={"a": [], "b": [[0.5, 1], [0, 0.5], [2, 3]]}
    )
    np.testing.assert_array_equal(tree["observation/row_size"], [2, 0])
    np.testing.assert_array_equal(tree["observation/start"], [0, 2])
    np.testing.assert_array_equal(tree["observation/stop"], [1, 3])


def test_clocks_from_a_fit():
    fit = recording.fit_clock([0.0, 1.0, 3.5, 4.0], [10.0, 11.0, 13.5, 14.0])
    tree = recording.build(clocks={"cam": fit, "rig": (2, 3)})
    np.testing.assert_allclose(tree["clocks/offset"], [10, 3], atol=1e-12)


def test_truth_may_be_a_tree():
    truth = xr.DataTree.from_dict(
        {"/": xr.Dataset({"rate": ("k", [1.0])}), "/latent": xr.Dataset({"z": ("t", [2.0])})}
    )
    tree = recording.build(truth=truth)
    assert tree["truth/latent/z"].values.tolist() == [2.0]
    assert tree["truth/rate"].values.tolist() == [1.0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spikes": {"a": ["x"]}}, r"/spikes unit 'a': expected a list of times in seconds"),
        ({"spikes": {"a": [[0.1]]}}, r"/spikes unit 'a': .* got 1x1 float64"),
        (
            {"spikes": {"a": np.array(["2024-01-01"], dtype="datetime64[ns]")}},
            r"datetime64.* start of the session",
        ),
        ({"spikes": {"a": [], 1: []}}, r"/spikes: label 1 is 1; labels are all integers or all str"),
        ({"spikes": {0.5: []}}, r"/spikes: label 0 is 0.5"),
        ({"spikes": [[0.1], [0.2]]}, r"/spikes: cannot read a list; give \{unit: times\}"),
        ({"spikes": ([0.1, 0.2], [1])}, "2 times but 1 units of spikes"),
        ({"spikes": {}, "duplicates": "keep"}, "duplicates='keep'; give 'error' or 'drop'"),
        (
            {"spikes": {1: []}, "units": {"x": [1, 2]}},
            "2 rows without labels for 1 units; add a column 'unit'",
        ),
        ({"spikes": {1: []}, "units": {"unit": [2]}}, "no row for unit 1 of /spikes"),
        ({"spikes": {1: []}, "units": [1]}, "/units: cannot read a list"),
        ({"units": {"x": [1, 2], "y": [1]}}, "columns must be flat and of one length"),
        ({"trials": {"start": [1]}}, r"/trials: no column 'stop' among \['start'\]"),
        ({"trials": {"start": ["a"], "stop": [1]}}, "/trials start: expected a list of times"),
        ({"epochs": {"run": [0, 1]}}, r"/epochs/run: expected pairs \(start, stop\), got shape \(2,\)"),
        ({"events": {"lick": {"t": [1]}}}, "/events/lick: no column 'time'"),
        ({"behavior": {"x": 3}}, "/behavior/x: cannot read a int"),
        ({"behavior": {"x": ([0, 1], [1.0])}}, r"/behavior/x: 2 times but value has shape \(1,\)"),
        ({"behavior": {"x": ([0], np.ones((1, 2, 2)))}}, "name them in dims="),
        ({"behavior": {"x": {"time": [0]}}}, "needs the entries 'time' and 'value'"),
        ({"behavior": {"x": {"time": [0], "value": [0], "unit": "m"}}}, r"unknown entries \['unit'\]"),
        ({"behavior": {"x": xr.DataArray([1.0], dims="t")}}, "/behavior/x: no coordinate 'time'"),
        ({"spikes": {1: []}, "calcium": ([0.0], [[1.0, 2.0]])}, "/calcium: 2 columns for 1 units"),
        ({"spikes": {1: []}, "observation": {}}, "/observation: nothing for unit 1"),
        ({"spikes": {1: []}, "observation": {1: [], 2: []}}, "/observation: unit 2 is not in /units"),
        ({"clocks": {"a": (1, 2, 3)}}, "clock 'a' has 3 numbers"),
    ],
)
def test_what_cannot_be_read_is_named(arguments, message):
    with pytest.raises(RecordingError, match=message) as caught:
        recording.build(**arguments)
    assert "\n" not in str(caught.value)


@given(recordings())
def test_the_tree_and_its_datasets_are_the_same_thing(tree):
    assert_recordings_equal(from_datasets(datasets(tree)), tree)
    for path, node in datasets(tree).items():
        assert path == "/" or find_spec(path, node) in NODES


def test_the_schema_prints_every_node():
    text = describe()
    assert all(spec.path in text and spec.doc in text for spec in NODES)


def test_importing_recordings_loads_no_numba():
    code = "import sys, neurokit_snn.recording as r; r.build; r.slice_time; print('numba' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_functions_are_not_hidden_by_modules_of_the_same_name():
    code = (
        "import neurokit_snn.recording.build, neurokit_snn.recording.validate, neurokit_snn.recording as r\n"
        "from neurokit_snn.recording.validate import validate\n"
        "assert r.validate is validate and callable(r.build)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
