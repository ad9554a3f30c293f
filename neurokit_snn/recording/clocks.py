"""Several clocks in one recording: maps between them, and how to find them from shared pulses.

A node on another clock names it in ``attrs["clock"]``; ``/clocks`` holds t_session = slope * t + offset for
each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from neurokit_snn.errors import RecordingError
from neurokit_snn.recording.rules import listed
from neurokit_snn.recording.schema import NodeSpec, datasets, find_spec, from_datasets, node
from neurokit_snn.recording.validate import problems

__all__ = ["affine", "first_at", "fit_clock", "to_session_clock"]


def affine(tree: xr.DataTree, path: str) -> tuple[float, float]:
    """Return ``(slope, offset)`` from the clock of a node to the session's, (1.0, 0.0) where it has none.

    Parameters
    ----------
    tree
        A recording.
    path
        Path of the node, as in ``/behavior/position``.

    Raises
    ------
    RecordingError
        When the node's clock is not in ``/clocks``.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> tree = recording.build(
    ...     behavior={"x": {"time": [0.0, 1.0], "value": [1.0, 2.0], "clock": "camera"}},
    ...     clocks={"camera": (1.0, 5.0)},
    ... )
    >>> affine(tree, "/behavior/x")
    (1.0, 5.0)
    """
    clock = node(tree, path).attrs.get("clock")
    if clock is None:
        return 1.0, 0.0
    clocks = node(tree, "/clocks") if "clocks" in tree.children else None
    known = [] if clocks is None else clocks["clock"].values.tolist()
    if clocks is None or clock not in known:
        raise RecordingError(
            f"{path}: clock {clock!r} is not in /clocks {known}; add it or remove the attribute"
        )
    row = known.index(clock)
    return float(clocks["slope"].values[row]), float(clocks["offset"].values[row])


def first_at(instant: float, slope: float, offset: float) -> float:
    """Return the least clock time t whose session time ``slope * t + offset``, as rounded, is >= ``instant``.

    Cutting a series at this time on its own clock is the same, to the bit, as cutting its session times at
    ``instant``, without computing them.

    Parameters
    ----------
    instant
        Session time in seconds; may be infinite.
    slope, offset
        Map of the clock, slope > 0.

    Examples
    --------
    >>> first_at(7.0, 1.0, 5.0)
    2.0
    """
    if (slope == 1.0 and offset == 0.0) or not np.isfinite(instant):
        return float(instant)
    guess = (instant - offset) / slope
    step = 8 * float(np.spacing(max(abs(instant), abs(offset)))) / slope + float(np.spacing(abs(guess)))
    low, high = guess - step, guess + step
    while (middle := low + (high - low) / 2) not in (low, high):
        low, high = (low, middle) if slope * middle + offset >= instant else (middle, high)
    return high


def to_session_clock(tree: xr.DataTree) -> xr.DataTree:
    """Put every node on the session's clock: map its times and drop the attribute ``clock``.

    Parameters
    ----------
    tree
        A recording, eager or lazy (dask arrays stay lazy, their times are read once for the check).

    Returns
    -------
    recording
        A recording in which no node names a clock; ``/clocks`` is kept for the record. The same object when
        no node was on another clock.

    Raises
    ------
    RecordingError
        When a clock is unknown, or its offset is so large that neighbouring samples fall on one float64.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> tree = recording.build(
    ...     events={"lick": {"time": [1.0, 2.0]}},
    ...     behavior={"x": {"time": [0.0, 1.0], "value": [1.0, 2.0], "clock": "camera"}},
    ...     clocks={"camera": (2.0, 5.0)},
    ... )
    >>> to_session_clock(tree)["behavior/x"]["time"].values
    array([5., 7.])
    """
    nodes = datasets(tree)
    mapped: dict[str, xr.Dataset] = {}
    for path, content in nodes.items():
        spec = find_spec(path, content)
        if not isinstance(spec, NodeSpec) or not spec.clocked or content.attrs.get("clock") is None:
            continue
        slope, offset = affine(tree, path)
        for field in spec.fields:
            if field.kind == "seconds":
                old = content.variables[field.name]
                new = {field.name: xr.Variable(old.dims, old.data * slope + offset, old.attrs)}
                content = content.assign_coords(new) if field.name in content.coords else content.assign(new)
        mapped[path] = content.assign_attrs()
        del mapped[path].attrs["clock"]
    if not mapped:
        return tree
    out = from_datasets({**nodes, **mapped})
    if found := problems(out):
        raise RecordingError(listed(found, "on the session's clock (check slope and offset in /clocks)"))
    return out


def fit_clock(theirs: Any, ours: Any, *, tolerance: float = 0.005, max_drift: float = 1e-3) -> xr.Dataset:
    """Find the map from another clock to the session's from pulses that both recorded.

    Pulses may be missing, or extra, on either side: short stretches of ``theirs`` are laid along ``ours`` to
    find where they can belong, each candidate is grown from its neighbourhood to the whole recording, and
    the line is fitted by least squares to pairs that are each other's nearest, leaving out outliers.

    Parameters
    ----------
    theirs, ours
        Increasing pulse times in seconds on the other clock and on the session's, at least 3 each.
    tolerance
        Greatest distance in seconds between the two times of one pulse after the map.
    max_drift
        Greatest relative difference of rate between the clocks.

    Returns
    -------
    fit
        Scalars ``slope``, ``offset`` (t_ours = slope * t_theirs + offset), ``residual_sd`` and
        ``max_residual`` (seconds, of the pairs used) and ``n_matched``. Goes into ``build(clocks={label:
        fit})``.

    Raises
    ------
    RecordingError
        When times are not increasing seconds, fewer than half of the pulses of the shorter side can be
        matched, or two different alignments match equally well (evenly spaced pulses with the ends missing).

    Examples
    --------
    >>> ours = np.array([1.0, 2.5, 3.1, 5.7, 6.0, 8.2])
    >>> fit = fit_clock(ours[[0, 1, 3, 4, 5]] - 100.0, ours)
    >>> round(float(fit["offset"]), 6), int(fit["n_matched"])
    (100.0, 5)
    """
    theirs, ours = _pulses(theirs, "theirs"), _pulses(ours, "ours")
    ratio = np.median(np.diff(ours)) / np.median(np.diff(theirs))
    # Half of a typical gap is as far as a neighbour can be told from the next one.
    near = min(tolerance, 0.25 * float(min(np.median(np.diff(ours)), np.median(np.diff(theirs)))))
    pairs = _candidates(theirs, ours, near, max_drift)
    grown = (_grow(theirs, ours, pair, near, max_drift) for pair in pairs)
    fits = sorted((fit for fit in grown if fit is not None), key=lambda fit: (-fit.n, fit.sd))
    shorter = min(len(theirs), len(ours))
    if not fits or fits[0].n < max(3, (shorter + 1) // 2):
        hint = f"the typical interval differs {ratio:.4g}-fold: " if not 0.5 < ratio < 2 else ""
        raise RecordingError(
            f"fit_clock: only {fits[0].n if fits else 0} of {shorter} pulses match within {near:.3g} s; "
            f"{hint}check that both are the same pulses in seconds, or raise tolerance"
        )
    best = fits[0]
    for other in fits[1:]:
        apart = abs((other.slope - best.slope) * theirs.mean() + other.offset - best.offset)
        if apart > 2 * near and other.n >= best.n and other.sd <= 2 * best.sd + near / 10:
            raise RecordingError(
                f"fit_clock: offsets {best.offset:.6g} and {other.offset:.6g} s both match {best.n} pulses; "
                "evenly spaced pulses do not say which: trim both to the same pulses or use irregular ones"
            )
    values = {"slope": best.slope, "offset": best.offset, "residual_sd": best.sd, "max_residual": best.worst}
    out = xr.Dataset({**values, "n_matched": best.n})
    for name in ("offset", "residual_sd", "max_residual"):
        out[name].attrs["units"] = "s"
    return out


@dataclass(frozen=True)
class _Line:
    """A line through matched pulses, with the number of pairs and the residuals."""

    slope: float
    offset: float
    n: int
    sd: float
    worst: float


def _pulses(values: Any, name: str) -> np.ndarray:
    times = np.asarray(values, dtype=np.float64)
    if times.ndim != 1 or len(times) < 3:
        raise RecordingError(f"fit_clock: {name} has shape {times.shape}; give at least 3 pulse times")
    bad = np.flatnonzero(~np.isfinite(times) | (np.diff(times, prepend=-np.inf) <= 0))
    if len(bad):
        raise RecordingError(
            f"fit_clock: {name}[{bad[0]}] = {times[bad[0]]} is not after the one before; sort, drop repeats"
        )
    return times


def _nearest(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Index of the target that is nearest to each point; both increasing."""
    right = np.clip(np.searchsorted(targets, points), 1, len(targets) - 1)
    return right - (points - targets[right - 1] <= targets[right] - points)


