"""Every rule is broken once, on purpose; all that is wrong is said at once; lazy arrays come in pieces."""

from __future__ import annotations

import time
import tracemalloc
import warnings

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from neurokit_snn import recording
from neurokit_snn.errors import RecordingError, UnitsWarning
from neurokit_snn.recording.blocks import blocks
from neurokit_snn.recording.schema import datasets, from_datasets
from neurokit_snn.testing import recordings


def whole():
    """One small recording with a node of every kind."""
    return recording.build(
        spikes={"a": [0.1, 0.2, 0.9], "b": [], "c": [0.2, 0.5]},
        units={"region": ["CA1", "CA1", "CA3"]},
        trials={"start": [0.0, 0.4], "stop": [0.6, 0.9], "side": ["l", "r"]},
        epochs={"run": [[0, 1], [2, 3]]},
        events={"lick": [0.1, 0.1, 0.7]},
        behavior={"x": ([0.0, 0.5, 1.0], [[1.0, np.nan], [2.0, 3.0], [4.0, 5.0]])},
        calcium=([0.0, 0.5], np.arange(6.0).reshape(2, 3)),
        stimulus={
            "movie": ([0.0, 0.5], np.zeros((2, 3, 4))),
            "dvs": {"time": [0, 1], "x": [0, 1], "y": [0, 1], "p": [0, 1]},
        },
        signals={"lfp": {"time": [0.0, 0.1], "value": [1.0, 2.0], "clock": "rig"}},
        observation={"a": [[0, 1], [2, 3]], "b": [], "c": [[0, 0.3], [0.4, 1]]},
        clocks={"rig": (1.0001, 2.0)},
        truth=xr.Dataset({"z": ("k", [1.0])}, attrs={"note": "free"}),
    )


def change(path, edit):
    """Recording with one node replaced by ``edit(node)``."""
    nodes = {key: node.copy(deep=True) for key, node in datasets(whole()).items()}
    nodes[path] = edit(nodes.get(path, xr.Dataset()))
    return from_datasets({key: node for key, node in nodes.items() if node is not None})


def put(name, index, value):
    def edit(node):
        variable = node.variables[name]
        values = variable.values.astype(object if isinstance(value, type(None)) else variable.dtype)
        values[index] = value
        return node.assign({name: (variable.dims, values, variable.attrs)})

    return edit


def attr(**attrs):
    return lambda node: node.assign_attrs(attrs)


def variable(name, dims, values):
    return lambda node: node.assign({name: (dims, values)})


