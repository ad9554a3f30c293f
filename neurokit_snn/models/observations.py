"""Predictive distributions over what is scored: spike counts, calcium, behaviour.

A model answers with one of these; the package does the scoring, so that every model is scored by the same lines of code.
Parameters are DataArrays over any of the dims ``(draw, trial, time, unit, ...)``; a ``draw`` dim holds posterior draws and
is averaged as a mixture: ``log p(y) = log mean_s p(y | parameters_s)``.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np
import xarray as xr
from scipy import special

from neurokit_snn.errors import ModelError

__all__ = [
    "AbstractObservation",
    "Bernoulli",
    "GammaPoisson",
    "Gaussian",
    "Grid",
    "NegativeBinomial",
    "Poisson",
    "log_mean_exp",
    "spread_of_draws",
]

RATE_FLOOR = 1e-9
"""Smallest expected count per bin that is scored (the floor of the Neural Latents Benchmark)."""

Space = Literal["counts", "binary", "density", "mixed", "categories"]
"""What a log probability is measured in: raw counts, bins of at most one spike, a density of real values, a mass at no event
beside a density of events (`neurokit_snn.models.zero_inflated_gamma`), the probabilities of finitely many categories."""


def log_mean_exp(values: xr.DataArray, dim: str = "draw") -> xr.DataArray:
    """Logarithm of the mean of ``exp(values)`` over a dim, without overflow.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> log_p = xr.DataArray(np.log([0.2, 0.4]), dims="draw")
    >>> round(float(np.exp(log_mean_exp(log_p))), 6)
    0.3
    """
    n_draws = values.sizes[dim]
    if n_draws == 1:
        return values.isel({dim: 0}, drop=True)
    highest = values.max(dim)
    shift = highest.where(np.isfinite(highest), 0.0)
    total = _ufunc(np.exp, values - shift).sum(dim, skipna=False)
    return _ufunc(_log, total) + shift - float(np.log(n_draws))


def _log(values: np.ndarray) -> np.ndarray:
    """Logarithm with -inf at 0, also where dask calls it later."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(values))


class AbstractObservation(abc.ABC):
    """A distribution over one target, as posterior draws of its parameters or in closed form."""

    space: ClassVar[Space]

    @abc.abstractmethod
    def log_prob(self, target: xr.DataArray) -> xr.DataArray:
        """Log probability (``counts``, ``binary``, ``categories``) or log density of each value, in nats; keeps ``draw``."""

    @abc.abstractmethod
    def conditional_mean(self) -> xr.DataArray:
        """Expected value given the parameters; keeps ``draw``."""

    @abc.abstractmethod
    def parameter_sd(self) -> xr.DataArray:
        """Standard deviation of the expected value under the posterior of the parameters."""

    @abc.abstractmethod
    def sample(self, rng: np.random.Generator) -> xr.DataArray:
        """One value for each set of parameters; keeps ``draw``."""

    def log_marginal(self, target: xr.DataArray) -> xr.DataArray:
        """Log of the mean over draws of the probability of each value, in nats."""
        values = self.log_prob(target)
        return log_mean_exp(values) if "draw" in values.dims else values

    def mean(self) -> xr.DataArray:
        """Expected value, draws averaged."""
        values = self.conditional_mean()
        return values.mean("draw") if "draw" in values.dims else values


def spread_of_draws(values: xr.DataArray) -> xr.DataArray:
    """Standard deviation over ``draw``; zero where there is no such dim or one draw.

    Examples
    --------
    >>> import xarray as xr
    >>> float(spread_of_draws(xr.DataArray([1.0, 3.0, 5.0], dims="draw")))
    2.0
    """
    if "draw" in values.dims and values.sizes["draw"] > 1:
        return values.std("draw", ddof=1)
    return xr.zeros_like(values.isel(draw=0, drop=True) if "draw" in values.dims else values)


def _ufunc(function: Callable[..., Any], *arrays: xr.DataArray) -> xr.DataArray:
    return xr.apply_ufunc(function, *arrays, dask="parallelized", output_dtypes=[np.float64])


def _sampled(like: xr.DataArray, values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims=like.dims, coords=like.coords)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Poisson(AbstractObservation):
    """Counts with ``rate_per_bin`` expected spikes in a bin."""

    space: ClassVar[Space] = "counts"
    rate_per_bin: xr.DataArray

    def log_prob(self, target: xr.DataArray) -> xr.DataArray:
        rate = self.rate_per_bin.clip(min=RATE_FLOOR)
        return target * np.log(rate) - rate - _ufunc(special.gammaln, target + 1.0)

    def conditional_mean(self) -> xr.DataArray:
        return self.rate_per_bin

    def parameter_sd(self) -> xr.DataArray:
        return spread_of_draws(self.rate_per_bin)

    def sample(self, rng: np.random.Generator) -> xr.DataArray:
        return _sampled(self.rate_per_bin, rng.poisson(self.rate_per_bin.values).astype(np.int32))


