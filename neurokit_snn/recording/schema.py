"""The schema of a recording, as data: which nodes there are, what they hold, and how they are ordered.

`neurokit_snn.recording.validate` walks this table and `describe` prints it; nothing else states the layout
in code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import xarray as xr

__all__ = [
    "BEHAVIOR_KINDS",
    "NODES",
    "ROOT_ATTRS",
    "SCHEMA",
    "SCHEMA_VERSION",
    "Field",
    "NodeSpec",
    "datasets",
    "describe",
    "find_spec",
    "from_datasets",
    "node",
]

SCHEMA = "neurokit_snn.recording"
SCHEMA_VERSION = 1
ROOT_ATTRS = ("session_id", "subject", "start", "source", "licence", "citation")
BEHAVIOR_KINDS = ("continuous", "circular", "categorical")

Kind = Literal["seconds", "float", "integer", "number", "label"]
Order = Literal["increasing", "non-decreasing", "increasing within a unit"]


@dataclass(frozen=True)
class Field:
    """One variable of a node.

    Attributes
    ----------
    name, dims
        Name and dimensions of the variable; with ``more_dims`` further dimensions may follow.
    kind
        ``seconds`` is float64 and finite, ``float`` any float, ``integer`` any integer, ``number`` bool,
        integer or float, ``label`` integer or str and unique.
    doc
        One line for the reader.
    required
        Whether the node is broken without it.
    order
        How the values must be ordered, or None.
    """

    name: str
    dims: tuple[str, ...]
    kind: Kind
    doc: str
    required: bool = True
    order: Order | None = None
    more_dims: tuple[str, ...] | bool = False


@dataclass(frozen=True)
class NodeSpec:
    """One kind of node: ``path`` is ``/name`` or, for families of named nodes, ``/name/*``.

    Attributes
    ----------
    columns
        Dimension along which any further one-dimensional columns may stand, or None.
    clocked
        Whether the node may carry ``attrs["clock"]``.
    """

    path: str
    doc: str
    fields: tuple[Field, ...] = ()
    columns: str | None = None
    clocked: bool = True
    free: bool = False

    @property
    def family(self) -> str:
        """First part of the path, which also begins the ids of the rules."""
        return self.path.split("/")[1]


_UNIT = Field("unit", ("unit",), "label", "labels of the units")
_ROW_SIZE = Field("row_size", ("unit",), "integer", "samples of each unit, in the order of /units")
_TIME = Field("time", ("time",), "seconds", "sampling times", order="increasing")


def _intervals(dim: str) -> tuple[Field, ...]:
    return (
        Field("start", (dim,), "seconds", "first instant", order="non-decreasing"),
        Field("stop", (dim,), "seconds", "end, start <= stop"),
    )


NODES: tuple[NodeSpec, ...] = (
    NodeSpec("/units", "one row per unit", (_UNIT,), columns="unit", clocked=False),
    NodeSpec(
        "/spikes",
        "spike times, CF contiguous ragged array: the runs of the units one after another",
        (
            _UNIT,
            Field("time", ("spike",), "seconds", "spike times", order="increasing within a unit"),
            _ROW_SIZE,
        ),
    ),
    NodeSpec(
        "/observation",
        "when each unit was observed, [start, stop); ragged like /spikes and on its clock; absent = always",
        (
            _UNIT,
            Field("start", ("interval",), "seconds", "first instant", order="increasing within a unit"),
            Field("stop", ("interval",), "seconds", "end, start < stop, before the unit's next start"),
            _ROW_SIZE,
        ),
    ),
    NodeSpec(
        "/trials",
        "one row per trial; trials may overlap",
        (Field("trial", ("trial",), "label", "labels of the trials"), *_intervals("trial")),
        columns="trial",
    ),
    NodeSpec("/epochs/*", "named stretches of the session", _intervals("interval"), columns="interval"),
    NodeSpec(
        "/events/*",
        "named instants",
        (Field("time", ("event",), "seconds", "time of each event", order="non-decreasing"),),
        columns="event",
    ),
    NodeSpec(
        "/behavior/*",
        "one behavioural variable on its own clock; NaN = missing",
        (_TIME, Field("value", ("time",), "number", "the variable", more_dims=True)),
    ),
    NodeSpec(
        "/calcium",
        "fluorescence of the units",
        (_UNIT, _TIME, Field("fluorescence", ("time", "unit"), "float", "fluorescence")),
    ),
    NodeSpec(
        "/stimulus/*",
        "shown frames",
        (_TIME, Field("frames", ("time", "y", "x"), "number", "the frames", more_dims=("channel",))),
    ),
    NodeSpec(
        "/stimulus/*",
        "address events of an event camera",
        (
            Field("time", ("event",), "seconds", "time of each event", order="non-decreasing"),
            Field("x", ("event",), "number", "column"),
            Field("y", ("event",), "number", "row"),
            Field("p", ("event",), "number", "polarity"),
        ),
    ),
    NodeSpec(
        "/signals/*",
        "continuous signals (LFP, EMG)",
        (
            _TIME,
            Field("value", ("time", "channel"), "number", "the signal"),
            Field("channel", ("channel",), "label", "labels of the channels", required=False),
        ),
        columns="channel",
    ),
    NodeSpec(
        "/clocks",
        "other clocks: t_session = slope * t + offset",
        (
            Field("clock", ("clock",), "label", "labels of the clocks"),
            Field("slope", ("clock",), "float", "session seconds per second of the clock, > 0"),
            Field("offset", ("clock",), "float", "session time of the clock's zero"),
        ),
        clocked=False,
    ),
    NodeSpec("/truth", "what a simulation knows; free form, never read by models", free=True, clocked=False),
    NodeSpec("/extra", "anything else; free form, never read by models", free=True, clocked=False),
)

_FAMILIES = {spec.family for spec in NODES if spec.path.endswith("/*")}


def find_spec(path: str, dataset: xr.Dataset) -> NodeSpec | Literal["container"] | None:
    """Return the specification of a node, ``"container"`` for ``/behavior`` and its like, or None.

    Parameters
    ----------
    path
        Path below the recording's root, as in ``/behavior/position``.
    dataset
        Content of the node; it tells frames from events under ``/stimulus``.

    Examples
    --------
    >>> find_spec("/behavior/position", xr.Dataset()).path
    '/behavior/*'
    >>> find_spec("/behaviour", xr.Dataset()) is None
    True
    """
    parts = path.strip("/").split("/")
    if len(parts) == 1 and parts[0] in _FAMILIES:
        return "container"
    found = [
        spec
        for spec in NODES
        if spec.family == parts[0] and (spec.free or len(parts) == (2 if spec.path.endswith("/*") else 1))
    ]
    if len(found) > 1:
        return found[1] if "event" in dataset.dims else found[0]
    return found[0] if found else None


def datasets(tree: xr.DataTree) -> dict[str, xr.Dataset]:
    """Return the nodes of a recording as ``{path: Dataset}``, the root as ``/``, without empty containers.

    Parameters
    ----------
    tree
        A recording.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> list(datasets(recording.build(spikes={"a": [0.1, 0.2]})))
    ['/', '/units', '/spikes']
    """
    out: dict[str, xr.Dataset] = {}
    for key, node in tree.subtree_with_keys:
        content = node.to_dataset(inherit=False)
        path = "/" if key in (".", "/") else f"/{key}"
        # An empty node that is not a parent says something (an interval table of a slice); a bare parent
        # does not.
        if path == "/" or content.variables or content.attrs or not node.children:
            out[path] = content
    return out


def node(tree: xr.DataTree, path: str) -> xr.Dataset:
    """Return the content of one node, without what it inherits.

    Parameters
    ----------
    tree
        A recording.
    path
        Path below its root, as in ``/behavior/position``.

    Raises
    ------
    KeyError
        When there is no such node.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> dict(node(recording.build(spikes={"a": [0.1, 0.2]}), "/spikes").sizes)
    {'spike': 2, 'unit': 1}
    """
    found = tree[path.lstrip("/")]
    if not isinstance(found, xr.DataTree):
        raise KeyError(path)
    return found.to_dataset(inherit=False)


def from_datasets(nodes: Mapping[str, xr.Dataset]) -> xr.DataTree:
    """Return the tree of ``{path: Dataset}``: the inverse of `datasets`.

    Parameters
    ----------
    nodes
        Contents by path, the root as ``/``.

    Examples
    --------
    >>> sorted(from_datasets({"/": xr.Dataset(), "/epochs/run": xr.Dataset()}).children)
    ['epochs']
    """
    return xr.DataTree.from_dict(dict(nodes))


def describe() -> str:
    """Return the schema as a plain table, one line per node and per variable.

    Examples
    --------
    >>> print(describe().splitlines()[0])
    / (schema neurokit_snn.recording, version 1): attributes session_id, subject, start, ...
    """
    lines = [f"/ (schema {SCHEMA}, version {SCHEMA_VERSION}): attributes {', '.join(ROOT_ATTRS)}"]
    for spec in NODES:
        extra = f"; any columns ({spec.columns},)" if spec.columns else ""
        lines.append(f"{spec.path}: {spec.doc}{extra}")
        for field in spec.fields:
            more = ", ..." if field.more_dims is True else "".join(f"[, {d}]" for d in field.more_dims or ())
            notes = ", ".join(
                n for n in (field.kind, field.order, None if field.required else "optional") if n
            )
            lines.append(f"    {field.name}({', '.join(field.dims)}{more}) {notes}: {field.doc}")
    return "\n".join(lines)
