"""Damage of any kind raises one typed error that names the file; never a wrong number, never a crash."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from neurokit_snn import artefact
from neurokit_snn.artefact import manifest, netcdf
from neurokit_snn.errors import ArtefactError

LARGE = 20_000


@pytest.fixture(scope="module")
def tree() -> xr.DataTree:
    rng = np.random.default_rng(0)
    spikes = xr.Dataset(
        {"time": ("spike", np.sort(rng.uniform(0, 9, LARGE))), "row_size": ("unit", [LARGE - 5, 5])},
        coords={"unit": ["a", "b"]},
    )
    counts = xr.Dataset({"counts": (("time", "unit"), rng.poisson(1.0, (LARGE, 2))), "gain": ((), 2.5)})
    return xr.DataTree.from_dict({"/": xr.Dataset(attrs={"subject": "m1"}), "/spikes": spikes, "/c": counts})


@pytest.fixture(scope="module")
def whole(tree, tmp_path_factory) -> Path:
    with pytest.MonkeyPatch.context() as small:
        small.setattr(netcdf, "_CHUNK", 4096)  # several chunks for each large variable ...
        small.setattr(netcdf, "SMALL", 1000)  # ... which a lazy reader leaves on disk
        return artefact.save(tree, tmp_path_factory.mktemp("whole") / "a.nk")


@pytest.fixture
def copy(whole, tmp_path) -> Path:
    return shutil.copytree(whole, tmp_path / "a.nk")


def reseal(path: Path, **changes: object) -> None:
    """Change entries of a manifest as its writer would have written them."""
    contents = manifest.parse((path / "manifest.json").read_bytes(), where=path)
    contents.pop("manifest_sha256")
    (path / "manifest.json").write_bytes(manifest.render(contents | changes))


@pytest.mark.parametrize("lazy", [False, True])
def test_cut_short_at_every_4_kb(copy, lazy):
    for name in ("data.nc", "manifest.json"):
        data = (copy / name).read_bytes()
        for size in range(0, len(data), 4096):
            (copy / name).write_bytes(data[:size])
            with pytest.raises(ArtefactError, match=name):
                artefact.load(copy, lazy=lazy)
        (copy / name).write_bytes(data)
    artefact.load(copy, lazy=lazy)


def test_every_flipped_byte_of_the_manifest(copy):
    data = (copy / "manifest.json").read_bytes()
    for i in range(len(data)):
        flipped = data[:i] + bytes([data[i] ^ (1 << i % 8)]) + data[i + 1 :]
        with pytest.raises(ArtefactError, match=r"manifest\.json"):
            manifest.parse(flipped, where=copy / "manifest.json")


def test_flipped_bytes_of_the_data(copy):
    data = (copy / "data.nc").read_bytes()
    for i in np.random.default_rng(1).integers(0, len(data), 40):
        with open(copy / "data.nc", "r+b") as file:
            file.seek(i)
            file.write(bytes([data[i] ^ 0x10]))
        with pytest.raises(ArtefactError, match=r"data\.nc: content does not match its SHA-256"):
            artefact.load(copy)
        (copy / "data.nc").write_bytes(data)


def test_flipped_bytes_under_a_lazy_reader(copy, tree):
    """It does not see every byte, but what it returns is right or an error."""
    data = (copy / "data.nc").read_bytes()
    outcomes = []
    for i in np.random.default_rng(2).integers(0, len(data), 60):
        with open(copy / "data.nc", "r+b") as file:
            file.seek(i)
            file.write(bytes([data[i] ^ 0x80]))
        try:
            found = artefact.load(copy, lazy=True).load()
        except ArtefactError as error:
            outcomes.append("data.nc" in str(error))
        else:
            xr.testing.assert_identical(found, tree)
        with open(copy / "data.nc", "r+b") as file:
            file.seek(i)
            file.write(data[i : i + 1])
    assert outcomes == [True] * len(outcomes)
    assert len(outcomes) >= 40


@pytest.mark.slow
def test_flipped_bytes_everywhere_under_a_lazy_reader(copy, tree):
    """Where the structures of HDF5 are, byte by byte; in the chunks, a sample."""
    data = (copy / "data.nc").read_bytes()
    where = {*range(3000), *range(3000, len(data), 151)}
    for i in sorted(where):
        with open(copy / "data.nc", "r+b") as file:
            file.seek(i)
            file.write(bytes([data[i] ^ (1 << i % 8)]))
        try:
            found = artefact.load(copy, lazy=True).load()
        except ArtefactError:
            pass
        else:
            xr.testing.assert_identical(found, tree)
        with open(copy / "data.nc", "r+b") as file:
            file.seek(i)
            file.write(data[i : i + 1])


def test_damage_far_from_what_is_read_does_not_matter_until_it_is_read(copy, tree):
    data = (copy / "data.nc").read_bytes()
    stored = tree["spikes"]["time"].values[-1].tobytes()
    where = data.index(stored)
    (copy / "data.nc").write_bytes(data[:where] + bytes(8) + data[where + 8 :])
    time = artefact.load(copy, lazy=True)["spikes"]["time"]
    np.testing.assert_array_equal(time[:10].values, tree["spikes"]["time"].values[:10])
    with pytest.raises(ArtefactError, match=r"data\.nc: /spikes/time: damaged where it was read"):
        time[-10:].values  # noqa: B018


@pytest.mark.parametrize("lazy", [False, True])
def test_a_file_of_another_artefact(copy, tree, tmp_path, lazy):
    """Same size, whole in itself, but not this one's."""
    changed = tree.copy(deep=True)
    changed["spikes"]["row_size"][:] = [LARGE - 6, 6]
    with pytest.MonkeyPatch.context() as small:
        small.setattr(netcdf, "_CHUNK", 4096)
        small.setattr(netcdf, "SMALL", 1000)
        other = artefact.save(changed, tmp_path / "b.nk")
    assert (other / "data.nc").stat().st_size == (copy / "data.nc").stat().st_size
    shutil.copy(other / "data.nc", copy / "data.nc")
    with pytest.raises(ArtefactError, match=r"data\.nc: .*(SHA-256|digest)"):
        artefact.load(copy, lazy=lazy)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("name", ["data.nc", "manifest.json"])
