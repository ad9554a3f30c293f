"""Parameters from presets, TOML and the published YAML."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

pytest.importorskip("torch")

import torch

from neurokit_snn.errors import ConfigError, ModelError
from neurokit_snn.models.neuroformer.config import PRESETS, resolved
from neurokit_snn.models.neuroformer.model import Neuroformer
from neurokit_snn.testing.place_cells import place_cells

TOML = """
preset = "paper"
window = 0.2
past = 1
covariates = ["speed", "position"]
outputs = []
binary = true
ordered = true
embed = 48
heads = 3
temporal = "sinusoid"
kernel = [2, 4, 4]
contrast = 0
epochs = 2.5
batch_size = 32
learning_rate = 0.001
max_tokens = 50

[layers]
state = 2
joint = 1

[dropout]
residual = 0.3
"""

BEHAVIOUR_YAML = """
dropout: {attn: 0.1, embd: 0.15, pos: 0.2, resid: 0.25, temp: 0.05, b: 0.35, id: 0.1, im: 0.1}
block_size: {behavior: 15, frame: 446, id: 60, prev_id: 302}
layers: {state_history: 2, state: 1, stimulus: 3, behavior: 6, self_att: 4, modalities: {n_behavior: 25}}
window: {frame: 0.5, curr: 0.2, prev: 0.4, speed: 0.2}
modalities:
  behavior:
    n_layers: 2
    variables:
      speed: {data: speed, dt: 0.05, objective: regression, predict: false}
      position: {data: position, dt: 0.05, objective: regression, predict: true}
    window: 0.2
  pose:
    n_layers: 1
    variables:
      direction: {data: direction, dt: 0.05, objective: classification, predict: false}
    window: 0.3
predict: null
frame_encoder: {conv_layer: true, kernel_size: [3, 5, 7], n_embd: 32}
contrastive: {contrastive: true, vars: [id, frames, {behavior: speed}], clip_embd: 24, clip_temp: 0.3}
resolution: {dt: 0.1, frames: 0.1}
mlp_only: false
n_head: 4
n_embd: 32
pos_emb: true
temp_emb: true
"""

STIMULUS_YAML = """
dropout: {attn: 0.2, resid: 0.2, embd: 0.2}
block_size: {frame: 446, id: 100, prev_id: 100}
layers: {state_history: 6, state: 6, stimulus: 6, behavior: 0, self_att: 6}
window: {frame: 0.2, curr: 0.05, prev: 0.15}
frame_encoder: {conv_layer: true, kernel_size: [3, 8, 8], stride_size: [3, 4, 4], n_embd: 256}
contrastive: {contrastive: false, vars: [id, frames], clip_embd: 1024, clip_temp: 0.5}
resolution: {dt: 0.01}
n_head: 8
n_embd: 256
wave_emb: true
"""


@pytest.fixture(scope="module")
def trials() -> xr.Dataset:
    """A few short trials."""
    return place_cells(trials=6, bins=12, units=4, gain=10.0)


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


class TestPresets:
    """What stands where nothing is given."""

    def test_paper_has_the_published_sizes(self) -> None:
        """Antoniades et al. (2024), and their code for what the paper does not say."""
        paper = PRESETS["paper"]
        assert (paper.embed, paper.heads) == (256, 8)
        assert dataclasses.astuple(paper.layers) == (
            6,
            6,
            6,
            4,
            6,
        )  # state, history, stimulus, behaviour, joint
        assert dataclasses.astuple(paper.dropout) == (0.2, 0.2, 0.2)
        assert (paper.learning_rate, paper.weight_decay, paper.batch_size) == (1e-4, 1.0, 160)
        assert (paper.epochs, paper.warmup_tokens) == (250, 8e7)
        assert (paper.window, paper.past) == (0.05, 0.15)
        assert (paper.temperature, paper.learn_temperature) == (0.5, False)
        assert (paper.contrast, paper.temporal, paper.hidden, paper.ordered) == (512, "perceptron", 2, False)

    def test_paper_trains(self, trials: xr.Dataset) -> None:
        """One step of the published network, on windows of the data's bins; its loss is that of guessing."""
        model = Neuroformer(
            preset="paper",
            window=0.2,
            past=0.3,
            covariates=("position",),
            steps=1,
            batch_size=16,
            warmup_tokens=1.0,
        )
        model.fit(trials, seed=0)
        assert model.spec_.embed == 256
        assert [len(getattr(model.network_, n)) for n in ("state", "history", "joint")] == [6, 6, 6]
        assert len(model.network_.fusion["behavior_position"]) == 4
        assert model.spec_.max_tokens == 98
        terms = model.history_.terms
        assert set(terms) == {"id", "dt", "contrast"}
        assert float(terms["id"][0]) == pytest.approx(np.log(5), abs=0.5)  # four units and the end
        assert float(terms["dt"][0]) == pytest.approx(np.log(2), abs=0.5)
        expected = 0.75 * (0.6 * terms["id"] + 0.4 * terms["dt"]) + 0.25 * terms["contrast"]
        np.testing.assert_allclose(model.history_.loss, expected, rtol=1e-5)
        assert np.isfinite(model.log_likelihood(trials, task="forecast")).all()

    def test_epochs_and_steps(self) -> None:
        """Steps that are given take the place of the preset's epochs; epochs of its steps."""
        assert resolved("paper", {"steps": 3}).epochs is None
        assert resolved("paper", {"epochs": 2.0}).epochs == 2.0
        assert resolved("small", {"epochs": 2.0}).epochs == 2.0

    def test_epochs_are_passes_over_windows_side_by_side(self, trials: xr.Dataset) -> None:
        """6 trials of 3 windows, 3 passes, 6 windows a step."""
        model = Neuroformer(
            window=0.4, past=0.4, covariates=(), embed=16, heads=2, epochs=3.0, batch_size=6, validation=0.0
        )
        assert model.fit(trials).history_.loss.size == 9


