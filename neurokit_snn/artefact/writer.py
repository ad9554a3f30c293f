"""Writing an artefact: under a temporary name, flushed, manifest last, then renamed."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from neurokit_snn.artefact import manifest
from neurokit_snn.artefact.names import fsync, leftovers, temporary
from neurokit_snn.artefact.netcdf import digest_file, write_tree
from neurokit_snn.artefact.reader import recover
from neurokit_snn.errors import ArtefactError

__all__ = ["write"]

_FILE_NAME = re.compile(r"\w[\w.-]*")


def write(
    path: str | os.PathLike[str],
    *,
    kind: str,
    trees: Mapping[str, xr.DataTree | xr.Dataset],
    config: Mapping[str, Any] | None = None,
    files: Mapping[str, Callable[[Path], object]] | None = None,
    seed: int | None = None,
    extra: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write an artefact: a folder that is whole or absent, whatever happens meanwhile.

    Parameters
    ----------
    path
        New folder; its name ends in ``.nk``.
    kind
        What it is, checked by readers: ``recording``, ``binned``, ``model``, ``comparison``, ...
    trees
        ``{name: tree or dataset}``, each saved as ``name.nc``.
    config
        Numbers, strings, arrays, and lists, tuples and dicts of these, for the manifest.
    files
        ``{file name: function that writes that file to the path it is given}``, for what is no netCDF.
    seed
        Seed that made it.
    extra
        Further entries of the manifest, such as ``class``, ``schema_version``, ``chain_method``,
        ``codegen_target``.
    overwrite
        Whether an existing artefact may be replaced. It is moved aside first and comes back if this is
        interrupted.

    Returns
    -------
    path
        The folder.

    Raises
    ------
    ArtefactError
        When ``path`` exists and ``overwrite`` is False, when it exists and is no artefact, when its name does
        not end in ``.nk``, or when something cannot be saved.

    Examples
    --------
    >>> import tempfile
    >>> from neurokit_snn import artefact
    >>> rates = xr.Dataset({"rate": ("unit", [1.5, 2.0])})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write(f"{folder}/a.nk", kind="dataset", trees={"rates": rates}, config={"alpha": 1.0})
    ...     found = artefact.read(path)
    ...     found.config["alpha"], found.dataset("rates").identical(rates)
    (1.0, True)
    """
    target = _target(Path(path))
    for name in (*trees, *(files or {})):
        if not _FILE_NAME.fullmatch(name) or name == manifest.NAME:
            raise ArtefactError(
                f"{name!r} cannot be the name of a file in an artefact; use letters, digits and . _ -"
            )
    recover(target)
    _check_free(target, overwrite)
    partial = temporary(target, "partial")
    partial.mkdir()
    try:
        entries = {f"{name}.nc": _save_tree(tree, partial / f"{name}.nc") for name, tree in trees.items()}
        entries |= {name: _save_file(make, partial / name) for name, make in (files or {}).items()}
        contents = manifest.compose(kind=kind, files=entries, config=config, seed=seed, extra=extra)
        (partial / manifest.NAME).write_bytes(manifest.render(contents))
        fsync(partial / manifest.NAME)
        fsync(partial)
        _publish(partial, target, overwrite)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    _forget_old(target)
    return target


def _target(path: Path) -> Path:
    if path.suffix != ".nk":
        raise ArtefactError(
            f"{path}: the name of an artefact ends in .nk; bare files are written by neurokit_snn.io"
        )
    target = Path(os.path.realpath(path))  # of a link, what it points to is replaced, not the link
    if not target.parent.is_dir():
        raise ArtefactError(f"{path}: there is no folder {target.parent}; make it first")
    return target


def _check_free(target: Path, overwrite: bool) -> None:
    before = _inode(target)
    if before is None:
        return
    if not overwrite:
        raise ArtefactError(f"{target} exists; choose another name or pass overwrite=True")
    if (target / manifest.NAME).is_file():
        return
    if _inode(target) != before:  # another writer swapped it while we looked
        _check_free(target, overwrite)
        return
    raise ArtefactError(f"{target} exists and is no artefact, so it is not overwritten; choose another name")


def _inode(path: Path) -> int | None:
    """Which folder or file stands at ``path`` just now."""
    try:
        return path.lstat().st_ino
    except FileNotFoundError:
        return None


def _save_tree(tree: xr.DataTree | xr.Dataset, path: Path) -> manifest.FileEntry:
    write_tree(tree, path)
    return _entry(path) | {"digest": digest_file(path)}


def _save_file(make: Callable[[Path], object], path: Path) -> manifest.FileEntry:
    make(path)
    if not path.is_file():
        raise ArtefactError(
            f"{path.name} was not written; the function given for it must write to the path it is given"
        )
    path.chmod(path.parent.stat().st_mode & 0o666)  # some writers (safetensors) ignore the umask
    return _entry(path)


def _entry(path: Path) -> manifest.FileEntry:
    fsync(path)
    return {"sha256": manifest.sha256_of(path), "size": path.stat().st_size}


def _publish(partial: Path, target: Path, overwrite: bool) -> None:
    """Rename ``partial`` to ``target``, what stands there aside before.

    Between the two renames ``target`` is absent, and a reader may bring the old one back (`recover`); another
    writer may also be first. Then the rename fails, because a folder is not renamed onto a filled one, and we
    begin again.
    """
    while True:
        _check_free(target, overwrite)
        try:
            if overwrite:
                with contextlib.suppress(FileNotFoundError):
                    os.rename(target, temporary(target, "old"))
            os.rename(partial, target)
        except BaseException as error:
            if isinstance(error, OSError) and os.path.lexists(target) and partial.exists():
                continue
            recover(target)
            raise
        fsync(target.parent)
        return


def _forget_old(target: Path) -> None:
    """Delete what overwriting has replaced: our own, and what killed processes left."""
    for item in leftovers(target, "old"):
        if item.pid == os.getpid() or item.owner() == "dead":
            discard(item.path)


def discard(folder: Path) -> None:
    """Delete an artefact, its manifest first: what a kill leaves of it can then not come back."""
    with contextlib.suppress(FileNotFoundError):  # somebody else is deleting it, too
        (folder / manifest.NAME).unlink()
        fsync(folder)
    shutil.rmtree(folder, ignore_errors=True)
