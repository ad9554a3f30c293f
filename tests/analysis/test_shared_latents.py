"""The analysis of shared latents: from a recording to the table and the pictures, with a handful of steps."""

from __future__ import annotations

import importlib

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import neurokit_snn as nk

# The first import of jax draws from numpy's global generator, which a guard of the tests minds.
pytest.importorskip("jax")
shared_latents = importlib.import_module("analysis.shared_latents")

SUMMARY = {"length_scales.png", "loading_norms.png", "shared_variance.png", "table.csv"}


@pytest.fixture(scope="module")
def track() -> xr.DataTree:
    """Six place cells on a track that is run to and fro."""
    rng = np.random.default_rng(1)
    clock = np.arange(0.0, 60.0, 0.02)
    phase = 2 * np.pi * clock / 6.0
    place, upwards = 200.0 - 200.0 * np.cos(phase), np.sin(phase) > 0
    spikes = {}
    for unit, centre in enumerate((80.0, 120.0, 180.0, 220.0, 280.0, 330.0)):
        field = np.exp(-0.5 * ((place - centre) / 45.0) ** 2) * (upwards == bool(unit % 2))
        spikes[unit] = clock[rng.random(clock.size) < 0.03 + 0.4 * field]
    position = {
        "time": clock,
        "value": np.stack([place, 0.5 * place], 1),
        "units": "px",
        "dims": ("time", "axis"),
    }
    position["coords"] = {"axis": ["x", "y"]}
    return nk.recording.build(spikes=spikes, behavior={"position": position}, epochs={"run": [[0.0, 60.0]]})


@pytest.fixture(scope="module")
def bird() -> xr.DataTree:
    """Twelve seconds of a song of three rows that six units follow."""
    rng = np.random.default_rng(2)
    time = (np.arange(12 * 30) + 1) / 30.0
    song = np.abs(np.sin(np.outer(time, [1.0, 2.0, 3.0]))).repeat(10, axis=1)  # (time, frequency)
    calcium = song[:, [0, 10, 20, 0, 10, 20]] + 0.1 * rng.standard_normal((time.size, 6))
    behavior = {"song": {"time": time, "value": song, "units": "1", "dims": ("time", "frequency")}}
    behavior["song"]["coords"] = {"frequency": np.arange(30)}
    spikes = {unit: np.sort(rng.uniform(0.1, 11.9, 60)) for unit in range(6)}
    return nk.recording.build(
        spikes=spikes, calcium={"time": time, "value": calcium, "units": "1"}, behavior=behavior
    )


@pytest.fixture
def opened(monkeypatch, track, bird):
    """The made recordings in place of the real ones, and Newton's method, which finds the maximum without compiling."""
    monkeypatch.setattr(nk.catalog, "open", {"linear-track": track, "songbird-hvc": bird}.__getitem__)
    monkeypatch.setattr(
        "neurokit_snn.models.glm.nemos_fit._nemos", lambda design, targets, strength, start: start
    )


def test_place_code_is_the_field_that_the_animal_is_in(opened):
    data, _ = shared_latents.track(quick=True)
    place, where = data["behavior_place"], data["behavior_track_position"]
    valid = data["mask_behavior_track_position"]
    assert place.sizes["field"] == 12
    assert (place.notnull().all("field") == valid).all()
    other_way = place.isel(field=slice(6, None)).where(data["direction"] == -1)
    assert float(other_way.max()) == 0.0
    strongest = place.isel(field=slice(0, 6)).where(data["direction"] == -1).fillna(-1.0).argmax("field")
    along = (where - where.min()) / (where.max() - where.min())
    found = strongest.where(valid & (data["direction"] == -1))
    assert float(abs(found - 5 * along).max()) <= 0.5 + 1e-9


@pytest.mark.slow
def test_the_track(opened, tmp_path, capsys):
    assert shared_latents.main(["--quick", "--out", str(tmp_path)]) == 0
    files = {path.name for path in tmp_path.iterdir()} - {"cache"}
    assert files == SUMMARY | {"latents.png", "decoded.png"}
    rows = pd.read_csv(tmp_path / "table.csv")
    assert rows["task"].unique().tolist() == ["cosmooth", "cosmooth+behavior", "decode"]
    assert rows[["value", "low", "high"]].notna().all().all()
    assert "minus GLM, position x direction" in capsys.readouterr().out


@pytest.mark.slow
def test_the_song(opened, tmp_path):
    assert shared_latents.main(["--recording", "songbird-hvc", "--quick", "--out", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == SUMMARY | {"song.png"}
    rows = pd.read_csv(tmp_path / "table.csv").set_index("predicted")
    assert rows.index.tolist() == ["song", "calcium"]
    assert (rows["held_out_r2"] <= 1.0).all()
    assert np.isfinite(rows["held_out_r2"]).all()
