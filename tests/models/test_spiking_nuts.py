"""Both guides beside NUTS, on one layer whose delays are known, and delays beside NUTS over all of them (slow)."""

from __future__ import annotations

import functools

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("pyro")

import pyro
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


def run(model, *, draws):
    """A chain of NUTS, whose seed nobody else sees."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        chain = MCMC(
            NUTS(model, max_tree_depth=5), num_samples=draws, warmup_steps=WARMUP, disable_progbar=True
        )
        chain.run()
    return chain


def sampled(layer, batch, delays):
    """Draws ``(draw, unit, parameter)`` of NUTS in double precision."""
    layer = Membranes(
        columns=0, units=UNITS, own=layer.own, coupling=True, delays=DELAYS, priors=layer.priors
    ).double()
    known = torch.from_numpy(delays)[None]
    model = functools.partial(program, layer, doubled(batch), observation="bernoulli", delays=known)
    chain = run(model, draws=DRAWS)
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


def test_delays_agree_with_nuts_over_all_of_them(layer):
    """NUTS of what is smooth, delays summed out: each unit has two sources, and sixteen pairs of delays."""
    source, _, usual = simulated(8.0)
    batch = doubled(source.batch(source.told()))
    double = Membranes(
        columns=0, units=UNITS, own=layer.own, coupling=True, delays=DELAYS, priors=layer.priors
    ).double()
    pairs = torch.cartesian_prod(torch.arange(DELAYS), torch.arange(DELAYS))
    off = ~torch.eye(UNITS, dtype=torch.bool)
    every = torch.zeros(len(pairs), UNITS, UNITS, dtype=torch.long)
    every[:, off] = pairs.repeat(1, UNITS)

    def by_pair(theta):
        """Log-likelihood of each unit under each pair, ``(pair, unit)``."""
        log_rate = double.log_rate(theta.expand(len(pairs), -1, -1), batch.x, delays=every)
        return (observed(log_rate, "bernoulli").log_prob(batch.target) * batch.weight).sum((1, 2))

    def model():
        with pyro.plate("row", UNITS, dim=-1):
            theta = pyro.sample("theta", dist.Normal(double.mean, double.sd).to_event(1))
        pyro.factor("counts", torch.logsumexp(by_pair(theta), 0).sum())

    chain = run(model, draws=400)
    exact = torch.zeros(UNITS, 2, DELAYS, dtype=torch.float64)
    for theta in chain.get_samples()["theta"]:
        chance = torch.softmax(by_pair(theta), 0).T.view(UNITS, DELAYS, DELAYS)
        exact += torch.stack([chance.sum(2), chance.sum(1)], 1) / 400
    guide = Guide(layer.mean, layer.sd, synapses=UNITS, delays=DELAYS)
    posterior, _ = fitted_membranes(layer, guide, source, recipe(300), observation="bernoulli", usual=usual)
    found = posterior.probability[off.numpy()].reshape(UNITS, 2, DELAYS)
    assert 0.2 < exact.max(-1).values.min() < 0.9, "some delays are not certain"
    np.testing.assert_allclose(found, exact.numpy(), atol=0.1)
    assert np.abs(found - exact.numpy()).mean() < 0.03
