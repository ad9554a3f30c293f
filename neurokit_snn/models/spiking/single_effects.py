"""Coordinate ascent over the synapses of one target, compiled by numba.

The log rate of a target is ``c + rest[t] + sum_j w_j x_j[t - d_j]``, x_j being the filtered spikes of source j less their mean.
Under a posterior that is independent over synapses, ``q(d_j) N(w_j; mean_jd, sd_jd^2)``, the expected rate is a product,

    A[t] = exp(c) E(exp(rest[t])) prod_j M_j[t],   M_j[t] = sum_d q_jd exp(mean_jd x + sd_jd^2 x^2 / 2),   x = x_j[t - d],

so that the bound of the evidence, ``sum_t n[t] E(log rate) - A[t]`` less the divergences of the synapses, has a closed form, and
so has its maximum over one synapse given the others: a Gaussian for each delay, and the weights of these Gaussians. It is the
"single effect" of Wang et al. (2020, J. R. Stat. Soc. B 82:1273) with a Poisson likelihood.

A synapse enters through ``sum_t A[t] exp(a x + b x^2)`` at each delay and nothing else. x is put on `LEVELS` levels, and each
A[t] is shared between the two levels next to it: after one pass over the spikes all weights are tried on the levels alone.

A bin that holds "at least one event", ``p = 1 - exp(-rate)``, is as if events were counted, a spike standing for
``n = rate / (1 - exp(-rate))`` of them at the rate ``exp(E(log rate))``: the posterior of the count, so that a bound stays one.
"""

from __future__ import annotations

import math

import numpy as np

from neurokit_snn.snn.kernels.compiled import compiled

Array = np.ndarray

__all__ = ["LEVELS", "ascend"]

LEVELS = 64
"""Of filtered spikes. Sharing a value between two levels is off by less than (w h)^2 / 8 of it, h being their distance."""
SILENT = 1e-5
"""In levels: a filtered spike that has decayed to less is 0."""
UNLIKELY = 1e-7
"""A delay of lower probability is left out of the expected rate, and no synapse divides the rate by more than its inverse."""
STEPS = 25
"""Newton steps for the Gaussian of one delay, at most."""
HIGHEST = 30.0
"""Log rate at which exponentials are cut off."""

fast = compiled(fastmath=True, error_model="numpy")


@fast
def _filter(past: Array, fresh: Array, beta: float, middle: float, level: Array, share: Array) -> float:
    """Leaky sums of counts ``past (row,)`` as levels, and the share of the level above each; the height of a level."""
    v, top = middle, 1.0
    for t in range(past.size):
        v = past[t] + beta * (middle if fresh[t] else v)
        share[t] = v
        top = max(top, v)
    height = top / (LEVELS - 1)
    for t in range(past.size):
        at = share[t] / height
        level[t] = min(int(at), LEVELS - 2)
        share[t] = at - level[t]
    return height


@fast
def _spread(
    q: Array, mean: Array, sd: Array, level: Array, share: Array, height: float, middle: float, log_m: Array, expected: Array,
    table: Array,
) -> None:  # fmt: skip
    """Put ``log M[t]`` and ``E(w x)[t]`` of a synapse in place."""
    n_rows = level.size
    base, flat = 0.0, 0.0
    for d in range(q.size):
        base += q[d] * math.exp(-mean[d] * middle + 0.5 * (sd[d] * middle) ** 2)
        flat -= q[d] * mean[d] * middle
    for t in range(n_rows):
        log_m[t], expected[t] = base, flat
    for d in range(q.size):
        if q[d] < UNLIKELY:
            continue
        for k in range(LEVELS):
            x = k * height - middle
            table[k] = q[d] * math.exp(min(mean[d] * x + 0.5 * (sd[d] * x) ** 2, HIGHEST))
        silence = table[0]
        slope = q[d] * mean[d] * height
        for t in range(n_rows - d):
            k, s = level[t], share[t]
            if k + s > SILENT:
                log_m[t + d] += table[k] + s * (table[k + 1] - table[k]) - silence
                expected[t + d] += slope * (k + s)
    for t in range(n_rows):
        log_m[t] = math.log(max(log_m[t], UNLIKELY))


