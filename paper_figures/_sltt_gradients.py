"""Experiments of the SLTT figure on images and events: fits by several rules, and how near their gradients are to those of BPTT.

The network is that of the published code but for its size: leaky neurons with a soft reset and a triangle of width 1, inputs that
are not decayed, scores at every step, cross-entropy of every step. BPTT is the whole one, through leak and reset, unless said.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

import neurokit_snn as nk
from neurokit_snn.snn import BPTT, LIF, OTTT, SLTT, Classifier, Network, Neuron, Rule, Stateful
from neurokit_snn.snn.training.rules import Objective
from paper_figures.harness import Run

LEAKS = (1.0 - 1.0 / 1.1, 0.5, 0.9)
"""The published one, .09, and longer memories."""
RULES: dict[str, Rule] = {"BPTT": BPTT(), "SLTT": SLTT(), "SLTT-1": SLTT(steps=1)}
STEPS = {"mnist": (6, 20), "nmnist": (17,)}
"""Steps that gradients are compared at; the first is that of the training. Of events: bins of 20 ms."""
BATCH = 128
BATCHES = 8
"""Minibatches whose cosines are averaged."""


@dataclasses.dataclass(frozen=True)
class Digits:
    """Trials ``(time or 1, trial, input)`` and their classes."""

    x: Tensor
    y: Tensor
    x_test: Tensor
    y_test: Tensor


def still(run: Run) -> Digits:
    """MNIST as constant inputs: 10,000 images to learn from, 10,000 to be judged on; all 60,000 at the scale of the paper."""
    data = nk.catalog.open("mnist")
    images = torch.from_numpy(data["image"].values.reshape(data.sizes["sample"], -1))[None]
    labels = torch.from_numpy(data["label"].values)
    train = {"small": 10_000, "paper": 60_000}[run.scale]
    train, test = (400, 200) if run.dry_run else (train, 10_000)
    at = slice(60_000, 60_000 + test)
    return Digits(images[:, :train] / 255.0, labels[:train], images[:, at] / 255.0, labels[at])


def events(run: Run) -> Digits:
    """N-MNIST as counts of events ``(time, trial, polarity y x)`` in bins of 20 ms."""
    tree = nk.catalog.open("nmnist")
    trials, camera = tree["trials"].to_dataset(), tree["stimulus/dvs"].to_dataset()
    steps, size = STEPS["nmnist"][0], 34
    trial = np.searchsorted(trials["start"].values, camera["time"].values, side="right") - 1
    step = (
        ((camera["time"].values - trials["start"].values[trial]) / 0.02).astype(np.int64).clip(0, steps - 1)
    )
    place = np.ravel_multi_index(
        (camera["p"].values, camera["y"].values, camera["x"].values), (2, size, size)
    ).astype(np.int64)
    flat = (step * trials.sizes["trial"] + trial) * 2 * size**2 + place
    counts = np.bincount(flat, minlength=steps * trials.sizes["trial"] * 2 * size**2)
    x = torch.from_numpy(counts.clip(0, 255).astype(np.uint8)).view(steps, trials.sizes["trial"], -1)
    y = torch.from_numpy(trials["digit"].values)
    learned = trials["split"].values == "train"
    first = np.flatnonzero(learned)[: 200 if run.dry_run else None]
    return Digits(x[:, first], y[first], x[:, ~learned], y[~learned])


DATA = {"mnist": still, "nmnist": events}


def network(inputs: int, leak: float, *, hidden: int, seed: int) -> Network:
    """Two layers of leaky neurons and scores at every step."""

    def neurons() -> LIF:
        return LIF(
            1.0 / (1.0 - leak), decay_input=False, reset="soft", detach_reset=False, surrogate="triangle"
        )

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = nn.Linear(inputs, hidden), neurons(), nn.Linear(hidden, hidden), neurons()
        return Network(*layers, nn.Linear(hidden, 10))


def fit(run: Run, of: str, seed: int, leak: float, rule: str) -> xr.Dataset:
    """One network, trained by a rule: accuracy on the test set, and cosines to BPTT ``(batch, steps, layer)``.

    For events also those of SLTT where every input is held at its mean over time.
    """
    epochs = 1 if run.dry_run else {"mnist": 10, "nmnist": 30}[of]
    hidden = {"mnist": 100, "nmnist": 200}[of]
    key = {"of": of, "seed": seed, "leak": leak, "rule": rule, "epochs": epochs, "hidden": hidden}
    key |= {"held": True} if of == "nmnist" else {}

    def make(checkpoints: Path) -> xr.Dataset:
        data = DATA[of](run)
        net = network(data.x.shape[-1], leak, hidden=hidden, seed=seed)
        steps = STEPS[of][0]
        trainer = Classifier(
            net, rule=RULES[rule], epochs=epochs, batch_size=BATCH if of == "mnist" else 32, patience=None
        )
        x, x_test = (part.expand(steps, -1, -1) for part in (data.x, data.x_test))
        trainer.fit(x, data.y, seed=seed, progress=True, resume=checkpoints)
        found = xr.Dataset(
            {"test_accuracy": trainer.score(x_test, data.y_test), "seconds": trainer.history_.seconds}
        ).assign(trainer.epochs_)
        found = found.assign(cosines(net, data, STEPS[of]))
        if of == "nmnist":
            mean = dataclasses.replace(data, x=data.x.float().mean(0, keepdim=True))
            found["cosine_held"] = cosines(net, mean, STEPS[of])["cosine_sltt"]
        return found

    return run.result("fit", key | {"scale": run.scale, "dry_run": run.dry_run}, make)


# ---- gradients -----------------------------------------------------------------------------------------------------


def objective_of(y: Tensor, steps: int) -> Objective:
    """Cross-entropy of every step, averaged."""

    def loss(outputs: Tensor, start: int) -> Tensor:
        flat = nn.functional.cross_entropy(outputs.flatten(0, 1), y.repeat(len(outputs)), reduction="sum")
        return flat / (steps * len(y))

    return loss


@contextlib.contextmanager
def reset_detached(net: nn.Module, detached: bool) -> Iterator[None]:
    """Whether gradients go around the reset, for as long as the block lasts."""
    neurons = [module for module in net.modules() if isinstance(module, Neuron)]
    before = [module.detach_reset for module in neurons]
    for module in neurons:
        module.detach_reset = detached
    try:
        yield
    finally:
        for module, value in zip(neurons, before, strict=True):
            module.detach_reset = value


def gradients(rule: Rule, net: Stateful, x: Tensor, objective: Objective) -> dict[str, Tensor]:
    """Of the weights by their name."""
    weights = {name: p for name, p in net.named_parameters() if p.ndim > 1}
    loss, _ = rule.loss(net, x, objective)
    found = torch.autograd.grad(loss, list(weights.values()))
    return dict(zip(weights, found, strict=True))


def cosine(one: dict[str, Tensor], other: dict[str, Tensor]) -> list[float]:
    """Of each layer's weights."""
    return [
        float(nn.functional.cosine_similarity(one[name].flatten(), other[name].flatten(), dim=0))
        for name in one
    ]


