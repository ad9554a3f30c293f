"""Blocks of bins inside a training set, for choosing hyperparameters there and nowhere else."""

from __future__ import annotations

import numpy as np

from neurokit_snn.errors import ModelError

__all__ = ["blocks_of_bins"]


def blocks_of_bins(trial: np.ndarray, *, folds: int, who: str) -> np.ndarray:
    """Give each bin the number of a contiguous block, blocks being about equal in bins.

    Whole trials stay together where there are at least two trials a block; else the bins themselves are cut into
    contiguous blocks. Either way neighbouring bins mostly share a block, which random bins of one session would not.

    Parameters
    ----------
    trial
        Trial of each bin, non-decreasing, ``(row,)``.
    folds
        Number of blocks.
    who
        Who asks, for the message.

    Returns
    -------
    ndarray of int, (row,)

    Raises
    ------
    ModelError
        When there are fewer bins than twice the blocks.

    Examples
    --------
    >>> import numpy as np
    >>> blocks_of_bins(np.array([0, 0, 1, 1, 2, 2, 3, 3]), folds=2, who="example")
    array([0, 0, 0, 0, 1, 1, 1, 1])
    """
    n_rows = trial.size
    if n_rows < 2 * folds:
        raise ModelError(
            f"{who}: {n_rows} valid bins cannot be cut into {folds} blocks to choose hyperparameters; "
            "give more data or fixed hyperparameters"
        )
    by_row = np.arange(n_rows) * folds // n_rows
    labels, first, size = np.unique(trial, return_index=True, return_counts=True)
    if labels.size < 2 * folds:
        return by_row
    middles = np.minimum(first + size // 2, n_rows - 1)
    return np.repeat(by_row[middles], size)
