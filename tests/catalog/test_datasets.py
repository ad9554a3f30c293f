"""The datasets themselves: what the cards say is what opens."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from neurokit_snn import catalog, recording
from neurokit_snn.catalog.digits_multimodal import DigitsConfig, simulate
from neurokit_snn.catalog.linear_track import OBSERVED, read_origin, read_prepared
from neurokit_snn.catalog.mnist import read_pngs
from neurokit_snn.errors import CatalogError, ConfigError
from neurokit_snn.testing import assert_recordings_equal

ROOT = Path(__file__).parents[2]


def _folder(name: str) -> Path:
    folder = Path(os.environ.get("NEUROKIT_DATA", "")) / name
    if not os.environ.get("NEUROKIT_DATA") or not folder.is_dir():
        pytest.skip(f"NEUROKIT_DATA holds no folder {name}")
    return folder


def test_linear_track_is_the_same_from_both_forms() -> None:
    files = {file.name: file for file in _folder("hippocampus_linear_track").iterdir()}
    assert_recordings_equal(read_origin(files), read_prepared(files))


def test_linear_track_is_what_its_card_says() -> None:
    _folder("hippocampus_linear_track")
    tree = catalog.open("linear-track")
    recording.validate(tree)
    assert tree["units"].sizes["unit"] == 31
    assert tree["spikes"].sizes["spike"] == 28_829
    position = tree["behavior/position"]
    assert position["value"].shape == (118_964, 2), "118,965 frames, one of them stored twice"
    assert position["value"].attrs["units"] == "px"
    assert set(tree["epochs"].children) == {"run", "rest"}
    data = recording.bin(tree, 1.0, start=6360.0, stop=6370.0, behavior=False)
    assert data["mask"].values[0, :, 0].tolist() == [k + 6361.0 <= OBSERVED[1] for k in range(10)]


def test_songbird_is_what_its_card_says() -> None:
    _folder("songbird_hvc")
    tree = catalog.open("songbird-hvc")
    recording.validate(tree)
    assert tree["calcium"]["fluorescence"].shape == (666, 75)
    assert tree["behavior/song"]["value"].shape == (4440, 141)
    assert tree["spikes"].sizes["spike"] == 3336
    # Events and traces share clock and units: an event is a frame in which the trace is above zero.
    data = recording.bin(tree, 1 / 30, start=0.5 / 30, stop=666.5 / 30, behavior=False)
    np.testing.assert_array_equal(data["counts"].values > 0, data["calcium"].values > 0)


def test_mnist_is_what_its_card_says() -> None:
    _folder("mnist")
    data = catalog.open("mnist")
    assert isinstance(data, xr.Dataset)
    assert data["image"].shape == (70_000, 28, 28)
    assert data["label"].values[:5].tolist() == [5, 0, 4, 1, 9]
    test = data["label"].values[data["split"].values == "test"]
    assert np.bincount(test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_pngs_of_an_archive_come_back_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5, 28, 28), dtype=np.uint8)
    labels, split = [7, 0, 7, 3, 1], ["train"] * 3 + ["test"] * 2
    archive = tmp_path / "mnist-pngs.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for i in (3, 0, 4, 2, 1):
            Image.fromarray(images[i]).save(tmp_path / "one.png")
            out.write(tmp_path / "one.png", f"mnist-pngs-abc/{split[i]}/{labels[i]}/{i}.png")
    found, found_labels, n_train = read_pngs(archive)
    np.testing.assert_array_equal(found, images)
    assert found_labels.tolist() == labels
    assert n_train == 3


def test_a_gap_in_the_archive_is_named(tmp_path: Path) -> None:
    archive = tmp_path / "mnist-pngs.zip"
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("train/0/0.png", b"")
        out.writestr("train/0/2.png", b"")
    with pytest.raises(CatalogError, match="image 1 is missing among 2 PNG files"):
        read_pngs(archive)


def test_digits_are_bit_identical_for_a_seed_and_differ_between_seeds() -> None:
    small = DigitsConfig(trials=3, bins=20, units=5)
    assert_recordings_equal(simulate(small), simulate(small))
    other = simulate(DigitsConfig(trials=3, bins=20, units=5, seed=1))
    assert other["spikes"].sizes != simulate(small)["spikes"].sizes


def test_digits_spikes_follow_the_true_rates() -> None:
    config = DigitsConfig(trials=60, units=10)
    tree = simulate(config)
    recording.validate(tree)
    data = recording.bin_trials(tree, config.bin_width, stimulus=True)
    assert bool(data["mask"].all())
    expected = tree["truth"]["rate"].values * config.bin_width
    n = expected.sum((0, 1))
    z = (data["counts"].values.sum((0, 1)) - n) / np.sqrt(n)
    assert np.abs(z).max() < 4.0
    np.testing.assert_allclose(
        data["behavior_rotation"].values, config.rotation * tree["truth"]["latents"].values[..., 0], atol=1e-9
    )
    assert data["stimulus_image"].shape == (60, 60, 12, 12)


def test_digits_latents_have_the_kernel() -> None:
    config = DigitsConfig(trials=4000, bins=20, units=1, pixels=1)
    latents = simulate(config)["truth"]["latents"].values
    lags = np.arange(20) * config.bin_width
    expected = np.exp(-0.5 * (lags / config.length_scale) ** 2)
    found = np.einsum("rp,rtp->tp", latents[:, 0], latents) / config.trials
    assert np.abs(found - expected[:, None]).max() < 0.1


def test_config_names_the_field_that_is_wrong() -> None:
    with pytest.raises(ConfigError, match=r"DigitsConfig\.trials is 0"):
        DigitsConfig(trials=0)
    with pytest.raises(ConfigError, match=r"DigitsConfig\.digit is 11"):
        DigitsConfig(digit=11)


def test_every_dataset_has_a_card() -> None:
    for entry in catalog.list():
        card = ROOT / "datasets" / entry.name / "card.md"
        assert card.is_file(), entry.name
        text = card.read_text()
        for heading in ("Origin", "Licence", "Citation", "Contents"):
            assert f"## {heading}" in text, (entry.name, heading)
