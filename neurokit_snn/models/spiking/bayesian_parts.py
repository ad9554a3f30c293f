"""What `BayesianSpiking` is put together from: hyperparameters as priors and guides, draws, and rates under them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurokit_snn.errors import ModelError
from neurokit_snn.models.spiking.guides import Guide, GuideName
from neurokit_snn.models.spiking.lifting import LiftedNetwork
from neurokit_snn.models.spiking.membranes import Membranes, Priors
from neurokit_snn.models.spiking.network import Sizes
from neurokit_snn.models.spiking.stretches import Batch, Source

__all__ = ["LAYER_PRIORS", "check_parameters", "drawn", "every_batch", "guide_of", "layer_of", "log_rates"]

LEAST_MEAN = 1e-4
"""Spikes of a bin that a unit is taken to have at least, so that its log rate is a number."""
TOGETHER = 1 << 21
"""Log rates that one call computes where nothing is learned: draws x bins x units."""
LAYER_PRIORS = {
    "constant": "constant_sd",
    "column": "column_sd",
    "own": "own_sd",
    "weight": "weight_sd",
    "tau": "tau_spread",
}
"""Standard deviations of `Priors` by the names that users give them."""


def check_parameters(parameters: Mapping[str, Any], bin_width: float, *, who: str) -> None:
    """Refuse hyperparameters that no fit can follow.

    Raises
    ------
    ModelError
        At the first of them, naming it.
    """
    for name in ("steps", "gradient_draws", "start_steps"):
        if not parameters[name] >= 1:
            raise ModelError(f"{who}: {name} is {parameters[name]!r}; give at least 1")
    if parameters["batch_size"] is not None and not parameters["batch_size"] >= 1:
        raise ModelError(f"{who}: batch_size is {parameters['batch_size']!r}; give at least 1, or None")
    if parameters["hidden"] or parameters["network"] is not None:
        return
    for name, value in (parameters["priors"] or {}).items():
        if name not in LAYER_PRIORS:
            raise ModelError(
                f"{who}: priors names {name!r}; with hidden=() there are {', '.join(LAYER_PRIORS)}"
            )
        if not (np.isfinite(value) and value > 0):
            raise ModelError(f"{who}: priors: {name!r} is {value}; give a standard deviation above 0")
    tau = parameters["tau_readout"]
    if parameters["coupling"] and not tau > bin_width:
        raise ModelError(
            f"{who}: tau_readout is {tau} s, and a bin {bin_width} s; the prior median of membranes that are learned has to "
            "be longer than a bin"
        )


def layer_of(
    parameters: Mapping[str, Any], sizes: Sizes, count_mean: np.ndarray, bin_width: float
) -> Membranes:
    """One layer of random neurons with the priors that hyperparameters describe.

    Parameters
    ----------
    parameters
        ``delays`` and ``tau_readout`` in seconds, ``priors``.
    sizes
        Of its inputs.
    count_mean
        Mean count of a bin of each unit.
    bin_width
        Seconds.
    """
    given = {LAYER_PRIORS[name]: float(value) for name, value in (parameters["priors"] or {}).items()}
    constant = tuple(np.log(np.maximum(count_mean, LEAST_MEAN)).tolist())
    return Membranes(
        columns=sizes.columns,
        units=count_mean.size,
        own=sizes.own,
        coupling=sizes.coupling,
        delays=max(1, int(np.floor(parameters["delays"] / bin_width + 1e-6))),
        priors=Priors(constant=constant, tau=max(parameters["tau_readout"] / bin_width, 1.001), **given),
    )


def guide_of(predictor: Membranes | LiftedNetwork, *, kind: GuideName, rank: int, seed: int) -> Guide:
    """An untrained guide of a predictor's parameters."""
    by_delay = {}
    if isinstance(predictor, Membranes):
        by_delay = {"synapses": predictor.synapses, "delays": predictor.delays}
    return Guide(predictor.mean, predictor.sd, kind=kind, rank=rank, seed=seed, **by_delay)


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
    units = source.target.shape[-1]
    out = np.empty((*source.x.shape[:2], theta.shape[0], units))
    every = source.stretches()
    size = max(1, TOGETHER // ((source.run_in + source.length) * theta.shape[0] * units))
    for first in range(0, len(every), size):
        some = every.take(slice(first, first + size))
        found = predictor.log_rate(theta, source.batch(some).x, delays=delays)
        source.put(some, found.permute(1, 2, 0, 3), out)
    return out.transpose(2, 0, 1, 3)


def every_batch(source: Source) -> Iterator[Batch]:
    """All that is scored, a part at a time."""
    every = source.told()
    size = max(1, TOGETHER // ((source.run_in + source.length) * source.target.shape[-1]))
    for first in range(0, len(every), size):
        yield source.batch(every.take(slice(first, first + size)))
