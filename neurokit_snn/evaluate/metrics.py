"""The metrics: one frozen specification each, in one table.

Bits per spike follow the Neural Latents Benchmark (Pei et al. 2021, NeurIPS Datasets and Benchmarks):
``(log p(model) - log p(null)) / (spikes ln 2)`` under Poisson counts with the model's mean rate plugged in,
where the null is each unit's mean rate over the evaluated data. Densities and probabilities come from
``log_likelihood``, the mean over posterior draws.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr
from scipy import special

from neurokit_snn.errors import EvaluationError
from neurokit_snn.evaluate.metric import AbstractMetric, Additive, ConditionR2, Median, Sums, ratio
from neurokit_snn.evaluate.scored import Kind, Scored, period_of
from neurokit_snn.models.observations import RATE_FLOOR

__all__ = ["METRICS", "default_metrics", "metric_named"]


def _valid(scored: Scored) -> xr.DataArray:
    """The mask as 0 and 1 with one entry a column."""
    mask = scored.mask
    if set(scored.target.dims) - set(mask.dims):
        mask = mask.broadcast_like(scored.target)
    return scored.columns(mask).astype(np.float64)


def _sample_valid(scored: Scored) -> xr.DataArray:
    """The mask of whole samples ``(trial, time)``: valid on all axes."""
    extra = [d for d in scored.mask.dims if d not in ("trial", "time")]
    return scored.mask.all(extra) if extra else scored.mask


# ---- spike counts
# ----------------------------------------------------------------------------------------------


def _poisson_terms(scored: Scored) -> dict[str, xr.DataArray]:
    valid = _valid(scored)
    counts = scored.columns(scored.target)
    # The floor keeps a spike where the model says "never" finite; a new array, the caller's is not touched.
    expected = scored.columns(scored.need_mean())
    floored = expected.clip(min=RATE_FLOOR)
    log_p = (counts * np.log(floored) - floored).where(valid > 0, 0.0)
    return {"log_p": log_p, "spikes": counts * valid, "bins": valid}


def _train_poisson_terms(scored: Scored) -> dict[str, xr.DataArray]:
    terms = _poisson_terms(scored)
    mean = scored.columns(scored.need_null().mean.broadcast_like(scored.target))
    terms["null"] = (scored.columns(scored.target) * np.log(mean) - mean).where(terms["bins"] > 0, 0.0)
    return terms


def _bits_per_spike(sums: Sums) -> tuple[np.ndarray, np.ndarray]:
    """``(log p - log null) / ln 2`` over spikes; the null ``S ln(S/N) - S`` is the Poisson at its own best constant rate."""
    spikes, bins = sums["spikes"], sums["bins"]
    null = special.xlogy(spikes, np.where(bins > 0, spikes / np.maximum(bins, 1e-300), 1.0)) - spikes
    return (sums["log_p"] - null) / np.log(2.0), spikes


def _bits_per_spike_train(sums: Sums) -> tuple[np.ndarray, np.ndarray]:
    return (sums["log_p"] - sums["null"]) / np.log(2.0), sums["spikes"]


def _log_likelihood_terms(scored: Scored) -> dict[str, xr.DataArray]:
    """Summed over the units of a block where the model gives one number for all of them, then so for every model."""
    log_prob, valid = scored.need_log_prob(), _valid(scored)
    if "unit" in log_prob.dims:
        return {"log_p": scored.columns(log_prob).where(valid > 0, 0.0), "seconds": valid * scored.bin_width}
    whole = log_prob.sum([d for d in log_prob.dims if d != "trial"], skipna=False)
    seconds = valid.sum(["time", "column"]) * scored.bin_width
    return {"log_p": whole.expand_dims("column", -1), "seconds": seconds.expand_dims("column", -1)}


def _over(numerator: str, denominator: str) -> Callable[[Sums], tuple[np.ndarray, np.ndarray]]:
    def finish(sums: Sums) -> tuple[np.ndarray, np.ndarray]:
        return sums[numerator], sums[denominator]

    return finish


# ---- calcium
# ---------------------------------------------------------------------------------------------------


def _density_gain_terms(scored: Scored) -> dict[str, xr.DataArray]:
    null, valid = scored.need_null(), _valid(scored)
    z = (scored.target - null.mean) / null.sd
    null_log_p = -0.5 * z**2 - np.log(null.sd) - 0.5 * np.log(2.0 * np.pi)
    gain = scored.columns(scored.need_log_prob() - null_log_p)
    return {"gain": gain.where(valid > 0, 0.0), "samples": valid}


# ---- behaviour
# -------------------------------------------------------------------------------------------------


def _moment_terms(scored: Scored) -> dict[str, xr.DataArray]:
    valid = _valid(scored)
    true = scored.columns(scored.target).where(valid > 0, 0.0)
    predicted = scored.columns(scored.need_mean()).where(valid > 0, 0.0)
    return {
        "n": valid,
        "true": true,
        "predicted": predicted,
        "true2": true**2,
        "predicted2": predicted**2,
        "product": true * predicted,
        "residual2": (true - predicted) ** 2,
    }


def _r2(sums: Sums) -> tuple[np.ndarray, np.ndarray]:
    """``1 - residual / total`` of each axis, axes weighted alike (scikit-learn's ``uniform_average``)."""
    total = sums["true2"] - ratio(sums["true"] ** 2, sums["n"])
    return (1.0 - ratio(sums["residual2"], total)) * sums["n"], sums["n"]


def _pearson_r(sums: Sums) -> tuple[np.ndarray, np.ndarray]:
    n = sums["n"]
    covariance = sums["product"] - ratio(sums["true"] * sums["predicted"], n)
    variances = [np.maximum(sums[f"{k}2"] - ratio(sums[k] ** 2, n), 0.0) for k in ("true", "predicted")]
    return ratio(covariance, np.sqrt(variances[0] * variances[1])) * n, n


def _distance(scored: Scored) -> xr.DataArray:
    """Euclidean distance over the axes of the behaviour, in its units."""
    squared = (scored.columns(scored.target) - scored.columns(scored.need_mean())) ** 2
    return np.sqrt(squared.sum("column", skipna=False)).where(_sample_valid(scored))


def _angle(scored: Scored) -> xr.DataArray:
    """Absolute difference of angles the short way round, in the units of the behaviour."""
    period = period_of(scored.target)
    difference = scored.columns(scored.target) - scored.columns(scored.need_mean())
    wrapped = np.abs((difference + period / 2.0) % period - period / 2.0)
    return wrapped.mean("column", skipna=False).where(_sample_valid(scored))


def _angle_terms(scored: Scored) -> dict[str, xr.DataArray]:
    valid = _sample_valid(scored)
    found = {"error": _angle(scored).where(valid, 0.0), "n": valid}
    return {k: v.expand_dims("column", -1) for k, v in found.items()}


def _accuracy_terms(scored: Scored) -> dict[str, xr.DataArray]:
    valid = _valid(scored)
    right = scored.columns(scored.target) == scored.columns(scored.need_mean())
    return {"right": right * valid, "n": valid}


def _log_density_terms(scored: Scored) -> dict[str, xr.DataArray]:
    log_prob, valid = scored.need_log_prob(), _sample_valid(scored)
    found = {"log_p": log_prob.where(valid, 0.0), "n": valid}
    return {k: v.expand_dims("column", -1) for k, v in found.items()}


# ---- the table
# -------------------------------------------------------------------------------------------------

_REAL: tuple[Kind, ...] = ("continuous",)
_BEHAVIOUR: tuple[Kind, ...] = ("continuous", "circular", "categorical")

METRICS: dict[str, AbstractMetric] = {
    metric.name: metric
    for metric in (
        Additive(
            name="bits_per_spike",
            kinds=("counts",),
            unit_label="bits/spike",
            terms=_poisson_terms,
            finish=_bits_per_spike,
        ),
        Additive(
            name="bits_per_spike_train",
            kinds=("counts",),
            unit_label="bits/spike over the training mean",
            needs=("mean", "null"),
            terms=_train_poisson_terms,
            finish=_bits_per_spike_train,
        ),
        Additive(
            name="log_likelihood",
            kinds=("counts",),
            unit_label="nats/s per unit",
            needs=("log_prob",),
            terms=_log_likelihood_terms,
            finish=_over("log_p", "seconds"),
        ),
        ConditionR2(name="psth_r2", kinds=("counts",), unit_label="R2 of condition averages"),
        Additive(
            name="nats_per_sample",
            kinds=("calcium",),
            unit_label="nats/sample over the training Gaussian",
            needs=("log_prob", "null"),
            terms=_density_gain_terms,
            finish=_over("gain", "samples"),
        ),
        Additive(
            name="r2", kinds=("continuous", "calcium"), unit_label="R2", terms=_moment_terms, finish=_r2
        ),
        Median(
            name="median_error",
            kinds=_REAL,
            unit_label="median error ({units})",
            higher_is_better=False,
            errors=_distance,
        ),
        Additive(
            name="pearson_r", kinds=_REAL, unit_label="Pearson r", terms=_moment_terms, finish=_pearson_r
        ),
        Additive(
            name="circular_error",
            kinds=("circular",),
            unit_label="mean absolute angle ({units})",
            higher_is_better=False,
            terms=_angle_terms,
            finish=_over("error", "n"),
        ),
        Median(
            name="median_circular_error",
            kinds=("circular",),
            unit_label="median absolute angle ({units})",
            higher_is_better=False,
            errors=_angle,
        ),
        Additive(
            name="accuracy",
            kinds=("categorical",),
            unit_label="fraction right",
            terms=_accuracy_terms,
            finish=_over("right", "n"),
        ),
        Additive(
            name="log_density",
            kinds=_BEHAVIOUR,
            unit_label="nats/sample",
            needs=("log_prob",),
            terms=_log_density_terms,
            finish=_over("log_p", "n"),
        ),
    )
}
"""Every metric by name."""


def metric_named(name: str) -> AbstractMetric:
    """The metric of that name, or an `EvaluationError` that lists the names.

    Examples
    --------
    >>> metric_named("median_error").higher_is_better
    False
    """
    if name not in METRICS:
        raise EvaluationError(f"no metric {name!r}; choose from {', '.join(METRICS)}")
    return METRICS[name]


def default_metrics(target: xr.DataArray, kind: Kind) -> tuple[AbstractMetric, ...]:
    """The metrics of a kind of target, the first being the headline.

    The PSTH R2 is among them only where the data have a trial column ``condition``.
    """
    fitting = [m for m in METRICS.values() if kind in m.kinds]
    return tuple(m for m in fitting if not isinstance(m, ConditionR2) or m.condition in target.coords)
