"""Writing units to NWB: one flat column and an index against a loop of ``NWBFile.add_unit``.

python -m benchmarks.nwb_write [--quick]

Both files must hold the same spikes, and the validator must find nothing in ours. ``--quick`` writes
100 units x 4,000 spikes instead of 500 x 20,000, where the loop takes seconds and not minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import h5py
import numpy as np
import pynwb

from benchmarks.harness import exit_code, run_case
from neurokit_snn import io, recording

HOUR = 3600.0


def spike_trains(n_units: int, n_spikes: int) -> dict[int, np.ndarray]:
    """Sorted uniform times within an hour, from a fixed seed."""
    rng = np.random.default_rng(0)
    return {unit: np.sort(rng.uniform(0.0, HOUR, n_spikes)) for unit in range(n_units)}


def flat(trains: dict[int, np.ndarray], folder: Path) -> Callable[[], Path]:
    """Ours: the recording is at hand, the call checks it and writes it."""
    tree = recording.build(spikes=trains)
    return lambda: io.write_nwb(tree, folder / "ours.nwb", overwrite=True)


def loop(trains: dict[int, np.ndarray], folder: Path) -> Callable[[], Path]:
    """The peer: unit by unit, as in pynwb's own tutorial."""
    path = folder / "peer.nwb"

    def timed() -> Path:
        file = pynwb.NWBFile("benchmark", "benchmark", datetime(2026, 1, 1, tzinfo=UTC))
        for unit, times in trains.items():
            file.add_unit(spike_times=times, id=unit)
        with pynwb.NWBHDF5IO(str(path), "w") as handle:
            handle.write(file)
        return path

    return timed


def same_and_valid(ours: Path, peer: Path) -> bool:
    """Whether both files hold the same units and spikes, and the validator finds nothing in ours."""
    with h5py.File(ours) as a, h5py.File(peer) as b:
        names = ("units/id", "units/spike_times", "units/spike_times_index")
        same = all(np.array_equal(a[name][:], b[name][:]) for name in names)
    return same and not pynwb.validate(path=str(ours))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smaller case")
    quick = parser.parse_args(arguments).quick
    n_units, n_spikes = (100, 4_000) if quick else (500, 20_000)
    trains = spike_trains(n_units, n_spikes)
    with tempfile.TemporaryDirectory() as folder:
        case = run_case(
            "nwb_write",
            f"{n_units} units x {n_spikes} spikes",
            ours=flat(trains, Path(folder)),
            peer=loop(trains, Path(folder)),
            peer_name=f"pynwb {version('pynwb')} add_unit",
            target=10.0 if quick else 50.0,
            agree=same_and_valid,
        )
    return exit_code([case])


if __name__ == "__main__":
    sys.exit(main())
