"""Counts of a whole session on 5 ms bins: `recording.bin` against pynapple's ``TsGroup.count``.

python -m benchmarks.binning [--quick]

An hour of 500 units with 10 million spikes; ``--quick`` is a tenth of the units. Before anything is timed the two
arrays are compared, bin by bin. The peer counts into int32 (its default of int64 is slower and twice as large).
Each process makes the whole call once before the one that is timed: on both sides code is then compiled, and the
machine has given out the memory, which in a virtual one takes longer the first time than the counting. What the
first call costs is part of the name of the case.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import warnings
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


def prepare_ours(n_units: int) -> Callable[[], list[int]]:
    from neurokit_snn import recording

    tree = recording.build(spikes=spike_trains(n_units))

    def timed() -> list[int]:
        return digest(recording.bin(tree, BIN_WIDTH, start=0.0, stop=HOUR)["counts"].values[0])

    return warm(timed)


def prepare_peer(n_units: int) -> Callable[[], list[int]]:
    import pynapple

    warnings.simplefilter("ignore")
    session = pynapple.IntervalSet(0.0, HOUR)
    group = pynapple.TsGroup(
        {u: pynapple.Ts(times) for u, times in spike_trains(n_units).items()}, time_support=session
    )
    return warm(lambda: digest(group.count(BIN_WIDTH, session, dtype=np.int32).values))


def identical(n_units: int) -> bool:
    """Whether both sides give the same number in every bin of every unit."""
    import pynapple

    from neurokit_snn import recording

    trains = spike_trains(n_units)
    ours = recording.bin(recording.build(spikes=trains), BIN_WIDTH, start=0.0, stop=HOUR)["counts"].values[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        session = pynapple.IntervalSet(0.0, HOUR)
        group = pynapple.TsGroup({u: pynapple.Ts(t) for u, t in trains.items()}, time_support=session)
        return np.array_equal(ours, group.count(BIN_WIDTH, session, dtype=np.int32).values)


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


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the units")
    quick = parser.parse_args(arguments).quick
    n_units = 50 if quick else 500
    same = identical(n_units)
    first, later = cold_seconds(f"recording.bin(tree, {BIN_WIDTH}, start=0.0, stop=1.0)")
    case = run_case(
        "binning",
        f"1 h x {n_units} units x {n_units * SPIKES_PER_UNIT // 10**6} M spikes at 5 ms; second "
        f"call, compiling adds {first:.1f} s to the first ever and loading {later:.1f} s to the first of a process",
        ours="benchmarks.binning:prepare_ours",
        peer="benchmarks.binning:prepare_peer",
        peer_name=f"pynapple {version('pynapple')} TsGroup.count",
        kwargs={"n_units": n_units},
        target=4.0 if quick else 10.0,
        agree=lambda ours, peer: same and ours == peer,
        less_memory=not quick,  # where the arrays are small, what was imported decides
    )
    return exit_code([case])


if __name__ == "__main__":
    sys.exit(main())
