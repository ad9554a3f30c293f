"""Counts of a whole session on 5 ms bins: `recording.bin` against pynapple's ``TsGroup.count``.

python -m benchmarks.binning [--quick]

An hour of 500 units with 10 million spikes; ``--quick`` is a tenth of the units. Before anything is timed the two
arrays are compared, bin by bin. The peer counts into int32 (its default of int64 is slower and twice as large).
Each process makes the whole call once before the one that is timed: on both sides code is then compiled, and the
machine has given out the memory, which in a virtual one takes longer the first time than the counting. What the
first call costs is part of the name of the case.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable

import numpy as np

from benchmarks._hour import BIN_WIDTH, HOUR, against_pynapple, digest, spike_trains, warm


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


def main(arguments: list[str] | None = None) -> int:
    return against_pynapple(
        "binning",
        "1 h",
        call=f"recording.bin(tree, {BIN_WIDTH}, start=0.0, stop=1.0)",
        peer="TsGroup.count",
        identical=identical,
        description=__doc__,
        arguments=arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
