"""Folders of suite2p."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr

from neurokit_snn.errors import FormatError
from neurokit_snn.io.foreign import built, existing, frame_times, load_npy

__all__ = ["read_suite2p"]

_UNITS = {"F": "a.u.", "Fneu": "a.u.", "spks": "a.u."}


def read_suite2p(
    path: str | os.PathLike[str],
    *,
    sampling_rate: float | None = None,
    signal: Literal["F", "Fneu", "spks"] = "F",
    cells_only: bool = True,
) -> xr.DataTree:
    """Read the traces of a suite2p folder.

    ``ops.npy``, ``settings.npy`` and ``stat.npy`` are pickled Python objects and are never opened, so the
    frame rate has to be given, unless there is a plain ``ops.json`` or ``settings.json`` with ``fs``.

    Parameters
    ----------
    path
        Folder of a plane, or the one above it if it has one plane or ``combined``.
    sampling_rate
        Frames per second of the plane; None to take it from ``ops.json``.
    signal
        Fluorescence, neuropil or deconvolved activity.
    cells_only
        Whether to leave out regions that ``iscell.npy`` says are no cells.

    Returns
    -------
    recording
        ``/calcium`` with ``fluorescence (time, unit)`` and ``/units`` with the columns ``iscell`` and
        ``iscell_probability``; units are numbers of regions, seconds count from the first frame.

    Raises
    ------
    FormatError
        When a file is missing, damaged, pickled or of another layout, or the frame rate is not known.

    References
    ----------
    The layout is that of the suite2p documentation, "Outputs" (suite2p.readthedocs.io).

    Examples
    --------
    >>> import tempfile
    >>> from neurokit_snn import io
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/F.npy", np.ones((2, 3), dtype=np.float32))
    ...     np.save(f"{folder}/iscell.npy", np.array([[1.0, 0.9], [0.0, 0.2]]))
    ...     dict(io.read_suite2p(folder, sampling_rate=30.0)["calcium"].sizes)
    {'time': 3, 'unit': 1}
    """
    if signal not in _UNITS:
        raise FormatError(f"signal={signal!r}; choose one of {', '.join(_UNITS)}")
    folder = _plane(existing(path, folder=True))
    traces = load_npy(folder / f"{signal}.npy", kinds="f", ndim=2)
    iscell = load_npy(folder / "iscell.npy", kinds="iuf", ndim=2)
    if iscell.shape != (len(traces), 2):
        raise FormatError(
            f"{folder}: iscell.npy is {iscell.shape} for {len(traces)} regions; expected (region, 2)"
        )
    rows = np.flatnonzero(iscell[:, 0] > 0) if cells_only else np.arange(len(traces))
    time = frame_times(traces.shape[1], _rate(folder, sampling_rate), folder)
    units = {
        "unit": rows,
        "iscell": iscell[rows, 0] > 0,
        "iscell_probability": iscell[rows, 1].astype(np.float64),
    }
    calcium = {"time": time, "value": traces[rows].T, "units": _UNITS[signal], "attrs": {"suite2p": signal}}
    return built(folder, units=units, calcium=calcium, source=f"suite2p folder {folder.name}")


def _plane(folder: Path) -> Path:
    """Return the folder that holds the traces."""
    if (folder / "iscell.npy").is_file():
        return folder
    above = folder / "suite2p" if (folder / "suite2p").is_dir() else folder
    planes = sorted(p for p in above.glob("plane*") if p.is_dir())
    if (above / "combined" / "iscell.npy").is_file():
        return above / "combined"
    if len(planes) == 1:
        return planes[0]
    found = (
        f"has {', '.join(p.name for p in planes)}; give one of them"
        if planes
        else "has no iscell.npy; check the path"
    )
    raise FormatError(f"{folder}: {found}")


def _rate(folder: Path, given: float | None) -> float:
    if given is not None:
        return given
    for path in (folder / "ops.json", folder / "settings.json"):
        if path.is_file():
            try:
                found = json.loads(path.read_text(encoding="utf-8"))["fs"]
            except (ValueError, KeyError, TypeError) as error:
                raise FormatError(
                    f"{path}: no number fs in it ({error}); pass sampling_rate in Hz"
                ) from error
            if isinstance(found, int | float) and not isinstance(found, bool):
                return float(found)
            raise FormatError(f"{path}: fs is {found!r}; pass sampling_rate in Hz")
    raise FormatError(
        f"{folder}: the frame rate stands in pickled files, which are not opened; pass sampling_rate in Hz"
    )
