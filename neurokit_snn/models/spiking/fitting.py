"""Training of a spiking network on stretches of a recording."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from neurokit_snn.errors import ModelError
from neurokit_snn.models.spiking.likelihoods import Nats
from neurokit_snn.models.spiking.network import Builder, RateNetwork, Sizes, started
from neurokit_snn.models.spiking.stretches import Batch, Source, Stretches, parts_of
from neurokit_snn.snn.delays.layer import Delays
from neurokit_snn.snn.network import Network
from neurokit_snn.snn.stateful import Stateful
from neurokit_snn.snn.training import Rule
from neurokit_snn.torchloop import History, Schedule, train

__all__ = ["Plan", "fingerprint", "fitted", "fresh", "outputs_of"]

VALIDATIONS = 40
"""Validations of a fit."""
START = 64
"""Stretches from which the scale of the first weights is taken."""
TOGETHER = 256
"""Stretches that are run at once where nothing is learned."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """How a network is trained.

    Parameters
    ----------
    steps, batch_size, learning_rate, weight_decay
        Of the optimiser.
    validation
        Share of the stretches that chooses the step.
    patience
        Validations without a new best after which the training stops; None: never.
    rates
        Factors of the learning rate by name of the parameter.
    accelerator
        As Lightning Fabric names it.
    who
        For messages.
    """

    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    validation: float
    patience: int | None
    rates: Mapping[str, float]
    accelerator: str
    who: str

    def __post_init__(self) -> None:
        """Refuse what `Schedule` does not look at."""
        if not 0.0 <= self.validation < 1.0:
            raise ModelError(
                f"{self.who}: validation is {self.validation}; give a share of the data, 0 for none"
            )


class Learner(nn.Module):
    """What is trained: a network, the rule it learns by, and the loss."""

    def __init__(self, network: Stateful, rule: Rule, nats: Nats) -> None:
        super().__init__()
        self.network, self.rule, self.nats = network, rule, nats

    def forward(self, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
        """Nats of a batch, and how many numbers are scored."""

        def objective(outputs: Tensor, start: int) -> Tensor:
            now = slice(start, start + outputs.shape[0])
            return self.nats(outputs, batch.target[now], batch.weight[now])

        if self.training:
            for layer in self.network.modules():
                if isinstance(layer, Delays):
                    layer.at(batch.progress)
            total, _ = self.rule.loss(self.network, batch.x, objective)
        else:
            total = objective(self.network(batch.x)[0], 0)
        return {"nats": (total, batch.weight.sum())}

    def tokens(self, batch: Batch) -> int:
        """Scored numbers of a batch."""
        return int(batch.weight.sum())


def fitted(
    network: Stateful,
    source: Source,
    nats: Nats,
    plan: Plan,
    *,
    rule: Rule,
    parameters: Mapping[str, Any],
    seed: int,
    resume: Path | None,
    progress: bool,
) -> History:
    """Train a network in place.

    Parameters
    ----------
    network
        With the weights it starts from.
    source
        Training data.
    nats
        Loss.
    plan, rule
        How it learns.
    parameters
        Of the model: a checkpoint of other ones is refused.
    seed
        Of the order of stretches.
    resume
        Folder of the checkpoint; None for none.
    progress
        Show a bar.

    Raises
    ------
    ModelError
        When there is nothing to learn from, or the training fails.
    """
    who = plan.who
    told = source.told()
    learned, kept = parts_of(told, plan.validation)
    if not len(learned):
        raise ModelError(f"{who}: no bin to learn from: nothing is observed; check the masks of the data")
    size = min(plan.batch_size, len(learned))

    def batches(step: int, rank: int, world: int) -> Batch:
        """The stretches of a step."""
        chosen = learned.of_step(step, size, seed=seed).take(slice(rank, None, world))
        return source.batch(chosen, progress=step / plan.steps)

    tokens = plan.steps * size * source.scored.sum() / len(told)
    schedule = Schedule(
        steps=plan.steps,
        learning_rate=plan.learning_rate,
        betas=(0.9, 0.99),
        weight_decay=plan.weight_decay,
        warmup_tokens=tokens / 50,
        decay_tokens=max(tokens, 1.0),
        validate_every=max(1, plan.steps // VALIDATIONS) if len(kept) else 0,
        patience=plan.patience if len(kept) else None,
    )
    history = train(
        Learner(network, rule, nats),
        batches,
        schedule,
        seed=seed,
        rates=plan.rates,
        validate=functools.partial(_validated, source=source, kept=kept),
        checkpoint=None if resume is None else resume / "fit.nk",
        fingerprint=fingerprint(parameters, source, seed=seed, weights=network.state_dict()),
        progress=progress,
        description=who.removesuffix(".fit"),
        accelerator=plan.accelerator,
        who=who,
    )
    network.to("cpu").eval()
    return history


def fresh(
    sizes: Sizes, builder: Builder | None, source: Source, *, bias: np.ndarray, seed: int
) -> RateNetwork:
    """A network with the weights that training starts from: it gives ``bias (output,)``, whatever comes in.

    Parameters
    ----------
    sizes, builder
        As of `RateNetwork`. A network of the user's own keeps the weights that it comes with.
    source
        Training data.
    bias
        What comes out before anything is learned.
    seed
        Of the weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = RateNetwork(sizes, builder)
        if isinstance(network.network, Network) and builder is None:
            every = source.told()
            some = every.take(np.random.default_rng(seed).permutation(len(every))[:START])
            started(network.network, network.read(source.batch(some).x))
    with torch.no_grad():
        if network.direct is not None:
            network.direct.weight.zero_()
        network.bias.copy_(torch.from_numpy(bias))
    return network


def _validated(learner: nn.Module, *, source: Source, kept: Stretches) -> float:
    """Nats a scored number over the stretches that are kept from learning."""
    assert isinstance(learner, Learner)
    total, count = 0.0, 0.0
    device = next(learner.parameters()).device
    for first in range(0, len(kept), TOGETHER):
        batch = source.batch(kept.take(slice(first, first + TOGETHER))).to(device)
        nats, number = learner(batch)["nats"]
        total, count = total + float(nats), count + float(number)
    return total / count


@torch.inference_mode()
def outputs_of(network: Stateful, source: Source, width: int) -> np.ndarray:
    """What a network gives out in every bin, ``(trial, time, output)`` float64."""
    out = np.empty((*source.x.shape[:2], width))
    every = source.stretches()
    for first in range(0, len(every), TOGETHER):
        some = every.take(slice(first, first + TOGETHER))
        batch = source.batch(some)
        source.put(some, network(batch.x)[0].double(), out)
    return out


def fingerprint(
    parameters: Mapping[str, Any], source: Source, *, seed: int, weights: Mapping[str, Tensor]
) -> str:
    """Of everything that a training depends on: parameters, data, seed, and the weights it starts from."""
    told = {k: v for k, v in parameters.items() if k not in ("accelerator", "network")}
    sizes = {"seed": seed, "run_in": source.run_in, "length": source.length}
    found = hashlib.sha256(json.dumps({**told, **sizes}, sort_keys=True, default=str).encode())
    arrays = [source.x, source.target, source.scored]
    for array in [*arrays, *(w.numpy() for w in weights.values())]:
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
