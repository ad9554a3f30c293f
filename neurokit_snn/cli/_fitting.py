"""Commands that fit: one model to a recording, or several compared on held-out data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurokit_snn.cli._app import app
from neurokit_snn.cli._files import open_recording
from neurokit_snn.cli._prepare import (
    binned,
    load_config,
    make_model,
    make_split,
    named_models,
    overlaid,
    parse_settings,
)
from neurokit_snn.cli._recordings import Rec
from neurokit_snn.errors import ConfigError

__all__: list[str] = []

ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE.toml", help="Settings; options go over them.")
]
BinWidth = Annotated[float | None, typer.Option("--bin-width", help="Seconds of a bin.")]
Layout = Annotated[str | None, typer.Option("--layout", help="windows, session, trials or laps.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of everything random.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
Progress = Annotated[bool, typer.Option("--progress/--no-progress", help="Show progress bars.")]


@app.command()
def fit(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Class of a model, or its name in --config.")],
    rec: Rec,
    out: Annotated[Path | None, typer.Option("--out", help="Artefact to write; MODEL.nk by default.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A hyperparameter.")
    ] = None,
    config: ConfigFile = None,
    bin_width: BinWidth = None,
    layout: Layout = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    progress: Progress = True,
) -> None:
    """Fit a model to a whole recording and save it."""
    asked = load_config(config)
    path = out or Path(f"{model}.nk")
    if path.exists() and not overwrite:
        raise ConfigError(f"{path} exists; choose another --out or pass --overwrite")
    if model in asked.models:
        named = asked.models[model]
        options = {**named.options, **parse_settings(settings or [])}
        made = make_model(named.class_name, options, where=f"[models.{model}]")
    else:
        made = make_model(model, parse_settings(settings or []), where="MODEL")
    data = binned(open_recording(rec), overlaid(asked.data, bin_width=bin_width, layout=layout))
    made.fit(data, seed=seed, progress=progress)
    made.save(path, overwrite=overwrite)
    typer.echo(f"wrote {path}: {' '.join(repr(made).split())}")


@app.command()
def compare(
    rec: Rec,
    models: Annotated[
        str, typer.Option("--models", metavar="A,B,...", help="Classes, or names in --config.")
    ] = "",
    task: Annotated[
        str | None, typer.Option("--task", help="encode, decode, cosmooth, cosmooth+behavior or forecast.")
    ] = None,
    target: Annotated[str | None, typer.Option("--target", help="Behaviour to decode.")] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for report.html, the table, the pictures and the cache."),
    ] = None,
    config: ConfigFile = None,
    bin_width: BinWidth = None,
    layout: Layout = None,
    folds: Annotated[int | None, typer.Option("--folds", help="Parts that are held out in turn.")] = None,
    n_jobs: Annotated[int | None, typer.Option("--n-jobs", help="Fits at the same time.")] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Fit with this seed alone; 0, 1 and 2 by default.")
    ] = None,
    overwrite: Overwrite = False,
    progress: Progress = True,
) -> None:
    """Compare models on the same held-out data.

    Prints the table, every number with its interval. With --out, a run that was interrupted goes on where it stopped.
    """
    asked = load_config(config)
    if out is not None and (out / "report.html").exists() and not overwrite:
        raise ConfigError(f"{out / 'report.html'} exists; choose another --out or pass --overwrite")
    made = named_models([name.strip() for name in models.split(",") if name.strip()], asked)
    settings = overlaid(
        asked.compare, task=task, target=target, n_jobs=n_jobs, seeds=None if seed is None else (seed,)
    )
    recording = open_recording(rec)
    data = binned(recording, overlaid(asked.data, bin_width=bin_width, layout=layout))
    split = make_split(data, overlaid(asked.split, folds=folds), made, seed=settings.seeds[0])

    from neurokit_snn import evaluate, report

    scores = evaluate.compare(
        made,
        data,
        task=settings.task,
        cv=split,
        given=settings.given,
        held_out=settings.held_out,
        seeds=settings.seeds,
        metrics=settings.metrics,
        baselines=settings.baselines,
        cache=None if out is None else out / "cache",
        n_jobs=settings.n_jobs,
        draws=settings.draws,
        block=settings.block,
        n_boot=settings.n_boot,
        progress=progress,
        **({} if settings.target is None else {"target": settings.target}),
    )
    typer.echo(report.markdown(report.table({settings.task: scores})))
    if out is not None:
        page = report.write(
            out,
            title=f"{', '.join(made)} on {recording.attrs.get('session_id') or rec}",
            recording=recording,
            data=data,
            comparisons={settings.task: scores},
            models={settings.task: made},
            overwrite=overwrite,
        )
        typer.echo(f"\nwrote {page}")
