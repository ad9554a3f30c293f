"""Events of a camera as frames: how many there were at each pixel in each bin."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurokit_snn.errors import RecordingError

__all__ = ["event_frames"]

MOST_VALUES = 500_000_000
"""Values of the frames above which they are refused: 1 GB of 16-bit counts."""


def event_frames(stimulus: xr.Dataset, edges: NDArray[np.float64], *, name: str) -> xr.DataArray:
    """Count the events of an event stimulus in bins of time, at each pixel, by polarity.

    Parameters
    ----------
    stimulus
        ``time``, ``x``, ``y``, ``p (event,)``; pixels are whole numbers from 0.
    edges
        ``(trial, bin + 1)`` on the clock of the events.
    name
        What to call the stimulus in an error.

    Returns
    -------
    DataArray, (trial, time, y, x, polarity)
        int16; ``polarity`` holds the values of ``p`` in order. The sensor is as large as the largest pixel says.

    Raises
    ------
    RecordingError
        When there are no events, a pixel is negative, or the frames would not fit into memory.

    Examples
    --------
    >>> columns = {"time": [0.1, 0.1, 0.6], "x": [1, 1, 0], "y": [0, 0, 1], "p": [1, 1, 0]}
    >>> events = xr.Dataset({name: ("event", values) for name, values in columns.items()})
    >>> found = event_frames(events, np.array([[0.0, 0.5, 1.0]]), name="dvs")
    >>> int(found.sel(polarity=1)[0, 0, 0, 1]), int(found.sum())
    (2, 3)
    """
    time = stimulus["time"].values
    if not time.size:
        raise RecordingError(f"{name} holds no events; leave it out")
    x, y = (stimulus[axis].values.astype(np.int64) for axis in ("x", "y"))
    if min(x.min(), y.min()) < 0:
        first = int(np.flatnonzero((x < 0) | (y < 0))[0])
        raise RecordingError(
            f"{name}: event {first} is at pixel ({x[first]}, {y[first]}); pixels count from 0"
        )
    polarity, p = np.unique(stimulus["p"].values, return_inverse=True)
    n_trials, n_bins = edges.shape[0], edges.shape[1] - 1
    shape = (n_trials, n_bins, int(y.max()) + 1, int(x.max()) + 1, polarity.size)
    if np.prod(shape, dtype=np.float64) > MOST_VALUES:
        raise RecordingError(
            f"{name}: frames of {shape[2]} x {shape[3]} pixels in {n_trials * n_bins} bins are too many; "
            "take wider bins or a smaller part of the recording"
        )
    frames = np.zeros(shape, np.int16)
    order = np.argsort(time, kind="stable")
    time, x, y, p = time[order], x[order], y[order], p[order]
    for trial, own in enumerate(edges):
        first, last = np.searchsorted(time, own[[0, -1]])
        some = slice(first, last)
        bins = np.searchsorted(own, time[some], side="right") - 1
        np.add.at(frames[trial], (bins, y[some], x[some], p[some]), 1)
    return xr.DataArray(
        frames, dims=("trial", "time", "y", "x", "polarity"), coords={"polarity": polarity}, name=name
    )
