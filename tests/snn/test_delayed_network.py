"""Networks with learned delays: sizes of the published ones, their conventions, a fit with a finishing phase, dropout."""

from __future__ import annotations

import pytest
import torch

from neurokit_snn.errors import ConfigError
from neurokit_snn.snn import (
    LIF,
    Classifier,
    Delays,
    LeakyIntegrator,
    SharedDropout,
    delayed_network,
    freeze_delays,
    published_network,
    soft_and_rounded,
)


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize(("name", "count"), [("shd", 214_016), ("ssc", 1_230_848), ("ssc-2", 2_458_624)])
def test_published_networks_have_the_published_number_of_parameters(name, count):
    assert sum(p.numel() for p in published_network(name).parameters()) == count


def test_the_published_network_grows_by_half_a_window_a_layer():
    network = published_network("shd")
    spikes = (torch.rand(30, 2, 140) < 0.1).float()
    membranes, _ = network(spikes)
    assert membranes.shape == (30 + 3 * 12, 2, 20)
    membranes.softmax(-1).sum(0).logsumexp(-1).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_conventions_of_the_published_network():
    layers = published_network("shd").layers
    assert [type(layer) for layer in layers] == [
        Delays, torch.nn.BatchNorm1d, LIF, SharedDropout, Delays, torch.nn.BatchNorm1d, LIF, SharedDropout, Delays,
        LeakyIntegrator,
    ]  # fmt: skip
    neuron = layers[2]
    assert neuron.parameters_of_cells() == pytest.approx({"beta": 0.05 / 10.05, "gain": 1.0})
    assert (neuron.reset, neuron.rest, neuron.detach_reset, neuron.threshold) == ("hard", 0.0, True, 1.0)
    assert neuron.surrogate.width == 5.0
    assert layers[3].p == 0.4
    assert (layers[0].first_sigma, layers[0].final_sigma, layers[0].annealed) == (12.0, 0.23, 0.25)
    # Without a norm, no bias anywhere: only weights, positions, and scale and shift of the norms.
    assert {name.rsplit(".")[-1] for name, _ in published_network("shd").named_parameters()} == {
        "weight", "position", "bias",
    }  # fmt: skip


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match="name is 'gsc'; choose one of shd, ssc, ssc-2"):
        published_network("gsc")
    with pytest.raises(ConfigError, match=r"Delays\.synapses is 9"):
        delayed_network(3, [4], 2, window=5, synapses=9)


def pairs(trials, *, gap=6):
    """Two channels spike once each; the class is which comes first."""
    x, y = torch.zeros(20, trials, 2), torch.arange(trials) % 2
    first = torch.randint(0, 20 - gap, (trials,))
    at = torch.arange(trials)
    x[first, at, y] = 1.0
    x[first + gap, at, 1 - y] = 1.0
    return x, y


@pytest.mark.parametrize("synapses", [None, pytest.param(2, marks=pytest.mark.slow)])
def test_a_finishing_phase_mends_what_rounding_breaks(synapses):
    network = delayed_network(2, [8], 2, window=13, synapses=synapses, tail=True)
    fit = Classifier(
        network,
        readout="softmax",
        epochs=12,
        batch_size=32,
        learning_rate=0.01,
        rates={"*.position": 20.0},
        patience=None,
    )
    fit.fit(*pairs(256), validation=None, seed=0)
    x, y = pairs(200)
    before = soft_and_rounded(network, lambda: fit.score(x, y))
    assert float(network.layers[0].sigma) == pytest.approx(0.23)
    freeze_delays(network)
    kept = network.layers[0].delays.clone()
    fit.epochs = 4
    fit.fit(*pairs(256), validation=None, seed=1)
    after = soft_and_rounded(network, lambda: fit.score(x, y))
    assert torch.equal(network.layers[0].delays.nan_to_num(-1), kept.nan_to_num(-1))
    # Spikes of one step: a bump of half a step and a whole number are not the same, and rounding may cost it all.
    assert before.soft > 0.95
    assert after.soft == after.rounded > 0.95


def test_shared_dropout_leaves_the_same_units_out_at_all_steps_of_all_pieces():
    layer = SharedDropout(0.4)
    x = torch.ones(5, 200, 10)
    first, state = layer(x)
    second, again = layer(x, state)
    assert torch.equal(first, second)
    assert torch.equal(state, again)
    assert (first == first[0]).all()
    values, counts = first[0].unique(return_counts=True)
    torch.testing.assert_close(values, torch.tensor([0.0, 1 / 0.6]))
    assert float(counts[0] / counts.sum()) == pytest.approx(0.4, abs=0.05)
    assert layer.eval()(x)[0] is x
    with pytest.raises(ConfigError, match=r"SharedDropout.p is 1.0"):
        SharedDropout(1.0)
