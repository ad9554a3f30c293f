"""Coordinate ascent on delays: against enumeration, from other starts, in other orders; and sets of delays."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.signal import lfilter
from scipy.special import logsumexp
from scipy.stats import norm

pytest.importorskip("torch")

from neurokit_snn.models.spiking.delay_posterior import (
    DelayPosterior,
    Drive,
    credible_set,
    exact_inclusion,
    flat_delays,
    updated,
)

BETA, DELAYS, PRIOR_SD = 0.5, 6, 0.6


def network(seed, *, units=5, bins=4000, binary=False, weight=0.8, constant=-2.5):
    """Counts ``(trial, time, unit)`` of a network with a delay on each synapse, its weights and its delays."""
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.5, 1.5, (units, units)) * weight * rng.choice([-1, 1], (units, units))
    np.fill_diagonal(weights, 0.0)
    delays = rng.integers(0, DELAYS, (units, units))
    counts = np.zeros((bins + DELAYS, units))
    membrane = np.zeros(units)
    for t in range(DELAYS, bins + DELAYS):
        arrived = counts[t - 1 - delays, np.arange(units)]
        membrane = BETA * membrane + (weights * arrived).sum(1)
        rate = np.exp(np.minimum(constant + membrane, 0.5))
        counts[t] = rng.random(units) < -np.expm1(-rate) if binary else rng.poisson(rate)
    return counts[None, DELAYS:], weights, delays


def drive_of(counts, scored=None):
    usual = counts.mean((0, 1))
    past = np.broadcast_to(usual, counts.shape).copy()
    past[:, 1:] = counts[:, :-1]
    return Drive(counts, np.ones(counts.shape, bool) if scored is None else scored, past, usual)


def ascended(counts, *, before=None, binary=False, scored=None, prior_sd=PRIOR_SD):
    n = counts.shape[2]
    connected = ~np.eye(n, dtype=bool)
    begin = flat_delays(connected, DELAYS, prior_sd=prior_sd) if before is None else before
    rest = np.zeros(counts.shape)
    return updated(
        begin, drive_of(counts, scored), rest=rest, log_rest=rest, beta=np.full(n, BETA), connected=connected,
        prior_sd=prior_sd, binary=binary,
    )  # fmt: skip


@pytest.mark.parametrize("binary", [False, True])
def test_sweeps_never_lower_the_bound_and_find_the_delays(binary):
    counts, _, delays = network(0, binary=binary)
    found, bounds = ascended(counts, binary=binary)
    steps = np.diff(bounds, axis=1)
    assert np.nanmin(steps) > -2e-3, "up to single precision"
    assert np.nansum(steps) > 10.0
    off = ~np.eye(5, dtype=bool)
    assert np.median(np.abs(found.probability.argmax(-1) - delays)[off]) == 0.0
    np.testing.assert_allclose(found.probability.sum(-1), 1.0)


def test_other_starts_and_other_orders_lead_to_the_same_place():
    counts, weights, delays = network(1, weight=0.5)
    found, bounds = ascended(counts)
    # from the truth, told with certainty
    told = np.eye(DELAYS)[delays] * (1 - 1e-6) + 1e-6 / DELAYS
    told[np.arange(5), np.arange(5)] = 1.0 / DELAYS
    mean = np.broadcast_to(weights[..., None], told.shape)
    from_truth, reached = ascended(counts, before=DelayPosterior(told, mean, np.full(told.shape, 0.1)))
    np.testing.assert_allclose(from_truth.probability, found.probability, atol=0.01)
    np.testing.assert_allclose(np.nanmax(reached, 1), np.nanmax(bounds, 1), atol=0.01)
    order = np.array([3, 1, 4, 0, 2])
    turned, _ = ascended(counts[..., order])
    np.testing.assert_allclose(turned.probability, found.probability[np.ix_(order, order)], atol=0.01)


@pytest.mark.parametrize("binary", [False, True])
def test_probabilities_and_bound_are_those_of_enumeration(binary):
    """One source: every delay and a grid of weights, at the constant that the ascent settled on."""
    counts, _, _ = network(2, units=2, bins=600, binary=binary, weight=0.6)
    found, bounds = ascended(counts, binary=binary)
    y, past, usual = counts[0, :, 0], drive_of(counts).past[0, :, 1], counts[..., 1].mean()
    grid = np.linspace(-2.5, 2.5, 251)
    padded = np.concatenate([np.full(DELAYS, usual), past])

    def log_joint(constant):
        """Log p(y, weight, delay), ``(delay, weight)``, without the factorials."""
        out = np.empty((DELAYS, grid.size))
        for d in range(DELAYS):
            shifted = padded[DELAYS - d : len(padded) - d]
            start = BETA * usual / (1 - BETA)
            x = lfilter([1.0], [1.0, -BETA], shifted, zi=[start])[0] - usual / (1 - BETA)
            eta = constant + grid[:, None] * x
            rate = np.exp(eta)
            log_p = np.where(y > 0, np.log(-np.expm1(-rate)), -rate) if binary else y * eta - rate
            out[d] = (
                log_p.sum(-1) + norm.logpdf(grid, 0, PRIOR_SD) + np.log(grid[1] - grid[0]) - np.log(DELAYS)
            )
        return out

    # the constant is not told: the ascent takes the best, as the evidence does here
    best = minimize_scalar(lambda c: -logsumexp(log_joint(c)), bounds=(-4, -1), method="bounded")
    bound = np.nanmax(bounds[0])
    assert -best.fun - 0.15 <= bound <= -best.fun + 1e-3
    exact = log_joint(best.x)
    by_delay = np.exp(logsumexp(exact, axis=1) - logsumexp(exact))
    np.testing.assert_allclose(found.probability[0, 1], by_delay, atol=0.03)
    likeliest = by_delay.argmax()
    odds = np.exp(exact[likeliest] - logsumexp(exact[likeliest]))
    mean = (odds * grid).sum()
    sd = np.sqrt((odds * grid**2).sum() - mean**2)
    assert found.mean[0, 1, likeliest] == pytest.approx(mean, abs=0.1 * sd)
    assert found.sd[0, 1, likeliest] == pytest.approx(sd, rel=0.1)


def test_bins_that_are_not_scored_cannot_matter():
    counts, _, _ = network(3, bins=800)
    scored = np.ones(counts.shape, bool)
    scored[:, 200:300] = False
    found, _ = ascended(counts, scored=scored)
    garbage = np.where(scored, counts, 7.0)
    drive = drive_of(counts, scored)._replace(counts=garbage)
    connected, rest = ~np.eye(5, dtype=bool), np.zeros(counts.shape)
    other, _ = updated(
        flat_delays(connected, DELAYS, prior_sd=PRIOR_SD), drive, rest=rest, log_rest=rest, beta=np.full(5, BETA),
        connected=connected, prior_sd=PRIOR_SD, binary=False,
    )  # fmt: skip
    np.testing.assert_array_equal(found.probability, other.probability)


def test_a_target_that_is_never_seen_keeps_its_prior():
    counts, _, _ = network(4, bins=500)
    scored = np.ones(counts.shape, bool)
    scored[..., 2] = False
    found, _ = ascended(counts, scored=scored)
    np.testing.assert_allclose(found.probability[2], 1.0 / DELAYS)
    np.testing.assert_allclose(found.sd[2], PRIOR_SD)
    assert np.isfinite(found.mean).all()


def test_sets_hold_their_level():
    probability = np.random.default_rng(0).dirichlet(np.full(8, 0.4), 200)
    inclusion, inside = exact_inclusion(probability, level=0.9), credible_set(probability, level=0.9)
    np.testing.assert_allclose((inclusion * probability).sum(-1), 0.9)
    mass = np.where(inside, probability, 0.0).sum(-1)
    assert mass.min() >= 0.9 - 1e-12
    least = np.where(inside, probability, np.inf).min(-1)
    assert (mass - least < 0.9).all(), "no smaller set would do"
    assert (least >= np.where(inside, 0.0, probability).max(-1)).all(), "what is left out is no likelier"


def test_sets_of_delays_drawn_from_the_prior_cover_at_their_level():
    """Weights and delays from their priors, data from them: calibrated, so that exact sets cover as they say."""
    hits, chance = [], []
    for seed in range(5):
        rng = np.random.default_rng(100 + seed)
        units = 6
        weights, delays = rng.normal(0, 0.5, (units, units)), rng.integers(0, DELAYS, (units, units))
        np.fill_diagonal(weights, 0.0)
        counts = np.zeros((2500 + DELAYS, units))
        membrane = np.zeros(units)
        for t in range(DELAYS, len(counts)):
            membrane = BETA * membrane + (weights * counts[t - 1 - delays, np.arange(units)]).sum(1)
            counts[t] = rng.poisson(np.exp(np.minimum(-3.0 + membrane, 1.0)))
        found, _ = ascended(counts[None, DELAYS:], prior_sd=0.5)
        inclusion = exact_inclusion(found.probability, level=0.9)
        off = ~np.eye(units, dtype=bool)
        hits.append(np.take_along_axis(inclusion, delays[..., None], -1)[..., 0][off])
        chance.append(np.take_along_axis(found.probability, delays[..., None], -1)[..., 0][off])
    cover = np.concatenate(hits)
    assert abs(cover.mean() - 0.9) < 3.5 * cover.std() / np.sqrt(cover.size)
    assert np.concatenate(chance).mean() > 1.5 / DELAYS, "the data tell something"
