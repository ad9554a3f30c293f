"""One recording from what a lab has in hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
import xarray as xr

from neurokit_snn.errors import RecordingError
from neurokit_snn.recording import coerce
from neurokit_snn.recording.schema import SCHEMA, SCHEMA_VERSION, from_datasets
from neurokit_snn.recording.validate import validate as check

__all__ = ["build"]


def build(
    *,
    spikes: Mapping[Any, Any] | tuple[Any, Any] | xr.Dataset | None = None,
    units: Any = None,
    trials: Any = None,
    epochs: Mapping[str, Any] | None = None,
    events: Mapping[str, Any] | None = None,
    behavior: Mapping[str, Any] | None = None,
    calcium: Any = None,
    stimulus: Mapping[str, Any] | None = None,
    signals: Mapping[str, Any] | None = None,
    observation: Mapping[Any, Any] | xr.Dataset | None = None,
    clocks: Mapping[str, Any] | xr.Dataset | None = None,
    truth: xr.Dataset | xr.DataTree | None = None,
    session_id: str = "",
    subject: str = "",
    start: str = "",
    source: str = "",
    licence: str = "",
    citation: str = "",
    duplicates: Literal["error", "drop"] = "error",
    validate: bool = True,
) -> xr.DataTree:
    """Make a recording. Times are seconds; everything is optional.

    Parameters
    ----------
    spikes
        ``{unit: times}`` with sorted times (the order of the units is kept); or ``(times, unit_of_spike)``,
        two flat arrays in any order, which are sorted; or a Dataset in the layout of ``/spikes``. Units are
        int or str.
    units
        Columns per unit: a DataFrame or mapping of columns (labels in a column ``unit`` or in a named or
        non-default index, else one row per unit of ``spikes`` in its order) or a Dataset with coordinate
        ``unit``. Labelled rows decide the order of the units and may name silent ones.
    trials
        DataFrame, mapping or Dataset with ``start``, ``stop`` and any columns; or an array (trial, 2). Rows
        are put in order of start; a column ``trial`` gives labels.
    epochs
        ``{name: array (interval, 2) or table with start and stop}``.
    events
        ``{name: times or table with a column time}``.
    behavior, signals
        ``{name: DataArray with coordinate time | (time, value) | mapping with time, value and any of units,
        kind, dims, coords, clock, attrs}``. ``value`` is (time, ...), for signals (time, channel).
    calcium
        The same for one array (time, unit).
    stimulus
        ``{name: frames}`` as for behaviour, (time, y, x[, channel]); or ``{name: table with time, x, y, p}``.
    observation
        ``{unit: array (interval, 2)}``, half open: when each unit was observed. Touching intervals are
        joined.
    clocks
        ``{label: (slope, offset)}`` or ``{label: fit_clock(...)}``: t_session = slope * t + offset.
    truth
        What a simulation knows, free form.
    session_id, subject, start, source, licence, citation
        Where it comes from; ``start`` is ISO 8601.
    duplicates
        ``"drop"`` removes what repeats the time before it, spikes of one unit and samples of one series; the
        first stays. ``"error"`` reports them. Events may coincide.
    validate
        Whether to check the result.

    Returns
    -------
    recording
        The tree, validated. A node on another clock says so with ``clock`` (an entry of the mapping, or an
        attribute of the table, DataArray or Dataset).

    Raises
    ------
    RecordingError
        When something cannot be read as what it should be, or the recording breaks a rule of the schema.

    Warns
    -----
    UnitsWarning
        When the spike times look like milliseconds.

    Examples
    --------
    >>> recording = build(
    ...     spikes={"a": [0.1, 0.5], "b": []},
    ...     trials={"start": [0.0, 0.5], "stop": [0.5, 1.0], "side": ["left", "right"]},
    ...     behavior={"speed": ([0.0, 0.5, 1.0], [1.0, 2.0, 1.5])},
    ... )
    >>> recording["spikes"]["row_size"].values
    array([2, 0])
    """
    if duplicates not in ("error", "drop"):
        raise RecordingError(f"build: duplicates={duplicates!r}; give 'error' or 'drop'")
    root = {"session_id": session_id, "subject": subject, "start": start, "source": source}
    attrs = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        **root,
        "licence": licence,
        "citation": citation,
    }
    nodes: dict[str, xr.Dataset] = {"/": xr.Dataset(attrs=attrs)}
    nodes |= _population(spikes, units, calcium, observation, drop=duplicates == "drop")
    if trials is not None:
        nodes["/trials"] = coerce.intervals(trials, "trial", "/trials")
    for name, data in (epochs or {}).items():
        nodes[f"/epochs/{name}"] = coerce.intervals(data, "interval", f"/epochs/{name}")
    for name, data in (events or {}).items():
        nodes[f"/events/{name}"] = coerce.events(data, f"/events/{name}")
    for name, data in (behavior or {}).items():
        nodes[f"/behavior/{name}"] = _behavior(data, f"/behavior/{name}")
    for name, data in (stimulus or {}).items():
        nodes[f"/stimulus/{name}"] = _stimulus(data, f"/stimulus/{name}")
    for name, data in (signals or {}).items():
        nodes[f"/signals/{name}"] = coerce.sampled(data, "value", ("time", "channel"), f"/signals/{name}")
    if clocks is not None:
        nodes["/clocks"] = coerce.clocks(clocks)
    if duplicates == "drop":
        nodes = {path: _without_repeats(content) for path, content in nodes.items()}
    nodes |= _free("/truth", truth)
    tree = from_datasets(nodes)
    if validate:
        check(tree, name=session_id or "recording")
    return tree


def _population(
    spikes: Any, units: Any, calcium: Any, observation: Any, *, drop: bool
) -> dict[str, xr.Dataset]:
    """Make the nodes that share the coordinate ``unit``: /units, /spikes, /calcium, /observation."""
    flat = None if spikes is None else _runs(spikes)
    table, order = (None, None) if units is None else _unit_table(units)
    if order is None and flat is not None:
        order = flat[0]
    if order is None and calcium is not None and table is None:
        order = np.asarray(coerce.calcium(calcium, None)["unit"].values)
    if order is None and table is not None:
        order = np.arange(table.sizes.get("unit", 0))
    if order is None:
        if observation is None:
            return {}
        order = coerce.labels(list(observation), "/observation")
    table = xr.Dataset() if table is None else table
    if table.sizes.get("unit", len(order)) != len(order):
        raise RecordingError(
            f"/units: {table.sizes['unit']} rows without labels for {len(order)} units; add a column 'unit'"
        )
    nodes = {"/units": table.assign_coords(unit=("unit", order))}
    attrs: dict[str, Any] = {}
    if flat is not None:
        nodes["/spikes"] = _spikes(flat, order, drop=drop)
        attrs = nodes["/spikes"].attrs
    if calcium is not None:
        nodes["/calcium"] = coerce.calcium(calcium, order)
    if observation is not None:
        nodes["/observation"] = _observation(observation, order, attrs)
    return nodes


def _unit_table(units: Any) -> tuple[xr.Dataset, np.ndarray | None]:
    """Columns of the units, and their labels where the table has them."""
    table = coerce.table(units, "unit", "/units")
    if "unit" in table.coords:
        return table, coerce.labels(table["unit"].values, "/units")
    index: Any = getattr(units, "index", None)
    default = (
        index is None
        or isinstance(units, xr.Dataset)
        or (type(index).__name__ == "RangeIndex" and not index.name)
    )
    return table, None if default else coerce.labels(index.to_numpy(), "/units")


_Runs = tuple[np.ndarray, np.ndarray, Any, dict[str, Any]]


def _runs(spikes: Any) -> _Runs:
    """Labels, run lengths, flat times and attributes of the spikes as given."""
    if isinstance(spikes, xr.Dataset):
        order = coerce.labels(spikes["unit"].values, "/spikes")
        return order, spikes["row_size"].values, spikes["time"].data, coerce.attributes(spikes.attrs)
    if isinstance(spikes, Mapping):
        order = coerce.labels(list(spikes), "/spikes")
        trains = [coerce.seconds(times, f"/spikes unit {unit!r}") for unit, times in spikes.items()]
        sizes = np.array([len(train) for train in trains], dtype=np.int64)
        return order, sizes, np.concatenate(trains) if trains else np.empty(0), {}
    if not isinstance(spikes, tuple) or len(spikes) != 2:
        raise RecordingError(
            f"/spikes: cannot read a {type(spikes).__name__}; give {{unit: times}} or (times, unit_of_spike)"
        )
    times = coerce.seconds(spikes[0], "/spikes times")
    of_spike = coerce.labels(spikes[1], "/spikes unit_of_spike")
    if len(times) != len(of_spike):
        raise RecordingError(
            f"/spikes: {len(times)} times but {len(of_spike)} units of spikes; they must match"
        )
    order, codes, sizes = _grouped(of_spike)
    # A stable sort of small integers is a radix sort; it is enough where the times are in order already.
    by_unit = np.argsort(codes, kind="stable")
    ordered = times[by_unit]
    falls = np.flatnonzero(ordered[1:] < ordered[:-1]) + 1
    if not np.isin(falls, np.cumsum(sizes)).all():
        ordered = times[np.lexsort((times, codes))]
    return order, sizes.astype(np.int64), ordered, {}


def _grouped(of_spike: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels in order, a code for each spike that sorts like its label, and the spikes of each label."""
    if of_spike.dtype.kind == "i" and len(of_spike):
        low = of_spike.min()
        # As wide a range as 16 bits hold needs no sort at all to be counted.
        if of_spike.max() - low < 2**16:
            codes = (of_spike - low).astype(np.uint16)
            counts = np.bincount(codes)
            present = np.flatnonzero(counts)
            return present + low, codes, counts[present]
    order, codes, sizes = np.unique(of_spike, return_inverse=True, return_counts=True)
    return order, codes.astype(np.uint16) if len(order) < 2**16 else codes, sizes


