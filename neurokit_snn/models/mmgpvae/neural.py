"""Likelihoods of neural activity given a linear predictor ``a = W z + d`` of each unit in each bin.

Inference needs the expected log likelihood under Gaussian predictors ``a ~ N(mean, variance)`` and its two derivatives;
the Poisson and the Gaussian have them in closed form, the others by Gauss-Hermite quadrature.
"""

from __future__ import annotations

import abc
import dataclasses
import math
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from jax.scipy.special import gammaln

from neurokit_snn.errors import ModelError
from neurokit_snn.models.observations import (
    AbstractObservation,
    Gaussian,
    NegativeBinomial,
    Poisson,
    Space,
)
from neurokit_snn.models.zero_inflated_gamma import EVENT_FLOOR, ZeroInflatedGamma

__all__ = ["LIKELIHOODS", "AbstractNeural"]

NODES = 20
CEILING = 12.0
"""Largest linear predictor that is exponentiated: more than a hundred thousand spikes in a bin."""


def _mean(predictor: xr.DataArray) -> xr.DataArray:
    return xr.apply_ufunc(np.exp, predictor.clip(max=CEILING))


def _exp(value: Array) -> Array:
    return jnp.exp(jnp.minimum(value, CEILING))


class AbstractNeural(abc.ABC):
    """A likelihood of one modality of neural data; `extra` are positive parameters of each unit, on a log scale."""

    variable: ClassVar[str] = "counts"
    space: ClassVar[Space] = "counts"
    extra: ClassVar[tuple[str, ...]] = ()

    @abc.abstractmethod
    def log_prob(self, values: Array, predictor: Array, extra: dict[str, Array]) -> Array:
        """Log probability of each value given the linear predictor."""

    @abc.abstractmethod
    def mean(self, predictor: Array, extra: dict[str, Array]) -> Array:
        """Expected value given the linear predictor."""

    @abc.abstractmethod
    def observation(self, predictor: xr.DataArray, extra: dict[str, xr.DataArray]) -> AbstractObservation:
        """The predictive distribution for draws of the linear predictor."""

    @abc.abstractmethod
    def start(self, values: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Offsets ``(unit,)`` and log extra parameters to start from."""

    @abc.abstractmethod
    def standardised(self, values: np.ndarray, offset: np.ndarray) -> np.ndarray:
        """Values on the scale of the linear predictor, 0 at the offset: what a start by principal components is made of."""

    @abc.abstractmethod
    def guess(self, values: Array, offset: Array) -> Array:
        """A linear predictor for each value by itself, from which inference begins."""

    def expected(self, values: Array, mean: Array, variance: Array, extra: dict[str, Array]) -> Array:
        """Expected log probability for a Gaussian linear predictor, by quadrature."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
        weights = weights / weights.sum()
        spread = jnp.sqrt(variance + 1e-10)

        def at(total: Array, node: tuple[Array, Array]) -> tuple[Array, None]:
            where, weight = node
            return total + weight * self.log_prob(values, mean + spread * where, extra), None

        pairs = (jnp.asarray(nodes, mean.dtype), jnp.asarray(weights, mean.dtype))
        return jax.lax.scan(at, jnp.zeros_like(mean), pairs)[0]

    def slopes(
        self, values: Array, mean: Array, variance: Array, extra: dict[str, Array]
    ) -> tuple[Array, Array]:
        """Derivative of `expected` by the mean, and minus twice that by the variance, which is the factor's precision."""
        by_mean, by_variance = jax.grad(
            lambda m, v: self.expected(values, m, v, extra).sum(), argnums=(0, 1)
        )(mean, variance)
        return by_mean, jnp.maximum(-2.0 * by_variance, 0.0)

    @abc.abstractmethod
    def check(self, values: np.ndarray, mask: np.ndarray, who: str) -> None:
        """Refuse values that have no probability under this likelihood."""


def _refuse(values: np.ndarray, wrong: np.ndarray, who: str, rule: str, name: str) -> None:
    if wrong.any():
        trial, time, unit = (int(i[0]) for i in np.nonzero(wrong))
        raise ModelError(
            f"{who}: {name} at trial {trial}, bin {time}, unit {unit} is {values[trial, time, unit]:.6g}; {rule}"
        )


def _counts_start(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    n_bins = np.maximum(mask.sum((0, 1)), 1)
    return np.log((np.where(mask, values, 0).sum((0, 1)) + 0.5) / n_bins)


class PoissonNeural(AbstractNeural):
    """Spike counts ``y ~ Poisson(exp(a))``, with ``E log p = y m - exp(m + v / 2) - log y!`` in closed form."""

    def log_prob(self, values: Array, predictor: Array, extra: dict[str, Array]) -> Array:
        return values * predictor - _exp(predictor) - gammaln(values + 1.0)

    def expected(self, values: Array, mean: Array, variance: Array, extra: dict[str, Array]) -> Array:
        return values * mean - _exp(mean + 0.5 * variance) - gammaln(values + 1.0)

    def slopes(
        self, values: Array, mean: Array, variance: Array, extra: dict[str, Array]
    ) -> tuple[Array, Array]:
        rate = _exp(mean + 0.5 * variance)
        return values - rate, rate

    def mean(self, predictor: Array, extra: dict[str, Array]) -> Array:
        return _exp(predictor)

    def observation(self, predictor: xr.DataArray, extra: dict[str, xr.DataArray]) -> AbstractObservation:
        return Poisson(rate_per_bin=_mean(predictor))

    def start(self, values: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return _counts_start(values, mask), {}

    def standardised(self, values: np.ndarray, offset: np.ndarray) -> np.ndarray:
        return values / np.exp(offset) - 1.0

    def guess(self, values: Array, offset: Array) -> Array:
        return jnp.log(0.5 * (values + jnp.exp(offset)))

    def check(self, values: np.ndarray, mask: np.ndarray, who: str) -> None:
        wrong = mask & ((values < 0) | (values != np.round(values)))
        _refuse(
            values, wrong, who, "give whole numbers of 0 or more, or likelihood='gaussian'", self.variable
        )


class NegativeBinomialNeural(PoissonNeural):
    """Overdispersed counts with mean ``exp(a)`` and variance ``mean + mean^2 / concentration``."""

    extra: ClassVar[tuple[str, ...]] = ("concentration",)

    def log_prob(self, values: Array, predictor: Array, extra: dict[str, Array]) -> Array:
        shape = extra["concentration"]
        predictor = jnp.minimum(predictor, CEILING)
        total = jnp.logaddexp(jnp.log(shape), predictor)
        constant = gammaln(values + shape) - gammaln(shape) - gammaln(values + 1.0)
        return constant + shape * (jnp.log(shape) - total) + values * (predictor - total)

    expected = AbstractNeural.expected
    slopes = AbstractNeural.slopes

    def observation(self, predictor: xr.DataArray, extra: dict[str, xr.DataArray]) -> AbstractObservation:
        return NegativeBinomial(mean_per_bin=_mean(predictor), concentration=extra["concentration"])

    def start(self, values: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return _counts_start(values, mask), {"concentration": np.full(values.shape[-1], math.log(5.0))}


class GaussianNeural(AbstractNeural):
    """Continuous activity, such as calcium: ``y ~ N(a, sd^2)``."""

    variable: ClassVar[str] = "calcium"
    space: ClassVar[Space] = "density"
    extra: ClassVar[tuple[str, ...]] = ("sd",)

    def log_prob(self, values: Array, predictor: Array, extra: dict[str, Array]) -> Array:
        sd = extra["sd"]
        return -0.5 * ((values - predictor) / sd) ** 2 - jnp.log(sd) - 0.5 * math.log(2.0 * math.pi)

    def expected(self, values: Array, mean: Array, variance: Array, extra: dict[str, Array]) -> Array:
        return self.log_prob(values, mean, extra) - 0.5 * variance / extra["sd"] ** 2

    def slopes(
        self, values: Array, mean: Array, variance: Array, extra: dict[str, Array]
    ) -> tuple[Array, Array]:
        precision = jnp.broadcast_to(extra["sd"] ** -2.0, mean.shape)
        return precision * (values - mean), precision

    def mean(self, predictor: Array, extra: dict[str, Array]) -> Array:
        return predictor

    def observation(self, predictor: xr.DataArray, extra: dict[str, xr.DataArray]) -> AbstractObservation:
        return Gaussian(location=predictor, scale=extra["sd"])

    def start(self, values: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        kept = np.where(mask, values, np.nan)
        return np.nanmean(kept, (0, 1)), {"sd": np.log(np.nanstd(kept, (0, 1)) + 1e-6)}

    def standardised(self, values: np.ndarray, offset: np.ndarray) -> np.ndarray:
        return values - offset

    def guess(self, values: Array, offset: Array) -> Array:
        return values

    def check(self, values: np.ndarray, mask: np.ndarray, who: str) -> None:
        _refuse(
            values, mask & ~np.isfinite(values), who, "give finite numbers or mask the bin", self.variable
        )


@dataclasses.dataclass(frozen=True)
class _Gamma:
    """Event probability and mean event of the zero-inflated gamma for a linear predictor."""

    p_event: Array
    mean_event: Array
    log_none: Array


class ZeroInflatedGammaNeural(AbstractNeural):
    """Deconvolved calcium: nothing, or a gamma-distributed event (Wei et al., Neurons, Behavior, Data analysis, Theory 2020).

    A bin holds an event with probability ``1 - exp(-exp(a))``; its size is gamma with ``shape`` and such a mean that the expected
    value of the bin is ``gain exp(a)``.
    """

    variable: ClassVar[str] = "calcium"
    space: ClassVar[Space] = "mixed"
    extra: ClassVar[tuple[str, ...]] = ("shape", "gain")

    def _parts(self, predictor: Array, extra: dict[str, Array]) -> _Gamma:
        rate = jnp.exp(jnp.clip(predictor, -CEILING, 4.0))
        p_event = -jnp.expm1(-rate)
        return _Gamma(p_event, extra["gain"] * rate / p_event, -rate)

    def log_prob(self, values: Array, predictor: Array, extra: dict[str, Array]) -> Array:
        parts = self._parts(predictor, extra)
        shape = extra["shape"]
        size = jnp.maximum(values - EVENT_FLOOR, 0.1 * EVENT_FLOOR)  # the gamma begins at the floor
        scale = parts.mean_event / shape
        event = (
            jnp.log(parts.p_event)
            + (shape - 1.0) * jnp.log(size)
            - size / scale
            - shape * jnp.log(scale)
            - gammaln(shape)
        )
        return jnp.where(values > EVENT_FLOOR, event, parts.log_none)

    def mean(self, predictor: Array, extra: dict[str, Array]) -> Array:
        return extra["gain"] * jnp.exp(jnp.clip(predictor, -CEILING, 4.0))

    def observation(self, predictor: xr.DataArray, extra: dict[str, xr.DataArray]) -> AbstractObservation:
        rate = np.exp(predictor.clip(-CEILING, 4.0))
        p_event = -np.expm1(-rate)
        return ZeroInflatedGamma(
            p_event=p_event, shape=extra["shape"], mean_event=extra["gain"] * rate / p_event + EVENT_FLOOR
        )

    def start(self, values: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        event = mask & (values > EVENT_FLOOR)
        share = np.clip(event.sum((0, 1)) / np.maximum(mask.sum((0, 1)), 1), 1e-3, 0.95)
        rate = -np.log1p(-share)
        total = np.where(event, values, 0.0).sum((0, 1)) / np.maximum(mask.sum((0, 1)), 1)
        gain = np.maximum(total, 1e-6) / rate
        return np.log(rate), {"shape": np.zeros_like(rate), "gain": np.log(gain)}

    def standardised(self, values: np.ndarray, offset: np.ndarray) -> np.ndarray:
        return (values > EVENT_FLOOR) / -np.expm1(-np.exp(offset)) - 1.0

    def guess(self, values: Array, offset: Array) -> Array:
        return jnp.broadcast_to(offset, values.shape)

    def check(self, values: np.ndarray, mask: np.ndarray, who: str) -> None:
        _refuse(values, mask & ~(values >= 0), who, "deconvolved calcium is 0 or more", self.variable)


LIKELIHOODS: dict[str, AbstractNeural] = {
    "poisson": PoissonNeural(),
    "negative_binomial": NegativeBinomialNeural(),
    "gaussian": GaussianNeural(),
    "zero_inflated_gamma": ZeroInflatedGammaNeural(),
}
