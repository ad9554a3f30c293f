"""`save` and `load`: every object back as what it was, nothing written over."""

from __future__ import annotations

import json
import os
import shlex
import stat
import sys
import threading

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings

import neurokit_snn as nk
from neurokit_snn import artefact
from neurokit_snn.errors import ArtefactError, RecordingError
from neurokit_snn.testing import strategies

RATES = xr.Dataset({"rate": ("unit", [1.5, np.nan])}, {"unit": ["a", "b"]}, {"bin_width": 0.1})


@pytest.fixture
def recording() -> xr.DataTree:
    return nk.recording.build(
        spikes={"a": [0.1, 0.5], "b": []},
        trials={"start": [0.0, 0.5], "stop": [0.7, 1.0], "side": ["left", ""]},
        behavior={"speed": ([0.0, 0.5, 1.0], [1.0, np.nan, 1.5])},
        session_id="s1",
    )


@settings(max_examples=6)
@given(strategies.recordings())
def test_recordings_come_back(tmp_path_factory, assert_same, tree):
    path = nk.save(tree, tmp_path_factory.mktemp("any") / "a.nk")
    assert_same(nk.load(path), tree)
    assert_same(nk.load(path, lazy=True), tree)


def test_kinds(tmp_path, recording, assert_same):
    binned = nk.recording.bin(recording, 0.1)
    comparison = RATES.assign_attrs(schema="neurokit_snn.comparison", schema_version=1)
    for kind, obj in {
        "recording": recording,
        "binned": binned,
        "comparison": comparison,
        "dataset": RATES,
        "tree": xr.DataTree(RATES),
    }.items():
        path = nk.save(obj, tmp_path / f"{kind}.nk")
        assert artefact.read(path).kind == kind
        assert_same(nk.load(path), obj)


def test_a_model_comes_back(tmp_path, recording):
    data = nk.recording.bin_trials(recording, 0.1)
    model = nk.MeanRate().fit(data, seed=3)
    path = nk.save(model, tmp_path / "model.nk")
    again = nk.load(path)
    assert type(again) is nk.MeanRate
    assert again.get_params() == model.get_params()
    assert artefact.read(path).manifest["seed"] == 3
    task = model.tasks[0]
    xr.testing.assert_identical(again.predict(data, task=task), model.predict(data, task=task))


def test_a_broken_recording_is_not_saved(tmp_path, recording):
    recording["spikes"]["time"][0] = 2.0
    with pytest.raises(RecordingError, match=r"a\.nk.*spikes"):
        nk.save(recording, tmp_path / "a.nk")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("thing", [np.zeros(3), RATES["rate"], {"a": 1}, None])
def test_other_things_are_refused(tmp_path, thing):
    with pytest.raises(ArtefactError, match="cannot be saved; give a recording"):
        nk.save(thing, tmp_path / "a.nk")


def test_a_wrong_schema_attribute_is_refused(tmp_path):
    with pytest.raises(ArtefactError, match=r"'neurokit_snn\.recording', but this is a Dataset"):
        nk.save(RATES.assign_attrs(schema="neurokit_snn.recording"), tmp_path / "a.nk")


def test_nothing_is_written_over(tmp_path, assert_same):
    path = nk.save(RATES, tmp_path / "a.nk")
    with pytest.raises(ArtefactError, match="exists; choose another name or pass overwrite=True"):
        nk.save(RATES + 1, path)
    assert_same(nk.load(path), RATES)
    nk.save(RATES + 1, path, overwrite=True)
    assert_same(nk.load(path), (RATES + 1).assign_attrs(RATES.attrs))
    assert [left.name for left in tmp_path.iterdir()] == ["a.nk"]


@pytest.mark.parametrize(
    "make", [lambda p: p.mkdir(), lambda p: p.write_text("mine"), lambda p: (p.mkdir(), (p / "x").touch())]
)
def test_what_is_no_artefact_is_never_overwritten(tmp_path, make):
    make(tmp_path / "a.nk")
    with pytest.raises(ArtefactError, match="exists and is no artefact"):
        nk.save(RATES, tmp_path / "a.nk", overwrite=True)
    assert [left.name for left in tmp_path.iterdir()] == ["a.nk"]


def test_names_and_places(tmp_path):
    with pytest.raises(ArtefactError, match=r"ends in \.nk"):
        nk.save(RATES, tmp_path / "a.nc")
    with pytest.raises(ArtefactError, match="there is no folder"):
        nk.save(RATES, tmp_path / "no" / "a.nk")
    with pytest.raises(ArtefactError, match="cannot be the name of a file"):
        artefact.write(tmp_path / "a.nk", kind="dataset", trees={"../a": RATES})
    with pytest.raises(ArtefactError, match="extra sets 'files'"):
        artefact.write(tmp_path / "a.nk", kind="dataset", trees={}, extra={"files": {}})
    assert list(tmp_path.iterdir()) == []


def test_a_failed_save_leaves_nothing(tmp_path):
    bad = RATES.assign(x=("unit", np.array(["a", 1], dtype=object)))
    old = nk.save(RATES, tmp_path / "old.nk")
    for path, overwrite in ((tmp_path / "a.nk", False), (old, True)):
        with pytest.raises(ArtefactError, match=r"'x': 1 at \(1,\)"):
            artefact.write(path, kind="dataset", trees={"fine": RATES, "data": bad}, overwrite=overwrite)
        with pytest.raises(ArtefactError, match=r"plot\.png was not written"):
            artefact.write(path, kind="x", trees={}, files={"plot.png": lambda p: None}, overwrite=overwrite)
    assert [left.name for left in tmp_path.iterdir()] == ["old.nk"]
    assert nk.load(old).identical(RATES)


