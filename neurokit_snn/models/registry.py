"""The models that can be loaded by name: nothing outside this table is ever imported from a file."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from neurokit_snn.errors import ModelError

if TYPE_CHECKING:
    from neurokit_snn.models.base import AbstractModel

__all__ = ["MODELS", "model_class"]

MODELS: dict[str, str] = {
    "MeanRate": "neurokit_snn.models.mean_rate",
    "PSTH": "neurokit_snn.models.psth",
    "GLM": "neurokit_snn.models.glm",
    "ReducedRankRegression": "neurokit_snn.models.reduced_rank",
    "MMGPVAE": "neurokit_snn.models.mmgpvae.model",
    "Neuroformer": "neurokit_snn.models.neuroformer.model",
    "SpikingEncoder": "neurokit_snn.models.spiking.encoder",
    "SpikingDecoder": "neurokit_snn.models.spiking.decoder",
    "BayesianSpiking": "neurokit_snn.models.spiking.bayesian",
    "RidgeDecoder": "neurokit_snn.models.ridge",
    "NaiveBayesDecoder": "neurokit_snn.models.naive_bayes",
    "CEBRADecoder": "neurokit_snn.models.cebra_decoder",
    "PSIDModel": "neurokit_snn.models.psid_model",
}


def model_class(name: str) -> type[AbstractModel]:
    """The class of that name.

    Raises
    ------
    ModelError
        When the name is not in the table.

    Examples
    --------
    >>> model_class("MeanRate").__name__
    'MeanRate'
    """
    if name not in MODELS:
        raise ModelError(f"unknown model {name!r}; known: {', '.join(MODELS)}")
    found: type[AbstractModel] = getattr(importlib.import_module(MODELS[name]), name)
    return found
