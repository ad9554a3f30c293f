"""Single files that are whole or absent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from neurokit_snn.artefact.names import fsync, temporary
from neurokit_snn.errors import ArtefactError

__all__ = ["atomic_file"]


@contextmanager
def atomic_file(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Write a single file so that a kill leaves the old one, the new one or none.

    Parameters
    ----------
    path
        File to make.
    overwrite
        Whether an existing file may be replaced.

    Yields
    ------
    partial
        Name to write to, in the same folder and with the same suffix. It takes the place of ``path`` when the
        block ends, and is removed when the block raises.

    Raises
    ------
    ArtefactError
        When ``path`` exists and ``overwrite`` is False, when it is a folder, or its folder does not exist.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_file(f"{folder}/a.csv") as partial:
    ...         _ = partial.write_text("x,y")
    ...     Path(folder, "a.csv").read_text()
    'x,y'
    """
    target = Path(os.path.realpath(path))
    _check_free(target, overwrite)
    partial = temporary(target, "partial", suffix=target.suffix)
    try:
        yield partial
        fsync(partial)
        _check_free(target, overwrite)
        os.replace(partial, target)
        fsync(target.parent)
    finally:
        partial.unlink(missing_ok=True)


def _check_free(target: Path, overwrite: bool) -> None:
    if not target.parent.is_dir():
        raise ArtefactError(f"{target}: there is no folder {target.parent}; make it first")
    if target.is_dir():
        raise ArtefactError(f"{target} is a folder; choose another name")
    if target.exists() and not overwrite:
        raise ArtefactError(f"{target} exists; choose another name or pass overwrite=True")
