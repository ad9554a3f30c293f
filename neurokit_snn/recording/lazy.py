"""Spike times read as they are needed, from memory or from a file larger than memory.

The runs of the units stand one after another in the file, so a stretch of time is one short range of rows per
unit. One pass over the file finds these ranges for every block of bins (`row_index`); from then on a block
reads its own rows only. Nothing here holds more than `MOST_ROWS` spikes beside the block that is filled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurokit_snn._extras import require
from neurokit_snn.errors import RecordingError
from neurokit_snn.recording._kernels import count_spikes, mark_observed
from neurokit_snn.recording.grid import SLACK, Grid
from neurokit_snn.recording.resample import continuous, on_columns

__all__ = ["Observed", "Spikes", "block_length", "blocks_of", "count", "fluorescence", "mask"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

MOST_ROWS = 1 << 22  # spikes read at a time, 32 MB
NEAR_ROWS = 1 << 15  # ranges closer than this are read in one go


class Spikes:
    """The spike times of a recording: in memory, in a file, or dask's.

    Parameters
    ----------
    node
        The node ``/spikes``.

    Raises
    ------
    RecordingError
        When ``row_size`` does not add up to the number of spikes.
    """

    # Deliberately neither a dataclass nor a mapping: dask would look inside and load the array.
    def __init__(self, node: xr.Dataset) -> None:
        sizes = node["row_size"].values.astype(np.int64)
        self.time = node["time"].variable
        if (sizes < 0).any() or sizes.sum() != self.time.size:
            raise RecordingError(
                f"/spikes: row_size adds up to {sizes.sum()} but time holds {self.time.size} spikes; "
                "build the recording with recording.build, or see recording.problems(tree)"
            )
        self.stop: Ints = np.cumsum(sizes)
        self.start: Ints = self.stop - sizes

    def read(self, start: Ints, stop: Ints) -> Iterator[tuple[Floats, Ints, Ints]]:
        """Yield ``(times, first, last)`` until the rows ``start[u]:stop[u]`` of every unit have been passed.

        ``times[first[u]:last[u]]`` are spikes of unit ``u``; what is in memory comes as views. Whether the
        times lie in memory or in a file matters nowhere else.
        """
        for low, high in _reads(start, stop):
            # One range after the other in this thread: dask's own scheduler would hold many at once.
            piece = self.time[low:high].compute(scheduler="synchronous").values
            first, last = (np.clip(bound, low, high) - low for bound in (start, stop))
            yield np.ascontiguousarray(piece, np.float64), first, last

    def row_index(self, edges: Floats) -> Ints:
        """Return ``(unit, edge)``, each unit's first row at or after each edge, in one pass of the times."""
        index = np.repeat(self.start[:, None], edges.size, axis=1)
        for times, first, last in self.read(self.start, self.stop):
            for unit in np.flatnonzero(last > first):
                index[unit] += np.searchsorted(times[first[unit] : last[unit]], edges)
        return index


def _reads(start: Ints, stop: Ints) -> Iterator[tuple[int, int]]:
    """Join ranges that lie near each other into reads of at most `MOST_ROWS`; long ones are cut."""
    full = stop > start
    low: int | None = None
    high = 0
    for begin, end in zip(start[full].tolist(), stop[full].tolist(), strict=True):
        if low is not None and (begin - high > NEAR_ROWS or end - low > MOST_ROWS):
            yield low, high
            low = None
        low, high = (begin, end) if low is None else (low, end)
        while high - low > MOST_ROWS:
            yield low, low + MOST_ROWS
            low += MOST_ROWS
    if low is not None and high > low:
        yield low, high


class Observed:
    """Observation intervals per unit, ready for the kernel.

    Parameters
    ----------
    intervals
        Ragged ``start``, ``stop`` (interval,) and ``row_size`` (unit,) on the session clock, disjoint and
        sorted within a unit.
    """

    def __init__(self, intervals: xr.Dataset) -> None:
        sizes = intervals["row_size"].values.astype(np.int64)
        last = np.cumsum(sizes)
        self.n_units = sizes.size
        self._rows = (last - sizes, last)
        self._start = intervals["start"].values.astype(np.float64)
        self._stop = intervals["stop"].values.astype(np.float64)

    def mask(self, grid: Grid) -> NDArray[np.bool_]:
        """Return ``(trial, time, unit)``: whether the unit was observed during the whole bin."""
        out = np.zeros((grid.origin.size, grid.n_bins, self.n_units), bool)
        if grid.n_bins:
            mark_observed(
                self._start, self._stop, *self._rows, grid=grid, slack=SLACK * grid.bin_width, out=out
            )
        return out


