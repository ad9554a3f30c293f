"""Everything that is wrong with a recording, in one error.

The structure (nodes, variables, dimensions, types, attributes) is checked against the table in `schema`;
what the numbers must obey is in `rules`. Long arrays are read block by block, so that a lazy recording stays
small in memory.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from neurokit_snn.errors import RecordingError, UnitsWarning
from neurokit_snn.recording import rules
from neurokit_snn.recording.rules import Problem, listed
from neurokit_snn.recording.schema import (
    NODES,
    ROOT_ATTRS,
    SCHEMA,
    SCHEMA_VERSION,
    Field,
    NodeSpec,
    datasets,
    find_spec,
)

__all__ = ["Problem", "problems", "validate"]


def validate(tree: xr.DataTree, *, name: str = "recording") -> None:
    """Raise one error that lists everything wrong with a recording; return None when nothing is.

    Parameters
    ----------
    tree
        The recording, eager or lazy. Lazy arrays are read block by block.
    name
        What to call it in the message: a file, a session.

    Raises
    ------
    RecordingError
        Listing every problem: node, rule, first offending index and value, remedy.

    Warns
    -----
    UnitsWarning
        When spike times look like milliseconds (more than half of the intervals of more than half of the
        units with at least 10 spikes exceed 1 s) or a unit fires above 1 kHz.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> tree = recording.build(spikes={"a": [0.2, 0.1]}, validate=False)
    >>> validate(tree)
    Traceback (most recent call last):
    ...
    neurokit_snn.errors.RecordingError: recording: /spikes [spikes.sorted] unit 'a': time[1] = 0.1 comes ...
    """
    found, doubts = _inspect(tree)
    if found:
        raise RecordingError(listed(found, name))
    for doubt in doubts:
        warnings.warn(f"{name}: {doubt}", UnitsWarning, stacklevel=2)


def problems(tree: xr.DataTree) -> list[Problem]:
    """Return everything wrong with a recording, as data.

    Parameters
    ----------
    tree
        The recording, eager or lazy.

    Returns
    -------
    problems
        In the order of the nodes; empty when the recording is valid.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> tree = recording.build(trials={"start": [1.0], "stop": [0.5]}, validate=False)
    >>> [(p.node, p.rule, p.index) for p in problems(tree)]
    [('/trials', 'trials.reversed', 0)]
    """
    return _inspect(tree)[0]


def _inspect(tree: xr.DataTree) -> tuple[list[Problem], list[str]]:
    """Problems and doubts (warnings) of a recording."""
    if not isinstance(tree, xr.DataTree):
        kind = type(tree).__name__
        return [
            Problem("/", "recording.type", None, f"a {kind} is no recording", "give an xarray.DataTree")
        ], []
    nodes = datasets(tree)
    found = list(_root(nodes.pop("/")))
    if any(problem.rule in ("recording.schema", "recording.version") for problem in found):
        return found, []
    sound: dict[str, xr.Dataset] = {}
    for path, content in nodes.items():
        broken = list(_structure(path, content))
        found += broken
        if not broken:
            sound[path] = content
    for path, content in sound.items():
        spec = find_spec(path, content)
        if isinstance(spec, NodeSpec):
            found += rules.content(path, content, spec)
    found += rules.units_agree(sound, missing="/units" not in nodes)
    found += rules.clocks_known(sound, broken="/clocks" in nodes and "/clocks" not in sound)
    ragged, doubts = rules.runs(sound)
    return found + ragged, doubts


def _root(content: xr.Dataset) -> Iterator[Problem]:
    attrs = content.attrs
    if attrs.get("schema") != SCHEMA:
        yield Problem(
            "/",
            "recording.schema",
            None,
            f"attribute schema is {attrs.get('schema')!r}, not {SCHEMA!r}",
            "make recordings with recording.build or open a file that holds one",
        )
        return
    version = attrs.get("schema_version")
    if isinstance(version, bool) or not isinstance(version, (int, np.integer)) or version != SCHEMA_VERSION:
        yield Problem(
            "/",
            "recording.version",
            None,
            f"schema version {version!r} is unknown to this release, which reads {SCHEMA_VERSION}",
            "upgrade neurokit_snn",
        )
        return
    yield from _attributes("/", "recording", content)
    for key in ROOT_ATTRS:
        if not isinstance(attrs.get(key), str):
            message = f"attribute {key} is {attrs.get(key)!r}" if key in attrs else f"no attribute {key}"
            yield Problem("/", "recording.attrs", None, message, 'set it to a str ("" if unknown)')
    for variable in content.variables:
        yield Problem(
            "/", "recording.variable", None, f"variable {variable!r} at the root", "move it below /extra"
        )


def _structure(path: str, content: xr.Dataset) -> Iterator[Problem]:
    """Problems of names, dimensions, types and attributes; the numbers of long arrays are not read."""
    spec = find_spec(path, content)
    family = path.split("/")[1]
    if spec is None:
        known = ", ".join(sorted({s.path.replace("*", "NAME") for s in NODES}))
        yield Problem(
            path, "recording.node", None, "unknown node", f"move it below /extra; known are {known}"
        )
        return
    if spec == "container":
        for variable in content.variables:
            message = f"variable {variable!r} stands in the group itself"
            yield Problem(path, f"{family}.variable", None, message, f"move it into {path}/NAME")
        yield from _attributes(path, family, content)
        return
    yield from _attributes(path, family, content)
    if spec.free:
        return
    clock = content.attrs.get("clock")
    if clock is not None and not spec.clocked:
        yield Problem(
            path,
            f"{family}.clock",
            None,
            f"attribute clock is {clock!r}",
            "this node has no clock; remove it",
        )
    fields = {field.name: field for field in spec.fields}
    for field in spec.fields:
        yield from _field(path, family, content, field)
    main = next((f for f in spec.fields if f.more_dims), None)
    free_dims = content[main.name].dims if main is not None and main.name in content.variables else ()
    for variable in content.variables:
        if variable not in fields:
            yield from _column(path, family, content, str(variable), spec.columns, free_dims)


def _field(path: str, family: str, content: xr.Dataset, field: Field) -> Iterator[Problem]:
    if field.name not in content.variables:
        if field.required:
            yield Problem(
                path,
                f"{family}.missing",
                None,
                f"no variable {field.name!r}",
                f"add {field.name}{field.dims}",
            )
        return
    variable = content.variables[field.name]
    dims, n = variable.dims, len(field.dims)
    more = dims[n:]
    allowed = field.more_dims if isinstance(field.more_dims, tuple) else more if field.more_dims else ()
    if dims[:n] != field.dims or more not in ((), allowed):
        and_more = " and more" if field.more_dims else ""
        message = f"{field.name} has dimensions {dims}, expected {field.dims}{and_more}"
        yield Problem(path, f"{family}.dims", None, message, "rename or transpose them")
        return
    kind = getattr(variable.dtype, "kind", "?")
    wanted = {"seconds": "f", "float": "f", "integer": "iu", "number": "biuf", "label": "iuUO"}[field.kind]
    if kind not in wanted or (field.kind == "seconds" and variable.dtype != np.float64):
        expected = (
            "float64 seconds"
            if field.kind == "seconds"
            else field.kind
            if field.kind != "label"
            else "int or str"
        )
        message = f"{field.name} is {variable.dtype}, expected {expected}"
        yield Problem(path, f"{family}.dtype", None, message, "convert it")
        return
    if field.kind == "seconds" and variable.attrs.get("units", "s") != "s":
        message = f"{field.name} has attrs units={variable.attrs['units']!r}"
        yield Problem(path, f"{family}.seconds", None, message, 'give seconds and set units="s"')
    if field.kind == "label":
        yield from _labels(path, family, field.name, variable)
    for dim in more:
        if field.more_dims is True and dim not in content.coords:
            message = f"dimension {dim!r} of {field.name} has no coordinate"
            yield Problem(path, f"{family}.dims", None, message, f"assign_coords({dim}=...)")


def _labels(path: str, family: str, name: str, variable: xr.Variable) -> Iterator[Problem]:
    values = np.asarray(variable.values)
    bad = rules.not_str(values)
    if bad is not None:
        message = f"{name}[{bad}] = {values[bad]!r}; labels are all integers or all str"
        yield Problem(path, f"{family}.labels", bad, message, "rename it")
        return
    _, first, inverse = np.unique(
        values.astype(str) if values.dtype.kind == "O" else values, return_index=True, return_inverse=True
    )
    repeats = np.flatnonzero(first[inverse] != np.arange(len(values)))
    if len(repeats):
        i = int(repeats[0])
        message = (
            f"{name}[{i}] = {values[i].item() if hasattr(values[i], 'item') else values[i]!r} is a repeat"
        )
        yield Problem(path, f"{family}.unique", i, message, "give every row its own label")


def _column(
    path: str, family: str, content: xr.Dataset, name: str, dim: str | None, free: tuple[Any, ...]
) -> Iterator[Problem]:
    """Problems of a variable that the schema does not name."""
    variable = content.variables[name]
    extra_coordinate = name in content.coords and len(variable.dims) == 1 and variable.dims[0] in free[1:]
    if not extra_coordinate and (dim is None or variable.dims != (dim,)):
        message = f"variable {name!r} with dimensions {variable.dims} is not part of the node"
        columns = f"columns are ({dim},); " if dim else ""
        yield Problem(path, f"{family}.variable", None, message, f"{columns}move it below /extra")
        return
    kind = getattr(variable.dtype, "kind", "?")
    if kind not in "biufUO":
        message = f"column {name!r} is {variable.dtype}; columns are bool, int, float or str"
        yield Problem(path, f"{family}.dtype", None, message, "convert it")
    elif kind == "O":
        values = np.asarray(variable.values)
        bad = rules.not_str(values)
        if bad is not None:
            message = f"column {name!r}: [{bad}] = {values[bad]!r} is no str"
            yield Problem(
                path,
                f"{family}.strings",
                bad,
                message,
                'fill missing values with "" or make the column numeric',
            )


def _attributes(path: str, family: str, content: xr.Dataset) -> Iterator[Problem]:
    owners = [("", content.attrs), *((f" of {name!r}", v.attrs) for name, v in content.variables.items())]
    for owner, attrs in owners:
        for key, value in attrs.items():
            array = isinstance(value, np.ndarray) and value.dtype.kind in "iufU"
            number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
            if not isinstance(key, str) or not (isinstance(value, str) or number or array):
                message = f"attribute {key!r}{owner} is a {type(value).__name__}"
                remedy = (
                    "attributes are str, int, float or arrays of them; store structure as one JSON string"
                )
                yield Problem(path, f"{family}.attrs", None, message, remedy)
