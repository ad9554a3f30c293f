"""What a score is: numbers kept for each trial, and how weighted trials combine into a value.

A metric never sees a resampled data set. It keeps statistics of each trial once (`Metric.statistics`) and
turns any weighting of blocks of trials into values (`Metric.combine`), so that two thousand bootstrap
replicates are one matrix product.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import xarray as xr

from neurokit_snn.errors import EvaluationError
from neurokit_snn.evaluate.scored import Kind, Scored, ratio

__all__ = ["AbstractMetric", "Additive", "ConditionR2", "Median", "block_sums"]

Sums = Mapping[str, np.ndarray]
Terms = dict[str, xr.Variable]
CHUNK_VALUES = 4_000_000
"""Most values (replicates x samples) that one step of a weighted median holds."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class AbstractMetric(abc.ABC):
    """A score of held-out predictions.

    Parameters
    ----------
    name
        What it is called in the ``metric`` coordinate.
    kinds
        Kinds of target that it scores: ``counts``, ``calcium``, ``continuous``, ``circular``,
        ``categorical``.
    unit_label
        Unit of its values; ``{units}`` stands for the units of the behaviour.
    higher_is_better
        Which way it ranks.
    needs
        What of a `Scored` it reads beside the target: ``mean``, ``log_prob``, ``null``.
    """

    name: str
    kinds: tuple[Kind, ...]
    unit_label: str
    higher_is_better: bool = True
    needs: tuple[str, ...] = ("mean",)

    @abc.abstractmethod
    def statistics(self, scored: Scored) -> xr.Dataset:
        """Everything about each trial that a value is computed from, dims ``(trial, ...)``, lazy where the data are."""

    @abc.abstractmethod
    def combine(
        self, statistics: xr.Dataset, *, blocks: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Values of weighted blocks, as numerators and denominators.

        Parameters
        ----------
        statistics
            What `statistics` gave, in memory.
        blocks
            Block of each trial, ``(trial,)``.
        weights
            How often each block counts in each replicate, ``(replicate, block)``.

        Returns
        -------
        numerator, denominator
            Both ``(replicate, column)``, a column being a unit or an axis. Their ratio is the value of the
            column; the ratio of their sums over columns (and sessions) is the pooled value.
        """


def block_sums(values: np.ndarray, blocks: np.ndarray, n_blocks: int) -> np.ndarray:
    """Sums over the trials of each block, ``(trial, ...)`` to ``(block, ...)``."""
    sums = np.zeros((n_blocks, *values.shape[1:]))
    np.add.at(sums, blocks, values)
    return sums


@dataclasses.dataclass(frozen=True, kw_only=True)
class Additive(AbstractMetric):
    """A score that follows from sums over samples.

    Parameters
    ----------
    terms
        From a `Scored` to variables ``(trial, time, column)``; they are summed over ``time`` here, each chunk on
        its own.
    finish
        From sums ``(..., column)`` to numerator and denominator of the same shape.
    """

    terms: Callable[[Scored], Terms]
    finish: Callable[[Sums], tuple[np.ndarray, np.ndarray]]

    def statistics(self, scored: Scored) -> xr.Dataset:
        """Sums of the terms over the time of each trial, dims ``(trial, column)``."""
        sums = {}
        for name, values in self.terms(scored).items():
            total = values.astype(np.float64).sum([d for d in values.dims if d not in ("trial", "column")])
            sums[name] = (
                total if "column" in total.dims else xr.Variable(("trial", "column"), total.data[:, None])
            )
        return xr.Dataset(sums)

    def combine(
        self, statistics: xr.Dataset, *, blocks: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """One matrix product for each statistic, then `finish`."""
        n_blocks = weights.shape[1]
        # A log probability of -inf times a weight of 0 is NaN, which is how a replicate without that block
        # should not count.
        with np.errstate(invalid="ignore"):
            sums = {str(k): weights @ block_sums(v.values, blocks, n_blocks) for k, v in statistics.items()}
            return self.finish(sums)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Median(AbstractMetric):
    """The median over samples of an error, weighted medians where blocks are weighted.

    Parameters
    ----------
    errors
        From a `Scored` to the error of each sample ``(trial, time)``, NaN where masked.
    """

    errors: Callable[[Scored], xr.Variable]

    def statistics(self, scored: Scored) -> xr.Dataset:
        """The error of each sample, dims ``(trial, time)``."""
        return xr.Dataset({"error": self.errors(scored).astype(np.float64)})

    def combine(
        self, statistics: xr.Dataset, *, blocks: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Medians of the samples, each counted as often as its block; the denominator is the number of samples."""
        errors = statistics["error"].values
        trial, time = np.nonzero(np.isfinite(errors))
        values = errors[trial, time]
        order = np.argsort(values, kind="stable")
        values, owner = values[order], blocks[trial][order]
        n_samples = weights @ np.bincount(owner, minlength=weights.shape[1]).astype(np.float64)
        medians = np.full(len(weights), np.nan)
        step = max(1, CHUNK_VALUES // max(1, values.size))
        for first in range(0, len(weights) if values.size else 0, step):
            some = slice(first, first + step)
            medians[some] = _weighted_medians(values, weights[some][:, owner])
        return (medians * n_samples)[:, None], n_samples[:, None]


def _weighted_medians(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Medians of sorted ``values (sample,)`` under ``weights (replicate, sample)``; those of repeated samples if whole."""
    cumulated = np.cumsum(weights, axis=1)
    half = cumulated[:, -1:] / 2.0
    low = values[np.argmax(cumulated >= half, axis=1)]
    high = values[np.argmax(cumulated > half, axis=1)]
    return np.where(half[:, 0] > 0, (low + high) / 2.0, np.nan)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConditionR2(AbstractMetric):
    """R2 of predicted against true averages over the trials of each condition (the PSTH R2 of Pei et al. 2021).

    Parameters
    ----------
    condition
        Trial column whose values name the conditions.
    """

    condition: str = "condition"

    def statistics(self, scored: Scored) -> xr.Dataset:
        """Valid true and predicted counts ``(trial, time, column)`` and the condition of each trial."""
        if self.condition not in scored.target.coords:
            raise EvaluationError(
                f"{self.name} averages over trials of equal {self.condition!r}, which is no trial column of the data; "
                "pass ConditionR2(condition=...) with one that is"
            )
        valid = scored.valid()
        found = {
            "true": scored.columns(scored.target).where(valid, 0.0),
            "predicted": scored.columns(scored.need_mean()).where(valid, 0.0).transpose(*valid.dims),
            "valid": valid.astype(np.float64),
        }
        labels = np.asarray(scored.target[self.condition].values).astype(str)
        return xr.Dataset({**found, "condition": ("trial", labels)})

    def combine(
        self, statistics: xr.Dataset, *, blocks: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """R2 over conditions and time of each unit; the denominator is its number of valid bins."""
        labels = statistics["condition"].values
        groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        arrays = {name: statistics[name].values for name in ("true", "predicted", "valid")}
        numerator, denominator = [], []
        step = max(1, CHUNK_VALUES // max(1, arrays["true"][0].size * len(groups)))
        for first in range(0, len(weights), step):
            some = weights[first : first + step]
            averages = [_averages({k: v[g] for k, v in arrays.items()}, some[:, blocks[g]]) for g in groups]
            true, predicted, bins = (np.concatenate(parts, axis=1) for parts in zip(*averages, strict=True))
            n = bins.sum(1)
            numerator.append(_r2(true, predicted) * n)
            denominator.append(n)
        return np.concatenate(numerator), np.concatenate(denominator)


def _averages(
    arrays: Mapping[str, np.ndarray], weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True and predicted weighted averages over trials, and their weights, each ``(replicate, time, column)``."""
    shape = arrays["true"].shape[1:]
    sums = {k: (weights @ v.reshape(len(v), -1)).reshape(-1, *shape) for k, v in arrays.items()}
    return ratio(sums["true"], sums["valid"]), ratio(sums["predicted"], sums["valid"]), sums["valid"]


def _r2(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """1 - residual / total sum of squares over axis 1, NaN entries left out."""
    known = np.isfinite(true)
    n = known.sum(1)
    mean = ratio(np.where(known, true, 0.0).sum(1), n)
    total = np.where(known, (true - mean[:, None]) ** 2, 0.0).sum(1)
    residual = np.where(known, (true - predicted) ** 2, 0.0).sum(1)
    return 1.0 - ratio(residual, total)
