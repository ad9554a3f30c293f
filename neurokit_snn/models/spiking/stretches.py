"""Stretches of time: what a network is run over at once, from silence, and which of it counts.

A stretch is a run-in, of which nothing is scored, and the bins that are predicted. So a prediction reads a known, finite past,
training and prediction begin alike, and many stretches are one batch. They lie side by side from the start of every trial. Where
a trial has no room for the run-in, the stretch begins with the trial, and what it is too long by comes after its scored bins.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

__all__ = ["AT_ONCE", "Batch", "Source", "Stretches", "parts_of"]

BLOCKS = 3
"""Blocks that are kept for validation, spread evenly over the recording, where there is room for them."""
AT_ONCE = 1 << 21
"""Numbers that are computed at once where nothing is learned: draws x bins x outputs."""


@dataclasses.dataclass(frozen=True, eq=False)
class Batch:
    """Stretches as tensors.

    Parameters
    ----------
    x
        Inputs ``(time, batch, feature)``.
    target
        ``(time, batch, output)``, numbers where they are unknown, too.
    weight
        1 where a target is scored, else 0, ``(time, batch, output)``, or ``(time, batch, 1)`` for all outputs together.
    progress
        Share of the training that is done.
    """

    x: Tensor
    target: Tensor
    weight: Tensor
    progress: float = 1.0

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        return Batch(self.x.to(device), self.target.to(device), self.weight.to(device), self.progress)


@dataclasses.dataclass(frozen=True, eq=False)
class Stretches:
    """Where the scored bins of some stretches begin: trial and bin, ``(stretch,)`` each, in order of time."""

    trial: np.ndarray
    start: np.ndarray

    def __len__(self) -> int:
        return int(self.trial.size)

    def take(self, rows: np.ndarray | slice) -> Stretches:
        """Some of them."""
        return Stretches(self.trial[rows], self.start[rows])

    def of_step(self, step: int, size: int, *, seed: int) -> Stretches:
        """So many for a step of a training: each once an epoch, in an order of its own each time."""
        rows = np.arange(step * size, (step + 1) * size)
        chosen = [_order(seed, int(r // len(self)), len(self))[r % len(self)] for r in rows]
        return self.take(np.array(chosen))


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """Binned data as arrays, and stretches of them as batches.

    Parameters
    ----------
    x
        ``(trial, time, feature)`` float32.
    target
        ``(trial, time, output)`` float32.
    scored
        ``(trial, time, output)`` or ``(trial, time, 1)``: where targets are known and may be read.
    run_in, length
        Bins of a stretch that only prepare the network, and bins that are predicted.
    """

    x: np.ndarray
    target: np.ndarray
    scored: np.ndarray
    run_in: int
    length: int

    def stretches(self) -> Stretches:
        """All of them, trial by trial."""
        n_trials, n_bins = self.x.shape[:2]
        starts = np.arange(0, n_bins, self.length)
        return Stretches(np.repeat(np.arange(n_trials), starts.size), np.tile(starts, n_trials))

    def told(self) -> Stretches:
        """Those that have something to be scored."""
        every = self.stretches()
        padded = np.pad(self.scored.any(-1), ((0, 0), (0, -self.scored.shape[1] % self.length)))
        some = padded.reshape(padded.shape[0], -1, self.length).any(-1)
        return every.take(np.flatnonzero(some.ravel()))

    def batch(self, stretches: Stretches, *, progress: float = 1.0) -> Batch:
        """Some stretches as tensors; bins beyond their trial are 0 and weigh nothing."""
        step = np.arange(self.run_in + self.length)
        bins = np.maximum(stretches.start - self.run_in, 0)[:, None] + step  # (stretch, time)
        inside = bins < self.x.shape[1]
        since = bins - stretches.start[:, None]
        counted = inside & (since >= 0) & (since < self.length)
        at = stretches.trial[:, None], np.where(inside, bins, 0)

        def cut(values: np.ndarray, where: np.ndarray) -> Tensor:
            found = np.where(where[..., None], values[at], 0).swapaxes(0, 1)
            return torch.from_numpy(np.ascontiguousarray(found, dtype=np.float32))

        return Batch(cut(self.x, inside), cut(self.target, counted), cut(self.scored, counted), progress)

    def split(self, stretches: Stretches, *, width: int) -> Iterator[Stretches]:
        """Some stretches a part at a time, so that no part has more than `AT_ONCE` numbers, ``width`` of them a bin."""
        size = max(1, AT_ONCE // ((self.run_in + self.length) * width))
        for first in range(0, len(stretches), size):
            yield stretches.take(slice(first, first + size))

    def put(self, stretches: Stretches, values: Tensor, out: np.ndarray) -> None:
        """Write the predicted bins of outputs ``(time, batch, output)`` to their places in ``out (trial, time, output)``."""
        found = values.swapaxes(0, 1).numpy()
        for trial, start, row in zip(stretches.trial, stretches.start, found, strict=True):
            kept = out[trial, start : start + self.length]
            first = min(start, self.run_in)
            kept[...] = row[first : first + kept.shape[0]]


@functools.lru_cache(maxsize=4)
def _order(seed: int, epoch: int, n: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(n)


def parts_of(stretches: Stretches, share: float) -> tuple[Stretches, Stretches]:
    """Cut stretches in those to learn from and those kept for validation, with a gap of a stretch between them.

    The run-in of a stretch is no longer than its scored bins, so that leaving out the neighbours of what is kept leaves no bin
    in common.

    Parameters
    ----------
    stretches
        In order of time.
    share
        Of the stretches that are kept, in `BLOCKS` blocks spread evenly, or one where there are few.

    Returns
    -------
    learned, kept
        Kept is empty where ``share`` is 0 or nothing would be left to learn from.

    Examples
    --------
    >>> made = Stretches(np.zeros(20, int), np.arange(20))
    >>> learned, kept = parts_of(made, 0.1)
    >>> kept.start.tolist(), learned.start.tolist()
    ([9, 10], [0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 14, 15, 16, 17, 18, 19])
    """
    n = len(stretches)
    blocks = BLOCKS if n >= 20 * BLOCKS else 1
    size = math.ceil(share * n / blocks)
    held, near = np.zeros(n, bool), np.zeros(n, bool)
    for block in range(blocks if share else 0):
        first = max(0, round((block + 0.5) * n / blocks - size / 2))
        held[first : first + size] = True
        near[max(0, first - 1) : first + size + 1] = True
    if held.any() and not near.all():
        return stretches.take(~near), stretches.take(held)
    return stretches, stretches.take(slice(0))
