"""Finding the files of a dataset, checking their bytes, and opening them.

Search order: the path given, else the folder in ``NEUROKIT_DATA``, the user's cache, the network.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import xarray as xr

from neurokit_snn import artefact
from neurokit_snn.artefact.manifest import sha256_of
from neurokit_snn.catalog.entries import ENTRIES, DataFile, Entry
from neurokit_snn.errors import ArtefactError, CatalogError

__all__ = ["cache_folder", "list", "open"]

_checked: dict[tuple[str, int, int], str] = {}
"""SHA-256 of files seen in this process, by path, size and time of change."""


def list() -> tuple[Entry, ...]:
    """All named datasets.

    Examples
    --------
    >>> from neurokit_snn import catalog
    >>> [entry.name for entry in catalog.list()][0]
    'linear-track'
    """
    return tuple(ENTRIES.values())


def open(name: str, path: str | os.PathLike[str] | None = None) -> xr.DataTree | xr.Dataset:
    """Open a named dataset.

    Parameters
    ----------
    name
        One of the names in `list`.
    path
        A folder that holds the files, or the one prepared file. None for the folder in the environment variable
        ``NEUROKIT_DATA``, then the cache, then the network. What is downloaded stays in the cache, and where it had to be
        converted, the result does too.

    Returns
    -------
    DataTree or Dataset
        A recording, or for images and text a Dataset.

    Raises
    ------
    CatalogError
        When the name is unknown, a file is not to be had, or its SHA-256 is not the one in the catalog.

    Examples
    --------
    >>> from neurokit_snn import catalog
    >>> recording = catalog.open("digits-multimodal")
    >>> sorted(recording.children)
    ['behavior', 'spikes', 'stimulus', 'trials', 'truth', 'units']
    """
    if name not in ENTRIES:
        near = difflib.get_close_matches(name, ENTRIES, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(ENTRIES)}"
        raise CatalogError(f"no dataset is named {name!r}; {hint}")
    entry = ENTRIES[name]
    if not entry.prepared and not entry.origin:
        if path is not None:
            raise CatalogError(f"{name} is made when asked for and has no files; leave out path ({path})")
        return _reader(entry.read)({})
    located = _found(entry, Path(path) if path is not None else None)
    if located is None:
        return _fetched(entry)
    reader, files = located
    return _reader(reader)(files)


def cache_folder() -> Path:
    """Folder of downloaded files: what ``NEUROKIT_CACHE`` says, else the user's cache of the operating system."""
    import pooch

    return Path(os.environ.get("NEUROKIT_CACHE") or pooch.os_cache("neurokit_snn"))


Reader = Callable[[dict[str, Path]], xr.DataTree | xr.Dataset]


def _reader(where: str | None) -> Reader:
    module, function = (where or "").split(":")
    return cast(Reader, getattr(importlib.import_module(module), function))


def _found(entry: Entry, path: Path | None) -> tuple[str | None, dict[str, Path]] | None:
    """The reader to use and the files, by file name; None when they have to come from the cache or the network."""
    forms = [(entry.read, entry.prepared), (entry.read_origin, entry.origin)]
    forms = [(reader, files) for reader, files in forms if files]
    if path is not None and path.is_file():
        single = [(reader, files[0]) for reader, files in forms if len(files) == 1]
        for reader, file in sorted(single, key=lambda form: _base(form[1]) != path.name):
            return reader, {_base(file): _verified(path, file, entry)}
        wanted = ", ".join(_base(f) for _, files in forms for f in files)
        raise CatalogError(f"{entry.name}: {path} is one file, needed are {wanted}; give their folder")
    configured = os.environ.get("NEUROKIT_DATA")
    folder = path or (Path(configured) if configured else None)
    for reader, files in forms if folder else ():
        there = _all_there(cast(Path, folder), files)
        if there:
            return reader, {_base(f): _verified(p, f, entry) for f, p in zip(files, there, strict=True)}
    if path is not None:
        wanted = " or ".join(", ".join(_base(f) for f in files) for _, files in forms)
        raise CatalogError(f"{entry.name}: {path} holds none of its files ({wanted}); check the path")
    return None


def _fetched(entry: Entry) -> xr.DataTree | xr.Dataset:
    """The dataset from the cache; or from the network, and then kept as prepared for the next time."""
    kept = cache_folder() / f"{entry.name}-{entry.edition}.nk"
    if entry.prepared:
        with contextlib.suppress(ArtefactError):  # not there yet, or damaged: it is made anew
            return cast("xr.DataTree | xr.Dataset", artefact.load(kept))
    found = _reader(entry.read_origin)({_base(file): _downloaded(file, entry) for file in entry.origin})
    if entry.prepared:
        with contextlib.suppress(
            ArtefactError, OSError
        ):  # a cache that cannot be written costs time, not data
            artefact.save(found, kept, overwrite=True)
    return found


def _all_there(folder: Path, files: Sequence[DataFile]) -> Sequence[Path] | None:
    for places in ([folder / f.path for f in files], [folder / _base(f) for f in files]):
        if all(p.is_file() for p in places):
            return places
    return None


def _base(file: DataFile) -> str:
    return file.path.rsplit("/", maxsplit=1)[-1]


def _verified(path: Path, file: DataFile, entry: Entry) -> Path:
    """The path, once its bytes are known to be those of the catalog."""
    if file.sha256 is None:
        return path
    state = path.stat()
    key = (str(path.resolve()), state.st_size, state.st_mtime_ns)
    if key not in _checked:
        _checked[key] = sha256_of(path)
    if _checked[key] != file.sha256:
        raise CatalogError(
            f"{entry.name}: {path} has SHA-256 {_checked[key]}, the catalog says {file.sha256}; "
            "it is damaged or another version: delete it, or fetch it again"
        )
    return path


def _downloaded(file: DataFile, entry: Entry) -> Path:
    """The file in the cache, from the network if it is not there or not what it should be."""
    import pooch

    target = cache_folder() / file.path
    try:
        found = pooch.retrieve(
            url=file.url,
            known_hash=f"sha256:{file.sha256}" if file.sha256 else None,
            fname=target.name,
            path=target.parent,
            progressbar=False,
        )
    except ValueError as error:  # pooch refuses what does not match, and keeps nothing of it
        raise CatalogError(f"{entry.name}: {file.url} is not what the catalog expects: {error}") from error
    except OSError as error:
        raise CatalogError(
            f"{entry.name}: {_base(file)} is neither in NEUROKIT_DATA "
            f"({os.environ.get('NEUROKIT_DATA') or 'not set'}) nor in {cache_folder()}, and {file.url} cannot be reached "
            f"({type(error).__name__}); set NEUROKIT_DATA to a folder that holds {file.path}"
        ) from error
    return Path(found)
