"""The protocol that every model follows.

Abstract or final: the public methods here are final. They check the data, hide the target, ask the model's hooks for a
predictive distribution and score it. A model is its constructor (hyperparameters only) and the hooks.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self, final

import numpy as np
import xarray as xr
from sklearn.base import BaseEstimator

from neurokit_snn.errors import ModelError
from neurokit_snn.models.conditioning import Target, held_out, hide, target_of, task_named
from neurokit_snn.models.observations import AbstractObservation, Space
from neurokit_snn.recording.binned import check_binned

__all__ = ["AbstractModel"]

MIN_DRAWS = 100
CHUNK_VALUES = 8_000_000
"""Most values (draws x bins x units) that one call of a hook is asked for."""


class AbstractModel(BaseEstimator, abc.ABC):
    """Base of all models of binned recordings.

    Attributes
    ----------
    tasks
        Names of the tasks the model can do.
    deterministic
        True where `fit` gives the same state for every seed.
    space
        Sample space of its predictions of neural data: raw ``"counts"``, ``"binary"`` bins or a ``"density"`` (calcium).
    units_ : ndarray
        Labels of the units the model was fitted to.
    bin_width_ : float
        Seconds.
    seed_ : int
        Seed of the fit.
    """

    tasks: ClassVar[tuple[str, ...]]
    deterministic: ClassVar[bool]
    space: ClassVar[Space] = "counts"
    horizon: ClassVar[int] = 1
    """Bins ahead of the last seen bin that ``forecast`` predicts."""

    units_: np.ndarray
    bin_width_: float
    seed_: int

    # ---- hooks -------------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def _fit(self, data: xr.Dataset, *, seed: int, progress: bool, resume: Path | None) -> None:
        """Learn from training data; set attributes that end in an underscore."""

    @abc.abstractmethod
    def _predictive(
        self, visible: xr.Dataset, *, task: str, draws: int, rng: np.random.Generator
    ) -> Mapping[str, AbstractObservation]:
        """Distribution of each target given the visible data, one trial apart from the other.

        Draw the parameters from ``rng`` before anything else: the caller may ask in several groups of trials, each with
        ``rng`` in the same state, so that all groups see the same posterior draws.
        """

    @abc.abstractmethod
    def _state(self) -> dict[str, xr.Dataset]:
        """Everything learned, as datasets."""

    @abc.abstractmethod
    def _set_state(self, state: Mapping[str, xr.Dataset]) -> None:
        """The inverse of `_state`."""

    def _sample(self, visible: xr.Dataset, *, task: str, rng: np.random.Generator) -> xr.DataArray:
        """One sample of the target; a model that feeds back its own spikes has its own."""
        found = self._predictive(visible, task=task, draws=1, rng=rng)
        values = found["counts" if "counts" in found else "calcium"].sample(rng)
        return values.isel(draw=0, drop=True) if "draw" in values.dims else values

    def _posterior(self) -> xr.DataTree:
        raise ModelError(f"{type(self).__name__} keeps no posterior draws")

    def history(self) -> float:
        """Seconds of past (and of smoothing kernel) that a prediction reads: the least gap of a split."""
        return 0.0

    # ---- final -------------------------------------------------------------------------------------------------

    @final
    def fit(
        self, data: xr.Dataset, *, seed: int = 0, progress: bool = False, resume: str | Path | None = None
    ) -> Self:
        """Fit to binned training data.

        Parameters
        ----------
        data
            Binned dataset, dims ``(trial, time, unit)``; bins with mask False are never read.
        seed
            Seed of everything random in the fit.
        progress
            Show a progress bar.
        resume
            Path of a checkpoint to write to, and to go on from where it exists, for models with long fits.

        Returns
        -------
        self

        Raises
        ------
        RecordingError
            When ``data`` is not a binned dataset.
        ModelError
            When the model cannot be fitted to it.
        """
        check_binned(data, name=f"{type(self).__name__}.fit: data")
        if data.sizes.get("trial", 0) == 0 or data.sizes["time"] == 0:
            raise ModelError(f"{type(self).__name__}.fit: data has no trials or no bins; nothing to fit")
        self.units_ = np.asarray(data["unit"].values) if "unit" in data.dims else np.asarray([])
        self.bin_width_ = float(data.attrs["bin_width"])
        self.seed_ = int(seed)
        self._fit(data, seed=seed, progress=progress, resume=None if resume is None else Path(resume))
        return self

    @final
    def predict(
        self,
        data: xr.Dataset,
        *,
        task: str,
        given: Sequence[str] | None = None,
        target: str | None = None,
        draws: int = 0,
        seed: int = 0,
    ) -> xr.Dataset:
        """Predict the target of a task from what the task lets the model see.

        Parameters
        ----------
        data
            Binned dataset. Whatever the task hides may be absent; where it is there, it is removed first.
        task
            ``encode``, ``decode``, ``cosmooth``, ``cosmooth+behavior``, ``forecast`` or ``generate``.
        given
            Variables the model may see; None for all that the task allows.
        target
            Behaviour to decode; None for all that the model decodes.
        draws
            0 for the mean and standard deviation over the posterior, n for n posterior draws with a leading dim ``draw``.
        seed
            Seed of the draws.

        Returns
        -------
        Dataset
            ``rate`` and ``rate_sd`` in spikes/s ``(trial, time, unit)``, or ``behavior_NAME`` and ``behavior_NAME_sd`` in the
            units of the behaviour ``(trial, time, ...)``.
        """
        self._check_asked(data, task)
        parts = []
        for chunk in _trial_chunks(data, draws or MIN_DRAWS):
            found = self._ask(chunk, task=task, given=given, draws=draws or MIN_DRAWS, seed=seed)
            if target is not None:
                name = target if target.startswith("behavior_") else f"behavior_{target}"
                if name not in found:
                    raise ModelError(
                        f"{type(self).__name__} decodes {', '.join(found) or 'nothing'}, not {name}; see its target parameter"
                    )
                found = {name: found[name]}
            parts.append(self._described(chunk, task, found, draws=draws))
        result = parts[0] if len(parts) == 1 else xr.concat(parts, "trial")
        result.attrs = {
            "task": task,
            "bin_width": self.bin_width_,
            "model": type(self).__name__,
            "seed": seed,
        }
        return result

    @final
    def log_likelihood(
        self,
        data: xr.Dataset,
        *,
        task: str,
        given: Sequence[str] | None = None,
        target: str | None = None,
        draws: int = MIN_DRAWS,
        seed: int = 0,
    ) -> xr.DataArray:
        """Log of the mean over posterior draws of p(target | visible), for each bin, in nats.

        Parameters
        ----------
        data
            Binned dataset with the true values; the model is shown only what the task allows.
        task, given, target, seed
            As in `predict`.
        draws
            Posterior draws, at least 100; a model with a closed form ignores it.

        Returns
        -------
        DataArray
            ``(trial, time, unit)`` for spikes (only the held-out units for co-smoothing), ``(trial, time)`` for behaviour, whose
            densities are joint over its axes and per unit of the behaviour. NaN where the mask is False. Models of tokens
            give ``(trial, window)``: all units and bins of a window together, 0 where none of them is valid.

        Raises
        ------
        ModelError
            When ``draws`` is below 100, or the data are not those the model was fitted to.
        """
        if draws < MIN_DRAWS:
            raise ModelError(
                f"log_likelihood: draws is {draws}; the mean over draws needs at least {MIN_DRAWS}"
            )
        self._check_asked(data, task)
        parts = []
        for chunk in _trial_chunks(data, draws):
            asked = target_of(chunk, task, target=target)
            found = self._ask(chunk, task=task, given=given, draws=draws, seed=seed)
            parts.append(self._scored(asked, found))
        result = parts[0] if len(parts) == 1 else xr.concat(parts, "trial")
        result.name = "log_likelihood"
        result.attrs = {
            "units": "nats",
            "task": task,
            "space": found[asked.name].space,
            "draws": draws,
            "model": type(self).__name__,
        }
        return result

    @final
    def sample(
        self, data: xr.Dataset, *, task: str = "generate", given: Sequence[str] | None = None, seed: int = 0
    ) -> xr.Dataset:
        """Sample spikes (or calcium) from the model: a binned dataset like ``data`` with counts of the model's own making.

        Parameters
        ----------
        data
            Binned dataset that gives the covariates, the bins and the masks.
        task
            What the model may see; by default covariates only, past spikes being its own.
        given, seed
            As in `predict`.
        """
        self._check_asked(data, task)
        visible = hide(data, task, tuple(given) if given is not None else None)
        values = self._sample(visible, task=task, rng=np.random.default_rng(seed))
        made = data.copy()
        if "calcium" in data and "mask" not in data:
            like = data["calcium"]
            drawn = values.broadcast_like(like).transpose(*like.dims).where(data["mask_calcium"])
            made["calcium"] = drawn.assign_attrs(like.attrs)
            return made
        like = data["mask"]
        made["counts"] = values.broadcast_like(like).transpose(*like.dims).where(like, 0).astype(np.int32)
        return made

    @property
    def posterior_(self) -> xr.DataTree:
        """Posterior draws in ArviZ's layout (group ``posterior``, dims ``chain, draw, ...``)."""
        self._check_fitted()
        return self._posterior()

    @final
    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Save as an artefact folder; see `neurokit_snn.load`."""
        from neurokit_snn.models.persistence import save_model

        self._check_fitted()
        return save_model(self, path, overwrite=overwrite)

    # ---- private -----------------------------------------------------------------------------------------------

    def _check_fitted(self) -> None:
        if not hasattr(self, "bin_width_"):
            raise ModelError(f"{type(self).__name__} is not fitted; call fit(data) first")

    def _check_asked(self, data: xr.Dataset, task: str) -> None:
        name = type(self).__name__
        self._check_fitted()
        task_named(task)
        if task not in self.tasks:
            raise ModelError(f"{name} cannot {task}; it can {', '.join(self.tasks)}")
        check_binned(data, name=f"{name}: data")
        if not np.isclose(data.attrs["bin_width"], self.bin_width_, rtol=1e-9, atol=0.0):
            raise ModelError(
                f"{name}: data has bins of {data.attrs['bin_width']} s, the fit had {self.bin_width_} s; bin it alike"
            )
        labels = np.asarray(data["unit"].values) if "unit" in data.dims else np.asarray([])
        if not np.array_equal(labels, self.units_):
            raise ModelError(
                f"{name}: data has {labels.size} units, the fit had {self.units_.size} (or in another order); "
                "select the same units in the same order"
            )

    def _ask(
        self, data: xr.Dataset, *, task: str, given: Sequence[str] | None, draws: int, seed: int
    ) -> dict[str, AbstractObservation]:
        visible = hide(data, task, tuple(given) if given is not None else None)
        return dict(self._predictive(visible, task=task, draws=draws, rng=np.random.default_rng(seed)))

    def _scored(self, asked: Target, found: Mapping[str, AbstractObservation]) -> xr.DataArray:
        if asked.name not in found:
            raise ModelError(f"{type(self).__name__} predicts {', '.join(found)}, not {asked.name}")
        values = found[asked.name].log_marginal(asked.values)
        if "window" in values.dims:  # of tokens: the model itself leaves out what is masked
            return values
        if "unit" in asked.values.dims:
            values = values.sel(unit=asked.values["unit"])
        mask = asked.mask
        extra = set(asked.values.dims) - set(values.dims)
        if extra & set(mask.dims):
            mask = mask.all([d for d in mask.dims if d in extra])
        scored = values.where(mask).transpose(*[d for d in asked.values.dims if d in values.dims])
        return scored.drop_vars(
            [c for c in scored.coords if c not in scored.dims and c not in ("trial_start",)]
        )

    def _described(
        self, data: xr.Dataset, task: str, found: Mapping[str, AbstractObservation], *, draws: int
    ) -> xr.Dataset:
        variables: dict[str, xr.DataArray] = {}
        for name, observation in found.items():
            is_rate = name == "counts"
            scale = 1.0 / self.bin_width_ if is_rate else 1.0
            label = "rate" if is_rate else name
            like = _like(data, name, task)
            values = observation.conditional_mean() if draws else observation.mean()
            values = (values * scale).broadcast_like(like) if like is not None else values * scale
            lead = ("draw",) if "draw" in values.dims else ()
            order = like.dims if like is not None else ("trial", "time", ...)
            variables[label] = values.transpose(*lead, *order)
            if not draws:
                spread = observation.parameter_sd() * scale
                spread = spread.broadcast_like(like) if like is not None else spread
                variables[f"{label}_sd"] = spread.transpose(*order)
            units = "spikes/s" if is_rate else (data[name].attrs.get("units", "") if name in data else "")
            for key in (label, f"{label}_sd"):
                if key in variables:
                    variables[key].attrs = {"units": units}
        return xr.Dataset(variables)


def _like(data: xr.Dataset, name: str, task: str) -> xr.DataArray | None:
    """An array with the dims that a prediction of ``name`` has, or None where the data cannot tell."""
    if name in ("counts", "calcium") and ("mask" in data or name in data):
        like = data["mask"] if "mask" in data else data[name]
        if task_named(task).counts == "held-in":
            like = like.isel(unit=held_out(data))
        return like
    return data.get(name)


def _trial_chunks(data: xr.Dataset, draws: int) -> Iterator[xr.Dataset]:
    """Groups of trials small enough that ``draws`` of every bin and unit fit in memory."""
    n_units = max(1, data.sizes.get("unit", 1))
    per_trial = max(1, data.sizes["time"] * n_units * draws)
    lazy = any(data[n].chunks is not None for n in data.data_vars)
    size = data.sizes["trial"] if lazy else max(1, CHUNK_VALUES // per_trial)
    for first in range(0, data.sizes["trial"], size):
        yield data.isel(trial=slice(first, first + size))
