"""From what a user names to a recording: a dataset's name, an artefact, or a file by its ending."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurokit_snn.errors import CatalogError, FormatError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["ENDINGS", "is_recording", "open_artefact", "open_recording", "write_recording"]

ENDINGS = {".nwb": "nwb", ".nc": "netcdf", ".zarr": "zarr"}
"""Formats by the ending of the name: `neurokit_snn.io` has a ``read_`` and a ``write_`` function for each."""


def open_recording(name: str) -> xr.DataTree:
    """Open a recording by the name of a dataset, an artefact or a file.

    Parameters
    ----------
    name
        What the user typed. A path that exists wins over a dataset of the same name.

    Raises
    ------
    FormatError
        When the file's ending is of no known format, or the artefact holds something else.
    CatalogError
        When it is neither a path nor a dataset.
    """
    path = Path(name)
    if path.exists() or path.suffix:
        return _read_path(path)
    from neurokit_snn import catalog

    known = sorted(entry.name for entry in catalog.list())
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"datasets are {', '.join(known)}"
        raise CatalogError(f"{name!r} is neither a file nor a dataset; {hint}")
    import xarray as xr

    opened = catalog.open(name)
    if not isinstance(opened, xr.DataTree):
        raise CatalogError(f"{name} holds no recording; see `neurokit-snn datasets` for what is one")
    return opened


def open_artefact(name: str, wanted: str, has: str) -> Any:
    """Load an artefact and check that what it holds can do what is asked of it.

    Parameters
    ----------
    name
        Path of the artefact.
    wanted
        What it should be, for the error.
    has
        Name of a method that such a model has; for a Dataset, of a dim.

    Raises
    ------
    FormatError
        When it holds something else.
    """
    import xarray as xr

    from neurokit_snn import artefact

    found = artefact.load(Path(name))
    if not (has in found.dims if isinstance(found, xr.Dataset) else hasattr(found, has)):
        raise FormatError(f"{name}: holds a {type(found).__name__}, not {wanted}")
    return found


def is_recording(name: str) -> bool:
    """Say whether an artefact is a recording, from its manifest alone."""
    from neurokit_snn import artefact

    return artefact.read(Path(name), lazy=True).kind == "recording"


def write_recording(recording: xr.DataTree, path: Path, *, overwrite: bool) -> None:
    """Write a recording in the format that the ending of the path names.

    Raises
    ------
    FormatError
        When the ending is of no known format.
    """
    from neurokit_snn import artefact, io

    if path.suffix == ".nk":
        artefact.save(recording, path, overwrite=overwrite)
    else:
        getattr(io, f"write_{_format_of(path)}")(recording, path, overwrite=overwrite)


def _read_path(path: Path) -> xr.DataTree:
    if not path.exists():
        raise FormatError(f"{path}: no such file or folder")
    import xarray as xr

    from neurokit_snn import artefact, io

    if path.suffix != ".nk":
        recording: xr.DataTree = getattr(io, f"read_{_format_of(path)}")(path)
        return recording
    found: Any = artefact.load(path)
    if not isinstance(found, xr.DataTree):
        raise FormatError(f"{path}: holds a {type(found).__name__}, not a recording")
    return found


def _format_of(path: Path) -> str:
    if path.suffix not in ENDINGS:
        known = ", ".join([".nk", *ENDINGS])
        raise FormatError(f"{path}: the ending {path.suffix!r} is of no known format; known are {known}")
    return ENDINGS[path.suffix]
