"""The metrics: one frozen specification each, in one table.

Bits per spike follow the Neural Latents Benchmark (Pei et al. 2021, NeurIPS Datasets and Benchmarks):
``(log p(model) - log p(null)) / (spikes ln 2)`` under Poisson counts with the model's mean rate plugged in,
where the null is each unit's mean rate over the evaluated data. Densities and probabilities come from
``log_likelihood``, the mean over posterior draws. Calcium is scored against what each unit did in training: a
Gaussian, or, where models put a mass at no event (space ``mixed``), a zero-inflated gamma of its events.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr
from scipy import special

from neurokit_snn.errors import EvaluationError
from neurokit_snn.evaluate.metric import AbstractMetric, Additive, ConditionR2, Median, Sums, Terms
from neurokit_snn.evaluate.scored import Kind, Scored, period_of, ratio
from neurokit_snn.models.observations import RATE_FLOOR

__all__ = ["METRICS", "default_metrics", "metric_named"]


def _kept(values: xr.Variable, valid: xr.Variable) -> xr.Variable:
    """Values where valid, 0 elsewhere, so that they can be summed whatever stands in masked bins."""
    return values.where(valid, 0.0)


# ---- spike counts
# ----------------------------------------------------------------------------------------------


def _poisson_terms(scored: Scored) -> Terms:
    valid = scored.valid()
    counts = scored.columns(scored.target)
    # The floor keeps a spike where the model says "never" finite; a new array, the caller's is not touched.
    expected = scored.columns(scored.need_mean()).clip(min=RATE_FLOOR)
    return {
        "log_p": _kept(counts * np.log(expected) - expected, valid),
        "spikes": _kept(counts, valid),
        "bins": valid,
    }


def _train_poisson_terms(scored: Scored) -> Terms:
    mean = scored.columns(scored.need_null().mean)
    null = scored.columns(scored.target) * np.log(mean) - mean
    return {**_poisson_terms(scored), "null": _kept(null, scored.valid())}


def _bits_per_spike(sums: Sums) -> tuple[np.ndarray, np.ndarray]:
    """``(log p - log null) / ln 2`` over spikes; the null ``S ln(S/N) - S`` is the Poisson at its own best constant rate."""
    spikes, bins = sums["spikes"], sums["bins"]
    null = special.xlogy(spikes, np.where(bins > 0, spikes / np.maximum(bins, 1e-300), 1.0)) - spikes
    return (sums["log_p"] - null) / np.log(2.0), spikes


def _bits_per_spike_train(sums: Sums) -> tuple[np.ndarray, np.ndarray]:
    return (sums["log_p"] - sums["null"]) / np.log(2.0), sums["spikes"]


def _log_likelihood_terms(scored: Scored) -> Terms:
    """Log probabilities and seconds; of tokens, which stand for all units of a block, over one column."""
    log_prob, valid = scored.columns(scored.need_log_prob()), scored.valid()
    if "column" in log_prob.dims:
        return {"log_p": _kept(log_prob, valid), "seconds": valid * scored.bin_width}
    whole = log_prob.sum([d for d in log_prob.dims if d != "trial"], skipna=False)
    return {"log_p": whole, "seconds": valid.sum(["time", "column"]) * scored.bin_width}


def _over(numerator: str, denominator: str) -> Callable[[Sums], tuple[np.ndarray, np.ndarray]]:
    def finish(sums: Sums) -> tuple[np.ndarray, np.ndarray]:
        return sums[numerator], sums[denominator]

    return finish


# ---- calcium
# ---------------------------------------------------------------------------------------------------


def _null_log_prob(scored: Scored) -> xr.Variable:
    """Log probability of each sample under the null, in the space of the model: a Gaussian, or events of gamma size."""
    null = scored.need_null()
    if scored.space == "mixed":
        if null.events is None:
            raise EvaluationError("train holds no calcium; pass the training data of what is scored")
        return scored.columns(null.events.log_prob(scored.target))
    mean, sd = scored.columns(null.mean), scored.columns(null.sd)
    z = (scored.columns(scored.target) - mean) / sd
    return -0.5 * z**2 - np.log(sd) - 0.5 * np.log(2.0 * np.pi)


def _density_gain_terms(scored: Scored) -> Terms:
    gain = scored.columns(scored.need_log_prob()) - _null_log_prob(scored)
    valid = scored.valid()
    return {"gain": _kept(gain, valid), "samples": valid}


# ---- behaviour
# -------------------------------------------------------------------------------------------------


def _moment_terms(scored: Scored) -> Terms:
    valid = scored.valid()
    true = _kept(scored.columns(scored.target), valid)
    predicted = _kept(scored.columns(scored.need_mean()), valid)
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


def _distance(scored: Scored) -> xr.Variable:
    """Euclidean distance over the axes of the behaviour, in its units."""
    squared = (scored.columns(scored.target) - scored.columns(scored.need_mean())) ** 2
    total = squared.sum("column", skipna=False) if "column" in squared.dims else squared
    return (total**0.5).where(scored.valid_samples())


def _angle(scored: Scored) -> xr.Variable:
    """Absolute difference of angles the short way round, in the units of the behaviour."""
    period = period_of(scored.target)
    difference = scored.columns(scored.target) - scored.columns(scored.need_mean())
    wrapped = abs((difference + period / 2.0) % period - period / 2.0)
    wrapped = wrapped.mean("column", skipna=False) if "column" in wrapped.dims else wrapped
    return wrapped.where(scored.valid_samples())


def _angle_terms(scored: Scored) -> Terms:
    valid = scored.valid_samples()
    return {"error": _kept(_angle(scored), valid), "n": valid}


def _accuracy_terms(scored: Scored) -> Terms:
    valid = scored.valid()
    right = scored.columns(scored.target) == scored.columns(scored.need_mean())
    return {"right": right & valid, "n": valid}


def _log_density_terms(scored: Scored) -> Terms:
    valid = scored.valid_samples()
    return {"log_p": _kept(scored.columns(scored.need_log_prob()), valid), "n": valid}


# ---- the table
# -------------------------------------------------------------------------------------------------

_REAL: tuple[Kind, ...] = ("continuous",)

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
            unit_label="nats/sample over the training null",
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
            kinds=("continuous", "circular"),
            unit_label="nats/sample",
            needs=("log_prob",),
            terms=_log_density_terms,
            finish=_over("log_p", "n"),
        ),
        Additive(
            name="log_probability",
            kinds=("categorical",),
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
