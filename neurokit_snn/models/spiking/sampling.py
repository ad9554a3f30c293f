"""Spikes that a network makes when nothing but its covariates is given: each bin feels the spikes drawn before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurokit_snn.models.spiking.likelihoods import LOG_RATE_LIMIT

__all__ = ["free_run"]


@torch.inference_mode()
def free_run(
    network: Callable[[Tensor, Any], tuple[Tensor, Any]],
    columns: np.ndarray,
    *,
    mean: np.ndarray,
    limit: np.ndarray,
    binary: bool,
    draws: int,
    run_in: int,
    length: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Simulate bin by bin, the state of the network handed on.

    Where a stretch of the forecast would begin, the state is that of a network which has seen only its run-in, so that both
    give the same rates after the same spikes.

    Parameters
    ----------
    network
        From inputs ``(time, batch, feature)`` and a state to log rates and a state; it reads past spikes.
    columns
        Covariates ``(trial, time, column)``.
    mean
        Of the counts of each unit in training, what its past is relative to, ``(unit,)``.
    limit
        Most expected spikes in a bin, ``(unit,)``: excitation that feeds on itself would otherwise run away.
    binary
        Whether a bin holds one spike at most.
    draws
        Simulations.
    run_in, length
        Of a stretch, bins.
    rng
        Source of the spikes.

    Returns
    -------
    expected, counts : ndarray, (draw, trial, time, unit)
        Expected counts (of binary bins: the probability of a spike) along the simulated paths, and their spikes.
    """
    n_trials, n_time, _ = columns.shape
    shape = (n_time, draws * n_trials, mean.size)
    given = torch.from_numpy(np.tile(columns.swapaxes(0, 1).astype(np.float32), (1, draws, 1)))
    centre = torch.from_numpy(mean.astype(np.float32))
    past = torch.zeros(shape)  # relative to the mean, of the bin before
    expected, counts = np.empty(shape), np.empty(shape, dtype=np.int32)
    state: Any = None
    for t in range(n_time):
        if t % length == 0:
            first = max(0, t - run_in)
            state = None
            if first < t:
                _, state = network(torch.cat([given[first:t], past[first:t]], -1), None)
        log_rate, state = network(torch.cat([given[t : t + 1], past[t : t + 1]], -1), state)
        rate = np.minimum(_expected(log_rate[0]), limit)
        expected[t] = -np.expm1(-rate) if binary else rate
        counts[t] = rng.random(rate.shape) < expected[t] if binary else rng.poisson(rate)
        if t + 1 < n_time:
            past[t + 1] = torch.from_numpy(counts[t]) - centre
    split = (n_time, draws, n_trials, mean.size)
    order = (1, 2, 0, 3)
    return expected.reshape(split).transpose(order), counts.reshape(split).transpose(order)


def _expected(log_rate: Tensor) -> np.ndarray:
    return np.asarray(np.exp(np.minimum(log_rate.double().numpy(), LOG_RATE_LIMIT)))
