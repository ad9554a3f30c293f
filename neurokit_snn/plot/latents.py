"""Latents in time with their bands, and the truth or a behaviour over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from neurokit_snn.errors import NeurokitError
from neurokit_snn.plot._style import GREY, PALETTE, axes_array, label, legend, styled
from neurokit_snn.plot.decoded import middle_and_band

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["block_color", "chosen_trials", "latent_words", "latents"]

BLOCKS = {"neural": PALETTE[0], "shared": PALETTE[2], "behavior": PALETTE[1]}
MOST_PANELS = 64


@styled
def latents(
    latents: xr.DataArray,
    *,
    sd: xr.DataArray | None = None,
    truth: xr.DataArray | None = None,
    trials: Sequence[Any] | None = None,
    level: float = 0.95,
    mask: xr.DataArray | None = None,
    ax: Axes | Sequence[Axes] | None = None,
) -> np.ndarray:
    """Draw latents in time with their bands: a row of panels for each latent, a column for each trial.

    Parameters
    ----------
    latents
        Latents (trial, time, latent), or draws of them (draw, trial, time, latent), with ``time`` in seconds and, for the
        colours and the words, ``block (latent)``. Before they are drawn with a truth they are aligned with it
        (`neurokit_snn.evaluate.align_latents`).
    sd
        Standard deviation (trial, time, latent), for a normal band; draws need none.
    truth
        What is drawn over them, (trial, time, latent) with the same labels: true latents, or a behaviour.
    trials
        Labels of the trials, one column each; the first trial by default.
    level
        Coverage of the band.
    mask
        Which samples are drawn, bool (trial, time); all by default. Lines break at the others.
    ax
        One Axes for each latent and trial, trials running fastest, or None for a new figure.

    Returns
    -------
    axes : ndarray of Axes, (latent, trial)

    Raises
    ------
    NeurokitError
        When a dim, a trial or the time is missing, the truth has other latents, or ``ax`` holds another number of Axes.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> names = {"time": [0.05, 0.15, 0.25], "latent": ["shared 0"], "block": ("latent", ["shared"])}
    >>> z = xr.DataArray(np.zeros((1, 3, 1)), dims=("trial", "time", "latent"), coords=names)
    >>> axes = latents(z, sd=z + 0.5, truth=z + 0.1)
    >>> axes[0, 0].get_ylabel(), axes[0, 0].get_xlabel()
    ('shared 0', 'time in trial (s)')
    """
    _check(latents, {"sd": sd, "truth": truth, "mask": mask}, level)
    shown = chosen_trials(latents, trials)
    rows, columns = latents.sizes["latent"], len(shown)
    if rows * columns > MOST_PANELS:
        raise NeurokitError(
            f"{rows} latents of {columns} trials make {rows * columns} panels; choose fewer with trials=[...]"
        )
    size = (max(4.2, 0.8 + 2.4 * columns), 0.9 + 1.15 * rows)
    grid: dict[str, Any] = {"nrows": rows, "ncols": columns, "sharex": True, "sharey": "row"}
    flat = axes_array(ax, rows * columns, what="these latents and trials", size=size, **grid)
    axes = flat.reshape(rows, columns)
    lines = _lines(latents, sd=sd, truth=truth, mask=mask, trials=shown, level=level)
    attrs = latents.attrs if truth is None else truth.attrs
    blocks = latents["block"].values.tolist() if "block" in latents.coords else [""] * rows
    for row, words in enumerate(latent_words(latents)):
        for column, one in enumerate(axes[row]):
            _draw(
                one,
                latents["time"].values,
                lines.isel(latent=row, trial=column),
                color=block_color(blocks[row]),
                level=level,
            )
            if row == 0:
                one.set_title(f"trial {shown[column]}")
        axes[row, 0].set_ylabel(label(words, attrs))
    for one in axes[-1]:
        one.set_xlabel("time in trial (s)")
    legend(flat, own_figure=ax is None)
    return axes


def latent_words(latents: xr.DataArray | xr.Dataset) -> list[str]:
    """Label of each latent, with its block where the label does not say it.

    Examples
    --------
    >>> import xarray as xr
    >>> names = {"latent": ["pace", "shared 0"], "block": ("latent", ["neural", "shared"])}
    >>> latent_words(xr.DataArray([1.0, 2.0], dims="latent", coords=names))
    ['pace, neural', 'shared 0']
    """
    names = [str(name) for name in latents["latent"].values.tolist()]
    if "block" not in latents.coords:
        return names
    blocks = [str(block) for block in latents["block"].values.tolist()]
    return [name if block in name else f"{name}, {block}" for name, block in zip(names, blocks, strict=True)]


def block_color(block: str) -> str:
    """Colour of a block of latents, the same in all pictures; grey where there is none."""
    return BLOCKS.get(block, GREY)


def chosen_trials(values: xr.DataArray, trials: Sequence[Any] | None) -> list[Any]:
    """Labels of the trials to draw, the first one by default; an error names a label that is not there."""
    there = values["trial"].values.tolist()
    chosen = there[:1] if trials is None else list(trials)
    for trial in chosen:
        if trial not in there:
            raise NeurokitError(f"no trial {trial!r} in these data; there are {there[0]!r} to {there[-1]!r}")
    if not chosen:
        raise NeurokitError("no trial to draw; give at least one label in trials")
    return chosen


def _check(latents: xr.DataArray, others: Mapping[str, xr.DataArray | None], level: float) -> None:
    """Refuse what would be drawn over the wrong thing: others of other latents or times."""
    if not 0.0 < level < 1.0:
        raise NeurokitError(f"level={level} is not between 0 and 1; 0.95 is a 95% band")
    for what, array in {"latents": latents, **others}.items():
        if array is None:
            continue
        needed = ("trial", "time") if what == "mask" else ("trial", "time", "latent")
        lacking = [dim for dim in needed if dim not in array.dims]
        if lacking:
            raise NeurokitError(f"{what} has dims {array.dims}, which lack {lacking[0]!r}")
        if array.sizes["time"] != latents.sizes["time"]:
            raise NeurokitError(
                f"{what} has {array.sizes['time']} times, latents {latents.sizes['time']}; select the same"
            )
        ours = latents["latent"].values.tolist()
        theirs = array["latent"].values.tolist() if "latent" in needed else ours
        if ours != theirs:
            raise NeurokitError(
                f"{what} holds {theirs}, latents {ours}; align them with evaluate.align_latents"
            )
    if "time" not in latents.coords:
        raise NeurokitError("latents has no coordinate time; assign the bin centres in seconds")


def _lines(
    latents: xr.DataArray,
    *,
    sd: xr.DataArray | None,
    truth: xr.DataArray | None,
    mask: xr.DataArray | None,
    trials: list[Any],
    level: float,
) -> xr.Dataset:
    """What is drawn of these trials, (trial, time, latent), NaN where masked: ``middle``, ``low``, ``high``, ``truth``."""

    def picked(array: xr.DataArray, what: str) -> xr.DataArray:
        there = array["trial"].values.tolist()
        lacking = [trial for trial in trials if trial not in there]
        if lacking:
            raise NeurokitError(f"no trial {lacking[0]!r} in {what}; select the same trials")
        # Without labels from here on: times equal to rounding would else drop out.
        return array.isel(trial=[there.index(trial) for trial in trials]).drop_vars([*array.coords])

    middle, band = middle_and_band(
        picked(latents, "latents"), None if sd is None else picked(sd, "sd"), level=level
    )
    lines = {"middle": middle}
    if band is not None:
        lines |= {"low": band[0].drop_vars("quantile", errors="ignore")}
        lines |= {"high": band[1].drop_vars("quantile", errors="ignore")}
    if truth is not None:
        lines["truth"] = picked(truth, "truth")
    found = xr.Dataset(lines)
    return found if mask is None else found.where(picked(mask, "mask"))


def _draw(ax: Axes, time: np.ndarray, lines: xr.Dataset, *, color: str, level: float) -> None:
    if "low" in lines:
        low, high = lines["low"].values, lines["high"].values
        ax.fill_between(time, low, high, color=color, alpha=0.25, linewidth=0, label=f"{level:.0%} band")
    ax.plot(time, lines["middle"].values, color=color, label="estimated")
    if "truth" in lines:
        ax.plot(time, lines["truth"].values, color="black", linewidth=0.9, linestyle="--", label="true")
