"""The SLTT figure: its networks and gradients, its claims on made results, its picture, and a few steps of a fit."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import xarray as xr
from matplotlib import pyplot

from neurokit_snn.snn import BPTT, SLTT
from paper_figures import _sltt_costs, _sltt_gradients, _sltt_picture, _sltt_recall, sltt
from paper_figures._sltt_gradients import LEAKS, STEPS, Digits
from paper_figures.harness import Run

LENGTHS = _sltt_costs.LENGTHS


@pytest.fixture
def run(tmp_path):
    return Run("sltt", "small", 0, False, tmp_path)


@pytest.fixture
def made(monkeypatch):
    """No fit is made: every experiment answers with chosen numbers."""

    def fit(run, of, seed, leak, rule):
        lengths, dims = STEPS[of], ("batch", "steps", "layer")
        value = np.full((2, len(lengths), 3), 1.0 - leak / 10 - 0.01 * seed)
        value[..., -1] = 1.0
        found = {f"cosine_{kind}": (dims, value) for kind in sltt.KINDS if kind != "held" or of == "nmnist"}
        found["test_accuracy"] = 0.95 - 0.02 * (rule == "SLTT-1")
        return xr.Dataset(found, coords={"steps": list(lengths), "layer": [1, 2, 3]})

    def encoder(run, seed, rule):
        cosine = ("batch", "layer"), np.array([[0.9, 0.7], [0.9, 0.8]])
        return xr.Dataset({"cosine_sltt": cosine, "cosine_ottt": cosine, "bits": 0.5})

    def recall(run, seed, rule):
        return xr.Dataset(
            {"test_accuracy": 0.1 + 0.8 * (rule == "BPTT"), "first_gradient": float(rule == "BPTT")}
        )

    monkeypatch.setattr(sltt, "fit", fit)
    monkeypatch.setattr(sltt, "encoder", encoder)
    monkeypatch.setattr(sltt, "recall", recall)
    monkeypatch.setattr(
        _sltt_costs, "multiplications", lambda rule, steps: 7 if rule != BPTT() else 7 * steps
    )
    monkeypatch.setattr(
        _sltt_costs,
        "saved_bytes",
        lambda rule, lengths, sizes: {n: n * 10 if rule == BPTT() else 50 for n in lengths},
    )
    return monkeypatch


# ---- experiments ---------------------------------------------------------------------------------------------------


def digits(steps=1):
    x = torch.rand(steps, 256, 12, generator=torch.Generator().manual_seed(0))
    return Digits(x, torch.arange(256) % 10, x, torch.arange(256) % 10)


def firing(leak):
    """A network whose neurons fire in both layers."""
    net = _sltt_gradients.network(12, leak, hidden=16, seed=0)
    with torch.no_grad():
        net.layers[0].weight.mul_(4)
        net.layers[2].weight.mul_(4)
    return net


def test_without_a_leak_all_rules_agree():
    net = firing(0.0)
    found = _sltt_gradients.cosines(net, digits(), (3,))
    np.testing.assert_allclose(found["cosine_sltt_detached"], 1.0, atol=1e-6)
    np.testing.assert_allclose(found["cosine_sltt"], 1.0, atol=1e-6)


def test_with_a_leak_the_gradient_is_another_and_that_of_the_scores_is_not():
    net = firing(0.9)
    found = _sltt_gradients.cosines(net, digits(), (6,))["cosine_sltt"]
    assert float(found.sel(layer=[1, 2]).max()) < 0.999
    np.testing.assert_allclose(found.sel(layer=3), 1.0, atol=1e-6)
    assert not any(module.detach_reset for module in net.modules() if hasattr(module, "detach_reset"))


def test_multiplications_by_the_formula():
    """Two products for each weight, step and trial, but none for the gradient of the input: 784-100-100-10."""
    wanted = 32 * (784 * 100 + 2 * 100 * 100 + 2 * 100 * 10)
    assert _sltt_costs.multiplications(SLTT(steps=1), 8) == wanted
    assert _sltt_costs.multiplications(BPTT(), 8) == 8 * wanted


def test_what_is_shown_once_leaves_nothing_to_learn_from():
    net = _sltt_recall.network(12, 0)
    data = digits()
    with torch.no_grad():
        net.layers[0].weight.mul_(20)
    assert _sltt_recall.first_gradient(SLTT(), net, data) == 0.0
    assert _sltt_recall.first_gradient(BPTT(), net, data) > 0.0


# ---- claims --------------------------------------------------------------------------------------------------------


def test_every_claim_on_made_results(run, made):
    claims = {name: claim(run) for name, claim in sltt.FIGURE.claims.items()}
    assert [claim.id for claim in claims.values()] == list(claims)
    expected = {
        "SLTT.cosine_low": 0.94,
        "SLTT.cosine_high": 0.9,
        "SLTT.accuracy_sltt": 0.0,
        "SLTT.accuracy_sltt_1": 0.02,
        "SLTT.multiplications": 1.0,
        "SLTT.nmnist_published": 1.0 - LEAKS[0] / 10 - 0.01,
        "SLTT.nmnist_low": 0.94,
        "SLTT.nmnist_high": 0.9,
        "SLTT.nmnist_held": 0.9,
        "SLTT.encoder": 0.75,
        "SLTT.recall": 0.1,
        "SLTT.recall_bptt": 0.9,
        "SLTT.recall_gradient": 0.0,
        "sltt_memory.flat": 1.0,
        "sltt_memory.growth": 0.0,
    }
    assert {name: claim.value for name, claim in claims.items()} == pytest.approx(expected)
    failed = {name for name, claim in claims.items() if not claim.holds}
    assert failed == {"SLTT.cosine_low", "SLTT.accuracy_sltt_1", "SLTT.nmnist_low", "SLTT.encoder"}


def test_the_picture_has_all_panels(run, made, tmp_path):
    for claim in sltt.FIGURE.claims.values():
        claim(run)
    made.setattr(pyplot, "close", lambda figure: None)
    _sltt_picture.draw(run, tmp_path / "figure.png")
    drawn = pyplot.gcf()
    made.undo()
    words = [text.get_text() for one in drawn.axes for text in one.texts]
    assert "not run" not in words
    assert len(drawn.axes) == 6
    assert [line.get_xdata().tolist() for line in drawn.axes[3].lines if line.get_label() == "BPTT"] == [
        list(LENGTHS)
    ]
    pyplot.close("all")


def test_panels_that_were_not_run_say_so(run, tmp_path):
    _sltt_picture.draw(run, tmp_path / "empty.png")
    assert (tmp_path / "empty.png").stat().st_size > 5_000


@pytest.mark.slow
def test_a_few_steps_of_a_claim(tmp_path, capsys, catalog_data):
    if not (catalog_data / "mnist").is_dir():
        pytest.skip("mnist is not in NEUROKIT_DATA")
    assert LEAKS[2] == 0.9
    assert sltt.main(["--claim", "SLTT.cosine_high", "--dry-run", "--out", str(tmp_path)]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [claim["id"] for claim in said["claims"]] == ["SLTT.cosine_high"]
