"""Gaussian posteriors of latent paths from pseudo-observations of them, one for each bin.

Whitened coefficients e ~ N(0, I) of all latents of a trial give the paths ``z_p = G_p' e_p`` with ``G_p = diag(sqrt(s_p)) B``.
Each modality contributes, for each bin, a Gaussian factor ``exp(eta' z - z' Lambda z / 2)``; factors of several modalities
multiply, so their precisions add and a missing one contributes nothing. The product with the prior is the posterior

    Q = I + sum_t G_t Lambda_t G_t',    mean = Q^-1 sum_t G_t eta_t.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax import Array
from jax.scipy.linalg import solve_triangular
from multipledispatch import dispatch
from numpyro.distributions import constraints

__all__ = ["Factors", "Paths", "PrecisionNormal", "inverse_factor", "marginals", "posterior", "project"]


class Factors(NamedTuple):
    """Gaussian factors of the latents of each bin.

    ``linear (trial, time, latent)`` and ``precision (trial, time, latent, latent)``.
    """

    linear: Array
    precision: Array

    def __add__(self, other: Factors) -> Factors:  # type: ignore[override]
        return Factors(self.linear + other.linear, self.precision + other.precision)


class Paths(NamedTuple):
    """Posterior of latent paths bin by bin: ``mean (trial, time, latent)``, ``covariance (trial, time, latent, latent)``."""

    mean: Array
    covariance: Array


@jax.custom_vjp
def inverse_factor(precision: Array) -> Array:
    """Inverse of the lower Cholesky factor, ``(..., D, D)``: ``R' R`` is the covariance.

    Everything else about the Gaussian is a matrix product from here on, and so is the derivative, ``dR = -Phi(R dQ R') R``
    with Phi the lower triangle and half the diagonal: XLA on few CPU threads can lock up when batched factorisations and
    triangular solves run side by side, as those of an automatic derivative do.
    """
    factor = jnp.linalg.cholesky(precision)
    eye = jnp.broadcast_to(jnp.eye(factor.shape[-1], dtype=factor.dtype), factor.shape)
    return solve_triangular(factor, eye, lower=True)


def _forward(precision: Array) -> tuple[Array, Array]:
    inverse = inverse_factor(precision)
    return inverse, inverse


def _backward(inverse: Array, slope: Array) -> tuple[Array]:
    size = inverse.shape[-1]
    half = jnp.tril(jnp.ones((size, size), inverse.dtype)) - 0.5 * jnp.eye(size, dtype=inverse.dtype)
    transposed = jnp.swapaxes(inverse, -1, -2)
    middle = half * (slope @ transposed)
    made = -transposed @ middle @ inverse
    return (0.5 * (made + jnp.swapaxes(made, -1, -2)),)


inverse_factor.defvjp(_forward, _backward)


class PrecisionNormal(dist.Distribution):
    """Multivariate normal given by its mean and the inverse R of the lower Cholesky factor of its precision.

    Its divergence from independent standard normals is known to NumPyro's mean-field ELBO.
    """

    support = constraints.real_vector
    reparametrized_params: ClassVar[list[str]] = ["loc", "inverse"]
    arg_constraints: ClassVar[dict[str, Any]] = {
        "loc": constraints.real_vector,
        "inverse": constraints.lower_cholesky,
    }

    def __init__(self, loc: Array, inverse: Array, *, validate_args: bool | None = None) -> None:
        self.loc, self.inverse = loc, inverse
        super().__init__(loc.shape[:-1], loc.shape[-1:], validate_args=validate_args)

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draws with a derivative by location and factor."""
        noise = jax.random.normal(key, (*sample_shape, *self.loc.shape), self.loc.dtype)
        return self.loc + jnp.einsum("...ji,...j->...i", self.inverse, noise)

    def log_prob(self, value: Array) -> Array:
        """Log density of coefficients."""
        inverse = jnp.broadcast_to(self.inverse, (*value.shape, value.shape[-1]))
        white = solve_triangular(inverse, (value - self.loc)[..., None], lower=True, trans=1)[..., 0]
        size = value.shape[-1]
        return (
            self.half_log_determinant() - 0.5 * jnp.square(white).sum(-1) - 0.5 * size * jnp.log(2 * jnp.pi)
        )

    def half_log_determinant(self) -> Array:
        """Half the log determinant of the precision."""
        return -jnp.log(jnp.diagonal(self.inverse, axis1=-2, axis2=-1)).sum(-1)


@dispatch(PrecisionNormal, dist.Independent)
def kl_divergence(p: PrecisionNormal, q: dist.Independent) -> Array:
    """``KL(N(m, Q^-1) || N(0, I)) = (tr Q^-1 + m'm - D + log|Q|) / 2``; q must be standard normal, as the prior here is."""
    trace = jnp.square(p.inverse).sum((-2, -1))
    size = p.loc.shape[-1]
    return 0.5 * (trace + jnp.square(p.loc).sum(-1) - size) + p.half_log_determinant()


def project(root: Array, coefficients: Array) -> Array:
    """Paths ``(..., time, latent)`` of whitened coefficients ``(..., latent * row)``; root is ``(latent, row, time)``."""
    shaped = coefficients.reshape(*coefficients.shape[:-1], *root.shape[:2])
    return jnp.einsum("pft,...pf->...tp", root, shaped)


def posterior(root: Array, factors: Factors) -> tuple[Array, Array]:
    """Mean ``(trial, latent * row)`` of the whitened coefficients, and R of `inverse_factor` of their precision.

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
    inverse = inverse_factor(precision + jnp.eye(size, dtype=root.dtype))
    linear = jnp.einsum("pft,rtp->rpf", root, factors.linear).reshape(-1, size)
    half = jnp.einsum("rij,rj->ri", inverse, linear)
    return jnp.einsum("rji,rj->ri", inverse, half), inverse


def marginals(root: Array, mean: Array, inverse: Array) -> Paths:
    """Posterior of the paths at each bin, from that of the coefficients."""
    n_latents, n_rows, _ = root.shape
    shaped = inverse.reshape(-1, n_latents * n_rows, n_latents, n_rows)
    half = jnp.einsum("rdpf,pft->rtdp", shaped, root)
    return Paths(project(root, mean), jnp.einsum("rtdp,rtdq->rtpq", half, half))
