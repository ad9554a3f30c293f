"""Binned data as the arrays of a fit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from neurokit_snn.models.mmgpvae.design import Batch
from neurokit_snn.models.mmgpvae.neural import AbstractNeural
from neurokit_snn.models.modalities import Modality, features_of

__all__ = ["batch_of", "neural_arrays"]


def neural_arrays(
    data: xr.Dataset, likelihood: AbstractNeural, n_units: int
) -> tuple[np.ndarray, np.ndarray]:
    """Neural values and their mask ``(trial, time, unit)``; all masked where the data hide them."""
    name = likelihood.variable
    if name not in data:
        nothing = np.zeros((data.sizes["trial"], data.sizes["time"], n_units))
        return nothing, nothing.astype(bool)
    order = ("trial", "time", "unit")
    values = np.asarray(data[name].transpose(*order).values, dtype=np.float64)
    mask = data["mask" if name == "counts" else f"mask_{name}"]
    mask = np.asarray(mask.broadcast_like(data[name]).transpose(*order).values) & np.isfinite(values)
    return np.where(mask, values, 0.0), mask


def batch_of(
    data: xr.Dataset,
    *,
    likelihood: AbstractNeural,
    n_units: int,
    modalities: Sequence[Modality],
    who: str,
    dtype: str = "float32",
) -> Batch:
    """All trials as a `Batch`; a modality that the data do not hold is masked everywhere.

    Raises
    ------
    ModelError
        When a modality has other dims than in training.
    """
    values, mask = neural_arrays(data, likelihood, n_units)
    lead = values.shape[:2]
    behavior, behavior_mask = {}, {}
    for modality in modalities:
        known = modality.name in data or modality.name in data.coords
        if not known:
            behavior[modality.name] = np.zeros((*lead, modality.width), dtype)
            behavior_mask[modality.name] = np.zeros(lead, dtype)
            continue
        features, valid = features_of(data, modality, who)
        behavior[modality.name] = features.astype(dtype)
        behavior_mask[modality.name] = valid.astype(dtype)
    return Batch(values.astype(dtype), mask.astype(dtype), behavior, behavior_mask)
