"""The scan of a neuron layer over time on the CPU: compiled by numba, one pass forward and one back.

All arrays are ``(time, cell)`` or ``(cell,)``, contiguous, of one dtype (float32 or float64). Cells do not touch each other: the
caller hands out stretches ``[low, high)`` of them to threads, and the GIL is released. Within a stretch the loop over cells is
the inner one, which the compiler makes vector instructions of.
"""

from __future__ import annotations

import math

import numba
import numpy as np

__all__ = ["backward", "forward"]

HARD, SOFT, NONE = 0, 1, 2
"""Codes of what happens to the membrane after a spike."""


@numba.njit(nogil=True, cache=True)
def forward(
    x, v, i, a, beta, gain, theta, alpha, rho, jump, rest, mask, reset, levels, current, adapts, h, s, low, high
):  # fmt: skip
    """Membranes before reset ``h`` and spikes ``s`` from inputs ``x``; states ``v, i, a`` are replaced by those at the end.

    ``mask (time, cell)`` is 0 at steps that are left out, or empty: nothing changes there, and ``h`` is the membrane as it was.
    """
    v, i, a = v[low:high], i[low:high], a[low:high]
    beta, gain, theta, rest = beta[low:high], gain[low:high], theta[low:high], rest[low:high]
    alpha, rho, jump = alpha[low:high], rho[low:high], jump[low:high]
    n = high - low
    one, zero, half = x.dtype.type(1), x.dtype.type(0), x.dtype.type(0.5)
    most = x.dtype.type(levels)
    masked = mask.shape[0] > 0
    limit = np.empty(n, x.dtype)
    old = np.empty((3, n if masked else 0), x.dtype)
    for t in range(x.shape[0]):
        xt, ht, st = x[t, low:high], h[t, low:high], s[t, low:high]
        if masked:
            for k in range(n):
                old[0, k], old[1, k], old[2, k] = v[k], i[k], a[k]
        if current:
            for k in range(n):
                i[k] = alpha[k] * i[k] + xt[k]
                ht[k] = beta[k] * v[k] + gain[k] * i[k]
        else:
            for k in range(n):
                ht[k] = beta[k] * v[k] + gain[k] * xt[k]
        if adapts:
            for k in range(n):
                limit[k] = theta[k] + jump[k] * a[k]
        else:
            for k in range(n):
                limit[k] = theta[k]
        if levels == 1:
            for k in range(n):
                st[k] = one if ht[k] >= limit[k] else zero
        else:
            for k in range(n):
                st[k] = min(max(np.floor(ht[k] / limit[k] + half), zero), most)
        if reset == HARD:
            for k in range(n):
                v[k] = rest[k] if st[k] > zero else ht[k]
        elif reset == SOFT:
            for k in range(n):
                v[k] = ht[k] - limit[k] * st[k]
        else:
            for k in range(n):
                v[k] = ht[k]
        if adapts:
            for k in range(n):
                a[k] = rho[k] * a[k] + st[k]
        if masked:
            mt = mask[t, low:high]
            for k in range(n):
                if mt[k] == 0:
                    v[k], i[k], a[k] = old[0, k], old[1, k], old[2, k]
                    ht[k], st[k] = old[0, k], zero


@numba.njit(nogil=True, cache=True)
def _slope(u, out, code, width):
    """The surrogate's derivative at ``u``, by its code."""
    n = u.size
    w = u.dtype.type(width)
    one, zero, half = u.dtype.type(1), u.dtype.type(0), u.dtype.type(0.5)
    turn = u.dtype.type(0.5 * math.pi * width)
    if code == 0:  # arc tangent
        for k in range(n):
            z = turn * u[k]
            out[k] = half * w / (one + z * z)
    elif code == 1:  # sigmoid
        for k in range(n):
            z = one / (one + np.exp(-w * u[k]))
            out[k] = w * z * (one - z)
    elif code == 2:  # triangle
        for k in range(n):
            out[k] = max(one - abs(u[k]) / w, zero) / w
    elif code == 3:  # rectangle
        for k in range(n):
            out[k] = one / w if abs(u[k]) <= half * w else zero
    elif code == 4:  # fast sigmoid
        for k in range(n):
            z = one + w * abs(u[k])
            out[k] = one / (z * z)
    else:  # straight through
        for k in range(n):
            out[k] = one if abs(u[k]) < w else zero


