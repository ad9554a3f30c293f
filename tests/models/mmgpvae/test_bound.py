"""The evidence lower bound is one: against the exact evidence, its own Monte Carlo, and finite differences."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.infer import TraceMeanField_ELBO
from scipy.special import gammaln
from scipy.stats import multivariate_normal

from neurokit_snn.models.mmgpvae import program
from neurokit_snn.models.mmgpvae.behavior import Channel
from neurokit_snn.models.mmgpvae.design import root_of
from neurokit_snn.models.mmgpvae.fourier import FourierBasis
from neurokit_snn.models.mmgpvae.inference import extras, smoothed
from neurokit_snn.models.mmgpvae.networks import Perceptron
from neurokit_snn.models.mmgpvae.training import bound_terms

KEY = jax.random.key(0)


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


@functools.partial(jax.jit, static_argnames="design")
def bound(design, params, batch, key):
    """All terms together, nats, of all trials."""
    return sum(bound_terms(design, params, batch, key=key).values())


def evidence(design, params, batch) -> float:
    """Log density of all neural data of a model whose likelihood is Gaussian, nats."""
    root = np.asarray(root_of(design, params), np.float64)
    weights = np.asarray(params["loading"])
    n_bins, n_units = batch.neural.shape[1:]
    covariance = np.zeros((n_bins, n_units, n_bins, n_units))
    for p in range(root.shape[0]):
        prior = root[p].T @ root[p] + (program.JITTER * np.eye(n_bins) if design.posterior == "time" else 0.0)
        covariance += np.einsum("ts,n,m->tnsm", prior, weights[:, p], weights[:, p])
    noise = np.tile(np.asarray(extras(params)["sd"]) ** 2, n_bins)
    covariance = covariance.reshape(n_bins * n_units, -1) + np.diag(noise)
    mean = np.tile(np.asarray(params["offset"]), n_bins)
    total = 0.0
    for values, mask in zip(batch.neural, batch.neural_mask, strict=True):
        kept = np.flatnonzero(mask.ravel() > 0)
        total += multivariate_normal(mean[kept], covariance[np.ix_(kept, kept)]).logpdf(values.ravel()[kept])
    return total


@pytest.fixture
def gaussian(make_design, make_batch, make_params):
    """Calcium of 5 units with some values missing, two latents, loadings that are not orthogonal."""

    def make(**changes):
        design = make_design(**(dict(behavior=0, channels=(), likelihood="gaussian") | changes))
        batch = make_batch(design, dtype="float64")
        mask = (np.random.default_rng(1).uniform(size=batch.neural.shape) > 0.2).astype(float)
        if design.posterior != "smoother":
            mask[:] = 1.0
        batch = batch._replace(neural_mask=mask, neural=batch.neural * mask)
        return design, make_params(design, batch, dtype="float64"), batch

    return make


def test_bound_of_the_smoother_is_the_evidence(gaussian):
    design, params, batch = gaussian()
    gap = evidence(design, params, batch) - float(bound(design, params, batch, KEY))
    n_bins = batch.neural.shape[0] * batch.neural.shape[1]
    assert abs(gap) / n_bins <= 1e-8  # the issue asks for 1e-3


@pytest.mark.slow
def test_bound_in_single_precision_is_the_evidence(gaussian):
    design, params, batch = gaussian()
    exact = evidence(design, params, batch)
    single = jax.tree.map(lambda x: np.asarray(x, np.float32), (params, batch))
    with jax.enable_x64(False):
        found = float(bound(design, *single, KEY))
    assert abs(found - exact) / (batch.neural.shape[0] * batch.neural.shape[1]) <= 1e-3


@pytest.mark.parametrize("posterior", ["fourier", "time"])
def test_bound_of_any_encoder_is_below_the_evidence(gaussian, make_params, posterior):
    design, _, batch = gaussian(posterior=posterior)
    gaps = []
    for seed in range(5):
        params = make_params(design, batch, seed=seed, dtype="float64")
        gaps.append(evidence(design, params, batch) - float(bound(design, params, batch, KEY)))
    assert min(gaps) > 0.0
    assert np.isfinite(gaps).all()


@pytest.mark.slow
def test_bound_with_fewer_rounds_is_below_the_bound_with_more(
    make_design, make_batch, make_params, monkeypatch
):
    design = make_design(behavior=0, channels=())
    batch = make_batch(design, dtype="float64")
    params = make_params(design, batch, dtype="float64")
    found = []
    for rounds in (0, 1, 30):
        monkeypatch.setattr(program, "TRAINING_ROUNDS", rounds)
        found.append(float(jax.jit(lambda p: sum(bound_terms(design, p, batch, key=KEY).values()))(params)))
    assert found[0] < found[1] <= found[2] + 1e-9


def test_diagonal_fourier_posterior_is_exact_on_a_periodic_grid(gaussian):
    """One latent, M = T, all rows: the posterior factorises in the Fourier domain, and a linear encoder gives it."""
    basis = FourierBasis(n_bins=12, period=12, highest=6)
    design, params, batch = gaussian(posterior="fourier", shared=0, basis=basis, hidden=(), kernel="matern12")
    loading, sd = np.asarray(params["loading"])[:, 0], np.asarray(extras(params)["sd"])
    amplitude = np.linalg.norm(np.asarray(root_of(design, params))[0], axis=1)
    information = np.sum(loading**2 / sd**2)
    weights = np.stack([loading / sd**2, np.zeros(5)], 1)
    forms = jax.tree.structure(Perceptron((5, 2), rng=np.random.default_rng(0)))
    bias = np.array([-np.sum(np.asarray(params["offset"]) * loading / sd**2), 1.0])
    params["encoder neural"] = jax.tree.unflatten(forms, [jnp.asarray(weights), jnp.asarray(bias)])
    params["over time neural"] = {
        "mean": jnp.asarray(basis.matrix().T / (amplitude * information)),
        "precision": jnp.asarray(np.tile(np.log(amplitude**2 * information) / 12, (12, 1))),
        "bias": jnp.zeros(12),
    }
    gap = evidence(design, params, batch) - float(bound(design, params, batch, KEY))
    assert abs(gap) / 36 <= 1e-8


@pytest.mark.parametrize("posterior", ["fourier", pytest.param("smoother", marks=pytest.mark.slow)])
@pytest.mark.parametrize("likelihood", ["poisson", pytest.param("negative_binomial", marks=pytest.mark.slow)])
def test_closed_form_expectation_is_monte_carlo(make_design, make_batch, make_params, posterior, likelihood):
    design = make_design(behavior=0, channels=(), posterior=posterior, likelihood=likelihood, n_bins=6)
    batch = make_batch(design, dtype="float64")
    params = make_params(design, batch, dtype="float64")
    exact = jax.jit(lambda p: bound_terms(design, p, batch, key=KEY))(params)
    sampled = dataclasses.replace(design, closed_form=False)
    keys = jax.random.split(KEY, 2000)
    drawn = jax.jit(jax.vmap(lambda key: bound_terms(sampled, params, batch, key=key)))(keys)
    neural = np.asarray(drawn["neural"])
    error = neural.std(ddof=1) / np.sqrt(2000)
    assert abs(neural.mean() - float(exact["neural"])) <= 3.0 * error
    np.testing.assert_allclose(np.asarray(drawn["latents"]), float(exact["latents"]), rtol=1e-9)


@pytest.mark.slow
def test_poisson_bound_is_just_below_the_evidence_by_quadrature(
    make_design, make_batch, make_params, monkeypatch
):
    """One latent in one bin: the evidence is an integral over a line."""
    monkeypatch.setattr(program, "TRAINING_ROUNDS", 40)
    basis = FourierBasis(n_bins=1, period=1, highest=0)
    design = make_design(shared=0, behavior=0, channels=(), kernel="white", basis=basis)
    batch = make_batch(design, trials=4, dtype="float64")
    params = make_params(design, batch, dtype="float64")
    z = np.linspace(-10, 10, 4001)
    a = z[:, None] * np.asarray(params["loading"])[:, 0] + np.asarray(params["offset"])
    exact = 0.0
    for y in batch.neural[:, 0]:
        log_joint = (y * a - np.exp(a) - gammaln(y + 1)).sum(-1) - 0.5 * z**2 - 0.5 * np.log(2 * np.pi)
        exact += np.log(np.exp(log_joint).sum() * (z[1] - z[0]))
    found = float(jax.jit(lambda p: sum(bound_terms(design, p, batch, key=KEY).values()))(params))
    assert 0.0 < (exact - found) / 4 < 0.03


def loss(design, params, batch, key):
    """What is minimised, the prior of the loadings with it."""
    ones = {channel.name: 1.0 for channel in design.channels}
    model = functools.partial(program.model, design, params, n_trials=7, weights=ones)
    guide = functools.partial(program.guide, design, params, n_trials=7)
    return TraceMeanField_ELBO().loss(key, params, model, guide, batch)


def compare_with_finite_differences(design, both, params, gradient=None) -> None:
    """Derivatives along a random direction of each entry of the parameters, to a relative 1e-4."""
    rng = np.random.default_rng(2)
    gradient = both(params)[1] if gradient is None else gradient
    for name in params:
        leaves, form = jax.tree.flatten(params[name])
        if not leaves:
            continue
        way = [rng.standard_normal(leaf.shape) for leaf in leaves]
        h = 1e-5

        def at(step, name=name, leaves=leaves, form=form, way=way):
            moved = [leaf + step * w for leaf, w in zip(leaves, way, strict=True)]
            return float(both(params | {name: jax.tree.unflatten(form, moved)})[0])

        finite = (at(h) - at(-h)) / (2 * h)
        exact = sum(float(jnp.sum(g * w)) for g, w in zip(jax.tree.leaves(gradient[name]), way, strict=True))
        assert exact == pytest.approx(finite, rel=1e-4, abs=1e-4), name
        assert abs(finite) > 1e-3, f"{name} does not enter the loss"


HEADING = Channel("behavior_heading", "circular", 2)
CHOICE = Channel("choice", "categorical", 3)
POSITION = Channel("behavior_position", "gaussian", 2)


@pytest.mark.parametrize(
    ("posterior", "closed_form", "likelihood", "channel"),
    [
        pytest.param("fourier", True, "poisson", POSITION, marks=pytest.mark.slow),
        pytest.param("time", False, "poisson", HEADING, marks=pytest.mark.slow),
        pytest.param("fourier", False, "negative_binomial", CHOICE, marks=pytest.mark.slow),
        pytest.param("time", True, "gaussian", POSITION, marks=pytest.mark.slow),
        pytest.param("fourier", False, "zero_inflated_gamma", HEADING, marks=pytest.mark.slow),
    ],
)
def test_gradients_of_encoders(
    make_design, make_batch, make_params, posterior, closed_form, likelihood, channel
):
    design = make_design(
        posterior=posterior, closed_form=closed_form, likelihood=likelihood, channels=(channel,), n_bins=6
    )
    batch = make_batch(design, dtype="float64")
    params = make_params(design, batch, dtype="float64")
    both = jax.jit(jax.value_and_grad(lambda p: loss(design, p, batch, KEY)))
    compare_with_finite_differences(design, both, params)


def test_gradients_of_the_smoother_at_its_optimum(make_design, make_batch, make_params, monkeypatch):
    """Neural data alone, in closed form: the factors are where the bound does not change with them."""
    monkeypatch.setattr(program, "TRAINING_ROUNDS", 60)
    design = make_design(behavior=0, channels=(), n_bins=6)
    batch = make_batch(design, dtype="float64")
    params = make_params(design, batch, dtype="float64")
    both = jax.jit(jax.value_and_grad(lambda p: loss(design, p, batch, KEY)))
    compare_with_finite_differences(design, both, params)


@pytest.mark.parametrize(
    ("closed_form", "likelihood", "fusion"),
    [
        pytest.param(True, "poisson", "precision", marks=pytest.mark.slow),
        pytest.param(False, "poisson", "precision", marks=pytest.mark.slow),
        pytest.param(True, "gaussian", "mean", marks=pytest.mark.slow),
        pytest.param(False, "zero_inflated_gamma", "mean", marks=pytest.mark.slow),
    ],
)
def test_gradients_of_the_smoother_at_held_factors(
    make_design, make_batch, make_params, monkeypatch, closed_form, likelihood, fusion
):
    """With behaviour or sampled paths: derivatives by everything but the neural factors, which are held."""
    design = make_design(closed_form=closed_form, likelihood=likelihood, fusion=fusion, n_bins=6)
    batch = make_batch(design, dtype="float64")
    params = make_params(design, batch, dtype="float64")
    here, gradient = jax.jit(jax.value_and_grad(lambda p: loss(design, p, batch, KEY)))(params)
    rounds = program.TRAINING_ROUNDS
    held = jax.jit(lambda p: smoothed(design, p, batch, root_of(design, p), iterations=rounds)[2])(params)
    monkeypatch.setattr(program, "smoothed", functools.partial(_with, held))
    value = jax.jit(lambda p: (loss(design, p, batch, KEY), 0))
    assert float(value(params)[0]) == pytest.approx(float(here), rel=1e-12)
    compare_with_finite_differences(design, value, params, gradient)


def _with(held, design, params, batch, root, *, iterations):
    del iterations
    return smoothed(design, params, batch, root, iterations=0, start=held)


@pytest.mark.slow
def test_loss_of_some_trials_stands_for_all(gaussian):
    """A batch counts as many trials as it stands for, loadings' prior once."""
    design, params, batch = gaussian()
    whole = -float(bound(design, params, batch, KEY))
    prior = -float(program.log_ard(params["loading"]))
    assert float(loss(design, params, batch, KEY)) == pytest.approx(7 / 3 * whole + prior, rel=1e-9)
