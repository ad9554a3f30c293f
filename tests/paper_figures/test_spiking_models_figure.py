"""The figure of spiking models: its claims on made results, its picture, and a few steps of one claim."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot

from paper_figures import _spiking_models_picture, spiking_models
from paper_figures._spiking_models_experiments import covered, errors, likeliest
from paper_figures.harness import Run

MODELS = ["SpikingEncoder", "SpikingEncoder, uncoupled", "GLM", "GLM, uncoupled", "MM-GPVAE"]


@pytest.fixture
def run(tmp_path):
    return Run("spiking_models", "small", 0, False, tmp_path)


def made_planted(off=0):
    """What `planted` returns: connections of 10, 20 and 30 ms, one learned ``off`` bins too late, two of them in their sets."""
    truth = np.full((3, 3), np.nan)
    truth[0, 1], truth[1, 2], truth[2, 0] = 0.01, 0.02, 0.03
    grid = np.arange(1, 9) * 0.005
    probability = np.zeros((3, 3, 8))
    probability[:, :, 1] = 0.6
    probability[:, :, 3] = 0.4
    dims, by_delay = ("target", "source"), ("target", "source", "delay_grid")
    learned = np.nan_to_num(truth, nan=0.02)
    learned[2, 0] += off * 0.005
    found = {
        "truth": (dims, truth),
        "weight": (dims, np.where(np.isnan(truth), 0.0, 0.5)),
        "delay": (dims, learned),
        "coupling": (dims, np.where(np.isnan(truth), 0.01, 0.5)),
        "probability": (by_delay, probability),
        "in_set": (by_delay, probability > 0),
        "inclusion": (by_delay, np.where(probability == 0.6, 1.0, np.where(probability > 0, 0.75, 0.0))),
        "nats": -0.2,
        "oracle": -0.19,
    }
    coords = {"target": range(3), "source": range(3), "delay_grid": grid}
    return xr.Dataset(found, coords=coords)


def made_table():
    """What `on_the_track` returns: the encoder is .1 better than the next."""
    value = np.array([0.9, 0.6, 0.8, 0.55, 0.78])[:, None] * [1.0, -2.0]
    diff = value[:, None] - value[None]
    one, pair = ("model", "metric"), ("model", "other", "metric")
    return xr.Dataset(
        {"value": (one, value), "low": (one, value - 0.1), "high": (one, value + 0.1)}
        | {"diff": (pair, diff), "diff_low": (pair, diff - 0.05), "diff_high": (pair, diff + 0.05)},
        coords={
            "model": MODELS,
            "other": MODELS,
            "metric": ["bits_per_spike", "log_likelihood"],
            "seed": [0, 1, 2],
        },
    )


@pytest.fixture
def made(monkeypatch):
    """No fit is made: every experiment answers with chosen numbers."""
    monkeypatch.setattr(spiking_models, "on_the_track", lambda run: made_table())
    for module in (spiking_models, _spiking_models_picture):
        monkeypatch.setattr(module, "planted", lambda run, seed: made_planted(off=seed))
    return monkeypatch


def test_every_claim_on_made_results(run, made):
    claims = {name: claim(run) for name, claim in spiking_models.FIGURE.claims.items()}
    assert [claim.id for claim in claims.values()] == list(claims)
    expected = {
        "data.glm": 0.1,
        "data.mmgpvae": 0.12,
        "data.delays": 0.0,
        "data.sets_least": 1.75 / 3,
        "data.sets_most": 1.75 / 3,
    }
    assert {name: claim.value for name, claim in claims.items()} == pytest.approx(expected)
    assert {name for name, claim in claims.items() if not claim.holds} == {"data.sets_least"}
    assert (claims["data.glm"].low, claims["data.glm"].high) == pytest.approx((0.05, 0.15))
    assert run.values(quantity="within a bin") == pytest.approx(
        {0: 1.0, 1: 1.0, 2: 2 / 3, 3: 2 / 3, 4: 2 / 3}
    )


def test_errors_are_bins_of_planted_connections_alone():
    np.testing.assert_allclose(errors(made_planted(off=2), 0.005), [0.0, 0.0, 2.0], atol=1e-9)


def test_the_worst_network_counts(run, made):
    made.setattr(spiking_models, "errors", lambda found, step: np.full(3, 4.0))
    assert not spiking_models.FIGURE.claims["data.delays"](run).holds


def test_sets_hold_the_delay_next_on_their_grid():
    found = made_planted()
    assert covered(found) == pytest.approx({"exact": 1.75 / 3, "smallest": 2 / 3, "mass": 1.0, "size": 2.0})
    found["truth"].values[2, 0] = np.nextafter(0.02, 1)
    assert covered(found) == pytest.approx({"exact": 2.5 / 3, "smallest": 1.0, "mass": 1.0, "size": 2.0})


def test_the_likeliest_delays_are_those_of_the_posterior():
    np.testing.assert_allclose(errors(likeliest(made_planted(off=2)), 0.005), [0.0, 2.0, 4.0], atol=1e-9)


def test_the_picture_has_all_panels(run, made, tmp_path):
    for claim in spiking_models.FIGURE.claims.values():
        claim(run)
    made.setattr(pyplot, "close", lambda figure: None)
    _spiking_models_picture.draw(run, tmp_path / "figure.png")
    drawn = pyplot.gcf()
    made.undo()
    words = [text.get_text() for one in drawn.axes for text in one.texts]
    assert "not run" not in words
    assert all(one.get_title(loc="left") or one.get_title() for one in drawn.axes)
    places = drawn.axes[2].collections[0].get_offsets()
    assert places.shape == (3, 2)
    box = drawn.get_tightbbox()
    assert min(box.x0, box.y0) > -0.3
    assert box.x1 < drawn.get_figwidth() + 0.1
    pyplot.close("all")


def test_panels_that_were_not_run_say_so(run, tmp_path):
    _spiking_models_picture.draw(run, tmp_path / "empty.png")
    assert (tmp_path / "empty.png").stat().st_size > 5_000


@pytest.mark.slow
def test_a_few_steps_of_a_claim(tmp_path, capsys):
    """A simulated network, the encoder's delays, the posterior's sets, and the picture of them."""
    pytest.importorskip("pyro")
    assert spiking_models.main(["--claim", "data.delays", "--dry-run", "--out", str(tmp_path)]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [claim["id"] for claim in said["claims"]] == ["data.delays"]
