"""Small designs, parameters and trials for tests of the core."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurokit_snn.models.mmgpvae.behavior import Channel
from neurokit_snn.models.mmgpvae.design import Batch, Design
from neurokit_snn.models.mmgpvae.fourier import basis_for
from neurokit_snn.models.mmgpvae.neural import LIKELIHOODS
from neurokit_snn.models.mmgpvae.start import initial_params

POSITION = Channel("behavior_position", "gaussian", 2)
HEADING = Channel("behavior_heading", "circular", 2)
CHOICE = Channel("choice", "categorical", 3)


@pytest.fixture
def make_design() -> Callable[..., Design]:
    """Designs of 12 bins and 5 units unless said."""

    def make(**changes: Any) -> Design:
        n_bins = changes.pop("n_bins", 12)
        likelihood = LIKELIHOODS[changes.pop("likelihood", "poisson")]
        kernel = changes.pop("kernel", "rbf")
        basis = changes.pop("basis", None) or basis_for(n_bins, kernel=kernel, shortest=2.0, longest=6.0)
        known = dict(
            neural=1, shared=1, behavior=1, n_units=5, channels=(POSITION,), shortest=2.0, longest=6.0,
            posterior="smoother", fusion="precision", closed_form=True, hidden=(6,),
        )  # fmt: skip
        return Design(likelihood=likelihood, kernel=kernel, basis=basis, **(known | changes))

    return make


@pytest.fixture
def make_batch() -> Callable[..., Batch]:
    """Trials of noise in the form that a design reads, everything valid."""

    def make(design: Design, *, trials: int = 3, seed: int = 0, dtype: str = "float32") -> Batch:
        rng = np.random.default_rng(seed)
        lead = (trials, design.basis.n_bins)
        neural = rng.poisson(1.0, (*lead, design.n_units)).astype(dtype)
        if design.likelihood.variable == "calcium":
            neural = rng.gamma(2.0, 0.5, neural.shape).astype(dtype)
        behavior, mask = {}, {}
        for channel in design.channels:
            values = rng.standard_normal((*lead, channel.width))
            if channel.kind == "circular":
                values /= np.linalg.norm(values, axis=-1, keepdims=True)
            if channel.kind == "categorical":
                values = np.eye(channel.width)[rng.integers(channel.width, size=lead)]
            behavior[channel.name] = values.astype(dtype)
            mask[channel.name] = np.ones(lead, dtype)
        return Batch(neural, np.ones(neural.shape, dtype), behavior, mask)

    return make


@pytest.fixture
def make_params() -> Callable[..., dict[str, Any]]:
    """Parameters away from where a fit starts, so that nothing is zero by chance."""

    def make(design: Design, batch: Batch, *, seed: int = 0, dtype: str = "float32") -> dict[str, Any]:
        params = initial_params(design, batch, length_scale=3.5, seed=seed)
        leaves, form = jax.tree.flatten(params)
        rng = np.random.default_rng(seed)
        moved = [np.asarray(x) + 0.1 * rng.standard_normal(x.shape) for x in leaves]
        params = jax.tree.unflatten(form, [jnp.asarray(x, dtype) for x in moved])
        if design.reads_neural:
            params["loading"] = jnp.asarray(0.7 * rng.standard_normal(params["loading"].shape), dtype)
        return params

    return make
