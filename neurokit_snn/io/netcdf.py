"""A recording as one bare netCDF4 file, bit for bit, with a checksum for every chunk."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import xarray as xr

from neurokit_snn import artefact
from neurokit_snn._extras import require
from neurokit_snn.errors import FormatError
from neurokit_snn.io.foreign import existing, wrapped
from neurokit_snn.recording import schema, validate

__all__ = ["in_chunks", "read_netcdf", "write_netcdf"]

_CHUNK = 1 << 22
_SMALL = 1 << 16


def write_netcdf(tree: xr.DataTree, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write a recording as a bare netCDF4 file, which any program opens.

    `neurokit_snn.save` makes an artefact instead, with a manifest; this is for giving away.

    Parameters
    ----------
    tree
        A recording; it is validated first. Lazy variables are streamed.
    path
        File to write, ``.nc``.
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
        When ``path`` exists and ``overwrite`` is False, or netCDF cannot hold something.

    Examples
    --------
    >>> import tempfile
    >>> from neurokit_snn import io, recording
    >>> tree = recording.build(spikes={"a": [0.1, 0.2]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     io.read_netcdf(io.write_netcdf(tree, f"{folder}/a.nc")).identical(tree)
    True
    """
    validate(tree)
    with artefact.atomic_file(path, overwrite=overwrite) as partial:
        artefact.write_tree(tree, partial)
    return Path(path)


def read_netcdf(path: str | os.PathLike[str], *, lazy: bool = False) -> xr.DataTree:
    """Read a recording from a netCDF4 file, ours or another writer's that follows the schema.

    Parameters
    ----------
    path
        File to read.
    lazy
        Whether large variables become dask arrays, read when used.

    Returns
    -------
    recording
        Validated.

    Raises
    ------
    ArtefactError
        When the file is damaged.
    FormatError
        When the file is not there, or is netCDF but no recording.
    RecordingError
        When what it holds breaks a rule of the schema.
    MissingExtraError
        When ``lazy`` and dask is not installed.
    """
    source = existing(path)
    import h5py

    with wrapped(source, "netCDF4", "h5py"), h5py.File(source, "r") as file:
        kind, ours = file.attrs.get("schema"), "neurokit_snn" in file.attrs
    if kind != schema.SCHEMA:
        said = "no schema" if kind is None else f"schema {kind!r}"
        raise FormatError(
            f"{path}: says {said}, expected {schema.SCHEMA!r}; open it with xarray.open_datatree"
        )
    if ours:
        tree = artefact.read_tree(source, lazy=lazy)
    else:
        with wrapped(source, "netCDF4", "xarray"):
            # Units in seconds are numbers here; CF decoding would make durations of "ms" and "days".
            tree = xr.open_datatree(source, engine="h5netcdf", decode_times=False)
            tree = tree if lazy else tree.load()
            if not lazy:
                tree.close()
    tree = in_chunks(tree) if lazy else tree
    validate(tree, name=str(path))
    return tree


def in_chunks(tree: xr.DataTree) -> xr.DataTree:
    """Return the tree with its large numeric variables as dask arrays.

    Parameters
    ----------
    tree
        Opened lazily.

    Raises
    ------
    MissingExtraError
        When dask is not installed.
    """
    require("dask.array", extra="dask")

    def chunked(node: xr.Dataset) -> xr.Dataset:
        large = {
            name: variable.chunk(_chunk_sizes(variable))
            for name, variable in node.variables.items()
            if variable.size > _SMALL and variable.dtype.kind in "biuf" and name not in node.dims
        }
        return node.assign({name: v for name, v in large.items() if name not in node.coords}).assign_coords(
            {name: v for name, v in large.items() if name in node.coords}
        )

    return schema.from_datasets({path: chunked(node) for path, node in schema.datasets(tree).items()})


def _chunk_sizes(variable: xr.Variable) -> dict[object, int]:
    """Whole rows, as many as make a block of a few megabytes."""
    row = int(np.prod(variable.shape[1:], dtype=np.int64))
    return {variable.dims[0]: max(1, _CHUNK // max(row, 1))}
