"""Write a report: the table as CSV, the pictures as PNG, and one page that holds it all."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from neurokit_snn.artefact import atomic_file
from neurokit_snn.artefact.manifest import compose
from neurokit_snn.errors import ConfigError
from neurokit_snn.report import html, words
from neurokit_snn.report.tables import table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Picture", "write"]

SCREEN_DPI = 96
FILE_DPI = 160
HELD_OUT = " (the units that some seed held out)"
LAYOUTS = {"session": "session", "windows": "windows", "events": "stretches around events"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture for a report.

    Parameters
    ----------
    axes
        Axes, or an array of them, as the functions of `neurokit_snn.plot` return.
    caption
        What it shows, for all readers.
    alt
        What there is to see, for readers who cannot.
    task
        The task whose section it belongs to; "" for the recording itself.
    """

    axes: Any
    caption: str
    alt: str
    task: str = ""


def write(
    path: str | Path,
    *,
    title: str,
    recording: xr.DataTree,
    data: xr.Dataset,
    comparisons: Mapping[str, xr.Dataset],
    models: Mapping[str, Mapping[str, Any]],
    reference: Mapping[str, str] | None = None,
    pictures: Mapping[str, Picture] | None = None,
    notes: Sequence[str] = (),
    config: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write ``report.html``, ``comparison.csv`` and the pictures into a folder.

    The page is one file: pictures are inside it, and it refers to nothing on any network. The forest plot of
    each comparison, and the scores of single units where there are some, come without being asked for.

    Parameters
    ----------
    path
        The folder; made where it is missing.
    title
        Headline of the page.
    recording
        What was analysed; its licence and citation are printed.
    data
        The binned data that the models were fitted to.
    comparisons
        What `neurokit_snn.compare` gave, by task.
    models
        The models of each task by name, for their hyperparameters.
    reference
        The model that differences are taken from, by task; the first one where none is named.
    pictures
        Further pictures by file name (without ending).
    notes
        Caveats of this analysis, a sentence each.
    config
        Anything else that says how the numbers were made (the split, the seeds), for the manifest.
    overwrite
        Replace the files of an earlier report.

    Returns
    -------
    Path
        Of ``report.html``.

    Raises
    ------
    ConfigError
        When a report is there and ``overwrite`` is False, or a picture has no alternative text.
    """
    folder = Path(path)
    page = folder / "report.html"
    if page.exists() and not overwrite:
        raise ConfigError(f"{page} exists; pass overwrite=True or choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    reference = {**_first_models(comparisons), **(reference or {})}
    rows = table(comparisons, reference=reference)
    drawn = {**_standard_pictures(comparisons, reference), **(pictures or {})}
    figures = {name: _figure(folder, name, picture) for name, picture in drawn.items()}
    _replace(folder / "comparison.csv", rows.to_csv(index=False).encode())
    made = _provenance(config)
    findings = [
        f"{words.heading(task)[0]}. {words.finding(scores, reference=reference[task])}"
        for task, scores in comparisons.items()
    ]
    caveats = dict.fromkeys(note for scores in comparisons.values() for note in words.caveats(scores))
    body = "\n".join(
        [
            html.section("In short", html.bullets(findings)),
            *(
                _task_section(task, scores, reference[task], rows, drawn, figures)
                for task, scores in comparisons.items()
            ),
            html.section("How to read these numbers", html.bullets([*caveats, *notes])),
            _recording_section(recording, data, drawn, figures),
            _method_section(models, comparisons, made),
        ]
    )
    session = str(recording.attrs.get("session_id") or "one recording")
    asked = "1 question" if len(comparisons) == 1 else f"{len(comparisons)} questions"
    lead = f"{asked} put to {session}, answered on held-out data."
    _replace(page, _page(title=title, lead=lead, body=body, made=made).encode())
    return page


def _first_models(comparisons: Mapping[str, xr.Dataset]) -> dict[str, str]:
    return {task: str(scores["model"].values[0]) for task, scores in comparisons.items()}


def _task_section(
    task: str,
    scores: xr.Dataset,
    reference: str,
    rows: pd.DataFrame,
    drawn: Mapping[str, Picture],
    figures: Mapping[str, str],
) -> str:
    title, question = words.heading(task)
    of_task = rows[rows["task"] == task]
    better = dict(
        zip(scores["metric"].values.tolist(), scores["higher_is_better"].values.tolist(), strict=True)
    )
    tables = [
        html.scores_table(part, higher_is_better=better[metric])
        for metric, part in of_task.groupby("metric", sort=False)
    ]
    return html.section(
        title,
        html.paragraph(question),
        html.paragraph(words.finding(scores, reference=reference), kind="finding"),
        tables[0],
        html.folded(f"{len(tables) - 1} further metrics", "\n".join(tables[1:])) if tables[1:] else "",
        *(figures[name] for name, picture in drawn.items() if picture.task == task),
    )


def _recording_section(
    recording: xr.DataTree, data: xr.Dataset, drawn: Mapping[str, Picture], figures: Mapping[str, str]
) -> str:
    attrs, pieces = recording.attrs, LAYOUTS.get(data.attrs["layout"], "trials")
    counts = int(data["counts"].sum()) if "counts" in data else 0
    seconds = float((data["trial_stop"] - data["trial_start"]).sum())
    behaviour = [
        str(name).removeprefix("behavior_")
        + (f" ({units})" if (units := data[name].attrs.get("units")) else "")
        for name in data.data_vars
        if str(name).startswith("behavior_")
    ]
    return html.section(
        "The recording",
        html.facts(
            {
                "Session": attrs.get("session_id", ""),
                "Subject": attrs.get("subject", ""),
                "Analysed": f"{data.sizes['trial']} {pieces}, {seconds:.0f} s in bins of "
                f"{float(data.attrs['bin_width']):g} s",
                "Units": f"{data.sizes.get('unit', 0)}, {counts:,} spikes in the analysed bins",
                "Behaviour": ", ".join(behaviour),
                "Source": attrs.get("source", ""),
                "Licence": attrs.get("licence", ""),
                "Citation": attrs.get("citation", ""),
            }
        ),
        *(figures[name] for name, picture in drawn.items() if not picture.task),
    )


def _method_section(
    models: Mapping[str, Mapping[str, Any]],
    comparisons: Mapping[str, xr.Dataset],
    made: Mapping[str, Any],
) -> str:
    asked = {
        f"{task}: {name}": " ".join(repr(model).split())
        for task, of in models.items()
        for name, model in of.items()
    }
    splits = sorted({_split_words(scores) for scores in comparisons.values()})
    seeds = {
        task: ", ".join(map(str, np.unique(s["seed"].values)))
        for task, s in comparisons.items()
        if "seed" in s.coords
    }
    return html.section(
        "How this was made",
        html.facts(
            {
                "Held out": "; ".join(splits),
                "Seeds": "; ".join(f"{task}: {which}" for task, which in seeds.items()),
                "Command": made["command"],
                "Versions": ", ".join(f"{name} {version}" for name, version in made["versions"].items()),
            }
        ),
        "<h3>Models</h3>",
        html.facts(asked),
        html.manifest(made),
    )


def _split_words(scores: xr.Dataset) -> str:
    kind = {"blocked": "contiguous blocks of time", "by_trial": "random trials"}.get(
        str(scores.attrs.get("split", "")), str(scores.attrs.get("split", "")) or "held-out folds"
    )
    return f"{scores.sizes.get('fold', 0)} folds, {kind}, gap {float(scores.attrs.get('gap', 0.0)):g} s"


def _standard_pictures(
    comparisons: Mapping[str, xr.Dataset], reference: Mapping[str, str]
) -> dict[str, Picture]:
    from neurokit_snn import plot

    pictures = {}
    for task, scores in comparisons.items():
        base, stem = reference[task], task.replace("+", "_")
        models = [str(name) for name in scores["model"].values]
        said = words.finding(scores, reference=base)
        pictures[f"{stem}_comparison"] = Picture(
            axes=plot.comparison(scores, reference=base),
            caption="Held-out score of each model (left) and its paired difference to "
            f"{base} (right), with 95% intervals.",
            alt=f"Forest plot of {len(models)} models. {said}",
            task=task,
        )
        best = words.best_model(scores)
        if "unit_score" in scores and best != base:
            axes = plot.unit_scores(scores, best, base)
            pictures[f"{stem}_units"] = Picture(
                axes=axes,
                caption=f"Each point is a unit: its held-out bits/spike under {best} against {base}, "
                f"with 95% intervals{HELD_OUT if 'cosmooth' in task else ''}.",
                alt=f"Scatter plot of units, {best} against {base}: {axes.get_title(loc='left')}.",
                task=task,
            )
    return pictures


def _figure(folder: Path, name: str, picture: Picture) -> str:
    """Save a picture beside the page, close it, and return it as a part of the page."""
    from matplotlib import pyplot

    from neurokit_snn.plot import style

    if not picture.alt:
        raise ConfigError(f"picture {name!r} has no alternative text; say in alt= what there is to see")
    figure: Figure = np.asarray(picture.axes, dtype=object).ravel()[0].figure
    stream = io.BytesIO()
    with style():
        figure.savefig(stream, format="png", dpi=FILE_DPI)
    _replace(folder / f"{name}.png", stream.getvalue())
    width, height = (round(inches * SCREEN_DPI) for inches in figure.get_size_inches())
    pyplot.close(figure)
    return html.figure(
        stream.getvalue(), width=width, height=height, caption=picture.caption, alt=picture.alt
    )


def _provenance(config: Mapping[str, Any] | None) -> dict[str, Any]:
    """Everything needed to make the numbers again, as the manifest of an artefact words it."""
    whole = compose(kind="report", files={}, config=config, seed=None, extra=None)
    return {name: value for name, value in whole.items() if value not in (None, {})}


def _page(*, title: str, lead: str, body: str, made: Mapping[str, Any]) -> str:
    part = {
        name: (resources.files(__package__) / name).read_text("utf-8")
        for name in ("page.html", "page.css", "page.js")
    }
    return Template(part["page.html"]).substitute(
        title=escape(title),
        lead=escape(lead),
        style=part["page.css"],
        script=part["page.js"],
        body=body,
        version=made["versions"]["neurokit_snn"],
        created=str(made["created"])[:10],
    )


def _replace(path: Path, content: bytes) -> None:
    with atomic_file(path, overwrite=True) as partial:
        partial.write_bytes(content)
