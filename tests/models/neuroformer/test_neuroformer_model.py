"""The common suite, and what is Neuroformer's own behind the protocol."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

pytest.importorskip("torch")

from neurokit_snn.models.mean_rate import MeanRate
from neurokit_snn.models.neuroformer.model import Neuroformer
from neurokit_snn.testing.model_suite import ModelSuite
from neurokit_snn.testing.place_cells import place_cells

QUICK = {
    "window": 0.5,
    "past": 0.5,
    "embed": 16,
    "heads": 2,
    "steps": 50,
    "batch_size": 16,
    "learning_rate": 1e-2,
    "max_tokens": 200,
    "max_past_tokens": 200,
}
"""A network that learns something in a second; its context bears the spikes that the suite adds."""


class TestEncoder(ModelSuite):
    """Spikes from position and from spikes."""

    simulates = (
        "encode",
        "generate",
        "forecast",
    )  # forecast: what follows a first spike in its bin is sampled
    unit_order = False
    tolerance = 1e-4

    def data(self) -> xr.Dataset:
        return place_cells(trials=12, bins=20, units=5)

    def make(self) -> Neuroformer:
        return Neuroformer(covariates=("position",), **QUICK)


@pytest.mark.slow
class TestDecoder(ModelSuite):
    """Spikes and position from spikes."""

    target = "position"
    simulates = ("encode", "generate", "forecast")
    unit_order = False
    better_than_mean_rate = False
    tolerance = 1e-4

    def data(self) -> xr.Dataset:
        return place_cells(trials=12, bins=20, units=5)

    def make(self) -> Neuroformer:
        return Neuroformer(outputs=("position",), covariates=(), **QUICK)


class TestCompare:
    """Beside other models, on the same folds, in the same currency."""

    @pytest.mark.slow
    def test_ranked_with_a_coupled_glm(self) -> None:
        """Forecasts of counts: one table of bits per spike, from probabilities of windows and of bins."""
        pytest.importorskip("nemos")
        from neurokit_snn.evaluate import compare
        from neurokit_snn.models.glm import GLM

        data = place_cells(trials=12, bins=20, units=4)
        models = {
            "neuroformer": Neuroformer(covariates=(), **QUICK),
            "glm": GLM(covariates=[], past=0.5, coupling=True, strength=1.0),
            "flat": MeanRate(),
        }
        options = {"cv": 2, "seeds": (0,), "n_boot": 100, "block": 5.0, "baselines": False, "progress": False}
        found = compare(models, data, task="forecast", **options)
        assert found.attrs["space"] == "counts"
        for metric in found["metric"].values.tolist():
            assert np.isfinite(found["score"].sel(metric=metric)).all()
            assert sorted(found["rank"].sel(metric=metric).values.tolist()) == [1, 2, 3]
        value = found["value"].sel(metric="bits_per_spike_train")
        order = value["model"].values[np.argsort(-value.values)].tolist()
        assert (
            order
            == found["model"].values[np.argsort(found["rank"].sel(metric="bits_per_spike_train"))].tolist()
        )

    def test_its_score_is_the_sum_over_windows(self) -> None:
        """The log-likelihood of a fold, by hand from the probabilities of its windows; bits per spike from its rates."""
        from neurokit_snn.evaluate import compare
        from neurokit_snn.recording.splits import blocked

        data = place_cells(trials=12, bins=20, units=4)
        split = blocked(data, folds=2, gap=1.0)
        model = Neuroformer(covariates=(), **QUICK)
        options = {"seeds": (0,), "n_boot": 100, "block": 5.0, "baselines": False, "progress": False}
        found = compare({"one": model}, data, task="forecast", cv=split, **options)
        score = found["score"].sel(model="one", seed=0)
        for fold, (train, test) in enumerate(split.apply(data)):
            nats = float(model.fit(train, seed=0).log_likelihood(test, task="forecast").sum())
            seconds = float(test["mask"].sum()) * 0.1
            assert float(score.sel(metric="log_likelihood")[fold]) == pytest.approx(nats / seconds, rel=1e-6)
            mean = train["counts"].where(train["mask"]).mean(("trial", "time"))
            counts = test["counts"].where(test["mask"])
            expected = (model.predict(test, task="forecast")["rate"] * 0.1).where(test["mask"], 1.0)
            gain = float((counts * np.log(expected / mean) - expected + mean).sum())
            bits = gain / np.log(2.0) / float(counts.sum())
            assert float(score.sel(metric="bits_per_spike_train")[fold]) == pytest.approx(bits, rel=1e-6)


@pytest.fixture(scope="module")
def split() -> tuple[xr.Dataset, xr.Dataset]:
    """Trials to learn from and trials to be asked about, of at most one spike a bin."""
    data = place_cells(trials=16, bins=20, units=5, gain=8.0)
    data["counts"] = data["counts"].clip(max=1)
    return data.isel(trial=slice(None, 12)), data.isel(trial=slice(12, None))


@pytest.fixture(scope="module")
def binary(split: tuple[xr.Dataset, xr.Dataset]) -> Neuroformer:
    """A model of binary bins."""
    return Neuroformer(covariates=("position",), binary=True, **QUICK).fit(split[0], seed=1)


class TestBinary:
    """Bins of at most one spike."""

    def test_space(self, binary: Neuroformer, split: tuple[xr.Dataset, xr.Dataset]) -> None:
        """Probabilities, Bernoulli predictions, and samples of 0 and 1."""
        _, test = split
        for task in binary.tasks:
            assert binary.log_likelihood(test, task=task).attrs["space"] == "binary"
            rate = binary.predict(test, task=task)["rate"] * 0.1
            assert float(rate.max()) <= 1.0
        for mode in ("forecast", "generate"):
            assert set(np.unique(binary.sample(test, task=mode)["counts"])) == {0, 1}

    def test_rates_are_those_of_the_data(
        self, binary: Neuroformer, split: tuple[xr.Dataset, xr.Dataset]
    ) -> None:
        """Mean rates along the data and along the model's own samples are near those of the training data."""
        train, _ = split
        true = float(train["counts"].where(train["mask"]).mean())
        for task in ("forecast", "encode"):
            found = float(binary.predict(train, task=task)["rate"].where(train["mask"]).mean()) * 0.1
            assert found == pytest.approx(true, rel=0.25), task

    def test_each_trial_has_its_own_probability(
        self, binary: Neuroformer, split: tuple[xr.Dataset, xr.Dataset]
    ) -> None:
        """Whatever is asked beside it, in dask chunks or not."""
        _, test = split
        whole = binary.log_likelihood(test, task="forecast")
        alone = xr.concat(
            [binary.log_likelihood(test.isel(trial=[i]), task="forecast") for i in range(4)], "trial"
        )
        np.testing.assert_allclose(whole, alone, rtol=1e-5)
        dask = pytest.importorskip("dask")
        with dask.config.set(scheduler="synchronous"):
            lazy = binary.log_likelihood(test.chunk({"trial": 1, "time": 7}), task="forecast")
        xr.testing.assert_identical(lazy.compute(), whole)


