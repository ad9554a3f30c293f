"""Files by name and content, damaged files, and writes that fail half-way."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from neurokit_snn import io, recording
from neurokit_snn.errors import FormatError, NeurokitError
from neurokit_snn.io.formats import identify
from neurokit_snn.testing import assert_recordings_equal

SUFFIXES = (".nc", ".nwb", ".zarr")


@pytest.fixture
def tree():
    return recording.build(
        spikes={1: [0.1, 0.2], 2: [0.15]},
        trials={"start": [0.0, 0.5], "stop": [1.0, 1.5]},
        signals={
            "lfp": {"time": np.arange(4000) / 1000, "value": np.arange(8000.0).reshape(-1, 2), "units": "V"}
        },
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_content_is_recognised_under_any_other_name(suffix, tree, tmp_path):
    path = io.write(tree, tmp_path / f"a{suffix}")
    plain = path.rename(tmp_path / "session")
    assert_recordings_equal(io.read(plain), tree)


@pytest.mark.parametrize(
    ("written", "named", "said"),
    [
        (".nc", ".nwb", r"its name says NWB, its content is netCDF4; rename it or pass format='netcdf'"),
        (".nwb", ".nc", r"its name says netCDF4, its content is NWB; rename it or pass format='nwb'"),
        (".nc", ".h5", "its name says DeepLabCut or SLEAP analysis or SHD/SSC, its content is netCDF4"),
        (".zarr", ".nwb", "its name says NWB, its content is Zarr"),
    ],
)
def test_a_file_that_is_not_what_its_name_says(written, named, said, tree, tmp_path):
    path = io.write(tree, tmp_path / f"a{written}").rename(tmp_path / f"b{named}")
    with pytest.raises(FormatError, match=said):
        io.read(path)
    right = {".nc": "netcdf", ".nwb": "nwb", ".zarr": "zarr"}[written]
    assert_recordings_equal(io.read(path, format=right), tree)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "a.nwb",
            b"hello world",
            r"its name says NWB, its content is something else \(it starts with b'hello wo'\)",
        ),
        ("a.nc", b"", r"its name says netCDF4, its content is nothing \(it is empty\)"),
        ("a.txt", b"hello", "neither its name nor its content is of a format known here: netCDF4"),
    ],
)
def test_what_no_format_recognises(name, content, said, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(FormatError, match=said):
        io.read(path)


def test_hdf5_of_another_kind(tmp_path):
    with h5py.File(tmp_path / "a.nwb", "w") as file:
        file["x"] = 1
    with pytest.raises(FormatError, match="its name says NWB, its content is HDF5 of another kind"):
        io.read(tmp_path / "a.nwb")


def test_the_wrong_format_by_name(tree, tmp_path):
    path = io.write(tree, tmp_path / "a.nc")
    with pytest.raises(FormatError, match="format='nwb' says NWB, its content is netCDF4"):
        io.read(path, format="nwb")
    with pytest.raises(FormatError, match="unknown format 'hdf'; known are netcdf, nwb"):
        io.read(path, format="hdf")
    with pytest.raises(FormatError, match=r"Neo is a kind of object, not of file; use from_neo\(\)"):
        io.read(path, format="neo")
    with pytest.raises(FormatError, match=r"missing\.nc does not exist"):
        io.read(tmp_path / "missing.nc")
    with pytest.raises(FormatError, match=r"missing\.zarr does not exist"):
        io.read(tmp_path / "missing.zarr")


def test_an_artefact_is_for_load(tree, tmp_path):
    from neurokit_snn import artefact

    path = artefact.save(tree, tmp_path / "a.nk")
    with pytest.raises(FormatError, match=r"open it with neurokit_snn\.load"):
        io.read(path)


def test_options_and_lazy(tmp_path):
    np.save(tmp_path / "spike_times.npy", np.array([1]))
    with pytest.raises(
        FormatError, match=r"Phy/Kilosort is not read lazily; .* convert to netCDF4, NWB, Zarr"
    ):
        io.read(tmp_path, lazy=True)
    with pytest.raises(
        FormatError, match=r"unexpected keyword argument 'fps'; see the documentation of read_phy"
    ):
        io.read(tmp_path, fps=3)


def test_names_for_writing(tree, tmp_path):
    with pytest.raises(
        FormatError, match=r"no format is written under '\.csv'; use one of \.nc, \.nwb, \.zarr"
    ):
        io.write(tree, tmp_path / "a.csv")
    with pytest.raises(FormatError, match="its name says NWB, format='zarr' says Zarr"):
        io.write(tree, tmp_path / "a.nwb", format="zarr")
    with pytest.raises(FormatError, match="Phy/Kilosort is not written to files"):
        io.write(tree, tmp_path / "a", format="phy")
    assert identify(io.write(tree, tmp_path / "plain", format="nwb")).name == "nwb"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nothing_is_written_over(suffix, tree, tmp_path):
    path = io.write(tree, tmp_path / f"a{suffix}")
    other = recording.build(spikes={5: [1.0]})
    with pytest.raises(NeurokitError, match="exists; choose another name or pass overwrite=True"):
        io.write(other, path)
    assert_recordings_equal(io.read(path), tree)
    assert_recordings_equal(io.read(io.write(other, path, overwrite=True)), other)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    with pytest.raises(NeurokitError, match="there is no folder"):
        io.write(other, tmp_path / "no" / f"a{suffix}")


def test_zarr_does_not_replace_other_folders(tree, tmp_path):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "thesis.tex").write_text("years of work")
    with pytest.raises(FormatError, match="is no Zarr store, so it is not overwritten"):
        io.write(tree, tmp_path / "a.zarr", overwrite=True)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_write_that_fails_leaves_the_old_one(suffix, tree, tmp_path, monkeypatch):
    path = io.write(tree, tmp_path / f"a{suffix}")

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename" if suffix == ".zarr" else "replace", full)
    with pytest.raises(OSError, match="No space left"):
        io.write(recording.build(spikes={5: [1.0]}), path, overwrite=True)
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert_recordings_equal(io.read(path), tree)


def test_a_store_left_aside_comes_back(tree, tmp_path):
    from neurokit_snn.artefact.names import temporary

    path = io.write(tree, tmp_path / "a.zarr")
    path.rename(temporary(path, "old"))
    assert_recordings_equal(io.read(path), tree)


@pytest.mark.parametrize("suffix", [".nc", ".nwb"])
def test_cut_at_every_4_kb(suffix, tree, tmp_path):
    whole = io.write(tree, tmp_path / f"a{suffix}").read_bytes()
    path = tmp_path / f"cut{suffix}"
    for size in range(0, len(whole), 4096):
        path.write_bytes(whole[:size])
        with pytest.raises(NeurokitError, match=path.name):
            io.read(path)


def flipped(whole: bytes, seed: int, n: int) -> Iterator[bytes]:
    for at in np.random.default_rng(seed).integers(0, len(whole), n).tolist():
        yield whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]


def test_flipped_bytes_of_netcdf_are_noticed(tree, tmp_path):
    path = io.write(tree, tmp_path / "a.nc")
    for content in flipped(path.read_bytes(), 3, 15):
        path.write_bytes(content)
        with contextlib.suppress(NeurokitError):
            assert_recordings_equal(io.read(path), tree)  # where it opens, the byte is one that nobody reads


READER = """
import sys, warnings
from neurokit_snn import io
from neurokit_snn.errors import NeurokitError
warnings.simplefilter("ignore")
for path in sys.argv[1:]:
    try:
        io.read(path)
    except NeurokitError as error:
        assert path in str(error), error
