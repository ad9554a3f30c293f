"""A recording to a Neo Block with one Segment."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurokit_snn._extras import require
from neurokit_snn.artefact import plain
from neurokit_snn.io.foreign import moment, wrapped
from neurokit_snn.io.layout import Outgoing, runs
from neurokit_snn.io.neo.names import KEPT, LAYOUT, NODE, UNIT, quantity
from neurokit_snn.recording import span, validate

__all__ = ["to_neo"]

_REGULAR_S = 1e-9
"""Times this close to a constant rate make an AnalogSignal; if they differ at all they are kept beside it."""


def to_neo(tree: xr.DataTree) -> Any:
    """Return a recording as a Neo Block with one Segment, on the session clock.

    Units become SpikeTrains (columns of ``/units`` as annotations), trials and epochs Epochs with durations
    (rows may overlap; columns and the exact ``stop`` as array annotations), events Events, and everything
    sampled an AnalogSignal where its rate is constant, else an IrregularlySampledSignal, with units where
    `quantities` has them. What Neo has no place for travels in annotations of the Block, so that `from_neo`
    gives an equal recording.

    Parameters
    ----------
    tree
        A recording; it is validated first. Lazy variables are loaded.

    Returns
    -------
    block
        A ``neo.Block``.

    Raises
    ------
    RecordingError
        When the recording breaks a rule of the schema.
    FormatError
        When something cannot stand in Neo.
    MissingExtraError
        When neo is not installed.

    Examples
    --------
    >>> from neurokit_snn import io, recording
    >>> block = io.to_neo(recording.build(spikes={"a": [0.1, 0.2]}))
    >>> block.segments[0].spiketrains[0].times
    array([0.1, 0.2]) * s
    """
    neo = require("neo", extra="neo")
    validate(tree)
    out = Outgoing(tree)
    attrs = out.nodes["/"].attrs
    with wrapped("recording", "Neo", "neo", doing="write"):
        segment = neo.Segment(name=attrs["session_id"])
        if "/spikes" in out.nodes:
            segment.spiketrains.extend(_trains(out, neo, span(tree)))
        rows = {"/trials": "trial"} if "/trials" in out.nodes else {}
        for path, dim in (rows | {path: "interval" for path in out.family("epochs").values()}).items():
            segment.epochs.append(_epoch(out, neo, path, dim))
        for path in (*out.family("events").values(), *out.family("stimulus").values()):
            if "event" in out.nodes[path].dims:
                segment.events.append(_event(out, neo, path))
        for path, variable in _sampled(out):
            _add_signal(out, neo, segment, path, variable)
        block = neo.Block(
            name=attrs["session_id"], description=attrs["source"], rec_datetime=moment(attrs["start"])
        )
        block.segments.append(segment)
        layout, kept = out.layout()
        # Neo's annotations take lists of str, not object arrays.
        arrays = {
            key: values.tolist() if values.dtype.kind == "O" else values for key, values in kept.items()
        }
        block.annotate(**{LAYOUT: plain.dumps(layout), KEPT: arrays, "subject": attrs["subject"]})
    return block


def _trains(out: Outgoing, neo: Any, whole: tuple[float, float]) -> list[Any]:
    pq = require("quantities", extra="neo")
    times = out.seconds("/spikes", "time")
    pieces = runs(times, out.take("/spikes", "row_size"))
    columns = {
        name: out.take("/units", name).tolist() for name in out.columns("/units", "unit", but=("unit",))
    }
    labels = out.peek("/units", "unit").tolist()
    trains = []
    for i, (label, edges) in enumerate(zip(labels, _watched(out, len(labels), whole), strict=True)):
        start, stop = min([edges[0], *pieces[i][:1]]), max([edges[1], *pieces[i][-1:]])
        train = neo.SpikeTrain(
            pieces[i], units=pq.s, t_start=start * pq.s, t_stop=stop * pq.s, name=str(label)
        )
        train.annotations.update(
            {name: values[i] for name, values in columns.items()}, **{NODE: "/spikes", UNIT: label}
        )
        trains.append(train)
    return trains


def _watched(out: Outgoing, n: int, whole: tuple[float, float]) -> list[tuple[float, float]]:
    """Return the first and last instant at which each unit was observed; ``/observation`` itself is kept."""
    if "/observation" not in out.nodes:
        return [whole] * n
    start, stop = out.seconds("/observation", "start"), out.seconds("/observation", "stop")
    out.keep("/observation", "start", "stop")
    sizes = out.peek("/observation", "row_size")
    pairs = zip(runs(start, sizes), runs(stop, sizes), strict=True)
    return [(float(begin[0]), float(end[-1])) if len(begin) else (whole[0], whole[0]) for begin, end in pairs]


def _epoch(out: Outgoing, neo: Any, path: str, dim: str) -> Any:
    """Return a table of intervals; durations do not give the exact stop back, so it is an annotation."""
    pq = require("quantities", extra="neo")
    start, stop = out.seconds(path, "start"), out.seconds(path, "stop")
    columns, labels = _columns(out, path, dim, but=("start", "stop"))
    name = path.rpartition("/")[2]
    epoch = neo.Epoch(times=start * pq.s, durations=(stop - start) * pq.s, labels=labels, name=name)
    epoch.array_annotate(**{"stop": stop} | columns)
    epoch.annotations[NODE] = path
    return epoch


def _event(out: Outgoing, neo: Any, path: str) -> Any:
    pq = require("quantities", extra="neo")
    columns, labels = _columns(out, path, "event", but=("time",))
    event = neo.Event(times=out.seconds(path, "time") * pq.s, labels=labels, name=path.rpartition("/")[2])
    event.array_annotate(**columns)
    event.annotations[NODE] = path
    return event


def _columns(
    out: Outgoing, path: str, dim: str, *, but: tuple[str, ...]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Columns as array annotations, and the first one of str as the labels that Neo shows."""
    columns: dict[str, np.ndarray] = {}
    labels = np.full(out.nodes[path].sizes[dim], "", dtype=str)
    for name in out.columns(path, dim, but=(*but, dim)):
        values = out.peek(path, name)
        if values.dtype.kind in "OUT":
            values = values.astype(str)
            # A fixed-width array forgets NULs at the end of a text; such a column is kept beside it.
            if values.tolist() != out.peek(path, name).tolist():
                continue
            labels = values if not labels.any() else labels
        columns[name] = values
        out.take(path, name)
    return columns, labels


