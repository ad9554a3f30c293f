"""The fused scan on a GPU: tensors in and out, kernels of Triton in between.

Triton comes with the CUDA builds of torch; without it `AVAILABLE` is False, and the rest of the module is of no use.
"""

from __future__ import annotations

import contextlib
import math
from typing import Any

import torch
from torch import Tensor

from neurokit_snn.snn.kernels import gpu_loops
from neurokit_snn.snn.kernels.cell import RESETS, Parts, Scan
from neurokit_snn.snn.kernels.gpu_loops import AVAILABLE

__all__ = ["AVAILABLE", "backward", "forward"]

BLOCK = 128
"""Cells of one program."""


def forward(
    x: Tensor, state: Parts, table: Tensor, mask: Tensor | None, how: Scan
) -> tuple[Tensor, Tensor, list[Tensor | None]]:
    """As `cpu.forward`; what is not finite is for the caller to look at."""
    h, s = torch.empty_like(x), torch.empty_like(x)
    after = [torch.empty_like(x[0]) if used else None for used in how.used]
    cells, groups = _sizes(x, mask)
    if cells:
        with _on(x):
            gpu_loops.forward[(math.ceil(cells / BLOCK),)](
                x, *_there(state, x), table, _bytes(mask, x), h, s, *_there(after, x),
                len(x), cells, table.shape[1], groups,
                reset=RESETS[how.reset], levels=how.levels, current=how.current, adapts=how.adapts,
                masked=mask is not None, **_given(("with_v", "with_i", "with_a"), state), block=BLOCK,
                enable_fp_fusion=False,
            )  # fmt: skip
    return s, h, after


def backward(
    grads: Parts,
    h: Tensor,
    s: Tensor,
    x: Tensor | None,
    state: Parts,
    table: Tensor,
    mask: Tensor | None,
    how: Scan,
) -> tuple[Tensor, list[Tensor | None], Tensor | None]:
    """As `cpu.backward`."""
    learned, surrogate = x is not None, how.surrogate
    gx = torch.empty_like(h)
    first = [torch.empty_like(h[0]) if used else None for used in how.used]
    cells, groups = _sizes(h, mask)
    of_cells = h.new_empty((table.shape[0], cells if learned else 0))
    traces = [
        h.new_empty((len(h) + 1, cells)) if used else None for used in (how.adapts, how.current and learned)
    ]
    grads = [None if g is None else g.contiguous() for g in grads]
    if cells:
        with _on(h):
            gpu_loops.backward[(math.ceil(cells / BLOCK),)](
                *_there(grads, h), h, s, *_there((x, *state), h), table, _bytes(mask, h),
                gx, *_there(first, h), of_cells, *_there(traces, h),
                len(h), cells, table.shape[1], groups, (len(h) - 1) * cells, (len(h) - 1) * groups,
                reset=RESETS[how.reset], levels=how.levels, current=how.current, adapts=how.adapts,
                detach=how.detach, code=surrogate.code, width=surrogate.width,
                turn=0.5 * math.pi * surrogate.width, learned=learned, masked=mask is not None,
                **_given(("with_gs", "with_gh", "with_gv", "with_gi", "with_ga"), grads),
                **_given(("with_v", "with_i", "with_a"), state), block=BLOCK, enable_fp_fusion=False,
            )  # fmt: skip
    if not learned:
        return gx, first, None
    return gx, first, of_cells.view(table.shape[0], -1, table.shape[1]).sum(1)


def _sizes(x: Tensor, mask: Tensor | None) -> tuple[int, int]:
    """Cells, and groups of the mask."""
    return x.shape[1:].numel(), 1 if mask is None else mask.shape[1:].numel()


def _there(parts: Parts, like: Tensor) -> list[Tensor]:
    """A kernel takes tensors only; those that are not there are not read."""
    return [like if part is None else part for part in parts]


def _given(names: tuple[str, ...], parts: Parts) -> dict[str, bool]:
    return {name: part is not None for name, part in zip(names, parts, strict=True)}


def _bytes(mask: Tensor | None, like: Tensor) -> Tensor:
    return like if mask is None else mask.view(torch.uint8)


def _on(x: Tensor) -> contextlib.AbstractContextManager[Any]:
    return torch.cuda.device(x.device) if x.is_cuda else contextlib.nullcontext()
