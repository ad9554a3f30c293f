"""Tracks of SLEAP, as its analysis HDF5 file."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
import xarray as xr

from neurokit_snn.errors import FormatError
from neurokit_snn.io.foreign import built, existing, frame_times, wrapped

__all__ = ["read_sleap"]

_TRACKS = ("track", "xy", "node", "frame")
_SCORES = ("track", "node", "frame")


def read_sleap(path: str | os.PathLike[str], *, sampling_rate: float) -> xr.DataTree:
    """Read the tracks of one video from a SLEAP analysis file.

    Parameters
    ----------
    path
        File ``....analysis.h5``, as SLEAP or sleap-io export it, in any of their orders of axes.
    sampling_rate
        Frames per second of the video.

    Returns
    -------
    recording
        For each track, by its name (``pose`` if it has none), ``/behavior/NAME`` with ``value (time,
        bodypart, axis)`` in pixels, NaN where it was not seen, and, where there are scores,
        ``/behavior/NAME_score`` ``(time, bodypart)``; seconds count from frame 0.

    Raises
    ------
    FormatError
        When the file is missing, damaged or of another layout.

    References
    ----------
    The layout is that of the SLEAP documentation, "Export analysis HDF5" (sleap.ai).

    Examples
    --------
    >>> import h5py, tempfile
    >>> from neurokit_snn import io
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with h5py.File(f"{folder}/a.h5", "w") as file:
    ...         file["tracks"] = np.zeros((1, 2, 3, 4))
    ...         file["node_names"] = ["nose", "ear", "tail"]
    ...         file["track_names"] = ["mouse"]
    ...     dict(io.read_sleap(f"{folder}/a.h5", sampling_rate=30.0)["behavior/mouse"].sizes)
    {'time': 4, 'bodypart': 3, 'axis': 2}
    """
    source = existing(path)
    import h5py

    with wrapped(source, "a SLEAP analysis file", "h5py"), h5py.File(source, "r") as file:
        if missing := [name for name in ("tracks", "node_names", "track_names") if name not in file]:
            raise FormatError(
                f"{path}: no dataset {missing[0]}; is it a SLEAP analysis file (export it from SLEAP)?"
            )
        tracks = _ordered(file, "tracks", _TRACKS, ("track", "frame", "node", "xy"), str(path))
        scores = None
        if "point_scores" in file:
            scores = _ordered(file, "point_scores", _SCORES, ("track", "frame", "node"), str(path))
        nodes = [_text(name) for name in file["node_names"][:]]
        names = [_text(name) for name in file["track_names"][:]]
    if tracks.shape[2:] != (len(nodes), 2) or (names and len(names) != len(tracks)):
        raise FormatError(
            f"{path}: tracks has {tracks.shape[0]} tracks, {tracks.shape[2]} nodes and "
            f"{tracks.shape[3]} axes, for {len(names)} names of tracks and {len(nodes)} of nodes; damaged?"
        )
    if scores is not None and scores.shape != tracks.shape[:3]:
        raise FormatError(
            f"{path}: point_scores is {scores.shape} for tracks {tracks.shape[:3]}; is it damaged?"
        )
    behavior = _nodes(tracks, scores, names, nodes, frame_times(tracks.shape[1], sampling_rate, source))
    return built(source, behavior=behavior, source="SLEAP")


def _ordered(
    file: Any, name: str, default: tuple[str, ...], wanted: tuple[str, ...], path: str
) -> np.ndarray:
    """Return a dataset with its axes in the order wanted; the file may say in which order they are."""
    data = np.asarray(file[name][()])
    dims = default
    if "dims" in file[name].attrs:
        dims = tuple(json.loads(_text(file[name].attrs["dims"])))
    if data.dtype.kind not in "iuf" or data.ndim != len(wanted) or set(dims) != set(wanted):
        raise FormatError(
            f"{path}: {name} is {data.dtype} of shape {data.shape} with axes {dims}; expected {wanted}"
        )
    return np.transpose(data, [dims.index(dim) for dim in wanted])


def _nodes(
    tracks: np.ndarray, scores: np.ndarray | None, names: list[str], parts: list[str], time: np.ndarray
) -> dict[str, Any]:
    labels = {"bodypart": np.array(parts)}
    found: dict[str, Any] = {}
    for i, track in enumerate(tracks):
        name = (names[i].replace("/", "_") if names else "") or (f"pose_{i}" if len(tracks) > 1 else "pose")
        if name in found:
            name = f"{name}_{i}"
        coords = {**labels, "axis": np.array(["x", "y"])}
        found[name] = {
            "time": time,
            "value": track,
            "units": "px",
            "dims": ("bodypart", "axis"),
            "coords": coords,
        }
        if scores is not None:
            score = {"time": time, "value": scores[i], "units": "", "dims": ("bodypart",), "coords": labels}
            found[f"{name}_score"] = score
    return found


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
