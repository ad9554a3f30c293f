"""Posteriors of the latents of a trial, given the parameters: per-bin Gaussian factors of every modality, fused.

Neural factors are found by natural-gradient steps (Khan and Lin, AISTATS 2017), which for a log-concave likelihood with
linear loadings converge in a few rounds: with predictor moments ``(a, c)`` of unit n under the present posterior,

    Lambda_t = sum_n W_n W_n' h_tn,    eta_t = sum_n W_n g_tn + Lambda_t m_t,    (g, h) = slopes of E log p(y_tn | a_tn, c_tn).

Units and bins that are masked contribute nothing, so that the same lines infer from any subset of the units. Factors of
behaviour come from an encoder network, one for each channel.

One image may fit two places of the latent space (a digit upside down), and an encoder that names the wrong one names it with
confidence. Where there are shared latents, each factor of behaviour therefore counts with the probability that it is right:
Bayes' rule between the encoder's Gaussian and one so wide that it says nothing, given the posterior so far, which starts from
neural data alone. The outcome is a Gaussian like any other, so that the bound stays a bound.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from neurokit_snn.models.mmgpvae.design import Batch, Design, Params
from neurokit_snn.models.mmgpvae.gaussian import Factors, Paths, marginals, posterior
from neurokit_snn.models.mmgpvae.neural import AbstractNeural

__all__ = ["behavior_factors", "behavior_votes", "extras", "neural_update", "predictor", "smoothed"]

SHARPEST = 10.0
"""Largest log precision of an encoder's factor."""
TRUSTED = 4.5
"""Log odds that an encoder is right, before the posterior says what it thinks of that: half is left at 3 standard deviations."""
SLACK = 0.3
"""Error, in standard deviations of the prior, that is no sign of a wrong place: networks err by more than their noise."""

Held = tuple[Factors, list[Array]]
"""Where the rounds of inference stand: factors of the neural data, and the trust ``(trial, time)`` in each behaviour."""

Vote = tuple[Array, Array]
"""What an encoder says of the latents of behaviour: mean and precision, ``(trial, time, latent)``."""


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


def behavior_votes(design: Design, params: Params, batch: Batch) -> list[Vote]:
    """What each behaviour's encoder says; the precision is 0 where the behaviour is missing."""
    votes = []
    for channel in design.channels:
        encoded = params[f"encoder {channel.name}"](batch.behavior[channel.name])
        mean, log_precision = jnp.split(encoded, 2, axis=-1)
        valid = batch.behavior_mask[channel.name][..., None]
        votes.append((mean, jnp.exp(jnp.minimum(log_precision, SHARPEST)) * valid))
    return votes


def agreement(design: Design, votes: list[Vote], paths: Paths) -> list[Array]:
    """Probability ``(trial, time)`` that each vote is right, given the posterior so far."""
    mean = paths.mean[..., design.of_behavior]
    variance = jnp.diagonal(paths.covariance, axis1=-2, axis2=-1)[..., design.of_behavior]
    spread = variance + SLACK**2
    squares = [jnp.square(m - mean) * precision / (1.0 + precision * spread) for m, precision in votes]
    return [jax.nn.sigmoid(TRUSTED - 0.5 * square.sum(-1)) for square in squares]


def trusted_factors(design: Design, votes: list[Vote], trust: list[Array]) -> Factors:
    """Sum of the factors of all behaviours ``(trial, time, ...)``, each counted as far as it is trusted ``(trial, time)``."""
    lead = votes[0][0].shape[:2]
    linear = jnp.zeros((*lead, design.n_latents), votes[0][0].dtype)
    diagonal = jnp.zeros_like(linear)
    for (mean, precision), trusted in zip(votes, trust, strict=True):
        weighed = precision * trusted[..., None]
        linear = linear.at[..., design.of_behavior].add(weighed * mean)
        diagonal = diagonal.at[..., design.of_behavior].add(weighed)
    return Factors(linear, diagonal[..., None] * jnp.eye(design.n_latents, dtype=linear.dtype))


def behavior_factors(design: Design, params: Params, batch: Batch) -> Factors:
    """Sum of the factors of all behaviours as their encoders give them; bins where one is missing contribute nothing."""
    votes = behavior_votes(design, params, batch)
    return trusted_factors(design, votes, [jnp.ones_like(precision[..., 0]) for _, precision in votes])


def smoothed(
    design: Design,
    params: Params,
    batch: Batch,
    root: Array,
    *,
    iterations: int,
    start: Held | None = None,
) -> tuple[Array, Array, Held]:
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
        Where to start from; None for a guess from each count by itself, and no trust in behaviour where there are neural data
        and shared latents.

    Returns
    -------
    mean, inverse
        As of `posterior`.
    held
        Neural factors and trust at the end. No gradient flows through them: at their optimum the bound does not change with
        the neural factors.
    """
    if not design.reads_neural:
        behavior = behavior_factors(design, params, batch)
        mean, inverse = posterior(root, behavior)
        return mean, inverse, (jax.tree.map(jnp.zeros_like, behavior), [])
    votes = behavior_votes(design, params, batch)
    fixed, fixed_votes, fixed_root = jax.lax.stop_gradient((params, votes, root))
    # Trials whose neural data tell of what is shared.
    judged = (batch.neural_mask.max((1, 2)) > 0)[:, None] & (design.shared > 0)
    if start is None:
        trust = [jnp.where(judged, 0.0, jnp.ones_like(precision[..., 0])) for _, precision in votes]
        start = first_guess(design.likelihood, fixed, batch, design.n_latents), trust

    def both(neural: Factors, votes: list[Vote], trust: list[Array]) -> Factors:
        return fuse(design, neural, trusted_factors(design, votes, trust)) if votes else neural

    def step(_: int, carry: Held) -> Held:
        neural, trust = carry
        paths = marginals(fixed_root, *posterior(fixed_root, both(neural, fixed_votes, trust)))
        neural = neural_update(design.likelihood, fixed, batch, paths, design.n_latents)
        return neural, [jnp.where(judged, trusted, 1.0) for trusted in agreement(design, fixed_votes, paths)]

    neural, trust = jax.lax.stop_gradient(jax.lax.fori_loop(0, iterations, step, start))
    mean, inverse = posterior(root, both(neural, votes, trust))
    return mean, inverse, (neural, trust)


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
    # Rows and columns are scaled together: to shrink the diagonal alone would leave no precision matrix.
    ratio = jnp.sqrt(jnp.where(both, precision / jnp.maximum(p_one + p_two, 1e-12), 1.0))
    scale = jnp.ones_like(total.linear).at[..., shared].set(ratio)
    return Factors(
        total.linear.at[..., shared].set(jnp.where(both, precision * mean, total.linear[..., shared])),
        scale[..., :, None] * total.precision * scale[..., None, :],
    )
