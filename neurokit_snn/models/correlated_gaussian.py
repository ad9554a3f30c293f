"""A Gaussian over all axes of a behaviour together, with its correlations."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import xarray as xr
from scipy.linalg import solve_triangular

from neurokit_snn.errors import ModelError
from neurokit_snn.models.observations import AbstractObservation, Space

__all__ = ["CorrelatedGaussian", "gaussian_around"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CorrelatedGaussian(AbstractObservation):
    """Real vectors around ``location`` with one covariance for all bins; the log density is joint over the axes.

    Parameters
    ----------
    location
        Dims ``(..., axis)``, or without an axis for a behaviour of one number.
    covariance
        ``(axis, axis)``, positive definite.
    axis_dim
        Name of the dim of the axes, None where there is none.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> origin = xr.DataArray(np.zeros((1, 2)), dims=("time", "axis"))
    >>> density = CorrelatedGaussian(location=origin, covariance=np.eye(2), axis_dim="axis")
    >>> float(np.exp(density.log_prob(origin)).item() * 2 * np.pi)
    1.0
    """

    space: ClassVar[Space] = "density"
    location: xr.DataArray
    covariance: np.ndarray
    axis_dim: str | None

    def __post_init__(self) -> None:
        n_axes = 1 if self.axis_dim is None else self.location.sizes[self.axis_dim]
        if self.covariance.shape != (n_axes, n_axes):
            raise ModelError(
                f"CorrelatedGaussian: covariance has shape {self.covariance.shape}, the location {n_axes} axes; "
                "they must agree"
            )

    def log_prob(self, target: xr.DataArray) -> xr.DataArray:
        """Joint log density of each vector, in nats per unit of the behaviour; NaN where an axis is."""
        factor = np.linalg.cholesky(self.covariance)
        apart = target - self.location
        apart = (
            apart.expand_dims("_axis", -1) if self.axis_dim is None else apart.transpose(..., self.axis_dim)
        )
        flat = apart.values.reshape(-1, factor.shape[0])
        known = np.isfinite(flat).all(1)
        white = solve_triangular(factor, np.where(known[:, None], flat, 0.0).T, lower=True)
        constant = np.log(np.diag(factor)).sum() + 0.5 * factor.shape[0] * np.log(2.0 * np.pi)
        values = np.where(known, -0.5 * np.square(white).sum(0) - constant, np.nan)
        plain = apart.isel({apart.dims[-1]: 0}, drop=True)
        return xr.DataArray(values.reshape(plain.shape), dims=plain.dims, coords=plain.coords)

    def conditional_mean(self) -> xr.DataArray:
        """The location."""
        return self.location

    def parameter_sd(self) -> xr.DataArray:
        """Standard deviation along each axis: of the behaviour itself, draws of the location included."""
        within = np.diag(self.covariance)
        noise = within[0] if self.axis_dim is None else xr.DataArray(within, dims=self.axis_dim)
        between = self.location.var("draw", ddof=1) if self.location.sizes.get("draw", 1) > 1 else 0.0
        plain = self.location.isel(draw=0, drop=True) if "draw" in self.location.dims else self.location
        return (xr.zeros_like(plain) + noise + between) ** 0.5

    def sample(self, rng: np.random.Generator) -> xr.DataArray:
        """One vector around each location."""
        factor = np.linalg.cholesky(self.covariance)
        if self.axis_dim is None:
            return self.location.copy(
                data=self.location.values + factor[0, 0] * rng.standard_normal(self.location.shape)
            )
        last = self.location.transpose(..., self.axis_dim)
        noise = rng.standard_normal(last.shape) @ factor.T
        return last.copy(data=last.values + noise).transpose(*self.location.dims)


def gaussian_around(
    location: np.ndarray,
    visible: xr.Dataset,
    *,
    covariance: np.ndarray,
    axis_dim: str | None,
    axis_labels: tuple[str, ...],
) -> CorrelatedGaussian:
    """Label locations ``([draw,] trial, time, axis)`` by the visible data and put a covariance around them."""
    coords = {"trial": visible["trial"].values, "time": visible["time"].values}
    dims: tuple[str, ...] = ("draw", "trial", "time") if location.ndim == 4 else ("trial", "time")
    if axis_dim is None:
        location = location[..., 0]
    else:
        dims = (*dims, axis_dim)
        coords[axis_dim] = np.asarray(axis_labels)
    return CorrelatedGaussian(
        location=xr.DataArray(location, dims=dims, coords=coords), covariance=covariance, axis_dim=axis_dim
    )
