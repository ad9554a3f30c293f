"""Spikes that one layer of random neurons makes on its own: each bin feels the spikes drawn before it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from neurokit_snn.models.spiking.likelihoods import LOG_RATE_LIMIT
from neurokit_snn.models.spiking.membranes import Membranes

__all__ = ["free_membranes"]


@torch.inference_mode()
def free_membranes(
    layer: Membranes,
    theta: Tensor,
    delays: Tensor | None,
    columns: np.ndarray,
    *,
    mean: np.ndarray,
    limit: np.ndarray,
    binary: bool,
    run_in: int,
    length: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Simulate bin by bin, all draws and trials at once.

    As in the forecast, a stretch begins with membranes that have seen only its run-in, so that both give the same rates after the
    same spikes.

    Parameters
    ----------
    layer
        That reads past spikes.
    theta, delays
        ``(draw, unit, parameter)``; ``(draw, target, source)`` or None.
    columns
        Covariates ``(trial, time, column)``.
    mean
        Of the counts of each unit in training, ``(unit,)``.
    limit
        Most expected spikes in a bin, ``(unit,)``: excitation that feeds on itself would otherwise run away.
    binary
        Whether a bin holds one spike at most.
    run_in, length
        Of a stretch, bins.
    rng
        Source of the spikes.

    Returns
    -------
    expected, counts : ndarray, (draw, trial, time, unit)
        Expected counts (of binary bins: the probability of a spike) along the simulated paths, and their spikes.
    """
    draws, units = theta.shape[:2]
    n_trials, n_time = columns.shape[:2]
    given = torch.from_numpy(np.ascontiguousarray(columns.swapaxes(0, 1))).to(theta.dtype)
    silent = torch.zeros(n_time, n_trials, units, dtype=theta.dtype)
    past_free = _without_own(layer, theta)
    tuned = layer.rest(past_free, torch.cat([given, silent], -1)).numpy()  # (draw, time, trial, unit)
    walk = _Walk(layer, theta, delays, n_trials)
    shape = (draws, n_trials, n_time, units)
    past = np.zeros((n_time, draws, n_trials, units), dtype=np.float32)
    expected, counts = np.empty(shape), np.empty(shape, dtype=np.int32)
    for t in range(n_time):
        if t % length == 0:
            first = max(0, t - run_in)
            walk.rest()
            for before in range(first, t):
                walk.step(past, before, first)
        walk.step(past, t, first)
        log_rate = tuned[:, t] + walk.drive()
        rate = np.minimum(np.exp(np.minimum(log_rate, LOG_RATE_LIMIT)), limit)
        expected[:, :, t] = -np.expm1(-rate) if binary else rate
        now = rng.random(rate.shape) < expected[:, :, t] if binary else rng.poisson(rate)
        counts[:, :, t] = now
        if t + 1 < n_time:
            past[t + 1] = now - mean
    return expected, counts


def _without_own(layer: Membranes, theta: Tensor) -> Tensor:
    """Parameters with the weights of past spikes, the own ones too, at 0."""
    found = theta.clone()
    found[..., 1 + layer.columns : 1 + layer.columns + len(layer.own)] = 0.0
    return found


class _Walk:
    """Own filters ``(draw, trial, unit, filter)`` and membranes ``(draw, trial, unit)``, a bin at a time."""

    def __init__(self, layer: Membranes, theta: Tensor, delays: Tensor | None, n_trials: int) -> None:
        values = theta.numpy()
        draws, units = values.shape[:2]
        self.coupling = layer.coupling
        self.leak_own = (1.0 - 1.0 / np.array(layer.own, dtype=np.float32)) if layer.own else np.zeros(0)
        first = 1 + layer.columns
        self.own_weight = values[:, None, :, first : first + len(layer.own)]
        self.own = np.zeros((draws, n_trials, units, len(layer.own)), dtype=np.float32)
        self.membrane = np.zeros((draws, n_trials, units), dtype=np.float32)
        if layer.coupling:
            connected = layer.connected.numpy()
            self.weight = (values[..., -layer.synapses :] * connected)[:, None]  # (draw, 1, target, source)
            self.leak = torch.sigmoid(theta[..., -layer.synapses - 1]).numpy()[:, None]
            lag = torch.zeros(draws, units, units, dtype=torch.long) if delays is None else delays
            self.lag = lag.numpy()[:, None]
            self.draw = np.arange(draws)[:, None, None, None]
            self.trial = np.arange(n_trials)[:, None, None]
            self.source = np.arange(units)

    def rest(self) -> None:
        """Forget everything."""
        self.own[:] = 0.0
        self.membrane[:] = 0.0

    def step(self, past: np.ndarray, t: int, first: int) -> None:
        """Take in ``past (time, draw, trial, unit)`` of bin t, of which nothing before bin ``first`` is felt."""
        self.own = self.leak_own * self.own + past[t][..., None]
        if self.coupling:
            at = t - self.lag
            felt = past[np.maximum(at, 0), self.draw, self.trial, self.source]
            current = np.einsum("...ij,...ij->...i", self.weight, np.where(at >= first, felt, 0.0))
            self.membrane = self.leak * self.membrane + current

    def drive(self) -> np.ndarray:
        """What past spikes add to the log rates, ``(draw, trial, unit)``."""
        return np.asarray((self.own * self.own_weight).sum(-1) + self.membrane)
