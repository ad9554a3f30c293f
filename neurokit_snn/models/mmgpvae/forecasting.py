"""Causal inference: the latents of each bin from the bins before it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from neurokit_snn.models.mmgpvae.design import Batch, Design, Params, root_of
from neurokit_snn.models.mmgpvae.gaussian import Factors, Paths, marginals, posterior
from neurokit_snn.models.mmgpvae.inference import behavior_factors, first_guess, fuse, neural_update

__all__ = ["forecast_paths"]

ROUNDS = 3
"""Natural-gradient steps after each new bin; the factors of older bins have had theirs."""


def forecast_paths(design: Design, params: Params, batch: Batch) -> Paths:
    """Predictive moments of the latents at each bin given everything in the bins before it, one bin ahead.

    The factors of bin t enter after bin t is predicted, and are never computed from later bins.
    """
    root = root_of(design, params)
    n_bins = batch.neural.shape[1]
    time = jnp.arange(n_bins)
    behavior = behavior_factors(design, params, batch)
    guess = first_guess(design.likelihood, params, batch, design.n_latents) if design.reads_neural else None

    def seen(factors: Factors, past: Array) -> Factors:
        return Factors(
            jnp.where(past[:, None], factors.linear, 0.0), jnp.where(past[:, None, None], factors.precision, 0.0)
        )

    def step(neural: Factors, now: Array) -> tuple[Factors, tuple[Array, Array]]:
        past = time < now
        known = seen(behavior, past)
        if design.reads_neural:
            newest = (time == now - 1)[:, None]
            neural = Factors(
                jnp.where(newest, guess.linear, neural.linear),
                jnp.where(newest[..., None], guess.precision, neural.precision),
            )

            def refine(_: int, factors: Factors) -> Factors:
                paths = marginals(root, *posterior(root, fuse(design, factors, known)))
                return seen(neural_update(design.likelihood, params, batch, paths, design.n_latents), past)

            neural = jax.lax.fori_loop(0, ROUNDS, refine, neural)
        mean, inverse = posterior(root, fuse(design, neural, known))
        at = marginals(jax.lax.dynamic_slice_in_dim(root, now, 1, axis=2), mean, inverse)
        return neural, (at.mean[:, 0], at.covariance[:, 0])

    nothing = jax.tree.map(jnp.zeros_like, behavior)
    _, (mean, covariance) = jax.lax.scan(step, nothing, time)
    return Paths(jnp.swapaxes(mean, 0, 1), jnp.swapaxes(covariance, 0, 1))