def _spikes(flat: _Runs, order: np.ndarray, *, drop: bool) -> xr.Dataset:
    """Return the node /spikes with its runs in the given order of units."""
    given, sizes, times, attrs = flat
    if not np.array_equal(given, order):
        position = {label: i for i, label in enumerate(given.tolist())}
        if missing := [label for label in given.tolist() if label not in set(order.tolist())]:
            raise RecordingError(
                f"/units: no row for unit {missing[0]!r} of /spikes; add it or drop its spikes"
            )
        stops = np.cumsum(sizes)
        where = [position.get(label, -1) for label in order.tolist()]
        runs = [times[stops[i] - sizes[i] : stops[i]] for i in where if i >= 0]
        sizes = np.array([sizes[i] if i >= 0 else 0 for i in where], dtype=np.int64)
        times = np.concatenate(runs) if runs else np.empty(0)
    if drop and len(times):
        again = np.asarray(times[1:] == times[:-1])
        edges = np.cumsum(sizes)[:-1]
        again[edges[(edges > 0) & (edges < len(times))] - 1] = False
        unit = np.repeat(np.arange(len(sizes)), sizes)
        keep = np.concatenate([[True], ~again])
        times, sizes = times[keep], np.bincount(unit[keep], minlength=len(sizes)).astype(np.int64)
    return xr.Dataset(
        {
            "time": ("spike", times, {"units": "s"}),
            "row_size": ("unit", np.asarray(sizes, dtype=np.int64), {"sample_dimension": "spike"}),
        },
        coords={"unit": ("unit", order)},
        attrs=attrs,
    )


