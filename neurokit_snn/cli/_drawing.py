"""The command that draws."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from neurokit_snn.cli._app import app
from neurokit_snn.cli._files import open_artefact, open_recording
from neurokit_snn.cli._prepare import binned, load_config, overlaid
from neurokit_snn.errors import ConfigError

__all__ = ["Kind"]


class Kind(StrEnum):
    """The pictures that can be drawn."""

    raster = "raster"
    psth = "psth"
    tuning = "tuning"
    decoded = "decoded"
    comparison = "comparison"


@app.command()
def plot(
    kind: Annotated[
        Kind, typer.Argument(metavar="KIND", help="raster, psth, tuning, decoded or comparison.")
    ],
    rec: Annotated[
        str,
        typer.Argument(
            metavar="REC", help="A recording; for tuning a fitted model, for comparison a comparison."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Picture to write (.png, .pdf, .svg); KIND.png by default.")
    ] = None,
    start: Annotated[float | None, typer.Option("--start", help="First second to draw.")] = None,
    stop: Annotated[float | None, typer.Option("--stop", help="Last second to draw.")] = None,
    units: Annotated[
        str, typer.Option("--units", metavar="A,B,...", help="Labels of the units; all by default.")
    ] = "",
    to: Annotated[
        str | None, typer.Option("--to", help="psth: events/NAME or trials/COLUMN to align to.")
    ] = None,
    window: Annotated[
        tuple[float, float], typer.Option("--window", help="psth: seconds before (negative) and after.")
    ] = (
        -1.0,
        2.0,
    ),
    by: Annotated[
        str | None, typer.Option("--by", help="psth: trial column, one line for each value.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", help="decoded: artefact of a fitted decoder.")
    ] = None,
    behavior: Annotated[str, typer.Option("--behavior", help="decoded: which behaviour.")] = "position",
    metric: Annotated[
        str | None, typer.Option("--metric", help="comparison: which metric; the first by default.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", help="comparison: model to take differences from.")
    ] = None,
    bin_width: Annotated[float | None, typer.Option("--bin-width", help="Seconds of a bin.")] = None,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE.toml", help="Its [data] table says how to bin.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT where it exists.")] = False,
) -> None:
    """Draw a recording, a fitted model or a comparison."""
    path = out or Path(f"{kind.value}.png")
    if path.exists() and not overwrite:
        raise ConfigError(f"{path} exists; choose another --out or pass --overwrite")
    from neurokit_snn import plot as draw

    settings = overlaid(load_config(config).data, bin_width=bin_width, start=start, stop=stop)
    drawn: Any
    if kind is Kind.tuning:
        curves = open_artefact(rec, "a fitted model with tuning curves", "tuning").tuning()
        drawn = draw.tuning(curves, units=_labels(units, curves))
    elif kind is Kind.comparison:
        scores = open_artefact(rec, "a comparison", "data_vars")
        drawn = draw.comparison(scores, metric=metric, reference=reference)
    elif kind is Kind.raster:
        recording = open_recording(rec)
        drawn = draw.raster(
            recording, start=start, stop=stop, units=_labels(units, recording["units"].to_dataset())
        )
    elif kind is Kind.psth:
        if to is None:
            raise ConfigError("plot psth needs --to events/NAME or --to trials/COLUMN")
        from neurokit_snn.recording import align

        data = align(open_recording(rec), settings.bin_width, to=to, window=window)
        drawn = draw.psth(data, units=_labels(units, data), by=by)
    else:
        if model is None:
            raise ConfigError("plot decoded needs --model NAME.nk, a decoder made by `neurokit-snn fit`")
        data = binned(open_recording(rec), settings)
        predicted = open_artefact(str(model), "a fitted decoder", "predict").predict(
            data, task="decode", target=behavior
        )
        drawn = draw.decoded(data, predicted, behavior=behavior)
    _save(drawn, path, overwrite=overwrite)
    typer.echo(f"wrote {path}")


def _labels(text: str, units: Any) -> list[Any] | None:
    """Read unit labels as the type that the recording has."""
    if not text:
        return None
    there = {str(label): label for label in units["unit"].values.tolist()}
    asked = [name.strip() for name in text.split(",")]
    for name in asked:
        if name not in there:
            raise ConfigError(
                f"--units: no unit {name!r}; there are {len(there)}, such as {', '.join(list(there)[:5])}"
            )
    return [there[name] for name in asked]


def _save(drawn: Any, path: Path, *, overwrite: bool) -> None:
    import numpy as np
    from matplotlib import pyplot

    from neurokit_snn.artefact import atomic_file
    from neurokit_snn.plot import style

    figure = np.asarray(drawn, dtype=object).ravel()[0].figure
    if path.suffix.lstrip(".") not in figure.canvas.get_supported_filetypes():
        raise ConfigError(f"--out {path}: the ending {path.suffix!r} is no picture; use .png, .pdf or .svg")
    with style(), atomic_file(path, overwrite=overwrite) as partial:
        figure.savefig(partial)
    pyplot.close(figure)
