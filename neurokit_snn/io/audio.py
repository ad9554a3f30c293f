"""Audio -> spikes: short sounds through a mel filter bank and one integrate-and-fire neuron a band.

Sounds are kept ragged, one after another, as spikes are: a Dataset with ``sound (sample)``, ``row_size (clip)`` (samples of
each clip, attrs ``sample_dimension="sample"``), any columns ``(clip,)`` (digit, speaker, ...) and attrs ``sampling_rate`` (Hz).
It is no recording: clips of several people, taken on several days, share no clock and no subject. `mel_spikes` makes one of it,
a session in which the clips are played one after another and each is a trial with its columns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from neurokit_snn import recording
from neurokit_snn.errors import FormatError

__all__ = ["audio_clips", "mel_filters", "mel_spikes"]

Floats = NDArray[np.float64]

_LINEAR_HZ = 200.0 / 3.0  # a mel below 1 kHz
_LOG_STEP = math.log(6.4) / 27.0  # of the frequency, a mel above 1 kHz
_CORNER_HZ, _CORNER_MEL = 1000.0, 15.0


def audio_clips(
    sounds: Sequence[np.ndarray],
    *,
    sampling_rate: float,
    columns: Mapping[str, Any] | None = None,
    **attrs: str,
) -> xr.Dataset:
    """Sounds of any lengths as one dataset.

    Parameters
    ----------
    sounds
        One array (sample,) a clip, all of one dtype.
    sampling_rate
        Samples a second, Hz.
    columns
        ``{name: (clip,)}``: what is known of each clip.
    **attrs
        ``licence``, ``citation``, ``source``.

    Returns
    -------
    Dataset
        ``sound (sample)``, ``row_size (clip)``, the columns, attrs ``sampling_rate``.

    Raises
    ------
    FormatError
        When there are no clips, a clip is not flat, or a column has another length.

    Examples
    --------
    >>> clips = audio_clips([np.zeros(80), np.ones(40)], sampling_rate=8000.0, columns={"digit": [3, 5]})
    >>> clips["row_size"].values
    array([80, 40])
    """
    arrays = [np.asarray(sound) for sound in sounds]
    if not arrays:
        raise FormatError("audio: no clips; give at least one")
    for i, sound in enumerate(arrays):
        if sound.ndim != 1 or sound.dtype.kind not in "iuf":
            raise FormatError(
                f"audio: clip {i} is {sound.dtype} of shape {sound.shape}; give one channel of numbers, (sample,)"
            )
    made = xr.Dataset(
        {
            "sound": ("sample", np.concatenate(arrays)),
            "row_size": ("clip", [sound.size for sound in arrays], {"sample_dimension": "sample"}),
        },
        attrs={"sampling_rate": float(sampling_rate), **attrs},
    )
    for name, values in (columns or {}).items():
        if np.shape(values) != (len(arrays),):
            raise FormatError(
                f"audio: column {name!r} has shape {np.shape(values)} for {len(arrays)} clips; give one value a clip"
            )
        made[name] = ("clip", np.asarray(values))
    return made


def mel_filters(
    channels: int = 40,
    *,
    sampling_rate: float,
    n_fft: int,
    low: float = 0.0,
    high: float | None = None,
) -> Floats:
    """A bank of triangles at equal distances in mel, each of area 1 in Hz (Slaney's auditory toolbox, 1998; librosa's default).

    A mel is 200/3 Hz up to 1 kHz, and above that a factor of ``6.4 ** (1/27)``. The triangle of band m rises from edge m to edge
    m + 1 and falls to edge m + 2, and is ``2 / (edge[m+2] - edge[m])`` high.

    Parameters
    ----------
    channels
        How many triangles.
    sampling_rate
        Of the sound, Hz.
    n_fft
        Samples of the Fourier transform.
    low, high
        First and last edge, Hz; None for half the sampling rate.

    Returns
    -------
    ndarray, (channel, frequency)
        For the ``n_fft // 2 + 1`` frequencies of a real Fourier transform.

    Raises
    ------
    FormatError
        When the edges are out of order or beyond half the sampling rate, or a triangle lies between two frequencies.

    Examples
    --------
    >>> mel_filters(4, sampling_rate=8000.0, n_fft=16).shape
    (4, 9)
    """
    high = sampling_rate / 2 if high is None else high
    if not 0 <= low < high <= sampling_rate / 2:
        raise FormatError(
            f"mel_filters: bands from {low:g} to {high:g} Hz; give 0 <= low < high <= {sampling_rate / 2:g}"
        )
    edge = _band_edges(channels, low, high)
    frequency = np.fft.rfftfreq(n_fft, 1.0 / sampling_rate)
    rise = (frequency - edge[:-2, None]) / np.diff(edge)[:-1, None]
    fall = (edge[2:, None] - frequency) / np.diff(edge)[1:, None]
    bank = np.clip(np.minimum(rise, fall), 0.0, None) * (2.0 / (edge[2:] - edge[:-2]))[:, None]
    empty = np.flatnonzero(bank.sum(1) == 0.0)
    if empty.size:
        raise FormatError(
            f"mel_filters: band {empty[0]} ({edge[empty[0]]:.0f} to {edge[empty[0] + 2]:.0f} Hz) lies between two frequencies of "
            f"n_fft={n_fft}; take fewer channels or a longer window"
        )
    return np.asarray(bank)


def mel_spikes(
    audio: xr.Dataset,
    *,
    channels: int = 40,
    window: float = 0.032,
    hop: float = 0.005,
    low: float = 100.0,
    high: float | None = None,
    dynamic_range: float = 50.0,
    max_rate: float = 200.0,
    gap: float = 0.1,
) -> xr.DataTree:
    """Spikes of a filter bank that listens to clips: one unit a mel band, one trial a clip.

    With the power ``S[k, c]`` of frame k in band c (Hann window, `mel_filters`) and its largest value ``S_max`` in the clip,

        e[k, c] = clip(1 + 10 log10(S[k, c] / S_max) / dynamic_range, 0, 1)
        Q_c(t) = max_rate * integral of e[., c] from the clip's start to t
        spikes of c at Q_c(t) = 1, 2, 3, ...

    which is an integrate-and-fire neuron without leak, driven by a compressed envelope: loudness in decibels below the loudest
    moment of the clip becomes the rate, from 0 to ``max_rate``, and a spike's time is exact within a frame. It is deterministic.
    The alternatives: sending a spike at each change by some step keeps onsets and offsets, needs two units a band, and has
    nothing for a held vowel; one spike a band, later where it is softer, has one time for a whole word. Here the number of
    spikes in any stretch tells the envelope in it to within one spike, so nothing beyond the frame and the range is lost, and
    all spikes mean the same. A reference level per clip takes away how loud a speaker was, not who it was.

    Parameters
    ----------
    audio
        Clips as `audio_clips` makes them.
    channels
        Mel bands.
    window, hop
        Length of a frame and the time between two, s; rounded to two samples and to one.
    low, high
        Of the bank, Hz; None for half the sampling rate.
    dynamic_range
        How far below the loudest moment of a clip a band falls silent, dB.
    max_rate
        Of a unit, spikes/s.
    gap
        Silence between two clips, s.

    Returns
    -------
    recording
        ``/units`` with ``frequency (unit)``, the centre of the band in Hz; ``/spikes``; ``/trials`` with start and stop of each
        clip and the columns of ``audio``, so that trials can be chosen by speaker.

    Raises
    ------
    FormatError
        When the clips are not in the layout, a sample is not finite, or a number is out of range, naming it.

    References
    ----------
    Log-mel bands: Davis and Mermelstein, IEEE TASSP 28:357 (1980). The scale: Slaney, Interval technical report 1998-010. A
    cochlea with all its stages, which this is not, made the spikes of SHD: Cramer et al., IEEE TNNLS 33:2744 (2022).

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 440.0 * np.arange(4000) / 8000.0)
    >>> clips = audio_clips([tone, tone], sampling_rate=8000.0, columns={"speaker": ["ada", "bob"]})
    >>> tree = mel_spikes(clips, channels=20)
    >>> loudest = np.argmax(tree["spikes"]["row_size"].values)
    >>> round(float(tree["units"]["frequency"].values[loudest])), tree["trials"]["speaker"].values.tolist()
    (421, ['ada', 'bob'])
    """
    rate, starts = _checked(audio)
    for name, value in {
        "window": window,
        "hop": hop,
        "dynamic_range": dynamic_range,
        "max_rate": max_rate,
    }.items():
        if not (value > 0 and math.isfinite(value)):
            raise FormatError(f"mel_spikes: {name} is {value}; give a number above 0")
    if not (gap >= 0 and math.isfinite(gap)):
        raise FormatError(f"mel_spikes: gap is {gap}; give 0 or more")
    n_window = 2 * max(1, round(window * rate / 2))
    n_hop = max(1, round(hop * rate))
    bank = mel_filters(channels, sampling_rate=rate, n_fft=n_window, low=low, high=high)
    sound = audio["sound"].values
    length = np.diff(starts) / rate
    begin = np.concatenate([[0.0], np.cumsum(length + gap)])[:-1]
    times: list[Floats] = []
    units: list[np.ndarray] = []
    for clip, start in enumerate(begin):
        samples = sound[starts[clip] : starts[clip + 1]].astype(np.float64)
        envelope = _envelope(samples, bank, n_hop, dynamic_range)
        when, who = _integrate_and_fire(envelope, n_hop / rate, max_rate)
        inside = when < length[clip]
        times.append(start + when[inside])
        units.append(who[inside])
    edge = _band_edges(channels, low, rate / 2 if high is None else high)
    columns = {
        str(name): values.values for name, values in audio.variables.items() if values.dims == ("clip",)
    }
    del columns["row_size"]
    origin: dict[str, Any] = {
        name: str(audio.attrs.get(name, "")) for name in ("session_id", "source", "licence", "citation")
    }
    return recording.build(
        spikes=(np.concatenate(times), np.concatenate(units)),
        units={"unit": np.arange(channels), "frequency": edge[1:-1]},
        trials={"start": begin, "stop": begin + length, **columns},
        **origin,
    )


def _band_edges(channels: int, low: float, high: float) -> Floats:
    """Edges of the triangles ``(channel + 2,)``, Hz."""
    if channels < 1:
        raise FormatError(f"mel_filters: channels is {channels}; give 1 or more")
    first, last = _mel(np.array([low, high]))
    return _hertz(np.linspace(first, last, channels + 2))


def _mel(hertz: Floats) -> Floats:
    above = np.log(np.maximum(hertz, _CORNER_HZ) / _CORNER_HZ) / _LOG_STEP
    return np.where(hertz < _CORNER_HZ, hertz / _LINEAR_HZ, _CORNER_MEL + above)


def _hertz(mel: Floats) -> Floats:
    above = _CORNER_HZ * np.exp(_LOG_STEP * (mel - _CORNER_MEL))
    return np.where(mel < _CORNER_MEL, mel * _LINEAR_HZ, above)


def _envelope(samples: Floats, bank: Floats, n_hop: int, dynamic_range: float) -> Floats:
    """Loudness ``(frame, channel)`` from 0 to 1; frame k is centred on the middle of its ``n_hop`` samples."""
    n_window = 2 * (bank.shape[1] - 1)
    frames = -(-samples.size // n_hop)
    before = (n_window - n_hop) // 2
    padded = np.pad(samples, (max(before, 0), n_window + n_hop))
    views = sliding_window_view(padded[max(-before, 0) :], n_window)[: frames * n_hop : n_hop]
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * (np.arange(n_window) + 0.5) / n_window)
    power = (np.abs(np.fft.rfft(views * hann, axis=1)) ** 2) @ bank.T
    loudest = power.max(initial=0.0)
    if loudest == 0.0:
        return np.zeros_like(power)
    with np.errstate(divide="ignore"):
        return np.clip(1.0 + 10.0 * np.log10(power / loudest) / dynamic_range, 0.0, 1.0)


def _integrate_and_fire(envelope: Floats, step: float, max_rate: float) -> tuple[Floats, np.ndarray]:
    """Times (s from the clip's start) and channels of the spikes, frame after frame."""
    charge = np.concatenate([np.zeros((1, envelope.shape[1])), np.cumsum(envelope, axis=0)]) * (
        max_rate * step
    )
    whole = np.floor(charge)
    fired = np.diff(whole, axis=0).astype(
        np.int64
    )  # (frame, channel): crossings on the way to the frame's end
    frame, channel = np.nonzero(fired)
    n = fired[frame, channel]
    frame, channel = np.repeat(frame, n), np.repeat(channel, n)
    nth = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n) + 1.0  # of the frame, from 1
    before = charge[frame, channel]
    share = (whole[frame, channel] + nth - before) / (charge[frame + 1, channel] - before)
    return (frame + share) * step, channel


