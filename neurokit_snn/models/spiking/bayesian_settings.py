"""Hyperparameters of `BayesianSpiking` as what is built: priors of one layer, guides; and what no fit can follow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
import torch

from neurokit_snn.errors import ModelError
from neurokit_snn.models.spiking.guides import Guide, GuideName
from neurokit_snn.models.spiking.lifting import LiftedNetwork
from neurokit_snn.models.spiking.likelihoods import log_means
from neurokit_snn.models.spiking.membranes import Membranes, Priors
from neurokit_snn.models.spiking.network import Sizes
from neurokit_snn.models.spiking.settings import check_whole

__all__ = ["LAYER_PRIORS", "check_parameters", "guide_of", "layer_of"]

LAYER_PRIORS = {
    "constant": "constant_sd",
    "column": "column_sd",
    "own": "own_sd",
    "weight": "weight_sd",
    "tau": "tau_spread",
}
"""Standard deviations of `Priors` by the names that users give them."""


def check_parameters(parameters: Mapping[str, Any], bin_width: float, *, who: str) -> None:
    """Refuse hyperparameters that no fit can follow, before any of it is done.

    Raises
    ------
    ModelError
        At the first of them, naming it.
    """
    check_whole(parameters, ("steps", "gradient_draws", "start_steps", "rank"), who=who)
    if parameters["batch_size"] is not None:
        check_whole(parameters, ("batch_size",), who=who)
    if parameters["guide"] not in get_args(GuideName):
        raise ModelError(
            f"{who}: guide is {parameters['guide']!r}; choose {' or '.join(get_args(GuideName))}"
        )
    rate = parameters["learning_rate"]
    if not (isinstance(rate, int | float) and 0 < rate < np.inf):
        raise ModelError(f"{who}: learning_rate is {rate!r}; give a number above 0")
    if parameters["hidden"] or parameters["network"] is not None:
        return
    for name, value in (parameters["priors"] or {}).items():
        if name not in LAYER_PRIORS:
            raise ModelError(
                f"{who}: priors names {name!r}; with hidden=() there are {', '.join(LAYER_PRIORS)}"
            )
        if not (isinstance(value, int | float) and 0 < value < np.inf):
            raise ModelError(f"{who}: priors: {name!r} is {value!r}; give a standard deviation above 0")
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
    tau = max(parameters["tau_readout"] / bin_width, 1.001)
    return Membranes(
        columns=sizes.columns,
        units=count_mean.size,
        own=sizes.own,
        coupling=sizes.coupling,
        delays=max(1, int(np.floor(parameters["delays"] / bin_width + 1e-6))),
        priors=Priors(constant=tuple(log_means(count_mean).tolist()), tau=tau, **given),
    )


def guide_of(predictor: Membranes | LiftedNetwork, *, kind: GuideName, rank: int, seed: int) -> Guide:
    """An untrained guide of a predictor's parameters; a network's begins at the weights that it has."""
    by_delay = {}
    if isinstance(predictor, Membranes):
        by_delay = {"synapses": predictor.synapses, "delays": predictor.delays}
    made = Guide(predictor.mean, predictor.sd, kind=kind, rank=rank, seed=seed, **by_delay)
    if isinstance(predictor, LiftedNetwork):
        with torch.no_grad():
            made.loc.copy_(predictor.start)
    return made
