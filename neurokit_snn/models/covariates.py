"""Covariates of binned data by name: behaviours and trial columns as arrays with what is known of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import xarray as xr

from neurokit_snn.errors import ModelError
from neurokit_snn.recording.binned import behaviors, mask_name

__all__ = [
    "Covariate",
    "category_codes",
    "counts_and_mask",
    "covariate",
    "covariate_names",
    "decoded_covariate",
    "decoded_name",
    "require_counts",
]

PERIODS = dict.fromkeys(("rad", "radian", "radians"), 2 * np.pi) | dict.fromkeys(
    ("deg", "degree", "degrees"), 360.0
)
"""Period of a circular behaviour by its units; without units radians are meant."""

DEFAULT_AXES = ("x", "y", "z")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Covariate:
    """A covariate in every bin.

    Parameters
    ----------
    name
        Without ``behavior_``.
    values
        ``(trial, time, axis)`` float64, NaN where missing or masked; of categories the ``(trial, time)`` labels.
    valid
        ``(trial, time)``, True where all axes are known.
    kind
        ``"continuous"``, ``"circular"`` or ``"categorical"``.
    units
        As in the recording.
    axes
        Label of each axis; one empty label where there is no such dim.
    period
        Of a circular covariate, in its units; else NaN.
    """

    name: str
    values: np.ndarray
    valid: np.ndarray
    kind: str
    units: str
    axes: tuple[str, ...]
    period: float

    def dims(self) -> tuple[str, ...]:
        """Name of the dim that runs along each axis in tuning curves: ``position`` or ``position_x, position_y``."""
        return tuple(f"{self.name}_{axis}" if axis else self.name for axis in self.axes)


def require_counts(data: xr.Dataset, who: str) -> tuple[xr.DataArray, xr.DataArray]:
    """The counts and their mask, or a `ModelError` that names the model and the field."""
    if "counts" not in data:
        raise ModelError(f"{who}: data has no counts; bin a recording that has /spikes")
    return data["counts"], data["mask"]


def counts_and_mask(data: xr.Dataset, who: str) -> tuple[np.ndarray, np.ndarray]:
    """Counts and mask as arrays ``(trial, time, unit)`` in memory; errors as `require_counts`."""
    counts, mask = require_counts(data, who)
    dims = ("trial", "time", "unit")
    return np.asarray(counts.transpose(*dims).values), np.asarray(mask.transpose(*dims).values)


def covariate_names(data: xr.Dataset) -> tuple[str, ...]:
    """Names (without ``behavior_``) of all behaviours of binned data."""
    return tuple(name.removeprefix("behavior_") for name in behaviors(data))


def covariate(data: xr.Dataset, name: str, *, who: str) -> Covariate:
    """Find a behaviour, or else a trial column, by name.

    Parameters
    ----------
    data
        Binned dataset.
    name
        With or without ``behavior_``.
    who
        Who asks, for the message.

    Raises
    ------
    ModelError
        When there is neither a behaviour nor a trial column of that name.
    """
    plain = name.removeprefix("behavior_")
    variable = f"behavior_{plain}"
    if variable in data:
        return _behavior(data[variable], data[mask_name(variable)], plain, who)
    if plain in data.coords and data[plain].dims == ("trial",):
        return _trial_column(data, plain)
    columns = [str(c) for c in data.coords if data[c].dims == ("trial",)]
    raise ModelError(
        f"{who}: no behaviour and no trial column is named {plain!r}; behaviours: "
        f"{', '.join(covariate_names(data)) or 'none'}; trial columns: {', '.join(columns) or 'none'}"
    )


def _behavior(values: xr.DataArray, mask: xr.DataArray, name: str, who: str) -> Covariate:
    extra = [str(d) for d in values.dims if d not in ("trial", "time")]
    if len(extra) > 1:
        raise ModelError(f"{who}: behavior_{name} has dims {values.dims}; flatten it to (trial, time, axis)")
    kind = str(values.attrs.get("kind", "continuous"))
    units = str(values.attrs.get("units", ""))
    array = np.asarray(values.transpose("trial", "time", *extra).values, dtype=np.float64)
    if extra:
        labels = (
            values[extra[0]].values.tolist() if extra[0] in values.coords else DEFAULT_AXES[: array.shape[-1]]
        )
        axes = tuple(str(label) for label in labels)
    else:
        array, axes = array[..., None], ("",)
    valid = np.asarray(mask.transpose("trial", "time").values) & np.isfinite(array).all(-1)
    if kind == "categorical":
        return Covariate(
            name=name, values=array[..., 0], valid=valid, kind=kind, units=units, axes=(), period=np.nan
        )
    period = (
        float(values.attrs.get("period", PERIODS.get(units, 2 * np.pi))) if kind == "circular" else np.nan
    )
    return Covariate(
        name=name,
        values=np.where(valid[..., None], array, np.nan),
        valid=valid,
        kind=kind,
        units=units,
        axes=axes,
        period=period,
    )


def _trial_column(data: xr.Dataset, name: str) -> Covariate:
    column = data[name].values
    shape = (data.sizes["trial"], data.sizes["time"])
    values = np.broadcast_to(column[:, None], shape)
    units = str(data[name].attrs.get("units", ""))
    if column.dtype.kind == "f" and not np.array_equal(column, np.round(column), equal_nan=True):
        spread = np.array(values, dtype=np.float64)[..., None]
        valid = np.isfinite(spread[..., 0])
        return Covariate(
            name=name, values=spread, valid=valid, kind="continuous", units=units, axes=("",), period=np.nan
        )
    valid = np.array([v == v and v is not None and v != "" for v in column.tolist()], dtype=bool)
    return Covariate(
        name=name,
        values=values,
        valid=np.broadcast_to(valid[:, None], shape).copy(),
        kind="categorical",
        units=units,
        axes=(),
        period=np.nan,
    )


def category_codes(found: Covariate, categories: Sequence[object]) -> np.ndarray:
    """Index of each bin's label among ``categories``, -1 where it is missing or none of them, ``(trial, time)``."""
    codes = np.full(found.valid.shape, -1, dtype=np.int64)
    for index, category in enumerate(categories):
        codes[(found.values == category) & found.valid] = index
    return codes


