"""Counts around events on 5 ms bins: `recording.align` against pynapple.

python -m benchmarks.alignment [--quick]

500 events, a window of -1 to 2 s, in an hour of 500 units with 10 million spikes; ``--quick`` is a tenth of
the units. The peer's fastest documented way is ``TsGroup.count`` over the windows as epochs, into int32,
folded into trials afterwards (``build_tensor`` does the same and copies more; ``compute_perievent`` scans all
spikes once an event). Its epochs must not overlap, so the events stand 7 s apart; ours may overlap. Before
anything is timed the arrays are compared, bin by bin. As in `benchmarks.binning`, the call that is timed is
the second one of its process, on both sides.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable

import numpy as np

from benchmarks._hour import BIN_WIDTH, CLOCK, HOUR, against_pynapple, digest, spike_trains, warm

WINDOW = (-1.0, 2.0)
N_EVENTS, N_BINS = 500, 600


def event_times() -> np.ndarray:
    """Times on the ticks of the clock that the spikes avoid."""
    jitter = np.random.default_rng(1).integers(0, 3 * CLOCK, N_EVENTS)
    return np.round((np.arange(N_EVENTS) * 7 * CLOCK + jitter) / CLOCK + 2.0, 9)


def ours_counts(trains: dict[int, np.ndarray]) -> Callable[[], np.ndarray]:
    from neurokit_snn import recording

    tree = recording.build(
        spikes=trains, events={"stimulus": event_times()}, epochs={"session": [[0.0, HOUR]]}
    )
    return lambda: recording.align(tree, BIN_WIDTH, to="events/stimulus", window=WINDOW)["counts"].values


def peer_counts(trains: dict[int, np.ndarray]) -> Callable[[], np.ndarray]:
    import pynapple

    warnings.simplefilter("ignore")
    support = pynapple.IntervalSet(0.0, HOUR)
    group = pynapple.TsGroup({u: pynapple.Ts(times) for u, times in trains.items()}, time_support=support)
    around = pynapple.IntervalSet(event_times() + WINDOW[0], event_times() + WINDOW[1])
    n_units = len(trains)
    return lambda: group.count(BIN_WIDTH, around, dtype=np.int32).values.reshape(N_EVENTS, N_BINS, n_units)


def prepare_ours(n_units: int) -> Callable[[], list[int]]:
    counts = ours_counts(spike_trains(n_units))
    return warm(lambda: digest(counts()))


def prepare_peer(n_units: int) -> Callable[[], list[int]]:
    counts = peer_counts(spike_trains(n_units))
    return warm(lambda: digest(counts()))


def identical(n_units: int) -> bool:
    """Whether both sides give the same number in every bin of every event and unit."""
    trains = spike_trains(n_units)
    return np.array_equal(ours_counts(trains)(), peer_counts(trains)())


def main(arguments: list[str] | None = None) -> int:
    return against_pynapple(
        "alignment",
        f"{N_EVENTS} events x -1..2 s",
        call=f"recording.align(tree, {BIN_WIDTH}, to='events/stimulus', window={WINDOW})",
        peer="TsGroup.count over epochs",
        identical=identical,
        description=__doc__,
        arguments=arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
