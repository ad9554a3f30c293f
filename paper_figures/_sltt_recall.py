"""What SLTT cannot learn: a digit shown at the first step only and asked for at the last.

With nothing to see, no unit fires at the last step, and the gradient inside that step is nought for every weight but the last
biases. Rules that know the past learn the task.
"""

from __future__ import annotations

from pathlib import Path

import torch
import xarray as xr
from torch import Tensor, nn

from neurokit_snn.snn import (
    BPTT,
    LIF,
    OTTT,
    SLTT,
    Classifier,
    LeakyIntegrator,
    Network,
    Rule,
    TruncatedBPTT,
)
from neurokit_snn.snn.training.rules import Objective
from paper_figures._sltt_gradients import Digits, gradients, still
from paper_figures.harness import Run

STEPS = 10
LEAK = 0.9
HIDDEN = 100
RULES: dict[str, Rule] = {
    "BPTT": BPTT(),
    "OTTT": OTTT(),
    "SLTT": SLTT(),
    "truncated": TruncatedBPTT(window=5),
}
CHANCE = 0.1


def shown_once(x: Tensor) -> Tensor:
    """Images ``(1, trial, pixel)`` at the first of all steps, nothing after it."""
    return torch.cat([x, x.new_zeros(STEPS - 1, *x.shape[1:])])


def network(inputs: int, seed: int) -> Network:
    """A layer of neurons and a leaky readout, without biases: nothing but the input makes a unit fire."""
    tau = 1.0 / (1.0 - LEAK)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        neurons = LIF(tau, decay_input=False, reset="soft", surrogate="triangle")
        first, last = nn.Linear(inputs, HIDDEN, bias=False), nn.Linear(HIDDEN, 10, bias=False)
        nn.init.normal_(
            first.weight, std=0.1
        )  # images of MNIST drive membranes by .9 threshold: a sixth of the units fire
        return Network(first, neurons, last, LeakyIntegrator(tau, decay_input=False))


def recall(run: Run, seed: int, rule: str) -> xr.Dataset:
    """Accuracy on the test set after training by a rule, and the largest gradient of the first layer before it."""
    epochs = 1 if run.dry_run else 8
    key = {"seed": seed, "rule": rule, "epochs": epochs, "steps": STEPS, "leak": LEAK, "hidden": HIDDEN}

    def make(checkpoints: Path) -> xr.Dataset:
        data = still(run)
        net = network(data.x.shape[-1], seed)
        first = first_gradient(RULES[rule], net, data)
        trainer = Classifier(
            net, rule=RULES[rule], readout="last", epochs=epochs, batch_size=128, patience=None, best="error"
        )
        trainer.fit(shown_once(data.x), data.y, seed=seed, progress=True, resume=checkpoints)
        accuracy = trainer.score(shown_once(data.x_test), data.y_test)
        return xr.Dataset({"test_accuracy": accuracy, "first_gradient": first}).assign(trainer.epochs_)

    return run.result("recall", key | {"scale": run.scale, "dry_run": run.dry_run}, make)


def first_gradient(rule: Rule, net: Network, data: Digits) -> float:
    """Largest entry of the gradient of the first weights for 128 images."""
    x, y = shown_once(data.x[:, :128]), data.y[:128]
    return float(next(iter(gradients(rule, net, x, at_the_end(y)).values())).abs().max())


def at_the_end(y: Tensor) -> Objective:
    """Cross-entropy of the last step."""

    def loss(outputs: Tensor, start: int) -> Tensor:
        here = float(start + len(outputs) == STEPS)
        return here * nn.functional.cross_entropy(outputs[-1], y)

    return loss
