"""The Neuroformer figure: its claims on made results, what it measures by hand, its picture, and a few steps of one claim."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot

from paper_figures import _neuroformer_picture, neuroformer
from paper_figures._neuroformer_hub import _chain, _regressors, bernoulli_glm, homogeneous
from paper_figures._neuroformer_statistics import spike_errors
from paper_figures.harness import Run

ISSUE = {"likelihood", "connectivity", "generation", "ablation", "modality", "fewshot", "real"}
"""Rows of the issue's table; tokens, causality and cost are held by tests and by the benchmark."""
METHODS = _neuroformer_picture.METHODS
UNITS = [f"u{i}" for i in range(6)]


@pytest.fixture
def run(tmp_path):
    return Run("neuroformer", "small", 0, False, tmp_path)


def made_reference(**nats):
    """What `reference` returns, of chosen numbers: a hub u0, found by all methods."""
    truth = np.zeros((6, 6))
    truth[1:5, 0] = 1.8
    dims, coords = ("target", "source"), {"target": UNITS, "source": UNITS}
    found = {
        "homogeneous": -200.0,
        "glm": -160.0,
        "neuroformer": -165.0,
        "oracle": -155.0,
        "bins": 100,
        "seconds": 2.0,
    }
    scores = {"auc": 0.95, "column_auc": 0.7, "hubs_found": 3, "hubs": 3, "direction": 0.97, "sign": np.nan}
    errors = {
        "fano_ratio": [1.1, 0.9],
        "fano_ratio_population": [1.3, 1.0],
        "isi_distance": [0.05, 0.02],
        "correlogram_error": [0.01, 0.005],
        "correlogram_size": [0.02, 0.02],
    }
    return xr.Dataset(
        {name: ((), value) for name, value in (found | nats).items()}
        | {name: ("method", [float(value)] * 5) for name, value in scores.items()}
        | {name: ("mode", value) for name, value in errors.items()}
        | {"rate_error": (("mode", "unit"), [[0.1, -0.06], [0.0, 0.04]])}
        | {f"estimate_{name}": (dims, truth / 2 - 0.1 * (name == "glm")) for name in METHODS}
        | {"truth": (dims, truth)},
        coords={
            **coords,
            "method": list(METHODS),
            "mode": ["free-running", "teacher-forced"],
            "unit": ["u0", "u1"],
        },
    )


def made_modal(name):
    """What `modal` returns: the stimulus saves a tenth, shuffled it costs, a behaviour saves little."""
    nats = {"window": 220.0, "past": 200.0, "stimulus": 180.0, "behavior": 176.0, "contrast": 176.5}[name]
    found = {"nats": -nats, "bins": 100, "shuffled": -210.0, "retrieval": 9 / 64}
    return xr.Dataset({key: ((), value) for key, value in found.items()})


def made_table(task):
    """What `on_the_track` returns, of two models."""
    models, metrics, better = {
        "forecast": (["Neuroformer", "GLM"], ["bits_per_spike", "log_likelihood"], True),
        "decode": (["Neuroformer", "naive Bayes"], ["median_error"], False),
    }[task]
    value = np.array([[0.9, -1.5], [0.7, -1.6]]) if better else np.array([[14.0], [18.0]])
    diff = value[:, None] - value[None]
    one, pair = ("model", "metric"), ("model", "other", "metric")
    return xr.Dataset(
        {"value": (one, value), "low": (one, value - 0.1), "high": (one, value + 0.1)}
        | {"diff": (pair, diff), "diff_low": (pair, diff - 0.05), "diff_high": (pair, diff + 0.05)},
        coords={
            "model": models,
            "other": models,
            "metric": metrics,
            "higher_is_better": ("metric", [better] * len(metrics)),
            "seed": [0, 1, 2],
        },
    )


@pytest.fixture
def made(monkeypatch):
    """No fit is made: every experiment answers with chosen numbers."""
    monkeypatch.setattr(neuroformer, "reference", lambda run, seed, **options: made_reference())
    monkeypatch.setattr(neuroformer, "modal", lambda run, seed, name: made_modal(name))
    few = xr.Dataset({"pretrained": 0.8, "scratch": 0.6, "pca ridge": 0.7, "labelled windows": 3.0})
    monkeypatch.setattr(neuroformer, "few_labels", lambda run, of, seed: few)
    monkeypatch.setattr(neuroformer, "on_the_track", lambda run, task: made_table(task))
    monkeypatch.setattr(_neuroformer_picture, "reference", lambda run, seed: made_reference())
    return monkeypatch


