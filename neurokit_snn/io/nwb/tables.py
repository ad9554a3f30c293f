"""Rows of a recording as NWB tables: whole columns at once, ragged columns as one flat array and an index."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from neurokit_snn._extras import require
from neurokit_snn.io.layout import Outgoing
from neurokit_snn.io.nwb.draft import Draft, safe_name

__all__ = [
    "add_electrodes",
    "add_events",
    "add_intervals",
    "add_units",
    "ids",
    "plane_segmentation",
    "unit_columns",
]


def add_intervals(draft: Draft, path: str, name: str, dim: str) -> Any:
    """Return a TimeIntervals table of ``/trials`` or ``/epochs/NAME``; overlapping rows are kept."""
    cls = require("pynwb.epoch", extra="nwb").TimeIntervals
    out = draft.out
    columns = [
        vector("start_time", out.seconds(path, "start"), "first instant, seconds from the session start"),
        vector("stop_time", out.seconds(path, "stop"), "end, seconds from the session start"),
        *_plain_columns(draft, cls, path, out.columns(path, dim, but=("start", "stop", dim))),
    ]
    rows = ids(out, path, dim, len(columns[0].data))
    return cls(name=name, description=_about(draft, path), id=rows, columns=columns)


def add_events(draft: Draft, path: str, name: str) -> Any:
    """Return an EventsTable of ``/events/NAME`` or of the events of a camera."""
    event = require("pynwb.event", extra="nwb")
    out = draft.out
    time = out.seconds(path, "time")
    columns = [event.TimestampVectorData(name="timestamp", description="time of the event", data=time)]
    names = out.columns(path, "event", but=("time", "event"))
    if "duration" in names and out.nodes[path]["duration"].dtype == np.float64:
        names.remove("duration")
        about = _describe(out, path, "duration")
        columns.append(
            event.DurationVectorData(name="duration", description=about, data=out.take(path, "duration"))
        )
    columns += _plain_columns(draft, event.EventsTable, path, names)
    rows = ids(out, path, "event", len(time))
    return event.EventsTable(name=name, description=_about(draft, path), id=rows, columns=columns)


def add_units(draft: Draft, columns: list[Any]) -> Any:
    """Return the Units table: ``/units``, ``/spikes`` and ``/observation`` in flat columns."""
    misc = require("pynwb.misc", extra="nwb")
    out = draft.out
    path = "/units"
    if "/spikes" in out.nodes:
        times = out.seconds("/spikes", "time")
        sizes = out.take("/spikes", "row_size")
        columns += _ragged("spike_times", times, sizes, "spike times, seconds from the session start")
    if "/observation" in out.nodes:
        start, stop = (out.seconds("/observation", name) for name in ("start", "stop"))
        sizes = out.take("/observation", "row_size")
        about = "when the unit was observed, seconds from the session start"
        columns += _ragged("obs_intervals", np.stack([start, stop], axis=1), sizes, about)
    rows = ids(out, path, "unit", out.nodes[path].sizes["unit"])
    return misc.Units(name="units", description="units of the recording", id=rows, columns=columns)


def unit_columns(draft: Draft, cls: type) -> list[Any]:
    """Return the columns of ``/units``; labels that are str stand in ``unit_name``."""
    out = draft.out
    names = out.columns("/units", "unit", but=("unit",))
    columns = _plain_columns(draft, cls, "/units", names)
    labels = out.peek("/units", "unit")
    if labels.dtype.kind not in "iu" and "unit_name" not in names:
        columns.append(vector("unit_name", labels.astype(object), "label of the unit"))
    if draft.electrodes and "electrode" in names and cls.__name__ == "Units":
        common = require("hdmf.common", extra="nwb")
        rows = [draft.electrodes[_electrode_key(label)] for label in out.peek("/units", "electrode").tolist()]
        region = common.DynamicTableRegion(
            name="electrodes", description="electrode of the unit", data=rows, table=draft.file.electrodes
        )
        columns += [region, _index("electrodes_index", np.ones(len(rows), dtype=np.int64), region)]
    return columns


def add_electrodes(draft: Draft, labels: Iterable[tuple[Any, str]]) -> None:
    """Give the file a minimal electrode table with one row per different label.

    Parameters
    ----------
    draft
        The file in the making.
    labels
        ``(label of the electrode or channel, where it is)``; the same label is the same electrode.
    """
    places: dict[str, str] = {}
    for label, location in labels:
        key = _electrode_key(label)
        if places.get(key, "unknown") == "unknown":
            places[key] = location
    if not places:
        return
    ecephys = require("pynwb.ecephys", extra="nwb")
    device = draft.file.create_device(name="probe", description="recording device, not known to neurokit_snn")
    group = draft.file.create_electrode_group(
        name="electrodes", description="all electrodes of the recording", location="unknown", device=device
    )
    # NWB requires a location of every electrode; an empty one is not accepted.
    table = ecephys.ElectrodesTable(
        id=np.arange(len(places)),
        columns=[
            vector(
                "location",
                np.array([place or "unknown" for place in places.values()], dtype=object),
                "location",
            ),
            vector("group", [group] * len(places), "group of the electrode"),
            vector("group_name", np.array([group.name] * len(places), dtype=object), "name of the group"),
            vector("label", np.array(list(places), dtype=object), "label of the electrode or channel"),
        ],
    )
    draft.file.set_electrode_table(table)
    draft.electrodes = {key: row for row, key in enumerate(places)}


def electrode_region(draft: Draft, labels: Sequence[Any]) -> Any:
    """Return the rows of the electrode table that stand for ``labels``."""
    rows = [draft.electrodes[_electrode_key(label)] for label in labels]
    return draft.file.create_electrode_table_region(region=rows, description="electrodes of the channels")


def plane_segmentation(draft: Draft, columns: list[Any]) -> Any:
    """Return a PlaneSegmentation with one region per unit, on a plane about which nothing is known."""
    ophys = require("pynwb.ophys", extra="nwb")
    file = draft.file
    device = file.create_device(name="microscope", description="imaging device, not known to neurokit_snn")
    channel = ophys.OpticalChannel(name="channel", description="not known", emission_lambda=float("nan"))
    plane = file.create_imaging_plane(
        name="plane", optical_channel=channel, description="not known", device=device, location="unknown",
        excitation_lambda=float("nan"), indicator="unknown",
    )  # fmt: skip
    n = draft.out.nodes["/calcium"].sizes["unit"]
    # NWB wants a mask for every region; no pixel is the only honest one.
    pixels = np.empty(0, dtype=[("x", "u4"), ("y", "u4"), ("weight", "f4")])
    columns = [*_ragged("pixel_mask", pixels, np.zeros(n, dtype=np.int64), "masks are not known"), *columns]
    rows = ids(draft.out, "/units", "unit", n)
    return ophys.PlaneSegmentation(
        name="units", description="one region per unit", imaging_plane=plane, id=rows, columns=columns
    )


def ids(out: Outgoing, path: str, dim: str, n: int) -> np.ndarray:
    """Return the ids of the rows: integer labels as they are, else the row number."""
    variable = out.nodes[path].variables.get(dim)
    if variable is not None and variable.dtype.kind in "iu":
        return out.peek(path, dim)
    return np.arange(n)


def vector(name: str, data: Any, description: str) -> Any:
    """Return one column."""
    return require("hdmf.common", extra="nwb").VectorData(name=name, description=description, data=data)


def _ragged(name: str, data: np.ndarray, sizes: np.ndarray, description: str) -> list[Any]:
    column = vector(name, data, description)
    return [column, _index(f"{name}_index", sizes, column)]


def _index(name: str, sizes: np.ndarray, target: Any) -> Any:
    return require("hdmf.common", extra="nwb").VectorIndex(name=name, data=np.cumsum(sizes), target=target)


def _plain_columns(draft: Draft, cls: type, path: str, names: Sequence[str]) -> list[Any]:
    """Return columns of any type; a name that NWB uses itself gets an underscore until it is read."""
    reserved = {column["name"] for column in getattr(cls, "__columns__", ())}
    reserved |= {f"{name}_index" for name in reserved}
    columns: list[Any] = []
    used: Mapping[str, str] = draft.columns.setdefault(path, {})
    for name in names:
        column = safe_name(name)
        while column in reserved or hasattr(cls, column) or column in used:
            column += "_"
        draft.columns[path][column] = name
        data = draft.out.take(path, name)
        data = data.astype(object) if data.dtype.kind == "U" else data
        columns.append(vector(column, data, _describe(draft.out, path, name)))
    return columns


def _describe(out: Outgoing, path: str, name: str) -> str:
    """Return the description of a column for people: its own, else its name and units."""
    attrs = out.nodes[path].variables[name].attrs
    text = str(attrs.get("description") or attrs.get("long_name") or name)
    return f"{text} ({attrs['units']})" if attrs.get("units") else text


def _about(draft: Draft, path: str) -> str:
    return str(draft.out.nodes[path].attrs.get("description") or path.strip("/"))


def _electrode_key(label: Any) -> str:
    return str(label)
