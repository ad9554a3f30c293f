"""Spoken digits of a speaker that no network has heard: what learned delays are worth at equal numbers of parameters.

Each of the six speakers of `fsdd` is held out in turn. Clips are spikes of 40 mel bands in bins of 10 ms, the first .7 s of each.
A tenth of the training speakers' clips (takes 45 to 49 of every digit) chooses the epoch; the held-out speaker is heard once,
by the network that is done.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import joblib
import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

import neurokit_snn as nk
from neurokit_snn.snn import (
    LIF,
    ATan,
    Classifier,
    LeakyIntegrator,
    Network,
    Recurrent,
    SharedDropout,
    delayed_network,
    freeze_delays,
    soft_and_rounded,
)
from paper_figures.harness import Run

BANDS, DIGITS, BIN, STEPS = 40, 10, 0.01, 70
HIDDEN, WINDOW = 64, 25
DROPOUT, BATCH, LEARNING_RATE, FASTER = 0.2, 64, 3e-3, 100.0
EPOCHS, FINISH = 20, 6
"""Passes over the training clips: with delays that are learned, and after they are frozen. All other arms have the sum."""
VALIDATED = 45
"""First of the takes that choose the epoch."""
LEARNED = "learned delays"


@dataclasses.dataclass(frozen=True)
class Clips:
    """Spikes ``(time, clip, band)``, digits, speakers and takes ``(clip,)``."""

    spikes: Tensor
    digit: Tensor
    speaker: np.ndarray
    take: np.ndarray

    def at(self, which: np.ndarray) -> tuple[Tensor, Tensor]:
        """Spikes and digits of some clips."""
        index = torch.from_numpy(np.flatnonzero(which))
        return self.spikes[:, index], self.digit[index]


@functools.lru_cache(maxsize=1)
def clips() -> Clips:
    """All clips, as the networks hear them."""
    tree = nk.io.mel_spikes(nk.catalog.open("fsdd"), channels=BANDS)
    data = nk.recording.bin_trials(tree, BIN).isel(time=slice(0, STEPS))
    counts = data["counts"].transpose("time", "trial", "unit").values.astype(np.float32)
    digit = torch.from_numpy(data["digit"].values.astype(np.int64))
    return Clips(torch.from_numpy(counts), digit, data["speaker"].values, data["take"].values)


# ---- arms ----------------------------------------------------------------------------------------------------------


def _rates() -> Network:
    """A perceptron on spike counts, as one step of time: no order of any kind."""
    hidden = 2 * HIDDEN - 5
    layers = [nn.Linear(BANDS, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Dropout(DROPOUT)]
    return Network(*layers, nn.Linear(hidden, DIGITS))


def _recurrent() -> Network:
    """Spikes that come back one step later, in place of delays."""
    hidden = 59
    return Network(
        nn.Linear(BANDS, hidden, bias=False),
        nn.BatchNorm1d(hidden),
        Recurrent(_neuron(), hidden),
        SharedDropout(DROPOUT),
        nn.Linear(hidden, DIGITS, bias=False),
        LeakyIntegrator(TAU, decay_input=False),
    )


def _delayed(hidden: int, **fields: object) -> Network:
    return delayed_network(BANDS, [hidden], DIGITS, dropout=DROPOUT, tail=False, **fields)


ARMS: dict[str, Callable[[], Network]] = {
    "rates": _rates,
    "no delays": lambda: _delayed(2 * HIDDEN, window=1, learned=False),
    "recurrent": _recurrent,
    "fixed random delays": lambda: _delayed(HIDDEN, window=WINDOW, learned=False),
    "fixed random, twice as wide": lambda: _delayed(2 * HIDDEN, window=WINDOW, learned=False),
    LEARNED: lambda: _delayed(HIDDEN, window=WINDOW, final_sigma=0.05, annealed=0.5),
}