class TestClaims:
    def test_every_row_of_the_issue_is_there(self):
        assert {name.split(".")[0] for name in neuroformer.FIGURE.claims} == ISSUE

    def test_every_claim_on_made_results(self, run, made):
        claims = {name: claim(run) for name, claim in neuroformer.FIGURE.claims.items()}
        assert [claim.id for claim in claims.values()] == list(claims)
        expected = {
            "likelihood.hub": 35 / 40,
            "likelihood.gated": 1 - 165 / 160,
            "connectivity.auc": 0.95,
            "connectivity.perturbation_column_auc": 0.7,
            "generation.rates": 0.08,
            "generation.fano": 0.1,
            "ablation.past": 1 - 200 / 220,
            "ablation.contrast": 1 - 176.5 / 176,
            "modality.given": 0.1,
            "modality.shuffled": -0.05,
            "modality.retrieval": 9.0,
            "fewshot.simulated": 0.2,
            "real.bits": 0.2,
            "real.nats": 0.1,
        }
        assert {name: claims[name].value for name in expected} == pytest.approx(expected)
        assert {name for name, claim in claims.items() if not claim.holds} == {"likelihood.gated"}

    def test_errors_count_as_better_where_they_are_smaller(self, run, made):
        claim = neuroformer.FIGURE.claims["real.decode"](run)
        assert (claim.value, claim.holds) == (4.0, True)
        assert (claim.low, claim.high) == pytest.approx((3.95, 4.05))

    def test_a_network_that_loses_to_the_glm_does_not_hold(self, run, made):
        made.setattr(
            neuroformer, "reference", lambda run, seed, **options: made_reference(neuroformer=-170.0)
        )
        claim = neuroformer.FIGURE.claims["likelihood.hub"](run)
        assert (claim.value, claim.holds) == (pytest.approx(0.75), False)

    def test_rates_are_those_of_free_running(self, run, made):
        neuroformer.FIGURE.claims["generation.rates"](run)
        assert run.values(quantity="rate error, worst", arm="free-running")[0] == pytest.approx(0.1)
        assert run.values(quantity="rate error, worst", arm="teacher-forced")[0] == pytest.approx(0.04)


class TestSpikeErrors:
    @pytest.fixture
    def spikes(self):
        return np.random.default_rng(0).random((3, 400, 4)) < [0.05, 0.1, 0.2, 0.3]

    def test_a_perfect_copy_has_no_error(self, spikes):
        found = spike_errors(spikes, spikes)
        np.testing.assert_array_equal(found["rate_error"], 0.0)
        assert float(found["fano_ratio"]) == float(found["fano_ratio_population"]) == 1.0
        assert float(found["isi_distance"]) == float(found["correlogram_error"]) == 0.0
        assert float(found["correlogram_size"]) > 0.0

    def test_twice_the_spikes_are_an_error_of_100_percent(self, spikes):
        found = spike_errors(spikes.astype(int), 2 * spikes)
        np.testing.assert_allclose(found["rate_error"], 1.0)
        assert float(found["fano_ratio"]) == pytest.approx(2.0)
        assert float(found["correlogram_error"]) == pytest.approx(0.0, abs=1e-12)

    def test_a_silent_model_misses_all(self, spikes):
        np.testing.assert_allclose(spike_errors(spikes, 0 * spikes)["rate_error"], -1.0)

    def test_fano_factors_are_those_of_blocks_of_100_bins(self):
        true, made = np.zeros((2, 1, 200, 2))
        true[0, :4] = true[0, 100:102] = 1  # counts 4 and 2: mean 3, variance 1
        made[0, :6] = 1  # counts 6 and 0: mean 3, variance 9
        assert float(spike_errors(true, made)["fano_ratio"]) == pytest.approx(9.0)

    def test_longer_intervals_throughout_are_a_distance_of_1(self):
        true, made = np.zeros((2, 1, 300, 2))
        true[0, :150:10] = made[0, :150:20] = 1
        assert float(spike_errors(true, made)["isi_distance"]) == 1.0

    def test_a_lost_coupling_is_in_the_correlograms_of_the_pair(self):
        rng = np.random.default_rng(1)
        first, other = rng.random((2, 1, 20_000)) < 0.1
        coupled = np.stack([first, np.roll(first, 3, axis=1)], -1)
        found = spike_errors(coupled, np.stack([first, other], -1))
        # One lag of ten and one direction of two is correlated, with 1.
        assert float(found["correlogram_size"]) == pytest.approx(np.sqrt(1 / 20), rel=0.03)
        assert float(found["correlogram_error"]) == pytest.approx(np.sqrt(1 / 20), rel=0.05)


