"""Commands that fit: one model to a recording, or several compared on held-out data."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from neurokit_snn.cli._app import app
from neurokit_snn.cli._files import open_recording
from neurokit_snn.cli._prepare import (
    binned,
    load_config,
    make_model,
    named_models,
    overlaid,
    parse_settings,
    split_options,
)
from neurokit_snn.cli._recordings import Rec
from neurokit_snn.errors import ConfigError

__all__: list[str] = []

Model = Annotated[str, typer.Argument(metavar="MODEL", help="Class of a model, or its name in --config.")]
Artefact = Annotated[Path | None, typer.Option(help="Artefact to write; MODEL.nk by default.")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A hyperparameter.")]
Models = Annotated[str, typer.Option(metavar="A,B,...", help="Classes, or names in --config.")]
Task = Annotated[str | None, typer.Option(help="encode, decode, cosmooth, cosmooth+behavior or forecast.")]
Target = Annotated[str | None, typer.Option(help="Behaviour to decode.")]
Folder = Annotated[Path | None, typer.Option(help="Folder for the report, the table, pictures and cache.")]
Folds = Annotated[int | None, typer.Option(help="Parts that are held out in turn.")]
Jobs = Annotated[int | None, typer.Option(help="Fits at the same time.")]
ConfigFile = Annotated[Path | None, typer.Option(metavar="FILE.toml", help="Settings; options go over them.")]
BinWidth = Annotated[float | None, typer.Option(help="Seconds of a bin.")]
Layout = Annotated[str | None, typer.Option(help="windows, session, trials or laps.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
OneSeed = Annotated[int | None, typer.Option("--seed", help="Use this seed alone; 0, 1 and 2 by default.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
Progress = Annotated[bool, typer.Option("--progress/--no-progress", help="Show progress bars.")]


@app.command()
def fit(
    model: Model,
    rec: Rec,
    out: Artefact = None,
    settings: Settings = None,
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
    models: Models = "",
    task: Task = None,
    target: Target = None,
    out: Folder = None,
    config: ConfigFile = None,
    bin_width: BinWidth = None,
    layout: Layout = None,
    folds: Folds = None,
    n_jobs: Jobs = None,
    seed: OneSeed = None,
    overwrite: Overwrite = False,
    progress: Progress = True,
) -> None:
    """Compare models on the same held-out data.

    Prints the table, every number with its interval. With --out, a run that was interrupted goes on where it
    stopped.
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
    held_out = split_options(data, overlaid(asked.split, folds=folds), made)

    from neurokit_snn import artefact, evaluate, report
    from neurokit_snn.evaluate.baselines import with_baselines

    scores = evaluate.compare(
        made,
        data,
        task=settings.task,
        **held_out,
        given=settings.given,
        target=settings.target,
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
    )
    typer.echo(report.markdown(report.table({settings.task: scores})))
    if out is not None:
        known, _ = with_baselines(made, data, task=settings.task, target=settings.target)
        artefact.save(scores, out / "comparison.nk", overwrite=overwrite)
        page = report.write(
            out,
            title=f"{settings.task.capitalize()} on {recording.attrs.get('session_id') or rec}",
            recording=recording,
            data=data,
            comparisons={settings.task: scores},
            models={settings.task: {name: known[name] for name in scores["model"].values.tolist()}},
            config={"compare": dataclasses.asdict(settings), "data": dict(data.attrs)},
            overwrite=overwrite,
        )
        typer.echo(f"\nwrote {page}")