BROKEN = {
    # path, edit, rule, index, part of the message
    "nan": ("/spikes", put("time", 1, np.nan), "spikes.finite", 1, r"unit 'a': time\[1\] is nan"),
    "inf": ("/spikes", put("time", 4, np.inf), "spikes.finite", 4, r"unit 'c': time\[1\] is inf"),
    "unsorted": (
        "/spikes",
        put("time", 4, 0.15),
        "spikes.sorted",
        4,
        r"unit 'c': time\[1\] = 0.15 comes after 0.2;",
    ),
    "repeat": (
        "/spikes",
        put("time", 1, 0.1),
        "spikes.duplicates",
        1,
        r"unit 'a': time\[1\] = 0.1 repeats 0.1",
    ),
    "outside": (
        "/spikes",
        put("time", 3, 0.3),
        "spikes.observed",
        3,
        r"unit 'c': time\[0\] = 0.3 is outside",
    ),
    "late": ("/spikes", put("time", 2, 1.5), "spikes.observed", 2, r"unit 'a': time\[2\] = 1.5 is outside"),
    "rows": ("/spikes", put("row_size", 1, 2), "spikes.row_size", None, "sums to 7 but there are 5 spikes"),
    "negative": ("/spikes", put("row_size", 1, -1), "spikes.row_size", 1, r"row_size\[1\] = -1 is negative"),
    "float32": (
        "/spikes",
        lambda n: n.assign(time=n["time"].astype("f4")),
        "spikes.dtype",
        None,
        "time is float32",
    ),
    "ms": (
        "/spikes",
        lambda n: n.assign(time=n["time"].assign_attrs(units="ms")),
        "spikes.seconds",
        None,
        "'ms'",
    ),
    "no-time": ("/spikes", lambda n: n.drop_vars("time"), "spikes.missing", None, "no variable 'time'"),
    "extra-variable": (
        "/spikes",
        variable("amplitude", "spike", np.ones(5)),
        "spikes.variable",
        None,
        "'amplitude'",
    ),
    "float-rows": (
        "/spikes",
        lambda n: n.assign(row_size=n["row_size"] * 1.0),
        "spikes.dtype",
        None,
        "is float64",
    ),
    "units-order": (
        "/spikes",
        lambda n: n.assign_coords(unit=["a", "c", "b"]),
        "spikes.units",
        1,
        r"unit\[1\] is 'c'",
    ),
    "units-number": (
        "/calcium",
        lambda n: n.isel(unit=[0, 1]),
        "calcium.units",
        None,
        "2 units, but /units has 3",
    ),
    "units-twice": (
        "/units",
        lambda n: n.assign_coords(unit=["a", "a", "c"]),
        "units.unique",
        1,
        r"unit\[1\] = 'a'",
    ),
    "units-float": (
        "/units",
        lambda n: n.assign_coords(unit=[0.5, 1.0, 2.0]),
        "units.dtype",
        None,
        "unit is float64",
    ),
    "units-mixed": (
        "/units",
        lambda n: n.assign_coords(unit=("unit", np.array(["a", 1, "c"], dtype=object))),
        "units.labels",
        1,
        r"unit\[1\] = 1; labels",
    ),
    "none": (
        "/units",
        put("region", 1, None),
        "units.strings",
        1,
        r"column 'region': \[1\] = (None|nan) is no str",
    ),
    "dates": (
        "/units",
        variable("day", "unit", np.zeros(3, "M8[ns]")),
        "units.dtype",
        None,
        "'day' is datetime64",
    ),
    "wide-column": ("/units", variable("xy", ("unit", "k"), np.ones((3, 2))), "units.variable", None, "'xy'"),
    "unit-clock": ("/units", attr(clock="rig"), "units.clock", None, "attribute clock is 'rig'"),
    "reversed-trial": (
        "/trials",
        put("stop", 1, 0.3),
        "trials.reversed",
        1,
        r"start\[1\] = 0.4 is after stop\[1\] = 0.3",
    ),
    "nan-trial": ("/trials", put("stop", 0, np.nan), "trials.finite", 0, r"stop\[0\] is nan"),
    "unsorted-trials": (
        "/trials",
        put("start", 0, 0.5),
        "trials.sorted",
        1,
        r"start\[1\] = 0.4 comes before start\[0\] = 0.5",
    ),
    "trial-twice": (
        "/trials",
        lambda n: n.assign_coords(trial=[3, 3]),
        "trials.unique",
        1,
        r"trial\[1\] = 3",
    ),
    "reversed-epoch": ("/epochs/run", put("start", 1, 3.5), "epochs.reversed", 1, r"start\[1\] = 3.5"),
    "unsorted-events": (
        "/events/lick",
        put("time", 2, 0.0),
        "events.sorted",
        2,
        r"time\[2\] = 0.0 comes before",
    ),
    "event-dim": (
        "/events/lick",
        lambda n: n.rename(event="row"),
        "events.dims",
        None,
        r"\('row',\), expected",
    ),
    "stuck-clock": (
        "/behavior/x",
        lambda n: n.assign_coords(time=[0.0, 0.5, 0.5]),
        "behavior.sorted",
        2,
        "does not come after",
    ),
    "nan-clock": (
        "/behavior/x",
        lambda n: n.assign_coords(time=[0.0, np.nan, 0.5]),
        "behavior.finite",
        1,
        r"time\[1\] is nan",
    ),
    "kind": (
        "/behavior/x",
        lambda n: n.assign(value=n["value"].assign_attrs(kind="angle")),
        "behavior.kind",
        None,
        "'angle'",
    ),
    "str-value": (
        "/behavior/x",
        lambda n: n.assign(value=n["value"].astype(str)),
        "behavior.dtype",
        None,
        "expected number",
    ),
    "transposed": (
        "/behavior/x",
        lambda n: n.transpose(),
        "behavior.dims",
        None,
        r"\('axis', 'time'\), expected \('time',\)",
    ),
    "no-labels": (
        "/behavior/x",
        lambda n: n.drop_vars("axis"),
        "behavior.dims",
        None,
        "'axis' of value has no coordinate",
    ),
    "list-attr": ("/behavior/x", attr(box=[1, 2]), "behavior.attrs", None, "'box' is a list"),
    "none-attr": ("/calcium", attr(box=None), "calcium.attrs", None, "'box' is a NoneType"),
    "bool-attr": ("/calcium", attr(ok=True), "calcium.attrs", None, "'ok' is a bool"),
    "dict-attr": (
        "/units",
        lambda n: n.assign(region=n["region"].assign_attrs(a={})),
        "units.attrs",
        None,
        "'a' of 'region'",
    ),
    "calcium-clock": (
        "/calcium",
        lambda n: n.assign_coords(time=[0.5, 0.0]),
        "calcium.sorted",
        1,
        r"time\[1\] = 0.0",
    ),
    "calcium-dims": (
        "/calcium",
        lambda n: n.transpose("unit", "time"),
        "calcium.dims",
        None,
        "fluorescence has",
    ),
    "signal-clock": (
        "/signals/lfp",
        lambda n: n.assign_coords(time=[0.1, 0.1]),
        "signals.sorted",
        1,
        r"time\[1\]",
    ),
    "signal-dims": (
        "/signals/lfp",
        lambda n: n.isel(channel=0, drop=True),
        "signals.dims",
        None,
        "value has dim",
    ),
    "frames-dims": ("/stimulus/movie", lambda n: n.isel(x=0), "stimulus.dims", None, "frames has dimensions"),
    "dvs-order": (
        "/stimulus/dvs",
        put("time", 1, -1.0),
        "stimulus.sorted",
        1,
        r"time\[1\] = -1.0 comes before",
    ),
    "unknown-clock": (
        "/events/lick",
        attr(clock="cam"),
        "events.clock",
        None,
        r"clock 'cam' is not in /clocks \['rig'\]",
    ),
    "slope": ("/clocks", put("slope", 0, 0.0), "clocks.affine", 0, "clock rig has slope 0.0"),
    "other-clock": (
        "/observation",
        attr(clock="rig"),
        "observation.clock",
        None,
        "clock 'rig' differs from None",
    ),
    "empty-interval": (
        "/observation",
        put("stop", 2, 0.0),
        "observation.reversed",
        2,
        r"unit 'c': start\[2\] = 0.0 is not before",
    ),
    "overlap": (
        "/observation",
        put("start", 1, 0.5),
        "observation.overlap",
        1,
        r"unit 'a': start\[1\] = 0.5 is not after",
    ),
    "touch": ("/observation", put("start", 1, 1.0), "observation.overlap", 1, "join those that touch"),
    "nan-interval": (
        "/observation",
        put("stop", 1, np.nan),
        "observation.finite",
        1,
        "unit 'a': interval 1 is",
    ),
    "intervals": (
        "/observation",
        put("row_size", 0, 1),
        "observation.row_size",
        None,
        "sums to 3 but there are 4",
    ),
    "no-units": ("/units", lambda n: None, "spikes.units", None, "there is no /units"),
    "node": ("/behaviour/x", lambda n: n, "recording.node", None, "unknown node"),
    "deep": ("/behavior/x/y", lambda n: n, "recording.node", None, "unknown node"),
    "in-group": (
        "/events",
        variable("time", "k", [0.0]),
        "events.variable",
        None,
        "stands in the group itself",
    ),
    "root-variable": ("/", variable("z", "k", [1.0]), "recording.variable", None, "'z' at the root"),
    "root-attr": ("/", attr(subject=3), "recording.attrs", None, "attribute subject is 3"),
    "schema": ("/", attr(schema="other"), "recording.schema", None, "'other'"),
    "version": ("/", attr(schema_version=2), "recording.version", None, "schema version 2 is unknown"),
    "version-str": ("/", attr(schema_version="1"), "recording.version", None, "schema version '1'"),
}


