"""Gaussian algebra of the posterior: factors, draws, densities and divergences against SciPy and Monte Carlo."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from numpyro.distributions import kl_divergence
from scipy.stats import multivariate_normal

from neurokit_snn.models.mmgpvae.fourier import basis_for, spectrum
from neurokit_snn.models.mmgpvae.gaussian import (
    Factors,
    PrecisionNormal,
    inverse_factor,
    marginals,
    posterior,
    project,
)
from neurokit_snn.models.mmgpvae.program import GaussianProcess

DRAWS = 10_000


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


def random_precision(rng: np.random.Generator, *shape: int) -> np.ndarray:
    root = rng.standard_normal((*shape, shape[-1]))
    return root @ np.swapaxes(root, -1, -2) / shape[-1] + np.eye(shape[-1])


def within(draws: np.ndarray, exact: np.ndarray, *, errors: float = 3.0) -> None:
    """Mean over the first axis equals ``exact`` within that many standard errors."""
    z = (draws.mean(0) - exact) / (draws.std(0, ddof=1) / np.sqrt(len(draws)))
    assert np.abs(z).max() <= errors, z


def test_inverse_factor_is_the_inverse_of_cholesky():
    precision = random_precision(np.random.default_rng(0), 3, 6)
    found = np.asarray(inverse_factor(jnp.asarray(precision)))
    np.testing.assert_allclose(found, np.linalg.inv(np.linalg.cholesky(precision)), atol=1e-12)
    np.testing.assert_allclose(np.swapaxes(found, -1, -2) @ found, np.linalg.inv(precision), atol=1e-12)


def test_derivative_of_inverse_factor_against_finite_differences():
    rng = np.random.default_rng(1)
    precision = random_precision(rng, 2, 5)
    weight = rng.standard_normal(precision.shape)

    def value(matrix: jax.Array) -> jax.Array:
        return jnp.sum(weight * inverse_factor(matrix)) + jnp.sum(
            jnp.log(jnp.diagonal(inverse_factor(matrix), 0, -2, -1))
        )

    slope = np.asarray(jax.grad(value)(jnp.asarray(precision)))
    np.testing.assert_allclose(slope, np.swapaxes(slope, -1, -2), atol=1e-12)
    for _ in range(5):
        way = rng.standard_normal(precision.shape)
        way = way + np.swapaxes(way, -1, -2)
        step = 1e-6
        finite = (value(jnp.asarray(precision + step * way)) - value(jnp.asarray(precision - step * way))) / (
            2 * step
        )
        assert np.sum(slope * way) == pytest.approx(float(finite), rel=1e-7)


@pytest.mark.slow
def test_derivative_of_inverse_factor_is_that_of_the_plain_computation():
    precision = jnp.asarray(random_precision(np.random.default_rng(2), 4))
    weight = jnp.asarray(np.random.default_rng(3).standard_normal((4, 4)))
    plain = jax.grad(lambda q: jnp.sum(weight * jnp.linalg.inv(jnp.linalg.cholesky(q))))(precision)
    ours = jax.grad(lambda q: jnp.sum(weight * inverse_factor(q)))(precision)
    np.testing.assert_allclose(ours, 0.5 * (plain + plain.T), atol=1e-10)


@pytest.fixture
def normal() -> tuple[PrecisionNormal, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    precision = random_precision(rng, 2, 5)
    mean = rng.standard_normal((2, 5))
    return PrecisionNormal(jnp.asarray(mean), inverse_factor(jnp.asarray(precision))), mean, precision


@pytest.mark.slow
def test_density_of_precision_normal(normal):
    made, mean, precision = normal
    values = np.random.default_rng(5).standard_normal((7, 2, 5))
    found = np.asarray(made.log_prob(jnp.asarray(values)))
    for i in range(2):
        exact = multivariate_normal(mean[i], np.linalg.inv(precision[i])).logpdf(values[:, i])
        np.testing.assert_allclose(found[:, i], exact, rtol=1e-10)


@pytest.mark.slow
def test_draws_of_precision_normal(normal):
    made, mean, precision = normal
    draws = np.asarray(made.sample(jax.random.key(0), (DRAWS,)))
    within(draws, mean, errors=3.5)
    centred = draws - mean
    products = np.einsum("dri,drj->drij", centred, centred)
    within(products, np.linalg.inv(precision), errors=4.0)


def test_divergence_of_precision_normal_from_the_prior_is_monte_carlo(normal):
    made, _, _ = normal
    prior = dist.Normal(jnp.zeros(5), 1.0).to_event(1)
    draws = made.sample(jax.random.key(1), (DRAWS,))
    within(np.asarray(made.log_prob(draws) - prior.log_prob(draws)), np.asarray(kl_divergence(made, prior)))


@pytest.mark.slow
def test_divergence_of_the_prior_from_itself_is_zero():
    made = PrecisionNormal(jnp.zeros(4), jnp.eye(4))
    assert float(kl_divergence(made, dist.Normal(jnp.zeros(4), 1.0).to_event(1))) == 0.0


@pytest.fixture
def process() -> tuple[GaussianProcess, np.ndarray]:
    basis = basis_for(6, kernel="matern32", shortest=1.0, longest=3.0)
    density = spectrum("matern32", basis.frequencies, jnp.array([1.0, 3.0], jnp.float64))
    covariance = jnp.einsum("pf,ft,fs->pts", density, basis.matrix(), basis.matrix()) + 1e-3 * jnp.eye(6)
    return GaussianProcess(covariance), np.asarray(covariance)


def test_density_of_gaussian_processes(process):
    made, covariance = process
    values = np.random.default_rng(6).standard_normal((3, 2, 6))
    exact = sum(multivariate_normal(np.zeros(6), covariance[p]).logpdf(values[:, p]) for p in range(2))
    np.testing.assert_allclose(made.log_prob(jnp.asarray(values)), exact, rtol=1e-9)


@pytest.mark.slow
def test_draws_of_gaussian_processes(process):
    made, covariance = process
    draws = np.asarray(made.sample(jax.random.key(2), (DRAWS,)))
    within(np.einsum("dpt,dps->dpts", draws, draws), covariance, errors=4.0)


def test_divergence_from_gaussian_processes_is_monte_carlo(process):
    made, _ = process
    rng = np.random.default_rng(7)
    guide = dist.Normal(
        jnp.asarray(rng.standard_normal((3, 2, 6))), jnp.asarray(rng.uniform(0.2, 1.0, (3, 2, 6)))
    ).to_event(2)
    draws = guide.sample(jax.random.key(3), (DRAWS,))
    exact = np.asarray(kl_divergence(guide, made))
    assert exact.shape == (3,)
    within(np.asarray(guide.log_prob(draws) - made.log_prob(draws)), exact)


@pytest.mark.slow
def test_divergence_from_one_gaussian_process_is_the_textbook_formula(process):
    made, covariance = process
    mean, sd = np.linspace(-1, 1, 12).reshape(2, 6), np.full((2, 6), 0.5)
    found = float(kl_divergence(dist.Normal(jnp.asarray(mean), jnp.asarray(sd)).to_event(2), made))
    exact = 0.0
    for p in range(2):
        inverse = np.linalg.inv(covariance[p])
        exact += 0.5 * (np.trace(inverse) * 0.25 + mean[p] @ inverse @ mean[p] - 6)
        exact += 0.5 * (np.linalg.slogdet(covariance[p])[1] - 6 * np.log(0.25))
    assert found == pytest.approx(exact, rel=1e-9)


@pytest.fixture
def regression() -> tuple[jax.Array, Factors, np.ndarray, np.ndarray]:
    """Root, factors, and the posterior mean and covariance of the paths by dense Gaussian-process regression."""
    rng = np.random.default_rng(8)
    n_bins, n_latents, trials = 8, 2, 3
    basis = basis_for(n_bins, kernel="rbf", shortest=1.5, longest=4.0)
    density = np.asarray(spectrum("rbf", basis.frequencies, jnp.array([1.5, 4.0], jnp.float64)))
    root = np.sqrt(density)[:, :, None] * basis.matrix()
    half = rng.standard_normal((trials, n_bins, n_latents, n_latents))
    precision = half @ np.swapaxes(half, -1, -2)
    linear = rng.standard_normal((trials, n_bins, n_latents))
    prior = np.zeros((n_bins, n_latents, n_bins, n_latents))
    for p in range(n_latents):
        prior[:, p, :, p] = root[p].T @ root[p]
    prior = prior.reshape(n_bins * n_latents, -1)
    mean, covariance = [], []
    for r in range(trials):
        weight = np.zeros_like(prior)
        for t in range(n_bins):
            where = slice(t * n_latents, (t + 1) * n_latents)
            weight[where, where] = precision[r, t]
        covariance.append(np.linalg.solve(np.eye(len(prior)) + prior @ weight, prior))
        mean.append((covariance[-1] @ linear[r].ravel()).reshape(n_bins, n_latents))
    return (
        jnp.asarray(root),
        Factors(jnp.asarray(linear), jnp.asarray(precision)),
        np.array(mean),
        np.array(covariance),
    )


def test_posterior_is_gaussian_process_regression(regression):
    root, factors, mean, covariance = regression
    paths = marginals(root, *posterior(root, factors))
    np.testing.assert_allclose(paths.mean, mean, atol=1e-8)
    whole = covariance.reshape(3, 8, 2, 8, 2)
    exact = np.stack([whole[:, t, :, t] for t in range(8)], 1)
    np.testing.assert_allclose(paths.covariance, exact, atol=1e-8)


@pytest.mark.slow
def test_draws_of_paths_have_the_posterior_moments(regression):
    root, factors, mean, covariance = regression
    loc, inverse = posterior(root, factors)
    paths = np.asarray(project(root, PrecisionNormal(loc, inverse).sample(jax.random.key(4), (DRAWS,))))
    within(paths, mean, errors=3.5)
    first = paths[:, :, 0, 0] - mean[:, 0, 0]
    last = paths[:, :, -1, 1] - mean[:, -1, 1]
    exact = covariance.reshape(3, 8, 2, 8, 2)[:, 0, 0, -1, 1]
    within(first * last, exact)


@pytest.mark.slow
def test_no_factors_leave_the_prior(regression):
    root, factors, _, _ = regression
    nothing = jax.tree.map(jnp.zeros_like, factors)
    paths = marginals(root, *posterior(root, nothing))
    np.testing.assert_array_equal(paths.mean, 0.0)
    prior = np.einsum("pft,pft->tp", root, root)
    np.testing.assert_allclose(np.diagonal(paths.covariance[0], axis1=-2, axis2=-1), prior, rtol=1e-10)
