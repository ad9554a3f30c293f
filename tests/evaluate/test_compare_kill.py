"""A comparison killed at any moment goes on from its finished cells to the same numbers."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from neurokit_snn import artefact
from neurokit_snn.testing.killing import Zygote

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks")

TARGET = Path(__file__).with_name("compare_kill_target.py")
KILLS = 15
CELLS = 3


@pytest.fixture(scope="module")
def comparer():
    with Zygote(f"{TARGET}:compare_and_save") as zygote:
        yield zygote


def finished(cache: Path) -> int:
    """How many cells are there; every one must be whole."""
    paths = sorted(cache.glob("[!.]*.nk"))
    for path in paths:
        assert artefact.read(path, kind="cell").dataset("statistics").sizes["seed"] == 1
    return len(paths)


def test_killed_at_random_moments(comparer: Zygote, tmp_path: Path) -> None:
    cache, result = tmp_path / "cells", tmp_path / "result.nk"
    whole = [comparer.run(str(tmp_path / f"c{i}"), str(tmp_path / f"r{i}.nk")) for i in range(2)]
    assert [run.error for run in whole] == ["", ""]
    expected = artefact.load(tmp_path / "r0.nk")
    xr.testing.assert_identical(artefact.load(tmp_path / "r1.nk"), expected)
    lasts = min(run.seconds for run in whole)
    rng = np.random.default_rng(0)
    kills, before, stages = 0, 0, set()
    # On a busy machine the clock may strike early every time: then a few more.
    while kills < KILLS or (len(stages) < 3 and kills < 4 * KILLS):
        # By the clock, and as often before a step of the file system, where most is at stake.
        when = (
            {"kill_at": int(rng.integers(20))} if kills % 2 else {"kill_after": float(rng.uniform(0, lasts))}
        )
        outcome = comparer.run(str(cache), str(result), **when)
        assert outcome.error == ""
        done = finished(cache) if cache.exists() else 0
        assert done >= before
        kills, before = kills + outcome.killed, done
        stages.add(done)
        if not outcome.killed:
            assert done == CELLS
            xr.testing.assert_identical(artefact.load(result), expected)
            shutil.rmtree(cache)
            shutil.rmtree(result)
            before = 0
    assert len(stages) >= 3  # with none, some and more cells behind it
    if not result.exists():
        assert comparer.run(str(cache), str(result)).error == ""
        xr.testing.assert_identical(artefact.load(result), expected)


@pytest.mark.slow
def test_killed_before_every_step(comparer: Zygote, tmp_path: Path) -> None:
    assert comparer.run(str(tmp_path / "whole"), str(tmp_path / "whole.nk")).error == ""
    expected = artefact.load(tmp_path / "whole.nk")
    for step in itertools.count():
        cache, result = tmp_path / "cells", tmp_path / f"r{step}.nk"
        shutil.rmtree(cache, ignore_errors=True)
        outcome = comparer.run(str(cache), str(result), kill_at=step)
        assert outcome.error == ""
        if not outcome.killed:
            break
        done = finished(cache) if cache.exists() else 0
        assert comparer.run(str(cache), str(result)).error == ""
        assert finished(cache) == CELLS >= done
        xr.testing.assert_identical(artefact.load(result), expected)
        artefact.doctor(cache, fix=True)
        assert len(list(cache.iterdir())) == CELLS
    assert step > 3 * CELLS
