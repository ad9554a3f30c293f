"""From the statistics of cells to the table of a comparison: values, intervals, paired differences, scores of units."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from neurokit_snn.evaluate.cells import NULL, Cell, Failure, Result
from neurokit_snn.evaluate.intervals import Resampling, block_index, interval, resample
from neurokit_snn.evaluate.metric import AbstractMetric
from neurokit_snn.evaluate.nulls import p_value
from neurokit_snn.evaluate.scored import ratio
from neurokit_snn.recording.splits import Fold

__all__ = ["Layout", "Results", "cells_by_place", "fold_scores", "null_scores", "paired", "unit_scores"]

Results = Mapping[tuple[str, str, int, int], Result | Failure]
"""Result of each session, model, fold and seed."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
    """What the axes of a comparison are, and how its trials are resampled.

    Parameters
    ----------
    models, seeds, metrics
        In the order of the table.
    folds
        Of each session.
    blocks
        Block of each trial of each session; -1 for trials that no fold tests.
    resampling
        Weights of blocks.
    """

    models: tuple[str, ...]
    seeds: tuple[int, ...]
    metrics: tuple[AbstractMetric, ...]
    folds: Mapping[str, Sequence[Fold]]
    blocks: Mapping[str, np.ndarray]
    resampling: Resampling

    @classmethod
    def of(
        cls,
        data: Mapping[str, xr.Dataset],
        folds: Mapping[str, Sequence[Fold]],
        *,
        models: Sequence[str],
        seeds: Sequence[int],
        metrics: Sequence[AbstractMetric],
        block: float,
        n_boot: int,
    ) -> Layout:
        """Number the blocks of the tested trials and draw their weights."""
        blocks = {}
        for session, sets in folds.items():
            tested = np.unique(np.concatenate([fold.test for fold in sets]))
            index = np.full(data[session].sizes["trial"], -1, dtype=np.int64)
            index[tested] = block_index(data[session].isel(trial=tested), block=block)
            blocks[session] = index
        n_blocks = {session: int(index.max()) + 1 for session, index in blocks.items()}
        subjects = {session: str(one.attrs.get("subject", "")) for session, one in data.items()}
        return cls(
            models=tuple(models),
            seeds=tuple(seeds),
            metrics=tuple(metrics),
            folds=folds,
            blocks=blocks,
            resampling=resample(n_blocks, subjects=subjects, n_boot=n_boot),
        )

    def weights(self, session: str, resampling: Resampling | None = None) -> np.ndarray:
        """Stack all ones, the replicates, and the groups left out: ``(1 + replicate + group, block)``."""
        drawn = self.resampling if resampling is None else resampling
        whole = np.ones((1, drawn.weights[session].shape[1]))
        return np.concatenate([whole, drawn.weights[session], drawn.left_out[session]])


def cells_by_place(
    found: Mapping[Cell, Result | Failure],
) -> dict[tuple[str, str, int, int], Result | Failure]:
    """Results by session, model, fold and seed."""
    return {(c.session, c.model, c.fold, seed): result for c, result in found.items() for seed in c.seeds}


def fold_scores(layout: Layout, results: Results) -> np.ndarray:
    """Score each model, metric, fold and seed over the test trials of that fold, pooled over sessions.

    The null of bits per spike is then the mean of that fold's test data. NaN where a cell failed.
    """
    n_folds = max(len(sets) for sets in layout.folds.values())
    scores = np.full((len(layout.models), len(layout.metrics), n_folds, len(layout.seeds)), np.nan)
    for place in np.ndindex(scores.shape):
        model, metric, fold, seed = place
        pooled = np.zeros(2)
        for session, sets in layout.folds.items():
            if fold >= len(sets):
                continue
            result = results[session, layout.models[model], fold, layout.seeds[seed]]
            if isinstance(result, Failure):
                pooled[:] = np.nan
                break
            chosen = layout.metrics[metric]
            statistics = result.statistics[layout.seeds[seed]][chosen.name]
            blocks = np.zeros(statistics.sizes["trial"], dtype=np.int64)
            parts = chosen.combine(statistics, blocks=blocks, weights=np.ones((1, 1)))
            pooled += [float(np.nansum(part)) for part in parts]
        scores[place] = ratio(pooled[:1], pooled[1:])[0]
    return scores


def _values(layout: Layout, results: Results, model: str, metric: AbstractMetric) -> np.ndarray:
    """Pooled values under all weights, the mean over seeds, ``(1 + replicate + group,)``."""
    per_seed = []
    for seed in layout.seeds:
        pooled = np.zeros(2)
        for session in layout.folds:
            gathered = _gathered(layout, results, session, model, seed, metric)
            if gathered is None:
                return np.array([np.nan])
            statistics, blocks = gathered
            parts = metric.combine(statistics, blocks=blocks, weights=layout.weights(session))
            pooled = pooled + np.stack([np.nansum(part, axis=1) for part in parts], axis=1)
        per_seed.append(ratio(pooled[:, 0], pooled[:, 1]))
    return np.mean(per_seed, axis=0)


def _gathered(
    layout: Layout, results: Results, session: str, model: str, seed: int, metric: AbstractMetric
) -> tuple[xr.Dataset, np.ndarray] | None:
    """Statistics of all folds end to end with the block of each trial; None where a fold failed."""
    statistics, blocks = [], []
    for number, fold in enumerate(layout.folds[session]):
        result = results[session, model, number, seed]
        if isinstance(result, Failure):
            return None
        statistics.append(result.statistics[seed][metric.name])
        blocks.append(layout.blocks[session][fold.test])
    return xr.concat(statistics, "trial", join="exact"), np.concatenate(blocks)


