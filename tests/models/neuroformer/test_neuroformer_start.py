"""Fits that start from another one: units by label, fresh parts, frozen parts, chosen terms, several sessions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

pytest.importorskip("torch")

import torch

from neurokit_snn.models.neuroformer.model import Neuroformer
from neurokit_snn.models.neuroformer.windows import Places
from neurokit_snn.recording.tokens import joined
from neurokit_snn.testing.place_cells import place_cells

TINY = {"window": 0.5, "past": 0.5, "covariates": (), "embed": 16, "heads": 2, "steps": 8, "batch_size": 8}
ALL_BUT_HEAD = (
    "embedding", "state", "history", "modalities", "encoders", "fusion", "joint", "unit_head", "bin_head",
)  # fmt: skip


def tiny(**changes: object) -> Neuroformer:
    return Neuroformer(**(TINY | changes))


@pytest.fixture(scope="module")
def trials() -> xr.Dataset:
    """A few short trials of units 100 to 103."""
    return place_cells(trials=8, bins=15, units=4)


@pytest.fixture(scope="module")
def first(trials: xr.Dataset) -> Neuroformer:
    """Trained on spikes alone."""
    return tiny(steps=30).fit(trials, seed=1)


@pytest.fixture(scope="module")
def saved(first: Neuroformer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where it is kept."""
    return str(first.save(tmp_path_factory.mktemp("start") / "first.nk"))


def same(one: Neuroformer, other: Neuroformer, part: str) -> bool:
    """Whether the weights of a part are the same bits."""
    mine, theirs = (getattr(m.network_, part).state_dict() for m in (one, other))
    assert list(mine) == list(theirs)
    return all(torch.equal(mine[name], theirs[name]) for name in mine)


class TestWeights:
    """What is taken over."""

    def test_everything_at_the_start(self, trials: xr.Dataset, first: Neuroformer, saved: str) -> None:
        """With nothing new and a rate of almost 0 the second model is the first."""
        second = tiny(pretrained=saved, steps=1, learning_rate=1e-30, weight_decay=0.0).fit(trials, seed=9)
        assert second.fresh_ == []
        for name, weights in first.network_.state_dict().items():
            assert torch.equal(weights, second.network_.state_dict()[name]), name
        scores = [m.log_likelihood(trials, task="forecast") for m in (first, second)]
        xr.testing.assert_identical(*scores)

    def test_units_by_label(self, trials: xr.Dataset, first: Neuroformer, saved: str) -> None:
        """Units in another order and one that is new: rows follow the labels, and the new one stays fresh."""
        other = trials.isel(unit=[2, 0, 3, 1]).assign_coords(unit=[102, 100, 777, 101])
        second = tiny(pretrained=saved, outputs=("position",), freeze=ALL_BUT_HEAD).fit(other, seed=9)
        assert set(second.fresh_) == {
            "units",
            "output_heads.behavior_position.weight",
            "output_heads.behavior_position.bias",
        }
        rows = [2, 0, 1]  # of units 102, 100, 101 in the first
        for name, last in (("embedding.unit.weight", 3), ("unit_head.weight", 1)):
            old, new = (m.network_.state_dict()[name] for m in (first, second))
            assert torch.equal(new[[0, 1, 3]], old[rows]), name
            assert torch.equal(new[-last:], old[-last:]), name
            assert not any(torch.equal(new[2], row) for row in old), name
        for part in ("state", "history", "joint", "bin_head"):
            assert same(first, second, part)

    def test_a_longer_context(self, trials: xr.Dataset, first: Neuroformer, saved: str) -> None:
        """Places of a sequence that both have are copied, those beyond stay as a new network has them."""
        n = first.spec_.max_tokens
        second = tiny(pretrained=saved, max_tokens=n + 5, outputs=("position",), freeze=ALL_BUT_HEAD).fit(
            trials
        )
        old, new = (m.network_.state_dict()["embedding.position"] for m in (first, second))
        assert new.shape[0] == old.shape[0] + 5
        assert torch.equal(new[: n + 1], old)
        assert torch.equal(new[n + 1 :], torch.zeros_like(new[n + 1 :]))

    def test_another_shape_is_fresh(self, trials: xr.Dataset, saved: str) -> None:
        """A window of another length has another head of bins, and a deeper network more blocks; both are named."""
        second = tiny(pretrained=saved, window=0.3, layers={"joint": 2}, steps=1).fit(trials)
        assert "bin_head.weight" in second.fresh_
        assert any(name.startswith("joint.1.") for name in second.fresh_)
        assert not any(name.startswith(("joint.0.", "state.", "history.")) for name in second.fresh_)

    def test_a_series_of_another_width_is_fresh_as_a_whole(self, trials: xr.Dataset, tmp_path: Path) -> None:
        """A perceptron that does not fit is not copied in part, whatever the behaviour is called."""
        known = tiny(covariates=("position",), hidden=8).fit(trials, seed=1)
        path = str(known.save(tmp_path / "known.nk"))
        second = tiny(covariates=("position",), hidden=12, pretrained=path, steps=1).fit(trials)
        for name in ("0.weight", "0.bias", "2.weight"):
            assert f"modalities.behavior_position.perceptron.{name}" in second.fresh_

    def test_scale_of_known_behaviours(self, trials: xr.Dataset, tmp_path: Path) -> None:
        """A behaviour keeps the scale it was learned with."""
        known = tiny(covariates=("position",)).fit(trials, seed=1)
        path = str(known.save(tmp_path / "known.nk"))
        half = trials.isel(time=slice(None, 8))
        second = tiny(covariates=("position",), pretrained=path, steps=1).fit(half)
        fresh = tiny(covariates=("position",), steps=1).fit(half)
        np.testing.assert_array_equal(second.inputs_[0].scale, known.inputs_[0].scale)
        assert fresh.inputs_[0].scale != known.inputs_[0].scale


