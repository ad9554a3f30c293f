"""Spoken digits of a speaker that no network has heard: what learned delays are worth at equal numbers of parameters.

Each of the six speakers of `fsdd` is held out in turn. Clips are spikes of 40 mel bands in bins of 10 ms, the first .7 s of each.
A tenth of the training speakers' clips (takes 45 to 49 of every digit) chooses the epoch; the held-out speaker is heard once,
by the network that is done.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
from neurokit_snn.snn.training.readouts import Readout
from paper_figures.harness import Run

BANDS, DIGITS, BIN, STEPS = 40, 10, 0.01, 70
HIDDEN, WINDOW, TAU = 32, 25, 1.005
"""Hidden units where delays are learned, lags of a layer, and the published membranes, which forget within a step."""
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


def speakers() -> list[str]:
    """Those that are held out."""
    return [str(name) for name in np.unique(clips().speaker)]


# ---- arms ----------------------------------------------------------------------------------------------------------


def _rates() -> Network:
    """A perceptron on spike counts, as one step of time: no order of any kind."""
    hidden = 62
    layers = [nn.Linear(BANDS, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Dropout(DROPOUT)]
    return Network(*layers, nn.Linear(hidden, DIGITS))


def _recurrent() -> Network:
    """Spikes that come back one step later, in place of delays."""
    hidden = 37
    return Network(
        nn.Linear(BANDS, hidden, bias=False),
        nn.BatchNorm1d(hidden),
        Recurrent(_neurons(), hidden),
        SharedDropout(DROPOUT),
        nn.Linear(hidden, DIGITS, bias=False),
        LeakyIntegrator(TAU, decay_input=False),
    )


def _delayed(hidden: int, **fields: Any) -> Network:
    return delayed_network(BANDS, [hidden], DIGITS, dropout=DROPOUT, tau=TAU, tail=False, **fields)


def _neurons() -> LIF:
    return LIF(TAU, decay_input=False, surrogate=ATan(5.0))


ARMS: dict[str, Callable[[], Network]] = {
    "rates": _rates,
    "no delays": lambda: _delayed(2 * HIDDEN, window=1, learned=False),
    "recurrent": _recurrent,
    "fixed delays": lambda: _delayed(HIDDEN, window=WINDOW, learned=False),
    "fixed delays, twice the units": lambda: _delayed(2 * HIDDEN, window=WINDOW, learned=False),
    LEARNED: lambda: _delayed(HIDDEN, window=WINDOW, final_sigma=0.05, annealed=1.0),
}
"""All have as many learned numbers as the last, but for `fixed delays`: as many weights, and delays that are kept."""


def spoken(run: Run, speaker: str, arm: str, seed: int) -> xr.Dataset:
    """Accuracy on the clips of a speaker after training on those of all others; of learned delays also before rounding."""
    sizes = {"hidden": HIDDEN, "window": WINDOW, "tau": TAU, "dropout": DROPOUT}
    learning = {"epochs": [EPOCHS, FINISH], "batch": BATCH, "rate": LEARNING_RATE, "faster": FASTER}
    key = {"speaker": speaker, "arm": arm, "seed": seed, "dry_run": run.dry_run, **sizes, **learning}

    def make(checkpoints: Path) -> xr.Dataset:
        heard = clips()
        mine, chosen = heard.speaker == speaker, heard.take >= VALIDATED
        train, held, test = (heard.at(which) for which in (~mine & ~chosen, ~mine & chosen, mine))
        if run.dry_run:
            train, held, test = (_some(part) for part in (train, held, test))
        torch.manual_seed(seed)
        network = ARMS[arm]()
        readout: Readout = "softmax"
        if arm == "rates":
            train, held, test = ((x.mean(0, keepdim=True), y) for x, y in (train, held, test))
            readout = "mean"
        found = {"numbers": float(sum(p.numel() for p in network.parameters() if p.requires_grad))}
        data, learned = (network, readout, train, held, seed), arm == LEARNED
        epochs = EPOCHS if learned else EPOCHS + FINISH
        trained(
            *data, checkpoints / "fit", epochs=1 if run.dry_run else epochs, faster=FASTER if learned else 1.0
        )
        if learned:
            before = soft_and_rounded(network, lambda: _scorer(network, readout).score(*test))
            found |= {"soft": before.soft, "rounded": before.rounded}
            freeze_delays(network)
            finish = 1 if run.dry_run else FINISH
            trained(*data, checkpoints / "finish", epochs=finish, learning_rate=LEARNING_RATE / 3)
        found["accuracy"] = _scorer(network, readout).score(*test)
        return xr.Dataset(found)

    return run.result("spoken", key, make)


def _some(part: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return part[0][:, :100], part[1][:100]


def _scorer(network: Network, readout: Readout) -> Classifier:
    return Classifier(network, readout=readout)


def trained(
    network: Network,
    readout: Readout,
    train: tuple[Tensor, Tensor],
    held: tuple[Tensor, Tensor],
    seed: int,
    folder: Path,
    *,
    epochs: int,
    learning_rate: float = LEARNING_RATE,
    faster: float = 1.0,
) -> None:
    """Fit, with the weights of the epoch that does best on `held`; delays learn so many times as fast as weights."""
    folder.mkdir(exist_ok=True)
    Classifier(
        network,
        readout=readout,
        epochs=epochs,
        batch_size=BATCH,
        learning_rate=learning_rate,
        rates={} if faster == 1.0 else {"*.position": faster},
        final_fraction=0.05,
        patience=None,
    ).fit(*train, validation=held, seed=seed, progress=True, resume=folder)
