"""Stochastic variational inference: steps in compiled chunks, schedules, checkpoints, and a stop at the first bad number."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import optax
from jax import Array
from numpyro.infer import SVI, TraceMeanField_ELBO
from numpyro.optim import optax_to_numpyro
from tqdm.auto import tqdm

from neurokit_snn.errors import ModelError
from neurokit_snn.models.mmgpvae.checkpoint import Checkpoint
from neurokit_snn.models.mmgpvae.design import Batch, Design, Params
from neurokit_snn.models.mmgpvae.program import guide, model

__all__ = ["Schedule", "bound_terms", "train"]

CHUNK = 25
"""Steps in one compiled call."""
RATES = {"kernel": 0.03, "neural": 0.03, "networks": 3e-3}
"""Highest learning rates: of length scales, of loadings and offsets, of networks."""
LAST = 0.05
"""Share of the learning rate that is left at the last step."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long, and how the weights of the terms move.

    Parameters
    ----------
    steps
        Optimiser steps.
    batch_size
        Trials of a step.
    start_weights
        Weight of each behaviour's likelihood at the first step; it rises geometrically to 1.
    anneal
        Share of the steps after which all weights are 1.
    warmup
        Share of the steps during which the length scales stay and the weight of the divergence rises to 1.
    """

    steps: int
    batch_size: int
    start_weights: Mapping[str, float]
    anneal: float
    warmup: float

    def weights(self, step: Array) -> dict[str, Array]:
        """Weights of all sites at a step."""
        done = jnp.clip(step / max(1.0, self.anneal * self.steps), 0.0, 1.0)
        made = {name: jnp.exp(math.log(first) * (1.0 - done)) for name, first in self.start_weights.items()}
        return {"latents": jnp.ones(()), "neural": jnp.ones(())} | made


def _group(path: tuple[Any, ...], _: Any) -> str:
    name = str(path[0].key)
    return name if name == "kernel" else "neural" if name in ("loading", "offset", "neural_extra") else "networks"


def optimiser(schedule: Schedule, params: Params) -> Any:
    """Adam with a learning rate for each group of parameters; a short rise, then a cosine down."""

    def rate(group: str) -> optax.Schedule:
        rise = max(1, round(0.03 * schedule.steps))
        wait = round(schedule.warmup * schedule.steps) if group == "kernel" else 0
        top = RATES[group]
        body = optax.warmup_cosine_decay_schedule(0.0, top, rise, max(rise + 1, schedule.steps - wait), LAST * top)
        return optax.join_schedules([optax.constant_schedule(0.0), body], [wait])

    labels = jax.tree_util.tree_map_with_path(_group, params)
    groups = {group: optax.adam(rate(group), b2=0.99) for group in RATES}
    clipped = optax.chain(optax.clip_by_global_norm(10.0), optax.multi_transform(groups, labels))
    return optax_to_numpyro(clipped)


def bound_terms(
    design: Design, params: Params, batch: Batch, *, key: Array, particles: int = 1
) -> dict[str, Array]:
    """Terms of the evidence lower bound of these trials, nats: ``neural``, each behaviour, and ``latents`` (minus the divergence)."""
    ones = {"latents": 1.0, "neural": 1.0} | {m.name: 1.0 for m in design.modalities}
    arguments = {"n_trials": batch.n_trials, "weights": ones, "marginal": design.closed_form}
    loss = TraceMeanField_ELBO(num_particles=particles, sum_sites=False)
    found = loss.loss(
        key, params, functools.partial(model, design, params), functools.partial(guide, design, params), batch, **arguments
    )
    return {name: -value for name, value in found.items() if not name.startswith("ard")}


def train(
    design: Design,
    initial: Params,
    data: Batch,
    schedule: Schedule,
    *,
    seed: int,
    progress: bool,
    checkpoint: Checkpoint | None = None,
    who: str,
    description: str = "fitting",
) -> tuple[Params, np.ndarray]:
    """Fit the parameters.

    Returns
    -------
    params
        At the last step.
    losses
        Negative weighted bound per valid bin at each step.

    Raises
    ------
    ModelError
        At the first step whose loss is not finite, naming the term; the checkpoint keeps the last good state.
    """
    n_trials = data.n_trials
    size = min(schedule.batch_size, n_trials)
    n_bins = max(1.0, float(_valid_bins(data)))
    program = functools.partial(model, design, initial)
    amortised = functools.partial(guide, design, initial)
    scale = numpyro.handlers.scale
    svi = SVI(
        scale(program, scale=1.0 / n_bins),
        scale(amortised, scale=1.0 / n_bins),
        optimiser(schedule, initial),
        TraceMeanField_ELBO(),
    )
    fixed = {"n_trials": n_trials, "marginal": design.closed_form}
    data = jax.tree.map(jnp.asarray, data)
    rng = np.random.default_rng(seed)
    epochs = range(-(-schedule.steps * size // (n_trials - n_trials % size)))
    order = np.concatenate([rng.permutation(n_trials)[: n_trials - n_trials % size] for _ in epochs])
    batches = jnp.asarray(order.reshape(-1, size))

    def batch_at(step: Array) -> Batch:
        return _spread(data.take(batches[step]))

    def one(state: Any, step: Array) -> tuple[Any, Array]:
        return svi.update(state, batch_at(step), weights=schedule.weights(step), **fixed)

    run = jax.jit(lambda state, steps: jax.lax.scan(one, state, steps))
    start_key = jax.random.key(seed)
    state = svi.init(start_key, batch_at(jnp.zeros((), jnp.int32)), weights=schedule.weights(jnp.zeros(())), **fixed)
    done, losses = 0, np.zeros(0)
    if checkpoint is not None:
        state, done, losses = checkpoint.restored(state)
    bar = tqdm(total=schedule.steps, initial=done, desc=description, unit="step", disable=not progress, leave=False)
    with bar:
        while done < schedule.steps:
            steps = jnp.arange(done, min(done + CHUNK, schedule.steps))
            reached, found = run(state, steps)
            found = np.asarray(found)
            if not np.isfinite(found).all():
                _explain(svi, state, steps, found, batch_at, design, one, who)
            state, done = reached, int(steps[-1]) + 1
            losses = np.concatenate([losses, found])
            bar.update(len(steps))
            bar.set_postfix(loss=f"{found[-1]:.4f}", refresh=False)
            if checkpoint is not None:
                checkpoint.keep(state, done, losses, last=done == schedule.steps)
    return svi.get_params(state), losses


def _explain(
    svi: SVI, state: Any, steps: Array, found: np.ndarray, batch_at: Any, design: Design, one: Any, who: str
) -> None:
    """Go to the step before the bad one and say which term of the bound is not finite there."""
    bad = int(np.flatnonzero(~np.isfinite(found))[0])
    if bad:
        state, _ = jax.lax.scan(one, state, steps[:bad])
    params = svi.get_params(state)
    wrong = [name for name, leaf in params.items() if not all(bool(jnp.isfinite(x).all()) for x in jax.tree.leaves(leaf))]
    terms = bound_terms(design, params, batch_at(steps[bad]), key=jax.random.key(0))
    named = wrong or [name for name, value in terms.items() if not bool(jnp.isfinite(value).all())]
    raise ModelError(
        f"{who}: the bound is not finite at step {int(steps[bad])}; the term is {', '.join(named) or 'its gradient'}. "
        "Look for extreme values in the data, or give more bins, fewer latents or a smaller start_weight"
    )


def _valid_bins(data: Batch) -> float:
    if data.neural.shape[-1]:
        return float(np.asarray(data.neural_mask).max(-1).sum())
    masks = [np.asarray(mask) for mask in data.behavior_mask.values()]
    return float(np.maximum.reduce(masks).sum()) if masks else 1.0


def _spread(batch: Batch) -> Batch:
    """Trials over the devices there are, where their number divides the batch."""
    devices = jax.devices()
    if len(devices) == 1 or batch.n_trials % len(devices):
        return batch
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    where = NamedSharding(Mesh(np.array(devices), ("trial",)), PartitionSpec("trial"))
    return jax.tree.map(lambda values: jax.lax.with_sharding_constraint(values, where), batch)


def checkpoint_at(path: Path | None, *, fingerprint: str) -> Checkpoint | None:
    """The checkpoint of a fit, or None where none is kept."""
    return None if path is None else Checkpoint(path, fingerprint=fingerprint)
