"""Filters over past spikes: raised cosines of the logarithm of the lag, applied trial by trial."""

from __future__ import annotations

import numpy as np

from neurokit_snn._extras import require

__all__ = ["history_kernel", "past"]


def history_kernel(window: int, bases: int) -> np.ndarray:
    """Raised-cosine bumps over lags 1..window (Pillow et al. 2005, J. Neurosci. 25:11003; made by nemos), ``(lag, basis)``.

    Where the window holds no more lags than there are bases, each lag is its own basis.
    """
    if window <= bases:
        return np.eye(window)
    nemos = require("nemos", extra="glm")
    _, kernel = nemos.basis.RaisedCosineLogConv(bases, window_size=window).evaluate_on_grid(window)
    return np.asarray(kernel, dtype=np.float64)


def past(
    counts: np.ndarray, mask: np.ndarray, mean: np.ndarray, kernel: np.ndarray, *, to: int | None = None
) -> np.ndarray:
    """Past spikes of each unit through each filter, strictly before each bin and never across trials.

    What is not known of the past (bins before the trial, masked bins) counts as the mean of the unit, so that the first
    bins of a trial are predicted from an average past rather than from silence.

    Parameters
    ----------
    counts, mask
        ``(trial, time, unit)``.
    mean
        Mean count of a bin of each unit in training, ``(unit,)``.
    kernel
        ``(lag, basis)``, the first lag being one bin.
    to
        Compute only the last bin's value for time index ``to``; None for all bins.

    Returns
    -------
    ndarray, (trial, time, unit, basis), or (trial, unit, basis) with ``to``

    Examples
    --------
    >>> import numpy as np
    >>> counts = np.array([[[1], [0], [2]]])
    >>> past(counts, np.ones_like(counts, bool), np.zeros(1), np.eye(2))[0, :, 0].tolist()
    [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    """
    n_trials, n_time, n_units = counts.shape
    if to is not None:
        reach = min(to, kernel.shape[0])
        centred = np.where(mask[:, to - reach : to], counts[:, to - reach : to] - mean, 0.0)[:, ::-1]
        return np.einsum("klu,lb->kub", centred, kernel[:reach]) + mean[:, None] * kernel.sum(0)
    centred = np.where(mask, counts - mean, 0.0)
    filtered = np.zeros((n_trials, n_time, n_units, kernel.shape[1]))
    for lag in range(1, min(kernel.shape[0], n_time - 1) + 1):
        filtered[:, lag:] += centred[:, : n_time - lag, :, None] * kernel[lag - 1]
    return filtered + mean[:, None] * kernel.sum(0)
