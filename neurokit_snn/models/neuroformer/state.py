"""A network as datasets and back: sizes as JSON, weights as arrays, nothing pickled."""

from __future__ import annotations

import dataclasses
import json

import torch
import xarray as xr
from torch import Tensor

from neurokit_snn.models.neuroformer.network import Network
from neurokit_snn.models.neuroformer.spec import Dropout, Input, Layers, Output, Spec

__all__ = ["network_state", "spec_from", "spec_state", "weights_from"]


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
    arrays = {name: value.detach().cpu().numpy() for name, value in network.state_dict().items()}
    return xr.Dataset(
        {n: ([f"{n}|{axis}" for axis in range(v.ndim)], v) for n, v in arrays.items()},
        attrs={"spec": spec_state(network.spec)},
    )


def weights_from(stored: xr.Dataset) -> dict[str, Tensor]:
    """The inverse of `network_state`, as torch wants it."""
    return {str(n): torch.tensor(v.values) for n, v in stored.data_vars.items()}
