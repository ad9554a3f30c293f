"""The Fourier prior is the kernel it stands for, and says so where it is not."""

from __future__ import annotations

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import toeplitz

from neurokit_snn.errors import ModelError
from neurokit_snn.models.mmgpvae.fourier import (
    TOLERANCE,
    FourierBasis,
    PriorWarning,
    basis_for,
    correlation,
    spectrum,
)

T = 60


def covariance(basis: FourierBasis, kernel: str, length_scale: float) -> np.ndarray:
    """B'SB in float64."""
    with jax.enable_x64(True):
        density = np.asarray(spectrum(kernel, basis.frequencies, jnp.asarray(length_scale, jnp.float64)))
    assert density.dtype == np.float64
    matrix = basis.matrix()
    return (matrix.T * density) @ matrix


def wanted(kernel: str, length_scale: float, n_bins: int = T) -> np.ndarray:
    return toeplitz(correlation(kernel, np.arange(n_bins), length_scale))


@pytest.mark.parametrize("length_scale", [3.0, 10.0])
@pytest.mark.parametrize(("shortest", "longest"), [(2.0, 10.0), (3.0, 10.0), (1.5, 25.0)])
def test_rbf_prior_is_the_kernel(length_scale, shortest, longest):
    basis = basis_for(T, kernel="rbf", shortest=shortest, longest=longest)
    error = np.abs(covariance(basis, "rbf", length_scale) - wanted("rbf", length_scale)).max()
    assert error <= 1e-4
    assert basis.n_rows < basis.period


@pytest.mark.parametrize("length_scale", [2.0, 10.0])
def test_rbf_prior_at_both_bounds(length_scale):
    basis = basis_for(T, kernel="rbf", shortest=2.0, longest=10.0)
    error = np.abs(covariance(basis, "rbf", length_scale) - wanted("rbf", length_scale)).max()
    assert error <= 1e-4


@pytest.mark.parametrize("kernel", ["matern12", "matern32", "matern52"])
@pytest.mark.parametrize("length_scale", [3.0, 10.0])
def test_matern_priors_within_their_tolerance(kernel, length_scale):
    basis = basis_for(T, kernel=kernel, shortest=2.0, longest=10.0)
    error = np.abs(covariance(basis, kernel, length_scale) - wanted(kernel, length_scale)).max()
    assert error <= 1.05 * TOLERANCE[kernel]


def test_white_prior_is_white():
    basis = basis_for(T, kernel="white", shortest=1.0, longest=10.0)
    assert basis.period == basis.n_rows == T
    np.testing.assert_allclose(covariance(basis, "white", 5.0), np.eye(T), atol=1e-12)


@pytest.mark.parametrize("period", [7, 8])
def test_full_basis_is_orthonormal(period):
    matrix = FourierBasis(n_bins=period, period=period, highest=period // 2).matrix()
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(period), atol=1e-12)


def test_published_period_is_wrong_and_warns():
    with pytest.warns(PriorWarning, match=r"period is 72 bins for trials of 60.*give at least 104"):
        basis = basis_for(T, kernel="rbf", shortest=2.0, longest=10.0, period=72)
    error = np.abs(covariance(basis, "rbf", 10.0) - wanted("rbf", 10.0)).max()
    assert error == pytest.approx(0.43, abs=0.01)  # the figure of the published setting, M = 1.2 T


def test_period_that_the_warning_asks_for_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        basis = basis_for(T, kernel="rbf", shortest=2.0, longest=10.0, period=104)
    assert basis == basis_for(T, kernel="rbf", shortest=2.0, longest=10.0)
    with pytest.warns(PriorWarning):
        basis_for(T, kernel="rbf", shortest=2.0, longest=10.0, period=103)


def test_period_below_the_trial_is_refused():
    with pytest.raises(ModelError, match="period is 59 bins, shorter than the 60 bins"):
        basis_for(T, kernel="rbf", shortest=2.0, longest=10.0, period=59)


def test_unknown_kernel_is_refused():
    with pytest.raises(ModelError, match="kernel is 'cubic'; choose one of rbf"):
        basis_for(T, kernel="cubic", shortest=2.0, longest=10.0)


def scores(basis: FourierBasis, length_scale: float) -> np.ndarray:
    """Deviations of the sample covariance of 20,000 paths from the kernel in standard errors, (time, time)."""
    with jax.enable_x64(True):
        density = np.asarray(spectrum("rbf", basis.frequencies, jnp.asarray(length_scale, jnp.float64)))
    coefficients = np.random.default_rng(0).standard_normal((20_000, basis.n_rows)) * np.sqrt(density)
    paths = coefficients @ basis.matrix()
    kernel = wanted("rbf", length_scale)
    found = paths.T @ paths / len(paths)
    # Var(x y) = k_xx k_yy + k_xy^2 for jointly normal x, y
    return (found - kernel) / np.sqrt((1.0 + kernel**2) / len(paths))


@pytest.mark.parametrize("length_scale", [3.0, 10.0])
def test_sample_covariance_of_paths(length_scale):
    z = scores(basis_for(T, kernel="rbf", shortest=2.0, longest=10.0), length_scale)
    some = [(0, 0), (0, 5), (0, 30), (0, 59), (29, 30), (40, 59), (59, 59)]
    assert max(abs(z[pair]) for pair in some) <= 3.0
    assert np.mean(np.abs(z) > 3.0) <= 0.02


def test_sample_covariance_notices_a_short_period():
    with pytest.warns(PriorWarning):
        basis = basis_for(T, kernel="rbf", shortest=2.0, longest=10.0, period=72)
    assert abs(scores(basis, 10.0)[0, 59]) > 30.0
