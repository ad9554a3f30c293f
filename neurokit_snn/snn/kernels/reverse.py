"""The scan of a neuron layer backward in time on the CPU, compiled by numba; see `loops` for the layout of its arrays."""

from __future__ import annotations

import math

import numpy as np

from neurokit_snn.snn.kernels.cell import HARD, NONE, SOFT
from neurokit_snn.snn.kernels.loops import (
    ALPHA,
    BETA,
    GAIN,
    JUMP,
    REST,
    RHO,
    STRETCH,
    THETA,
    Array,
    copy,
    fast,
    parameters,
    start_of,
    valid_cells,
)

__all__ = ["backward", "slope_of"]


@fast
def slope_of(u: Array, code: int, width: float) -> None:
    """Put the surrogate's derivative in place of ``u``."""
    n = u.size
    w = u.dtype.type(width)
    one, zero, half = u.dtype.type(1), u.dtype.type(0), u.dtype.type(0.5)
    turn = u.dtype.type(0.5 * math.pi * width)
    if code == 0:  # arc tangent
        for k in range(n):
            z = turn * u[k]
            u[k] = half * w / (one + z * z)
    elif code == 1:  # sigmoid
        for k in range(n):
            z = np.exp(-w * abs(u[k]))
            u[k] = w * z / ((one + z) * (one + z))
    elif code == 2:  # triangle
        for k in range(n):
            u[k] = max(one - abs(u[k]) / w, zero) / w
    elif code == 3:  # rectangle
        for k in range(n):
            u[k] = one / w if abs(u[k]) <= half * w else zero
    elif code == 4:  # fast sigmoid
        for k in range(n):
            z = one + w * abs(u[k])
            u[k] = one / (z * z)
    else:  # straight through
        for k in range(n):
            u[k] = one if abs(u[k]) < w else zero


@fast
def _history(start: Array, kept: Array, added: Array, mask: Array, low: int, n: int) -> Array:
    """A leaky sum before each step, and after the last one: what the forward pass did not keep."""
    steps = added.shape[0]
    trace, on = np.empty((steps + 1, n), kept.dtype), np.empty(n, np.bool_)
    start_of(start, low, trace[0])
    for t in range(steps):
        before, after, plus = trace[t], trace[t + 1], added[t, low : low + n]
        for k in range(n):
            after[k] = kept[k] * before[k] + plus[k]
        if mask.shape[0] > 0:
            valid_cells(mask[t], added.shape[1], low, on)
            for k in range(n):
                if not on[k]:
                    after[k] = before[k]
    return trace


@fast
def _through_spike(
    h: Array, s: Array, gs: Array, gv: Array, ga: Array, limit: Array, rest: Array, adapts: bool,
    reset: int, levels: int, detach: bool, code: int, width: float,
    limits: bool, work: Array, slope: Array, dh: Array, dl: Array,
) -> None:  # fmt: skip
    """One step back through reset and spike: gradients ``dh`` of membranes before the reset, ``dl`` of limits if asked for."""
    n, one, zero, most = h.size, h.dtype.type(1), h.dtype.type(0), h.dtype.type(levels)
    if levels == 1:
        for k in range(n):
            slope[k] = h[k] - limit[k]
        slope_of(slope, code, width)
    else:
        for k in range(n):
            z = h[k] / limit[k]
            slope[k] = one / limit[k] if zero < z < most else zero
    told = gs  # of the spike, from everywhere
    if adapts or (reset != NONE and not detach):
        told = work
        copy(gs, told)
    if adapts:
        for k in range(n):
            told[k] += ga[k]
    if reset == HARD and not detach:
        for k in range(n):
            told[k] += gv[k] * (rest[k] - h[k])
    elif reset == SOFT and not detach:
        for k in range(n):
            told[k] -= gv[k] * limit[k]
    if reset == HARD:
        for k in range(n):
            dh[k] = gv[k] * (one - s[k]) + slope[k] * told[k]
    else:
        for k in range(n):
            dh[k] = gv[k] + slope[k] * told[k]
    if not limits:
        return
    if levels == 1:
        for k in range(n):
            dl[k] = -slope[k] * told[k]
    else:
        for k in range(n):
            dl[k] = -slope[k] * told[k] * h[k] / limit[k]
    if reset == SOFT and not detach:
        for k in range(n):
            dl[k] -= gv[k] * s[k]


@fast
def _membrane_before(
    t: int, p: Array, h: Array, s: Array, v0: Array, adaptations: Array, reset: int, low: int, out: Array
) -> None:
    """That after the reset of the step before ``t``."""
    n, one = out.size, out.dtype.type(1)
    if t == 0:
        start_of(v0, low, out)
        return
    ht, st = h[t - 1, low : low + n], s[t - 1, low : low + n]
    theta, jump, rest = p[THETA], p[JUMP], p[REST]
    if reset == HARD:
        for k in range(n):
            out[k] = ht[k] * (one - st[k]) + rest[k] * st[k]
    elif reset == SOFT:
        for k in range(n):
            out[k] = ht[k] - theta[k] * st[k]
        if adaptations.shape[0] > 0:
            before = adaptations[t - 1]
            for k in range(n):
                out[k] -= jump[k] * before[k] * st[k]
    else:
        copy(ht, out)


@fast
def _add(row: Array, left: Array, right: Array) -> None:
    for k in range(row.size):
        row[k] += left[k] * right[k]