def test_interrupted_between_the_renames_the_old_one_returns(tmp_path, monkeypatch):
    path = nk.save(RATES, tmp_path / "a.nk")
    rename = os.rename

    def interrupted(source, target):
        if ".partial-" in str(source):
            raise KeyboardInterrupt
        rename(source, target)

    monkeypatch.setattr(os, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        nk.save(RATES + 1, path, overwrite=True)
    assert [left.name for left in tmp_path.iterdir()] == ["a.nk"]
    assert nk.load(path).identical(RATES)


def test_files_that_are_no_netcdf(tmp_path):
    path = artefact.write(
        tmp_path / "a.nk",
        kind="weights",
        trees={"rates": RATES},
        files={"weights.bin": lambda p: (p.write_bytes(b"abc"), p.chmod(0o600))},
        config={"layers": (3, 4), "limit": float("inf")},
        extra={"class": "Net", "chain_method": "parallel"},
    )
    found = artefact.read(path, kind="weights")
    assert found.file("weights.bin").read_bytes() == b"abc"
    assert found.config == {"layers": (3, 4), "limit": float("inf")}
    assert found.manifest["class"] == "Net"
    assert found.manifest["chain_method"] == "parallel"
    with pytest.raises(
        ArtefactError, match=r"no file 'no\.nc' in this artefact; it holds: rates\.nc, weights\.bin"
    ):
        found.dataset("no")
    with pytest.raises(ArtefactError, match="kind 'weights' has a reader of its own"):
        nk.load(path)


def test_the_manifest_tells_where_it_comes_from(tmp_path):
    manifest = json.loads((nk.save(RATES, tmp_path / "a.nk") / "manifest.json").read_text())
    assert {"python", "neurokit_snn", "numpy", "xarray", "h5py", "h5netcdf"} <= manifest["versions"].keys()
    assert manifest["versions"]["numpy"] == np.__version__
    assert manifest["command"] == shlex.join(sys.orig_argv)
    assert manifest["created"].endswith("+00:00")
    assert manifest["threads"]["cpus"] == os.cpu_count()
    assert (manifest["format"], manifest["kind"], manifest["schema_version"]) == (1, "dataset", 1)
    assert {"seed", "chain_method", "codegen_target", "config", "class"} <= manifest.keys()


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_permissions_follow_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        path = artefact.write(
            tmp_path / "a.nk",
            kind="x",
            trees={"a": RATES},
            files={"private": lambda p: (p.touch(), p.chmod(0o600))},
        )
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o750
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.iterdir()} == {0o640}


def test_through_a_link_the_target_is_replaced(tmp_path):
    (tmp_path / "disk").mkdir()
    real = nk.save(RATES, tmp_path / "disk" / "a.nk")
    (tmp_path / "link.nk").symlink_to(real)
    nk.save(RATES + 1, tmp_path / "link.nk", overwrite=True)
    assert (tmp_path / "link.nk").is_symlink()
    assert float(nk.load(real)["rate"][0]) == 2.5


def test_readers_beside_a_writer_see_whole_versions(tmp_path):
    """While one thread overwrites without pause, every load gives one version or the other."""
    path = nk.save(RATES, tmp_path / "a.nk")
    errors: list[BaseException] = []
    done = threading.Event()

    def overwrite() -> None:
        try:
            for i in range(25):
                nk.save(RATES + i, path, overwrite=True)
        except BaseException as error:
            errors.append(error)
        finally:
            done.set()

    writer = threading.Thread(target=overwrite)
    writer.start()
    seen = []
    while not done.is_set():
        seen.append(float(nk.load(path)["rate"][0]))
    writer.join()
    assert errors == []
    assert set(seen) <= {1.5 + i for i in range(25)}
    assert float(nk.load(path)["rate"][0]) == 25.5
    assert [left.name for left in tmp_path.iterdir()] == ["a.nk"]


def test_two_writers_both_finish(tmp_path):
    path = nk.save(RATES, tmp_path / "a.nk")
    errors: list[BaseException] = []

    def overwrite(value: int) -> None:
        try:
            for _ in range(8):
                nk.save(RATES + value, path, overwrite=True)
        except BaseException as error:
            errors.append(error)

    writers = [threading.Thread(target=overwrite, args=(value,)) for value in (1, 2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert errors == []
    assert float(nk.load(path)["rate"][0]) in (2.5, 3.5)
    assert [left.name for left in tmp_path.iterdir()] == ["a.nk"]


def test_loading_needs_the_folder(tmp_path):
    with pytest.raises(ArtefactError, match="does not exist; check the path"):
        nk.load(tmp_path / "a.nk")
    (tmp_path / "a.nc").write_text("bare")
    with pytest.raises(ArtefactError, match="is a file, not the folder of an artefact"):
        nk.load(tmp_path / "a.nc")
    (tmp_path / "b.nk").mkdir()
    with pytest.raises(ArtefactError, match=r"manifest\.json is missing"):
        nk.load(tmp_path / "b.nk")
