"""Sampled variables (behaviour, fluorescence, frames) brought onto bins.

One rule for all kinds: a bin that holds samples takes their average (mean, circular mean, most frequent); a
bin that holds none lies between two samples and takes what lies between them (linear, along the shorter arc,
the nearer one), unless the two are further apart than ``max_gap``; then it is missing. Nothing is ever
extrapolated.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurokit_snn.errors import RecordingError

__all__ = ["behavior_on_bins", "categorical", "circular", "continuous", "default_gap", "frames", "on_columns"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

GAP_SAMPLES = 3.0
DEGREES = {"deg", "degs", "degree", "degrees", "°"}


def default_gap(time: Floats, bin_width: float) -> float:
    """Return the longest gap that is filled, seconds: 3 bins or 3 median sampling steps if that is longer.

    Examples
    --------
    >>> default_gap(np.array([0.0, 0.1, 0.2, 5.0]), 0.02)
    0.3
    """
    step = float(np.median(np.diff(time))) if time.size > 1 else 0.0
    return max(GAP_SAMPLES * bin_width, GAP_SAMPLES * step)


def _rows(time: Floats, edges: Floats) -> tuple[Ints, Ints]:
    """Return, per bin, the first sample inside and one past the last."""
    at = np.searchsorted(time, edges, side="left")
    return at[..., :-1], at[..., 1:]


def _sums(values: NDArray, low: Ints, high: Ints) -> NDArray:
    """Sum ``values[low:high]`` for each bin; ``values`` (sample, column), result (*low.shape, column)."""
    ends = np.stack([low.ravel(), high.ravel()], axis=1).ravel()
    # reduceat needs valid rows as bounds, and one past the last sample is one.
    padded = np.concatenate([values, np.zeros((1, values.shape[1]), values.dtype)])
    sums = np.add.reduceat(padded, ends, axis=0)[::2]
    sums[(low >= high).ravel()] = 0
    return sums.reshape(*low.shape, values.shape[1])


def _between(
    time: Floats, edges: Floats, low: Ints, high: Ints, max_gap: float
) -> tuple[Bools, Bools, Ints, Floats]:
    """Return which bins hold samples, which can be filled, for those the next sample and how far it is."""
    holds = high > low
    after = np.clip(low, 1, max(time.size - 1, 1))
    if time.size < 2:
        return holds, np.zeros_like(holds), np.zeros(0, np.int64), np.zeros(0)
    step = time[after] - time[after - 1]
    fills = ~holds & (low > 0) & (low < time.size) & (step <= max_gap)
    centre = 0.5 * (edges[..., :-1] + edges[..., 1:])[fills]
    after = after[fills]
    return holds, fills, after, (centre - time[after - 1]) / step[fills]


def continuous(time: Floats, value: Floats, edges: Floats, *, max_gap: float) -> tuple[Floats, Bools]:
    """Average samples in bins; interpolate linearly at the centre of bins without any.

    Parameters
    ----------
    time
        ``(sample,)`` seconds, increasing.
    value
        ``(sample, column)`` finite numbers.
    edges
        ``(trial, time + 1)`` seconds.
    max_gap
        Longest distance in seconds of two samples between which to interpolate.

    Returns
    -------
    value, valid
        ``(trial, time, column)``, NaN where missing, and ``(trial, time)``.

    Examples
    --------
    >>> time, value = np.array([0.1, 0.2, 1.5]), np.array([[1.0], [3.0], [5.0]])
    >>> value, valid = continuous(time, value, np.array([[0.0, 0.5, 1.0, 1.5]]), max_gap=2.0)
    >>> value[0, :, 0].round(3), valid[0]
    (array([2.   , 3.846, 4.615]), array([ True,  True,  True]))
    """
    low, high = _rows(time, edges)
    holds, fills, after, way = _between(time, edges, low, high, max_gap)
    out = np.full((*low.shape, value.shape[1]), np.nan)
    out[holds] = _sums(value, low, high)[holds] / (high - low)[holds][:, None]
    before = value[after - 1]
    out[fills] = before + way[:, None] * (value[after] - before)
    return out, holds | fills


def circular(
    time: Floats, value: Floats, edges: Floats, *, max_gap: float, period: float = 2 * np.pi
) -> tuple[Floats, Bools]:
    """Take the circular mean of samples in bins; go along the shorter arc in bins without any.

    Parameters
    ----------
    time, value, edges, max_gap
        As for `continuous`.
    period
        What makes a full turn, in the units of the values. The result lies in ``[0, period)`` where no sample
        is negative, else in ``[-period / 2, period / 2)``.

    Examples
    --------
    >>> time, value = np.array([0.1, 0.2]), np.array([[350.0], [30.0]])
    >>> value, _ = circular(time, value, np.array([[0.0, 1.0]]), max_gap=1.0, period=360.0)
    >>> value.round(6).item()
    10.0
    """
    low, high = _rows(time, edges)
    holds, fills, after, way = _between(time, edges, low, high, max_gap)
    angle = value * (2 * np.pi / period)
    out = np.full((*low.shape, value.shape[1]), np.nan)
    north, east = _sums(np.cos(angle), low, high), _sums(np.sin(angle), low, high)
    out[holds] = np.arctan2(east, north)[holds]
    arc = np.angle(np.exp(1j * (angle[after] - angle[after - 1])))
    out[fills] = angle[after - 1] + way[:, None] * arc
    out *= period / (2 * np.pi)
    lowest = 0.0 if (value >= 0).all() else -0.5 * period
    out = (out - lowest) % period + lowest
    # The remainder of a number just below zero rounds up to the period itself.
    return np.where(out >= lowest + period, lowest, out), holds | fills


def categorical(time: Floats, value: Floats, edges: Floats, *, max_gap: float) -> tuple[Floats, Bools]:
    """Take the most frequent sample in bins (the smallest of equals), the nearer neighbour if there is none.

    Parameters
    ----------
    time, value, edges, max_gap
        As for `continuous`.

    Examples
    --------
    >>> value, _ = categorical(
    ...     np.array([0.1, 0.2, 0.3]), np.array([[2.0], [1.0], [2.0]]), np.array([[0.0, 1.0]]), max_gap=1.0
    ... )
    >>> value.item()
    2.0
    """
    low, high = _rows(time, edges)
    holds, fills, after, way = _between(time, edges, low, high, max_gap)
    out = np.full((*low.shape, value.shape[1]), np.nan)
    most = np.zeros((*low.shape, value.shape[1]), np.int64)
    for category in np.unique(value):
        n = _sums((value == category).astype(np.int64), low, high)
        better = n > most
        out[better] = category
        most = np.maximum(most, n)
    out[fills] = value[np.where(way < 0.5, after - 1, after)]
    return out, holds | fills


def on_columns(
    rule: Callable[..., tuple[Floats, Bools]], time: Floats, value: Floats, edges: Floats, *, max_gap: float
) -> tuple[Floats, Bools]:
    """Apply a rule to ``(sample, column)`` values with NaN, each column by its own finite samples.

    Returns
    -------
    value, valid
        Both ``(trial, time, column)``.

    Examples
    --------
    >>> time, value = np.array([0.1, 0.6]), np.array([[1.0, np.nan], [2.0, 4.0]])
    >>> on_columns(continuous, time, value, np.array([[0.0, 0.5, 1.0]]), max_gap=1.0)[1]
    array([[[ True, False],
            [ True,  True]]])
    """
    shape = (edges.shape[0], edges.shape[1] - 1, value.shape[1])
    if not value.shape[1]:
        return np.empty(shape), np.empty(shape, bool)
    finite = np.isfinite(value)
    if (finite == finite[:, :1]).all():  # all columns miss the same samples: one pass over them
        keep = finite[:, 0]
        if not keep.all():
            time, value = time[keep], value[keep]
        out, valid = rule(time, value, edges, max_gap=max_gap)
        return out, np.broadcast_to(valid[..., None], shape)
    out, valid = np.empty(shape), np.empty(shape, bool)
    for column in range(value.shape[1]):
        keep = finite[:, column]
        one, fine = rule(time[keep], value[keep, column : column + 1], edges, max_gap=max_gap)
        out[..., column], valid[..., column] = one[..., 0], fine
    return out, valid


def _rule(attrs: dict, name: str) -> Callable[..., tuple[Floats, Bools]]:
    kind = attrs.get("kind", "continuous")
    if kind == "continuous":
        return continuous
    if kind == "categorical":
        return categorical
    if kind == "circular":
        period = 360.0 if str(attrs.get("units", "")).lower() in DEGREES else 2 * np.pi

        def turn(*args: Floats, max_gap: float) -> tuple[Floats, Bools]:
            return circular(*args, max_gap=max_gap, period=period)

        return turn
    raise RecordingError(
        f"{name}: attribute kind is {kind!r}; set it to 'continuous', 'circular' or 'categorical'"
    )


def behavior_on_bins(
    node: xr.Dataset, edges: Floats, *, bin_width: float, max_gap: float | None, name: str
) -> tuple[Floats, Bools, dict]:
    """Bring one behaviour onto bins by the rule of its ``kind``.

    Parameters
    ----------
    node
        A node of ``/behavior``: coordinate ``time``, variable ``value`` (time, ...).
    edges
        ``(trial, time + 1)`` seconds.
    bin_width
        Seconds.
    max_gap
        Seconds; None for `default_gap`.
    name
        Path of the node, for messages.

    Returns
    -------
    value, valid, attrs
        ``(trial, time, ...)`` float64; ``(trial, time)``, True where every component is there; the attributes
        of the variable.

    Raises
    ------
    RecordingError
        When the kind is unknown.
    """
    values = node["value"].transpose("time", ...)
    attrs = dict(values.attrs)
    rule = _rule(attrs, name)
    raw = values.values
    time = node["time"].values.astype(np.float64)
    gap = default_gap(time, bin_width) if max_gap is None else float(max_gap)
    columns = raw.reshape(raw.shape[0], int(np.prod(raw.shape[1:]))).astype(np.float64)
    out, valid = on_columns(rule, time, columns, edges, max_gap=gap)
    complete = np.asarray(valid.all(axis=-1))
    return out.reshape(*out.shape[:2], *raw.shape[1:]), complete, attrs


def frames(time: Floats, edges: Floats) -> tuple[Ints, Bools]:
    """Return, per bin, the last frame shown at or before its centre, and whether there is one.

    A frame stays until the next one; the last stays for one median step, a single one for ever.

    Parameters
    ----------
    time
        ``(frame,)`` seconds, increasing.
    edges
        ``(trial, time + 1)`` seconds.

    Examples
    --------
    >>> frames(np.array([0.0, 1.0]), np.array([[-1.0, 0.0, 1.0, 2.0, 3.0]]))
    (array([[0, 0, 1, 1]]), array([[False,  True,  True, False]]))
    """
    centre = 0.5 * (edges[..., :-1] + edges[..., 1:])
    if not time.size:
        return np.zeros(centre.shape, np.int64), np.zeros(centre.shape, bool)
    at = np.searchsorted(time, centre, side="right") - 1
    end = time[-1] + float(np.median(np.diff(time))) if time.size > 1 else np.inf
    return np.maximum(at, 0), (at >= 0) & (centre < end)
