"""Posteriors of the latents of a trial, given the parameters: per-bin Gaussian factors of every modality, fused.

Neural factors are found by natural-gradient steps (Khan and Lin, AISTATS 2017), which for a log-concave likelihood with
linear loadings converge in a few rounds: with predictor moments ``(a, c)`` of unit n under the present posterior,

    Lambda_t = sum_n W_n W_n' h_tn,    eta_t = sum_n W_n g_tn + Lambda_t m_t,    (g, h) = slopes of E log p(y_tn | a_tn, c_tn).

Units and bins that are masked contribute nothing, so that the same lines infer from any subset of the units. Factors of
behaviour come from an encoder network, one for each channel.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from neurokit_snn.models.mmgpvae.design import Batch, Design, Params
from neurokit_snn.models.mmgpvae.gaussian import Factors, Paths, marginals, posterior
from neurokit_snn.models.mmgpvae.neural import AbstractNeural

__all__ = ["behavior_factors", "extras", "neural_update", "predictor", "smoothed"]

SHARPEST = 10.0
"""Largest log precision of an encoder's factor."""


def extras(params: Params) -> dict[str, Array]:
    """Further parameters of the neural likelihood, ``(unit,)``."""
    return {name: jnp.exp(value) for name, value in params["neural_extra"].items()}


def predictor(params: Params, paths: Paths) -> tuple[Array, Array]:
    """Mean and variance ``(trial, time, unit)`` of each unit's linear predictor."""
    weights = params["loading"]
    size = weights.shape[1]
    mean = paths.mean[..., :size] @ weights.T + params["offset"]
    pairs = (weights[:, :, None] * weights[:, None, :]).reshape(weights.shape[0], -1)
    spread = paths.covariance[..., :size, :size].reshape(*paths.covariance.shape[:2], -1)
    return mean, spread @ pairs.T


def _factors(params: Params, mean: Array, slope: Array, curvature: Array, n_latents: int) -> Factors:
    """Factors of all latents from the slopes of the units' log likelihoods at latent means ``(trial, time, latent)``."""
    weights = params["loading"]
    size = weights.shape[1]
    pairs = (weights[:, :, None] * weights[:, None, :]).reshape(weights.shape[0], -1)
    precision = (curvature @ pairs).reshape(*curvature.shape[:2], size, size)
    linear = slope @ weights + jnp.einsum("rtpq,rtq->rtp", precision, mean[..., :size])
    more = n_latents - size
    return Factors(
        jnp.pad(linear, ((0, 0), (0, 0), (0, more))),
        jnp.pad(precision, ((0, 0), (0, 0), (0, more), (0, more))),
    )


def first_guess(likelihood: AbstractNeural, params: Params, batch: Batch, n_latents: int) -> Factors:
    """Factors from each value by itself, as in the first round of iteratively reweighted least squares."""
    extra = extras(params)
    guess = jnp.broadcast_to(likelihood.guess(batch.neural, params["offset"]), batch.neural.shape)
    slope, curvature = likelihood.slopes(batch.neural, guess, jnp.zeros_like(guess), extra)
    slope = (slope + curvature * (guess - params["offset"])) * batch.neural_mask
    nowhere = jnp.zeros((*batch.neural.shape[:2], n_latents), batch.neural.dtype)
    return _factors(params, nowhere, slope, curvature * batch.neural_mask, n_latents)


def neural_update(
    likelihood: AbstractNeural, params: Params, batch: Batch, paths: Paths, n_latents: int
) -> Factors:
    """Neural factors at the present posterior: one natural-gradient step of full length."""
    mean, variance = predictor(params, paths)
    slope, curvature = likelihood.slopes(batch.neural, mean, variance, extras(params))
    mask = batch.neural_mask
    return _factors(params, paths.mean, slope * mask, curvature * mask, n_latents)


def behavior_factors(design: Design, params: Params, batch: Batch) -> Factors:
    """Sum of the factors of all behaviours, each from its encoder; bins where it is missing contribute nothing."""
    n_latents, lead = design.n_latents, batch.neural.shape[:2]
    linear = jnp.zeros((*lead, n_latents), batch.neural.dtype)
    diagonal = jnp.zeros_like(linear)
    for channel in design.channels:
        encoded = params[f"encoder {channel.name}"](batch.behavior[channel.name])
        mean, log_precision = jnp.split(encoded, 2, axis=-1)
        valid = batch.behavior_mask[channel.name][..., None]
        precision = jnp.exp(jnp.minimum(log_precision, SHARPEST)) * valid
        linear = linear.at[..., design.of_behavior].add(precision * mean)
        diagonal = diagonal.at[..., design.of_behavior].add(precision)
    return Factors(linear, diagonal[..., None] * jnp.eye(n_latents, dtype=linear.dtype))


def smoothed(
    design: Design,
    params: Params,
    batch: Batch,
    root: Array,
    *,
    iterations: int,
    start: Factors | None = None,
) -> tuple[Array, Array, Factors]:
    """Posterior of the coefficients of each trial.

    Parameters
    ----------
    design, params, batch
        The model and its data.
    root
        G of `root_of`.
    iterations
        Natural-gradient steps of the neural factors.
    start
        Neural factors to start from; None for a guess from each count by itself.

    Returns
    -------
    mean, inverse
        As of `posterior`.
    neural
        Neural factors at the end. No gradient flows through them: at their optimum the bound does not change with them.
    """
    behavior = behavior_factors(design, params, batch)
    if not design.reads_neural:
        mean, inverse = posterior(root, behavior)
        return mean, inverse, jax.tree.map(jnp.zeros_like, behavior)
    fixed = jax.lax.stop_gradient((params, behavior, root))
    neural = first_guess(design.likelihood, fixed[0], batch, design.n_latents) if start is None else start

    def step(_: int, neural: Factors) -> Factors:
        paths = marginals(fixed[2], *posterior(fixed[2], fuse(design, neural, fixed[1])))
        return neural_update(design.likelihood, fixed[0], batch, paths, design.n_latents)

    neural = jax.lax.stop_gradient(jax.lax.fori_loop(0, iterations, step, neural))
    mean, inverse = posterior(root, fuse(design, neural, behavior))
    return mean, inverse, neural


def fuse(design: Design, neural: Factors, behavior: Factors) -> Factors:
    """Factors of both modalities as one: multiplied, or for ``mean`` averaged where both say something of a shared latent."""
    if design.fusion == "precision" or not design.shared or not design.channels:
        return neural + behavior
    shared = slice(design.neural, design.neural + design.shared)
    pairs = []
    for factors in (neural, behavior):
        precision = jnp.diagonal(factors.precision, axis1=-2, axis2=-1)[..., shared]
        pairs.append((factors.linear[..., shared] / jnp.maximum(precision, 1e-6), precision))
    (m_one, p_one), (m_two, p_two) = pairs
    both = (p_one > 0) & (p_two > 0)
    mean, precision = 0.5 * (m_one + m_two), jnp.sqrt(jnp.where(both, p_one * p_two, 1.0))
    total = neural + behavior
    eye = jnp.eye(design.shared, dtype=mean.dtype)
    mixed = jnp.where(both[..., None], precision[..., None] * eye, total.precision[..., shared, shared])
    return Factors(
        total.linear.at[..., shared].set(jnp.where(both, precision * mean, total.linear[..., shared])),
        total.precision.at[..., shared, shared].set(mixed),
    )
