"""What `capabilities` says is what happens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from neurokit_snn import io, recording
from neurokit_snn.errors import NeurokitError
from neurokit_snn.io.formats import FORMATS, NODES
from neurokit_snn.testing import assert_recordings_equal

TIME = [0.0, 0.5, 1.25]
TWO_UNITS = {"spikes": {1: [0.1, 0.7], 2: [0.2]}}
ONE_NODE: dict[str, dict[str, Any]] = {
    "units": {"units": {"unit": [1, 2], "depth": [10.0, 20.0]}, **TWO_UNITS},
    "spikes": TWO_UNITS,
    "observation": {**TWO_UNITS, "observation": {1: [(0, 1)], 2: [(0, 0.5), (0.625, 1)]}},
    "trials": {"trials": {"start": [0.0, 0.5], "stop": [1.0, 2.25]}},
    "epochs": {"epochs": {"run": [(0.0, 1.75)]}},
    "events": {"events": {"lick": TIME}},
    "behavior": {"behavior": {"speed": (TIME, [1.0, 2.0, 3.5])}},
    "calcium": {"calcium": {"time": TIME, "value": np.arange(6.0).reshape(3, 2), "coords": {"unit": [4, 5]}}},
    "stimulus": {"stimulus": {"movie": {"time": TIME, "frames": np.arange(12.0).reshape(3, 2, 2)}}},
    "signals": {"signals": {"lfp": {"time": TIME, "value": np.arange(6.0).reshape(3, 2)}}},
    "clocks": {"clocks": {"cam": (1.5, 0.25)}, "events": {"ttl": {"time": TIME, "clock": "cam"}}},
    "truth": {"truth": xr.Dataset({"k": ("bin", [1.5, 2.5])})},
    "extra": {},
}
# The variable of each node that says whether it is there; no other node holds the same numbers.
MAIN = {
    "units": "units/depth",
    "spikes": "spikes/time",
    "observation": "observation/stop",
    "trials": "trials/stop",
    "epochs": "epochs/run/stop",
    "events": "events/lick/time",
    "behavior": "behavior/speed/value",
    "calcium": "calcium/fluorescence",
    "stimulus": "stimulus/movie/frames",
    "signals": "signals/lfp/value",
    "clocks": "clocks/slope",
    "truth": "truth/k",
    "extra": "extra/note",
}
WRITTEN = [one for one in FORMATS if one.writer is not None]


def with_node(node: str) -> xr.DataTree:
    arguments = dict(ONE_NODE[node])
    if isinstance(arguments.get("events"), dict) and isinstance(arguments["events"].get("ttl"), dict):
        ttl = arguments["events"]["ttl"]
        arguments["events"] = {"ttl": xr.Dataset({"time": ("event", ttl["time"])}, attrs={"clock": "cam"})}
    tree = recording.build(**arguments)
    if node == "extra":
        tree["extra"] = xr.DataTree(xr.Dataset({"note": ("n", ["a", "b"])}))
    return tree


def trip(name: str, tree: xr.DataTree, folder: Path, *, bare: bool = False) -> xr.DataTree:
    """Send a recording through a format; ``bare`` takes away what only this package reads."""
    if name == "neo":
        block = io.to_neo(tree)
        if bare:
            _strip_neo(block)
        return io.from_neo(block)
    if name == "pynapple":
        objects = io.to_pynapple(tree)
        if bare:
            objects = {key: value for key, value in objects.items() if not key.startswith("neurokit_snn")}
        return io.from_pynapple(objects)
    path = io.write(tree, folder / f"a{ {'netcdf': '.nc', 'nwb': '.nwb', 'zarr': '.zarr'}[name] }")
    if bare and name == "nwb":
        import h5py

        with h5py.File(path, "a") as file:
            del file["scratch"]
    return io.read(path)


def _strip_neo(block: Any) -> None:
    for name in [name for name in block.annotations if name.startswith("neurokit_snn")]:
        del block.annotations[name]
    for segment in block.segments:
        for thing in segment.data_children:
            for name in [name for name in thing.annotations if name.startswith("neurokit_snn")]:
                del thing.annotations[name]


@pytest.mark.parametrize("node", NODES)
@pytest.mark.parametrize("name", ["nwb", "neo", "pynapple"])
def test_table_is_true(name, node, tmp_path):
    held = str(io.capabilities()["holds"].sel(format=name, node=node).values)
    tree = with_node(node)
    assert held in ("native", "kept")
    assert_recordings_equal(trip(name, tree, tmp_path), tree)
    (tmp_path / "bare").mkdir()
    found = trip(name, tree, tmp_path / "bare", bare=True)
    assert _holds_somewhere(found, tree[MAIN[node]].values) == (held == "native")


def _holds_somewhere(tree: xr.DataTree, values: np.ndarray) -> bool:
    """Whether a reader that knows nothing of the layout finds the values, under whatever name and shape."""
    variables = [
        variable for one in tree.subtree for variable in one.to_dataset(inherit=False).variables.values()
    ]
    return any(np.array_equal(variable.values.ravel(), values.ravel()) for variable in variables)


def test_read_only_formats_write_nothing():
    table = io.capabilities()
    for one in FORMATS:
        assert bool(table["writes"].sel(format=one.name)) == (one.writer is not None)
        assert (one.writer is None) == (set(one.holds.values()) == {"read"})


def test_readers_exist():
    import importlib

    for one in FORMATS:
        for name in filter(None, (one.reader, one.writer)):
            module, _, function = name.partition(":")
            found: Callable[..., Any] = getattr(
                importlib.import_module(f"neurokit_snn.io.{module}"), function
            )
            assert getattr(io, function) is found


@pytest.mark.parametrize("name", [one.name for one in WRITTEN])
def test_an_invalid_recording_is_not_written(name, tmp_path):
    tree = recording.build(trials={"start": [1.0], "stop": [0.5]}, validate=False)
    with pytest.raises(NeurokitError, match=r"trials\.reversed"):
        trip(name, tree, tmp_path)
    assert list(tmp_path.iterdir()) == []
