"""The Pyro program of spiking networks: its bound against the evidence, its gradients, and what it leaves behind."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp

pytest.importorskip("torch")
pytest.importorskip("pyro")

import pyro
import torch
from torch import nn
from torch.distributions import Independent, Normal, kl_divergence

from neurokit_snn.errors import ModelError
from neurokit_snn.models.spiking.free_membranes import free_membranes
from neurokit_snn.models.spiking.guides import Guide
from neurokit_snn.models.spiking.inference import Recipe, fitted_guide
from neurokit_snn.models.spiking.lifting import LiftedNetwork, NetworkPriors, network_priors
from neurokit_snn.models.spiking.membranes import Membranes, Priors
from neurokit_snn.models.spiking.network import RateNetwork, Sizes
from neurokit_snn.models.spiking.program import Bound, evidence_bound, observed
from neurokit_snn.models.spiking.stretches import Batch, Source
from neurokit_snn.snn.network import Network
from neurokit_snn.snn.neurons import LIF, LeakyIntegrator


def recipe(**changes):
    made = dict(
        steps=120, learning_rate=0.05, draws=4, batch_size=None, seed=0, progress=False, resume=None, mark="",
        accelerator="cpu", who="test",
    )  # fmt: skip
    return Recipe(**(made | changes))


def layer_of(units, *, columns=0, own=(), delays=1, coupling=True, **priors):
    constant = priors.pop("constant", -1.5)
    return Membranes(
        columns=columns, units=units, own=own, coupling=coupling, delays=delays,
        priors=Priors(constant=(constant,) * units, **priors),
    )  # fmt: skip


def source_of(layer, theta, *, bins, delays=None, trials=1, binary=False, seed=0):
    """Counts that the layer makes on its own, as training data; `usual` counts are 0."""
    columns = np.zeros((trials, bins, 0), np.float32)
    _, counts = free_membranes(
        layer, theta, delays, columns, mean=np.zeros(layer.units), limit=np.full(layer.units, 5.0), binary=binary,
        run_in=1, length=bins, rng=np.random.default_rng(seed),
    )  # fmt: skip
    target = counts[0].astype(np.float32)
    past = np.zeros_like(target)
    past[:, 1:] = target[:, :-1]
    return Source(past, target, np.ones(target.shape, bool), run_in=1, length=bins)


# ---- guides --------------------------------------------------------------------------------------------------------


def test_divergence_of_the_low_rank_guide_is_in_closed_form():
    torch.manual_seed(0)
    mean, sd = torch.randn(3, 6), torch.rand(3, 6) + 0.5
    guide = Guide(mean, sd, kind="low-rank", rank=2, seed=1)
    with torch.no_grad():
        guide.factor += torch.randn_like(guide.factor)
        guide.log_scale += 1.0
    q, p = guide.distribution(), Independent(Normal(mean, sd), 1)
    drawn = q.sample((50_000,))
    by_draws = q.log_prob(drawn) - p.log_prob(drawn)
    assert torch.allclose(
        kl_divergence(q, p), by_draws.mean(0), atol=4 * float(by_draws.detach().std(0).max()) / 50_000**0.5
    )


def test_weights_of_synapses_follow_their_delays():
    guide = Guide(torch.zeros(2, 5), torch.ones(2, 5), kind="low-rank", rank=1, synapses=3, delays=4)
    mean, sd = torch.randn(2, 3, 4), torch.rand(2, 3, 4) + 0.1
    guide.set_synapses(mean, sd)
    for given, back in zip((mean, sd), guide.synapses_by_delay(), strict=True):
        assert torch.allclose(given, back, atol=1e-6)
    delays = torch.randint(0, 4, (7, 2, 3))
    found = guide.distribution(delays)
    assert found.batch_shape == (7, 2)
    picked = mean.expand(7, 2, 3, 4).gather(-1, delays[..., None])[..., 0]
    spread = sd.expand(7, 2, 3, 4).gather(-1, delays[..., None])[..., 0]
    assert torch.allclose(found.mean[..., 2:], picked)
    assert torch.allclose(found.variance[..., 2:].sqrt(), spread, atol=1e-6)


def test_unknown_guides_are_refused():
    with pytest.raises(ModelError, match="kind is 'full'; choose one of mean-field, low-rank"):
        Guide(torch.zeros(1, 1), torch.ones(1, 1), kind="full")
    with pytest.raises(ModelError, match="rank is 0"):
        Guide(torch.zeros(1, 1), torch.ones(1, 1), kind="low-rank", rank=0)


# ---- the layer -----------------------------------------------------------------------------------------------------


def test_log_rates_are_those_of_a_loop_over_time():
    torch.manual_seed(0)
    layer = layer_of(3, columns=2, own=(1.0, 3.0), delays=4, tau=2.5)
    theta, x = layer.mean + layer.sd * torch.randn(2, *layer.mean.shape), torch.rand(12, 2, 5)
    delays = torch.randint(0, 4, (2, 3, 3))
    found = layer.log_rate(theta, x, delays=delays)
    past, expected = x[..., 2:], torch.zeros(2, 12, 2, 3)
    for s in range(2):
        beta = torch.sigmoid(theta[s, :, 5])
        weight = theta[s, :, 6:] * (1 - torch.eye(3))
        for b in range(2):
            own, v = torch.zeros(3, 2), torch.zeros(3)
            for t in range(12):
                own = own * torch.tensor([0.0, 2 / 3]) + past[t, b][:, None]
                arrived = torch.tensor(
                    [
                        [past[t - d, b, j] if t >= d else 0.0 for j, d in enumerate(row)]
                        for row in delays[s].tolist()
                    ]
                )
                v = beta * v + (weight * arrived).sum(1)
                eta = theta[s, :, 0] + theta[s, :, 1:3] @ x[t, b, :2] + (theta[s, :, 3:5] * own).sum(1) + v
                expected[s, t, b] = eta
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("coupling", [True, False])
def test_a_free_run_is_forecast_by_the_rates_it_was_drawn_from(coupling):
    torch.manual_seed(1)
    layer = layer_of(3, columns=1, own=(2.0,), delays=3, coupling=coupling, tau=2.0)
    theta = layer.mean + 0.3 * layer.sd * torch.randn(4, *layer.mean.shape)
    delays = torch.randint(0, 3, (4, 3, 3)) if coupling else None
    columns, mean = np.random.default_rng(0).random((2, 30, 1), dtype=np.float32), np.array([0.2, 0.1, 0.3])
    expected, counts = free_membranes(
        layer, theta, delays, columns, mean=mean, limit=np.full(3, 50.0), binary=False, run_in=8, length=8,
        rng=np.random.default_rng(2),
    )  # fmt: skip
    for s in range(4):
        past = np.zeros((2, 30, 3), np.float32)
        past[:, 1:] = counts[s, :, :-1] - mean
        source = Source(
            np.concatenate([columns, past], -1), past, np.ones_like(past, bool), run_in=8, length=8
        )
        every = source.stretches()
        given = None if delays is None else delays[s : s + 1]
        log_rate = layer.log_rate(theta[s : s + 1], source.batch(every).x, delays=given)[0]
        out = np.empty((2, 30, 3), np.float32)
        source.put(every, log_rate, out)
        np.testing.assert_allclose(np.minimum(np.exp(out), 50.0), expected[s], rtol=2e-4)


def test_counts_given_their_log_rate():
    log_rate = torch.tensor([-30.0, -3.0, 0.5, 3.0, 40.0])
    spike = observed(log_rate, "bernoulli")
    p = -torch.expm1(-log_rate.double().clamp(max=8.0).exp())
    assert torch.allclose(spike.log_prob(torch.ones(5))[:4].double(), p.log()[:4], rtol=1e-4, atol=1e-6)
    assert torch.allclose(
        spike.log_prob(torch.zeros(5))[:4].double(), -log_rate[:4].double().exp(), rtol=1e-3
    )
    assert torch.isfinite(spike.log_prob(torch.zeros(5))).all()
    counts = torch.tensor([0.0, 1.0, 2.0, 20.0, 3000.0])
    assert torch.isfinite(observed(log_rate, "poisson").log_prob(counts)).all()


# ---- the bound -----------------------------------------------------------------------------------------------------


def quadrature(predictor, batch, observation, *, points=81, reach=6.0):
    """Log evidence of a predictor with one row of one or two parameters, on a grid over the prior."""
    mean, sd = predictor.mean[0].double(), predictor.sd[0].double()
    axes = [
        m + s * torch.linspace(-reach, reach, points, dtype=torch.float64)
        for m, s in zip(mean, sd, strict=True)
    ]
    grid = torch.cartesian_prod(*axes).reshape(-1, len(axes))
    log_p = Normal(mean, sd).log_prob(grid).sum(-1) + sum(float(torch.log(a[1] - a[0])) for a in axes)
    parts = []
    for some in grid.float().split(512):
        log_rate = predictor.log_rate(some[:, None], batch.x)
        log_prob = observed(log_rate, observation).log_prob(batch.target) * batch.weight
        parts.append(log_prob.double().sum((1, 2, 3)))
    return float(logsumexp((log_p + torch.cat(parts)).numpy()))


@pytest.mark.parametrize("kind", [pytest.param("mean-field", marks=pytest.mark.slow), "low-rank"])
def test_the_bound_is_below_the_evidence_and_near_it(kind):
    layer = layer_of(1, own=(1.0,), coupling=False, constant=-1.0)
    source = source_of(layer, torch.tensor([[[-1.0, -1.5]]]), bins=400)
    batch = source.batch(source.told())
    guide = Guide(layer.mean, layer.sd, kind=kind, rank=2)
    loose, _ = evidence_bound(layer, guide, [batch], observation="poisson", draws=200)
    fitted_guide(layer, guide, source, recipe(), observation="poisson")
    bound, error = evidence_bound(layer, guide, [batch], observation="poisson", draws=400)
    evidence = quadrature(layer, batch, "poisson")
    assert loose < bound - 5.0
    assert bound <= evidence + 3 * error
    assert bound >= evidence - 0.1 - 3 * error


def test_the_loss_of_a_step_is_minus_the_bound():
    layer = layer_of(3, own=(2.0,), delays=3)
    torch.manual_seed(0)
    theta = layer.mean + 0.3 * layer.sd * torch.randn(1, *layer.mean.shape)
    source = source_of(layer, theta, bins=60, trials=3, delays=torch.zeros(1, 3, 3, dtype=torch.long))
    guide = Guide(layer.mean, layer.sd, kind="low-rank", rank=2, synapses=3, delays=3)
    probability = torch.rand(3, 3, 3) + 0.2
    probability /= probability.sum(-1, keepdim=True)
    every = source.batch(source.told())
    bound, error = evidence_bound(
        layer, guide, [every], observation="poisson", probability=probability, draws=600
    )
    constant = torch.special.xlogy(probability, probability * 3).sum()
    step = Bound(layer, guide, observation="poisson", draws=600, stretches=3, probability=probability)
    with torch.no_grad():
        total, count = step(every)["nats"]
        some = [step(source.batch(source.told().take(np.array([i]))))["nats"][0] for i in range(3)]
    assert count == every.weight.sum()
    assert float(total + constant) == pytest.approx(-bound, abs=6 * error)
    assert float(sum(some) / 3 + constant) == pytest.approx(-bound, abs=10 * error), (
        "batches stand for all stretches"
    )


def test_gradients_of_the_layer_are_those_of_the_loss():
    layer = layer_of(2, own=(2.0,), delays=3, tau=3.0).double()
    torch.manual_seed(0)
    source = source_of(layer_of(2, own=(2.0,), delays=3, tau=3.0), layer.mean[None].float(), bins=50)
    made = source.batch(source.told())
    batch = Batch(made.x.double(), made.target.double(), made.weight.double())
    guide = Guide(layer.mean, layer.sd, kind="low-rank", rank=1, synapses=2, delays=3)
    probability = torch.full((2, 2, 3), 1 / 3, dtype=torch.float64)
    bound = Bound(layer, guide, observation="bernoulli", draws=2, stretches=1, probability=probability)

    def loss():
        torch.manual_seed(5)
        return bound.loss(batch, 1.0)

    loss().backward()
    for name, parameter in guide.named_parameters():
        flat, gradient = parameter.data.view(-1), parameter.grad.view(-1)
        for i in range(0, flat.numel(), 3):
            before, values = flat[i].clone(), []
            for step in (1e-5, -1e-5):
                flat[i] = before + step
                values.append(float(loss().detach()))
            flat[i] = before
            assert float(gradient[i]) == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-4, abs=1e-5), (
                name
            )


class Gate(nn.Module):
    """One weight, from one input to one hidden neuron; what the neuron does to the rate is known."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[0.5]]))

    def forward(self, x):
        return x * self.weight


