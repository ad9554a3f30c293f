"""Causal inference: the latents of each bin from the bins before it."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import Array

from neurokit_snn.models.mmgpvae.design import Batch, Design, Params, root_of
from neurokit_snn.models.mmgpvae.gaussian import Paths, marginals
from neurokit_snn.models.mmgpvae.inference import smoothed
from neurokit_snn.models.mmgpvae.segments import CONTEXT

__all__ = ["forecast_paths"]

ROUNDS = 5
"""Natural-gradient steps of the neural factors for each bin."""


def forecast_paths(design: Design, params: Params, batch: Batch) -> Paths:
    """Predictive moments of the latents at each bin, one bin ahead of what is seen.

    Each bin is inferred afresh from the `CONTEXT` longest length scales before it, so that nothing of its own bin, of later or
    of older ones can reach it.
    """
    root = root_of(design, params)
    time = jnp.arange(batch.neural.shape[1])
    reach = math.ceil(CONTEXT * design.longest)

    def ahead(now: Array) -> tuple[Array, Array]:
        window = ((time < now) & (time >= now - reach)).astype(batch.neural.dtype)
        masks = {name: mask * window for name, mask in batch.behavior_mask.items()}
        seen = batch._replace(neural_mask=batch.neural_mask * window[:, None], behavior_mask=masks)
        mean, inverse, _ = smoothed(design, params, seen, root, iterations=ROUNDS)
        at = marginals(jax.lax.dynamic_slice_in_dim(root, now, 1, axis=2), mean, inverse)
        return at.mean[:, 0], at.covariance[:, 0]

    mean, covariance = jax.lax.map(ahead, time)
    return Paths(jnp.swapaxes(mean, 0, 1), jnp.swapaxes(covariance, 0, 1))
