"""Bad input: one line that names what is wrong, and nothing overwritten."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

pytest.importorskip("torch")

from neurokit_snn.errors import ArtefactError, ModelError, NeurokitError
from neurokit_snn.models.mean_rate import MeanRate
from neurokit_snn.models.neuroformer.model import Neuroformer
from neurokit_snn.testing.place_cells import place_cells

TINY = {
    "window": 0.5,
    "past": 0.5,
    "covariates": ("position",),
    "embed": 16,
    "heads": 2,
    "steps": 4,
    "batch_size": 8,
}


def tiny(**changes: object) -> Neuroformer:
    return Neuroformer(**(TINY | changes))


@pytest.fixture(scope="module")
def trials() -> xr.Dataset:
    """A few short trials."""
    return place_cells(trials=8, bins=15, units=4)


@pytest.fixture(scope="module")
def trained(trials: xr.Dataset) -> Neuroformer:
    """A fit that the tests share."""
    return tiny().fit(trials, seed=1)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"preset": "huge"}, "preset is 'huge'; choose one of small, paper"),
        ({"window": 0.25}, r"Neuroformer: window is 0\.25 s, which is no whole number of bins of 0\.1 s"),
        ({"past": 0.33}, r"Neuroformer: past is 0\.33 s, which is no whole number"),
        ({"past": 0.0}, "past is 0.0"),
        ({"covariate_past": 0.15}, r"Neuroformer: covariate_past is 0\.15 s, which is no whole number"),
        ({"heads": 3}, "heads is 3; give a divisor of embed"),
        ({"layers": {"middle": 1}}, "layers names 'middle'"),
        ({"layers": -1}, "layers of state is -1"),
        ({"dropout": 1.0}, "dropout of attention is 1.0"),
        ({"temporal": "clock"}, "temporal is 'clock'"),
        ({"validation": 0.5}, "validation is 0.5"),
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"steps": 0}, "steps is 0"),
        ({"covariates": "position"}, "covariates is the text 'position'; give a tuple of names"),
        ({"covariates": ("shoe",)}, "no behaviour and no trial column is named 'shoe'"),
        ({"covariates": ("stimulus_movie",)}, "stimulus_movie is not in the data"),
        ({"outputs": ("position",)}, "behavior_position is both in covariates and in outputs"),
        ({"outputs": ("behavior_position",)}, "behavior_position is both in covariates and in outputs"),
        ({"outputs": ("direction",)}, "outputs names direction; only behaviours are predicted"),
        ({"binary": True, "ordered": False}, "binary=True needs ordered=True"),
        ({"binary": True}, r"unit \d+ has \d spikes in a bin, but binary is True"),
        ({"freeze": ("roof",)}, "freeze names 'roof'; the parts are embedding, state"),
        ({"losses": ("speed",)}, "losses names 'behavior_speed'; this model has tokens"),
        ({"losses": ()}, "losses is empty; name some of tokens"),
    ],
)
def test_parameters(trials: xr.Dataset, changes: dict[str, object], words: str, tmp_path: Path) -> None:
    """Wrong hyperparameters are named with their value, before anything is written."""
    with pytest.raises(NeurokitError, match=words) as told:
        tiny(**changes).fit(trials, resume=tmp_path)
    assert "\n" not in str(told.value)
    assert contents(tmp_path) == {}


def test_all_frozen(trials: xr.Dataset, trained: Neuroformer) -> None:
    """A network of which nothing is left to train is refused."""
    parts = [name for name, _ in trained.network_.named_children()]
    with pytest.raises(ModelError, match="freeze names all parts; leave one"):
        tiny(freeze=parts).fit(trials)


class TestUnits:
    """Ids outside the vocabulary."""

    def test_a_unit_that_the_fit_did_not_have(self, trials: xr.Dataset, trained: Neuroformer) -> None:
        """Other labels, one more unit, or another order: all refused, for every task and for generation."""
        others = [
            trials.assign_coords(unit=trials["unit"].values + 50),
            place_cells(trials=2, bins=15, units=5),
            trials.isel(unit=[1, 0, 2, 3]),
        ]
        for other in others:
            for task in trained.tasks:
                with pytest.raises(ModelError, match="the fit had 4"):
                    trained.predict(other, task=task)
            with pytest.raises(ModelError, match="the fit had 4"):
                trained.log_likelihood(other, task="forecast")
            with pytest.raises(ModelError, match="the fit had 4"):
                trained.generate(other)


class TestContext:
    """Windows longer than the context."""

    def test_at_fit(self, trials: xr.Dataset, tmp_path: Path) -> None:
        """A context that the training data do not fit into is refused before the first step."""
        with pytest.raises(
            ModelError, match=r"trial \d+ has \d+ spikes, more than the context of 2; raise max_tokens"
        ):
            tiny(max_tokens=2).fit(trials, resume=tmp_path)
        assert contents(tmp_path) == {}

    def test_at_test(self, trials: xr.Dataset, trained: Neuroformer) -> None:
        """So is a window of the test data; the message says where it is. What comes before the window may be long."""
        loud = trials.copy(deep=True)
        loud["counts"].values[3, 6] = 500
        loud["mask"].values[3, 6] = True
        most = trained.spec_.max_tokens
        words = rf"window at bin 5 of trial 3 has \d+ spikes, more than the context of {most}"
        with pytest.raises(ModelError, match=words):
            trained.log_likelihood(loud, task="forecast")
        with pytest.raises(ModelError, match=words):
            trained.predict(loud, task="forecast")

    def test_a_long_past_is_cut_with_a_warning(self, trials: xr.Dataset) -> None:
        """Of a past state with too many spikes the oldest are left out, and the fit says so."""
        with pytest.warns(UserWarning, match="more than max_past_tokens 3; the oldest are left out"):
            model = tiny(max_past_tokens=3).fit(trials)
        assert np.isfinite(model.log_likelihood(trials, task="forecast")).all()

    def test_generation_that_fills_the_context_warns(self, trials: xr.Dataset) -> None:
        """Sampled windows that are cut short are counted."""
        quiet = trials.copy(deep=True)
        quiet["counts"].values[...] = 0
        quiet["counts"].values[:, ::5, 0] = 1
        model = tiny(max_tokens=1).fit(quiet)
        with pytest.warns(UserWarning, match="sampled windows filled the context of 1 tokens"):
            made = model.sample(trials)["counts"]
        assert int(made.groupby(made["time"] // 0.5).sum(("time", "unit")).max()) == 1


class TestModalities:
    """What the fit had and the test has not."""

    def test_behaviour(self, trials: xr.Dataset, trained: Neuroformer) -> None:
        """It is named; where it is hidden by ``given`` too."""
        without = trials.drop_vars(["behavior_position", "mask_behavior_position"])
        for task in trained.tasks:
            with pytest.raises(ModelError, match=f"Neuroformer, {task}: no behaviour.*'position'"):
                trained.predict(without, task=task)
        with pytest.raises(ModelError, match="'position'"):
            trained.log_likelihood(without, task="forecast")
        with pytest.raises(ModelError, match="'position'"):
            trained.generate(without)
        with pytest.raises(ModelError, match="'position'"):
            trained.predict(trials, task="forecast", given=("counts",))

    def test_another_kind(self, trials: xr.Dataset, trained: Neuroformer) -> None:
        """A behaviour of another kind or shape than in the fit is no replacement."""
        other = trials.copy(deep=True)
        other["behavior_position"].attrs["kind"] = "circular"
        with pytest.raises(ModelError, match="behavior_position is circular of shape"):
            trained.predict(other, task="encode")

    def test_nothing_known(self, trials: xr.Dataset) -> None:
        """A covariate that is missing everywhere, or never changes, cannot be one; nor an output."""
        gone = trials.copy(deep=True)
        gone["mask_behavior_position"].values[...] = False
        with pytest.raises(ModelError, match="behavior_position is missing in every bin"):
            tiny().fit(gone)
        with pytest.raises(ModelError, match="behavior_position is missing in every bin"):
            tiny(covariates=(), outputs=("position",)).fit(gone)
        flat = trials.copy(deep=True)
        flat["behavior_position"].values[...] = 3.0
        with pytest.raises(ModelError, match=r"behavior_position is constant \(3\)"):
            tiny().fit(flat)


class TestData:
    """Data that cannot be learned from, or only in part."""

    def test_nothing_observed(self, trials: xr.Dataset) -> None:
        """Counts that are masked throughout."""
        gone = trials.copy(deep=True)
        gone["mask"].values[...] = False
        with pytest.raises(ModelError, match="no window to learn from"):
            tiny().fit(gone)

    def test_no_spikes_at_all(self, trials: xr.Dataset) -> None:
        """Silence is data: the model learns it."""
        silent = trials.copy(deep=True)
        silent["counts"].values[...] = 0
        model = tiny(steps=60, learning_rate=1e-2).fit(silent)
        assert float(model.log_likelihood(silent, task="forecast").mean()) > -0.5
        assert float(model.predict(silent, task="forecast")["rate"].mean()) < 0.3

    def test_empty_trials(self, trials: xr.Dataset, trained: Neuroformer) -> None:
        """A trial in which nothing was observed has score 0 and leaves the others as they are."""
        some = trials.copy(deep=True)
        some["mask"].values[2] = False
        some["counts"].values[2] = 0
        tiny().fit(some)
        scored, whole = (trained.log_likelihood(d, task="forecast") for d in (some, trials))
        np.testing.assert_array_equal(scored.isel(trial=2), 0.0)
        others = [0, 1, 3, 4, 5, 6, 7]
        np.testing.assert_allclose(scored.isel(trial=others), whole.isel(trial=others), rtol=1e-5)
        assert np.isfinite(trained.predict(some, task="forecast")["rate"]).all()
        assert int(trained.sample(some)["counts"].isel(trial=2).sum()) == 0

    def test_trials_shorter_than_a_window(self, trials: xr.Dataset) -> None:
        """Trials of fewer bins than a window are one window that sticks out."""
        short = trials.isel(time=slice(None, 3))
        model = tiny(steps=10).fit(short)
        assert model.log_likelihood(short, task="forecast").sizes["window"] == 1
        assert model.predict(short, task="forecast")["rate"].sizes["time"] == 3
        assert model.sample(short)["counts"].sizes["time"] == 3

    @pytest.mark.parametrize("change", [lambda c: -c - 1, lambda c: c + 0.5])
    def test_counts_that_are_none(
        self, trials: xr.Dataset, change: Callable[[xr.DataArray], xr.DataArray]
    ) -> None:
        """Negative or broken counts are refused."""
        with pytest.raises(NeurokitError, match="counts"):
            tiny().fit(trials.assign(counts=change(trials["counts"])))

    def test_two_spikes_in_a_binary_bin(self, trials: xr.Dataset) -> None:
        """A binary model does not score what it gives no probability to."""
        binary = trials.assign(counts=trials["counts"].clip(max=1))
        model = tiny(binary=True).fit(binary)
        assert np.isfinite(model.log_likelihood(binary, task="forecast")).all()
        words = r"\d spikes in a bin, but binary is True"
        with pytest.raises(ModelError, match=words):
            model.log_likelihood(trials, task="forecast")
        with pytest.raises(ModelError, match=words):
            model.predict(trials, task="forecast")

    def test_generation(self, trials: xr.Dataset, trained: Neuroformer) -> None:
        """Modes and settings of generation that there are not."""
        with pytest.raises(ModelError, match="mode is 'dreaming'"):
            trained.generate(trials, mode="dreaming")
        with pytest.raises(ModelError, match="temperature is 0"):
            trained.generate(trials, temperature=0)
        with pytest.raises(ModelError, match=r"top_p 1\.5"):
            trained.generate(trials, top_p=1.5)


class TestCheckpoints:
    """A checkpoint that is not this fit's, or is broken: named, and left as it is."""

    @pytest.fixture
    @staticmethod
    def kept(trials: xr.Dataset, tmp_path: Path) -> Path:
        tiny().fit(trials, seed=2, resume=tmp_path)
        return tmp_path

    @pytest.mark.parametrize(
        ("changes", "seed"),
        [({"embed": 8}, 2), ({"steps": 5}, 2), ({"past": 0.4}, 2), ({"freeze": ("state",)}, 2), ({}, 3)],
    )
    def test_of_another_configuration(
        self, trials: xr.Dataset, kept: Path, changes: dict[str, object], seed: int
    ) -> None:
        """Other sizes, steps, windows, frozen parts or seed."""
        before = contents(kept)
        with pytest.raises(ModelError, match=re.escape(str(kept / "fit.nk")) + ".*other data, parameters"):
            tiny(**changes).fit(trials, seed=seed, resume=kept)
        assert contents(kept) == before

    def test_of_other_data(self, trials: xr.Dataset, kept: Path) -> None:
        """One spike more is other data."""
        before = contents(kept)
        other = trials.copy(deep=True)
        other["counts"].values[0, 0, 0] += 1
        with pytest.raises(ModelError, match="other data"):
            tiny().fit(other, seed=2, resume=kept)
        assert contents(kept) == before

    @pytest.mark.parametrize("name", ["state.safetensors", "manifest.json"])
    def test_truncated(self, trials: xr.Dataset, kept: Path, name: str) -> None:
        """A file of it that ends too early."""
        file = kept / "fit.nk" / name
        file.write_bytes(file.read_bytes()[:-7])
        before = contents(kept)
        with pytest.raises(ArtefactError, match=re.escape(str(kept / "fit.nk"))):
            tiny().fit(trials, seed=2, resume=kept)
        assert contents(kept) == before


