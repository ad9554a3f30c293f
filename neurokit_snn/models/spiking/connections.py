"""Delays and couplings of a fitted network as arrays with the labels of units."""

from __future__ import annotations

import numpy as np
import xarray as xr
from torch import nn

from neurokit_snn.errors import ModelError
from neurokit_snn.models.spiking.network import RateNetwork, Synapses
from neurokit_snn.snn.delays.layer import Delays
from neurokit_snn.snn.network import Network

__all__ = ["couplings_between", "delays_between"]


def delays_between(
    network: RateNetwork, *, target: np.ndarray, source: np.ndarray, bin_width: float
) -> xr.DataArray:
    """Delays of the synapses from past spikes, seconds, ``(target, source)``, as predictions use them: whole bins.

    Parameters
    ----------
    network
        Fitted.
    target, source
        Labels.
    bin_width
        Seconds.

    Raises
    ------
    ModelError
        When there are no such synapses.
    """
    first = _first(network)
    layer = first.past if isinstance(first, Synapses) else first
    if not isinstance(layer, Delays):
        raise ModelError("SpikingEncoder: no delays were learned; fit with delays > 0 and coupling=True")
    steps = layer.delays[0].round().double().numpy() + 1.0  # past spikes come a bin late
    return _labelled(steps * bin_width, target, source, name="delay", units="s")


def couplings_between(network: RateNetwork, *, units: np.ndarray) -> xr.DataArray:
    """Weights between units of a network without hidden layers, ``(target, source)``, NaN on the diagonal.

    Parameters
    ----------
    network
        Fitted.
    units
        Labels.

    Raises
    ------
    ModelError
        When there are hidden layers, a network of the user's own, or no past is read.
    """
    first = _first(network)
    if network.sizes.hidden or not isinstance(first, nn.Linear | Delays):
        raise ModelError(
            "SpikingEncoder: only units coupled without hidden layers have couplings; fit with hidden=() and coupling=True"
        )
    weight = first.weight.detach().double().numpy().reshape(-1, units.size, units.size)[0].copy()
    np.fill_diagonal(weight, np.nan)
    return _labelled(weight, units, units, name="coupling", units="log rate x bins")


def _first(network: RateNetwork) -> nn.Module | None:
    """The layer that past spikes come to, of a network that is not the user's own."""
    inner = network.network
    return inner.layers[0] if isinstance(inner, Network) and not network.own_builder else None


def _labelled(
    values: np.ndarray, target: np.ndarray, source: np.ndarray, *, name: str, units: str
) -> xr.DataArray:
    coords = {"target": target, "source": source}
    return xr.DataArray(values, dims=("target", "source"), coords=coords, name=name, attrs={"units": units})
