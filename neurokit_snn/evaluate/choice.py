"""Choice of hyperparameters by blocked cross-validation inside whatever data a model is fitted to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid

from neurokit_snn.errors import EvaluationError, ModelError
from neurokit_snn.evaluate.comparison import compare
from neurokit_snn.evaluate.fingerprint import plain
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.models.observations import AbstractObservation, Space
from neurokit_snn.recording.splits import Split

__all__ = ["Tuned", "search"]

Grid = Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Sequence[Any]]]


class Tuned(AbstractModel):
    """A model whose hyperparameters are chosen inside the data that it is fitted to, then fitted to all of them.

    In a comparison this is nested cross-validation: the choice is made again in every training fold and never
    sees test data.

    Parameters
    ----------
    model
        The model, with the hyperparameters that are not chosen.
    grid
        Values to try by name of the parameter, or several such grids
        (`sklearn.model_selection.ParameterGrid`).
    task
        What the choice is judged by; also the only task of the tuned model.
    cv
        Contiguous folds of the inner cross-validation, or a split of the data it is fitted to.
    metric
        Name of the metric; None for the first one of the target.
    target
        Behaviour to decode, where the data hold several.
    draws
        Posterior draws of a log-likelihood.
    n_jobs
        Processes of the inner cross-validation.

    Attributes
    ----------
    best_ : AbstractModel
        The best of the candidates, fitted to all of the data.
    parameters_ : dict
        Its chosen hyperparameters.
    table_ : Dataset
        The inner comparison; its ``model`` labels are the candidates as JSON.
    """

    best_: AbstractModel
    parameters_: dict[str, Any]
    table_: xr.Dataset

    def __init__(
        self,
        model: AbstractModel,
        grid: Grid,
        *,
        task: str,
        cv: int | Split = 3,
        metric: str | None = None,
        target: str | None = None,
        draws: int = 100,
        n_jobs: int | None = None,
    ) -> None:
        self.model = model
        self.grid = grid
        self.task = task
        self.cv = cv
        self.metric = metric
        self.target = target
        self.draws = draws
        self.n_jobs = n_jobs

    @property
    def tasks(self) -> tuple[str, ...]:  # type: ignore[override]
        """The task that the choice was judged by."""
        return (self.task,)

    @property
    def deterministic(self) -> bool:  # type: ignore[override]
        """Whether the model is."""
        return self.model.deterministic

    @property
    def space(self) -> Space:  # type: ignore[override]
        """Sample space of the model."""
        return self.model.space

    def history(self) -> float:
        """Return the longest past that any candidate reads."""
        return max(float(candidate.history()) for candidate in self._candidates().values())

    def _candidates(self) -> dict[str, AbstractModel]:
        found: dict[str, AbstractModel] = {}
        for parameters in ParameterGrid(self.grid):
            unknown = sorted(set(parameters) - set(self.model.get_params()))
            if unknown:
                raise EvaluationError(
                    f"grid names {unknown[0]!r}, which {type(self.model).__name__} does not have; "
                    f"it has {', '.join(sorted(self.model.get_params()))}"
                )
            found[_label(parameters)] = clone(self.model).set_params(**parameters)
        if not found:
            raise EvaluationError("grid is empty; give at least one value of one parameter")
        return found

    def _fit(self, data: xr.Dataset, *, seed: int, progress: bool, resume: Path | None) -> None:
        candidates = self._candidates()
        metrics = None if self.metric is None else [self.metric]
        self.table_ = compare(
            candidates,
            data,
            task=self.task,
            cv=self.cv,
            target=self.target,
            seeds=(seed,),
            metrics=metrics,
            baselines=False,
            draws=self.draws,
            n_boot=100,
            n_jobs=self.n_jobs,
            cache=resume,
            progress=progress,
        )
        rank = self.table_["rank"].isel(metric=0).values
        if not np.isfinite(rank).any():
            raise EvaluationError("no candidate has a score; look at the data that the inner folds hold")
        # Of equals the first, so that the order of the grid says what is simpler.
        chosen = int(np.nanargmin(rank))
        self.parameters_ = dict(list(ParameterGrid(self.grid))[chosen])
        best = list(candidates.values())[chosen]
        self.best_ = best.fit(data, seed=seed, progress=progress)

    def _predictive(
        self, visible: xr.Dataset, *, task: str, draws: int, rng: np.random.Generator
    ) -> Mapping[str, AbstractObservation]:
        return self.best_._predictive(visible, task=task, draws=draws, rng=rng)

    def _sample(self, visible: xr.Dataset, *, task: str, rng: np.random.Generator) -> xr.DataArray:
        return self.best_._sample(visible, task=task, rng=rng)

    def _posterior(self) -> xr.DataTree:
        return self.best_.posterior_

    def _state(self) -> dict[str, xr.Dataset]:
        return self.best_._state()

    def _set_state(self, state: Mapping[str, xr.Dataset]) -> None:
        raise ModelError("a tuned model is not loaded by itself; save and load its best_")


def _label(parameters: Mapping[str, Any]) -> str:
    return json.dumps(plain(dict(parameters)), sort_keys=True)


def search(
    model: AbstractModel,
    grid: Grid,
    data: xr.Dataset,
    cv: int | Split = 5,
    *,
    task: str,
    metric: str | None = None,
    target: str | None = None,
    draws: int = 100,
    seed: int = 0,
    n_jobs: int | None = None,
    progress: bool = True,
) -> Tuned:
    """Choose hyperparameters by blocked cross-validation and fit the best ones to all data.

    The score of the choice is too good to report, as it was chosen for being the highest; give ``Tuned(model,
    grid, task=...)`` to `compare` for an honest one.

    This is also how the number of latent dimensions is chosen: a grid of the parameters that set it, and
    ``metric="log_likelihood"`` (``"log_density"`` for behaviour), the held-out log of the mean over posterior draws, which
    falls again where superfluous dimensions fit noise. Of equal scores the first entry of the grid is taken, so put small
    numbers first::

        search(ReducedRankRegression(), {"rank": [1, 2, 4]}, data, task="cosmooth", metric="log_likelihood")

    Parameters
    ----------
    model, grid, task, metric, target, draws, n_jobs
        As for `Tuned`.
    data
        Binned dataset of one session.
    cv
        Contiguous folds, or a split; the gap covers the longest history of the candidates.
    seed
        Of all fits.
    progress
        Show a progress bar.

    Returns
    -------
    Tuned
        Fitted: ``best_``, ``parameters_`` and ``table_``.

    Raises
    ------
    EvaluationError
        When the grid is empty or names a parameter that the model does not have.

    Examples
    --------
    >>> import neurokit_snn as nk
    >>> start = [2.0 * k for k in range(20)]
    >>> spikes = [s + 0.1 * k for s in start for k in range(9)]
    >>> tree = nk.recording.build(spikes={"a": spikes}, trials={"start": start, "stop": [s + 2.0 for s in start]})
    >>> data = nk.recording.bin_trials(tree, 0.25)
    >>> found = search(nk.PSTH(), {"smoothing": [0.25, 1.0]}, data, 4, task="encode", progress=False)
    >>> found.parameters_
    {'smoothing': 0.25}
    """
    tuned = Tuned(model, grid, task=task, cv=cv, metric=metric, target=target, draws=draws, n_jobs=n_jobs)
    return tuned.fit(data, seed=seed, progress=progress)
