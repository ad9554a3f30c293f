"""The command line: every command is a few calls of the library. Heavy imports happen inside the commands."""

from __future__ import annotations

from neurokit_snn.cli import _drawing, _fitting, _recordings
from neurokit_snn.cli._app import app

__all__ = ["COMMANDS", "app"]

COMMANDS = (_recordings, _fitting, _drawing)
"""The modules whose import adds their commands to the application."""
