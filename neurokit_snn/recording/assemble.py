"""Everything in a recording brought onto the bins of a grid: the one place that makes binned data."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurokit_snn.errors import RecordingError
from neurokit_snn.recording import lazy, resample
from neurokit_snn.recording.binned import BINNED_SCHEMA, BINNED_VERSION
from neurokit_snn.recording.clocks import to_session_clock
from neurokit_snn.recording.event_frames import event_frames
from neurokit_snn.recording.grid import Grid
from neurokit_snn.recording.observation import observed

__all__ = ["Which", "binned", "node_at", "on_session_clock", "trial_columns"]

Which = bool | str | Iterable[str]

RESERVED = (
    "trial",
    "time",
    "unit",
    "counts",
    "mask",
    "calcium",
    "mask_calcium",
    "trial_start",
    "trial_stop",
    "held_out",
)


def binned(
    tree: xr.DataTree,
    grid: Grid,
    *,
    layout: str,
    coords: Mapping[str, Any] | None = None,
    behavior: Which = True,
    stimulus: Which = False,
    calcium: bool = True,
    max_gap: float | None = None,
    chunks: Mapping[str, int] | None = None,
) -> xr.Dataset:
    """Bring everything in a recording onto the bins of a grid.

    Parameters
    ----------
    tree
        A recording, all of it on the session clock.
    grid
        The bins.
    layout
        What the trials are: ``"session"``, ``"windows"``, ``"trials"`` or ``"events"``.
    coords
        Columns of the trials, each ``("trial", values)``.
    behavior, stimulus, calcium, max_gap, chunks
        As for `bin`.

    Returns
    -------
    Dataset
        Binned data.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> from neurokit_snn.recording.grid import intervals_grid
    >>> tree = recording.build(spikes={"a": [0.1, 0.2, 0.95]})
    >>> binned(tree, intervals_grid([0.0, 0.1], [0.5, 1.0], 0.5), layout="trials")["counts"].values[..., 0]
    array([[2],
           [2]], dtype=int32)
    """
    length = None if chunks is None else lazy.block_length(chunks, grid.n_bins)
    data = _neural(tree, grid, calcium=calcium, max_gap=max_gap, length=length)
    edges = grid.edges
    for name in _chosen(tree, "behavior", behavior):
        data |= _behavior(_dataset(tree, f"behavior/{name}"), name, grid, edges, max_gap)
    for name in _chosen(tree, "stimulus", stimulus):
        data |= _frames(_dataset(tree, f"stimulus/{name}"), name, grid, edges)
    out = xr.Dataset(_without_clashes(data), coords=_coordinates(tree, grid, coords or {}))
    return out.assign_attrs(
        schema=BINNED_SCHEMA,
        schema_version=BINNED_VERSION,
        bin_width=grid.bin_width,
        layout=layout,
        session_id=str(tree.attrs.get("session_id", "")),
        subject=str(tree.attrs.get("subject", "")),
    )


def on_session_clock(tree: xr.DataTree) -> xr.DataTree:
    """Return the recording with all times on the session clock, or say that it is no recording.

    Examples
    --------
    >>> on_session_clock([0.1, 0.2])
    Traceback (most recent call last):
    ...
    neurokit_snn.errors.RecordingError: expected a recording (xarray.DataTree), got list; make one with recording.build
    """
    if not isinstance(tree, xr.DataTree):
        raise RecordingError(
            f"expected a recording (xarray.DataTree), got {type(tree).__name__}; "
            "make one with recording.build"
        )
    if "spikes" in tree.children:
        lazy.Spikes(_dataset(tree, "spikes"))  # says so if the runs do not fit the spikes
    return to_session_clock(tree)


def node_at(tree: xr.DataTree, path: str) -> xr.Dataset:
    """Return the content of a node, or name those that stand beside where it should be.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> node_at(recording.build(epochs={"run": [[0.0, 1.0]]}), "epochs/sleep")
    Traceback (most recent call last):
    ...
    neurokit_snn.errors.RecordingError: the recording has no /epochs/sleep; /epochs holds: run
    """
    parent, _, name = path.strip("/").rpartition("/")
    family = tree if not parent else (tree[parent] if parent in tree.children else None)
    if family is None or name not in family.children:
        beside = ", ".join(map(str, family.children)) if family is not None else ""
        full = f"/{parent}/{name}" if parent else f"/{name}"
        raise RecordingError(f"the recording has no {full}; /{parent} holds: {beside or 'nothing'}")
    return _dataset(tree, path)


def trial_columns(table: xr.Dataset, dim: str, *, drop: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the columns of a table as coordinates of trials, ``trial`` being its labels or 0, 1, ...

    Parameters
    ----------
    table
        Dataset with columns along ``dim``.
    dim
        Dimension that becomes ``trial``.
    drop
        Columns to leave out. A name that binned data use otherwise gets ``trial_`` in front.

    Examples
    --------
    >>> table = xr.Dataset({"start": ("interval", [0.0]), "unit": ("interval", ["a"])})
    >>> sorted(trial_columns(table, "interval"))
    ['start', 'trial', 'trial_unit']
    """
    columns: dict[str, Any] = {}
    for name, column in table.variables.items():
        if column.dims == (dim,) and name not in (*drop, dim, "trial"):
            columns[f"trial_{name}" if name in RESERVED else str(name)] = (
                "trial",
                column.values,
                column.attrs,
            )
    labels = next((table[name].values for name in ("trial", dim) if name in table.variables), None)
    columns["trial"] = ("trial", np.arange(table.sizes[dim]) if labels is None else labels)
    return columns


