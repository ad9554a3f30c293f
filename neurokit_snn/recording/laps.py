"""Laps of a linear track, found from the position alone."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurokit_snn.errors import RecordingError
from neurokit_snn.recording.clocks import affine
from neurokit_snn.recording.kinematics import (
    along_track,
    position_node,
    travelled,
    weighted_quantile,
    within_epoch,
)

__all__ = ["laps"]

OFF_TRACK = 0.05  # of the track's length: samples further beyond its ends are not on it
JUMP = 0.25  # of the track's length: a step between two samples that no animal makes


def laps(
    tree: xr.DataTree,
    *,
    position: str = "position",
    ends: float = 0.15,
    epoch: str | None = None,
    max_duration: float | None = None,
) -> xr.Dataset:
    """Find the runs from one end of a linear track to the other.

    The ends of the track are the 1st and 99th percentile of the way covered along it, so that rest does not
    count. A lap begins with the last sample in one end zone and stops with the first in the other. It is left
    out when the position leaves the track or jumps by a quarter of it on the way, as a lost tracker does.

    Parameters
    ----------
    tree
        A recording.
    position
        Name of a behaviour ``(time,)`` or ``(time, axis)``; the latter is brought onto its axis as
        by `linearize`.
    ends
        Length of each end zone as a fraction of the track, above 0 and below 0.5.
    epoch
        Name of a node of ``/epochs``: only samples in its intervals count. None for all.
    max_duration
        Longest lap in seconds; None for no limit (an animal that dawdles on its way then makes one long lap).

    Returns
    -------
    Dataset
        ``start (interval)``, ``stop (interval)`` in session seconds and ``direction (interval)``, 1 towards
        higher linear positions and -1 towards lower. It goes into ``bin_trials(tree, bin_width,
        trials=...)``.

    Raises
    ------
    RecordingError
        When there is no such behaviour or epoch, or an option is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from neurokit_snn import recording
    >>> time = np.linspace(0.0, 40.0, 2001)
    >>> tree = recording.build(behavior={"position": (time, 100.0 * np.sin(0.1 * np.pi * time) ** 2)})
    >>> laps(tree)["direction"].values
    array([ 1, -1,  1, -1,  1, -1,  1, -1])
    """
    if not 0 < ends < 0.5:
        raise RecordingError(f"ends is {ends!r}; give a fraction of the track above 0 and below 0.5")
    if max_duration is not None and not max_duration > 0:
        raise RecordingError(f"max_duration is {max_duration!r}; give seconds above 0, or None")
    path = f"behavior/{position}"
    node = position_node(tree, position)
    values = node["value"].transpose("time", ...).values.astype(np.float64)
    chosen = within_epoch(tree, path, node, epoch)
    along = along_track(values, chosen) if values.ndim > 1 else values
    slope, offset = affine(tree, path)
    keep = np.isfinite(along) & (True if chosen is None else chosen)
    start, stop, direction = _crossings(along[keep], travelled(values, chosen)[keep], ends)
    time = node["time"].values[keep] * slope + offset
    begin, end = time[start], time[stop]
    if max_duration is not None:
        short = end - begin <= max_duration
        begin, end, direction = begin[short], end[short], direction[short]
    return xr.Dataset(
        {
            "start": ("interval", begin, {"units": "s"}),
            "stop": ("interval", end, {"units": "s"}),
            "direction": (
                "interval",
                direction,
                {"long_name": "1 upwards, -1 downwards"},
            ),
        }
    )


def _crossings(
    along: NDArray[np.float64], weight: NDArray[np.float64], ends: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return, per run between the zones, the last sample in one, the first in the other, the direction."""
    nothing = np.zeros(0, np.int64)
    if not (weight > 0).any():
        return nothing, nothing, nothing
    low, high = (weighted_quantile(along, weight, q) for q in (0.01, 0.99))
    length = high - low
    off = (along < low - OFF_TRACK * length) | (along > high + OFF_TRACK * length)
    zone = (along >= high - ends * length).astype(np.int64) - (along <= low + ends * length)
    zone[off] = 0
    jumped = np.abs(np.diff(along, prepend=along[0])) > JUMP * length
    at = np.flatnonzero(zone)
    turns = np.flatnonzero(zone[at][1:] != zone[at][:-1])
    start, stop = at[turns], at[turns + 1]
    faults = np.cumsum(off | jumped)
    clean = faults[stop] == faults[start]
    return start[clean], stop[clean], zone[stop[clean]]
