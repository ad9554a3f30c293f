"""What the posterior sees: nothing of what is masked, every modality that is there, fused as documented."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurokit_snn.models.mmgpvae.behavior import Channel
from neurokit_snn.models.mmgpvae.design import Batch, length_scales, root_of
from neurokit_snn.models.mmgpvae.fourier import basis_for
from neurokit_snn.models.mmgpvae.gaussian import Factors
from neurokit_snn.models.mmgpvae.inference import behavior_factors, fuse, predictor
from neurokit_snn.models.mmgpvae.program import guide_distribution, log_behavior, log_neural

HEADING = Channel("behavior_heading", "circular", 2)
POSITION = Channel("behavior_position", "gaussian", 2)


@functools.partial(jax.jit, static_argnames="design")
def inferred(design, params, batch):
    """Posterior of the paths, and log likelihoods of all modalities at their means."""
    paths = guide_distribution(design, params, batch, iterations=6)[1]
    terms = {"neural": log_neural(design, params, batch, paths)} if design.reads_neural else {}
    terms |= {c.name: log_behavior(design, params, batch, paths.mean, c) for c in design.channels}
    return paths, terms


@pytest.fixture(
    params=[
        "smoother",
        pytest.param("fourier", marks=pytest.mark.slow),
        pytest.param("time", marks=pytest.mark.slow),
    ]
)
def trained(request, make_design, make_batch, make_params):
    """A design, parameters, and trials of which neural bins, units and bins of behaviour are masked."""
    design = make_design(posterior=request.param, channels=(POSITION, HEADING), n_bins=8)
    batch = make_batch(design)
    params = make_params(design, batch)
    rng = np.random.default_rng(1)
    neural_mask = (rng.uniform(size=batch.neural.shape) > 0.3).astype(np.float32)
    neural_mask[:, 2], neural_mask[..., 3] = 0.0, 0.0
    masks = {
        name: (rng.uniform(size=mask.shape) > 0.3).astype(np.float32)
        for name, mask in batch.behavior_mask.items()
    }
    values = {name: value * masks[name][..., None] for name, value in batch.behavior.items()}
    return design, params, Batch(batch.neural * neural_mask, neural_mask, values, masks)


def test_masked_behaviour_changes_nothing(trained):
    design, params, batch = trained
    other = batch._replace(
        behavior={
            k: np.where(batch.behavior_mask[k][..., None] > 0, v, 9.0).astype(np.float32)
            for k, v in batch.behavior.items()
        }
    )
    assert not np.array_equal(other.behavior[POSITION.name], batch.behavior[POSITION.name])
    for one, two in zip(
        jax.tree.leaves(inferred(design, params, batch)),
        jax.tree.leaves(inferred(design, params, other)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, two)


def test_masked_neural_data_change_nothing(trained):
    """For the published encoders whole bins count as masked: their networks see all units of a bin at once."""
    design, params, batch = trained
    away = (
        batch.neural_mask == 0
        if design.posterior == "smoother"
        else batch.neural_mask.max(-1, keepdims=True) == 0
    )
    other = batch._replace(neural=np.where(away, 5.0, batch.neural).astype(np.float32))
    assert not np.array_equal(other.neural, batch.neural)
    for one, two in zip(
        jax.tree.leaves(inferred(design, params, batch)),
        jax.tree.leaves(inferred(design, params, other)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, two)


def test_valid_data_change_something(trained):
    design, params, batch = trained
    base = inferred(design, params, batch)[0].mean
    other = batch._replace(neural=batch.neural + batch.neural_mask)
    assert np.abs(inferred(design, params, other)[0].mean - base).max() > 1e-3
    other = batch._replace(behavior=batch.behavior | {POSITION.name: batch.behavior[POSITION.name] + 1.0})
    assert np.abs(inferred(design, params, other)[0].mean - base).max() > 1e-3


def padded(batch: Batch, more: int) -> Batch:
    return jax.tree.map(lambda x: np.pad(x, [(0, 0), (0, more)] + [(0, 0)] * (x.ndim - 2)), batch)


def test_padded_bins_change_nothing(make_design, make_batch, make_params):
    """Masked bins after a trial: the prior of the longer trial is the same kernel, and the rest is."""
    design = make_design(n_bins=8)
    batch = make_batch(design)
    params = make_params(design, batch)
    longer = design.over(12)
    short, short_terms = inferred(design, params, batch)
    long, long_terms = inferred(longer, params, padded(batch, 4))
    np.testing.assert_allclose(long.mean[:, :8], short.mean, atol=5e-4)
    np.testing.assert_allclose(long.covariance[:, :8], short.covariance, atol=5e-4)
    for name in short_terms:
        np.testing.assert_allclose(long_terms[name], short_terms[name], rtol=1e-3)


def masked(batch: Batch, *names: str) -> Batch:
    if "neural" in names:
        batch = batch._replace(neural=0 * batch.neural, neural_mask=0 * batch.neural_mask)
    values = {k: 0 * v if k in names else v for k, v in batch.behavior.items()}
    masks = {k: 0 * v if k in names else v for k, v in batch.behavior_mask.items()}
    return batch._replace(behavior=values, behavior_mask=masks)


@pytest.mark.parametrize("fusion", ["precision", pytest.param("mean", marks=pytest.mark.slow)])
def test_missing_behaviour_is_a_model_without_it(make_design, make_batch, make_params, fusion):
    design = make_design(n_bins=8, fusion=fusion)
    batch = make_batch(design)
    params = make_params(design, batch)
    found, _ = inferred(design, params, masked(batch, POSITION.name))
    alone = dataclasses.replace(design, channels=(), behavior=0)
    kept = params | {"kernel": params["kernel"][:2]}
    kept = {k: v for k, v in kept.items() if POSITION.name not in k}
    exact, _ = inferred(alone, kept, batch._replace(behavior={}, behavior_mask={}))
    np.testing.assert_allclose(found.mean[..., :2], exact.mean, atol=1e-5)
    np.testing.assert_allclose(found.covariance[..., :2, :2], exact.covariance, atol=1e-5)
    np.testing.assert_array_equal(found.mean[..., 2], 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("fusion", ["precision", "mean"])
def test_missing_neural_data_are_a_model_without_them(make_design, make_batch, make_params, fusion):
    design = make_design(n_bins=8, fusion=fusion)
    batch = make_batch(design)
    params = make_params(design, batch)
    found, _ = inferred(design, params, masked(batch, "neural"))
    alone = dataclasses.replace(design, neural=0, shared=0, behavior=2, n_units=0)
    kept = {k: v for k, v in params.items() if POSITION.name in k} | {"kernel": params["kernel"][1:]}
    nothing = np.zeros((*batch.neural.shape[:2], 0), np.float32)
    exact, _ = inferred(alone, kept, batch._replace(neural=nothing, neural_mask=nothing))
    np.testing.assert_allclose(found.mean[..., 1:], exact.mean, atol=1e-5)
    np.testing.assert_allclose(found.covariance[..., 1:, 1:], exact.covariance, atol=1e-5)


def test_nothing_observed_leaves_the_prior(make_design, make_batch, make_params):
    design = make_design(n_bins=8)
    batch = make_batch(design)
    params = make_params(design, batch)
    found, _ = inferred(design, params, masked(batch, "neural", POSITION.name))
    np.testing.assert_array_equal(found.mean, 0.0)
    np.testing.assert_allclose(
        np.asarray(found.covariance), np.broadcast_to(np.eye(3), found.covariance.shape), atol=1e-3
    )


def test_precisions_add(make_design):
    design = make_design()
    rng = np.random.default_rng(0)
    one, two = (
        Factors(jnp.asarray(rng.normal(size=(2, 4, 3))), jnp.asarray(rng.normal(size=(2, 4, 3, 3))))
        for _ in range(2)
    )
    found = fuse(design, one, two)
    np.testing.assert_allclose(found.linear, one.linear + two.linear, rtol=1e-6)
    np.testing.assert_allclose(found.precision, one.precision + two.precision, rtol=1e-6)


def test_mean_fusion_averages_the_shared_latents_alone(make_design):
    """Means and log standard deviations of both factors are averaged, as published, where both say something."""
    design = make_design(fusion="mean")
    diagonal = [np.array([2.0, 4.0, 0.0]), np.array([0.0, 1.0, 3.0])]  # neural 0 | shared 0 | behavior 0
    mean = [np.array([0.5, 1.0, 0.0]), np.array([0.0, 3.0, -1.0])]
    both = [
        Factors(jnp.asarray(d * m)[None, None], jnp.asarray(np.diag(d))[None, None])
        for d, m in zip(diagonal, mean, strict=True)
    ]
    found = fuse(design, *both)
    precision = np.diagonal(found.precision[0, 0])
    np.testing.assert_allclose(
        precision, [2.0, 2.0, 3.0], rtol=1e-6
    )  # log sd: mean of -log 2 and 0 is -log sqrt 2
    np.testing.assert_allclose(found.linear[0, 0] / precision, [0.5, 2.0, -1.0], rtol=1e-6)


@pytest.mark.slow
def test_mean_fusion_of_encoders_is_the_published_average(make_design, make_batch, make_params):
    design = make_design(posterior="fourier", fusion="mean", n_bins=8)
    batch = make_batch(design)
    params = make_params(design, batch)
    full, _ = inferred(design, params, batch)
    spikes, _ = inferred(design, params, masked(batch, POSITION.name))
    images, _ = inferred(design, params, masked(batch, "neural"))
    shared = full.mean[..., 1]
    np.testing.assert_allclose(shared, 0.5 * (spikes.mean[..., 1] + images.mean[..., 1]), atol=1e-5)
    np.testing.assert_allclose(full.mean[..., 0], spikes.mean[..., 0], atol=1e-5)
    np.testing.assert_allclose(full.mean[..., 2], images.mean[..., 2], atol=1e-5)


@pytest.mark.slow
def test_behaviour_says_nothing_of_neural_latents(make_design, make_batch, make_params):
    design = make_design(n_bins=8)
    batch = make_batch(design)
    found = behavior_factors(design, make_params(design, batch), batch)
    np.testing.assert_array_equal(found.linear[..., 0], 0.0)
    np.testing.assert_array_equal(found.precision[..., 0, :], 0.0)
    assert np.all(np.diagonal(found.precision, axis1=-2, axis2=-1)[..., 1:] > 0)


def test_predictor_moments(make_design, make_batch, make_params):
    design = make_design(n_bins=8)
    batch = make_batch(design)
    params = make_params(design, batch)
    paths, _ = inferred(design, params, batch)
    mean, variance = predictor(params, paths)
    w = np.asarray(params["loading"])
    np.testing.assert_allclose(mean, paths.mean[..., :2] @ w.T + params["offset"], rtol=1e-4, atol=1e-5)
    exact = np.einsum("up,rtpq,uq->rtu", w, paths.covariance[..., :2, :2], w)
    np.testing.assert_allclose(variance, exact, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["rbf", "matern32", "white"])
def test_design_over_another_length_has_the_same_prior(make_design, kernel):
    design = make_design(kernel=kernel, behavior=0, channels=(), neural=1, shared=0)
    longer = design.over(20)
    assert longer.over(12).basis.n_bins == 12
    assert design.over(12) is design
    params = {"kernel": jnp.array([0.3])}
    short, long = (np.asarray(root_of(it, params))[0] for it in (design, longer))
    np.testing.assert_allclose(
        (long.T @ long)[:12, :12], short.T @ short, atol=5e-3 if kernel == "matern32" else 1e-3
    )
    wanted = basis_for(20, kernel=kernel, shortest=2.0, longest=6.0)
    assert longer.basis.period == wanted.period
    assert longer.basis.highest >= wanted.highest


@pytest.mark.parametrize("value", [-50.0, 0.0, 50.0])
def test_length_scales_stay_between_their_bounds(make_design, value):
    found = float(length_scales(make_design(), {"kernel": jnp.array(value)}))
    assert 2.0 - 1e-5 <= found <= 6.0 + 1e-5
    if value == 0:
        assert found == pytest.approx(np.sqrt(12.0), rel=1e-5)


def test_labels_of_latents(make_design):
    labels, blocks = make_design(neural=2, shared=0, behavior=1).labels()
    assert labels == ["neural 0", "neural 1", "behavior 0"]
    assert blocks == ["neural", "neural", "behavior"]