def _observation(data: Any, order: np.ndarray, attrs: dict[str, Any]) -> xr.Dataset:
    """Return the node /observation, on the clock of the spikes, touching intervals of a unit joined."""
    if isinstance(data, xr.Dataset):
        return data
    if not isinstance(data, Mapping):
        raise RecordingError(
            f"/observation: cannot read a {type(data).__name__}; give {{unit: (start, stop) pairs}}"
        )
    known = set(order.tolist())
    if strange := [unit for unit in data if unit not in known]:
        raise RecordingError(f"/observation: unit {strange[0]!r} is not in /units; remove it or add the unit")
    starts, stops, sizes = [], [], []
    for unit in order.tolist():
        if unit not in data:
            raise RecordingError(
                f"/observation: nothing for unit {unit!r}; give its intervals ([] if never observed)"
            )
        rows = coerce.intervals(data[unit], "interval", f"/observation unit {unit!r}")
        begin, end = rows["start"].values, rows["stop"].values
        apart = begin[1:] != end[:-1]
        starts.append(begin[np.concatenate([[True], apart])] if len(begin) else begin)
        stops.append(end[np.concatenate([apart, [True]])] if len(end) else end)
        sizes.append(len(starts[-1]))
    return xr.Dataset(
        {
            "start": ("interval", np.concatenate([np.empty(0), *starts]), {"units": "s"}),
            "stop": ("interval", np.concatenate([np.empty(0), *stops]), {"units": "s"}),
            "row_size": ("unit", np.array(sizes, dtype=np.int64), {"sample_dimension": "interval"}),
        },
        coords={"unit": ("unit", order)},
        attrs={key: value for key, value in attrs.items() if key == "clock"},
    )


def _without_repeats(content: xr.Dataset) -> xr.Dataset:
    """Return a sampled node without the samples whose time repeats that of the sample before."""
    if "time" not in content.coords:
        return content
    times = content["time"].values
    again = times[1:] == times[:-1]
    return content.isel(time=np.concatenate([[True], ~again])) if again.any() else content


def _behavior(data: Any, where: str) -> xr.Dataset:
    out = coerce.sampled(data, "value", ("time", "axis"), where)
    out["value"].attrs = {"units": "", "kind": "continuous", **out["value"].attrs}
    return out


def _stimulus(data: Any, where: str) -> xr.Dataset:
    """Return frames or address events, whichever the entry has."""
    names: Iterable[Any] = ()
    if hasattr(data, "columns"):
        names = data.columns
    elif isinstance(data, xr.Dataset):
        names = data.variables
    elif isinstance(data, Mapping):
        names = data
    if {"time", "x", "y", "p"} <= set(names) and "frames" not in names:
        return coerce.events(data, where)
    return coerce.sampled(data, "frames", ("time", "y", "x", "channel"), where)


def _free(path: str, data: xr.Dataset | xr.DataTree | None) -> dict[str, xr.Dataset]:
    if data is None:
        return {}
    if isinstance(data, xr.Dataset):
        return {path: data}
    nodes = {key: node.to_dataset(inherit=False) for key, node in data.subtree_with_keys}
    return {path if key in (".", "/") else f"{path}/{key}": content for key, content in nodes.items()}
