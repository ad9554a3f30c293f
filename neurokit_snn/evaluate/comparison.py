"""Compare models on the same held-out data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neurokit_snn.errors import EvaluationError
from neurokit_snn.evaluate.baselines import with_baselines
from neurokit_snn.evaluate.cells import Cell, Failure, Result, evaluated, plan
from neurokit_snn.evaluate.fingerprint import of_dataset
from neurokit_snn.evaluate.intervals import FEW_BLOCKS
from neurokit_snn.evaluate.metric import AbstractMetric
from neurokit_snn.evaluate.request import (
    Splits,
    check_options,
    check_tasks,
    folds_of,
    gap_of,
    one_space,
    question_of,
    sessions_of,
    split_kind,
    values_of,
)
from neurokit_snn.evaluate.scoring import label_of
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

__all__ = ["compare"]

SCHEMA = {"schema": "neurokit_snn.comparison", "schema_version": 1}


def compare(
    models: Mapping[str, AbstractModel],
    data: xr.Dataset | Mapping[str, xr.Dataset],
    *,
    task: str,
    cv: Splits = 5,
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
    check_options(models, seeds=seeds, draws=draws, n_boot=n_boot, on_error=on_error, cv=cv)
    check_tasks(models, task)
    sessions = sessions_of(data)
    first = next(iter(sessions.values()))
    known = dict(models)
    left_out: list[str] = []
    if baselines:
        known, left_out = with_baselines(models, first, task=task, target=target)
    space, elsewhere = one_space(known, given=models, sessions=sessions, task=task, target=target)
    known = {name: model for name, model in known.items() if name not in elsewhere}
    kept_gap = gap_of(known, gap, cv)
    folds = folds_of(sessions, cv, kept_gap)
    question = question_of(
        first,
        task=task,
        space=space,
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
    found: dict[Cell, Result | Failure] = {}
    with _bar(len(cells), progress) as bar:
        for cell, result in evaluated(
            cells,
            known,
            sessions,
            folds,
            question,
            cache=_cache_folder(cache),
            n_jobs=n_jobs,
            keep_going=on_error == "nan",
        ):
            found[cell] = result
            bar.update()
    results = cells_by_place(found)
    scored = values_of(first, task, target)
    table = _table(layout, results, sessions, labels=[label_of(m, scored) for m in question.metrics])
    if nulls:
        table = table.merge(null_scores(layout, results), join="exact")
    asked = {
        "task": task,
        "given": json.dumps(None if given is None else list(given)),
        "target": str(scored.name),
        "bin_width": float(first.attrs["bin_width"]),
        "space": space,
        "null": _null_in_words(str(scored.name), space),
        "split": split_kind(cv),
        "gap": kept_gap,
        "draws": draws,
        "n_boot": n_boot,
        "nulls": nulls,
        "baselines_left_out": json.dumps(left_out + elsewhere),
        "failures": json.dumps(sorted(r.reason for r in found.values() if isinstance(r, Failure))),
    }
    return table.assign_attrs(SCHEMA | asked | _interval_attrs(layout, block))


def _null_in_words(scored: str, space: str) -> str:
    if scored == "counts":
        return "each unit's mean of the evaluated data"
    if scored != "calcium":
        return ""
    return f"each unit's {'zero-inflated gamma' if space == 'mixed' else 'Gaussian'} of the training data"


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
