"""Inference of latents in new trials, and what follows from them for each modality."""

from __future__ import annotations

import dataclasses
import functools
import zlib
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
import numpyro.distributions as dist
import xarray as xr
from jax import Array

from neurokit_snn.models.mmgpvae.design import Batch, Design, Params, root_of
from neurokit_snn.models.mmgpvae.forecasting import forecast_paths
from neurokit_snn.models.mmgpvae.gaussian import PrecisionNormal
from neurokit_snn.models.mmgpvae.program import guide_distribution
from neurokit_snn.models.mmgpvae.segments import Segments
from neurokit_snn.models.mmgpvae.threads import one_blas_thread

__all__ = ["Inferred", "infer", "trial_keys"]

ROUNDS = 15
"""Natural-gradient steps of the neural factors in new data."""
BLOCK = 16
"""Trials of one compiled call, always: the answer for a trial is the same to the bit whichever others are asked for."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inferred:
    """Latents of every trial.

    ``mean (trial, time, latent)``, ``covariance (trial, time, latent, latent)`` and ``draws (draw, trial, time, latent)``.
    """

    mean: np.ndarray
    covariance: np.ndarray
    draws: np.ndarray


def trial_keys(data: xr.Dataset, seed: int) -> np.ndarray:
    """A number for each trial by its label and start: draws do not depend on which trials are asked for together."""
    labels = zip(data["trial"].values.tolist(), data["trial_start"].values.tolist(), strict=True)
    return np.array(
        [zlib.crc32(f"{seed}|{trial}|{start!r}".encode()) for trial, start in labels], dtype=np.uint32
    )


class _Found(NamedTuple):
    """Moments of the paths, and location and spread of what is drawn; none where the bins are drawn one by one."""

    mean: Array
    covariance: Array
    location: Array | None
    spread: Array | None


@functools.lru_cache(maxsize=64)
def _compiled(design: Design, causal: bool) -> Callable[[Params, Batch], _Found]:
    def run(params: Params, batch: Batch) -> _Found:
        if causal:
            return _Found(*forecast_paths(design, params, batch), None, None)
        found, paths = guide_distribution(design, params, batch, iterations=ROUNDS)
        base = found.base_dist if isinstance(found, dist.Independent) else found
        return _Found(*paths, base.loc, base.inverse if isinstance(base, PrecisionNormal) else base.scale)

    return jax.jit(run)


def _drawn(design: Design, root: np.ndarray, found: _Found, keys: np.ndarray, draws: int) -> np.ndarray:
    """Draws ``(draw, trial, time, latent)`` of the paths, each trial from its own key."""
    mean = found.mean
    made = np.empty((draws, *mean.shape), np.float32)
    if not draws:
        return made
    for trial, key in enumerate(keys):
        rng = np.random.default_rng(int(key))
        if found.location is None or found.spread is None:  # each bin by itself
            values, vectors = np.linalg.eigh(found.covariance[trial])
            root_of_it = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
            noise = rng.standard_normal((draws, *mean.shape[1:]), np.float32)
            made[:, trial] = mean[trial] + np.einsum("tpq,dtq->dtp", root_of_it, noise)
            continue
        location, spread = np.asarray(found.location[trial]), np.asarray(found.spread[trial])
        noise = rng.standard_normal((draws, *location.shape), np.float32)
        apart = spread.shape == location.shape  # else the inverse factor of their precision
        coefficients = location + (spread * noise if apart else noise @ spread)
        if design.posterior == "time":
            made[:, trial] = np.swapaxes(coefficients, -1, -2)
        else:
            shaped = coefficients.reshape(draws, *root.shape[:2])
            made[:, trial] = np.einsum("dpf,pft->dtp", shaped, root, optimize=True)
    return made


@one_blas_thread()
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
    inner = design.over(segments.length)
    run = _compiled(inner, causal)
    root = np.asarray(root_of(inner, params)) if draws and not causal else np.zeros(0)
    parts = []
    for first in range(0, pieces.n_trials, BLOCK):
        where = np.minimum(np.arange(first, first + BLOCK), pieces.n_trials - 1)
        kept = min(BLOCK, pieces.n_trials - first)
        whole = run(params, pieces.take(where))
        found = jax.tree.map(lambda x, kept=kept: np.asarray(x[:kept]), whole)
        drawn = _drawn(inner, root, found, seeds[where[:kept]], draws)
        parts.append((found.mean, found.covariance, drawn))
    mean = segments.join(np.concatenate([p[0] for p in parts]), axis=0)
    covariance = segments.join(np.concatenate([p[1] for p in parts]), axis=0)
    drawn = segments.join(np.concatenate([p[2] for p in parts], axis=1), axis=1)
    return Inferred(mean=mean, covariance=covariance, draws=drawn)
