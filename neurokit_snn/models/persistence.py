"""Models to artefacts and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from neurokit_snn import artefact
from neurokit_snn.errors import ModelError
from neurokit_snn.models.registry import MODELS, model_class

if TYPE_CHECKING:
    from neurokit_snn.models.base import AbstractModel

__all__ = ["load_model", "save_model"]


def save_model(model: AbstractModel, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a fitted model: hyperparameters as JSON, everything learned as netCDF.

    Raises
    ------
    ModelError
        When the class is not in the table of models.
    ArtefactError
        When the path is taken, or a hyperparameter is of a type that manifests do not hold.
    """
    name = type(model).__name__
    if name not in MODELS:
        raise ModelError(
            f"{name} is not in models.registry.MODELS and could not be loaded again; add it there"
        )
    config = {
        "class": name,
        "parameters": model.get_params(deep=False),
        "bin_width": model.bin_width_,
    }
    trees = {f"state_{key}": value for key, value in model._state().items()}
    trees["units"] = xr.Dataset(coords={"unit": ("unit", model.units_)})
    return artefact.write(
        path, kind="model", trees=trees, config=config, seed=model.seed_, overwrite=overwrite
    )


def load_model(path: str | Path) -> AbstractModel:
    """Read a model that `save_model` wrote.

    Raises
    ------
    ArtefactError
        When the folder is damaged or of another kind.
    ModelError
        When its class is not in the table of models.
    """
    stored = artefact.read(path, kind="model")
    config = stored.config
    model = model_class(config["class"])(**config["parameters"])
    model.units_ = np.asarray(stored.dataset("units")["unit"].values)
    model.bin_width_ = float(config["bin_width"])
    model.seed_ = int(stored.manifest["seed"])
    names = [n.removesuffix(".nc") for n in stored.manifest["files"] if n.startswith("state_")]
    model._set_state({n.removeprefix("state_"): stored.dataset(n) for n in names})
    return model
