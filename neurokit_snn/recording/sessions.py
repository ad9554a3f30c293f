"""Several sessions as one binned dataset: their trials one after another, their units side by side."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from neurokit_snn.errors import RecordingError
from neurokit_snn.recording.binned import behaviors, check_binned, mask_name, stimuli

__all__ = ["joined"]

NEURAL = ("counts", "calcium")
FRAME = ("trial", "time", "unit")
KINDS = {
    "b": "numbers",
    "i": "numbers",
    "u": "numbers",
    "f": "numbers",
    "U": "text",
    "O": "text",
    "S": "text",
}


def joined(sessions: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Several sessions as one binned dataset, as a model of all of them takes it.

    A trial holds the units of its own session; those of the others are masked, as are bins after the end of a session's
    trials where those of another are longer. So most of the result is masked where there are many sessions.

    Parameters
    ----------
    sessions
        Binned data by the name of the session, of one bin width and layout.

    Returns
    -------
    Dataset
        Binned data. ``trial`` is labelled ``SESSION/TRIAL``, ``unit`` ``SESSION/UNIT``, and ``session (trial)`` names the
        session. Behaviours and stimuli of one name become one, masked (and NaN) in sessions that lack them. Columns of trials
        and units that all sessions have are kept; a unit is ``held_out`` where its session says so. ``trial_start`` and
        ``trial_stop`` stay on the clock of each session: they may overlap, and are no times of one recording.

    Raises
    ------
    RecordingError
        When there is no session, or two differ in bin width, layout, times of bins, or in the kind, units or axes of a
        behaviour, naming both; when a variable is none that binned data hold.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> one = recording.bin(recording.build(spikes={"a": [0.1], "b": [0.3]}), 0.1, start=0.0, stop=0.4)
    >>> two = recording.bin(recording.build(spikes={"a": [0.1, 0.15]}), 0.1, start=0.0, stop=0.2)
    >>> data = joined({"monday": one, "tuesday": two})
    >>> data["unit"].values.tolist(), data["counts"].sum("time").values.tolist()
    (['monday/a', 'monday/b', 'tuesday/a'], [[1, 1, 0], [0, 0, 2]])
    >>> data["mask"].sum("time").values.tolist()
    [[4, 4, 0], [0, 0, 2]]
    """
    parts = {str(name): one for name, one in sessions.items()}
    _check(parts)
    blocks = _Blocks(parts)
    variables: dict[str, Any] = {}
    for name in _in_order(str(v) for one in parts.values() for v in one.data_vars):
        if name in NEURAL:
            variables |= _neural(name, parts, blocks)
        elif name.startswith(("behavior_", "stimulus_")):
            variables |= _behavior(name, parts, blocks)
    first = next(iter(parts.values()))
    subjects = {str(one.attrs.get("subject", "")) for one in parts.values()}
    return xr.Dataset(variables, coords=_coords(parts)).assign_attrs(
        {key: first.attrs[key] for key in ("schema", "schema_version", "bin_width", "layout")},
        session_id="+".join(parts),
        subject=subjects.pop() if len(subjects) == 1 else "",
    )


class _Blocks:
    """Which trials, bins and units of the result each session fills."""

    def __init__(self, parts: Mapping[str, xr.Dataset]):
        sizes = {dim: [one.sizes.get(dim, 0) for one in parts.values()] for dim in FRAME}
        stops = {dim: np.cumsum(sizes[dim]).tolist() for dim in ("trial", "unit")}
        self.shape = (stops["trial"][-1], max(sizes["time"]), stops["unit"][-1])
        self.of = {
            name: (
                slice(stops["trial"][i] - sizes["trial"][i], stops["trial"][i]),
                slice(0, sizes["time"][i]),
                slice(stops["unit"][i] - sizes["unit"][i], stops["unit"][i]),
            )
            for i, name in enumerate(parts)
        }


def _neural(name: str, parts: Mapping[str, xr.Dataset], blocks: _Blocks) -> dict[str, Any]:
    """Counts or calcium, and their mask."""
    holders = {session: one for session, one in parts.items() if name in one}
    _agree(name, holders, ("units",))
    dtype = np.result_type(*(one[name].dtype for one in holders.values()))
    values = np.full(blocks.shape, 0 if name == "counts" else np.nan, dtype=dtype)
    mask = np.zeros(blocks.shape, dtype=bool)
    for session, one in holders.items():
        values[blocks.of[session]] = one[name].values
        valid = one[mask_name(name)]
        mask[blocks.of[session]] = valid.values if valid.ndim == 3 else valid.values[..., None]
    attrs = next(iter(holders.values()))[name].attrs
    return {name: (FRAME, values, attrs), mask_name(name): (FRAME, mask)}


def _behavior(name: str, parts: Mapping[str, xr.Dataset], blocks: _Blocks) -> dict[str, Any]:
    """A behaviour or stimulus, and its mask ``(trial, time)``."""
    holders = {session: one for session, one in parts.items() if name in one}
    _agree(name, holders, ("kind", "units"))
    first = next(iter(holders.values()))[name]
    dtype = np.result_type(*(one[name].dtype for one in holders.values()))
    values = np.full(
        (*blocks.shape[:2], *first.shape[2:]),
        np.nan if dtype.kind == "f" else np.zeros((), dtype),
        dtype=dtype,
    )
    mask = np.zeros(blocks.shape[:2], dtype=bool)
    for session, one in holders.items():
        values[blocks.of[session][:2]] = one[name].values
        mask[blocks.of[session][:2]] = one[mask_name(name)].values
    return {name: (first.dims, values, first.attrs), mask_name(name): (FRAME[:2], mask)}


