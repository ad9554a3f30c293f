"""Residual networks without norms: published sizes, healthy signals at the start, a step by any rule."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from neurokit_snn.errors import ConfigError
from neurokit_snn.snn import BPTT, LIF, OTTT, SLTT, Neuron, Rule, spiking_resnet
from neurokit_snn.snn.resnet import StandardConv2d

# Parameters of the networks of He et al. (2016) for 1000 classes, as torchvision counts them.
PUBLISHED = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160}


def small(depth: int, **options: Any) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return spiking_resnet(depth, **{"classes": 10, "stem": "small", "width": 4, **options})


def images(steps: int, count: int, size: int) -> Tensor:
    """Still ones, unit normal."""
    made = torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))
    return made.expand(steps, -1, -1, -1, -1)


@pytest.mark.parametrize("depth", PUBLISHED)
def test_parameters_of_the_published_networks(depth: int) -> None:
    with torch.device("meta"):  # no numbers are drawn
        net = spiking_resnet(depth, classes=1000)
    assert sum(p.numel() for p in net.parameters()) == PUBLISHED[depth]


@pytest.mark.parametrize(
    ("depth", "stem"), [(18, "small"), (18, "image"), (34, "small"), (50, "image"), (101, "small")]
)
def test_a_step(depth: int, stem: str) -> None:
    net = small(depth, stem=stem)
    x = images(2, 2, 32 if stem == "image" else 8)
    y = torch.tensor([0, 1])
    loss, outputs = SLTT().loss(net, x, lambda out, _: sum(nn.functional.cross_entropy(o, y) for o in out))
    loss.backward()
    assert outputs.shape == (2, 2, 10)
    first = net.layers[0].weight
    assert first.grad is not None
    assert first.grad.abs().max() > 0
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    before = first.detach().clone()
    optimiser.step()
    assert not torch.equal(first, before)
    assert all(p.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize("depth", [18, 50])
def test_no_layer_is_silent_or_saturated_at_the_start(depth: int) -> None:
    """Unit normal inputs of every layer fire 16% of the units; without the scale of spikes deep layers would be silent."""
    net, rates = small(depth, width=16), []
    for module in net.modules():
        if isinstance(module, Neuron):
            module.register_forward_hook(lambda _, given, gave: rates.append(float(gave[0].mean())))
    with torch.no_grad():
        net(images(2, 4, 32))
    assert len(rates) == {18: 17, 50: 49}[depth]
    assert min(rates) > 0.05
    assert max(rates) < 0.25


def test_weights_are_standardised() -> None:
    conv = StandardConv2d(6, 5, 3, scale=2.0)
    with torch.no_grad():
        conv.weight.mul_(7.0).add_(3.0)
        conv.gain[1] = 0.5
    used = conv.standardised()
    torch.testing.assert_close(used.mean((1, 2, 3)), torch.zeros(5), atol=1e-6, rtol=0)
    expected = torch.tensor(
        [4.0, 1.0, 4.0, 4.0, 4.0]
    )  # gain^2 scale^2: the variance that unit normal inputs are given
    torch.testing.assert_close(used.square().sum((1, 2, 3)), expected)


@pytest.mark.parametrize("rule", [SLTT(steps=1), OTTT()], ids=str)
def test_steps_do_not_see_each_other(rule: Rule) -> None:
    """Whole trials and step by step give the same outputs: there is no norm whose statistics differ."""
    net, x = small(18), images(3, 2, 8)
    _, whole = BPTT().loss(net, x, lambda out, _: out.sum())
    _, pieces = rule.loss(net, x, lambda out, _: out.sum())
    torch.testing.assert_close(pieces, whole, atol=1e-5, rtol=1e-4)


def test_neurons_of_ones_own() -> None:
    net = small(18, make_neurons=lambda: LIF(2.0, threshold=0.5))
    assert {module.threshold for module in net.modules() if isinstance(module, Neuron)} == {0.5}
    assert net.layers[1].layers[0].body.layers[2].scale == pytest.approx(
        2.1650, abs=1e-3
    )  # sd of Bernoulli(.3085): .4619


@pytest.mark.parametrize(
    ("depth", "options", "told"),
    [
        (20, {}, "depth is 20; choose one of 18, 34, 50, 101"),
        (18, {"stem": "big"}, "stem is 'big'; choose image or small"),
        (18, {"width": 0}, "width is 0; give a whole number, 1 or more"),
        (18, {"classes": 0}, "classes is 0"),
        (18, {"width": 4.5}, r"width is 4\.5"),
        (
            18,
            {"make_neurons": lambda: LIF(threshold=torch.ones(4, 1, 1))},
            r"make_neurons gives thresholds \(4, 1, 1\)",
        ),
    ],
)
def test_refused(depth: int, options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=f"spiking_resnet: {told}"):
        small(depth, **options)
