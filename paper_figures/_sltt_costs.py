"""What a training step costs by SLTT and by BPTT over the number of time steps: multiplications, bytes that the graph holds."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.sltt_memory import QUICK, RULES, Sizes, saved_bytes
from neurokit_snn.snn import BPTT, SLTT, Rule
from paper_figures._sltt_gradients import network, objective_of
from paper_figures.harness import Run

COUNTED: dict[str, Rule] = {
    "BPTT": BPTT(),
    "SLTT": SLTT(),
    "SLTT-4": SLTT(steps=4),
    "SLTT-1": SLTT(steps=1),
}
LENGTHS = (4, 8, 16, 32, 64)
HELD = ("BPTT", "SLTT", "SLTT-1", "OTTT")


def multiplications(rule: Rule, steps: int) -> int:
    """Of the backward passes of one training step: those of the whole less those of running forward, as torch counts them.

    Counted are products of matrices, half of their floating-point operations; spikes make those of the forward pass additions.
    """
    net = network(784, 0.5, hidden=100, seed=0)
    x, y = torch.rand(steps, 32, 784, generator=torch.Generator().manual_seed(0)), torch.arange(32) % 10
    asked = objective_of(y, steps)
    with FlopCounterMode(display=False) as whole:
        rule.loss(net, x, asked)[0].backward()
    with FlopCounterMode(display=False) as forward, torch.no_grad():
        rule.loss(net, x, asked)
    return (int(whole.get_total_flops()) - int(forward.get_total_flops())) // 2


def counted(run: Run, claim: str) -> dict[str, list[int]]:
    """Multiplications by rule and number of steps, recorded."""
    found: dict[str, list[int]] = {}
    for name, rule in COUNTED.items():
        found[name] = [multiplications(rule, steps) for steps in LENGTHS]
        for steps, value in zip(LENGTHS, found[name], strict=True):
            run.record(
                claim, quantity="multiplications", arm=name, of=f"T = {steps}", seed=run.seed, value=value
            )
    return found


def held(run: Run, claim: str, rules: Sequence[str] = HELD) -> dict[str, dict[int, int]]:
    """Most bytes that the graph of a training step of ResNet-18 holds, by rule and number of steps, recorded."""
    found = {}
    for name in rules:
        found[name] = saved_bytes(RULES[name], LENGTHS, QUICK if run.dry_run else Sizes())
        for steps, value in found[name].items():
            run.record(claim, quantity="bytes", arm=name, of=f"T = {steps}", seed=run.seed, value=value)
    return found
