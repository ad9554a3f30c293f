"""Predictive distributions of behaviour that is no real number: angles, and values of a finite set."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import xarray as xr
from scipy import special

from neurokit_snn.errors import ModelError
from neurokit_snn.models.observations import AbstractObservation, Space, log_mean_exp

__all__ = ["Categorical", "VonMises"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class VonMises(AbstractObservation):
    """Angles around ``location``; the circular counterpart of a Gaussian.

    With the angle ``x = 2 pi (y - location) / period``, ``p(y) = exp(concentration cos x) / (period I0(concentration))``
    (Mardia and Jupp, Directional Statistics, 2000, equation 3.5.17), a density over one turn, per unit of the behaviour.

    Parameters
    ----------
    location
        Mean direction, in the units of the behaviour; any turn.
    concentration
        At least 0 (uniform); about the inverse variance in rad where it is large.
    period
        One turn in the units of the behaviour: ``2 pi`` (nats per rad), 360 for degrees (nats per degree).
    event_dims
        Dims along which log densities are summed to a joint one.

    Raises
    ------
    ModelError
        When the period is not above 0.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> either = xr.DataArray([350.0, 10.0], dims="draw")
    >>> heading = VonMises(location=either, concentration=xr.DataArray(4.0), period=360.0)
    >>> round(float(np.cos(np.deg2rad(heading.mean()))), 9)
    1.0
    """

    space: ClassVar[Space] = "density"
    location: xr.DataArray
    concentration: xr.DataArray
    period: float = 2.0 * np.pi
    event_dims: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.period > 0:
            raise ModelError(
                f"VonMises: period is {self.period}; give one turn in the units of the behaviour"
            )

    def _radians(self, values: xr.DataArray) -> xr.DataArray:
        return values * (2.0 * np.pi / self.period)

    def _in_turn(self, radians: xr.DataArray) -> xr.DataArray:
        """Angles in the units of the behaviour, from 0 up to the period."""
        return (radians % (2.0 * np.pi)) * (self.period / (2.0 * np.pi))

    def log_prob(self, target: xr.DataArray) -> xr.DataArray:
        """Log density per unit of the behaviour; ``I0`` is kept scaled, so that no concentration overflows."""
        angle = self._radians(target - self.location)
        log_norm = np.log(special.ive(0.0, self.concentration)) + np.log(self.period)
        values = self.concentration * (np.cos(angle) - 1.0) - log_norm
        return values.sum(list(self.event_dims), skipna=False) if self.event_dims else values

    def conditional_mean(self) -> xr.DataArray:
        """The mean direction, from 0 up to the period."""
        return self._in_turn(self._radians(self.location))

    def mean(self) -> xr.DataArray:
        """Circular mean of the mixture of draws, each drawn to its direction by its mean resultant length ``I1 / I0``."""
        if "draw" not in self.location.dims and "draw" not in self.concentration.dims:
            return self.conditional_mean()
        length = special.ive(1.0, self.concentration) / special.ive(0.0, self.concentration)
        cosine, sine = _cosine_and_sine(self._radians(self.location))
        parts = xr.broadcast(length * sine, length * cosine)
        return self._in_turn(xr.apply_ufunc(np.arctan2, *(part.mean("draw") for part in parts)))

    def parameter_sd(self) -> xr.DataArray:
        """Circular standard deviation ``sqrt(-2 ln R)`` of the mean direction over draws, in the units of the behaviour."""
        angle = self._radians(self.location)
        if "draw" not in angle.dims or angle.sizes["draw"] == 1:
            return xr.zeros_like(angle.isel(draw=0, drop=True) if "draw" in angle.dims else angle)
        cosine, sine = (part.mean("draw") for part in _cosine_and_sine(angle))
        length = ((cosine**2 + sine**2) ** 0.5).clip(min=1e-300, max=1.0)
        return abs(2.0 * xr.apply_ufunc(np.log, length)) ** 0.5 * (self.period / (2.0 * np.pi))

    def sample(self, rng: np.random.Generator) -> xr.DataArray:
        """One angle for each set of parameters, from 0 up to the period."""
        location, concentration = xr.broadcast(self._radians(self.location), self.concentration)
        return self._in_turn(location.copy(data=rng.vonmises(location.values, concentration.values)))


def _cosine_and_sine(radians: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    return xr.apply_ufunc(np.cos, radians), xr.apply_ufunc(np.sin, radians)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Categorical(AbstractObservation):
    """Values of a finite set of numbers, such as a running direction or a behavioural state.

    Its log probabilities are masses and not densities (``space`` is ``"categories"``), and its mean is the likeliest
    category, as an average of labels would be none.

    Parameters
    ----------
    log_p
        Log probability of each category, dims ``(..., category)``, summing to one over ``category``.
    categories
        The values, one a category, each once.

    Raises
    ------
    ModelError
        When ``log_p`` does not fit the categories or does not sum to one, or the categories are not different numbers.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> log_p = xr.DataArray(np.log([[0.2, 0.8], [0.5, 0.5]]), dims=("time", "category"))
    >>> direction = Categorical(log_p=log_p, categories=(-1.0, 1.0))
    >>> np.exp(direction.log_prob(xr.DataArray([1.0, -1.0], dims="time"))).values.round(3).tolist()
    [0.8, 0.5]
    >>> direction.mean().values.tolist()
    [1.0, -1.0]
    """

    space: ClassVar[Space] = "categories"
    log_p: xr.DataArray
    categories: tuple[float, ...]

    UNKNOWN: ClassVar[float] = 1e-9
    """Probability that is scored for a value that is none of the categories."""

    def __post_init__(self) -> None:
        try:
            values = np.asarray(self.categories, dtype=np.float64)
        except (TypeError, ValueError):
            raise ModelError(
                f"Categorical: categories are {self.categories!r}; give numbers, as in the behaviour"
            ) from None
        if values.size != self.log_p.sizes.get("category"):
            raise ModelError(
                f"Categorical: log_p has {self.log_p.sizes.get('category')} along category, there are {values.size} "
                "categories; pass one log probability each"
            )
        if np.unique(values).size < values.size or not np.isfinite(values).all():
            raise ModelError(f"Categorical: categories are {self.categories!r}; give each number once")
        total = xr.apply_ufunc(np.exp, self.log_p).sum("category").values
        if not np.allclose(total, 1.0, rtol=0.0, atol=1e-5):
            worst = total.flat[np.abs(total - 1.0).argmax()]
            raise ModelError(
                f"Categorical: the probabilities sum to {worst:.6g}; normalise log_p over category"
            )

    def _labels(self) -> xr.DataArray:
        return xr.DataArray(np.asarray(self.categories, dtype=np.float64), dims="category")

    def log_prob(self, target: xr.DataArray) -> xr.DataArray:
        """Log probability of each value in nats; NaN where the value is missing."""
        found = np.asarray(target.values)[..., None] == self._labels().values
        index = xr.DataArray(found.argmax(-1), dims=target.dims, coords=target.coords)
        known = xr.DataArray(found.any(-1), dims=target.dims)
        plain = self.log_p.drop_vars("category", errors="ignore")
        return plain.isel(category=index).where(known, np.log(self.UNKNOWN)).where(target.notnull())

    def conditional_mean(self) -> xr.DataArray:
        """The likeliest category of each set of parameters, the first of equals."""
        return self._labels().isel(category=self.log_p.argmax("category"))

    def _pooled(self) -> xr.DataArray:
        pooled = log_mean_exp(self.log_p) if "draw" in self.log_p.dims else self.log_p
        return pooled.drop_vars("category", errors="ignore")

    def mean(self) -> xr.DataArray:
        """The likeliest category once the probabilities of all draws are averaged."""
        return self._labels().isel(category=self._pooled().argmax("category"))

    def parameter_sd(self) -> xr.DataArray:
        """Standard deviation of the value itself, probabilities averaged over draws: what is unknown of the behaviour."""
        p = xr.apply_ufunc(np.exp, self._pooled())
        average = xr.dot(p, self._labels(), dim="category")
        return ((p * (self._labels() - average) ** 2).sum("category")) ** 0.5

    def sample(self, rng: np.random.Generator) -> xr.DataArray:
        """One category for each set of parameters."""
        log_p = self.log_p.transpose(..., "category")
        drawn = (log_p.values + rng.gumbel(size=log_p.shape)).argmax(-1)
        like = log_p.isel(category=0, drop=True)
        return like.copy(data=self._labels().values[drawn])
