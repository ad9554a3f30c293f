"""Gradients of a spiking network that was fitted to a recording, with membranes that remember for 100 ms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor

import neurokit_snn as nk
from neurokit_snn.models.spiking.encoder import SpikingEncoder
from neurokit_snn.models.spiking.likelihoods import COUNT_NATS
from neurokit_snn.models.spiking.stretches import Batch
from neurokit_snn.snn import BPTT, OTTT, SLTT, Rule
from neurokit_snn.snn.training.rules import Objective
from paper_figures._sltt_gradients import BATCHES, cosine, gradients, reset_detached
from paper_figures.harness import Run

BIN, TAU = 0.01, 0.1
FIELDS: dict[str, Any] = {
    "covariates": ("track_position", "speed"),
    "direct": False,
    "past": 0.1,
    "coupling": True,
    "hidden": (64,),
    "tau": TAU,
    "tau_readout": TAU,
}
"""All that the rates know comes through the spiking layer, but each unit's own past."""


def track(run: Run) -> xr.Dataset:
    """The run epoch of `linear-track` in windows of 8 s and bins of 10 ms, units of 30 spikes at least."""
    tree = nk.recording.linearize(nk.catalog.open("linear-track"), name="track_position", epoch="run")
    tree = nk.recording.speed(tree, position="track_position")
    data = nk.recording.windows(tree, BIN, length=8.0, epoch="run", behavior=["track_position", "speed"])
    data = data.isel(trial=slice(0, 6) if run.dry_run else slice(None))
    return data.isel(unit=(data["counts"].sum(("trial", "time")) >= 30).values)


def encoder(run: Run, seed: int, rule: str) -> xr.Dataset:
    """A fit to the first four fifths by a rule: bits a spike on the last fifth, and cosines ``(batch, layer)`` to BPTT."""
    fields = FIELDS | {"rule": rule, "steps": 3 if run.dry_run else 600}
    key = {"seed": seed, "fields": {k: list(v) if isinstance(v, tuple) else v for k, v in fields.items()}}

    def make(checkpoints: Path) -> xr.Dataset:
        data = track(run)
        cut = int(0.8 * data.sizes["trial"])
        train, test = data.isel(trial=slice(0, cut)), data.isel(trial=slice(cut + 1, None))
        model = SpikingEncoder(**fields).fit(train, seed=seed, progress=True, resume=checkpoints)
        found = cosines(model, train, seed)
        spikes = float(test["counts"].sum())
        constant = nk.models.MeanRate().fit(train)
        nats = [float(m.log_likelihood(test, task="forecast").sum()) for m in (model, constant)]
        bits = (nats[0] - nats[1]) / (np.log(2.0) * spikes)
        return found.assign(bits=bits, seconds=model.history_.seconds)

    return run.result("encoder", key | {"dry_run": run.dry_run}, make)


def cosines(model: SpikingEncoder, data: xr.Dataset, seed: int) -> xr.Dataset:
    """Of SLTT and OTTT to the whole BPTT, on minibatches of stretches of one second."""
    source = model._source(data, "sltt", told=True)  # as the model is trained
    every, rng = source.told(), np.random.default_rng(seed)
    net = model.network_
    net.train()
    rules: dict[str, Rule] = {"sltt": SLTT(), "ottt": OTTT()}
    found: dict[str, list[list[float]]] = {name: [] for name in rules}
    for _ in range(BATCHES):
        batch = source.batch(every.take(rng.choice(len(every), min(64, len(every)), replace=False)))
        asked = _objective(model, batch)
        with reset_detached(net, False):
            whole = _spiking(gradients(BPTT(), net, batch.x, asked))
        for name, rule in rules.items():
            found[name].append(cosine(_spiking(gradients(rule, net, batch.x, asked)), whole))
    net.eval()
    return xr.Dataset({f"cosine_{name}": (("batch", "layer"), np.array(v)) for name, v in found.items()})


def _objective(model: SpikingEncoder, batch: Batch) -> Objective:
    nats = COUNT_NATS[model.observation]

    def loss(outputs: Tensor, start: int) -> Tensor:
        now = slice(start, start + len(outputs))
        total: Tensor = nats(outputs, batch.target[now], batch.weight[now])
        return total / batch.weight.sum()

    return loss


def _spiking(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """Of the weights into the spiking layer and out of it."""
    return {name: value for name, value in found.items() if name.startswith("network.")}
