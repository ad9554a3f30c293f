"""The comparison: its numbers, its pairing, what it refuses, and that no score sees what it must not."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

import joblib
import numpy as np
import pytest
import xarray as xr

import neurokit_snn as nk
from neurokit_snn.errors import EvaluationError
from neurokit_snn.evaluate import compare, score
from neurokit_snn.evaluate.baselines import with_baselines
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.models.conditioning import held_out
from neurokit_snn.models.mean_rate import MeanRate
from neurokit_snn.models.observations import AbstractObservation, Bernoulli, Gaussian, Poisson, Space
from neurokit_snn.recording import splits

Made = Callable[..., xr.Dataset]
QUIET = {"baselines": False, "progress": False, "n_boot": 200}


class Toy(AbstractModel):
    """Rates that follow an angle: the mean of each unit in ``cells`` cells of it; fits are written down in ``seen``."""

    tasks: ClassVar[tuple[str, ...]] = ("encode", "cosmooth", "forecast")
    deterministic: ClassVar[bool] = True
    seen: ClassVar[list[tuple[int, xr.Dataset]]] = []

    def __init__(self, *, cells: int = 8, past: float = 0.0) -> None:
        self.cells = cells
        self.past = past

    def history(self) -> float:
        return self.past

    def _cell(self, data: xr.Dataset) -> np.ndarray:
        return (data["behavior_angle"].values / (2 * np.pi) * self.cells).astype(int) % self.cells

    def _fit(self, data: xr.Dataset, *, seed: int, progress: bool, resume: Path | None) -> None:
        type(self).seen.append((seed, data))
        cell, counts = self._cell(data), np.where(data["mask"], data["counts"], 0)
        spikes = np.stack([counts[cell == k].sum(0) for k in range(self.cells)])
        bins = np.stack([data["mask"].values[cell == k].sum(0) for k in range(self.cells)])
        self.rates_ = (spikes + 0.5) / (bins + 1.0)

    def _predictive(
        self, visible: xr.Dataset, *, task: str, draws: int, rng: np.random.Generator
    ) -> Mapping[str, AbstractObservation]:
        chosen = held_out(visible) if task == "cosmooth" else np.ones(self.units_.size, bool)
        shape = (visible.sizes["trial"], visible.sizes["time"])
        rates = (
            self.rates_[self._cell(visible)]
            if task == "encode"
            else np.tile(self.rates_.mean(0), (*shape, 1))
        )
        rate = xr.DataArray(
            rates[..., chosen], dims=("trial", "time", "unit"), coords={"unit": self.units_[chosen]}
        )
        return {"counts": Poisson(rate_per_bin=rate)}

    def _state(self) -> dict[str, xr.Dataset]:
        return {"rates": xr.Dataset({"rates": (("cell", "unit"), self.rates_)})}

    def _set_state(self, state: Mapping[str, xr.Dataset]) -> None:
        self.rates_ = state["rates"]["rates"].values


class Noisy(Toy):
    """The same with rates that depend on the seed of the fit."""

    deterministic: ClassVar[bool] = False

    def _fit(self, data: xr.Dataset, *, seed: int, progress: bool, resume: Path | None) -> None:
        super()._fit(data, seed=seed, progress=progress, resume=resume)
        self.rates_ = self.rates_ * np.random.default_rng(seed).gamma(30.0, 1 / 30.0, self.rates_.shape)


class Fragile(Toy):
    """Fails on the fold that holds a given trial back."""

    def _fit(self, data: xr.Dataset, *, seed: int, progress: bool, resume: Path | None) -> None:
        if 0 not in data["trial"].values:
            raise RuntimeError("no first trial")
        super()._fit(data, seed=seed, progress=progress, resume=resume)


class Coin(Toy):
    """A model of bins with at most one spike."""

    space: ClassVar[Space] = "binary"

    def _predictive(
        self, visible: xr.Dataset, *, task: str, draws: int, rng: np.random.Generator
    ) -> Mapping[str, AbstractObservation]:
        found = super()._predictive(visible, task=task, draws=draws, rng=rng)["counts"]
        return {"counts": Bernoulli(p=found.mean().clip(max=0.9))}


class Cheat(Toy):
    """Answers with whatever spikes it can find, and spoils what it is given."""

    def _fit(self, data: xr.Dataset, *, seed: int, progress: bool, resume: Path | None) -> None:
        super()._fit(data, seed=seed, progress=progress, resume=resume)
        data["counts"].values[:] = 7

    def _predictive(
        self, visible: xr.Dataset, *, task: str, draws: int, rng: np.random.Generator
    ) -> Mapping[str, AbstractObservation]:
        found = super()._predictive(visible, task=task, draws=draws, rng=rng)["counts"].mean()
        if "counts" in visible:
            stolen = visible["counts"].sel(unit=found["unit"]).values
            visible["counts"].values[:] = 9
            found = found.copy(data=np.where(stolen > 0, stolen, found.values))
        return {"counts": Poisson(rate_per_bin=found)}


class Guess(AbstractModel):
    """Decodes the place as its training mean plus a fraction of what two units say."""

    tasks: ClassVar[tuple[str, ...]] = ("decode",)
    deterministic: ClassVar[bool] = True

    def __init__(self, *, slope: float = 0.0) -> None:
        self.slope = slope

    def _fit(self, data: xr.Dataset, *, seed: int, progress: bool, resume: Path | None) -> None:
        self.mean_ = data["behavior_place"].mean(("trial", "time"))

    def _predictive(
        self, visible: xr.Dataset, *, task: str, draws: int, rng: np.random.Generator
    ) -> Mapping[str, AbstractObservation]:
        push = visible["counts"].isel(unit=0, drop=True) - visible["counts"].isel(unit=3, drop=True)
        along = xr.DataArray([1.0, 0.0], dims="axis", coords={"axis": ["x", "y"]})
        location = (self.mean_ + self.slope * push * along).transpose("trial", "time", "axis")
        return {
            "behavior_place": Gaussian(
                location=location, scale=xr.full_like(location, 0.7), event_dims=("axis",)
            )
        }

    def _state(self) -> dict[str, xr.Dataset]:
        return {}

    def _set_state(self, state: Mapping[str, xr.Dataset]) -> None:
        pass


class Glow(Guess):
    """Calcium as a Gaussian around a multiple of the cosine of the angle."""

    tasks: ClassVar[tuple[str, ...]] = ("encode",)
    space: ClassVar[Space] = "density"

    def _fit(self, data: xr.Dataset, *, seed: int, progress: bool, resume: Path | None) -> None:
        self.mean_ = data["calcium"].where(data["mask_calcium"]).mean(("trial", "time"))

    def _predictive(
        self, visible: xr.Dataset, *, task: str, draws: int, rng: np.random.Generator
    ) -> Mapping[str, AbstractObservation]:
        location = (self.slope * np.cos(visible["behavior_angle"]) + self.mean_).transpose(
            "trial", "time", "unit"
        )
        return {"calcium": Gaussian(location=location, scale=xr.full_like(location, 0.5))}


@pytest.fixture(scope="module")
def table(made: Made) -> xr.Dataset:
    models = {"angle": Toy(), "noisy": Noisy(), "flat": Toy(cells=1), "mean rate": MeanRate()}
    return compare(models, made(), task="encode", cv=4, baselines=False, progress=False, n_boot=300)


def test_dims_coordinates_and_attributes(table: xr.Dataset) -> None:
    assert table["score"].dims == ("model", "metric", "fold", "seed")
    assert table["diff"].dims == ("model", "other", "metric")
    assert [*table["model"].values] == ["angle", "noisy", "flat", "mean rate"]
    assert [*table["metric"].values] == [
        "bits_per_spike",
        "bits_per_spike_train",
        "log_likelihood",
        "psth_r2",
    ]
    expected = {
        "task": "encode",
        "space": "counts",
        "bin_width": 0.1,
        "gap": 0.0,
        "split": "blocked",
        "target": "counts",
    }
    assert expected.items() <= table.attrs.items()
    assert table.attrs["n_blocks"] == table.attrs["n_groups"] == 8  # 40 windows of 2 s in blocks of 10 s
    assert table.attrs["few_blocks"] == 0
    assert "8 blocks" in table.attrs["interval"]


def test_values_are_those_of_all_test_trials_scored_at_once(made: Made, table: xr.Dataset) -> None:
    data = made()
    split = splits.blocked(data, folds=4)
    predicted, log_prob = [], []
    for train, test in split.apply(data):
        model = Toy().fit(train)
        predicted.append(model.predict(test, task="encode"))
        log_prob.append(model.log_likelihood(test, task="encode"))
    whole = score(data, xr.concat(predicted, "trial"), log_prob=xr.concat(log_prob, "trial"))
    for metric in ("bits_per_spike", "log_likelihood", "psth_r2"):
        expected = float(whole["value"].sel(metric=metric))
        assert float(table["value"].sel(model="angle", metric=metric)) == pytest.approx(expected, rel=1e-9)
    units = whole["unit_value"].sel(metric="bits_per_spike")
    np.testing.assert_allclose(table["unit_score"].sel(model="angle"), units, rtol=1e-9)
    train, test = next(iter(split.apply(data)))
    one = score(test, Toy().fit(train).predict(test, task="encode"), metrics=["bits_per_spike"])
    first = table["score"].sel(model="angle", metric="bits_per_spike", fold=0)
    np.testing.assert_allclose(first, np.repeat(one["value"], 3), rtol=1e-9)


def test_the_tuned_model_wins_with_an_interval(table: xr.Dataset) -> None:
    bits = table.sel(metric="bits_per_spike")
    assert bool((bits["low"] <= bits["value"]).all())
    assert bool((bits["value"] <= bits["high"]).all())
    against = bits.sel(model="angle", other="mean rate")
    assert float(against["diff_low"]) > 0
    assert float(bits["rank"].sel(model="angle")) == 1.0
    np.testing.assert_allclose(bits["diff"], bits["value"] - bits["value"].rename(model="other"), atol=1e-12)
    np.testing.assert_allclose(bits["diff_low"], -bits["diff_high"].transpose("other", "model"), atol=1e-9)
    paired = float(against["diff_high"] - against["diff_low"])
    alone = float((bits["high"] - bits["low"]).sel(model="angle"))
    assert paired < 1.5 * alone
    np.testing.assert_allclose(np.diagonal(bits["diff_high"].values), 0.0)


def test_the_table_survives_saving(table: xr.Dataset, tmp_path: Path) -> None:
    nk.save(table, tmp_path / "c.nk")
    again = nk.load(tmp_path / "c.nk")
    xr.testing.assert_identical(again, table)


def test_fits_are_shared_among_seeds_where_nothing_depends_on_them(made: Made) -> None:
    data = made(n_trials=20)
    Toy.seen.clear()
    found = compare({"a": Toy()}, data, task="encode", cv=2, seeds=(3, 4, 5), **QUIET)
    assert [seed for seed, _ in Toy.seen] == [3, 3]
    assert float((found["score"].max("seed") - found["score"].min("seed")).max()) == 0.0
    Noisy.seen.clear()
    found = compare({"a": Noisy()}, data, task="encode", cv=2, seeds=(3, 4), **QUIET)
    assert [seed for seed, _ in Noisy.seen] == [3, 4, 3, 4]
    assert float(found["score"].sel(metric="bits_per_spike").std("seed").min()) > 0
    Toy.seen.clear()
    found = compare({"a": Toy()}, data, task="cosmooth", cv=2, seeds=(3, 4), **QUIET)
    assert [seed for seed, _ in Toy.seen] == [3, 4, 3, 4]
    held = [train["held_out"].values for _, train in Toy.seen]
    assert (held[0] != held[1]).any()
    Toy.seen.clear()
    compare({"a": Toy()}, splits.by_unit(data, seed=9), task="cosmooth", cv=2, seeds=(3, 4), **QUIET)
    assert [seed for seed, _ in Toy.seen] == [3, 3]


def test_units_never_held_out_have_no_score(made: Made) -> None:
    found = compare(
        {"a": Toy(cells=1), "b": MeanRate()},
        made(),
        task="cosmooth",
        cv=2,
        seeds=(0, 1),
        held_out=0.2,
        **QUIET,
    )
    held = np.zeros(6, bool)
    for seed in (0, 1):
        held |= splits.by_unit(made(), fraction=0.2, seed=seed)["held_out"].values
    np.testing.assert_array_equal(np.isfinite(found["unit_score"].sel(model="a")), held)


def test_no_score_sees_held_out_spikes(made: Made) -> None:
    """P7: spikes of test trials (and held-out units) are permuted, and no fit and no prediction changes."""
    data = made(n_trials=20)
    for task in ("encode", "cosmooth"):
        marked = splits.by_unit(data, seed=1)
        split = splits.blocked(marked, folds=2)
        shuffled = marked.copy(deep=True)
        rng = np.random.default_rng(0)
        units = np.flatnonzero(marked["held_out"]) if task == "cosmooth" else np.arange(marked.sizes["unit"])
        test = split.folds[0].test
        flat = shuffled["counts"].values[test][..., units].reshape(-1, units.size)
        shuffled["counts"].values[np.ix_(test, range(marked.sizes["time"]), units)] = rng.permutation(
            flat
        ).reshape(test.size, -1, units.size)
        assert not shuffled.identical(marked)
        one = splits.Split((split.folds[0],), "mine", 0.0)
        answers = []
        for version in (marked, shuffled):
            Cheat.seen.clear()
            compare({"cheat": Cheat()}, version, task=task, cv=one, seeds=(0,), **QUIET)
            train, hidden = next(iter(one.apply(version)))
            answers.append(
                (Cheat.seen[0][1], Cheat().fit(train.copy(deep=True)).predict(hidden, task=task)["rate"])
            )
        (seen_a, rate_a), (seen_b, rate_b) = answers
        xr.testing.assert_identical(seen_a, seen_b)
        xr.testing.assert_identical(rate_a, rate_b)


def test_a_model_cannot_spoil_what_it_is_scored_on(made: Made) -> None:
    data = splits.by_unit(made(n_trials=20))
    before = data.copy(deep=True)
    found = compare({"cheat": Cheat(), "toy": Toy()}, data, task="cosmooth", cv=2, seeds=(0,), **QUIET)
    xr.testing.assert_identical(data, before)
    np.testing.assert_allclose(found["value"].sel(model="cheat"), found["value"].sel(model="toy"))


def test_decoding(made: Made) -> None:
    models = {"flat": Guess(), "tuned": Guess(slope=0.3)}
    found = compare(models, made(n_trials=200), task="decode", target="place", cv=4, seeds=(0,), **QUIET)
    assert [*found["metric"].values] == ["r2", "median_error", "pearson_r", "log_density"]
    assert str(found["unit_label"].sel(metric="median_error").values) == "median error (m)"
    assert found.attrs["target"] == "behavior_place"
    assert "unit_score" not in found
    tuned = found.sel(model="tuned", other="flat")
    assert float(tuned["diff_low"].sel(metric="r2")) > 0
    assert float(tuned["diff_high"].sel(metric="median_error")) < 0
    np.testing.assert_array_equal(found["rank"].sel(model="tuned"), 1.0)


def test_calcium_has_columns_of_its_own(made: Made) -> None:
    data = made(n_trials=400)
    noise = np.random.default_rng(0).normal(scale=0.5, size=data["counts"].shape)
    traces = 2.0 + np.cos(data["behavior_angle"]) + xr.DataArray(noise, dims=data["counts"].dims)
    calcium = data.drop_vars(["counts", "mask"]).assign(calcium=traces.transpose("trial", "time", "unit"))
    calcium["mask_calcium"] = data["mask_behavior_angle"]
    found = compare(
        {"flat": Glow(), "tuned": Glow(slope=1.0)}, calcium, task="encode", cv=2, seeds=(0,), **QUIET
    )
    assert [*found["metric"].values] == ["nats_per_sample", "r2"]
    assert (found.attrs["space"], found.attrs["target"]) == ("density", "calcium")
    tuned = found.sel(model="tuned")
    assert float(tuned["diff_low"].sel(other="flat", metric="nats_per_sample")) > 0
    # A cosine of amplitude 1 in noise of sd 0.5 explains .5 of .75, about.
    assert float(tuned["value"].sel(metric="r2")) == pytest.approx(0.667, abs=0.05)
    with pytest.raises(EvaluationError, match="the data hold counts, models 'flat' answer in density"):
        compare({"flat": Glow()}, data, task="encode", **QUIET)
    with pytest.raises(EvaluationError, match="the data hold calcium, models 'toy' answer in counts"):
        compare({"toy": Toy()}, calcium, task="encode", **QUIET)


def test_sessions_are_resampled_where_there_are_several(made: Made) -> None:
    sessions = {
        name: made(n_trials=20, seed=i, n_units=4 + i, subject=name[0])
        for i, name in enumerate(["a1", "a2", "b1"])
    }
    models = {"angle": Toy(), "mean": MeanRate()}
    found = compare(models, sessions, task="encode", cv=2, seeds=(0,), **QUIET)
    assert (found.attrs["resampled"], found.attrs["n_groups"], found.attrs["few_blocks"]) == ("subject", 2, 1)
    assert "too few" in found.attrs["interval"]
    assert found.sizes["unit"] == 4 + 5 + 6
    assert "a2/10" in found["unit"].values
    # The pooled value weights sessions by their spikes.
    alone = {s: compare(models, one, task="encode", cv=2, seeds=(0,), **QUIET) for s, one in sessions.items()}
    spikes = {s: float(one["counts"].where(one["mask"], 0).sum()) for s, one in sessions.items()}
    bits = [spikes[s] * one["value"].sel(metric="bits_per_spike") for s, one in alone.items()]
    np.testing.assert_allclose(
        found["value"].sel(metric="bits_per_spike"), sum(bits) / sum(spikes.values()), rtol=1e-9
    )
    for s, one in alone.items():
        mine = found.sel(unit=found["session"] == s)
        np.testing.assert_allclose(mine["unit_score"], one["unit_score"], rtol=1e-9)


def test_nulls_tell_tuning_from_nonsense(made: Made) -> None:
    data = made(n_trials=60)
    models = {"angle": Toy(), "flat": Toy(cells=1)}
    found = compare(models, data, task="encode", cv=2, seeds=(0,), nulls=19, **QUIET)
    assert found["null"].dims == ("model", "draw")
    assert found.sizes["draw"] == 19
    np.testing.assert_allclose(found["p_value"], [1 / 20, 1.0])
    assert float(found["null"].sel(model="angle").max()) < float(
        found["value"].sel(model="angle", metric="bits_per_spike")
    )
    other = made(n_trials=60, seed=5)
    for name in ("behavior_angle", "behavior_place"):
        data[name] = other[name]
    assert (
        float(
            compare({"angle": Toy()}, data, task="encode", cv=2, seeds=(0,), nulls=19, **QUIET)["p_value"][0]
        )
        > 0.05
    )
    decoded = compare(
        {"tuned": Guess(slope=0.3)},
        made(n_trials=60),
        task="decode",
        target="place",
        cv=2,
        seeds=(0,),
        nulls=19,
        **QUIET,
    )
    assert float(decoded["p_value"][0]) == pytest.approx(1 / 20)
    with pytest.raises(EvaluationError, match="'cosmooth' of these data pairs no behaviour"):
        compare({"angle": Toy()}, data, task="cosmooth", nulls=19, **QUIET)


# ---- resuming --------------------------------------------------------------------------------------------------


def test_finished_cells_are_picked_up_and_changed_ones_are_not(made: Made, tmp_path: Path) -> None:
    data = made(n_trials=20)
    how = {"task": "encode", "cv": 2, "seeds": (0, 1), "cache": tmp_path / "cells", **QUIET}
    models = {"a": Toy(), "n": Noisy()}
    first = compare(models, data, **how)
    Toy.seen.clear()
    Noisy.seen.clear()
    again = compare(models, data, **how)
    assert Toy.seen == Noisy.seen == []
    xr.testing.assert_identical(first, again)
    one_more = compare({**models, "b": Toy(cells=4)}, data, **how)
    assert len(Toy.seen) == 2
    xr.testing.assert_identical(one_more.sel(model=["a", "n"], other=["a", "n"])["value"], first["value"])
    for change in ({"draws": 101}, {"seeds": (0, 2)}, {"metrics": ["log_likelihood"]}, {"cv": 3}):
        Noisy.seen.clear()
        compare({"n": Noisy()}, data, **{**how, **change})
        assert Noisy.seen, change
    changed = data.copy(deep=True)
    changed["counts"][0, 0, 1] += 1
    Noisy.seen.clear()
    compare({"n": Noisy()}, changed, **how)
    assert Noisy.seen


def test_a_damaged_cell_is_computed_again(made: Made, tmp_path: Path) -> None:
    data = made(n_trials=20)
    how = {"task": "encode", "cv": 2, "cache": tmp_path, **QUIET}
    first = compare({"a": Toy()}, data, **how)
    file = next(tmp_path.glob("*/*.nc"))
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    file.write_bytes(raw)
    Toy.seen.clear()
    again = compare({"a": Toy()}, data, **how)
    assert len(Toy.seen) == 1
    xr.testing.assert_identical(first, again)


def test_cells_run_in_other_processes(made: Made) -> None:
    data = made(n_trials=20)
    models = {"one": MeanRate()}
    here = compare(models, data, task="encode", cv=2, **QUIET)
    with joblib.parallel_config("threading", n_jobs=2):
        there = compare(models, data, task="encode", cv=2, **QUIET)
    xr.testing.assert_identical(here, there)


# ---- what goes wrong -------------------------------------------------------------------------------------------


def test_an_error_names_model_fold_and_seed(made: Made) -> None:
    with pytest.raises(EvaluationError, match=r"model 'b', fold 0, seed 0: RuntimeError: no first trial"):
        compare({"a": Toy(), "b": Fragile()}, made(), task="encode", cv=2, **QUIET)


def test_failed_cells_leave_holes_where_asked(made: Made, tmp_path: Path) -> None:
    models = {"a": Toy(), "b": Fragile()}
    found = compare(models, made(), task="encode", cv=2, on_error="nan", cache=tmp_path, **QUIET)
    bits = found.sel(metric="bits_per_spike")
    assert bool(bits["score"].sel(model="b", fold=0).isnull().all())
    assert bool(bits["score"].sel(model="b", fold=1).notnull().all())
    assert np.isnan(float(bits["value"].sel(model="b")))
    assert np.isnan(float(bits["rank"].sel(model="b")))
    assert np.isfinite(float(bits["low"].sel(model="a")))
    assert json.loads(found.attrs["failures"]) == ["model 'b', fold 0, seed 0: RuntimeError: no first trial"]
    assert len(list(tmp_path.glob("*.nk"))) == 3  # a failure is no finished cell


def test_sample_spaces_are_never_mixed(made: Made) -> None:
    data = made()
    with pytest.raises(
        EvaluationError, match=r"'a' \(counts\), 'c' \(binary\); compare each space by itself"
    ):
        compare({"a": Toy(), "c": Coin()}, data, task="encode", **QUIET)
    with pytest.raises(EvaluationError, match="'c' know bins of at most one spike, a bin holds"):
        compare({"c": Coin()}, data, task="encode", **QUIET)
    single = data.copy()
    single["counts"] = data["counts"].clip(max=1)
    found = compare({"c": Coin()}, single, task="encode", cv=2, baselines=True, progress=False, n_boot=200)
    assert found.attrs["space"] == "binary"
    assert [*found["model"].values] == ["c"]
    assert "mean rate" in json.loads(found.attrs["baselines_left_out"])


def test_the_gap_covers_what_models_read(made: Made) -> None:
    data = made()
    models = {"a": Toy(), "p": Toy(past=3.0)}
    found = compare(models, data, task="encode", cv=2, **QUIET)
    assert found.attrs["gap"] == 3.0
    assert all(18 not in train["trial"] or 19 not in train["trial"] for _, train in Toy.seen[-2:])
    with pytest.raises(EvaluationError, match=r"gap is 1 s, .* model 'p' reads 3 s"):
        compare(models, data, task="encode", cv=2, gap=1.0, **QUIET)
    with pytest.raises(EvaluationError, match="the blocked split has a gap of 2 s: model 'p' reads 3 s"):
        compare(models, data, task="encode", cv=splits.blocked(data, folds=2, gap=2.0), **QUIET)
    assert (
        compare(models, data, task="encode", cv=splits.blocked(data, folds=2, gap=3.0), **QUIET).attrs["gap"]
        == 3.0
    )
    leaky = compare(models, data, task="encode", cv=splits.leaky_random(data, folds=2), **QUIET)
    assert leaky.attrs["split"] == "leaky_random"


def test_one_block_gives_no_interval_and_says_so(made: Made) -> None:
    found = compare({"a": Toy()}, made(n_trials=4), task="encode", cv=2, **QUIET)
    assert found.attrs["n_blocks"] == 1
    assert "no interval" in found.attrs["interval"]
    assert bool(found["low"].isnull().all())
    assert bool(found["value"].notnull().all())


def test_bad_requests(made: Made) -> None:
    data = made()
    with pytest.raises(EvaluationError, match="models is empty"):
        compare({}, data, task="encode")
    with pytest.raises(EvaluationError, match="model 'a' is a str"):
        compare({"a": "GLM"}, data, task="encode")
    with pytest.raises(EvaluationError, match="model 'g' cannot encode, it can decode; able are a"):
        compare({"a": Toy(), "g": Guess()}, data, task="encode")
    with pytest.raises(EvaluationError, match="seeds is"):
        compare({"a": Toy()}, data, task="encode", seeds=(1, 1))
    with pytest.raises(EvaluationError, match="draws is 10"):
        compare({"a": Toy()}, data, task="encode", draws=10)
    with pytest.raises(EvaluationError, match="on_error is 'skip'"):
        compare({"a": Toy()}, data, task="encode", on_error="skip")
    with pytest.raises(EvaluationError, match="the gap is the split's own"):
        compare({"a": Toy()}, data, task="encode", cv=splits.blocked(data), gap=1.0)
    with pytest.raises(EvaluationError, match="one split was given for several"):
        compare({"a": Toy()}, {"x": data, "y": data}, task="encode", cv=splits.blocked(data))
    with pytest.raises(EvaluationError, match="names trial 39, the data hold 20"):
        compare({"a": Toy()}, made(n_trials=20), task="encode", cv=splits.blocked(data))
    with pytest.raises(EvaluationError, match="different bin widths"):
        compare({"a": Toy()}, {"x": data, "y": made(bin_width=0.2)}, task="encode")
    with pytest.raises(EvaluationError, match="'generate' is sampled"):
        compare({"a": Toy()}, data, task="generate")


def test_baselines_join_unless_they_are_there(made: Made) -> None:
    data = made()
    known, missing = with_baselines({"mine": MeanRate()}, data, task="cosmooth")
    assert [*known] == ["mine", "population regression"]
    assert missing == []
    assert [*with_baselines({"mine": Toy()}, data, task="cosmooth")[0]] == [
        "mine",
        "mean rate",
        "population regression",
    ]
    decoders, _ = with_baselines({}, data, task="decode", target="place")
    assert [*decoders] == ["ridge", "naive Bayes", "naive Bayes, random walk"]
    assert {model.target for model in decoders.values()} == {"place"}
    encoders, missing = with_baselines({}, data, task="encode")
    assert {*encoders, *missing} == {"mean rate", "tuning GLM"}
    forecasters, missing = with_baselines({}, data, task="forecast")
    assert {*forecasters, *missing} == {"mean rate", "tuning GLM", "history GLM"}
    bare = data.drop_vars([v for v in data.data_vars if "behavior" in v])
    assert [*with_baselines({}, bare, task="encode")[0]] == ["mean rate"]
