"""What people have in hand (tables, tuples, mappings, arrays) turned into the datasets of the schema."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from neurokit_snn.errors import RecordingError

__all__ = ["attributes", "calcium", "clocks", "column", "events", "intervals", "labels", "sampled", "seconds"]

_AXES = ("x", "y", "z")


def seconds(values: Any, where: str) -> np.ndarray:
    """Return times as a one-dimensional float64 array, or say what they are instead."""
    array = np.asarray(values)
    if array.size == 0:
        array = array.astype(np.float64)
    if array.ndim != 1 or array.dtype.kind not in "fiu":
        shape = "x".join(map(str, array.shape)) or "scalar"
        raise RecordingError(
            f"{where}: expected a list of times in seconds, got {shape} {array.dtype}; "
            "give numbers in seconds from the start of the session"
        )
    return np.ascontiguousarray(array, dtype=np.float64)


def labels(values: Sequence[Any] | np.ndarray, where: str) -> np.ndarray:
    """Return labels as int64 or str, or say which one is neither."""
    array = np.asarray(values)
    if array.size == 0:
        return np.empty(0, dtype=np.int64)
    if array.dtype.kind in "iu":
        return array.astype(np.int64)
    for i, value in enumerate(array.tolist() if array.ndim == 1 else []):
        original = values[i] if isinstance(values, Sequence) else value
        if not isinstance(original, str):
            raise RecordingError(
                f"{where}: label {i} is {original!r}; labels are all integers or all str: rename them"
            )
    if array.ndim != 1:
        raise RecordingError(f"{where}: labels have {array.ndim} dimensions; give a flat list")
    return array.astype(str)


def column(values: Any) -> Any:
    """Return a column with str kept as fixed-width str; everything else as it is (lazy arrays stay lazy)."""
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
    if not hasattr(values, "dtype") or not hasattr(values, "shape"):
        values = np.asarray(values)
    kind = getattr(values.dtype, "kind", "O")
    if kind == "O" and all(isinstance(value, str) for value in np.ravel(np.asarray(values)).tolist()):
        return np.asarray(values).astype(str)
    return np.asarray(values).astype(str) if kind == "T" else values


def attributes(given: Mapping[Hashable, Any], **more: Any) -> dict[str, Any]:
    """Return attrs with lists as arrays (netCDF knows no lists); ``more`` wins, None is left out."""
    merged: dict[Hashable, Any] = {
        **given,
        **{key: value for key, value in more.items() if value is not None},
    }
    return {str(k): np.asarray(v) if isinstance(v, (list, tuple)) else v for k, v in merged.items()}


def table(data: Any, dim: str, where: str) -> xr.Dataset:
    """Return a DataFrame, a mapping of columns or a Dataset as a Dataset of columns along ``dim``."""
    if isinstance(data, xr.Dataset):
        out = data.reset_coords(drop=False) if not set(data.coords) <= {dim} else data.copy()
        return out.assign(
            {str(k): (v.dims, column(v.variable.data), attributes(v.attrs)) for k, v in out.items()}
        )
    if hasattr(data, "columns") and hasattr(data, "index"):
        columns = {str(name): data[name] for name in data.columns}
    elif isinstance(data, Mapping):
        columns = {str(name): values for name, values in data.items()}
    else:
        raise RecordingError(
            f"{where}: cannot read a {type(data).__name__}; give a DataFrame, a mapping or a Dataset"
        )
    arrays = {name: column(values) for name, values in columns.items()}
    sizes = {name: len(values) for name, values in arrays.items() if np.ndim(values) == 1}
    if len(sizes) < len(arrays) or len(set(sizes.values())) > 1:
        shapes = ", ".join(f"{name} {np.shape(values)}" for name, values in arrays.items())
        raise RecordingError(f"{where}: columns must be flat and of one length, got {shapes}")
    out = xr.Dataset({name: (dim, values) for name, values in arrays.items() if name != dim})
    if dim in arrays:
        out = out.assign_coords({dim: (dim, arrays[dim])})
    return out.assign_attrs(attributes(getattr(data, "attrs", {})))


def _instants(data: xr.Dataset, names: Sequence[str], dim: str, where: str) -> xr.Dataset:
    """Make the columns ``names`` float64 seconds."""
    for name in names:
        if name not in data.variables:
            raise RecordingError(
                f"{where}: no column {name!r} among {sorted(map(str, data.variables))}; add it"
            )
        attrs = attributes(data[name].attrs, units="s")
        data = data.assign({name: (dim, seconds(data[name].values, f"{where} {name}"), attrs)})
    return data


def intervals(data: Any, dim: str, where: str) -> xr.Dataset:
    """Return rows with start and stop, in order of start (stable), from a table or an array of shape (n, 2).

    Rows carry their own columns and labels, so that putting them in order loses nothing.
    """
    if not hasattr(data, "columns") and not isinstance(data, (Mapping, xr.Dataset)):
        pairs = np.asarray(data)
        if pairs.size == 0:
            pairs = pairs.reshape(0, 2).astype(np.float64)
        if pairs.ndim != 2 or pairs.shape[1] != 2:
            raise RecordingError(f"{where}: expected pairs (start, stop), got shape {pairs.shape}")
        data = {"start": pairs[:, 0], "stop": pairs[:, 1]}
    rows = _instants(table(data, dim, where), ("start", "stop"), dim, where)
    start = rows["start"].values
    if dim == "trial":
        given = rows.coords[dim].values if dim in rows.coords else np.arange(len(start))
        rows = rows.assign_coords({dim: (dim, labels(given, where))})
    if np.any(start[1:] < start[:-1]):
        rows = rows.isel({dim: np.argsort(start, kind="stable")})
    return rows


def events(data: Any, where: str) -> xr.Dataset:
    """Return a node of events from a list of times or a table with a column ``time``."""
    if not hasattr(data, "columns") and not isinstance(data, (Mapping, xr.Dataset)):
        data = {"time": seconds(data, where)}
    return _instants(table(data, "event", where), ("time",), "event", where)


def _from_array(data: xr.DataArray, name: str, where: str) -> xr.Dataset:
    if "time" not in data.dims or "time" not in data.coords:
        raise RecordingError(
            f"{where}: no coordinate 'time' in {data.dims}; give it the sampling times in seconds"
        )
    out = data.transpose("time", ...).reset_coords(drop=True).to_dataset(name=name)
    out[name].attrs = attributes(data.attrs)
    if "clock" in out[name].attrs:
        out.attrs["clock"] = out[name].attrs.pop("clock")
    return out


def _from_parts(parts: Mapping[str, Any], name: str, dims: tuple[str, ...], where: str) -> xr.Dataset:
    known = {"time", name, "value", "units", "kind", "dims", "coords", "clock", "attrs"}
    if unknown := sorted(set(parts) - known):
        raise RecordingError(f"{where}: unknown entries {unknown}; known are {sorted(known)}")
    key = name if name in parts else "value"
    if "time" not in parts or key not in parts:
        raise RecordingError(f"{where}: needs the entries 'time' and {name!r}, got {sorted(parts)}")
    value = parts[key]
    if not hasattr(value, "dtype") or not hasattr(value, "shape"):
        value = np.asarray(value)
    elif isinstance(value, xr.DataArray):
        value = value.data
    given = parts.get("dims")
    if given is not None:
        dims = tuple(given) if "time" in given else ("time", *given)
    if name == "value" and "channel" in dims and value.ndim == 1:
        value = value[:, None]
    if value.ndim > len(dims) or (given is not None and value.ndim != len(dims)):
        raise RecordingError(
            f"{where}: {name} has shape {value.shape} but dims are {dims}; name them in dims="
        )
    dims = dims[: value.ndim]
    time = seconds(parts["time"], f"{where} time")
    if value.ndim == 0 or value.shape[dims.index("time")] != len(time):
        raise RecordingError(
            f"{where}: {len(time)} times but {name} has shape {value.shape}; they must match"
        )
    attrs = attributes(parts.get("attrs") or {}, units=parts.get("units"), kind=parts.get("kind"))
    out = xr.Dataset({name: (dims, value, attrs)}, coords={"time": time, **(parts.get("coords") or {})})
    out = out.transpose("time", ...)
    return out.assign_attrs(clock=parts["clock"]) if parts.get("clock") else out


def sampled(data: Any, name: str, dims: tuple[str, ...], where: str) -> xr.Dataset:
    """Return a sampled variable ``name`` with its coordinate ``time``.

    Parameters
    ----------
    data
        DataArray with a coordinate ``time``; ``(time, value)``; a mapping with ``time``, ``value`` and any of
        ``units``, ``kind``, ``dims``, ``coords``, ``clock``, ``attrs``; or a Dataset in the layout of the
        schema.
    name
        Name of the variable in the schema.
    dims
        Dimensions that unnamed axes get.
    where
        Node, for messages.
    """
    if isinstance(data, xr.DataArray):
        out = _from_array(data, name, where)
    elif isinstance(data, xr.Dataset):
        out = data.copy()
    elif isinstance(data, Mapping):
        out = _from_parts(data, name, dims, where)
    elif isinstance(data, (tuple, list)) and len(data) == 2:
        out = _from_parts({"time": data[0], name: data[1]}, name, dims, where)
    else:
        raise RecordingError(
            f"{where}: cannot read a {type(data).__name__}; give (time, value), a mapping or a DataArray"
        )
    if name not in out.variables or "time" not in out.variables:
        raise RecordingError(f"{where}: needs {name!r} and 'time', got {sorted(map(str, out.variables))}")
    attrs = attributes(out["time"].attrs, units="s")
    out = out.assign_coords(time=("time", seconds(out["time"].values, f"{where} time"), attrs))
    for dim in out[name].dims[1:]:
        if dim not in out.coords and name != "frames":
            size = out.sizes[dim]
            named = dim == "axis" and size in (2, 3)
            out = out.assign_coords({dim: np.array(_AXES[:size]) if named else np.arange(size)})
    return out


def calcium(data: Any, units: np.ndarray | None) -> xr.Dataset:
    """Return the node ``/calcium``; columns without labels are taken in the order of ``units``."""
    where = "/calcium"
    labelled = isinstance(data, (xr.DataArray, xr.Dataset)) and "unit" in data.coords
    labelled |= isinstance(data, Mapping) and "unit" in (data.get("coords") or {})
    out = sampled(data, "fluorescence", ("time", "unit"), where)
    value = out["fluorescence"]
    if value.dtype.kind in "iu":
        out = out.assign(fluorescence=value.astype(np.float64))
    if not labelled and units is not None and "unit" in out.dims:
        if out.sizes["unit"] != len(units):
            raise RecordingError(
                f"{where}: {out.sizes['unit']} columns for {len(units)} units; give coords unit="
            )
        out = out.assign_coords(unit=units)
    return out


def clocks(data: Any) -> xr.Dataset:
    """Return the node ``/clocks`` from ``{label: (slope, offset) or fit_clock(...)}`` or a Dataset."""
    if isinstance(data, xr.Dataset):
        return data
    if not isinstance(data, Mapping):
        raise RecordingError(f"/clocks: cannot read a {type(data).__name__}; give {{label: (slope, offset)}}")
    pairs = []
    for label, value in data.items():
        pair = (value["slope"], value["offset"]) if isinstance(value, (Mapping, xr.Dataset)) else tuple(value)
        if len(pair) != 2:
            raise RecordingError(f"/clocks: clock {label!r} has {len(pair)} numbers; give (slope, offset)")
        pairs.append([float(pair[0]), float(pair[1])])
    values = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    return xr.Dataset(
        {"slope": ("clock", values[:, 0]), "offset": ("clock", values[:, 1], {"units": "s"})},
        coords={"clock": np.array(list(data), dtype=str)},
    )
