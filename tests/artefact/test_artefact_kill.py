"""SIGKILL at any moment leaves every artefact whole or absent, and the old one comes back (promise P1)."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from neurokit_snn import artefact
from neurokit_snn.artefact.names import Leftover
from neurokit_snn.testing.killing import Zygote

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks")

TARGET = Path(__file__).with_name("kill_target.py")
KILLS = 25  # of saving, and as many of overwriting


@pytest.fixture(scope="module")
def saver():
    with Zygote(f"{TARGET}:save") as zygote:
        yield zygote


@pytest.fixture(scope="module")
def first(saver, tmp_path_factory) -> Path:
    """The artefact that is overwritten."""
    path = tmp_path_factory.mktemp("first") / "a.nk"
    assert saver.run(str(path), 1, False).error == ""
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def reset(folder: Path, old: Path | None) -> Path:
    shutil.rmtree(folder)
    folder.mkdir()
    if old is not None:
        shutil.copytree(old, folder / "a.nk")
    return folder / "a.nk"


def value_of(path: Path) -> int:
    """Which save an artefact is, checked number by number."""
    tree = artefact.load(path)
    value = tree.attrs["value"]
    assert np.all(tree["spikes"]["time"].values == value)
    assert np.all(tree["b"]["value"].values == value)
    assert dict(tree["spikes"].sizes) == {"spike": 100_000, "unit": 40}
    return value


def phase(folder: Path) -> str:
    """Where a save was when it was killed, from what it left."""
    roles = {item.role: item.path for item in map(Leftover.parse, folder.iterdir()) if item is not None}
    if "old" in roles:
        if "partial" in roles:
            return "swapping"
        return "deleting" if not (roles["old"] / "manifest.json").exists() else "swapped"
    if "partial" not in roles:
        return "outside"
    names = {path.name for path in roles["partial"].iterdir()}
    return "sealed" if "manifest.json" in names else "writing" if names else "begun"


def check(folder: Path, *, old: int, doctor_first: bool) -> int:
    """Find the artefact whole, old or new (0: absent), and the rest cleaned up by the doctor."""
    path = folder / "a.nk"
    if doctor_first:
        artefact.doctor(folder, fix=True)
        present = path.exists()
    else:
        present = path.exists() or old > 0
    value = value_of(path) if present else 0
    assert value in (old, 2)
    artefact.doctor(folder, fix=True)
    assert artefact.doctor(folder) == []
    assert [left.name for left in folder.iterdir()] == (["a.nk"] if value else [])
    return value


@pytest.mark.parametrize("overwrite", [False, True])
def test_killed_at_random_moments(saver, first, folder, overwrite):
    old = first if overwrite else None
    times = [saver.run(str(reset(folder, old)), 2, overwrite).seconds for _ in range(3)]
    kills, written, values = 0, set(), set()
    delays = [
        *np.random.default_rng(20).uniform(0, 1.2 * np.median(times), KILLS),
        20 * max(times),
    ]  # the last: none
    for i, delay in enumerate(delays):
        outcome = saver.run(str(reset(folder, old)), 2, overwrite, kill_after=float(delay))
        assert outcome.error == ""
        kills += outcome.killed
        written.add(sum(path.stat().st_size for path in folder.glob(".*.partial-*/*")))
        values.add(check(folder, old=int(overwrite), doctor_first=bool(i % 2)))
        assert outcome.killed or values >= {2}
    assert kills >= KILLS // 2
    assert len(written) >= 4  # the kills hit different moments
    assert values == {int(overwrite), 2}


@pytest.mark.parametrize("doctor_first", [False, True])
def test_killed_before_each_step_of_overwriting(saver, first, folder, doctor_first):
    """Random moments miss the instant between the two renames; going through the steps does not."""
    phases, values = [], []
    for step in itertools.count():
        outcome = saver.run(str(reset(folder, first)), 2, True, kill_at=step)
        assert outcome.error == ""
        phases.append(phase(folder))
        values.append(check(folder, old=1, doctor_first=doctor_first))
        if not outcome.killed:
            break
    assert {"outside", "writing", "sealed", "swapping", "swapped", "deleting"} <= set(phases)
    assert values == sorted(values)  # once the new one is in place it stays
    assert values[phases.index("swapping")] == 1


def test_save_after_a_kill_sees_the_old_one(saver, first, folder):
    """What stands aside is still there: it is not written over, and it is what an overwrite replaces."""
    steps = (saver.run(str(reset(folder, first)), 2, True, kill_at=step) for step in itertools.count())
    next(outcome for outcome in steps if phase(folder) == "swapping" or not outcome.killed)
    assert not (folder / "a.nk").exists()
    again = saver.run(str(folder / "a.nk"), 2, False)
    assert "exists" in again.error.splitlines()[-1]
    assert value_of(folder / "a.nk") == 1


def test_killed_while_replacing_a_single_file(folder):
    path = folder / "table.csv"
    letters = set()
    with Zygote(f"{TARGET}:replace_file") as zygote:
        for step in itertools.count():
            path.write_text("a" * 100_000)
            outcome = zygote.run(str(path), "b", kill_at=step)
            assert outcome.error == ""
            text = path.read_text()
            assert text in ("a" * 100_000, "b" * 100_000)
            letters.add(text[0])
            if not outcome.killed:
                break
    assert letters == {"a", "b"}
    artefact.doctor(folder, fix=True)
    assert [left.name for left in folder.iterdir()] == ["table.csv"]