"""


@pytest.mark.slow
def test_flipped_bytes_of_nwb_crash_nothing(tree, tmp_path):
    """Plain HDF5 has no checksums, so a flip may go unnoticed there; it must not end the process."""
    whole = io.write(tree, tmp_path / "a.nwb").read_bytes()
    paths = []
    for i, content in enumerate(flipped(whole, 4, 40)):
        paths.append(str(tmp_path / f"flipped{i}.nwb"))
        Path(paths[-1]).write_bytes(content)
    done = subprocess.run([sys.executable, "-c", READER, *paths], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("how", ["flip", "cut", "lose", "list"])
@pytest.mark.parametrize("lazy", [False, True])
def test_damaged_stores(how, lazy, tree, tmp_path):
    path = io.write(tree, tmp_path / "a.zarr")
    chunk = path / "spikes" / "time" / "0"
    content = chunk.read_bytes()
    if how == "flip":
        chunk.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif how == "cut":
        chunk.write_bytes(content[:-1])
    elif how == "lose":
        chunk.unlink()
    else:
        (path / "neurokit_snn.files.json").write_text("[")
    if how == "flip" and lazy:
        return  # a lazy open looks at sizes only
    with pytest.raises(FormatError, match=r"a\.zarr"):
        io.read(path, lazy=lazy)


def test_a_folder_that_is_no_store(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    with pytest.raises(FormatError, match="its name says Zarr, its content is a folder of something else"):
        io.read(tmp_path / "a.zarr")


def test_netcdf_of_other_programs(tree, tmp_path):
    tree.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    found = io.read(tmp_path / "a.nc")
    assert found["spikes"]["time"].values.tolist() == [0.1, 0.2, 0.15]
    with h5py.File(tmp_path / "a.nc", "a") as file:
        file.attrs["schema"] = "other"
    with pytest.raises(FormatError, match=r"says schema 'other', expected 'neurokit_snn\.recording'"):
        io.read(tmp_path / "a.nc")


WRITER = """
import sys, time
import numpy as np
from neurokit_snn import io, recording
def made(number):
    value = np.full((400_000, 2), float(number))
    return recording.build(signals={"lfp": {"time": np.arange(400_000) / 1000, "value": value}})
for _ in range(2):  # the first imports what it takes to write
    start = time.perf_counter()
    io.write(made(0), sys.argv[2], overwrite=True)
tree = made(sys.argv[3])
print(time.perf_counter() - start, flush=True)
while True:
    io.write(tree, sys.argv[1], overwrite=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_kill_leaves_the_old_or_the_new(suffix, tmp_path):
    rng = np.random.default_rng(0)
    path, other = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    left = [0.0]
    for number in range(1, 9):
        before = other if path.exists() else path  # the first child leaves something there before any kill
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(before), str(number)],
            stdout=subprocess.PIPE,
            cwd=Path.cwd(),
        )
        assert child.stdout is not None
        time.sleep(rng.uniform(0.02, 2.0) * float(child.stdout.readline()))  # in times that it takes to write
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        values = np.unique(io.read(path)["signals/lfp"]["value"].values)
        assert len(values) == 1
        assert values[0] in (left[-1], number)
        left.append(values[0])
    assert max(left) > 0, "some child had the time to write"
    shutil.rmtree(path, ignore_errors=True)
