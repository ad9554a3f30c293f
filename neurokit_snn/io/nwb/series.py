"""Sampled nodes of a recording as NWB time series, on their own timestamps."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurokit_snn._extras import require
from neurokit_snn.io.nwb.draft import Draft, safe_name
from neurokit_snn.io.nwb.tables import add_events, electrode_region, plane_segmentation, unit_columns

__all__ = ["VOLTS", "add_behavior", "add_calcium", "add_signals", "add_stimulus", "is_voltage"]

VOLTS = {"V": 1.0, "volt": 1.0, "volts": 1.0, "mV": 1e-3, "uV": 1e-6, "µV": 1e-6, "μV": 1e-6}
_LENGTHS = {"m", "meter", "meters", "metre", "metres", "dm", "cm", "mm", "um", "µm", "px", "pixel", "pixels"}
_ANGLES = {"rad", "radian", "radians", "deg", "degree", "degrees"}


def add_behavior(draft: Draft) -> None:
    """Put ``/behavior/NAME`` into the processing module "behavior".

    Positions become a SpatialSeries in ``Position``, angles one in ``CompassDirection``, the rest a
    TimeSeries.
    """
    family = draft.out.family("behavior")
    if not family:
        return
    behavior = require("pynwb.behavior", extra="nwb")
    module = _module(draft, "behavior", "behaviour of the subject")
    boxes: dict[str, list[Any]] = {"Position": [], "CompassDirection": []}
    for name, path in family.items():
        box = _spatial(draft.out.nodes[path]["value"])
        if box is None:
            series = _series(draft, path, "value", safe_name(name), "TimeSeries")
            module.add(series)
            draft.places[f"processing/behavior/{series.name}"] = path
        else:
            series = _series(draft, path, "value", safe_name(name), "SpatialSeries")
            boxes[box].append(series)
            draft.places[f"processing/behavior/{box}/{series.name}"] = path
    if boxes["Position"]:
        module.add(behavior.Position(spatial_series=boxes["Position"]))
    if boxes["CompassDirection"]:
        module.add(behavior.CompassDirection(spatial_series=boxes["CompassDirection"]))


def add_signals(draft: Draft) -> None:
    """Put ``/signals/NAME`` into the acquisition; voltages with channels become an ElectricalSeries.

    One whose name says LFP goes to the container LFP of the processing module "ecephys", where NWB has it.
    """
    fields: list[Any] = []
    for name, path in draft.out.family("signals").items():
        node = draft.out.nodes[path]
        if is_voltage(node):
            region = electrode_region(draft, channel_labels(path, node))
            scale = VOLTS[node["value"].attrs["units"]]
            series = _series(
                draft, path, "value", safe_name(name), "ElectricalSeries", electrodes=region, conversion=scale
            )
        else:
            series = _series(draft, path, "value", safe_name(name), "TimeSeries")
        if is_voltage(node) and "lfp" in name.lower():
            fields.append(series)
            draft.places[f"processing/ecephys/LFP/{series.name}"] = path
        else:
            draft.file.add_acquisition(series)
            draft.places[f"acquisition/{series.name}"] = path
    if fields:
        ecephys = require("pynwb.ecephys", extra="nwb")
        box = ecephys.LFP()
        _module(draft, "ecephys", "extracellular electrophysiology").add(box)
        for series in fields:
            box.add_electrical_series(series)


def add_calcium(draft: Draft, *, with_columns: bool) -> None:
    """Put ``/calcium`` into Fluorescence of the module "ophys", with a region for every unit.

    Parameters
    ----------
    draft
        The file in the making.
    with_columns
        Whether the regions carry the columns of ``/units``, because there is no Units table.
    """
    ophys = require("pynwb.ophys", extra="nwb")
    common = require("hdmf.common", extra="nwb")
    columns = unit_columns(draft, ophys.PlaneSegmentation) if with_columns else []
    table = plane_segmentation(draft, columns)
    module = _module(draft, "ophys", "calcium imaging")
    module.add(ophys.ImageSegmentation(plane_segmentations=[table]))
    rows = list(range(len(table.id)))
    region = common.DynamicTableRegion(name="rois", description="all units", data=rows, table=table)
    series = _series(draft, "/calcium", "fluorescence", "calcium", "RoiResponseSeries", rois=region)
    # The box goes into the file before the series into the box: only then do region and table share a file.
    box = ophys.Fluorescence()
    module.add(box)
    box.add_roi_response_series(series)
    draft.places["processing/ophys/Fluorescence/calcium"] = "/calcium"
    if with_columns:
        draft.places["processing/ophys/ImageSegmentation/units"] = "/units"


def add_stimulus(draft: Draft) -> None:
    """Put ``/stimulus/NAME`` under the presented stimuli: frames as ImageSeries, events as an EventsTable."""
    for name, path in draft.out.family("stimulus").items():
        if "frames" in draft.out.nodes[path].variables:
            stimulus = _series(draft, path, "frames", safe_name(name), "ImageSeries", format="raw")
        else:
            stimulus = add_events(draft, path, safe_name(name))
        draft.file.add_stimulus(stimulus)
        draft.places[f"stimulus/{stimulus.name}"] = path


def is_voltage(node: xr.Dataset) -> bool:
    """Whether a node of ``/signals`` is in volts and has channels, as an ElectricalSeries must."""
    value = node["value"]
    return value.attrs.get("units") in VOLTS and value.shape[1] > 0 and value.dtype.kind in "iuf"


def channel_labels(path: str, node: xr.Dataset) -> list[Any]:
    """Return the labels of the channels, made up from the node where it has none."""
    if "channel" in node.variables:
        return node["channel"].values.tolist()
    return [f"{path}:{i}" for i in range(node["value"].shape[1])]


def _spatial(value: xr.DataArray) -> str | None:
    """Container of a SpatialSeries that a behaviour belongs to, or None."""
    units = value.attrs.get("units", "")
    if value.dtype.kind not in "iuf" or value.ndim > 2:
        return None
    if units in _LENGTHS and value.ndim == 2 and 1 <= value.shape[1] <= 3:
        return "Position"
    if units in _ANGLES and value.ndim == 1:
        return "CompassDirection"
    return None


_CLASSES = {
    "TimeSeries": "pynwb.base",
    "SpatialSeries": "pynwb.behavior",
    "ElectricalSeries": "pynwb.ecephys",
    "RoiResponseSeries": "pynwb.ophys",
    "ImageSeries": "pynwb.image",
}


def _series(draft: Draft, path: str, variable: str, name: str, cls: str, **more: Any) -> Any:
    attrs = draft.out.nodes[path][variable].attrs
    data = draft.out.take(path, variable)
    if cls == "ImageSeries":
        # NWB orders the axes of an image x, y; ours are rows, columns.
        data = np.swapaxes(data, 1, 2)
    elif data.ndim > 4:
        data = data.reshape(len(data), int(np.prod(data.shape[1:])))
    if cls != "ElectricalSeries":
        more["unit"] = str(attrs.get("units") or "unknown")
    return getattr(require(_CLASSES[cls], extra="nwb"), cls)(
        name=name,
        data=data,
        timestamps=draft.out.seconds(path, "time"),
        description=str(attrs.get("description") or attrs.get("long_name") or path.strip("/")),
        **more,
    )


def _module(draft: Draft, name: str, description: str) -> Any:
    if name in draft.file.processing:
        return draft.file.processing[name]
    return draft.file.create_processing_module(name=name, description=description)
