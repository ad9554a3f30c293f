"""The figure of delays: its tasks, its arms, its claims on made results, its picture, and a few steps of a fit."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import xarray as xr
from matplotlib import pyplot

from paper_figures import _delays_picture, _delays_spoken, _delays_timing, delays
from paper_figures.harness import Run

TIMING = {"no delays": 0.1, "fixed random": 0.8, "learned, constant width": 0.99, "learned, annealed": 1.0}
SPOKEN = dict(zip(_delays_spoken.ARMS, (0.5, 0.6, 0.65, 0.7, 0.78, 0.75), strict=True))


@pytest.fixture
def run(tmp_path):
    return Run("delays", "small", 0, False, tmp_path)


@pytest.fixture
def made(monkeypatch):
    """No fit is made: every experiment answers with chosen numbers."""

    def timing(run, seed, arm, weights):
        return xr.Dataset({"soft": 1.0, "rounded": TIMING[arm] - 0.01 * seed * (arm == "fixed random")})

    def spoken(run, speaker, arm, seed):
        value = SPOKEN[arm] + 0.1 * int(speaker[-1])
        more = {"soft": value, "rounded": value - 0.05} if arm == _delays_spoken.LEARNED else {}
        return xr.Dataset({"numbers": 3200.0, "accuracy": value, **more})

    monkeypatch.setattr(_delays_timing, "timing", timing)
    monkeypatch.setattr(_delays_spoken, "spoken", spoken)
    monkeypatch.setattr(_delays_spoken, "speakers", lambda: ["speaker 0", "speaker 1"])
    return monkeypatch


# ---- only timing ---------------------------------------------------------------------------------------------------


def test_no_channel_is_active_with_another_and_all_send_alike():
    orders = _delays_timing.orders_of(3)
    spikes, label = _delays_timing.trials_of(orders, 200, np.random.default_rng(0))
    assert spikes.shape == (48, 200, 8)
    assert int(spikes.sum(-1).max()) == 1
    assert torch.equal(spikes.sum(0), torch.full((200, 8), 3.0))
    first = spikes.argmax(0).argsort(-1)
    np.testing.assert_array_equal(first.numpy(), orders[label.numpy()])


# ---- spoken digits -------------------------------------------------------------------------------------------------


def test_arms_have_as_many_learned_numbers():
    learned = {
        arm: sum(p.numel() for p in make().parameters() if p.requires_grad)
        for arm, make in _delays_spoken.ARMS.items()
    }
    full = learned.pop(_delays_spoken.LEARNED)
    assert learned.pop("fixed delays") == pytest.approx(full / 2, rel=0.05)  # the other half are kept
    assert all(number == pytest.approx(full, rel=0.07) for number in learned.values()), learned
    assert min(learned.values()) >= full


def test_the_held_out_speaker_is_heard_only_at_the_end(run, monkeypatch):
    speaker, take = np.repeat(["a", "b", "c"], 100), np.tile(np.arange(50), 6)
    x = torch.randn(4, 300, _delays_spoken.BANDS)
    heard = _delays_spoken.Clips(x, torch.arange(300) % 10, speaker, take)
    monkeypatch.setattr(_delays_spoken, "clips", lambda: heard)
    seen, told = [], []

    def trained(network, readout, train, held, seed, folder, **fields):
        seen.append((train[0], held[0]))

    monkeypatch.setattr(_delays_spoken, "trained", trained)

    def score(self, x, y):
        told.append(x)
        return 0.5

    monkeypatch.setattr(_delays_spoken.Classifier, "score", score)
    _delays_spoken.spoken(run, "b", _delays_spoken.LEARNED, 0)
    assert len(seen) == 2
    for train, held in seen:
        assert torch.equal(train, x[:, (speaker != "b") & (take < 45)])
        assert torch.equal(held, x[:, (speaker != "b") & (take >= 45)])
    assert all(torch.equal(one, x[:, speaker == "b"]) for one in told)


# ---- claims --------------------------------------------------------------------------------------------------------


def test_every_claim_on_made_results(run, made):
    claims = {name: claim(run) for name, claim in delays.FIGURE.claims.items()}
    assert [claim.id for claim in claims.values()] == list(claims)
    expected = {
        "delays.none": 0.1,
        "delays.learned": 0.215,
        "delays.annealed": 0.01,
        "delays_real.rates": 0.25,
        "delays_real.recurrent": 0.1,
        "delays_real.none": 0.15,
        "delays_real.fixed": 0.05,
        "delays_real.fixed_wide": -0.03,
        "delays_real.sizes": 0.0,
    }
    assert {name: claim.value for name, claim in claims.items()} == pytest.approx(expected)
    assert {name for name, claim in claims.items() if not claim.holds} == {"delays_real.fixed_wide"}
    assert claims["delays.none"].n_seeds == 4
    assert claims["delays_real.none"].n_seeds == 2
    assert run.values(quantity="numbers", arm="shd") == {0: 214_016}


def test_the_worst_seed_without_delays_counts(run, made):
    made.setitem(TIMING, "no delays", 0.16)
    assert not delays.FIGURE.claims["delays.none"](run).holds


def test_the_picture_has_all_panels(run, made, tmp_path):
    for claim in delays.FIGURE.claims.values():
        claim(run)
    made.setattr(pyplot, "close", lambda figure: None)
    _delays_picture.draw(run, tmp_path / "figure.png")
    drawn = pyplot.gcf()
    made.undo()
    words = [text.get_text() for one in drawn.axes for text in one.texts]
    assert "not run" not in words
    assert "80.0" in words  # the mean over both speakers
    pyplot.close("all")


def test_panels_that_were_not_run_say_so(run, tmp_path):
    _delays_picture.draw(run, tmp_path / "empty.png")
    assert (tmp_path / "empty.png").stat().st_size > 5_000


def test_a_few_steps_of_a_claim(tmp_path, capsys):
    assert delays.main(["--claim", "delays.annealed", "--dry-run", "--out", str(tmp_path)]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [claim["id"] for claim in said["claims"]] == ["delays.annealed"]
    assert (tmp_path / "delays.csv").exists()


@pytest.mark.slow
def test_a_few_steps_with_spoken_digits(tmp_path, catalog_data):
    if not (catalog_data / "fsdd").is_dir():
        pytest.skip("fsdd is not in NEUROKIT_DATA")
    assert delays.main(["--claim", "delays_real.fixed", "--dry-run", "--out", str(tmp_path)]) == 0
