"""Tracks of DeepLabCut, as CSV."""

from __future__ import annotations

import csv
import itertools
import os
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neurokit_snn.errors import FormatError
from neurokit_snn.io.foreign import built, existing, frame_times

__all__ = ["read_deeplabcut"]

_HEADS = (("scorer", "bodyparts", "coords"), ("scorer", "individuals", "bodyparts", "coords"))
_AXES = ("x", "y", "z")


def read_deeplabcut(path: str | os.PathLike[str], *, sampling_rate: float) -> xr.DataTree:
    r"""Read the tracks of one video from a DeepLabCut CSV file, of one animal or several.

    DeepLabCut's HDF5 files keep the names of their columns as pickled Python objects, which are never opened
    here: write the tracks as CSV (``save_as_csv=True``).

    Parameters
    ----------
    path
        File ``...DLC_....csv`` with three header rows, or four if there are several animals.
    sampling_rate
        Frames per second of the video.

    Returns
    -------
    recording
        ``/behavior/pose`` with ``value (time, bodypart, axis)`` in pixels and ``/behavior/pose_likelihood``
        ``(time, bodypart)``, or one such pair for each animal, by name; seconds count from frame 0.

    Raises
    ------
    FormatError
        When the file is missing, damaged or of another layout, naming the line.
    RecordingError
        When its frames are not in order.

    References
    ----------
    The layout is that of the DeepLabCut documentation, "Standard user guide", analysed
    videos (deeplabcut.github.io).

    Examples
    --------
    >>> import tempfile
    >>> from neurokit_snn import io
    >>> lines = ["scorer,net,net,net", "bodyparts,nose,nose,nose", "coords,x,y,likelihood", "0,1.5,2.5,0.9"]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.csv")
    ...     _ = path.write_text("\n".join(lines))
    ...     io.read_deeplabcut(path, sampling_rate=50.0)["behavior/pose"]["value"].values
    array([[[1.5, 2.5]]])
    """
    source = existing(path)
    if source.suffix in (".h5", ".hdf5"):
        raise FormatError(
            f"{path}: DeepLabCut's HDF5 files name their columns in pickled objects, which are not opened; "
            "export CSV (save_as_csv=True)"
        )
    head, rows = _table(source)
    frames = rows[:, 0]
    if np.any(frames != np.round(frames)):
        line = int(np.argmax(frames != np.round(frames))) + len(head) + 1
        raise FormatError(
            f"{path}: line {line}: frame {frames[line - len(head) - 1]} is no whole number; another layout?"
        )
    time = frame_times(frames, sampling_rate, source)
    behavior: dict[str, Any] = {}
    for animal, columns in _animals(head, source).items():
        behavior |= _nodes(animal, columns, time, rows, source)
    return built(
        source, behavior=behavior, source=f"DeepLabCut {head[0][1] if len(head[0]) > 1 else ''}".strip()
    )


def _table(path: Path) -> tuple[list[list[str]], np.ndarray]:
    """Return the header rows, and all numbers as (frame, column)."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.reader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"{path}: not a CSV file ({error}); another format?") from error
    names = tuple(line[0] if line else "" for line in lines[:4])
    size = next((len(head) for head in _HEADS if names[: len(head)] == head), None)
    if size is None:
        raise FormatError(
            f"{path}: first column starts {names}, expected {_HEADS[0]} or {_HEADS[1]}; no DeepLabCut file"
        )
    head = lines[:size]
    body = [line for line in lines[size:] if line]
    width = len(head[0])
    for number, line in itertools.chain(enumerate(head, 1), enumerate(body, size + 1)):
        if len(line) != width:
            raise FormatError(
                f"{path}: line {number} has {len(line)} fields, the first has {width}; is the file cut?"
            )
    numbers = np.empty((len(body), width))
    for i, line in enumerate(body):
        try:
            numbers[i] = [float(field) if field else np.nan for field in line]
        except ValueError as error:
            raise FormatError(f"{path}: line {i + size + 1}: {error}; is the file damaged?") from error
    return head, numbers


def _animals(head: list[list[str]], path: Path) -> dict[str, dict[tuple[str, str], int]]:
    """Return ``{animal: {(bodypart, coordinate): column}}``."""
    single = len(head) == 3
    found: dict[str, dict[tuple[str, str], int]] = {}
    for column in range(1, len(head[0])):
        animal = "pose" if single else head[1][column]
        key = (head[-2][column], head[-1][column])
        columns = found.setdefault(animal, {})
        if key in columns:
            raise FormatError(
                f"{path}: columns {columns[key] + 1} and {column + 1} are both {key[0]} {key[1]}; rename one"
            )
        columns[key] = column
    return found


def _nodes(
    animal: str, columns: dict[tuple[str, str], int], time: np.ndarray, rows: np.ndarray, path: Path
) -> dict[str, Any]:
    """Return the behaviour nodes of one animal."""
    parts = list(dict.fromkeys(part for part, _ in columns))
    axes = [axis for axis in _AXES if any(name == axis for _, name in columns)]
    if not axes:
        raise FormatError(
            f"{path}: {animal} has no columns x and y; its coords are {sorted({c for _, c in columns})}"
        )
    value = np.full((len(time), len(parts), len(axes)), np.nan)
    likelihood = np.full((len(time), len(parts)), np.nan)
    for (part, name), column in columns.items():
        if name in axes:
            value[:, parts.index(part), axes.index(name)] = rows[:, column]
        elif name == "likelihood":
            likelihood[:, parts.index(part)] = rows[:, column]
    name = animal.replace("/", "_") or "pose"
    labels = {"bodypart": np.array(parts)}
    pose = {
        "time": time,
        "value": value,
        "units": "px",
        "dims": ("bodypart", "axis"),
        "coords": {**labels, "axis": np.array(axes)},
    }
    nodes: dict[str, Any] = {name: pose}
    if any(coordinate == "likelihood" for _, coordinate in columns):
        nodes[f"{name}_likelihood"] = {
            "time": time,
            "value": likelihood,
            "units": "",
            "dims": ("bodypart",),
            "coords": labels,
        }
    return nodes
