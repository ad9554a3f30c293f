"""The demo and the script that a lab copies: from a recording to the table, the pictures and the report."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import neurokit_snn as nk
from neurokit_snn.catalog import access
from neurokit_snn.errors import CatalogError

compare_models = importlib.import_module("analysis.compare_models")

# No cosmooth_units.png: five steps of the latents do not beat the reference, and a picture of it against itself is not drawn.
FILES = {
    "report.html",
    "comparison.csv",
    "raster.png",
    "tuning.png",
    "decoded.png",
    "encode_comparison.png",
    "encode_units.png",
    "cosmooth_comparison.png",
    "decode_comparison.png",
}


@pytest.fixture(scope="module")
def track() -> xr.DataTree:
    """Six place cells that fire more in one direction, on a track that is run to and fro."""
    rng = np.random.default_rng(1)
    clock = np.arange(0.0, 96.0, 0.02)
    phase = 2 * np.pi * clock / 8.0
    place, upwards = 200.0 - 200.0 * np.cos(phase), np.sin(phase) > 0
    spikes = {}
    for unit, centre in enumerate((80.0, 120.0, 180.0, 220.0, 280.0, 330.0)):
        field = np.exp(-0.5 * ((place - centre) / 45.0) ** 2) * (upwards == bool(unit % 2))
        spikes[unit] = clock[rng.random(clock.size) < 0.03 + 0.4 * field]
    value = np.stack([place, 0.5 * place], axis=1)
    position = {
        "time": clock,
        "value": value,
        "units": "px",
        "dims": ("time", "axis"),
        "coords": {"axis": ["x", "y"]},
    }
    return nk.recording.build(
        spikes=spikes,
        behavior={"position": position},
        epochs={"run": [[0.0, 96.0]]},
        session_id="made",
        licence="CC0",
    )


@pytest.fixture(scope="module")
def jax_loaded():
    """The first import of jax draws from numpy's global generator, which a guard of the tests minds."""
    return pytest.importorskip("jax")


@pytest.fixture(scope="module")
def quick(track, jax_loaded):
    """The track in place of the recording, a few steps of the latents, and no solver that compiles: Newton's method finds the
    same maximum."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nk.catalog, "open", lambda name: track)
        patch.setattr(
            "neurokit_snn.models.glm.nemos_fit._nemos", lambda design, targets, strength, start: start
        )
        patch.setattr(
            compare_models,
            "gaussian_process_latents",
            lambda: nk.MMGPVAE(neural=1, shared=0, behavior=0, length_scale=0.3, steps=5),
        )
        yield


@pytest.fixture(scope="module")
def command(tmp_path_factory) -> list[str]:
    return ["--out", str(tmp_path_factory.mktemp("demo")), "--folds", "2", "--trials", "20"]


@pytest.fixture(scope="module")
def folder(quick, command) -> Path:
    assert compare_models.main(command) == 0
    return Path(command[1])


def test_every_file_is_written(folder):
    assert {path.name for path in folder.iterdir()} - {"cache"} == FILES


def test_the_demo_finds_what_was_put_in(folder):
    rows = pd.read_csv(folder / "comparison.csv")
    assert rows["task"].unique().tolist() == ["encode", "cosmooth", "decode"]
    assert rows[["value", "low", "high"]].notna().all().all(), "a number has no interval"
    head = rows.drop_duplicates(["task", "model"]).set_index(["task", "model"])
    assert head.loc[("encode", "position x direction"), "diff_low"] > 0
    assert head.loc[("encode", "mean rate"), "diff_high"] < 0
    assert head.loc[("decode", "ridge"), "metric"] == "median_error"


def test_a_second_run_fits_nothing_again_and_prints_the_table(folder, quick, command, monkeypatch, capsys):
    first = (folder / "comparison.csv").read_bytes()

    def refit(*args, **kwargs):
        raise AssertionError("fitted again")

    monkeypatch.setattr(nk.ReducedRankRegression, "_fit", refit)
    monkeypatch.setattr(compare_models, "pictures", lambda plan, split: {})
    assert compare_models.main(command) == 0
    assert (folder / "comparison.csv").read_bytes() == first
    printed = capsys.readouterr().out
    assert "| position x direction |" in printed
    assert printed.count("[95% interval]") == 6
    assert "minus position" in printed


def test_without_the_recording_the_simulated_one_is_used(monkeypatch, capsys):
    opened = access.open

    def only_simulated(name):
        if name == "linear-track":
            raise CatalogError("linear-track: there is no network")
        return opened(name)

    monkeypatch.setattr(nk.catalog, "open", only_simulated)
    plan = compare_models.open_plan("linear-track", 3)
    assert plan.behavior == "rotation"
    assert dict(plan.data.sizes)["trial"] == 3
    assert "linear-track cannot be opened: linear-track: there is no network" in capsys.readouterr().out


@pytest.mark.slow
def test_the_demo_on_the_real_recording(jax_loaded, linear_track_path, tmp_path):
    """Row `real` of the issue: direction helps, and so do latents, beyond the intervals."""
    assert compare_models.main(["--out", str(tmp_path)]) == 0
    rows = pd.read_csv(tmp_path / "comparison.csv")
    head = rows.drop_duplicates(["task", "model"]).set_index(["task", "model"])
    assert head.loc[("encode", "position x direction"), "diff_low"] > 0
    assert head.loc[("encode", "mean rate"), "diff_high"] < 0
    assert head.loc[("cosmooth", "GP latents"), "reference"] == "population regression"
    assert head.loc[("cosmooth", "GP latents"), "diff_low"] > 0
    assert rows[["value", "low", "high"]].notna().all().all()
