"""Gaussian posteriors of latent paths from pseudo-observations of them, one for each bin.

Whitened coefficients e ~ N(0, I) of all latents of a trial give the paths ``z_p = G_p' e_p`` with ``G_p = diag(sqrt(s_p)) B``.
Each modality contributes, for each bin, a Gaussian factor ``exp(eta' z - z' Lambda z / 2)``; factors of several modalities
multiply, so their precisions add and a missing one contributes nothing. The product with the prior is the posterior

    Q = I + sum_t G_t Lambda_t G_t',    mean = Q^-1 sum_t G_t eta_t.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax import Array
from jax.scipy.linalg import solve_triangular
from multipledispatch import dispatch
from numpyro.distributions import constraints

__all__ = ["Factors", "Paths", "PrecisionNormal", "marginals", "posterior", "project"]


class Factors(NamedTuple):
    """Gaussian factors of the latents of each bin: ``linear (trial, time, latent)``, ``precision (trial, time, latent, latent)``."""

    linear: Array
    precision: Array

    def __add__(self, other: Factors) -> Factors:  # type: ignore[override]
        return Factors(self.linear + other.linear, self.precision + other.precision)


class Paths(NamedTuple):
    """Posterior of latent paths bin by bin: ``mean (trial, time, latent)``, ``covariance (trial, time, latent, latent)``."""

    mean: Array
    covariance: Array


class PrecisionNormal(dist.Distribution):
    """Multivariate normal given by its mean and the lower Cholesky factor of its precision.

    Its divergence from independent standard normals is known to NumPyro's mean-field ELBO.
    """

    support = constraints.real_vector
    reparametrized_params = ["loc", "factor"]
    arg_constraints = {"loc": constraints.real_vector, "factor": constraints.lower_cholesky}

    def __init__(self, loc: Array, factor: Array, *, validate_args: bool | None = None) -> None:
        self.loc, self.factor = loc, factor
        super().__init__(loc.shape[:-1], loc.shape[-1:], validate_args=validate_args)

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:
        noise = jax.random.normal(key, (*sample_shape, *self.loc.shape), self.loc.dtype)
        factor = jnp.broadcast_to(self.factor, (*noise.shape, noise.shape[-1]))
        return self.loc + solve_triangular(factor, noise[..., None], lower=True, trans=1)[..., 0]

    def log_prob(self, value: Array) -> Array:
        apart = jnp.einsum("...ji,...j->...i", self.factor, value - self.loc)
        size = value.shape[-1]
        return (
            self.half_log_determinant() - 0.5 * jnp.square(apart).sum(-1) - 0.5 * size * jnp.log(2 * jnp.pi)
        )

    def half_log_determinant(self) -> Array:
        """Half the log determinant of the precision."""
        return jnp.log(jnp.diagonal(self.factor, axis1=-2, axis2=-1)).sum(-1)


@dispatch(PrecisionNormal, dist.Independent)
def kl_divergence(p: PrecisionNormal, q: dist.Independent) -> Array:  # type: ignore[no-untyped-def]
    """``KL(N(m, Q^-1) || N(0, I)) = (tr Q^-1 + m'm - D + log|Q|) / 2``; q must be standard normal, as the prior here is."""
    inverse = solve_triangular(
        p.factor, jnp.broadcast_to(jnp.eye(p.factor.shape[-1], dtype=p.factor.dtype), p.factor.shape), lower=True
    )
    trace = jnp.square(inverse).sum((-2, -1))
    size = p.factor.shape[-1]
    return 0.5 * (trace + jnp.square(p.loc).sum(-1) - size) + p.half_log_determinant()


def project(root: Array, coefficients: Array) -> Array:
    """Paths ``(..., time, latent)`` of whitened coefficients ``(..., latent * row)``; root is ``(latent, row, time)``."""
    shaped = coefficients.reshape(*coefficients.shape[:-1], *root.shape[:2])
    return jnp.einsum("pft,...pf->...tp", root, shaped)


def posterior(root: Array, factors: Factors) -> tuple[Array, Array]:
    """Mean ``(trial, latent * row)`` and lower Cholesky factor of the precision of the whitened coefficients.

    Parameters
    ----------
    root
        G, ``(latent, row, time)``.
    factors
        Of each bin.
    """
    n_latents, n_rows, _ = root.shape
    size = n_latents * n_rows
    weighted = jnp.einsum("pft,rtpq->rpqft", root, factors.precision)
    precision = jnp.einsum("rpqft,qgt->rpfqg", weighted, root).reshape(-1, size, size)
    factor = jnp.linalg.cholesky(precision + jnp.eye(size, dtype=root.dtype))
    linear = jnp.einsum("pft,rtp->rpf", root, factors.linear).reshape(-1, size)
    half = solve_triangular(factor, linear[..., None], lower=True)
    mean = solve_triangular(factor, half, lower=True, trans=1)[..., 0]
    return mean, factor


def marginals(root: Array, mean: Array, factor: Array) -> Paths:
    """Posterior of the paths at each bin, from that of the coefficients."""
    n_latents, n_rows, n_bins = root.shape
    spread = jnp.einsum("pft,pq->pftq", root, jnp.eye(n_latents, dtype=root.dtype))
    spread = spread.reshape(n_latents * n_rows, n_bins * n_latents)
    half = solve_triangular(factor, jnp.broadcast_to(spread, (*factor.shape[:-2], *spread.shape)), lower=True)
    half = half.reshape(*half.shape[:-1], n_bins, n_latents)
    return Paths(project(root, mean), jnp.einsum("rdtp,rdtq->rtpq", half, half))
