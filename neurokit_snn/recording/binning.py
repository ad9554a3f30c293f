"""From a recording to binned data: counts, masks, behaviour, stimulus and fluorescence on one set of bins.

The functions here, and `align` in its own module, say where the bins lie; `assemble.binned` fills them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurokit_snn.errors import RecordingError
from neurokit_snn.recording.assemble import Which, binned, node_at, on_session_clock, trial_columns
from neurokit_snn.recording.grid import check_bin_width, exact_bins, intervals_grid, windows_grid
from neurokit_snn.recording.observation import span

__all__ = ["bin", "bin_trials", "windows"]

Floats = NDArray[np.float64]


def bin(
    tree: xr.DataTree,
    bin_width: float,
    *,
    start: float | None = None,
    stop: float | None = None,
    behavior: Which = True,
    stimulus: Which = False,
    calcium: bool = True,
    max_gap: float | None = None,
    chunks: Mapping[str, int] | None = None,
) -> xr.Dataset:
    """Bin a whole session, or one stretch of it, as a single trial.

    Bin ``k`` is ``[start + k * bin_width, start + (k + 1) * bin_width)``: half open, compared exactly. A last
    bin that does not fit whole is left out.

    Parameters
    ----------
    tree
        A recording. Nodes on other clocks are brought to the session clock first.
    bin_width
        Seconds.
    start, stop
        Seconds on the session clock; None for the ends of the recording.
    behavior, stimulus
        True for all, False for none, or names. Of the stimuli, True means those made of frames.
    calcium
        Whether to resample ``/calcium`` where there is one.
    max_gap
        Longest gap between two samples of a behaviour that is filled, in seconds; None for 3 bins or 3 median
        sampling steps, whichever is longer.
    chunks
        ``{"time": n}`` makes counts, their mask and fluorescence dask arrays of n bins a block, equal to the
        eager ones. Of a recording that was opened lazily the spike times are then read once to find the rows
        of each block, and again when the block is computed; never are they all in memory.

    Returns
    -------
    Dataset
        Binned data, dims ``(trial, time, unit)`` with one trial, layout ``"session"``. ``time`` counts from
        ``trial_start``.

    Raises
    ------
    RecordingError
        When no whole bin fits, or a behaviour or stimulus is unknown.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> tree = recording.build(spikes={"a": [0.1, 0.2, 0.95], "b": [0.5]})
    >>> recording.bin(tree, 0.5, start=0.0, stop=1.0)["counts"].values[0]
    array([[2, 0],
           [1, 1]], dtype=int32)
    """
    width = check_bin_width(bin_width)
    tree = on_session_clock(tree)
    begin, end = _bounds(tree, start, stop)
    grid = intervals_grid([begin], [end], width)
    if not grid.n_bins:
        raise RecordingError(
            f"no bin of {width} s fits between {begin} and {end} s; give a smaller bin_width"
        )
    return binned(
        tree,
        grid,
        layout="session",
        behavior=behavior,
        stimulus=stimulus,
        calcium=calcium,
        max_gap=max_gap,
        chunks=chunks,
    )


def windows(
    tree: xr.DataTree,
    bin_width: float,
    *,
    length: float,
    start: float | None = None,
    stop: float | None = None,
    epoch: str | None = None,
    behavior: Which = True,
    stimulus: Which = False,
    calcium: bool = True,
    max_gap: float | None = None,
) -> xr.Dataset:
    """Cut a continuous session into equal consecutive windows.

    Parameters
    ----------
    tree, bin_width, start, stop, behavior, stimulus, calcium, max_gap
        As for `bin`.
    length
        Seconds of a window, a whole number of bins.
    epoch
        Name of a node of ``/epochs``: windows then lie within its intervals (those that touch or overlap are
        joined).

    Returns
    -------
    Dataset
        Binned data with one trial per window, layout ``"windows"``. What is left at the end of an interval is
        left out.

    Raises
    ------
    RecordingError
        When the length is no whole number of bins, no window fits, or the epoch is unknown.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> tree = recording.build(spikes={"a": [0.1, 0.2, 0.95]})
    >>> recording.windows(tree, 0.25, length=0.5, start=0.0, stop=1.0)["counts"].values[..., 0]
    array([[2, 0],
           [0, 1]], dtype=int32)
    """
    width = check_bin_width(bin_width)
    n_bins = exact_bins(length, width, name="length")
    tree = on_session_clock(tree)
    begin, end = _bounds(tree, start, stop)
    starts, stops = np.array([begin]), np.array([end])
    if epoch is not None:
        intervals = node_at(tree, f"epochs/{epoch}")
        starts, stops = _joined(intervals["start"].values, intervals["stop"].values)
        starts, stops = np.clip(starts, begin, end), np.clip(stops, begin, end)
    grid = windows_grid(starts, stops, width, n_bins)
    if not grid.origin.size:
        raise RecordingError(
            f"no window of {length} s fits between {begin} and {end} s; give a smaller length"
        )
    return binned(
        tree,
        grid,
        layout="windows",
        behavior=behavior,
        stimulus=stimulus,
        calcium=calcium,
        max_gap=max_gap,
    )


def bin_trials(
    tree: xr.DataTree,
    bin_width: float,
    *,
    trials: str | xr.Dataset = "trials",
    behavior: Which = True,
    stimulus: Which = False,
    calcium: bool = True,
    max_gap: float | None = None,
) -> xr.Dataset:
    """Bin trials of any lengths; the shorter ones are filled up and masked.

    Parameters
    ----------
    tree, bin_width, behavior, stimulus, calcium, max_gap
        As for `bin`.
    trials
        ``"trials"``, ``"epochs/NAME"``, or a Dataset with ``start`` and ``stop`` in session seconds (as from
        `laps`). They may overlap. Other columns become coordinates of ``trial``.

    Returns
    -------
    Dataset
        Binned data, layout ``"trials"``, as many bins as the longest trial has. A trial shorter than a bin
        stays, all masked.

    Raises
    ------
    RecordingError
        When there are no such trials, a time is not finite, a trial ends before it starts, or none holds a
        whole bin.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> tree = recording.build(
    ...     spikes={"a": [0.1, 0.2, 1.4]}, trials={"start": [0.0, 1.0], "stop": [1.0, 1.5], "cue": ["l", "r"]}
    ... )
    >>> data = recording.bin_trials(tree, 0.5)
    >>> data["counts"].values[..., 0], data["mask"].values[..., 0]
    (array([[2, 0],
           [1, 0]], dtype=int32), array([[ True,  True],
           [ True, False]]))
    """
    width = check_bin_width(bin_width)
    tree = on_session_clock(tree)
    table = node_at(tree, trials) if isinstance(trials, str) else trials
    name = trials if isinstance(trials, str) else "trials"
    start, stop = _checked_intervals(table, name)
    grid = intervals_grid(start, stop, width)
    if not grid.n_bins:
        longest = float((stop - start).max(initial=0.0))
        raise RecordingError(
            f"{name}: no trial holds a bin of {width} s, the longest of {start.size} lasts {longest:.6g} s; "
            "give a smaller bin_width"
        )
    return binned(
        tree,
        grid,
        layout="trials",
        coords=trial_columns(table, str(table["start"].dims[0]), drop=("start", "stop")),
        behavior=behavior,
        stimulus=stimulus,
        calcium=calcium,
        max_gap=max_gap,
    )


def _bounds(tree: xr.DataTree, start: float | None, stop: float | None) -> tuple[float, float]:
    """Return start and stop in session seconds, the ends of the recording for None."""
    ends = span(tree) if start is None or stop is None else (0.0, 0.0)
    begin, end = (float(ends[i] if given is None else given) for i, given in enumerate((start, stop)))
    if not (np.isfinite(begin) and np.isfinite(end) and begin <= end):
        raise RecordingError(
            f"start={begin} and stop={end} are no stretch of time; give seconds with start <= stop"
        )
    return begin, end


def _joined(start: Floats, stop: Floats) -> tuple[Floats, Floats]:
    """Join intervals that touch or overlap, so that no window is cut twice from the same time."""
    order = np.argsort(start, kind="stable")
    start, stop = start[order], np.maximum.accumulate(stop[order])
    new = np.ones(start.size, bool)
    new[1:] = start[1:] > stop[:-1]
    last = np.append(new[1:], True)[: start.size]
    return start[new], stop[last]


def _checked_intervals(table: xr.Dataset, name: str) -> tuple[Floats, Floats]:
    """Return start and stop of a table, or say which row is no interval."""
    for column in ("start", "stop"):
        if column not in table or table[column].ndim != 1:
            raise RecordingError(
                f"{name}: has no column {column}; give a Dataset with start and stop along one dimension"
            )
    start, stop = (table[column].values.astype(np.float64) for column in ("start", "stop"))
    wrong = ~(np.isfinite(start) & np.isfinite(stop) & (start <= stop))
    if wrong.any():
        i = int(np.flatnonzero(wrong)[0])
        raise RecordingError(
            f"{name}: row {i} has start={start[i]}, stop={stop[i]}; drop it or give start <= stop"
        )
    return start, stop