class TestPretrained:
    """What a fit cannot start from."""

    def test_another_model(self, trials: xr.Dataset, tmp_path: Path) -> None:
        """It is named with its type."""
        path = MeanRate().fit(trials).save(tmp_path / "flat.nk")
        with pytest.raises(ModelError, match=r"pretrained .*flat\.nk holds MeanRate, not a Neuroformer"):
            tiny(pretrained=str(path)).fit(trials)

    def test_nothing_there(self, trials: xr.Dataset, tmp_path: Path) -> None:
        """A path where nothing is."""
        with pytest.raises(ArtefactError, match=r"none\.nk"):
            tiny(pretrained=str(tmp_path / "none.nk")).fit(trials)

    def test_truncated(self, trials: xr.Dataset, trained: Neuroformer, tmp_path: Path) -> None:
        """A saved model whose weights end too early."""
        path = trained.save(tmp_path / "fit.nk")
        weights = max((p for p in path.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
        weights.write_bytes(weights.read_bytes()[:-7])
        before = contents(path)
        with pytest.raises(ArtefactError, match=r"fit\.nk"):
            tiny(pretrained=str(path)).fit(trials)
        assert contents(path) == before

    def test_another_width(self, trials: xr.Dataset, trained: Neuroformer, tmp_path: Path) -> None:
        """A network of another width has no weight in common; that is no start."""
        path = trained.save(tmp_path / "fit.nk")
        with pytest.raises(ModelError, match=r"fit\.nk.*embed 16.*embed 8"):
            tiny(pretrained=str(path), embed=8).fit(trials)

    def test_other_bins(self, trials: xr.Dataset, trained: Neuroformer, tmp_path: Path) -> None:
        """Weights know bins by their number: those of another width mean other times."""
        path = trained.save(tmp_path / "fit.nk")
        wider = trials.assign_attrs(bin_width=0.5)
        with pytest.raises(ModelError, match=r"fit\.nk was fitted to bins of 0\.1 s, the data have 0\.5 s"):
            tiny(pretrained=str(path)).fit(wider)
