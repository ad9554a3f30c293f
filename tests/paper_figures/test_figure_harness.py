"""The harness of the figures tells a held claim from a missed one, keeps its fits, and writes what it promises."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import xarray as xr

from paper_figures import harness
from paper_figures.harness import Figure, Run, chosen, mean_interval, run_figure

VALUES = [0.1, 0.2, 0.3, 0.25, 0.15]


@pytest.fixture
def run(tmp_path):
    return Run("made", "small", 3, False, tmp_path)


def figure(value=0.5, drawn=None):
    """A figure of one claim with two parts, whose fit gives what is asked for."""

    def claim(run):
        found = run.result("fit", {"value": value}, lambda _: xr.Dataset({"x": ((), value)}))
        run.record("a.one", quantity="x", seed=run.seed, value=float(found["x"]))
        return run.judge("a.one", "x is large", [float(found["x"])], op=">=", target=0.4)

    def other(run):
        return run.judge("b", "x is small", [0.0, 0.0], op="<=", target=0.1)

    return Figure(
        "made", "Nobody (2024)", {"a.one": claim, "b": other}, lambda run, path: path.write_bytes(b"png")
    )


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NEUROKIT_CACHE", str(tmp_path / "cache"))


class TestJudging:
    @pytest.mark.parametrize(
        ("op", "target", "holds"),
        [(">=", 0.2, True), (">", 0.2, False), ("<=", 0.2, True), ("<", 0.2, False)],
    )
    def test_the_mean_is_compared_with_the_target(self, run, op, target, holds):
        assert run.judge("a", "", [0.1, 0.3], op=op, target=target).holds is holds

    def test_an_interval_that_reaches_the_target_is_a_miss_where_it_has_to_exclude_it(self, run):
        values = [-0.1, 0.2, 0.15, -0.05, 0.1]
        easy = run.judge("a", "", values, op=">", target=0.0)
        strict = run.judge("a", "", values, op=">", target=0.0, surely=True)
        assert (easy.holds, strict.holds) == (True, False)
        assert strict.low < 0.0 < strict.value < strict.high
        below = run.judge("a", "", [-v for v in values], op="<", target=0.0, surely=True)
        assert not below.holds

    def test_nothing_that_is_not_a_number_holds(self, run):
        for op in (">=", "<=", ">", "<"):
            assert not run.judge("a", "", [np.nan, 1.0], op=op, target=0.0).holds

    def test_other_reductions_have_no_interval(self, run):
        claim = run.judge("a", "", VALUES, op="<=", target=0.3, reduce=np.max)
        assert (claim.value, claim.holds, claim.n_seeds) == (0.3, True, 5)
        assert np.isnan(claim.low)

    def test_the_interval_holds_the_mean_about_as_often_as_it_says(self):
        rng = np.random.default_rng(0)
        inside = 0
        for _ in range(150):
            low, high = mean_interval(rng.normal(1.0, 1.0, 10))
            inside += low <= 1.0 <= high
        assert 0.87 <= inside / 150 <= 0.99
        assert np.isnan(mean_interval(np.array([1.0]))).all()


class TestResults:
    def test_a_result_is_made_once_and_kept_for_other_runs(self, tmp_path):
        made = []

        def make(folder):
            made.append(folder)
            return xr.Dataset({"x": ("trial", np.arange(3.0))})

        for _ in range(2):
            found = Run("made", "small", 0, False, tmp_path).result("fit", {"seed": 0}, make)
            np.testing.assert_array_equal(found["x"], np.arange(3.0))
        assert len(made) == 1
        assert not made[0].exists()
        Run("made", "small", 0, False, tmp_path).result("fit", {"seed": 1}, make)
        assert len(made) == 2

    def test_a_killed_fit_finds_its_checkpoints(self, run):
        def killed(folder):
            (folder / "half").write_text("done")
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run.result("fit", {"seed": 0}, killed)
        found = run.result(
            "fit", {"seed": 0}, lambda folder: xr.Dataset({"x": ((), float((folder / "half").exists()))})
        )
        assert float(found["x"]) == 1.0

    def test_rows_are_written_down_once_and_found_again(self, run):
        for _ in range(2):
            run.record("a", quantity="r2", arm="ours", of="shared", seed=3, value=0.5)
        run.record("a", quantity="r2", arm="theirs", of="shared", seed=3, value=0.1)
        assert len(run.rows) == 2
        assert run.values(quantity="r2", arm="ours", of="shared") == {3: 0.5}

    def test_seeds_go_on_from_the_first(self, run):
        assert run.seeds(3) == [3, 4, 5]
        run.dry_run = True
        assert run.seeds(3) == [3]


class TestCommandLine:
    def test_files_json_and_exit_code(self, tmp_path, capsys):
        assert run_figure(figure(), ["--out", str(tmp_path / "out")]) == 0
        said = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert said["paper"] == "Nobody (2024)"
        assert " ".join(said["claims"][0]) == "id claim value op target low high n_seeds scale holds"
        assert [(c["id"], c["value"], c["low"], c["holds"]) for c in said["claims"]] == [
            ("a.one", 0.5, None, True),
            ("b", 0.0, 0.0, True),
        ]
        assert (tmp_path / "out" / "made.png").read_bytes() == b"png"
        rows = list(csv.DictReader((tmp_path / "out" / "made.csv").read_text().splitlines()))
        assert [(row["claim"], row["seed"], row["value"]) for row in rows] == [("a.one", "0", "0.5")]

    def test_a_miss_is_exit_code_one_and_said(self, tmp_path, capsys):
        assert run_figure(figure(0.3), ["--out", str(tmp_path)]) == 1
        assert not json.loads(capsys.readouterr().out.splitlines()[-1])["claims"][0]["holds"]

    def test_one_claim_and_the_row_of_a_table(self, tmp_path, capsys):
        assert run_figure(figure(0.3), ["--claim", "b", "--out", str(tmp_path)]) == 0
        assert [c["id"] for c in json.loads(capsys.readouterr().out)["claims"]] == ["b"]
        assert chosen(figure().claims, "a") == ["a.one"]
        with pytest.raises(SystemExit, match=r"no claim 'c'; there are a.one, b"):
            chosen(figure().claims, "c")

    def test_a_dry_run_leaves_nothing_in_the_cache_and_promises_nothing(self, tmp_path, capsys):
        assert run_figure(figure(0.3), ["--dry-run", "--out", str(tmp_path)]) == 0
        assert json.loads(capsys.readouterr().out)["dry_run"] is True
        assert not (harness.cache_folder() / "figures").exists()
