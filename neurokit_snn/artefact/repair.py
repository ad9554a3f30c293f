"""What kills and accidents left behind: find it, bring back what is whole, remove what is not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from neurokit_snn.artefact import manifest
from neurokit_snn.artefact.names import Leftover
from neurokit_snn.artefact.reader import is_whole, read, recover
from neurokit_snn.artefact.writer import discard
from neurokit_snn.errors import ArtefactError

__all__ = ["Finding", "doctor"]

State = Literal["unfinished", "replaced", "displaced", "damaged", "in use", "unknown owner"]


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    Attributes
    ----------
    path
        File or folder.
    state
        ``unfinished``: a save was killed. ``replaced``: an old version that an overwrite did not get to
        delete. ``displaced``: an old version whose successor never arrived. ``damaged``: an artefact that
        does not match its manifest. ``in use``: a live process works on it. ``unknown owner``: made on
        another machine.
    action
        What was done, or what ``fix=True`` would do.
    """

    path: Path
    state: State
    action: str


def doctor(folder: str | os.PathLike[str], *, fix: bool = False) -> list[Finding]:
    """Look through a folder, and all below it, for what a kill or a failing disk left behind.

    Every artefact is read whole and checked. Nothing that a live process works on is touched, nor anything
    that was made on another machine, nor a damaged artefact.

    Parameters
    ----------
    folder
        Where to look; an artefact itself is allowed.
    fix
        Bring back old versions whose successor never arrived, remove unfinished and replaced ones.

    Returns
    -------
    findings
        One entry per thing found, sorted by path; empty when all is well.

    Raises
    ------
    ArtefactError
        When ``folder`` is no folder.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     doctor(folder)
    []
    """
    root = Path(folder)
    if not root.is_dir():
        raise ArtefactError(f"{root} is no folder; give the folder to look through")
    leftovers: list[Leftover] = []
    findings: list[Finding] = []
    for path in _walk(root):
        leftover = Leftover.parse(path)
        if leftover is not None:
            leftovers.append(leftover)
        elif (damage := _damage(path)) is not None:
            findings.append(Finding(path, "damaged", f"left alone: {damage}"))
    # Newest first, so that of several old versions the newest is the one that comes back.
    leftovers.sort(key=lambda item: item.path.stat().st_mtime, reverse=True)
    findings += [_treat(item, fix) for item in leftovers]
    return sorted(findings, key=lambda finding: finding.path)


def _walk(root: Path) -> Iterator[Path]:
    """Yield folders named like artefacts and everything under a temporary name, without looking inside."""
    if root.suffix == ".nk":
        yield root
        return
    for folder, folders, files in os.walk(root):
        below = [Path(folder, name) for name in sorted(folders)]
        ours = [path for path in below if path.suffix == ".nk" or Leftover.parse(path) is not None]
        folders[:] = [path.name for path in below if path not in ours]
        yield from ours
        yield from (
            path
            for path in (Path(folder, name) for name in sorted(files))
            if Leftover.parse(path) is not None
        )


def _damage(path: Path) -> str | None:
    try:
        read(path)
    except ArtefactError as error:
        return str(error)
    return None


def _treat(item: Leftover, fix: bool) -> Finding:
    owner = item.owner()
    if owner == "alive":
        return Finding(item.path, "in use", f"left alone: process {item.pid} is working on it")
    if owner == "unknown":
        return Finding(
            item.path,
            "unknown owner",
            f"left alone: made on {item.host or 'another machine'}; look there, or delete it by hand",
        )
    if item.role == "partial":
        return Finding(item.path, "unfinished", _remove(item.path, fix))
    if not os.path.lexists(item.target):
        if not is_whole(item.path):
            return Finding(item.path, "replaced", _remove(item.path, fix))
        if fix:
            recover(item.target)
        return Finding(item.path, "displaced", f"{'brought' if fix else 'bring'} back as {item.target.name}")
    if not is_whole(item.target) and is_whole(item.path):
        return Finding(
            item.path,
            "replaced",
            f"left alone: it is whole and {item.target.name} is not; delete that one to bring it back",
        )
    return Finding(item.path, "replaced", _remove(item.path, fix))


def _remove(path: Path, fix: bool) -> str:
    if not fix:
        return "remove"
    if not path.is_dir():
        path.unlink(missing_ok=True)
    elif (path / manifest.NAME).exists():
        discard(path)
    else:
        shutil.rmtree(path, ignore_errors=True)
    return "removed"
