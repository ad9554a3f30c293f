"""Both guides beside NUTS, on one layer whose delays are known; delays beside the evidence of all of them (slow)."""

from __future__ import annotations

import functools

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("pyro")

import pyro.distributions as dist
import torch
from pyro.infer import MCMC, NUTS

from neurokit_snn.models.spiking.guides import Guide
from neurokit_snn.models.spiking.inference import Recipe, fitted_guide, fitted_membranes
from neurokit_snn.models.spiking.membranes import Membranes, Priors
from neurokit_snn.models.spiking.program import observed, program
from neurokit_snn.models.spiking.stretches import Batch, Source
from simulations.delayed_network import DelayConfig, _network, _run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

UNITS, DELAYS, DRAWS, WARMUP = 3, 4, 600, 200


@pytest.fixture(scope="module")
def layer():
    return Membranes(
        columns=0, units=UNITS, own=(2.0,), coupling=True, delays=DELAYS,
        priors=Priors(constant=(-2.5,) * UNITS, tau=2.5),
    )  # fmt: skip


def simulated(duration):
    """A network of three units as training data, its delays ``(target, source)`` as numbers from 0, and mean counts."""
    config = DelayConfig(
        units=UNITS, sources=2, duration=duration, longest=0.02, weight=0.8, base=20.0, seed=3
    )
    truth = _network(config)
    raster = _run(config, truth["weight"].values, truth["delay"].values, truth["base"].values)
    counts = raster[None].astype(np.float32)
    past = np.zeros_like(counts)
    past[:, 1:] = counts[:, :-1] - counts.mean(1)
    source = Source(past, counts, np.ones(counts.shape, bool), run_in=20, length=counts.shape[1])
    delays = np.nan_to_num(truth["delay"].values / config.step, nan=1.0).round().astype(int) - 1
    return source, delays, counts.mean((0, 1))


@pytest.fixture(scope="module")
def data():
    """Five thousand bins."""
    return simulated(25.0)


def doubled(batch):
    return Batch(batch.x.double(), batch.target.double(), batch.weight.double())


def sampled(layer, batch, delays):
    """Draws ``(draw, unit, parameter)`` of NUTS in double precision."""
    layer = Membranes(
        columns=0, units=UNITS, own=layer.own, coupling=True, delays=DELAYS, priors=layer.priors
    ).double()
    known = torch.from_numpy(delays)[None]
    model = functools.partial(program, layer, doubled(batch), observation="bernoulli", delays=known)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        chain = MCMC(
            NUTS(model, max_tree_depth=5), num_samples=DRAWS, warmup_steps=WARMUP, disable_progbar=True
        )
        chain.run()
    assert not chain.diagnostics()["divergences"]["chain 0"]
    return chain.get_samples()["theta"].numpy()


@pytest.fixture(scope="module")
def nuts(layer, data):
    source, delays, _ = data
    return sampled(layer, source.batch(source.told()), delays)


def recipe(steps=1200):
    return Recipe(
        steps=steps, learning_rate=0.03, draws=4, batch_size=None, seed=0, progress=False, resume=None, mark="",
        accelerator="cpu", who="test",
    )  # fmt: skip


def compared(layer, data, nuts, *, kind, rank=1):
    """Distance of means in standard deviations, and the ratio of these, ``(unit, parameter)``, unused ones left out."""
    source, delays, _ = data
    guide = Guide(layer.mean, layer.sd, kind=kind, rank=rank, synapses=UNITS, delays=DELAYS)
    known = np.eye(DELAYS)[delays]
    fitted_guide(layer, guide, source, recipe(), observation="bernoulli", probability=known)
    with torch.no_grad():
        found = guide.distribution(torch.from_numpy(delays))
        mean, sd = found.mean.numpy(), found.variance.sqrt().numpy()
    used = np.ones(mean.shape, bool)
    used[np.arange(UNITS), 3 + np.arange(UNITS)] = False  # a unit is no source of its own
    return ((mean - nuts.mean(0)) / nuts.std(0))[used], (sd / nuts.std(0))[used]


