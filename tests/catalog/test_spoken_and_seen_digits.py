"""Spoken digits and digits before an event camera: both forms of each, and what the cards say."""

from __future__ import annotations

import io as streams
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy.io import wavfile

from neurokit_snn import catalog, recording
from neurokit_snn.catalog import fsdd, nmnist
from neurokit_snn.errors import CatalogError
from neurokit_snn.io.nmnist import decode_events
from neurokit_snn.testing import assert_recordings_equal


def _folder(name: str) -> Path:
    folder = Path(os.environ.get("NEUROKIT_DATA", "")) / name
    if not os.environ.get("NEUROKIT_DATA") or not folder.is_dir():
        pytest.skip(f"NEUROKIT_DATA holds no folder {name}")
    return folder


def _wav(sound: np.ndarray, rate: int = 8000) -> bytes:
    stream = streams.BytesIO()
    wavfile.write(stream, rate, sound)
    return stream.getvalue()


def _archive(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as out:
        for name, content in files.items():
            out.writestr(f"repository-26eb9aa/{name}", content)
    return path


def test_fsdd_is_the_same_from_both_forms(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    names = [(9, "theo", 10), (0, "jackson", 2), (0, "george", 12), (0, "george", 4)]
    sounds = {clip: rng.integers(-900, 900, 50 + 7 * i).astype(np.int16) for i, clip in enumerate(names)}
    zipped = _archive(
        tmp_path / "free-spoken-digit-dataset.zip",
        {f"recordings/{d}_{s}_{t}.wav": _wav(sound) for (d, s, t), sound in sounds.items()}
        | {"README.md": b""},
    )
    arrays = {
        "audio": np.concatenate(list(sounds.values())),
        "offsets": np.cumsum([0, *(sound.size for sound in sounds.values())]),
        "label": np.array([d for d, _, _ in names], np.uint8),
        "speaker": np.array([2, 1, 0, 0], np.uint8),
        "speaker_names": np.array(["george", "jackson", "theo"]),
        "take": np.array([t for _, _, t in names], np.uint8),
        "fs": np.int64(8000),
    }
    np.savez(tmp_path / "fsdd.npz", **arrays)
    prepared = fsdd.read_prepared({"fsdd.npz": tmp_path / "fsdd.npz"})
    with pytest.raises(CatalogError, match="4 clips, expected 3000"):
        fsdd.read_origin({zipped.name: zipped})
    monkeypatch.setattr(fsdd, "N_CLIPS", 4)
    origin = fsdd.read_origin({zipped.name: zipped})
    xr.testing.assert_identical(origin, prepared)
    assert prepared["digit"].values.tolist() == [0, 0, 0, 9]
    assert prepared["speaker"].values.tolist() == ["george", "george", "jackson", "theo"]
    assert prepared["take"].values.tolist() == [4, 12, 2, 10]
    assert prepared["split"].values.tolist() == ["test", "train", "test", "train"]
    np.testing.assert_array_equal(
        prepared["sound"].values[: sounds[0, "george", 4].size], sounds[0, "george", 4]
    )


def test_fsdd_refuses_another_sampling_rate(tmp_path):
    zipped = _archive(tmp_path / "a.zip", {"recordings/0_theo_0.wav": _wav(np.zeros(9, np.int16), 16000)})
    with pytest.raises(CatalogError, match=r"0_theo_0\.wav is int16 of shape \(9,\) at 16000 Hz"):
        fsdd.read_wavs(zipped)
    (tmp_path / "b.zip").write_bytes(b"PK")
    with pytest.raises(CatalogError, match=r"cannot be read as \.zip"):
        fsdd.read_wavs(tmp_path / "b.zip")


def test_fsdd_is_what_its_card_says():
    _folder("fsdd")
    clips = catalog.open("fsdd")
    assert isinstance(clips, xr.Dataset)
    assert dict(clips.sizes) == {"sample": 10_498_424, "clip": 3000}
    assert int(clips["row_size"].sum()) == 10_498_424
    seconds = clips["row_size"].values / clips.attrs["sampling_rate"]
    assert (seconds.min() > 0.14, seconds.max() < 2.29, round(seconds.mean(), 2)) == (True, True, 0.44)
    names, counts = np.unique(clips["speaker"], return_counts=True)
    assert names.tolist() == ["george", "jackson", "lucas", "nicolas", "theo", "yweweler"]
    assert counts.tolist() == [500] * 6
    assert np.bincount(clips["digit"]).tolist() == [300] * 10
    assert int((clips["split"] == "test").sum()) == 300


def test_nmnist_is_the_same_from_both_forms(tmp_path):
    def event(x: int, y: int, p: int, microsecond: int) -> bytes:
        return (x << 32 | y << 24 | p << 23 | microsecond).to_bytes(5, "big")

    samples = {
        1: [(1, 2, 1, 10), (3, 4, 0, 63_010)],
        2: [(5, 6, 0, 0)],
        60_001: [(7, 8, 1, 40_000), (33, 0, 1, 40_000)],
    }
    folder = "test/test_files/NMNISTsmall"
    labels = {"train1K.txt": b"#sample #class\n1\t5\n2\t0\n", "test100.txt": b"#sample #class\n60001\t7\n"}
    zipped = _archive(
        tmp_path / "slayerPytorch.zip",
        {f"{folder}/{i}.bs2": b"".join(event(*e) for e in events) for i, events in samples.items()}
        | {f"{folder}/{name}": text for name, text in labels.items()},
    )
    flat = np.array([e for events in samples.values() for e in events])
    steps = np.concatenate([np.diff([0, *(e[3] for e in events)]) for events in samples.values()])
    np.savez(
        tmp_path / "nmnist_small.npz",
        x=flat[:, 0].astype(np.uint8),
        y=flat[:, 1].astype(np.uint8),
        p=np.packbits(flat[:, 2].astype(np.uint8)),
        dt_us=steps.astype(np.uint16),
        offsets=np.array([0, 2, 3, 5]),
        label=np.array([5, 0, 7], np.uint8),
        sample_id=np.array([1, 2, 60_001], np.int32),
    )
    prepared = nmnist.read_prepared({"nmnist_small.npz": tmp_path / "nmnist_small.npz"})
    assert_recordings_equal(nmnist.read_origin({zipped.name: zipped}), prepared)
    assert prepared["trials"]["split"].values.tolist() == ["train", "train", "test"]
    assert prepared["trials"]["mnist_index"].values.tolist() == [0, 1, 0]
    assert prepared["stimulus/dvs"]["time"].values.tolist() == pytest.approx([1e-5, 0.06301, 0.4, 0.84, 0.84])
    _archive(zipped, {f"{folder}/1.bs2": event(0, 0, 0, 0), f"{folder}/train1K.txt": b"2\t5\n"})
    with pytest.raises(CatalogError, match="sample 1 has no file or no label"):
        nmnist.read_origin({zipped.name: zipped})


def test_nmnist_is_what_its_card_says():
    _folder("nmnist_small")
    tree = catalog.open("nmnist")
    recording.validate(tree)
    events, trials = tree["stimulus/dvs"].to_dataset(), tree["trials"].to_dataset()
    assert events.sizes["event"] == 4_518_827
    assert {axis: (int(events[axis].min()), int(events[axis].max())) for axis in "xyp"} == {
        "x": (0, 33),
        "y": (0, 33),
        "p": (0, 1),
    }
    own = np.searchsorted(events["time"].values, trials["start"].values)
    size = np.diff([*own, events.sizes["event"]])
    assert (size.min(), size.max()) == (1069, 7152)
    last = events["time"].values[own + size - 1] - trials["start"].values
    assert 0.2968 < last.min() < last.max() < 0.3361
    assert np.bincount(trials["digit"][:1000]).tolist() == [97, 116, 99, 93, 105, 92, 94, 117, 87, 100]
    _folder("mnist")
    digits = catalog.open("mnist")
    for split in ("train", "test"):
        of_mnist = digits["label"].values[digits["split"].values == split]
        own_split = trials.isel(trial=trials["split"].values == split)
        np.testing.assert_array_equal(own_split["digit"], of_mnist[own_split["mnist_index"].values])


def test_a_published_file_is_decoded():
    path = _folder("nmnist_small") / "sample_nmnist.bin"
    events = decode_events(path.read_bytes(), name=path.name)
    assert events.x.size == 4325
    assert [events.x[:3].tolist(), events.y[:3].tolist(), events.p[:3].tolist()] == [
        [7, 19, 21],
        [15, 18, 17],
        [1, 0, 0],
    ]
    assert events.microsecond[:3].tolist() == [654, 2999, 3017]
    assert int(events.microsecond[-1]) == 311_175
    assert max(events.x.max(), events.y.max()) == 33
