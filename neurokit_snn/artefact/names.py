"""Temporary names: what they say about who works on them, and whether that process still lives.

Everything is written beside its target under ``.TARGET.partial-PID-HOST-RANDOM`` and renamed when it is
whole. What an overwrite replaces stands meanwhile under ``.TARGET.old-PID-HOST-RANDOM``. A kill leaves such
names behind; they tell `neurokit_snn.artefact.doctor` and readers what to do with them.
"""

from __future__ import annotations

import os
import platform
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

__all__ = ["Leftover", "fsync", "leftovers", "temporary"]

Role = Literal["partial", "old"]

_PATTERN = re.compile(
    r"\.(?P<target>.+)\.(?P<role>partial|old)-(?P<pid>\d+)-(?P<host>\w*)-[0-9a-f]{8}(?P<suffix>\.\w+)?"
)


def _host() -> str:
    return re.sub(r"\W", "_", platform.node())


def temporary(target: Path, role: Role, *, suffix: str = "") -> Path:
    """Make up a name beside ``target`` that nobody else uses; ``suffix`` for writers that look at it.

    Examples
    --------
    >>> name = temporary(Path("run.nk"), "partial").name
    >>> Leftover.parse(Path(name)).target.name
    'run.nk'
    """
    return target.with_name(f".{target.name}.{role}-{os.getpid()}-{_host()}-{secrets.token_hex(4)}{suffix}")


@dataclass(frozen=True)
class Leftover:
    """A file or folder under a temporary name.

    Attributes
    ----------
    path
        Where it is.
    target
        What it was to become, or was.
    role
        ``partial``: being written. ``old``: replaced by an overwrite.
    pid, host
        Process that made it.
    """

    path: Path
    target: Path
    role: Role
    pid: int
    host: str

    @classmethod
    def parse(cls, path: Path) -> Self | None:
        """Read a temporary name; None for any other."""
        found = _PATTERN.fullmatch(path.name)
        if found is None:
            return None
        role: Role = "old" if found["role"] == "old" else "partial"
        return cls(path, path.with_name(found["target"]), role, int(found["pid"]), found["host"])

    def owner(self) -> Literal["alive", "dead", "unknown"]:
        """Whether the process that made it still runs; ``unknown`` if it was made on another machine."""
        if self.host != _host() or os.name != "posix":
            return "unknown"
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return "dead"
        except PermissionError:
            pass
        return "alive" if _is_running_since(self.pid, self.path) else "dead"


def leftovers(target: Path, role: Role) -> list[Leftover]:
    """List what lies beside ``target`` under its temporary names of one role."""
    found = (Leftover.parse(path) for path in target.parent.glob(f".{_escape(target.name)}.{role}-*"))
    return [item for item in found if item is not None and item.target.name == target.name]


def fsync(path: Path) -> None:
    """Make a file's content, or a folder's list of names, survive a power cut."""
    if path.is_dir() and os.name != "posix":
        return  # Windows opens no folders
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _escape(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def _is_running_since(pid: int, path: Path) -> bool:
    """Whether the process is no zombie and is older than ``path``: process numbers are used again.

    Where there is no ``/proc``, or the entry vanishes while it is looked at, the careful answer is True.
    """
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
        started = int(boot.split()[1]) + int(fields[18]) / os.sysconf("SC_CLK_TCK")
        found = path.lstat()  # renaming an old artefact aside changes its ctime only
        # Two seconds of slack: btime is in whole seconds.
        return state not in "ZX" and started <= max(found.st_mtime, found.st_ctime) + 2
    except (OSError, ValueError, IndexError, StopIteration):
        return True
