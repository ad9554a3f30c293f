"""When each unit was observed: silence of a unit that was lost is not a silence.

Intervals are half open, [start, stop), and ragged per unit: ``start(interval)``, ``stop(interval)``,
``row_size(unit)`` with the runs of the units one after another, sorted and disjoint within a unit.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from neurokit_snn.errors import RecordingError
from neurokit_snn.recording.clocks import affine
from neurokit_snn.recording.schema import NodeSpec, datasets, find_spec, node

__all__ = ["observed", "restrict", "span", "total"]


def observed(tree: xr.DataTree) -> xr.Dataset:
    """Return the observation intervals of every unit, in session time.

    Parameters
    ----------
    tree
        A recording.

    Returns
    -------
    intervals
        ``start(interval)``, ``stop(interval)``, ``row_size(unit)`` and the coordinate ``unit``. Without a
        node ``/observation`` every unit has the one interval [-inf, inf).

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> tree = recording.build(spikes={"a": [0.5], "b": []}, observation={"a": [[0, 1], [3, 4]], "b": []})
    >>> observed(tree)["row_size"].values
    array([2, 0])
    """
    if "observation" in tree.children:
        slope, offset = affine(tree, "/observation")
        content = node(tree, "/observation").load()
        attrs = {key: value for key, value in content.attrs.items() if key != "clock"}
        start, stop = (
            content[name].values * slope + offset if "clock" in content.attrs else content[name].values
            for name in ("start", "stop")
        )
        return _intervals(start, stop, content["row_size"].values, content["unit"].values).assign_attrs(attrs)
    units = node(tree, "/units")["unit"].values if "units" in tree.children else np.empty(0, dtype=np.int64)
    n = len(units)
    return _intervals(np.full(n, -np.inf), np.full(n, np.inf), np.ones(n, dtype=np.int64), units)


def restrict(intervals: xr.Dataset, start: float, stop: float) -> xr.Dataset:
    """Return the intersection of per-unit intervals with the window [start, stop).

    Parameters
    ----------
    intervals
        As `observed` returns them.
    start, stop
        Window in seconds; infinite on a side that is not cut.

    Returns
    -------
    intervals
        The same layout; intervals that are left empty are dropped.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> tree = recording.build(spikes={"a": [0.5]}, observation={"a": [[0, 1], [3, 4]]})
    >>> restrict(observed(tree), 0.5, 3.5)["start"].values
    array([0.5, 3. ])
    """
    begin = np.maximum(intervals["start"].values, start)
    end = np.minimum(intervals["stop"].values, stop)
    sizes = intervals["row_size"].values
    keep = begin < end
    unit = np.repeat(np.arange(len(sizes)), sizes)[keep]
    kept = np.bincount(unit, minlength=len(sizes)).astype(sizes.dtype)
    out = _intervals(begin[keep], end[keep], kept, intervals["unit"].values)
    for name, variable in out.variables.items():
        variable.attrs = dict(intervals.variables[name].attrs)
    return out.assign_attrs(intervals.attrs)


def total(intervals: xr.Dataset) -> xr.DataArray:
    """Return how long each unit was observed, in seconds.

    Parameters
    ----------
    intervals
        As `observed` returns them; `restrict` them first where they are infinite.

    Returns
    -------
    seconds
        DataArray (unit).

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> tree = recording.build(spikes={"a": [0.5], "b": []}, observation={"a": [[0, 1], [3, 4]], "b": []})
    >>> total(observed(tree)).values
    array([2., 0.])
    """
    sizes = intervals["row_size"].values
    unit = np.repeat(np.arange(len(sizes)), sizes)
    lengths = intervals["stop"].values - intervals["start"].values
    seconds = np.bincount(unit, weights=lengths, minlength=len(sizes)).astype(np.float64)
    return xr.DataArray(
        seconds, dims="unit", coords={"unit": intervals["unit"]}, name="observed", attrs={"units": "s"}
    )


def span(tree: xr.DataTree) -> tuple[float, float]:
    """Return the least half-open stretch [start, stop) of session time that holds everything.

    Parameters
    ----------
    tree
        A recording, eager or lazy.

    Returns
    -------
    start, stop
        Seconds. ``slice_time(tree, *span(tree))`` is the whole recording, so that stop is just above the last
        sample or spike. (0.0, 0.0) for a recording without any time in it.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> tree = recording.build(spikes={"a": [0.5]}, trials={"start": [0.25], "stop": [2.0]})
    >>> span(tree)
    (0.25, 2.0)
    """
    low, high = np.inf, -np.inf
    for path, content in datasets(tree).items():
        spec = find_spec(path, content)
        if not isinstance(spec, NodeSpec):
            continue
        slope, offset = affine(tree, path) if spec.clocked else (1.0, 0.0)
        for field in spec.fields:
            if field.kind != "seconds" or not content.variables[field.name].size:
                continue
            first, last = _extent(content, field.name)
            first, last = first * slope + offset, last * slope + offset
            low = min(low, first)
            # A stop is outside its own half-open interval; every other instant must lie inside the span.
            high = max(high, last if field.name == "stop" else float(np.nextafter(last, np.inf)))
    return (low, high) if low < high else (0.0, 0.0)


def _extent(content: xr.Dataset, name: str) -> tuple[float, float]:
    """Least and greatest value of times, which are sorted, or sorted within each run of ``row_size``."""
    values = content.variables[name]
    if name == "stop" or values.size < 2:
        stops = np.asarray(values.values)
        return float(stops.min()), float(stops.max())
    if "row_size" not in content.variables:
        return float(values[0].values), float(values[-1].values)
    sizes = content.variables["row_size"].values
    last = np.cumsum(sizes)[sizes > 0] - 1
    first = last - sizes[sizes > 0] + 1
    return float(values[first].values.min()), float(values[last].values.max())


def _intervals(start: np.ndarray, stop: np.ndarray, row_size: np.ndarray, units: np.ndarray) -> xr.Dataset:
    if len(start) != int(row_size.sum()):
        raise RecordingError(
            f"/observation: row_size sums to {row_size.sum()} but there are {len(start)} intervals"
        )
    return xr.Dataset(
        {
            "start": ("interval", start, {"units": "s"}),
            "stop": ("interval", stop, {"units": "s"}),
            "row_size": ("unit", row_size, {"sample_dimension": "interval"}),
        },
        coords={"unit": ("unit", units)},
    )
