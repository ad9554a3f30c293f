"""Stochastic variational inference: steps in compiled chunks, schedules, checkpoints, and a stop at the first bad number."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import optax
from jax import Array
from numpyro.infer import SVI, TraceMeanField_ELBO
from numpyro.infer.svi import SVIState
from numpyro.optim import optax_to_numpyro
from tqdm.auto import tqdm

from neurokit_snn.errors import ModelError
from neurokit_snn.models.mmgpvae.checkpoint import Checkpoint
from neurokit_snn.models.mmgpvae.design import Batch, Design, Params
from neurokit_snn.models.mmgpvae.program import guide, model
from neurokit_snn.models.mmgpvae.threads import one_blas_thread

__all__ = ["Schedule", "bound_terms", "train", "valid_bins"]

CHUNK = 25
"""Most steps in one compiled call."""
CHUNK_VALUES = 16_000_000
"""Most numbers that one compiled call is given."""
RATES = {"kernel": 0.03, "neural": 0.03, "networks": 1e-2}
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
        Each behaviour and the weight of its likelihood at the first step; it rises geometrically to 1.
    anneal
        Share of the steps after which all weights are 1.
    warmup
        Share of the steps during which the length scales stay.
    """

    steps: int
    batch_size: int
    start_weights: tuple[tuple[str, float], ...]
    anneal: float
    warmup: float

    def weights(self, step: Array) -> dict[str, Array]:
        """Weight of each behaviour at a step."""
        done = jnp.clip(step / max(1.0, self.anneal * self.steps), 0.0, 1.0)
        return {name: jnp.exp(math.log(first) * (1.0 - done)) for name, first in self.start_weights}


def _group(path: tuple[Any, ...], _: Any) -> str:
    name = str(path[0].key)
    if name == "kernel":
        return name
    return "neural" if name in ("loading", "offset", "neural_extra") else "networks"


def optimiser(schedule: Schedule) -> Any:
    """Adam with a learning rate for each group of parameters; a short rise, then a cosine down."""

    def rate(group: str) -> optax.Schedule:
        rise = max(1, round(0.03 * schedule.steps))
        wait = round(schedule.warmup * schedule.steps) if group == "kernel" else 0
        top = RATES[group]
        body = optax.warmup_cosine_decay_schedule(
            0.0, top, rise, max(rise + 1, schedule.steps - wait), LAST * top
        )
        return optax.join_schedules([optax.constant_schedule(0.0), body], [wait])

    groups = {group: optax.adam(rate(group), b2=0.99) for group in RATES}
    by_group = optax.multi_transform(groups, functools.partial(jax.tree_util.tree_map_with_path, _group))
    return optax_to_numpyro(optax.chain(optax.clip_by_global_norm(10.0), by_group))


def bound_terms(design: Design, params: Params, batch: Batch, *, key: Array) -> dict[str, Array]:
    """Terms of the evidence lower bound of these trials, nats.

    ``neural``, each behaviour, and ``latents``, which is minus the divergence of the posterior from the prior.
    """
    ones = {channel.name: 1.0 for channel in design.channels}
    whole = functools.partial(model, design, params, n_trials=batch.n_trials, weights=ones)
    inverse = functools.partial(guide, design, params, n_trials=batch.n_trials)
    found = TraceMeanField_ELBO(sum_sites=False).loss(key, params, whole, inverse, batch)
    return {name: -value for name, value in found.items() if not name.startswith("ard")}


class _Scale(NamedTuple):
    """What the trials of a step stand for: all trials, and the valid bins by which the bound is divided."""

    n_trials: Array
    n_bins: Array


@functools.lru_cache(maxsize=16)
def _compiled(design: Design, schedule: Schedule) -> tuple[SVI, Callable[..., Any]]:
    """Inference of a design, and so many of its steps in one compiled call; another fit of the same design finds both here."""

    def model_per_bin(initial: Params, batch: Batch, step: Array, of: _Scale) -> None:
        with numpyro.handlers.scale(scale=1.0 / of.n_bins):
            model(design, initial, batch, n_trials=of.n_trials, weights=schedule.weights(step))

    def guide_per_bin(initial: Params, batch: Batch, step: Array, of: _Scale) -> None:
        with numpyro.handlers.scale(scale=1.0 / of.n_bins):
            guide(design, initial, batch, n_trials=of.n_trials)

    svi = SVI(model_per_bin, guide_per_bin, optimiser(schedule), TraceMeanField_ELBO())

    @jax.jit
    def run(state: Any, batches: Batch, first: Array, count: Array, of: _Scale) -> tuple[Any, Array]:
        def one(i: Array, carry: tuple[Any, Array]) -> tuple[Any, Array]:
            state, losses = carry
            batch = _spread(batches.take(i))
            reached, loss = svi.update(state, svi.get_params(state), batch, first + i, of)
            good = jnp.isfinite(loss) & _finite(svi.get_params(reached))
            kept = jax.tree.map(functools.partial(_where, good), reached, state)
            return kept, losses.at[i].set(jnp.where(good, loss, jnp.nan))

        return jax.lax.fori_loop(0, count, one, (state, jnp.zeros(batches.neural.shape[0])))

    return svi, run


