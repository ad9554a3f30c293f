"""Paths of a trial in as few dimensions as its bins can tell apart.

The period of a Fourier basis is longer than the trial, so that its rows are far from independent over the bins of the trial.
The paths of all length scales at or above the shortest lie, but for `DROPPED`, in the span V of the leading eigenvectors of the
kernel at the shortest. There the prior is ``K_l = V (V' B' diag(s_l) B V) V'``, whose factor L gives whitened coefficients
again, fewer by a factor of two or three: ``z = V L e``, ``e ~ N(0, I)``.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.linalg import solve_triangular

from neurokit_snn.models.mmgpvae.fourier import FourierBasis, Kernel, spectrum

__all__ = ["lower_factor", "span_of", "spanned"]

DROPPED = 5e-7
"""Variance of a direction, the latent's being 1, below which it is left out."""
NUGGET = 1e-4
"""White variance added within the span: keeps the factor of a slow latent's prior stable in float32."""


@functools.lru_cache(maxsize=64)
def span_of(basis: FourierBasis, kernel: Kernel, shortest: float) -> np.ndarray:
    """V, ``(time, dimension)``, orthonormal columns; the whole space where the kernel is rough.

    Examples
    --------
    >>> basis = FourierBasis(n_bins=40, period=143, highest=17)
    >>> span_of(basis, "rbf", 6.0).shape[1] < basis.n_rows
    True
    """
    with jax.ensure_compile_time_eval():
        density = np.asarray(spectrum(kernel, basis.frequencies, jnp.asarray(shortest)), np.float64)
    _, singular, rows = np.linalg.svd(np.sqrt(density)[:, None] * basis.matrix(), full_matrices=False)
    return np.ascontiguousarray(rows[singular**2 > DROPPED].T)


def spanned(root: Array, span: np.ndarray) -> Array:
    """``L' V'``, ``(latent, dimension, time)``, from the Fourier root ``(latent, row, time)``."""
    directions = jnp.asarray(span, root.dtype)
    inside = root @ directions  # (latent, row, dimension)
    eye = jnp.eye(span.shape[1], dtype=root.dtype)
    factor = lower_factor(jnp.einsum("pfr,pfs->prs", inside, inside) + NUGGET * eye)
    return jnp.einsum("psr,ts->prt", factor, directions)


@jax.custom_vjp
def lower_factor(covariance: Array) -> Array:
    """Lower Cholesky factors ``(latent, D, D)``, with a derivative by matrix products; see `gaussian.inverse_factor` for why.

    One latent after the other, as XLA's batched factorisation shares its threads with whatever runs beside it and can wait for
    them for ever.
    """
    return jax.lax.map(jnp.linalg.cholesky, covariance)


def _forward(covariance: Array) -> tuple[Array, tuple[Array, Array]]:
    factor = lower_factor(covariance)
    eye = jnp.eye(factor.shape[-1], dtype=factor.dtype)
    inverse = jax.lax.map(lambda one: solve_triangular(one, eye, lower=True), factor)
    # What needs the factor waits for the inverse too, so that no other factorisation runs beside it.
    factor, inverse = jax.lax.optimization_barrier((factor, inverse))
    return factor, (factor, inverse)


def _backward(kept: tuple[Array, Array], slope: Array) -> tuple[Array]:
    factor, inverse = kept
    size = factor.shape[-1]
    half = jnp.tril(jnp.ones((size, size), factor.dtype)) - 0.5 * jnp.eye(size, dtype=factor.dtype)
    middle = half * (jnp.swapaxes(factor, -1, -2) @ slope)
    made = jnp.swapaxes(inverse, -1, -2) @ middle @ inverse
    return (0.5 * (made + jnp.swapaxes(made, -1, -2)),)


lower_factor.defvjp(_forward, _backward)
