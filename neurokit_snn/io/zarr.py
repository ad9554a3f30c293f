"""A recording as a Zarr store, with checksums of its files. Format 2: all versions of zarr read it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neurokit_snn._extras import require
from neurokit_snn.artefact import attributes, plain
from neurokit_snn.artefact.manifest import sha256_of
from neurokit_snn.artefact.names import fsync, leftovers, temporary
from neurokit_snn.errors import FormatError
from neurokit_snn.io.foreign import existing, wrapped
from neurokit_snn.io.layout import Outgoing, parse, restore, to_plain
from neurokit_snn.recording import schema, validate

__all__ = ["read_zarr", "write_zarr"]

LAYOUT = "neurokit_snn_layout"
FILES = "neurokit_snn.files.json"
"""List of the files of the store: Zarr itself cannot tell a chunk that was lost from one that is empty."""

_CHUNK = 1 << 20


def write_zarr(tree: xr.DataTree, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write a recording as a Zarr store, a folder, bit for bit.

    The folder is made under a temporary name and renamed when it is whole: Zarr alone leaves a store that
    opens, with NaN for what is missing, when it is interrupted. An old store steps aside meanwhile, and
    `read_zarr` brings it back if the new one never came.

    Parameters
    ----------
    tree
        A recording; it is validated first. Lazy (dask) variables are streamed.
    path
        Folder to write, ``.zarr``.
    overwrite
        Whether an existing store may be replaced.

    Returns
    -------
    path
        The folder.

    Raises
    ------
    RecordingError
        When the recording breaks a rule of the schema.
    FormatError
        When ``path`` exists and ``overwrite`` is False, or is something else than a store.
    MissingExtraError
        When zarr is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from neurokit_snn import io, recording
    >>> tree = recording.build(spikes={"a": [0.1, 0.2]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     io.read_zarr(io.write_zarr(tree, f"{folder}/a.zarr")).identical(tree)
    True
    """
    require("zarr", extra="zarr")
    validate(tree)
    target = Path(path)
    _recover(target)
    _check_free(target, overwrite)
    partial = temporary(target, "partial", suffix=target.suffix)
    try:
        with wrapped(target, "Zarr", "zarr", doing="write"):
            _fill(tree, partial)
        _list_files(partial)
        _publish(partial, target, overwrite)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def read_zarr(path: str | os.PathLike[str], *, lazy: bool = False) -> xr.DataTree:
    """Read a recording from a Zarr store, one of `write_zarr` or another's that follows the schema.

    Parameters
    ----------
    path
        Folder to read.
    lazy
        Whether large variables become dask arrays, read when used. Sizes of the files are checked then, and
        their SHA-256 otherwise.

    Returns
    -------
    recording
        Validated.

    Raises
    ------
    FormatError
        When the folder is not there, is no store, or is damaged.
    RecordingError
        When what it holds breaks a rule of the schema.
    MissingExtraError
        When zarr, or for ``lazy`` dask, is not installed.
    """
    require("zarr", extra="zarr")
    _recover(Path(path))
    source = existing(path, folder=True)
    if not any((source / name).is_file() for name in (".zgroup", "zarr.json")):
        raise FormatError(f"{path}: a folder without .zgroup or zarr.json is no Zarr store; check the path")
    _check_files(source, lazy=lazy)
    with wrapped(source, "Zarr", "zarr"):
        if lazy:
            require("dask.array", extra="dask")
        tree = xr.open_datatree(
            source, engine="zarr", decode_times=False, mask_and_scale=False, chunks={} if lazy else None
        )
        tree = tree if lazy else tree.load()
    attrs = dict(tree.attrs)
    if attrs.get("schema") != schema.SCHEMA:
        raise FormatError(
            f"{path}: schema {attrs.get('schema')!r}, expected {schema.SCHEMA!r}; open it with xarray"
        )
    if LAYOUT not in attrs:
        validate(tree, name=str(path))
        return tree
    layout = parse(str(attrs.pop(LAYOUT)), str(path))
    tree = schema.from_datasets(restore(schema.datasets(tree), layout, {}, str(path)))
    validate(tree, name=str(path))
    return tree


