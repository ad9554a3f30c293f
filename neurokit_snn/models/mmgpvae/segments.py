"""Long sessions in pieces that a smoother can hold, with context on both sides."""

from __future__ import annotations

import math

import jax
import numpy as np

from neurokit_snn.models.mmgpvae.design import Batch, Design

__all__ = ["LONGEST", "Segments", "segmented"]

LONGEST = 240
"""Bins of a trial that is inferred as a whole; a longer one is inferred in pieces that overlap."""
PIECE = 64
"""Bins of a training trial that is taken as a whole, unless `PIECE_SCALES` of the longest length scale are more: the smoother
costs the third power of what it holds, so that longer trials are cut and the cost of a step stays in proportion to its bins."""
PIECE_SCALES = 4.0
"""Longest length scales in a training piece, where these are more bins than `PIECE`."""
CONTEXT = 3.0
"""Longest length scales that a piece sees beyond its ends."""


def segmented(batch: Batch, *, longest: float) -> Batch:
    """Long training trials as several trials, the last one padded with masked bins; the prior starts anew with each.

    Parameters
    ----------
    batch
        Trials of one length.
    longest
        Upper bound of the length scales, in bins.
    """
    n_bins = batch.neural.shape[1]
    most = max(PIECE, math.ceil(PIECE_SCALES * longest))
    if n_bins <= most:
        return batch
    pieces = math.ceil(n_bins / most)
    length = math.ceil(n_bins / pieces)

    def cut(values: np.ndarray) -> np.ndarray:
        more = [(0, 0)] * values.ndim
        more[1] = (0, pieces * length - n_bins)
        return np.pad(values, more).reshape(-1, length, *values.shape[2:])

    made = jax.tree.map(cut, batch)
    kept = made.neural_mask.any((1, 2)) | np.any(
        [m.any(1) for m in made.behavior_mask.values()] or [False], axis=0
    )
    return made.take(np.flatnonzero(kept))


class Segments:
    """How trials of so many bins are cut for inference and put together again.

    Parameters
    ----------
    design
        Says how far the prior reaches.
    n_bins
        Bins of a trial.
    causal
        Whether the pieces may see what comes after them.
    """

    def __init__(self, design: Design, *, n_bins: int, causal: bool) -> None:
        self.n_bins = n_bins
        whole = n_bins <= LONGEST
        context = 0 if whole else min(LONGEST // 3, math.ceil(CONTEXT * design.longest))
        self.before, self.after = context, 0 if causal else context
        self.inner = n_bins if whole else LONGEST - self.before - self.after
        self.pieces = math.ceil(n_bins / self.inner)

    @property
    def length(self) -> int:
        """Bins of a piece with its context."""
        return self.inner + self.before + self.after

    def cut(self, batch: Batch) -> Batch:
        """Pieces as trials, ``trial * piece`` of them; context beyond the ends of a trial is masked."""
        if self.pieces == 1:
            return batch

        def cut(values: np.ndarray) -> np.ndarray:
            more = [(0, 0)] * values.ndim
            more[1] = (self.before, self.pieces * self.inner - self.n_bins + self.after)
            padded = np.pad(values, more)
            starts = np.arange(self.pieces) * self.inner
            found = np.stack([padded[:, s : s + self.length] for s in starts], axis=1)
            return found.reshape(-1, self.length, *values.shape[2:])

        return jax.tree.map(cut, batch)

    def cut_keys(self, keys: np.ndarray) -> np.ndarray:
        """A key for each piece."""
        return (keys[:, None] + 7919 * np.arange(self.pieces, dtype=np.uint32)).astype(np.uint32).ravel()

    def join(self, values: np.ndarray, *, axis: int) -> np.ndarray:
        """Pieces along ``axis`` (time after it) to trials."""
        if self.pieces == 1:
            return values
        kept = np.moveaxis(values, (axis, axis + 1), (0, 1))[:, self.before : self.before + self.inner]
        trials = kept.shape[0] // self.pieces
        whole = kept.reshape(trials, self.pieces * self.inner, *kept.shape[2:])[:, : self.n_bins]
        return np.moveaxis(whole, (0, 1), (axis, axis + 1))
