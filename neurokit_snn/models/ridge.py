"""Linear decoder: a behaviour from the spike counts around each bin."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import xarray as xr

from neurokit_snn.errors import ModelError
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.models.correlated_gaussian import gaussian_around
from neurokit_snn.models.covariates import counts_and_mask, decoded_covariate
from neurokit_snn.models.inner_folds import blocks_of_bins
from neurokit_snn.models.lags import lagged
from neurokit_snn.models.observations import AbstractObservation
from neurokit_snn.models.ridge_regression import RidgeFit, fit_ridge

__all__ = ["RidgeDecoder"]

INNER_FOLDS = 3


class RidgeDecoder(AbstractModel):
    """Ridge regression of a behaviour on the counts of all units around each bin.

    The predictive distribution is Gaussian: draws of the weights from their posterior, around each the covariance of the
    residuals (over the axes of the behaviour) on blocks of training bins left out.

    Parameters
    ----------
    target
        Behaviour to decode; None where the data hold only one. Continuous, any number of axes.
    past, future
        Seconds of spikes before and after the bin that are used. Both 0: the bin alone.
    alpha
        Penalty on standardised columns, or ``"auto"``: chosen inside the training data by blocks of bins left out.

    Attributes
    ----------
    fit_ : RidgeFit
        Weights, their posterior and the residual covariance.

    Raises
    ------
    ModelError
        From `fit`: when the target is absent, ambiguous, circular or categorical.

    Examples
    --------
    >>> import numpy as np
    >>> from neurokit_snn import recording
    >>> time = np.arange(0.0, 60.0, 0.1)
    >>> left = np.sin(time) < 0
    >>> position = {"time": time, "value": np.sin(time), "units": "m"}
    >>> tree = recording.build(spikes={"a": time[left], "b": time[~left]}, behavior={"position": position})
    >>> data = recording.windows(tree, 0.5, length=5.0, start=0.0, stop=60.0)
    >>> found = RidgeDecoder().fit(data).predict(data, task="decode")
    >>> bool(abs(found["behavior_position"] - data["behavior_position"]).median() < 0.3)
    True
    """

    tasks: ClassVar[tuple[str, ...]] = ("decode",)
    deterministic: ClassVar[bool] = True
    space: ClassVar[Literal["counts", "binary", "density"]] = "density"

    target_: str
    axis_dim_: str | None
    axis_labels_: tuple[str, ...]
    fit_: RidgeFit

    def __init__(
        self,
        *,
        target: str | None = None,
        past: float = 0.5,
        future: float = 0.5,
        alpha: float | str = "auto",
    ) -> None:
        self.target = target
        self.past = past
        self.future = future
        self.alpha = alpha

    def _fit(self, data: xr.Dataset, *, seed: int, progress: bool, resume: Path | None) -> None:
        who = "RidgeDecoder.fit"
        if not (self.past >= 0 and self.future >= 0):
            raise ModelError(f"{who}: past is {self.past} s and future {self.future} s; give 0 or more")
        if self.alpha != "auto" and not (isinstance(self.alpha, int | float) and self.alpha > 0):
            raise ModelError(f"{who}: alpha is {self.alpha!r}; give a number above 0, or 'auto'")
        found = decoded_covariate(data, self.target, max_axes=None, circular=False, who=who)
        columns, observed = self._columns(data, who)
        usable = found.valid & observed
        if not usable.any():
            raise ModelError(
                f"{who}: no bin has both a valid count and a valid {found.name}; check the masks"
            )
        self.target_ = f"behavior_{found.name}"
        extra = [str(d) for d in data[self.target_].dims if d not in ("trial", "time")]
        self.axis_dim_, self.axis_labels_ = (extra[0], found.axes) if extra else (None, ())
        block = blocks_of_bins(np.nonzero(usable)[0], folds=INNER_FOLDS, who=who)
        alpha = None if self.alpha == "auto" else float(self.alpha)
        self.fit_ = fit_ridge(columns[usable], found.values[usable], block, alpha=alpha)

    def _columns(self, data: xr.Dataset, who: str) -> tuple[np.ndarray, np.ndarray]:
        counts, mask = counts_and_mask(data, who)
        before, after = round(self.past / self.bin_width_), round(self.future / self.bin_width_)
        return lagged(counts, mask, before=before, after=after), np.asarray(mask.any(-1))

    def _predictive(
        self, visible: xr.Dataset, *, task: str, draws: int, rng: np.random.Generator
    ) -> Mapping[str, AbstractObservation]:
        columns, _ = self._columns(visible, "RidgeDecoder")
        location = self.fit_.draws(columns.reshape(-1, columns.shape[-1]), draws=draws, rng=rng)
        return {
            self.target_: gaussian_around(
                location.reshape(draws, *columns.shape[:2], -1),
                visible,
                covariance=self.fit_.covariance,
                axis_dim=self.axis_dim_,
                axis_labels=self.axis_labels_,
            )
        }

    def history(self) -> float:
        """Seconds of spikes around a bin that a prediction reads: the longer of ``past`` and ``future``."""
        return float(max(self.past, self.future))

    def _state(self) -> dict[str, xr.Dataset]:
        return {
            "ridge": ridge_state(self.fit_).assign_attrs(
                target=self.target_,
                axis_dim=json.dumps(self.axis_dim_),
                axis_labels=json.dumps(self.axis_labels_),
            )
        }

    def _set_state(self, state: Mapping[str, xr.Dataset]) -> None:
        stored = state["ridge"]
        self.fit_ = ridge_from_state(stored)
        self.target_ = str(stored.attrs["target"])
        self.axis_dim_ = json.loads(stored.attrs["axis_dim"])
        self.axis_labels_ = tuple(json.loads(stored.attrs["axis_labels"]))


def ridge_state(fit: RidgeFit) -> xr.Dataset:
    """A `RidgeFit` as a dataset."""
    dims = {
        "mean_in": ("column",),
        "scale_in": ("column",),
        "mean_out": ("target",),
        "weights": ("column", "target"),
        "factor": ("column", "component"),
        "covariance": ("target", "target_"),
    }
    values = dataclasses.asdict(fit)
    return xr.Dataset({name: (d, values[name]) for name, d in dims.items()}, attrs={"alpha": fit.alpha})


def ridge_from_state(stored: xr.Dataset) -> RidgeFit:
    """The inverse of `ridge_state`."""
    arrays = {str(name): stored[name].values for name in stored.data_vars}
    return RidgeFit(alpha=float(stored.attrs["alpha"]), **arrays)
