"""Calcium as events: frames above a threshold, in the form that models of spikes take."""

from __future__ import annotations

import numpy as np
import xarray as xr

from neurokit_snn.errors import RecordingError
from neurokit_snn.recording.binned import check_binned

__all__ = ["calcium_events", "trace"]

DIMS = ("trial", "time", "unit")


def calcium_events(data: xr.Dataset, *, threshold: float = 0.0) -> xr.Dataset:
    """Binned data in which a unit "fires" once in every bin whose calcium is above a threshold.

    Parameters
    ----------
    data
        Binned data with ``calcium (trial, time, unit)``, best deconvolved: a trace that decays slowly stays above any
        threshold for many bins.
    threshold
        In the units of the trace. What equals it is no event.

    Returns
    -------
    Dataset
        The same data with ``counts`` 0 or 1 in place of calcium (and of counts there may have been). ``mask`` is True
        where calcium is valid: not masked, and a finite number.

    Raises
    ------
    RecordingError
        When there is no calcium, or the threshold is no finite number.

    Examples
    --------
    >>> import numpy as np
    >>> from neurokit_snn import recording
    >>> trace = {"time": np.arange(4) / 30, "value": [[0.0], [1.5], [0.2], [0.0]]}
    >>> tree = recording.build(units={"unit": ["a"]}, calcium=trace)
    >>> data = recording.bin(tree, 1 / 30, start=-0.5 / 30, stop=3.5 / 30)
    >>> calcium_events(data, threshold=0.5)["counts"].values.ravel()
    array([0, 1, 0, 0], dtype=int32)
    """
    values, valid = trace(data)
    if not np.isfinite(threshold):
        raise RecordingError(f"threshold is {threshold!r}; give a number in the units of the trace")
    events = valid & (values > threshold)
    kept = data.drop_vars(["calcium", "mask_calcium", "counts", "mask"], errors="ignore")
    return kept.assign(
        counts=(DIMS, events.astype(np.int32), {"long_name": "calcium event"}),
        mask=(DIMS, valid),
    )


def trace(data: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Calcium ``(trial, time, unit)`` and where it is valid, bool of that shape.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> coords = {"trial_start": ("trial", [0.0]), "trial_stop": ("trial", [2.0]), "time": [0.5, 1.5], "unit": ["a"]}
    >>> attrs = {"schema": "neurokit_snn.binned", "schema_version": 1, "bin_width": 1.0, "layout": "session"}
    >>> values = xr.Variable(("trial", "time", "unit"), np.array([[[0.5], [np.nan]]]))
    >>> data = xr.Dataset({"calcium": values, "mask_calcium": values < 9}, coords=coords, attrs=attrs)
    >>> trace(data)[1].ravel()
    array([ True, False])
    """
    check_binned(data)
    if "calcium" not in data:
        raise RecordingError("data has no calcium; bin a recording that has, with calcium=True")
    values = data["calcium"].values
    mask = data["mask_calcium"].values
    mask = mask if mask.ndim == values.ndim else mask[..., None]
    return values, np.isfinite(values) & mask
