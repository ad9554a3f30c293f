"""What all readers of files made by others share: typed errors, no unpickling, half-open intervals."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neurokit_snn import recording
from neurokit_snn.errors import FormatError, NeurokitError, RecordingError

__all__ = ["built", "check_duration", "existing", "frame_times", "load_npy", "moment", "wrapped"]


@contextmanager
def wrapped(path: str | os.PathLike[str], title: str, library: str, *, doing: str = "read") -> Iterator[None]:
    """Turn whatever a foreign library raises inside the block into one `FormatError` that names the file.

    Parameters
    ----------
    path
        The file.
    title
        Name of the format.
    library
        Name of the library that reads it.
    doing
        ``"read"`` or ``"write"``, for the message.

    Examples
    --------
    >>> with wrapped("a.nwb", "NWB", "pynwb"):
    ...     raise KeyError("units")
    Traceback (most recent call last):
    neurokit_snn.errors.FormatError: a.nwb: pynwb cannot read it as NWB (KeyError: 'units'); ...
    """
    remedy = (
        "is it damaged, or another format?"
        if doing == "read"
        else "nothing was written; change what it names"
    )
    try:
        yield
    except NeurokitError:
        raise
    except OSError as error:
        # The disk's own complaints (no space, no permission) are not about the format.
        if error.errno is not None and doing == "write":
            raise
        raise FormatError(
            f"{path}: {library} cannot {doing} it as {title} ({_line(error)}); {remedy}"
        ) from error
    except Exception as error:
        # Damaged files make a library fail in ways that nobody can list; all of them mean the same to the
        # caller.
        raise FormatError(
            f"{path}: {library} cannot {doing} it as {title} ({_line(error)}); {remedy}"
        ) from error


def existing(path: str | os.PathLike[str], *, folder: bool = False) -> Path:
    """Return ``path`` if it is there and is the file, or folder, that it should be.

    Raises
    ------
    FormatError
        When it is missing or is the other of the two.

    Examples
    --------
    >>> existing("no_such_file.nwb")
    Traceback (most recent call last):
    neurokit_snn.errors.FormatError: no_such_file.nwb does not exist; check the path
    """
    found = Path(path)
    if not found.exists():
        raise FormatError(f"{found} does not exist; check the path")
    if found.is_dir() != folder:
        kinds = ("a folder", "a file") if found.is_dir() else ("a file", "a folder")
        raise FormatError(f"{found} is {kinds[0]}, expected {kinds[1]}; check the path")
    return found


def check_duration(duration: float, path: str | os.PathLike[str]) -> None:
    """Refuse trials of a file that would be no longer than nothing, or endless.

    Raises
    ------
    FormatError
        When it is no number of seconds above 0.

    Examples
    --------
    >>> check_duration(0.0, "shd_test.h5")
    Traceback (most recent call last):
    neurokit_snn.errors.FormatError: shd_test.h5: duration is 0.0; give the seconds of a trial, above 0
    """
    if not 0.0 < duration < math.inf:
        raise FormatError(f"{path}: duration is {duration}; give the seconds of a trial, above 0")


def built(path: str | os.PathLike[str], /, **arguments: Any) -> xr.DataTree:
    """Build a recording of what a reader found, with the name of the file in every error.

    Parameters
    ----------
    path
        The file.
    **arguments
        For `neurokit_snn.recording.build`.

    Raises
    ------
    RecordingError
        When the content breaks a rule of the schema.

    Examples
    --------
    >>> built("a.csv", behavior={"speed": ([0.0, 0.0], [1.0, 2.0])})
    Traceback (most recent call last):
    neurokit_snn.errors.RecordingError: a.csv: /behavior/speed [behavior.sorted] ...
    """
    try:
        tree = recording.build(**arguments, validate=False)
    except RecordingError as error:
        raise RecordingError(f"{path}: {error}") from error
    recording.validate(tree, name=str(path))
    return tree


def frame_times(frames: int | np.ndarray, sampling_rate: float, source: Path) -> np.ndarray:
    """Return the seconds of frames: their numbers, or the first so many, over the rate.

    Parameters
    ----------
    frames
        How many frames there are, or their numbers.
    sampling_rate
        Frames per second.
    source
        The file, for errors.

    Raises
    ------
    FormatError
        When the rate is no positive number.

    Examples
    --------
    >>> frame_times(3, 50.0, Path("a.csv"))
    array([0.  , 0.02, 0.04])
    """
    number = isinstance(sampling_rate, int | float | np.number) and not isinstance(sampling_rate, bool)
    if not number or not 0 < sampling_rate < np.inf:
        raise FormatError(f"{source}: sampling_rate is {sampling_rate!r}; give frames per second, as in 30.0")
    return np.arange(frames) / sampling_rate if isinstance(frames, int) else frames / sampling_rate


def moment(start: str) -> datetime | None:
    """Return the root attribute ``start`` as a time, in UTC if it has no zone, None if it is empty.

    Raises
    ------
    FormatError
        When it is no ISO 8601 time.

    Examples
    --------
    >>> moment("2026-11-21T10:00:00").isoformat()
    '2026-11-21T10:00:00+00:00'
    """
    if not start:
        return None
    try:
        found = datetime.fromisoformat(start)
    except ValueError as error:
        raise FormatError(
            f"start = {start!r} is no ISO 8601 time; write it as 2026-11-21T10:00:00+00:00"
        ) from error
    # UTC rather than the zone of this machine: the same recording must not mean another time elsewhere.
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def load_npy(path: Path, *, kinds: str, ndim: int | tuple[int, ...]) -> np.ndarray:
    """Return the array of a ``.npy`` file, which is never unpickled.

    Parameters
    ----------
    path
        File to read.
    kinds
        NumPy kinds of dtype that are accepted, as in ``"iu"``.
    ndim
        Number of dimensions that are accepted.

    Raises
    ------
    FormatError
        When the file is missing, damaged, holds pickled objects, or another dtype or shape than it should.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/a.npy", np.arange(3))
    ...     load_npy(Path(folder) / "a.npy", kinds="iu", ndim=1)
    array([0, 1, 2])
    """
    if not path.is_file():
        raise FormatError(f"{path} does not exist; the folder needs it")
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError, SyntaxError) as error:
        raise FormatError(
            f"{path}: not a plain .npy array ({_line(error)}); is it damaged or pickled?"
        ) from error
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if not isinstance(array, np.ndarray) or array.dtype.kind not in kinds or array.ndim not in allowed:
        what = f"{array.dtype} of shape {array.shape}" if isinstance(array, np.ndarray) else "an archive"
        raise FormatError(
            f"{path}: holds {what}, expected {_KINDS[kinds]} with {ndim} dimension(s); another format?"
        )
    return array


_KINDS = {"iu": "integers", "iuf": "numbers", "f": "floats"}


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__
