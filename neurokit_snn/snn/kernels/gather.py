"""Sums over synapses with whole-numbered delays on the CPU, compiled by numba: nothing is multiplied that is not a synapse.

Series lie along the last axis, so that a delay is a place to start reading, and the loop over time is one of vector instructions.
A column of that axis is a step of one trial of a group: step ``t`` of trial ``b`` of ``g`` trials is column ``t g + b``.
``x (group, source, column)`` is longer than ``y (group, target, column)`` by the window; synapse ``s`` of target ``o`` reads
``x[:, source[o, s], first[o, s]:]``. The GIL is released; callers hand out stretches ``[low, high)`` to threads.
"""

from __future__ import annotations

from typing import Any

from neurokit_snn.snn.kernels.compiled import compiled

__all__ = ["forward", "input_gradient", "weight_gradient"]

Array = Any
"""A NumPy array."""
TILE = 512
"""Columns that are summed at once: what they read of all sources stays in the second cache."""
free = compiled(fastmath={"reassoc", "contract", "nsz"})
"""The order of sums is free."""


@free
def forward(x: Array, weight: Array, first: Array, source: Array, y: Array, low: int, high: int) -> None:
    """Fill ``y[:, low:high]`` with ``sum over s of weight[o, s] x[:, source[o, s], first[o, s]:]``."""
    groups, _, columns = y.shape
    synapses = weight.shape[1]
    fours = synapses // 4 * 4
    for group in range(groups):
        for begin in range(0, columns, TILE):
            n = min(TILE, columns - begin)
            for o in range(low, high):
                out = y[group, o, begin : begin + n]
                out[:] = 0
                # Four at a time: the sum is read and written a quarter as often.
                for s in range(0, fours, 4):
                    a = x[group, source[o, s], begin + first[o, s] :]
                    b = x[group, source[o, s + 1], begin + first[o, s + 1] :]
                    c = x[group, source[o, s + 2], begin + first[o, s + 2] :]
                    d = x[group, source[o, s + 3], begin + first[o, s + 3] :]
                    wa, wb, wc, wd = weight[o, s], weight[o, s + 1], weight[o, s + 2], weight[o, s + 3]
                    for k in range(n):
                        out[k] += wa * a[k] + wb * b[k] + wc * c[k] + wd * d[k]
                for s in range(fours, synapses):
                    a = x[group, source[o, s], begin + first[o, s] :]
                    wa = weight[o, s]
                    for k in range(n):
                        out[k] += wa * a[k]


@free
def input_gradient(
    gy: Array, weight: Array, first: Array, source: Array, gx: Array, low: int, high: int
) -> None:
    """Add to ``gx[low:high]``, groups, what ``gy (group, target, column)`` gives the inputs."""
    _, targets, columns = gy.shape
    for group in range(low, high):
        for begin in range(0, columns, TILE):
            n = min(TILE, columns - begin)
            for o in range(targets):
                given = gy[group, o, begin : begin + n]
                for s in range(weight.shape[1]):
                    into = gx[group, source[o, s], begin + first[o, s] :]
                    w = weight[o, s]
                    for k in range(n):
                        into[k] += w * given[k]


@free
def weight_gradient(gy: Array, x: Array, first: Array, source: Array, gw: Array, low: int, high: int) -> None:
    """Add to ``gw[low:high]``, targets, what ``gy`` gives the weights."""
    groups, _, columns = gy.shape
    zero = x.dtype.type(0)
    for group in range(groups):
        for begin in range(0, columns, TILE):
            n = min(TILE, columns - begin)
            for o in range(low, high):
                given = gy[group, o, begin : begin + n]
                for s in range(gw.shape[1]):
                    read = x[group, source[o, s], begin + first[o, s] :]
                    total = zero
                    for k in range(n):
                        total += read[k] * given[k]
                    gw[o, s] += total
