"""Decoded against true behaviour in time, with bands or the whole posterior."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from neurokit_snn.errors import NeurokitError
from neurokit_snn.plot._style import PALETTE, axes_array, label, legend, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["decoded"]


@styled
def decoded(
    data: xr.Dataset,
    predicted: xr.Dataset,
    *,
    behavior: str = "position",
    trials: Sequence[Any] | slice | None = None,
    level: float = 0.95,
    posterior: xr.DataArray | None = None,
    side_by_side: bool = False,
    ax: Axes | Sequence[Axes] | None = None,
) -> np.ndarray:
    """Draw the decoded behaviour over the true one in session time, one panel for each of its axes.

    Parameters
    ----------
    data
        Binned Dataset with ``behavior_NAME`` (trial, time[, axis]) and its mask.
    predicted
        What a model's ``predict(task="decode")`` gave for these data: ``behavior_NAME`` and, for a band,
        ``behavior_NAME_sd``.
    behavior
        NAME of the behaviour.
    trials
        Labels (or a label slice) of the trials to draw; all by default.
    level
        Coverage of the band: quantiles of the draws, or normal around the value where there are none.
    posterior
        Marginal probability (trial, time, centre) of each value on a grid, drawn as a heat map in place of
        the band. For a behaviour with several axes it has their dim too.
    side_by_side
        Leave out the time between trials, with a thin line in its place: for short trials far apart.
    ax
        One Axes for each axis of the behaviour, or None for a new figure.

    Returns
    -------
    axes : ndarray of Axes, (axis,)

    Raises
    ------
    NeurokitError
        When the behaviour or a trial is missing, or ``ax`` holds another number of Axes.
    """
    name = f"behavior_{behavior}"
    for what, dataset, needed in (("data", data, name), ("prediction", predicted, name)):
        if needed not in dataset:
            raise NeurokitError(
                f"no {needed!r} in the {what}; it has {', '.join(map(str, dataset.data_vars))}"
            )
    chosen = (
        data["trial"].values if trials is None else data["trial"].sel(trial=_as_index(data, trials)).values
    )
    data, predicted = data.sel(trial=np.atleast_1d(chosen)), predicted.sel(trial=np.atleast_1d(chosen))
    truth = data[name]
    extra = [str(dim) for dim in truth.dims if dim not in ("trial", "time")]
    parts = truth[extra[0]].values.tolist() if extra else [None]
    axes = axes_array(
        ax, len(parts), what=f"decoded {behavior}", size=(7.2, 1.2 + 1.5 * len(parts)), sharex=True
    )
    time = _side_by_side(data, name) if side_by_side else session_time(data)
    for one, part in zip(axes, parts, strict=True):
        pick: dict[str, Any] = {} if part is None else {extra[0]: part}
        true = truth.sel(pick).where(data.get(f"mask_{name}", True))
        if posterior is not None:
            _draw_posterior(one, time, posterior.sel(trial=data["trial"].values).sel(pick))
        sd = predicted.get(f"{name}_sd")
        middle, band = middle_and_band(
            predicted[name].sel(pick), None if sd is None else sd.sel(pick), level=level
        )
        _draw_lines(one, time, true, middle, band if posterior is None else None, level)
        if side_by_side:
            one.vlines(
                time[1:, 0] - _pad(data),
                0,
                1,
                transform=one.get_xaxis_transform(),
                color="0.8",
                linewidth=0.6,
            )
        one.set_ylabel(label(name, truth.attrs, part=part))
    legend(axes, own_figure=ax is None)
    axes[-1].set_xlabel("time in the trials shown (s)" if side_by_side else "session time (s)")
    axes[-1].set_xlim(np.nanmin(time), np.nanmax(time))
    return axes


def session_time(data: xr.Dataset) -> np.ndarray:
    """Centre of each bin in session seconds, (trial, time)."""
    width = float(data.attrs["bin_width"])
    return data["trial_start"].values[:, None] + (np.arange(data.sizes["time"]) + 0.5) * width


def _pad(data: xr.Dataset) -> float:
    """Half of the gap between trials drawn side by side, seconds."""
    return float(data.attrs["bin_width"])


def _side_by_side(data: xr.Dataset, name: str) -> np.ndarray:
    """Time of each bin if every trial followed on the last valid bin of the one before, (trial, time)."""
    width = float(data.attrs["bin_width"])
    valid = data.get(f"mask_{name}", xr.ones_like(data[name], bool)).transpose("trial", "time", ...).values
    bins = np.array([np.flatnonzero(row.reshape(len(row), -1).any(1)).max(initial=-1) + 1 for row in valid])
    begin = np.concatenate([[0.0], np.cumsum(bins * width + 2 * _pad(data))[:-1]])
    time = begin[:, None] + (np.arange(data.sizes["time"]) + 0.5) * width
    return np.where(np.arange(data.sizes["time"]) < bins[:, None], time, np.nan)


def _as_index(data: xr.Dataset, trials: Sequence[Any] | slice) -> Any:
    if isinstance(trials, slice):
        return trials
    for trial in trials:
        if trial not in data["trial"].values:
            raise NeurokitError(f"no trial {trial!r} in these data")
    return list(trials)


def _gaps(values: np.ndarray) -> np.ndarray:
    """Join trials to one line, with a NaN after each so that the pen is lifted between them."""
    return np.column_stack([values, np.full(len(values), np.nan)]).ravel()


def middle_and_band(
    value: xr.DataArray, sd: xr.DataArray | None, *, level: float
) -> tuple[xr.DataArray, tuple[xr.DataArray, xr.DataArray] | None]:
    """Take what is drawn of a prediction: its middle and its band, or no band where it has no spread.

    Parameters
    ----------
    value
        A mean, or draws with a dim ``draw``: then their mean and their quantiles are taken.
    sd
        Standard deviation of a normal band around a mean; not read where there are draws.
    level
        Coverage of the band.

    Returns
    -------
    middle : DataArray
        Without ``draw``.
    band : tuple of DataArray, or None
        Lower and upper limit.
    """
    tail = (1 - level) / 2
    if "draw" in value.dims:
        low, high = (value.quantile(q, "draw") for q in (tail, 1 - tail))
        return value.mean("draw"), (low, high)
    if sd is None:
        return value, None
    from scipy.stats import norm

    half = float(norm.ppf(1 - tail)) * sd
    return value, (value - half, value + half)


def _draw_lines(
    ax: Axes,
    time: np.ndarray,
    true: xr.DataArray,
    decoded: xr.DataArray,
    band: tuple[xr.DataArray, xr.DataArray] | None,
    level: float,
) -> None:
    x, known = _gaps(time), true.notnull()
    pens = [
        _gaps(line.where(known).transpose("trial", "time").values) for line in (true, decoded, *(band or ()))
    ]
    ax.plot(x, pens[0], color="black", linewidth=1.4, label="true")
    ax.plot(x, pens[1], color=PALETTE[1], linewidth=0.9, label="decoded")
    if band is not None:
        ax.fill_between(
            x, pens[2], pens[3], color=PALETTE[1], alpha=0.25, linewidth=0, label=f"{level:.0%} band"
        )


def _draw_posterior(ax: Axes, time: np.ndarray, posterior: xr.DataArray) -> None:
    (centre,) = (dim for dim in posterior.dims if dim not in ("trial", "time"))
    values = posterior.transpose("trial", centre, "time").values
    highest = max(float(np.nanquantile(values, 0.999)), 1e-9)
    drawn = None
    for when, image in zip(time, values, strict=True):
        drawn = ax.pcolormesh(
            when,
            posterior[centre].values,
            image,
            shading="nearest",
            cmap="Greys",
            vmin=0,
            vmax=highest,
            rasterized=True,
        )
    if drawn is not None:
        ax.figure.colorbar(drawn, ax=ax, label="probability", pad=0.01)