@fast
def _of_parameters(
    t: int, gp: Array, dh: Array, dl: Array, states: Array, p: Array, h: Array, s: Array, x: Array, v0: Array,
    on: Array, masked: bool, adaptations: Array, currents: Array, reset: int, low: int, work: Array,
) -> None:  # fmt: skip
    """Add what step ``t`` says of the parameters; the first rows of ``states`` are the gradients of the state after it."""
    n, zero = dh.size, dh.dtype.type(0)
    _membrane_before(t, p, h, s, v0, adaptations, reset, low, work)
    _add(gp[BETA], dh, work)
    for k in range(n):
        gp[THETA, k] += dl[k]
    if currents.shape[0] > 0:
        _add(gp[GAIN], dh, currents[t + 1])
        copy(states[1], work)
        if masked:
            for k in range(n):
                work[k] = work[k] if on[k] else zero
        _add(gp[ALPHA], work, currents[t])
    else:
        copy(x[t, low : low + n], work)
        if masked:  # what stands beyond a trial's end may be anything
            for k in range(n):
                work[k] = work[k] if on[k] else zero
        _add(gp[GAIN], dh, work)
    if adaptations.shape[0] > 0:
        _add(gp[JUMP], dl, adaptations[t])
        copy(states[2], work)
        if masked:
            for k in range(n):
                work[k] = work[k] if on[k] else zero
        _add(gp[RHO], work, adaptations[t])
    if reset == HARD:
        _add(gp[REST], states[0], s[t, low : low + n])


@fast
def backward(
    gs: Array, gh: Array, gv1: Array, gi1: Array, ga1: Array, h: Array, s: Array, x: Array,
    v0: Array, i0: Array, a0: Array, table: Array, mask: Array,
    reset: int, levels: int, current: bool, adapts: bool, detach: bool, code: int, width: float, learned: bool,
    gx: Array, gv0: Array, gi0: Array, ga0: Array, gcells: Array, begin: int, end: int,
) -> None:  # fmt: skip
    """Fill gradients of inputs ``gx``, first states ``gv0, gi0, ga0`` and, with ``learned``, parameters ``gcells (7, cell)``.

    They come from those of spikes ``gs``, membranes ``gh`` and last states ``gv1, gi1, ga1``; empty is 0, but for the spikes. The
    spikes need not be 0 or 1: a hard reset is taken as ``h (1 - s) + rest s``.
    """
    masked, zero, dtype = mask.shape[0] > 0, h.dtype.type(0), h.dtype
    for low in range(begin, end, STRETCH):
        high = min(low + STRETCH, end)
        n = high - low
        p = parameters(table, reset, current, adapts, low, n)
        beta, gain, theta, alpha, rho, jump = p[BETA], p[GAIN], p[THETA], p[ALPHA], p[RHO], p[JUMP]
        adaptations, currents = np.empty((0, n), dtype), np.empty((0, n), dtype)
        if adapts:
            adaptations = _history(a0, rho, s, mask, low, n)
        if current and learned:
            currents = _history(i0, alpha, x, mask, low, n)
        work, on = np.empty((11, n), dtype), np.empty(n, np.bool_)
        gv, gi, ga = work[0], work[1], work[2]
        old_v, old_i, old_a = work[3], work[4], work[5]
        slope, dh, dl = work[6], work[7], work[8]
        limit = work[9] if adapts else theta
        start_of(gv1, low, gv)
        start_of(gi1, low, gi)
        start_of(ga1, low, ga)
        gp = np.zeros((7, n if learned else 0), dtype)
        for t in range(h.shape[0] - 1, -1, -1):
            ht, st, gxt = h[t, low:high], s[t, low:high], gx[t, low:high]
            if adapts:
                for k in range(n):
                    limit[k] = theta[k] + jump[k] * adaptations[t, k]
            _through_spike(
                ht, st, gs[t, low:high], gv, ga, limit, p[REST], adapts,
                reset, levels, detach, code, width, adapts or learned, work[10], slope, dh, dl,
            )  # fmt: skip
            if gh.shape[0] > 0:
                ght = gh[t, low:high]
                for k in range(n):
                    dh[k] += ght[k]
            if masked:
                valid_cells(mask[t], h.shape[1], low, on)
                for k in range(n):
                    old_v[k], old_i[k], old_a[k] = gv[k], gi[k], ga[k]
                    if not on[k]:
                        dh[k], dl[k] = zero, zero
            if current:
                for k in range(n):
                    gi[k] += gain[k] * dh[k]
                copy(gi, gxt)
            else:
                for k in range(n):
                    gxt[k] = gain[k] * dh[k]
            if learned:
                _of_parameters(
                    t, gp, dh, dl, work, p, h, s, x, v0, on, masked, adaptations, currents, reset, low, slope
                )
            if adapts:
                for k in range(n):
                    ga[k] = rho[k] * ga[k] + jump[k] * dl[k]
            if current:
                for k in range(n):
                    gi[k] *= alpha[k]
            for k in range(n):
                gv[k] = beta[k] * dh[k]
            if masked:
                for k in range(n):
                    if not on[k]:
                        gv[k], gi[k], ga[k], gxt[k] = old_v[k], old_i[k], old_a[k], zero
                        if gh.shape[0] > 0:
                            gv[k] += gh[t, low + k]
        copy(gv, gv0[low:high])
        if current:
            copy(gi, gi0[low:high])
        if adapts:
            copy(ga, ga0[low:high])
        if learned:
            for row in range(7):
                copy(gp[row], gcells[row, low:high])