def test_low_rank_guide_agrees_with_nuts(layer, data, nuts):
    off, ratio = compared(layer, data, nuts, kind="low-rank", rank=5)
    assert np.abs(off).max() < 0.25
    assert np.sqrt(np.mean(off**2)) < 0.12
    assert 0.85 < ratio.min() < ratio.max() < 1.15
    assert 0.95 < ratio.mean() < 1.05


def test_mean_field_guide_has_the_means_and_understates_the_spread(layer, data, nuts):
    off, ratio = compared(layer, data, nuts, kind="mean-field")
    assert np.abs(off).max() < 0.25
    assert 0.80 < ratio.mean() < 0.97, "the number in the documentation of BayesianSpiking"
    assert ratio.min() > 0.6


def evidence(layer, batch, delays, *, draws):
    """Log evidence of each unit under these delays ``(target, source)``: importance sampling around the mode, and its ESS."""
    known, shape = delays[None], layer.mean.shape

    def joint(theta):
        """Log density of parameters and counts, ``(draw, unit)``."""
        log_rate = layer.log_rate(theta, batch.x, delays=known.expand(len(theta), -1, -1))
        found = (observed(log_rate, "bernoulli").log_prob(batch.target) * batch.weight).sum((1, 2))
        return found + dist.Normal(layer.mean, layer.sd).log_prob(theta).sum(-1)

    mode = layer.mean.clone().requires_grad_()
    search = torch.optim.LBFGS([mode], max_iter=100, line_search_fn="strong_wolfe")

    def cost():
        search.zero_grad()
        total = -joint(mode[None]).sum()
        total.backward()
        return total

    search.step(cost)

    def slope(theta):
        theta = theta.clone().requires_grad_()
        return torch.autograd.grad(-joint(theta[None]).sum(), theta)[0]

    steps = 1e-4 * torch.eye(shape[1], dtype=torch.float64)  # of all units at once: they share nothing
    curve = torch.stack([slope(mode.detach() + h) - slope(mode.detach() - h) for h in steps], -1) / 2e-4
    curve = 0.5 * (curve + curve.mT)
    tails = dist.MultivariateStudentT(6.0, mode.detach(), torch.linalg.cholesky(torch.linalg.inv(curve)))
    theta = tails.sample((draws,))
    with torch.no_grad():
        odds = joint(theta) - tails.log_prob(theta)
    weight = torch.softmax(odds, 0)
    return torch.logsumexp(odds, 0) - np.log(draws), float((1.0 / weight.square().sum(0)).min())


def test_delays_agree_with_the_evidence_of_all_of_them(layer):
    """Each unit has two sources, and sixteen pairs of delays: the rest is summed out. (NUTS does not mix over them.)"""
    source, _, usual = simulated(8.0)
    batch = doubled(source.batch(source.told()))
    double = Membranes(
        columns=0, units=UNITS, own=layer.own, coupling=True, delays=DELAYS, priors=layer.priors
    ).double()
    off = ~torch.eye(UNITS, dtype=torch.bool)
    by_pair = torch.empty(DELAYS, DELAYS, UNITS, dtype=torch.float64)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for pair in np.ndindex(DELAYS, DELAYS):
            delays = torch.zeros(UNITS, UNITS, dtype=torch.long)
            delays[off] = torch.tensor(pair).repeat(UNITS)
            by_pair[pair], size = evidence(double, batch, delays, draws=1000)
            assert size > 100, "draws that count"
    chance = torch.softmax(by_pair.flatten(0, 1), 0).view(DELAYS, DELAYS, UNITS)
    exact = torch.stack([chance.sum(1).T, chance.sum(0).T], 1).numpy()
    guide = Guide(layer.mean, layer.sd, synapses=UNITS, delays=DELAYS)
    posterior, _ = fitted_membranes(layer, guide, source, recipe(300), observation="bernoulli", usual=usual)
    found = posterior.probability[off.numpy()].reshape(UNITS, 2, DELAYS)
    assert 0.2 < exact.max(-1).min() < 0.9, "some delays are not certain"
    np.testing.assert_allclose(found, exact, atol=0.06)
    assert np.abs(found - exact).mean() < 0.015
