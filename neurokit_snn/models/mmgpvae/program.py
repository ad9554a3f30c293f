"""The model and its guide as NumPyro programs."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax import Array
from multipledispatch import dispatch
from numpyro.distributions import constraints
from numpyro.handlers import scale

from neurokit_snn.models.mmgpvae.behavior import Channel, log_density
from neurokit_snn.models.mmgpvae.design import Batch, Design, Params, root_of
from neurokit_snn.models.mmgpvae.gaussian import Paths, PrecisionNormal, inverse_factor, marginals, project
from neurokit_snn.models.mmgpvae.inference import extras, predictor, smoothed

__all__ = ["GaussianProcess", "guide", "guide_distribution", "model", "paths_of"]

ARD_SHAPE, ARD_SCALE = 1e-3, 1e-3
"""Gamma prior of the precision of a latent's loadings, a whole column at a time: shape, and scale for each loading."""
JITTER = 1e-3
"""Added to the variance of the prior in the time domain, where it has to be inverted."""
TRAINING_ROUNDS = 2
"""Natural-gradient steps of the neural factors in training."""


class GaussianProcess(dist.Distribution):
    """Independent Gaussian processes over the bins of a trial, one for each latent; a draw is ``(latent, time)``.

    Parameters
    ----------
    covariance
        ``(latent, time, time)``.
    """

    support = constraints.independent(constraints.real_vector, 1)
    reparametrized_params: ClassVar[list[str]] = ["covariance"]
    arg_constraints: ClassVar[dict[str, Any]] = {
        "covariance": constraints.independent(constraints.positive_definite, 1)
    }

    def __init__(self, covariance: Array, *, validate_args: bool | None = None) -> None:
        self.covariance = covariance
        self.inverse = inverse_factor(covariance)
        super().__init__((), covariance.shape[:-1], validate_args=validate_args)

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:
        """Paths with a derivative by location and covariance."""
        noise = jax.random.normal(key, (*sample_shape, *self.event_shape), self.covariance.dtype)
        factor = self.covariance @ jnp.swapaxes(self.inverse, -1, -2)  # L = K R', for K = L L' and R = L^-1
        return jnp.einsum("pts,...ps->...pt", factor, noise)

    def log_prob(self, value: Array) -> Array:
        """Log density of paths ``(..., latent, time)``."""
        size = value.shape[-1] * value.shape[-2]
        return (
            -0.5 * self.quadratic(value) - self.half_log_determinant() - 0.5 * size * math.log(2.0 * math.pi)
        )

    def quadratic(self, value: Array) -> Array:
        """Squared length of whitened paths, summed over bins and latents."""
        return jnp.square(jnp.einsum("pst,...pt->...ps", self.inverse, value)).sum((-2, -1))

    def half_log_determinant(self) -> Array:
        """Half the log determinant of all covariances together."""
        return -jnp.log(jnp.diagonal(self.inverse, axis1=-2, axis2=-1)).sum()


@dispatch(dist.Independent, GaussianProcess)
def kl_divergence(p: dist.Independent, q: GaussianProcess) -> Array:
    """``KL`` of independent normals ``(..., latent, time)`` from Gaussian processes, summed over bins and latents."""
    mean, sd = p.base_dist.loc, p.base_dist.scale
    trace = jnp.einsum("pst,...pt->...", jnp.square(q.inverse), jnp.square(sd))
    log_sd = jnp.log(sd).sum((-2, -1))
    size = mean.shape[-1] * mean.shape[-2]
    return 0.5 * (q.quadratic(mean) + trace - size) + q.half_log_determinant() - log_sd


class Weighted(dist.Distribution):
    """A log likelihood that is already computed, as a site of its own."""

    support = constraints.real

    def __init__(self, log_likelihood: Array) -> None:
        self.log_likelihood = log_likelihood
        super().__init__(log_likelihood.shape, ())

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:
        return jnp.zeros((*sample_shape, *self.batch_shape))

    def log_prob(self, value: Array) -> Array:
        return self.log_likelihood


def parameters(initial: Params) -> Params:
    """Parameter sites of NumPyro, one for each entry."""
    # NumPyro calls what can be called to get the first value, and a network can be.
    return {name: numpyro.param(name, lambda _, value=value: value) for name, value in initial.items()}


def paths_of(design: Design, params: Params, coefficients: Array) -> Array:
    """Paths ``(..., time, latent)`` of what the site ``latents`` holds."""
    if design.posterior == "time":
        return jnp.swapaxes(coefficients, -1, -2)
    return project(root_of(design, params), coefficients)


def prior_distribution(design: Design, params: Params) -> dist.Distribution:
    """Prior of a trial's latents."""
    root = root_of(design, params)
    if design.posterior == "time":
        covariance = jnp.einsum("pft,pfs->pts", root, root) + JITTER * jnp.eye(design.basis.n_bins)
        return GaussianProcess(covariance)
    size = root.shape[0] * root.shape[1]
    return dist.Normal(jnp.zeros(size, root.dtype), 1.0).to_event(1)


