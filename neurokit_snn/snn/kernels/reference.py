"""The scan of a neuron layer in plain torch: what the fused kernels are tested against, and differentiable twice."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from neurokit_snn.snn.kernels.cell import Cell, Parts, Scan
from neurokit_snn.snn.stateful import State
from neurokit_snn.snn.surrogate import Surrogate

__all__ = ["scan_reference"]


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: Tensor, shape: Surrogate) -> Tensor:
        ctx.save_for_backward(u)
        ctx.shape = shape
        return (u >= 0).to(u.dtype)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, None]:
        (u,) = ctx.saved_tensors
        return grad[0] * ctx.shape.derivative(u), None


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, levels: int) -> Tensor:
        ctx.save_for_backward(z)
        ctx.levels = levels
        return torch.floor(z + 0.5).clamp(0, levels)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, None]:
        (z,) = ctx.saved_tensors
        return grad[0] * ((z > 0) & (z < ctx.levels)), None


def scan_reference(
    x: Tensor, state: Parts, table: Tensor, how: Scan, *, mask: Tensor | None = None
) -> tuple[Tensor, Tensor, State]:
    """Run a layer over time.

    Parameters
    ----------
    x
        Inputs ``(time, ...)``, of the dtype of the state; what follows the time are cells.
    state
        Before the first step, each part ``(...)``, None for 0.
    table
        Parameters ``(parameter, period)``, as `Cell.table` makes it.
    how
        Reset, surrogate and so on.
    mask
        ``(time, ...)``, the first dimensions of ``x``, False at steps that are left out.

    Returns
    -------
    spikes, membrane
        ``(time, ...)``; the membrane is that before the reset.
    state
        After the last step.
    """
    shape = x.shape[1:]
    cell = Cell(*(row.repeat(shape.numel() // row.numel()).view(shape) for row in table.unbind(0)))
    zero = x.new_zeros(shape)
    v, i, a = (zero if part is None else part for part in state)
    if mask is not None:
        mask = mask.reshape(*mask.shape, *[1] * (x.ndim - mask.ndim))
        x = torch.where(mask, x, 0.0)  # what stands beyond a trial's end may be anything
    spikes, membranes = [], []
    for t, xt in enumerate(x.unbind(0)):
        before = v, i, a
        i = cell.alpha * i + xt if how.current else i
        h = cell.beta * v + cell.gain * (i if how.current else xt)
        limit = cell.theta + cell.jump * a if how.adapts else cell.theta
        s = _Spike.apply(h - limit, how.surrogate) if how.levels == 1 else _Round.apply(h / limit, how.levels)
        if how.reset == "hard":
            fired = s.detach() if how.detach else s
            v = h * (1.0 - fired) + cell.rest * fired
        elif how.reset == "soft":
            taken = limit * s
            v = h - (taken.detach() if how.detach else taken)
        else:
            v = h
        a = cell.rho * a + s if how.adapts else a
        if mask is not None:
            on = mask[t]
            h, s = torch.where(on, h, before[0]), torch.where(on, s, 0.0)
            v, i, a = (torch.where(on, new, old) for new, old in zip((v, i, a), before, strict=True))
        spikes.append(s)
        membranes.append(h)
    after = State(v, i if how.current else None, a if how.adapts else None)
    return torch.stack(spikes), torch.stack(membranes), after