def test_the_whole_recording_is_sound():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        recording.validate(whole())


@pytest.mark.parametrize("case", BROKEN)
def test_each_rule_names_node_index_value_and_remedy(case):
    path, edit, rule, index, message = BROKEN[case]
    tree = change(path, edit)
    found = [problem for problem in recording.problems(tree) if problem.rule == rule]
    assert len(found) == 1
    assert found[0].index == index
    assert found[0].node.startswith(path) or path == "/units"
    assert found[0].remedy
    with pytest.raises(RecordingError, match=message):
        recording.validate(tree)
    lazy = tree.map_over_datasets(lambda node: node.chunk(2))
    assert [str(problem) for problem in recording.problems(lazy)] == [
        str(p) for p in recording.problems(tree)
    ]


def test_all_that_is_wrong_is_said_at_once_and_numbered():
    nodes = {key: node.copy(deep=True) for key, node in datasets(whole()).items()}
    for case in ("unsorted", "reversed-trial", "kind", "unknown-clock", "root-attr"):
        path, edit, *_ = BROKEN[case]
        nodes[path] = edit(nodes[path])
    tree = from_datasets(nodes)
    with pytest.raises(RecordingError) as caught:
        recording.validate(tree, name="session.nc")
    lines = str(caught.value).splitlines()
    assert lines[0] == "session.nc: 5 problems"
    assert [line.split(".")[0].strip() for line in lines[1:]] == list("12345")
    for case in ("unsorted", "reversed-trial", "kind", "unknown-clock", "root-attr"):
        assert sum(f"[{BROKEN[case][2]}]" in line for line in lines) == 1


