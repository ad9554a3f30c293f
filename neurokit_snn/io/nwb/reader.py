"""One NWB file, anybody's, to a recording."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Mapping
from typing import Any, Literal

import xarray as xr

from neurokit_snn._extras import require
from neurokit_snn.io.assemble import assemble
from neurokit_snn.io.foreign import existing, wrapped
from neurokit_snn.io.layout import LossWarning, parse
from neurokit_snn.io.nwb.draft import LAYOUT
from neurokit_snn.io.nwb.gather import gather
from neurokit_snn.io.nwb.writer import EPOCH, session_fields

__all__ = ["read_nwb"]


def read_nwb(
    path: str | os.PathLike[str],
    *,
    lazy: bool = False,
    drop: Collection[str] = (),
    duplicates: Literal["error", "drop"] = "error",
) -> xr.DataTree:
    """Read an NWB file: one of `write_nwb` comes back equal, any other as far as a recording can hold it.

    Of a file that others wrote, units (flat columns, id and location of the first electrode), their spikes
    and observation intervals, trials, all other intervals (``/epochs``), event tables, annotations and TTLs
    (``/events``), series of the module "behavior" and of other processing (``/behavior``), voltages and other
    acquired series (``/signals``), image stimuli stored in the file (``/stimulus``) and the first set of
    region responses, dF/F before fluorescence (``/calcium``, further ones ``/signals``), are read; series are
    scaled to their unit. The rest is named in one warning.

    Parameters
    ----------
    path
        File to read.
    lazy
        Whether series and frames become dask arrays, read when used. Tables and spike times are loaded.
    drop
        Nodes to leave out, as in ``["observation", "behavior/pupil"]``: for files that break a rule there.
    duplicates
        ``"drop"`` removes repeated spike times of one unit, ``"error"`` reports them.

    Returns
    -------
    recording
        Times in seconds from the session start.

    Raises
    ------
    FormatError
        When the file is not there, is damaged, or is no NWB file.
    RecordingError
        When what it holds breaks a rule of the schema (unsorted spikes, a clock that runs backwards).
    MissingExtraError
        When pynwb, or for ``lazy`` dask, is not installed.

    Warns
    -----
    LossWarning
        Naming what the recording leaves out.

    Examples
    --------
    >>> import tempfile
    >>> from neurokit_snn import io, recording
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = io.write_nwb(recording.build(events={"lick": [0.5, 1.5]}), f"{folder}/a.nwb")
    ...     io.read_nwb(path)["events/lick"]["time"].values
    array([0.5, 1.5])
    """
    pynwb = require("pynwb", extra="nwb")
    source = existing(path)
    with warnings.catch_warnings(), wrapped(source, "NWB", "pynwb"):
        # That a file follows another release of the standard, or an old habit, is no news to its reader.
        warnings.filterwarnings("ignore", category=UserWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        with pynwb.NWBHDF5IO(str(source), mode="r", load_namespaces=True) as handle:
            file = handle.read()
            scratch = file.scratch or {}
            layout = parse(str(scratch[LAYOUT].data), str(path)) if LAYOUT in scratch else None
            names = {} if layout is None else layout["kept"]
            kept = {key: _values(scratch[name].data) for name, key in names.items() if name in scratch}
            found = gather(file, str(path), layout, lazy=lazy)
            found.left_out += [f"scratch/{name}" for name in scratch if name not in names and name != LAYOUT]
            attrs = _session(file, layout)
    tree = assemble(
        found.nodes, attrs, name=str(path), layout=layout, kept=kept, drop=drop, duplicates=duplicates
    )
    if found.left_out:
        warnings.warn(f"{path}: not read: {', '.join(found.left_out)}", LossWarning, stacklevel=2)
    return tree


def _values(data: Any) -> Any:
    return data[()] if hasattr(data, "shape") else data


def _session(file: Any, layout: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the root attributes: those of the layout, except where the file says something else by now."""
    publications = file.related_publications
    attrs = {
        "session_id": file.session_id or ("" if layout else file.identifier),
        "subject": (file.subject.subject_id or "") if file.subject is not None else "",
        "start": "" if file.session_start_time == EPOCH else file.session_start_time.isoformat(),
        "source": file.session_description or "",
        "licence": "",
        "citation": "; ".join(publications) if publications is not None else "",
    }
    if layout is None:
        return attrs
    written = layout["nodes"]["/"]["attrs"]
    fields = session_fields(written)
    same = {
        "session_id": file.session_id == fields["session_id"],
        "subject": (attrs["subject"] or None) == fields["subject_id"],
        "start": file.session_start_time == fields["session_start_time"],
        "source": file.session_description == fields["session_description"],
        "citation": (tuple(publications) if publications is not None else None)
        == fields["related_publications"],
        "licence": True,
    }
    return {key: written.get(key, "") if same[key] else value for key, value in attrs.items()}
