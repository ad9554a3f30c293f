"""pynapple objects both ways: a recording as a dict of time series, and back.

pynapple keeps intervals apart: its ``IntervalSet`` joins rows that overlap and drops empty ones. Trials that
do either are therefore handed over as a ``TsdFrame`` with the columns ``start`` and ``stop``, one row per
trial.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Mapping
from typing import Any, Literal

import numpy as np
import xarray as xr

from neurokit_snn._extras import require
from neurokit_snn.artefact import plain
from neurokit_snn.errors import FormatError
from neurokit_snn.io.assemble import assemble
from neurokit_snn.io.foreign import wrapped
from neurokit_snn.io.layout import LossWarning, Outgoing, parse, runs
from neurokit_snn.recording import span, validate

__all__ = ["from_pynapple", "to_pynapple"]

LAYOUT = "neurokit_snn_layout"
KEPT = "neurokit_snn_kept"
_TOUCHING_S = 1e-6
_RESERVED = {
    "rate",
    "unit",
    "start",
    "end",
    "index",
    "columns",
    "values",
    "time_support",
    "nap_class",
    "data",
}


def to_pynapple(tree: xr.DataTree) -> dict[str, Any]:
    """Return a recording as pynapple objects, on the session clock.

    * ``units``: a TsGroup; its keys are the units where these are integers, else their positions; the columns
      of ``/units`` are metadata (and labels that are str, as ``unit``).
    * ``trials``, ``epochs/NAME``: an IntervalSet with the columns as metadata, where rows that touch end 1 µs
      early, as pynapple has it; rows that overlap or are empty: a TsdFrame with the columns start and stop.
    * ``events/NAME``: a Ts, and each numeric column as a Tsd under ``events/NAME/COLUMN``.
    * ``behavior/NAME``, ``signals/NAME``, ``stimulus/NAME``, ``calcium``: a Tsd, TsdFrame or TsdTensor by the
      number of dims.

    What pynapple has no place for (attributes, columns of overlapping trials, truth) is under two further
    keys, ``neurokit_snn_layout`` and ``neurokit_snn_kept``, so that `from_pynapple` gives an equal recording.

    Parameters
    ----------
    tree
        A recording; it is validated first. Lazy variables are loaded.

    Returns
    -------
    objects
        By key; all with the span of the recording as time support.

    Raises
    ------
    RecordingError
        When the recording breaks a rule of the schema.
    MissingExtraError
        When pynapple is not installed.

    Examples
    --------
    >>> from neurokit_snn import io, recording
    >>> trials = [[0.0, 1.0], [0.5, 1.5]]
    >>> objects = io.to_pynapple(recording.build(spikes={4: [0.1, 0.2], 7: [0.15]}, trials=trials))
    >>> objects["units"][4].t
    array([0.1, 0.2])
    >>> type(objects["trials"]).__name__
    'TsdFrame'
    """
    nap = require("pynapple", extra="glm")
    validate(tree)
    out = Outgoing(tree)
    objects: dict[str, Any] = {}
    names: dict[str, dict[str, str]] = {}
    with wrapped("recording", "pynapple", "pynapple", doing="write"):
        start, stop = span(tree)
        # pynapple divides by the duration of the support, which of a single instant is nothing or next to it.
        support = nap.IntervalSet(start, stop if stop - start > _TOUCHING_S else start + 1.0)
        if "/spikes" in out.nodes and out.nodes["/spikes"].sizes["unit"]:
            objects["units"] = _group(nap, out, support, names)
        rows = {"/trials": "trial"} if "/trials" in out.nodes else {}
        for path, dim in (rows | {path: "interval" for path in out.family("epochs").values()}).items():
            objects[path[1:]] = _rows(nap, out, path, dim, support, names)
        for path in (*out.family("events").values(), *out.family("stimulus").values()):
            if "event" in out.nodes[path].dims:
                objects |= _instants(nap, out, path, support)
        for path, variable in _sampled(out):
            objects[path[1:]] = _series(nap, out, path, variable, support)
        layout, kept = out.layout()
    objects[LAYOUT] = plain.dumps({**layout, "columns": names})
    objects[KEPT] = kept
    return objects


def from_pynapple(
    objects: Mapping[str, Any] | Any,
    *,
    drop: Collection[str] = (),
    duplicates: Literal["error", "drop"] = "error",
) -> xr.DataTree:
    """Make a recording of pynapple objects: those of `to_pynapple` come back equal, any others by their type.

    A TsGroup becomes the units, its metadata their columns and its time support their observation; an
    IntervalSet, or a TsdFrame with the columns start and stop, becomes the trials under the key ``trials``, else
    an epoch; a Ts events; a Tsd, TsdFrame or TsdTensor behaviour. What ``pynapple.load_file`` returns for an NWB
    file is such a mapping.

    Parameters
    ----------
    objects
        ``{name: pynapple object}``, or one TsGroup.
    drop
        Nodes to leave out, as in ``["observation", "behavior/pupil"]``.
    duplicates
        ``"drop"`` removes repeated spike times of one unit, ``"error"`` reports them.

    Returns
    -------
    recording
        Validated.

    Raises
    ------
    FormatError
        When ``objects`` is neither a mapping nor a TsGroup, or was edited so that it does not fit together.
    RecordingError
        When the content breaks a rule of the schema.
    MissingExtraError
        When pynapple is not installed.

    Warns
    -----
    LossWarning
        Naming what the recording leaves out.

    Examples
    --------
    >>> import numpy as np, pynapple as nap
    >>> from neurokit_snn import io
    >>> lick = nap.Ts(np.array([0.5, 1.5]))
    >>> io.from_pynapple({"lick": lick})["events/lick"]["time"].values
    array([0.5, 1.5])
    """
    nap = require("pynapple", extra="glm")
    if isinstance(objects, nap.TsGroup):
        objects = {"units": objects}
    if not isinstance(objects, Mapping):
        raise FormatError(
            f"from_pynapple: got a {type(objects).__name__}, expected a mapping of objects or a TsGroup"
        )
    with wrapped("pynapple objects", "pynapple", "pynapple"):
        layout = parse(objects[LAYOUT], "pynapple objects") if LAYOUT in objects else None
        kept = objects.get(KEPT, {})
        found, left_out = _found(nap, objects, layout)
    attrs = {} if layout is None else layout["nodes"]["/"]["attrs"]
    tree = assemble(
        found, attrs, name="pynapple objects", layout=layout, kept=kept, drop=drop, duplicates=duplicates
    )
    if left_out:
        warnings.warn(f"pynapple objects: not read: {', '.join(left_out)}", LossWarning, stacklevel=2)
    return tree


def _group(nap: Any, out: Outgoing, support: Any, names: dict[str, dict[str, str]]) -> Any:
    times = out.seconds("/spikes", "time")
    pieces = runs(times, out.take("/spikes", "row_size"))
    labels = out.peek("/units", "unit")
    whole = labels.dtype.kind in "iu"
    keys = labels.tolist() if whole else range(len(labels))
    metadata = _metadata(nap.TsGroup, out, "/units", "unit", ("unit",), names)
    if not whole:
        metadata["unit"] = labels.astype(object)
    trains = {key: nap.Ts(run, time_support=support) for key, run in zip(keys, pieces, strict=True)}
    return nap.TsGroup(trains, time_support=support, metadata=metadata)


def _rows(
    nap: Any, out: Outgoing, path: str, dim: str, support: Any, names: dict[str, dict[str, str]]
) -> Any:
    start, stop = out.seconds(path, "start"), out.seconds(path, "stop")
    apart = np.all(stop > start) and np.all(start[1:] >= stop[:-1])
    early = stop.copy()
    touching = np.flatnonzero(stop[:-1] == start[1:])
    early[touching] = np.maximum(stop[touching] - _TOUCHING_S, np.nextafter(start[touching], stop[touching]))
    if not apart or np.any(early <= start):
        return nap.TsdFrame(
            t=start, d=np.stack([start, stop], axis=1), columns=["start", "stop"], time_support=support
        )
    if touching.size:
        out.keep(path, "stop")
    metadata = _metadata(nap.IntervalSet, out, path, dim, ("start", "stop", dim), names)
    return nap.IntervalSet(start, early, metadata=metadata or None)


def _metadata(
    cls: type, out: Outgoing, path: str, dim: str, but: tuple[str, ...], names: dict[str, dict[str, str]]
) -> dict[str, np.ndarray]:
    """Columns as metadata; a name that pynapple does not take is made one that it does."""
    metadata: dict[str, np.ndarray] = {}
    for name in out.columns(path, dim, but=but):
        key = re.sub(r"\W", "_", name, flags=re.ASCII)
        key = key if key[:1].isalpha() else f"m_{key}"
        while hasattr(cls, key) or key in metadata or key in _RESERVED:
            key += "_"
        metadata[key] = out.take(path, name)
        names.setdefault(path, {})[key] = name
    return metadata


def _instants(nap: Any, out: Outgoing, path: str, support: Any) -> dict[str, Any]:
    time = out.seconds(path, "time")
    objects = {path[1:]: nap.Ts(time, time_support=support)}
    for name in out.columns(path, "event", but=("time", "event")):
        if out.nodes[path][name].dtype.kind in "biuf":
            objects[f"{path[1:]}/{name}"] = nap.Tsd(time, out.take(path, name), time_support=support)
    return objects


def _sampled(out: Outgoing) -> list[tuple[str, str]]:
    paths = [(path, "value") for family in ("behavior", "signals") for path in out.family(family).values()]
    paths += [("/calcium", "fluorescence")] if "/calcium" in out.nodes else []
    paths += [
        (path, "frames") for path in out.family("stimulus").values() if "frames" in out.nodes[path].variables
    ]
    return [(path, variable) for path, variable in paths if out.nodes[path][variable].size]


def _series(nap: Any, out: Outgoing, path: str, variable: str, support: Any) -> Any:
    data = out.take(path, variable)
    time = out.seconds(path, "time")
    if data.ndim == 1:
        return nap.Tsd(time, data, time_support=support)
    if data.ndim == 2:
        dim = out.nodes[path][variable].dims[1]
        labels = out.nodes[path].variables.get(dim)
        columns = None if labels is None else np.asarray(labels.values).tolist()
        return nap.TsdFrame(time, data, columns=columns, time_support=support)
    return nap.TsdTensor(time, data, time_support=support)


def _found(
    nap: Any, objects: Mapping[str, Any], layout: Mapping[str, Any] | None
) -> tuple[dict[str, xr.Dataset], list[str]]:
    """Return the nodes of all objects, and the keys of what became none."""
    nodes: dict[str, xr.Dataset] = {}
    left_out: list[str] = []
    names = {} if layout is None else layout["columns"]
    ours = set() if layout is None else set(layout["nodes"])
    # A column of ours stands below its node; a key of anybody else's may have slashes too.
    for key in sorted(
        (key for key in objects if key not in (LAYOUT, KEPT)), key=lambda key: f"/{key}" not in ours
    ):
        thing = objects[key]
        parent, _, column = key.rpartition("/")
        if isinstance(thing, nap.TsGroup) and "/spikes" not in nodes:
            nodes |= _units(thing, layout, names.get("/units", {}))
        elif isinstance(thing, nap.IntervalSet):
            _put(nodes, key, "epochs", _intervals(thing, key, names.get(f"/{key}", {})), ours)
        elif isinstance(thing, nap.TsdFrame) and list(thing.columns) == ["start", "stop"]:
            _put(nodes, key, "epochs", _overlapping(thing, key), ours)
        elif f"/{parent}" in nodes and f"/{parent}" in ours and f"/{key}" not in ours:
            nodes[f"/{parent}"] = nodes[f"/{parent}"].assign({column: ("event", np.asarray(thing.values))})
        elif isinstance(thing, nap.Ts):
            _put(nodes, key, "events", xr.Dataset({"time": ("event", _t(thing))}), ours)
        elif isinstance(thing, nap.Tsd | nap.TsdFrame | nap.TsdTensor):
            _put(nodes, key, "behavior", _sampled_node(thing, key, f"/{key}" in ours), ours)
        else:
            left_out.append(str(key))
    return nodes, left_out


def _put(nodes: dict[str, xr.Dataset], key: str, family: str, node: xr.Dataset, ours: set[str]) -> None:
    """Add a node under its own path, if it came from a recording, else under its family."""
    if f"/{key}" in ours or key == "trials":
        nodes[f"/{key}"] = node
    else:
        nodes[f"/{family}/{str(key).replace('/', '_')}"] = node


def _units(group: Any, layout: Mapping[str, Any] | None, names: Mapping[str, str]) -> dict[str, xr.Dataset]:
    keys = np.asarray(group.index).tolist()
    labels: Any = keys
    if layout is not None and "/units" in layout["nodes"]:
        # pynapple sorts by key; the recording has an order of its own.
        labels = layout["nodes"]["/units"]["variables"]["unit"]["values"].tolist()
        keys = labels if all(isinstance(label, int) for label in labels) else list(range(len(labels)))
    place = {key: i for i, key in enumerate(np.asarray(group.index).tolist())}
    rows = [place[key] for key in keys]
    unit = {"unit": np.array(labels, dtype=object if labels and isinstance(labels[0], str) else None)}
    columns: dict[str, Any] = {}
    for key in group.metadata_columns:
        name = names.get(key, key)
        if key != "rate" and name != "unit":
            values = np.asarray(group.get_info(key))[rows]
            columns[name] = ("unit", values.astype(object) if values.dtype.kind == "U" else values)
    trains = [np.asarray(group[key].t, dtype=np.float64) for key in keys]
    nodes = {
        "/units": xr.Dataset(columns, coords=unit),
        "/spikes": xr.Dataset(
            {
                "time": ("spike", np.concatenate([np.empty(0), *trains])),
                "row_size": ("unit", np.array([len(train) for train in trains], dtype=np.int64)),
            },
            coords=unit,
        ),
    }
    if layout is None:
        # Of a recording of ours the support says nothing about single units; its /observation is kept.
        edges, n = np.asarray(group.time_support.values, dtype=np.float64), len(keys)
        nodes["/observation"] = xr.Dataset(
            {
                "start": ("interval", np.tile(edges[:, 0], n)),
                "stop": ("interval", np.tile(edges[:, 1], n)),
                "row_size": ("unit", np.full(n, len(edges), dtype=np.int64)),
            },
            coords=unit,
        )
    return nodes


def _intervals(rows: Any, key: str, names: Mapping[str, str]) -> xr.Dataset:
    dim = "trial" if key == "trials" else "interval"
    content: dict[str, Any] = {"start": (dim, np.asarray(rows.start)), "stop": (dim, np.asarray(rows.end))}
    for column in rows.metadata_columns:
        values = np.asarray(rows.get_info(column))
        content[names.get(column, column)] = (
            dim,
            values.astype(object) if values.dtype.kind == "U" else values,
        )
    return xr.Dataset(content)


def _overlapping(rows: Any, key: str) -> xr.Dataset:
    """Return rows that an IntervalSet could not hold."""
    dim = "trial" if key == "trials" else "interval"
    values = np.asarray(rows.values, dtype=np.float64)
    return xr.Dataset({"start": (dim, values[:, 0]), "stop": (dim, values[:, 1])})


def _sampled_node(series: Any, key: str, ours: bool) -> xr.Dataset:
    """Return a series as (time, ...); dims of ours get their names back with the layout."""
    values = np.asarray(series.values)
    family = key.split("/", maxsplit=1)[0] if ours else "behavior"
    name = {"calcium": "fluorescence", "stimulus": "frames"}.get(family, "value")
    plain = ("time", *(f"dim_{i}" for i in range(1, values.ndim)))
    dims = {
        "stimulus": ("time", "y", "x", "channel"),
        "calcium": ("time", "unit"),
        "signals": ("time", "channel"),
        "behavior": ("time", "axis") if values.ndim == 2 else plain,
    }[family][: values.ndim]
    coords: dict[str, Any] = {"time": _t(series)}
    if name == "value" and values.ndim == 2:
        labels = np.asarray(series.columns)
        coords[dims[1]] = labels.astype(str) if labels.dtype.kind in "OUT" else labels
    elif name == "value":
        coords |= {dim: np.arange(size) for dim, size in zip(dims[1:], values.shape[1:], strict=True)}
    return xr.Dataset({name: (dims, values)}, coords=coords)


def _t(series: Any) -> np.ndarray:
    return np.asarray(series.t, dtype=np.float64)
