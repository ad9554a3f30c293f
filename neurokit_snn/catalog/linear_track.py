"""The linear-track recording: from the files as published, and from the prepared one, to the same recording."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import xarray as xr

from neurokit_snn.catalog.entries import ENTRIES
from neurokit_snn.catalog.npz import read_arrays
from neurokit_snn.errors import CatalogError
from neurokit_snn.recording import build

__all__ = ["read_origin", "read_prepared"]

CLOCK_HZ = 30_000
RUN_SECONDS = 960.0
"""The animal runs for about this long from the first camera frame, then rests."""

OBSERVED = (4396.9975, 6365.2707)
"""``timerange`` of every unit in ``spikes.mat``: the tetrodes stop 14 s before the camera."""

FRAME = np.dtype([("time", "<u4"), ("x", "<u2"), ("y", "<u2"), ("x2", "<u2"), ("y2", "<u2")])
HEADER_END = b"<End settings>\n"


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Session:
    frame_tick: np.ndarray  # (frame,)
    x: np.ndarray
    y: np.ndarray
    spike_tick: np.ndarray  # (spike,), unit after unit
    row_size: np.ndarray  # (unit,)
    tetrode: np.ndarray
    cluster: np.ndarray


def read_prepared(files: dict[str, Path]) -> xr.DataTree:
    """The recording from ``linear_track.npz``."""
    names = ("pos_tick", "pos_x", "pos_y", "spike_tick", "spike_offsets", "unit_tetrode", "unit_cluster")
    arrays = read_arrays(files["linear_track.npz"], names)
    return _recording(
        _Session(
            frame_tick=arrays["pos_tick"].astype(np.int64),
            x=arrays["pos_x"],
            y=arrays["pos_y"],
            spike_tick=arrays["spike_tick"].astype(np.int64),
            row_size=np.diff(arrays["spike_offsets"]),
            tetrode=arrays["unit_tetrode"].astype(np.int64),
            cluster=arrays["unit_cluster"].astype(np.int64),
        )
    )


def read_origin(files: dict[str, Path]) -> xr.DataTree:
    """The recording from ``spikes.mat`` and ``trajectory.videoPositionTracking``."""
    raw = files["trajectory.videoPositionTracking"].read_bytes()
    start = raw.find(HEADER_END) + len(HEADER_END)
    if start < len(HEADER_END) or b"clockrate: 30000" not in raw[:start]:
        raise CatalogError(f"{files['trajectory.videoPositionTracking']}: no header with clockrate 30000")
    frames = np.frombuffer(raw[start:], dtype=FRAME)
    spikes, tetrode, cluster = _units_of_mat(files["spikes.mat"])
    return _recording(
        _Session(
            frame_tick=frames["time"].astype(np.int64),
            x=frames["x"],
            y=frames["y"],
            spike_tick=np.concatenate(spikes),
            row_size=np.array([s.size for s in spikes], dtype=np.int64),
            tetrode=np.array(tetrode, dtype=np.int64),
            cluster=np.array(cluster, dtype=np.int64),
        )
    )


def _units_of_mat(path: Path) -> tuple[list[np.ndarray], list[int], list[int]]:
    """Spike ticks, tetrode and cluster of each cell of the nested MATLAB cell array that holds spikes."""
    from scipy.io import loadmat

    spikes, tetrode, cluster = [], [], []
    for i, of_tetrode in enumerate(loadmat(path)["spikes"][0, 0][0, 0].ravel()):
        for j, cell in enumerate(of_tetrode.ravel() if of_tetrode.dtype == object else ()):
            if not cell.size or cell.dtype.names is None or not cell["time"][0, 0].size:
                continue
            # The times lie on the 30 kHz clock; as ticks they are exact.
            spikes.append(np.rint(cell["time"][0, 0].ravel() * CLOCK_HZ).astype(np.int64))
            tetrode.append(i)
            cluster.append(j)
    return spikes, tetrode, cluster


def _recording(session: _Session) -> xr.DataTree:
    entry = ENTRIES["linear-track"]
    spike_time = session.spike_tick / CLOCK_HZ
    stops = np.cumsum(session.row_size)
    trains = {
        u: spike_time[stop - n : stop]
        for u, (stop, n) in enumerate(zip(stops, session.row_size, strict=True))
    }
    # Around one hiccup of the camera a frame is stored twice, with the same tick: the first is kept.
    first = np.concatenate([[True], np.diff(session.frame_tick) > 0])
    frame_time = session.frame_tick[first] / CLOCK_HZ
    position = np.stack([session.x[first], session.y[first]], axis=1).astype(np.float64)
    turn = frame_time[0] + RUN_SECONDS
    return build(
        spikes=trains,
        units={"unit": list(trains), "tetrode": session.tetrode, "cluster": session.cluster},
        observation={u: [OBSERVED] for u in trains},
        epochs={"run": [[frame_time[0], turn]], "rest": [[turn, frame_time[-1]]]},
        behavior={
            "position": {
                "time": frame_time,
                "value": position,
                "units": "px",
                "dims": ("time", "axis"),
                "coords": {"axis": ["x", "y"]},
            }
        },
        session_id=entry.name,
        source="https://github.com/nelpy/example-data",
        licence=entry.licence,
        citation=entry.citation,
    )