def hidden_network():
    readout = nn.Linear(1, 1)
    with torch.no_grad():
        readout.weight.fill_(3.0)
        readout.bias.fill_(-2.0)
    for parameter in readout.parameters():
        parameter.requires_grad_(False)
    network = Network(Gate(), LIF(tau=2.0, decay_input=False), readout, LeakyIntegrator(1.0))
    return LiftedNetwork(network, NetworkPriors({"layers.0.weight": torch.tensor(1.0)}, {}))


def hidden_data():
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.random((60, 1, 1)).astype(np.float32))
    rate = hidden_network().log_rate(torch.full((1, 1, 1), 0.8), x)[0].exp()
    counts = torch.from_numpy(rng.poisson(rate.numpy()).astype(np.float32))
    return Batch(x, counts, torch.ones_like(counts))


def test_with_hidden_neurons_the_value_is_a_bound_and_the_gradient_is_not_its():
    """One weight into a hidden neuron: evidence and bound by quadrature over true spikes."""
    lifted, batch = hidden_network(), hidden_data()
    assert lifted.gradient == "surrogate"
    guide = Guide(lifted.mean, lifted.sd)
    with torch.no_grad():
        guide.loc.fill_(0.7)
        guide.log_scale.fill_(np.log(0.1))
    evidence = quadrature(lifted, batch, "poisson", points=201)
    bound, error = evidence_bound(lifted, guide, [batch], observation="poisson", draws=150)

    def exact(loc):
        """The bound with a standard deviation of .1, on a grid."""
        at = torch.linspace(loc - 0.6, loc + 0.6, 201)
        weight = torch.softmax(Normal(loc, 0.1).log_prob(at), 0)
        likelihood = observed(lifted.log_rate(at[:, None, None], batch.x), "poisson").log_prob(batch.target)
        divergence = kl_divergence(Normal(loc, 0.1), Normal(0.0, 1.0))
        return float((weight * likelihood.sum((1, 2, 3))).sum() - divergence)

    assert bound == pytest.approx(exact(0.7), abs=4 * error)
    assert bound <= evidence
    true = (exact(0.705) - exact(0.695)) / 0.01
    step = Bound(lifted, guide, observation="poisson", draws=1, stretches=1)
    torch.manual_seed(0)
    slopes = []
    for _ in range(40):
        guide.zero_grad()
        step.loss(batch, 1.0).backward()
        slopes.append(-float(guide.loc.grad))
    found, spread = np.mean(slopes), np.std(slopes) / 40**0.5
    assert abs(found - true) > 6 * spread, "a surrogate gradient is another one"


