"""Comparisons of models that predict calcium, events and categories: each in its own space, never in another's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from neurokit_snn.errors import EvaluationError
from neurokit_snn.evaluate import compare, score
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.models.behavior_observations import Categorical, VonMises
from neurokit_snn.models.conditioning import held_out, task_named
from neurokit_snn.models.observations import AbstractObservation, Gaussian, Space
from neurokit_snn.models.zero_inflated_gamma import EVENT_FLOOR, ZeroInflatedGamma
from neurokit_snn.recording import splits

Made = Callable[..., xr.Dataset]
QUIET = {"baselines": False, "progress": False, "n_boot": 300}


class Trace(AbstractModel):
    """Calcium of a unit as Gaussian around a line of the mean of the units that are visible."""

    tasks: ClassVar[tuple[str, ...]] = ("encode", "cosmooth", "generate")
    deterministic: ClassVar[bool] = True
    space: ClassVar[Space] = "density"

    def __init__(self, *, coupled: bool = True) -> None:
        self.coupled = coupled

    def _fit(self, data: xr.Dataset, *, seed: int, progress: bool, resume: Path | None) -> None:
        values = data["calcium"].where(data["mask_calcium"])
        self.mean_ = values.mean(("trial", "time"))
        self.sd_ = values.std(("trial", "time"))

    def _predictive(
        self, visible: xr.Dataset, *, task: str, draws: int, rng: np.random.Generator
    ) -> Mapping[str, AbstractObservation]:
        if task_named(task).counts == "none":
            location = self.mean_ * xr.ones_like(visible["behavior_angle"])
            return {"calcium": Gaussian(location=location, scale=self.sd_)}
        rest = held_out(visible)
        assert bool(visible["calcium"].isel(unit=rest).isnull().all()), "held-out traces are hidden"
        common = ((visible["calcium"] - self.mean_) / self.sd_).where(visible["mask_calcium"]).mean("unit")
        mean, sd = self.mean_.isel(unit=rest), self.sd_.isel(unit=rest)
        slope, noise = (1.0, 0.5) if self.coupled else (0.0, 1.0)
        return {"calcium": Gaussian(location=mean + slope * sd * common.fillna(0.0), scale=noise * sd)}

    def _state(self) -> dict[str, xr.Dataset]:
        return {}

    def _set_state(self, state: Mapping[str, xr.Dataset]) -> None:
        pass


class Events(Trace):
    """Deconvolved calcium whose events are as likely as the cosine of the angle says, or always alike."""

    tasks: ClassVar[tuple[str, ...]] = ("encode",)
    space: ClassVar[Space] = "mixed"

    def _predictive(
        self, visible: xr.Dataset, *, task: str, draws: int, rng: np.random.Generator
    ) -> Mapping[str, AbstractObservation]:
        depth = 0.4 if self.coupled else 0.0
        p_event = (0.5 + depth * np.cos(visible["behavior_angle"])) * xr.ones_like(self.mean_)
        one = xr.ones_like(self.mean_)
        return {"calcium": ZeroInflatedGamma(p_event=p_event, shape=2.0 * one, mean_event=3.0 * one)}


class Side(Trace):
    """Decodes which half of the circle the angle is in, as probabilities or, wrongly, as a density."""

    tasks: ClassVar[tuple[str, ...]] = ("decode",)
    space: ClassVar[Space] = "counts"

    def __init__(self, *, answer: Literal["sure", "flat", "density"] = "sure") -> None:
        self.answer = answer

    def _fit(self, data: xr.Dataset, *, seed: int, progress: bool, resume: Path | None) -> None:
        self.rate_ = data["counts"].mean(("trial", "time"))

    def _predictive(
        self, visible: xr.Dataset, *, task: str, draws: int, rng: np.random.Generator
    ) -> Mapping[str, AbstractObservation]:
        halves = visible["counts"].transpose("trial", "time", "unit")
        push = halves[..., :3].sum("unit") - halves[..., 3:].sum("unit")
        push = push * (0.4 if self.answer != "flat" else 0.0)
        if self.answer == "density":
            return {"behavior_side": Gaussian(location=1.0 * push, scale=xr.ones_like(1.0 * push))}
        upper = -np.log1p(np.exp(-push))  # log of the logistic function
        log_p = xr.concat([upper - push, upper], "category")
        return {"behavior_side": Categorical(log_p=log_p, categories=(0.0, 1.0))}


@pytest.fixture(scope="module")
def traces(made: Made) -> xr.Dataset:
    """Calcium only: a common signal in all units, some samples missing, one unit silent but for noise in a few trials."""
    data = made(n_trials=60)
    rng = np.random.default_rng(0)
    shape = tuple(data["counts"].shape)
    values = 2.0 + rng.normal(size=shape[:2])[..., None] + 0.5 * rng.normal(size=shape)
    mask = np.ones(shape, dtype=bool)
    mask[::5, :3, 1] = False
    calcium = data.drop_vars(["counts", "mask"])
    dims = ("trial", "time", "unit")
    return calcium.assign(calcium=(dims, np.where(mask, values, np.nan)), mask_calcium=(dims, mask))


@pytest.fixture(scope="module")
def deconvolved(traces: xr.Dataset) -> xr.Dataset:
    rng = np.random.default_rng(1)
    p = 0.5 + 0.4 * np.cos(traces["behavior_angle"].values)[..., None]
    shape = tuple(traces["calcium"].shape)
    values = np.where(rng.random(shape) < p, EVENT_FLOOR + rng.gamma(2.0, 1.5, shape), 0.0)
    return traces.assign(calcium=(traces["calcium"].dims, values))


@pytest.mark.parametrize("task", ["encode", "cosmooth"])
def test_gaussian_calcium_in_nats_a_sample_over_the_training_gaussian(traces: xr.Dataset, task: str) -> None:
    models = {"coupled": Trace(), "alone": Trace(coupled=False)}
    found = compare(models, traces, task=task, cv=3, seeds=(0,), **QUIET)
    assert [*found["metric"].values] == ["nats_per_sample", "r2"]
    assert (found.attrs["space"], found.attrs["target"]) == ("density", "calcium")
    assert "Gaussian" in found.attrs["null"]
    gain = found["value"].sel(metric="nats_per_sample")
    assert float(gain.sel(model="alone")) == pytest.approx(0.0, abs=1e-12), "it is the null"
    if task == "cosmooth":
        assert float(found["diff_low"].sel(model="coupled", other="alone", metric="nats_per_sample")) > 0.1


def test_values_are_those_of_scipy_over_the_folds(traces: xr.Dataset) -> None:
    data = splits.by_unit(traces, fraction=0.5, seed=0)
    found = compare({"coupled": Trace()}, data, task="cosmooth", cv=3, seeds=(0,), **QUIET)
    total, n = 0.0, 0
    for train, test in splits.blocked(data, folds=3).apply(data):
        rest = held_out(data)
        values, mask = test["calcium"].values, test["mask_calcium"].values
        kept = np.where(train["mask_calcium"], train["calcium"], np.nan)
        mean, sd = np.nanmean(kept, (0, 1)), np.nanstd(kept, (0, 1))
        z = np.where(mask, (values - mean) / sd, np.nan)
        common = np.nanmean(z[..., ~rest], -1)[..., None]
        model = stats.norm.logpdf(z[..., rest], common, 0.5) - stats.norm.logpdf(z[..., rest])
        total, n = total + np.nansum(model), n + int(mask[..., rest].sum())
    assert float(found["value"].sel(metric="nats_per_sample")[0]) == pytest.approx(total / n, rel=1e-9)


def test_a_trace_that_never_moves_in_training_has_a_finite_null(traces: xr.Dataset) -> None:
    still = traces.copy(deep=True)
    still["calcium"].values[:, :, 2] = 0.0
    still["calcium"].values[:4, :, 2] = 1.0
    train, test = still.isel(trial=slice(4, None)), still.isel(trial=slice(0, 4))
    dims = ("trial", "time", "unit")
    log_prob = xr.zeros_like(test["calcium"]).transpose(*dims)
    predicted = test[["calcium"]].fillna(0.0)
    found = score(test, predicted, log_prob=log_prob, train=train)
    kept = train["calcium"].where(train["mask_calcium"]).isel(unit=[0, 1, 3, 4, 5])
    usual = float((kept.var(("trial", "time"))).mean() ** 0.5)
    expected = -stats.norm.logpdf(1.0, 0.0, usual)
    assert float(found["unit_value"].sel(metric="nats_per_sample")[2]) == pytest.approx(expected, rel=1e-9)


def test_events_are_scored_over_events_and_not_over_a_gaussian(deconvolved: xr.Dataset) -> None:
    models = {"tuned": Events(), "flat": Events(coupled=False)}
    found = compare(models, deconvolved, task="encode", cv=2, seeds=(0,), **QUIET)
    assert (found.attrs["space"], found.attrs["target"]) == ("mixed", "calcium")
    assert "zero-inflated gamma" in found.attrs["null"]
    gain = found["value"].sel(metric="nats_per_sample")
    # The null learns from half the data what the flat model knows: they differ by little.
    assert abs(float(gain.sel(model="flat"))) < 0.01
    angle = np.linspace(0, 2 * np.pi, 1000, endpoint=False)
    p = 0.5 + 0.4 * np.cos(angle)
    information = np.log(2.0) + np.mean(p * np.log(p) + (1 - p) * np.log1p(-p))
    assert float(gain.sel(model="tuned")) == pytest.approx(information, abs=0.04)
    with pytest.raises(
        EvaluationError, match=r"'a' \(mixed\), 'b' \(density\); compare each space by itself"
    ):
        compare({"a": Events(), "b": Trace()}, deconvolved, task="encode", **QUIET)


def test_event_null_of_units_with_few_events(deconvolved: xr.Dataset) -> None:
    few = deconvolved.copy(deep=True)
    few["calcium"].values[:, :, 0] = 0.0
    few["calcium"].values[0, 0, 0] = 5.0
    few["calcium"].values[:, :, 3] = 0.0
    test = few.isel(trial=slice(30, None))
    log_prob = xr.zeros_like(test["calcium"]).assign_attrs(space="mixed")
    found = score(test, test[["calcium"]], log_prob=log_prob, train=few.isel(trial=slice(0, 30)))
    unit = found["unit_value"].sel(metric="nats_per_sample")
    n = 30 * few.sizes["time"]
    assert np.isfinite(unit).all()
    assert float(unit[0]) == pytest.approx(-np.log1p(-1.5 / (n + 1)), rel=1e-9), (
        "one event in training, none in test"
    )
    assert float(unit[3]) == pytest.approx(-np.log1p(-0.5 / (n + 1)), rel=1e-9)


def test_categories_are_ranked_by_accuracy_and_probability(made: Made) -> None:
    data = made(n_trials=80)
    side = (data["behavior_angle"] < np.pi).astype(float).assign_attrs(kind="categorical", units="")
    data = data.assign(behavior_side=side, mask_behavior_side=data["mask_behavior_angle"])
    models = {"sure": Side(), "flat": Side(answer="flat")}
    found = compare(models, data, task="decode", target="side", cv=2, seeds=(0,), **QUIET)
    assert [*found["metric"].values] == ["accuracy", "log_probability"]
    assert found.attrs["space"] == "categories"
    flat = found["value"].sel(model="flat")
    assert float(flat.sel(metric="log_probability")) == pytest.approx(np.log(0.5), abs=1e-9)
    best = found.sel(model="sure", other="flat")
    assert (best["diff_low"] > 0.1).all()
    with pytest.raises(EvaluationError, match="in density, the comparison is in categories"):
        compare({"wrong": Side(answer="density")}, data, task="decode", target="side", cv=2, **QUIET)


def test_sampled_calcium_has_its_mean_and_its_mask(traces: xr.Dataset) -> None:
    model = Trace().fit(traces)
    drawn = model.sample(traces, seed=1)
    xr.testing.assert_equal(drawn["calcium"].notnull(), traces["mask_calcium"])
    assert "counts" not in drawn
    off = drawn["calcium"].mean(("trial", "time")) - model.mean_
    assert float(abs(off / model.sd_).max()) < 4.5 / np.sqrt(60 * 20)


def test_angles_are_scored_on_the_period_that_the_data_name() -> None:
    phase = xr.DataArray(
        [[0.05, 0.5]], dims=("trial", "time"), attrs={"kind": "circular", "period": 1.0, "units": "1"}
    )
    data = xr.Dataset(
        {"behavior_phase": phase, "mask_behavior_phase": xr.ones_like(phase, dtype=bool)},
        coords={"trial": [0], "time": [0.5, 1.5], "trial_start": ("trial", [0.0]), "trial_stop": ("trial", [2.0])},
        attrs={"schema": "neurokit_snn.binned", "schema_version": 1, "bin_width": 1.0, "layout": "windows",
               "session_id": "", "subject": ""},
    )  # fmt: skip
    heading = VonMises(location=xr.full_like(phase, 0.95), concentration=xr.ones_like(phase), period=1.0)
    found = score(
        data, heading.mean().to_dataset(name="behavior_phase"), log_prob=heading.log_marginal(phase)
    )
    assert float(found["value"].sel(metric="circular_error")) == pytest.approx((0.1 + 0.45) / 2)
    expected = stats.vonmises.logpdf(2 * np.pi * np.array([0.1, -0.45]), 1.0).mean() + np.log(2 * np.pi)
    assert float(found["value"].sel(metric="log_density")) == pytest.approx(expected)
