"""BayesianSpiking as a model: the common suite, recovery of what was planted, intervals, delays, saving, resuming."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

pytest.importorskip("torch")
pytest.importorskip("pyro")

from neurokit_snn.models.base import AbstractModel
from neurokit_snn.models.spiking.bayesian import BayesianSpiking
from neurokit_snn.testing.model_suite import ModelSuite


class TestLayer(ModelSuite):
    poisson = True
    simulates = ("encode", "generate")
    spread_of_draws = 0.03
    tolerance = 1e-4  # float32
    unit_order = False  # draws of the gradient differ; see test_the_order_of_units_does_not_matter

    def make(self) -> AbstractModel:
        return BayesianSpiking(
            covariates=("position",), past=0.2, coupling=True, delays=0.2, tau_readout=0.15, steps=60
        )


@pytest.mark.slow
class TestLayerOfBins(ModelSuite):
    simulates = ("encode", "generate")
    spread_of_draws = 0.03
    tolerance = 1e-4

    def data(self) -> xr.Dataset:
        data = super().data()
        data["counts"] = data["counts"].clip(max=1)
        return data

    def make(self) -> AbstractModel:
        return BayesianSpiking(
            covariates=("position",), past=0.2, observation="bernoulli", guide="low-rank", rank=2, steps=60
        )


@pytest.mark.slow
class TestLifted(ModelSuite):
    poisson = True
    simulates = ("encode", "generate")
    spread_of_draws = 0.03
    tolerance = 1e-4
    unit_order = False

    def make(self) -> AbstractModel:
        return BayesianSpiking(covariates=("position",), hidden=(8,), steps=20, start_steps=30, tau=0.2)