def paired(layout: Layout, results: Results) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """Values with intervals, and differences of all pairs of models with intervals from the same resamples."""
    n_boot = len(next(iter(layout.resampling.weights.values())))
    n_all = len(layout.weights(next(iter(layout.folds))))
    values = np.full((n_all, len(layout.models), len(layout.metrics)), np.nan)
    for i, model in enumerate(layout.models):
        for j, metric in enumerate(layout.metrics):
            values[:, i, j] = _values(layout, results, model, metric)
    low, high = _limits(values, n_boot)
    shape = (len(layout.models), len(layout.models), len(layout.metrics))
    difference, diff_low, diff_high = np.empty(shape), np.empty(shape), np.empty(shape)
    for i in range(len(layout.models)):
        against = values[:, i, None] - values
        difference[i] = against[0]
        diff_low[i], diff_high[i] = _limits(against, n_boot)
    one, two = ("model", "metric"), ("model", "other", "metric")
    return {
        "value": (one, values[0]),
        "low": (one, low),
        "high": (one, high),
        "diff": (two, difference),
        "diff_low": (two, diff_low),
        "diff_high": (two, diff_high),
    }


def _limits(values: np.ndarray, n_boot: int) -> tuple[np.ndarray, np.ndarray]:
    return interval(values[0], values[1 : 1 + n_boot], values[1 + n_boot :])


def null_scores(layout: Layout, results: Results) -> xr.Dataset:
    """Score all test trials under surrogate behaviour by the first metric, and say how often that is as good as the truth.

    Returns
    -------
    Dataset
        ``null (model, draw)`` and ``p_value (model)``; NaN where a cell failed.
    """
    metric = layout.metrics[0]
    example = next((r for r in results.values() if isinstance(r, Result)), None)
    n = 1 if example is None else next(iter(example.statistics.values()))[NULL].sizes["draw"]
    values = np.full((n, len(layout.models)), np.nan)
    for place in np.ndindex(values.shape):
        model = layout.models[place[1]]
        if any(isinstance(r, Failure) for (_, name, _, _), r in results.items() if name == model):
            continue
        values[place] = np.mean(
            [_null_value(layout, results, model, seed, metric, place[0]) for seed in layout.seeds]
        )
    sign = 1.0 if metric.higher_is_better else -1.0
    return xr.Dataset(
        {
            "null": (("model", "draw"), values[1:].T),
            "p_value": ("model", p_value(sign * values[0], sign * values[1:])),
        }
    )


def _null_value(
    layout: Layout, results: Results, model: str, seed: int, metric: AbstractMetric, draw: int
) -> float:
    pooled = np.zeros(2)
    for session, sets in layout.folds.items():
        parts = [
            _statistics(results[session, model, i, seed], seed)[NULL].isel(draw=draw)
            for i in range(len(sets))
        ]
        whole = xr.concat(parts, "trial", join="exact")
        blocks = np.zeros(whole.sizes["trial"], dtype=np.int64)
        pooled += [float(np.nansum(p)) for p in metric.combine(whole, blocks=blocks, weights=np.ones((1, 1)))]
    return float(ratio(pooled[:1], pooled[1:])[0])


def _statistics(result: Result | Failure, seed: int) -> Mapping[str, xr.Dataset]:
    assert isinstance(result, Result)
    return result.statistics[seed]


def unit_scores(
    layout: Layout, results: Results, units: Mapping[str, np.ndarray], metric: AbstractMetric
) -> xr.Dataset:
    """Score each unit by itself, averaged over the seeds in which it was scored, resampling blocks of its session.

    Parameters
    ----------
    layout, results
        As above.
    units
        Labels of all units of each session.
    metric
        One that has a column for each unit.

    Returns
    -------
    Dataset
        ``unit_score, unit_low, unit_high (model, unit)`` with the coordinate ``session (unit)``; NaN for
        units without spikes and those never held out.
    """
    parts = []
    for session, labels in units.items():
        n_blocks = layout.resampling.weights[session].shape[1]
        n_boot = len(layout.resampling.weights[session])
        own = layout.resampling
        if own.level != "block":
            own = resample({session: n_blocks}, subjects={session: ""}, n_boot=n_boot)
        weights = layout.weights(session, own)
        rows = []
        for model in layout.models:
            values = _unit_values(layout, results, session, model, labels, metric, weights)
            rows.append([values[0], *_limits(values, n_boot)])
        table = np.array(rows)
        scores = {
            n: (("model", "unit"), table[:, k]) for k, n in enumerate(("unit_score", "unit_low", "unit_high"))
        }
        if len(units) == 1:
            return xr.Dataset(scores, coords={"unit": labels})
        coords = {
            "unit": [f"{session}/{label}" for label in labels],
            "session": ("unit", [session] * len(labels)),
        }
        parts.append(xr.Dataset(scores, coords=coords))
    return xr.concat(parts, "unit", join="exact")


def _unit_values(
    layout: Layout,
    results: Results,
    session: str,
    model: str,
    labels: np.ndarray,
    metric: AbstractMetric,
    weights: np.ndarray,
) -> np.ndarray:
    """Values of each unit under all weights ``(weight, unit)``, the mean over the seeds in which it was scored."""
    total, times = np.zeros((len(weights), len(labels))), np.zeros(len(labels))
    where = {label: i for i, label in enumerate(labels.tolist())}
    for seed in layout.seeds:
        gathered = _gathered(layout, results, session, model, seed, metric)
        if gathered is None:
            return np.full((len(weights), len(labels)), np.nan)
        statistics, blocks = gathered
        scored = results[session, model, 0, seed]
        assert isinstance(scored, Result)
        columns = [where[label] for label in scored.units[seed].tolist()]
        total[:, columns] += ratio(*metric.combine(statistics, blocks=blocks, weights=weights))
        times[columns] += 1
    return ratio(total, np.broadcast_to(times, total.shape))
