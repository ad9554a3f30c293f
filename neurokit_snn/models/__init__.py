"""Models that are fitted to recordings, all behind one protocol."""

from __future__ import annotations

import importlib
from typing import Any

from neurokit_snn.models.registry import MODELS

__all__ = [
    "AbstractModel",
    "conditioning",
    "glm_couplings",
    "lagged_correlation",
    "load_model",
    "observations",
    "tuning_curves",
    *MODELS,
]

_HOMES = {
    "AbstractModel": "neurokit_snn.models.base",
    "glm_couplings": "neurokit_snn.models.couplings",
    "lagged_correlation": "neurokit_snn.models.couplings",
    "load_model": "neurokit_snn.models.persistence",
    "tuning_curves": "neurokit_snn.models.tuning",
    **MODELS,
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in ("base", "conditioning", "observations", "registry", "persistence"):
        return importlib.import_module(f"neurokit_snn.models.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
