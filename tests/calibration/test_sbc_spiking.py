"""Calibration of the posterior of one spiking layer (Talts et al., arXiv:1804.06788; Yao et al., ICML 2018).

Weights, delays, time constants and the rest from their priors, spikes from them, the posterior from the spikes: quantiles of the
truth under its marginals are uniform. The posterior is a guide, so that this tests the guide, too.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.stats import kstest, norm

pytest.importorskip("torch")
pytest.importorskip("pyro")

import torch

from neurokit_snn.models.spiking.free_membranes import free_membranes
from neurokit_snn.models.spiking.guides import Guide
from neurokit_snn.models.spiking.inference import Recipe, fitted_membranes
from neurokit_snn.models.spiking.membranes import Membranes, Priors
from neurokit_snn.models.spiking.stretches import Source

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

REPLICATES, UNITS, BINS, DELAYS = 30, 4, 2500, 5
USUAL = np.full(UNITS, 0.08)
PRIORS = Priors(constant=(-2.7,) * UNITS, constant_sd=0.5, own_sd=0.3, weight_sd=0.4, tau=2.0, tau_spread=0.4)
ALPHA = 1e-3
OFF = ~np.eye(UNITS, dtype=bool)


def layer_of(priors):
    return Membranes(columns=0, units=UNITS, own=(2.0,), coupling=True, delays=DELAYS, priors=priors)


@pytest.fixture(scope="module")
def studies():
    """Truths ``(unit, parameter)`` and ``(target, source)``, and data."""
    made = []
    for seed in range(REPLICATES):
        generator, rng = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
        layer = layer_of(PRIORS)
        theta = layer.mean + layer.sd * torch.randn(layer.mean.shape, generator=generator)
        delays = torch.randint(0, DELAYS, (UNITS, UNITS), generator=generator)
        _, counts = free_membranes(
            layer, theta[None], delays[None], np.zeros((1, BINS, 0), np.float32), mean=USUAL,
            limit=np.full(UNITS, 100.0), binary=False, run_in=1, length=BINS, rng=rng,
        )  # fmt: skip
        target = counts[0].astype(np.float32)
        past = np.zeros_like(target)
        past[:, 1:] = target[:, :-1] - USUAL
        source = Source(past, target, np.ones(target.shape, bool), run_in=1, length=BINS)
        made.append((theta.numpy(), delays.numpy(), source))
    return made


def quantiles(studies, priors, *, kind):
    """Of every true quantity under its posterior, pooled over units and replicates."""
    rng, pooled = np.random.default_rng(1), {"weight": [], "delay": [], "tau": [], "own": [], "constant": []}
    for seed, (theta, delays, source) in enumerate(studies):
        layer = layer_of(priors)
        guide = Guide(layer.mean, layer.sd, kind=kind, rank=4, synapses=UNITS, delays=DELAYS)
        recipe = Recipe(
            steps=250, learning_rate=0.02, draws=2, batch_size=None, seed=seed, progress=False, resume=None, mark="",
            accelerator="cpu", who="test",
        )  # fmt: skip
        posterior, _ = fitted_membranes(layer, guide, source, recipe, observation="poisson", usual=USUAL)
        mean, sd = (part.numpy() for part in guide.synapses_by_delay())
        chance = posterior.probability
        by_delay = norm.cdf((theta[:, 3:, None] - mean) / sd)
        pooled["weight"].append((chance * by_delay).sum(-1)[OFF])
        below = np.cumsum(chance, -1) - chance
        at = np.take_along_axis(below + rng.random(delays.shape)[..., None] * chance, delays[..., None], -1)
        pooled["delay"].append(at[..., 0][OFF])
        with torch.no_grad():
            smooth = guide.distribution(torch.from_numpy(posterior.probability.argmax(-1)))
            z = (theta[:, :3] - smooth.mean[:, :3].numpy()) / smooth.variance[:, :3].sqrt().numpy()
        for name, column in (("constant", 0), ("own", 1), ("tau", 2)):
            pooled[name].append(norm.cdf(z[:, column]))
    return {name: np.concatenate(parts) for name, parts in pooled.items()}


def p_values(found):
    return {name: float(kstest(values, "uniform").pvalue) for name, values in found.items()}


def test_quantiles_of_the_truth_are_uniform(studies):
    found = quantiles(studies, PRIORS, kind="low-rank")
    p = p_values(found)
    assert len(p) * min(p.values()) > ALPHA, p
    inside = {name: np.mean(np.abs(values - 0.5) < 0.45) for name, values in found.items()}
    assert all(0.82 <= value <= 0.97 for value in inside.values()), inside


def test_a_wrong_prior_of_weights_is_noticed(studies):
    wrong = dataclasses.replace(PRIORS, weight_sd=0.05)
    assert p_values(quantiles(studies, wrong, kind="mean-field"))["weight"] < 1e-6


def test_a_wrong_prior_of_time_constants_is_noticed(studies):
    wrong = dataclasses.replace(PRIORS, tau=12.0, tau_spread=0.3)
    assert p_values(quantiles(studies, wrong, kind="mean-field"))["tau"] < 1e-6