def decoded_name(data: xr.Dataset, target: str | None, *, who: str) -> str:
    """Plain name of the behaviour that a decoder is asked for.

    Parameters
    ----------
    data
        Binned dataset.
    target
        Name of a behaviour; None where the data hold only one.
    who
        Who asks, for the message.

    Raises
    ------
    ModelError
        When there is no such behaviour, or several and none is named.
    """
    names = covariate_names(data)
    plain = None if target is None else target.removeprefix("behavior_")
    if plain is None and len(names) == 1:
        plain = names[0]
    if plain is None or plain not in names:
        asked = "no target is named" if plain is None else f"target is {plain!r}"
        raise ModelError(
            f"{who}: {asked}; the data hold the behaviours {', '.join(names) or '(none)'}; name one of them"
        )
    return plain


def decoded_covariate(
    data: xr.Dataset, target: str | None, *, max_axes: int | None, circular: bool, who: str
) -> Covariate:
    """The behaviour that a decoder is asked for, checked to be one it can decode.

    Parameters
    ----------
    data
        Binned dataset.
    target
        Name of a behaviour; None where the data hold only one.
    max_axes
        Most axes it may have, None for any number.
    circular
        Whether a circular behaviour can be decoded.
    who
        Who asks, for the message.

    Raises
    ------
    ModelError
        When there is no such behaviour, several and none named, or it is of a kind that cannot be decoded.
    """
    plain = decoded_name(data, target, who=who)
    found = covariate(data, plain, who=who)
    if found.kind == "categorical" or (found.kind == "circular" and not circular):
        raise ModelError(f"{who}: target {plain!r} is {found.kind}, which this decoder cannot decode")
    if max_axes is not None and len(found.axes) > max_axes:
        raise ModelError(
            f"{who}: target {plain!r} has {len(found.axes)} axes; this decoder takes at most {max_axes}"
        )
    if not found.valid.any():
        raise ModelError(f"{who}: target {plain!r} has no valid value in the data")
    return found
