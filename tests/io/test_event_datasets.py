"""Small files in the published layouts of SHD/SSC and N-MNIST, whole and broken."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from neurokit_snn import io, recording
from neurokit_snn.errors import FormatError, RecordingError

TIMES = [[0.5, 0.25, 1.125], [], [0.0, 0.75, 0.75, 0.75]]
UNITS = [[3, 699, 3], [], [10, 3, 3, 3]]


@pytest.fixture
def shd(tmp_path) -> Path:
    path = tmp_path / "shd_test.h5"
    with h5py.File(path, "w") as file:
        for name, dtype, rows in (("times", "f2", TIMES), ("units", "u2", UNITS)):
            made = file.create_dataset(f"spikes/{name}", (3,), h5py.vlen_dtype(dtype))
            for i, row in enumerate(rows):
                made[i] = np.array(row, dtype)
        file["labels"] = np.array([1, 0, 1], np.uint16)
        file["extra/speaker"] = np.array([4, 2, 2], np.uint16)
        file["extra/keys"] = np.array([b"zero", b"null"])
        file["extra/meta_info/gender"] = np.array([b"f", b"m", b"f", b"m", b"f"])
        file["extra/meta_info/age"] = np.array([20, 30, 40, 50, 60], np.uint16)
    return path


def test_shd(shd):
    tree = io.read(shd)
    recording.validate(tree)
    assert tree["units"].sizes["unit"] == 700
    assert tree["trials"]["start"].values.tolist() == [0.0, 1.5, 3.0]
    assert tree["trials"]["stop"].values.tolist() == [1.4, 2.9, 4.4]
    assert recording.spike_times(tree, 699).tolist() == [0.25]
    assert recording.spike_times(tree, 3)[:2].tolist() == [0.5, 1.125]
    trials = tree["trials"].to_dataset()
    assert {
        name: trials[name].values.tolist() for name in ("label", "word", "speaker", "gender", "age", "sample")
    } == {
        "label": [1, 0, 1],
        "word": ["null", "zero", "null"],
        "speaker": [4, 2, 2],
        "gender": ["f", "f", "f"],
        "age": [60, 40, 40],
        "sample": [0, 1, 2],
    }
    # Three spikes of one unit at one 16-bit time stay three spikes, in the bin they were in.
    data = recording.bin_trials(tree, 0.25, behavior=False)
    assert data["counts"].sel(unit=3).values[2].tolist() == [0, 0, 0, 3, 0]
    assert int(data["counts"].sum()) == 7
    assert np.ptp(recording.spike_times(tree, 3)[2:]) < 1e-14


def test_shd_coinciding_spikes(shd):
    assert io.read_shd(shd, duplicates="drop")["spikes"].sizes["spike"] == 5
    with pytest.raises(RecordingError, match=r"shd_test\.h5.*spikes\.duplicates"):
        io.read_shd(shd, duplicates="error")
    with pytest.raises(FormatError, match="duplicates='keep'"):
        io.read_shd(shd, duplicates="keep")


@pytest.mark.parametrize(
    ("samples", "expected"), [([2, 0], [0, 2]), (slice(1, None), [1, 2]), (np.array([1]), [1])]
)
def test_some_samples_of_shd(shd, samples, expected):
    tree = io.read(shd, samples=samples)
    assert tree["trials"]["sample"].values.tolist() == expected
    assert tree["spikes"].sizes["spike"] == sum(len(TIMES[i]) for i in expected)


def test_ssc_has_no_speakers(shd):
    with h5py.File(shd, "a") as file:
        del file["extra"]
    assert set(io.read_shd(shd)["trials"].data_vars) == {"start", "stop", "label", "sample"}


def _replaced(file: h5py.File, name: str, value: object) -> None:
    del file[name]
    file[name] = value


BROKEN = {
    "labels": (lambda f: f.pop("labels"), "no dataset 'labels' in it"),
    "flat": (
        lambda f: _replaced(f, "spikes/times", np.zeros(3)),
        r"spikes/times is float64 \(3,\); expected ragged rows",
    ),
    "uneven": (
        lambda f: f["spikes/times"].__setitem__(2, np.zeros(3, "f2")),
        "sample 2 has 3 times and 4 units",
    ),
    "more labels": (
        lambda f: _replaced(f, "labels", np.arange(4)),
        r"labels \(4,\); expected one row a sample",
    ),
    "late": (
        lambda f: f["spikes/times"].__setitem__(0, np.array([0, 1.5, 1], "f2")),
        r"sample 0 has a spike at 1\.500 s",
    ),
    "nan": (
        lambda f: f["spikes/times"].__setitem__(0, np.array([0, np.nan, 1], "f2")),
        "sample 0 has a spike at nan s",
    ),
    "unit": (
        lambda f: f["spikes/units"].__setitem__(0, np.array([0, 700, 1], "u2")),
        "sample 0 has a spike of unit 700",
    ),
    "negative": (lambda f: _replaced(f, "labels", np.array([1, -1, 0])), "labels hold -1"),
    "nobody": (
        lambda f: _replaced(f, "extra/speaker", np.array([4, -2, 2])),
        "extra/speaker holds -2",
    ),
    "words": (lambda f: _replaced(f, "extra/keys", np.array([b"zero"])), "label 1 and 1 words"),
    "speakers": (
        lambda f: _replaced(f, "extra/speaker", np.zeros(2, int)),
        r"extra/speaker is \(2,\) for 3 samples",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_broken_shd(shd, how):
    change, message = BROKEN[how]
    with h5py.File(shd, "a") as file:
        change(file)
    with pytest.raises(FormatError, match=message):
        io.read_shd(shd)


def test_shd_samples_that_are_not_there(shd):
    with pytest.raises(FormatError, match=r"samples \[3\]; give numbers from 0 to 2"):
        io.read_shd(shd, samples=[3])


def test_trials_have_to_last(shd, nmnist):
    with pytest.raises(FormatError, match=r"shd_test\.h5: duration is nan"):
        io.read_shd(shd, duration=float("nan"))
    with pytest.raises(FormatError, match=r"Train: duration is 0\.0; give the seconds of a trial"):
        io.read_nmnist(nmnist, duration=0.0)


def test_damaged_shd(shd):
    shd.write_bytes(shd.read_bytes()[:500])
    with pytest.raises(FormatError, match=r"shd_test\.h5"):
        io.read_shd(shd)


def _event(x: int, y: int, p: int, microsecond: int) -> bytes:
    return (x << 32 | y << 24 | p << 23 | microsecond).to_bytes(5, "big")


@pytest.fixture
def nmnist(tmp_path) -> Path:
    for digit, number, events in (
        (5, 1, [(7, 15, 1, 654), (33, 0, 0, 300_000)]),
        (0, 2, [(1, 2, 1, 0), (1, 2, 0, 0), (3, 4, 1, 100_000)]),
        (0, 22, [(9, 8, 1, 8_000)]),
    ):
        (tmp_path / "Train" / str(digit)).mkdir(parents=True, exist_ok=True)
        file = tmp_path / "Train" / str(digit) / f"{number:05d}.bin"
        file.write_bytes(b"".join(_event(*event) for event in events))
    return tmp_path / "Train"


def test_nmnist(nmnist):
    tree = io.read(nmnist)
    recording.validate(tree)
    events = tree["stimulus/dvs"].to_dataset()
    np.testing.assert_allclose(events["time"], [654e-6, 0.3, 0.4, 0.4, 0.5, 0.808], rtol=0, atol=1e-12)
    assert events["x"].values.tolist() == [7, 33, 1, 1, 3, 9]
    assert events["y"].values.tolist() == [15, 0, 2, 2, 4, 8]
    assert events["p"].values.tolist() == [1, 0, 1, 0, 1, 1]
    assert tree["trials"]["digit"].values.tolist() == [5, 0, 0]
    assert tree["trials"]["number"].values.tolist() == [1, 2, 22]
    frames = recording.bin_trials(tree, 0.1, stimulus=["dvs"])["stimulus_dvs"]
    assert int(frames.sum()) == 6
    assert frames.sel(trial=1, polarity=1).values[:, 2, 1].tolist() == [1, 0, 0]
    assert int(frames.sel(trial=1, polarity=1)[1, 4, 3]) == 1
    assert io.read_nmnist(nmnist, per_digit=1)["trials"].sizes["trial"] == 2


def test_broken_nmnist(nmnist):
    file = nmnist / "5" / "00001.bin"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    with pytest.raises(FormatError, match=r"00001\.bin: 9 bytes, which are no whole events"):
        io.read_nmnist(nmnist)
    file.write_bytes(whole[5:] + whole[:5])
    with pytest.raises(FormatError, match=r"event 1 is at 654 us, the one before at 300000 us"):
        io.read_nmnist(nmnist)
    file.write_bytes(_event(0, 0, 0, 400_000))
    with pytest.raises(FormatError, match=r"sample 0 has an event at 0\.400 s and trials are 0\.34 s long"):
        io.read_nmnist(nmnist)
    with pytest.raises(FormatError, match="no files DIGIT/NUMBER"):
        io.read_nmnist(nmnist.parent)
    with pytest.raises(FormatError, match="per_digit is 0"):
        io.read_nmnist(nmnist, per_digit=0)
