"""Free spoken digits: clips of six speakers, from the prepared arrays or from the published WAV files."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import numpy as np
import xarray as xr

from neurokit_snn.catalog.entries import ENTRIES
from neurokit_snn.catalog.npz import read_arrays
from neurokit_snn.errors import CatalogError
from neurokit_snn.io.audio import audio_clips

__all__ = ["read_origin", "read_prepared", "read_wavs"]

SAMPLING_RATE = 8000
N_CLIPS = 3000
TEST_TAKES = 5
"""Takes 0 to 4 of each digit and speaker are the official test set."""

_WAV = re.compile(r"recordings/(\d)_([a-z]+)_(\d+)\.wav$")


def read_prepared(files: dict[str, Path]) -> xr.Dataset:
    """The clips from ``fsdd.npz``."""
    path = files["fsdd.npz"]
    names = ("audio", "offsets", "label", "speaker", "speaker_names", "take", "fs")
    arrays = read_arrays(path, names)
    if int(arrays["fs"]) != SAMPLING_RATE:
        raise CatalogError(
            f"{path}: sampled at {int(arrays['fs'])} Hz, expected {SAMPLING_RATE}; fetch it again"
        )
    sounds = np.split(arrays["audio"], arrays["offsets"][1:-1])
    speaker = arrays["speaker_names"][arrays["speaker"]]
    return _dataset(sounds, digit=arrays["label"], speaker=speaker, take=arrays["take"])


def read_origin(files: dict[str, Path]) -> xr.Dataset:
    """The clips from the archive of the repository.

    Raises
    ------
    CatalogError
        When it does not hold 3000 clips.
    """
    path = files["free-spoken-digit-dataset.zip"]
    clips = read_wavs(path)
    if len(clips) != N_CLIPS:
        raise CatalogError(f"{path}: {len(clips)} clips, expected {N_CLIPS}; fetch the archive again")
    digit, speaker, take = zip(*clips, strict=True)
    return _dataset(list(clips.values()), digit=digit, speaker=speaker, take=take)


def read_wavs(path: Path) -> dict[tuple[int, str, int], np.ndarray]:
    """Sounds (sample,) of the files ``recordings/DIGIT_SPEAKER_TAKE.wav`` of an archive, by digit, speaker and take.

    Raises
    ------
    CatalogError
        When the archive is damaged, or a file is not 16-bit mono at 8 kHz, naming it.
    """
    from scipy.io import wavfile

    found: dict[tuple[int, str, int], np.ndarray] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if match := _WAV.search(name):
                    rate, sound = wavfile.read(io.BytesIO(archive.read(name)))
                    if (rate, sound.dtype, sound.ndim) != (SAMPLING_RATE, np.int16, 1):
                        raise CatalogError(
                            f"{path}: {name} is {sound.dtype} of shape {sound.shape} at {rate} Hz, expected 16-bit mono at "
                            f"{SAMPLING_RATE} Hz; fetch the archive again"
                        )
                    found[int(match[1]), match[2], int(match[3])] = sound
    except zipfile.BadZipFile as error:
        raise CatalogError(f"{path}: cannot be read as .zip ({error}); fetch it again") from error
    return found


def _dataset(sounds: list[np.ndarray], *, digit: object, speaker: object, take: object) -> xr.Dataset:
    """The clips in the order of digit, speaker and take, with the official split."""
    entry = ENTRIES["fsdd"]
    columns = {
        "digit": np.asarray(digit, np.int64),
        "speaker": np.asarray(speaker),
        "take": np.asarray(take, np.int64),
    }
    order = np.lexsort((columns["take"], columns["speaker"], columns["digit"]))
    columns = {name: values[order] for name, values in columns.items()}
    columns["split"] = np.where(columns["take"] < TEST_TAKES, "test", "train")
    return audio_clips(
        [sounds[i] for i in order],
        sampling_rate=float(SAMPLING_RATE),
        columns=columns,
        session_id=entry.name,
        licence=entry.licence,
        citation=entry.citation,
        source="https://github.com/Jakobovski/free-spoken-digit-dataset",
    )
