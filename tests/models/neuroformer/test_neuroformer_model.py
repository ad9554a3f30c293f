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
