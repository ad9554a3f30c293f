"""The claims of the MM-GPVAE figure, on made numbers; its simulations; and one step of the whole."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

from paper_figures import _mm_gpvae_models, mm_gpvae
from paper_figures._mm_gpvae_experiments import Setting, ceiling, simulated
from paper_figures.harness import Run

ISSUE = {"lengthscale", "latents", "coverage", "unshared", "smoother", "missing", "digits"}
TRUE = ["shared 0", "neural 0", "behavior 0"]


@pytest.fixture
def run(tmp_path):
    return Run("mm_gpvae", "small", 0, False, tmp_path)


def made_fit(
    shared=0.9,
    neural=0.8,
    behavior=0.85,
    masked=0.8,
    seconds=1.0,
    norm=((1.0, 0.5, 0.0), (0.0, 0.6, 1.0)),
    leak=0.02,
):
    """What `fitted` returns, of chosen numbers."""
    table = np.full((3, 3), leak)
    np.fill_diagonal(table, [neural, shared, behavior])
    return xr.Dataset(
        {
            "r2": ("true_latent", [shared, neural, behavior]),
            "r2_masked": ("true_latent", [masked, neural, 0.0]),
            "loading_norm": (("modality", "latent"), np.array(norm)),
            "leak": (("from_block", "of_block"), table),
            "seconds": seconds,
        },
        coords={
            "true_latent": TRUE,
            "from_block": ["neural", "shared", "behavior"],
            "of_block": ["neural", "shared", "behavior"],
            "block": ("latent", ["neural", "shared", "behavior"]),
        },
    )


@pytest.fixture
def fits(monkeypatch):
    """Fits by a function of setting and model."""

    def install(answer):
        monkeypatch.setattr(_mm_gpvae_models, "fitted", lambda run, setting, arm: answer(setting, arm))

    return install


class TestClaims:
    def test_every_row_of_the_issue_is_there(self):
        assert {name.split(".")[0] for name in mm_gpvae.FIGURE.claims} == ISSUE

    def test_multi_modal_has_to_win_beyond_doubt(self, run, fits):
        fits(lambda setting, arm: made_fit(shared=0.9 if arm["shared"] else 0.85 - 0.001 * setting.seed))
        claim = mm_gpvae.FIGURE.claims["latents.shared"](run)
        assert (claim.holds, claim.n_seeds) == (True, 10)
        assert claim.value == pytest.approx(0.05 + 0.001 * 4.5)
        fits(lambda setting, arm: made_fit(shared=0.9 if arm["shared"] else 0.85 + 0.1 * (setting.seed % 2)))
        assert not mm_gpvae.FIGURE.claims["latents.shared"](run).holds

    def test_the_worst_leak_is_off_the_diagonal(self, run, fits):
        fits(lambda setting, arm: made_fit(leak=0.07))
        assert mm_gpvae.FIGURE.claims["latents.leakage"](run).value == pytest.approx(0.07)
        fits(lambda setting, arm: made_fit(leak=0.2))
        assert not mm_gpvae.FIGURE.claims["latents.leakage"](run).holds

    def test_a_shared_latent_that_one_modality_keeps_for_itself_claims_nothing(self, run, fits):
        alone = ((1.0, 0.9, 0.0), (0.0, 0.05, 1.0))
        fits(
            lambda setting, arm: made_fit(
                norm=((1.0, 0.5, 0.0), (0.0, 0.6, 1.0)) if setting.related else alone
            )
        )
        assert mm_gpvae.FIGURE.claims["unshared"](run).value == 0.0
        fits(lambda setting, arm: made_fit())
        claim = mm_gpvae.FIGURE.claims["unshared"](run)
        assert (claim.value, claim.holds) == (1.0, False)

    def test_pruned_means_small_in_every_modality(self):
        norm = ((1.0, 0.05, 0.0, 0.09), (0.0, 0.6, 1.0, 0.05))
        names = {"block": ("latent", ["neural", "shared", "behavior", "behavior"])}
        found = xr.Dataset({"loading_norm": (("modality", "latent"), np.array(norm))}, coords=names)
        assert mm_gpvae.pruned(found) == 1

    def test_seconds_count_only_where_the_accuracy_of_the_other_is_reached(self, run, fits):
        def answer(setting, arm):
            if arm.get("posterior") == "time":
                return made_fit(shared=0.7, neural=0.7, behavior=0.7, seconds=30.0)
            good = 0.6 if arm["steps"] < max(mm_gpvae.SHORT) else 0.9
            return made_fit(shared=good, neural=good, behavior=good, seconds=arm["steps"] / 100)

        fits(answer)
        claim = mm_gpvae.FIGURE.claims["smoother.seconds_time"](run)
        assert claim.value == pytest.approx(30.0 / (max(mm_gpvae.SHORT) / 100))
        fits(lambda setting, arm: made_fit(shared=0.7 if arm.get("posterior") else 0.1))
        assert mm_gpvae.FIGURE.claims["smoother.seconds_time"](run).value == 0.0

    def test_fewer_units_may_not_do_better(self, run, fits):
        fits(lambda setting, arm: made_fit(shared={1: 0.3, 5: 0.6, 20: 0.58, 50: 0.9}[setting.used]))
        claim = mm_gpvae.FIGURE.claims["missing.neurons"](run)
        assert (claim.value, claim.holds, claim.n_seeds) == (pytest.approx(-0.02), True, 5)
        fits(lambda setting, arm: made_fit(shared=0.9 - 0.01 * setting.used))
        assert not mm_gpvae.FIGURE.claims["missing.neurons"](run).holds

    def test_one_unit_has_no_latent_of_its_own(self, run, fits):
        seen = {}

        def answer(setting, arm):
            seen[setting.used] = arm["neural"]
            return made_fit()

        fits(answer)
        mm_gpvae.FIGURE.claims["missing.neurons"](run)
        assert seen == {1: 0, 5: 1, 20: 1, 50: 1}

    def test_the_average_of_two_models(self):
        truth = np.array([[0.0, 1.0, 2.0, -3.0]])

        def one(estimate):
            dims = ("trial", "time", "true_latent")
            parts = {"truth": (dims, truth[..., None]), "mean": (dims, estimate[..., None])}
            return xr.Dataset(parts, coords={"true_latent": ["shared 0"]})

        assert mm_gpvae.averaged(one(truth + 1.0), one(truth - 1.0), "shared 0") == pytest.approx(1.0)
        assert mm_gpvae.averaged(one(truth), one(0.0 * truth), "shared 0") == pytest.approx(0.75)


class TestSimulations:
    def test_fewer_units_are_the_first_ones_and_nothing_else_changes(self):
        small = Setting(seed=1, train=3, test=2, bins=12, units=6)
        whole, part = simulated(small), simulated(Setting(**{**vars(small), "used": 2}))
        np.testing.assert_array_equal(whole.data["counts"].isel(unit=slice(0, 2)), part.data["counts"])
        np.testing.assert_array_equal(whole.truth, part.truth)
        assert part.rate.sizes["unit"] == part.parameters.sizes["unit"] == 2

    def test_clean_frames_are_the_noisy_ones_without_their_noise(self):
        world = simulated(Setting(seed=1, train=8, test=2, bins=12, units=3, noise=0.3))
        noise = (world.data["stimulus_image"] - world.clean).values
        assert noise.std() == pytest.approx(0.3, rel=0.05)
        assert abs(noise.mean()) < 0.02

    def test_the_published_sizes_need_no_download_at_small_scale(self, monkeypatch):
        monkeypatch.delenv("NEUROKIT_DATA", raising=False)
        world = simulated(
            Setting(seed=0, train=2, test=1, bins=60, units=100, pixels=36, noise=0.0, published="small")
        )
        assert world.data["stimulus_image"].shape == (3, 60, 36, 36)
        assert world.data["counts"].shape == (3, 60, 100)
        np.testing.assert_array_equal(world.data["stimulus_image"], world.clean)

    def test_true_loadings_find_the_latents_that_units_see(self, run):
        found = ceiling(run, Setting(seed=0, train=10, test=10, bins=40, units=20, mean_count=1.0))
        assert found["true_latent"].values.tolist() == ["shared 0", "neural 0"]
        assert (found["r2"] > 0.85).all()


@pytest.mark.slow
def test_one_step_of_everything(tmp_path, capsys):
    assert mm_gpvae.main(["--dry-run", "--out", str(tmp_path)]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [claim["id"] for claim in said["claims"]] == list(mm_gpvae.FIGURE.claims)
    assert (tmp_path / "mm_gpvae.png").stat().st_size > 50_000


def test_one_step_of_a_claim(tmp_path, capsys):
    """Of the spikes alone, which compiles soonest; panels of what was not asked for stay empty."""
    assert mm_gpvae.main(["--claim", "lengthscale.from_30", "--dry-run", "--out", str(tmp_path)]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [claim["id"] for claim in said["claims"]] == ["lengthscale.from_30"]
    assert said["claims"][0]["value"] > 2.0, "one step cannot bring 30 bins down to 8"
    assert (tmp_path / "mm_gpvae.png").stat().st_size > 20_000
    assert (tmp_path / "mm_gpvae.csv").read_text().count("from 30,latent") == 2