class TestToml:
    """`Neuroformer.from_toml`."""

    def test_round_trip(self, tmp_path: Path) -> None:
        """Every key arrives, in the type it should have."""
        model = Neuroformer.from_toml(written(tmp_path, "nf.toml", TOML))
        config = model._config()
        assert model.preset == "paper"
        assert (config.window, config.past) == (0.2, 1.0)
        assert isinstance(config.past, float)
        assert config.covariates == ("speed", "position")
        assert config.outputs == ()
        assert config.binary is True
        assert config.kernel == (2, 4, 4)
        assert dataclasses.astuple(config.layers) == (2, 6, 6, 4, 1)
        assert dataclasses.astuple(config.dropout) == (0.2, 0.3, 0.2)
        for name in (
            "embed",
            "heads",
            "temporal",
            "epochs",
            "batch_size",
            "learning_rate",
            "max_tokens",
            "contrast",
        ):
            assert f"{name} = " in TOML
            assert getattr(config, name) == getattr(model, name)

    def test_it_fits(self, trials: xr.Dataset, tmp_path: Path) -> None:
        """As a model made by hand does."""
        text = 'window = 0.4\npast = 0.4\ncovariates = ["position"]\nembed = 16\nheads = 2\nsteps = 3\nlayers = 1\n'
        one = Neuroformer.from_toml(written(tmp_path, "nf.toml", text)).fit(trials, seed=1)
        other = Neuroformer(
            window=0.4, past=0.4, covariates=("position",), embed=16, heads=2, steps=3, layers=1
        )
        np.testing.assert_array_equal(one.history_.loss, other.fit(trials, seed=1).history_.loss)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("embd = 3", "unknown key 'embd'; did you mean 'embed'"),
            ("embed = 'wide'", "embed must be a whole number, it is 'wide'"),
            ("binary = 1", "binary must be true or false, it is 1"),
            ("covariates = 'speed'", "covariates must be"),
            ("embed = ", "not a TOML file"),
        ],
    )
    def test_refused(self, tmp_path: Path, text: str, words: str) -> None:
        """The file, the key and what it should be are named."""
        path = written(tmp_path, "bad.toml", text)
        with pytest.raises(ConfigError, match=words) as told:
            Neuroformer.from_toml(path)
        assert str(path) in str(told.value)

    def test_unknown_places(self, trials: xr.Dataset, tmp_path: Path) -> None:
        """A preset or a place of layers that there is not is told at the fit."""
        for text, words in (
            ("preset = 'huge'", "preset is 'huge'"),
            ("[layers]\nmiddle = 2", "layers names 'middle'"),
        ):
            with pytest.raises(ModelError, match=words):
                Neuroformer.from_toml(written(tmp_path, "nf.toml", text)).fit(trials)

    def test_missing(self, tmp_path: Path) -> None:
        """A file that is not there."""
        with pytest.raises(ConfigError, match=r"none\.toml: cannot be read"):
            Neuroformer.from_toml(tmp_path / "none.toml")


