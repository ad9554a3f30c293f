"""The doctor lists, brings back and removes; it leaves alone what lives, is foreign or is damaged."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

import pytest
import xarray as xr

import neurokit_snn as nk
from neurokit_snn import artefact
from neurokit_snn.artefact.names import Leftover, temporary
from neurokit_snn.errors import ArtefactError

ONE, TWO = (xr.Dataset({"a": ((), value)}) for value in (1.0, 2.0))


@pytest.fixture(scope="module")
def dead() -> int:
    """Number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def left_by(pid: int, path, role: str, *, host: str | None = None):
    """Name of what that process would have left of ``path``."""
    name = temporary(path, role)
    mine = Leftover.parse(name)
    return name.with_name(
        name.name.replace(f"-{os.getpid()}-{mine.host}-", f"-{pid}-{mine.host if host is None else host}-")
    )


def states(folder, **kwargs) -> dict[str, str]:
    return {found.path.name: f"{found.state}: {found.action}" for found in artefact.doctor(folder, **kwargs)}


def test_all_is_well(tmp_path):
    (tmp_path / "deep").mkdir()
    nk.save(ONE, tmp_path / "deep" / "a.nk")
    assert artefact.doctor(tmp_path) == []
    assert artefact.doctor(tmp_path / "deep" / "a.nk") == []
    with pytest.raises(ArtefactError, match="is no folder"):
        artefact.doctor(tmp_path / "no")


def test_unfinished_things_are_removed(tmp_path, dead):
    folder = left_by(dead, tmp_path / "a.nk", "partial")
    folder.mkdir()
    (folder / "data.nc").write_bytes(b"half")
    file = tmp_path / f"{left_by(dead, tmp_path / 't.csv', 'partial').name}.csv"
    file.write_text("half")
    assert states(tmp_path) == {folder.name: "unfinished: remove", file.name: "unfinished: remove"}
    assert folder.exists()
    assert states(tmp_path, fix=True) == {
        folder.name: "unfinished: removed",
        file.name: "unfinished: removed",
    }
    assert list(tmp_path.iterdir()) == []


def test_the_newest_whole_old_version_comes_back(tmp_path, dead):
    target = tmp_path / "a.nk"
    olds = []
    for data in (ONE, TWO):
        olds.append(left_by(dead, target, "old"))
        nk.save(data, tmp_path / "new.nk").rename(olds[-1])
        time.sleep(0.02)
    broken = left_by(dead, target, "old")
    shutil.copytree(olds[0], broken)
    (broken / "data.nc").write_bytes(b"")
    found = states(tmp_path)
    assert found[olds[1].name] == "displaced: bring back as a.nk"
    assert found[broken.name] == "replaced: remove"
    states(tmp_path, fix=True)
    assert [left.name for left in tmp_path.iterdir()] == ["a.nk"]
    assert nk.load(target).identical(TWO)


def test_a_reader_brings_back_by_itself(tmp_path, dead):
    target = tmp_path / "a.nk"
    nk.save(ONE, target).rename(left_by(dead, target, "old"))
    assert nk.load(target).identical(ONE)
    assert [left.name for left in tmp_path.iterdir()] == ["a.nk"]


def test_what_was_replaced_is_removed(tmp_path, dead):
    target = tmp_path / "a.nk"
    old = left_by(dead, target, "old")
    nk.save(ONE, target).rename(old)
    nk.save(TWO, tmp_path / "b.nk").rename(target)
    assert states(tmp_path) == {old.name: "replaced: remove"}
    states(tmp_path, fix=True)
    assert [left.name for left in tmp_path.iterdir()] == ["a.nk"]
    assert nk.load(target).identical(TWO)


def test_the_last_whole_version_is_kept_when_its_successor_is_damaged(tmp_path, dead):
    target = tmp_path / "a.nk"
    old = left_by(dead, target, "old")
    nk.save(ONE, target).rename(old)
    nk.save(TWO, tmp_path / "b.nk").rename(target)
    (target / "data.nc").write_bytes(b"damaged")
    found = states(tmp_path, fix=True)
    assert found["a.nk"].startswith("damaged: left alone: ")
    assert "data.nc" in found["a.nk"]
    assert (
        found[old.name]
        == "replaced: left alone: it is whole and a.nk is not; delete that one to bring it back"
    )
    shutil.rmtree(target)
    states(tmp_path, fix=True)
    assert nk.load(target).identical(ONE)


def test_what_lives_or_is_foreign_is_left_alone(tmp_path, dead):
    mine = temporary(tmp_path / "a.nk", "partial")
    foreign = left_by(dead, tmp_path / "b.nk", "partial", host="elsewhere")
    for folder in (mine, foreign):
        folder.mkdir()
    found = states(tmp_path, fix=True)
    assert found[mine.name] == f"in use: left alone: process {os.getpid()} is working on it"
    assert found[foreign.name].startswith("unknown owner: left alone: made on elsewhere")
    assert mine.exists()
    assert foreign.exists()


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc")
def test_a_process_number_used_again_is_no_owner(tmp_path):
    folder = temporary(tmp_path / "a.nk", "partial")  # by this very process ...
    folder.mkdir()
    assert Leftover.parse(folder).owner() == "alive"
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        young = left_by(process.pid, tmp_path / "b.nk", "partial")
        young.mkdir()
        assert Leftover.parse(young).owner() == "alive"
        # ... and one that is older than the process whose number it bears.
        item = Leftover.parse(young)
        past = type("Past", (), {"lstat": lambda self: os.stat_result((0,) * 7 + (1e6, 1e6, 1e6))})()
        object.__setattr__(item, "path", past)
        assert item.owner() == "dead"
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks")
def test_a_zombie_is_no_owner(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", ""])
    folder = left_by(child.pid, tmp_path / "a.nk", "partial")
    folder.mkdir()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, but nobody has asked how
    try:
        assert Leftover.parse(folder).owner() == "dead"
    finally:
        child.wait()


def test_names_that_only_look_like_ours(tmp_path):
    for name in (".a.nk.partial-x", ".hidden", "a.nk.old-1-h-00000000", ".a.nk.old-1-h-0000000"):
        (tmp_path / name).mkdir()
    assert artefact.doctor(tmp_path, fix=True) == []
    assert len(list(tmp_path.iterdir())) == 4