def binned(counts):
    return xr.Dataset({"counts": (("trial", "time", "unit"), counts.astype(np.int32))})


def follows(first):
    """Probability of a spike of the second unit: less than one in twenty, and more with the first and after it."""
    before = np.pad(first, ((0, 0), (1, 0)))[:, :-1]
    return 1.0 / (1.0 + np.exp(3.0 - 3.0 * before - 3.0 * first))


class TestPeers:
    @pytest.fixture
    def halves(self):
        """Two units; the second follows the first after a bin, and fires with it in the same bin."""
        rng = np.random.default_rng(2)
        first = rng.random((4, 600)) < 0.2
        second = rng.random((4, 600)) < follows(first)
        counts = np.stack([first, second], -1)
        return binned(counts[:2]), binned(counts[2:])

    def test_a_glm_of_coupled_units_beats_constant_rates(self, halves):
        train, test = halves
        gain = bernoulli_glm(train, test, gate=None) - homogeneous(train, test)
        # Of the second unit alone: its true rates against its mean rate.
        counts = test["counts"].values
        first, second = counts[..., 0], counts[..., 1]
        p = follows(first)
        truth = np.where(second, np.log(p), np.log1p(-p)).sum()
        mean = train["counts"][..., 1].values.mean()
        possible = truth - np.where(second, np.log(mean), np.log1p(-mean)).sum()
        assert 0.8 * possible < gain < 1.1 * possible

    def test_constant_rates_by_hand(self):
        train = binned(np.array([[[0], [1], [0], [0]]]))
        test = binned(np.array([[[1], [0]]]))
        assert homogeneous(train, test) == pytest.approx(np.log(0.25) + np.log(0.75))

    def test_the_likelihood_is_the_chain_rule_over_units(self, halves):
        from sklearn.linear_model import LogisticRegression

        train, test = halves
        x, y = _regressors(train, None)
        x_test, y_test = _regressors(test, None)
        total = 0.0
        for unit, inputs in ((0, lambda x, y: x), (1, lambda x, y: np.column_stack([x, y[:, 0]]))):
            model = LogisticRegression(C=1.0, tol=1e-8, max_iter=2000).fit(inputs(x, y), y[:, unit])
            p = model.predict_proba(inputs(x_test, y_test))[:, 1]
            total += np.log(np.where(y_test[:, unit] == 1, p, 1 - p)).sum()
        assert _chain(x, y, x_test, y_test, 1.0) == pytest.approx(total, rel=1e-4)

    def test_filters_see_only_earlier_bins_of_the_trial(self):
        counts = np.zeros((2, 5, 1))
        counts[0, 2] = 1
        x, y = _regressors(binned(counts), None)
        np.testing.assert_array_equal(x[:3], 0.0)
        np.testing.assert_allclose(x[3], 1.0)
        np.testing.assert_allclose(x[4], np.exp([-1.0, -0.5, -0.2]))
        np.testing.assert_array_equal(x[5:], 0.0)
        assert y.shape == (10, 1)

    def test_a_state_is_one_more_regressor(self):
        data = binned(np.zeros((1, 3, 2))).assign(behavior_state=(("trial", "time"), [[0.0, 1.0, 1.0]]))
        x, _ = _regressors(data, "state")
        assert x.shape == (3, 7)
        np.testing.assert_array_equal(x[:, -1], [0.0, 1.0, 1.0])


