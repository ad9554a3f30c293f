"""The model behind the protocol: the common suite, bad input, kill and resume."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

pytest.importorskip("numpyro")

from neurokit_snn import artefact
from neurokit_snn.errors import ModelError, NeurokitError
from neurokit_snn.models.mmgpvae.fourier import PriorWarning
from neurokit_snn.models.mmgpvae.model import MMGPVAE
from neurokit_snn.testing.model_suite import ModelSuite
from neurokit_snn.testing.place_cells import place_cells

QUICK = {
    "steps": 60,
    "batch_size": 8,
    "length_scale": 0.4,
    "length_scale_bounds": (0.2, 0.6),
    "hidden": (16,),
}


class TestSharedLatents(ModelSuite):
    """Neural and shared latents, position as behaviour."""

    target = "position"
    poisson = False
    unit_order = False  # the first loadings are rotated at random

    def make(self) -> MMGPVAE:
        return MMGPVAE(neural=1, shared=1, behavior=0, covariates=["position"], **QUICK)


@pytest.mark.slow
class TestNeuralOnly(ModelSuite):
    """Poisson GPFA."""

    poisson = True
    unit_order = False  # as above

    def make(self) -> MMGPVAE:
        return MMGPVAE(neural=2, shared=0, behavior=0, **QUICK)


@pytest.fixture(scope="module")
def trials() -> xr.Dataset:
    """Twelve short trials with position."""
    return place_cells()


def small(**changes: object) -> MMGPVAE:
    return MMGPVAE(
        **({"neural": 1, "shared": 1, "behavior": 0, "covariates": ["position"], **QUICK} | changes)
    )


class TestBadInput:
    """One line that names what is wrong."""

    def test_negative_counts(self, trials: xr.Dataset) -> None:
        """A negative count has no probability under a Poisson; the message says where it stands."""
        wrong = trials.copy(deep=True)
        wrong["counts"].values[2, 3, 1] = -1
        wrong["mask"].values[2, 3, 1] = True
        with pytest.raises(ModelError, match=r"trial 2, bin 3, unit 1 is -1"):
            small().fit(wrong)

    def test_counts_that_are_no_whole_numbers(self, trials: xr.Dataset) -> None:
        """Halves of spikes are refused and the Gaussian likelihood is named."""
        wrong = trials.copy(deep=True)
        wrong["counts"] = wrong["counts"] * 0.5
        with pytest.raises(NeurokitError, match="counts"):
            small().fit(wrong)

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"neural": 6}, "7 latents for 6 units"),
            ({"neural": 0, "shared": 0}, "all 0"),
            ({"neural": -1}, "neural is -1"),
            ({"steps": 0}, "steps is 0"),
            ({"likelihood": "binomial"}, "likelihood is 'binomial'; choose one of poisson"),
            ({"kernel": "cosine"}, "kernel is 'cosine'"),
            ({"fusion": "sum"}, "fusion is 'sum'"),
            ({"length_scale": 3.0}, "length_scale is 3.0 s with bounds"),
            ({"covariates": ["shoe"]}, "shoe"),
            ({"covariates": []}, "no behaviour"),
            ({"start_weight": 0.0}, "start_weight of behavior_position is 0"),
            ({"period": 20}, "period is 20 bins, shorter than the 30 bins"),
        ],
    )
    def test_parameters(self, trials: xr.Dataset, changes: dict[str, object], words: str) -> None:
        """Wrong hyperparameters are named with their value."""
        with pytest.raises(ModelError, match=words):
            small(**changes).fit(trials)

    @pytest.mark.slow
    def test_short_padding_warns(self, trials: xr.Dataset) -> None:
        """A period that ties the end of a trial to its beginning is said so."""
        with pytest.warns(PriorWarning, match="ties the last bin to the first"):
            small(period=32, steps=1).fit(trials)

    def test_constant_and_missing_behaviour(self, trials: xr.Dataset) -> None:
        """A behaviour that says nothing is refused."""
        flat = trials.copy(deep=True)
        flat["behavior_position"].values[...] = 3.0
        with pytest.raises(ModelError, match=r"behavior_position is constant \(3\)"):
            small().fit(flat)
        gone = trials.copy(deep=True)
        gone["mask_behavior_position"].values[...] = False
        with pytest.raises(ModelError, match="behavior_position is missing in every bin"):
            small().fit(gone)

    def test_nothing_observed(self, trials: xr.Dataset) -> None:
        """Counts that are masked throughout cannot be fitted."""
        gone = trials.copy(deep=True)
        gone["mask"].values[...] = False
        with pytest.raises(ModelError, match="counts is masked in every bin"):
            small().fit(gone)

    @pytest.mark.slow
    def test_not_finite(self, trials: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A fit that breaks stops with the step and the term, and the last good state is kept."""
        from neurokit_snn.models.mmgpvae import training

        monkeypatch.setitem(training.RATES, "neural", 1e30)
        training._compiled.cache_clear()
        with pytest.raises(ModelError, match=r"not finite at step \d+; the term is"):
            small(steps=30).fit(trials, resume=tmp_path)
        training._compiled.cache_clear()
        kept = artefact.read(tmp_path / "fit.nk", kind="checkpoint")
        assert all(np.isfinite(v.values).all() for v in kept.dataset("state").data_vars.values())