def test_one_problem_is_one_line():
    with pytest.raises(RecordingError) as caught:
        recording.validate(change(*BROKEN["kind"][:2]), name="f.nc")
    assert str(caught.value).startswith(
        "f.nc: /behavior/x [behavior.kind] attribute kind of value is 'angle'; use one of"
    )
    assert "\n" not in str(caught.value)


def test_what_is_no_recording_is_said():
    with pytest.raises(RecordingError, match="a Dataset is no recording"):
        recording.validate(xr.Dataset())
    with pytest.raises(RecordingError, match="attribute schema is None"):
        recording.validate(xr.DataTree())


def test_an_unknown_version_is_not_judged_by_our_rules():
    tree = change(*BROKEN["unsorted"][:2])
    tree.attrs["schema_version"] = 99
    assert [problem.rule for problem in recording.problems(tree)] == ["recording.version"]


def test_free_form_nodes_are_free():
    tree = from_datasets({**datasets(whole()), "/extra/a/b": xr.Dataset({"time": ("q", [2.0, 1.0])})})
    assert recording.problems(tree) == []


@given(recordings(min_units=1), st.data())
def test_one_bad_spike_is_found_where_it_is(tree, data):
    """A random damage is reported at its index, eager and lazy."""
    node = tree["spikes"].to_dataset()
    n = node.sizes["spike"]
    if n == 0 or "observation" in tree.children:
        return
    index = data.draw(st.integers(0, n - 1))
    times = node["time"].values.copy()
    times[index] = np.nan
    for chunk in (n, 2):
        broken = from_datasets(
            {**datasets(tree), "/spikes": node.assign(time=("spike", times, {"units": "s"})).chunk(chunk)}
        )
        found = recording.problems(broken)
        assert [(p.rule, p.index) for p in found] == [("spikes.finite", index)]


def test_times_in_milliseconds_raise_a_doubt():
    rng = np.random.default_rng(0)
    trains = {unit: np.sort(rng.uniform(0, 100, 300)) for unit in range(5)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        recording.build(spikes=trains)
    with pytest.warns(UnitsWarning, match=r"recording: /spikes: .*5 of 5 units .*divide them by 1000"):
        tree = recording.build(spikes={unit: 1000 * train for unit, train in trains.items()})
    with pytest.warns(UnitsWarning, match="in 5 of 5 units"):
        recording.validate(tree.map_over_datasets(lambda node: node.chunk(7)))


def test_a_few_slow_units_raise_no_doubt():
    rng = np.random.default_rng(0)
    trains = {unit: np.sort(rng.uniform(0, 100 if unit else 3000, 300)) for unit in range(3)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        recording.build(spikes=trains)
        recording.build(spikes={0: np.arange(9) * 50.0})


def test_a_rate_above_1_khz_raises_a_doubt():
    with pytest.warns(UnitsWarning, match="unit 'fast' fires at 2000 spikes/s, above 1 kHz"):
        recording.build(spikes={"slow": [0.1], "fast": np.arange(11) / 2000})


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_blocks_cover_everything_once(size):
    values = np.arange(11.0)
    for variable in (xr.Variable("spike", values), xr.Variable("spike", values).chunk(spike=3)):
        pieces = list(blocks(variable, size=size))
        np.testing.assert_array_equal(np.concatenate([piece for _, piece in pieces]), values)
        assert [offset for offset, _ in pieces] == [int(piece[0]) for _, piece in pieces]
    assert list(blocks(xr.Variable("spike", np.empty(0)))) == []


def test_a_file_opened_lazily_is_read_in_pieces(tmp_path):
    path = tmp_path / "r.nc"
    n = 3_000_000
    tree = recording.build(spikes={0: np.arange(n) * 0.004})
    tree.to_netcdf(path, engine="h5netcdf")
    with xr.open_datatree(path, engine="h5netcdf", cache=False) as lazy:
        tracemalloc.start()
        recording.validate(lazy)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        # The cut reads in pieces as well, and what it leaves is that of the eager recording.
        part = recording.slice_time(lazy, 0.004, 0.012)
        np.testing.assert_array_equal(part["spikes"]["time"], [0.004, 0.008])
    assert n * 8 > 20e6
    assert peak < 60e6


@pytest.mark.slow
def test_ten_million_spikes_take_well_under_a_second():
    rng = np.random.default_rng(0)
    halves = ((0, 1799), (1801, 3600))
    trains = {u: np.sort(np.concatenate([rng.uniform(*half, 10_000) for half in halves])) for u in range(500)}
    tree = recording.build(spikes=trains, observation=dict.fromkeys(trains, halves), validate=False)
    best = np.inf
    for _ in range(3):
        begin = time.perf_counter()
        assert recording.problems(tree) == []
        best = min(best, time.perf_counter() - begin)
    assert best < 1.0
