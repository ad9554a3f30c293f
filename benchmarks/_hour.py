"""An hour of made spikes, and the case that counts them here and in pynapple."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from os import environ

import numpy as np

from benchmarks.harness import ROOT, exit_code, run_case

HOUR, BIN_WIDTH, CLOCK = 3600.0, 0.005, 30_000
SPIKES_PER_UNIT = 20_000


def spike_trains(n_units: int) -> dict[int, np.ndarray]:
    """Spikes half-way between ticks of a 30 kHz clock: none on an edge of a bin, where the sides round apart.

    All are views of one array, which goes back to the system whole once nobody needs it.
    """
    rng = np.random.default_rng(0)
    flat = np.empty(n_units * SPIKES_PER_UNIT)
    trains = {}
    for unit in range(n_units):
        ticks = np.unique(rng.integers(0, int(HOUR) * CLOCK, SPIKES_PER_UNIT))
        row = unit * SPIKES_PER_UNIT
        trains[unit] = flat[row : row + ticks.size]
        trains[unit][:] = np.round((ticks + 0.5) / CLOCK, 9)
    return trains


def digest(counts: np.ndarray) -> list[int]:
    """Sums of some bins in every hundred and of one unit: cheap enough to be taken inside the timing."""
    return [int(counts[::101].sum()), int(counts[..., 7].sum())]


def warm(call: Callable[[], list[int]]) -> Callable[[], list[int]]:
    """Make the call once and return it."""
    call()
    return call


COLD = """
import time
from neurokit_snn import recording
tree = recording.build(spikes={0: [0.1, 0.2]}, events={"stimulus": [0.5]})
start = time.perf_counter()
CALL
print(time.perf_counter() - start)
"""


def cold_seconds(call: str) -> tuple[float, float]:
    """Seconds of the first call ever (numba compiles) and of the first in a later process, on a recording of two spikes."""
    with tempfile.TemporaryDirectory() as folder:
        runs = [
            subprocess.run(
                [sys.executable, "-c", COLD.replace("CALL", call)],
                env={**environ, "NUMBA_CACHE_DIR": folder},
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=True,
            )
            for _ in range(2)
        ]
    first, later = (float(run.stdout) for run in runs)
    return first, later


def against_pynapple(
    bench: str,
    what: str,
    *,
    call: str,
    peer: str,
    identical: Callable[[int], bool],
    description: str,
    arguments: list[str] | None,
) -> int:
    """Compare the arrays, then the times and the memory of ``prepare_ours`` and ``prepare_peer`` of a benchmark."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="a tenth of the units")
    quick = parser.parse_args(arguments).quick
    n_units = 50 if quick else 500
    same = identical(n_units)
    first, later = cold_seconds(call)
    case = run_case(
        bench,
        f"{what} x {n_units} units x {n_units * SPIKES_PER_UNIT // 10**6} M spikes at 5 ms; second call, compiling adds "
        f"{first:.1f} s to the first call ever and loading {later:.1f} s to the first of a process",
        ours=f"benchmarks.{bench}:prepare_ours",
        peer=f"benchmarks.{bench}:prepare_peer",
        peer_name=f"pynapple {version('pynapple')} {peer}",
        kwargs={"n_units": n_units},
        target=4.0 if quick else 10.0,
        agree=lambda ours, theirs: same and ours == theirs,
        less_memory=not quick,  # where the arrays are small, what was imported decides
    )
    return exit_code([case])
