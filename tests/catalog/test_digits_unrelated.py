"""Digits that turn by a latent of their own: the spikes of the related recording, and nothing shared."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neurokit_snn.catalog.digits_multimodal import DigitsConfig, simulate
from neurokit_snn.catalog.moving_digits import latent_paths, turned
from simulations import digits_multimodal


def test_only_the_rotation_is_another() -> None:
    related = simulate(DigitsConfig(trials=3, bins=20, units=5))
    unrelated = simulate(DigitsConfig(trials=3, bins=20, units=5, related=False))
    xr.testing.assert_identical(unrelated["spikes"].to_dataset(), related["spikes"].to_dataset())
    xr.testing.assert_identical(
        unrelated["behavior/zoom"].to_dataset(), related["behavior/zoom"].to_dataset()
    )
    truth, was = unrelated["truth"], related["truth"]
    assert truth["latent"].values.tolist() == ["neural 0", "neural 1", "behavior 0", "behavior 1"]
    assert truth["block"].values.tolist() == ["neural", "neural", "behavior", "behavior"]
    np.testing.assert_array_equal(truth["latents"].values[..., [0, 1, 3]], was["latents"].values)
    turn = unrelated["behavior/rotation"]["value"].values
    np.testing.assert_allclose(turn, 1.15 * truth["latents"].values[..., 2].ravel())
    assert not np.array_equal(unrelated["stimulus/image"]["frames"], related["stimulus/image"]["frames"])
    assert truth.attrs["related"] == 0
    assert "related" not in was.attrs, "the catalog's recording is what it was"


def test_rotation_tells_nothing_of_the_rates() -> None:
    tree = simulate(DigitsConfig(trials=2000, bins=2, units=1, pixels=1, related=False))
    first = tree["truth"]["latents"].values[:, 0]
    assert np.abs(np.corrcoef(first.T) - np.eye(4)).max() < 0.1


def test_the_command_can_make_it(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    import neurokit_snn as nk

    out = tmp_path / "digits.nk"
    assert digits_multimodal.main(["--out", str(out), "--trials", "2", "--units", "3", "--unrelated"]) == 0
    assert nk.load(out)["truth"].attrs["related"] == 0
    assert "2 trials" in capsys.readouterr().out


def test_paths_have_unit_variance_whatever_the_length_scale() -> None:
    rng = np.random.default_rng(0)
    for length_scale in (0.5, 20.0):
        paths = latent_paths(np.arange(10.0), rng, trials=3000, latents=2, length_scale=length_scale)
        np.testing.assert_allclose(paths.var(0), 1.0, atol=0.12)


def test_a_quarter_turn_and_half_the_size() -> None:
    image = np.zeros((8, 8))
    image[3:5, 6] = 1.0
    quarter, half = turned(image, np.array([np.pi / 2, 0.0]), np.array([1.0, 0.5]), pixels=8)
    np.testing.assert_allclose(quarter, np.rot90(image, -1), atol=1e-6)  # from the right to the bottom
    line = np.arange(8) - 3.5
    assert half.sum(0) @ line / half.sum() == pytest.approx(1.5, abs=0.3)