def _coords(parts: Mapping[str, xr.Dataset]) -> dict[str, Any]:
    """The clock, labels, columns that all sessions have, and labels of further axes."""
    longest = max(parts.values(), key=lambda one: one.sizes["time"])
    coords: dict[str, Any] = {"time": longest["time"].variable}
    for dim in ("trial", "unit"):
        coords |= _columns(dim, parts)
        coords[dim] = [f"{name}/{label}" for name, one in parts.items() for label in _labels(one, dim)]
    coords["session"] = ("trial", np.repeat(list(parts), [one.sizes["trial"] for one in parts.values()]))
    for one in parts.values():
        for key, coord in one.coords.items():
            if coord.dims == (key,) and key not in FRAME:
                coords[str(key)] = coord.variable
    return coords


def _columns(dim: str, parts: Mapping[str, xr.Dataset]) -> dict[str, Any]:
    """Columns along trials or units that all sessions have, and ``held_out`` where any has."""
    columns: dict[str, Any] = {}
    names = _in_order(str(key) for one in parts.values() for key, c in one.coords.items() if c.dims == (dim,))
    for name in names:
        have = {session: one[name] for session, one in parts.items() if name in one.coords}
        if name == "held_out":
            have |= {s: xr.zeros_like(one["unit"], dtype=bool) for s, one in parts.items() if s not in have}
        if name in (dim, "session") or len(have) < len(parts) or any(c.dims != (dim,) for c in have.values()):
            continue
        kinds = {session: KINDS.get(c.dtype.kind, c.dtype.kind) for session, c in have.items()}
        _same(f"the column {name} of {dim}s", kinds)
        values = np.concatenate([have[session].values for session in parts])
        columns[name] = (dim, values, next(iter(have.values())).attrs)
    return columns


def _check(parts: Mapping[str, xr.Dataset]) -> None:
    """Raise unless the sessions can be joined."""
    if not parts:
        raise RecordingError("there is no session to join; give binned data by the name of the session")
    for name, one in parts.items():
        check_binned(one, name=f"sessions[{name!r}]")
        known = {v for each in (*NEURAL, *behaviors(one), *stimuli(one)) for v in (each, mask_name(each))}
        if other := [str(v) for v in one.data_vars if v not in known]:
            raise RecordingError(
                f"sessions[{name!r}]: {other[0]} is no variable of binned data, so that it cannot be joined; drop it"
            )
    _same("bin_width", {name: f"{one.attrs['bin_width']:.9g} s" for name, one in parts.items()})
    _same("the layout", {name: one.attrs["layout"] for name, one in parts.items()})
    for axis in _in_order(str(d) for one in parts.values() for d in one.dims if d not in FRAME):
        has = {name: one[axis].values.tolist() for name, one in parts.items() if axis in one.dims}
        _same(f"the labels of {axis}", has)
    _check_times(parts)
    for dim in ("trial", "unit"):
        seen: dict[str, str] = {}
        for name, one in parts.items():
            for full in (f"{name}/{own}" for own in _labels(one, dim)):
                if seen.setdefault(full, name) != name:
                    raise RecordingError(
                        f"sessions {seen[full]!r} and {name!r} both have the {dim} {full!r}; rename one of them"
                    )


def _check_times(parts: Mapping[str, xr.Dataset]) -> None:
    """Raise unless bin k of every session is at the same time of its trial."""
    longest = max(parts, key=lambda name: parts[name].sizes["time"])
    time = parts[longest]["time"].values
    for name, one in parts.items():
        own = one["time"].values
        far = np.flatnonzero(np.abs(own - time[: own.size]) > 1e-6 * one.attrs["bin_width"])
        if far.size:
            k = int(far[0])
            raise RecordingError(
                f"bin {k} is at {own[k]:.9g} s in session {name!r} and at {time[k]:.9g} s in session {longest!r}; "
                "bin both from the same time on"
            )


def _agree(name: str, holders: Mapping[str, xr.Dataset], keys: Iterable[str]) -> None:
    """Raise unless sessions agree on the attributes and the dims of a variable."""
    for key in keys:
        _same(f"{key} of {name}", {session: one[name].attrs.get(key) for session, one in holders.items()})
    _same(f"dims of {name}", {session: one[name].dims for session, one in holders.items()})


def _same(what: str, found: Mapping[str, Any]) -> None:
    (first, expected), *others = found.items()
    for name, value in others:
        if value != expected:
            raise RecordingError(
                f"{what}: {expected!r} in session {first!r}, {value!r} in session {name!r}; make both alike"
            )


def _labels(one: xr.Dataset, dim: str) -> list[Hashable]:
    return one[dim].values.tolist() if dim in one.dims else []


def _in_order(names: Iterable[str]) -> list[str]:
    """Each name once, in the order of its first appearance."""
    return list(dict.fromkeys(names))
