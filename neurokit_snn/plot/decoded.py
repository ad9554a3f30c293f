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
        Coverage of the band, taken as normal around the decoded value.
    posterior
        Marginal probability (trial, time, centre) of each value on a grid, drawn as a heat map in place of
        the band. For a behaviour with several axes it has their dim too.
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
    if "draw" in predicted.dims:
        predicted = predicted.mean("draw")
    truth = data[name]
    extra = [str(dim) for dim in truth.dims if dim not in ("trial", "time")]
    parts = truth[extra[0]].values.tolist() if extra else [None]
    axes = axes_array(
        ax, len(parts), what=f"decoded {behavior}", size=(7.2, 1.2 + 1.5 * len(parts)), sharex=True
    )
    time = session_time(data)
    for one, part in zip(axes, parts, strict=True):
        pick: dict[str, Any] = {} if part is None else {extra[0]: part}
        true = truth.sel(pick).where(data.get(f"mask_{name}", True))
        spread = predicted.get(f"{name}_sd")
        if posterior is not None:
            _draw_posterior(one, time, posterior.sel(trial=data["trial"].values).sel(pick))
            spread = None
        _draw_lines(
            one, time, true, predicted[name].sel(pick), None if spread is None else spread.sel(pick), level
        )
        one.set_ylabel(label(name, truth.attrs, part=part))
    legend(axes, own_figure=ax is None)
    axes[-1].set_xlabel("session time (s)")
    axes[-1].set_xlim(np.nanmin(time), np.nanmax(time))
    return axes


def session_time(data: xr.Dataset) -> np.ndarray:
    """Centre of each bin in session seconds, (trial, time)."""
    width = float(data.attrs["bin_width"])
    return data["trial_start"].values[:, None] + (np.arange(data.sizes["time"]) + 0.5) * width


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


def _draw_lines(
    ax: Axes,
    time: np.ndarray,
    true: xr.DataArray,
    decoded: xr.DataArray,
    sd: xr.DataArray | None,
    level: float,
) -> None:
    from scipy.stats import norm

    x = _gaps(time)
    order = ("trial", "time")
    shown = decoded.where(true.notnull()).transpose(*order).values
    ax.plot(x, _gaps(true.transpose(*order).values), color="black", linewidth=1.4, label="true")
    ax.plot(x, _gaps(shown), color=PALETTE[1], linewidth=0.9, label="decoded")
    if sd is not None:
        half = norm.ppf((1 + level) / 2) * sd.transpose(*order).values
        low, high = _gaps(shown - half), _gaps(shown + half)
        ax.fill_between(x, low, high, color=PALETTE[1], alpha=0.25, linewidth=0, label=f"{level:.0%} band")


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