class TestResume:
    """A fit that was stopped goes on to the same answer (P5)."""

    def test_killed_fit(self, trials: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Interrupted and started again, the parameters are the same to the bit; another seed does not go on from it."""
        from neurokit_snn.models.mmgpvae import checkpoint

        whole = small().fit(trials, seed=2)
        monkeypatch.setattr(checkpoint, "EVERY", 0.0)
        keep = checkpoint.Checkpoint.keep

        def dying(
            self: checkpoint.Checkpoint, state: object, steps: int, *args: object, **options: object
        ) -> None:
            keep(self, state, steps, *args, **options)
            raise KeyboardInterrupt

        monkeypatch.setattr(checkpoint.Checkpoint, "keep", dying)
        with pytest.raises(KeyboardInterrupt):
            small().fit(trials, seed=2, resume=tmp_path)
        assert artefact.read(tmp_path / "fit.nk", kind="checkpoint").config["steps"] == 25
        monkeypatch.setattr(checkpoint.Checkpoint, "keep", keep)
        again = small().fit(trials, seed=2, resume=tmp_path)
        np.testing.assert_array_equal(again.losses_, whole.losses_)
        xr.testing.assert_identical(again.summary(), whole.summary())
        with pytest.raises(ModelError, match="checkpoint of a fit with other data, parameters or seed"):
            small().fit(trials, seed=3, resume=tmp_path)


class TestKinds:
    """Modalities, lengths, restarts and devices."""

    @pytest.mark.slow
    def test_several_behaviours(self, trials: xr.Dataset) -> None:
        """A circular, a categorical and a plain behaviour at once; each is decoded as what it is."""
        data = trials.copy(deep=True)
        angle = np.mod(data["behavior_position"] * 0.05, 2 * np.pi)
        data["behavior_heading"] = angle.assign_attrs(kind="circular", units="rad")
        data["mask_behavior_heading"] = data["mask_behavior_position"]
        half = (data["behavior_position"] > 40).astype(float).where(data["mask_behavior_position"])
        data["behavior_half"] = half.assign_attrs(kind="categorical", units="")
        data["mask_behavior_half"] = data["mask_behavior_position"]
        model = small(covariates=["position", "heading", "half", "direction"]).fit(
            data.isel(trial=slice(0, 12))
        )
        test = data.isel(trial=slice(12, None))
        found = model.predict(test, task="decode")
        assert {"behavior_position", "behavior_heading", "behavior_half"} <= set(found)
        for name in ("position", "heading", "half"):
            score = model.log_likelihood(test, task="decode", target=name)
            assert np.isfinite(score.where(test[f"mask_behavior_{name}"], drop=True)).any()
        probabilities = model.log_likelihood(test, task="decode", target="half")
        assert float(probabilities.max()) <= 0

    @pytest.mark.slow
    @pytest.mark.parametrize("posterior", ["fourier", "time"])
    def test_networks_as_guides(self, trials: xr.Dataset, posterior: str) -> None:
        """The published guide and the standard GP-VAE's fit and predict."""
        model = small(posterior=posterior).fit(trials)
        assert model.losses_[-10:].mean() < model.losses_[:10].mean()
        found = model.latents(trials)
        assert np.isfinite(found["latents"]).all()
        assert model.latents(trials, draws=3)["latents"].dims == ("draw", "trial", "time", "latent")

    def test_behaviour_alone(self, trials: xr.Dataset) -> None:
        """Without neural latents it is a GP-VAE of behaviour and does no task of neural data."""
        model = small(neural=0, shared=0, behavior=1, start_weight=1.0, steps=200).fit(trials)
        assert model.tasks == ()
        made = model.reconstruct(trials)["behavior_position"]
        error = (made - trials["behavior_position"]).where(trials["mask_behavior_position"])
        assert float(error.var()) < 0.5 * float(
            trials["behavior_position"].where(trials["mask_behavior_position"]).var()
        )

    @pytest.mark.slow
    @pytest.mark.parametrize("likelihood", ["gaussian", "zero_inflated_gamma"])
    def test_calcium(self, trials: xr.Dataset, likelihood: str) -> None:
        """Calcium in place of counts, scored as densities."""
        rng = np.random.default_rng(0)
        data = trials.drop_vars(["counts", "mask"])
        events = trials["counts"] * rng.gamma(2.0, 0.5, trials["counts"].shape)
        noise = 0.3 * rng.standard_normal(events.shape) if likelihood == "gaussian" else 0.0
        data["calcium"] = (events + noise).where(trials["mask"]).assign_attrs(units="")
        data["mask_calcium"] = trials["mask"]
        model = small(likelihood=likelihood).fit(data.isel(trial=slice(0, 12)))
        score = model.log_likelihood(data.isel(trial=slice(12, None)), task="cosmooth")
        assert np.isfinite(score).any()
        assert score.attrs["space"] == {"gaussian": "density"}.get(likelihood, "mixed")
        assert "calcium" in model.predict(data, task="cosmooth")

    @pytest.mark.slow
    def test_a_long_session_is_cut(self) -> None:
        """A session of one trial longer than the smoother holds is fitted and inferred in pieces."""
        data = place_cells()
        pieces = [data.isel(trial=[i]).assign_coords(time=data["time"] + 3.0 * i) for i in range(12)]
        one = xr.concat(
            [p.isel(trial=0, drop=True) for p in pieces], "time", coords="minimal", compat="override"
        )
        long = one.expand_dims(trial=[0]).transpose("trial", "time", ...)
        long = long.assign_coords(trial_start=("trial", [0.0]), trial_stop=("trial", [36.0]))
        model = small(neural=1, shared=0, covariates=None).fit(long)
        found = model.latents(long)["latents"]
        assert found.sizes["time"] == 360
        assert float(model.log_likelihood(long, task="cosmooth").mean()) < 0

    @pytest.mark.slow
    def test_restarts(self, trials: xr.Dataset) -> None:
        """The start with the best bound on held-out trials is kept."""
        model = small(restarts=2, steps=20).fit(trials)
        assert model.chosen_start_ in (0, 1)
        assert model.losses_.size == 25

    @pytest.mark.slow
    def test_bound(self, trials: xr.Dataset) -> None:
        """Terms sum to the bound, and a fit raises it."""
        short, long = small(steps=2).fit(trials), small(steps=60).fit(trials)
        found = long.elbo(trials)
        parts = sum(float(found[n]) for n in found.data_vars if n != "elbo")
        assert float(found["elbo"]) == pytest.approx(parts)
        assert float(found["elbo"]) > float(short.elbo(trials)["elbo"]) + 0.1
