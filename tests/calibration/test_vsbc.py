"""Calibration of the guide at known parameters: its marginals at the truth (Yao et al., ICML 2018), and Pareto k.

Latents from the prior, data from them, the guide given the data. Where the likelihood is Gaussian the guide is exact and
the truth is a uniform quantile of it; elsewhere the quantiles lie evenly about one half unless the guide is off to one side.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest, norm, wilcoxon

from neurokit_snn.models.mmgpvae.design import Batch, Design, root_of
from neurokit_snn.models.mmgpvae.fourier import basis_for
from neurokit_snn.models.mmgpvae.gaussian import PrecisionNormal, project
from neurokit_snn.models.mmgpvae.inference import predictor
from neurokit_snn.models.mmgpvae.neural import LIKELIHOODS
from neurokit_snn.models.mmgpvae.program import guide_distribution, log_neural

TRIALS, N_BINS, N_UNITS, SD = 400, 12, 8, 0.8
BINS = (0, 4, 11)
ALPHA = 1e-3


class Simulated(NamedTuple):
    design: Design
    params: dict
    batch: Batch
    latents: np.ndarray


def simulated(likelihood: str) -> Simulated:
    rng = np.random.default_rng(3)
    bounds = dict(shortest=2.0, longest=11.0)
    design = Design(
        neural=2, shared=0, behavior=0, likelihood=LIKELIHOODS[likelihood], n_units=N_UNITS, channels=(), kernel="rbf",
        basis=basis_for(N_BINS, kernel="rbf", **bounds), **bounds,
        posterior="smoother", fusion="precision", closed_form=True, hidden=(),
    )  # fmt: skip
    loading = rng.uniform(0.1, 0.9, (N_UNITS, 2)) * [1.0, 0.7]
    params = {
        "kernel": jnp.full(2, -0.75),  # 2 * 5.5 ** 0.32 = 3.5 bins
        "loading": jnp.asarray(loading, jnp.float32),
        "offset": jnp.asarray(rng.uniform(-1.0, 0.0, N_UNITS), jnp.float32),
        "neural_extra": {"sd": jnp.full(N_UNITS, np.log(SD))} if likelihood == "gaussian" else {},
    }
    root = np.asarray(root_of(design, params))
    latents = np.einsum("pft,rpf->rtp", root, rng.standard_normal((TRIALS, *root.shape[:2])))
    a = latents @ loading.T + np.asarray(params["offset"])
    values = rng.poisson(np.exp(a)) if likelihood == "poisson" else a + SD * rng.standard_normal(a.shape)
    batch = Batch(values.astype(np.float32), np.ones(a.shape, np.float32), {}, {})
    return Simulated(design, params, batch, latents)


@functools.partial(jax.jit, static_argnames="design")
def guided(design, params, batch):
    """Mean and inverse factor of the guide's coefficients, its paths, and the moments of the predictors."""
    found, paths = guide_distribution(design, params, batch, iterations=8)
    assert isinstance(found, PrecisionNormal)
    return found.loc, found.inverse, paths, predictor(params, paths)


def quantiles(it: Simulated, **changes) -> dict[str, np.ndarray]:
    """Quantile ``(trial,)`` of the true latents, and of the true log rate of a unit, under the guide with other parameters."""
    _, _, paths, (mean, variance) = jax.tree.map(np.asarray, guided(it.design, it.params | changes, it.batch))
    sd = np.sqrt(np.diagonal(paths.covariance, axis1=-2, axis2=-1))
    at = norm.cdf((it.latents - paths.mean) / sd)
    true = it.latents @ np.asarray(it.params["loading"]).T + np.asarray(it.params["offset"])
    rate = norm.cdf((true - mean) / np.sqrt(variance))
    found = {f"latent {p} in bin {t}": at[:, t, p] for t in BINS for p in range(2)}
    return found | {f"log rate of unit 5 in bin {t}": rate[:, t, 5] for t in BINS}


@pytest.fixture(scope="module")
def poisson() -> Simulated:
    return simulated("poisson")


@pytest.fixture(scope="module")
def gaussian() -> Simulated:
    return simulated("gaussian")


def smallest_uniform(found: dict[str, np.ndarray]) -> float:
    return min(float(kstest(values, "uniform").pvalue) for values in found.values())


def smallest_symmetric(found: dict[str, np.ndarray]) -> float:
    return min(float(wilcoxon(values - 0.5).pvalue) for values in found.values())


def test_exact_guide_is_calibrated(gaussian):
    found = quantiles(gaussian)
    assert len(found) * smallest_uniform(found) > ALPHA


def test_poisson_guide_is_calibrated(poisson):
    found = quantiles(poisson)
    assert len(found) * smallest_symmetric(found) > ALPHA
    assert len(found) * smallest_uniform(found) > ALPHA
    inside = np.mean([np.abs(values - 0.5) < 0.45 for values in found.values()])
    assert 0.88 <= inside <= 0.92


def test_offset_that_is_wrong_is_noticed(poisson):
    assert smallest_symmetric(quantiles(poisson, offset=poisson.params["offset"] + 0.5)) < 1e-6


def test_length_scale_that_is_wrong_is_noticed(poisson):
    longest = jnp.full(2, 4.0)  # 10.7 bins, three times the truth
    assert smallest_uniform(quantiles(poisson, kernel=longest)) < 1e-6


def pareto_k(it: Simulated, *, narrower: float = 1.0) -> np.ndarray:
    """Shape of the tail of the importance ratios of each of 40 trials, 1,000 draws a trial."""
    from arviz_stats.base import array_stats

    few = it.batch.take(np.arange(40))
    mean, inverse = (np.asarray(x[:40], np.float64) for x in guided(it.design, it.params, it.batch)[:2])
    noise = np.random.default_rng(4).standard_normal((1000, *mean.shape))
    drawn = mean + narrower * np.einsum("rji,srj->sri", inverse, noise)
    log_q = -0.5 * np.square(noise).sum(-1)
    log_prior = -0.5 * np.square(drawn).sum(-1)
    root = root_of(it.design, it.params)

    @jax.jit
    def log_likelihood(coefficients):
        paths = project(root, coefficients)
        return jax.vmap(lambda path: log_neural(it.design, it.params, few, path))(paths)

    ratios = np.asarray(log_likelihood(jnp.asarray(drawn, jnp.float32)), np.float64) + log_prior - log_q
    return np.asarray(array_stats.psislw(-ratios, axis=0)[1])  # ArviZ takes minus the log ratios


def test_pareto_k_of_the_exact_guide(gaussian):
    assert pareto_k(gaussian).max() < 0.5


def test_pareto_k_of_the_poisson_guide(poisson):
    k = pareto_k(poisson)
    assert k.shape == (40,)
    assert np.mean(k < 0.7) >= 0.9
    assert np.mean(pareto_k(poisson, narrower=0.5) < 0.7) <= 0.1
