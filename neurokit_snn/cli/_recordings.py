"""Commands about recordings: what there is, what is in one, from one format to another, and repairs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neurokit_snn.cli._app import app
from neurokit_snn.cli._files import open_recording, write_recording

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Rec"]

Rec = Annotated[str, typer.Argument(metavar="REC", help="Name of a dataset, an artefact NAME.nk, or a file.")]


@app.command()
def datasets() -> None:
    """List the datasets that can be opened by name."""
    from neurokit_snn import catalog

    for entry in catalog.list():
        typer.echo(f"{entry.name:20} {entry.kind:10} {entry.title}")


@app.command()
def info(rec: Rec) -> None:
    """Say what a recording holds."""
    recording = open_recording(rec)
    facts = describe(recording)
    width = max(map(len, facts))
    for name, value in facts.items():
        typer.echo(f"{name.ljust(width)}  {value}")


@app.command()
def convert(
    source: Annotated[
        str, typer.Argument(metavar="IN", help="What to read: a dataset, an artefact or a file.")
    ],
    target: Annotated[
        Path, typer.Argument(metavar="OUT", help="What to write; its ending names the format.")
    ],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT where it exists.")] = False,
) -> None:
    """Write a recording in another format.

    The ending of OUT names it: .nk, .nc, .nwb or .zarr.
    """
    recording = open_recording(source)
    write_recording(recording, target, overwrite=overwrite)
    typer.echo(f"wrote {target}")


@app.command()
def doctor(
    folder: Annotated[Path, typer.Argument(help="Folder that holds artefacts.")],
    fix: Annotated[
        bool, typer.Option("--fix", help="Recover and remove; without it, only say what would be done.")
    ] = False,
) -> None:
    """Mend what an interrupted save left behind.

    Without --fix it only lists what there is and what would be done.
    """
    from neurokit_snn import artefact

    findings = artefact.doctor(folder, fix=fix)
    for finding in findings:
        typer.echo(f"{finding.path}: {finding.state}; {finding.action}")
    if not findings:
        typer.echo(f"{folder}: nothing to mend")


def describe(recording: xr.DataTree) -> dict[str, str]:
    """Word what a recording holds, a line a node."""
    from neurokit_snn.recording import span

    attrs, nodes = recording.attrs, recording.children
    start, stop = span(recording)
    facts = {
        "session": attrs.get("session_id", ""),
        "subject": attrs.get("subject", ""),
        "recorded": attrs.get("start", ""),
        "span": f"{start:.3f} to {stop:.3f} s ({stop - start:.1f} s)",
    }
    if "units" in nodes:
        facts["units"] = str(recording["units"].sizes["unit"])
    if "spikes" in nodes:
        facts["spikes"] = f"{recording['spikes'].sizes['spike']:,}"
    if "trials" in nodes:
        table = recording["trials"].to_dataset()
        columns = ", ".join(str(name) for name in table.data_vars if name not in ("start", "stop"))
        facts["trials"] = f"{table.sizes['trial']}" + (f" with {columns}" if columns else "")
    for group in ("epochs", "events", "behavior", "stimulus", "signals"):
        for name, node in (nodes[group].children if group in nodes else {}).items():
            facts[f"{group}/{name}"] = _shape(node.to_dataset())
    if "calcium" in nodes:
        facts["calcium"] = _shape(recording["calcium"].to_dataset())
    facts |= {name: attrs.get(name, "") for name in ("source", "licence", "citation")}
    return {name: str(value) for name, value in facts.items() if value != ""}


def _shape(node: xr.Dataset) -> str:
    """Word the sizes of a node, and the units and rate of its samples."""
    import numpy as np

    text = " x ".join(f"{size:,} {dim}" for dim, size in node.sizes.items())
    for name in ("value", "fluorescence", "frames"):
        if name in node and node[name].attrs.get("units", "1") not in ("", "1"):
            text += f", in {node[name].attrs['units']}"
    if "time" in node.dims and node.sizes["time"] > 1:
        text += f", about {1 / float(np.median(np.diff(node['time'].values))):.4g} samples/s"
    return text
