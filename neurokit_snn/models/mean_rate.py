"""The mean rate of each unit: the baseline below which a model has learned nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import xarray as xr

from neurokit_snn.models.base import AbstractModel
from neurokit_snn.models.conditioning import held_out, task_named
from neurokit_snn.models.covariates import require_counts
from neurokit_snn.models.observations import AbstractObservation, GammaPoisson
from neurokit_snn.models.posterior import POSTERIOR_DRAWS, draws_tree

__all__ = ["MeanRate"]

JEFFREYS_SHAPE = 0.5
"""Shape of the Jeffreys prior of a Poisson rate, Gamma(1/2, 0)."""


class MeanRate(AbstractModel):
    """A constant rate for each unit, with its exact posterior.

    The rate of unit ``u`` has the Gamma posterior of ``n_u`` spikes in ``m_u`` valid bins under the Jeffreys prior,
    ``Gamma(n_u + 1/2, m_u)`` in spikes per bin; the predictive distribution of a count is negative binomial in closed form.
    It reads neither covariates nor other units, so it does every task whose target is a count. Lazy (dask) counts are
    reduced block by block and never held whole.

    Attributes
    ----------
    shape_, exposure_ : ndarray, (unit,)
        Parameters of the Gamma posterior: shape, and exposure in bins.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> tree = recording.build(spikes={"a": [0.1, 0.4, 0.7], "b": [0.5]})
    >>> data = recording.windows(tree, 0.1, length=0.4, start=0.0, stop=0.8)
    >>> model = MeanRate().fit(data)
    >>> model.predict(data, task="encode")["rate"].isel(trial=0, time=0).values.round(2).tolist()
    [4.38, 1.88]
    """

    tasks: ClassVar[tuple[str, ...]] = ("encode", "cosmooth", "cosmooth+behavior", "forecast", "generate")
    deterministic: ClassVar[bool] = True

    shape_: np.ndarray
    exposure_: np.ndarray

    def _fit(self, data: xr.Dataset, *, seed: int, progress: bool, resume: Path | None) -> None:
        counts, mask = require_counts(data, "MeanRate.fit")
        sums = xr.Dataset(
            {
                "spikes": counts.where(mask, 0).sum(("trial", "time")),
                "bins": mask.broadcast_like(counts).sum(("trial", "time")),
            }
        ).compute()  # one pass over lazy data for both
        self.shape_ = sums["spikes"].values.astype(np.float64) + JEFFREYS_SHAPE
        # A unit that was never observed keeps a proper posterior: half a spike in one bin.
        self.exposure_ = np.maximum(sums["bins"].values.astype(np.float64), 1.0)

    def _predictive(
        self, visible: xr.Dataset, *, task: str, draws: int, rng: np.random.Generator
    ) -> Mapping[str, AbstractObservation]:
        chosen = np.ones(self.units_.size, dtype=bool)
        if task_named(task).counts == "held-in":
            chosen = held_out(visible)
        units = {"unit": self.units_[chosen]}
        return {
            "counts": GammaPoisson(
                shape=xr.DataArray(self.shape_[chosen], dims="unit", coords=units),
                rate=xr.DataArray(self.exposure_[chosen], dims="unit", coords=units),
            )
        }

    def _sample(self, visible: xr.Dataset, *, task: str, rng: np.random.Generator) -> xr.DataArray:
        rates = rng.gamma(self.shape_, 1.0 / self.exposure_)  # one rate a unit: the bins of a sample share it
        sizes = (visible.sizes["trial"], visible.sizes["time"], self.units_.size)
        return xr.DataArray(
            rng.poisson(rates, size=sizes).astype(np.int32),
            dims=("trial", "time", "unit"),
            coords={"unit": self.units_},
        )

    def _posterior(self) -> xr.DataTree:
        rng = np.random.default_rng(self.seed_)
        rates = rng.gamma(self.shape_, 1.0 / self.exposure_, size=(POSTERIOR_DRAWS, self.units_.size))
        return draws_tree({"rate": (("unit",), rates / self.bin_width_)}, coords={"unit": self.units_})

    def _state(self) -> dict[str, xr.Dataset]:
        return {
            "rates": xr.Dataset({"shape": ("unit", self.shape_), "exposure": ("unit", self.exposure_)}),
        }

    def _set_state(self, state: Mapping[str, xr.Dataset]) -> None:
        self.shape_ = state["rates"]["shape"].values
        self.exposure_ = state["rates"]["exposure"].values
