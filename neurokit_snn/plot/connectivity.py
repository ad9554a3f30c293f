"""Estimates of who drives whom as heat maps, beside the truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from neurokit_snn.errors import NeurokitError
from neurokit_snn.plot._style import axes_array, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["connectivity"]

DIMS = ("target", "source")
MOST_MAPS = 12
MOST_TICKS = 10
SIGNED, UNSIGNED, NOTHING = "RdBu_r", "magma", "0.8"


@styled
def connectivity(
    estimates: xr.Dataset, *, truth: xr.DataArray | None = None, ax: Axes | Sequence[Axes] | None = None
) -> np.ndarray:
    """Draw each estimate of connectivity as a heat map, the truth first, with the units of all in one order.

    The units that drive most stand first: by their mean absolute connection in the truth, or in the first estimate where there
    is no truth. Diagonals are left out, so that what a unit does to itself does not rule the colours; they and other NaN are
    grey. Each map has a range of its own, as estimates have units of their own: around 0 where there are negative values
    (blue below, red above), else from 0.

    Parameters
    ----------
    estimates
        One variable for each estimate, (target, source) with the same labels along both, as `Neuroformer.connectivity`
        returns them. The attribute ``units`` of a variable is named at its colour bar.
    truth
        True connections (target, source) of the same units, in any order.
    ax
        One Axes for each map, or None for a new figure.

    Returns
    -------
    axes : ndarray of Axes, (map,)

    Raises
    ------
    NeurokitError
        When there is no estimate or there are more than 12, a dim or label is missing, a value is infinite, the truth has
        other units, or ``ax`` holds another number of Axes.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> names = {"target": ["a", "b", "c"], "source": ["a", "b", "c"]}
    >>> found = xr.DataArray([[0, 0.1, 0.9], [0, 0, 0.8], [0.1, 0, 0]], dims=("target", "source"), coords=names)
    >>> axes = connectivity(xr.Dataset({"glm": found}), truth=(found > 0.5).astype(float))
    >>> [one.get_title(loc="left") for one in axes], [tick.get_text() for tick in axes[0].get_xticklabels()]
    (['truth', 'glm'], ['c', 'a', 'b'])
    """
    maps = _maps(estimates, truth)
    labels = next(iter(maps.values()))["source"].values
    drawn = {name: _off_diagonal(name, array, labels) for name, array in maps.items()}
    order = _strongest_first(next(iter(drawn.values())))
    count = len(maps)
    size = (2.15 * count + 0.5, 3.2)
    axes = axes_array(ax, count, what="heat maps of connectivity", size=size, nrows=1, ncols=count)
    for one, (name, values) in zip(axes, drawn.items(), strict=True):
        units = str(maps[name].attrs.get("units", ""))
        _draw(one, values[np.ix_(order, order)], "" if units == "1" else units)
        one.set_title(name.replace("_", " "))
        places = np.arange(0, labels.size, -(-labels.size // MOST_TICKS))
        for axis in (one.xaxis, one.yaxis):
            axis.set_ticks(places, labels=[str(unit) for unit in labels[order][places]])
        one.set_xlabel("source unit")
    axes[0].set_ylabel("target unit")
    return axes


def _maps(estimates: xr.Dataset, truth: xr.DataArray | None) -> dict[str, xr.DataArray]:
    """What is drawn, by title, as (target, source)."""
    found = {str(name): array for name, array in estimates.data_vars.items()}
    if not 0 < len(found) <= MOST_MAPS:
        raise NeurokitError(
            f"{len(found)} estimates of connectivity; select 1 to {MOST_MAPS}, as in found[['glm']]"
        )
    if truth is not None:
        found = {"truth": truth} | found
    for name, array in found.items():
        if {*array.dims} != {*DIMS} or array.ndim != 2:
            raise NeurokitError(f"{name} has dims {array.dims}, not {DIMS}")
        for dim in DIMS:
            if dim not in array.indexes or not array.indexes[dim].is_unique:
                raise NeurokitError(f"{name} has no unique labels along {dim}; assign those of the units")
    return {name: array.transpose(*DIMS) for name, array in found.items()}


def _off_diagonal(name: str, array: xr.DataArray, labels: np.ndarray) -> np.ndarray:
    """Values (target, source) in the order of the labels, NaN on the diagonal."""
    for dim in DIMS:
        there = array.indexes[dim]
        lacking = [unit for unit in labels.tolist() if unit not in there]
        if lacking:
            raise NeurokitError(f"{name} has no unit {lacking[0]!r} along {dim}, which the first map has")
        if there.size != labels.size:
            raise NeurokitError(
                f"{name} has {there.size} units along {dim}, the first map {labels.size}; select the same"
            )
    values = array.sel(target=labels, source=labels).values.astype(float)
    if np.isinf(values).any():
        target, source = (labels.tolist()[at] for at in np.argwhere(np.isinf(values))[0])
        raise NeurokitError(
            f"{name} of target {target!r} and source {source!r} is infinite; give NaN for none"
        )
    np.fill_diagonal(values, np.nan)
    return values


def _strongest_first(values: np.ndarray) -> np.ndarray:
    """Indices of the units, those with the largest mean absolute column first, ties as they were."""
    known = np.isfinite(values)
    mean = np.abs(np.where(known, values, 0.0)).sum(0) / np.maximum(known.sum(0), 1)
    return np.argsort(-mean, kind="stable")


def _draw(ax: Axes, values: np.ndarray, words: str) -> None:
    from matplotlib import colormaps
    from matplotlib.ticker import MaxNLocator

    known = values[np.isfinite(values)]
    most = float(np.abs(known).max(initial=0.0)) or 1.0
    signed = bool((known < 0).any())
    cmap = colormaps[SIGNED if signed else UNSIGNED].with_extremes(bad=NOTHING)
    drawn = ax.imshow(values, cmap=cmap, vmin=-most if signed else 0.0, vmax=most, interpolation="nearest")
    bar = ax.figure.colorbar(drawn, ax=ax, orientation="horizontal", label=words, shrink=0.85, format="%.2g")
    bar.locator = MaxNLocator(3)
    bar.update_ticks()
    bar.ax.tick_params(labelsize=7)
    ax.tick_params(length=0, labelsize=7)
    ax.spines[:].set_visible(False)
