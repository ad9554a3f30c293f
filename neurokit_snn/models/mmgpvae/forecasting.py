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
    of older ones can reach it; the prior is that of a path of so many bins and one, which costs far less than that of a trial.
    """
    n_bins = batch.neural.shape[1]
    reach = min(math.ceil(CONTEXT * design.longest), n_bins - 1)
    short = design.over(reach + 1)
    root = root_of(short, params)
    before = (jnp.arange(reach + 1) < reach).astype(batch.neural.dtype)  # all but the bin that is predicted
    padded = jax.tree.map(lambda x: jnp.pad(x, [(0, 0), (reach, 0), *[(0, 0)] * (x.ndim - 2)]), batch)

    def ahead(now: Array) -> tuple[Array, Array]:
        cut = jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, now, reach + 1, axis=1), padded)
        masks = {name: mask * before for name, mask in cut.behavior_mask.items()}
        seen = cut._replace(neural_mask=cut.neural_mask * before[:, None], behavior_mask=masks)
        mean, inverse, _ = smoothed(short, params, seen, root, iterations=ROUNDS)
        at = marginals(root[..., -1:], mean, inverse)
        return at.mean[:, 0], at.covariance[:, 0]

    mean, covariance = jax.lax.map(ahead, jnp.arange(n_bins))
    return Paths(jnp.swapaxes(mean, 0, 1), jnp.swapaxes(covariance, 0, 1))
