"""The command line: what it prints and writes, and how it says no."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image
from typer.testing import CliRunner

import neurokit_snn as nk
from neurokit_snn.cli import app
from neurokit_snn.errors import ConfigError


@pytest.fixture(scope="module")
def recording() -> xr.DataTree:
    """Two place cells and a silent unit on a track that is run to and fro for 60 s."""
    rng = np.random.default_rng(0)
    clock = np.arange(0.0, 60.0, 0.02)
    place = 50.0 - 50.0 * np.cos(2 * np.pi * clock / 10.0)
    spikes = {
        name: clock[rng.random(clock.size) < 0.4 * np.exp(-0.5 * ((place - centre) / 12.0) ** 2)]
        for name, centre in (("a", 30.0), ("b", 70.0))
    }
    start = np.arange(0.0, 60.0, 5.0)
    return nk.recording.build(
        spikes={**spikes, "silent": []},
        behavior={"position": {"time": clock, "value": place, "units": "cm"}},
        trials={"start": start, "stop": start + 4.9, "way": ["out", "back"] * 6},
        events={"lick": {"time": [5.0, 25.0, 45.0]}},
        session_id="track",
        subject="r1",
        licence="CC0",
        citation="Nobody (2020)",
    )


@pytest.fixture(scope="module")
def saved(recording, tmp_path_factory) -> str:
    return str(nk.save(recording, tmp_path_factory.mktemp("cli") / "track.nk"))


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a command in an empty folder; a clean exit unless another code is asked for."""
    monkeypatch.chdir(tmp_path)

    def invoke(*words: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == code, result.output
        if code == 2 and "Usage:" not in result.stderr:
            assert len(result.stderr.splitlines()) == 1, result.stderr
        return result.stderr if code else result.stdout

    yield invoke
    monkeypatch.undo()  # back to the old folder before the guard on global state looks


def test_help_names_every_command_in_order(run):
    lines = run("--help").splitlines()
    first = lines.index("Commands:") + 1
    named = [line.split()[0] for line in lines[first:]]
    assert named == ["datasets", "info", "convert", "fit", "compare", "plot", "doctor"]
    assert not any(line.rstrip().endswith("...") for line in lines[first:]), "a summary is cut short"


def test_version(run):
    assert run("--version").strip() == f"neurokit-snn {nk.__version__}"


def test_info_says_what_is_in_a_recording(run, saved):
    said = run("info", saved)
    for words in (
        "session            track",
        "0.000 to ",
        "units              3",
        "12 with way",
        "behavior/position  3,000 time, in cm, about 50 samples/s",
        "events/lick        3 event",
        "CC0",
    ):
        assert words in said, said


def test_convert_there_and_back(run, saved, recording, tmp_path):
    assert run("convert", saved, "track.nc").strip() == "wrote track.nc"
    run("convert", "track.nc", "back.nk")
    xr.testing.assert_identical(nk.load(tmp_path / "back.nk"), recording)


def test_convert_does_not_write_over_unasked(run, saved, tmp_path):
    run("convert", saved, "a.nk")
    before = (tmp_path / "a.nk" / "manifest.json").read_bytes()
    assert "a.nk" in run("convert", saved, "a.nk", code=2)
    assert (tmp_path / "a.nk" / "manifest.json").read_bytes() == before
    run("convert", saved, "a.nk", "--overwrite")
    assert (tmp_path / "a.nk" / "manifest.json").read_bytes() != before


def test_doctor_lists_and_removes_what_is_left_behind(run, saved, tmp_path):
    assert "nothing to mend" in run("doctor", tmp_path)
    run("convert", saved, "a.nk")
    (tmp_path / "a.nk" / "data.nc").write_bytes(b"cut short")
    assert "a.nk" in run("doctor", tmp_path)


def test_fit_saves_the_model_with_its_settings(run, saved, tmp_path):
    said = run("fit", "mean-rate", saved, "--bin-width", "0.1", "--seed", "7", "--no-progress")
    assert said.startswith("wrote mean-rate.nk: MeanRate()")
    model = nk.load(tmp_path / "mean-rate.nk")
    assert isinstance(model, nk.MeanRate)
    assert (model.bin_width_, model.seed_) == (0.1, 7)
    assert model.units_.tolist() == ["a", "b"], "the unit without a spike is left out"
    assert "exists" in run("fit", "mean-rate", saved, code=2)


def test_fit_takes_hyperparameters(run, saved, tmp_path):
    run("fit", "RidgeDecoder", saved, "--set", "target=position", "--out", "r.nk", "--no-progress")
    assert nk.load(tmp_path / "r.nk").target == "position"


CONFIG = """
[data]
bin_width = 0.25
layout = "trials"

[split]
folds = 3

[compare]
task = "encode"
n_boot = 200
baselines = false

[models.flat]
class = "MeanRate"

[models.place]
class = "PSTH"
smoothing = 0.5
by = "way"
"""


@pytest.fixture(scope="module")
def compared(saved, tmp_path_factory):
    """A comparison with all its files, made once."""
    folder = tmp_path_factory.mktemp("compared")
    (folder / "run.toml").write_text(CONFIG)
    result = CliRunner().invoke(
        app,
        [
            "compare",
            saved,
            "--config",
            f"{folder}/run.toml",
            "--out",
            f"{folder}/out",
            "--seed",
            "1",
            "--no-progress",
        ],
    )
    assert result.exit_code == 0, result.output
    return folder / "out", result.stdout


def test_compare_prints_the_table_and_writes_the_report(compared):
    folder, said = compared
    assert "**encode**, bits/spike" in said
    assert said.count("[95% interval]") == 2
    assert (folder / "report.html").exists()
    rows = pd.read_csv(folder / "comparison.csv")
    assert rows["model"].unique().tolist() == ["flat", "place"]
    best = rows[(rows["metric"] == "bits_per_spike") & (rows["model"] == "place")].iloc[0]
    assert best["diff_low"] > 0.3, "place cells must be found"


def test_compare_keeps_what_was_asked(compared):
    scores = nk.load(compared[0] / "comparison.nk")
    assert scores["seed"].values.tolist() == [1]
    assert (scores.sizes["fold"], scores.attrs["bin_width"]) == (3, 0.25)


def test_compare_does_not_write_over_unasked(run, saved, compared):
    said = run("compare", saved, "--models", "MeanRate", "--out", compared[0], code=2)
    assert "report.html exists" in said


def test_compare_adds_the_baselines(run, saved):
    said = run(
        *("compare", saved, "--models", "NaiveBayesDecoder", "--task", "decode", "--layout", "trials"),
        *("--bin-width", "0.25", "--folds", "2", "--seed", "0", "--no-progress"),
    )
    assert "NaiveBayesDecoder" in said
    assert "ridge" in said


@pytest.mark.parametrize(
    ("words", "units"),
    [
        (("raster", "REC", "--start", "0", "--stop", "20"), None),
        (("psth", "REC", "--to", "events/lick", "--window", "-1", "1", "--units", "a,b"), None),
        (("tuning", "REC", "--by", "way", "--config", "run.toml", "--units", "a"), None),
        (("comparison", "COMPARISON", "--reference", "flat"), None),
    ],
)
def test_every_kind_of_picture_is_drawn(run, saved, compared, words, units, tmp_path):
    (tmp_path / "run.toml").write_text('[data]\nlayout = "trials"\n')
    names = {"REC": saved, "COMPARISON": compared[0] / "comparison.nk"}
    assert run("plot", *(names.get(word, word) for word in words)).strip() == f"wrote {words[0]}.png"
    with Image.open(tmp_path / f"{words[0]}.png") as image:
        pixels = np.asarray(image.convert("L"))
    assert (pixels < 100).any()


def test_a_fitted_decoder_is_drawn(run, saved, tmp_path):
    settings = ("--bin-width", "0.25", "--no-progress")
    run("fit", "ridge-decoder", saved, "--out", "decoder.nk", *settings)
    run("plot", "decoded", saved, "--model", "decoder.nk", "--bin-width", "0.25", "--out", "decoded.svg")
    assert "decoded" in (tmp_path / "decoded.svg").read_text()


@pytest.fixture(scope="module")
def jax_loaded():
    """The first import of jax draws from numpy's global generator, which a guard of the tests minds."""
    return pytest.importorskip("jax")


@pytest.mark.slow
def test_tuning_curves_of_a_fitted_model_are_drawn(jax_loaded, run, saved, tmp_path):
    settings = ("--bin-width", "0.25", "--no-progress")
    run("fit", "glm", saved, "--set", "splines=6", "--set", "strength=1.0", "--out", "glm.nk", *settings)
    run("plot", "tuning", "glm.nk", "--out", "tuning.pdf")
    assert (tmp_path / "tuning.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("info", "nowhere.nk"), "nowhere.nk: no such file or folder"),
        (("info", "linear-trak"), "did you mean 'linear-track'?"),
        (
            ("convert", "REC", "a.xyz"),
            "'.xyz' is of no known format; known are .nk, .nwb, .nc, .zarr",
        ),
        (("fit", "GML", "REC"), "no model 'GML'; did you mean GLM"),
        (
            ("fit", "GLM", "REC", "--set", "spline=3"),
            "no hyperparameter 'spline'; did you mean splines",
        ),
        (("fit", "GLM", "REC", "--set", "splines"), "--set splines: write KEY=VALUE"),
        (("fit", "GLM", "REC", "--layout", "loops"), "layout is 'loops'"),
        (("fit", "GLM", "REC", "--bin-width", "-1"), "bin_width"),
        (("compare", "REC"), "nothing to compare"),
        (("compare", "REC", "--models", "GLM,GLM"), "names 'GLM' twice"),
        (("compare", "REC", "--models", "MeanRate", "--task", "encoding"), "encoding"),
        (("compare", "REC", "--models", "MeanRate", "--config", "none.toml"), "none.toml: cannot be read"),
        (("plot", "psth", "REC"), "needs --to"),
        (("plot", "decoded", "REC"), "needs --model"),
        (("plot", "raster", "REC", "--units", "z"), "no unit 'z'; there are 3, such as a, b, silent"),
        (("plot", "raster", "REC", "--out", "a.docx"), "'.docx' is no picture"),
        (("plot", "comparison", "REC"), "holds a DataTree, not a comparison"),
        (("doctor", "nowhere"), "nowhere"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(run, saved, words, message):
    said = run(*(saved if word == "REC" else word for word in words), code=2)
    assert said.startswith("neurokit-snn: ")
    assert message in said


def test_a_dataset_that_is_no_recording_is_refused(run, monkeypatch):
    monkeypatch.setattr(nk.catalog, "open", lambda name: xr.Dataset())
    assert "tinyshakespeare holds no recording" in run("info", "tinyshakespeare", code=2)


def test_a_damaged_artefact_is_one_line(run, saved, tmp_path):
    run("convert", saved, "a.nk")
    path = tmp_path / "a.nk" / "data.nc"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    assert "a.nk" in run("info", "a.nk", code=2)


def test_unknown_options_are_the_parsers_own_error(run):
    assert "No such option: --loud" in run("datasets", "--loud", code=2)


def test_a_failure_that_is_ours_keeps_its_traceback(monkeypatch, saved):
    def broken(*args, **kwargs):
        raise RuntimeError("a bug")

    monkeypatch.setattr(nk.artefact, "load", broken)
    result = CliRunner().invoke(app, ["info", saved])
    assert result.exit_code == 1
    assert isinstance(result.exception, RuntimeError)


def test_warnings_are_one_line_on_stderr(run, monkeypatch):
    import warnings

    from neurokit_snn.cli import _recordings

    def opened(name):
        warnings.warn("times look like milliseconds", nk.errors.UnitsWarning, stacklevel=1)
        raise ConfigError("stop here")

    monkeypatch.setattr(_recordings, "open_recording", opened)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        result = CliRunner().invoke(app, ["info", "x"])
    assert result.stderr.splitlines() == [
        "neurokit-snn: warning: times look like milliseconds",
        "neurokit-snn: stop here",
    ]


def test_datasets_are_listed(run):
    said = run("datasets")
    assert {"linear-track", "digits-multimodal"} <= {line.split()[0] for line in said.splitlines()}


def test_the_installed_command_is_quick_and_says_no_without_a_traceback(tmp_path):
    command = [sys.executable, "-m", "neurokit_snn.cli"]
    began = time.perf_counter()
    helped = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True, timeout=60)
    assert time.perf_counter() - began < 20.0
    assert helped.stdout.startswith("Usage: neurokit-snn")
    code = (
        "import sys; from neurokit_snn.cli import app; print(*(m for m in sys.modules if m in "
        "('jax', 'torch', 'matplotlib', 'sklearn', 'numba', 'scipy')))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert loaded.stdout.strip() == ""
    missing = tmp_path / "none.nk"
    refused = subprocess.run(
        [*command, "info", str(missing)], capture_output=True, text=True, check=False, timeout=60
    )
    assert refused.returncode == 2
    assert refused.stderr == f"neurokit-snn: {missing}: no such file or folder\n"