def _sampled(out: Outgoing) -> list[tuple[str, str]]:
    """Return the nodes that are sampled, with the name of their variable."""
    paths = [(path, "value") for family in ("behavior", "signals") for path in out.family(family).values()]
    paths += [("/calcium", "fluorescence")] if "/calcium" in out.nodes else []
    paths += [
        (path, "frames") for path in out.family("stimulus").values() if "frames" in out.nodes[path].variables
    ]
    return [(path, variable) for path, variable in paths if out.nodes[path][variable].size]


def _add_signal(out: Outgoing, neo: Any, segment: Any, path: str, variable: str) -> None:
    """Add one node as a signal of shape (time, everything else)."""
    pq = require("quantities", extra="neo")
    data = out.take(path, variable)
    data = data.reshape(len(data), -1)
    data = data.astype(np.uint8) if data.dtype.kind == "b" else data
    unit = quantity(out.nodes[path][variable].attrs.get("units", ""))
    name = path.strip("/") if path == "/calcium" else path.rpartition("/")[2]
    time = out.seconds(path, "time")
    rate = _rate(time)
    if rate is None:
        signal = neo.IrregularlySampledSignal(time, data, units=unit, time_units=pq.s, name=name)
        segment.irregularlysampledsignals.append(signal)
    else:
        signal = neo.AnalogSignal(
            data, units=unit, sampling_rate=rate * pq.Hz, t_start=time[0] * pq.s, name=name
        )
        segment.analogsignals.append(signal)
        if not np.array_equal(signal.times.magnitude, time):
            out.keep(path, "time")
    signal.annotations[NODE] = path


def _rate(time: np.ndarray) -> float | None:
    """Return the sampling rate in Hz when the times are as good as evenly spaced, else None."""
    if len(time) < 2:
        return None
    mean = (len(time) - 1) / (time[-1] - time[0])
    for rate in (float(np.round(mean)), float(np.round(mean, 6)), float(mean)):
        if rate > 0 and np.abs(time[0] + np.arange(len(time)) / rate - time).max() <= min(
            _REGULAR_S, 1e-3 / rate
        ):
            return rate
    return None
