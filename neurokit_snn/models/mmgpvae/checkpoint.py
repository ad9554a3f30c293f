"""The state of a fit on disk, so that a killed one goes on to the same answer."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from neurokit_snn import artefact
from neurokit_snn.errors import ModelError

__all__ = ["Checkpoint", "fingerprint"]

EVERY = 20.0
"""Seconds between two writes."""


class Checkpoint:
    """One artefact that holds the optimiser's state, the number of steps done and the losses.

    Parameters
    ----------
    path
        Folder of the artefact.
    fingerprint
        Of data, model and seed: a checkpoint of another fit is refused.
    """

    def __init__(self, path: Path, *, fingerprint: str) -> None:
        self.path = path
        self.fingerprint = fingerprint
        self._written = time.monotonic()

    def restored(self, state: Any) -> tuple[Any, int, np.ndarray]:
        """The stored state in the form of ``state``, steps done and losses; ``state`` itself where nothing is stored.

        Raises
        ------
        ModelError
            When the checkpoint is of another fit.
        """
        stored = artefact.read_if_there(self.path, kind="checkpoint")
        if stored is None:
            return state, 0, np.zeros(0)
        if stored.config["fingerprint"] != self.fingerprint:
            raise ModelError(
                f"{self.path} is the checkpoint of a fit with other data, parameters or seed; give another path or remove it"
            )
        leaves, form = jax.tree.flatten(state)
        kept = stored.dataset("state")
        found = [_filled(leaf, kept[f"leaf{i}"].values) for i, leaf in enumerate(leaves)]
        return jax.tree.unflatten(form, found), int(stored.config["steps"]), kept["losses"].values

    def keep(self, state: Any, steps: int, losses: np.ndarray, *, last: bool = False) -> None:
        """Write the state where the last write was long enough ago, or where the fit is done."""
        if not last and time.monotonic() - self._written < EVERY:
            return
        variables: dict[str, Any] = {"losses": ("step", losses)}
        for i, leaf in enumerate(jax.tree.leaves(state)):
            values = _plain(leaf)
            variables[f"leaf{i}"] = ([f"leaf{i}_{d}" for d in range(values.ndim)], values)
        config = {"fingerprint": self.fingerprint, "steps": steps}
        artefact.write(
            self.path,
            kind="checkpoint",
            trees={"state": xr.Dataset(variables)},
            config=config,
            overwrite=True,
        )
        self._written = time.monotonic()


def fingerprint(parameters: Mapping[str, Any], data: Any, seed: int) -> str:
    """A number that differs for other hyperparameters, data or seed."""
    found = hashlib.sha256(json.dumps({**parameters, "seed": seed}, sort_keys=True, default=str).encode())
    for leaf in jax.tree.leaves(data):
        found.update(np.ascontiguousarray(leaf).tobytes())
    return found.hexdigest()


def _plain(leaf: Any) -> np.ndarray:
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return np.asarray(jax.random.key_data(leaf))
    return np.asarray(leaf)


def _filled(leaf: Any, values: np.ndarray) -> Any:
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(jnp.asarray(values, jnp.uint32))
    like = jnp.asarray(leaf)
    return jnp.asarray(values, like.dtype).reshape(like.shape)
