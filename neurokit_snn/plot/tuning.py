"""Tuning curves of units with their bands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from neurokit_snn.errors import NeurokitError
from neurokit_snn.plot._style import PALETTE, label, legend, outer_labels, panels, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["tuning"]


@styled
def tuning(
    curves: xr.Dataset,
    *,
    units: Sequence[Any] | None = None,
    along: str | None = None,
    ax: Axes | Sequence[Axes] | None = None,
) -> np.ndarray:
    """Draw the tuning curve of each unit: a line with its band, or a map where there are two axes.

    Parameters
    ----------
    curves
        Dataset with ``rate``, ``low`` and ``high`` in spikes/s, dims (unit, feature[, condition]); a map
        needs no ``low`` and ``high``.
    units
        Labels of the units, one panel each; all by default (at most 64).
    along
        The dim on the horizontal axis; by default the first one with a coordinate of more than 7 numbers.
        A further such dim makes the picture a map; any other dim becomes one line for each of its values.
    ax
        One Axes a unit, or None for a new figure.

    Returns
    -------
    axes : ndarray of Axes, (unit,)

    Raises
    ------
    NeurokitError
        When a variable, dim or unit is missing, or ``ax`` holds another number of Axes.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> position = np.linspace(0.0, 1.0, 5)
    >>> rate = xr.DataArray(np.ones((2, 5)), dims=("unit", "position"), coords={"position": position})
    >>> axes = tuning(xr.Dataset({"rate": rate, "low": 0.5 * rate, "high": 2 * rate}))
    >>> len(axes), axes[0].get_xlabel()
    (2, 'position')
    """
    real, other = _dims(curves, along)
    maps = len(real) == 2
    for name in ["rate"] if maps else ["rate", "low", "high"]:
        if name not in curves:
            raise NeurokitError(
                f"tuning curves need the variable {name!r}; there are {', '.join(map(str, curves))}"
            )
    if "unit" not in curves.coords:
        curves = curves.assign_coords(unit=np.arange(curves.sizes["unit"]))
    there = curves["unit"].values.tolist()
    labels = there if units is None else list(units)
    for unit in labels:
        if unit not in there:
            raise NeurokitError(f"no unit {unit!r} among the tuning curves")
    axes = panels(ax, len(labels), what="tuning curves")
    for one, unit in zip(axes, labels, strict=True):
        part = curves.sel(unit=unit)
        if maps:
            _draw_map(one, part["rate"], real)
        else:
            _draw_lines(one, part, real[0], other)
        one.set_title(f"unit {unit}")
    words = [label(dim, curves[dim].attrs) for dim in real]
    outer_labels(axes, words[0], words[1] if maps else "rate (spikes/s)")
    legend(axes, own_figure=ax is None)
    return axes


def _dims(curves: xr.Dataset, along: str | None) -> tuple[list[str], list[str]]:
    """Tell the dims drawn along an axis from the dim drawn as several lines."""
    if "rate" not in curves or "unit" not in curves["rate"].dims:
        raise NeurokitError("tuning curves need a variable 'rate' with a dim 'unit'")
    dims = [str(dim) for dim in curves["rate"].dims if dim != "unit"]
    numbers = [dim for dim in dims if dim in curves.coords and curves[dim].dtype.kind == "f"]
    # Conditions may be numbers too (a direction of -1 and 1), but they are never more than there are colours.
    real = [dim for dim in numbers if curves.sizes[dim] > len(PALETTE)] or numbers[-1:]
    if along is not None:
        if along not in dims:
            raise NeurokitError(f"along={along!r} is no dim of the curves; they have {', '.join(dims)}")
        real = [along, *(dim for dim in real if dim != along)]
    other = [dim for dim in dims if dim not in real]
    if not real or len(real) > 2 or len(other) > (1 if len(real) == 1 else 0):
        raise NeurokitError(
            f"curves over ({', '.join(dims)}) cannot be drawn; select until one or two axes are left"
        )
    return real, other


def _draw_lines(ax: Axes, part: xr.Dataset, along: str, other: list[str]) -> None:
    x = part[along].values
    values = part[other[0]].values.tolist() if other else [None]
    for index, value in enumerate(values):
        curve = part if value is None else part.isel({other[0]: index})
        color = PALETTE[index % len(PALETTE)]
        ax.plot(
            x,
            curve["rate"].values,
            color=color,
            label=None if value is None else f"{label(other[0], {})} {value}",
        )
        ax.fill_between(x, curve["low"].values, curve["high"].values, color=color, alpha=0.25, linewidth=0)
    # Where there are hardly any data a band is many times the rate; it leaves the panel rather than rule it.
    highest, peak = float(np.nanmax(part["high"])), float(np.nanmax(part["rate"]))
    ax.set_ylim(0, min(1.05 * highest, 2.0 * peak) or 1.0)


def _draw_map(ax: Axes, rate: xr.DataArray, real: list[str]) -> None:
    x, y = (rate[dim].values for dim in real)
    drawn = ax.pcolormesh(
        x, y, rate.transpose(real[1], real[0]).values, shading="nearest", vmin=0, rasterized=True
    )
    ax.figure.colorbar(drawn, ax=ax, label="spikes/s")
