"""The model behind the protocol: the common suite, bad input, kill and resume."""

from __future__ import annotations

import pytest

pytest.importorskip("numpyro")

from neurokit_snn.models.mmgpvae.model import MMGPVAE
from neurokit_snn.testing import ModelSuite

QUICK = {"steps": 60, "batch_size": 8, "length_scale": 0.4, "length_scale_bounds": (0.2, 0.6), "hidden": (16,)}


class TestSharedLatents(ModelSuite):
    """Neural and shared latents, position as behaviour."""

    target = "position"
    poisson = False
    unit_order = False  # the first loadings are rotated at random

    def make(self) -> MMGPVAE:
        return MMGPVAE(neural=1, shared=1, behavior=0, covariates=["position"], **QUICK)


class TestNeuralOnly(ModelSuite):
    """Poisson GPFA."""

    poisson = True
    unit_order = False  # as above

    def make(self) -> MMGPVAE:
        return MMGPVAE(neural=2, shared=0, behavior=0, **QUICK)