def _candidates(theirs: np.ndarray, ours: np.ndarray, near: float, drift: float) -> list[tuple[int, int]]:
    """Pairs (i, j) that may be one pulse: what follows i among theirs lies like what follows j among ours."""
    width = min(12, len(theirs))
    anchors = np.unique(np.linspace(0, len(theirs) - width, 8).astype(int))
    pairs = [(0, 0), (len(theirs) - 1, len(ours) - 1)]
    for i in anchors.tolist():
        shape = theirs[i : i + width] - theirs[i]
        points = ours[:, None] + shape
        right = np.clip(np.searchsorted(ours, points), 1, len(ours) - 1)
        distance = np.minimum(np.abs(points - ours[right - 1]), np.abs(ours[right] - points))
        hits = (distance <= near + drift * shape).sum(axis=1)
        # Evenly spaced pulses fit everywhere; the places next to a common end are then the ones that can be
        # whole.
        likely = np.argsort(-hits, kind="stable")[:8]
        diagonal = [i, i + len(ours) - len(theirs)]
        pairs += [(i, j) for j in [*likely.tolist(), *diagonal] if 0 <= j < len(ours)]
    return list(dict.fromkeys(pairs))


def _grow(
    theirs: np.ndarray, ours: np.ndarray, pair: tuple[int, int], near: float, drift: float
) -> _Line | None:
    """Fit the line around one pair, then in windows twice as wide until all pulses are in."""
    i, j = pair
    slope, at, to = 1.0, theirs[i], ours[j]
    reach = 6
    while True:
        window = slice(max(0, i - reach), i + reach + 1)
        mapped = to + slope * (theirs[window] - at)
        match = _nearest(mapped, ours)
        mutual = _nearest(ours[match], mapped) == np.arange(len(mapped))
        # Until the slope is known it may be off by the drift; afterwards only jitter is left.
        slack = near + (drift * np.abs(theirs[window] - at) if reach == 6 else 0.0)
        use = mutual & (np.abs(ours[match] - mapped) <= slack)
        if use.sum() < 3:
            return None
        x, y = theirs[window][use], ours[match][use]
        slope, at, to, keep = _line(x, y)
        if abs(slope - 1.0) > drift + near / (x[-1] - x[0]):
            return None
        if window.start == 0 and window.stop >= len(theirs):
            break
        reach *= 2
    residual = (y - to - slope * (x - at))[keep]
    if abs(slope - 1.0) > drift or np.abs(residual).max() > near:
        return None
    n = int(keep.sum())
    sd = float(np.sqrt((residual**2).sum() / max(n - 2, 1)))
    return _Line(float(slope), float(to - slope * at), n, sd, float(np.abs(residual).max()))


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float, np.ndarray]:
    """Least squares through ``(at, to)``, without pairs further than five robust standard deviations."""
    keep = np.ones(len(x), dtype=bool)
    while True:
        at, to = float(x[keep].mean()), float(y[keep].mean())
        slope = float(((x[keep] - at) @ (y[keep] - to)) / ((x[keep] - at) @ (x[keep] - at)))
        distance = np.abs(y - to - slope * (x - at))
        limit = 5 * 1.4826 * float(np.median(distance[keep])) + 1e-9
        if not (drop := keep & (distance > limit)).any() or keep.sum() - drop.sum() < 3:
            return slope, at, to, keep
        keep &= ~drop