def test_priors_of_time_constants_are_centred_where_the_network_begins():
    sizes = Sizes(
        columns=2, sources=3, outputs=3, coupling=True, own=(1.0, 4.0), direct=True, hidden=(5,), neuron="ParametricLIF",
        tau=6.0, fields={}, recurrent=False, tau_readout=3.0, delays=5,
    )  # fmt: skip
    x = np.random.default_rng(0).random((2, 40, 5), dtype=np.float32)
    source = Source(x, x[..., :3], np.ones((2, 40, 3), bool), run_in=10, length=10)
    network = RateNetwork(sizes)
    sd, centres = network_priors(network, source, overrides={"direct.*": 0.25})
    assert set(centres) == {"bias", "network.layers.1.leak"}
    assert 1.0 + torch.exp(-centres["network.layers.1.leak"]) == pytest.approx(6.0)
    assert (float(sd["network.layers.1.leak"]), float(sd["direct.weight"])) == (0.5, 0.25)
    assert sd["own.weight"].ravel().tolist() == [1.0, 4.0]
    assert not [name for name in sd if "position" in name], "delays are rounded and stay"
    lifted = LiftedNetwork(network, NetworkPriors(sd, centres))
    assert set(lifted.names) == set(sd)
    with pytest.raises(ModelError, match="no parameter is named"):
        network_priors(network, source, overrides={"*.position": 1.0})