def mask(observed: Observed | None, grid: Grid, n_units: int) -> NDArray[np.bool_]:
    """Return ``(trial, time, unit)``: which bins are whole inside the trial and the unit's observation.

    Where units were always observed the array is a read-only view of one column, as `xarray.broadcast` makes
    them: the mask of an hour of 500 units at 5 ms would take 360 MB to say the same thing 500 times.
    """
    exists = grid.exists[:, :, None]
    if observed is None:
        return np.broadcast_to(exists, (*exists.shape[:2], n_units))
    inside = observed.mask(grid)
    inside &= exists
    return inside


def count(
    spikes: Spikes, grid: Grid, observed: Observed | None, *, rows: Ints | None = None, parallel: bool = True
) -> NDArray[np.int32]:
    """Return the counts ``(trial, time, unit)``, 0 where the mask is False.

    Parameters
    ----------
    spikes, grid, observed
        What to count where.
    rows
        ``(unit, 2)`` rows of each unit that can lie in the grid; None for all.
    parallel
        Whether to use several threads.
    """
    start, stop = (spikes.start, spikes.stop) if rows is None else (rows[:, 0], rows[:, 1])
    out = np.zeros((grid.origin.size, grid.n_bins, start.size), np.int32)
    for times, first, last in spikes.read(np.ascontiguousarray(start), np.ascontiguousarray(stop)):
        count_spikes(times, first, last, grid=grid, out=out, parallel=parallel)
    if observed is not None:
        out *= observed.mask(grid)
    return out


def block_length(chunks: Mapping[str, int], n_bins: int) -> int:
    """Return the bins per block of ``chunks={"time": n}``, or raise `RecordingError`."""
    n = chunks.get("time") if isinstance(chunks, Mapping) else None
    if set(chunks) != {"time"} or not isinstance(n, int | np.integer) or n < 1:
        raise RecordingError(f"chunks is {chunks!r}; give bins per block, as in chunks={{'time': 100_000}}")
    return min(int(n), max(n_bins, 1))


def blocks_of(spikes: Spikes, grid: Grid, observed: Observed | None, *, length: int) -> tuple[Any, Any]:
    """Return lazy counts and mask, dask arrays of ``length`` bins a block, equal to `count` and `mask`.

    Parameters
    ----------
    spikes, grid, observed
        As for `count`; the grid has one trial.
    length
        Bins per block.
    """
    bounds = [*range(0, grid.n_bins, length), grid.n_bins]
    index = spikes.row_index(grid.edges[0, bounds])
    pairs = list(pairwise(bounds))
    n_units = spikes.start.size

    def one_count(i: int) -> NDArray[np.int32]:
        return count(spikes, grid.block(*pairs[i]), observed, rows=index[:, i : i + 2], parallel=False)

    def one_mask(i: int) -> NDArray[np.bool_]:
        return mask(observed, grid.block(*pairs[i]), n_units)

    shapes = [(1, end - begin, n_units) for begin, end in pairs]
    return _stack(one_count, shapes, np.int32), _stack(one_mask, shapes, np.bool_)


def fluorescence(
    node: xr.Dataset, grid: Grid, observed: Observed | None, *, max_gap: float, length: int | None = None
) -> tuple[Any, Any]:
    """Return fluorescence on bins and its mask, ``(trial, time, unit)``; dask arrays if ``length`` is given.

    Parameters
    ----------
    node
        The node ``/calcium``.
    grid, observed
        Bins and observation intervals.
    max_gap
        Longest gap that is filled, seconds.
    length
        Bins per block, or None for all at once.
    """
    time = node["time"].values.astype(np.float64)
    values = node["fluorescence"].transpose("time", "unit").variable

    def on_grid(part: Grid) -> tuple[NDArray, NDArray]:
        edges = part.edges
        near = (edges.min(initial=np.inf) - max_gap, edges.max(initial=-np.inf) + max_gap)
        low, high = np.searchsorted(time, near[0]), np.searchsorted(time, near[1], side="right")
        piece = values[low:high].compute(scheduler="synchronous").values.astype(np.float64)
        out, valid = on_columns(continuous, time[low:high], piece, edges, max_gap=max_gap)
        valid = valid & mask(observed, part, piece.shape[1])
        return np.where(valid, out, np.nan), valid

    if length is None:
        return on_grid(grid)
    pairs = [(b, min(b + length, grid.n_bins)) for b in range(0, grid.n_bins, length)]
    shapes = [(1, end - begin, values.shape[1]) for begin, end in pairs]
    value = _stack(lambda i: on_grid(grid.block(*pairs[i]))[0], shapes, np.float64)
    valid = _stack(lambda i: on_grid(grid.block(*pairs[i]))[1], shapes, np.bool_)
    return value, valid


def _stack(make: Any, shapes: list[tuple[int, int, int]], dtype: Any) -> Any:
    """Return a dask array whose blocks along time are ``make(0), make(1), ...``."""
    array = require("dask.array", extra="dask")
    delayed = require("dask", extra="dask").delayed
    task = delayed(make, pure=False)
    parts = [array.from_delayed(task(i), shape, dtype=dtype) for i, shape in enumerate(shapes)]
    return array.concatenate(parts, axis=1)
