"""Statistics of association between spike counts and behaviour, for many surrogate behaviours at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from neurokit_snn.evaluate.scored import ratio

__all__ = ["STATISTICS", "correlation", "information"]

BINS_PER_AXIS = 10


def correlation(counts: np.ndarray, behavior: np.ndarray) -> np.ndarray:
    """Absolute Pearson correlation, the largest over the axes of the behaviour.

    Parameters
    ----------
    counts
        ``(sample, unit)``, NaN where masked.
    behavior
        ``(draw, sample, axis)``, NaN where unknown.

    Returns
    -------
    ndarray, (draw, unit)
        NaN where a unit or the behaviour never changes.

    Examples
    --------
    >>> import numpy as np
    >>> correlation(np.array([[0.0], [1.0], [2.0]]), np.array([[[0.0], [-2.0], [-4.0]]])).round(6)
    array([[1.]])
    """
    seen = np.isfinite(counts)
    x = np.where(seen, counts - np.nanmean(np.where(seen.any(0), counts, 0.0), axis=0), 0.0)
    weights = seen.astype(np.float64)
    largest = np.full((len(behavior), counts.shape[1]), np.nan)
    for axis in range(behavior.shape[2]):
        raw = behavior[:, :, axis]
        known = np.isfinite(raw)
        b = np.where(known, raw - np.nanmean(raw), 0.0)
        kept = known.astype(np.float64)
        n, sum_b, sum_x = kept @ weights, b @ weights, kept @ x
        covariance = b @ x - ratio(sum_b * sum_x, n)
        variances = (b**2 @ weights - ratio(sum_b**2, n)) * (kept @ x**2 - ratio(sum_x**2, n))
        largest = np.fmax(largest, np.abs(ratio(covariance, np.sqrt(np.maximum(variances, 0.0)))))
    return largest


def information(counts: np.ndarray, behavior: np.ndarray) -> np.ndarray:
    """Information of a tuning curve in bits/spike: ``sum_k p_k r_k/r log2(r_k/r)`` over ten cells an axis (Skaggs et al. 1993).

    The bias of the estimate from few samples is the same for all surrogates, so that a test needs no
    correction.

    Parameters
    ----------
    counts
        ``(sample, unit)``, NaN where masked.
    behavior
        ``(draw, sample, axis)``, NaN where unknown.

    Returns
    -------
    ndarray, (draw, unit)
        NaN for units without spikes.

    Examples
    --------
    >>> import numpy as np
    >>> information(np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([[[0.0], [0.0], [1.0], [1.0]]]))
    array([[1.]])
    """
    seen = np.isfinite(counts)
    x, weights = np.where(seen, counts, 0.0), seen.astype(np.float64)
    cell = _cells(behavior)
    spikes, bins = [], []
    for label in np.unique(cell[cell >= 0]):
        inside = (cell == label).astype(np.float64)
        spikes.append(inside @ x)
        bins.append(inside @ weights)
    if not spikes:
        return np.full((len(behavior), counts.shape[1]), np.nan)
    total_spikes, total_bins = np.sum(spikes, axis=0), np.sum(bins, axis=0)
    gain = ratio(np.stack(spikes) * total_bins, np.stack(bins) * total_spikes)
    terms = np.where(gain > 0, np.stack(bins) * gain * np.log2(np.where(gain > 0, gain, 1.0)), 0.0)
    return np.where(total_spikes > 0, ratio(terms.sum(0), total_bins), np.nan)


def _cells(behavior: np.ndarray) -> np.ndarray:
    """Cell of each sample, ``(draw, sample)``, equal widths between the extremes of its draw; -1 where unknown.

    Were the extremes those of all draws, the data would be binned otherwise than its surrogates, and the test
    not exact.
    """
    cell = np.zeros(behavior.shape[:2], dtype=np.int64)
    for axis in range(behavior.shape[2]):
        values = behavior[:, :, axis]
        low, high = np.nanmin(values, axis=1, keepdims=True), np.nanmax(values, axis=1, keepdims=True)
        width = np.where(high > low, (high - low) / BINS_PER_AXIS, 1.0)
        with np.errstate(invalid="ignore"):
            index = np.floor((values - low) / width)
        index = np.where(np.isfinite(index), np.clip(index, 0, BINS_PER_AXIS - 1), 0).astype(np.int64)
        cell = cell * BINS_PER_AXIS + index
    return np.where(np.isfinite(behavior).all(2), cell, -1)


STATISTICS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "correlation": correlation,
    "information": information,
}
"""Statistics by name."""
