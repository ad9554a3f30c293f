"""Position along a track, speed and running direction, as new behaviour beside the tracked position.

Distances weigh, not durations: an animal that sits still for half an hour, or a tracker that shows one wrong
point for as long, says nothing about where the track lies. Every sample therefore counts by the way covered
since the one before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurokit_snn.errors import RecordingError
from neurokit_snn.recording.assemble import node_at, on_session_clock
from neurokit_snn.recording.clocks import affine
from neurokit_snn.recording.schema import datasets, from_datasets

__all__ = ["along_track", "linearize", "running_direction", "speed", "travelled", "weighted_quantile"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

JUMP_QUANTILE = (
    0.99  # steps above this quantile count as this quantile: a jump of the tracker is no way covered
)
NEAR = 1e-3  # of the size of the room: distances from the axis below this no longer differ
ROUNDS = 50


def linearize(
    tree: xr.DataTree, *, position: str = "position", name: str = "linear_position", epoch: str | None = None
) -> xr.DataTree:
    """Add the position along a straight track: the projection onto the axis of the way covered.

    Parameters
    ----------
    tree
        A recording.
    position
        Name of a behaviour ``(time, axis)`` or, already linear, ``(time,)``, which is copied as it is.
    name
        Name of the behaviour that is added.
    epoch
        Name of a node of ``/epochs`` whose samples alone decide where the track lies; all samples are
        projected.

    Returns
    -------
    recording
        A new tree with ``/behavior/NAME``: 0 at the end of the track (the first percentile of the way
        covered), growing along the axis, in the units of the position; NaN where the position is missing.

    Raises
    ------
    RecordingError
        When there is no such behaviour, the name is taken, or the animal never moved.

    Examples
    --------
    >>> import numpy as np
    >>> from neurokit_snn import recording
    >>> time = np.linspace(0.0, 10.0, 1001)
    >>> x = 50.0 - 50.0 * np.cos(time)
    >>> tree = recording.build(behavior={"position": (time, np.stack([0.6 * x, 0.8 * x], axis=1))})
    >>> value = linearize(tree)["behavior/linear_position"]["value"]
    >>> bool(abs(float(value.max() - value.min()) - 100.0) < 0.01)
    True
    """
    node = position_node(tree, position)
    values = node["value"].transpose("time", ...)
    if values.ndim > 1:
        chosen = within_epoch(tree, f"behavior/{position}", node, epoch)
        coordinate = along_track(values.values.astype(np.float64), chosen)
        values = xr.DataArray(coordinate, dims="time", coords={"time": node["time"]}, attrs=values.attrs)
    return _with(tree, name, values, node, kind="continuous")


def speed(
    tree: xr.DataTree, *, position: str = "position", name: str = "speed", smoothing: float = 0.25
) -> xr.DataTree:
    """Add the speed: the length of the derivative of the smoothed position.

    Parameters
    ----------
    tree
        A recording.
    position
        Name of a behaviour ``(time, axis)`` or ``(time,)``.
    name
        Name of the behaviour that is added.
    smoothing
        Standard deviation in seconds of the Gaussian whose derivative is the filter.

    Returns
    -------
    recording
        A new tree with ``/behavior/NAME`` in units of the position per second; NaN where the position is
        missing.

    Raises
    ------
    RecordingError
        When there is no such behaviour, the name is taken, or smoothing is not above 0.

    Examples
    --------
    >>> import numpy as np
    >>> from neurokit_snn import recording
    >>> time = np.linspace(0.0, 10.0, 501)
    >>> tree = recording.build(behavior={"position": {"time": time, "value": 3.0 * time, "units": "cm"}})
    >>> value = speed(tree)["behavior/speed"]["value"]
    >>> value.sel(time=5.0, method="nearest").round(6).item(), value.attrs["units"]
    (3.0, 'cm/s')
    """
    node, velocity = _velocity(tree, position, smoothing)
    units = str(node["value"].attrs.get("units", "")).strip()
    value = xr.DataArray(
        np.linalg.norm(velocity, axis=1),
        dims="time",
        coords={"time": node["time"]},
        attrs={"units": f"{units}/s" if units else "1/s"},
    )
    return _with(tree, name, value, node, kind="continuous")


def running_direction(
    tree: xr.DataTree,
    *,
    position: str = "linear_position",
    name: str = "running_direction",
    min_speed: float = 0.0,
    smoothing: float = 0.25,
) -> xr.DataTree:
    """Add the direction of running along a track: 1 towards higher positions, -1 towards lower, 0 at rest.

    Parameters
    ----------
    tree
        A recording.
    position
        Name of a behaviour ``(time,)``, as `linearize` adds it.
    name
        Name of the behaviour that is added.
    min_speed
        Speed along the track, in units of the position per second, from which the animal counts as running.
    smoothing
        As for `speed`.

    Returns
    -------
    recording
        A new tree with the categorical behaviour ``/behavior/NAME``; NaN where the position is missing.

    Raises
    ------
    RecordingError
        When there is no such behaviour, it has more than one component, or the name is taken.

    Examples
    --------
    >>> import numpy as np
    >>> from neurokit_snn import recording
    >>> time = np.linspace(0.0, 10.0, 501)
    >>> tree = recording.build(behavior={"linear_position": (time, np.abs(time - 5.0))})
    >>> value = running_direction(tree, min_speed=0.5)["behavior/running_direction"]["value"]
    >>> value.sel(time=[2.0, 5.0, 8.0], method="nearest").values
    array([-1.,  0.,  1.])
    """
    node, velocity = _velocity(tree, position, smoothing)
    if velocity.shape[1] != 1:
        raise RecordingError(
            f"/behavior/{position} has {velocity.shape[1]} components; add a linear one with linearize"
        )
    along = velocity[:, 0]
    running = np.where(np.abs(along) >= min_speed, np.sign(along), np.where(np.isnan(along), np.nan, 0.0))
    value = xr.DataArray(running, dims="time", coords={"time": node["time"]}, attrs={"units": "1"})
    return _with(tree, name, value, node, kind="categorical")


def along_track(values: Floats, chosen: Bools | None = None) -> Floats:
    """Project positions onto the axis that lies nearest to the way covered, from its first percentile on.

    The axis has the least sum of distances (not of their squares) from the samples, weighted by the way
    covered: loops at the ends of a track or a walk across the room do not turn it.

    Parameters
    ----------
    values
        ``(sample, axis)``, NaN where missing.
    chosen
        ``(sample,)``: which samples decide where the axis lies; None for all.

    Returns
    -------
    coordinate
        ``(sample,)``. The component of the axis with the greatest weight points up.

    Examples
    --------
    >>> np.diff(along_track(np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]))).round(6)
    array([5., 5.])
    """
    weight = travelled(values, chosen)
    here = weight > 0
    if here.sum() < 2:
        raise RecordingError(
            "the position changes less than twice, so no track can be found in it; see what was tracked"
        )
    points, weight = values[here], weight[here]
    pull = weight
    for _ in range(ROUNDS):
        centre = np.average(points, axis=0, weights=pull)
        off = points - centre
        axis = np.linalg.eigh((off * pull[:, None]).T @ off)[1][:, -1]
        distance = np.linalg.norm(off - (off @ axis)[:, None] * axis, axis=1)
        # Least squares with these weights is a step towards the least sum of distances (Weiszfeld).
        pull = weight / np.maximum(distance, NEAR * np.abs(off).max())
    axis = axis * np.sign(axis[np.argmax(np.abs(axis))])
    coordinate = (values - centre) @ axis
    return coordinate - weighted_quantile(coordinate[here], weight, 0.01)


def travelled(values: Floats, chosen: Bools | None = None) -> Floats:
    """Return the way covered between each sample and the last one before it that is not missing.

    Steps longer than 99 of 100 (of those that are steps at all) count as the hundredth: trackers jump,
    animals do not.

    Parameters
    ----------
    values
        ``(sample,)`` or ``(sample, axis)``, NaN where missing.
    chosen
        ``(sample,)``: others weigh nothing.

    Examples
    --------
    >>> travelled(np.array([0.0, 1.0, np.nan, 1.0, 3.0]))
    array([0.  , 1.  , 0.  , 0.  , 1.99])
    """
    columns = values.reshape(values.shape[0], -1)
    seen = np.isfinite(columns).all(axis=1)
    if chosen is not None:
        seen &= chosen
    weight = np.zeros(values.shape[0])
    step = np.linalg.norm(np.diff(columns[seen], axis=0), axis=1)
    if (step > 0).any():
        weight[np.flatnonzero(seen)[1:]] = np.minimum(step, np.quantile(step[step > 0], JUMP_QUANTILE))
    return weight


def weighted_quantile(values: Floats, weight: Floats, q: float) -> float:
    """Return the value below which a share of the weight lies, linear between the centres of the weights.

    Parameters
    ----------
    values, weight
        ``(sample,)``.
    q
        The share, 0 to 1.

    Examples
    --------
    >>> weighted_quantile(np.array([1.0, 2.0, 9.0]), np.array([1.0, 1.0, 0.0]), 0.5)
    1.5
    """
    order = np.argsort(values, kind="stable")
    share = (np.cumsum(weight[order]) - 0.5 * weight[order]) / weight.sum()
    return float(np.interp(q, share, values[order]))


def position_node(tree: xr.DataTree, position: str) -> xr.Dataset:
    """Return the node of a behaviour that can be a position: numbers ``(time,)`` or ``(time, axis)``."""
    node = node_at(tree, f"behavior/{position}")
    if node["value"].ndim > 2 or node["value"].dtype.kind not in "iuf" or not node.sizes["time"]:
        raise RecordingError(
            f"/behavior/{position}: value is {node['value'].dtype} {dict(node['value'].sizes)}; "
            "a position holds numbers (time,) or (time, axis)"
        )
    return node


def within_epoch(tree: xr.DataTree, path: str, node: xr.Dataset, epoch: str | None) -> Bools | None:
    """Return which samples lie inside the intervals of an epoch."""
    if epoch is None:
        return None
    slope, offset = affine(tree, path)
    time = node["time"].values * slope + offset
    intervals = node_at(on_session_clock(tree), f"epochs/{epoch}")
    inside = np.zeros(time.size, bool)
    for start, stop in zip(intervals["start"].values, intervals["stop"].values, strict=True):
        inside |= (time >= start) & (time < stop)
    return inside


def _velocity(tree: xr.DataTree, position: str, smoothing: float) -> tuple[xr.Dataset, Floats]:
    """Return the position's node and its derivative ``(sample, axis)`` by session time."""
    if not smoothing > 0:
        raise RecordingError(f"smoothing is {smoothing!r}; give seconds above 0")
    node = position_node(tree, position)
    values = node["value"].transpose("time", ...).values.astype(np.float64).reshape(node.sizes["time"], -1)
    time = node["time"].values * affine(tree, f"behavior/{position}")[0]
    out = np.full(values.shape, np.nan)
    seen = np.flatnonzero(np.isfinite(values).all(axis=1))
    if seen.size < 2:
        return node, out
    gaps = np.diff(time[seen])
    # Nothing is known across a gap as wide as the filter, so each stretch between such gaps stands alone.
    for piece in np.split(seen, np.flatnonzero(gaps > 6 * max(smoothing, float(np.median(gaps)))) + 1):
        if piece.size > 1:
            out[piece] = _derivative(time[piece], values[piece], smoothing)
    return node, out


