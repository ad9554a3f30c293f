"""The scan of neurons that have a membrane and nothing else, all with the same parameters: one pass over each step.

What most networks are made of. `loops` and `reverse` do the same for every neuron, in loops that each write one array, of which
the compiler makes vector instructions; here every number of a step is read and written once.
"""

from __future__ import annotations

import numpy as np

from neurokit_snn.snn.kernels.cell import HARD, SOFT
from neurokit_snn.snn.kernels.loops import BETA, GAIN, REST, STRETCH, THETA, Array, copy, fast, start_of
from neurokit_snn.snn.kernels.reverse import slope_of

__all__ = ["backward", "forward"]


@fast
def forward(
    x: Array, v0: Array, table: Array, reset: int, h: Array, s: Array, v1: Array, begin: int, end: int
) -> bool:
    """Fill membranes before the reset ``h``, spikes ``s`` and membranes after the last step ``v1``, as `loops.forward` does."""
    one, zero, bad = x.dtype.type(1), x.dtype.type(0), 0
    beta, gain, theta, rest = table[BETA, 0], table[GAIN, 0], table[THETA, 0], table[REST, 0]
    for low in range(begin, end, STRETCH):
        high = min(low + STRETCH, end)
        n = high - low
        v, off = np.empty(n, x.dtype), np.zeros(n, x.dtype)  # `off` is 0 as long as membranes are finite
        start_of(v0, low, v)
        for t in range(x.shape[0]):
            xt, ht, st = x[t, low:high], h[t, low:high], s[t, low:high]
            if reset == HARD:
                for k in range(n):
                    u = beta * v[k] + gain * xt[k]
                    ht[k], st[k], v[k] = u, (one if u >= theta else zero), (rest if u >= theta else u)
                    off[k] += u - u
            elif reset == SOFT:
                for k in range(n):
                    u = beta * v[k] + gain * xt[k]
                    fired = one if u >= theta else zero
                    ht[k], st[k], v[k] = u, fired, u - theta * fired
                    off[k] += u - u
            else:
                for k in range(n):
                    u = beta * v[k] + gain * xt[k]
                    ht[k], st[k], v[k] = u, (one if u >= theta else zero), u
                    off[k] += u - u
        copy(v, v1[low:high])
        for k in range(n):
            bad += 0 if off[k] == zero else 1
    return bad == 0


@fast
def backward(
    gs: Array, gv1: Array, h: Array, s: Array, table: Array, reset: int, detach: bool, code: int, width: float,
    gx: Array, gv0: Array, begin: int, end: int,
) -> None:  # fmt: skip
    """Fill gradients of inputs ``gx`` and of the first membranes ``gv0``, as `reverse.backward` does."""
    one = h.dtype.type(1)
    beta, gain, theta, rest = table[BETA, 0], table[GAIN, 0], table[THETA, 0], table[REST, 0]
    for low in range(begin, end, STRETCH):
        high = min(low + STRETCH, end)
        n = high - low
        gv, slope = np.empty(n, h.dtype), np.empty(n, h.dtype)
        start_of(gv1, low, gv)
        for t in range(h.shape[0] - 1, -1, -1):
            ht, st, gst, gxt = h[t, low:high], s[t, low:high], gs[t, low:high], gx[t, low:high]
            for k in range(n):
                slope[k] = ht[k] - theta
            slope_of(slope, code, width)
            if reset == HARD and detach:
                for k in range(n):
                    dh = gv[k] * (one - st[k]) + slope[k] * gst[k]
                    gxt[k], gv[k] = gain * dh, beta * dh
            elif reset == HARD:
                for k in range(n):
                    dh = gv[k] * (one - st[k]) + slope[k] * (gst[k] + gv[k] * (rest - ht[k]))
                    gxt[k], gv[k] = gain * dh, beta * dh
            elif reset == SOFT and not detach:
                for k in range(n):
                    dh = gv[k] + slope[k] * (gst[k] - gv[k] * theta)
                    gxt[k], gv[k] = gain * dh, beta * dh
            else:
                for k in range(n):
                    dh = gv[k] + slope[k] * gst[k]
                    gxt[k], gv[k] = gain * dh, beta * dh
        copy(gv, gv0[low:high])