class TestPublishedYaml:
    """`Neuroformer.from_published_yaml`, on files with the published keys."""

    def test_behaviours(self, trials: xr.Dataset, tmp_path: Path) -> None:
        """Sizes of the network are those of the file, inputs and outputs as its ``predict`` says."""
        path = written(tmp_path, "mconf.yaml", BEHAVIOUR_YAML)
        with pytest.warns(UserWarning, match="not read: ") as told:
            model = Neuroformer.from_published_yaml(path)
        text = str(told[0].message)
        for key in (
            "block_size.frame",
            "layers.modalities.n_behavior",
            "resolution.dt",
            "contrastive.vars",
            "mlp_only",
        ):
            assert key in text
        for key in (" n_embd", "window.curr", " modalities.", "layers.state", "contrastive.clip", "temp_emb"):
            assert key not in text
        model.set_params(steps=1, batch_size=8, warmup_tokens=1.0)
        model.fit(trials, seed=0)
        spec, network = model.spec_, model.network_
        assert (spec.embed, spec.heads) == (32, 4)
        assert (spec.window, spec.past) == (2, 4)
        assert (spec.max_tokens, spec.max_past_tokens) == (58, 300)
        assert [len(getattr(network, n)) for n in ("state", "history", "joint")] == [1, 2, 4]
        assert list(network.fusion) == ["behavior_speed", "direction"]
        assert [len(blocks) for blocks in network.fusion.values()] == [2, 2]  # the largest of the groups'
        assert [entry.bins for entry in spec.inputs] == [1, 1]  # 0.3 s that end with the window of 0.2 s
        assert list(network.output_heads) == ["behavior_position"]
        assert network.embedding.unit.weight.shape == (4 + 3, 32)
        assert network.projection.weight.shape == (24, 32)
        assert float(torch.exp(network.log_temperature)) == pytest.approx(0.3)
        assert not network.log_temperature.requires_grad
        assert dataclasses.astuple(spec.dropout) == (0.1, 0.25, 0.35)
        assert spec.kernel == (3, 5, 7)
        assert (spec.temporal, spec.ordered) == ("perceptron", False)
        assert model._config().frame_past == pytest.approx(0.3)

    def test_frames(self, tmp_path: Path) -> None:
        """Without modalities there is no behaviour among the inputs; frames are named by the user."""
        path = written(tmp_path, "mconf.yaml", STIMULUS_YAML)
        with pytest.warns(UserWarning, match="frame_encoder.stride_size"):
            model = Neuroformer.from_published_yaml(path)
        config = model._config()
        assert (config.covariates, config.outputs, config.contrast) == ((), (), 0)
        assert (config.window, config.past) == (0.05, 0.15)
        assert config.frame_past == pytest.approx(0.15)
        assert (config.max_tokens, config.max_past_tokens) == (98, 98)
        assert dataclasses.astuple(config.layers) == (6, 6, 6, 0, 6)
        assert config.kernel == (3, 8, 8)
        assert config.temporal == "sinusoid"
        assert config.learning_rate == 1e-4
        model.set_params(covariates=("stimulus_movie",))
        assert model._config().covariates == ("stimulus_movie",)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("n_embd: wide", "n_embd is 'wide'; it should be int"),
            ("layers: {state: 1.5}", "layers.state is 1.5; it should be int"),
            ("modalities: [speed]", "modalities is .*it should be dict"),
            ("- a\n- b", "holds no mapping"),
            ("a: [1", "not a YAML file"),
            ("!!python/object/apply:os.getcwd []", "not a YAML file"),
        ],
    )
    def test_refused(self, tmp_path: Path, text: str, words: str) -> None:
        """The file, the key and its value are named, and nothing in it is run."""
        path = written(tmp_path, "bad.yaml", text)
        with pytest.raises(ConfigError, match=words) as told:
            Neuroformer.from_published_yaml(path)
        assert str(path) in str(told.value)

    def test_missing(self, tmp_path: Path) -> None:
        """A file that is not there."""
        with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read"):
            Neuroformer.from_published_yaml(tmp_path / "none.yaml")