def _checked(audio: xr.Dataset) -> tuple[float, np.ndarray]:
    """Sampling rate and the first sample of each clip, once the layout is right."""
    for name, dims in (("sound", ("sample",)), ("row_size", ("clip",))):
        if name not in audio.variables or audio[name].dims != dims:
            raise FormatError(f"audio: {name} {dims} is missing; make the dataset with audio_clips")
    rate = float(audio.attrs.get("sampling_rate", math.nan))
    if not (rate > 0 and math.isfinite(rate)):
        raise FormatError(
            f"audio: attrs sampling_rate is {audio.attrs.get('sampling_rate')}; give samples a second"
        )
    starts = np.concatenate([[0], np.cumsum(audio["row_size"].values)])
    sound = audio["sound"].values
    if starts[-1] != sound.size:
        raise FormatError(
            f"audio: row_size sums to {starts[-1]} and there are {sound.size} samples; they must agree"
        )
    bad = np.flatnonzero(~np.isfinite(sound)) if sound.dtype.kind == "f" else np.empty(0, np.int64)
    if bad.size:
        clip = int(np.searchsorted(starts, bad[0], side="right")) - 1
        raise FormatError(
            f"audio: clip {clip}, sample {bad[0] - starts[clip]} is {sound[bad[0]]}; leave the clip out or mend it"
        )
    return rate, starts
