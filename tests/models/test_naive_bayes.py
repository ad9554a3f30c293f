"""Naive Bayes on a grid: against brute force, and against the truth of made data."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from scipy.special import logsumexp

from neurokit_snn.errors import ModelError
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.models.grid_decoding import (
    UNIFORM_SHARE,
    GridAxes,
    RateMaps,
    forward_backward,
    learn_maps,
    spread,
)
from neurokit_snn.models.naive_bayes import NaiveBayesDecoder
from neurokit_snn.testing.model_suite import ModelSuite
from neurokit_snn.testing.place_cells import place_cells


class TestNaiveBayes(ModelSuite):
    target = "position"

    def make(self) -> AbstractModel:
        return NaiveBayesDecoder(target="position", bins=12)


class TestNaiveBayesRandomWalk(ModelSuite):
    target = "position"

    def make(self) -> AbstractModel:
        return NaiveBayesDecoder(target="position", bins=12, smoother="random-walk")


def _walk(prior: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Transition matrix of the walk, written out."""
    step = kernel * prior[None, :]
    step /= step.sum(1, keepdims=True)
    return (1 - UNIFORM_SHARE) * step + UNIFORM_SHARE * prior[None, :]


@pytest.mark.parametrize("shape", [(3,), (2, 2)])
def test_smoother_equals_the_sum_over_all_paths(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    n_cells, n_time = int(np.prod(shape)), 4
    edges = tuple(np.linspace(0, s, s + 1) for s in shape)
    kernels = GridAxes(edges=edges, circular=(False,) * len(shape)).kernels([0.8] * len(shape))
    full = kernels[0] if len(shape) == 1 else np.kron(kernels[0], kernels[1])
    prior = rng.dirichlet(np.ones(n_cells))
    log_likelihood = rng.normal(size=(2, n_time, n_cells))
    found = forward_backward(log_likelihood, prior, kernels)
    step = _walk(prior, full)
    for trial in range(2):
        expected = np.zeros((n_time, n_cells))
        for path in itertools.product(range(n_cells), repeat=n_time):
            p = prior[path[0]] * np.prod([step[a, b] for a, b in itertools.pairwise(path)])
            p *= np.exp(sum(log_likelihood[trial, t, c] for t, c in enumerate(path)))
            for t, c in enumerate(path):
                expected[t, c] += p
        expected /= expected.sum(1, keepdims=True)
        np.testing.assert_allclose(found[trial], expected, rtol=1e-10)


def test_likelihood_is_a_product_of_gamma_poisson_mixtures() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.uniform(0.5, 5, (2, 6)), rng.uniform(1, 20, (2, 6))
    maps = RateMaps(shape=a, exposure=b, prior=np.full(6, 1 / 6))
    counts, valid = rng.poisson(1.0, (5, 2)), np.ones((5, 2), bool)
    valid[3, 1] = False
    found = maps.log_likelihood(counts, valid)
    for row in range(5):
        expected = sum(
            stats.nbinom.logpmf(counts[row, u], a[u], b[u] / (1 + b[u])) for u in range(2) if valid[row, u]
        )
        # y! is left out, the same in all cells: only differences between cells count.
        shift = found[row] - expected
        np.testing.assert_allclose(shift, shift[0], atol=1e-12)


def test_maps_without_smoothing_are_counts_over_time() -> None:
    axes = GridAxes(edges=(np.arange(4.0),), circular=(False,))
    cell = np.array([0, 0, 1, 1, 1])
    counts = np.array([[2], [4], [1], [0], [5]])
    maps = learn_maps(axes, cell, counts, np.ones((5, 1), bool), smoothing=0.0)
    np.testing.assert_allclose(maps.shape[0], [1 + 6, 1 + 6, 1])
    np.testing.assert_allclose(maps.exposure[0], [1 / 2.4 + 2, 1 / 2.4 + 3, 1 / 2.4])
    np.testing.assert_allclose(maps.prior.sum(), 1.0)


def test_separable_kernels_are_the_full_matrix() -> None:
    rng = np.random.default_rng(2)
    kernels = GridAxes(edges=(np.arange(5.0), np.arange(4.0)), circular=(True, False)).kernels([1.0, 0.5])
    values = rng.normal(size=(3, 4, 3))
    full = np.kron(*kernels)
    np.testing.assert_allclose(
        spread(values, kernels).reshape(3, 12), values.reshape(3, 12) @ full, rtol=1e-12
    )


def test_decodes_made_place_cells_and_the_walk_helps() -> None:
    data = place_cells(trials=60, units=8)
    train, test = data.isel(trial=slice(0, 45)), data.isel(trial=slice(45, None))
    errors, densities = {}, {}
    for smoother in ("none", "random-walk"):
        model = NaiveBayesDecoder(target="position", bins=20, smoother=smoother, estimate="mean").fit(train)
        found = model.predict(test, task="decode")["behavior_position"]
        errors[smoother] = float(abs(found - test["behavior_position"]).median())
        densities[smoother] = float(model.log_likelihood(test, task="decode", target="position").mean())
    assert errors["none"] < 8
    assert errors["random-walk"] < 0.8 * errors["none"]
    assert densities["random-walk"] > densities["none"] > -np.log(100), (
        "better than a uniform density on the track"
    )


def test_densities_integrate_to_one_and_intervals_cover() -> None:
    """Of memoryless densities on made data, 90% highest-density sets hold the truth about that often."""
    data = place_cells(trials=80, units=8)
    train, test = data.isel(trial=slice(0, 50)), data.isel(trial=slice(50, None))
    model = NaiveBayesDecoder(target="position", bins=25).fit(train)
    visible = test[["counts", "mask"]]
    [density] = model._predictive(visible, task="decode", draws=100, rng=np.random.default_rng(0)).values()
    p = np.exp(density.log_p.values)
    np.testing.assert_allclose(p.sum(-1), 1.0, rtol=1e-9)
    position, known = test["behavior_position"].values, test["mask_behavior_position"].values
    cell = np.clip(np.searchsorted(model.axes_.edges[0], position) - 1, 0, 24)
    own = np.take_along_axis(p, cell[..., None], -1)
    rank = np.where(p > own, p, 0).sum(-1)[known]  # mass of the cells above the true one
    assert 0.84 < (rank < 0.9).mean() < 0.97


def test_circular_behaviour_wraps() -> None:
    rng = np.random.default_rng(0)
    data = place_cells(trials=40, units=6)
    heading = np.mod(rng.normal(0, 0.4, size=data["behavior_position"].shape).cumsum(1), 2 * np.pi)
    preferred = 2 * np.pi * np.arange(6) / 6
    data["mask"].values[:] = True
    data["counts"].values[:] = rng.poisson(2 * np.exp(2 * (np.cos(heading[..., None] - preferred) - 1)))
    data["behavior_heading"] = (("trial", "time"), heading, {"units": "rad", "kind": "circular"})
    data["mask_behavior_heading"] = (("trial", "time"), np.ones(heading.shape, bool))
    train, test = data.isel(trial=slice(0, 30)), data.isel(trial=slice(30, None))
    model = NaiveBayesDecoder(target="heading", bins=24, smoother="random-walk").fit(train)
    assert model.step_[0] < 2.0, "a step over the cut is short"
    found = model.predict(test, task="decode")["behavior_heading"]
    error = np.abs(np.angle(np.exp(1j * (found - test["behavior_heading"]).values)))
    assert np.median(error) < 0.35
    near_cut = np.cos(test["behavior_heading"].values) > 0.95
    assert np.median(error[near_cut]) < 0.45


def test_two_axes_decode_jointly() -> None:
    rng = np.random.default_rng(0)
    data = place_cells(trials=40, units=16)
    shape = data["behavior_position"].shape
    place = rng.uniform(0, 4, size=(*shape, 2))
    centres = np.stack(np.meshgrid(np.arange(4) + 0.5, np.arange(4) + 0.5), -1).reshape(-1, 2)
    away = ((place[:, :, None] - centres) ** 2).sum(-1)
    data["mask"].values[:] = True
    data["counts"].values[:] = rng.poisson(0.05 + 3 * np.exp(-away))
    data["behavior_place"] = (("trial", "time", "axis"), place, {"units": "m"})
    data["mask_behavior_place"] = (("trial", "time"), np.ones(shape, bool))
    data = data.assign_coords(axis=["x", "y"])
    model = NaiveBayesDecoder(target="place", bins=10).fit(data.isel(trial=slice(0, 30)))
    test = data.isel(trial=slice(30, None))
    found = model.predict(test, task="decode")["behavior_place"]
    assert found.dims == ("trial", "time", "axis")
    error = np.sqrt(np.square(found - test["behavior_place"]).sum("axis"))
    assert float(error.median()) < 0.7
    score = model.log_likelihood(test, task="decode", target="place")
    assert float(score.mean()) > -np.log(16) + 1


def test_a_trial_alone_smooths_as_in_company_and_starts_from_the_prior() -> None:
    data = place_cells(trials=20)
    model = NaiveBayesDecoder(target="position", bins=12, smoother="random-walk").fit(data)
    silent = data.copy(deep=True)
    silent["mask"].values[:] = False
    [density] = model._predictive(
        silent[["counts", "mask"]], task="decode", draws=1, rng=np.random.default_rng(0)
    ).values()
    first = density.log_p.isel(trial=0, time=0).values
    # Without spikes the smoothed marginal of the first bin is the prior of the walk, conditioned on nothing.
    np.testing.assert_allclose(logsumexp(first), 0.0, atol=1e-9)
    np.testing.assert_allclose(np.exp(first), model.maps_.prior, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "no target is named.*position, speed"),
        ({"target": "nonsense"}, "nonsense.*position, speed"),
        ({"target": "position", "smoother": "kalman"}, "smoother is 'kalman'"),
        ({"target": "position", "estimate": "median"}, "estimate is 'median'"),
        ({"target": "position", "smoothing": -1}, "smoothing is -1"),
        ({"target": "position", "bins": 1}, "bins is 1"),
    ],
)
def test_bad_hyperparameters_are_named(options: dict, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        NaiveBayesDecoder(**options).fit(place_cells(trials=4, units=2))


def test_three_axes_are_refused() -> None:
    data = place_cells(trials=4)
    place = xr.DataArray(np.zeros((*data["behavior_position"].shape, 3)), dims=("trial", "time", "axis"))
    data["behavior_place"], data["mask_behavior_place"] = place, data["mask_behavior_position"]
    with pytest.raises(ModelError, match="3 axes"):
        NaiveBayesDecoder(target="place").fit(data)