class TestGeneration:
    """`Neuroformer.generate`."""

    def test_a_recording_of_the_same_trials(
        self, binary: Neuroformer, split: tuple[xr.Dataset, xr.Dataset]
    ) -> None:
        """Binned as the data, there are no spikes where they are masked; the same seed gives the same spikes."""
        from neurokit_snn import recording

        _, test = split
        made = binary.generate(test, seed=4)
        recording.validate(made)
        np.testing.assert_allclose(made["trials"]["start"], test["trial_start"])
        again = recording.bin_trials(made, 0.1)
        assert again["unit"].values.tolist() == test["unit"].values.tolist()
        assert int(again["counts"].sum()) == made["spikes"].sizes["spike"] > 20
        n = again.sizes["time"]
        assert int(again["counts"].values[~test["mask"].values[:, :n]].sum()) == 0
        assert set(np.unique(again["counts"])) == {0, 1}
        xr.testing.assert_identical(
            made["spikes"].to_dataset(), binary.generate(test, seed=4)["spikes"].to_dataset()
        )
        other = binary.generate(test, seed=5)["spikes"]["time"].values
        assert not np.array_equal(made["spikes"]["time"].values, other)

    def test_the_modes_read_what_they_say(
        self, binary: Neuroformer, split: tuple[xr.Dataset, xr.Dataset]
    ) -> None:
        """Free-running reads no spikes of the data, teacher-forced the past ones; both read the behaviour."""
        train, test = split
        listener = Neuroformer(covariates=(), binary=True, **(QUICK | {"steps": 200})).fit(train, seed=1)
        spikes = test.copy(deep=True)
        spikes["counts"].values[...] = test["mask"].values  # in every bin that there is
        behaviour = test.copy(deep=True)
        behaviour["behavior_position"].values[...] = behaviour["behavior_position"].values[::-1]

        def times(model: Neuroformer, data: xr.Dataset, mode: str) -> np.ndarray:
            return model.generate(data, mode=mode, seed=2)["spikes"]["time"].values

        for mode, reads_spikes in (("free-running", False), ("teacher-forced", True)):
            same = np.array_equal(times(listener, test, mode), times(listener, spikes, mode))
            assert same is not reads_spikes
            assert not np.array_equal(times(binary, test, mode), times(binary, behaviour, mode))

    def test_the_nucleus_makes_it_narrower(
        self, binary: Neuroformer, split: tuple[xr.Dataset, xr.Dataset]
    ) -> None:
        """A tiny nucleus leaves one token at each step, so that seeds do not matter."""
        _, test = split
        found = [binary.generate(test, top_p=1e-6, seed=s)["spikes"]["time"].values for s in (0, 1)]
        np.testing.assert_array_equal(*found)