def test_a_network_given_draws_runs_in_pieces_and_stays_what_it_was():
    lifted, x = hidden_network(), hidden_data().x
    theta = torch.tensor([0.8])
    whole = lifted.log_rate(theta[None, None], x)[0]
    run = lifted.given(theta)
    first, state = run(x[:23], None)
    second, _ = run(x[23:], state)
    assert torch.equal(torch.cat([first, second]), whole)
    assert float(lifted.network.layers[0].weight) == 0.5


def test_nothing_is_left_in_the_global_store():
    pyro.clear_param_store()
    kept = pyro.param("mine", torch.tensor(3.0))
    layer = layer_of(1, own=(1.0,), coupling=False)
    source = source_of(layer, layer.mean[None], bins=40)
    guides = [Guide(layer.mean, layer.sd, kind=kind) for kind in ("mean-field", "low-rank")]
    for guide in guides:
        fitted_guide(layer, guide, source, recipe(steps=3), observation="poisson")
    assert list(pyro.get_param_store().keys()) == ["mine"]
    assert pyro.param("mine") is kept
    pyro.clear_param_store()


def test_two_fits_in_turn_do_not_touch_each_other():
    layer = layer_of(1, own=(1.0,), coupling=False)
    sources = [source_of(layer, layer.mean[None], bins=40, seed=s) for s in range(2)]
    alone = Guide(layer.mean, layer.sd)
    fitted_guide(layer, alone, sources[0], recipe(steps=6), observation="poisson")
    first, second = Guide(layer.mean, layer.sd), Guide(layer.mean, layer.sd)
    fitted_guide(layer, first, sources[0], recipe(steps=6), observation="poisson")
    before = {name: p.clone() for name, p in first.state_dict().items()}
    fitted_guide(layer, second, sources[1], recipe(steps=6), observation="poisson")
    assert all(torch.equal(p, before[name]) for name, p in first.state_dict().items())
    assert all(torch.equal(p, before[name]) for name, p in alone.state_dict().items())
    assert not torch.equal(first.loc, second.loc)
