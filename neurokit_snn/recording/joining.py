"""Consecutive pieces of one recording joined into one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from neurokit_snn.errors import RecordingError
from neurokit_snn.recording.ragged import join
from neurokit_snn.recording.rules import listed
from neurokit_snn.recording.schema import NodeSpec, datasets, find_spec, from_datasets
from neurokit_snn.recording.validate import problems

__all__ = ["concat_time"]

_RAGGED = {"/spikes": "spike", "/observation": "interval"}


def concat_time(parts: Sequence[xr.DataTree]) -> xr.DataTree:
    """Join recordings of the same units that follow each other in time.

    Parameters
    ----------
    parts
        Recordings in the order of time, as `slice_time` cuts them: the same nodes, units, clocks and
        attributes.

    Returns
    -------
    recording
        One recording. Observation intervals that touch at a joint become one again.

    Raises
    ------
    RecordingError
        When the parts differ in nodes, units, clocks, attributes or free-form content, or overlap in time.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> tree = recording.build(spikes={"a": [0.1, 0.2], "b": [0.3]})
    >>> parts = [recording.slice_time(tree, 0.0, 0.15), recording.slice_time(tree, 0.15, 1.0)]
    >>> concat_time(parts).identical(tree)
    True
    """
    if not parts:
        raise RecordingError("concat_time: no recordings; give at least one")
    nodes = [datasets(part) for part in parts]
    for i, other in enumerate(nodes[1:], start=1):
        if differ := sorted(set(nodes[0]) ^ set(other)):
            raise RecordingError(
                f"concat_time: {differ[0]} is in only one of parts 0 and {i}; give all parts the same nodes"
            )
    joined = {path: _join_node(path, [part[path] for part in nodes]) for path in nodes[0]}
    out = from_datasets(joined)
    if found := problems(out):
        raise RecordingError(
            listed(found, "concat_time: the parts must follow each other without overlap; joined")
        )
    return out


def _join_node(path: str, parts: list[xr.Dataset]) -> xr.Dataset:
    spec = find_spec(path, parts[0])
    for i, part in enumerate(parts[1:], start=1):
        _same_frame(path, i, parts[0], part)
    if path in _RAGGED:
        return _join_runs(path, parts)
    static = not isinstance(spec, NodeSpec) or spec.free or not spec.clocked
    dim = None if static else _time_dim(parts[0])
    variables: dict[object, xr.Variable] = {}
    for name, first in parts[0].variables.items():
        pieces = [part.variables[name] for part in parts]
        if dim is not None and dim in first.dims:
            variables[name] = join(pieces)
            continue
        for i, piece in enumerate(pieces[1:], start=1):
            if not first.identical(piece):
                raise RecordingError(
                    f"concat_time: {name!r} of {path} differs between parts 0 and {i}; it must be equal"
                )
        variables[name] = first
    coords = {name: variables.pop(name) for name in list(parts[0].coords)}
    return xr.Dataset(variables, coords=coords, attrs=parts[0].attrs)


def _same_frame(path: str, i: int, first: xr.Dataset, other: xr.Dataset) -> None:
    """Raise unless two parts of a node have the same attributes, variables, types and dimensions."""
    where = f"concat_time: {path} of parts 0 and {i}"
    for key in [*first.attrs, *other.attrs]:
        ours, theirs = (
            xr.Dataset(attrs={key: part.attrs[key]} if key in part.attrs else {}) for part in (first, other)
        )
        if not ours.identical(theirs):
            raise RecordingError(f"{where}: attributes differ ({key!r}); give both the same")
    if differ := sorted(map(str, set(first.variables) ^ set(other.variables))):
        raise RecordingError(f"{where}: variable {differ[0]!r} is in only one of them; give both the same")
    for name, variable in first.variables.items():
        twin = other.variables[name]
        if variable.dtype.kind != twin.dtype.kind or variable.dims != twin.dims:
            kinds = f"{variable.dtype} {variable.dims} and {twin.dtype} {twin.dims}"
            raise RecordingError(f"{where}: {name!r} is {kinds}; convert one")


def _time_dim(node: xr.Dataset) -> str:
    return next(dim for dim in ("time", "event", "trial", "interval") if dim in node.dims)


def _join_runs(path: str, parts: list[xr.Dataset]) -> xr.Dataset:
    """Join a ragged node: the runs of one unit, part after part, then the next unit."""
    first = parts[0]
    for i, part in enumerate(parts[1:], start=1):
        if not first.variables["unit"].identical(part.variables["unit"]):
            raise RecordingError(
                f"concat_time: the units of {path} differ between parts 0 and {i}; select the same units"
            )
    sizes = np.stack([part["row_size"].values for part in parts])
    stops = np.cumsum(sizes, axis=1)
    names = [name for name in first.data_vars if name != "row_size"]
    out: dict[object, xr.Variable] = {}
    for name in names:
        pieces = [
            part.variables[name][stop - size : stop]
            for row_stops, row_sizes in zip(stops.T.tolist(), sizes.T.tolist(), strict=True)
            for part, stop, size in zip(parts, row_stops, row_sizes, strict=True)
            if size
        ]
        out[name] = join(pieces) if pieces else first.variables[name][0:0]
    row_size = first.variables["row_size"].copy(data=sizes.sum(axis=0))
    if path == "/observation":
        row_size = _merge_touching(out, row_size)
    variables = {name: out.get(name, row_size) for name in first.data_vars}
    return xr.Dataset(variables, coords={"unit": first["unit"]}, attrs=first.attrs)


def _merge_touching(out: dict[object, xr.Variable], row_size: xr.Variable) -> xr.Variable:
    """Make one interval of those of one unit that touch; edits ``out`` and returns the new row sizes."""
    start, stop = out["start"].values, out["stop"].values
    unit = np.repeat(np.arange(row_size.size), row_size.values)
    apart = (start[1:] != stop[:-1]) | (unit[1:] != unit[:-1])
    edge = np.ones(min(len(start), 1), dtype=bool)
    begins, ends = np.concatenate([edge, apart]), np.concatenate([apart, edge])
    out["start"] = out["start"][np.flatnonzero(begins)]
    out["stop"] = out["stop"][np.flatnonzero(ends)]
    return row_size.copy(data=np.bincount(unit[begins], minlength=row_size.size).astype(row_size.dtype))
