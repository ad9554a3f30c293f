"""Tuning terms of a GLM: what each covariate adds to the log rate, as columns of splines by category."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from neurokit_snn.errors import ModelError
from neurokit_snn.models.covariates import Covariate, category_codes, covariate
from neurokit_snn.models.glm.splines import SplineAxis

__all__ = ["Term", "columns_of", "learn_term"]

SPLINES = {1: 10, 2: 8}
"""Splines an axis, for covariates of one and of two axes, where the caller names no number."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Term:
    """A covariate's part of the design: a tensor product of splines, one copy for each category of ``by``.

    Parameters
    ----------
    covariate
        Name of the behaviour or trial column.
    dims
        Name of the dim of a tuning curve along each axis; empty for a covariate of categories.
    units
        Of the covariate.
    axes
        Splines of each axis.
    by
        Name of the categories, or None.
    categories
        Their labels.
    """

    covariate: str
    dims: tuple[str, ...]
    units: str
    axes: tuple[SplineAxis, ...]
    by: str | None
    categories: tuple[Any, ...]

    @property
    def n_columns(self) -> int:
        """Number of columns in the design."""
        return int(np.prod([axis.splines for axis in self.axes])) * max(1, len(self.categories))

    def names(self) -> list[str]:
        """Name of each column."""
        cells = [
            f"{self.covariate}[{','.join(map(str, i))}]" for i in np.ndindex(*[a.splines for a in self.axes])
        ]
        if not self.axes:
            cells = [self.covariate]
        if self.by is None:
            return cells
        return [f"{cell} {self.by}={c}" for c in self.categories for cell in cells]

    def columns(self, points: np.ndarray, codes: np.ndarray | None) -> np.ndarray:
        """Columns at points ``(row, axis)`` of categories ``codes (row,)``, ``(row, column)``."""
        basis = np.ones((points.shape[0], 1))
        for index, axis in enumerate(self.axes):
            along = axis.columns(points[:, index])
            basis = (basis[:, :, None] * along[:, None, :]).reshape(points.shape[0], -1)
        if codes is None:
            return basis
        spread = np.zeros((points.shape[0], len(self.categories), basis.shape[1]))
        spread[np.arange(points.shape[0]), codes] = basis
        return spread.reshape(points.shape[0], -1)

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and text, from which `from_json` makes the term again."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Term:
        """The inverse of `to_json`."""
        made = dict(stored)
        made["axes"] = tuple(SplineAxis(**axis) for axis in made["axes"])
        made["dims"], made["categories"] = tuple(made["dims"]), tuple(made["categories"])
        return cls(**made)


def learn_term(
    data: xr.Dataset, name: str, *, by: str | None, splines: int | Mapping[str, int] | None, who: str
) -> Term:
    """Take the range of a covariate and the categories of ``by`` from training data.

    Raises
    ------
    ModelError
        When a name is unknown, a covariate has more than two axes or no valid value, or ``by`` is not categorical.
    """
    found = covariate(data, name, who=who)
    if not found.valid.any():
        raise ModelError(f"{who}: covariate {found.name!r} has no valid value in the training data")
    if found.kind == "categorical":
        if by is not None:
            raise ModelError(
                f"{who}: {found.name!r} is categorical; by= is for covariates with a tuning curve"
            )
        categories = tuple(np.unique(found.values[found.valid]).tolist())
        return Term(
            covariate=found.name, dims=(), units=found.units, axes=(), by=found.name, categories=categories
        )
    if len(found.axes) > 2:
        raise ModelError(
            f"{who}: covariate {found.name!r} has {len(found.axes)} axes; tuning takes at most 2: give it as several behaviours"
        )
    wanted = splines.get(found.name) if isinstance(splines, Mapping) else splines
    number = SPLINES[len(found.axes)] if wanted is None else int(wanted)
    if number < 4:
        raise ModelError(f"{who}: splines is {number} for {found.name!r}; cubic splines need at least 4")
    categories = () if by is None else _categories(covariate(data, by, who=who), who)
    return Term(
        covariate=found.name,
        dims=found.dims(),
        units=found.units,
        axes=tuple(_axis(found, index, number, who) for index in range(len(found.axes))),
        by=by,
        categories=categories,
    )


def _categories(found: Covariate, who: str) -> tuple[Any, ...]:
    if found.kind != "categorical":
        raise ModelError(f"{who}: by={found.name!r} is {found.kind}; it must be categorical")
    categories = tuple(np.unique(found.values[found.valid]).tolist())
    if not categories:
        raise ModelError(f"{who}: by={found.name!r} has no valid value in the training data")
    return categories


def _axis(found: Covariate, index: int, splines: int, who: str) -> SplineAxis:
    if found.kind == "circular":
        return SplineAxis(lower=0.0, upper=found.period, splines=splines, circular=True)
    values = found.values[found.valid][:, index]
    lower, upper = float(values.min()), float(values.max())
    if lower == upper:
        raise ModelError(
            f"{who}: covariate {found.name!r} is {lower} in every training bin; it has no tuning to fit"
        )
    return SplineAxis(lower=lower, upper=upper, splines=splines)


def columns_of(data: xr.Dataset, terms: Sequence[Term], *, who: str) -> tuple[np.ndarray, np.ndarray]:
    """Columns of all terms in every bin, and which of them are known.

    Returns
    -------
    columns : ndarray, (trial, time, column)
        NaN where a covariate or its category is missing.
    valid : ndarray of bool, (trial, time)
        True where nothing is missing.
    """
    shape = (data.sizes["trial"], data.sizes["time"])
    columns = np.full((*shape, sum(term.n_columns for term in terms)), np.nan)
    valid = np.ones(shape, dtype=bool)
    first = 0
    for term in terms:
        found = covariate(data, term.covariate, who=who)
        known = found.valid.copy()
        codes = None
        if term.by is not None:
            labels = found if term.by == term.covariate else covariate(data, term.by, who=who)
            codes = category_codes(labels, term.categories)
            known &= codes >= 0
            codes = codes[known]
        points = found.values[known] if term.axes else np.empty((int(known.sum()), 0))
        if term.axes and points.shape[1] != len(term.axes):
            raise ModelError(
                f"{who}: covariate {term.covariate!r} has {points.shape[1]} axes, the fit had {len(term.axes)}"
            )
        columns[known, first : first + term.n_columns] = term.columns(points, codes)
        valid &= known
        first += term.n_columns
    return columns, valid
