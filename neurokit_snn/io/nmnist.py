"""Folders of N-MNIST: digits before an event camera that makes three small turns, one file of 40-bit events each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from neurokit_snn.errors import FormatError
from neurokit_snn.io.foreign import built, check_duration, existing

__all__ = ["CameraEvents", "decode_events", "event_session", "read_nmnist"]

GAP = 0.06
"""Seconds between the end of one trial and the start of the next: nothing was recorded there."""


class CameraEvents(NamedTuple):
    """Events of a camera, each ``(event,)``, in order of time."""

    x: np.ndarray  # column, from 0
    y: np.ndarray  # row, from 0
    p: np.ndarray  # 1 brighter, 0 darker
    microsecond: np.ndarray  # int64, from the start of the recording


def decode_events(raw: bytes, *, name: str) -> CameraEvents:
    """The events of one file in the layout of N-MNIST, N-Caltech101 and SLAYER's ``.bs2``.

    An event is 5 bytes, most significant first: 8 bits x, 8 bits y, 1 bit polarity, 23 bits of microseconds.

    Parameters
    ----------
    raw
        Content of the file.
    name
        What to call it in an error.

    Raises
    ------
    FormatError
        When it does not hold whole events, or time goes backwards.

    References
    ----------
    Orchard, Jayawant, Cohen, Thakor, Front. Neurosci. 9:437 (2015), and the reading code published with it.

    Examples
    --------
    >>> events = decode_events(bytes([7, 15, 128, 2, 142]), name="00001.bin")
    >>> [int(value[0]) for value in events]
    [7, 15, 1, 654]
    """
    if not raw or len(raw) % 5:
        raise FormatError(f"{name}: {len(raw)} bytes, which are no whole events of 5 bytes; is it cut short?")
    byte = np.frombuffer(raw, np.uint8).reshape(-1, 5)
    low = byte[:, 2:].astype(np.int64)
    time = (low[:, 0] & 0x7F) << 16 | low[:, 1] << 8 | low[:, 2]
    back = np.flatnonzero(np.diff(time) < 0)
    if back.size:
        i = int(back[0]) + 1
        raise FormatError(
            f"{name}: event {i} is at {time[i]} us, the one before at {time[i - 1]} us; is it damaged, or another layout?"
        )
    return CameraEvents(byte[:, 0].copy(), byte[:, 1].copy(), byte[:, 2] >> 7, time)


def event_session(
    events: CameraEvents,
    size: np.ndarray,
    columns: Mapping[str, Any],
    *,
    duration: float,
    path: str | os.PathLike[str],
    **attrs: str,
) -> xr.DataTree:
    """One recording of samples that were taken one by one: each a trial, `GAP` after the one before.

    Parameters
    ----------
    events
        Of all samples, one after another, each with its own time.
    size
        Events of each sample ``(sample,)``.
    columns
        Of the trials, each ``(sample,)``.
    duration
        Of every trial, s: they are as long as the longest, so that there is nothing to mask.
    path
        Where they come from, for errors.
    **attrs
        ``session_id``, ``source``, ``licence``, ``citation``.

    Returns
    -------
    recording
        ``/stimulus/dvs`` (time, x, y, p) and ``/trials``.

    Raises
    ------
    FormatError
        When the duration is no time, or an event is later.
    """
    check_duration(duration, path)
    late = np.flatnonzero(events.microsecond >= duration * 1e6)
    if late.size:
        sample = int(np.searchsorted(np.cumsum(size), late[0], side="right"))
        raise FormatError(
            f"{path}: sample {sample} has an event at {events.microsecond[late[0]] * 1e-6:.3f} s and trials are "
            f"{duration:g} s long; give a longer duration"
        )
    start = np.arange(len(size)) * (duration + GAP)
    stimulus = {
        "time": np.repeat(start, size) + events.microsecond * 1e-6,
        "x": events.x,
        "y": events.y,
        "p": events.p,
    }
    trials = {"start": start, "stop": start + duration, **columns}
    return built(path, stimulus={"dvs": stimulus}, trials=trials, **attrs)


def read_nmnist(
    path: str | os.PathLike[str], *, per_digit: int | None = None, duration: float = 0.34
) -> xr.DataTree:
    """Read a folder of N-MNIST as published: ``DIGIT/NUMBER.bin``, as in ``Train/5/00001.bin``.

    Parameters
    ----------
    path
        The folder ``Train`` or ``Test``.
    per_digit
        How many files of each digit, the first by number; None for all. All 60,000 are 2.6 GB in memory.
    duration
        Of a trial, s.

    Returns
    -------
    recording
        ``/stimulus/dvs`` with time, x, y, p of each event; ``/trials`` with ``digit`` and ``number``, that of the file, which
        is the place of the digit in MNIST counted from 1. Trials come in order of ``number``.

    Raises
    ------
    FormatError
        When there are no such files, one is damaged, or an event is later than ``duration``.

    Examples
    --------
    >>> import tempfile
    >>> from neurokit_snn import io
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     digit = Path(folder, "5")
    ...     digit.mkdir()
    ...     _ = Path(digit, "00001.bin").write_bytes(bytes([7, 15, 128, 2, 142]))
    ...     io.read_nmnist(folder)["stimulus/dvs"]["time"].values
    array([0.000654])
    """
    folder = existing(path, folder=True)
    if per_digit is not None and per_digit < 1:
        raise FormatError(f"{folder}: per_digit is {per_digit}; give 1 or more, or None for all")
    found: list[tuple[int, int, Path]] = []
    for digit in range(10):
        files = sorted(
            (int(file.stem), digit, file)
            for file in (folder / str(digit)).glob("*.bin")
            if file.stem.isdigit()
        )
        found += files[:per_digit]
    if not found:
        raise FormatError(
            f"{folder}: no files DIGIT/NUMBER.bin in it; give the folder Train or Test of N-MNIST"
        )
    found.sort()
    parts = [decode_events(file.read_bytes(), name=str(file)) for _, _, file in found]
    return event_session(
        CameraEvents(*(np.concatenate(part) for part in zip(*parts, strict=True))),
        np.array([part.x.size for part in parts]),
        {"digit": [digit for _, digit, _ in found], "number": [number for number, _, _ in found]},
        duration=duration,
        path=folder,
        session_id=folder.name,
        source=f"N-MNIST folder {folder.name}",
    )
