"""Sounds to spikes: the filter bank by value, the neurons by their equation, the layout by what breaks it."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neurokit_snn import io, recording
from neurokit_snn.errors import FormatError
from neurokit_snn.testing import assert_recordings_equal

RATE = 8000.0


def _tone(hertz: float, seconds: float = 0.5, *, loud: float = 1.0) -> np.ndarray:
    return loud * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)


def test_filters_are_those_of_slaney_by_value():
    """Four bands from 0 to 4000 Hz: 15 + ln 4 / (ln 6.4 / 27) = 35.163760 mel in five equal parts."""
    bank = io.mel_filters(4, sampling_rate=RATE, n_fft=16)
    # 7.032752, 14.065504, 21.098256, 28.131008 mel; a mel is 200/3 Hz up to 15, then a factor of 6.4 ** (1/27).
    edges = np.array([0.0, 468.850138, 937.700275, 1520.844773, 2466.450707, 4000.0])
    expected = np.zeros((4, 9))
    for band, (low, top, high) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        for k in range(9):  # frequencies 0, 500, ..., 4000 Hz
            f = 500.0 * k
            up, down = (f - low) / (top - low), (high - f) / (high - top)
            expected[band, k] = 2.0 / (high - low) * max(0.0, min(up, down))
    np.testing.assert_allclose(bank, expected, rtol=1e-6, atol=1e-12)
    # And two of them worked out by hand: (937.700 - 500) / 468.850 * 2 / 937.700; (1520.845 - 1500) / 583.144 * 2 / 1051.995.
    assert bank[0, 1] == pytest.approx(1.991172e-3, rel=1e-6)
    assert bank[1, 3] == pytest.approx(6.79575e-5, rel=1e-6)


def test_each_filter_has_area_one():
    bank = io.mel_filters(40, sampling_rate=16000.0, n_fft=8192)
    np.testing.assert_allclose(bank.sum(1) * 16000.0 / 8192, 1.0, atol=0.01)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"low": 3000.0, "high": 2000.0}, "bands from 3000 to 2000 Hz; give 0 <= low < high <= 4000"),
        ({"high": 5000.0}, "to 5000 Hz"),
        ({"channels": 0}, "channels is 0"),
        ({"channels": 200}, r"band 0 \(0 to .* Hz\) lies between two frequencies of n_fft=64"),
    ],
)
def test_bank_that_cannot_be(fields, message):
    with pytest.raises(FormatError, match=message):
        io.mel_filters(**({"channels": 20, "sampling_rate": RATE, "n_fft": 64} | fields))


def test_spikes_count_the_integral_of_the_envelope():
    """A band at the reference level fires at the largest rate; one 25 dB below half as fast; at 50 dB it is silent."""
    clips = io.audio_clips([_tone(1000.0, 1.0)], sampling_rate=RATE)
    tree = io.mel_spikes(clips, channels=20, max_rate=100.0, dynamic_range=50.0)
    counts = tree["spikes"]["row_size"].values
    assert counts.max() == 99 or counts.max() == 100
    times = recording.spike_times(tree, int(counts.argmax()))
    np.testing.assert_allclose(np.diff(times)[5:-5], 0.01, atol=1e-3)
    two = io.audio_clips(
        [np.concatenate([_tone(1000.0), _tone(1000.0, loud=10 ** (-25 / 20))])], sampling_rate=RATE
    )
    times = recording.spike_times(io.mel_spikes(two, channels=20, max_rate=100.0), int(counts.argmax()))
    assert (times < 0.48).sum() == pytest.approx(48, abs=1)
    assert ((times > 0.52) & (times < 0.98)).sum() == pytest.approx(23, abs=1)
    faint = io.audio_clips(
        [np.concatenate([_tone(1000.0), _tone(1000.0, loud=10 ** (-51 / 20))])], sampling_rate=RATE
    )
    assert recording.spike_times(io.mel_spikes(faint, channels=20), int(counts.argmax())).max() < 0.53


def test_units_are_bands_and_the_tone_finds_its_own():
    for hertz in (300.0, 800.0, 2500.0):
        tree = io.mel_spikes(io.audio_clips([_tone(hertz)], sampling_rate=RATE), channels=30)
        best = float(tree["units"]["frequency"][tree["spikes"]["row_size"].values.argmax()])
        assert abs(np.log(best / hertz)) < 0.12


def test_loudness_of_a_clip_does_not_matter_and_neither_does_its_dtype():
    rng = np.random.default_rng(0)
    sound = (1000 * rng.standard_normal(3000)).astype(np.int16)
    one = io.mel_spikes(io.audio_clips([sound], sampling_rate=RATE))
    other = io.mel_spikes(io.audio_clips([sound.astype(np.float64) * 8.0], sampling_rate=RATE))
    assert one["spikes"].sizes["spike"] > 100
    assert_recordings_equal(one, other)


def test_clips_are_trials_with_their_columns():
    clips = io.audio_clips(
        [_tone(500.0, 0.3), np.zeros(800), _tone(2000.0, 0.2)],
        sampling_rate=RATE,
        columns={"digit": [4, 0, 9], "speaker": ["ada", "bob", "ada"]},
        licence="CC0",
    )
    tree = io.mel_spikes(clips, gap=0.25)
    assert tree.attrs["licence"] == "CC0"
    assert tree["trials"]["start"].values.tolist() == pytest.approx([0.0, 0.55, 0.9])
    assert tree["trials"]["stop"].values.tolist() == pytest.approx([0.3, 0.65, 1.1])
    data = recording.bin_trials(tree, 0.01)
    held_out = data.isel(trial=data["speaker"].values == "bob")
    assert held_out["digit"].values.tolist() == [0]
    assert int(held_out["counts"].sum()) == 0, "a silent clip has no spikes"
    assert int(data["counts"].sum()) == tree["spikes"].sizes["spike"], "all spikes lie in their trials"
    # A clip alone gives what it gives among others.
    alone = io.mel_spikes(clips.isel(clip=[2], sample=slice(3200, None)))
    np.testing.assert_allclose(
        alone["spikes"]["time"].values + 0.9, tree["spikes"]["time"].values[_of_last(tree)], atol=1e-12
    )


def _of_last(tree: xr.DataTree) -> np.ndarray:
    return tree["spikes"]["time"].values >= tree["trials"]["start"].values[-1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.drop_vars("row_size"), r"row_size \('clip',\) is missing"),
        (lambda a: a.assign_attrs(sampling_rate=-1.0), "sampling_rate is -1"),
        (lambda a: a.isel(sample=slice(0, 70)), "row_size sums to 80 and there are 70 samples"),
        (lambda a: a.assign(sound=a["sound"].where(a["sample"] != 45)), "clip 1, sample 5 is nan"),
    ],
)
def test_layouts_that_are_wrong(change, message):
    clips = io.audio_clips([np.ones(40), np.ones(40)], sampling_rate=RATE).assign_coords(sample=np.arange(80))
    with pytest.raises(FormatError, match=message):
        io.mel_spikes(change(clips))


def test_clips_that_are_wrong():
    with pytest.raises(FormatError, match="no clips"):
        io.audio_clips([], sampling_rate=RATE)
    with pytest.raises(FormatError, match=r"clip 1 is float64 of shape \(4, 2\); give one channel"):
        io.audio_clips([np.zeros(3), np.zeros((4, 2))], sampling_rate=RATE)
    with pytest.raises(FormatError, match=r"column 'digit' has shape \(1,\) for 2 clips"):
        io.audio_clips([np.zeros(3), np.zeros(4)], sampling_rate=RATE, columns={"digit": [1]})
    with pytest.raises(FormatError, match="mel_spikes: max_rate is 0"):
        io.mel_spikes(io.audio_clips([np.zeros(3)], sampling_rate=RATE), max_rate=0.0)
