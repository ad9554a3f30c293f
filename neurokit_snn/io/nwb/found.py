"""A walk over an NWB file, anybody's, that gathers what a recording can hold and notes what it cannot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from neurokit_snn._extras import require
from neurokit_snn.io._lazy import lazy_hdf5
from neurokit_snn.io.nwb.columns import interval_table, ragged, table_columns

__all__ = ["Found", "walk"]

_NEVER = ("waveform_mean", "waveform_sd", "waveforms")
_EVENT_SERIES = {"AnnotationSeries": "annotation", "Events": None, "LabeledEvents": "label", "TTLs": "label"}


@dataclass
class Found:
    """Arguments of `recording.build`, as far as a walk has come.

    Attributes
    ----------
    name
        Name of the file, for errors.
    places
        Where this package put nodes when it wrote the file: path in the file to path of the node.
    columns
        For each node that became a table, column in the file to variable of the node.
    lazy
        Whether large arrays become dask arrays.
    nodes
        ``{path of the node: Dataset}`` so far.
    left_out
        Path in the file of everything that no node was made of.
    """

    name: str
    places: Mapping[str, str]
    columns: Mapping[str, Mapping[str, str]]
    lazy: bool
    nodes: dict[str, xr.Dataset] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def take_units(self, table: Any) -> None:
        """Read a Units table: labels, columns, spike times and observation intervals."""
        special = ("spike_times", "obs_intervals", "electrodes", *_NEVER)
        columns, left = table_columns(table, "unit", but=special)
        columns = self._renamed("/units", columns)
        self.left_out += [f"units/{name}" for name in (*left, *(n for n in _NEVER if n in table.colnames))]
        if "electrodes" in table.colnames:
            columns = _first_electrodes(table["electrodes"]) | columns
        labels = {"unit": np.asarray(table.id[:])}
        self.nodes["/units"] = xr.Dataset({k: ("unit", v) for k, v in columns.items()}, coords=labels)
        if "spike_times" in table.colnames:
            times, sizes = ragged(table, "spike_times", f"{self.name}: units")
            content = {"time": ("spike", times.astype(np.float64)), "row_size": ("unit", sizes)}
            self.nodes["/spikes"] = xr.Dataset(content, coords=labels)
        if "obs_intervals" in table.colnames:
            edges, sizes = ragged(table, "obs_intervals", f"{self.name}: units")
            edges = edges.astype(np.float64).reshape(-1, 2)
            content = {
                "start": ("interval", edges[:, 0]),
                "stop": ("interval", edges[:, 1]),
                "row_size": ("unit", sizes),
            }
            self.nodes["/observation"] = xr.Dataset(content, coords=labels)

    def take_regions(self, series: Any) -> None:
        """Read the regions of a response series as the units of a recording without spikes."""
        table = series.rois.table
        rows = np.asarray(series.rois.data[:])
        columns, left = table_columns(table, "unit", but=("image_mask", "pixel_mask", "voxel_mask"))
        self.left_out += [f"{table.name}/{name}" for name in left]
        columns = self._renamed("/units", columns)
        labels = {"unit": np.asarray(table.id[:])[rows]}
        self.nodes["/units"] = xr.Dataset({k: ("unit", v[rows]) for k, v in columns.items()}, coords=labels)

    def take_intervals(self, place: str, table: Any) -> None:
        """Read a TimeIntervals table: trials, or an epoch by its name."""
        trials = place == "intervals/trials"
        path = self._path(place, "trials", "") if trials else self._path(place, "epochs", table.name)
        rows, left = interval_table(table, "trial" if trials else "interval")
        self.left_out += [f"{place}/{name}" for name in left]
        self.nodes[path] = rows.rename(self._renaming(path, rows))

    def take_events(self, place: str, table: Any) -> None:
        """Read an EventsTable, put in order of time."""
        family = (
            "stimulus"
            if place.startswith("stimulus/") and {"x", "y", "p"} <= set(table.colnames)
            else "events"
        )
        path = self._path(place, family, table.name)
        columns, left = table_columns(table, "event", but=("timestamp",))
        columns = {(f"{name}_" if name == "time" else name): values for name, values in columns.items()}
        self.left_out += [f"{place}/{name}" for name in left]
        time = np.asarray(table["timestamp"].data[:], dtype=np.float64)
        content = {"time": time, **self._renamed(path, columns)}
        rows = xr.Dataset(
            {k: ("event", v) for k, v in content.items()}, coords={"event": np.asarray(table.id[:])}
        )
        if np.any(time[1:] < time[:-1]):
            rows = rows.isel(event=np.argsort(time, kind="stable"))
        self.nodes[path] = rows

    def take_instants(self, place: str, series: Any) -> None:
        """Read a series of single instants (annotations, TTLs) as events."""
        column = _EVENT_SERIES.get(type(series).__name__, "value")
        path = self._path(place, "events", series.name)
        content: dict[str, Any] = {"time": ("event", _times(series))}
        data = getattr(series, "data", None)
        if column is not None and data is not None:
            values = np.asarray(data[:])
            # Without the extension ndx-events installed, hdmf names the attribute after the data it belongs to.
            labels = getattr(series, "labels", getattr(series, "data__labels", None))
            if labels is not None and values.dtype.kind in "iu":
                values = np.asarray(labels[:])[values]
            content[column] = ("event", values.astype(object) if values.dtype.kind in "OSU" else values)
        self.nodes[path] = xr.Dataset(content)

    def take_onsets(self, place: str, series: Any) -> None:
        """Read an IntervalSeries, whose positive numbers mark starts and negative ones stops, as an epoch."""
        time, mark = _times(series), np.asarray(series.data[:])
        kinds = [int(kind) for kind in np.unique(np.abs(mark)) if kind]
        rows = [np.stack([time[mark == kind], time[mark == -kind]], axis=1) for kind in kinds]
        edges = np.concatenate([np.empty((0, 2)), *rows])
        of_row = np.repeat(np.array(kinds, dtype=np.int64), [len(row) for row in rows])
        content = {"start": edges[:, 0], "stop": edges[:, 1], "kind": of_row}
        path = self._path(place, "epochs", series.name)
        self.nodes[path] = xr.Dataset({name: ("interval", values) for name, values in content.items()})

    def take_series(self, place: str, series: Any, family: str) -> None:
        """Read a sampled series into ``/behavior``, ``/signals``, ``/stimulus`` or ``/calcium``."""
        path = "/calcium" if family == "calcium" else self._path(place, family, series.name)
        ours = place in self.places
        data = self._data(series, scaled=not ours)
        variable = {"stimulus": "frames", "calcium": "fluorescence"}.get(family, "value")
        dims: tuple[str, ...] = ("time", *(f"dim_{i}" for i in range(1, data.ndim)))
        coords: dict[str, Any] = {"time": _times(series)}
        if family == "stimulus":
            data, dims = np.swapaxes(data, 1, 2), ("time", "y", "x", "channel")[: data.ndim]
        elif family == "signals":
            data, dims = _as_table(data), ("time", "channel")
            coords["channel"] = _channels(series, data.shape[1])
        elif family == "calcium":
            data, dims = _as_table(data), ("time", "unit")
            coords["unit"] = _roi_ids(series)
        elif data.ndim == 2:
            dims = ("time", "axis")
            coords["axis"] = (
                np.array(["x", "y", "z"][: data.shape[1]]) if data.shape[1] <= 3 else np.arange(data.shape[1])
            )
        else:
            coords |= {dim: np.arange(size) for dim, size in zip(dims[1:], data.shape[1:], strict=True)}
        attrs = {"units": {"volts": "V", "unknown": ""}.get(series.unit, series.unit or "")}
        if family == "behavior":
            attrs["kind"] = "circular" if place.split("/")[-2:-1] == ["CompassDirection"] else "continuous"
        self.nodes[path] = xr.Dataset({variable: (dims, data, attrs)}, coords=coords)

    def _data(self, series: Any, *, scaled: bool) -> Any:
        """Values of a series; scaled to its unit unless this package wrote it, which undoes nothing."""
        source = series.data
        on_disk = self.lazy and hasattr(source, "file") and source.dtype.kind in "biuf"
        data = lazy_hdf5(source) if on_disk else np.asarray(source[:])
        if not scaled:
            return data
        channel = getattr(series, "channel_conversion", None)
        if channel is not None:
            data = data * np.asarray(channel[:])
        if series.conversion not in (None, 1.0):
            data = data * series.conversion
        return data + series.offset if getattr(series, "offset", None) else data

    def _path(self, place: str, family: str, name: str) -> str:
        """Return the path of the node: where this package had it, else a free one by family and name."""
        if place in self.places:
            return self.places[place]
        if not name:
            return f"/{family}"
        taken = set(self.nodes) | set(self.places.values())
        path = f"/{family}/{name}"
        if path in taken:
            path = f"/{family}/{place.replace('/', '_')}"
        return path

    def _renamed(self, path: str, columns: dict[str, Any]) -> dict[str, Any]:
        names = self.columns.get(path, {})
        return {names.get(name, name): values for name, values in columns.items()}

    def _renaming(self, path: str, rows: xr.Dataset) -> dict[str, str]:
        names = self.columns.get(path, {})
        return {name: names[name] for name in map(str, rows.variables) if names.get(name, name) != name}


def walk(file: Any) -> Iterator[tuple[str, Any]]:
    """Yield the path in the file and the object of every series and table below a container.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> import pynwb
    >>> file = pynwb.NWBFile("an example", "id", datetime(2026, 1, 1, tzinfo=UTC))
    >>> file.add_acquisition(pynwb.TimeSeries(name="lick", data=[0.0], unit="V", rate=1.0))
    >>> [place for place, _ in walk(file)]
    ['acquisition/lick']
    """
    for name in ("acquisition", "stimulus", "events", "analysis"):
        for child in (getattr(file, name, None) or {}).values():
            yield from _below(name, child)
    for module in file.processing.values():
        for child in module.data_interfaces.values():
            yield from _below(f"processing/{module.name}", child)


def _below(place: str, thing: Any) -> Iterator[tuple[str, Any]]:
    core = require("pynwb.core", extra="nwb")
    if isinstance(thing, core.MultiContainerInterface):
        for child in thing.children:
            yield from _below(f"{place}/{thing.name}", child)
    else:
        yield f"{place}/{thing.name}", thing


def _times(series: Any) -> np.ndarray:
    """Return the times of a series, from its timestamps or its start and rate."""
    if series.timestamps is not None:
        return np.asarray(series.timestamps[:], dtype=np.float64)
    start = series.starting_time or 0.0
    return start + np.arange(len(series.data)) / series.rate


def _as_table(data: Any) -> Any:
    """Return an array of one or more dimensions as (time, everything else)."""
    return data.reshape(len(data), int(np.prod(data.shape[1:])))


def _channels(series: Any, n: int) -> np.ndarray:
    """Return the ids of a series' electrodes, where they are as many and as different as its channels."""
    electrodes = getattr(series, "electrodes", None)
    if electrodes is not None:
        ids = np.asarray(electrodes.table.id[:])[np.asarray(electrodes.data[:])]
        if len(np.unique(ids)) == n:
            return ids
    return np.arange(n)


def _roi_ids(series: Any) -> np.ndarray:
    return np.asarray(series.rois.table.id[:])[np.asarray(series.rois.data[:])]


def _first_electrodes(column: Any) -> dict[str, Any]:
    """Return id and location of the first electrode of every unit, where every unit has one."""
    common = require("hdmf.common", extra="nwb")
    region = column.target if isinstance(column, common.VectorIndex) else column
    rows = np.asarray(region.data[:])
    if isinstance(column, common.VectorIndex):
        stops = np.asarray(column.data[:]).astype(np.int64)
        starts = np.concatenate([[0], stops])[:-1]
        if not len(stops) or np.any(stops == starts):
            return {}
        rows = rows[starts]
    found = {"electrode": np.asarray(region.table.id[:])[rows]}
    if "location" in region.table.colnames:
        places = np.asarray(region.table["location"].data[:], dtype=object)[rows]
        found["location"] = np.array([str(place) for place in places], dtype=object)
    return found
