"""Losses of what a network gives out: negative log-likelihoods in nats, up to constants, summed over what is scored."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from neurokit_snn.models.modalities import Kind

__all__ = [
    "BEHAVIOR_NATS",
    "COUNT_NATS",
    "LOG_RATE_LIMIT",
    "Nats",
    "bernoulli",
    "categorical",
    "circular",
    "gaussian",
    "log_means",
    "poisson",
]

Nats = Callable[[Tensor, Tensor, Tensor], Tensor]
"""``nats(outputs, target, weight)``, all ``(time, batch, ...)``: a scalar that adds up over steps, trials and outputs."""

LOG_RATE_LIMIT = 8.0
"""Log expected counts of a bin are cut off here before they are exponentiated: 3000 spikes in a bin."""

SUREST = 1.0 - 1e-6
"""Highest probability of a spike in a bin, so that a bin without one is not impossible."""

LOG_SD_LIMIT = 7.0
"""Log standard deviations, in those of the training data, are held between plus and minus this."""


LEAST_MEAN = 1e-4
"""Spikes of a bin that a unit is taken to have at least, so that its log rate is a number."""


def log_means(count_mean: np.ndarray) -> np.ndarray:
    """Logarithms of the mean counts of a bin ``(unit,)``, of units without a spike too."""
    return np.asarray(np.log(np.maximum(count_mean, LEAST_MEAN)))


def poisson(log_rate: Tensor, counts: Tensor, weight: Tensor) -> Tensor:
    """Counts of a bin given the log of their expectation."""
    eta = log_rate.clamp(max=LOG_RATE_LIMIT)
    return (weight * (eta.exp() - counts * eta)).sum()


def bernoulli(log_rate: Tensor, counts: Tensor, weight: Tensor) -> Tensor:
    """Bins of at most one spike, with ``p = 1 - exp(-exp(log_rate))``: those in which a Poisson process has any."""
    rate = log_rate.clamp(max=LOG_RATE_LIMIT).exp()
    # log(1 - exp(-rate)), without its gradient becoming 0/0 for small rates
    spike = torch.where(rate < 1e-4, log_rate - 0.5 * rate, torch.log(-torch.expm1(-rate.clamp(min=1e-4))))
    return (weight * torch.where(counts > 0, -spike, rate)).sum()


def gaussian(outputs: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Standardised numbers, of outputs ``(time, batch, 2 feature)``: means, then log standard deviations."""
    mean, log_sd = outputs.chunk(2, -1)
    log_sd = log_sd.clamp(-LOG_SD_LIMIT, LOG_SD_LIMIT)
    return (weight * (0.5 * ((target - mean) * torch.exp(-log_sd)).square() + log_sd)).sum()


def circular(outputs: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Cosine and sine of an angle, of the natural parameter of a von Mises distribution ``(time, batch, 2)``."""
    length = outputs.square().sum(-1).add(1e-12).sqrt()
    log_norm = torch.log(torch.special.i0e(length)) + length
    return (weight[..., 0] * (log_norm - (target * outputs).sum(-1))).sum()


def categorical(outputs: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """One of so many, of log odds ``(time, batch, category)``."""
    return (weight[..., 0] * -(target * F.log_softmax(outputs, -1)).sum(-1)).sum()


COUNT_NATS: dict[str, Nats] = {"poisson": poisson, "bernoulli": bernoulli}
BEHAVIOR_NATS: dict[Kind, Nats] = {
    "gaussian": gaussian,
    "circular": circular,
    "categorical": categorical,
}
