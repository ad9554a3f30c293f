"""The scan of a neuron layer forward in time on the CPU, compiled by numba; `reverse` is the way back.

Arrays are ``(time, cell)`` or ``(cell,)``, contiguous, of one dtype (float32 or float64). ``table (parameter, period)`` has the
rows of `Cell`, and cell k the values at ``k % period``. ``mask (time, group)`` is False at steps that are left out; equally many
cells, next to each other, make a group. What a scan does not use is empty.

Cells do not touch each other: the caller hands out ranges ``[low, high)`` of them to threads, and the GIL is released. A range is
taken in stretches whose states stay in the cache; the loops over the cells of a stretch are the inner ones, and each writes one
array, of which the compiler makes vector instructions. Stretches begin at multiples of `STRETCH`, so that no bit depends on
the number of threads. `plain` is both ways in one pass, for neurons that have a membrane and nothing else.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurokit_snn.snn.kernels.cell import HARD, SOFT
from neurokit_snn.snn.kernels.compiled import compiled

__all__ = ["STRETCH", "copy", "fast", "forward", "parameters", "start_of", "valid_cells"]

Array = Any
"""A NumPy array."""
STRETCH = 2048
"""Cells that are scanned together."""
BETA, GAIN, THETA, ALPHA, RHO, JUMP, REST = range(7)
"""Rows of the table."""

fast = compiled(error_model="numpy")


@fast
def copy(given: Array, out: Array) -> None:
    """Fill ``out``. A loop, since an assignment to a slice takes the compiler seconds."""
    for k in range(out.size):
        out[k] = given[k]


@fast
def _spread(row: Array, low: int, out: Array) -> None:
    """The values of cells ``low, low + 1, ...`` from one row of the table."""
    period = row.size
    first = low % period
    for begin in range(-first, out.size, period):
        for k in range(max(begin, 0), min(begin + period, out.size)):
            out[k] = row[k - begin]


@fast
def parameters(table: Array, reset: int, current: bool, adapts: bool, low: int, n: int) -> Array:
    """Those of the cells ``[low, low + n)``, ``(parameter, cell)``; rows that are not used hold anything."""
    p = np.empty((7, n), table.dtype)
    for row in range(7):
        without = (row == REST and reset != HARD) or (row == ALPHA and not current)
        if without or (row in (RHO, JUMP) and not adapts):
            continue
        if table.shape[1] == 1:
            for k in range(n):
                p[row, k] = table[row, 0]
        else:
            _spread(table[row], low, p[row])
    return p


@fast
def valid_cells(row: Array, cells: int, low: int, out: Array) -> None:
    """Which of the cells ``low, low + 1, ...`` are there, from one row of the mask."""
    n, span = out.size, cells // row.size
    for group in range(low // span, (low + n - 1) // span + 1):
        begin = group * span - low
        for k in range(max(begin, 0), min(begin + span, n)):
            out[k] = row[group]


@fast
def start_of(given: Array, low: int, out: Array) -> None:
    """A part of a state, 0 where none is given."""
    for k in range(out.size):
        out[k] = out.dtype.type(0)
    if given.size > 0:
        for k in range(out.size):
            out[k] = given[low + k]


@fast
def _fire(h: Array, limit: Array, levels: int, s: Array) -> None:
    """Spikes of one step."""
    one, zero, half, most = h.dtype.type(1), h.dtype.type(0), h.dtype.type(0.5), h.dtype.type(levels)
    if levels == 1:
        for k in range(h.size):
            s[k] = one if h[k] >= limit[k] else zero
    else:
        for k in range(h.size):
            s[k] = min(max(np.floor(h[k] / limit[k] + half), zero), most)


@fast
def _reset(h: Array, s: Array, limit: Array, rest: Array, reset: int, v: Array) -> None:
    """Membranes after the reset."""
    zero = h.dtype.type(0)
    if reset == HARD:
        for k in range(h.size):
            fired, quiet = rest[k], h[k]  # read both: a choice between numbers, not between places
            v[k] = fired if s[k] > zero else quiet
    elif reset == SOFT:
        for k in range(h.size):
            v[k] = h[k] - limit[k] * s[k]
    else:
        copy(h, v)


@fast
def forward(
    x: Array, v0: Array, i0: Array, a0: Array, table: Array, mask: Array,
    reset: int, levels: int, current: bool, adapts: bool,
    h: Array, s: Array, v1: Array, i1: Array, a1: Array, begin: int, end: int,
) -> bool:  # fmt: skip
    """Fill membranes before the reset ``h``, spikes ``s``, and states after the last step ``v1, i1, a1``.

    Where the mask is False nothing changes, and ``h`` is the membrane as it was. States before the first step that are empty
    are 0. Returns whether all membranes were finite.
    """
    masked, zero, bad = mask.shape[0] > 0, x.dtype.type(0), 0
    for low in range(begin, end, STRETCH):
        high = min(low + STRETCH, end)
        n = high - low
        p = parameters(table, reset, current, adapts, low, n)
        beta, gain, theta, alpha, rho, jump = p[BETA], p[GAIN], p[THETA], p[ALPHA], p[RHO], p[JUMP]
        work, on = np.empty((7, n), x.dtype), np.empty(n, np.bool_)
        v, i, a = work[0], work[1], work[2]
        old_v, old_i, old_a = work[3], work[4], work[5]
        limit = work[6] if adapts else theta
        start_of(v0, low, v)
        start_of(i0, low, i)
        start_of(a0, low, a)
        for t in range(x.shape[0]):
            xt, ht, st = x[t, low:high], h[t, low:high], s[t, low:high]
            if masked:
                for k in range(n):
                    old_v[k], old_i[k], old_a[k] = v[k], i[k], a[k]
            if current:
                for k in range(n):
                    i[k] = alpha[k] * i[k] + xt[k]
                xt = i
            for k in range(n):
                ht[k] = beta[k] * v[k] + gain[k] * xt[k]
            if adapts:
                for k in range(n):
                    limit[k] = theta[k] + jump[k] * a[k]
            _fire(ht, limit, levels, st)
            _reset(ht, st, limit, p[REST], reset, v)
            if adapts:
                for k in range(n):
                    a[k] = rho[k] * a[k] + st[k]
            if masked:
                valid_cells(mask[t], x.shape[1], low, on)
                for k in range(n):
                    if not on[k]:
                        v[k], i[k], a[k] = old_v[k], old_i[k], old_a[k]
                        ht[k], st[k] = old_v[k], zero
            for k in range(n):
                bad += 0 if ht[k] - ht[k] == zero else 1
        copy(v, v1[low:high])
        if current:
            copy(i, i1[low:high])
        if adapts:
            copy(a, a1[low:high])
    return bad == 0
