"""The scan of a neuron layer in plain torch: what the fused kernels are tested against, and differentiable twice."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from neurokit_snn.snn.stateful import State
from neurokit_snn.snn.surrogate import Surrogate

__all__ = ["Cell", "Scan", "scan_reference"]


class Cell(NamedTuple):
    """Parameters of the cells, each ``(cell,)``.

    ``current[t] = alpha current[t-1] + x[t]`` (where there is a current, else it is the input),
    ``h[t] = beta v[t-1] + gain current[t]``; a spike where ``h >= theta + jump a[t-1]``; ``a[t] = rho a[t-1] + s[t]``; ``rest``
    is the membrane after a hard reset.
    """

    beta: Tensor
    gain: Tensor
    theta: Tensor
    alpha: Tensor
    rho: Tensor
    jump: Tensor
    rest: Tensor


class Scan(NamedTuple):
    """Everything of a scan that is not a tensor."""

    reset: str  # "hard", "soft" or "none"
    detach: bool  # whether gradients do not go through the reset
    surrogate: Surrogate
    levels: int = 1  # most spikes of a step
    current: bool = False
    adapts: bool = False


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, u: Tensor, shape: Surrogate) -> Tensor:
        ctx.save_for_backward(u)
        ctx.shape = shape  # type: ignore[attr-defined]
        return (u >= 0).to(u.dtype)

    @staticmethod
    def backward(ctx: FunctionCtx, *grad: Tensor) -> tuple[Tensor, None]:
        (u,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return grad[0] * ctx.shape.derivative(u), None  # type: ignore[attr-defined]


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, z: Tensor, levels: int) -> Tensor:
        ctx.save_for_backward(z)
        ctx.levels = levels  # type: ignore[attr-defined]
        return torch.floor(z + 0.5).clamp(0, levels)

    @staticmethod
    def backward(ctx: FunctionCtx, *grad: Tensor) -> tuple[Tensor, None]:
        (z,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return grad[0] * ((z > 0) & (z < ctx.levels)), None  # type: ignore[attr-defined]


def scan_reference(
    x: Tensor, state: State, cell: Cell, scan: Scan, *, mask: Tensor | None = None, smooth: bool = False
) -> tuple[Tensor, Tensor, State]:
    """Run a layer over time.

    Parameters
    ----------
    x
        Inputs ``(time, cell)``.
    state, cell, scan
        State before the first step, parameters, and the rest.
    mask
        ``(time, cell)``, False at steps that are left out.
    smooth
        Put the primitive of the surrogate in place of the spike: for finite differences, never for a model.

    Returns
    -------
    spikes, membrane
        ``(time, cell)``; the membrane is that before the reset.
    state
        After the last step.
    """
    v, i, a = state
    spikes, membranes = [], []
    for t, xt in enumerate(x.unbind(0)):
        before = v, i, a
        i = cell.alpha * i + xt if scan.current else i
        h = cell.beta * v + cell.gain * (i if scan.current else xt)
        limit = cell.theta + cell.jump * a if scan.adapts else cell.theta
        if scan.levels > 1:
            z = h / limit
            s = z.clamp(0, scan.levels) if smooth else _Round.apply(z, scan.levels)
        else:
            u = h - limit
            s = scan.surrogate.primitive(u) if smooth else _Spike.apply(u, scan.surrogate)
        if scan.reset == "hard":
            fired = s.detach() if scan.detach else s
            v = h * (1.0 - fired) + cell.rest * fired
        elif scan.reset == "soft":
            taken = limit * s
            v = h - (taken.detach() if scan.detach else taken)
        else:
            v = h
        a = cell.rho * a + s if scan.adapts else a
        if mask is not None:
            on = mask[t]
            h, s = torch.where(on, h, before[0]), torch.where(on, s, 0.0)
            v, i, a = (torch.where(on, new, old) for new, old in zip((v, i, a), before, strict=True))
        spikes.append(s)
        membranes.append(h)
    return torch.stack(spikes), torch.stack(membranes), State(v, i, a)
