"""One fit of the model: starts, the choice among them on held-out trials, and the last fit on all of them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from neurokit_snn.models.mmgpvae.checkpoint import Checkpoint
from neurokit_snn.models.mmgpvae.design import Batch, Design, Params
from neurokit_snn.models.mmgpvae.start import initial_params
from neurokit_snn.models.mmgpvae.threads import one_blas_thread
from neurokit_snn.models.mmgpvae.training import Schedule, bound_terms, train, valid_bins

__all__ = ["Recipe", "bound_per_bin", "fitted"]

HELD_OUT = 5
"""One trial in so many is held out to choose among restarts."""
BLOCK = 32
"""Trials of one evaluation of the bound."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a fit goes; names as in `MMGPVAE`, the length scale in bins."""

    length_scale: float
    steps: int
    batch_size: int
    start_weights: tuple[tuple[str, float], ...]
    anneal: float
    warmup: float
    restarts: int

    def schedule(self) -> Schedule:
        """From a start that knows nothing."""
        return Schedule(
            steps=self.steps,
            batch_size=self.batch_size,
            start_weights=self.start_weights,
            anneal=self.anneal,
            warmup=self.warmup,
        )

    def polish(self) -> Schedule:
        """From a good fit to fewer trials: a quarter of the steps, all weights 1."""
        weights = tuple((name, 1.0) for name, _ in self.start_weights)
        steps = max(1, self.steps // 4)
        return Schedule(
            steps=steps, batch_size=self.batch_size, start_weights=weights, anneal=0.0, warmup=0.0
        )


def fitted(
    design: Design,
    data: Batch,
    recipe: Recipe,
    *,
    seed: int,
    progress: bool,
    resume: Path | None,
    mark: str,
    who: str,
) -> tuple[Params, np.ndarray, int]:
    """Parameters, losses and the number of the start that was kept.

    Parameters
    ----------
    design, data, recipe
        What is fitted to what, and how.
    seed
        Of starts, batches and draws.
    progress
        Show a bar for each fit.
    resume
        Folder of checkpoints, one for each fit; None for none.
    mark
        Fingerprint of the fit: a checkpoint with another one is refused.
    who
        For messages.
    """

    def run(
        name: str, start: Params, trials: Batch, schedule: Schedule, number: int
    ) -> tuple[Params, np.ndarray]:
        where = None if resume is None else Checkpoint(resume / f"{name}.nk", fingerprint=mark)
        return train(
            design,
            start,
            trials,
            schedule,
            seed=seed + 1000 * number,
            progress=progress,
            checkpoint=where,
            who=who,
            description=f"MMGPVAE {name}",
        )

    if recipe.restarts == 1:
        start = initial_params(design, data, length_scale=recipe.length_scale, seed=seed)
        params, losses = run("fit", start, data, recipe.schedule(), 0)
        return params, losses, 0
    held = np.arange(data.n_trials) % HELD_OUT == HELD_OUT - 1
    if not held.any():
        held[-1] = data.n_trials > 1
    inside, outside = (
        data.take(np.flatnonzero(keep)) for keep in ((~held, held) if held.any() else (~held, ~held))
    )
    found = []
    for number in range(recipe.restarts):
        start = initial_params(design, inside, length_scale=recipe.length_scale, seed=seed + 1000 * number)
        params, losses = run(f"start {number}", start, inside, recipe.schedule(), number)
        found.append((sum(bound_per_bin(design, params, outside, seed=seed).values()), params, losses))
    best = int(np.argmax([bound for bound, _, _ in found]))
    params, losses = run("fit", found[best][1], data, recipe.polish(), best)
    return params, np.concatenate([found[best][2], losses]), best


@functools.lru_cache(maxsize=16)
def _terms(design: Design) -> Callable[..., dict[str, jax.Array]]:
    return jax.jit(functools.partial(bound_terms, design))


@one_blas_thread()
def bound_per_bin(design: Design, params: Params, data: Batch, *, seed: int) -> dict[str, float]:
    """Terms of the evidence lower bound, nats per valid bin."""
    totals: dict[str, float] = {}
    compiled = _terms(design)
    for first in range(0, data.n_trials, BLOCK):
        batch = data.take(np.arange(first, min(first + BLOCK, data.n_trials)))
        found = compiled(params, batch, key=jax.random.key(seed + first))
        for name, value in found.items():
            totals[name] = totals.get(name, 0.0) + float(value)
    n_bins = valid_bins(data)
    return {name: value / n_bins for name, value in totals.items()}
