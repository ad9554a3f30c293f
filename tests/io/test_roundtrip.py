"""Recording -> format -> recording: equal to the bit, for every format that this package writes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pynwb
import pytest
import xarray as xr
from hypothesis import given, settings

from neurokit_snn import io
from neurokit_snn.testing import assert_recordings_equal, recordings

# How many hypothesis recordings each format sees, by what one costs; the thorough profile takes 500 of each.
EXAMPLES = {"nwb": 6, "netcdf": 4, "zarr": 3, "neo": 20, "pynapple": 20}


def through_file(name: str) -> Callable[[xr.DataTree], xr.DataTree]:
    suffix = {"nwb": ".nwb", "netcdf": ".nc", "zarr": ".zarr"}[name]

    def trip(tree: xr.DataTree) -> xr.DataTree:
        with tempfile.TemporaryDirectory() as folder:
            path = io.write(tree, Path(folder, f"a{suffix}"))
            return io.read(path)

    return trip


TRIPS: dict[str, Callable[[xr.DataTree], xr.DataTree]] = {
    "nwb": through_file("nwb"),
    "netcdf": through_file("netcdf"),
    "zarr": through_file("zarr"),
    "neo": lambda tree: io.from_neo(io.to_neo(tree)),
    "pynapple": lambda tree: io.from_pynapple(io.to_pynapple(tree)),
}


@pytest.mark.parametrize("name", ["neo", "pynapple"])
@pytest.mark.parametrize(("labels", "clocks"), [("int", True), ("str", False)])
def test_rich_recording_through_objects(name, labels, clocks, make_rich):
    tree = make_rich(labels=labels, clocks=clocks)
    assert_recordings_equal(TRIPS[name](tree), tree)


@pytest.mark.parametrize(
    ("suffix", "labels", "clocks"),
    [(".nwb", "int", True), (".nwb", "str", False), (".nc", "int", True), (".zarr", "str", True)],
)
def test_rich_recording_through_files(suffix, labels, clocks, make_rich, tmp_path):
    tree = make_rich(labels=labels, clocks=clocks)
    path = io.write(tree, tmp_path / f"a{suffix}")
    assert_recordings_equal(io.read(path), tree)
    assert_recordings_equal(io.read(path, lazy=True), tree)
    if suffix == ".nwb":
        assert pynwb.validate(path=str(path)) == []


@pytest.mark.slow
@settings(max_examples=40)
@given(tree=recordings())
def test_the_nwb_validator_finds_nothing_ever(tree):
    with tempfile.TemporaryDirectory() as folder:
        path = io.write_nwb(tree, Path(folder, "a.nwb"))
        assert pynwb.validate(path=str(path)) == []


@pytest.mark.parametrize("name", TRIPS)
def test_any_recording(name):
    examples = EXAMPLES[name] if settings.default.max_examples < 100 else settings.default.max_examples

    @settings(max_examples=examples, suppress_health_check=list(hypothesis.HealthCheck))
    @given(tree=recordings())
    def check(tree):
        assert_recordings_equal(TRIPS[name](tree), tree)

    check()


@pytest.mark.parametrize("name", TRIPS)
def test_overlapping_trials_survive(name):
    from neurokit_snn import recording

    tree = recording.build(
        trials={"start": [0.0, 0.5, 0.5], "stop": [2.0, 1.0, 0.5], "side": ["l", "r", "l"]}
    )
    back = TRIPS[name](tree)
    assert back["trials"]["stop"].values.tolist() == [2.0, 1.0, 0.5]
    assert back["trials"]["side"].values.tolist() == ["l", "r", "l"]


@pytest.mark.parametrize("suffix", [".nwb", ".nc", ".zarr"])
def test_lazy_arrays_are_dask_and_keep_no_file(suffix, tmp_path):
    import numpy as np

    from neurokit_snn import recording

    value = np.arange(200_000, dtype=np.float32).reshape(-1, 2)
    tree = recording.build(
        signals={"lfp": {"time": np.arange(100_000) / 1000, "value": value, "units": "uV"}}
    )
    path = io.write(tree, tmp_path / f"a{suffix}")
    lazy = io.read(path, lazy=True)["signals/lfp"]["value"]
    assert lazy.chunks is not None
    assert np.array_equal(lazy.isel(time=slice(70_000, 70_003)).values, value[70_000:70_003])
    other = {".nwb": ".zarr", ".zarr": ".nc", ".nc": ".nwb"}[suffix]
    copy = io.write(io.read(path, lazy=True), tmp_path / f"copy{other}")
    assert_recordings_equal(io.read(copy), tree)
