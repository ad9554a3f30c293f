"""Empirical tuning curves: spikes over occupancy, with the interval of the rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from neurokit_snn.errors import ModelError
from neurokit_snn.models.covariates import Covariate, category_codes, counts_and_mask, covariate

__all__ = ["tuning_curves"]

JEFFREYS_SHAPE = 0.5


def tuning_curves(
    data: xr.Dataset,
    name: str,
    *,
    bins: int | Mapping[str, np.ndarray] = 20,
    by: str | None = None,
    level: float = 0.95,
) -> xr.Dataset:
    """Mean rate of each unit in each bin of a covariate, normalised by the time spent there.

    The rate of a cell with ``n`` spikes in ``T`` seconds is ``n / T``; its interval is that of the Gamma posterior
    ``Gamma(n + 1/2, T)`` under the Jeffreys prior.

    Parameters
    ----------
    data
        Binned dataset.
    name
        Behaviour or trial column; one or two axes.
    bins
        Number of equal bins along each axis over the range of the data, or for each dim of the result
        (``position``, or ``position_x`` and ``position_y``) the increasing edges.
    by
        Categorical behaviour or trial column with a curve for each value; None for one curve.
    level
        Probability of the intervals.

    Returns
    -------
    Dataset
        ``rate``, ``low``, ``high`` in spikes/s and ``spikes``, dims ``(unit[, by], covariate)``, and ``occupancy`` in seconds
        with the same dims. NaN where a unit was never observed.

    Raises
    ------
    ModelError
        When a name is unknown, the covariate is categorical or has more than two axes, or ``by`` is not categorical.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> position = {"time": [0.0, 1.0, 2.0, 3.0, 4.0], "value": [0.0, 1.0, 2.0, 3.0, 4.0], "units": "cm"}
    >>> tree = recording.build(spikes={"a": [2.1, 2.6, 3.5]}, behavior={"position": position})
    >>> data = recording.bin(tree, 0.5, start=0.0, stop=4.0)
    >>> tuning_curves(data, "position", bins=2)["rate"].values.round(2).tolist()
    [[0.0, 1.5]]
    """
    who = "tuning_curves"
    counts, mask = counts_and_mask(data, who)
    found = covariate(data, name, who=who)
    if found.kind == "categorical" or len(found.axes) not in (1, 2):
        raise ModelError(
            f"{who}: {found.name!r} must have one or two real axes; it is {found.kind} {found.axes}"
        )
    codes, categories = np.zeros(found.valid.shape, dtype=np.int64), ()
    if by is not None:
        labels = covariate(data, by, who=who)
        if labels.kind != "categorical":
            raise ModelError(f"{who}: by={by!r} is {labels.kind}; it must be categorical")
        categories = tuple(np.unique(labels.values[labels.valid]).tolist())
        codes = category_codes(labels, categories)
    edges = _edges(found, bins, who)
    usable = found.valid & (codes >= 0)
    cell, n_cells, inside = _cells(found.values[usable], edges)
    cell = codes[usable][inside] * n_cells + cell
    total = n_cells * max(1, len(categories))
    spikes = _summed(np.where(mask, counts, 0)[usable][inside], cell, total)  # (unit, cell)
    seconds = _summed(mask[usable][inside], cell, total) * float(data.attrs["bin_width"])
    return _described(data, found, by, categories, edges, spikes, seconds, level)


def _edges(found: Covariate, bins: int | Mapping[str, np.ndarray], who: str) -> list[np.ndarray]:
    edges = []
    for index, dim in enumerate(found.dims()):
        if isinstance(bins, Mapping):
            if dim not in bins:
                raise ModelError(f"{who}: bins has no edges for {dim!r}; it has {', '.join(map(str, bins))}")
            edges.append(np.asarray(bins[dim], dtype=np.float64))
        elif found.kind == "circular":
            edges.append(np.linspace(0.0, found.period, int(bins) + 1))
        else:
            if not found.valid.any():
                raise ModelError(f"{who}: {found.name!r} has no valid value in the data")
            values = found.values[found.valid][:, index]
            edges.append(np.linspace(values.min(), values.max(), int(bins) + 1))
        if edges[-1].size < 2 or not (np.diff(edges[-1]) > 0).all():
            raise ModelError(
                f"{who}: the edges of {dim!r} do not increase; give at least two increasing numbers"
            )
    return edges


def _cells(values: np.ndarray, edges: list[np.ndarray]) -> tuple[np.ndarray, int, np.ndarray]:
    """Cell of each value inside the edges, the number of cells, and which values are inside."""
    inside = np.ones(values.shape[0], dtype=bool)
    cell = np.zeros(values.shape[0], dtype=np.int64)
    n_cells = 1
    for index, edge in enumerate(edges):
        position = np.searchsorted(edge, values[:, index], side="right") - 1
        position = np.where(values[:, index] == edge[-1], edge.size - 2, position)  # the last bin is closed
        inside &= (position >= 0) & (position <= edge.size - 2)
        cell = cell * (edge.size - 1) + np.clip(position, 0, edge.size - 2)
        n_cells *= edge.size - 1
    return cell[inside], n_cells, inside


def _summed(values: np.ndarray, cell: np.ndarray, n_cells: int) -> np.ndarray:
    return np.stack([np.bincount(cell, weights=column, minlength=n_cells) for column in values.T])


def _described(
    data: xr.Dataset,
    found: Covariate,
    by: str | None,
    categories: tuple[Any, ...],
    edges: list[np.ndarray],
    spikes: np.ndarray,
    seconds: np.ndarray,
    level: float,
) -> xr.Dataset:
    dims = ["unit"] + ([by] if by is not None else []) + list(found.dims())
    shape = (spikes.shape[0], *((len(categories),) if by is not None else ()), *(e.size - 1 for e in edges))
    known = seconds > 0
    scale = np.where(known, 1.0 / np.where(known, seconds, 1.0), np.nan)
    tail = (1.0 - level) / 2
    values = {
        "rate": (spikes * scale, "spikes/s"),
        "low": (stats.gamma.ppf(tail, spikes + JEFFREYS_SHAPE) * scale, "spikes/s"),
        "high": (stats.gamma.ppf(1.0 - tail, spikes + JEFFREYS_SHAPE) * scale, "spikes/s"),
        "spikes": (spikes, "1"),
        "occupancy": (seconds, "s"),
    }
    coords: dict[str, Any] = {"unit": data["unit"].values}
    if by is not None:
        coords[by] = list(categories)
    for dim, edge in zip(found.dims(), edges, strict=True):
        coords[dim] = (dim, (edge[1:] + edge[:-1]) / 2, {"units": found.units})
    made = {name: (dims, v.reshape(shape), {"units": units}) for name, (v, units) in values.items()}
    return xr.Dataset(made, coords=coords, attrs={"level": level})
