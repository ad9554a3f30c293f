"""The common suite, and what is Neuroformer's own behind the protocol."""

from __future__ import annotations

import pytest
import xarray as xr

pytest.importorskip("torch")

from neurokit_snn.models.neuroformer.model import Neuroformer
from neurokit_snn.testing.model_suite import ModelSuite
from neurokit_snn.testing.place_cells import place_cells

QUICK = {
    "window": 0.5,
    "past": 0.5,
    "embed": 16,
    "heads": 2,
    "steps": 50,
    "batch_size": 16,
    "learning_rate": 1e-2,
    "max_tokens": 200,
    "max_past_tokens": 200,
}
"""A network that learns something in a second; its context bears the spikes that the suite adds."""


class TestEncoder(ModelSuite):
    """Spikes from position and from spikes."""

    simulates = (
        "encode",
        "generate",
        "forecast",
    )  # forecast: what follows a first spike in its bin is sampled
    unit_order = False
    tolerance = 1e-4

    def data(self) -> xr.Dataset:
        return place_cells(trials=12, bins=20, units=5)

    def make(self) -> Neuroformer:
        return Neuroformer(covariates=("position",), **QUICK)


@pytest.mark.slow
class TestDecoder(ModelSuite):
    """Spikes and position from spikes."""

    target = "position"
    simulates = ("encode", "generate", "forecast")
    unit_order = False
    better_than_mean_rate = False
    tolerance = 1e-4

    def data(self) -> xr.Dataset:
        return place_cells(trials=12, bins=20, units=5)

    def make(self) -> Neuroformer:
        return Neuroformer(outputs=("position",), covariates=(), **QUICK)