def guide_distribution(
    design: Design, params: Params, batch: Batch, *, iterations: int | None = None
) -> tuple[dist.Distribution, Paths]:
    """Posterior of each trial's latents, as a distribution of the site ``latents`` and bin by bin."""
    if design.posterior == "smoother":
        root = root_of(design, params)
        rounds = TRAINING_ROUNDS if iterations is None else iterations
        mean, inverse, _ = smoothed(design, params, batch, root, iterations=rounds)
        return PrecisionNormal(mean, inverse), marginals(root, mean, inverse)
    from neurokit_snn.models.mmgpvae.encoders import encoded

    mean, sd = encoded(design, params, batch)  # (trial, latent, row or time)
    if design.posterior == "time":
        variance = jnp.swapaxes(sd**2, -1, -2)
        paths = Paths(jnp.swapaxes(mean, -1, -2), variance[..., None] * jnp.eye(design.n_latents))
        return dist.Normal(mean, sd).to_event(2), paths
    root = root_of(design, params)
    variance = jnp.einsum("pft,rpf->rtp", root**2, sd**2)
    flat = mean.reshape(mean.shape[0], -1)
    paths = Paths(project(root, flat), variance[..., None] * jnp.eye(design.n_latents))
    return dist.Normal(flat, sd.reshape(flat.shape)).to_event(1), paths


def log_neural(design: Design, params: Params, batch: Batch, paths: Paths | Array) -> Array:
    """(Expected) log likelihood of each trial's neural data, ``(trial,)``: of moments in closed form, or of sampled paths."""
    if isinstance(paths, Paths):
        mean, variance = predictor(params, paths)
        values = design.likelihood.expected(batch.neural, mean, variance, extras(params))
    else:
        linear = paths[..., design.of_neural] @ params["loading"].T + params["offset"]
        values = design.likelihood.log_prob(batch.neural, linear, extras(params))
    return jnp.sum(jnp.where(batch.neural_mask > 0, values, 0.0), (-2, -1))


def log_behavior(design: Design, params: Params, batch: Batch, paths: Array, channel: Channel) -> Array:
    """Log likelihood of each trial's behaviour given sampled paths, ``(trial,)``."""
    output = params[f"decoder {channel.name}"](paths[..., design.of_behavior])
    values = log_density(channel, batch.behavior[channel.name], output, params.get(f"log_sd {channel.name}"))
    return jnp.sum(values * batch.behavior_mask[channel.name], -1)


def log_ard(weights: Array) -> Array:
    """Log prior of loadings ``(many, latent)``, up to a constant: normal with a gamma precision a column, integrated out.

    A column whose loadings do not pay for themselves is drawn to zero (Bishop, 1999: automatic relevance determination).
    """
    size = weights.shape[0]
    squares = ARD_SCALE * size + 0.5 * jnp.square(weights).sum(0)
    return -jnp.sum((ARD_SHAPE + 0.5 * size) * jnp.log(squares))


def model(
    design: Design,
    initial: Params,
    batch: Batch,
    *,
    n_trials: Array | int,
    weights: dict[str, Any],
) -> None:
    """Latents, then neural data and behaviour given them.

    Parameters
    ----------
    design, initial
        The model and the values its parameters start from.
    batch
        Trials of this step.
    n_trials
        Trials of all, which the batch stands for.
    weights
        Of each behaviour's likelihood; all 1 for the evidence lower bound.
    """
    params = parameters(initial)
    if design.reads_neural:
        numpyro.factor("ard loading", log_ard(params["loading"]))
    for channel in design.channels:
        numpyro.factor(f"ard {channel.name}", log_ard(params[f"decoder {channel.name}"].weights[0].T))
    with numpyro.plate("trial", batch.n_trials), scale(scale=n_trials / batch.n_trials):
        coefficients = numpyro.sample("latents", prior_distribution(design, params))
        paths = paths_of(design, params, coefficients)
        if design.reads_neural and not design.closed_form:  # else the guide accounts for the neural data
            sampled = log_neural(design, params, batch, paths)
            numpyro.sample("neural", Weighted(sampled), obs=jnp.zeros(batch.n_trials))
        for channel in design.channels:
            likelihood = log_behavior(design, params, batch, paths, channel)
            with scale(scale=weights[channel.name]):
                numpyro.sample(channel.name, Weighted(likelihood), obs=jnp.zeros(batch.n_trials))


def guide(design: Design, initial: Params, batch: Batch, *, n_trials: Array | int) -> None:
    """Amortised posterior of the latents; in closed form also the expected log likelihood of the neural data."""
    params = parameters(initial)
    posterior, paths = guide_distribution(design, params, batch)
    with numpyro.plate("trial", batch.n_trials), scale(scale=n_trials / batch.n_trials):
        numpyro.sample("latents", posterior)
        if design.reads_neural and design.closed_form:
            expected = Weighted(-log_neural(design, params, batch, paths))
            # NumPyro subtracts what is observed in a guide.
            numpyro.sample("neural", expected, obs=jnp.zeros(batch.n_trials), infer={"is_auxiliary": True})
