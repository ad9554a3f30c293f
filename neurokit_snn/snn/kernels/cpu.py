"""The fused scan on the CPU: tensors in and out, compiled loops on threads in between."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from neurokit_snn.snn.kernels import loops, plain, reverse
from neurokit_snn.snn.kernels.cell import RESETS, NotFinite, Parts, Scan
from neurokit_snn.snn.kernels.threads import over_stretches

__all__ = ["backward", "forward"]

LEAST = 1 << 20
"""Elements of ``(time, cell)`` from which a second thread is worth its start: behind a product of matrices the threads of torch
still wait in a loop for the next one, and take the core that ours would have."""
NONE: dict[torch.dtype, np.ndarray] = {torch.float32: np.empty(0, np.float32), torch.float64: np.empty(0)}
NO_STEPS = {dtype: none.reshape(0, 0) for dtype, none in NONE.items()}
NO_MASK = np.empty((0, 0), bool)


def forward(
    x: Tensor, state: Parts, table: Tensor, mask: Tensor | None, how: Scan
) -> tuple[Tensor, Tensor, list[Tensor | None]]:
    """Spikes and membranes ``(time, ...)``, and of the state after the last step the parts that ``how`` uses.

    Raises
    ------
    NotFinite
        When a membrane becomes NaN or infinite.
    """
    h, s = torch.empty_like(x), torch.empty_like(x)
    after = [torch.empty_like(x[0]) if used else None for used in how.used]
    none, numbers, reset = NONE[x.dtype], table.detach().numpy(), RESETS[how.reset]
    steps, last = _steps(x), [_cells(part, none) for part in after]
    made = _steps(h), _steps(s)
    if _is_plain(table, mask, how):
        start = _cells(state[0], none)
        sound = _over_cells(
            lambda low, high: plain.forward(steps, start, numbers, reset, *made, last[0], low, high),
            *steps.shape,
        )
    else:
        given = (steps, *(_cells(part, none) for part in state), numbers, _mask(mask))
        flags = (reset, how.levels, how.current, how.adapts)
        sound = _over_cells(
            lambda low, high: loops.forward(*given, *flags, *made, *last, low, high), *steps.shape
        )
    if not all(sound):
        raise NotFinite("scan: a membrane is not finite; look at the inputs, the state and the parameters")
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
    """Gradients of inputs, of the state before the first step and, where ``x`` is given, of the table.

    ``grads`` are those of spikes, membranes and the parts of the state after the last step, None for 0.
    """
    gs, gh, *last = grads
    learned = x is not None
    gx = torch.empty_like(h)
    first = [torch.empty_like(h[0]) if used else None for used in how.used]
    none, no_steps, surrogate = NONE[h.dtype], NO_STEPS[h.dtype], how.surrogate
    if gh is None and not learned and _is_plain(table, mask, how):
        spikes = _steps(torch.zeros_like(h) if gs is None else gs.contiguous())
        end = _cells(None if last[0] is None else last[0].contiguous(), none)
        told = spikes, end, _steps(h), _steps(s), table.detach().numpy()
        kind = RESETS[how.reset], how.detach, surrogate.code, surrogate.width
        out = _steps(gx), _cells(first[0], none)
        _over_cells(lambda low, high: plain.backward(*told, *kind, *out, low, high), *told[2].shape)
        return gx, first, None
    given = (
        _steps(torch.zeros_like(h) if gs is None else gs.contiguous()),
        no_steps if gh is None else _steps(gh.contiguous()),
        *(_cells(None if g is None else g.contiguous(), none) for g in last),
        _steps(h),
        _steps(s),
        no_steps if x is None else _steps(x),
        *(_cells(part, none) for part in state),
        table.detach().numpy(),
        _mask(mask),
    )
    flags = (
        RESETS[how.reset],
        how.levels,
        how.current,
        how.adapts,
        how.detach,
        surrogate.code,
        surrogate.width,
        learned,
    )
    cells = given[5].shape[1]
    of_cells = np.empty((table.shape[0], cells if learned else 0), none.dtype)
    made = (_steps(gx), *(_cells(part, none) for part in first), of_cells)
    _over_cells(lambda low, high: reverse.backward(*given, *flags, *made, low, high), *given[5].shape)
    if not learned:
        return gx, first, None
    # numpy sums in one order, whatever the number of threads.
    of_table = of_cells.reshape(table.shape[0], -1, table.shape[1]).sum(1)
    return gx, first, torch.from_numpy(of_table)


def _is_plain(table: Tensor, mask: Tensor | None, how: Scan) -> bool:
    """Whether a membrane is all there is, with the same parameters in all cells."""
    return table.shape[1] == 1 and mask is None and how.levels == 1 and not (how.current or how.adapts)


def _steps(tensor: Tensor) -> np.ndarray:
    """``(time, cell)``."""
    return tensor.detach().numpy().reshape(tensor.shape[0], -1)


def _cells(tensor: Tensor | None, none: np.ndarray) -> np.ndarray:
    return none if tensor is None else tensor.detach().numpy().reshape(-1)


def _mask(mask: Tensor | None) -> np.ndarray:
    return NO_MASK if mask is None else mask.numpy().reshape(mask.shape[0], -1)


# ---- threads -------------------------------------------------------------------------------------------------------


def _over_cells(call: Callable[[int, int], bool], steps: int, cells: int) -> list[bool]:
    """Call for ranges that cover the cells, on as many threads as torch has where there is enough to do."""
    stretches = math.ceil(cells / loops.STRETCH)
    threads = min(torch.get_num_threads(), stretches) if steps * cells >= LEAST else 1
    if threads <= 1:
        return [call(0, cells)]
    edges = [min(loops.STRETCH * (k * stretches // threads), cells) for k in range(threads + 1)]
    return over_stretches(call, edges)
