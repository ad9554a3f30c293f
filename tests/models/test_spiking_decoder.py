"""The common suite for decoders, and what is `SpikingDecoder`'s own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")

from neurokit_snn.errors import ModelError
from neurokit_snn.models.spiking.decoder import SpikingDecoder
from neurokit_snn.testing.model_suite import ModelSuite
from neurokit_snn.testing.place_cells import place_cells

QUICK: dict[str, Any] = {
    "hidden": (12,),
    "memory": 0.5,
    "steps": 30,
    "batch_size": 8,
    "learning_rate": 1e-2,
}


class TestDecoder(ModelSuite):
    """Position from spikes, some of them later than the bin."""

    target = "position"
    unit_order = False
    tolerance = 1e-5

    def data(self) -> xr.Dataset:
        return place_cells(trials=12, bins=20, units=5)

    def make(self) -> SpikingDecoder:
        return SpikingDecoder(target="position", future=0.2, **QUICK)
