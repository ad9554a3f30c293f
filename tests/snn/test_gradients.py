"""Every layer of neurons, recurrent or not, with every reset, surrogate and way of detaching: fused = plain torch = differences.

The layers are run as users run them. For the differences the step is replaced by the surrogate's primitive, of which a layer is
a smooth function: what comes out of the fused forward pass is put in its place by a run in numpy (`scan_cases.smooth_run`), and
the backward pass is that of the kernel. A detached reset is held at what it took in the first run.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from scan_cases import smooth_run
from torch import Tensor, nn

from neurokit_snn.snn import (
    IF,
    LIF,
    AdaptiveLIF,
    CurrentLIF,
    IntegerLIF,
    LeakyIntegrator,
    ParametricLIF,
    Recurrent,
    State,
    Stateful,
)
from neurokit_snn.snn.kernels import cpu, reference
from neurokit_snn.snn.surrogate import NAMED, FastSigmoid, surrogate

T, B, F = 3, 1, 3
STEP = 1e-6
KINDS = {kind.__name__: kind for kind in (IF, LIF, ParametricLIF, AdaptiveLIF, CurrentLIF, IntegerLIF)}
RESETS = ("hard", "soft", "none")
LAYERS = [
    (name, reset, recurrent)
    for name, reset, recurrent in itertools.product(KINDS, RESETS, (False, True))
    if not (name == "IntegerLIF" and reset == "hard")  # there is none
]


@functools.cache
def drawn(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def numbers(*shape: int, seed: int, low: float = -1.0, high: float = 1.0) -> Tensor:
    return low + (high - low) * drawn(shape, seed)


def built(name: str, reset: str, recurrent: bool, *, fused: bool) -> Stateful:
    """A layer of which everything that can be learned is."""
    learned = {
        field: nn.Parameter(numbers(F, seed=k, low=low, high=high))
        for k, (field, low, high) in enumerate(
            [("threshold", 0.5, 1.0), ("tau", 1.5, 4.0), ("tau_adaptation", 2.0, 6.0), ("jump", 0.1, 0.4),
             ("tau_current", 1.5, 4.0)]
        )
    }  # fmt: skip
    wanted = {
        "IF": ["threshold"],
        "ParametricLIF": ["threshold"],
        "AdaptiveLIF": ["threshold", "tau", "tau_adaptation", "jump"],
        "CurrentLIF": ["threshold", "tau", "tau_current"],
    }.get(name, ["threshold", "tau"])
    fields: dict[str, Any] = {field: learned[field] for field in wanted}
    if name == "ParametricLIF":
        fields |= {"features": F}
    neuron = KINDS[name](
        reset=reset,
        rest=0.1 if reset == "hard" else 0.0,
        fused=fused,
        **fields,
    )
    layer = Recurrent(neuron, F) if recurrent else neuron
    if recurrent:
        with torch.no_grad():
            layer.back.weight.copy_(numbers(F, F, seed=9))
    return layer.double()


def leaves_of(layer: Stateful) -> list[Tensor]:
    """Inputs, the state before the first step, parameters."""
    parts = [numbers(T, B, F, seed=20, high=3.0)]
    neuron = layer.neuron if isinstance(layer, Recurrent) else layer
    used = (True, neuron.filters, neuron.adapts)
    parts += [numbers(B, F, seed=21 + k, low=0.0) for k, there in enumerate(used) if there]
    if isinstance(layer, Recurrent):
        parts.append(numbers(B, F, seed=30, low=0.0))
    return [part.requires_grad_() for part in parts] + list(layer.parameters())


def loss_of(layer: Stateful, leaves: list[Tensor]) -> Tensor:
    """Of outputs and of the state after the last step, each with a weight of its own."""
    neuron = layer.neuron if isinstance(layer, Recurrent) else layer
    x, *parts = leaves[: 2 + neuron.filters + neuron.adapts + isinstance(layer, Recurrent)]
    given = iter(parts)
    state: Any = State(
        next(given), *(next(given) if there else None for there in (neuron.filters, neuron.adapts))
    )
    if isinstance(layer, Recurrent):
        state = (state, next(given))
    out, after = layer(x, state)
    tensors = [
        out,
        *(part for part in (after[0] if isinstance(layer, Recurrent) else after) if part is not None),
    ]
    return sum((part * numbers(*part.shape, seed=40 + k)).sum() for k, part in enumerate(tensors))


class Smooth:
    """In place of the fused forward pass; keeps what resets took, or, told to, goes by what was kept."""

    def __init__(self) -> None:
        self.taken: list[np.ndarray] = []
        self.kept: Iterator[np.ndarray] | None = None

    def __call__(self, x: Tensor, state: Any, table: Tensor, mask: None, how: Any) -> tuple[Any, ...]:
        cells = x.shape[1:].numel()
        start = [np.zeros(cells) if part is None else part.detach().numpy().ravel() for part in state]
        frozen = None if self.kept is None else next(self.kept)
        flat = x.detach().numpy().reshape(len(x), cells)
        s, h, after, taken = smooth_run(how, flat, start, table.detach().numpy(), frozen=frozen)
        self.taken.append(taken)
        ended = [
            torch.from_numpy(np.array(part)).view(x.shape[1:]) if used else None
            for part, used in zip(after, how.used, strict=True)
        ]
        return torch.from_numpy(s).view(x.shape), torch.from_numpy(h).view(x.shape), ended


def difference(
    layer: Stateful, leaves: list[Tensor], ways: list[Tensor], smooth: Smooth, detach: bool
) -> float:
    """Slope of the loss where all leaves move at once, each in its own direction."""
    taken, found = list(smooth.taken), []
    for sign in (1, -1):
        smooth.kept = iter(taken) if detach else None
        with torch.no_grad():
            for leaf, way in zip(leaves, ways, strict=True):
                leaf += sign * STEP * way
            found.append(float(loss_of(layer, leaves)))
            for leaf, way in zip(leaves, ways, strict=True):
                leaf -= sign * STEP * way
    return (found[0] - found[1]) / (2 * STEP)


def smooth_step(ctx: Any, u: Tensor, shape: Any) -> Tensor:
    ctx.save_for_backward(u)
    ctx.shape = shape
    return shape.primitive(u)


def smooth_levels(ctx: Any, z: Tensor, levels: int) -> Tensor:
    ctx.save_for_backward(z)
    ctx.levels = levels
    return z.clamp(0, levels)


def assert_equal(ours: Sequence[Tensor], theirs: Sequence[Tensor], told: str) -> None:
    """All gradients in one go; they are of one size."""
    one, two = (torch.cat([part.flatten() for part in parts]) for parts in (ours, theirs))
    np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-9, err_msg=told)


@pytest.mark.parametrize(("name", "reset", "recurrent"), LAYERS)
def test_fused_is_plain_torch_is_finite_differences(name, reset, recurrent, monkeypatch):
    layers = [built(name, reset, recurrent, fused=fused) for fused in (True, False)]
    leaves = [leaves_of(layer) for layer in layers]
    ways = [numbers(*leaf.shape, seed=50 + k) for k, leaf in enumerate(leaves[0])]

    def both():
        losses = [loss_of(*pair) for pair in zip(layers, leaves, strict=True)]
        np.testing.assert_allclose(*(loss.detach() for loss in losses), rtol=1e-12, atol=1e-12)
        return [torch.autograd.grad(one, own) for one, own in zip(losses, leaves, strict=True)]

    for shape, detach in itertools.product(NAMED, (False, True)):
        told = f"surrogate {shape}, detach_reset {detach}"
        for layer in layers:
            neuron = layer.neuron if recurrent else layer
            # Wide enough that a difference of neighbours sees the slope.
            neuron.surrogate = FastSigmoid(2.0) if shape == "fast_sigmoid" else surrogate(shape)
            neuron.detach_reset = detach
        assert_equal(*both(), told)  # with spikes
        with monkeypatch.context() as patch:
            smooth = Smooth()
            patch.setattr(cpu, "forward", smooth)
            patch.setattr(reference._Spike, "forward", staticmethod(smooth_step))
            patch.setattr(reference._Round, "forward", staticmethod(smooth_levels))
            ours, theirs = both()
            assert_equal(ours, theirs, told)
            slope = difference(layers[0], leaves[0], ways, smooth, detach)
            found = sum(float((way * grad).sum()) for way, grad in zip(ways, ours, strict=True))
            assert found == pytest.approx(slope, rel=1e-5, abs=1e-6), told


@pytest.mark.parametrize("fused", [True, False])
def test_a_readout_has_the_gradient_of_finite_differences(fused):
    layer = LeakyIntegrator(nn.Parameter(numbers(F, seed=3, low=1.5, high=4.0)), fused=fused)

    def run(x, start, tau):
        out, after = torch.func.functional_call(layer, {"tau": tau}, (x, State(start)))
        return out, after.membrane

    leaves = [numbers(T, B, F, seed=1), numbers(B, F, seed=2), layer.tau.detach().clone()]
    assert torch.autograd.gradcheck(run, [leaf.requires_grad_() for leaf in leaves], rtol=1e-5, atol=1e-7)
