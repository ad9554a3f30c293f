"""Fitted parameters as a dataset and back."""

from __future__ import annotations

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from neurokit_snn.models.mmgpvae.design import Params
from neurokit_snn.models.mmgpvae.networks import Perceptron

__all__ = ["params_from", "params_state"]


def params_state(params: Params) -> xr.Dataset:
    """Parameters as variables named by their place, ``NAME|PART|INDEX``."""
    flat: dict[str, np.ndarray] = {}
    for name, value in params.items():
        if isinstance(value, Perceptron):
            for part in ("weights", "biases"):
                flat |= {f"{name}|{part}|{i}": np.asarray(x) for i, x in enumerate(getattr(value, part))}
        elif isinstance(value, dict):
            flat |= {f"{name}|{key}": np.asarray(x) for key, x in value.items()}
        else:
            flat[name] = np.asarray(value)
    empty = [name for name, value in params.items() if isinstance(value, dict) and not value]
    return xr.Dataset(
        {k: ([f"{k}.{d}" for d in range(x.ndim)], x) for k, x in flat.items()},
        attrs={"empty": json.dumps(empty)},
    )


def params_from(stored: xr.Dataset) -> Params:
    """The inverse of `params_state`."""
    params: Params = {name: {} for name in json.loads(stored.attrs["empty"])}
    networks: dict[str, dict[str, dict[int, Any]]] = {}
    for key, variable in stored.data_vars.items():
        parts = str(key).split("|")
        value = jnp.asarray(variable.values)
        if len(parts) == 1:
            params[parts[0]] = value
        elif len(parts) == 2:
            params.setdefault(parts[0], {})[parts[1]] = value
        else:
            networks.setdefault(parts[0], {}).setdefault(parts[1], {})[int(parts[2])] = value
    for name, found in networks.items():
        weights = [found["weights"][i] for i in range(len(found["weights"]))]
        biases = [found["biases"][i] for i in range(len(found["biases"]))]
        sizes = [weights[0].shape[0], *(w.shape[1] for w in weights)]
        form = jax.tree.structure(Perceptron(sizes, rng=np.random.default_rng(0)))
        params[name] = jax.tree.unflatten(form, [*weights, *biases])
    return params
