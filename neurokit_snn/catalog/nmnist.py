"""A part of N-MNIST: digits seen by an event camera, from the prepared arrays or from the published files."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np
import xarray as xr

from neurokit_snn.catalog.entries import ENTRIES
from neurokit_snn.catalog.npz import read_arrays
from neurokit_snn.errors import CatalogError
from neurokit_snn.io.nmnist import CameraEvents, decode_events, event_session

__all__ = ["read_origin", "read_prepared"]

DURATION = 0.34
"""Seconds of a trial; the longest recording lasts 0.3361 s, 98 in 100 0.300 to 0.314 s."""

N_TRAIN_MNIST = 60_000
"""Samples are numbered as in MNIST, from 1; those of the test set go on from 60001."""

_FILE = re.compile(r"NMNISTsmall/(\d+)\.bs2$")
_LABELS = re.compile(r"NMNISTsmall/(?:train1K|test100)\.txt$")


def read_prepared(files: dict[str, Path]) -> xr.DataTree:
    """The recording from ``nmnist_small.npz``."""
    path = files["nmnist_small.npz"]
    arrays = read_arrays(path, ("x", "y", "p", "dt_us", "offsets", "label", "sample_id"))
    size = np.diff(arrays["offsets"])
    total = np.cumsum(arrays["dt_us"].astype(np.int64))
    before = np.concatenate([[0], total])[arrays["offsets"][:-1]]  # times restart with each sample
    p = np.unpackbits(arrays["p"])[: total.size]
    events = CameraEvents(arrays["x"], arrays["y"], p, total - np.repeat(before, size))
    return _recording(events, size, label=arrays["label"], number=arrays["sample_id"], path=path)


def read_origin(files: dict[str, Path]) -> xr.DataTree:
    """The recording from the archive of the repository that carries the files, ``NMNISTsmall/NUMBER.bs2``.

    Raises
    ------
    CatalogError
        When the archive is damaged, or a sample has no label or a label no sample.
    FormatError
        When a file in it does not hold whole events in order.
    """
    path = files["slayerPytorch.zip"]
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            samples = {int(match[1]): name for name in names if (match := _FILE.search(name))}
            tables = [archive.read(name).decode() for name in names if _LABELS.search(name)]
            rows = [line.split() for text in tables for line in text.splitlines() if line[:1].isdigit()]
            labels = {int(number): int(label) for number, label in rows}
            if samples.keys() != labels.keys() or not samples:
                one = min(samples.keys() ^ labels.keys(), default=1)
                raise CatalogError(f"{path}: sample {one} has no file or no label; fetch the archive again")
            number = sorted(samples)
            parts = [decode_events(archive.read(samples[i]), name=f"{path}: {samples[i]}") for i in number]
    except zipfile.BadZipFile as error:
        raise CatalogError(f"{path}: cannot be read as .zip ({error}); fetch it again") from error
    events = CameraEvents(*(np.concatenate(part) for part in zip(*parts, strict=True)))
    size = np.array([part.x.size for part in parts])
    return _recording(
        events, size, label=np.array([labels[i] for i in number]), number=np.array(number), path=path
    )


def _recording(
    events: CameraEvents, size: np.ndarray, *, label: np.ndarray, number: np.ndarray, path: Path
) -> xr.DataTree:
    entry = ENTRIES["nmnist"]
    train = number <= N_TRAIN_MNIST
    columns = {
        "digit": label.astype(np.int64),
        "split": np.where(train, "train", "test"),
        "mnist_index": np.where(train, number - 1, number - N_TRAIN_MNIST - 1).astype(np.int64),
    }
    return event_session(
        events,
        size,
        columns,
        duration=DURATION,
        path=path,
        session_id=entry.name,
        source="https://github.com/bamsumit/slayerPytorch",
        licence=entry.licence,
        citation=entry.citation,
    )
