"""Simulation-based calibration of NUTS over the linear model (Talts et al., arXiv:1804.06788).

Parameters and latents from the prior, data from them, draws given the data: the rank of every true quantity among the draws
is uniform. The quantities do not change where latents are turned or change sign.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.infer import Predictive
from scipy.stats import kstest

from neurokit_snn.models.mmgpvae.design import Batch, Design
from neurokit_snn.models.mmgpvae.fourier import basis_for
from neurokit_snn.models.mmgpvae.neural import LIKELIHOODS
from neurokit_snn.models.mmgpvae.nuts import Prior, linear_model, sampler

REPLICATES, DRAWS, WARMUP, KEPT = 200, 400, 250, 20
N_BINS, N_UNITS = 10, 3
PRIOR = Prior(kernel=0.0, loading_sd=0.7, offset=np.zeros(N_UNITS, np.float32), extra={}, spread=0.5)
ALPHA = 1e-3

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


class Study(NamedTuple):
    """Counts ``(replicate, trial, time, unit)`` and the truth they came from, and what samples given any prior."""

    counts: np.ndarray
    truth: dict[str, np.ndarray]
    sample: object


def predictor(sites: dict[str, np.ndarray]) -> np.ndarray:
    return (
        np.einsum("...rtp,...up->...rtu", sites["latents"], sites["loading"])
        + sites["offset"][..., None, None, :]
    )


def quantities(sites: dict[str, np.ndarray], counts: np.ndarray) -> dict[str, np.ndarray]:
    """Numbers that do not change with the sign of the latent, of truths ``(replicate,)`` or draws ``(replicate, draw)``."""
    a = predictor(sites)
    counts = counts if a.ndim == counts.ndim else counts[:, None]
    log_likelihood = (counts * a - np.exp(np.minimum(a, 12.0))).sum((-3, -2, -1))
    loading = sites["loading"]
    return {
        "log rate of unit 0 in the first bin": a[..., 0, 0, 0],
        "log rate of unit 2 in the last bin": a[..., 0, -1, 2],
        "change of the log rate": a[..., 0, 0, 0] - a[..., 0, 5, 0],
        "covariance of units 0 and 1": (loading[..., 0, :] * loading[..., 1, :]).sum(-1),
        "variance of unit 0": (loading[..., 0, :] ** 2).sum(-1),
        "offset of unit 1": sites["offset"][..., 1],
        "length scale": sites["length_scale"][..., 0],
        "log likelihood": log_likelihood,
    }


def uniformity(truth: np.ndarray, draws: np.ndarray, rng: np.random.Generator) -> float:
    """p of the ranks of ``(replicate,)`` among ``(replicate, draw)`` under uniformity; ties cannot occur."""
    thinned = draws[:, :: draws.shape[1] // KEPT][:, :KEPT]
    rank = (thinned < truth[:, None]).sum(1)
    return float(kstest((rank + rng.uniform(size=len(rank))) / (KEPT + 1), "uniform").pvalue)


@pytest.fixture(scope="module")
def study() -> Study:
    design = Design(
        neural=1, shared=0, behavior=0, likelihood=LIKELIHOODS["poisson"], n_units=N_UNITS, channels=(), kernel="rbf",
        basis=basis_for(N_BINS, kernel="rbf", shortest=1.5, longest=4.0), shortest=1.5, longest=4.0,
        posterior="smoother", fusion="precision", closed_form=True, hidden=(),
    )  # fmt: skip
    nothing = jnp.zeros((1, N_BINS, N_UNITS))
    simulate = Predictive(functools.partial(linear_model, design), num_samples=REPLICATES)
    found = jax.jit(simulate)(jax.random.key(0), PRIOR, Batch(nothing, nothing, {}, {}))
    truth = {name: np.asarray(value) for name, value in found.items()}
    counts = np.random.default_rng(0).poisson(np.exp(predictor(truth))).astype(np.float32)

    def one(prior: Prior, key: jax.Array, values: jax.Array) -> dict[str, jax.Array]:
        nuts = sampler(design, draws=DRAWS, warmup=WARMUP, depth=6)
        nuts.run(key, prior, Batch(values, jnp.ones_like(values), {}, {}), extra_fields=("diverging",))
        sites = {name: nuts.get_samples()[name] for name in ("loading", "offset", "latents", "length_scale")}
        return sites | {"diverging": nuts.get_extra_fields()["diverging"]}

    many = jax.jit(jax.vmap(one, in_axes=(None, 0, 0)))

    def sample(prior: Prior) -> dict[str, np.ndarray]:
        drawn = many(prior, jax.random.split(jax.random.key(1), REPLICATES), counts)
        return {name: np.asarray(value) for name, value in drawn.items()}

    return Study(counts, truth, sample)


def p_values(study: Study, prior: Prior) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    drawn = study.sample(prior)
    true, found = quantities(study.truth, study.counts), quantities(drawn, study.counts)
    rng = np.random.default_rng(2)
    return {name: uniformity(true[name], found[name], rng) for name in true}, drawn


def test_ranks_are_uniform(study):
    found, drawn = p_values(study, PRIOR)
    assert drawn["diverging"].mean() < 0.01
    assert len(found) * min(found.values()) > ALPHA, found


@pytest.mark.parametrize(
    "wrong",
    [PRIOR._replace(offset=np.full(N_UNITS, 1.5, np.float32)), PRIOR._replace(loading_sd=0.1)],
    ids=["offset", "loading"],
)
def test_ranks_under_a_wrong_model_are_not(study, wrong):
    found, _ = p_values(study, wrong)
    assert min(found.values()) < 1e-6, found
