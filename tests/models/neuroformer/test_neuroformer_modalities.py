"""Behaviours, trial columns and frames as inputs and as outputs of a fitted model."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

pytest.importorskip("torch")

from neurokit_snn.errors import ModelError
from neurokit_snn.models.behavior_observations import Categorical, VonMises
from neurokit_snn.models.neuroformer.model import Neuroformer
from neurokit_snn.models.observations import Gaussian
from neurokit_snn.testing.place_cells import TRACK, place_cells

TINY = {"window": 0.2, "past": 0.2, "embed": 16, "heads": 2, "batch_size": 32, "learning_rate": 1e-2}


def of_many_kinds(*, trials: int, seed: int = 0) -> xr.Dataset:
    """Place cells whose position is also an angle, a half of the track and a point in the plane."""
    data = place_cells(trials=trials, bins=20, units=6, seed=seed)
    known = data["mask_behavior_position"]
    position = data["behavior_position"]
    angle = np.mod(position * (360.0 / TRACK) + 90.0, 360.0)
    plane = xr.concat([position, 2.0 - position], "axis").transpose("trial", "time", "axis")
    made = {
        "heading": angle.assign_attrs(kind="circular", units="deg"),
        "half": (position > 0.5 * TRACK)
        .astype(float)
        .where(known)
        .assign_attrs(kind="categorical", units=""),
        "plane": plane.assign_coords(axis=["x", "y"]).assign_attrs(kind="continuous", units="cm"),
    }
    for name, values in made.items():
        data[f"behavior_{name}"] = values
        data[f"mask_behavior_{name}"] = known
    return data


@pytest.fixture(scope="module")
def train() -> xr.Dataset:
    return of_many_kinds(trials=24)


@pytest.fixture(scope="module")
def test() -> xr.Dataset:
    return of_many_kinds(trials=6, seed=1)


class TestInputs:
    """Kinds of behaviour, and columns of the trials."""

    @pytest.fixture(scope="class")
    @staticmethod
    def reader(train: xr.Dataset) -> Neuroformer:
        names = ("heading", "half", "plane", "direction")
        return Neuroformer(covariates=names, steps=40, **TINY).fit(train, seed=1)

    def test_widths(self, reader: Neuroformer) -> None:
        """Cosine and sine, one of two, x and y, one of two; in the order given."""
        found = [(entry.name, entry.width) for entry in reader.spec_.inputs]
        assert found == [
            ("behavior_heading", 2),
            ("behavior_half", 2),
            ("behavior_plane", 2),
            ("direction", 2),
        ]
        assert list(reader.network_.fusion) == [name for name, _ in found]

    @pytest.mark.parametrize("name", ["behavior_heading", "behavior_half", "behavior_plane"])
    def test_masked_samples_do_not_matter(self, reader: Neuroformer, test: xr.Dataset, name: str) -> None:
        """What stands where a behaviour is not known is not read; a sample that is known is."""
        dirty = test.copy(deep=True)
        unknown = ~dirty[f"mask_{name}"].values
        dirty[name].values[unknown] = 1.0
        before = reader.log_likelihood(test, task="forecast")
        xr.testing.assert_identical(before, reader.log_likelihood(dirty, task="forecast"))
        xr.testing.assert_identical(reader.predict(test, task="encode"), reader.predict(dirty, task="encode"))
        dirty[name].values[...] = dirty[name].values[::-1]
        assert not np.array_equal(before, reader.log_likelihood(dirty, task="forecast"))

    def test_a_whole_turn_is_nothing(self, reader: Neuroformer, test: xr.Dataset) -> None:
        """A circular behaviour in another turn is the same."""
        turned = test.assign(
            behavior_heading=(test["behavior_heading"] + 360.0).assign_attrs(test["behavior_heading"].attrs)
        )
        scores = [reader.log_likelihood(d, task="forecast") for d in (test, turned)]
        np.testing.assert_allclose(*scores, rtol=1e-4)

    def test_a_column_of_the_trials_matters(self, reader: Neuroformer, test: xr.Dataset) -> None:
        """Odd units fire in one direction only."""
        other = test.assign_coords(direction=-test["direction"])
        scores = [float(reader.log_likelihood(d, task="forecast").sum()) for d in (test, other)]
        assert scores[0] != scores[1]

    def test_a_category_that_the_fit_did_not_have(self, reader: Neuroformer, test: xr.Dataset) -> None:
        """It is as good as missing."""
        strange, missing = test.copy(deep=True), test.copy(deep=True)
        strange["behavior_half"].values[2] = 7.0
        missing["mask_behavior_half"].values[2] = False
        scores = [reader.log_likelihood(d, task="forecast") for d in (strange, missing)]
        xr.testing.assert_identical(*scores)

    def test_later_behaviour_does_not_matter(self, reader: Neuroformer, test: xr.Dataset) -> None:
        """Windows before a change of behaviour have the same probability; the window of the change has not."""
        later = test.copy(deep=True)
        for name in ("behavior_heading", "behavior_half", "behavior_plane"):
            later[name].values[:, 10:] = later[name].values[:, 10:][:, ::-1]
        before, after = (reader.log_likelihood(d, task="forecast") for d in (test, later))
        np.testing.assert_allclose(before[:, :5], after[:, :5], rtol=1e-5)
        assert not np.allclose(before[:, 5:], after[:, 5:], rtol=1e-3)


class TestOutputs:
    """Kinds of behaviour that are decoded."""

    @pytest.fixture(scope="class")
    @staticmethod
    def decoder(train: xr.Dataset) -> Neuroformer:
        outputs = ("heading", "half", "plane")
        return Neuroformer(covariates=(), outputs=outputs, steps=200, **TINY).fit(train, seed=1)

    def test_distributions(self, decoder: Neuroformer, test: xr.Dataset) -> None:
        """Von Mises, categorical and Gaussian ones, in the units of the behaviour."""
        found = decoder._ask(test, task="decode", given=None, draws=100, seed=0)
        kinds = {"behavior_heading": VonMises, "behavior_half": Categorical, "behavior_plane": Gaussian}
        assert {name: type(o) for name, o in found.items()} == kinds
        assert found["behavior_heading"].period == 360.0
        assert found["behavior_half"].categories == (0.0, 1.0)
        assert found["behavior_plane"].mean().dims == ("trial", "time", "axis")
        assert found["behavior_plane"].mean()["axis"].values.tolist() == ["x", "y"]

    def test_they_are_decoded(self, decoder: Neuroformer, test: xr.Dataset) -> None:
        """On other trials: the half better than by chance, the angle and the point nearer than their means."""
        found = decoder.predict(test, task="decode")
        known = test["mask_behavior_position"]
        assert set(found["behavior_half"].values.ravel()) <= {0.0, 1.0}
        right = (found["behavior_half"] == test["behavior_half"]).where(known)
        assert float(right.mean()) > 0.75
        angle = found["behavior_heading"]
        assert float(angle.min()) >= 0
        assert float(angle.max()) <= 360.0
        off = np.deg2rad(angle - test["behavior_heading"])
        assert float(np.cos(off).where(known).mean()) > 0.4  # 0 by chance
        error = ((found["behavior_plane"] - test["behavior_plane"]) ** 2).where(known)
        assert float(error.mean()) < 0.6 * float(
            test["behavior_plane"].where(known).var(("trial", "time")).mean()
        )

    @pytest.mark.parametrize("name", ["heading", "half", "plane"])
    def test_scores(self, decoder: Neuroformer, test: xr.Dataset, name: str) -> None:
        """Log densities where the behaviour is known; better than those of a behaviour that is shuffled over trials."""
        scored = decoder.log_likelihood(test, task="decode", target=name)
        assert scored.dims == ("trial", "time")
        np.testing.assert_array_equal(np.isfinite(scored), test["mask_behavior_position"])
        shuffled = test.copy(deep=True)
        for variable in (f"behavior_{name}", f"mask_behavior_{name}"):
            shuffled[variable].values[...] = shuffled[variable].values[::-1]
        assert float(scored.mean()) > float(
            decoder.log_likelihood(shuffled, task="decode", target=name).mean()
        )
        if name == "half":
            assert float(scored.max()) <= 0

    def test_the_density_of_an_angle_is_per_degree(self, decoder: Neuroformer, test: xr.Dataset) -> None:
        """It integrates to one over a turn of 360 degrees."""
        grid = np.arange(0.5, 360.0, 1.0)
        total = 0.0
        one = test.isel(trial=[0])
        for value in grid[::5]:
            here = one.assign(
                behavior_heading=xr.full_like(one["behavior_heading"], value),
                mask_behavior_heading=xr.ones_like(one["mask_behavior_heading"]),
            )
            total = total + 5.0 * np.exp(decoder.log_likelihood(here, task="decode", target="heading").values)
        np.testing.assert_allclose(total, 1.0, atol=0.01)

    def test_saved_and_loaded(self, decoder: Neuroformer, test: xr.Dataset, tmp_path) -> None:
        """All kinds come back as they were."""
        from neurokit_snn.artefact import load

        again = load(decoder.save(tmp_path / "fit.nk"))
        xr.testing.assert_identical(decoder.predict(test, task="decode"), again.predict(test, task="decode"))


def flickering(*, trials: int, seed: int, channel: bool = False) -> xr.Dataset:
    """Units that fire when a patch of the screen is bright; brightness is drawn anew in every bin."""
    rng = np.random.default_rng(seed)
    data = place_cells(trials=trials, bins=20, units=3, seed=seed)
    shape = (trials, 20, 2, 2)
    patches = rng.integers(0, 2, size=shape)
    frames = np.kron(patches, np.ones((1, 1, 3, 3))) + 0.1 * rng.standard_normal((trials, 20, 6, 6))
    drive = patches.reshape(trials, 20, 4)[..., :3]
    mask = data["mask"].values
    data["counts"] = data["counts"].copy(
        data=np.where(mask, rng.poisson(0.05 + 1.5 * drive), 0).astype(np.int32)
    )
    dims = ("trial", "time", "y", "x")
    data["stimulus_screen"] = (dims, frames, {"units": ""})
    if channel:
        data["stimulus_screen"] = data["stimulus_screen"].expand_dims(channel=2, axis=-1).copy()
    data["mask_stimulus_screen"] = (("trial", "time"), mask.any(-1))
    return data


class TestFrames:
    """Stimuli as frames."""

    OPTIONS = TINY | {"window": 0.1, "steps": 150, "dropout": 0.0, "frame_past": 0.1, "kernel": (2, 3, 3)}

    @pytest.fixture(scope="class")
    @classmethod
    def viewer(cls) -> Neuroformer:
        return Neuroformer(covariates=("stimulus_screen",), **cls.OPTIONS).fit(
            flickering(trials=40, seed=0), seed=1
        )

    @pytest.mark.slow
    def test_frames_inform(self) -> None:
        """With frames, spikes of other trials are likelier than without, by a good part of what there is to know."""
        train, test = flickering(trials=40, seed=0), flickering(trials=10, seed=1)
        viewer, blind = (
            Neuroformer(covariates=read, **(self.OPTIONS | {"steps": 600})).fit(train, seed=1)
            for read in (("stimulus_screen",), ())
        )
        n_bins = int(test["mask"].any("unit").sum())
        shuffled = test.assign(
            stimulus_screen=test["stimulus_screen"].copy(data=test["stimulus_screen"].values[::-1])
        )
        asked = {"seen": (viewer, test), "unseen": (blind, test), "shuffled": (viewer, shuffled)}
        nll = {n: -float(m.log_likelihood(d, task="forecast").sum()) / n_bins for n, (m, d) in asked.items()}
        assert nll["seen"] < 0.85 * nll["unseen"], nll
        assert nll["shuffled"] > nll["unseen"], nll

    def test_later_frames_do_not_matter(self, viewer: Neuroformer) -> None:
        """Neither for windows before them nor for rates; frames of the window itself and just before it do."""
        test = flickering(trials=4, seed=1)
        later = test.copy(deep=True)
        later["stimulus_screen"].values[:, 10:] += 5.0
        before, after = (viewer.log_likelihood(d, task="forecast").values for d in (test, later))
        np.testing.assert_allclose(before[:, :10], after[:, :10], rtol=1e-5)
        assert not np.allclose(before[:, 10], after[:, 10], rtol=1e-2)
        rates = [viewer.predict(d, task="forecast")["rate"].values for d in (test, later)]
        np.testing.assert_allclose(rates[0][:, :10], rates[1][:, :10], rtol=1e-4)
        made = [viewer.sample(d, seed=3)["counts"].values for d in (test, later)]
        np.testing.assert_array_equal(made[0][:, :10], made[1][:, :10])

    def test_frames_older_than_their_window_do_not_matter(self, viewer: Neuroformer) -> None:
        """One bin before the window is seen; and the convolution reaches no further than that."""
        test = flickering(trials=4, seed=1)
        test["mask"].values[...] = True
        earlier, just = test.copy(deep=True), test.copy(deep=True)
        earlier["stimulus_screen"].values[:, :9] += 5.0
        just["stimulus_screen"].values[:, 9] += 5.0
        before = viewer.log_likelihood(test, task="forecast").values[:, 10]
        np.testing.assert_allclose(
            viewer.log_likelihood(earlier, task="forecast").values[:, 10], before, rtol=1e-5
        )
        assert not np.allclose(viewer.log_likelihood(just, task="forecast").values[:, 10], before, rtol=1e-3)

    def test_masked_frames_do_not_matter(self, viewer: Neuroformer) -> None:
        """A frame that is masked is not read, nor are frames with missing pixels."""
        test = flickering(trials=4, seed=1)
        hidden, missing = test.copy(deep=True), test.copy(deep=True)
        for one, value in ((hidden, 99.0), (missing, np.nan)):
            one["stimulus_screen"].values[:, 4:8] = value
            one["mask_stimulus_screen"].values[:, 4:8] = value != value
        scores = [viewer.log_likelihood(d, task="forecast") for d in (hidden, missing)]
        xr.testing.assert_identical(*scores)
        assert np.isfinite(scores[0]).all()

    def test_channels(self) -> None:
        """Frames with colours, and a kernel larger than the frame."""
        data = flickering(trials=8, seed=2, channel=True)
        model = Neuroformer(
            covariates=("stimulus_screen", "position"), **(self.OPTIONS | {"steps": 3, "kernel": (2, 9, 9)})
        )
        model.fit(data)
        assert model.spec_.inputs[0].shape == (6, 6, 2)
        assert model.network_.modalities["stimulus_screen"].patches == 1
        assert np.isfinite(model.log_likelihood(data, task="forecast")).all()
        assert model.history() == pytest.approx(0.2)

    def test_contrast_of_three(self) -> None:
        """Spikes, frames and behaviour agree before they are fused better after training than before."""
        data = flickering(trials=20, seed=2)
        model = Neuroformer(
            covariates=("stimulus_screen", "position"),
            contrast=8,
            learn_temperature=True,
            **(self.OPTIONS | {"steps": 60}),
        )
        model.fit(data, seed=0)
        curve = model.history_.terms["contrast"]
        assert curve[-10:].mean() < curve[:5].mean()
        assert float(model.network_.log_temperature.detach().exp()) != pytest.approx(0.5, abs=1e-6)
        found = model.contrasted(data)
        assert list(found) == ["tokens", "stimulus_screen", "behavior_position"]
        assert dict(found.sizes) == {"trial": 20, "window": 20, "feature": 8}
        np.testing.assert_allclose((found["tokens"] ** 2).sum("feature"), 1.0, rtol=1e-5)
        one = model.contrasted(data.isel(trial=[7]))
        np.testing.assert_allclose(
            one["stimulus_screen"][0], found["stimulus_screen"][7], rtol=1e-4, atol=1e-5
        )

    def test_nothing_contrasted(self, viewer: Neuroformer) -> None:
        """Features of a model that was fitted without contrast are refused."""
        with pytest.raises(ModelError, match=r"contrasted: contrast is 0 .*fit with contrast"):
            viewer.contrasted(flickering(trials=4, seed=1))
