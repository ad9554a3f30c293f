"""The scan of a neuron layer on a GPU, compiled by Triton: one program for each block of cells, forward and backward in time.

The same arithmetic as `loops` and `reverse`, for the same layout: ``(time, cell)``, contiguous. What the forward pass did not
keep (adaptation, current) the backward pass computes again, into memory that it is given. What is there and what is not are
constants of the compiled code. Triton takes no annotations but those of constants. Without Triton the module can be imported,
and its functions are of no use.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    import triton
    import triton.language as tl
except ImportError:  # a CPU build of torch
    triton = None

__all__ = ["AVAILABLE", "backward", "forward"]

AVAILABLE = triton is not None


def compiled(function: Callable[..., Any]) -> Any:
    """By Triton, where there is Triton."""
    return function if triton is None else triton.jit(function)


@compiled
def _row(table, number: tl.constexpr, period, at, here):
    return tl.load(table + number * period + at, mask=here, other=1.0)


@compiled
def _start(part, there: tl.constexpr, k, here, like):
    made = like * 0.0
    if there:
        made = tl.load(part + k, mask=here, other=0.0)
    return made


@compiled
def forward(
    x, v0, i0, a0, table, mask, h, s, v1, i1, a1,
    steps, cells, period, groups,
    reset: tl.constexpr, levels: tl.constexpr, current: tl.constexpr, adapts: tl.constexpr, masked: tl.constexpr,
    with_v: tl.constexpr, with_i: tl.constexpr, with_a: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """Fill membranes before the reset ``h``, spikes ``s``, and states after the last step; see `loops.forward`."""
    k = tl.program_id(0) * block + tl.arange(0, block)
    here = k < cells
    at = k % period
    group = k // (cells // groups)
    beta = _row(table, 0, period, at, here)
    gain = _row(table, 1, period, at, here)
    theta = _row(table, 2, period, at, here)
    alpha = _row(table, 3, period, at, here)
    rho = _row(table, 4, period, at, here)
    jump = _row(table, 5, period, at, here)
    rest = _row(table, 6, period, at, here)
    v = _start(v0, with_v, k, here, beta)
    i = _start(i0, with_i, k, here, beta)
    a = _start(a0, with_a, k, here, beta)
    x, h, s = x + k, h + k, s + k
    mask = mask + group
    for _ in range(steps):
        drive = tl.load(x, mask=here, other=0.0)
        i_new = i
        if current:
            i_new = alpha * i + drive
            drive = i_new
        m = beta * v + gain * drive
        limit = theta
        if adapts:
            limit = theta + jump * a
        if levels == 1:
            spike = tl.where(m >= limit, 1.0, 0.0).to(m.dtype)
        else:
            spike = tl.minimum(tl.maximum(tl.floor(_divided(m, limit) + 0.5), 0.0), levels * 1.0)
        if reset == 0:
            v_new = tl.where(spike > 0.0, rest, m)
        elif reset == 1:
            v_new = m - limit * spike
        else:
            v_new = m
        a_new = a
        if adapts:
            a_new = rho * a + spike
        if masked:
            on = tl.load(mask, mask=here, other=0) != 0
            m = tl.where(on, m, v)
            spike = tl.where(on, spike, 0.0)
            v_new = tl.where(on, v_new, v)
            i_new = tl.where(on, i_new, i)
            a_new = tl.where(on, a_new, a)
            mask += groups
        tl.store(h, m, mask=here)
        tl.store(s, spike, mask=here)
        v, i, a = v_new, i_new, a_new
        x += cells
        h += cells
        s += cells
    tl.store(v1 + k, v, mask=here)
    if current:
        tl.store(i1 + k, i, mask=here)
    if adapts:
        tl.store(a1 + k, a, mask=here)


@compiled
def _divided(left, right):
    """Rounded to nearest: in single precision the division of the language is not."""
    return tl.div_rn(left, right) if left.dtype == tl.float32 else left / right


@compiled
def _slope(u, code: tl.constexpr, width: tl.constexpr, turn: tl.constexpr):
    if code == 0:  # arc tangent
        z = turn * u
        made = _divided(u * 0.0 + 0.5 * width, 1.0 + z * z)
    elif code == 1:  # sigmoid
        z = tl.exp(-width * tl.abs(u))
        made = _divided(width * z, (1.0 + z) * (1.0 + z))
    elif code == 2:  # triangle
        made = tl.maximum(1.0 - tl.abs(u) * (1.0 / width), 0.0) * (1.0 / width)
    elif code == 3:  # rectangle
        made = tl.where(tl.abs(u) <= 0.5 * width, 1.0 / width, 0.0).to(u.dtype)
    elif code == 4:  # fast sigmoid
        z = 1.0 + width * tl.abs(u)
        made = _divided(u * 0.0 + 1.0, z * z)
    else:  # straight through
        made = tl.where(tl.abs(u) < width, 1.0, 0.0).to(u.dtype)
    return made


@compiled
def _history(
    trace, first, kept, added, mask, steps, cells, groups,
    masked: tl.constexpr, here,
):  # fmt: skip
    """A leaky sum before each step and after the last one."""
    value = first
    tl.store(trace, value, mask=here)
    for _ in range(steps):
        new = kept * value + tl.load(added, mask=here, other=0.0)
        if masked:
            new = tl.where(tl.load(mask, mask=here, other=0) != 0, new, value)
            mask += groups
        value = new
        trace += cells
        added += cells
        tl.store(trace, value, mask=here)


@compiled
def backward(
    gs, gh, gv1, gi1, ga1, h, s, x, v0, i0, a0, table, mask,
    gx, gv0, gi0, ga0, gcells, adaptations, currents,
    steps, cells, period, groups, last, last_group,
    reset: tl.constexpr, levels: tl.constexpr, current: tl.constexpr, adapts: tl.constexpr, detach: tl.constexpr,
    code: tl.constexpr, width: tl.constexpr, turn: tl.constexpr, learned: tl.constexpr, masked: tl.constexpr,
    with_gs: tl.constexpr, with_gh: tl.constexpr, with_gv: tl.constexpr, with_gi: tl.constexpr, with_ga: tl.constexpr,
    with_v: tl.constexpr, with_i: tl.constexpr, with_a: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """Fill gradients of inputs, first states and, with ``learned``, parameters ``gcells (7, cell)``; see `reverse.backward`."""
    k = tl.program_id(0) * block + tl.arange(0, block)
    here = k < cells
    at = k % period
    group = k // (cells // groups)
    beta = _row(table, 0, period, at, here)
    gain = _row(table, 1, period, at, here)
    theta = _row(table, 2, period, at, here)
    alpha = _row(table, 3, period, at, here)
    rho = _row(table, 4, period, at, here)
    jump = _row(table, 5, period, at, here)
    rest = _row(table, 6, period, at, here)
    first_v = _start(v0, with_v, k, here, beta)
    first_a = _start(a0, with_a, k, here, beta)
    first_i = _start(i0, with_i, k, here, beta)
    if adapts:
        _history(adaptations + k, first_a, rho, s + k, mask + group, steps, cells, groups, masked, here)
    if current and learned:
        _history(currents + k, first_i, alpha, x + k, mask + group, steps, cells, groups, masked, here)
    tl.debug_barrier()  # what was stored is read again below
    gv = _start(gv1, with_gv, k, here, beta)
    gi = _start(gi1, with_gi, k, here, beta)
    ga = _start(ga1, with_ga, k, here, beta)
    zero = beta * 0.0
    g_beta, g_gain, g_theta, g_alpha, g_rho, g_jump, g_rest = zero, zero, zero, zero, zero, zero, zero
    row = last + k.to(tl.int64)  # of the last step; from there to the first
    mask = mask + last_group + group
    for _ in range(steps):
        m = tl.load(h + row, mask=here, other=0.0)
        spike = tl.load(s + row, mask=here, other=0.0)
        told = zero
        if with_gs:
            told = tl.load(gs + row, mask=here, other=0.0)
        limit = theta
        before = zero
        if adapts:
            before = tl.load(adaptations + row, mask=here, other=0.0)
            limit = theta + jump * before
            told = told + ga
        if levels == 1:
            slope = _slope(m - limit, code, width, turn)
        else:
            z = _divided(m, limit)
            slope = tl.where((z > 0.0) & (z < levels * 1.0), _divided(zero + 1.0, limit), 0.0)
        if not detach:
            if reset == 0:
                told = told + gv * (rest - m)
            elif reset == 1:
                told = told - gv * limit
        dh = slope * told
        if reset == 0:
            dh += gv * (1.0 - spike)
        else:
            dh += gv
        dl = -slope * told
        if levels > 1:
            dl = _divided(dl * m, limit)
        if reset == 1 and not detach:
            dl = dl - gv * spike
        from_h = zero
        if with_gh:
            from_h = tl.load(gh + row, mask=here, other=0.0)
            dh = dh + from_h
        on = here
        if masked:
            on = tl.load(mask, mask=here, other=0) != 0
            dh = tl.where(on, dh, 0.0)
            dl = tl.where(on, dl, 0.0)
            mask -= groups
        gi_new = gi
        if current:
            gi_new = gi + gain * dh
            told_x = gi_new
        else:
            told_x = gain * dh
        if masked:
            told_x = tl.where(on, told_x, 0.0)
        tl.store(gx + row, told_x, mask=here)
        if learned:
            earlier = here & (row >= cells)
            m_past = tl.load(h + row - cells, mask=earlier, other=0.0)
            s_past = tl.load(s + row - cells, mask=earlier, other=0.0)
            after = m_past
            if reset == 0:
                after = m_past * (1.0 - s_past) + rest * s_past
            elif reset == 1:
                limit_past = theta
                if adapts:
                    limit_past = theta + jump * tl.load(adaptations + row - cells, mask=earlier, other=0.0)
                after = m_past - limit_past * s_past
            past = tl.where(row >= cells, after, first_v)
            g_beta += dh * past
            g_theta += dl
            if current:
                g_gain += dh * tl.load(currents + row + cells, mask=here, other=0.0)
                g_alpha += tl.where(on, gi_new, 0.0) * tl.load(currents + row, mask=here, other=0.0)
            else:
                g_gain += dh * tl.where(on, tl.load(x + row, mask=here, other=0.0), 0.0)
            if adapts:
                g_rho += tl.where(on, ga, 0.0) * before
                g_jump += dl * before
            if reset == 0:
                g_rest += gv * spike
        ga_new = ga
        if adapts:
            ga_new = rho * ga + jump * dl
        if current:
            gi_new = gi_new * alpha
        gv_new = beta * dh
        if masked:
            gv_new = tl.where(on, gv_new, gv + from_h)
            gi_new = tl.where(on, gi_new, gi)
            ga_new = tl.where(on, ga_new, ga)
        gv, gi, ga = gv_new, gi_new, ga_new
        row -= cells
    tl.store(gv0 + k, gv, mask=here)
    if current:
        tl.store(gi0 + k, gi, mask=here)
    if adapts:
        tl.store(ga0 + k, ga, mask=here)
    if learned:
        tl.store(gcells + k, g_beta, mask=here)
        tl.store(gcells + cells + k, g_gain, mask=here)
        tl.store(gcells + 2 * cells + k, g_theta, mask=here)
        tl.store(gcells + 3 * cells + k, g_alpha, mask=here)
        tl.store(gcells + 4 * cells + k, g_rho, mask=here)
        tl.store(gcells + 5 * cells + k, g_jump, mask=here)
        tl.store(gcells + 6 * cells + k, g_rest, mask=here)
