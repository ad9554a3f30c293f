"""A target beside its prediction: all that a metric may look at."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping
from typing import Literal

import numpy as np
import xarray as xr

from neurokit_snn.errors import EvaluationError
from neurokit_snn.models.conditioning import Target
from neurokit_snn.models.observations import Space
from neurokit_snn.models.zero_inflated_gamma import EVENT_FLOOR, ZeroInflatedGamma

__all__ = ["Kind", "Null", "Scored", "kind_of", "period_of", "ratio", "train_null"]

Kind = Literal["counts", "calcium", "continuous", "circular", "categorical"]
KINDS: tuple[Kind, ...] = ("counts", "calcium", "continuous", "circular", "categorical")
DEGREES = ("deg", "degree", "degrees", "°")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Null:
    """What each unit did in the training data, whenever that was: what a model has to beat.

    Parameters
    ----------
    mean, sd
        In counts a bin or calcium a sample, ``(unit,)``.
    events
        Of calcium, where it is deconvolved: how likely events are and how large, ``(unit,)``.
    """

    mean: xr.DataArray
    sd: xr.DataArray
    events: ZeroInflatedGamma | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scored:
    """One target, its prediction and what else scores need.

    Parameters
    ----------
    target
        True values ``(trial, time, unit)`` or, for behaviour, ``(trial, time[, axis])``.
    mask
        Which of them count, bool, the same dims or ``(trial, time)``.
    kind
        What the target is: ``counts``, ``calcium`` or the kind of the behaviour.
    bin_width
        Seconds.
    mean
        Predicted value in the units of the target (spikes a bin for counts), the dims of ``target``.
    log_prob
        Predictive log probability or density in nats, ``(trial, time, unit)``, ``(trial, time)`` or, for
        models of tokens, ``(trial, window)``.
    null
        Mean and sd of the training data.
    space
        What ``log_prob`` is measured in; None for the usual one of the kind.
    """

    target: xr.DataArray
    mask: xr.DataArray
    kind: Kind
    bin_width: float
    mean: xr.DataArray | None = None
    log_prob: xr.DataArray | None = None
    null: Null | None = None
    space: Space | None = None

    def has(self, part: str) -> bool:
        """Whether ``mean``, ``log_prob`` or ``null`` is there."""
        return getattr(self, part) is not None

    def need_mean(self) -> xr.DataArray:
        """The predicted mean, or an error."""
        if self.mean is None:
            raise EvaluationError(
                f"the prediction holds no mean of {self.target.name}; pass what model.predict gives"
            )
        return self.mean

    def need_log_prob(self) -> xr.DataArray:
        """The log probability, or an error."""
        if self.log_prob is None:
            raise EvaluationError("log_prob is missing; pass what model.log_likelihood gives")
        return self.log_prob

    def need_null(self) -> Null:
        """The mean and sd of the training data, or an error."""
        if self.null is None:
            raise EvaluationError("train is missing; pass the data whose mean is the null")
        return self.null

    def columns(self, values: xr.DataArray) -> xr.Variable:
        """Values without coordinates over ``(trial, time, column)``, units or the axes of a behaviour being columns.

        A dim that the values do not have is left out. Variables spare the alignment of coordinates, which would cost most of
        the time of a comparison of small cells; what comes here was lined up before.
        """
        extra = [d for d in self.target.dims if d not in ("trial", "time")]
        if len(extra) > 1:
            raise EvaluationError(
                f"{self.target.name} has dims {self.target.dims}; scores take one dim beside trial and time"
            )
        names = {d: "column" for d in extra}
        variable = xr.Variable([names.get(d, d) for d in values.dims], values.data)
        return variable.transpose(*[d for d in ("trial", "time", "column") if d in variable.dims], ...)

    def valid(self) -> xr.Variable:
        """The mask over all dims of the target."""
        target, mask = self.columns(self.target), self.columns(self.mask)
        return mask.set_dims(dict(zip(target.dims, target.shape, strict=True))).transpose(*target.dims)

    def valid_samples(self) -> xr.Variable:
        """The mask of whole samples ``(trial, time)``: valid in all columns."""
        mask = self.columns(self.mask)
        return mask.all("column") if "column" in mask.dims else mask


def kind_of(values: xr.DataArray) -> Kind:
    """What a variable of a binned dataset is: ``counts``, ``calcium`` or the ``kind`` attribute of a behaviour.

    Examples
    --------
    >>> import xarray as xr
    >>> kind_of(xr.DataArray([0.0], dims="time", name="behavior_heading", attrs={"kind": "circular"}))
    'circular'
    """
    name = str(values.name)
    kind = name if name in ("counts", "calcium") else values.attrs.get("kind", "continuous")
    for known in KINDS:
        if kind == known:
            return known
    raise EvaluationError(f"{name} is of kind {kind!r}; known kinds: {', '.join(KINDS)}")


def period_of(values: xr.DataArray) -> float:
    """Period of a circular variable: its attribute ``period``, else 360 where its units are degrees, else two pi.

    Examples
    --------
    >>> import xarray as xr
    >>> period_of(xr.DataArray(0.0, attrs={"units": "deg"}))
    360.0
    """
    if "period" in values.attrs:
        return float(values.attrs["period"])
    return 360.0 if str(values.attrs.get("units", "rad")).lower() in DEGREES else 2.0 * np.pi


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Numerator over denominator, NaN (and no warning) where there is nothing to divide by."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)


def train_null(asked: Target) -> Null | None:
    """Mean and sd of each unit over the valid samples of training data; None for behaviour.

    A unit that never fires in training gets half a spike over all of it, as a mean of zero would make any
    later spike infinitely surprising. A calcium trace that is constant in training gets, for the same reason,
    the root mean square sd of the other units.
    """
    if asked.name not in ("counts", "calcium"):
        return None
    values, mask = asked.values.variable, asked.mask.variable
    over = [d for d in values.dims if d != "unit"]
    mask = mask.set_dims(dict(zip(values.dims, values.shape, strict=True))).transpose(*values.dims)
    kept = values.astype(np.float64).where(mask, 0.0)
    parts = {"n": mask.sum(over), "one": kept.sum(over), "two": (kept**2).sum(over)}
    if asked.name == "calcium":
        parts |= _event_sums(kept, over)
    sums = {str(name): part.values for name, part in xr.Dataset(parts).compute().items()}
    n, mean = sums["n"], ratio(sums["one"], sums["n"])
    sd = np.sqrt(np.maximum(ratio(sums["two"], n) - mean**2, 0.0))
    if asked.name == "counts":
        mean = np.where(mean > 0, mean, ratio(np.full(n.shape, 0.5), n))
        return Null(mean=xr.DataArray(mean, dims="unit"), sd=xr.DataArray(sd, dims="unit"))
    varying = sd > 1e-9 * np.abs(mean)
    usual = np.sqrt(np.mean(sd[varying] ** 2)) if varying.any() else 1.0
    sd = np.where(varying, sd, usual)
    return Null(
        mean=xr.DataArray(mean, dims="unit"), sd=xr.DataArray(sd, dims="unit"), events=_event_null(sums)
    )


def _event_sums(kept: xr.Variable, over: list[Hashable]) -> dict[str, xr.Variable]:
    """Number of events of each unit, and the sums of their excess over the floor and of its square."""
    excess = (kept - EVENT_FLOOR).where(kept > EVENT_FLOOR, 0.0)
    return {
        "events": (kept > EVENT_FLOOR).sum(over),
        "excess": excess.sum(over),
        "excess2": (excess**2).sum(over),
    }


def _event_null(sums: Mapping[str, np.ndarray]) -> ZeroInflatedGamma:
    """Zero-inflated gamma of each unit by the moments of its events.

    The probability of an event is that of Jeffreys' prior, never 0 or 1. A unit with fewer than three events has an
    exponential size; one without any, the mean size of all units.
    """
    n_events, excess = sums["events"], sums["excess"]
    usual = excess.sum() / n_events.sum() if n_events.sum() else 1.0
    mean = np.where(n_events > 0, excess / np.maximum(n_events, 1), usual)
    variance = np.maximum(ratio(sums["excess2"], n_events) - mean**2, 0.0)
    shape = np.where((n_events > 2) & (variance > 0), mean**2 / np.maximum(variance, 1e-300), 1.0)
    p_event = (n_events + 0.5) / (sums["n"] + 1.0)
    parameters = {"p_event": p_event, "shape": np.clip(shape, 0.05, 1e3), "mean_event": mean + EVENT_FLOOR}
    arrays = {name: xr.DataArray(values, dims="unit") for name, values in parameters.items()}
    return ZeroInflatedGamma(**arrays, floor=EVENT_FLOOR)
