"""The latents found with true loadings: the mode of the posterior, and as near to the truth as the spikes allow."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from neurokit_snn.catalog.moving_digits import latent_paths
from neurokit_snn.errors import ModelError
from neurokit_snn.testing import known_loading_latents


def _simulated(
    *, trials: int, units: int, offset: float = 0.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Counts, latents of variance .3 and .5 and 10 bins of length scale, loadings and offsets, as in the published simulation."""
    rng = np.random.default_rng(seed)
    latents = latent_paths(np.arange(60.0), rng, trials=trials, latents=2, length_scale=10.0)
    latents = latents * np.sqrt([0.3, 0.5])
    loading = 1.5 * rng.uniform(-1.0, 1.0, (units, 2))
    offsets = offset + 0.5 * rng.uniform(-1.0, 1.0, units)
    return rng.poisson(np.exp(latents @ loading.T + offsets)), latents, loading, offsets


def _r2(true: np.ndarray, found: np.ndarray) -> np.ndarray:
    residual = np.square(true - found).sum((0, 1))
    return 1.0 - residual / np.square(true - true.mean((0, 1))).sum((0, 1))


@pytest.mark.parametrize(
    ("units", "offset", "least", "most"),
    [(100, 0.0, 0.99, 1.0), (10, 0.0, 0.9, 0.99), (10, -2.0, 0.6, 0.93)],
)
def test_r2_of_the_published_simulation(units: int, offset: float, least: float, most: float) -> None:
    counts, true, loading, offsets = _simulated(trials=60, units=units, offset=offset)
    found = known_loading_latents(
        counts, loading=loading, offset=offsets, length_scale_bins=10.0, variance=np.array([0.3, 0.5])
    )
    r2 = _r2(true, found)
    assert (r2 > least).all(), r2
    assert (r2 < most).all(), r2


def test_gradient_is_zero_at_the_optimum() -> None:
    """At the mode z = K W' (y - rate) in each latent, which needs no inverse of the kernel."""
    counts, _, loading, offsets = _simulated(trials=5, units=12)
    lengths, variance = np.array([10.0, 3.0]), np.array([0.3, 0.5])
    found = known_loading_latents(
        counts, loading=loading, offset=offsets, length_scale_bins=lengths, variance=variance
    )
    pull = (counts - np.exp(found @ loading.T + offsets)) @ loading
    lag = np.arange(60)[:, None] - np.arange(60)
    for p in range(2):
        kernel = variance[p] * np.exp(-0.5 * (lag / lengths[p]) ** 2)
        np.testing.assert_allclose(found[..., p], pull[..., p] @ kernel, atol=1e-7)


def test_equals_a_general_optimiser_on_the_dense_problem() -> None:
    rng = np.random.default_rng(1)
    counts = rng.poisson(1.0, (1, 8, 3))
    loading, offsets = rng.normal(size=(3, 2)), rng.normal(size=3)
    kernel = np.exp(-0.5 * ((np.arange(8)[:, None] - np.arange(8)) / 1.5) ** 2)
    precision = np.linalg.inv(kernel)

    def loss(flat: np.ndarray) -> float:
        z = flat.reshape(8, 2)
        predictor = z @ loading.T + offsets
        return float((np.exp(predictor) - counts[0] * predictor).sum() + 0.5 * np.sum(z * (precision @ z)))

    best = minimize(loss, np.zeros(16), method="BFGS", options={"gtol": 1e-7}).x.reshape(8, 2)
    found = known_loading_latents(counts, loading=loading, offset=offsets, length_scale_bins=1.5)
    np.testing.assert_allclose(found[0], best, atol=1e-5)


def test_trials_are_found_apart_and_a_silent_one_too() -> None:
    counts, _, loading, offsets = _simulated(trials=4, units=8)
    counts[2] = 0
    how = {"loading": loading, "offset": offsets, "length_scale_bins": 10.0}
    whole = known_loading_latents(counts, **how)
    alone = np.concatenate([known_loading_latents(counts[[r]], **how) for r in range(4)])
    np.testing.assert_allclose(whole, alone, atol=1e-8)


def test_counts_far_from_the_model_still_have_a_mode() -> None:
    """A burst of 500 spikes where .01 are expected: a full Newton step from 0 would overflow."""
    counts = np.zeros((1, 20, 2))
    counts[0, 10] = 500
    loading, offsets = np.array([[4.0], [3.0]]), np.full(2, -5.0)
    found = known_loading_latents(counts, loading=loading, offset=offsets, length_scale_bins=1.0)
    assert int(found[0, :, 0].argmax()) == 10
    pull = (counts[0] - np.exp(found[0] @ loading.T + offsets)) @ loading
    kernel = np.exp(-0.5 * (np.arange(20)[:, None] - np.arange(20)) ** 2.0)
    np.testing.assert_allclose(found[0], kernel @ pull, atol=1e-5)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"loading": np.ones((3, 2))}, "counts has 2 units, loading 3"),
        ({"offset": np.ones((2, 1))}, r"offset \(2, 1\)"),
        ({"length_scale_bins": 0.0}, "length_scale_bins is 0.0"),
        ({"variance": np.ones(3)}, "one for each of 2 latents"),
        ({"counts": np.full((1, 4, 2), -1.0)}, "trial 0, bin 0, unit 0 is -1"),
    ],
)
def test_what_does_not_fit_is_named(changed: dict[str, object], words: str) -> None:
    fitting = {
        "counts": np.ones((1, 4, 2)),
        "loading": np.ones((2, 2)),
        "offset": np.ones(2),
        "length_scale_bins": 2.0,
    }
    asked = fitting | changed
    if changed.get("loading") is not None:
        asked["offset"] = np.ones(3)
    with pytest.raises(ModelError, match=words):
        known_loading_latents(asked.pop("counts"), **asked)  # type: ignore[arg-type]
