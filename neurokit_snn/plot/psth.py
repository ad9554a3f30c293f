"""Mean rate around events, by condition, with intervals over trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from neurokit_snn.errors import NeurokitError
from neurokit_snn.plot._style import GREY, PALETTE, label, legend, outer_labels, panels, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["psth"]


@styled
def psth(
    data: xr.Dataset,
    *,
    units: Sequence[Any] | None = None,
    by: str | None = None,
    level: float = 0.95,
    n_boot: int = 500,
    seed: int = 0,
    ax: Axes | Sequence[Axes] | None = None,
) -> np.ndarray:
    """Draw the mean rate of each unit over trials, with an interval that resamples trials.

    Parameters
    ----------
    data
        Binned Dataset with several trials: counts and mask (trial, time, unit).
    units
        Labels of the units, one panel each; all by default (at most 64).
    by
        A trial column; one line for each of its values.
    level
        Coverage of the pointwise percentile interval.
    n_boot
        Resamples of whole trials.
    seed
        Seed of the resampling.
    ax
        One Axes a unit, or None for a new figure.

    Returns
    -------
    axes : ndarray of Axes, (unit,)

    Raises
    ------
    NeurokitError
        When the data hold one trial, the column or a unit is unknown, or ``ax`` holds another number of Axes.

    Examples
    --------
    >>> import neurokit_snn as nk
    >>> tree = nk.recording.build(spikes={"a": [0.1, 0.5, 1.2]})
    >>> data = nk.recording.align(tree, 0.25, to=[0.5, 1.0], window=(-0.5, 0.5))
    >>> nk.plot.psth(data)[0].get_ylabel()
    'rate (spikes/s)'
    """
    if data.sizes["trial"] < 2:
        raise NeurokitError(
            f"a PSTH needs several trials, this has {data.sizes['trial']}; align or cut it into trials"
        )
    if by is not None and (by not in data.coords or data[by].dims != ("trial",)):
        raise NeurokitError(f"by={by!r} is no trial column of these data")
    labels = data["unit"].values.tolist() if units is None else list(units)
    missing = [unit for unit in labels if unit not in data["unit"].values]
    if missing:
        raise NeurokitError(f"no unit {missing[0]!r} in these data")
    axes = panels(ax, len(labels), what="a PSTH", columns=4, cell=(2.4, 1.8))
    rng = np.random.default_rng(seed)
    groups = None if by is None else data[by].values
    values = [None] if groups is None else list(dict.fromkeys(np.sort(groups).tolist()))
    time = data["time"].values
    for one, unit in zip(axes, labels, strict=True):
        part = data.sel(unit=unit)
        counts, mask = part["counts"].values.astype(float), part["mask"].values
        for index, value in enumerate(values):
            rows = slice(None) if groups is None else groups == value
            rate, low, high = rate_with_interval(
                counts[rows], mask[rows], level=level, n_boot=n_boot, rng=rng
            )
            width = float(data.attrs["bin_width"])
            color = PALETTE[index % len(PALETTE)]
            one.plot(time, rate / width, color=color, label=None if value is None else f"{by} = {value}")
            one.fill_between(time, low / width, high / width, color=color, alpha=0.25, linewidth=0)
        if time[0] < 0 < time[-1]:
            one.axvline(0.0, color=GREY, linewidth=0.8)
        one.set(title=f"unit {unit}", ylim=(0, None))
    word = "time from event" if data.attrs.get("layout") == "events" else "time in trial"
    outer_labels(axes, label(word, {"units": "s"}), "rate (spikes/s)")
    legend(axes, own_figure=ax is None)
    return axes


def rate_with_interval(
    counts: np.ndarray, mask: np.ndarray, *, level: float, n_boot: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean count per bin over valid trials, with a percentile interval over resampled trials.

    Parameters
    ----------
    counts, mask
        (trial, time); bins where ``mask`` is False do not count.

    Returns
    -------
    mean, low, high : ndarray, (time,)
        NaN where no trial is valid.
    """
    trials = counts.shape[0]
    weights = np.vstack([np.ones(trials), rng.multinomial(trials, np.full(trials, 1 / trials), size=n_boot)])
    valid = weights @ mask.astype(float)  # (1 + n_boot, time)
    total = weights @ np.where(mask, counts, 0.0)
    mean = np.divide(total, valid, out=np.full_like(total, np.nan), where=valid > 0)
    low, high = np.full(mean.shape[1], np.nan), np.full(mean.shape[1], np.nan)
    some = mask.any(axis=0)
    low[some], high[some] = np.nanquantile(mean[1:, some], [(1 - level) / 2, (1 + level) / 2], axis=0)
    return mean[0], low, high
