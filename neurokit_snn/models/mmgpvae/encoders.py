"""Amortised posteriors with a network for every modality: the published guide, and the standard GP-VAE's.

``fourier``: per-bin networks, then one learnt map over time to the coefficients for all latents of a modality (Gondur et al.,
ICLR 2024, section 3.2). ``time``: per-bin networks alone (Pearce, AABI 2020; Fortuin et al., AISTATS 2020, without its
network over time).
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from neurokit_snn.models.mmgpvae.design import Batch, Design, Params
from neurokit_snn.models.mmgpvae.inference import SHARPEST

__all__ = ["encoded"]


def encoded(design: Design, params: Params, batch: Batch) -> tuple[Array, Array]:
    """Mean and standard deviation ``(trial, latent, row or time)`` of each coefficient, all modalities fused."""
    parts = []
    if design.reads_neural:
        valid = batch.neural_mask.max(-1)
        is_count = design.likelihood.variable == "counts"
        seen = params["encoder neural"](jnp.log1p(batch.neural) if is_count else batch.neural)
        parts.append((design.of_neural, _coefficients(design, params, "neural", seen, valid)))
    for channel in design.channels:
        valid = batch.behavior_mask[channel.name]
        seen = params[f"encoder {channel.name}"](batch.behavior[channel.name])
        parts.append((design.of_behavior, _coefficients(design, params, channel.name, seen, valid)))
    lead = (batch.neural.shape[0], design.n_latents, parts[0][1][0].shape[-1])
    linear, precision = jnp.zeros(lead), jnp.ones(lead)
    for where, (mean, own) in parts:
        linear = linear.at[:, where].add(own * mean)
        precision = precision.at[:, where].add(own)
    mean, sd = linear / precision, precision**-0.5
    if design.fusion == "mean":
        total, log_sd, voices = jnp.zeros(lead), jnp.zeros(lead), jnp.zeros(lead)
        for where, (own_mean, own) in parts:
            says = (own > 0).astype(own.dtype)
            total = total.at[:, where].add(own_mean * own / (1.0 + own))
            log_sd = log_sd.at[:, where].add(-0.5 * jnp.log1p(own))
            voices = voices.at[:, where].add(says)
        voices = jnp.maximum(voices, 1.0)
        mean, sd = total / voices, jnp.exp(log_sd / voices)
    return mean, sd


def _coefficients(
    design: Design, params: Params, name: str, seen: Array, valid: Array
) -> tuple[Array, Array]:
    """Mean and precision ``(trial, latent, row or time)`` that one modality contributes to those of the standard normal prior."""
    mean, log_precision = jnp.split(seen, 2, axis=-1)  # (trial, time, latent)
    if design.posterior == "time":
        precision = jnp.exp(jnp.minimum(log_precision, SHARPEST)) * valid[..., None]
        return jnp.swapaxes(mean, -1, -2), jnp.swapaxes(precision, -1, -2)
    maps = params[f"over time {name}"]
    mean = jnp.einsum("tf,rtp->rpf", maps["mean"], mean * valid[..., None]) + maps["bias"]
    log_precision = jnp.einsum("tf,rtp->rpf", maps["precision"], log_precision * valid[..., None])
    anything = (valid.max(-1) > 0).astype(mean.dtype)
    return mean, jnp.exp(jnp.minimum(log_precision, SHARPEST)) * anything[:, None, None]
