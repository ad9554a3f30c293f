"""One recording with everything that is hard to exchange."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr

from neurokit_snn import recording

RNG_SEED = 20


def _units(labels: list[Any]) -> dict[str, Any]:
    # Names that formats use themselves, and every type of column.
    return {
        "unit": labels,
        "depth": np.array([1, 2, 3, np.nan], dtype=np.float32),
        "good": [True, False, True, True],
        "region": ["CA1", "", "x", "é"],
        "electrode": [1, 1, 2, 3],
        "id": [1, 2, 3, 4],
        "spike_times": [1.0, 2.0, 3.0, 4.0],
        "rate": [1.5, 0.0, 2.0, 1.0],
        "a:b c d": ["p", "q", "r", "s"],
    }


def _behavior(rng: np.random.Generator, clock: dict[str, str]) -> dict[str, Any]:
    pose = {"axis": ["x", "y"], "node": ["nose", "ear", "tail"]}
    return {
        "position": {
            "time": [0.0, 0.1, 0.3],
            "value": rng.normal(size=(3, 2)),
            "units": "cm",
            "dims": ("time", "axis"),
            "coords": {"axis": ["x", "y"]},
            **clock,
        },
        "heading": {"time": [0.0, 1.0], "value": [0.0, np.nan], "units": "rad", "kind": "circular"},
        "state": {"time": [0.0, 1.0], "value": np.array([1, 2], dtype=np.int16), "kind": "categorical"},
        "pose": {
            "time": [0.0, 1.0],
            "value": rng.normal(size=(2, 2, 3)).astype(np.float32),
            "dims": ("time", "axis", "node"),
            "coords": pose,
            "units": "px",
        },
        "five": {"time": [0.0], "value": rng.normal(size=(1, 2, 2, 2, 2)), "dims": tuple("abcd")},
        "flag": {"time": [0.0, 1.0], "value": np.array([True, False])},
        "empty": {"time": [], "value": []},
    }


def _truth(rng: np.random.Generator) -> xr.DataTree:
    root = xr.Dataset(
        {"rate": (("time", "unit"), rng.normal(size=(5, 4)))}, {"time": np.arange(5.0)}, {"x": 1}
    )
    deep = xr.Dataset(
        {
            "words": (("a", "b"), np.array([["x", "yy"], ["", "é"]], dtype=object)),
            "scalar": ((), np.float32(1)),
            "none": (("q", "r"), np.zeros((0, 3), dtype=np.int16)),
        },
        attrs={"gain": 2.5, "edges": np.arange(3)},
    )
    return xr.DataTree.from_dict({"/": root, "/deep": deep})


@pytest.fixture
def make_rich() -> Callable[..., xr.DataTree]:
    """Make a recording with empty units, overlapping trials, odd clocks, odd names and every kind of node."""

    def make(*, labels: str = "int", clocks: bool = True) -> xr.DataTree:
        rng = np.random.default_rng(RNG_SEED)
        units: list[Any] = [3, 7, 1, 9] if labels == "int" else ["a", "b/é", "", "d"]
        clock = {"clock": "cam"} if clocks else {}
        return recording.build(
            spikes={
                units[0]: np.sort(rng.uniform(0, 10, 50)),
                units[1]: [],
                units[2]: [0.1, np.nextafter(0.1, 1.0), 5.0],
                units[3]: [1 / 3],
            },
            units=_units(units),
            observation={
                units[0]: [(0, 10)],
                units[1]: [],
                units[2]: [(0, 1), (4.5, 6)],
                units[3]: [(0, 1.0)],
            },
            trials={
                "start": [0.0, 1.0, 1.0, 2.0],
                "stop": [5.0, 2.0, 1.0, 2.0],
                "trial": [5, 3, 9, 1],
                "side": ["l", "r", "l", ""],
                "ok": [True, False, True, True],
                "n": np.array([1, 2, 3, 4], dtype=np.int8),
                "tags": ["a", "b", "c", "d"],
            },
            epochs={
                "run": {"start": [0.0, 1.0], "stop": [1.0, 2.0], "values": [1, 2]},
                "epochs": [(0, 5)],
                "trials": [(0, 3), (1, 2)],
                "none": np.empty((0, 2)),
                "invalid_times": [(2, 3)],
            },
            events={
                "lick": [0.5, 0.5, 1],
                "cue": {
                    "time": [0.1, 0.2],
                    "duration": [0.1, np.nan],
                    "annotation": [1, 2],
                    "what": ["a", "b"],
                },
                "no": [],
            },
            behavior=_behavior(rng, clock),
            calcium={
                "time": [0.0, 1.0, 2.0],
                "value": rng.normal(size=(3, 4)).astype(np.float32),
                "units": "dF/F",
            },
            stimulus={
                "movie": {"time": [0.0, 1.0], "frames": rng.integers(0, 255, (2, 3, 4)).astype(np.uint8)},
                "rgb": {"time": [0.0, 1.0], "frames": rng.integers(0, 255, (2, 3, 4, 3)).astype(np.uint8)},
                "dvs": {
                    "time": [0.0, 0.1],
                    "x": np.array([1, 2], dtype=np.uint16),
                    "y": np.array([1, 2], dtype=np.uint16),
                    "p": [True, False],
                },
            },
            signals={
                "lfp": {
                    "time": np.arange(4) * 0.001,
                    "value": rng.normal(size=(4, 2)).astype(np.float32),
                    "units": "uV",
                },
                "emg": {
                    "time": np.arange(4) * 0.001,
                    "value": rng.integers(0, 9, (4, 1)).astype(np.int16),
                    **clock,
                },
            },
            clocks={"cam": (1.0001, -3.7), "other": (0.5, 2)} if clocks else None,
            truth=_truth(rng),
            session_id="s/1",
            subject="m1",
            start="2026-01-02T03:04:05.678901",
            source="made",
            licence="CC0-1.0",
            citation="doi:1",
        )

    return make
