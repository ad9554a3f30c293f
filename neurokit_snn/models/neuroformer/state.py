"""A network as datasets and back: sizes as JSON, weights as arrays, nothing pickled."""

from __future__ import annotations

import dataclasses
import json

import xarray as xr

from neurokit_snn.models.module_state import module_state
from neurokit_snn.models.neuroformer.network import Network
from neurokit_snn.models.neuroformer.spec import Dropout, Input, Layers, Output, Spec

__all__ = ["network_state", "spec_from", "spec_state"]


def spec_state(spec: Spec) -> str:
    """Sizes as JSON."""
    return json.dumps(dataclasses.asdict(spec))


def spec_from(text: str) -> Spec:
    """The inverse of `spec_state`."""
    found = json.loads(text)
    return Spec(
        **{
            **found,
            "layers": Layers(**found["layers"]),
            "dropout": Dropout(**found["dropout"]),
            "kernel": tuple(found["kernel"]),
            "inputs": tuple(Input(**{**i, "shape": tuple(i["shape"])}) for i in found["inputs"]),
            "outputs": tuple(Output(**o) for o in found["outputs"]),
        }
    )


def network_state(network: Network) -> xr.Dataset:
    """Weights as variables of the names that torch gives them."""
    return module_state(network, spec=spec_state(network.spec))
