"""A recording to one NWB file."""

from __future__ import annotations

import os
import uuid
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neurokit_snn._extras import require
from neurokit_snn.artefact import plain
from neurokit_snn.artefact.atomic import atomic_file
from neurokit_snn.io.foreign import moment, wrapped
from neurokit_snn.io.layout import Outgoing
from neurokit_snn.io.nwb.draft import LAYOUT, Draft, safe_name
from neurokit_snn.io.nwb.series import (
    add_behavior,
    add_calcium,
    add_signals,
    add_stimulus,
    channel_labels,
    is_voltage,
)
from neurokit_snn.io.nwb.tables import add_electrodes, add_events, add_intervals, add_units, unit_columns
from neurokit_snn.recording import validate

__all__ = ["EPOCH", "session_fields", "write_nwb"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""Start of a session whose recording does not say when it was: NWB cannot leave it out."""


def write_nwb(tree: xr.DataTree, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write a recording as an NWB file that passes ``pynwb.validate``.

    Spikes go as one flat column and an index, never unit by unit. Everything with a place in NWB stands
    there, on the session clock, for any reader; what has none is in the scratch space, so that `read_nwb`
    gives an equal recording. A recording without ``start`` gets the session start 1970-01-01T00:00:00Z.

    Parameters
    ----------
    tree
        A recording; it is validated first. Lazy variables are loaded.
    path
        File to write, ``.nwb``.
    overwrite
        Whether an existing file may be replaced.

    Returns
    -------
    path
        The file.

    Raises
    ------
    RecordingError
        When the recording breaks a rule of the schema.
    ArtefactError
        When ``path`` exists and ``overwrite`` is False, or its folder does not.
    FormatError
        When ``start`` is no ISO 8601 time, or a name or text cannot stand in HDF5.
    MissingExtraError
        When pynwb is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from neurokit_snn import io, recording
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = io.write_nwb(recording.build(spikes={7: [0.1, 0.2]}), f"{folder}/a.nwb")
    ...     io.read_nwb(path)["spikes"]["time"].values
    array([0.1, 0.2])
    """
    pynwb = require("pynwb", extra="nwb")
    validate(tree)
    target = Path(path)
    with atomic_file(target, overwrite=overwrite) as partial, wrapped(target, "NWB", "pynwb", doing="write"):
        file = _fill(tree)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*does not end in .*nwb")  # the name is temporary
            handle = pynwb.NWBHDF5IO(str(partial), mode="w")
        with handle:
            handle.write(file)
    return target


def session_fields(attrs: dict[str, Any]) -> dict[str, Any]:
    """Return the root attributes of a recording as fields of an NWBFile, and ``subject_id``.

    Raises
    ------
    FormatError
        When ``start`` is no ISO 8601 time.
    """
    return {
        "session_start_time": moment(attrs.get("start", "")) or EPOCH,
        "session_description": attrs.get("source") or "recording without a description",
        "session_id": attrs.get("session_id") or None,
        "related_publications": (attrs["citation"],) if attrs.get("citation") else None,
        "subject_id": attrs.get("subject") or None,
    }


def _fill(tree: xr.DataTree) -> Any:
    """Return the NWBFile of a recording."""
    file_module = require("pynwb.file", extra="nwb")
    out = Outgoing(tree)
    fields = session_fields(dict(out.nodes["/"].attrs))
    subject = fields.pop("subject_id")
    file = file_module.NWBFile(identifier=str(uuid.uuid4()), **fields)
    if subject is not None:
        file.subject = file_module.Subject(subject_id=subject)
    draft = Draft(out, file)
    add_electrodes(draft, _electrode_labels(out))
    _fill_units(draft)
    if "/trials" in out.nodes:
        file.trials = add_intervals(draft, "/trials", "trials", "trial")
        draft.places["intervals/trials"] = "/trials"
    for name, path in out.family("epochs").items():
        _add_epochs(draft, name, path)
    for name, path in out.family("events").items():
        file.add_events_table(add_events(draft, path, safe_name(name)))
        draft.places[f"events/{safe_name(name)}"] = path
    add_behavior(draft)
    add_signals(draft)
    add_stimulus(draft)
    _keep(draft)
    return file


def _electrode_labels(out: Outgoing) -> list[tuple[Any, str]]:
    """Electrodes that units and voltage channels name, with the units' region."""
    labels: list[tuple[Any, str]] = []
    units = out.nodes.get("/units", xr.Dataset())
    if "electrode" in units.variables and "/spikes" in out.nodes:
        region = next(
            (name for name in ("location", "region", "brain_area") if name in units.variables), None
        )
        where = [str(x) for x in units[region].values.tolist()] if region else [""] * units.sizes["unit"]
        labels += zip(units["electrode"].values.tolist(), where, strict=True)
    for path in out.family("signals").values():
        if is_voltage(out.nodes[path]):
            labels += [(label, "") for label in channel_labels(path, out.nodes[path])]
    return labels


def _fill_units(draft: Draft) -> None:
    if "/units" not in draft.out.nodes:
        return
    misc = require("pynwb.misc", extra="nwb")
    # Cells that were only imaged are regions of the imaging plane; an NWB Units table is for spiking units.
    imaged = "/calcium" in draft.out.nodes
    as_table = not imaged or bool({"/spikes", "/observation"} & set(draft.out.nodes))
    if as_table:
        draft.file.units = add_units(draft, unit_columns(draft, misc.Units))
        draft.places["units"] = "/units"
    if imaged:
        add_calcium(draft, with_columns=not as_table)


def _add_epochs(draft: Draft, name: str, path: str) -> None:
    """Add an epoch table; the names that NWB gives a meaning of its own are used for that meaning only."""
    table = safe_name(name)
    if table == "trials":
        table = "epochs_trials"
    made = add_intervals(draft, path, table, "interval")
    if table == "epochs":
        draft.file.epochs = made
    elif table == "invalid_times":
        draft.file.invalid_times = made
    else:
        draft.file.add_time_intervals(made)
    draft.places[f"intervals/{table}"] = path


def _keep(draft: Draft) -> None:
    """Put what has no place in NWB into the scratch space."""
    layout, kept = draft.out.layout()
    names: dict[str, str] = {}
    for key, values in kept.items():
        name = safe_name(key.strip("/"))
        while name in names:
            name += "_"
        names[name] = key
        shape = "x".join(map(str, np.shape(values)))
        draft.file.add_scratch(
            values, name=name, description=f"{key} of the recording, {shape}, kept by neurokit_snn"
        )
    layout |= {"places": draft.places, "columns": draft.columns, "kept": names}
    draft.file.add_scratch(
        plain.dumps(layout), name=LAYOUT, description="what NWB has no place for, JSON, read by neurokit_snn"
    )