@pytest.fixture
def drawn(run, made, tmp_path):
    """The figure of all claims, before it is closed."""
    for claim in neuroformer.FIGURE.claims.values():
        claim(run)
    made.setattr(pyplot, "close", lambda figure: None)
    _neuroformer_picture.draw(run, tmp_path / "figure.png")
    yield pyplot.gcf()
    made.undo()
    pyplot.close("all")


class TestPicture:
    def test_all_panels_are_labelled_and_nothing_is_cut_off(self, drawn):
        titles = [one.get_title(loc="left") for one in drawn.axes]
        assert len([title for title in titles if title]) == 17
        words = [text.get_text() for one in drawn.axes for text in one.texts]
        assert "not run" not in words
        assert {"hub network", "gated network", "simulated", "linear-track"} <= set(words)
        for one in drawn.axes:
            if one.get_title(loc="left"):
                assert one.get_xlabel() or any(tick.get_text() for tick in one.get_xticklabels())
        box = drawn.get_tightbbox()
        assert min(box.x0, box.y0) > -0.02
        assert box.x1 < drawn.get_figwidth() + 0.02
        assert box.y1 < drawn.get_figheight() + 0.02

    def test_titles_and_letters_do_not_run_into_each_other(self, drawn):
        drawn.canvas.draw()
        words = [text for one in drawn.axes for text in (one._left_title, *one.texts) if text.get_text()]
        boxes = [(text.get_text(), text.get_window_extent()) for text in words]
        crossing = [(a, b) for i, (a, x) in enumerate(boxes) for b, y in boxes[:i] if x.overlaps(y)]
        assert crossing == []

    def test_panels_that_were_not_run_say_so(self, run, tmp_path):
        _neuroformer_picture.draw(run, tmp_path / "empty.png")
        assert (tmp_path / "empty.png").stat().st_size > 20_000

    def test_what_is_saved_of_constant_rates(self, run, made):
        neuroformer.FIGURE.claims["likelihood.hub"](run)
        _, ax = pyplot.subplots()
        _neuroformer_picture._likelihood(run, ax)
        assert [tick.get_text() for tick in ax.get_xticklabels()] == ["GLM", "Neuroformer", "truth"]
        dots = [line for line in ax.get_lines() if line.get_marker() == "o"]
        np.testing.assert_allclose([line.get_ydata()[0] for line in dots], [0.4, 0.35, 0.45])

    def test_errors_are_relative(self, run, made):
        neuroformer.FIGURE.claims["generation.fano"](run)
        errors = {
            name: _neuroformer_picture._errors(run, name, "free-running")[0]
            for name in ("rate error, mean", "fano_ratio", "fano_ratio_population", "correlogram_error")
        }
        expected = {
            "rate error, mean": 0.08,
            "fano_ratio": 0.1,
            "fano_ratio_population": 0.3,
            "correlogram_error": 0.5,
        }
        assert errors == pytest.approx(expected)

    def test_steps_are_shares_of_the_arm_before(self, run, made):
        neuroformer.FIGURE.claims["ablation.stimulus"](run)
        assert _neuroformer_picture._saved(run, "stimulus", "past") == pytest.approx([10.0] * 3)
        assert _neuroformer_picture._saved(run, "behavior", "stimulus") == []


@pytest.mark.slow
def test_a_few_steps_of_a_claim(tmp_path, capsys):
    """A fit, its peers, its connectivity and what it generates, and the picture of them."""
    assert neuroformer.main(["--claim", "likelihood.hub", "--dry-run", "--out", str(tmp_path)]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [claim["id"] for claim in said["claims"]] == ["likelihood.hub"]
    assert said["claims"][0]["value"] < 0.85, "three steps do not make a network"
    assert (tmp_path / "neuroformer.png").stat().st_size > 20_000
    assert (tmp_path / "neuroformer.csv").read_text().count("hub network") == 5


@pytest.mark.slow
def test_a_few_steps_of_everything(tmp_path, capsys):
    assert neuroformer.main(["--dry-run", "--out", str(tmp_path)]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [claim["id"] for claim in said["claims"]] == list(neuroformer.FIGURE.claims)
    assert (tmp_path / "neuroformer.png").stat().st_size > 50_000
