"""The songbird recording: calcium of HVC neurons and the spectrogram of the song, 22 s."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from neurokit_snn.catalog.entries import ENTRIES
from neurokit_snn.errors import CatalogError
from neurokit_snn.recording import build

__all__ = ["read_origin"]


def read_origin(files: dict[str, Path]) -> xr.DataTree:
    """The recording from ``MackeviciusData.mat`` and the events of the same session from ``songbird_spikes.txt``.

    The two sources share one clock that begins with the recording: frame ``k`` of the camera is at ``(k + 1) / 30`` s, as in
    the events, whose first is at 0.033 s. Column ``k`` of the spectrogram covers ``[k, k + 1) / 200`` s; its middle is its time.
    The events are the frames in which a trace is above zero, in another order of units: each unit of the events is found among
    the traces by its pattern, and its times stand in ``/spikes`` under the number of the trace.
    """
    from scipy.io import loadmat

    found = loadmat(files["MackeviciusData.mat"])
    calcium, song = found["NEURAL"].T, found["SONG"].T  # (frame, unit), (column, frequency)
    video_hz, song_hz = float(found["VIDEOfs"].item()), float(found["SONGfs"].item())
    frame_time = (np.arange(calcium.shape[0]) + 1) / video_hz
    song_time = (np.arange(song.shape[0]) + 0.5) / song_hz
    entry = ENTRIES["songbird-hvc"]
    return build(
        spikes=_events(files["songbird_spikes.txt"], calcium, video_hz),
        calcium={"time": frame_time, "value": calcium, "units": "arbitrary"},
        behavior={
            "song": {
                "time": song_time,
                "value": song,
                "units": "arbitrary",
                "dims": ("time", "frequency"),
                "coords": {"frequency": np.arange(song.shape[1])},
            }
        },
        session_id=entry.name,
        source="https://github.com/FeeLab/seqNMF",
        licence=entry.licence,
        citation=entry.citation,
    )


def _events(path: Path, calcium: np.ndarray, video_hz: float) -> dict[int, np.ndarray]:
    """Times of the events of each trace ``calcium (frame, unit)``, by the number of the trace (from 1)."""
    rows = np.loadtxt(path)
    if rows.ndim != 2 or rows.shape[1] != 2:
        raise CatalogError(f"{path}: rows of shape {rows.shape}, expected (unit, time) pairs")
    patterns = {np.flatnonzero(trace > 0).tobytes(): k + 1 for k, trace in enumerate(calcium.T)}
    trains: dict[int, np.ndarray] = {k + 1: np.empty(0) for k in range(calcium.shape[1])}
    for label in np.unique(rows[:, 0]):
        times = np.sort(rows[rows[:, 0] == label, 1])
        frames = np.rint(times * video_hz).astype(np.int64) - 1
        unit = patterns.get(frames.tobytes())
        if unit is None:
            raise CatalogError(
                f"{path}: the events of unit {label:g} are those of no trace; fetch both files again"
            )
        trains[unit] = times
    return trains
