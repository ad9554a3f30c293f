"""One node of the graph for a whole neuron layer: the fused scan where there is a kernel for the device, else plain torch.

The node is a function of autograd, and an operator registered with torch while a graph is compiled, so that `torch.compile`
takes it as it is. It is differentiable once; gradients of gradients are those of `scan_reference`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from neurokit_snn.errors import ModelError
from neurokit_snn.snn.kernels import cpu
from neurokit_snn.snn.kernels.cell import Cell, NotFinite, Scan, state_dtype
from neurokit_snn.snn.kernels.reference import scan_reference
from neurokit_snn.snn.stateful import State

__all__ = ["scan"]


def scan(
    x: Tensor, state: State | None, cell: Cell, how: Scan, *, mask: Tensor | None = None, fused: bool = True
) -> tuple[Tensor, Tensor, State]:
    """Run a layer over time.

    Parameters
    ----------
    x
        Inputs ``(time, ...)``; what follows the time are cells. Half precision is computed in float32.
    state
        Before the first step, each part ``(...)``, of the dtype of the state; None for 0 everywhere. Parts that ``how`` does not
        use come back as they are.
    cell
        Parameters, numbers or ``(period,)``.
    how
        Reset, surrogate and so on.
    mask
        ``(time, ...)``, the first dimensions of ``x``, False at steps that are left out: the state stays
        as it is there, and nothing fires.
    fused
        Use the kernel of the device; without it, or where there is none, plain torch, which is differentiable twice.

    Returns
    -------
    spikes
        Of the shape and dtype of ``x``.
    membrane
        The same shape, before the reset, of the dtype of the state.
    state
        After the last step.

    Raises
    ------
    NotFinite
        When a membrane becomes NaN or infinite.
    ModelError
        When parameters do not go into the cells, or a gradient of a gradient is asked of the fused node.
    """
    values, table = x.to(state_dtype(x)), cell.table(x)
    if x.shape[1:].numel() % table.shape[1]:
        raise ModelError(
            f"scan: parameters have {table.shape[1]} values and there are {x.shape[1:].numel()} cells; "
            "give one value, or as many as a whole part of the cells"
        )
    v, i, a = (None, None, None) if state is None else state
    if not fused or how.surrogate.code is None or _kernels(x.device) is None:
        s, h, after = scan_reference(values, (v, i, a), table, how, mask=mask)
        return _sound(s.to(x.dtype), h, after)
    given = (
        values.contiguous(),
        None if v is None else v.contiguous(),
        None if i is None or not how.current else i.contiguous(),
        None if a is None or not how.adapts else a.contiguous(),
        table,
        None if mask is None else mask.contiguous(),
    )
    made = _operator(*given, *how.flat()) if torch.compiler.is_compiling() else _Fused.apply(*given, how)
    s, h, *last = made
    after = State(*(part if used else None for part, used in zip(last, how.used, strict=True)))
    return (s.to(x.dtype), h, after) if x.is_cpu else _sound(s.to(x.dtype), h, after)


def _kernels(device: torch.device) -> Any:
    """The module with those for a device, or None."""
    if device.type == "cpu":
        return cpu
    if device.type == "cuda":
        from neurokit_snn.snn.kernels import gpu

        return gpu if gpu.AVAILABLE else None
    return None


def _sound(s: Tensor, h: Tensor, after: State) -> tuple[Tensor, Tensor, State]:
    """What it is given, where that is finite; the kernel of the CPU has looked already."""
    if not torch.compiler.is_compiling() and not bool(torch.isfinite(h.detach()).all()):
        raise NotFinite("scan: a membrane is not finite; look at the inputs, the state and the parameters")
    return s, h, after


class _Fused(torch.autograd.Function):
    """The node while nothing is compiled: calling an operator costs more than the scan of a few steps."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        v: Tensor | None,
        i: Tensor | None,
        a: Tensor | None,
        table: Tensor,
        mask: Tensor | None,
        how: Scan,
    ) -> tuple[Tensor | None, ...]:
        s, h, after = _kernels(x.device).forward(x, (v, i, a), table, mask, how)
        ctx.how = how
        _keep(ctx, (x, v, i, a, table, mask), s, h)
        return s, h, *after

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise ModelError(
                "scan: a gradient of a gradient (create_graph) is asked of the fused kernel; build the neurons with fused=False"
            )
        h, s, x, v, i, a, table, mask = ctx.saved_tensors
        state = v, i, a
        gx, first, of_table = _kernels(h.device).backward(grads, h, s, x, state, table, mask, ctx.how)
        return _asked(ctx, (gx, *first, of_table, None, None))


