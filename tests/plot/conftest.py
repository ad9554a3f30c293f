"""Small inputs of known content for every picture."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neurokit_snn import recording

BIN_WIDTH = 0.5


@pytest.fixture
def tree() -> xr.DataTree:
    """Two units, two axes of position, a heading that wraps, three trials of which two overlap."""
    time = np.arange(0.0, 10.0, 0.1)
    behavior = {
        "position": xr.Dataset(
            {
                "value": (
                    ("time", "axis"),
                    np.stack([time, -time], axis=1),
                    {"units": "px", "kind": "continuous"},
                )
            },
            coords={"time": time, "axis": ["x", "y"]},
        ),
        "heading": xr.Dataset(
            {"value": ("time", np.mod(time, 2 * np.pi), {"units": "rad", "kind": "circular"})},
            coords={"time": time},
        ),
    }
    return recording.build(
        spikes={"a": [0.5, 1.5, 2.5, 7.5], "b": [0.25, 9.0]},
        behavior=behavior,
        trials={"start": [0.0, 2.0, 6.0], "stop": [3.0, 4.0, 8.0], "side": ["left", "right", "left"]},
        events={"lick": {"time": [1.0, 7.0]}},
        session_id="made",
    )


@pytest.fixture
def data() -> xr.Dataset:
    """Four trials of five bins, two units; the last bin of trial 3 is not valid."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(2.0, size=(4, 5, 2)).astype(np.int32)
    mask = np.ones_like(counts, dtype=bool)
    mask[3, 4] = False
    counts[~mask] = 0
    position = rng.normal(size=(4, 5, 2))
    start = np.array([0.0, 3.0, 10.0, 20.0])
    return xr.Dataset(
        {
            "counts": (("trial", "time", "unit"), counts),
            "mask": (("trial", "time", "unit"), mask),
            "behavior_position": (("trial", "time", "axis"), position, {"units": "px", "kind": "continuous"}),
            "mask_behavior_position": (("trial", "time"), mask.all(axis=-1)),
        },
        coords={
            "trial": [0, 1, 2, 3],
            "time": (np.arange(5) + 0.5) * BIN_WIDTH,
            "unit": ["a", "b"],
            "axis": ["x", "y"],
            "trial_start": ("trial", start),
            "trial_stop": ("trial", start + 2.5),
            "side": ("trial", ["left", "right", "left", "right"]),
        },
        attrs={
            "schema": "neurokit_snn.binned",
            "schema_version": 1,
            "bin_width": BIN_WIDTH,
            "layout": "trials",
            "session_id": "made",
            "subject": "",
        },
    )


@pytest.fixture
def scores() -> xr.Dataset:
    """A comparison of three models under two metrics, and of two units."""
    models = ["flat", "place", "place x way"]
    value = np.array([[0.0, -1.0], [0.5, -0.8], [0.7, -0.7]])
    diff = value[:, None] - value[None]
    unit = np.array([[0.0, 0.0], [0.4, 0.6], [0.9, 0.5]])
    return xr.Dataset(
        {
            "value": (("model", "metric"), value),
            "low": (("model", "metric"), value - 0.1),
            "high": (("model", "metric"), value + 0.2),
            "diff": (("model", "other", "metric"), diff),
            "diff_low": (("model", "other", "metric"), diff - 0.05),
            "diff_high": (("model", "other", "metric"), diff + 0.05),
            "unit_score": (("model", "unit"), unit),
            "unit_low": (("model", "unit"), unit - 0.1),
            "unit_high": (("model", "unit"), unit + 0.1),
        },
        coords={
            "model": models,
            "other": models,
            "metric": ["bits_per_spike", "log_likelihood"],
            "unit": ["a", "b"],
            "unit_label": ("metric", ["bits/spike", "nats/s per unit"]),
            "higher_is_better": ("metric", [True, True]),
        },
        attrs={
            "task": "encode",
            "null": "mean of the evaluated data",
            "n_boot": 2000,
            "gap": 0.5,
            "interval": "95% BCa bootstrap over 40 blocks",
        },
    )


@pytest.fixture
def curves() -> xr.Dataset:
    """Tuning of two units along a position, for two directions."""
    position = np.linspace(0.0, 100.0, 11)
    rate = 1.0 + np.arange(2)[:, None, None] + np.array([0.0, 3.0])[None, :, None] + position / 100.0
    dims = ("unit", "direction", "position")
    return xr.Dataset(
        {"rate": (dims, rate), "low": (dims, rate - 0.5), "high": (dims, rate + 0.5)},
        coords={
            "unit": ["a", "b"],
            "direction": ["in", "out"],
            "position": ("position", position, {"units": "px"}),
        },
    )


@pytest.fixture
def latents() -> xr.DataArray:
    """Three latents, one a block, of three trials of six samples of half a second."""
    return xr.DataArray(
        np.random.default_rng(1).normal(size=(3, 6, 3)),
        dims=("trial", "time", "latent"),
        coords={
            "trial": [3, 5, 7],
            "time": (np.arange(6) + 0.5) * BIN_WIDTH,
            "latent": ["pace", "shared 0", "behavior 0"],
            "block": ("latent", ["neural", "shared", "behavior"]),
        },
    )


@pytest.fixture
def frames() -> xr.DataArray:
    """Frames of two trials that say where they are: 100 trial + 10 time + a number for the pixel."""
    pixel = np.arange(12.0).reshape(3, 4) / 12
    values = 100.0 * np.arange(2)[:, None, None, None] + 10.0 * np.arange(5)[:, None, None] + pixel
    return xr.DataArray(
        values,
        dims=("trial", "time", "y", "x"),
        coords={"trial": ["a", "b"], "time": (np.arange(5) + 0.5) * BIN_WIDTH},
        name="stimulus_image",
        attrs={"units": "grey level"},
    )


@pytest.fixture
def summary() -> xr.Dataset:
    """Of a model with five latents and two modalities; neural 1 and shared 1 are pruned."""
    norm = [[0.9, 0.04, 0.5, 0.01, 0.0], [0.0, 0.0, 0.7, 0.02, 0.5]]
    return xr.Dataset(
        {
            "length_scale": ("latent", [0.8, 0.7, 0.9, 0.4, 1.0], {"units": "s"}),
            "loading_norm": (("modality", "latent"), norm),
            "variance": (("modality", "part"), [[0.62, 0.38, np.nan], [np.nan, 0.97, 0.03]]),
        },
        coords={
            "latent": ["neural 0", "neural 1", "shared 0", "shared 1", "behavior 0"],
            "block": ("latent", ["neural", "neural", "shared", "shared", "behavior"]),
            "modality": ["counts", "stimulus_image"],
            "part": ["neural", "shared", "behavior"],
        },
    )


@pytest.fixture
def network() -> xr.Dataset:
    """Two estimates of who drives whom among four units, of which d drives the others; one is signed."""
    units = ["a", "b", "c", "d"]
    signed = np.array(
        [[9.0, 0.1, -0.3, 0.5], [0.0, 9.0, 0.0, 0.6], [0.0, -0.1, 9.0, 0.7], [0.1, 0.0, 0.0, 9.0]]
    )
    attention = np.abs(signed) / 10 + 0.01
    dims = ("target", "source")
    return xr.Dataset(
        {"attention": (dims, attention), "glm": (dims, signed, {"units": "log rate"})},
        coords={"target": units, "source": units},
    )