@fast
def _gather(
    rate: Array, count: Array, level: Array, share: Array, height: float, middle: float, by_level: Array, total: Array
) -> None:  # fmt: skip
    """Sums over time at each delay: of the rate by level of x ``(delay, level)``, and of ``count x`` ``(delay,)``."""
    n_delays, n_rows = total.size, level.size
    mass, events = 0.0, 0.0
    for t in range(n_rows):
        mass += rate[t]
        events += count[t]
    for d in range(n_delays):
        for k in range(LEVELS):
            by_level[d, k] = 0.0
        by_level[d, 0] = mass
        total[d] = -events * middle
    for t in range(n_rows):
        k, s = level[t], share[t]
        if k + s > SILENT:
            x = (k + s) * height
            for d in range(min(n_delays, n_rows - t)):
                a = rate[t + d]
                by_level[d, 0] -= a
                by_level[d, k] += a * (1.0 - s)
                by_level[d, k + 1] += a * s
                total[d] += count[t + d] * x


@fast
def _gaussian(
    by_level: Array, total: float, height: float, middle: float, prior_sd: float, mean: float, sd: float
) -> tuple[float, float, float]:  # fmt: skip
    """Best Gaussian of a weight at one delay, from a guess: mean, deviation, and the bound that it reaches."""
    variance, precision = sd * sd, 1.0 / prior_sd**2
    furthest = min(
        1.0, 4.0 / max((LEVELS - 1) * height - middle, middle)
    )  # no rate changes by more than exp(4) in a step
    for _ in range(STEPS):
        slope, curve = total - mean * precision, precision
        for k in range(LEVELS):
            x = k * height - middle
            e = by_level[k] * math.exp(min(mean * x + 0.5 * variance * x * x, HIGHEST))
            slope -= x * e
            curve += x * x * e
        step = min(max(slope / curve, -furthest), furthest)
        mean += step
        variance = 1.0 / curve
        if abs(step) * math.sqrt(curve) < 1e-4:
            break
    found = (
        total * mean - 0.5 * precision * (mean * mean + variance) + 0.5 * math.log(variance * precision) + 0.5
    )
    for k in range(LEVELS):
        x = k * height - middle
        found -= by_level[k] * math.expm1(min(mean * x + 0.5 * variance * x * x, HIGHEST))
    return mean, math.sqrt(variance), found


@fast
def _expect(
    seen: Array, valid: Array, binary: bool, rest: Array, log_rest: Array, log_m: Array, expected: Array, count: Array,
    rate: Array,
) -> float:  # fmt: skip
    """Expected counts and rates under the best constant, and the bound before divergences."""
    n_sources, n_rows = log_m.shape
    spikes, mass = 0.0, 0.0
    for t in range(n_rows):
        count[t], rate[t] = rest[t], log_rest[t]  # for now the log rates
    for j in range(n_sources):
        for t in range(n_rows):
            count[t] += expected[j, t]
            rate[t] += log_m[j, t]
    for t in range(n_rows):
        rate[t] = math.exp(min(rate[t], HIGHEST)) if valid[t] else 0.0
        mass += rate[t]
        if valid[t]:
            spikes += seen[t]
    constant, events, bound = 0.0, max(spikes, 0.5), 0.0
    for _ in range(4 if binary else 1):
        constant = math.log(events / mass)
        bound, events = -math.exp(constant) * mass, 0.0
        for t in range(n_rows):
            if valid[t] and seen[t] > 0:
                eta = min(count[t] + constant, HIGHEST)
                if binary:
                    lam = max(math.exp(eta), 1e-9)
                    events += lam / -math.expm1(-lam)
                    bound += lam + math.log(-math.expm1(-lam))
                else:
                    events += seen[t]
                    bound += seen[t] * eta
        events = max(events, 0.5)
    for t in range(n_rows):
        lam = max(math.exp(min(count[t] + constant, HIGHEST)), 1e-9)
        count[t] = 0.0
        if valid[t] and seen[t] > 0:
            count[t] = lam / -math.expm1(-lam) if binary else seen[t]
        rate[t] *= math.exp(constant)
    return bound


@fast
def _divergence(q: Array, log_prior: Array, mean: Array, sd: Array, prior_sd: float) -> float:
    """Of one synapse from its prior."""
    found = 0.0
    for d in range(q.size):
        if q[d] > 0.0:
            ratio = sd[d] / prior_sd
            gap = 0.5 * (ratio * ratio + (mean[d] / prior_sd) ** 2 - 1.0) - math.log(ratio)
            found += q[d] * (math.log(q[d]) - log_prior[d] + gap)
    return found


