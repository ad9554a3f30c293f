"""Where the bins of a binned dataset lie."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurokit_snn.errors import RecordingError

__all__ = [
    "SLACK",
    "Grid",
    "check_bin_width",
    "events_grid",
    "exact_bins",
    "intervals_grid",
    "whole_bins",
    "windows_grid",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Of a bin: by so much it may stick out of its trial, so that 0.3 s hold three bins of 0.1 s at any time.
SLACK = 1e-6


@dataclass(frozen=True, eq=False)
class Grid:
    """Bins of equal width in any number of trials.

    Bin ``k`` of trial ``i`` is ``[edge(i, k), edge(i, k + 1))`` with ``edge(i, k) = origin[i] +
    offsets[first[i] + k]``. The offsets are multiples of the width computed once, so that two trials that
    touch share the very same number as edge.

    Attributes
    ----------
    origin
        ``(trial,)`` seconds on the session clock.
    first
        ``(trial,)`` index into ``offsets`` of the first edge of each trial.
    offsets
        ``(edge,)`` seconds after the origin.
    n_bins
        Bins of the longest trial.
    low, high
        ``(trial,)``: bins ``low[i]:high[i]`` exist; the others only fill the array up.
    bin_width
        Seconds.
    """

    origin: Floats
    first: Ints
    offsets: Floats
    n_bins: int
    low: Ints
    high: Ints
    bin_width: float

    @property
    def time(self) -> Floats:
        """``(time,)`` centres of the bins, relative to the alignment."""
        return 0.5 * (self.offsets[: self.n_bins] + self.offsets[1 : self.n_bins + 1])

    @property
    def trial_start(self) -> Floats:
        """``(trial,)`` left edge of the first bin, existing or not."""
        return self.origin + self.offsets[self.first]

    @property
    def trial_stop(self) -> Floats:
        """``(trial,)`` right edge of the last bin that exists; the start where none does."""
        stop = self.origin + self.offsets[self.first + self.high]
        return np.where(self.high > self.low, stop, self.trial_start)

    @property
    def exists(self) -> NDArray[np.bool_]:
        """``(trial, time)`` whether the bin belongs to the trial."""
        k = np.arange(self.n_bins)
        return (k >= self.low[:, None]) & (k < self.high[:, None])

    @property
    def edges(self) -> Floats:
        """``(trial, time + 1)`` seconds on the session clock."""
        return self.origin[:, None] + self.offsets[self.first[:, None] + np.arange(self.n_bins + 1)]

    def block(self, begin: int, end: int) -> Grid:
        """Return the grid of the bins ``begin:end`` of every trial."""
        n = end - begin
        low, high = (np.clip(bound - begin, 0, n) for bound in (self.low, self.high))
        return replace(self, first=self.first + begin, n_bins=n, low=low, high=high)


def check_bin_width(bin_width: float) -> float:
    """Return the width as a float, or raise `RecordingError`."""
    width = float(bin_width)
    if not (np.isfinite(width) and width > 0):
        raise RecordingError(f"bin_width is {bin_width!r}; give seconds above 0, as in bin_width=0.02")
    return width


def whole_bins(duration: ArrayLike, bin_width: float) -> Ints:
    """Return how many whole bins fit into each duration (seconds)."""
    return np.maximum(np.floor(np.asarray(duration, np.float64) / bin_width + SLACK), 0).astype(np.int64)


def exact_bins(duration: float, bin_width: float, *, name: str, least: int = 1) -> int:
    """Return how many bins a duration lasts, or say that it is no whole number of them.

    Parameters
    ----------
    duration, bin_width
        Seconds.
    name
        What to call the duration in the message.
    least
        Fewest bins.

    Examples
    --------
    >>> exact_bins(0.3, 0.1, name="length")
    3
    """
    n_bins = int(whole_bins(duration, bin_width)) if np.isfinite(duration) else -1
    if n_bins < least or abs(duration / bin_width - n_bins) > 1e-3:
        raise RecordingError(
            f"{name} is {duration!r} s, which is no whole number of bins of {bin_width} s; "
            f"give a multiple of bin_width, {least} or more of them"
        )
    return n_bins


def _multiples(n: int, bin_width: float) -> Floats:
    """Return the edges of ``n`` bins that begin at 0."""
    edges: Floats = np.arange(n + 1) * np.float64(bin_width)
    return edges


def intervals_grid(start: ArrayLike, stop: ArrayLike, bin_width: float) -> Grid:
    """Return the grid of intervals that each begin a count of their own; the last partial bin is left out.

    Parameters
    ----------
    start, stop
        ``(trial,)`` seconds.
    bin_width
        Seconds.

    Examples
    --------
    >>> intervals_grid([0.0, 5.0], [0.3, 5.5], 0.1).high
    array([3, 5])
    """
    origin = np.atleast_1d(np.asarray(start, np.float64))
    high = whole_bins(np.atleast_1d(np.asarray(stop, np.float64)) - origin, bin_width)
    n_bins = int(high.max(initial=0))
    zero = np.zeros(origin.size, np.int64)
    return Grid(origin, zero, _multiples(n_bins, bin_width), n_bins, zero, high, bin_width)


def windows_grid(start: ArrayLike, stop: ArrayLike, bin_width: float, bins_per_window: int) -> Grid:
    """Return the grid of as many consecutive windows as fit into each interval.

    All windows of an interval lie on one series of edges, so that binning by windows loses and doubles no
    spike.

    Parameters
    ----------
    start, stop
        ``(interval,)`` seconds.
    bin_width
        Seconds.
    bins_per_window
        Bins of each window.

    Examples
    --------
    >>> windows_grid([0.0], [1.0], 0.1, 3).trial_start
    array([0. , 0.3, 0.6])
    """
    begin = np.atleast_1d(np.asarray(start, np.float64))
    fits = whole_bins(np.atleast_1d(np.asarray(stop, np.float64)) - begin, bin_width) // bins_per_window
    nth = np.arange(fits.sum()) - np.repeat(np.cumsum(fits) - fits, fits)
    n_edges = int(fits.max(initial=1)) * bins_per_window
    high = np.full(nth.size, bins_per_window, np.int64)
    return Grid(
        origin=np.repeat(begin, fits),
        first=nth * bins_per_window,
        offsets=_multiples(n_edges, bin_width),
        n_bins=bins_per_window,
        low=np.zeros(nth.size, np.int64),
        high=high,
        bin_width=bin_width,
    )


def events_grid(
    times: ArrayLike, window: tuple[float, float], bin_width: float, span: tuple[float, float]
) -> Grid:
    """Return the grid of equal windows around events, whose edges are counted from the event itself.

    Parameters
    ----------
    times
        ``(event,)`` seconds, in any order; windows may overlap.
    window
        First edge and end relative to the event, seconds.
    bin_width
        Seconds.
    span
        First and last instant of the recording; bins outside do not exist.

    Examples
    --------
    >>> grid = events_grid([2.0], (-0.5, 0.5), 0.25, (1.6, 9.0))
    >>> grid.time, grid.low
    (array([-0.375, -0.125,  0.125,  0.375]), array([1]))
    """
    origin = np.atleast_1d(np.asarray(times, np.float64))
    n_bins = int(whole_bins(window[1] - window[0], bin_width))
    offsets: Floats = window[0] + _multiples(n_bins, bin_width)
    # A spike at the instant of the event belongs to the bin that begins there.
    offsets[np.abs(offsets) < SLACK * bin_width] = 0.0
    grid = Grid(
        origin,
        np.zeros(origin.size, np.int64),
        offsets,
        n_bins,
        np.zeros(origin.size, np.int64),
        np.full(origin.size, n_bins, np.int64),
        bin_width,
    )
    edges, slack = grid.edges, SLACK * bin_width
    low = (edges[:, :-1] < span[0] - slack).sum(axis=1)
    high = (edges[:, 1:] <= span[1] + slack).sum(axis=1)
    return replace(grid, low=low, high=high)
