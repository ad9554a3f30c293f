"""Deconvolved calcium: most samples hold no event, the others one of gamma-distributed size."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import xarray as xr
from scipy import special

from neurokit_snn.errors import ModelError
from neurokit_snn.models.observations import RATE_FLOOR, AbstractObservation, Space, spread_of_draws

__all__ = ["EVENT_FLOOR", "ZeroInflatedGamma"]

EVENT_FLOOR = 1e-6
"""Largest value of a deconvolved trace that counts as no event, in its own units; what `neurokit_snn.compare` scores with."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ZeroInflatedGamma(AbstractObservation):
    """No event with probability ``1 - p_event``, else ``floor`` plus a gamma-distributed size.

    The zero-inflated gamma of Wei, Zhou, Grosenick, Paninski et al., "A zero-inflated gamma model for deconvolved calcium
    imaging traces", Neurons, Behavior, Data analysis, and Theory (2020), whose location parameter is ``floor`` here.

    Its log probabilities are taken with respect to a mixed measure: a unit mass for all values up to ``floor`` (which are one
    outcome, "no event") plus length above it. They sum and integrate to one, ``(1 - p_event) + integral of p(y) dy``, but
    are no densities: a Gaussian gives a single value no mass at all, so the two cannot be ranked. ``space`` is therefore
    ``"mixed"``, in which `neurokit_snn.compare` ranks such models among themselves. Another floor is another measure.

    Parameters
    ----------
    p_event
        Probability of an event in a sample, 0..1.
    shape
        Of the gamma distribution, above 0.
    mean_event
        Expected value of a sample with an event, above ``floor``; less than 1e-9 above it is raised to that when scored.
    floor
        Largest value that is no event, in the units of the trace.

    Raises
    ------
    ModelError
        When a shape or a mean event is not above 0.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> trace = ZeroInflatedGamma(
    ...     p_event=xr.DataArray(0.25), shape=xr.DataArray(1.0), mean_event=xr.DataArray(2.0), floor=0.0
    ... )
    >>> np.exp(trace.log_prob(xr.DataArray([0.0, 2.0], dims="time"))).values.round(4).tolist()
    [0.75, 0.046]
    >>> float(trace.mean())
    0.5
    """

    space: ClassVar[Space] = "mixed"
    p_event: xr.DataArray
    shape: xr.DataArray
    mean_event: xr.DataArray
    floor: float = EVENT_FLOOR

    def __post_init__(self) -> None:
        for field, values in (("shape", self.shape), ("mean_event", self.mean_event)):
            least = float(values.min())
            if not least > 0:
                raise ModelError(f"ZeroInflatedGamma: {field} is {least:.6g}; give numbers above 0")

    def _scale(self) -> xr.DataArray:
        return (self.mean_event - self.floor).clip(min=RATE_FLOOR) / self.shape

    def log_prob(self, target: xr.DataArray) -> xr.DataArray:
        """Log mass of no event up to the floor, log density of an event above it, in nats; NaN where the value is missing."""
        p = self.p_event.clip(min=RATE_FLOOR, max=1.0 - RATE_FLOOR)
        scale = self._scale()
        above = target > self.floor
        size = (target - self.floor).where(above, 1.0)
        density = (self.shape - 1.0) * np.log(size) - size / scale
        event = np.log(p) + density - self.shape * np.log(scale) - special.gammaln(self.shape)
        return xr.where(above, event, np.log1p(-p)).where(target.notnull())

    def conditional_mean(self) -> xr.DataArray:
        """Probability of an event times its expected value; no event counts as 0."""
        return self.p_event * self.mean_event

    def parameter_sd(self) -> xr.DataArray:
        """Standard deviation over draws of the expected value."""
        return spread_of_draws(self.conditional_mean())

    def sample(self, rng: np.random.Generator) -> xr.DataArray:
        """One value for each set of parameters, 0 where there is no event."""
        p, shape, scale = xr.broadcast(self.p_event, self.shape, self._scale())
        size = rng.gamma(shape.values, scale.values)
        return p.copy(data=np.where(rng.random(p.shape) < p.values, self.floor + size, 0.0))
