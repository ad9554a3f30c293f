"""The whole state of a training on disk, so that a killed one goes on to the same answer."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from neurokit_snn import artefact
from neurokit_snn.errors import ModelError
from neurokit_snn.torchloop.history import History

__all__ = ["Checkpoint", "Stored"]

FILE = "state.safetensors"


class Stored(NamedTuple):
    """What a checkpoint holds beside the tensors that are already back in their places."""

    history: History
    best: dict[str, Tensor] | None
    scaler: dict[str, Any]


class Checkpoint:
    """One artefact with weights, moments of the optimiser, best weights and the history.

    Parameters
    ----------
    path
        Folder of the artefact; its name ends in ``.nk``.
    settings
        All that another training would have otherwise: a checkpoint with other settings is refused.
    """

    def __init__(self, path: str | os.PathLike[str], *, settings: Mapping[str, Any]) -> None:
        self.path = Path(path)
        told = json.dumps(settings, sort_keys=True, default=str)
        self.fingerprint = hashlib.sha256(told.encode()).hexdigest()

    def restore(self, module: nn.Module, optimiser: Optimizer) -> Stored | None:
        """Put weights and moments back; None where nothing is stored.

        Raises
        ------
        ArtefactError
            When what stands there is damaged or no checkpoint.
        ModelError
            When it is of another training.
        """
        found = artefact.read_if_there(self.path, kind="checkpoint")
        if found is None:
            return None
        if found.config.get("fingerprint") != self.fingerprint:
            raise ModelError(
                f"{self.path} is the checkpoint of a fit with other data, parameters, schedule or seed; "
                "give another path or remove it"
            )
        tensors = load_file(found.file(FILE))
        found.file(FILE)  # the same file still: what was read is what was checked
        module.load_state_dict(_part(tensors, "weights"))
        _set_moments(optimiser, _part(tensors, "moments"))
        best = {name: value.clone() for name, value in _part(tensors, "best").items()}
        curves = {name: value.numpy().copy() for name, value in _part(tensors, "history").items()}
        terms = dict(zip(found.config["terms"], curves.pop("terms"), strict=True))
        measures = dict(zip(found.config["measures"], curves.pop("measures"), strict=True))
        history = History(terms=terms, measures=measures, seconds=found.config["seconds"], **curves)
        return Stored(history, best or None, found.config["scaler"])

    def write(
        self,
        module: nn.Module,
        optimiser: Optimizer,
        *,
        history: History,
        best: Mapping[str, Tensor] | None,
        scaler: Mapping[str, Any],
    ) -> None:
        """Replace the checkpoint by one of the state as it is."""
        parts = {
            "weights": module.state_dict(),
            "moments": _moments(optimiser),
            "best": best or {},
            "history": _curves(history),
        }
        # Copies: tensors that share their memory, as tied weights do, are refused by safetensors.
        tensors = {
            f"{part}/{name}": value.detach().to("cpu", copy=True).contiguous()
            for part, values in parts.items()
            for name, value in values.items()
        }
        artefact.write(
            self.path,
            kind="checkpoint",
            trees={},
            files={FILE: lambda path: save_file(tensors, path)},
            config={
                "fingerprint": self.fingerprint,
                "steps": len(history.loss),
                "terms": list(history.terms),
                "measures": list(history.measures),
                "seconds": history.seconds,
                "scaler": dict(scaler),
            },
            overwrite=True,
        )


def _part(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(f"{part}/"): value for name, value in tensors.items() if name.startswith(f"{part}/")
    }


def _curves(history: History) -> dict[str, Tensor]:
    """Curves of a history; its terms and measures as one tensor each, whose names are in the manifest."""
    names = ("loss", "learning_rate", "tokens", "validation_step", "validation")
    terms = np.array(list(history.terms.values())).reshape(len(history.terms), len(history.loss))
    measures = np.array(list(history.measures.values())).reshape(
        len(history.measures), len(history.validation)
    )
    curves = {name: getattr(history, name) for name in names} | {"terms": terms, "measures": measures}
    return {name: torch.from_numpy(values) for name, values in curves.items()}


def _moments(optimiser: Optimizer) -> dict[str, Tensor]:
    """State of each parameter under ``NUMBER/NAME``; a parameter that never had a gradient has none."""
    states = optimiser.state_dict()["state"]
    return {f"{number}/{name}": value for number, state in states.items() for name, value in state.items()}


def _set_moments(optimiser: Optimizer, moments: Mapping[str, Tensor]) -> None:
    states: dict[int, dict[str, Tensor]] = {}
    for name, value in moments.items():
        number, _, key = name.partition("/")
        states.setdefault(int(number), {})[key] = value.clone()
    optimiser.load_state_dict({"state": states, "param_groups": optimiser.state_dict()["param_groups"]})