def _keep(ctx: Any, inputs: tuple[Tensor | None, ...], s: Tensor, h: Tensor) -> None:
    """What the backward pass needs; the inputs are asked for by the gradients of parameters alone."""
    x, v, i, a, table, mask = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(h, s, x if ctx.needs_input_grad[4] else None, v, i, a, table, mask)


def _asked(ctx: Any, grads: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    return tuple(g if needed else None for g, needed in zip(grads, ctx.needs_input_grad, strict=True))


# ---- while a graph is compiled -------------------------------------------------------------------------------------


@torch.library.custom_op("neurokit_snn::scan", mutates_args=())
def _operator(
    x: Tensor,
    v: Tensor | None,
    i: Tensor | None,
    a: Tensor | None,
    table: Tensor,
    mask: Tensor | None,
    reset: str,
    detach: bool,
    code: int,
    width: float,
    levels: int,
    current: bool,
    adapts: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    how = Scan.from_flat(reset, detach, code, width, levels, current, adapts)
    s, h, (v1, i1, a1) = _kernels(x.device).forward(x, (v, i, a), table, mask, how)
    return s, h, _there(v1, x), _there(i1, x), _there(a1, x)


@_operator.register_fake
def _(x: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    used = Scan.from_flat(*rest[5:]).used
    return (
        torch.empty_like(x),
        torch.empty_like(x),
        *(torch.empty_like(x[0]) if u else x.new_empty(0) for u in used),
    )


@torch.library.custom_op("neurokit_snn::scan_backward", mutates_args=())
def _backward_operator(
    gs: Tensor | None,
    gh: Tensor | None,
    gv: Tensor | None,
    gi: Tensor | None,
    ga: Tensor | None,
    h: Tensor,
    s: Tensor,
    x: Tensor | None,
    v: Tensor | None,
    i: Tensor | None,
    a: Tensor | None,
    table: Tensor,
    mask: Tensor | None,
    reset: str,
    detach: bool,
    code: int,
    width: float,
    levels: int,
    current: bool,
    adapts: bool,
) -> list[Tensor]:
    how = Scan.from_flat(reset, detach, code, width, levels, current, adapts)
    grads, state = (gs, gh, gv, gi, ga), (v, i, a)
    gx, first, of_table = _kernels(h.device).backward(grads, h, s, x, state, table, mask, how)
    return [gx, *(_there(part, h) for part in (*first, of_table))]


@_backward_operator.register_fake
def _(
    gs: Any, gh: Any, gv: Any, gi: Any, ga: Any, h: Tensor, s: Tensor, x: Tensor | None, *rest: Any
) -> list[Tensor]:
    used = Scan.from_flat(*rest[5:]).used
    first = [torch.empty_like(h[0]) if u else h.new_empty(0) for u in used]
    return [torch.empty_like(h), *first, h.new_empty(0) if x is None else torch.empty_like(rest[3])]


def _there(part: Tensor | None, like: Tensor) -> Tensor:
    """An operator gives tensors only."""
    return like.new_empty(0) if part is None else part


def _set_up(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.how = Scan.from_flat(*inputs[6:])
    _keep(ctx, inputs[:6], *output[:2])


def _differentiated(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
    how = ctx.how
    h, s, x, v, i, a, table, mask = ctx.saved_tensors
    last = (g if used else None for g, used in zip(grads[2:], how.used, strict=True))
    found = _backward_operator(*grads[:2], *last, h, s, x, v, i, a, table, mask, *how.flat())
    return _asked(ctx, (*found, None, *(None for _ in how.flat())))


_operator.register_autograd(_differentiated, setup_context=_set_up)
