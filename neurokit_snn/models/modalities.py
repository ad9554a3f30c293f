"""Behaviours, stimuli and trial columns as features, and the way back to their own units.

Every kind is a vector of features in each bin: standardised numbers (``gaussian``, images too), cosine and sine (``circular``) or
one of so many (``categorical``). A network that predicts one has an output of the same width: the mean, the natural parameter
of a von Mises distribution, or log odds.
"""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any, Literal

import numpy as np
import xarray as xr

from neurokit_snn.errors import ModelError
from neurokit_snn.models.behavior_observations import Categorical, VonMises
from neurokit_snn.models.covariates import covariate
from neurokit_snn.models.observations import AbstractObservation, Gaussian

__all__ = [
    "Kind",
    "Modality",
    "features_of",
    "modalities_from",
    "modalities_state",
    "modality_of",
    "observation",
    "samples_of",
]

SILENT = 1e-12
"""Variance below which a behaviour is constant."""


Kind = Literal["gaussian", "circular", "categorical"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Modality:
    """A behaviour or stimulus as the model holds it.

    Parameters
    ----------
    name
        Variable of the binned data, or a trial column.
    kind
        Which likelihood.
    dims
        Dims after time, and the coordinates of those that have any.
    shape
        Sizes of those dims.
    centre, scale
        ``(feature,)`` of Gaussian ones: mean and standard deviation in the training data.
    categories
        Values, in the order of the features, of categorical ones.
    period
        Of circular ones, in the units of the behaviour.
    """

    name: str
    kind: Kind
    dims: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    coords: dict[str, list[object]] = dataclasses.field(default_factory=dict)
    centre: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(1))
    scale: np.ndarray = dataclasses.field(default_factory=lambda: np.ones(1))
    categories: tuple[Any, ...] = ()
    period: float = math.nan

    @property
    def predicted(self) -> bool:
        """Whether it is a variable of the data, and not a column of the trials."""
        return self.name.startswith(("behavior_", "stimulus_"))

    @property
    def width(self) -> int:
        """Features of a bin."""
        if self.kind == "circular":
            return 2
        return len(self.categories) if self.kind == "categorical" else self.centre.size

    def features(self, values: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Features ``(trial, time, feature)`` of values ``(trial, time, ...)``, 0 where not valid."""
        if self.kind == "categorical":
            made = np.stack([values == category for category in self.categories], -1).astype(np.float64)
        elif self.kind == "circular":
            angle = values.reshape(valid.shape) * (2.0 * np.pi / self.period)
            made = np.stack([np.cos(angle), np.sin(angle)], -1)
        else:
            made = (values.reshape(*valid.shape, -1) - self.centre) / self.scale
        return np.where(valid[..., None], made, 0.0)


def samples_of(data: xr.Dataset, name: str, who: str) -> tuple[np.ndarray, np.ndarray, Modality]:
    """Values, which of them are valid, and a `Modality` without its scale.

    Raises
    ------
    ModelError
        When there is neither a behaviour, a trial column nor a stimulus of that name.
    """
    if name.startswith("stimulus_"):
        if name not in data:
            raise ModelError(f"{who}: {name} is not in the data; it holds {', '.join(map(str, data))}")
        frames = data[name].transpose("trial", "time", ...)
        values = np.asarray(frames.values, dtype=np.float64)
        lead = values.shape[:2]
        valid = np.asarray(data[f"mask_{name}"].transpose("trial", "time").values)
        valid = valid & np.isfinite(values.reshape(*lead, -1)).all(-1)
        dims = tuple(str(d) for d in frames.dims[2:])
        coords = {d: frames[d].values.tolist() for d in dims if d in frames.coords}
        return (
            values,
            valid,
            Modality(name=name, kind="gaussian", dims=dims, shape=values.shape[2:], coords=coords),
        )
    found = covariate(data, name, who=who)
    is_column = f"behavior_{found.name}" not in data
    full = found.name if is_column else f"behavior_{found.name}"
    if found.kind == "categorical":
        return found.values, found.valid, Modality(name=full, kind="categorical")
    if found.kind == "circular":
        if len(found.axes) != 1:
            raise ModelError(
                f"{who}: {full} is circular with {len(found.axes)} axes; give each as a behaviour of its own"
            )
        return found.values, found.valid, Modality(name=full, kind="circular", period=found.period)
    extra: tuple[str, ...] = ()
    coords = {}
    if not is_column:
        extra = tuple(str(d) for d in data[full].dims if d not in ("trial", "time"))
        coords = {d: data[full][d].values.tolist() for d in extra if d in data[full].coords}
    shape = found.values.shape[2:] if extra else ()
    return (
        found.values,
        found.valid,
        Modality(name=full, kind="gaussian", dims=extra, shape=shape, coords=coords),
    )


def modality_of(data: xr.Dataset, name: str, who: str) -> Modality:
    """What is known of a behaviour from training data.

    Raises
    ------
    ModelError
        When it is absent, all missing or constant.
    """
    values, valid, found = samples_of(data, name, who)
    if not valid.any():
        raise ModelError(f"{who}: {found.name} is missing in every bin; leave it out")
    kept = values[valid]
    if found.kind == "categorical":
        categories = tuple(np.unique(kept).tolist())  # numbers of a behaviour, labels of a trial column
        if len(categories) < 2:
            raise ModelError(f"{who}: {found.name} is always {categories[0]!r}; leave it out")
        return dataclasses.replace(found, categories=categories)
    flat = kept.reshape(kept.shape[0], -1)
    if found.kind == "circular":
        if np.ptp(flat) == 0:
            raise ModelError(f"{who}: {found.name} is always {flat[0, 0]:.6g}; leave it out")
        return found
    centre, spread = flat.mean(0), flat.std(0)
    if found.name.startswith("stimulus_"):  # pixels share one scale: a border that never changes has none
        spread = np.full_like(spread, np.sqrt(np.mean(spread**2)))
    silent = np.flatnonzero(~(spread**2 > SILENT * (1.0 + centre**2)))
    if silent.size:
        raise ModelError(
            f"{who}: {found.name} is constant ({centre[silent[0]]:.6g}) along axis {silent[0]}; leave it out"
        )
    return dataclasses.replace(found, centre=centre, scale=spread)


def features_of(data: xr.Dataset, modality: Modality, who: str) -> tuple[np.ndarray, np.ndarray]:
    """Features ``(trial, time, feature)`` of a modality and which bins are valid ``(trial, time)``.

    Raises
    ------
    ModelError
        When the data do not hold it, or hold it in other dims than in training.
    """
    values, valid, like = samples_of(data, modality.name, who)
    if like.shape != modality.shape or like.kind != modality.kind:
        raise ModelError(
            f"{who}: {modality.name} is {like.kind} of shape {like.shape}, the fit had {modality.kind} of {modality.shape}"
        )
    features = modality.features(values, valid)
    if modality.kind == "categorical":
        valid = valid & features.any(-1)
    return features, valid


def observation(
    modality: Modality, output: np.ndarray, log_sd: np.ndarray | None, coords: dict[str, np.ndarray]
) -> AbstractObservation:
    """Predictive distribution in the behaviour's own units, for decoder outputs ``([draw,] trial, time, feature)``.

    A Gaussian one has a standard deviation of each feature, or of each feature in each bin, like the output.
    """
    lead = ("draw", "trial", "time")[-(output.ndim - 1) :]
    if modality.kind == "categorical":
        shifted = output - output.max(-1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
        array = xr.DataArray(log_p, dims=(*lead, "category"), coords=coords)
        return Categorical(log_p=array, categories=modality.categories)
    if modality.kind == "circular":
        turn = modality.period / (2.0 * np.pi)
        angle = np.mod(np.arctan2(output[..., 1], output[..., 0]), 2.0 * np.pi) * turn
        kappa = np.linalg.norm(output, axis=-1)
        return VonMises(
            location=xr.DataArray(angle, dims=lead, coords=coords),
            concentration=xr.DataArray(kappa, dims=lead, coords=coords),
            period=modality.period,
        )
    assert log_sd is not None  # a Gaussian has one
    where = coords | {d: np.asarray(labels) for d, labels in modality.coords.items()}

    def shaped(values: np.ndarray) -> xr.DataArray:
        dims = (*lead[len(lead) + 1 - values.ndim :], *modality.dims)
        array = values.reshape((*values.shape[:-1], *modality.shape))
        return xr.DataArray(array, dims=dims, coords={d: where[d] for d in dims if d in where})

    return Gaussian(
        location=shaped(output * modality.scale + modality.centre),
        scale=shaped(np.exp(log_sd) * modality.scale),
        event_dims=modality.dims,
    )


def modalities_state(modalities: tuple[Modality, ...]) -> xr.Dataset:
    """What is known of each behaviour."""
    variables: dict[str, Any] = {}
    known = []
    for i, modality in enumerate(modalities):
        fields = dataclasses.asdict(modality)
        variables[f"centre{i}"] = (f"feature{i}", np.asarray(fields.pop("centre")))
        variables[f"scale{i}"] = (f"feature{i}", np.asarray(fields.pop("scale")))
        known.append(fields)
    return xr.Dataset(variables, attrs={"modalities": json.dumps(known)})


def modalities_from(stored: xr.Dataset) -> tuple[Modality, ...]:
    """The inverse of `modalities_state`."""
    made = []
    for i, fields in enumerate(json.loads(stored.attrs["modalities"])):
        for name in ("dims", "shape", "categories"):
            fields[name] = tuple(fields[name])
        made.append(Modality(**fields, centre=stored[f"centre{i}"].values, scale=stored[f"scale{i}"].values))
    return tuple(made)
