"""Draws of the latents of new trials: their moments, and what they do not depend on."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neurokit_snn.models.mmgpvae.prediction import BLOCK, infer, trial_keys


@pytest.mark.parametrize(
    ("posterior", "causal"),
    [
        ("smoother", False),
        pytest.param("smoother", True, marks=pytest.mark.slow),
        pytest.param("fourier", False, marks=pytest.mark.slow),
        pytest.param("time", False, marks=pytest.mark.slow),
    ],
)
def test_draws_have_the_moments(make_design, make_batch, make_params, posterior, causal):
    design = make_design(n_bins=8, posterior=posterior)
    batch = make_batch(design, trials=2)
    found = infer(
        design, make_params(design, batch), batch, keys=np.array([3, 4], np.uint32), draws=4000, causal=causal
    )
    z = (found.draws.mean(0) - found.mean) / (found.draws.std(0) / np.sqrt(4000))
    assert np.abs(z).max() <= 4.5
    assert np.mean(np.abs(z) <= 2.0) > 0.85
    centred = found.draws - found.mean
    products = np.einsum("drtp,drtq->drtpq", centred, centred)
    error = products.std(0) / np.sqrt(4000)
    assert np.all(np.abs(products.mean(0) - found.covariance) <= 4.5 * error + 1e-5)


def test_draws_are_joint_over_time_unless_causal(make_design, make_batch, make_params):
    design = make_design(n_bins=8)
    batch = make_batch(design, trials=1)
    params = make_params(design, batch)
    keys = np.array([1], np.uint32)
    smooth = infer(design, params, batch, keys=keys, draws=2000)
    apart = infer(design, params, batch, keys=keys, draws=2000, causal=True)
    both = [
        np.corrcoef(it.draws[:, 0, 6, 0] - it.mean[0, 6, 0], it.draws[:, 0, 7, 0] - it.mean[0, 7, 0])[0, 1]
        for it in (smooth, apart)
    ]
    assert both[0] > 0.5
    assert abs(both[1]) < 0.1


def test_a_trial_does_not_depend_on_the_others(make_design, make_batch, make_params):
    design = make_design(n_bins=8)
    batch = make_batch(design, trials=BLOCK + 3)
    params = make_params(design, batch)
    keys = np.arange(BLOCK + 3, dtype=np.uint32)
    all_of_them = infer(design, params, batch, keys=keys, draws=3)
    some = np.array([BLOCK + 1, 0])
    few = infer(design, params, batch.take(some), keys=keys[some], draws=3)
    np.testing.assert_array_equal(all_of_them.mean[some], few.mean)
    np.testing.assert_array_equal(all_of_them.covariance[some], few.covariance)
    np.testing.assert_array_equal(all_of_them.draws[:, some], few.draws)


def test_keys_are_of_labels_and_seed():
    data = xr.Dataset(coords={"trial": [4, 7, 9], "trial_start": ("trial", [0.0, 1.5, 3.0])})
    keys = trial_keys(data, 0)
    assert keys.dtype == np.uint32
    np.testing.assert_array_equal(trial_keys(data.isel(trial=[2, 0]), 0), keys[[2, 0]])
    assert not np.isin(trial_keys(data, 1), keys).any()
