"""Importing the package costs at most 1.1 times ``import xarray``, and loads neither jax nor torch.

python -m benchmarks.import_time
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from importlib.metadata import version

from benchmarks.harness import exit_code, run_case

HEAVY = ("jax", "torch", "numba", "sklearn", "matplotlib", "brian2")


def prepare(package: str) -> Callable[[], list[str]]:
    """Return the import to be timed; its value names the heavy libraries that came with it."""

    def timed() -> list[str]:
        importlib.import_module(package)
        return [name for name in HEAVY if name in sys.modules]

    return timed


def prepare_ours() -> Callable[[], list[str]]:
    return prepare("neurokit_snn")


def prepare_xarray() -> Callable[[], list[str]]:
    return prepare("xarray")


def main() -> int:
    case = run_case(
        "import_time",
        "import neurokit_snn",
        ours="benchmarks.import_time:prepare_ours",
        peer="benchmarks.import_time:prepare_xarray",
        peer_name=f"import xarray {version('xarray')}",
        target=1 / 1.1,
        repeats=31,
        # Nothing heavy beyond what xarray itself may bring; jax and torch it never brings.
        agree=lambda ours, peer: set(ours) <= set(peer) and not {"jax", "torch"} & set(ours),
    )
    return exit_code([case])


if __name__ == "__main__":
    sys.exit(main())
