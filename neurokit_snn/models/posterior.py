"""Posterior draws in ArviZ's layout, and draws from Gaussian posteriors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

__all__ = ["POSTERIOR_DRAWS", "draws_tree", "gaussian_draws"]

POSTERIOR_DRAWS = 400
"""Draws kept in ``posterior_`` by models whose posterior has a closed form."""


def draws_tree(
    variables: Mapping[str, tuple[tuple[str, ...], np.ndarray]], *, coords: Mapping[str, Any]
) -> xr.DataTree:
    """A tree with the group ``posterior``, dims ``(chain, draw, ...)``, one chain.

    Parameters
    ----------
    variables
        For each name its dims after ``draw`` and its values ``(draw, ...)``.
    coords
        Coordinates of those dims.

    Examples
    --------
    >>> import numpy as np
    >>> tree = draws_tree({"rate": (("unit",), np.ones((7, 2)))}, coords={"unit": ["a", "b"]})
    >>> dict(tree["posterior"].sizes)
    {'chain': 1, 'draw': 7, 'unit': 2}
    """
    made = {name: (("chain", "draw", *dims), values[None]) for name, (dims, values) in variables.items()}
    n_draws = next(iter(variables.values()))[1].shape[0]
    where = {"chain": [0], "draw": np.arange(n_draws), **coords}
    return xr.DataTree.from_dict({"posterior": xr.Dataset(made, coords=where)})


def gaussian_draws(
    mean: np.ndarray, covariance: np.ndarray, *, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Draws of independent Gaussian vectors, one for each unit.

    Parameters
    ----------
    mean
        ``(unit, feature)``.
    covariance
        ``(unit, feature, feature)``, positive definite.
    draws
        How many.
    rng
        Source of the numbers.

    Returns
    -------
    ndarray, (draw, unit, feature)

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> values = gaussian_draws(np.zeros((1, 2)), np.eye(2)[None], draws=5, rng=rng)
    >>> values.shape
    (5, 1, 2)
    """
    factor = np.linalg.cholesky(covariance)  # (unit, feature, feature)
    normal = rng.standard_normal((draws, *mean.shape))  # (draw, unit, feature)
    return mean + np.einsum("uij,duj->dui", factor, normal)