@dataclasses.dataclass(frozen=True, kw_only=True)
class NegativeBinomial(AbstractObservation):
    """Counts with an expected value ``mean`` and variance ``mean + mean**2 / concentration`` in a bin."""

    space: ClassVar[Space] = "counts"
    mean_per_bin: xr.DataArray
    concentration: xr.DataArray

    def log_prob(self, target: xr.DataArray) -> xr.DataArray:
        mean = self.mean_per_bin.clip(min=RATE_FLOOR)
        return _log_negative_binomial(target, mean, self.concentration)

    def conditional_mean(self) -> xr.DataArray:
        return self.mean_per_bin

    def parameter_sd(self) -> xr.DataArray:
        return spread_of_draws(self.mean_per_bin)

    def sample(self, rng: np.random.Generator) -> xr.DataArray:
        mean, concentration = xr.broadcast(self.mean_per_bin, self.concentration)
        rates = rng.gamma(concentration.values, mean.values / concentration.values)
        return _sampled(mean, rng.poisson(rates).astype(np.int32))


@dataclasses.dataclass(frozen=True, kw_only=True)
class GammaPoisson(AbstractObservation):
    """Counts whose expected value has a Gamma posterior: the closed form of infinitely many draws.

    ``shape`` and ``rate`` are those of the Gamma over expected spikes per bin; the predictive is negative binomial with
    mean ``shape / rate`` and concentration ``shape`` (Gelman et al., Bayesian Data Analysis, 3rd ed., section 2.6).
    """

    space: ClassVar[Space] = "counts"
    shape: xr.DataArray
    rate: xr.DataArray

    def log_prob(self, target: xr.DataArray) -> xr.DataArray:
        return _log_negative_binomial(target, (self.shape / self.rate).clip(min=RATE_FLOOR), self.shape)

    def conditional_mean(self) -> xr.DataArray:
        return self.shape / self.rate

    def parameter_sd(self) -> xr.DataArray:
        return self.shape**0.5 / self.rate

    def sample(self, rng: np.random.Generator) -> xr.DataArray:
        shape, rate = xr.broadcast(self.shape, self.rate)
        return _sampled(shape, rng.poisson(rng.gamma(shape.values, 1.0 / rate.values)).astype(np.int32))