def _derivative(time: Floats, values: Floats, smoothing: float) -> Floats:
    """Filter with the derivative of a Gaussian, on a regular grid as fine as the sampling."""
    from scipy.ndimage import gaussian_filter1d

    step = float(np.median(np.diff(time)))
    grid = time[0] + step * np.arange(int(np.ceil((time[-1] - time[0]) / step)) + 1)
    margin = int(np.ceil(4 * smoothing / step)) + 1
    out = np.empty_like(values)
    for axis in range(values.shape[1]):
        # Turned over at its ends, a steady run keeps its speed up to the last sample.
        even = np.pad(np.interp(grid, time, values[:, axis]), margin, mode="reflect", reflect_type="odd")
        slope = gaussian_filter1d(even, smoothing / step, order=1)[margin:-margin] / step
        out[:, axis] = np.interp(time, grid, slope)
    return out


def _with(tree: xr.DataTree, name: str, value: xr.DataArray, source: xr.Dataset, *, kind: str) -> xr.DataTree:
    """Return the recording with one behaviour more, on the clock of its source."""
    nodes: dict[str, Any] = datasets(tree)
    if f"/behavior/{name}" in nodes:
        raise RecordingError(f"the recording has a /behavior/{name} already; give another name")
    attrs = {"clock": source.attrs["clock"]} if "clock" in source.attrs else {}
    value = value.assign_attrs(kind=kind)
    return from_datasets({**nodes, f"/behavior/{name}": xr.Dataset({"value": value}, attrs=attrs)})
