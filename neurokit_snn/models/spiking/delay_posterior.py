"""The posterior of delays: a probability for each of the whole delays that a synapse may have, and its weight given each.

Delays are neither relaxed nor sampled. A gradient through a rounded or softened delay is biased, and the score-function gradient
of a categorical one has a variance that grows with the length of the recording. Here each synapse's delays are enumerated: given
what is known of all else, the bound at every one of its delays is computed exactly, and probabilities are set to their best in
closed form (`single_effects`). Sweeps over synapses never lower the bound. As weight and delay of a synapse move together, no
synapse has to cross a valley to change its delay, which is where gradients on delays get stuck: from the truth, or in another
order of sources, the sweeps arrive at the same probabilities (``tests/models/test_spiking_delay_posterior.py``).
"""

from __future__ import annotations

import concurrent.futures
from typing import NamedTuple

import numpy as np
import torch

from neurokit_snn.errors import ModelError
from neurokit_snn.models.spiking.single_effects import ascend

__all__ = ["DelayPosterior", "Drive", "credible_set", "exact_inclusion", "flat_delays", "updated"]

SWEEPS = 60
TOLERANCE = 1e-3
"""Largest change of a probability in the last sweep."""


class DelayPosterior(NamedTuple):
    """Probability of each delay and mean and standard deviation of the weight given it, ``(target, source, delay)``."""

    probability: np.ndarray
    mean: np.ndarray
    sd: np.ndarray

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the weights ``(target, source)``, delays averaged."""
        mean = (self.probability * self.mean).sum(-1)
        square = (self.probability * (self.sd**2 + self.mean**2)).sum(-1)
        return mean, np.sqrt(np.maximum(square - mean**2, 0.0))


class Drive(NamedTuple):
    """What the synapses are learned from, as arrays over the whole of a recording.

    ``counts (trial, time, target)``, ``scored`` of the same shape, and ``past (trial, time, source)``: counts of the bin before,
    ``usual (source,)`` where they are unknown; ``usual`` are the mean counts of training.
    """

    counts: np.ndarray
    scored: np.ndarray
    past: np.ndarray
    usual: np.ndarray


def flat_delays(connected: np.ndarray, delays: int, *, prior_sd: float) -> DelayPosterior:
    """Where sweeps may begin: all delays alike, and weights so near 0 that expected rates are tame.

    Pairs that are not connected are as in the prior.

    Parameters
    ----------
    connected
        ``(target, source)``.
    delays
        How many.
    prior_sd
        Of weights.
    """
    shape = (*connected.shape, delays)
    sd = np.where(connected, 0.1, 1.0)[..., None] * prior_sd
    return DelayPosterior(np.full(shape, 1.0 / delays), np.zeros(shape), np.broadcast_to(sd, shape).copy())


def updated(
    before: DelayPosterior,
    drive: Drive,
    *,
    rest: np.ndarray,
    log_rest: np.ndarray,
    beta: np.ndarray,
    connected: np.ndarray,
    prior_sd: float,
    binary: bool,
) -> tuple[DelayPosterior, np.ndarray]:
    """Sweeps of coordinate ascent over all synapses until their probabilities stay.

    Parameters
    ----------
    before
        Where to begin.
    drive
        Spikes.
    rest, log_rest
        Mean of what else the log rate is made of, and log of the mean of its exponential, ``(trial, time, target)``.
    beta
        Leak of each target's membrane, ``(target,)``, below 1.
    connected
        ``(target, source)``; other pairs stay at their prior.
    prior_sd
        Of weights.
    binary
        Whether bins hold at most one spike, of probability ``1 - exp(-expected)``.

    Returns
    -------
    posterior
    bound : ndarray, (target, sweep)
        Bound of each target before each sweep and after the last, nats, up to what does not depend on the synapses; NaN after.

    Raises
    ------
    ModelError
        When the probabilities of a target do not stay finite.

    Notes
    -----
    Targets share nothing, so that they are computed side by side, on as many threads as torch has.
    """
    n_targets, _, n_delays = before.probability.shape
    found = DelayPosterior(*(np.array(part, dtype=np.float64) for part in before))
    past = _rows(drive.past, n_delays, drive.usual)
    fresh = np.zeros((*drive.past.shape[:2], 1), dtype=bool)
    fresh = _rows(fresh, n_delays, np.zeros(1, bool))[0]
    fresh[:: drive.past.shape[1] + n_delays] = True
    bounds = np.empty((n_targets, SWEEPS + 1))
    log_prior = np.full(n_delays, -np.log(n_delays))

    def one(target: int) -> None:
        if not drive.scored[..., target].any():  # never observed: it stays at the prior
            found.mean[target], found.sd[target] = 0.0, prior_sd
            bounds[target] = 0.0
            return

        def row(values: np.ndarray) -> np.ndarray:
            return _rows(values[..., target, None], n_delays, np.zeros(1, values.dtype))[0]

        ascend(
            row(np.asarray(drive.counts, np.float64)), row(drive.scored), past, fresh, connected[target],
            row(np.asarray(rest, np.float64)), row(np.asarray(log_rest, np.float64)), float(beta[target]),
            np.asarray(drive.usual, np.float64), float(prior_sd), log_prior, binary, SWEEPS, TOLERANCE,
            found.probability[target], found.mean[target], found.sd[target], bounds[target],
        )  # fmt: skip

    with concurrent.futures.ThreadPoolExecutor(max_workers=torch.get_num_threads()) as pool:
        list(pool.map(one, range(n_targets)))
    bad = ~np.isfinite(found.probability).all((1, 2))
    if bad.any():
        raise ModelError(
            f"delays: the coordinate ascent of target {int(bad.argmax())} does not stay finite; look for extreme counts, or "
            "give priors={'weight': ...} a smaller standard deviation"
        )
    return found, bounds


def _rows(values: np.ndarray, before: int, filling: np.ndarray) -> np.ndarray:
    """Trials one after another, each behind so many bins of ``filling``: ``(trial, time, x)`` as ``(x, row)``."""
    pad = np.broadcast_to(filling, (values.shape[0], before, values.shape[2]))
    joined = np.concatenate([pad, values], 1)
    return np.ascontiguousarray(joined.reshape(-1, values.shape[2]).T)


def credible_set(probability: np.ndarray, *, level: float = 0.9) -> np.ndarray:
    """The smallest set of delays that holds at least so much probability.

    Parameters
    ----------
    probability
        ``(..., delay)``.
    level
        Its least probability.

    Returns
    -------
    ndarray of bool, (..., delay)

    Notes
    -----
    Delays come in lumps, so that a set holds more than its level, and covers more often: by how much, its own probability says.
    `exact_inclusion` has sets of exactly that level.

    Examples
    --------
    >>> credible_set(np.array([0.05, 0.6, 0.35])).tolist()
    [False, True, True]
    """
    return exact_inclusion(probability, level=level) > 0.0


def exact_inclusion(probability: np.ndarray, *, level: float = 0.9) -> np.ndarray:
    """Chance that each delay is in a set of exactly so much probability: likelier delays are in it, the last one by lot.

    Averaged over synapses at their true delays it is the coverage, and equals the level where the posterior is calibrated.

    Parameters
    ----------
    probability
        ``(..., delay)``.
    level
        Probability of the set.

    Examples
    --------
    >>> exact_inclusion(np.array([0.05, 0.6, 0.35])).round(3).tolist()
    [0.0, 1.0, 0.857]
    """
    order = np.argsort(-probability, axis=-1, kind="stable")
    ranked = np.take_along_axis(probability, order, -1)
    likelier = np.cumsum(ranked, -1) - ranked
    share = np.clip((level - likelier) / np.maximum(ranked, 1e-300), 0.0, 1.0)

    found = np.empty_like(share)
    np.put_along_axis(found, order, share, -1)
    return found