def _log_negative_binomial(
    target: xr.DataArray, mean: xr.DataArray, concentration: xr.DataArray
) -> xr.DataArray:
    constant = _ufunc(special.gammaln, concentration)
    return (
        _ufunc(special.gammaln, target + concentration)
        - constant
        - _ufunc(special.gammaln, target + 1.0)
        - concentration * np.log1p(mean / concentration)
        + target * (np.log(mean) - np.log(concentration + mean))
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bernoulli(AbstractObservation):
    """Bins that hold at most one spike, with probability ``p``."""

    space: ClassVar[Space] = "binary"
    p: xr.DataArray

    def log_prob(self, target: xr.DataArray) -> xr.DataArray:
        p = self.p.clip(min=RATE_FLOOR, max=1.0 - RATE_FLOOR)
        return target * np.log(p) + (1 - target) * np.log1p(-p)

    def conditional_mean(self) -> xr.DataArray:
        return self.p

    def parameter_sd(self) -> xr.DataArray:
        return spread_of_draws(self.p)

    def sample(self, rng: np.random.Generator) -> xr.DataArray:
        return _sampled(self.p, rng.binomial(1, self.p.values).astype(np.int32))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gaussian(AbstractObservation):
    """Real values with ``location`` and ``scale``; the log densities along ``event_dims`` are summed to a joint one."""

    space: ClassVar[Space] = "density"
    location: xr.DataArray
    scale: xr.DataArray
    event_dims: tuple[str, ...] = ()

    def log_prob(self, target: xr.DataArray) -> xr.DataArray:
        z = (target - self.location) / self.scale
        values = -0.5 * z**2 - np.log(self.scale) - 0.5 * np.log(2.0 * np.pi)
        return values.sum(list(self.event_dims), skipna=False) if self.event_dims else values

    def conditional_mean(self) -> xr.DataArray:
        return self.location

    def parameter_sd(self) -> xr.DataArray:
        return spread_of_draws(self.location)

    def sample(self, rng: np.random.Generator) -> xr.DataArray:
        location, scale = xr.broadcast(self.location, self.scale)
        return _sampled(location, rng.normal(location.values, scale.values))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Grid(AbstractObservation):
    """A density over one or more real axes, constant within the cells of a grid.

    Parameters
    ----------
    log_p
        Log probability of each cell, dims ``(..., cell)``, summing to one over ``cell``; cells in C order of the axes.
    edges
        Increasing edges of the cells, one array an axis, in the units of the behaviour.
    axis_dim
        Name of the dim of the target that runs over the axes; None for a target with one axis and no such dim.
    axis_labels
        Coordinate of ``axis_dim``.
    estimate
        Which point stands for the distribution: its mean (least squared error) or its mode.
    """

    space: ClassVar[Space] = "density"
    log_p: xr.DataArray
    edges: tuple[np.ndarray, ...]
    axis_dim: str | None = None
    axis_labels: tuple[str, ...] = ()
    estimate: Literal["mean", "mode"] = "mean"

    OUTSIDE: ClassVar[float] = 1e-9
    """Probability that is spread over a target outside the grid, as a density of the whole grid's area."""

    def __post_init__(self) -> None:
        n_cells = int(np.prod([len(e) - 1 for e in self.edges]))
        if self.log_p.sizes.get("cell") != n_cells:
            raise ModelError(
                f"Grid: log_p has {self.log_p.sizes.get('cell')} cells, the edges make {n_cells}; pass one per cell"
            )

    def _coordinates(self, target: xr.DataArray) -> list[np.ndarray]:
        if self.axis_dim is None:
            return [target.values]
        return [target.isel({self.axis_dim: i}).values for i in range(len(self.edges))]

    def log_prob(self, target: xr.DataArray) -> xr.DataArray:
        plain = target if self.axis_dim is None else target.isel({self.axis_dim: 0}, drop=True)
        inside = np.ones(plain.shape, dtype=bool)
        cell = np.zeros(plain.shape, dtype=np.int64)
        log_area = np.zeros(plain.shape)
        log_total = 0.0
        for values, edges in zip(self._coordinates(target), self.edges, strict=True):
            index = np.searchsorted(edges, values, side="right") - 1
            index = np.where(values == edges[-1], len(edges) - 2, index)
            inside &= (index >= 0) & (index <= len(edges) - 2)
            index = np.clip(index, 0, len(edges) - 2)
            cell = cell * (len(edges) - 1) + index
            log_area = log_area + np.log(np.diff(edges))[index]
            log_total += np.log(edges[-1] - edges[0])
        where = xr.DataArray(cell, dims=plain.dims, coords=plain.coords)
        density = self.log_p.isel(cell=where) - xr.DataArray(log_area, dims=plain.dims, coords=plain.coords)
        density = density.where(xr.DataArray(inside, dims=plain.dims), np.log(self.OUTSIDE) - log_total)
        return density.where(plain.notnull())

    def centres(self) -> np.ndarray:
        """Centres of the cells, ``(cell, axis)``."""
        middles = [(e[1:] + e[:-1]) / 2 for e in self.edges]
        return np.stack([m.ravel() for m in np.meshgrid(*middles, indexing="ij")], axis=-1)

    def conditional_mean(self) -> xr.DataArray:
        centres = self._axes(self.centres())
        if self.estimate == "mode":
            return centres.isel(cell=self.log_p.argmax("cell"))
        return xr.dot(np.exp(self.log_p), centres, dim="cell")

    def parameter_sd(self) -> xr.DataArray:
        """Standard deviation of the density itself along each axis: what is unknown of the behaviour."""
        p = _ufunc(np.exp, self.log_p)
        p = p.mean("draw") if "draw" in p.dims else p
        centres = self._axes(self.centres())
        mean = xr.dot(p, centres, dim="cell")
        widths = np.stack(
            [w.ravel() for w in np.meshgrid(*[np.diff(e) for e in self.edges], indexing="ij")], axis=-1
        )
        second = xr.dot(p, centres**2 + self._axes(widths) ** 2 / 12.0, dim="cell")
        return (second - mean**2).clip(min=0.0) ** 0.5

    def sample(self, rng: np.random.Generator) -> xr.DataArray:
        lead = [d for d in self.log_p.dims if d != "cell"]
        log_p = self.log_p.transpose(*lead, "cell")
        noisy = log_p.values + rng.gumbel(size=log_p.shape)
        like = log_p.isel(cell=0, drop=True)
        cell = xr.DataArray(noisy.argmax(-1), dims=like.dims, coords=like.coords)
        widths = np.stack(
            [w.ravel() for w in np.meshgrid(*[np.diff(e) for e in self.edges], indexing="ij")], axis=-1
        )
        centre, width = self._axes(self.centres()).isel(cell=cell), self._axes(widths).isel(cell=cell)
        return centre + width * (rng.random(centre.shape) - 0.5)

    def _axes(self, values: np.ndarray) -> xr.DataArray:
        if self.axis_dim is None:
            return xr.DataArray(values[:, 0], dims="cell")
        coords = {self.axis_dim: list(self.axis_labels)} if self.axis_labels else None
        return xr.DataArray(values, dims=("cell", self.axis_dim), coords=coords)
