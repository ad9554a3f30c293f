"""What the golden artefacts hold, literally, so that no change of the package can change what is expected."""

from __future__ import annotations

import numpy as np
import xarray as xr

PAYLOAD = np.array([0x7FF8DEADBEEF0001, 0x8000000000000000, 0x3FF0000000000000], "u8").view("f8")


def recording() -> xr.DataTree:
    """Every kind of node of schema version 1."""
    units = {"unit": ["a", "b", "ü"]}
    seconds = {"units": "s"}
    attrs = {
        "schema": "neurokit_snn.recording", "schema_version": 1, "session_id": "golden", "subject": "none",
        "start": "2026-11-21T00:00:00", "source": "by hand", "licence": "BSD-3-Clause", "citation": "",
    }  # fmt: skip
    nodes = {
        "/": xr.Dataset(attrs=attrs),
        "/units": xr.Dataset(
            {"depth": ("unit", [10.0, np.nan, 30.0]), "good": ("unit", [True, False, True])}, units
        ),
        "/spikes": xr.Dataset(
            {
                "time": ("spike", [0.1, 0.25, 0.9, 0.3, 1.5], seconds),
                "row_size": ("unit", [3, 0, 2], {"sample_dimension": "spike"}),
            },
            units,
        ),
        "/observation": xr.Dataset(
            {
                "start": ("interval", [0.0, 0.0, 0.0, 1.0], seconds),
                "stop": ("interval", [2.0, 2.0, 0.5, 2.0], seconds),
                "row_size": ("unit", [1, 1, 2], {"sample_dimension": "interval"}),
            },
            units,
        ),
        "/trials": xr.Dataset(
            {
                "start": ("trial", [0.0, 0.5], seconds),
                "stop": ("trial", [1.0, 0.8], seconds),
                "side": ("trial", ["left", ""]),
            },
            {"trial": [0, 1]},
        ),
        "/epochs/run": xr.Dataset(
            {"start": ("interval", [0.0], seconds), "stop": ("interval", [2.0], seconds)}
        ),
        "/events/lick": xr.Dataset({"time": ("event", [0.2, 0.2, 1.1], seconds)}),
        "/behavior/position": xr.Dataset(
            {"value": (("time", "axis"), PAYLOAD[:, None] * [1, 1], {"units": "px", "kind": "continuous"})},
            {"time": ("time", [0.0, 0.5, 1.25], seconds), "axis": ["x", "y"]},
        ),
        "/calcium": xr.Dataset(
            {"fluorescence": (("time", "unit"), np.arange(6, dtype="f4").reshape(2, 3))},
            {"time": ("time", [0.0, 1.0], seconds), **units},
        ),
        "/stimulus/image": xr.Dataset(
            {"frames": (("time", "y", "x"), np.arange(8, dtype="u1").reshape(2, 2, 2))},
            {"time": ("time", [0.0, 1.0], seconds)},
        ),
        "/signals/lfp": xr.Dataset(
            {"value": (("time", "channel"), np.arange(4, dtype="i2").reshape(2, 2), {"units": "uV"})},
            {"time": ("time", [10.0, 11.0], seconds), "channel": [0, 1]},
            {"clock": "probe"},
        ),
        "/clocks": xr.Dataset(
            {"slope": ("clock", [1.001]), "offset": ("clock", [-10.0], seconds)}, {"clock": ["probe"]}
        ),
        "/truth": xr.Dataset(
            {"latent": ("time", np.array([0.5, -0.5]))}, attrs={"length": 2.5, "gain": np.arange(3.0)}
        ),
    }
    return xr.DataTree.from_dict(nodes)


def binned() -> xr.Dataset:
    """Two trials of unequal length."""
    counts = np.array([[[1, 0], [2, 0], [0, 3]], [[0, 1], [1, 1], [0, 0]]], dtype="i4")
    mask = np.array([[[True, True]] * 3, [[True, True], [True, False], [False, False]]])
    speed = np.array([[1.0, np.nan, 3.0], [4.0, 5.0, np.nan]])
    return xr.Dataset(
        {
            "counts": (("trial", "time", "unit"), np.where(mask, counts, 0).astype("i4")),
            "mask": (("trial", "time", "unit"), mask),
            "behavior_speed": (("trial", "time"), speed, {"units": "px/s", "kind": "continuous"}),
            "mask_behavior_speed": (("trial", "time"), ~np.isnan(speed)),
        },
        coords={
            "trial": [0, 1],
            "time": [0.05, 0.15, 0.25],
            "unit": ["a", "b"],
            "trial_start": ("trial", [0.0, 1.0]),
            "trial_stop": ("trial", [0.3, 1.2]),
            "side": ("trial", ["left", "right"]),
        },
        attrs={
            "schema": "neurokit_snn.binned", "schema_version": 1, "bin_width": 0.1, "layout": "trials",
            "session_id": "golden", "subject": "none",
        },
    )  # fmt: skip


def comparison() -> xr.Dataset:
    """The shape of a comparison, with numbers that mean nothing."""
    return xr.Dataset(
        {
            "score": (("model", "metric", "fold", "seed"), np.arange(8.0).reshape(2, 1, 2, 2)),
            "value": (("model", "metric"), [[0.1], [np.nan]]),
        },
        coords={"model": ["glm", "mean"], "metric": ["bits/spike"], "fold": [0, 1], "seed": [0, 1]},
        attrs={"schema": "neurokit_snn.comparison", "schema_version": 1, "task": "encode", "gap": 0.5},
    )


def dataset() -> xr.Dataset:
    """Types that netCDF lacks, and a variable large enough to stay on disk under a lazy reader."""
    return xr.Dataset(
        {
            "odd": ("x", np.array(["a\0b", "", "\ud800"], dtype=object)),
            "half": ("x", np.array([0.5, np.nan, 2.0], dtype="f2")),
            "date": ("x", np.array([0, 1, 2], dtype="M8[ns]")),
            "large": ("y", np.repeat(np.arange(7, dtype="i2"), 10_000)),
        },
        coords={"scalar": 2.5},
        attrs={"none": None, "tuple": (1, "a"), "matrix": np.eye(2), "nan": float("nan"), "int": 2**70},
    )


CONTENTS = {make.__name__: make for make in (recording, binned, comparison, dataset)}
