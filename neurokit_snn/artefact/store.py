"""`save` and `load`: any object of the package to an artefact and back to the same type."""

from __future__ import annotations

import contextlib
import importlib
import os
from pathlib import Path
from typing import Any, cast

import xarray as xr

from neurokit_snn.artefact.reader import Artefact, ReplacedError, read
from neurokit_snn.artefact.writer import write
from neurokit_snn.errors import ArtefactError

__all__ = ["load", "save"]

_PREFIX = "neurokit_snn."

# Who rebuilds the kinds that are no xarray objects. Models stand above this layer, so they are found by name;
# which class a model's artefact may name is decided there, by a table.
_REBUILDERS = {"model": ("neurokit_snn.models.persistence", "load_model")}


def save(obj: Any, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Save a recording, binned data, a comparison, any other xarray tree or dataset, or a fitted model.

    Parameters
    ----------
    obj
        What to save. A recording is validated first. Lazy (dask) variables are computed slab by slab.
    path
        New folder ``NAME.nk``.
    overwrite
        Whether an existing artefact may be replaced; should this be interrupted, the old one comes back.

    Returns
    -------
    path
        The folder.

    Raises
    ------
    ArtefactError
        When the path is taken, or ``obj`` holds something that cannot be saved.
    RecordingError
        When ``obj`` is a recording that breaks the schema.

    Examples
    --------
    >>> import tempfile
    >>> import neurokit_snn as nk
    >>> recording = nk.recording.build(spikes={0: [0.1, 0.2], 1: [0.15]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = nk.save(recording, f"{folder}/session.nk")
    ...     nk.load(path).identical(recording)
    True
    """
    if isinstance(obj, xr.DataTree | xr.Dataset):
        kind = _kind_of(obj)
        if kind == "recording":
            from neurokit_snn.recording import validate

            validate(cast(xr.DataTree, obj), name=Path(path).name)
        version = obj.attrs.get("schema_version", 1) if kind in ("recording", "binned", "comparison") else 1
        extra = {"class": type(obj).__name__, "schema_version": int(version)}
        return write(path, kind=kind, trees={"data": obj}, extra=extra, overwrite=overwrite)
    if callable(getattr(obj, "save", None)) and callable(getattr(obj, "fit", None)):
        saved: Path = obj.save(path, overwrite=overwrite)
        return saved
    raise ArtefactError(
        f"a {type(obj).__name__} cannot be saved; give a recording, a Dataset, a DataTree or a fitted model "
        "(of a DataArray: .to_dataset(name=...))"
    )


def load(path: str | os.PathLike[str], *, lazy: bool = False) -> Any:
    """Load what `save` wrote, as the same type. Nothing in the file is executed or names code to import.

    Parameters
    ----------
    path
        The folder.
    lazy
        Leave large arrays on disk; see `neurokit_snn.artefact.read`. Models are always loaded whole.

    Returns
    -------
    obj
        DataTree, Dataset or model.

    Raises
    ------
    ArtefactError
        When the artefact is absent, damaged, written by a newer version, or of a kind that only its own
        reader knows.

    Examples
    --------
    >>> import tempfile
    >>> import neurokit_snn as nk
    >>> rates = xr.Dataset({"rate": ("unit", [1.5, 2.0])})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     nk.load(nk.save(rates, f"{folder}/rates.nk"))["rate"].values
    array([1.5, 2. ])
    """
    while True:
        with contextlib.suppress(
            ReplacedError
        ):  # overwritten between the check and the reading: read the new one
            return _rebuild(read(path, lazy=lazy))


def _rebuild(found: Artefact) -> Any:
    if found.kind in _REBUILDERS:
        module, name = _REBUILDERS[found.kind]
        return getattr(importlib.import_module(module), name)(found.path)
    if "data.nc" not in found.manifest["files"]:
        raise ArtefactError(
            f"{found.path}: kind {found.kind!r} has a reader of its own; use neurokit_snn.artefact.read"
        )
    tree = found.tree("data")
    return tree if found.manifest.get("class") == "DataTree" else tree.to_dataset()


def _kind_of(obj: xr.DataTree | xr.Dataset) -> str:
    """Kind by the schema that the object says it follows."""
    schema = str(obj.attrs.get("schema", ""))
    wanted = {"recording": xr.DataTree, "binned": xr.Dataset, "comparison": xr.Dataset}
    kind = schema.removeprefix(_PREFIX)
    if schema.startswith(_PREFIX) and kind in wanted:
        if not isinstance(obj, wanted[kind]):
            raise ArtefactError(
                f"attrs['schema'] is {schema!r}, but this is a {type(obj).__name__} and not a "
                f"{wanted[kind].__name__}; "
                ""
                "remove the attribute if it is something else"
            )
        return kind
    return "tree" if isinstance(obj, xr.DataTree) else "dataset"
