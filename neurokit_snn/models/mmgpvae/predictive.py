"""Predictive distributions of each modality given draws of the latents."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from neurokit_snn.models.mmgpvae.design import Design, Params
from neurokit_snn.models.modalities import Modality, observation
from neurokit_snn.models.observations import AbstractObservation

__all__ = ["behavior_observation", "neural_observation"]

WIDE = 64
"""Features of a bin above which draws are averaged before they become a predictive distribution: an image for each draw would
fill the memory."""


def neural_observation(
    design: Design,
    params: Params,
    weights: np.ndarray,
    draws: np.ndarray,
    coords: Mapping[str, np.ndarray],
    *,
    units: np.ndarray,
) -> AbstractObservation:
    """Neural data of some ``units``, a mask.

    Draws of latents are ``(draw, trial, time, latent)``, those of weights ``(draw, unit, latent + 1)``.
    """
    weights, where = weights[:, units], dict(coords) | {"unit": coords["unit"][units]}
    read = draws[..., design.of_neural].astype(np.float64)
    linear = (
        np.einsum("drtp,dup->drtu", read, weights[..., :-1], optimize=True) + weights[:, None, None, :, -1]
    )
    predictor = xr.DataArray(linear, dims=("draw", "trial", "time", "unit"), coords=where)
    extra = {
        name: xr.DataArray(
            np.exp(np.asarray(value, np.float64))[units], dims="unit", coords={"unit": where["unit"]}
        )
        for name, value in params["neural_extra"].items()
    }
    return design.likelihood.observation(predictor, extra)


def behavior_observation(
    design: Design, params: Params, modality: Modality, draws: np.ndarray, coords: Mapping[str, np.ndarray]
) -> AbstractObservation:
    """A behaviour for draws of latents ``(draw, trial, time, latent)``; wide ones with their spread in the scale."""
    decoder, kept = params[f"decoder {modality.name}"], params.get(f"log_sd {modality.name}")
    log_sd = None if kept is None else np.asarray(kept, np.float64)
    read = draws[..., design.of_behavior]
    if log_sd is None or modality.width <= WIDE:
        output = decoder.plain(read)
        return observation(modality, output, log_sd, dict(coords))
    total, squares = np.zeros(1), np.zeros(1)
    for one in read:  # (trial, time, latent)
        output = decoder.plain(one)
        total, squares = total + output, squares + output**2
    mean = total / len(read)
    spread = np.maximum(squares / len(read) - mean**2, 0.0).mean((0, 1))
    widened = 0.5 * np.log(np.exp(2.0 * log_sd) + spread)
    return observation(modality, mean[None], widened, dict(coords))
