"""Metrics against cases worked by hand and against scikit-learn and scipy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from sklearn import metrics as sk

from neurokit_snn.errors import EvaluationError
from neurokit_snn.evaluate.metric import ConditionR2
from neurokit_snn.evaluate.metrics import METRICS, metric_named
from neurokit_snn.evaluate.scored import Scored
from neurokit_snn.evaluate.scoring import score

Made = Callable[..., xr.Dataset]


def binned(counts: np.ndarray, mask: np.ndarray | None = None, **variables: xr.DataArray) -> xr.Dataset:
    counts = np.asarray(counts, dtype=np.int32)
    n_trials, n_time, n_units = counts.shape
    return xr.Dataset(
        {
            "counts": (("trial", "time", "unit"), counts),
            "mask": (("trial", "time", "unit"), np.ones(counts.shape, bool) if mask is None else mask),
            **variables,
        },
        coords={
            "time": np.arange(n_time) + 0.5,
            "unit": list("abcdef"[:n_units]),
            "trial_start": ("trial", np.arange(n_trials) * float(n_time)),
            "trial_stop": ("trial", np.arange(n_trials) * float(n_time) + n_time),
        },
        attrs={"schema": "neurokit_snn.binned", "schema_version": 1, "bin_width": 1.0, "layout": "windows"},
    )


def value(table: xr.Dataset, metric: str) -> float:
    return float(table["value"].sel(metric=metric))


def test_bits_per_spike_by_hand() -> None:
    # One unit, counts 0 and 2, rates 0.5 and 2. log p of the model, without log 2! which is in both:
    # 0 log .5 - .5 + 2 log 2 - 2 = 2 log 2 - 2.5; of the null at its mean 1: 2 log 1 - 2 = -2.
    # (2 log 2 - .5) / (2 log 2) = 1 - .25 / log 2.
    data = binned(np.array([[[0], [2]]]))
    rate = xr.DataArray([[[0.5], [2.0]]], dims=("trial", "time", "unit"))
    table = score(data, rate, metrics=["bits_per_spike"])
    assert value(table, "bits_per_spike") == pytest.approx(1 - 0.25 / np.log(2), abs=1e-12)


def test_bits_per_spike_is_that_of_the_neural_latents_benchmark() -> None:
    # Two units, so that weighting by spikes differs from a mean over units. By the benchmark's formula
    # (sum of null NLL - sum of model NLL) / spikes / log 2, with counts a: 1 3, b: 0 1 and rates a: 1 2, b: .5 .5:
    # NLL model a: -(0 - 1) - (3 log 2 - 2) + log 3! = 3 - 3 log 2 + log 6; null (mean 2): 4 - 4 log 2 + log 6
    # NLL model b: .5 + .5 - log .5 = 1 + log 2; null (mean .5) the same.
    # ((1 - log 2) + 0) / (5 log 2)
    data = binned(np.array([[[1, 0], [3, 1]]]))
    rate = xr.DataArray([[[1.0, 0.5], [2.0, 0.5]]], dims=("trial", "time", "unit"))
    table = score(data, rate, metrics=["bits_per_spike"])
    assert value(table, "bits_per_spike") == pytest.approx((1 - np.log(2)) / (5 * np.log(2)), abs=1e-12)
    np.testing.assert_allclose(
        table["unit_value"].values[0], [(1 - np.log(2)) / (4 * np.log(2)), 0.0], atol=1e-12
    )
    assert list(table["unit"].values) == ["a", "b"]


def test_bits_per_spike_against_the_formula_written_out(made: Made) -> None:
    data = made(n_trials=7)
    rng = np.random.default_rng(3)
    rate = xr.DataArray(rng.gamma(2.0, 3.0, data["counts"].shape), dims=data["counts"].dims)
    mask, counts = data["mask"].values, data["counts"].values
    log_p = np.where(mask, stats.poisson.logpmf(counts, rate.values * 0.1), 0.0)
    null_rate = np.where(mask, counts, 0).sum((0, 1)) / mask.sum((0, 1))
    null = np.where(mask, stats.poisson.logpmf(counts, null_rate), 0.0)
    expected = (log_p.sum() - null.sum()) / counts.sum() / np.log(2)
    assert value(score(data, rate), "bits_per_spike") == pytest.approx(expected, rel=1e-10)


def test_the_mean_of_the_evaluated_data_scores_zero(made: Made) -> None:
    data = made()
    mean = data["counts"].where(data["mask"]).mean(("trial", "time")) / data.attrs["bin_width"]
    table = score(data, mean, metrics=["bits_per_spike"])
    assert value(table, "bits_per_spike") == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(table["unit_value"], 0.0, atol=1e-12)


def test_zero_rates_are_floored_in_a_copy() -> None:
    data = binned(np.array([[[1], [1]]]))
    rate = xr.DataArray([[[0.0], [1.0]]], dims=("trial", "time", "unit"))
    found = value(score(data, rate, metrics=["bits_per_spike"]), "bits_per_spike")
    # (log 1e-9 - 1e-9 + 0 - 1) - (-2), over two spikes
    assert found == pytest.approx((np.log(1e-9) - 1e-9 + 1) / (2 * np.log(2)), rel=1e-12)
    assert rate.values[0, 0, 0] == 0.0


def test_train_null_uses_the_training_mean() -> None:
    data, train = binned(np.array([[[0], [2]]])), binned(np.array([[[3], [1]]]))
    rate = xr.DataArray([[[0.5], [2.0]]], dims=("trial", "time", "unit"))
    table = score(data, rate, metrics=["bits_per_spike_train"], train=train)
    # null at 2 a bin: 2 log 2 - 4; model 2 log 2 - 2.5
    assert value(table, "bits_per_spike_train") == pytest.approx(1.5 / (2 * np.log(2)), abs=1e-12)


def test_a_unit_silent_in_training_costs_bits_not_infinity() -> None:
    data, train = binned(np.array([[[1], [0]]])), binned(np.array([[[0], [0]]]))
    rate = xr.DataArray([[[1.0], [1.0]]], dims=("trial", "time", "unit"))
    table = score(data, rate, metrics=["bits_per_spike_train"], train=train)
    # null half a spike in two bins = .25: log .25 - .5; model -2
    assert value(table, "bits_per_spike_train") == pytest.approx(
        (-2 - np.log(0.25) + 0.5) / np.log(2), abs=1e-12
    )


def test_masked_bins_do_not_count(made: Made) -> None:
    data = made()
    rate = xr.DataArray(np.full(data["counts"].shape, 5.0), dims=data["counts"].dims)
    before = score(data, rate)
    noisy = data.copy()
    noisy["counts"] = data["counts"].where(data["mask"], 99)
    after = score(noisy, rate.where(data["mask"].values))
    xr.testing.assert_allclose(before, after)


def test_log_likelihood_is_nats_per_second_of_a_unit() -> None:
    data = binned(np.array([[[0, 1], [2, 0]]]), mask=np.array([[[True, True], [True, False]]])).assign_attrs(
        bin_width=0.5
    )
    log_prob = xr.DataArray([[[-0.5, -1.0], [-1.5, np.nan]]], dims=("trial", "time", "unit"))
    rate = xr.DataArray(np.ones((1, 2, 2)), dims=("trial", "time", "unit"))
    table = score(data, rate, log_prob=log_prob, metrics=["log_likelihood"])
    assert value(table, "log_likelihood") == pytest.approx(-3.0 / 1.5)
    np.testing.assert_allclose(table["unit_value"].values[0], [-2.0, -2.0])


def test_models_of_tokens_are_summed_over_units_and_windows() -> None:
    data = binned(np.array([[[0, 1], [2, 0]]]))
    rate = xr.DataArray(np.ones((1, 2, 2)), dims=("trial", "time", "unit"))
    bins = xr.DataArray(np.full((1, 2, 2), -0.5), dims=("trial", "time", "unit"))
    windows = xr.DataArray([[-1.5, -0.5]], dims=("trial", "window"))
    one = score(data, rate, log_prob=bins, metrics=["log_likelihood"])
    other = score(data, rate, log_prob=windows, metrics=["log_likelihood"])
    assert value(one, "log_likelihood") == value(other, "log_likelihood") == pytest.approx(-0.5)


def test_calcium_gain_over_the_training_gaussian() -> None:
    trace = xr.DataArray([[[1.0], [3.0]]], dims=("trial", "time", "unit"))
    valid = xr.DataArray([[True, True]], dims=("trial", "time"))
    data = binned(np.zeros((1, 2, 1)), calcium=trace, mask_calcium=valid)
    train = binned(np.zeros((1, 2, 1)), calcium=trace - 1.0, mask_calcium=valid)  # mean 1, sd 1
    log_prob = xr.DataArray([[[-1.0], [-1.0]]], dims=("trial", "time", "unit"))
    table = score(data, trace.to_dataset(name="calcium"), train=train, log_prob=log_prob)
    null = stats.norm.logpdf([1.0, 3.0], 1.0, 1.0)
    assert value(table, "nats_per_sample") == pytest.approx(-1.0 - null.mean())
    assert value(table, "r2") == pytest.approx(1.0)


def behaving(true: np.ndarray, kind: str, units: str = "cm", mask: np.ndarray | None = None) -> xr.Dataset:
    dims = ("trial", "time", "axis")[: true.ndim]
    valid = np.ones(true.shape[:2], bool) if mask is None else mask
    return binned(
        np.zeros((*true.shape[:2], 1)),
        behavior_x=xr.DataArray(true, dims=dims, attrs={"kind": kind, "units": units}),
        mask_behavior_x=xr.DataArray(valid, dims=("trial", "time")),
    )


def test_decoding_metrics_are_those_of_scikit_learn_and_scipy() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(loc=[100.0, -3.0], size=(4, 30, 2))
    guess = true + rng.normal(size=true.shape)
    mask = rng.random((4, 30)) < 0.8
    data = behaving(np.where(mask[..., None], true, np.nan), "continuous", mask=mask)
    predicted = xr.Dataset({"behavior_x": (("trial", "time", "axis"), guess)})
    table = score(data, predicted)
    kept, said = true[mask], guess[mask]
    assert value(table, "r2") == pytest.approx(sk.r2_score(kept, said), rel=1e-9)
    expected = np.mean([stats.pearsonr(kept[:, i], said[:, i]).statistic for i in range(2)])
    assert value(table, "pearson_r") == pytest.approx(expected, rel=1e-9)
    distance = np.sqrt(((kept - said) ** 2).sum(-1))
    assert value(table, "median_error") == pytest.approx(np.median(distance), rel=1e-12)
    assert str(table["unit_label"].sel(metric="median_error").values) == "median error (cm)"
    assert "unit_value" not in table


@pytest.mark.parametrize(("units", "half_turn"), [("rad", np.pi), ("deg", 180.0)])
def test_angles_differ_the_short_way_round(units: str, half_turn: float) -> None:
    true = np.array([[0.1, 1.9, 1.0]]) * half_turn
    guess = np.array([[1.9, 0.1, 0.5]]) * half_turn
    table = score(behaving(true, "circular", units), xr.Dataset({"behavior_x": (("trial", "time"), guess)}))
    assert value(table, "circular_error") == pytest.approx((0.2 + 0.2 + 0.5) / 3 * half_turn)
    assert value(table, "median_circular_error") == pytest.approx(0.2 * half_turn)
    assert not table["higher_is_better"].values.any()


def test_accuracy_and_log_probability() -> None:
    true = np.array([[0.0, 1.0, 2.0, 1.0]])
    data = behaving(true, "categorical", mask=np.array([[True, True, True, False]]))
    guess = xr.Dataset({"behavior_x": (("trial", "time"), [[0.0, 1.0, 1.0, 1.0]])})
    log_prob = xr.DataArray([[-1.0, -2.0, -3.0, np.nan]], dims=("trial", "time"))
    table = score(data, guess, log_prob=log_prob)
    assert value(table, "accuracy") == pytest.approx(2 / 3)
    assert value(table, "log_probability") == pytest.approx(-2.0)


def test_psth_r2_is_that_of_condition_averages() -> None:
    rng = np.random.default_rng(1)
    counts = rng.poisson(3.0, (9, 5, 2))
    mask = np.ones(counts.shape, bool)
    mask[0, 3:] = False
    data = binned(counts, mask=mask).assign_coords(condition=("trial", list("aabbbccca")))
    rate = xr.DataArray(rng.gamma(3.0, 1.0, counts.shape), dims=("trial", "time", "unit"))
    found = score(data, rate, metrics=["psth_r2"])
    labels = data["condition"].values
    kept = np.where(mask, counts, np.nan)
    psth = np.concatenate([np.nanmean(kept[labels == c], axis=0) for c in "abc"])
    guess = np.concatenate(
        [np.nanmean(np.where(mask, rate.values, np.nan)[labels == c], axis=0) for c in "abc"]
    )
    assert value(found, "psth_r2") == pytest.approx(sk.r2_score(psth, guess), rel=1e-9)
    np.testing.assert_allclose(
        found["unit_value"].values[0], sk.r2_score(psth, guess, multioutput="raw_values")
    )


def test_psth_r2_says_which_column_is_missing() -> None:
    data = binned(np.ones((2, 2, 1)))
    with pytest.raises(EvaluationError, match="'odour', which is no trial column"):
        score(
            data,
            data["counts"] * 1.0,
            metrics=[ConditionR2(name="p", kinds=("counts",), unit_label="R2", condition="odour")],
        )


@pytest.mark.parametrize("name", [n for n in METRICS if n not in ("nats_per_sample", "accuracy")])
def test_weights_are_repeated_trials(name: str, made: Made) -> None:
    """Weighting a block k times gives what k copies of its trials give: what makes a bootstrap one matrix product."""
    metric = metric_named(name)
    rng = np.random.default_rng(4)
    data = made(n_trials=12)
    times = np.array([0, 2, 1, 3])
    blocks = np.repeat(np.arange(4), 3)
    again = np.repeat(np.arange(12), times[blocks])
    variable = {"counts": "counts", "continuous": "behavior_place"}.get(metric.kinds[0], "behavior_angle")
    target = data[variable]
    mask = data["mask" if variable == "counts" else f"mask_{variable}"]
    mean = abs(target + xr.DataArray(rng.gamma(1.0, 1.0, target.shape), dims=target.dims))
    sample_dims = target.dims if variable == "counts" else ("trial", "time")
    sizes = [target.sizes[d] for d in sample_dims]
    log_prob = xr.DataArray(-rng.gamma(1.0, 1.0, sizes), dims=sample_dims)
    null = xr.DataArray(np.linspace(0.5, 1.0, data.sizes["unit"]), dims="unit")

    def scored(trials: np.ndarray) -> Scored:
        from neurokit_snn.evaluate.scored import Null

        return Scored(
            target=target.isel(trial=trials),
            mask=mask.isel(trial=trials),
            kind=metric.kinds[0],
            bin_width=0.1,
            mean=mean.isel(trial=trials),
            log_prob=log_prob.isel(trial=trials),
            null=Null(mean=null, sd=null),
        )

    all_once = metric.statistics(scored(np.arange(12)))
    repeated = metric.statistics(scored(again))
    one = metric.combine(all_once, blocks=blocks, weights=times[None].astype(float))
    two = metric.combine(repeated, blocks=np.zeros(again.size, dtype=int), weights=np.ones((1, 1)))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


def test_lazy_data_score_as_loaded_data(made: Made) -> None:
    pytest.importorskip("dask")
    data = made()
    rate = data["counts"] * 2.0 + 1.0
    log_prob = -0.1 * (data["counts"] + 1.0)
    eager = score(data, rate, log_prob=log_prob, train=data)
    chunks = {"trial": 7, "time": 6}
    lazy = score(
        data.chunk(chunks), rate.chunk(chunks), log_prob=log_prob.chunk(chunks), train=data.chunk(chunks)
    )
    xr.testing.assert_allclose(eager, lazy, rtol=1e-12)


def test_a_prediction_of_some_units_is_scored_on_those(made: Made) -> None:
    data = made()
    rate = (data["counts"] + 1.0).rename("rate")
    some = score(data, rate.isel(unit=[1, 4]).to_dataset(), metrics=["bits_per_spike"])
    every = score(data, rate.to_dataset(), metrics=["bits_per_spike"])
    np.testing.assert_allclose(some["unit_value"], every["unit_value"].isel(unit=[1, 4]))
    assert list(some["unit"].values) == [11, 14]


def test_bad_predictions_are_refused(made: Made) -> None:
    data = made()
    rate = xr.ones_like(data["counts"], dtype=float)
    negative = rate.copy()
    negative[3, 2, 1] = -1.0
    with pytest.raises(EvaluationError, match=r"negative or NaN .*trial number 3, unit 11\)"):
        score(data, negative)
    with pytest.raises(EvaluationError, match="39 along trial, the data have 40"):
        score(data, rate.isel(trial=slice(1, None)))
    with pytest.raises(EvaluationError, match="other labels along time"):
        score(data, rate.assign_coords(time=rate["time"] + 0.05))
    with pytest.raises(EvaluationError, match="dim draw"):
        score(data, rate.expand_dims(draw=3))
    with pytest.raises(EvaluationError, match="the log-likelihood is NaN"):
        score(data, rate, log_prob=rate.where(rate["trial"] != 5))
    with pytest.raises(
        EvaluationError,
        match="'r2' scores continuous, calcium, the target counts is counts; choose from bits",
    ):
        score(data, rate, metrics=["r2"])
    with pytest.raises(EvaluationError, match="no metric 'bits'; choose from"):
        score(data, rate, metrics=["bits"])
    with pytest.raises(EvaluationError, match="name one with target="):
        score(data, data[["behavior_angle", "behavior_place"]])
    with pytest.raises(EvaluationError, match="train is missing"):
        score(data, rate, metrics=["bits_per_spike_train"])
