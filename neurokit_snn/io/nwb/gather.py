"""Which object of an NWB file becomes which node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurokit_snn.io.nwb.found import Found, walk

__all__ = ["gather"]

_INSTANTS = {"AnnotationSeries", "Events", "LabeledEvents", "TTLs"}
_BEHAVIOUR_BOXES = {"Position", "CompassDirection", "EyeTracking", "PupilTracking", "BehavioralTimeSeries"}
_PLAIN_SERIES = {"TimeSeries", "SpatialSeries", "ElectricalSeries"}


def gather(file: Any, name: str, layout: Mapping[str, Any] | None, *, lazy: bool) -> Found:
    """Return the nodes that an open NWB file gives, and a list of what was left out.

    Parameters
    ----------
    file
        A ``pynwb.NWBFile`` whose file is open.
    name
        Name of the file, for errors.
    layout
        What this package sent along when it wrote the file, or None.
    lazy
        Whether large arrays become dask arrays.
    """
    layout = layout or {}
    found = Found(name, layout.get("places", {}), layout.get("columns", {}), lazy)
    if file.units is not None:
        found.take_units(file.units)
    # NWBFile.intervals lacks the three tables that have attributes of their own.
    tables = [file.trials, file.epochs, file.invalid_times, *(file.intervals or {}).values()]
    for table in {table.name: table for table in tables if table is not None}.values():
        found.take_intervals(f"intervals/{table.name}", table)
    responses: list[tuple[str, Any]] = []
    for place, thing in walk(file):
        if type(thing).__name__ == "RoiResponseSeries":
            responses.append((place, thing))
        else:
            _take(found, place, thing)
    _take_responses(found, responses)
    return found


def _take(found: Found, place: str, thing: Any) -> None:
    """Give one series or table to the reader for its kind, or note that there is none."""
    kind = type(thing).__name__
    family = _family(place, thing)
    if kind == "EventsTable":
        found.take_events(place, thing)
    elif kind in _INSTANTS or (kind == "TimeSeries" and "BehavioralEvents" in place.split("/")):
        found.take_instants(place, thing)
    elif kind == "IntervalSeries":
        found.take_onsets(place, thing)
    elif kind == "TimeIntervals":
        found.take_intervals(place, thing)
    elif family is not None and _numbers(thing):
        found.take_series(place, thing, family)
    elif kind != "PlaneSegmentation":
        # Regions are read with their responses; the masks alone are no part of a recording.
        found.left_out.append(place)


def _family(place: str, thing: Any) -> str | None:
    """Return the family of nodes that a sampled series belongs to, or None."""
    kind = type(thing).__name__
    if kind in ("ImageSeries", "OpticalSeries"):
        return "stimulus" if place.startswith("stimulus/") else None
    if kind not in _PLAIN_SERIES:
        return None
    if kind == "ElectricalSeries" or place.startswith(("acquisition/", "stimulus/")):
        boxed = bool(_BEHAVIOUR_BOXES & set(place.split("/")))
        return "behavior" if boxed or kind == "SpatialSeries" else "signals"
    return "behavior"


def _numbers(series: Any) -> bool:
    """Whether a series stores numbers in this file: neither text, nor frames in a file of their own."""
    data = series.data
    dtype = getattr(data, "dtype", None) or np.asarray(data[:]).dtype
    if type(series).__name__ in ("ImageSeries", "OpticalSeries"):
        return (
            getattr(series, "external_file", None) is None
            and len(data.shape) in (3, 4)
            and dtype.kind in "biuf"
        )
    return dtype.kind in "biuf"


def _take_responses(found: Found, responses: list[tuple[str, Any]]) -> None:
    """Make one set of region responses ``/calcium`` and the rest ``/signals``: dF/F before anything else."""
    ranked = sorted(
        responses,
        key=lambda item: (
            item[0] not in found.places,
            "DfOverF" not in item[0].split("/"),
            "Fluorescence" not in item[0],
        ),
    )
    for rank, (place, series) in enumerate(ranked):
        labels = series.rois.table.id[:][np.asarray(series.rois.data[:])]
        if rank == 0 and "/units" not in found.nodes:
            found.take_regions(series)
        fits = rank == 0 and np.array_equal(found.nodes["/units"]["unit"].values, labels)
        found.take_series(place, series, "calcium" if fits else "signals")