class TestTraining:
    """What is trained then."""

    @pytest.mark.parametrize("freeze", [("embedding", "state"), ("history", "joint", "unit_head")])
    def test_frozen_parts_stay(
        self, trials: xr.Dataset, first: Neuroformer, saved: str, freeze: tuple[str, ...]
    ) -> None:
        """Bit for bit, weight decay included; the others move."""
        second = tiny(pretrained=saved, freeze=freeze).fit(trials, seed=9)
        for part in ("embedding", "state", "history", "joint", "unit_head", "bin_head"):
            assert same(first, second, part) == (part in freeze), part

    def test_chosen_terms(self, trials: xr.Dataset, first: Neuroformer, saved: str) -> None:
        """With the behaviour's term alone, the loss is that term, and heads that it does not reach stay as they are."""
        second = tiny(pretrained=saved, outputs=("position",), losses=("position",)).fit(trials, seed=9)
        terms = second.history_.terms
        assert set(terms) == {"tokens", "behavior_position"}
        np.testing.assert_allclose(second.history_.loss, terms["behavior_position"], rtol=1e-6)
        assert np.isfinite(terms["tokens"]).all()
        assert same(first, second, "unit_head")
        assert same(first, second, "bin_head")
        assert not same(first, second, "joint")
        both = tiny(pretrained=saved, outputs=("position",)).fit(trials, seed=9)
        total = both.history_.terms["tokens"] + both.history_.terms["behavior_position"]
        np.testing.assert_allclose(both.history_.loss, total, rtol=1e-6)
        assert not same(first, both, "unit_head")

    def test_spikes_alone_leave_the_head_of_a_behaviour(self, trials: xr.Dataset, tmp_path: Path) -> None:
        """The other way about."""
        one = tiny(outputs=("position",)).fit(trials, seed=1)
        path = str(one.save(tmp_path / "one.nk"))
        second = tiny(outputs=("position",), pretrained=path, losses=("tokens",)).fit(trials, seed=2)
        assert same(one, second, "output_heads")
        assert not same(one, second, "unit_head")

    def test_few_labels(self, trials: xr.Dataset, saved: str) -> None:
        """A behaviour that is known in one trial is learned from there."""
        few = trials.copy(deep=True)
        few["mask_behavior_position"].values[1:] = False
        model = tiny(pretrained=saved, outputs=("position",), losses=("position",), steps=40).fit(few, seed=3)
        assert model.history_.loss[-5:].mean() < model.history_.loss[:5].mean()
        assert np.isfinite(model.predict(trials, task="decode")["behavior_position"]).all()


class TestSessions:
    """Several sessions in one model."""

    def test_joined_and_then_one_of_them(self, trials: xr.Dataset, tmp_path: Path) -> None:
        """Two sessions of unlike units are fitted together; the model then starts a third fit, of one session's new trials."""
        other = place_cells(trials=8, bins=15, units=3, seed=5)
        both = joined({"a": trials, "b": other})
        model = tiny(covariates=("position",), steps=20).fit(both, seed=1)
        assert model.network_.unit_head.weight.shape[0] == 4 + 3 + 1
        scored = model.log_likelihood(both, task="forecast")
        assert np.isfinite(scored).all()
        assert (scored.sum("window") < 0).all()
        rate = model.predict(both, task="forecast")["rate"]
        np.testing.assert_array_equal(rate.values[~both["mask"].values], 0.0)
        path = str(model.save(tmp_path / "both.nk"))
        later = joined({"b": place_cells(trials=8, bins=15, units=3, seed=6)})
        tuned = tiny(covariates=("position",), pretrained=path, steps=1).fit(later, seed=2)
        assert tuned.fresh_ == []
        assert tuned.units_.tolist() == [u for u in model.units_.tolist() if str(u).startswith("b/")]


@pytest.mark.parametrize("number", [0, 1, 5, 100, 512, 513, 5000])
def test_validation_windows_are_spread_over_all(number: int) -> None:
    """All of them where they are few; else so many, from the first to the last, none twice."""
    places = Places(np.zeros(number, int), np.arange(number))
    found = places.spread(512).start
    assert len(found) == min(512, number)
    assert (np.diff(found) > 0).all()
    if number:
        assert (found[0], found[-1]) == (0, number - 1)