def cosines(net: Network, data: Digits, lengths: Sequence[int]) -> xr.Dataset:
    """Cosines ``(batch, steps, layer)`` of SLTT and OTTT to the whole BPTT, and of SLTT to one with the reset detached."""
    found: dict[str, list[list[list[float]]]] = {"sltt": [], "ottt": [], "sltt_detached": []}
    for at in range(BATCHES):
        rows = torch.arange(at * BATCH, (at + 1) * BATCH) % data.y.numel()
        now: dict[str, list[list[float]]] = {name: [] for name in found}
        for steps in lengths:
            x, y = data.x[:, rows].float().expand(steps, -1, -1), data.y[rows]
            asked = objective_of(y, steps)
            with reset_detached(net, False):
                whole = gradients(BPTT(), net, x, asked)
            with reset_detached(net, True):
                around = gradients(BPTT(), net, x, asked)
            local, traced = gradients(SLTT(), net, x, asked), gradients(OTTT(), net, x, asked)
            now["sltt"].append(cosine(local, whole))
            now["ottt"].append(cosine(traced, whole))
            now["sltt_detached"].append(cosine(local, around))
        for name, values in now.items():
            found[name].append(values)
    dims = ("batch", "steps", "layer")
    arrays: dict[str, Any] = {f"cosine_{name}": (dims, np.array(values)) for name, values in found.items()}
    return xr.Dataset(arrays, coords={"steps": list(lengths), "layer": [1, 2, 3]})