def _dataset(tree: xr.DataTree, path: str) -> xr.Dataset:
    node = tree[path]
    assert isinstance(node, xr.DataTree)
    return node.to_dataset(inherit=False)


def _chosen(tree: xr.DataTree, family: str, which: Which) -> list[str]:
    """Return the names of the nodes below ``family`` that are asked for."""
    there = [str(name) for name in tree[family].children] if family in tree.children else []
    if isinstance(which, bool):
        wanted = there if which else []
        return [n for n in wanted if family == "behavior" or "frames" in tree[f"{family}/{n}"].data_vars]
    wanted = [which] if isinstance(which, str) else list(which)
    for name in wanted:
        if name not in there:
            raise RecordingError(
                f"{family} names {name!r}; the recording holds: {', '.join(there) or 'none'}"
            )
    return wanted


def _neural(
    tree: xr.DataTree, grid: Grid, *, calcium: bool, max_gap: float | None, length: int | None
) -> dict[str, xr.DataArray]:
    """Return counts, fluorescence and their masks, as far as the recording holds them."""
    dims = ("trial", "time", "unit")
    seen = lazy.Observed(observed(tree)) if "observation" in tree.children else None
    data: dict[str, xr.DataArray] = {}
    if "spikes" in tree.children:
        spikes = lazy.Spikes(_dataset(tree, "spikes"))
        if length is None:
            counts, mask = lazy.count(spikes, grid, seen), lazy.mask(seen, grid, spikes.start.size)
        else:
            counts, mask = lazy.blocks_of(spikes, grid, seen, length=length)
        data["counts"] = xr.DataArray(counts, dims=dims, attrs={"long_name": "spike count"})
        data["mask"] = xr.DataArray(mask, dims=dims)
    if calcium and "calcium" in tree.children:
        node = _dataset(tree, "calcium")
        gap = resample.default_gap(node["time"].values, grid.bin_width) if max_gap is None else float(max_gap)
        value, valid = lazy.fluorescence(node, grid, seen, max_gap=gap, length=length)
        data["calcium"] = xr.DataArray(value, dims=dims, attrs=node["fluorescence"].attrs)
        data["mask_calcium"] = xr.DataArray(valid, dims=dims)
    return data