@fast
def _choose(value: Array, log_prior: Array, q: Array) -> float:
    """Probabilities of delays from the bound that each reaches; the largest change."""
    top = -np.inf
    for d in range(q.size):
        value[d] += log_prior[d]
        top = max(top, value[d])
    total, change = 0.0, 0.0
    for d in range(q.size):
        value[d] = math.exp(value[d] - top)
        total += value[d]
    for d in range(q.size):
        change = max(change, abs(value[d] / total - q[d]))
        q[d] = value[d] / total
    return change


@fast
def ascend(
    seen: Array, valid: Array, past: Array, fresh: Array, connected: Array, rest: Array, log_rest: Array, beta: float,
    usual: Array, prior_sd: float, log_prior: Array, binary: bool, sweeps: int, tolerance: float, q: Array, mean: Array,
    sd: Array, bounds: Array,
) -> None:  # fmt: skip
    """Sweeps over the synapses of one target until no probability changes by more than ``tolerance``.

    Parameters
    ----------
    seen, valid
        Counts of the target and which of them are known, ``(row,)``.
    past, fresh
        Counts of the sources in the bin before, ``(source, row)``; True at rows where a trial begins. Rows run over trials one
        after another, each behind as many invalid rows of usual counts as there are delays.
    connected
        ``(source,)``, False where there is no synapse.
    rest, log_rest
        ``E(eta)`` and ``log E(exp(eta))`` of what else the log rate is made of, ``(row,)``.
    beta
        Leak of the target's membrane.
    usual
        Counts of the sources that their filtered counts are relative to, ``(source,)``.
    prior_sd, log_prior
        Of weights; of delays, ``(delay,)``.
    binary
        Whether counts are 0 or 1 with ``p = 1 - exp(-rate)``; else Poisson.
    sweeps
        At most so many.
    q, mean, sd
        ``(source, delay)``, the start, replaced by the result.
    bounds
        Bound before each sweep and after the last ``(sweeps + 1,)``, up to a constant of the data; NaN thereafter.
    """
    n_sources, n_rows = past.shape
    n_delays = q.shape[1]
    level = np.empty((n_sources, n_rows), np.int16)
    share = np.empty((n_sources, n_rows), np.float32)
    log_m = np.zeros((n_sources, n_rows), np.float32)
    expected = np.zeros((n_sources, n_rows), np.float32)
    height, table = np.ones(n_sources), np.empty(LEVELS)
    middle = usual / (1.0 - beta)
    for j in range(n_sources):
        if connected[j]:
            height[j] = _filter(past[j], fresh, beta, middle[j], level[j], share[j])
            _spread(
                q[j], mean[j], sd[j], level[j], share[j], height[j], middle[j], log_m[j], expected[j], table
            )
    count, rate = np.empty(n_rows), np.empty(n_rows)
    by_level, total, value = np.empty((n_delays, LEVELS)), np.empty(n_delays), np.empty(n_delays)
    for sweep in range(sweeps + 1):
        bounds[sweep] = np.nan
    change = 1.0
    for sweep in range(sweeps + 1):
        bound = _expect(seen, valid, binary, rest, log_rest, log_m, expected, count, rate)
        for j in range(n_sources):
            if connected[j]:
                bound -= _divergence(q[j], log_prior, mean[j], sd[j], prior_sd)
        bounds[sweep] = bound
        if change < tolerance or sweep == sweeps:
            break
        change = 0.0
        for j in range(n_sources):
            if connected[j]:
                for t in range(n_rows):
                    rate[t] *= math.exp(-log_m[j, t])
                _gather(rate, count, level[j], share[j], height[j], middle[j], by_level, total)
                for d in range(n_delays):
                    mean[j, d], sd[j, d], value[d] = _gaussian(
                        by_level[d], total[d], height[j], middle[j], prior_sd, mean[j, d], sd[j, d]
                    )
                change = max(change, _choose(value, log_prior, q[j]))
                _spread(
                    q[j],
                    mean[j],
                    sd[j],
                    level[j],
                    share[j],
                    height[j],
                    middle[j],
                    log_m[j],
                    expected[j],
                    table,
                )
                for t in range(n_rows):
                    rate[t] *= math.exp(log_m[j, t])
