"""Reports: one self-contained page in which every number has its interval, and the files beside it."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image

import neurokit_snn as nk
from neurokit_snn import plot, report
from neurokit_snn.errors import ConfigError, EvaluationError
from neurokit_snn.report import words

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Tags, texts and attributes of a page, and whether its tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.found if name == tag]


@pytest.fixture(scope="module")
def recording() -> xr.DataTree:
    rng = np.random.default_rng(0)
    time = np.arange(0.0, 80.0, 0.05)
    return nk.recording.build(
        spikes={name: np.sort(rng.uniform(0.0, 80.0, 200)) for name in "ab"},
        behavior={"position": {"time": time, "value": 50 + 50 * np.sin(time / 3), "units": "px"}},
        session_id="made <b>& bold</b>",
        licence="MIT",
        citation="Nobody (2020)",
        source="tests",
    )


@pytest.fixture(scope="module")
def data(recording) -> xr.Dataset:
    return nk.recording.windows(recording, 0.25, length=2.0, start=0.0, stop=80.0)


def _comparison(models: list[str], value: list[float], metrics: dict[str, tuple[str, bool]]) -> xr.Dataset:
    values = np.array(value)[:, None] * np.ones(len(metrics))
    diff = values[:, None] - values[None]
    one, two = ("model", "metric"), ("model", "other", "metric")
    return xr.Dataset(
        {
            "value": (one, values),
            "low": (one, values - 0.1),
            "high": (one, values + 0.1),
            "diff": (two, diff),
            "diff_low": (two, diff - 0.04),
            "diff_high": (two, diff + 0.04),
        },
        coords={
            "model": models,
            "other": models,
            "metric": list(metrics),
            "seed": [0, 1],
            "fold": np.arange(5),
            "unit_label": ("metric", [label for label, _ in metrics.values()]),
            "higher_is_better": ("metric", [better for _, better in metrics.values()]),
        },
        attrs={
            "task": "encode",
            "null": "each unit's mean",
            "n_boot": 500,
            "gap": 0.25,
            "split": "blocked",
            "interval": "95% BCa bootstrap over 8 blocks",
        },
    )


@pytest.fixture(scope="module")
def comparisons() -> dict[str, xr.Dataset]:
    counts = {"bits_per_spike": ("bits/spike", True), "log_likelihood": ("nats/s per unit", True)}
    encode = _comparison(["flat", "place", "place & way"], [0.0, 0.5, 0.53], counts)
    units = np.array([[0.0, 0.0], [0.4, 0.6], [0.9, 0.5]])
    encode["unit_score"] = (("model", "unit"), units)
    encode["unit_low"], encode["unit_high"] = encode["unit_score"] - 0.1, encode["unit_score"] + 0.1
    error = {"median_error": ("median error (px)", False)}
    decode = _comparison(["ridge", "bayes"], [40.0, 30.0], error).assign_attrs(task="decode")
    return {"encode": encode, "decode": decode}


@pytest.fixture(scope="module")
def written(tmp_path_factory, recording, data, comparisons):
    """A report with a picture of our own, written once for all tests that only read it."""
    folder = tmp_path_factory.mktemp("report")
    page = report.write(
        folder,
        title="Where <is> it?",
        recording=recording,
        data=data,
        comparisons=comparisons,
        models={"encode": {"flat": nk.MeanRate()}},
        reference={"encode": "place"},
        pictures={"psth": report.Picture(axes=plot.psth(data), caption="Rates.", alt="Two flat lines.")},
        notes=["Position is in pixels."],
        config={"seeds": [0, 1]},
    )
    return page


@pytest.fixture(scope="module")
def page(written) -> Page:
    return Page(written.read_text("utf-8"))


def test_the_page_is_balanced_html(page):
    assert page.open == []
    assert page.found[0][0] == "html"
    assert page.all("html")[0]["lang"] == "en"


def test_the_page_refers_to_nothing_outside_itself(written, page):
    for tag, attrs in page.found:
        assert tag not in ("link", "iframe", "object", "embed", "base"), tag
        for name in ("src", "href", "srcset", "action", "data"):
            assert attrs.get(name) is None or attrs[name].startswith("data:"), (tag, attrs[name])
    text = written.read_text("utf-8")
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|https?://", text)


def test_all_pictures_are_inside_decode_and_have_words(page):
    images = page.all("img")
    assert len(images) == 4  # two forest plots, one of units, ours
    for attrs in images:
        assert len(attrs["alt"]) > 10
        raw = base64.b64decode(attrs["src"].removeprefix("data:image/png;base64,"), validate=True)
        with Image.open(io.BytesIO(raw)) as image:
            image.load()
            assert image.width >= int(attrs["width"])
            assert abs(image.width / image.height - int(attrs["width"]) / int(attrs["height"])) < 0.02


def test_the_pictures_stand_beside_the_page(written, page):
    names = {path.name for path in written.parent.iterdir()}
    assert names == {
        "report.html",
        "comparison.csv",
        "encode_comparison.png",
        "encode_units.png",
        "decode_comparison.png",
        "psth.png",
    }
    inside = {attrs["src"].removeprefix("data:image/png;base64,") for attrs in page.all("img")}
    beside = {base64.b64encode(path.read_bytes()).decode() for path in written.parent.glob("*.png")}
    assert inside == beside


def test_every_number_of_the_tables_has_its_interval(written):
    cells = re.findall(r'<td class="number"[^>]*>(.*?)</td>', written.read_text("utf-8"))
    assert len(cells) == 2 * (3 * 2 + 2)
    for cell in cells:
        assert cell == "reference" or re.search(
            r"^-?[\d.]+ <span class=\"span\">\[-?[\d.]+, -?[\d.]+\]</span>$", cell
        )


def test_what_comes_from_data_is_escaped(written, page):
    assert not page.all("b")
    joined = "".join(page.text)
    assert "made <b>& bold</b>" in joined
    assert "Where <is> it?" in joined
    assert "place & way" in joined


def test_the_page_says_how_it_was_made(page):
    joined = " ".join(page.text)
    for said in (
        "MIT",
        "Nobody (2020)",
        "position (px)",
        "MeanRate()",
        "encode: 0, 1",
        "5 folds",
        "gap 0.25 s",
        "40 windows, 80 s in bins of 0.25 s",
        "95% BCa bootstrap over 8 blocks",
        "each unit's mean",
        "Position is in pixels.",
        "numpy " + np.__version__,
    ):
        assert said in joined, said


def test_the_manifest_is_json(written):
    raw = re.search(r"<pre><code>(.*?)</code></pre>", written.read_text("utf-8"), re.DOTALL).group(1)
    import html

    manifest = json.loads(html.unescape(raw))
    assert manifest["config"] == {"seeds": [0, 1]}
    assert manifest["versions"]["neurokit_snn"] == nk.__version__
    assert manifest["command"]


def test_the_table_beside_the_page_holds_every_number(written, comparisons):
    rows = pd.read_csv(written.parent / "comparison.csv")
    assert len(rows) == 3 * 2 + 2
    one = rows[
        (rows["task"] == "encode") & (rows["metric"] == "bits_per_spike") & (rows["model"] == "place & way")
    ]
    np.testing.assert_allclose(one[["value", "diff", "diff_low", "diff_high"]], [[0.53, 0.03, -0.01, 0.07]])
    assert one["reference"].item() == "place"
    assert rows[rows["model"] == rows["reference"]]["diff"].isna().all()


def test_a_report_is_not_written_over_unasked(written, recording, data, comparisons):
    arguments = dict(title="", recording=recording, data=data, comparisons=comparisons, models={})
    before = written.read_bytes()
    with pytest.raises(ConfigError, match=r"report\.html exists; pass overwrite=True"):
        report.write(written.parent, **arguments)
    assert written.read_bytes() == before


def test_a_picture_without_words_is_refused(tmp_path, recording, data, comparisons):
    picture = report.Picture(axes=plot.psth(data), caption="Rates.", alt="")
    with pytest.raises(ConfigError, match="picture 'psth' has no alternative text"):
        report.write(
            tmp_path,
            title="",
            recording=recording,
            data=data,
            comparisons=comparisons,
            models={},
            pictures={"psth": picture},
        )
    assert not (tmp_path / "report.html").exists()


def test_the_finding_follows_the_numbers(comparisons):
    encode = comparisons["encode"]
    assert words.best_model(encode) == "place & way"
    close = words.finding(encode, reference="place")
    assert close == (
        "“place & way” is best: bits/spike = 0.53 [0.43, 0.63]. Paired difference to “place”: "
        "0.030 [-0.010, 0.070], which holds 0: these data do not tell the two apart."
    )
    assert "0.530 [0.490, 0.570], clear of 0." in words.finding(encode, reference="flat")


def test_where_less_is_better_the_least_wins(comparisons):
    decode = comparisons["decode"]
    assert words.best_model(decode) == "bayes"
    assert "“bayes” is best: median error (px) = 30.00 [29.90, 30.10]" in words.finding(
        decode, reference="ridge"
    )


def test_the_reference_as_the_best_is_set_against_the_next(comparisons):
    assert "difference to “place”:" in words.finding(comparisons["encode"], reference="place & way")


def test_a_failed_model_is_never_the_best(comparisons):
    encode = comparisons["encode"].copy(deep=True)
    encode["value"][2] = np.nan
    assert words.best_model(encode) == "place"
    assert "– " in report.markdown(report.table({"encode": encode}))


def test_markdown_shows_the_headline_metric_of_each_task(comparisons):
    text = report.markdown(report.table(comparisons, reference={"encode": "place"}))
    assert text.splitlines()[0] == "**encode**, bits/spike"
    assert "| flat        | 0.00 [-0.10, 0.10]   | -0.500 [-0.540, -0.460]    |" in text
    assert "nats/s" not in text
    assert "nats/s per unit" in report.markdown(report.table(comparisons), headline=False)
    assert len({len(line) for line in text.split("\n\n")[1].splitlines()}) == 1


def test_an_unknown_reference_is_named(comparisons):
    with pytest.raises(
        EvaluationError, match="no model 'gp' in 'encode'; there are flat, place, place & way"
    ):
        report.table(comparisons, reference={"encode": "gp"})


@pytest.mark.parametrize(
    ("numbers", "worded"),
    [
        ((0.74812, 0.6511, 0.8524), "0.75 [0.65, 0.85]"),
        ((28.71, 25.2, 33.9), "28.7 [25.2, 33.9]"),
        ((1234.5, 1100.0, 1400.0), "1234 [1100, 1400]"),
        ((0.00012, 0.0001, 0.00014), "0.000120 [0.000100, 0.000140]"),
        ((0.5, 0.5, 0.5), "0.50 [0.50, 0.50]"),
        ((np.nan, 0.0, 1.0), "–"),
        ((0.5, np.nan, np.nan), "0.5 [no interval]"),
    ],
)
def test_digits_follow_the_width_of_the_interval(numbers, worded):
    assert report.with_interval(*numbers) == worded


def _chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("no Chromium on this machine: the page was not opened in a browser")


def _in_browser(page, tmp_path, *options: str) -> subprocess.CompletedProcess[str]:
    quiet = (
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    )
    return subprocess.run(
        [
            _chromium(),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            *quiet,
            f"--user-data-dir={tmp_path / 'profile'}",
            "--virtual-time-budget=2000",
            *options,
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )


def test_the_page_opens_in_a_browser(written, tmp_path):
    """Every picture decodes there, a click sorts the table, and the page asks the network for nothing."""
    probe = """
    window.addEventListener("load", () => {
      const images = [...document.images];
      const column = () => [...document.querySelector("tbody").rows].map((row) => row.cells[1].dataset.value);
      const button = document.querySelectorAll("thead button")[1];
      button.click(); const up = column(); button.click(); const down = column();
      document.body.dataset.probe = JSON.stringify({
        images: images.length,
        decoded: images.filter((image) => image.complete && image.naturalWidth > 0).length,
        up, down,
        requests: performance.getEntriesByType("resource").filter((e) => !/^data:/.test(e.name)),
      });
    });
    """
    copy = tmp_path / "probed.html"
    copy.write_text(
        written.read_text("utf-8").replace("</body>", f"<script>{probe}</script></body>"), "utf-8"
    )
    dom = Page(_in_browser(copy, tmp_path, "--dump-dom").stdout)
    seen = json.loads(dom.all("body")[0]["data-probe"])
    assert seen["decoded"] == seen["images"] == 4
    assert [float(v) for v in seen["up"]] == [0.0, 0.5, 0.53]
    assert seen["down"] == seen["up"][::-1]
    assert seen["requests"] == []
