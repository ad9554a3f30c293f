"""The loops over spikes, compiled by numba on first use.

Every kernel releases the GIL, and `count_spikes` spreads disjoint pieces of the output over Python threads.
That is used in place of numba's own parallel loops because those share one thread pool per process, which
some platforms abort when two threads (of dask, say) enter it, or when the process forks.

A `Grid` reaches the compiled loops as arrays: bin ``k`` of trial ``i`` begins at ``origin[i] +
offsets[first[i] + k]`` and ends where bin ``k + 1`` begins. The offsets are computed once, by numpy, so that
every kernel compares with the very same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurokit_snn.recording.grid import Grid

__all__ = ["count_spikes", "mark_observed"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BYTES_PER_BLOCK = 1 << 18  # output that stays in the second-level cache while all units pass over it
SLAB_BINS = 1 << 15  # bins of one trial that a thread takes at a time
SLABS_PER_CALL = 64


def _count(
    times: Floats,
    first_row: Ints,
    last_row: Ints,
    origin: Floats,
    first: Ints,
    offsets: Floats,
    slabs: Ints,  # (slab, 3): trial, first bin, one past the last bin
    block: int,
    out: NDArray[np.int32],  # (trial, time, unit), added to
) -> None:
    n_units = first_row.size
    pointer = np.empty(n_units, np.int64)
    per_second = 1.0 / (offsets[1] - offsets[0])
    for s in range(slabs.shape[0]):
        trial, begin, end = slabs[s, 0], slabs[s, 1], slabs[s, 2]
        zero, shift = origin[trial], first[trial]
        left = zero + offsets[shift + begin]
        for unit in range(n_units):
            low, high = first_row[unit], last_row[unit]
            while low < high:
                middle = (low + high) // 2
                if times[middle] < left:
                    low = middle + 1
                else:
                    high = middle
            pointer[unit] = low
        for b0 in range(begin, end, block):
            b1 = min(b0 + block, end)
            left = zero + offsets[shift + b0]
            right = zero + offsets[shift + b1]
            for unit in range(n_units):
                row, stop = pointer[unit], last_row[unit]
                while row < stop and times[row] < right:
                    t = times[row]
                    k = min(b0 + int((t - left) * per_second), b1 - 1)
                    # The guess may be one off by rounding: only the edges themselves decide.
                    while k > b0 and t < zero + offsets[shift + k]:
                        k -= 1
                    while k + 1 < b1 and t >= zero + offsets[shift + k + 1]:
                        k += 1
                    out[trial, k, unit] += 1
                    row += 1
                pointer[unit] = row


def _mark(
    start: Floats,  # (interval,), of one unit after the other, disjoint and sorted within a unit
    stop: Floats,
    first_row: Ints,
    last_row: Ints,
    origin: Floats,
    first: Ints,
    offsets: Floats,
    slack: float,
    out: NDArray[np.bool_],  # (trial, time, unit), False where nothing is marked
) -> None:
    n_trials, n_bins, n_units = out.shape
    per_second = 1.0 / (offsets[1] - offsets[0])
    for trial in range(n_trials):
        zero, shift = origin[trial], first[trial]
        begin, end = zero + offsets[shift], zero + offsets[shift + n_bins]
        for unit in range(n_units):
            for row in range(first_row[unit], last_row[unit]):
                a, b = start[row] - slack, stop[row] + slack
                if b <= begin or a >= end:
                    continue
                low = 0
                if a > begin:
                    low = min(int((a - begin) * per_second), n_bins)
                while low > 0 and zero + offsets[shift + low - 1] >= a:
                    low -= 1
                while low < n_bins and zero + offsets[shift + low] < a:
                    low += 1
                k = low
                while k < n_bins and zero + offsets[shift + k + 1] <= b:
                    out[trial, k, unit] = True
                    k += 1


@cache
def _compiled(function: Callable[..., None]) -> Callable[..., None]:
    import numba

    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba found no folder to keep compiled code in (read-only installation and home)
        return numba.njit(nogil=True)(function)


def _threads() -> int:
    import numba

    return min(int(numba.config.NUMBA_NUM_THREADS), 8)


def _run(function: Callable[..., None], calls: Sequence[tuple[Any, ...]], threads: int) -> None:
    """Call ``function`` with each tuple of arguments, over ``threads`` threads."""
    if threads <= 1 or len(calls) <= 1:
        for arguments in calls:
            function(*arguments)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(function, *arguments) for arguments in calls]:
            future.result()


def _slabs(low: Ints, high: Ints) -> Ints:
    """Cut the bins ``low[i]:high[i]`` of each trial into pieces, rows of ``(trial, begin, end)``."""
    pieces = -(-np.maximum(high - low, 0) // SLAB_BINS)
    trial = np.repeat(np.arange(low.size), pieces)
    nth = np.arange(trial.size) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    begin = low[trial] + nth * SLAB_BINS
    return np.stack([trial, begin, np.minimum(begin + SLAB_BINS, high[trial])], axis=1).astype(np.int64)


def count_spikes(
    times: Floats,
    first_row: Ints,
    last_row: Ints,
    *,
    grid: Grid,
    out: NDArray[np.int32],
    parallel: bool = True,
) -> None:
    """Add the spikes of each unit to the bins that hold them.

    Parameters
    ----------
    times
        Spike times in seconds, sorted within each unit's rows.
    first_row, last_row
        ``(unit,)``: the rows ``first_row[u]:last_row[u]`` of ``times`` belong to unit ``u``.
    grid
        The bins; those that do not exist are left alone.
    out
        ``(trial, time, unit)`` int32, added to in place.
    parallel
        Whether to use several threads. False inside a dask task, which is one of several already.
    """
    slabs = _slabs(grid.low, grid.high)
    if not slabs.size or not times.size or not first_row.size:
        return
    block = max(8, BYTES_PER_BLOCK // (out.itemsize * first_row.size))
    threads = _threads() if parallel else 1
    per_call = max(1, min(SLABS_PER_CALL, -(-len(slabs) // (4 * threads)))) if threads > 1 else len(slabs)
    kernel = _compiled(_count)
    fixed = (times, first_row, last_row, grid.origin, grid.first, grid.offsets)
    calls = [(*fixed, slabs[i : i + per_call], block, out) for i in range(0, len(slabs), per_call)]
    _run(kernel, calls, threads)


def mark_observed(
    start: Floats,
    stop: Floats,
    first_row: Ints,
    last_row: Ints,
    *,
    grid: Grid,
    slack: float,
    out: NDArray[np.bool_],
) -> None:
    """Set ``out`` True for every bin that lies whole inside one of its unit's intervals.

    Parameters
    ----------
    start, stop
        ``(interval,)`` seconds, the intervals of one unit after those of another, disjoint within a unit.
    first_row, last_row
        ``(unit,)``: which rows of ``start`` and ``stop`` belong to each unit.
    grid
        The bins.
    slack
        Seconds by which an edge may lie outside, to forgive rounding.
    out
        ``(trial, time, unit)`` bool, False on entry where nothing is to be marked, changed in place.
    """
    rows = (start, stop, first_row, last_row)
    _compiled(_mark)(*rows, grid.origin, grid.first, grid.offsets, slack, out)
