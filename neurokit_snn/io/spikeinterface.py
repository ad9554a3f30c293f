"""SpikeInterface sortings, known by what they can do: the package need not be installed."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import xarray as xr

from neurokit_snn.errors import FormatError
from neurokit_snn.io.assemble import half_open
from neurokit_snn.io.foreign import built, wrapped

__all__ = ["from_spikeinterface"]

_NEEDED = ("get_unit_ids", "get_unit_spike_train", "get_sampling_frequency")


def from_spikeinterface(
    sorting: Any, *, segment: int | None = None, duplicates: Literal["error", "drop"] = "error"
) -> xr.DataTree:
    """Make a recording of a SpikeInterface sorting.

    Where a recording is registered with the sorting, its clock gives the times and its duration the
    observation; otherwise times are frames over the sampling frequency, plus the segment's start. Properties
    with one number, bool or str per unit become columns.

    Parameters
    ----------
    sorting
        Any object with ``get_unit_ids``, ``get_unit_spike_train`` and ``get_sampling_frequency``.
    segment
        Index of the one segment to read; None for all. All segments of several are joined, one row each in
        ``/epochs/segments``, if a registered recording says when they were; they must follow each other in
        time.
    duplicates
        ``"drop"`` removes repeated spike times of one unit, ``"error"`` reports them.

    Returns
    -------
    recording
        ``/units``, ``/spikes`` and, where it is known, ``/observation``.

    Raises
    ------
    FormatError
        When it is no sorting, or several segments have no common clock.
    RecordingError
        When the spikes break a rule of the schema.

    Examples
    --------
    >>> class Sorting:
    ...     def get_unit_ids(self): return ["a", "b"]
    ...     def get_sampling_frequency(self): return 1000.0
    ...     def get_unit_spike_train(self, unit_id, segment_index=None): return [10, 20]
    >>> from neurokit_snn import io
    >>> io.from_spikeinterface(Sorting())["spikes"]["time"].values
    array([0.01, 0.02, 0.01, 0.02])
    """
    if missing := [name for name in _NEEDED if not callable(getattr(sorting, name, None))]:
        raise FormatError(
            f"from_spikeinterface: a {type(sorting).__name__} has no {missing[0]}(); give a sorting"
        )
    name = f"sorting {type(sorting).__name__}"
    with wrapped(name, "a SpikeInterface sorting", "spikeinterface"):
        units = np.asarray(sorting.get_unit_ids()).tolist()
        rate = float(sorting.get_sampling_frequency())
        if not 0 < rate < float("inf"):
            raise FormatError(f"{name}: sampling frequency {rate} Hz; give it a positive one")
        count = sorting.get_num_segments() if hasattr(sorting, "get_num_segments") else 1
        chosen = _chosen(segment, count, name)
        edges = [_edges(sorting, one, rate) for one in chosen]
        _check_order(edges, chosen, name)
        trains = {
            unit: np.concatenate([_train(sorting, unit, one, rate) for one in chosen]) for unit in units
        }
        columns = _columns(sorting, len(units))
    known = [edge for edge in edges if edge is not None]
    epochs = {"segments": np.array(known)} if len(known) > 1 else None
    table = {"unit": units, **columns}
    observation = _observation(known, trains) if known and units else None
    return built(
        name,
        spikes=trains,
        units=table,
        epochs=epochs,
        observation=observation,
        source=name,
        duplicates=duplicates,
    )


def _chosen(segment: int | None, count: int, name: str) -> list[int]:
    if segment is None:
        return list(range(count))
    if not 0 <= segment < count:
        raise FormatError(f"{name}: segment={segment}, but it has {count}; count from 0")
    return [segment]


def _check_order(edges: list[tuple[float, float] | None], chosen: list[int], name: str) -> None:
    """Raise unless the segments have a common clock on which they follow each other."""
    if len(edges) < 2:
        return
    known = [edge for edge in edges if edge is not None]
    if len(known) < len(edges):
        raise FormatError(
            f"{name}: {len(edges)} segments and no registered recording that says when they were; register "
            f"one, or read them one by one with segment=0 ... {chosen[-1]}"
        )
    for i, (before, after) in enumerate(pairwise(known), start=1):
        if after[0] < before[1]:
            raise FormatError(
                f"{name}: segment {i} starts at {after[0]} s, before segment {i - 1} ends at {before[1]} s; "
                f"read them one by one with segment=0 ... {chosen[-1]}"
            )


def _edges(sorting: Any, segment: int, rate: float) -> tuple[float, float] | None:
    """First instant and end of a segment in seconds, where a registered recording knows them."""
    if not (hasattr(sorting, "has_recording") and sorting.has_recording()):
        return None
    count = int(sorting.get_num_samples(segment_index=segment))
    # Two samples only: the times of all of them would take gigabytes.
    first, last = (float(sorting.sample_index_to_time(i, segment_index=segment)) for i in (0, count - 1))
    return (first, last + 1.0 / rate) if count else None


def _train(sorting: Any, unit: Any, segment: int, rate: float) -> np.ndarray:
    """Spike times of one unit in one segment, in seconds."""
    if hasattr(sorting, "get_unit_spike_train_in_seconds"):
        times = sorting.get_unit_spike_train_in_seconds(unit_id=unit, segment_index=segment)
        return np.asarray(times, dtype=np.float64)
    start = sorting.get_start_time(segment_index=segment) if hasattr(sorting, "get_start_time") else 0.0
    frames = np.asarray(sorting.get_unit_spike_train(unit_id=unit, segment_index=segment))
    return frames / rate + start


def _columns(sorting: Any, n: int) -> dict[str, np.ndarray]:
    columns: dict[str, np.ndarray] = {}
    for key in sorting.get_property_keys() if hasattr(sorting, "get_property_keys") else ():
        values = np.asarray(sorting.get_property(key))
        plain = values.dtype.kind in "biufU" or all(isinstance(item, str) for item in values.ravel().tolist())
        if values.shape == (n,) and plain and key != "unit":
            columns[str(key)] = values
    return columns


def _observation(edges: list[tuple[float, float]], trains: Mapping[Any, np.ndarray]) -> xr.Dataset:
    """Return the node /observation of units that were all observed during every segment."""
    coords = {"unit": np.array(list(trains))}
    pairs = np.tile(np.array(edges), (len(trains), 1))
    rows = xr.Dataset(
        {
            "start": ("interval", pairs[:, 0]),
            "stop": ("interval", pairs[:, 1]),
            "row_size": ("unit", np.full(len(trains), len(edges))),
        },
        coords=coords,
    )
    sizes = np.array([len(train) for train in trains.values()])
    spikes = {"time": ("spike", np.concatenate(list(trains.values()))), "row_size": ("unit", sizes)}
    return half_open(rows, xr.Dataset(spikes, coords=coords))