def test_a_missing_file(copy, name, lazy):
    (copy / name).unlink()
    with pytest.raises(ArtefactError, match=rf"{name}.* is missing"):
        artefact.load(copy, lazy=lazy)


def test_an_unknown_format_and_schema_version(copy):
    reseal(copy, format=2)
    with pytest.raises(ArtefactError, match=r"manifest\.json: format 2 was written by a newer .* upgrade"):
        artefact.load(copy)
    reseal_back = manifest.FORMAT
    with pytest.MonkeyPatch.context() as future:
        future.setattr(manifest, "FORMAT", 2)
        reseal(copy, format=reseal_back, schema_version=7)
    with pytest.raises(ArtefactError, match=r"schema version 7 of 'tree' is unknown.* upgrade"):
        artefact.load(copy)


def test_another_kind(copy):
    with pytest.raises(ArtefactError, match="kind is 'tree', not 'model'"):
        artefact.read(copy, kind="model")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"files": {"../other.nc": {"sha256": "", "size": 0}}},
            r"lists '\.\./other\.nc', which is no file of this",
        ),
        ({"kind": 3}, "entry 'kind' is missing or no str"),
        ({"files": {"data.nc": {}}}, "has no sha256 and size for 'data.nc'"),
    ],
)
def test_a_manifest_that_makes_no_sense(copy, changes, message):
    reseal(copy, **changes)
    with pytest.raises(ArtefactError, match=message):
        artefact.load(copy)


def test_a_manifest_edited_by_hand(copy):
    text = (copy / "manifest.json").read_text()
    contents = json.loads(text)
    (copy / "manifest.json").write_text(json.dumps(contents | {"seed": 1}, indent=1))
    with pytest.raises(ArtefactError, match="no manifest of neurokit_snn"):
        artefact.load(copy)
    (copy / "manifest.json").write_text(text.replace('"seed": null', '"seed": 1234'))
    with pytest.raises(ArtefactError, match="does not match its own checksum"):
        artefact.load(copy)
