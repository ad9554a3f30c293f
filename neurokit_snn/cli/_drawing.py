"""The command that draws."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from neurokit_snn.cli._app import app
from neurokit_snn.cli._files import is_recording, open_artefact, open_recording
from neurokit_snn.cli._prepare import binned, load_config, overlaid
from neurokit_snn.config import DataConfig
from neurokit_snn.errors import ConfigError

__all__ = ["Kind"]


class Kind(StrEnum):
    """The pictures that can be drawn."""

    raster = "raster"
    psth = "psth"
    tuning = "tuning"
    decoded = "decoded"
    comparison = "comparison"


KINDS = ", ".join(Kind)
What = "A recording; for comparison a saved comparison; for tuning perhaps a fitted model."
Out = Annotated[Path | None, typer.Option(help="Picture to write (.png, .pdf, .svg); KIND.png by default.")]
Start = Annotated[float | None, typer.Option(help="First second to draw.")]
Stop = Annotated[float | None, typer.Option(help="Last second to draw.")]
Units = Annotated[str, typer.Option(metavar="A,B,...", help="Labels of the units; all by default.")]
To = Annotated[str | None, typer.Option(help="psth: events/NAME or trials/COLUMN to align to.")]
Window = Annotated[tuple[float, float], typer.Option(help="psth: seconds before (negative) and after.")]
By = Annotated[str | None, typer.Option(help="psth, tuning: column, one line for each value.")]
Model = Annotated[Path | None, typer.Option(help="decoded: a decoder saved by `fit`.")]
Behavior = Annotated[str, typer.Option(help="decoded, tuning: which behaviour.")]
Metric = Annotated[str | None, typer.Option(help="comparison: which metric; the first by default.")]
Reference = Annotated[str | None, typer.Option(help="comparison: model to take differences from.")]
BinWidth = Annotated[float | None, typer.Option(help="Seconds of a bin.")]
ConfigFile = Annotated[
    Path | None, typer.Option(metavar="FILE.toml", help="Its [data] table says how to bin.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace OUT where it exists.")]


@app.command()
def plot(
    kind: Annotated[Kind, typer.Argument(metavar="KIND", help=KINDS)],
    rec: Annotated[str, typer.Argument(metavar="REC", help=What)],
    out: Out = None,
    start: Start = None,
    stop: Stop = None,
    units: Units = "",
    to: To = None,
    window: Window = (-1.0, 2.0),
    by: By = None,
    model: Model = None,
    behavior: Behavior = "position",
    metric: Metric = None,
    reference: Reference = None,
    bin_width: BinWidth = None,
    config: ConfigFile = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw a recording, a fitted model or a comparison."""
    path = out or Path(f"{kind}.png")
    if path.exists() and not overwrite:
        raise ConfigError(f"{path} exists; choose another --out or pass --overwrite")
    from neurokit_snn import plot as draw

    settings = overlaid(load_config(config).data, bin_width=bin_width, start=start, stop=stop)
    drawn: Any
    if kind is Kind.raster:
        recording = open_recording(rec)
        drawn = draw.raster(recording, start=start, stop=stop, units=_labels(units, recording["units"]))
    elif kind is Kind.psth:
        data = _aligned(rec, settings, to=to, window=window)
        drawn = draw.psth(data, units=_labels(units, data), by=by)
    elif kind is Kind.tuning:
        curves = _curves(rec, settings, behavior=behavior, by=by)
        drawn = draw.tuning(curves, units=_labels(units, curves))
    elif kind is Kind.decoded:
        data = binned(open_recording(rec), settings)
        drawn = draw.decoded(data, _decode(data, model, behavior=behavior), behavior=behavior)
    else:
        scores = open_artefact(rec, "a comparison", "metric")
        drawn = draw.comparison(scores, metric=metric, reference=reference)
    _save(drawn, path, overwrite=overwrite)
    typer.echo(f"wrote {path}")


def _aligned(rec: str, settings: DataConfig, *, to: str | None, window: tuple[float, float]) -> Any:
    from neurokit_snn.recording import align

    if to is None:
        raise ConfigError("plot psth needs --to events/NAME or --to trials/COLUMN")
    return align(open_recording(rec), settings.bin_width, to=to, window=window)


def _decode(data: Any, model: Path | None, *, behavior: str) -> Any:
    if model is None:
        raise ConfigError("plot decoded needs --model NAME.nk, a decoder made by `neurokit-snn fit`")
    decoder = open_artefact(str(model), "a fitted decoder", "predict")
    return decoder.predict(data, task="decode", target=behavior)


def _curves(rec: str, settings: DataConfig, *, behavior: str, by: str | None) -> Any:
    """Tuning curves of a fitted model, or those that spikes and the time spent give by themselves."""
    from neurokit_snn.models.tuning import tuning_curves

    if Path(rec).suffix == ".nk" and not is_recording(rec):
        return open_artefact(rec, "a model with tuning curves", "tuning_curves").tuning_curves(behavior)
    return tuning_curves(binned(open_recording(rec), settings), behavior, by=by)


def _labels(text: str, units: Any) -> list[Any] | None:
    """Read unit labels as the type that the recording has."""
    if not text:
        return None
    there = {str(label): label for label in units["unit"].values.tolist()}
    asked = [name.strip() for name in text.split(",")]
    for name in asked:
        if name not in there:
            some = ", ".join(list(there)[:5])
            raise ConfigError(f"--units: no unit {name!r}; there are {len(there)}, such as {some}")
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
