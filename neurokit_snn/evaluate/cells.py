"""One cell of a comparison: one model, one fold, its seeds; computed anywhere, stored when done."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import xarray as xr
from sklearn.base import clone

from neurokit_snn import __version__, artefact
from neurokit_snn.errors import ArtefactError, EvaluationError
from neurokit_snn.evaluate.fingerprint import fingerprint
from neurokit_snn.evaluate.metric import AbstractMetric
from neurokit_snn.evaluate.nulls import surrogates
from neurokit_snn.evaluate.scored import Scored, kind_of, train_null
from neurokit_snn.evaluate.scoring import collect, lined_up
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.models.conditioning import Target, target_of, task_named
from neurokit_snn.models.observations import Space
from neurokit_snn.recording.splits import Fold, by_unit

__all__ = ["NULL", "Cell", "Failure", "Question", "Result", "compute", "evaluated", "plan"]

Statistics = dict[str, xr.Dataset]
NULL = "null"
"""Name, among the metrics, of the statistics of the first metric under surrogate behaviour ``(draw, trial, ...)``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question:
    """What every cell of a comparison is asked; ``nulls`` is the number of surrogates of the test behaviour."""

    task: str
    space: Space
    given: tuple[str, ...] | None
    target: str | None
    draws: int
    held_out: float
    metrics: tuple[AbstractMetric, ...]
    nulls: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """A fit and what is scored with it.

    Parameters
    ----------
    session, model, fold
        Name of the session, name of the model, number of the fold.
    seeds
        Seeds that share the fit: several only where the fit depends on none.
    key
        Hash of all that the numbers depend on.
    """

    session: str
    model: str
    fold: int
    seeds: tuple[int, ...]
    key: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a cell has no numbers."""

    reason: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """Statistics of the test trials of a cell, for each seed, and the labels of its columns where those are units."""

    statistics: Mapping[int, Statistics]
    units: Mapping[int, np.ndarray]


def plan(
    models: Mapping[str, AbstractModel],
    data: Mapping[str, xr.Dataset],
    folds: Mapping[str, Sequence[Fold]],
    prints: Mapping[str, str],
    *,
    question: Question,
    seeds: Sequence[int],
) -> list[Cell]:
    """List the cells of a comparison.

    Parameters
    ----------
    models, data, folds
        Models by name; data and folds by session.
    prints
        Fingerprint of the data of each session.
    question
        What is asked.
    seeds
        All seeds.
    """
    cells = []
    model_prints = {name: fingerprint(model) for name, model in models.items()}
    for session, sets in folds.items():
        redrawn = _redraws(data[session], question.task)
        for name, model in models.items():
            shared = model.deterministic and not redrawn
            groups = [tuple(seeds)] if shared else [(seed,) for seed in seeds]
            for number, fold in enumerate(sets):
                for group in groups:
                    parts = {
                        "model": model_prints[name],
                        "version": __version__,
                        "data": prints[session],
                        "train": fold.train,
                        "test": fold.test,
                        "seeds": group,
                        "question": question,
                    }
                    key = fingerprint(parts)
                    cells.append(Cell(session=session, model=name, fold=number, seeds=group, key=key))
    return cells


def compute(
    model: AbstractModel, data: xr.Dataset, fold: Fold, cell: Cell, question: Question, *, keep_going: bool
) -> Result | Failure:
    """Fit a clone of the model to the training trials and keep the statistics of the test trials.

    Raises
    ------
    EvaluationError
        Naming model, fold and seed, when anything fails and ``keep_going`` is False.
    """
    statistics: dict[int, Statistics] = {}
    units: dict[int, np.ndarray] = {}
    fitted: AbstractModel | None = None
    seed = cell.seeds[0]
    try:
        for seed in cell.seeds:
            whole = data
            if _redraws(data, question.task):
                whole = by_unit(data, fraction=question.held_out, seed=seed)
            train, test = whole.isel(trial=fold.train), whole.isel(trial=fold.test)
            if fitted is None:
                fitted = clone(model).fit(train.copy(deep=True), seed=seed)
            statistics[seed], units[seed] = _scored(fitted, train, test, question, seed)
    except Exception as error:
        where = f"model {cell.model!r}, fold {cell.fold}, seed {seed}" + (
            f", session {cell.session!r}" if cell.session else ""
        )
        reason = f"{where}: {type(error).__name__}: {error}"
        if keep_going:
            return Failure(reason=reason)
        raise EvaluationError(reason) from error
    return Result(statistics=statistics, units=units)


def _scored(
    fitted: AbstractModel, train: xr.Dataset, test: xr.Dataset, question: Question, seed: int
) -> tuple[Statistics, np.ndarray]:
    """Statistics of one seed, and the labels of the scored units (none for behaviour)."""
    null = None
    if any("null" in metric.needs for metric in question.metrics):
        null = train_null(target_of(train, question.task, target=question.target))
    asked = target_of(test, question.task, target=question.target)
    answer = _answered(fitted, test, asked, question, question.metrics, seed)
    statistics = collect(question.metrics, dataclasses.replace(answer, null=null))
    units = (
        np.asarray(asked.values["unit"].values) if "unit" in asked.values.dims else np.array([], dtype=str)
    )
    if question.nulls:
        first = question.metrics[:1]
        kind = "trials" if test.attrs["layout"] in ("trials", "events") else "circular"
        found = []
        for copy in surrogates(test, kind=kind, n=question.nulls, seed=seed):
            asked = target_of(copy, question.task, target=question.target)
            answer = _answered(fitted, copy, asked, question, first, seed)
            found.append(collect(first, dataclasses.replace(answer, null=null))[first[0].name])
        statistics[NULL] = xr.concat(found, "draw", join="exact")
    return statistics, units


def _answered(
    fitted: AbstractModel,
    test: xr.Dataset,
    asked: Target,
    question: Question,
    metrics: Sequence[AbstractMetric],
    seed: int,
) -> Scored:
    """What the model says of the test trials, beside the truth."""
    how: dict[str, Any] = {
        "task": question.task,
        "given": question.given,
        "target": question.target,
        "seed": seed,
    }
    needs = {part for metric in metrics for part in metric.needs}
    bin_width = float(test.attrs["bin_width"])
    mean = log_prob = None
    # Copies: whatever a model does to what it is shown must not reach what it is scored on.
    if "mean" in needs:
        predicted = fitted.predict(test.copy(deep=True), **how)
        mean = predicted["rate"] * bin_width if asked.name == "counts" else predicted[asked.name]
        mean = lined_up(mean, asked.values, name=asked.name).transpose(*asked.values.dims)
    if "log_prob" in needs:
        log_prob = fitted.log_likelihood(test.copy(deep=True), draws=question.draws, **how)
        if log_prob.attrs["space"] != question.space:
            raise EvaluationError(
                f"it answers {asked.name} in {log_prob.attrs['space']}, the comparison is in {question.space}; compare "
                "each space by itself"
            )
        log_prob = lined_up(log_prob, asked.values, name="log_likelihood")
    return Scored(
        target=asked.values,
        mask=asked.mask,
        kind=kind_of(asked.values),
        bin_width=bin_width,
        mean=mean,
        log_prob=log_prob,
        space=question.space,
    )


def _redraws(data: xr.Dataset, task: str) -> bool:
    """Whether each seed holds out other units: not where the data already say which."""
    return task_named(task).counts == "held-in" and "held_out" not in data.coords


# ---- stored cells
# ----------------------------------------------------------------------------------------------


def evaluated(
    cells: Sequence[Cell],
    models: Mapping[str, AbstractModel],
    data: Mapping[str, xr.Dataset],
    folds: Mapping[str, Sequence[Fold]],
    question: Question,
    *,
    cache: Path | None,
    n_jobs: int | None,
    keep_going: bool,
) -> Iterator[tuple[Cell, Result | Failure]]:
    """Yield each cell with its result as it is done: from ``cache`` where it is there, else computed and put there."""
    waiting = []
    for cell in cells:
        found = None if cache is None else _stored(cache, cell)
        if found is None:
            waiting.append(cell)
        else:
            yield cell, found
    if not waiting:
        return
    parallel = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    done = parallel(
        joblib.delayed(_numbered)(
            i, models[c.model], data[c.session], folds[c.session][c.fold], c, question, keep_going=keep_going
        )
        for i, c in enumerate(waiting)
    )
    for i, result in done:
        if cache is not None and isinstance(result, Result):
            _store(cache, waiting[i], result)
        yield waiting[i], result


def _numbered(i: int, *args: object, keep_going: bool) -> tuple[int, Result | Failure]:
    return i, compute(*args, keep_going=keep_going)  # type: ignore[arg-type]


def _path(cache: Path, cell: Cell) -> Path:
    return cache / f"{cell.key}.nk"


def _store(cache: Path, cell: Cell, result: Result) -> None:
    config = {
        "session": cell.session,
        "model": cell.model,
        "fold": cell.fold,
        "seeds": list(cell.seeds),
        "key": cell.key,
    }
    trees = {"statistics": _packed(result, cell.seeds)}
    artefact.write(
        _path(cache, cell), kind="cell", trees=trees, config=config, seed=cell.seeds[0], overwrite=True
    )


def _stored(cache: Path, cell: Cell) -> Result | None:
    """Read a finished cell; None where there is none, or where what is there cannot be trusted."""
    try:
        found = artefact.read(_path(cache, cell), kind="cell")
        if found.config.get("key") != cell.key:
            return None
        return _unpacked(found.dataset("statistics"), cell.seeds)
    except ArtefactError:
        return None


def _packed(result: Result, seeds: Sequence[int]) -> xr.Dataset:
    """One dataset for a file: the statistics of a metric that share dims lie in one variable ``METRIC.i``.

    Its leading dims are the seeds, which share units where they share a fit, and the statistics, named in the attributes.
    A file of a few large variables is written several times faster than one of many small ones.
    """
    variables: dict[str, xr.Variable] = {"unit": xr.Variable("scored_unit", result.units[seeds[0]])}
    for metric, example in result.statistics[seeds[0]].items():
        groups: dict[tuple[Any, ...], list[str]] = {}
        for name, values in example.data_vars.items():
            groups.setdefault((values.dims, values.dtype), []).append(str(name))
        for i, ((dims, _), names) in enumerate(groups.items()):
            stacked = [[result.statistics[seed][metric][name].values for name in names] for seed in seeds]
            own = [f"{metric}.{d}" if d in ("column", "draw") else str(d) for d in dims]
            lead = ["seed", f"{metric}.{i}.statistic"]
            variables[f"{metric}.{i}"] = xr.Variable(
                [*lead, *own], np.array(stacked), {"names": json.dumps(names)}
            )
    return xr.Dataset(variables)


def _unpacked(packed: xr.Dataset, seeds: Sequence[int]) -> Result:
    """Undo `_packed`."""
    statistics: dict[int, dict[str, dict[str, xr.Variable]]] = {seed: {} for seed in seeds}
    for key, values in packed.drop_vars("unit").data_vars.items():
        metric = str(key).rsplit(".", 1)[0]
        dims = [str(d).removeprefix(f"{metric}.") for d in values.dims[2:]]
        for i, seed in enumerate(seeds):
            parts = statistics[seed].setdefault(metric, {})
            for j, name in enumerate(json.loads(values.attrs["names"])):
                parts[name] = xr.Variable(dims, values.values[i, j])
    found = {
        seed: {metric: xr.Dataset(parts) for metric, parts in own.items()} for seed, own in statistics.items()
    }
    return Result(statistics=found, units=dict.fromkeys(seeds, packed["unit"].values))