def _fill(tree: xr.DataTree, partial: Path) -> None:
    """Write every node in types that Zarr has; what they were is in the layout at the root."""
    out = Outgoing(tree)
    nodes: dict[str, xr.Dataset] = {}
    encodings: dict[str, dict[str, Any]] = {}
    for path, node in out.nodes.items():
        variables: dict[Any, xr.Variable] = {}
        for name, variable in node.variables.items():
            variables[name] = _stored(out, path, str(name), variable)
        coords = {name: variables.pop(name) for name in node.coords}
        native, _ = attributes.encode(node.attrs, where=path)
        nodes[path] = xr.Dataset(variables, coords, native)
        encodings[path] = {
            str(name): {"chunks": _chunks(variable.shape)}
            for name, variable in nodes[path].variables.items()
            if variable.size and variable.ndim
        }
    layout, _ = out.layout(keep_empty=False)
    nodes["/"] = nodes["/"].assign_attrs({LAYOUT: plain.dumps(layout)})
    schema.from_datasets(nodes).to_zarr(
        partial, zarr_format=2, consolidated=False, mode="w-", encoding=encodings, write_empty_chunks=True
    )
    # Once at the end; xarray would do it again after every node.
    require("zarr", extra="zarr").consolidate_metadata(str(partial), zarr_format=2)


def _stored(out: Outgoing, path: str, name: str, variable: xr.Variable) -> xr.Variable:
    native, _ = attributes.encode(variable.attrs, where=f"{path}:{name}")
    if variable.dtype.kind in "biuf":
        out.mark(path, name)
        data = (
            variable.chunk(dict(zip(variable.dims, _chunks(variable.shape), strict=True))).data
            if variable.chunks
            else variable.values
        )
        return xr.Variable(variable.dims, data, native)
    data = to_plain(out.take(path, name), f"{path}:{name}")
    dims = variable.dims or (f"{name}_scalar",)
    return xr.Variable((*dims, f"{name}_complex") if data.ndim > len(dims) else dims, data, native)


def _chunks(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Whole rows, as many as make a megabyte or a few."""
    row = int(np.prod(shape[1:], dtype=np.int64))
    return (max(1, min(shape[0], _CHUNK // max(row, 1))), *shape[1:])


def _list_files(folder: Path) -> None:
    """Write sizes and checksums of all files, and bring everything to the disk."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    entries = {str(path.relative_to(folder)): [path.stat().st_size, sha256_of(path)] for path in files}
    (folder / FILES).write_text(json.dumps(entries, indent=0))
    for path in (*files, folder / FILES, *(path for path in folder.rglob("*") if path.is_dir()), folder):
        fsync(path)


def _check_files(folder: Path, *, lazy: bool) -> None:
    listed = folder / FILES
    if not listed.is_file():
        return
    try:
        entries = json.loads(listed.read_text())
        wanted = {str(name): (int(size), str(digest)) for name, (size, digest) in entries.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise FormatError(
            f"{listed}: damaged list of files ({error}); restore the store from a copy"
        ) from error
    for name, (size, digest) in wanted.items():
        path = folder / name
        if not path.is_file():
            raise FormatError(f"{path}: is missing from the store; restore it from a copy")
        if path.stat().st_size != size or not (lazy or sha256_of(path) == digest):
            raise FormatError(
                f"{path}: is not what was written: damaged, or edited since; restore the store from a copy"
            )


def _check_free(target: Path, overwrite: bool) -> None:
    if not target.parent.is_dir():
        raise FormatError(f"{target}: there is no folder {target.parent}; make it first")
    if not os.path.lexists(target):
        return
    if not overwrite:
        raise FormatError(f"{target} exists; choose another name or pass overwrite=True")
    if not any((target / name).is_file() for name in (".zgroup", "zarr.json")):
        raise FormatError(
            f"{target} exists and is no Zarr store, so it is not overwritten; choose another name"
        )


def _publish(partial: Path, target: Path, overwrite: bool) -> None:
    """Rename ``partial`` to ``target``, out of whose place the old store steps first."""
    _check_free(target, overwrite)
    aside = temporary(target, "old")
    with contextlib.suppress(FileNotFoundError):
        os.rename(target, aside)
    try:
        os.rename(partial, target)
    except BaseException:
        _recover(target)
        raise
    fsync(target.parent)
    for item in leftovers(target, "old"):
        if item.pid == os.getpid() or item.owner() == "dead":
            shutil.rmtree(item.path, ignore_errors=True)


def _recover(target: Path) -> None:
    """Bring the old store back where an interrupted overwrite left none."""
    if os.path.lexists(target):
        return
    for item in sorted(leftovers(target, "old"), key=lambda item: item.path.stat().st_ctime, reverse=True):
        # A store that is being deleted has lost files already; one that a killed overwrite left is whole.
        with contextlib.suppress(FormatError, OSError):
            _check_files(item.path, lazy=True)
            os.rename(item.path, target)
            return
