"""Compare models on the same held-out data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neurokit_snn.errors import EvaluationError
from neurokit_snn.evaluate.baselines import with_baselines
from neurokit_snn.evaluate.cells import Failure, Question, evaluated, plan
from neurokit_snn.evaluate.fingerprint import of_dataset
from neurokit_snn.evaluate.intervals import FEW_BLOCKS
from neurokit_snn.evaluate.metric import AbstractMetric
from neurokit_snn.evaluate.scored import kind_of
from neurokit_snn.evaluate.scoring import chosen_metrics, label_of
from neurokit_snn.evaluate.table import (
    Layout,
    Results,
    cells_by_place,
    fold_scores,
    null_scores,
    paired,
    unit_scores,
)
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.models.conditioning import target_of, task_named
from neurokit_snn.recording.binned import behaviors, check_binned
from neurokit_snn.recording.splits import Fold, Split, blocked

__all__ = ["compare"]

ONE_SESSION = ""


def compare(
    models: Mapping[str, AbstractModel],
    data: xr.Dataset | Mapping[str, xr.Dataset],
    *,
    task: str,
    cv: int | Split | Mapping[str, Split] = 5,
    given: Sequence[str] | None = None,
    target: str | None = None,
    gap: float | None = None,
    held_out: float = 0.25,
    seeds: Sequence[int] = (0, 1, 2),
    metrics: Sequence[str | AbstractMetric] | None = None,
    baselines: bool = True,
    cache: str | Path | None = None,
    n_jobs: int | None = None,
    draws: int = 100,
    block: float = 10.0,
    n_boot: int = 2000,
    nulls: int = 0,
    progress: bool = True,
    on_error: str = "raise",
) -> xr.Dataset:
    """Fit models to training folds and score them on the test folds, all on the same data and by the same lines of code.

    Every pair of model and fold is a cell: a fresh clone is fitted to the training trials, is shown of the
    test trials what the task allows, and answers. Cells run through joblib, so
    ``joblib.parallel_config("dask")`` spreads them over a cluster.

    Parameters
    ----------
    models
        Models by name; hyperparameters only, what they have learned before is not used.
    data
        Binned dataset, or datasets by the name of the session; each session has its own fits, and intervals
        are then over subjects and sessions too.
    task
        ``encode``, ``decode``, ``cosmooth``, ``cosmooth+behavior`` or ``forecast``.
    cv
        Number of contiguous blocks, or a split (one for each session where there are several).
    given
        Variables that the models may see; None for all that the task allows.
    target
        Behaviour to decode, where the data hold several.
    gap
        Seconds left out of training around test trials; None for the longest ``history()`` of the models.
    held_out
        Fraction of units that co-smoothing holds out, others for each seed; a coordinate ``held_out (unit)``
        in the data goes first.
    seeds
        Of the fits, the draws and the choice of held-out units. Models that are ``deterministic`` are fitted
        once for all of them unless they choose units.
    metrics
        Names or specifications (`neurokit_snn.evaluate.metrics.METRICS`); None for all that fit. The first
        one ranks.
    baselines
        Add the mean rate and the other baselines of the task.
    cache
        Folder for finished cells. A comparison that was killed goes on from there; a cell is used again only
        while model, data, split, seeds and package version are the same.
    n_jobs
        Processes; None for one, or for what ``joblib.parallel_config`` says.
    draws
        Posterior draws of a log-likelihood.
    block
        Least length, in seconds, of the blocks of trials that are resampled (of windows and events; trials
        are their own blocks).
    n_boot
        Bootstrap replicates.
    nulls
        Score every model also on this many test sets whose behaviour is not that of the spikes (shifted along
        the test fold, or of other trials; see `evaluate.nulls`): 19 or more tell a score from a nonsense
        correlation at 5%.
    progress
        Show a progress bar over cells.
    on_error
        ``"raise"``, or ``"nan"`` to go on without the cells that fail; their reasons are in
        ``attrs["failures"]``.

    Returns
    -------
    Dataset
        ``score (model, metric, fold, seed)``; ``value, low, high (model, metric)`` over all test trials, the
        mean over seeds, with 95% intervals; ``diff, diff_low, diff_high (model, other, metric)``, model minus
        other, paired; ``rank (model, metric)``; ``unit_score, unit_low, unit_high (model, unit)`` in
        bits/spike where counts are scored; with ``nulls``, ``null (model, draw)`` and ``p_value (model)`` of
        the first metric. Intervals are over test data, not
        over seeds.

    Raises
    ------
    EvaluationError
        When the models answer in different sample spaces, the gap is shorter than the past that a model
        reads, or a cell fails (naming model, fold and seed).
    SplitError
        When the data cannot be split so.

    Examples
    --------
    >>> import neurokit_snn as nk
    >>> tree = nk.recording.build(spikes={"a": [k + 0.5 for k in range(40)], "b": [k + 0.1 for k in range(0, 40, 2)]})
    >>> data = nk.recording.windows(tree, 0.25, length=2.0, start=0.0, stop=40.0)
    >>> table = compare({"mean rate": nk.MeanRate()}, data, task="encode", cv=4, baselines=False, progress=False)
    >>> [str(name) for name in table["metric"].values]
    ['bits_per_spike', 'bits_per_spike_train', 'log_likelihood']
    """
    _check_options(models, seeds=seeds, draws=draws, n_boot=n_boot, on_error=on_error)
    sessions = _sessions(data)
    first = next(iter(sessions.values()))
    _check_tasks(models, task)
    known = with_baselines(models, first, task=task, target=target) if baselines else dict(models)
    space, left_out = _one_space(known, given=models, sessions=sessions, task=task)
    known = {name: model for name, model in known.items() if name not in left_out}
    kept_gap = _gap(known, gap, cv)
    folds = _folds(sessions, cv, kept_gap)
    question = _question(
        first,
        task=task,
        given=given,
        target=target,
        draws=draws,
        held_out=held_out,
        metrics=metrics,
        nulls=nulls,
    )
    layout = Layout.of(
        sessions,
        folds,
        models=tuple(known),
        seeds=seeds,
        metrics=question.metrics,
        block=block,
        n_boot=n_boot,
    )
    prints = {name: of_dataset(one) for name, one in sessions.items()}
    cells = plan(known, sessions, folds, prints, question=question, seeds=seeds)
    stored = _cache_folder(cache)
    found = {}
    with _bar(len(cells), progress) as bar:
        for cell, result in evaluated(
            cells, known, sessions, folds, question, cache=stored, n_jobs=n_jobs, keep_going=on_error == "nan"
        ):
            found[cell] = result
            bar.update()
    results = cells_by_place(found)
    table = _table(
        layout,
        results,
        sessions,
        labels=[label_of(m, _target(first, task, target)) for m in question.metrics],
    )
    if nulls:
        table = table.merge(null_scores(layout, results), join="exact")
    attrs = {
        "schema": "neurokit_snn.comparison",
        "schema_version": 1,
        "task": task,
        "given": json.dumps(None if given is None else list(given)),
        "target": str(_target(first, task, target).name),
        "bin_width": float(first.attrs["bin_width"]),
        "space": space,
        "null": "each unit's mean of the evaluated data",
        "split": _split_kind(cv),
        "gap": kept_gap,
        "draws": draws,
        "n_boot": n_boot,
        "nulls": nulls,
        "baselines_left_out": json.dumps(left_out),
        "failures": json.dumps(sorted(r.reason for r in found.values() if isinstance(r, Failure))),
        **_interval_attrs(layout, block),
    }
    return table.assign_attrs(attrs)


# ---- what was asked
# --------------------------------------------------------------------------------------------


def _check_options(
    models: Mapping[str, AbstractModel], *, seeds: Sequence[int], draws: int, n_boot: int, on_error: str
) -> None:
    if not models:
        raise EvaluationError("models is empty; give at least one, as {'name': model}")
    for name, model in models.items():
        if not isinstance(model, AbstractModel):
            raise EvaluationError(
                f"model {name!r} is a {type(model).__name__}; give models of this package's protocol"
            )
    if not len(seeds) or len(set(seeds)) < len(seeds):
        raise EvaluationError(f"seeds is {tuple(seeds)}; give at least one, each once")
    for option, value, least in (("draws", draws, 100), ("n_boot", n_boot, 100)):
        if value < least:
            raise EvaluationError(f"{option} is {value}; give at least {least}")
    if on_error not in ("raise", "nan"):
        raise EvaluationError(f"on_error is {on_error!r}; choose 'raise' or 'nan'")


def _check_tasks(models: Mapping[str, AbstractModel], task: str) -> None:
    task_named(task)
    if task == "generate":
        raise EvaluationError("task 'generate' is sampled, not scored; use evaluate.posterior_predictive")
    for name, model in models.items():
        if task not in model.tasks:
            able = sorted(n for n, m in models.items() if task in m.tasks)
            raise EvaluationError(
                f"model {name!r} cannot {task}, it can {', '.join(model.tasks)}; able are {', '.join(able) or 'none'}"
            )


def _sessions(data: xr.Dataset | Mapping[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    if isinstance(data, xr.Dataset):
        check_binned(data)
        return {ONE_SESSION: data}
    if not data:
        raise EvaluationError("data holds no session; give a binned dataset, or datasets by session")
    sessions = {str(name): one for name, one in data.items()}
    for name, one in sessions.items():
        check_binned(one, name=f"data[{name!r}]")
    widths = {name: float(one.attrs["bin_width"]) for name, one in sessions.items()}
    first, *others = widths
    for name in others:
        if not np.isclose(widths[name], widths[first], rtol=1e-9, atol=0.0):
            raise EvaluationError(
                f"session {name!r} has bins of {widths[name]} s, session {first!r} of {widths[first]} s; scores of different "
                "bin widths cannot be ranked, bin them alike"
            )
    return sessions


def _one_space(
    models: Mapping[str, AbstractModel],
    *,
    given: Mapping[str, AbstractModel],
    sessions: Mapping[str, xr.Dataset],
    task: str,
) -> tuple[str, list[str]]:
    """The sample space that all models share, and the baselines that are in another one.

    A Bernoulli and a Poisson model of the same bins differ by tenths of a bit per spike from their sample
    spaces alone.
    """
    if task_named(task).target == "behavior":
        return "density", []
    spaces = {name: model.space for name, model in given.items()}
    if len(set(spaces.values())) > 1:
        words = ", ".join(f"{name!r} ({space})" for name, space in spaces.items())
        raise EvaluationError(
            f"models answer in different sample spaces: {words}; compare each space by itself"
        )
    space = next(iter(spaces.values()))
    for session, one in sessions.items():
        where = f" of session {session!r}" if session else ""
        target = "counts" if "counts" in one else "calcium"
        if (target == "calcium") != (space == "density"):
            raise EvaluationError(
                f"the data{where} hold {target}, models {', '.join(map(repr, given))} answer in {space}"
            )
        if space == "binary" and (most := int(one["counts"].where(one["mask"], 0).max())) > 1:
            raise EvaluationError(
                f"models {', '.join(map(repr, given))} know bins of at most one spike, a bin{where} holds {most}; use narrower bins"
            )
    return space, [name for name, model in models.items() if model.space != space]


def _question(
    data: xr.Dataset,
    *,
    task: str,
    given: Sequence[str] | None,
    target: str | None,
    draws: int,
    held_out: float,
    metrics: Sequence[str | AbstractMetric] | None,
    nulls: int,
) -> Question:
    values = _target(data, task, target)
    return Question(
        task=task,
        given=None if given is None else tuple(given),
        target=target,
        draws=draws,
        held_out=held_out,
        metrics=chosen_metrics(metrics, values, kind_of(values)),
        nulls=_checked_nulls(data, task, nulls),
    )


def _checked_nulls(data: xr.Dataset, task: str, nulls: int) -> int:
    spec = task_named(task)
    if nulls < 0:
        raise EvaluationError(f"nulls is {nulls}; give 0 for none")
    if nulls and not (behaviors(data) and (spec.covariates or spec.target == "behavior")):
        raise EvaluationError(
            f"nulls is {nulls}, but task {task!r} of these data pairs no behaviour with spikes; leave it 0"
        )
    return nulls


def _target(data: xr.Dataset, task: str, target: str | None) -> xr.DataArray:
    """What is scored; all units for co-smoothing, as those held out may be chosen later."""
    if task_named(task).counts == "held-in":
        return data["counts" if "counts" in data else "calcium"]
    return target_of(data, task, target=target).values


# ---- folds
# -----------------------------------------------------------------------------------------------------


def _gap(
    models: Mapping[str, AbstractModel], gap: float | None, cv: int | Split | Mapping[str, Split]
) -> float:
    """Seconds between training and test trials, at least the past that any model reads."""
    reads = {name: float(model.history()) for name, model in models.items()}
    furthest = max(reads, key=lambda name: reads[name])
    need = reads[furthest]
    remedy = f"model {furthest!r} reads {need:g} s of past; give a gap of at least that"
    if isinstance(cv, Integral):
        if gap is not None and gap < need - 1e-9:
            raise EvaluationError(f"gap is {gap:g} s, and test trials would leak into training: {remedy}")
        return need if gap is None else float(gap)
    if gap is not None:
        raise EvaluationError(
            "gap and a split were both given; the gap is the split's own, make it with splits.blocked"
        )
    splits = [cv] if isinstance(cv, Split) else list(cv.values())
    for split in splits:
        # Somebody who asks for a leaky split by name wants to see the leak.
        if split.kind != "leaky_random" and split.gap < need - 1e-9:
            raise EvaluationError(f"the {split.kind} split has a gap of {split.gap:g} s: {remedy}")
    return min(split.gap for split in splits)


def _folds(
    sessions: Mapping[str, xr.Dataset], cv: int | Split | Mapping[str, Split], gap: float
) -> dict[str, tuple[Fold, ...]]:
    if isinstance(cv, Integral):
        return {name: blocked(one, folds=int(cv), gap=gap).folds for name, one in sessions.items()}
    if isinstance(cv, Split):
        if len(sessions) > 1:
            raise EvaluationError(
                "one split was given for several sessions; give a split for each, by session"
            )
        cv = dict.fromkeys(sessions, cv)
    missing = [name for name in sessions if name not in cv]
    if missing:
        raise EvaluationError(f"cv has no split for session {missing[0]!r}; give one for each session")
    for name, one in sessions.items():
        for number, fold in enumerate(cv[name].folds):
            if max(fold.train.max(), fold.test.max()) >= one.sizes["trial"]:
                raise EvaluationError(
                    f"fold {number} of the split names trial {int(max(fold.train.max(), fold.test.max()))}, the data hold "
                    f"{one.sizes['trial']}; split these data themselves"
                )
    return {name: cv[name].folds for name in sessions}


def _split_kind(cv: int | Split | Mapping[str, Split]) -> str:
    if isinstance(cv, Integral):
        return "blocked"
    splits = [cv] if isinstance(cv, Split) else list(cv.values())
    return ", ".join(dict.fromkeys(split.kind for split in splits))


def _cache_folder(cache: str | Path | None) -> Path | None:
    if cache is None:
        return None
    folder = Path(cache)
    if folder.exists() and not folder.is_dir():
        raise EvaluationError(f"cache {folder} is no folder; give a folder for finished cells")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _bar(total: int, progress: bool) -> Any:
    from tqdm.auto import tqdm

    return tqdm(total=total, desc="comparing", unit="cell", disable=not progress)


# ---- the table -------------------------------------------------------------------------------------


def _table(
    layout: Layout, results: Results, sessions: Mapping[str, xr.Dataset], *, labels: Sequence[str]
) -> xr.Dataset:
    scores = fold_scores(layout, results)
    better = np.array([m.higher_is_better for m in layout.metrics])
    table = xr.Dataset(
        {"score": (("model", "metric", "fold", "seed"), scores), **paired(layout, results)},
        coords={
            "model": list(layout.models),
            "other": list(layout.models),
            "metric": [m.name for m in layout.metrics],
            "fold": np.arange(scores.shape[2]),
            "seed": list(layout.seeds),
            "unit_label": ("metric", list(labels)),
            "higher_is_better": ("metric", better),
        },
    )
    signed = table["value"].values * np.where(better, 1.0, -1.0)
    beaten = (signed[None, :, :] > signed[:, None, :]).sum(1)
    table["rank"] = (("model", "metric"), np.where(np.isfinite(signed), 1.0 + beaten, np.nan))
    bits = next((m for m in layout.metrics if m.name == "bits_per_spike"), None)
    if bits is not None:
        units = {name: np.asarray(one["unit"].values) for name, one in sessions.items()}
        table = table.merge(unit_scores(layout, results, units, bits), join="exact")
    return table


def _interval_attrs(layout: Layout, block: float) -> dict[str, str | int | float]:
    """What the intervals rest on, and a warning in words where that is little."""
    drawn = layout.resampling
    n_blocks = sum(weights.shape[1] for weights in drawn.weights.values())
    few = drawn.n_groups < FEW_BLOCKS
    note = f"95% BCa bootstrap over {drawn.n_groups} {drawn.level}s"
    if drawn.n_groups < 2:
        note = f"no interval: one {drawn.level} cannot be resampled; use more or shorter trials"
    elif few:
        note += ": too few for an interval to be trusted"
    return {
        "interval": note,
        "few_blocks": int(few),
        "n_blocks": n_blocks,
        "n_groups": drawn.n_groups,
        "resampled": drawn.level,
        "block": float(block),
    }
