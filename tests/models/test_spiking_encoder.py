"""The common suite for encoders of several kinds, and what is `SpikingEncoder`'s own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")

from torch import nn

from neurokit_snn import recording
from neurokit_snn.errors import ConfigError, ModelError
from neurokit_snn.models.spiking.encoder import SpikingEncoder
from neurokit_snn.snn import SLTT, IF, LIF, LeakyIntegrator, Network
from neurokit_snn.testing.model_suite import ModelSuite
from neurokit_snn.testing.place_cells import place_cells

QUICK: dict[str, Any] = {
    "hidden": (12,),
    "memory": 0.5,
    "steps": 30,
    "batch_size": 8,
    "learning_rate": 1e-2,
    "splines": 6,
}


def _small() -> xr.Dataset:
    return place_cells(trials=12, bins=20, units=5)


class TestCoupled(ModelSuite):
    """From position and the past of all units."""

    simulates = ("encode", "generate")
    unit_order = False
    tolerance = 1e-5

    def data(self) -> xr.Dataset:
        return _small()

    def make(self) -> SpikingEncoder:
        return SpikingEncoder(covariates=("position",), past=0.3, coupling=True, **QUICK)
