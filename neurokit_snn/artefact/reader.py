"""Reading an artefact: manifest first, every file against it, old versions brought back after a kill."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xarray as xr

from neurokit_snn.artefact import manifest
from neurokit_snn.artefact.names import leftovers
from neurokit_snn.artefact.netcdf import read_tree
from neurokit_snn.errors import ArtefactError

__all__ = ["Artefact", "ReplacedError", "is_whole", "read", "read_if_there", "recover"]


class ReplacedError(ArtefactError):
    """A file is not the one that was checked: another process has overwritten the artefact meanwhile."""


@dataclass(frozen=True)
class Artefact:
    """An artefact whose manifest and files have been checked.

    Attributes
    ----------
    path
        Its folder.
    manifest
        Everything the manifest says.
    lazy
        Whether large variables stay on disk.
    """

    path: Path
    manifest: dict[str, Any]
    lazy: bool = False
    _seen: dict[str, tuple[int, int, int]] = field(default_factory=dict, repr=False)

    @property
    def kind(self) -> str:
        """What it is: ``recording``, ``binned``, ``model``, ..."""
        return str(self.manifest["kind"])

    @property
    def config(self) -> dict[str, Any]:
        """What the writer gave as ``config``."""
        return dict(self.manifest.get("config") or {})

    def tree(self, name: str) -> xr.DataTree:
        """Return the tree saved under ``name``.

        Raises
        ------
        ArtefactError
            When there is none of that name, or its file is damaged or has been replaced since.
        """
        path = self.file(f"{name}.nc")
        try:
            return read_tree(path, lazy=self.lazy, digest=self.manifest["files"][path.name].get("digest"))
        finally:
            self.file(path.name)  # the same file still: what was read is what was checked

    def dataset(self, name: str) -> xr.Dataset:
        """Return the dataset saved under ``name``; errors as for `tree`."""
        return self.tree(name).to_dataset()

    def file(self, name: str) -> Path:
        """Path of a file of the artefact, checked when the artefact was read.

        Raises
        ------
        ArtefactError
            When there is none of that name, or it has been replaced since.
        """
        if name not in self._seen:
            known = ", ".join(sorted(self._seen)) or "none"
            raise ArtefactError(f"{self.path}: no file {name!r} in this artefact; it holds: {known}")
        try:
            same = _identity(self.path / name) == self._seen[name]
        except ArtefactError:
            same = False
        if not same:
            raise ReplacedError(
                f"{self.path / name}: was replaced since the artefact was read; read it again"
            )
        return self.path / name


def read(path: str | os.PathLike[str], *, kind: str | None = None, lazy: bool = False) -> Artefact:
    """Open an artefact and check it: sizes, and unless ``lazy`` the SHA-256 of every file.

    When ``path`` is absent because an overwrite was killed half-way, the old version is brought back first.

    Parameters
    ----------
    path
        Folder that `neurokit_snn.artefact.write` or `neurokit_snn.save` made.
    kind
        Kind it must be of; None for any.
    lazy
        Check sizes only and leave large variables on disk; their chunks are checked as they are read.

    Returns
    -------
    artefact
        Its manifest, and its trees and files on demand.

    Raises
    ------
    ArtefactError
        When it is absent, damaged, of another kind or written by a newer version.
    """
    target = Path(os.path.realpath(path))
    while True:
        if not os.path.lexists(target):
            recover(target)
        before = _state(target)
        try:
            contents = manifest.parse(_read_manifest(target), where=target / manifest.NAME, kind=kind)
            seen = {
                name: _check_file(target / name, entry, lazy) for name, entry in contents["files"].items()
            }
        except ArtefactError:
            if _state(target) != before:
                continue  # it was overwritten while we looked: look again
            raise
        return Artefact(target, contents, lazy, seen)


def read_if_there(path: str | os.PathLike[str], *, kind: str) -> Artefact | None:
    """As `read`, or None where there is none, nor one that an interrupted overwrite has put aside.

    Raises
    ------
    ArtefactError
        When something is there that is damaged, of another kind or written by a newer version.
    """
    try:
        return read(path, kind=kind)
    except ArtefactError:
        if os.path.lexists(path):
            raise
        return None


def _state(target: Path) -> tuple[int, int] | None:
    """Which folder stands at ``target`` just now."""
    try:
        found = target.stat()
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns


def is_whole(path: Path) -> bool:
    """Whether a folder is an undamaged artefact."""
    try:
        contents = manifest.parse(_read_manifest(path), where=path / manifest.NAME)
        for name, entry in contents["files"].items():
            _check_file(path / name, entry, lazy=False)
    except ArtefactError:
        return False
    return True


def recover(target: Path) -> Path | None:
    """Bring back the newest whole version that an interrupted overwrite left aside, if ``target`` is absent.

    The rename needs no lock. Should the writer be alive, between its two renames, its second one fails on the
    folder that came back and it begins again; should another reader be first, ours fails and there is nothing
    left to do.

    Returns
    -------
    aside
        Where it stood, or None when there was nothing to bring back.
    """
    whole = (
        [] if os.path.lexists(target) else [item for item in leftovers(target, "old") if is_whole(item.path)]
    )
    for item in sorted(whole, key=_created, reverse=True):
        with contextlib.suppress(OSError):
            os.rename(item.path, target)
            return item.path
    return None


def _created(item: Any) -> str:
    try:
        contents = manifest.parse(_read_manifest(item.path), where=item.path)
    except ArtefactError:
        return ""
    return str(contents["created"])


def _read_manifest(folder: Path) -> bytes:
    try:
        return (folder / manifest.NAME).read_bytes()
    except NotADirectoryError as error:
        raise ArtefactError(
            f"{folder} is a file, not the folder of an artefact; foreign files are read by neurokit_snn.io"
        ) from error
    except OSError as error:
        if not os.path.lexists(folder):
            raise ArtefactError(f"{folder} does not exist; check the path") from error
        raise ArtefactError(
            f"{folder}: {manifest.NAME} is missing or unreadable; this is no whole artefact"
        ) from error


def _check_file(path: Path, entry: manifest.FileEntry, lazy: bool) -> tuple[int, int, int]:
    identity = _identity(path)
    if identity[0] != entry["size"]:
        raise ArtefactError(
            f"{path}: {identity[0]} bytes, the manifest says {entry['size']}; it is damaged, restore it "
            "from a "
            "copy"
        )
    if not lazy and manifest.sha256_of(path) != entry["sha256"]:
        raise ArtefactError(
            f"{path}: content does not match its SHA-256 in the manifest; restore it from a copy"
        )
    return identity


def _identity(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise ArtefactError(f"{path}: is missing ({error.strerror}); restore it from a copy") from error
    return found.st_size, found.st_mtime_ns, found.st_ino
