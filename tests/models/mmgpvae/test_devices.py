"""One fit over two JAX devices learns what it learns on one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("numpyro")

import numpy as np

PROGRAM = """
import jax, numpy as np
from neurokit_snn.models.mmgpvae.model import MMGPVAE
from neurokit_snn.testing.place_cells import place_cells
fit = MMGPVAE(neural=1, shared=1, behavior=0, covariates=["position"], steps=30, batch_size=8, hidden=(8,))
fit.fit(place_cells(), seed=0)
print(jax.device_count(), *fit.losses_)
"""


def _losses(devices: int) -> np.ndarray:
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    found = done.stdout.split()
    assert int(found[0]) == devices
    return np.array(found[1:], dtype=float)


@pytest.mark.slow
def test_two_devices_learn_what_one_does():
    one, two = _losses(1), _losses(2)
    assert one.size == 30
    np.testing.assert_allclose(two, one, rtol=1e-4)
