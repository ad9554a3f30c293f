"""The application itself, and what happens when a command meets bad input."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Annotated, Any, TextIO

import typer
from typer.core import TyperGroup

from neurokit_snn.errors import NeurokitError

__all__ = ["BAD_INPUT", "app"]

BAD_INPUT = 2
ORDER = ("datasets", "info", "convert", "fit", "compare", "plot", "doctor")


class OneLineErrors(TyperGroup):
    """Say bad input in one line on stderr and exit with 2; any other failure keeps its traceback."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Name the commands in the order in which a lab meets them."""
        return sorted(super().list_commands(ctx), key=ORDER.index)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        # A command line has no window to draw in; a user's own choice stands.
        os.environ.setdefault("MPLBACKEND", "Agg")
        with warnings.catch_warnings():
            warnings.showwarning = _one_line_warning
            try:
                return super().invoke(ctx)
            except NeurokitError as error:
                typer.echo(f"neurokit-snn: {error}", err=True)
                raise typer.Exit(BAD_INPUT) from error


def _one_line_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    print(f"neurokit-snn: warning: {message}", file=file or sys.stderr)


app = typer.Typer(
    name="neurokit-snn",
    cls=OneLineErrors,
    help="Open a recording, fit models to it, compare them on held-out data, draw.\n\n"
    "REC is a name from `neurokit-snn datasets`, an artefact (NAME.nk), or a file of a known format.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from neurokit_snn import __version__

        typer.echo(f"neurokit-snn {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    pass
