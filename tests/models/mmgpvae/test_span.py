"""Fewer coefficients, the same prior."""

from __future__ import annotations

import pytest

pytest.importorskip("numpyro")

import jax
import jax.numpy as jnp
import numpy as np

from neurokit_snn.models.mmgpvae.fourier import basis_for, correlation, log_spectrum
from neurokit_snn.models.mmgpvae.span import NUGGET, lower_factor, span_of, spanned


@pytest.mark.parametrize("kernel", ["rbf", "matern52"])
@pytest.mark.parametrize("length_scale", [6.0, 11.0, 24.0])
def test_the_prior_is_that_of_the_kernel(kernel, length_scale):
    """Covariances agree with the kernel to what the circle and the nugget leave."""
    basis = basis_for(40, kernel=kernel, shortest=6.0, longest=24.0)
    span = span_of(basis, kernel, 6.0)
    assert span.shape[1] <= basis.n_rows
    amplitude = jnp.exp(0.5 * log_spectrum(kernel, basis.frequencies, jnp.asarray(length_scale)))
    root = np.asarray(spanned((amplitude[:, None] * basis.matrix())[None], span))[0]
    lag = np.subtract.outer(np.arange(40), np.arange(40)).astype(float)
    apart = np.abs(root.T @ root - correlation(kernel, lag, length_scale)).max()
    assert apart <= {"rbf": 1e-4 + NUGGET, "matern52": 1.5e-3}[kernel]


def test_an_rbf_prior_needs_about_half_the_rows():
    """That is what it is for."""
    basis = basis_for(40, kernel="rbf", shortest=6.0, longest=24.0)
    assert span_of(basis, "rbf", 6.0).shape[1] <= 0.6 * basis.n_rows


def test_derivative_of_the_factor():
    """By hand against finite differences."""
    rng = np.random.default_rng(0)
    root = rng.standard_normal((2, 7, 5))
    weights = rng.standard_normal((2, 5, 5))
    with jax.enable_x64(True):

        def value(root):
            return jnp.sum(jnp.asarray(weights) * lower_factor(jnp.einsum("pfr,pfs->prs", root, root)) ** 2)

        slope = np.asarray(jax.grad(value)(jnp.asarray(root)))
        for _ in range(5):
            way = rng.standard_normal(root.shape)
            ahead, behind = (float(value(jnp.asarray(root + s * 1e-6 * way))) for s in (1, -1))
            assert (ahead - behind) / 2e-6 == pytest.approx(float((slope * way).sum()), rel=1e-5)
