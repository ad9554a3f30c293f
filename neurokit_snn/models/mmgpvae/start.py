"""Parameters that a fit starts from."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from scipy.ndimage import gaussian_filter1d

from neurokit_snn.models.mmgpvae.design import Batch, Design, Params
from neurokit_snn.models.mmgpvae.networks import Perceptron

__all__ = ["initial_params"]

ENCODER_LOG_PRECISION = -1.0
STEEP, SCATTERED = 3.0, 2.0
"""First layer of decoders: factor on the weights, and sd of the biases. Latents have unit variance, and a decoder whose
bends all lie at 0 finds it easier to stretch them than to bend."""


def initial_params(design: Design, batch: Batch, *, length_scale: float, seed: int) -> Params:
    """Loadings from principal components of smoothed activity, networks at random.

    Parameters
    ----------
    design
        The model.
    batch
        All training trials.
    length_scale
        In bins, of every latent.
    seed
        Of the networks, and of the rotation of the loadings.
    """
    rng = np.random.default_rng(seed)
    ratio = np.log(design.longest / design.shortest)
    share = np.clip(np.log(length_scale / design.shortest) / max(ratio, 1e-9), 1e-3, 1.0 - 1e-3)
    params: Params = {
        "kernel": jnp.asarray(np.full(design.n_latents, np.log(share / (1.0 - share))), jnp.float32)
    }
    latents = design.shared + design.behavior
    if design.reads_neural:
        params |= _neural(design, batch, length_scale, rng)
        if design.posterior != "smoother":
            width = 2 * (design.neural + design.shared)
            params["encoder neural"] = _encoder(design, design.n_units, width, rng)
    for channel in design.channels:
        name = channel.name
        params[f"encoder {name}"] = _encoder(design, channel.width, 2 * latents, rng)
        sizes = (latents, *design.hidden, channel.width)
        params[f"decoder {name}"] = _decoder(sizes, rng)
        if channel.kind == "gaussian":
            one = 1 if name.startswith("stimulus_") else channel.width
            params[f"log_sd {name}"] = jnp.asarray(np.zeros(one), jnp.float32)
    if design.posterior == "fourier":
        for name in [*(["neural"] if design.reads_neural else []), *(m.name for m in design.channels)]:
            params[f"over time {name}"] = _over_time(design, length_scale)
    return params


def _encoder(design: Design, inputs: int, outputs: int, rng: np.random.Generator) -> Perceptron:
    made = Perceptron((inputs, *reversed(design.hidden), outputs), rng=rng, gain=0.3)
    last = np.zeros(outputs)
    last[outputs // 2 :] = ENCODER_LOG_PRECISION
    made.biases[-1] = jnp.asarray(last, jnp.float32)
    return made


def _decoder(sizes: tuple[int, ...], rng: np.random.Generator) -> Perceptron:
    made = Perceptron(sizes, rng=rng, gain=0.5)
    if len(made.weights) > 1:
        made.weights[0] = STEEP * made.weights[0]
        made.biases[0] = jnp.asarray(SCATTERED * rng.standard_normal(sizes[1]), jnp.float32)
    return made


def _over_time(design: Design, length_scale: float) -> Params:
    """The map that projects a path on the whitened basis, for a start."""
    from neurokit_snn.models.mmgpvae.fourier import spectrum

    basis = design.basis
    density = np.asarray(spectrum(design.kernel, basis.frequencies, jnp.array(length_scale)))
    root = np.sqrt(density)[:, None] * basis.matrix()  # (row, time)
    project = np.linalg.solve(root @ root.T + 0.1 * np.eye(len(root)), root).T
    return {
        "mean": jnp.asarray(project, jnp.float32),
        "precision": jnp.full((basis.n_bins, basis.n_rows), 1.0 / basis.n_bins, jnp.float32),
        "bias": jnp.zeros(basis.n_rows, jnp.float32),
    }


def _neural(design: Design, batch: Batch, length_scale: float, rng: np.random.Generator) -> Params:
    values = np.asarray(batch.neural, dtype=np.float64)
    mask = np.asarray(batch.neural_mask) > 0
    offset, extra = design.likelihood.start(values, mask)
    size = design.neural + design.shared
    scaled = np.where(mask, design.likelihood.standardised(values, offset), 0.0)
    width = max(length_scale / 2.0, 0.5) if design.kernel != "white" else 0.5
    smooth = gaussian_filter1d(scaled, width, axis=1) / np.maximum(
        gaussian_filter1d(mask.astype(np.float64), width, axis=1), 1e-3
    )
    # Units by the noise that is left in them, so that silent ones do not lead.
    weight = np.sqrt(np.maximum(mask.mean((0, 1)) * _information(design, offset, extra), 1e-12))
    flat = (np.where(mask, smooth, 0.0) * weight)[mask.any(-1)]
    _, singular, rows = np.linalg.svd(flat - flat.mean(0), full_matrices=False)
    kept = min(size, singular.size)
    loading = np.zeros((design.n_units, size))
    loading[:, :kept] = (rows[:kept] * singular[:kept, None] / np.sqrt(len(flat))).T / weight[:, None]
    scores = np.zeros((*mask.shape[:2], size))
    scores[mask.any(-1), :kept] = (flat - flat.mean(0)) @ rows[:kept].T / np.maximum(singular[:kept], 1e-12)
    turn = _turned(design, batch, scores, np.asarray(mask.any(-1)), rng)
    loading = np.clip(loading @ turn, -2.0, 2.0) + 0.01 * rng.standard_normal(loading.shape)
    return {
        "loading": jnp.asarray(loading, jnp.float32),
        "offset": jnp.asarray(offset, jnp.float32),
        "neural_extra": {name: jnp.asarray(value, jnp.float32) for name, value in extra.items()},
    }


def _turned(
    design: Design, batch: Batch, scores: np.ndarray, valid: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Rotation ``(component, latent)`` that puts what best foretells behaviour into the shared latents, the rest before them.

    Components and behaviour are compared bin by bin: the left singular vectors of their correlation. Within each block the
    directions are turned at random, as nothing tells them apart.
    """
    size = scores.shape[-1]
    order = np.eye(size)
    if design.shared and design.channels:
        shared = np.zeros((size, size))
        for channel in design.channels:
            known = valid & (np.asarray(batch.behavior_mask[channel.name]) > 0)
            features = np.asarray(batch.behavior[channel.name], np.float64)[known]
            apart = features - features.mean(0)
            told = (
                (scores[known] - scores[known].mean(0)).T
                @ apart
                / max(np.sqrt(np.square(apart).sum()), 1e-12)
            )
            shared += told @ told.T
        order = np.linalg.eigh(shared)[1]  # ascending: the shared ones last, as in the order of the blocks
    for block in (slice(0, design.neural), slice(design.neural, size)):
        width = block.stop - block.start
        turn, _ = np.linalg.qr(rng.standard_normal((width, width)))
        order[:, block] = order[:, block] @ turn
    return order


def _information(design: Design, offset: np.ndarray, extra: dict[str, np.ndarray]) -> np.ndarray:
    """Precision with which one bin tells of the linear predictor of each unit."""
    if "sd" in extra:
        return np.exp(-2.0 * extra["sd"])
    return np.exp(np.minimum(offset, 5.0))
