"""Behaviour and images as modalities: densities, features and the errors of what cannot be one."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from scipy.special import logsumexp

from neurokit_snn.errors import ModelError
from neurokit_snn.models.mmgpvae.behavior import Channel, channel_of, log_density
from neurokit_snn.models.modalities import modality_of, observation, samples_of


@pytest.fixture
def data() -> xr.Dataset:
    """Binned data with one behaviour of every kind, a stimulus and a trial column."""
    rng = np.random.default_rng(0)
    lead = ("trial", "time")
    variables = {
        "counts": ((*lead, "unit"), rng.poisson(1.0, (4, 5, 2)).astype(np.int32)),
        "mask": ((*lead, "unit"), np.ones((4, 5, 2), bool)),
    }
    coords = {
        "trial": np.arange(4), "time": np.arange(5) * 0.1, "unit": [0, 1], "axis": ["x", "y"],
        "trial_start": ("trial", np.arange(4.0)), "trial_stop": ("trial", np.arange(4.0) + 0.5),
        "choice": ("trial", ["left", "right", "left", "none"]),
    }  # fmt: skip
    behaviors = {
        "position": ((*lead, "axis"), rng.normal(3.0, 2.0, (4, 5, 2)), {"kind": "continuous", "units": "cm"}),
        "heading": (lead, rng.uniform(0, 360, (4, 5)), {"kind": "circular", "units": "deg"}),
        "state": (lead, rng.integers(0, 3, (4, 5)).astype(float), {"kind": "categorical", "units": ""}),
    }
    for name, value in behaviors.items():
        variables[f"behavior_{name}"] = value
        variables[f"mask_behavior_{name}"] = (lead, np.ones((4, 5), bool))
    variables["stimulus_image"] = ((*lead, "y", "x"), rng.normal(size=(4, 5, 3, 2)))
    variables["mask_stimulus_image"] = (lead, np.ones((4, 5), bool))
    attrs = {"schema": "neurokit_snn.binned", "schema_version": 1, "bin_width": 0.1, "layout": "trials"}
    return xr.Dataset(variables, coords=coords, attrs=attrs | {"session_id": "", "subject": ""})


@pytest.mark.parametrize("output", [(0.0, 0.0), (1.5, -0.7), (30.0, 40.0)])
def test_circular_density_integrates_to_one(output):
    angle = np.linspace(0, 2 * np.pi, 4001)[:-1]
    features = np.stack([np.cos(angle), np.sin(angle)], -1)
    log_p = log_density(Channel("h", "circular", 2), jnp.asarray(features), jnp.asarray(output), jnp.zeros(2))
    assert np.exp(np.asarray(log_p)).mean() * 2 * np.pi == pytest.approx(1.0, abs=1e-4)


def test_categories_sum_to_one():
    output = jnp.asarray([40.0, -3.0, 0.2])
    log_p = log_density(Channel("c", "categorical", 3), jnp.eye(3), output, jnp.zeros(3))
    assert float(logsumexp(np.asarray(log_p))) == pytest.approx(0.0, abs=1e-6)


def test_gaussian_density_integrates_to_one():
    grid = np.linspace(-12, 12, 401)
    features = np.stack(np.meshgrid(grid, grid, indexing="ij"), -1)
    log_p = log_density(
        Channel("g", "gaussian", 2), jnp.asarray(features), jnp.array([1.0, -0.5]), jnp.array([0.3, -0.4])
    )
    assert np.exp(np.asarray(log_p, np.float64)).sum() * (grid[1] - grid[0]) ** 2 == pytest.approx(
        1.0, abs=1e-4
    )


@pytest.mark.parametrize("name", ["position", "heading", "state", "stimulus_image"])
def test_density_of_features_is_the_predictive_distribution(data, name):
    """Densities of features and of values in their own units differ by the change of variables alone."""
    modality = modality_of(data, name, "m")
    values, valid, _ = samples_of(data, name, "m")
    features = modality.features(values, valid)
    rng = np.random.default_rng(1)
    output = rng.standard_normal((*features.shape[:2], modality.width))
    log_sd = rng.normal(size=1 if name.startswith("stimulus") else modality.width) * 0.3
    ours = np.asarray(
        log_density(channel_of(modality), jnp.asarray(features), jnp.asarray(output), jnp.asarray(log_sd))
    )
    coords = {"trial": data["trial"].values, "time": data["time"].values}
    target = data[name if name.startswith("stimulus") else f"behavior_{name}"]
    stated = observation(modality, output[None], log_sd, coords).log_prob(target).squeeze("draw", drop=True)
    change = {"gaussian": np.log(modality.scale).sum(), "circular": np.log(modality.period / (2 * np.pi))}
    np.testing.assert_allclose(
        stated.transpose("trial", "time").values, ours - change.get(modality.kind, 0.0), rtol=1e-4, atol=1e-4
    )


def test_features_are_standardised_and_zero_where_missing(data):
    data["behavior_position"][0, 0] = np.nan
    modality = modality_of(data, "position", "m")
    values, valid, _ = samples_of(data, "position", "m")
    features = modality.features(values, valid)
    assert not valid[0, 0]
    assert valid.sum() == 19
    np.testing.assert_array_equal(features[0, 0], 0.0)
    np.testing.assert_allclose(features[valid].mean(0), 0.0, atol=1e-12)
    np.testing.assert_allclose(features[valid].std(0), 1.0)


def test_features_of_a_trial_column(data):
    modality = modality_of(data, "choice", "m")
    values, valid, _ = samples_of(data, "choice", "m")
    assert modality.categories == ("left", "none", "right")
    assert not modality.predicted
    features = modality.features(values, valid)
    np.testing.assert_array_equal(features[:, 0], [[1, 0, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]])


def test_pixels_share_one_scale(data):
    data["stimulus_image"][..., 0, 0] = 0.5  # a border that never changes
    modality = modality_of(data, "stimulus_image", "m")
    assert modality.shape == (3, 2)
    assert np.ptp(modality.scale) == 0
    assert modality.scale[0] == pytest.approx(np.sqrt(data["stimulus_image"].var(("trial", "time")).mean()))


@pytest.mark.parametrize("name", ["position", "heading", "state", "stimulus_image"])
def test_all_missing_is_refused(data, name):
    full = name if name.startswith("stimulus") else f"behavior_{name}"
    data[f"mask_{full}"][:] = False
    with pytest.raises(ModelError, match=f"m: {full} is missing in every bin; leave it out"):
        modality_of(data, name, "m")


@pytest.mark.parametrize("name", ["heading", "state", "stimulus_image"])
def test_constant_is_refused(data, name):
    full = name if name.startswith("stimulus") else f"behavior_{name}"
    data[full][:] = 1.0
    with pytest.raises(ModelError, match=rf"m: {full} is (always|constant) .*1.*leave it out"):
        modality_of(data, name, "m")


def test_constant_axis_is_named(data):
    data["behavior_position"][..., 1] = 7.5
    with pytest.raises(ModelError, match=r"behavior_position is constant \(7.5\) along axis 1"):
        modality_of(data, "position", "m")


def test_absent_stimulus_is_refused(data):
    with pytest.raises(ModelError, match="stimulus_movie is not in the data; it holds"):
        samples_of(data, "stimulus_movie", "m")
    with pytest.raises(ModelError, match="speed"):
        samples_of(data, "speed", "m")
