"""The published simulation: rates and frames follow its latents, and unrelated images have nothing to do with the spikes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import neurokit_snn as nk
from neurokit_snn.errors import CatalogError, ConfigError
from neurokit_snn.testing import assert_recordings_equal
from simulations.mm_gpvae_digits import MMGPVAEDigitsConfig, main, simulate

SMALL = MMGPVAEDigitsConfig(trials=4, bins=15, units=6)


@pytest.fixture(scope="module")
def strokes() -> np.ndarray:
    """Three made digits: a stroke to the right of the centre, brighter in each."""
    images = np.zeros((3, 28, 28))
    images[:, 13:15, 18:24] = np.array([0.4, 0.7, 1.0])[:, None, None]
    return images


def _mnist_or_skip() -> None:
    folder = Path(os.environ.get("NEUROKIT_DATA", "")) / "mnist"
    if not os.environ.get("NEUROKIT_DATA") or not folder.is_dir():
        pytest.skip("NEUROKIT_DATA holds no folder mnist")


def test_recording_is_valid_and_the_same_for_a_seed(strokes: np.ndarray) -> None:
    tree = simulate(SMALL, exemplars=strokes)
    nk.recording.validate(tree)
    assert_recordings_equal(tree, simulate(SMALL, exemplars=strokes))
    other = simulate(MMGPVAEDigitsConfig(trials=4, bins=15, units=6, seed=1), exemplars=strokes)
    assert not np.array_equal(other["truth"]["latents"], tree["truth"]["latents"])


def test_latents_have_the_published_moments_and_kernel() -> None:
    config = MMGPVAEDigitsConfig(trials=3000, bins=20, units=1, pixels=1)
    truth = simulate(config, exemplars=np.ones((1, 4, 4)))["truth"]
    latents = truth["latents"].values
    assert (
        truth["block"].values.tolist() == truth["latent"].values.tolist() == ["shared", "neural", "behavior"]
    )
    np.testing.assert_allclose(latents.mean((0, 1)), [0.0, 0.0, 1.0], atol=0.05)
    centred = latents - [0.0, 0.0, 1.0]
    lags = np.arange(20) / 10.0
    for index, variance in enumerate([0.3, 0.5, 0.8]):
        found = (centred[:, :1, index] * centred[..., index]).mean(0)
        np.testing.assert_allclose(found, variance * np.exp(-0.5 * lags**2), atol=0.1 * variance)


def test_rates_are_the_published_function_of_the_latents_and_make_the_spikes(strokes: np.ndarray) -> None:
    config = MMGPVAEDigitsConfig(trials=40, bins=30, units=20, pixels=2)
    tree = simulate(config, exemplars=strokes)
    truth = tree["truth"]
    log_count = np.einsum("rbl,ul->rbu", truth["latents"].values[..., :2], truth["loading"].values)
    expected = np.exp(log_count + truth["offset"].values)
    np.testing.assert_allclose(truth["rate"].values * config.bin_width, expected, rtol=1e-12)
    assert np.abs(truth["loading"]).max() <= 1.5
    assert np.abs(truth["offset"]).max() <= 0.5
    data = nk.recording.bin_trials(tree, config.bin_width)
    n = expected.sum((0, 1))
    assert np.abs((data["counts"].values.sum((0, 1)) - n) / np.sqrt(n)).max() < 4.0
    turn = 2 * np.pi / 3 * truth["latents"].values[..., 0]
    np.testing.assert_allclose(data["behavior_rotation"], turn, atol=1e-9)
    np.testing.assert_allclose(data["behavior_zoom"], np.abs(truth["latents"].values[..., 2]), atol=1e-9)


def test_frames_are_turned_zoomed_and_of_another_exemplar_each(strokes: np.ndarray) -> None:
    tree = simulate(SMALL, exemplars=strokes)
    frames = tree["stimulus/image"]["frames"].values.astype(float)
    angle = tree["behavior/rotation"]["value"].values
    zoom = tree["behavior/zoom"]["value"].values
    shown = tree["truth"]["exemplar"].values.ravel()
    np.testing.assert_array_equal(shown, np.arange(60) % 3)
    line = np.arange(36) - 17.5
    mass = frames.sum((1, 2))
    seen = (zoom > 0.5) & (zoom < 1.4)
    assert seen.sum() > 20
    x = (frames.sum(1) @ line / np.where(mass > 0, mass, 1.0))[seen]
    y = (frames.sum(2) @ line / np.where(mass > 0, mass, 1.0))[seen]
    # The stroke lies 7 pixels to the right of the centre: turned, it points along (cos, sin), zoomed that far away.
    np.testing.assert_allclose(x, 7.0 * zoom[seen] * np.cos(angle[seen]), atol=0.4)
    np.testing.assert_allclose(y, 7.0 * zoom[seen] * np.sin(angle[seen]), atol=0.4)
    light = mass[seen] / zoom[seen] ** 2
    for k, brightness in enumerate([0.4, 0.7, 1.0]):
        assert np.median(light[shown[seen] == k]) == pytest.approx(12 * brightness, rel=0.1)
    one = simulate(MMGPVAEDigitsConfig(trials=4, bins=15, units=6, exemplar="one"), exemplars=strokes)
    assert (one["truth"]["exemplar"] == 0).all()
    assert float(one["stimulus/image"]["frames"].max()) <= 0.4 + 1e-6


def test_exponential_zoom_keeps_the_sign_of_its_latent(strokes: np.ndarray) -> None:
    config = MMGPVAEDigitsConfig(trials=4, bins=15, units=6, zoom="exp")
    tree = simulate(config, exemplars=strokes)
    s = (tree["truth"]["latents"].values[..., 2].ravel() - 1.0) / np.sqrt(0.8)
    np.testing.assert_allclose(np.log(tree["behavior/zoom"]["value"]), 0.4 * s, atol=1e-12)


def test_unrelated_images_leave_the_spikes_as_they_are(strokes: np.ndarray) -> None:
    related = simulate(SMALL, exemplars=strokes)
    unrelated = simulate(
        MMGPVAEDigitsConfig(trials=4, bins=15, units=6, images="unrelated"), exemplars=strokes
    )
    xr.testing.assert_identical(unrelated["spikes"].to_dataset(), related["spikes"].to_dataset())
    truth = unrelated["truth"]
    assert truth["latent"].values.tolist() == ["neural 0", "neural 1", "behavior 0", "behavior 1"]
    assert truth["block"].values.tolist() == ["neural", "neural", "behavior", "behavior"]
    np.testing.assert_array_equal(
        truth["latents"].values[..., :2], related["truth"]["latents"].values[..., :2]
    )
    turn = unrelated["behavior/rotation"]["value"].values
    np.testing.assert_allclose(turn, 2 * np.pi / 3 * truth["latents"].values[..., 2].ravel())
    assert not np.array_equal(unrelated["stimulus/image"]["frames"], related["stimulus/image"]["frames"])


def test_unrelated_rotation_is_independent_of_the_units_latents() -> None:
    config = MMGPVAEDigitsConfig(trials=2000, bins=2, units=1, pixels=1, images="unrelated")
    truth = simulate(config, exemplars=np.ones((1, 4, 4)))["truth"]
    correlation = np.corrcoef(truth["latents"].values[:, 0].T)
    assert np.abs(correlation - np.eye(4)).max() < 0.1
    np.testing.assert_allclose(truth["latents"].values[:, 0].var(0), [0.3, 0.5, 0.3, 0.8], rtol=0.15)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"trials": 0}, r"MMGPVAEDigitsConfig\.trials is 0"),
        ({"zoom": "log"}, r"MMGPVAEDigitsConfig\.zoom is 'log'; choose abs or exp"),
        ({"shared_variance": 0.0}, r"shared_variance is 0\.0"),
        ({"noise": -1.0}, r"noise is -1\.0"),
        ({"digit": 10}, "digit is 10"),
    ],
)
def test_config_names_the_field_that_is_wrong(changed: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        MMGPVAEDigitsConfig(**changed)  # type: ignore[arg-type]


def test_exemplars_must_be_square() -> None:
    with pytest.raises(ConfigError, match=r"shape \(28, 28\); give square images"):
        simulate(SMALL, exemplars=np.ones((28, 28)))


def test_without_mnist_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise CatalogError(f"{name}: no network")

    monkeypatch.setattr(nk.catalog, "open", absent)
    with pytest.raises(CatalogError, match="the digits of MNIST are not to be had: mnist: no network"):
        simulate(SMALL)


def test_the_command_shows_threes_of_mnist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _mnist_or_skip()
    out = tmp_path / "made" / "digits.nk"
    words = ["--out", str(out), "--trials", "2", "--units", "5", "--zoom", "exp"]
    assert main(words) == 0
    assert "2 trials, 5 units" in capsys.readouterr().out
    tree = nk.load(out)
    frames = tree["stimulus/image"]["frames"]
    assert frames.shape == (120, 36, 36)
    assert (tree["truth"].attrs["zoom"], tree["truth"].attrs["digit"]) == ("exp", 3)
    assert 0.05 < float(frames.mean()) < 0.2
    assert len(np.unique(tree["truth"]["exemplar"])) == 120
    with pytest.raises(nk.errors.ArtefactError):
        main(words)
