"""Adapter of preferential subspace identification: a linear dynamical system whose first states serve the behaviour."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import xarray as xr

from neurokit_snn._extras import require
from neurokit_snn.errors import ModelError
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.models.correlated_gaussian import gaussian_around
from neurokit_snn.models.covariates import Covariate, counts_and_mask, decoded_covariate
from neurokit_snn.models.observations import AbstractObservation

__all__ = ["PSIDModel"]

INNER_FOLDS = 3


class PSIDModel(AbstractModel):
    """Decode a behaviour by PSID (Sani et al. 2021, Nat. Neurosci. 24:140) from the spikes up to and in each bin.

    The package PSID identifies ``x(k+1) = A x(k) + w, y(k) = Cy x(k) + v, z(k) = Cz x(k) + e`` from counts ``y`` and
    behaviour ``z``, the first states being those that predict ``z``; the steady Kalman filter decodes. It is licensed for
    research only (see its licence), so it is an extra and never a dependency. The predictive distribution is Gaussian, with
    the covariance of the residuals on training trials left out; parameters carry no posterior.

    Parameters
    ----------
    target
        Behaviour to decode; None where the data hold only one.
    states
        Dimension of the latent state.
    behavior_states
        How many of them are found for the behaviour first.
    block_rows
        Bins of past and future that the identification looks at, at least 2.

    Attributes
    ----------
    transition_, readout_, behavior_readout_ : ndarray
        ``A (state, state)``, ``Cy (unit, state)`` and ``Cz (axis, state)``.
    gain_, filter_gain_ : ndarray, (state, unit)
        Kalman gains of the next bin's state and of this bin's; they differ by more than ``A``, for the noises of state and
        counts are correlated.

    Raises
    ------
    MissingExtraError
        From `fit`: when PSID is not installed.
    ModelError
        From `fit`: when the target is absent or circular, or no stretch of valid bins is long enough.
    """

    tasks: ClassVar[tuple[str, ...]] = ("decode",)
    deterministic: ClassVar[bool] = True
    space: ClassVar[Literal["counts", "binary", "density"]] = "density"

    target_: str
    axis_dim_: str | None
    axis_labels_: tuple[str, ...]
    transition_: np.ndarray
    readout_: np.ndarray
    behavior_readout_: np.ndarray
    gain_: np.ndarray
    filter_gain_: np.ndarray
    count_mean_: np.ndarray
    behavior_mean_: np.ndarray
    covariance_: np.ndarray

    def __init__(
        self, *, target: str | None = None, states: int = 8, behavior_states: int = 4, block_rows: int = 5
    ) -> None:
        self.target = target
        self.states = states
        self.behavior_states = behavior_states
        self.block_rows = block_rows

    def _fit(self, data: xr.Dataset, *, seed: int, progress: bool, resume: Path | None) -> None:
        who = "PSIDModel.fit"
        if self.block_rows < 2 or not 0 <= self.behavior_states <= self.states or self.states < 1:
            raise ModelError(
                f"{who}: states {self.states}, behavior_states {self.behavior_states}, block_rows {self.block_rows}; "
                "need 0 <= behavior_states <= states and block_rows of at least 2"
            )
        found = decoded_covariate(data, self.target, max_axes=None, circular=False, who=who)
        counts, mask = counts_and_mask(data, who)
        self.target_ = f"behavior_{found.name}"
        extra = [str(d) for d in data[self.target_].dims if d not in ("trial", "time")]
        self.axis_dim_, self.axis_labels_ = (extra[0], found.axes) if extra else (None, ())
        usable = found.valid & mask.any(-1)
        n_trials = counts.shape[0]
        folds = min(INNER_FOLDS, n_trials)
        block = np.arange(n_trials) * folds // n_trials
        residuals = []
        for left_out in range(folds if folds > 1 else 0):
            train, test = block != left_out, block == left_out
            self._identify(counts[train], mask[train], found.values[train], usable[train], who)
            apart = found.values[test] - self._decoded(counts[test], mask[test])
            residuals.append(apart[usable[test]])
        self._identify(counts, mask, found.values, usable, who)
        if not residuals:  # one trial: its own residuals are all there is
            residuals = [(found.values - self._decoded(counts, mask))[usable]]
        errors = np.concatenate(residuals)
        self.covariance_ = errors.T @ errors / errors.shape[0] + 1e-9 * np.diag(_variance(found, usable))

    def _identify(
        self, counts: np.ndarray, mask: np.ndarray, behavior: np.ndarray, usable: np.ndarray, who: str
    ) -> None:
        psid = require("PSID", extra="baselines")
        bins = np.maximum(mask.sum((0, 1)), 1)
        self.count_mean_ = np.where(mask, counts, 0).sum((0, 1)) / bins
        self.behavior_mean_ = behavior[usable].mean(0) if usable.any() else np.zeros(behavior.shape[-1])
        apart = self._apart(counts, mask)
        pieces = [
            (k, run)
            for k in range(counts.shape[0])
            for run in _runs(usable[k])
            if run.size > 2 * self.block_rows
        ]
        if not pieces:
            raise ModelError(
                f"{who}: no stretch of valid bins is longer than 2 x block_rows = {2 * self.block_rows}; "
                "use longer trials or fewer block_rows"
            )
        # Units without a spike in training would make the identification singular; they weigh nothing anyway.
        speaking = np.concatenate([apart[k, run] for k, run in pieces]).std(0) > 0
        first = min(self.behavior_states, behavior.shape[-1] * self.block_rows)
        number = min(self.states, int(speaking.sum()) * self.block_rows)
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # PSID warns of badly scaled intermediate matrices; the residuals tell
            system = psid.PSID(
                [apart[k, run][:, speaking] for k, run in pieces],
                [behavior[k, run] - self.behavior_mean_ for k, run in pieces],
                number,
                min(first, number),
                self.block_rows,
                remove_mean_Y=False,
                remove_mean_Z=False,
            )
        self.transition_ = np.asarray(system.A)
        self.behavior_readout_ = np.asarray(system.Cz)
        self.readout_ = np.zeros((speaking.size, number))
        self.readout_[speaking] = np.asarray(system.C)
        self.gain_ = np.zeros((number, speaking.size))
        self.gain_[:, speaking] = np.asarray(system.K)
        self.filter_gain_ = np.zeros((number, speaking.size))
        self.filter_gain_[:, speaking] = np.asarray(system.Kf)
        if not all(
            np.isfinite(a).all()
            for a in (self.transition_, self.gain_, self.filter_gain_, self.behavior_readout_)
        ):
            raise ModelError(f"{who}: PSID found no stable system; use fewer states or more data")

    def _apart(self, counts: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Counts less their mean; what is not observed is at the mean."""
        return np.where(mask, counts - self.count_mean_, 0.0)

    def _decoded(self, counts: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Behaviour from the filtered state, ``(trial, time, axis)``; all trials step together."""
        apart = self._apart(counts, mask)
        state = np.zeros((counts.shape[0], self.transition_.shape[0]))
        found = np.empty((*counts.shape[:2], self.behavior_readout_.shape[0]))
        for t in range(counts.shape[1]):
            surprise = apart[:, t] - state @ self.readout_.T
            found[:, t] = (state + surprise @ self.filter_gain_.T) @ self.behavior_readout_.T
            state = state @ self.transition_.T + surprise @ self.gain_.T
        return found + self.behavior_mean_

    def _predictive(
        self, visible: xr.Dataset, *, task: str, draws: int, rng: np.random.Generator
    ) -> Mapping[str, AbstractObservation]:
        counts, mask = counts_and_mask(visible, "PSIDModel")
        return {
            self.target_: gaussian_around(
                self._decoded(counts, mask),
                visible,
                covariance=self.covariance_,
                axis_dim=self.axis_dim_,
                axis_labels=self.axis_labels_,
            )
        }

    def _state(self) -> dict[str, xr.Dataset]:
        system = xr.Dataset(
            {
                "transition": (("state", "state_"), self.transition_),
                "readout": (("unit", "state"), self.readout_),
                "behavior_readout": (("axis", "state"), self.behavior_readout_),
                "gain": (("state", "unit"), self.gain_),
                "filter_gain": (("state", "unit"), self.filter_gain_),
                "count_mean": ("unit", self.count_mean_),
                "behavior_mean": ("axis", self.behavior_mean_),
                "covariance": (("axis", "axis_"), self.covariance_),
            },
            attrs={
                "target": self.target_,
                "axis_dim": json.dumps(self.axis_dim_),
                "axis_labels": json.dumps(self.axis_labels_),
            },
        )
        return {"system": system}

    def _set_state(self, state: Mapping[str, xr.Dataset]) -> None:
        system = state["system"]
        for name in (
            "transition",
            "readout",
            "behavior_readout",
            "gain",
            "filter_gain",
            "count_mean",
            "behavior_mean",
            "covariance",
        ):
            setattr(self, f"{name}_", system[name].values)
        self.target_ = str(system.attrs["target"])
        self.axis_dim_ = json.loads(system.attrs["axis_dim"])
        self.axis_labels_ = tuple(json.loads(system.attrs["axis_labels"]))


def _runs(valid: np.ndarray) -> list[np.ndarray]:
    """Indices of each unbroken stretch of valid bins."""
    index = np.flatnonzero(valid)
    return np.split(index, np.flatnonzero(np.diff(index) > 1) + 1) if index.size else []


def _variance(found: Covariate, usable: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(found.values[usable].var(0), np.finfo(float).tiny))