def _behavior(
    node: xr.Dataset, name: str, grid: Grid, edges: NDArray[np.float64], max_gap: float | None
) -> dict[str, xr.DataArray]:
    value, valid, attrs = resample.behavior_on_bins(
        node, edges, bin_width=grid.bin_width, max_gap=max_gap, name=f"/behavior/{name}"
    )
    exists = grid.exists
    value[~exists] = np.nan
    return _pair(f"behavior_{name}", value, valid & exists, node["value"].transpose("time", ...), attrs)


def _frames(node: xr.Dataset, name: str, grid: Grid, edges: NDArray[np.float64]) -> dict[str, xr.DataArray]:
    if "frames" not in node:
        counts = event_frames(node, edges, name=f"/stimulus/{name}")
        attrs = {"units": "events", "long_name": "events of a bin at a pixel, by polarity"}
        variable, exists = f"stimulus_{name}", xr.DataArray(grid.exists, dims=("trial", "time"))
        return {
            variable: counts.where(exists, 0).astype(counts.dtype).assign_attrs(attrs).rename(variable),
            f"mask_{variable}": exists,
        }
    shown, valid = resample.frames(node["time"].values.astype(np.float64), edges)
    movie = node["frames"].transpose("time", ...)
    if not movie.sizes["time"]:
        raise RecordingError(f"/stimulus/{name} holds no frames; leave it out")
    # Indexed through xarray, so that a movie in a file stays there until it is asked for.
    value = movie.variable[xr.Variable(("trial", "time"), shown)]
    return _pair(f"stimulus_{name}", value, valid & grid.exists, movie, dict(movie.attrs))


def _pair(
    variable: str, value: Any, valid: Any, source: xr.DataArray, attrs: Mapping
) -> dict[str, xr.DataArray]:
    """Return a variable with the extra dimensions of its source, and its mask."""
    extra = source.dims[1:]
    coords = {d: source.coords[d].variable for d in extra if d in source.coords}
    return {
        variable: xr.DataArray(value, dims=("trial", "time", *extra), coords=coords, attrs=attrs),
        f"mask_{variable}": xr.DataArray(valid, dims=("trial", "time")),
    }


def _without_clashes(data: dict[str, xr.DataArray]) -> dict[str, xr.DataArray]:
    """Rename an extra dimension that another variable uses with other labels (``axis`` of 2 and of 3)."""
    known: dict[Hashable, xr.DataArray] = {}
    out: dict[str, xr.DataArray] = {}
    for name, array in data.items():
        for dim in array.dims:
            if dim in ("trial", "time", "unit") and not name.startswith(("behavior_", "stimulus_")):
                continue
            if dim in ("trial", "time") and array.dims.index(dim) < 2:
                continue
            labels = array[dim]
            if dim in RESERVED or not known.setdefault(dim, labels).identical(labels):
                array = array.rename({dim: f"{name}_{dim}"})
        out[name] = array
    return out


def _coordinates(tree: xr.DataTree, grid: Grid, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the coordinates of binned data."""
    seconds = {"units": "s"}
    coords: dict[str, Any] = {
        "trial": ("trial", np.arange(grid.origin.size)),
        "time": ("time", grid.time, {**seconds, "long_name": "bin centre"}),
        **columns,
        "trial_start": ("trial", grid.trial_start, seconds),
        "trial_stop": ("trial", grid.trial_stop, seconds),
    }
    for node in ("units", "spikes", "calcium"):
        if node in tree.children:
            table = _dataset(tree, node)
            break
    else:
        return coords
    for name, column in table.variables.items():
        if column.dims == ("unit",) and name != "row_size":
            free = name == "unit" or (name not in RESERVED and name not in coords)
            coords[str(name) if free else f"unit_{name}"] = ("unit", column.values, column.attrs)
    return coords
