"""What is read off the posterior of a spiking network: tables of synapses, and draws in the layout of ArviZ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from neurokit_snn.models.posterior import draws_tree
from neurokit_snn.models.spiking.delay_posterior import DelayPosterior, credible_set, exact_inclusion
from neurokit_snn.models.spiking.lifting import LiftedNetwork
from neurokit_snn.models.spiking.membranes import Membranes

__all__ = ["draws_of_layer", "draws_of_network", "synapse_table"]


def synapse_table(
    posterior: DelayPosterior, *, units: np.ndarray, seconds: np.ndarray, level: float
) -> xr.Dataset:
    """Delays and weights of all pairs of units; see `neurokit_snn.models.spiking.bayesian.BayesianSpiking.synapses`.

    Parameters
    ----------
    posterior
        Of the synapses.
    units
        Their labels.
    seconds
        The delays ``(delay,)``.
    level
        Probability of the sets of delays.
    """
    weight, weight_sd = posterior.moments()
    apart = np.where(np.eye(units.size, dtype=bool), np.nan, 1.0)
    by_pair, by_delay = ("target", "source"), ("target", "source", "delay")
    chance = posterior.probability
    return xr.Dataset(
        {
            "probability": (by_delay, chance),
            "in_set": (by_delay, credible_set(chance, level=level), {"level": level}),
            "inclusion": (by_delay, exact_inclusion(chance, level=level), {"level": level}),
            "weight": (by_pair, weight * apart, {"units": "log rate"}),
            "weight_sd": (by_pair, weight_sd * apart, {"units": "log rate"}),
        },
        coords={"target": units, "source": units, "delay": ("delay", seconds, {"units": "s"})},
    )


def draws_of_network(network: LiftedNetwork, theta: Tensor) -> xr.DataTree:
    """Parameters by their dotted names, of draws ``(draw, 1, parameter)``."""
    rows = [network.parameters_of(row) for row in theta[:, 0].unbind(0)]
    values = {name: torch.stack([row[name] for row in rows]).numpy() for name in network.names}
    dims = {name: tuple(f"{name}|{axis}" for axis in range(v.ndim - 1)) for name, v in values.items()}
    return draws_tree({name: (dims[name], v) for name, v in values.items()}, coords={})


def draws_of_layer(
    layer: Membranes,
    theta: Tensor,
    seconds: np.ndarray | None,
    *,
    units: np.ndarray,
    columns: Sequence[str],
    bin_width: float,
) -> xr.DataTree:
    """Draws of one layer of random neurons.

    ``constant (unit)``, ``column_weight (unit, column)``, ``own_weight (unit, own_tau)``, ``tau (unit)`` in seconds, and over all
    pairs of units, as the dim ``synapse`` with coordinates ``target`` and ``source``, ``weight`` and ``delay`` in seconds.

    Parameters
    ----------
    layer
        Of which the draws are.
    theta
        ``(draw, unit, parameter)``.
    seconds
        Delays ``(draw, target, source)``; None where units are not coupled.
    units, columns
        Labels.
    bin_width
        Seconds.
    """
    table, after = theta.double().numpy(), 1 + layer.columns + len(layer.own)
    found: dict[str, tuple[tuple[str, ...], np.ndarray]] = {"constant": (("unit",), table[..., 0])}
    coords: dict[str, Any] = {"unit": units}
    if layer.columns:
        found["column_weight"] = ("unit", "column"), table[..., 1 : 1 + layer.columns]
        coords["column"] = np.array(columns, dtype=object)
    if layer.own:
        found["own_weight"] = ("unit", "own_tau"), table[..., 1 + layer.columns : after]
        coords["own_tau"] = np.array(layer.own) * bin_width
    if seconds is not None:
        target, source = np.nonzero(layer.connected.numpy())
        found["tau"] = ("unit",), (1.0 + np.exp(table[..., after])) * bin_width
        found["weight"] = ("synapse",), table[..., after + 1 :][:, target, source]
        found["delay"] = ("synapse",), seconds[:, target, source]
        coords |= {"synapse": np.arange(target.size)}
        coords |= {"target": ("synapse", units[target]), "source": ("synapse", units[source])}
    return draws_tree(found, coords=coords)
