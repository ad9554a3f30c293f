"""One node of the graph for a whole neuron layer: the fused scan where there is a kernel for the device, else plain torch.

The operators are registered with torch, so that `torch.compile` takes them as they are. They are differentiable once; gradients
of gradients are those of `scan_reference`.
"""

from __future__ import annotations

import concurrent.futures
import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from neurokit_snn.snn.kernels import cpu
from neurokit_snn.snn.kernels.reference import Cell, Scan, scan_reference
from neurokit_snn.snn.stateful import State

__all__ = ["scan"]

RESETS = {"hard": cpu.HARD, "soft": cpu.SOFT, "none": cpu.NONE}
LEAST = 1 << 17
"""Elements of ``(time, cell)`` from which a second thread is worth its start."""
STRETCH = 4096
"""Most cells of one stretch: what the inner loops hold stays in the cache."""


def scan(
    x: Tensor, state: State, cell: Cell, how: Scan, *, mask: Tensor | None = None, fused: bool = True
) -> tuple[Tensor, Tensor, State]:
    """Run a layer over time.

    Parameters
    ----------
    x
        Inputs ``(time, cell)``; half precision is computed in float32.
    state, cell
        Each part ``(cell,)``.
    how
        Reset, surrogate and so on.
    mask
        ``(time, cell)``, False at steps that are left out: the state stays as it is there, and nothing fires.
    fused
        Use the kernel of the device; without it, or where there is none, plain torch, which is differentiable twice.

    Returns
    -------
    spikes
        ``(time, cell)``, of the dtype of ``x``.
    membrane
        The same shape, before the reset, of the dtype of the state.
    state
        After the last step.
    """
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    parts = [part.to(dtype) for part in (*state, *cell)]
    if not fused or x.device.type != "cpu" or x.numel() == 0:
        s, h, after = scan_reference(x.to(dtype), State(*parts[:3]), Cell(*parts[3:]), how, mask=mask)
        return s.to(x.dtype), h, after
    s, h, *last = _forward(
        x.to(dtype).contiguous(),
        *(part.contiguous() for part in parts),
        x.new_empty((0, 0), dtype=torch.bool) if mask is None else mask.contiguous(),
        RESETS[how.reset],
        how.detach,
        how.surrogate.code,
        how.surrogate.width,
        how.levels,
        how.current,
        how.adapts,
    )
    return s.to(x.dtype), h, State(*last)


# ---- operators -----------------------------------------------------------------------------------------------------


@torch.library.custom_op("neurokit_snn::scan_forward", mutates_args=())
def _forward(
    x: Tensor,
    v: Tensor,
    i: Tensor,
    a: Tensor,
    beta: Tensor,
    gain: Tensor,
    theta: Tensor,
    alpha: Tensor,
    rho: Tensor,
    jump: Tensor,
    rest: Tensor,
    mask: Tensor,
    reset: int,
    detach: bool,
    code: int,
    width: float,
    levels: int,
    current: bool,
    adapts: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    h, s = torch.empty_like(x), torch.empty_like(x)
    last = [part.clone() for part in (v, i, a)]
    arrays = [t.numpy() for t in (x, *last, beta, gain, theta, alpha, rho, jump, rest, mask)]
    out = (h.numpy(), s.numpy())
    _over_cells(
        lambda low, high: cpu.forward(*arrays, reset, levels, current, adapts, *out, low, high), *x.shape
    )
    return s, h, *last


@_forward.register_fake
def _(x: Tensor, v: Tensor, i: Tensor, a: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    return torch.empty_like(x), torch.empty_like(x), torch.empty_like(v), torch.empty_like(i), torch.empty_like(a)


@torch.library.custom_op("neurokit_snn::scan_backward", mutates_args=())
def _backward(
    gs: Tensor,
    gm: Tensor,
    gv: Tensor,
    gi: Tensor,
    ga: Tensor,
    h: Tensor,
    s: Tensor,
    x: Tensor,
    v: Tensor,
    i: Tensor,
    a: Tensor,
    beta: Tensor,
    gain: Tensor,
    theta: Tensor,
    alpha: Tensor,
    rho: Tensor,
    jump: Tensor,
    rest: Tensor,
    mask: Tensor,
    reset: int,
    detach: bool,
    code: int,
    width: float,
    levels: int,
    current: bool,
    adapts: bool,
    learned: bool,
) -> list[Tensor]:
    gx = torch.empty_like(h)
    states = [part.clone() for part in (gv, gi, ga)]
    parameters = [torch.zeros_like(v) for _ in range(6)]
    given = [t.numpy() for t in (gs, gm, h, s, x, v, i, a, beta, gain, theta, alpha, rho, jump, rest, mask)]
    made = [t.numpy() for t in (gx, *states, *parameters)]
    flags = (reset, levels, current, adapts, detach, code, width, learned)
    _over_cells(lambda low, high: cpu.backward(*given, *flags, *made, low, high), *h.shape)
    return [gx, *states, *parameters]


@_backward.register_fake
def _(gs: Tensor, gm: Tensor, gv: Tensor, gi: Tensor, ga: Tensor, h: Tensor, *_: Any) -> list[Tensor]:
    return [torch.empty_like(h), *(torch.empty_like(gv) for _ in range(9))]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, *rest = inputs
    s, h, *_ = output
    ctx.set_materialize_grads(False)
    ctx.learned = any(ctx.needs_input_grad[4:10])
    ctx.flags = rest[11:]
    # The inputs themselves are asked for by the gradients of parameters alone.
    ctx.save_for_backward(h, s, x if ctx.learned else x.new_empty((0, 0)), *rest[:11])


def _differentiated(ctx: Any, gs: Any, gm: Any, gv: Any, gi: Any, ga: Any) -> tuple[Any, ...]:
    h, s, x, v, *others = ctx.saved_tensors
    found = _backward(
        torch.zeros_like(h) if gs is None else gs.contiguous(),
        h.new_empty((0, 0)) if gm is None else gm.contiguous(),
        *(torch.zeros_like(v) if g is None else g.contiguous() for g in (gv, gi, ga)),
        h,
        s,
        x,
        v,
        *others,
        *ctx.flags,
        ctx.learned,
    )
    gx, gv, gi, ga, *parameters = found
    made = [g if ctx.learned else None for g in parameters]
    return gx, gv, gi, ga, *made, None, None, *(None for _ in ctx.flags)


_forward.register_autograd(_differentiated, setup_context=_keep)


# ---- threads -------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1)
def _pool(threads: int) -> concurrent.futures.ThreadPoolExecutor:
    return concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="neurokit-scan")


def _over_cells(call: Callable[[int, int], None], steps: int, cells: int) -> None:
    """Call for every stretch of cells, on as many threads as torch has where there is enough to do."""
    threads = torch.get_num_threads() if steps * cells >= LEAST else 1
    stretch = min(STRETCH, math.ceil(cells / threads))
    bounds = [(low, min(low + stretch, cells)) for low in range(0, cells, stretch)]
    if threads == 1 or len(bounds) == 1:
        for low, high in bounds:
            call(low, high)
    else:
        list(_pool(threads).map(lambda ends: call(*ends), bounds))
