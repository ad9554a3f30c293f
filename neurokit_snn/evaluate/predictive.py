"""Posterior predictive checks: whether spikes sampled from a model look like the spikes recorded.

A score says which of two models is better, not what is wrong with the best one. Here statistics that no model
was fitted to (Fano factors, intervals, population counts, correlograms) are computed for the data and for
samples of the model, and compared.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from neurokit_snn.errors import EvaluationError
from neurokit_snn.evaluate.scored import ratio
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.recording.binned import check_binned

__all__ = ["STATISTICS", "posterior_predictive", "spike_statistics"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Spikes:
    """Counts ``(trial, time, unit)``, 0 where masked, and what the statistics need to know about them."""

    counts: np.ndarray
    mask: np.ndarray
    bin_width: float
    max_lag: int
    window: int
    most: int


def _rate(spikes: _Spikes) -> tuple[tuple[str, ...], np.ndarray]:
    """Mean rate, spikes/s."""
    return ("unit",), ratio(spikes.counts.sum((0, 1)), spikes.mask.sum((0, 1)) * spikes.bin_width)


def _isi(spikes: _Spikes) -> tuple[tuple[str, ...], np.ndarray]:
    """Fraction of intervals between successive spikes of a trial, by length in bins; the last entry holds all longer ones."""
    trial, unit, time = np.nonzero(spikes.counts.transpose(0, 2, 1))
    times = spikes.counts[trial, time, unit]
    trial, unit, time = (np.repeat(a, times) for a in (trial, unit, time))
    lost = np.cumsum(~spikes.mask, axis=1)[trial, time, unit]
    # An interval over masked bins may have held spikes that nobody saw.
    whole = (trial[1:] == trial[:-1]) & (unit[1:] == unit[:-1]) & (lost[1:] == lost[:-1])
    length = np.minimum(np.diff(time)[whole], spikes.max_lag + 1)
    counted = np.zeros((spikes.counts.shape[2], spikes.max_lag + 2))
    np.add.at(counted, (unit[1:][whole], length), 1.0)
    return ("unit", "interval"), ratio(counted, counted.sum(1, keepdims=True))


def _fano(spikes: _Spikes) -> tuple[tuple[str, ...], np.ndarray]:
    """Variance over mean of counts in windows that are valid throughout."""
    n_windows = spikes.counts.shape[1] // spikes.window
    shape = (spikes.counts.shape[0] * n_windows, spikes.window, spikes.counts.shape[2])
    cut = slice(0, n_windows * spikes.window)
    counts = spikes.counts[:, cut].reshape(shape).sum(1).astype(np.float64)
    valid = spikes.mask[:, cut].reshape(shape).all(1)
    n = valid.sum(0)
    mean = ratio(np.where(valid, counts, 0.0).sum(0), n)
    squares = np.where(valid, (counts - mean) ** 2, 0.0).sum(0)
    return ("unit",), ratio(ratio(squares, np.maximum(n - 1.0, 0.0)), mean)


def _population(spikes: _Spikes) -> tuple[tuple[str, ...], np.ndarray]:
    """Fraction of bins by the number of spikes of all units; the last entry holds all larger ones."""
    known = spikes.mask.all(2)
    total = np.minimum(spikes.counts.sum(2)[known], spikes.most)
    counted = np.bincount(total, minlength=spikes.most + 1).astype(np.float64)
    return ("population_count",), ratio(counted, np.full(counted.shape, counted.sum()))


def _pairs(spikes: _Spikes, lag: int) -> np.ndarray:
    """Coincidences at a lag over those of independent units with the same rates, ``(unit, other)``."""
    stop = spikes.counts.shape[1] - lag
    flat = (-1, spikes.counts.shape[2])
    x, y = (spikes.counts[:, s].reshape(flat).astype(np.float64) for s in (slice(0, stop), slice(lag, None)))
    a, b = (spikes.mask[:, s].reshape(flat).astype(np.float64) for s in (slice(0, stop), slice(lag, None)))
    both = a.T @ b
    return ratio((x.T @ y) * both, (x.T @ b) * (a.T @ y))


def _autocorrelogram(spikes: _Spikes) -> tuple[tuple[str, ...], np.ndarray]:
    """Coincidences of a unit with itself, 1 at chance, at lags of 1 bin and more."""
    found = [np.diagonal(_pairs(spikes, lag)) for lag in range(1, spikes.max_lag + 1)]
    return ("unit", "own_lag"), np.stack(found, axis=1)


def _crosscorrelogram(spikes: _Spikes) -> tuple[tuple[str, ...], np.ndarray]:
    """Coincidences of two units, 1 at chance; positive lags: ``other`` fires later. NaN for a unit with itself."""
    forward = [_pairs(spikes, lag) for lag in range(spikes.max_lag + 1)]
    every = np.stack([p.T for p in forward[:0:-1]] + forward, axis=2)
    every[np.eye(len(every), dtype=bool)] = np.nan
    return ("unit", "other", "lag"), every


STATISTICS: dict[str, Callable[[_Spikes], tuple[tuple[str, ...], np.ndarray]]] = {
    "rate": _rate,
    "isi": _isi,
    "fano": _fano,
    "population": _population,
    "autocorrelogram": _autocorrelogram,
    "crosscorrelogram": _crosscorrelogram,
}
"""Statistics by name."""


def spike_statistics(
    data: xr.Dataset,
    *,
    statistics: Sequence[str] = tuple(STATISTICS),
    max_lag: float = 0.2,
    window: float = 1.0,
    most: int | None = None,
) -> xr.Dataset:
    """Describe binned spikes.

    Parameters
    ----------
    data
        Binned dataset.
    statistics
        ``rate`` (spikes/s), ``isi``, ``fano``, ``population``, ``autocorrelogram``, ``crosscorrelogram``.
    max_lag
        Longest lag and interval, seconds.
    window
        Length of the windows of Fano factors, seconds; the trial where that is shorter.
    most
        Largest population count with an entry of its own; None for twice the largest of the data.

    Returns
    -------
    Dataset
        One variable a statistic; coordinates ``interval``, ``own_lag`` and ``lag`` in seconds,
        ``population_count``.

    Raises
    ------
    EvaluationError
        When a name is unknown or ``max_lag`` does not fit into a trial.

    Examples
    --------
    >>> import neurokit_snn as nk
    >>> tree = nk.recording.build(spikes={"a": [0.05, 0.15, 0.35], "b": [0.25]})
    >>> data = nk.recording.bin(tree, 0.1, start=0.0, stop=0.4)
    >>> spike_statistics(data, statistics=["isi"], max_lag=0.2)["isi"].sel(unit="a").values  # 0, 1, 2 and more bins
    array([0. , 0.5, 0.5, 0. ])
    """
    check_binned(data)
    unknown = [name for name in statistics if name not in STATISTICS]
    if unknown:
        raise EvaluationError(f"no statistic {unknown[0]!r}; choose from {', '.join(STATISTICS)}")
    width = float(data.attrs["bin_width"])
    n_lags = round(max_lag / width)
    if not 1 <= n_lags < data.sizes["time"]:
        raise EvaluationError(
            f"max_lag is {max_lag:g} s; give at least one bin ({width:g} s) and less than a trial "
            f"({data.sizes['time'] * width:g} s)"
        )
    mask = data["mask"].values
    counts = np.where(mask, data["counts"].values, 0)
    spikes = _Spikes(
        counts=counts,
        mask=mask,
        bin_width=width,
        max_lag=n_lags,
        window=max(1, min(round(window / width), data.sizes["time"])),
        most=2 * int(counts.sum(2).max(initial=0)) + 1 if most is None else most,
    )
    found = {name: STATISTICS[name](spikes) for name in statistics}
    labels = data["unit"].values if "unit" in data.coords else np.arange(counts.shape[2])
    every = {
        "unit": labels,
        "other": labels,
        "interval": np.arange(n_lags + 2) * width,
        "own_lag": np.arange(1, n_lags + 1) * width,
        "lag": np.arange(-n_lags, n_lags + 1) * width,
        "population_count": np.arange(spikes.most + 1),
    }
    used = {dim for dims, _ in found.values() for dim in dims}
    return xr.Dataset(found, coords={k: v for k, v in every.items() if k in used})


def posterior_predictive(
    model: AbstractModel,
    data: xr.Dataset,
    *,
    task: str = "generate",
    given: Sequence[str] | None = None,
    statistics: Sequence[str] = tuple(STATISTICS),
    draws: int = 20,
    max_lag: float = 0.2,
    window: float = 1.0,
    seed: int = 0,
) -> xr.Dataset:
    """Compare statistics of recorded spikes with those of spikes sampled from a fitted model.

    Parameters
    ----------
    model
        A fitted model.
    data
        Binned dataset, best one that the model has not seen.
    task, given
        What the model sees, as for ``model.sample``.
    statistics, max_lag, window
        As for `spike_statistics`.
    draws
        Number of sampled data sets.
    seed
        Of the first sample; the others take the seeds that follow.

    Returns
    -------
    Dataset
        For each statistic ``NAME`` of the data: itself, ``NAME_mean``, ``NAME_low``, ``NAME_high`` (mean and
        central 95% of the samples) and ``NAME_p``, how often a sample lies as far out, on both sides.

    Raises
    ------
    EvaluationError
        As for `spike_statistics`, or when ``draws`` is below 2.
    """
    if draws < 2:
        raise EvaluationError(f"draws is {draws}; a predictive check needs at least 2 samples")
    most = 2 * int(data["counts"].where(data["mask"], 0).sum("unit").max()) + 1

    def described(spikes: xr.Dataset) -> xr.Dataset:
        return spike_statistics(spikes, statistics=statistics, max_lag=max_lag, window=window, most=most)

    recorded = described(data)
    samples = (model.sample(data, task=task, given=given, seed=seed + i) for i in range(draws))
    sampled = xr.concat([described(sample) for sample in samples], "draw", join="exact")
    result = recorded.copy()
    for name in recorded.data_vars:
        ordered = sampled[name].transpose("draw", ...).values
        dims = recorded[name].dims
        known = np.isfinite(ordered).all(0)
        filled = np.where(known, ordered, 0.0)
        low, high = np.quantile(filled, [0.025, 0.975], axis=0)
        for part, values in (("mean", filled.mean(0)), ("low", low), ("high", high)):
            result[f"{name}_{part}"] = (dims, np.where(known, values, np.nan))
        result[f"{name}_p"] = (dims, _two_sided(recorded[name].values, ordered))
    return result.assign_attrs(task=task, draws=draws, model=type(model).__name__, seed=seed)


def _two_sided(recorded: np.ndarray, sampled: np.ndarray) -> np.ndarray:
    """Twice the smaller tail, the data counted among the samples; NaN where a sample has no value."""
    n = len(sampled)
    with np.errstate(invalid="ignore"):
        above, below = (sampled >= recorded).sum(0), (sampled <= recorded).sum(0)
    p = np.minimum(1.0, 2.0 * (1.0 + np.minimum(above, below)) / (1.0 + n))
    return np.where(np.isfinite(recorded) & np.isfinite(sampled).all(0), p, np.nan)