@one_blas_thread()
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
    of = _Scale(jnp.asarray(float(n_trials)), jnp.asarray(valid_bins(data)))
    order = _orders(n_trials, schedule, np.random.default_rng(seed))
    svi, run = _compiled(design, schedule)
    per_step = sum(leaf[:1].size for leaf in jax.tree.leaves(data)) * order.shape[1]
    chunk = max(1, min(CHUNK, CHUNK_VALUES // max(1, per_step)))

    def batches_at(first: int) -> Batch:
        return data.take(order[np.arange(first, first + chunk) % len(order)])

    start = (jax.random.key(seed), initial, data.take(order[0]), jnp.zeros(()), of)
    jax.eval_shape(svi.init, *start)  # notes the sites; for real it would compile every operation by itself
    state = SVIState(svi.optim.init(initial), None, start[0])
    done, losses = 0, np.zeros(0)
    if checkpoint is not None:
        state, done, losses = checkpoint.restored(state)
    bar = tqdm(
        total=schedule.steps, initial=done, desc=description, unit="step", disable=not progress, leave=False
    )
    with bar:
        while done < schedule.steps:
            count = min(chunk, schedule.steps - done)
            batches = batches_at(done)
            reached, padded = run(state, batches, jnp.asarray(float(done)), jnp.asarray(count), of)
            found = np.asarray(padded)[:count]
            bad = np.flatnonzero(np.isnan(found))
            if bad.size:
                state, _ = run(state, batches, jnp.asarray(float(done)), jnp.asarray(bad[0]), of)
                if checkpoint is not None:
                    checkpoint.keep(
                        state, done + int(bad[0]), np.concatenate([losses, found[: bad[0]]]), last=True
                    )
                _refuse(design, svi.get_params(state), batches.take(int(bad[0])), done + int(bad[0]), who)
            state, done = reached, done + count
            losses = np.concatenate([losses, found])
            bar.update(count)
            bar.set_postfix(loss=f"{found[-1]:.4f}", refresh=False)
            if checkpoint is not None:
                checkpoint.keep(state, done, losses, last=done == schedule.steps)
    return svi.get_params(state), losses


def _orders(n_trials: int, schedule: Schedule, rng: np.random.Generator) -> np.ndarray:
    """Trials of each step, ``(step, trial)``: every trial once an epoch, but for a rest smaller than a batch."""
    size = min(schedule.batch_size, n_trials)
    whole = n_trials - n_trials % size
    epochs = -(-schedule.steps * size // whole)
    return np.concatenate([rng.permutation(n_trials)[:whole] for _ in range(epochs)]).reshape(-1, size)


def _finite(params: Params) -> Array:
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(params)]).all()


def _where(good: Array, new: Array, old: Array) -> Array:
    if jnp.issubdtype(new.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(jnp.where(good, jax.random.key_data(new), jax.random.key_data(old)))
    return jnp.where(good, new, old)


def _refuse(design: Design, params: Params, batch: Batch, step: int, who: str) -> None:
    """Say which term of the bound is not finite at the parameters before the step, or else that its gradient is not."""
    terms = jax.jit(functools.partial(bound_terms, design))(params, batch, key=jax.random.key(0))
    named = [name for name, value in terms.items() if not bool(jnp.isfinite(value).all())]
    raise ModelError(
        f"{who}: the bound is not finite at step {step}; the term is {', '.join(named) or 'its gradient'}. "
        "Look for extreme values in the data, or give more bins, fewer latents or a smaller start_weight"
    )


def valid_bins(data: Batch) -> float:
    """Bins in which anything is observed, at least 1."""
    valid = np.asarray(data.neural_mask).any(-1)
    for mask in data.behavior_mask.values():
        valid = valid | (np.asarray(mask) > 0)
    return max(1.0, float(valid.sum()))


def _spread(batch: Batch) -> Batch:
    """Trials over the devices there are, where their number divides the batch."""
    devices = jax.devices()
    if len(devices) == 1 or batch.n_trials % len(devices):
        return batch
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    where = NamedSharding(Mesh(np.array(devices), ("trial",)), PartitionSpec("trial"))
    return jax.tree.map(lambda values: jax.lax.with_sharding_constraint(values, where), batch)
