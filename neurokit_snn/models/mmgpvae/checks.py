"""Hyperparameters of `MMGPVAE` against each other and against the data, before anything is fitted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, get_args

import xarray as xr

from neurokit_snn.errors import ModelError
from neurokit_snn.models.mmgpvae.design import Fusion, Posterior
from neurokit_snn.models.mmgpvae.fourier import Kernel
from neurokit_snn.models.mmgpvae.neural import LIKELIHOODS
from neurokit_snn.recording.binned import behaviors, stimuli

if TYPE_CHECKING:
    from neurokit_snn.models.mmgpvae.model import MMGPVAE

__all__ = ["check_parameters", "covariates_of", "one_of", "start_weight_of"]


def one_of(name: str, value: str, allowed: Collection[str]) -> str:
    """The value, or a `ModelError` that lists the choices."""
    if value not in allowed:
        raise ModelError(f"MMGPVAE: {name} is {value!r}; choose one of {', '.join(allowed)}")
    return value


def check_parameters(model: MMGPVAE, data: xr.Dataset, who: str) -> None:
    """Refuse what cannot be fitted to the data, naming parameter and value."""
    variable = LIKELIHOODS[one_of("likelihood", model.likelihood, LIKELIHOODS)].variable
    for name, allowed in (("kernel", Kernel), ("posterior", Posterior), ("fusion", Fusion)):
        one_of(name, getattr(model, name), get_args(allowed))
    for name in ("neural", "shared", "behavior"):
        if int(getattr(model, name)) < 0:
            raise ModelError(f"{who}: {name} is {getattr(model, name)} latents; give 0 or more")
    if model.neural + model.shared + model.behavior == 0:
        raise ModelError(f"{who}: neural, shared and behavior are all 0; give at least one latent")
    for name in ("steps", "batch_size", "restarts"):
        if int(getattr(model, name)) < 1:
            raise ModelError(f"{who}: {name} is {getattr(model, name)}; give at least 1")
    low, high = model.bounds()
    if not 0 < low <= model.length_scale <= high:
        raise ModelError(
            f"{who}: length_scale is {model.length_scale} s with bounds ({low:.4g}, {high:.4g}) s; "
            "give 0 < lower bound <= length_scale <= upper bound"
        )
    of_neural = model.neural + model.shared
    if of_neural and variable not in data:
        raise ModelError(f"{who}: data has no {variable}, which likelihood {model.likelihood!r} needs")
    if of_neural > model.units_.size:
        raise ModelError(
            f"{who}: neural + shared is {of_neural} latents for {model.units_.size} units; give at most one a unit"
        )


def covariates_of(model: MMGPVAE, data: xr.Dataset, who: str) -> tuple[str, ...]:
    """Names of the behaviours and stimuli to model: those that were given, or all there are."""
    if model.shared + model.behavior == 0:
        return ()
    names = tuple(behaviors(data) + stimuli(data)) if model.covariates is None else tuple(model.covariates)
    if not names:
        raise ModelError(
            f"{who}: shared is {model.shared} and behavior {model.behavior}, but there is no behaviour or stimulus; "
            "name covariates, or set both to 0"
        )
    return names


def start_weight_of(model: MMGPVAE, name: str) -> float:
    """Weight of a behaviour's likelihood at the first step; 1 for one that a mapping does not name."""
    if isinstance(model.start_weight, Mapping):
        plain = name.removeprefix("behavior_")
        value = float(model.start_weight.get(name, model.start_weight.get(plain, 1.0)))
    else:
        value = float(model.start_weight)
    if not 0 < value <= 1:
        raise ModelError(f"MMGPVAE.fit: start_weight of {name} is {value}; give a number above 0, at most 1")
    return value
