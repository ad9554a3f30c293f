"""What the graph holds of a training step: flat in time for rules that learn in pieces, growing for backpropagation."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks.sltt_memory import peak_saved_bytes
from neurokit_snn.snn import BPTT, LIF, OTTT, SLTT, Network, Rule, TruncatedBPTT


def held(rule: Rule, steps: int) -> int:
    network = Network(nn.Linear(8, 32), LIF(), nn.Linear(32, 32), LIF(), nn.Linear(32, 4))
    x = torch.randn(1, 16, 8).expand(steps, -1, -1)

    def step() -> None:
        loss, _ = rule.loss(network, x, lambda outputs, _: outputs.square().sum())
        loss.backward()

    return peak_saved_bytes(step, besides=[*network.parameters(), x])


@pytest.mark.parametrize("rule", [SLTT(), SLTT(steps=2), OTTT(), TruncatedBPTT(window=4)], ids=str)
def test_flat(rule: Rule) -> None:
    found = [held(rule, steps) for steps in (8, 16, 32, 64)]
    assert max(found) <= 1.05 * min(found)
    assert min(found) > 0


def test_grows_with_the_steps() -> None:
    assert 3.5 <= held(BPTT(), 32) / held(BPTT(), 8) <= 4.5
    assert held(SLTT(), 32) < held(BPTT(), 32) / 16


def test_one_tensor_is_counted_once_and_only_while_it_is_there() -> None:
    a, b = torch.randn(100, requires_grad=True), torch.randn(100, requires_grad=True)

    def step() -> None:
        for _ in range(3):
            (a * b + a * a).sum().backward()  # saves a and b, several times

    assert peak_saved_bytes(step) == 2 * 400
    assert peak_saved_bytes(step, besides=[a]) == 400
