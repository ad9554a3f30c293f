"""Inference of latents in new trials, and what follows from them for each modality."""

from __future__ import annotations

import dataclasses
import functools
import zlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array

from neurokit_snn.models.mmgpvae.design import Batch, Design, Params
from neurokit_snn.models.mmgpvae.forecasting import forecast_paths
from neurokit_snn.models.mmgpvae.gaussian import Paths
from neurokit_snn.models.mmgpvae.program import guide_distribution, paths_of
from neurokit_snn.models.mmgpvae.segments import Segments

__all__ = ["Inferred", "infer", "trial_keys"]

ROUNDS = 15
"""Natural-gradient steps of the neural factors in new data."""
BLOCK = 16
"""Trials of one compiled call, always: the answer for a trial is the same to the bit whichever others are asked for."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inferred:
    """Latents of every trial: ``mean (trial, time, latent)``, ``covariance (trial, time, latent, latent)``, ``draws (draw, trial, time, latent)``."""

    mean: np.ndarray
    covariance: np.ndarray
    draws: np.ndarray


def trial_keys(data: xr.Dataset, seed: int) -> np.ndarray:
    """A number for each trial by its label and start: draws do not depend on which trials are asked for together."""
    labels = zip(data["trial"].values.tolist(), data["trial_start"].values.tolist(), strict=True)
    return np.array([zlib.crc32(f"{seed}|{trial}|{start!r}".encode()) for trial, start in labels], dtype=np.uint32)


@functools.lru_cache(maxsize=64)
def _over(design: Design, n_bins: int) -> Design:
    return design.over(n_bins)


@functools.lru_cache(maxsize=64)
def _compiled(design: Design, draws: int, causal: bool) -> Callable[..., Any]:
    def run(params: Params, batch: Batch, seeds: Array) -> tuple[Array, Array, Array]:
        keys = jax.vmap(jax.random.key)(seeds)
        if causal:
            paths = forecast_paths(design, params, batch)
            return paths.mean, paths.covariance, _independent(paths, keys, draws)
        posterior, paths = guide_distribution(design, params, batch, iterations=ROUNDS)
        if not draws:
            return paths.mean, paths.covariance, jnp.zeros((0, *paths.mean.shape), paths.mean.dtype)
        noise = _noise(posterior, keys, draws)
        return paths.mean, paths.covariance, paths_of(design, params, noise)

    return jax.jit(run)


def _noise(posterior: Any, keys: Array, draws: int) -> Array:
    """Draws ``(draw, trial, ...)`` of the coefficients, each trial from its own key."""
    base = posterior.base_dist if hasattr(posterior, "base_dist") else posterior
    shape = base.loc.shape[1:]
    normal = jax.vmap(lambda key: jax.random.normal(key, (draws, *shape), base.loc.dtype), out_axes=1)(keys)
    if hasattr(base, "inverse"):
        return base.loc + jnp.einsum("rji,drj->dri", base.inverse, normal)
    return base.loc + base.scale * normal


def _independent(paths: Paths, keys: Array, draws: int) -> Array:
    """Draws ``(draw, trial, time, latent)`` bin by bin."""
    size = paths.mean.shape[-1]
    eye = jnp.eye(size, dtype=paths.mean.dtype)
    values, vectors = jnp.linalg.eigh(paths.covariance + 1e-9 * eye)
    spread = vectors * jnp.sqrt(jnp.maximum(values, 0.0))[..., None, :]
    normal = jax.vmap(lambda key: jax.random.normal(key, (draws, *paths.mean.shape[1:])), out_axes=1)(keys)
    return paths.mean + jnp.einsum("rtpq,drtq->drtp", spread, normal)


def infer(
    design: Design, params: Params, batch: Batch, *, keys: np.ndarray, draws: int, causal: bool = False
) -> Inferred:
    """Posterior of the latents of every trial.

    Parameters
    ----------
    design, params
        The fitted model.
    batch
        What is visible, masked elsewhere.
    keys
        Of `trial_keys`.
    draws
        Paths to draw; joint over time, but bin by bin where ``causal``.
    causal
        Whether each bin is inferred from the bins before it alone.
    """
    segments = Segments(design, n_bins=batch.neural.shape[1], causal=causal)
    pieces = segments.cut(batch)
    seeds = segments.cut_keys(keys)
    inner = _over(design, segments.length)
    run = _compiled(inner, draws, causal)
    n_pieces = pieces.n_trials
    parts = []
    for first in range(0, n_pieces, BLOCK):
        where = np.minimum(np.arange(first, first + BLOCK), n_pieces - 1)
        found = run(params, jax.tree.map(lambda x, where=where: x[where], pieces), seeds[where])
        kept = min(BLOCK, n_pieces - first)
        mean, covariance, drawn = (np.asarray(x) for x in found)
        parts.append((mean[:kept], covariance[:kept], drawn[:, :kept]))
    mean = segments.join(np.concatenate([p[0] for p in parts]), axis=0)
    covariance = segments.join(np.concatenate([p[1] for p in parts]), axis=0)
    drawn = segments.join(np.concatenate([p[2] for p in parts], axis=1), axis=1)
    return Inferred(mean=mean, covariance=covariance, draws=drawn)
