"""Causal inference: every bin is predicted from the bins before it alone."""

from __future__ import annotations

import functools

import jax
import numpy as np
import pytest

from neurokit_snn.models.mmgpvae.design import root_of
from neurokit_snn.models.mmgpvae.forecasting import forecast_paths
from neurokit_snn.models.mmgpvae.inference import extras
from neurokit_snn.models.mmgpvae.program import guide_distribution

forecast = functools.partial(jax.jit, static_argnames="design")(forecast_paths)


@pytest.fixture(params=["precision", pytest.param("mean", marks=pytest.mark.slow)])
def trained(request, make_design, make_batch, make_params):
    design = make_design(n_bins=8, fusion=request.param)
    batch = make_batch(design, trials=2)
    return design, make_params(design, batch), batch


@pytest.mark.parametrize("changed", [0, 3, 7])
def test_predictions_do_not_see_what_they_predict_or_later(trained, changed):
    design, params, batch = trained
    rng = np.random.default_rng(0)
    later = np.arange(8) >= changed
    other = batch._replace(
        neural=np.where(later[:, None], rng.poisson(4.0, batch.neural.shape), batch.neural).astype(
            np.float32
        ),
        neural_mask=np.where(
            later[:, None], rng.integers(0, 2, batch.neural.shape), batch.neural_mask
        ).astype(np.float32),
        behavior={
            k: np.where(later[:, None], v + 3.0, v).astype(np.float32) for k, v in batch.behavior.items()
        },
    )
    one, two = forecast(design, params, batch), forecast(design, params, other)
    np.testing.assert_array_equal(one.mean[:, : changed + 1], two.mean[:, : changed + 1])
    np.testing.assert_array_equal(one.covariance[:, : changed + 1], two.covariance[:, : changed + 1])
    if changed < 7:
        assert np.abs(one.mean - two.mean)[:, changed + 1].max() > 1e-3


def test_first_bin_is_the_prior(trained):
    design, params, batch = trained
    found = forecast(design, params, batch)
    np.testing.assert_array_equal(found.mean[:, 0], 0.0)
    np.testing.assert_allclose(found.covariance[0, 0], np.eye(3), atol=1e-3)


def test_gaussian_forecast_is_gaussian_process_regression(make_design, make_batch, make_params):
    """One bin ahead, by dense regression on the bins before it."""
    design = make_design(n_bins=8, likelihood="gaussian", neural=2, shared=0, behavior=0, channels=())
    batch = make_batch(design, trials=1)
    params = make_params(design, batch)
    found = forecast(design, params, batch)
    root, w = np.asarray(root_of(design, params), np.float64), np.asarray(params["loading"], np.float64)
    kernel = np.einsum("pft,pfs->pts", root, root)
    noise = np.asarray(extras(params)["sd"], np.float64) ** 2
    centred = batch.neural[0].astype(np.float64) - np.asarray(params["offset"], np.float64)
    for t in (1, 4, 7):
        known = np.einsum("pts,np,mp->tnsm", kernel[:, :t, :t], w, w).reshape(t * 5, t * 5) + np.diag(
            np.tile(noise, t)
        )
        cross = np.einsum("ps,np->psn", kernel[:, t, :t], w).reshape(2, t * 5)
        mean = cross @ np.linalg.solve(known, centred[:t].ravel())
        covariance = np.diag(kernel[:, t, t]) - cross @ np.linalg.solve(known, cross.T)
        np.testing.assert_allclose(found.mean[0, t], mean, atol=1e-4)
        np.testing.assert_allclose(found.covariance[0, t], covariance, atol=1e-4)


@pytest.mark.slow
def test_poisson_forecast_is_the_posterior_given_the_past(trained):
    """The last bin, against the smoother of a trial whose last bin is masked."""
    design, params, batch = trained
    found = forecast(design, params, batch)
    seen = batch._replace(
        neural_mask=batch.neural_mask * (np.arange(8) < 7)[:, None],
        behavior_mask={k: v * (np.arange(8) < 7) for k, v in batch.behavior_mask.items()},
    )
    exact = jax.jit(lambda b: guide_distribution(design, params, b, iterations=20)[1])(seen)
    np.testing.assert_allclose(found.mean[:, 7], exact.mean[:, 7], atol=5e-3)
    np.testing.assert_allclose(found.covariance[:, 7], exact.covariance[:, 7], atol=5e-3)
