"""Spikes predicted window by window: rates in every bin, probabilities of whole windows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import xarray as xr

from neurokit_snn.errors import ModelError
from neurokit_snn.models.observations import AbstractObservation, Space

__all__ = ["BinaryWindows", "SpikeWindows"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpikeWindows(AbstractObservation):
    """Counts that a model of tokens predicts one window after the other.

    Parameters
    ----------
    rate
        Gives the expected counts ``(trial, time, unit)`` in each bin, given all before it.
    score
        Gives the log probability ``(trial, window)`` of true counts, a window given all before it.
    """

    space: ClassVar[Space] = "counts"
    rate: Callable[[], xr.DataArray]
    score: Callable[[xr.DataArray], xr.DataArray]

    def log_prob(self, target: xr.DataArray) -> xr.DataArray:
        """Log probability of each window."""
        return self.score(target)

    def conditional_mean(self) -> xr.DataArray:
        """Expected counts."""
        return self.rate()

    def parameter_sd(self) -> xr.DataArray:
        """Zero: the parameters are a point estimate."""
        return xr.zeros_like(self.rate())

    def sample(self, rng: np.random.Generator) -> xr.DataArray:
        """Not to be had bin by bin."""
        raise ModelError("a window of tokens is sampled by Neuroformer.generate, not bin by bin")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BinaryWindows(SpikeWindows):
    """The same of bins that hold one spike at most."""

    space: ClassVar[Space] = "binary"
