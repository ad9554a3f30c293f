"""Spike counts around a bin as columns."""

from __future__ import annotations

import numpy as np

__all__ = ["lagged"]


def lagged(counts: np.ndarray, mask: np.ndarray, *, before: int, after: int) -> np.ndarray:
    """Counts of every unit in the bins from ``before`` earlier to ``after`` later, never across trials.

    Parameters
    ----------
    counts, mask
        ``(trial, time, unit)``.
    before, after
        Bins.

    Returns
    -------
    ndarray, (trial, time, lag x unit)
        NaN where the bin lies outside the trial or was not observed.

    Examples
    --------
    >>> import numpy as np
    >>> lagged(np.array([[[1], [2]]]), np.ones((1, 2, 1), bool), before=1, after=0)[0].tolist()
    [[nan, 1.0], [1.0, 2.0]]
    """
    n_trials, n_time, n_units = counts.shape
    seen = np.where(mask, counts, np.nan)
    padded = np.full((n_trials, before + n_time + after, n_units), np.nan)
    padded[:, before : before + n_time] = seen
    windows = [padded[:, lag : lag + n_time] for lag in range(before + after + 1)]
    return np.concatenate(windows, axis=-1)
