"""Activity around events."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from neurokit_snn.errors import RecordingError
from neurokit_snn.recording.assemble import Which, binned, node_at, on_session_clock, trial_columns
from neurokit_snn.recording.grid import check_bin_width, events_grid, whole_bins
from neurokit_snn.recording.observation import span

__all__ = ["align"]


def align(
    tree: xr.DataTree,
    bin_width: float,
    *,
    to: str | ArrayLike,
    window: tuple[float, float] = (-1.0, 2.0),
    behavior: Which = True,
    stimulus: Which = False,
    calcium: bool = True,
    max_gap: float | None = None,
) -> xr.Dataset:
    """Bin a window around each event; windows may overlap.

    Edges are counted from the event: bin ``k`` is ``[event + window[0] + k * bin_width, ...)``, so a spike at
    the very instant of the event belongs to the bin that begins at 0.

    Parameters
    ----------
    tree, bin_width, behavior, stimulus, calcium, max_gap
        As for `bin`.
    to
        ``"events/NAME"``; ``"trials/COLUMN"``, a column of times such as ``"trials/start"``, whose missing
        times (NaN) leave their trial out; or times in session seconds, in any order.
    window
        Where the window begins and ends relative to the event, seconds.

    Returns
    -------
    Dataset
        Binned data with one trial per event, layout ``"events"``; ``time`` is relative to the event.
        Coordinate ``event_time`` and the columns of the events or trials stand along ``trial``. Bins beyond
        the ends of the recording are masked.

    Raises
    ------
    RecordingError
        When there is no such node or column, no event, a time is not finite, or no whole bin fits into the
        window.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> tree = recording.build(spikes={"a": [0.1, 1.0, 1.2, 3.0]}, events={"lick": [1.0, 1.1]})
    >>> data = recording.align(tree, 0.25, to="events/lick", window=(-0.25, 0.25))
    >>> data["counts"].values[..., 0]
    array([[0, 2],
           [1, 1]], dtype=int32)
    """
    width = check_bin_width(bin_width)
    before, after = _window(window, width)
    tree = on_session_clock(tree)
    times, columns = _events(tree, to)
    columns["event_time"] = ("trial", times, {"units": "s"})
    return binned(
        tree,
        events_grid(times, (before, after), width, span(tree)),
        layout="events",
        coords=columns,
        behavior=behavior,
        stimulus=stimulus,
        calcium=calcium,
        max_gap=max_gap,
    )


def _window(window: tuple[float, float], bin_width: float) -> tuple[float, float]:
    try:
        before, after = (float(edge) for edge in window)
    except (TypeError, ValueError):
        before = after = np.nan
    if not (np.isfinite(before) and np.isfinite(after) and whole_bins(after - before, bin_width) > 0):
        raise RecordingError(
            f"window is {window!r}, which holds no bin of {bin_width} s; give seconds around the event, "
            "as in (-1.0, 2.0)"
        )
    return before, after


def _events(tree: xr.DataTree, to: str | ArrayLike) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Return the times to align to and the columns that go with them."""
    if not isinstance(to, str):
        times = np.asarray(to, np.float64)
        if times.ndim != 1:
            raise RecordingError(f"to has shape {times.shape}; give one time per event, in seconds")
        _check_finite(times, "to")
        columns: dict[str, Any] = {}
    elif to.startswith("events/"):
        table = node_at(tree, to)
        times = table["time"].values.astype(np.float64)
        _check_finite(times, to)
        columns = trial_columns(table, "event", drop=("time",))
    elif to.startswith("trials/"):
        table, name = node_at(tree, "trials"), to.removeprefix("trials/")
        there = [
            str(c)
            for c, column in table.variables.items()
            if column.dims == ("trial",) and column.dtype.kind in "iuf"
        ]
        if name not in there:
            raise RecordingError(
                f"to is {to!r}; the columns of /trials that can be times are: {', '.join(there) or 'none'}"
            )
        table = table.isel(trial=np.isfinite(table[name].values.astype(np.float64)))
        times = table[name].values.astype(np.float64)
        columns = trial_columns(table, "trial", drop=("start", "stop"))
    else:
        raise RecordingError(
            f"to is {to!r}; give 'events/NAME', 'trials/COLUMN' or an array of times in seconds"
        )
    if not times.size:
        raise RecordingError(f"{to if isinstance(to, str) else 'to'}: there is no event to align to")
    return times, columns


def _check_finite(times: NDArray[np.float64], name: str) -> None:
    if not np.isfinite(times).all():
        i = int(np.flatnonzero(~np.isfinite(times))[0])
        raise RecordingError(f"{name}: time {i} is {times[i]}; leave it out")
