"""The task of which only timing tells the answer: ten orders in which eight channels send one pulse each.

Pulses of 3 steps come 5 steps apart, each up to one step early or late, and the whole up to 5 steps later; no two channels are
active together, so that neither rates nor coincidences tell the classes apart. One layer of delays goes from the channels to the
classes; the score of a class is the sum over time of its softmax.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from neurokit_snn.snn import Classifier, Delays, Network, soft_and_rounded
from paper_figures.harness import Run

CLASSES, CHANNELS, STEPS, WINDOW = 10, 8, 48, 37
GAP, PULSE, JITTER, SHIFT = 5, 3, 1, 5
TRIALS, EPOCHS, BATCH = 1000, 40, 100
LEARNING_RATE, FASTER = 5e-3, 40.0
"""Of weights, and how many times as fast delays learn."""
ARMS: dict[str, dict[str, Any]] = {
    "no delays": {"window": 1, "learned": False},
    "fixed random": {"window": WINDOW, "learned": False},
    "learned, constant width": {"window": WINDOW, "sigma": 0.23},
    "learned, annealed": {"window": WINDOW},
}
WEIGHTS = ("learned", "frozen at 1")


def orders_of(seed: int) -> np.ndarray:
    """``(class, place)``: the channel that comes at each place."""
    rng = np.random.default_rng((seed, 0))
    return np.array([rng.permutation(CHANNELS) for _ in range(CLASSES)])


def trials_of(orders: np.ndarray, number: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Spikes ``(time, trial, channel)`` and classes."""
    label = rng.integers(0, CLASSES, number)
    at = np.arange(CHANNELS) * GAP + rng.integers(0, SHIFT + 1, (number, 1))
    at = np.clip(at + rng.integers(-JITTER, JITTER + 1, at.shape), 0, STEPS - PULSE)
    spikes = np.zeros((STEPS, number, CHANNELS), np.float32)
    for step in range(PULSE):
        spikes[at + step, np.arange(number)[:, None], orders[label]] = 1.0
    return torch.from_numpy(spikes), torch.from_numpy(label)


def timing(run: Run, seed: int, arm: str, weights: str) -> xr.Dataset:
    """Test accuracy of one arm, with the bumps of the training and rounded."""
    epochs, number = (1, 100) if run.dry_run else (EPOCHS, TRIALS)
    made = {"epochs": epochs, "trials": number, "batch": BATCH, "rate": LEARNING_RATE, "faster": FASTER}

    def make(checkpoints: Path) -> xr.Dataset:
        orders = orders_of(seed)
        train, test = (trials_of(orders, number, np.random.default_rng((seed, part))) for part in (1, 2))
        torch.manual_seed(seed)
        network = Network(Delays(CHANNELS, CLASSES, **ARMS[arm]))
        if weights != "learned":
            torch.nn.init.ones_(network.layers[0].weight).requires_grad_(False)
        learned = [name for name, p in network.named_parameters() if p.requires_grad]
        fit = Classifier(
            network,
            readout="softmax",
            epochs=epochs,
            batch_size=BATCH,
            learning_rate=LEARNING_RATE,
            rates={name: FASTER for name in learned if name.endswith("position")},
            patience=None,
        )
        if learned:
            fit.fit(*train, validation=None, seed=seed, resume=checkpoints)
        found = soft_and_rounded(network, lambda: fit.score(*test))
        return xr.Dataset(
            {
                "soft": found.soft,
                "rounded": found.rounded,
                "delays": ("synapse", network.layers[0].delays.flatten()),
            }
        )

    key = {"seed": seed, "arm": arm, "fields": ARMS[arm], "weights": weights, **made}
    return run.result("timing", key, make)
