"""Tuning curves of a fitted GLM with credible intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from neurokit_snn.errors import ModelError
from neurokit_snn.models.posterior import gaussian_draws

if TYPE_CHECKING:
    from neurokit_snn.models.glm.model import GLM
    from neurokit_snn.models.glm.splines import SplineAxis

__all__ = ["curves_of"]

MIN_DRAWS = 100


def curves_of(model: GLM, covariate: str, *, points: int, level: float, draws: int, seed: int) -> xr.Dataset:
    """See `GLM.tuning_curves`."""
    name = covariate.removeprefix("behavior_")
    if draws < MIN_DRAWS:
        raise ModelError(f"GLM.tuning_curves: draws is {draws}; intervals need at least {MIN_DRAWS}")
    starts = np.cumsum([1, *(term.n_columns for term in model.terms_)])
    places = [i for i, term in enumerate(model.terms_) if term.covariate == name]
    if not places:
        known = ", ".join(term.covariate for term in model.terms_) or "none"
        raise ModelError(f"GLM.tuning_curves: the model has no covariate {name!r}; it has {known}")
    term, first = model.terms_[places[0]], int(starts[places[0]])
    grids = [_grid(axis, points) for axis in term.axes]
    cells = (
        np.stack([g.ravel() for g in np.meshgrid(*grids, indexing="ij")], axis=-1)
        if grids
        else np.empty((1, 0))
    )
    columns = _columns_by_category(term, cells)  # (category, cell, column)
    typical = np.concatenate([[1.0], model.column_mean_, _typical_past(model)])  # features at their means
    typical[first : first + term.n_columns] = 0.0
    drawn = gaussian_draws(model.weights_, model.covariance_, draws=draws, rng=np.random.default_rng(seed))
    baseline = (
        drawn @ typical if not _has_own_past(model) else _with_own_past(model, drawn, typical)
    )  # (draw, unit)
    along = np.einsum("cxf,duf->ducx", columns, drawn[..., first : first + term.n_columns])
    rates = np.exp(baseline[:, :, None, None] + along) / model.bin_width_
    tail = 50.0 * (1.0 - level)
    low, high = np.percentile(rates, [tail, 100.0 - tail], axis=0)
    return _as_dataset(model, term, grids, {"rate": rates.mean(0), "low": low, "high": high}, level)


def _grid(axis: SplineAxis, points: int) -> np.ndarray:
    return np.linspace(axis.lower, axis.upper, points, endpoint=not axis.circular)


def _columns_by_category(term: Any, cells: np.ndarray) -> np.ndarray:
    if term.by is None:
        return np.asarray(term.columns(cells, None))[None]
    n = cells.shape[0]
    return np.stack([term.columns(cells, np.full(n, code)) for code in range(len(term.categories))])


def _has_own_past(model: GLM) -> bool:
    return bool(model.kernel_.size) and not model.coupling


def _typical_past(model: GLM) -> np.ndarray:
    """Filtered past at the mean rates: of all units with coupling; left out for units' own past, which differs by unit."""
    if not model.kernel_.size or not model.coupling:
        return np.empty(0)
    return (model.count_mean_[:, None] * model.kernel_.sum(0)).ravel()


def _with_own_past(model: GLM, drawn: np.ndarray, typical: np.ndarray) -> np.ndarray:
    own = model.count_mean_[:, None] * model.kernel_.sum(0)  # (unit, basis)
    n_shared = typical.size
    return np.asarray(drawn[..., :n_shared] @ typical + np.einsum("duf,uf->du", drawn[..., n_shared:], own))


def _as_dataset(
    model: GLM, term: Any, grids: list[np.ndarray], values: dict[str, np.ndarray], level: float
) -> xr.Dataset:
    dims = ["unit"] + ([term.by] if term.by is not None else []) + list(term.dims)
    shape = (
        model.units_.size,
        *((len(term.categories),) if term.by is not None else ()),
        *(g.size for g in grids),
    )
    coords: dict[str, Any] = {"unit": model.units_}
    if term.by is not None:
        coords[term.by] = list(term.categories)
    coords |= {d: (d, g, {"units": term.units}) for d, g in zip(term.dims, grids, strict=True)}
    made = {k: (dims, v.reshape(shape), {"units": "spikes/s"}) for k, v in values.items()}
    return xr.Dataset(made, coords=coords, attrs={"level": level, "model": "GLM"})
