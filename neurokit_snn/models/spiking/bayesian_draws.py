"""Draws from the posterior of a spiking network, and what it predicts under them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurokit_snn.models.spiking.free_membranes import free_membranes
from neurokit_snn.models.spiking.guides import Guide
from neurokit_snn.models.spiking.lifting import LiftedNetwork
from neurokit_snn.models.spiking.membranes import Membranes
from neurokit_snn.models.spiking.sampling import free_run
from neurokit_snn.models.spiking.stretches import Source

__all__ = ["drawn", "free_paths", "log_rates"]

PATHS = 10
"""Draws of a deeper network's parameters from which free runs start; runs of more draws share them."""


def drawn(
    guide: Guide, probability: np.ndarray | None, draws: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor | None]:
    """Parameters ``(draw, row, parameter)`` and numbers of delays ``(draw, target, source)`` from the posterior.

    Parameters
    ----------
    guide
        Of the parameters.
    probability
        Of delays ``(target, source, delay)``; None where there is no choice.
    draws
        How many.
    rng
        Source of the numbers.
    """
    delays = None
    if probability is not None:
        ladder = probability.cumsum(-1)
        at = rng.random((draws, *ladder.shape[:-1], 1)) * ladder[..., -1:]
        delays = torch.from_numpy((at > ladder).sum(-1))
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(int(rng.integers(2**62)))
        given = guide.distribution(delays)
        return (given.sample() if delays is not None else given.sample((draws,))), delays


@torch.inference_mode()
def log_rates(
    predictor: Membranes | LiftedNetwork, source: Source, theta: Tensor, delays: Tensor | None
) -> np.ndarray:
    """Log expected counts ``(draw, trial, time, unit)`` of every bin after its run-in, float64."""
    draws, units = theta.shape[0], source.target.shape[-1]
    out = np.empty((*source.x.shape[:2], draws, units))
    for some in source.split(source.stretches(), width=draws * units):
        found = predictor.log_rate(theta, source.batch(some).x, delays=delays)
        source.put(some, found.permute(1, 2, 0, 3), out)
    return out.transpose(2, 0, 1, 3)


def free_paths(
    predictor: Membranes | LiftedNetwork,
    theta: Tensor,
    delays: Tensor | None,
    columns: np.ndarray,
    **run: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """Simulate bin by bin under each draw, or, of a deeper network, under `PATHS` of them.

    Parameters
    ----------
    predictor
        Of the log rates.
    theta, delays
        ``(draw, row, parameter)``; ``(draw, target, source)`` or None.
    columns
        Covariates ``(trial, time, column)``.
    **run
        ``mean``, ``limit``, ``binary``, ``run_in``, ``length``, ``rng``, as in `free_run`.

    Returns
    -------
    expected, counts : ndarray, (draw, trial, time, unit)
    """
    if isinstance(predictor, Membranes):
        return free_membranes(predictor, theta, delays, columns, **run)
    shares = np.array_split(np.arange(len(theta)), min(len(theta), PATHS))
    parts = [free_run(predictor.given(theta[rows[0], 0]), columns, draws=rows.size, **run) for rows in shares]
    expected, counts = (np.concatenate(part) for part in zip(*parts, strict=True))
    return expected, counts
