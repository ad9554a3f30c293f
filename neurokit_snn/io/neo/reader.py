"""A Neo Block, anybody's, to a recording."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr

from neurokit_snn._extras import require
from neurokit_snn.errors import FormatError
from neurokit_snn.io.assemble import assemble
from neurokit_snn.io.foreign import wrapped
from neurokit_snn.io.layout import LossWarning, parse
from neurokit_snn.io.neo.names import KEPT, LAYOUT, NODE, UNIT

__all__ = ["from_neo"]

_OURS = {NODE, UNIT}


def from_neo(
    block: Any,
    *,
    segment: int | None = None,
    drop: Collection[str] = (),
    duplicates: Literal["error", "drop"] = "error",
) -> xr.DataTree:
    """Read a Neo Block: one of `to_neo` comes back equal, any other as far as a recording can hold it.

    Quantities are converted (times to seconds, within one unit in the last place) and dropped; the unit of a
    signal stays in ``attrs["units"]``. SpikeTrains become units, known by their names where these are all
    different, else by position, with scalar annotations as columns and t_start to t_stop as observation
    intervals. AnalogSignals become ``/signals``, IrregularlySampledSignals ``/behavior``, Events ``/events``,
    Epochs ``/epochs`` (``/trials`` if so named).

    Segments that follow each other on the Block's clock are joined, with one row each in
    ``/epochs/segments``, and units count as unobserved between them. Segments that overlap in time, as those
    that each start at zero, have no common clock: choose one with ``segment``.

    Parameters
    ----------
    block
        A ``neo.Block``.
    segment
        Index of the one segment to read; None for all.
    drop
        Nodes to leave out, as in ``["observation", "signals/emg"]``.
    duplicates
        ``"drop"`` removes repeated spike times of one unit, ``"error"`` reports them.

    Returns
    -------
    recording
        Validated.

    Raises
    ------
    FormatError
        When it is no Block, or its segments overlap in time or do not fit together.
    RecordingError
        When what it holds breaks a rule of the schema.
    MissingExtraError
        When neo is not installed.

    Warns
    -----
    LossWarning
        Naming what the recording leaves out.

    Examples
    --------
    >>> import neo, quantities as pq
    >>> train = neo.SpikeTrain([1.0, 2.5] * pq.ms, t_stop=10 * pq.ms, name="a")
    >>> block, segment = neo.Block(), neo.Segment()
    >>> segment.spiketrains.append(train)
    >>> block.segments.append(segment)
    >>> from neurokit_snn import io
    >>> io.from_neo(block)["spikes"]["time"].values
    array([0.001 , 0.0025])
    """
    neo = require("neo", extra="neo")
    if not isinstance(block, neo.Block):
        raise FormatError(
            f"from_neo: got a {type(block).__name__}, expected a neo.Block; put segments into one"
        )
    name = f"Block {block.name!r}" if block.name else "Block"
    with wrapped(name, "Neo", "neo"):
        segments = _chosen(block, segment, name)
        text = block.annotations.get(LAYOUT)
        layout = None if text is None else parse(text, name)
        left_out: list[str] = []
        found = _trains(segments, left_out)
        if layout is not None:
            # From t_start to t_stop is the nearest that Neo has; what a recording says itself is kept.
            found.pop("/observation", None)
        parts: dict[str, list[xr.Dataset]] = defaultdict(list)
        for one in segments:
            for path, node in _sampled_and_rows(one, left_out).items():
                parts[path].append(node)
        found |= {path: _join(nodes, path, name) for path, nodes in parts.items()}
        if len(segments) > 1:
            found["/epochs/segments"] = _segment_rows(segments)
        attrs = _session(block, layout)
    tree = assemble(
        found,
        attrs,
        name=name,
        layout=layout,
        kept=block.annotations.get(KEPT, {}),
        drop=drop,
        duplicates=duplicates,
    )
    if left_out:
        warnings.warn(f"{name}: not read: {', '.join(left_out)}", LossWarning, stacklevel=2)
    return tree


def _chosen(block: Any, segment: int | None, name: str) -> list[Any]:
    if segment is not None:
        if not 0 <= segment < len(block.segments):
            raise FormatError(f"{name}: segment={segment}, but it has {len(block.segments)}; count from 0")
        return [block.segments[segment]]
    for i, (before, after) in enumerate(zip(block.segments, block.segments[1:], strict=False), start=1):
        if after.t_start is not None and before.t_stop is not None and after.t_start < before.t_stop:
            raise FormatError(
                f"{name}: segment {i} starts at {after.t_start}, before segment {i - 1} ends at "
                f"{before.t_stop}; read them one by one with segment=0 ... {len(block.segments) - 1}"
            )
    return list(block.segments)


def _trains(segments: Sequence[Any], left_out: list[str]) -> dict[str, xr.Dataset]:
    """Return /units, /spikes and /observation of the SpikeTrains of all segments."""
    runs: dict[Any, list[np.ndarray]] = defaultdict(list)
    edges: dict[Any, list[tuple[float, float]]] = defaultdict(list)
    notes: dict[Any, dict[str, Any]] = defaultdict(dict)
    for segment in segments:
        for label, train in zip(_labels(segment.spiketrains), segment.spiketrains, strict=True):
            # Neo does not ask for sorted times, and their order means nothing.
            runs[label].append(np.sort(_seconds(train)))
            edges[label].append((float(_seconds(train.t_start)), float(_seconds(train.t_stop))))
            notes[label] |= {key: value for key, value in train.annotations.items() if key not in _OURS}
    if not runs:
        return {}
    labels = {"unit": _array(list(runs))}
    columns: dict[str, Any] = {}
    for key in dict.fromkeys(key for note in notes.values() for key in note):
        values = _column([note.get(key) for note in notes.values()])
        if values is None:
            left_out.append(f"annotation {key} of SpikeTrains")
        else:
            columns[f"{key}_" if key == "unit" else key] = ("unit", values)
    flat = np.array([edge for label in runs for edge in edges[label]], dtype=np.float64).reshape(-1, 2)
    sizes = [sum(map(len, parts)) for parts in runs.values()]
    counts = [len(edges[label]) for label in runs]
    return {
        "/units": xr.Dataset(columns, coords=labels),
        "/spikes": xr.Dataset(
            {
                "time": ("spike", np.concatenate([part for parts in runs.values() for part in parts])),
                "row_size": ("unit", np.array(sizes, dtype=np.int64)),
            },
            coords=labels,
        ),
        "/observation": xr.Dataset(
            {
                "start": ("interval", flat[:, 0]),
                "stop": ("interval", flat[:, 1]),
                "row_size": ("unit", np.array(counts, dtype=np.int64)),
            },
            coords=labels,
        ),
    }


def _labels(trains: Sequence[Any]) -> list[Any]:
    """Label of each train: ours, else its name if all names differ, else its position."""
    ours = [train.annotations.get(UNIT) for train in trains]
    if None not in ours:
        return ours
    names = [train.name for train in trains]
    return names if all(names) and len(set(names)) == len(names) else list(range(len(trains)))


def _sampled_and_rows(segment: Any, left_out: list[str]) -> dict[str, xr.Dataset]:
    """Return the nodes of everything in a segment but spikes."""
    found: dict[str, xr.Dataset] = {}
    for signal in segment.analogsignals:
        found[_path(signal, "signals", found)] = _signal(signal, "channel")
    for signal in segment.irregularlysampledsignals:
        path = _path(signal, "behavior", found)
        found[path] = _signal(signal, "axis" if path.startswith("/behavior/") else "channel")
    for event in segment.events:
        content: dict[str, Any] = {"time": ("event", _seconds(event.times))}
        if NODE not in event.annotations and len(event.labels) == len(event.times):
            content["label"] = ("event", _array(event.labels.tolist()))
        rows = xr.Dataset(content | _annotated(event, "event", {"time", "label", "event"}))
        found[_path(event, "events", found)] = rows.isel(event=np.argsort(rows["time"].values, kind="stable"))
    for epoch in segment.epochs:
        path = _path(epoch, "epochs", found)
        found[path] = _intervals(epoch, "trial" if path == "/trials" else "interval")
    left_out += [f"ImageSequence {one.name or i}" for i, one in enumerate(segment.imagesequences)]
    return found


def _signal(signal: Any, dim: str) -> xr.Dataset:
    """Return a signal as (time, dim); the restored layout reshapes and renames what came from a recording."""
    path = signal.annotations.get(NODE, "")
    data = np.asarray(signal.magnitude)
    coords: dict[str, Any] = {"time": _seconds(signal.times)}
    attrs = {"units": "" if signal.dimensionality.string == "dimensionless" else signal.dimensionality.string}
    dims: tuple[str, ...] = ("time", dim)
    name = "value"
    if path == "/calcium":
        name, dims = "fluorescence", ("time", "unit")
    elif path.startswith("/stimulus/"):
        name, dims, data = "frames", ("time", "y", "x"), data[:, :, None]
    elif data.shape[1] == 1 and dim == "axis":
        dims, data = ("time",), data[:, 0]
    else:
        coords[dim] = np.arange(data.shape[1])
    return xr.Dataset({name: (dims, data, attrs)}, coords=coords)


def _intervals(epoch: Any, dim: str) -> xr.Dataset:
    start = _seconds(epoch.times)
    content: dict[str, Any] = {"start": (dim, start), "stop": (dim, start + _seconds(epoch.durations))}
    columns = _annotated(epoch, dim, {"start", dim})
    if NODE not in epoch.annotations:
        columns.pop("stop", None)
        if len(epoch.labels) == len(start):
            content["label"] = (dim, _array(epoch.labels.tolist()))
    return xr.Dataset(content | columns)


def _annotated(thing: Any, dim: str, taken: set[str]) -> dict[str, Any]:
    """Array annotations as columns."""
    columns: dict[str, Any] = {}
    for key, values in thing.array_annotations.items():
        values = np.asarray(values)
        if values.ndim == 1 and values.dtype.kind in "biufU":
            ours = NODE in thing.annotations
            columns[key if ours or key not in taken else f"{key}_"] = (dim, values)
    return columns


def _path(thing: Any, family: str, found: Mapping[str, Any]) -> str:
    """Node of an object: the one it came from, else by its name, else by its position."""
    if NODE in thing.annotations:
        return str(thing.annotations[NODE])
    if family == "epochs" and (thing.name or "").lower() in ("trial", "trials") and "/trials" not in found:
        return "/trials"
    base = f"/{family}/{(thing.name or family).replace('/', '_')}"
    path, n = base, 1
    while path in found:
        path, n = f"{base}_{n}", n + 1
    return path


def _join(nodes: Sequence[xr.Dataset], path: str, name: str) -> xr.Dataset:
    """Put the parts of one node, from several segments, one after another."""
    if len(nodes) == 1:
        return nodes[0]
    dim = next(dim for dim in ("time", "event", "trial", "interval") if dim in nodes[0].dims)
    common = set.intersection(*(set(map(str, node.variables)) for node in nodes))
    try:
        return xr.concat(
            [node[sorted(common)] for node in nodes],
            dim,
            data_vars="minimal",
            coords="minimal",
            compat="equals",
            join="exact",
        )
    except ValueError as error:
        raise FormatError(
            f"{name}: {path} differs between segments ({error}); read them with segment=..."
        ) from error


def _segment_rows(segments: Sequence[Any]) -> xr.Dataset:
    edges = np.array(
        [[float(_seconds(s.t_start)), float(_seconds(s.t_stop))] for s in segments if s.t_start is not None]
    )
    edges = edges.reshape(-1, 2)
    names = _array([s.name or "" for s in segments if s.t_start is not None])
    return xr.Dataset(
        {"start": ("interval", edges[:, 0]), "stop": ("interval", edges[:, 1]), "name": ("interval", names)}
    )


def _session(block: Any, layout: Mapping[str, Any] | None) -> dict[str, str]:
    if layout is not None:
        return dict(layout["nodes"]["/"]["attrs"])
    start = "" if block.rec_datetime is None else block.rec_datetime.isoformat()
    subject = block.annotations.get("subject", "")
    return {
        "session_id": block.name or "",
        "start": start,
        "source": block.description or block.file_origin or "",
        "subject": subject if isinstance(subject, str) else "",
    }


def _seconds(quantity: Any) -> np.ndarray:
    return np.asarray(quantity.rescale("s").magnitude, dtype=np.float64)


def _array(items: Sequence[Any]) -> np.ndarray:
    """Return labels or texts as an array, str as objects."""
    if all(isinstance(item, str) for item in items):
        return np.array(items, dtype=object)
    return np.array(items)


def _column(values: Sequence[Any]) -> np.ndarray | None:
    """Return scalar annotations as a column, or None where they are of no one kind."""
    values = [value.item() if isinstance(value, np.generic) else value for value in values]
    for kind in (str, bool, int):
        if all(type(value) is kind for value in values):
            return _array(values)
    if all(type(value) in (int, float) for value in values):
        return np.array(values, dtype=np.float64)
    return None
