"""A small made session with known tuning, for tests of models."""

from __future__ import annotations

import numpy as np
import xarray as xr

from neurokit_snn.recording.binned import BINNED_SCHEMA, BINNED_VERSION

__all__ = ["place_cells"]

TRACK = 100.0
"""Length of the track, cm."""


def place_cells(
    *,
    trials: int = 16,
    bins: int = 30,
    units: int = 6,
    bin_width: float = 0.1,
    gain: float = 20.0,
    seed: int = 0,
) -> xr.Dataset:
    """Binned counts of units with a place field each, on a track run to and fro.

    Trials are laps of unequal length with a column ``direction``; even units fire in both directions, odd ones in one. One
    unit is lost for a few trials, and the tracker misses a few samples. A quarter of the units is held out.

    Parameters
    ----------
    trials, bins, units
        Sizes; trials are up to a fifth shorter than ``bins``.
    bin_width
        Seconds.
    gain
        Rate in the middle of a field, spikes/s.
    seed
        Seed of the spikes and of what is missing.

    Returns
    -------
    Dataset
        Layout ``trials``, with ``behavior_position (trial, time)`` in cm, ``behavior_speed`` in cm/s, and a coordinate
        ``held_out``.

    Examples
    --------
    >>> data = place_cells(trials=4, bins=10, units=4)
    >>> dict(data.sizes)
    {'trial': 4, 'time': 10, 'unit': 4}
    """
    rng = np.random.default_rng(seed)
    direction = np.where(np.arange(trials) % 2 == 0, 1, -1)
    lengths = rng.integers(bins - bins // 5, bins, size=trials, endpoint=True)
    lengths[0] = bins
    inside = np.arange(bins) < lengths[:, None]  # (trial, time)
    phase = np.minimum((np.arange(bins) + 0.5) / lengths[:, None], 1.0)
    wobble = rng.uniform(-0.1, 0.1, size=(trials, 1))  # no lap is run like another
    phase = phase + wobble * phase * (1.0 - phase)
    position = TRACK * np.where(direction[:, None] > 0, phase, 1.0 - phase)
    speed = np.abs(np.gradient(position, bin_width, axis=1))
    centres = TRACK * (np.arange(units) + 0.5) / units
    field = np.exp(-0.5 * ((position[..., None] - centres) / (0.12 * TRACK)) ** 2)  # (trial, time, unit)
    one_way = (np.arange(units) % 2 == 1)[None, :] & (direction < 0)[:, None]  # (trial, unit)
    rate = 1.0 + gain * np.where(one_way[:, None, :], 0.1, 1.0) * field
    mask = np.repeat(inside[..., None], units, axis=-1)
    mask[trials // 4 : trials // 4 + 2, :, 0] = False  # a unit lost for two trials
    counts = np.where(mask, rng.poisson(rate * bin_width), 0).astype(np.int32)
    tracked = inside & (rng.random(inside.shape) < 0.95)
    start = np.arange(trials) * (bins + 10) * bin_width
    return xr.Dataset(
        {
            "counts": (("trial", "time", "unit"), counts),
            "mask": (("trial", "time", "unit"), mask),
            "behavior_position": (
                ("trial", "time"),
                np.where(tracked, position, np.nan),
                {"units": "cm", "kind": "continuous"},
            ),
            "mask_behavior_position": (("trial", "time"), tracked),
            "behavior_speed": (
                ("trial", "time"),
                np.where(tracked, speed, np.nan),
                {"units": "cm/s", "kind": "continuous"},
            ),
            "mask_behavior_speed": (("trial", "time"), tracked),
        },
        coords={
            "trial": np.arange(trials),
            "time": ("time", (np.arange(bins) + 0.5) * bin_width, {"units": "s"}),
            "unit": np.arange(units) + 100,
            "held_out": ("unit", np.arange(units) % 4 == 1),
            "direction": ("trial", direction),
            "trial_start": ("trial", start, {"units": "s"}),
            "trial_stop": ("trial", start + lengths * bin_width, {"units": "s"}),
        },
        attrs={
            "schema": BINNED_SCHEMA,
            "schema_version": BINNED_VERSION,
            "bin_width": bin_width,
            "layout": "trials",
            "session_id": "place-cells",
            "subject": "made",
        },
    )
