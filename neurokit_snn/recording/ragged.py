"""Ragged spike trains and what is cut, chosen and joined along time and units.

The laws: slicing [a, b) and [b, c) and concatenating gives back the slice [a, c); selecting all units is the
identity; selecting in another order permutes, and permuting back restores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from neurokit_snn.errors import RecordingError
from neurokit_snn.recording.blocks import blocks
from neurokit_snn.recording.clocks import affine, first_at
from neurokit_snn.recording.observation import restrict
from neurokit_snn.recording.schema import NodeSpec, datasets, find_spec, from_datasets, node

__all__ = [
    "count_before",
    "offsets",
    "select_units",
    "slice_time",
    "spike_times",
    "take_runs",
    "unit_of_spike",
]


def offsets(tree: xr.DataTree, *, path: str = "/spikes") -> np.ndarray:
    """Return where the run of each unit begins: unit i has the samples ``offsets[i]:offsets[i + 1]``.

    Parameters
    ----------
    tree
        A recording.
    path
        ``"/spikes"`` or ``"/observation"``.

    Returns
    -------
    offsets
        int64 (unit + 1,).

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> offsets(recording.build(spikes={"a": [0.1, 0.2], "b": [0.3]}))
    array([0, 2, 3])
    """
    name = path.strip("/")
    if name not in tree.children:
        raise RecordingError(f"the recording has no {path}; build it with {name}=")
    return _starts(node(tree, path)["row_size"].values)


def unit_of_spike(tree: xr.DataTree) -> np.ndarray:
    """Return the position in ``/units`` of the unit of each spike, int64 (spike,).

    Parameters
    ----------
    tree
        A recording with spikes.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> unit_of_spike(recording.build(spikes={"a": [0.1, 0.2], "b": [0.3]}))
    array([0, 0, 1])
    """
    return np.repeat(np.arange(tree["units"].sizes["unit"]), np.diff(offsets(tree)))


def spike_times(tree: xr.DataTree, unit: Any) -> np.ndarray:
    """Return the spike times of one unit, in seconds of the session.

    Parameters
    ----------
    tree
        A recording with spikes.
    unit
        Label of the unit.

    Returns
    -------
    times
        float64 (spike,), increasing.

    Raises
    ------
    RecordingError
        When there are no spikes or no such unit.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> spike_times(recording.build(spikes={"a": [0.1, 0.2], "b": [0.3]}), "b")
    array([0.3])
    """
    edges = offsets(tree)
    row = int(_positions(tree, [unit])[0])
    slope, offset = affine(tree, "/spikes")
    content = node(tree, "/spikes")
    times = np.asarray(content.variables["time"][edges[row] : edges[row + 1]].values)
    return times * slope + offset if "clock" in content.attrs else times


def select_units(tree: xr.DataTree, units: Any) -> xr.DataTree:
    """Return the recording with some of its units, in the order asked for.

    Parameters
    ----------
    tree
        A recording with units.
    units
        Labels in the order wanted (one label is a list of one), or a boolean array (unit,). ``/units``,
        ``/spikes``, ``/observation`` and ``/calcium`` follow; the free-form ``/truth`` and ``/extra`` are
        kept as they are.

    Returns
    -------
    recording
        The chosen units. Selecting all labels in another order permutes the units.

    Raises
    ------
    RecordingError
        When a label is missing or asked for twice, or a boolean array has another length.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> tree = recording.build(spikes={"a": [0.1, 0.2], "b": [0.3]}, units={"depth": [10.0, 90.0]})
    >>> select_units(tree, tree["units"]["depth"] > 50)["spikes"]["time"].values
    array([0.3])
    """
    if "units" not in tree.children:
        raise RecordingError(
            "the recording has no /units to choose from; build it with spikes=, units= or calcium="
        )
    rows = _positions(tree, units)
    nodes = datasets(tree)
    for path in ("/units", "/calcium"):
        if path in nodes:
            nodes[path] = nodes[path].isel(unit=rows)
    for path in ("/spikes", "/observation"):
        if path in nodes:
            starts = _starts(nodes[path]["row_size"].values)
            nodes[path] = _recut(
                nodes[path], nodes[path]["row_size"].isel(unit=rows), starts[rows], starts[rows + 1]
            )
    return from_datasets(nodes)


def slice_time(tree: xr.DataTree, start: float, stop: float) -> xr.DataTree:
    """Return what happened in [start, stop), half open, on the session's clock.

    Samples, spikes and events belong to the slice in which they are; trials and epochs, whole, to the slice
    in which they start; observation intervals are clipped. Times are not shifted, nodes stay on their
    clocks, and a node that loses all its rows stays as an empty one.

    Parameters
    ----------
    tree
        A recording, eager or lazy.
    start, stop
        Seconds of the session; ``-inf`` and ``inf`` cut nothing.

    Returns
    -------
    recording
        The slice. In memory, samples are views into those of ``tree`` wherever they are contiguous.

    Raises
    ------
    RecordingError
        When start is not before stop.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> tree = recording.build(spikes={"a": [0.1, 0.2], "b": [0.3]})
    >>> slice_time(tree, 0.2, 0.3)["spikes"]["row_size"].values
    array([1, 0])
    """
    if not start < stop:
        raise RecordingError(
            f"slice_time: start {start!r} is not before stop {stop!r}; give seconds, start < stop"
        )
    nodes = datasets(tree)
    for path, content in nodes.items():
        spec = find_spec(path, content)
        if not isinstance(spec, NodeSpec) or not spec.clocked or spec.free:
            continue
        cuts = np.array([first_at(instant, *affine(tree, path)) for instant in (start, stop)])
        if path == "/observation":
            nodes[path] = restrict(content.load(), *cuts)
        elif path == "/spikes":
            starts = _starts(content["row_size"].values)
            low, high = starts[:-1] + count_before(content.variables["time"], starts, cuts)
            sizes = content["row_size"].copy(data=(high - low).astype(content["row_size"].dtype))
            nodes[path] = _recut(content, sizes, low, high)
        else:
            times = content.variables["start" if "start" in content.variables else "time"]
            low, high = count_before(times, np.array([0, times.size]), cuts)[:, 0]
            nodes[path] = content.isel({times.dims[0]: slice(int(low), int(high))})
    return from_datasets(nodes)


def count_before(times: xr.Variable, starts: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Return how many samples of each sorted run lie before each cut.

    Parameters
    ----------
    times
        The runs one after another, eager or lazy (read in blocks).
    starts
        int (run + 1,), as `offsets` returns them.
    cuts
        float (cut,).

    Returns
    -------
    counts
        int64 (cut, run).

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> count_before(xr.Variable("spike", np.array([1.0, 2.0, 0.5])), np.array([0, 2, 3]), np.array([1.5]))
    array([[1, 1]])
    """
    counts = np.zeros((len(cuts), len(starts) - 1), dtype=np.int64)
    for offset, block in blocks(times):
        end = offset + len(block)
        first, last = np.searchsorted(starts, (offset, end - 1), side="right") - 1
        for run in range(first, last + 1):
            piece = block[max(starts[run] - offset, 0) : starts[run + 1] - offset]
            counts[:, run] += np.searchsorted(piece, cuts, side="left")
    return counts


