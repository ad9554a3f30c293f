"""The last step of every reader: what was found is put in order, given back its layout, and checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

import numpy as np
import xarray as xr

from neurokit_snn import recording
from neurokit_snn.errors import FormatError, RecordingError
from neurokit_snn.io.layout import restore
from neurokit_snn.recording import schema

__all__ = ["assemble", "half_open"]

_SINGLE = ("units", "spikes", "observation", "trials", "calcium", "clocks")
_FAMILIES = ("epochs", "events", "behavior", "stimulus", "signals")


def assemble(
    found: Mapping[str, xr.Dataset],
    attrs: Mapping[str, str],
    *,
    name: str,
    layout: Mapping[str, Any] | None = None,
    kept: Mapping[str, Any] | None = None,
    drop: Collection[str] = (),
    duplicates: Literal["error", "drop"] = "error",
) -> xr.DataTree:
    """Make a recording of what a reader found.

    Parameters
    ----------
    found
        ``{path of the node: Dataset}``, in session seconds.
    attrs
        ``session_id, subject, start, source, licence, citation`` as far as the format knows them.
    name
        Name of the file, for errors.
    layout, kept
        What this package sent along when it wrote the file, see `neurokit_snn.io.layout`.
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
        When ``drop`` names a node that is not there.
    RecordingError
        When the content breaks a rule of the schema.

    Examples
    --------
    >>> trials = xr.Dataset({"start": ("trial", [1.0, 0.0]), "stop": ("trial", [2.0, 0.5])})
    >>> assemble({"/trials": trials}, {}, name="a.file")["trials"]["start"].values
    array([0., 1.])
    """
    layout_nodes = {} if layout is None else layout["nodes"]
    _check_drop(drop, {*found, *layout_nodes}, name)
    nodes = {path: node for path, node in found.items() if not _dropped(path, drop)}
    if "/observation" in nodes and "/observation" not in layout_nodes:
        nodes["/observation"] = half_open(nodes["/observation"], nodes.get("/spikes"))
    arguments: dict[str, Any] = {key: nodes[f"/{key}"] for key in _SINGLE if f"/{key}" in nodes}
    for family in _FAMILIES:
        prefix = f"/{family}/"
        members = {path.removeprefix(prefix): node for path, node in nodes.items() if path.startswith(prefix)}
        if members:
            arguments[family] = members
    known: dict[str, Any] = {key: value for key, value in attrs.items() if key in schema.ROOT_ATTRS}
    try:
        tree = recording.build(**arguments, **known, duplicates=duplicates, validate=False)
        if layout is not None:
            wanted = {
                **layout,
                "nodes": {p: spec for p, spec in layout_nodes.items() if not _dropped(p, drop)},
            }
            root = dict(tree.attrs)
            whole = restore(schema.datasets(tree), wanted, kept or {}, name)
            whole["/"] = whole["/"].assign_attrs({key: root[key] for key in known})
            tree = schema.from_datasets(whole)
    except RecordingError as error:
        raise RecordingError(f"{name}: {error}") from error
    try:
        recording.validate(tree, name=name)
    except RecordingError as error:
        broken = sorted({problem.node.strip("/") for problem in recording.problems(tree)})
        raise RecordingError(f"{error}; what cannot be mended can be left out: drop={broken}") from error
    return tree


def half_open(observation: xr.Dataset, spikes: xr.Dataset | None) -> xr.Dataset:
    """Return observation intervals of others as ours: half open, apart, not empty.

    Most formats close intervals at both ends. So intervals of one unit that touch are joined, empty ones go,
    and one that ends on a spike ends just after it.

    Parameters
    ----------
    observation
        ``start, stop (interval)``, ``row_size (unit)``, sorted within a unit.
    spikes
        ``time (spike)``, ``row_size (unit)`` of the same units, or None.

    Examples
    --------
    >>> edges = {"start": ("interval", [0.0, 1.0]), "stop": ("interval", [1.0, 2.0])}
    >>> half_open(xr.Dataset(edges | {"row_size": ("unit", [2])}), None)["stop"].values
    array([2.])
    """
    stops = np.cumsum(observation["row_size"].values)
    runs = (
        None if spikes is None else np.split(spikes["time"].values, np.cumsum(spikes["row_size"].values)[:-1])
    )
    starts_out, stops_out, sizes = [np.empty(0)], [np.empty(0)], []
    for unit, (first, last) in enumerate(zip(np.concatenate([[0], stops])[:-1], stops, strict=True)):
        start, stop = (observation[edge].values[first:last] for edge in ("start", "stop"))
        filled = stop > start
        start, stop = start[filled], stop[filled]
        apart = start[1:] > np.maximum.accumulate(stop)[:-1]
        start = start[np.concatenate([[True], apart])] if start.size else start
        stop = np.maximum.accumulate(stop)[np.concatenate([apart, [True]])] if stop.size else stop
        if runs is not None:
            stop = np.where(np.isin(stop, runs[unit]), np.nextafter(stop, np.inf), stop)
        starts_out.append(start)
        stops_out.append(stop)
        sizes.append(len(start))
    return xr.Dataset(
        {
            "start": ("interval", np.concatenate(starts_out), {"units": "s"}),
            "stop": ("interval", np.concatenate(stops_out), {"units": "s"}),
            "row_size": ("unit", np.array(sizes, dtype=np.int64), {"sample_dimension": "interval"}),
        },
        coords=observation.coords,
    )


def _dropped(path: str, drop: Collection[str]) -> bool:
    return path in {f"/{name.strip('/')}" for name in drop}


def _check_drop(drop: Collection[str], there: Collection[str], name: str) -> None:
    for path in (f"/{wanted.strip('/')}" for wanted in drop):
        if path not in there:
            known = ", ".join(sorted(set(there) - {"/"}))
            raise FormatError(f"{name}: drop names {path}, which is not there; it has {known}")
