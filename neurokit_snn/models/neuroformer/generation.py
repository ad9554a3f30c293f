"""Sampled counts as a recording."""

from __future__ import annotations

import numpy as np
import xarray as xr

from neurokit_snn.recording.build import build

__all__ = ["generated"]


def generated(data: xr.Dataset, counts: np.ndarray, *, source: str) -> xr.DataTree:
    """A recording with the spikes of ``counts (trial, time, unit)`` in the trials of binned data.

    The ``c`` spikes of a bin stand at ``(k + 1/2) / c`` of its width, so that binning gives the counts again.

    Parameters
    ----------
    data
        Where bins lie in session time.
    counts
        Whole numbers, 0 where the data are masked.
    source
        What made them.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> tree = recording.build(spikes={"a": [0.11, 0.12], "b": [0.35]})
    >>> data = recording.windows(tree, 0.1, length=0.2, start=0.0, stop=0.4)
    >>> made = generated(data, data["counts"].values, source="a copy")
    >>> made["spikes"]["time"].values.round(3).tolist()
    [0.125, 0.175, 0.35]
    """
    width = float(data.attrs["bin_width"])
    trial, bin, unit = np.nonzero(counts)
    number = counts[trial, bin, unit]
    within = (np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number) + 0.5) / np.repeat(
        number, number
    )
    trial, bin, unit = (np.repeat(x, number) for x in (trial, bin, unit))
    time = data["trial_start"].values[trial] + (bin + within) * width
    labels = data["unit"].values
    order = np.argsort(time, kind="stable")
    time, unit = time[order], unit[order]
    return build(
        spikes={label: time[unit == i] for i, label in enumerate(labels.tolist())},
        trials={"start": data["trial_start"].values, "stop": data["trial_stop"].values},
        session_id=str(data.attrs.get("session_id", "")),
        subject=str(data.attrs.get("subject", "")),
        source=source,
    )
