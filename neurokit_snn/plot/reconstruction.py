"""Image frames above their reconstruction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from neurokit_snn.errors import NeurokitError
from neurokit_snn.plot._style import axes_array, label, styled
from neurokit_snn.plot.latents import chosen_trials

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["reconstruction"]

DIMS = ("trial", "time", "y", "x")


@styled
def reconstruction(
    frames: xr.DataArray,
    predicted: xr.DataArray,
    *,
    trial: Any = None,
    times: int = 8,
    mask: xr.DataArray | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a strip of the frames of one trial above what a model makes of them, in one range of grey.

    Parameters
    ----------
    frames
        True frames (trial, time, y, x), ``time`` in seconds; their attribute ``units`` is named at the bar of greys.
    predicted
        Predicted frames of the same sizes, or draws of them (draw, ...), of which the mean is drawn.
    trial
        Label of the trial; the first one by default.
    times
        Number of frames, evenly spaced over the valid bins of the trial.
    mask
        Which bins are valid, bool (trial, time); all by default.
    ax
        Axes to draw in, or None for a new figure.

    Returns
    -------
    ax : Axes

    Raises
    ------
    NeurokitError
        When a dim, the time or the trial is missing, the sizes differ, or no bin is valid.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> frames = xr.DataArray(
    ...     np.zeros((1, 6, 4, 4)), dims=("trial", "time", "y", "x"), coords={"time": 0.1 * np.arange(6)}
    ... )
    >>> ax = reconstruction(frames, frames + 0.1, times=3)
    >>> [tick.get_text() for tick in ax.get_xticklabels()]
    ['0', '0.2', '0.5']
    """
    predicted = predicted.mean("draw") if "draw" in predicted.dims else predicted
    _check(frames, predicted, times)
    (shown,) = chosen_trials(frames, None if trial is None else [trial])
    at = frames["trial"].values.tolist().index(shown)
    bins = _spaced(frames, mask, at, times)
    true, made = (array.transpose(*DIMS).values[at][bins].astype(float) for array in (frames, predicted))
    strip, middles = _strip(true, made)
    height, width = strip.shape
    if ax is None:
        size = (7.2, min(0.9 + 6.0 * height / width, 7.0))
        ax = axes_array(None, 1, what="a reconstruction", size=size)[0]
    # One range for both, that of the truth: a pale reconstruction has to look pale.
    low, high = float(np.nanmin(true)), float(np.nanmax(true))
    drawn = ax.imshow(strip, cmap="gray", vmin=low, vmax=high if high > low else low + 1.0)
    ax.figure.colorbar(
        drawn, ax=ax, label=label(str(frames.name or "frame"), frames.attrs), shrink=0.9, pad=0.01
    )
    rows = true.shape[1]
    ax.set_yticks([(rows - 1) / 2, height - 1 - (rows - 1) / 2], labels=["true", "predicted"])
    ax.set_xticks(middles, labels=[f"{value:.3g}" for value in frames["time"].values[bins]])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set(xlabel="time in trial (s)", title=f"trial {shown}")
    return ax


def _check(frames: xr.DataArray, predicted: xr.DataArray, times: int) -> None:
    for what, array in (("frames", frames), ("predicted", predicted)):
        if set(array.dims) != set(DIMS):
            raise NeurokitError(f"{what} have dims {array.dims}, not {DIMS}; select one channel of several")
    if "time" not in frames.coords:
        raise NeurokitError("frames have no coordinate time; assign the bin centres in seconds")
    for dim in DIMS:
        if frames.sizes[dim] != predicted.sizes[dim]:
            raise NeurokitError(
                f"frames have {frames.sizes[dim]} along {dim}, predicted {predicted.sizes[dim]}; select the same"
            )
    if times < 1:
        raise NeurokitError(f"times={times} shows no frame; choose 1 or more")


def _spaced(frames: xr.DataArray, mask: xr.DataArray | None, at: int, times: int) -> np.ndarray:
    """Indices of the bins to draw, evenly spaced among the valid ones with a frame, the first and last included."""
    present = frames.isel(trial=at).notnull().any(["y", "x"]).values
    valid = np.flatnonzero(present if mask is None else present & mask.isel(trial=at).values)
    if not valid.size:
        raise NeurokitError("no bin of this trial has a valid frame; choose another trial")
    return valid[np.unique(np.rint(np.linspace(0, valid.size - 1, times)).astype(int))]


def _strip(true: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Join frames (bin, y, x) to one image of two rows, with empty lines between; and the middle of each column."""
    n, rows, columns = true.shape
    gap = max(1, round(0.08 * columns))
    strip = np.full((2 * rows + gap, n * (columns + gap) - gap), np.nan)
    for index in range(n):
        across = slice(index * (columns + gap), index * (columns + gap) + columns)
        strip[:rows, across] = true[index]
        strip[rows + gap :, across] = predicted[index]
    return strip, np.arange(n) * (columns + gap) + (columns - 1) / 2