@numba.njit(nogil=True, cache=True)
def backward(
    gs, gm, h, s, x, v0, i0, a0, beta, gain, theta, alpha, rho, jump, rest, mask,
    reset, levels, current, adapts, detach, code, width, learned,
    gx, gv, gi, ga, gbeta, ggain, gtheta, galpha, grho, gjump, low, high,
):  # fmt: skip
    """Gradients of inputs, states and parameters from those of spikes ``gs``, membranes ``gm`` (or none) and final states.

    ``gv, gi, ga`` come in as gradients of the final states and go out as those of the initial ones. With ``learned`` 0 the
    gradients of parameters are left as they are.
    """
    n, steps = high - low, h.shape[0]
    beta, gain, theta, rest = beta[low:high], gain[low:high], theta[low:high], rest[low:high]
    alpha, rho, jump = alpha[low:high], rho[low:high], jump[low:high]
    gv, gi, ga = gv[low:high], gi[low:high], ga[low:high]
    one, zero = h.dtype.type(1), h.dtype.type(0)
    most = x.dtype.type(levels)
    masked = mask.shape[0] > 0
    before = np.empty((steps if adapts else 0, n), x.dtype)  # adaptation before each step
    if adapts:
        before[0] = a0[low:high]
        for t in range(1, steps):
            st = s[t - 1, low:high]
            for k in range(n):
                on = not masked or mask[t - 1, low + k] != 0
                before[t, k] = rho[k] * before[t - 1, k] + st[k] if on else before[t - 1, k]
    flows = current and learned
    filtered = np.empty((steps if flows else 0, n), x.dtype)  # current at each step
    if flows:
        for t in range(steps):
            xt = x[t, low:high]
            for k in range(n):
                past = filtered[t - 1, k] if t else i0[low + k]
                on = not masked or mask[t, low + k] != 0
                filtered[t, k] = alpha[k] * past + xt[k] if on else past
    limit, u, slope = np.empty(n, x.dtype), np.empty(n, x.dtype), np.empty(n, x.dtype)
    dh, dl = np.empty(n, x.dtype), np.empty(n, x.dtype)
    told = ga if adapts else np.zeros(n, x.dtype)  # what a spike is told by the adaptation that it leaves
    old = np.empty((3, n if masked else 0), x.dtype)
    for t in range(steps - 1, -1, -1):
        ht, st, gst, gxt = h[t, low:high], s[t, low:high], gs[t, low:high], gx[t, low:high]
        if masked:
            for k in range(n):
                old[0, k], old[1, k], old[2, k] = gv[k], gi[k], ga[k]
        for k in range(n):
            limit[k] = theta[k]
        if adapts:
            for k in range(n):
                limit[k] += jump[k] * before[t, k]
        if levels == 1:
            for k in range(n):
                u[k] = ht[k] - limit[k]
            _slope(u, slope, code, width)
        else:
            for k in range(n):
                z = ht[k] / limit[k]
                slope[k] = one / limit[k] if zero < z < most else zero
        # From the membrane after the reset to that before it and to the spike.
        if reset == HARD:
            for k in range(n):
                on = one if st[k] > zero else zero
                back = zero if detach else gv[k] * (rest[k] - ht[k])
                u[k] = slope[k] * (gst[k] + told[k] + back)
                dh[k] = gv[k] * (one - on) + u[k]
                dl[k] = -u[k]
        elif reset == SOFT:
            for k in range(n):
                back = zero if detach else gv[k]
                u[k] = slope[k] * (gst[k] + told[k] - back * limit[k])
                dh[k] = gv[k] + u[k]
                dl[k] = -u[k] - back * st[k]
        else:
            for k in range(n):
                u[k] = slope[k] * (gst[k] + told[k])
                dh[k] = gv[k] + u[k]
                dl[k] = -u[k]
        if levels > 1:
            for k in range(n):
                dl[k] += u[k] - u[k] * ht[k] / limit[k]
        if gm.shape[0]:
            gmt = gm[t, low:high]
            for k in range(n):
                dh[k] += gmt[k]
        if adapts:
            for k in range(n):
                if learned and (not masked or mask[t, low + k] != 0):
                    grho[low + k] += ga[k] * before[t, k]
                    gjump[low + k] += dl[k] * before[t, k]
                ga[k] = rho[k] * ga[k] + jump[k] * dl[k]
        if current:
            for k in range(n):
                gi[k] += gain[k] * dh[k]
                gxt[k] = gi[k]
        else:
            for k in range(n):
                gxt[k] = gain[k] * dh[k]
        if learned:
            for k in range(n):
                if masked and mask[t, low + k] == 0:
                    continue
                if t == 0:
                    past = v0[low + k]
                elif reset == HARD:
                    past = rest[k] if s[t - 1, low + k] > zero else h[t - 1, low + k]
                elif reset == SOFT:
                    edge = theta[k] + (jump[k] * before[t - 1, k] if adapts else zero)
                    past = h[t - 1, low + k] - edge * s[t - 1, low + k]
                else:
                    past = h[t - 1, low + k]
                gbeta[low + k] += dh[k] * past
                gtheta[low + k] += dl[k]
                ggain[low + k] += dh[k] * (filtered[t, k] if current else x[t, low + k])
                if current:
                    galpha[low + k] += gi[k] * (filtered[t - 1, k] if t else i0[low + k])
        if current:
            for k in range(n):
                gi[k] *= alpha[k]
        for k in range(n):
            gv[k] = beta[k] * dh[k]
        if masked:
            for k in range(n):
                if mask[t, low + k] == 0:
                    gv[k], gi[k], ga[k] = old[0, k], old[1, k], old[2, k]
                    gxt[k] = zero
                    if gm.shape[0]:
                        gv[k] += gm[t, low + k]
