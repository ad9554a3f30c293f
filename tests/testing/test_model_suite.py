"""The suite for models fails the models it should fail: each cheat here is caught by the test named for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from neurokit_snn.errors import ModelError
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.models.covariates import require_counts
from neurokit_snn.models.observations import AbstractObservation, Poisson
from neurokit_snn.testing.model_suite import ModelSuite
from neurokit_snn.testing.place_cells import place_cells


class Smoother(AbstractModel):
    """A small honest model (the rate of each unit, a little faster after a spike), with ways to cheat."""

    tasks = ("encode", "forecast")
    deterministic = True

    def __init__(self, *, cheat: str = "") -> None:
        self.cheat = cheat
        if cheat == "learns in the constructor":
            self.rate_ = 0.0

    def _fit(self, data: xr.Dataset, *, seed: int, progress: bool, resume: Path | None) -> None:
        counts, mask = require_counts(data, "Smoother.fit")
        if self.cheat == "changes the data":
            data["counts"].values[:] += 1
        shown = counts if self.cheat == "reads masked bins" else counts.where(mask)
        mean = shown.mean(("trial", "time")).values
        self.rate_ = np.where(np.isfinite(mean) & (mean > 0), mean, 0.01)
        if self.cheat == "forgets its seed":
            self.rate_ = self.rate_ * np.random.default_rng().uniform(0.9, 1.1)

    def _predictive(
        self, visible: xr.Dataset, *, task: str, draws: int, rng: np.random.Generator
    ) -> Mapping[str, AbstractObservation]:
        dims = ("trial", "time", "unit")
        spread = rng.gamma(400.0, 1 / 400.0, size=(draws, 1, 1, 1))
        rates = spread * np.broadcast_to(self.rate_, visible["mask"].shape)
        if task == "forecast":
            counts = visible["counts"].where(visible["mask"], 0).values
            if self.cheat == "sees the present":
                rates = rates * (1 + 0.1 * counts)
            last = np.zeros(counts.shape)
            last[:, 1:] = counts[:, :-1]
            rates = rates * (1 + 0.01 * last)
        if self.cheat == "mixes trials":
            rates = rates * (1 + 0.01 * visible.sizes["trial"])
        coords = {d: visible[d].values for d in dims}
        labelled = xr.DataArray(rates, dims=("draw", *dims), coords=coords)
        if self.cheat == "wrong units":
            labelled = labelled.assign_coords(unit=np.arange(labelled.sizes["unit"]))
        return {"counts": Poisson(rate_per_bin=labelled)}

    def history(self) -> float:
        return 0.0 if self.cheat == "hides its history" else self.bin_width_

    def _state(self) -> dict[str, xr.Dataset]:
        return {"rates": xr.Dataset({"rate": ("unit", self.rate_)})}

    def _set_state(self, state: Mapping[str, xr.Dataset]) -> None:
        self.rate_ = state["rates"]["rate"].values


class TestHonestModel(ModelSuite):
    poisson = True
    better_than_mean_rate = False

    def make(self) -> AbstractModel:
        return Smoother()


class _Cheats(ModelSuite):
    better_than_mean_rate = False
    poisson = True

    def __init__(self, cheat: str) -> None:
        self.cheat = cheat

    def make(self) -> AbstractModel:
        return Smoother(cheat=self.cheat)


CHEATS: dict[str, tuple[str, ...]] = {
    "learns in the constructor": ("test_constructor_only_stores",),
    "changes the data": ("test_fit_returns_self_and_leaves_the_data_alone",),
    "reads masked bins": ("test_masked_bins_cannot_matter",),
    "sees the present": ("test_forecast_is_causal",),
    "hides its history": ("test_forecast_reads_no_further_back_than_its_history",),
    "mixes trials": ("test_trials_are_predicted_apart",),
    "forgets its seed": ("test_same_seed_same_answer",),
    "wrong units": ("test_predictions_have_the_dims_and_units_of_the_target",),
}


@pytest.mark.parametrize(("cheat", "names"), CHEATS.items(), ids=CHEATS.keys())
def test_each_cheat_is_caught(cheat: str, names: tuple[str, ...]) -> None:
    suite = _Cheats(cheat)
    trained = suite.make().fit(suite._split()[0], seed=3)
    for name in names:
        test: Any = getattr(suite, name)
        arguments = (trained,) if "trained" in test.__code__.co_varnames[: test.__code__.co_argcount] else ()
        with pytest.raises((AssertionError, ValueError, KeyError)):
            test(*arguments)
        honest: Any = getattr(_Cheats(""), name)
        honest(*((_Cheats("").make().fit(suite._split()[0], seed=3),) if arguments else ()))


def test_a_model_that_shows_its_target_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the protocol forgot to hide the counts of an encoding task, the suite would see it."""
    from neurokit_snn.models import base

    class Peeks(Smoother):
        def _predictive(self, visible, *, task, draws, rng):  # type: ignore[no-untyped-def]
            [found] = super()._predictive(visible, task="encode", draws=draws, rng=rng).values()
            if "counts" in visible:
                found = Poisson(rate_per_bin=found.rate_per_bin + 0.1 * visible["counts"])
            return {"counts": found}

    class Suite(_Cheats):
        def make(self) -> AbstractModel:
            return Peeks()

    suite = Suite("")
    trained = Peeks().fit(suite._split()[0], seed=3)
    suite.test_the_target_cannot_matter(trained)
    monkeypatch.setattr(base, "hide", lambda data, task, given: data)
    with pytest.raises(AssertionError):
        suite.test_the_target_cannot_matter(trained)


def test_models_outside_the_table_say_so_when_saved(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="registry"):
        Smoother().fit(place_cells(trials=4)).save(tmp_path / "x.nk")


def test_made_place_cells_are_what_they_say() -> None:
    data = place_cells(trials=200, units=4, gain=20.0, seed=1)
    rate = data["counts"].where(data["mask"]) / 0.1
    position, direction = data["behavior_position"], data["direction"]
    near = abs(position - 37.5) < 3  # the field of the second unit
    there, back = (float(rate.sel(unit=101).where(near & (direction == d)).mean()) for d in (1, -1))
    assert there == pytest.approx(20.3, rel=0.15)
    assert back == pytest.approx(3.0, rel=0.2)
    assert float(data["behavior_position"].max()) <= 100
    assert float(data["behavior_position"].min()) >= 0
    xr.testing.assert_identical(data, place_cells(trials=200, units=4, gain=20.0, seed=1))