def take_runs(values: xr.Variable, low: np.ndarray, high: np.ndarray) -> xr.Variable:
    """Return the pieces ``values[low[i]:high[i]]`` one after another; lazy arrays stay lazy.

    Parameters
    ----------
    values
        One-dimensional variable.
    low, high
        int (piece,), low <= high.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> take_runs(xr.Variable("spike", np.arange(5)), np.array([3, 0]), np.array([5, 1])).values
    array([3, 4, 0])
    """
    full = np.flatnonzero(high > low)
    low, high = low[full], high[full]
    if not len(full):
        return values[0:0]
    # Neighbouring runs that are both kept whole are one piece: choosing everything copies nothing.
    new = np.concatenate([[True], low[1:] != high[:-1]])
    begins, ends = low[new], high[np.concatenate([new[1:], [True]])]
    return join([values[b:e] for b, e in zip(begins.tolist(), ends.tolist(), strict=True)])


def join(pieces: Sequence[xr.Variable]) -> xr.Variable:
    """Concatenate variables along their first dimension; lazy arrays stay lazy, attrs are the first's."""
    if len(pieces) == 1:
        return pieces[0]
    if not any(piece.chunks for piece in pieces):
        pieces = [piece.load() for piece in pieces]
    return xr.Variable.concat(list(pieces), dim=pieces[0].dims[0])


def _starts(sizes: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])


def _recut(content: xr.Dataset, row_size: xr.DataArray, low: np.ndarray, high: np.ndarray) -> xr.Dataset:
    """Return a ragged node with the runs ``low:high`` for the units of ``row_size``."""
    runs = {
        name: take_runs(variable, low, high)
        for name, variable in content.variables.items()
        if name not in ("row_size", "unit")
    }
    variables = {name: runs.get(name, row_size.variable) for name in content.data_vars}
    return xr.Dataset(variables, coords={"unit": row_size.coords["unit"]}, attrs=content.attrs)


def _positions(tree: xr.DataTree, units: Any) -> np.ndarray:
    """Return the rows in /units of labels or of a boolean array."""
    known = node(tree, "/units")["unit"].values
    asked = np.atleast_1d(np.asarray(units))
    if asked.dtype == bool:
        if asked.shape != known.shape:
            raise RecordingError(
                f"/units: {len(asked)} truth values for {len(known)} units; give one per unit"
            )
        return np.flatnonzero(asked)
    row = {label: i for i, label in enumerate(known.tolist())}
    labels = asked.tolist()
    if missing := [label for label in labels if label not in row]:
        some = ", ".join(repr(label) for label in list(row)[:5]) + (", ..." if len(row) > 5 else "")
        raise RecordingError(
            f"/units: no unit {', '.join(map(repr, missing[:5]))}; there are {len(row)}: {some}"
        )
    if len(set(labels)) < len(labels):
        twice = next(label for i, label in enumerate(labels) if label in labels[:i])
        raise RecordingError(f"/units: unit {twice!r} is asked for twice; name each unit once")
    return np.array([row[label] for label in labels], dtype=np.int64)
