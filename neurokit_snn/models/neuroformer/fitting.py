"""One fit: which windows are learned from, which are kept to choose the step, and the training itself."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from neurokit_snn.errors import ModelError
from neurokit_snn.models.neuroformer.batch import Batch
from neurokit_snn.models.neuroformer.config import Config
from neurokit_snn.models.neuroformer.network import Network
from neurokit_snn.models.neuroformer.objective import Objective
from neurokit_snn.models.neuroformer.windows import Places, Source, grid_of, places_of
from neurokit_snn.torchloop import History, Schedule, train

__all__ = ["Parts", "fitted", "parts_of", "residual_log_sd", "weights_of"]

MANY_TRIALS = 8
"""From so many trials on whole trials are kept for validation, and not the end of each."""
VALIDATIONS = 30
"""Validations of a fit."""
MOST = 512
"""Windows of a validation."""


@dataclasses.dataclass(frozen=True, eq=False)
class Parts:
    """Windows to learn from, and windows kept from learning (none where ``validation`` is 0)."""

    train: Places
    valid: Places


def parts_of(source: Source, *, window: int, reach: int, share: float, before: bool) -> Parts:
    """Cut the windows of training data in two, with a gap as long as what a window reads.

    Parameters
    ----------
    source
        Training data.
    window, reach
        Bins of a window, and bins before it that it reads.
    share
        Share of the data, its last part, that is kept from learning.
    before
        Whether windows may begin before their trial.
    """
    lengths = source.lengths()
    places = places_of(lengths, window, before=before)
    places = places.take(np.flatnonzero(source.observed(places, window).any((1, 2))))
    if not share:
        return Parts(places, places.take(slice(0)))
    if source.n_trials >= MANY_TRIALS:
        cut = source.n_trials - math.ceil(share * source.n_trials)
        inside, outside = places.trial < cut, places.trial >= cut
    else:
        cut_bin = np.floor(lengths * (1.0 - share)).astype(int)[places.trial]
        inside, outside = places.start + window <= cut_bin - reach, places.start >= cut_bin
    if not inside.any() or not outside.any():
        return Parts(places, places.take(slice(0)))
    return Parts(places.take(inside), places.take(outside))


def weights_of(
    config: Config, network: Network, losses: tuple[str, ...] | None, who: str
) -> dict[str, float]:
    """Weight of each term: ``(1 - 1/n) (3/5 id + 2/5 dt) + contrast / n``, n = 4 with contrast; behaviours count 1.

    Antoniades et al. (2024) and their code. Where tokens are ordered, their one term takes the place of both.

    Raises
    ------
    ModelError
        When ``losses`` names a term that there is not.
    """
    spec = network.spec
    contrasts = bool(spec.contrast and spec.inputs)
    share = 0.25 if contrasts else 0.0
    weights = {"tokens": 1.0 - share} if spec.ordered else {"id": 0.6 * (1 - share), "dt": 0.4 * (1 - share)}
    if contrasts:
        weights["contrast"] = share
    weights |= {entry.name: 1.0 for entry in spec.outputs}
    if losses is None:
        return weights
    if not losses:
        raise ModelError(f"{who}: losses is empty; name some of {', '.join(weights)}, or None for all")
    named = {n if n in weights else f"behavior_{n}" for n in losses}
    for name in named:
        if name not in weights:
            raise ModelError(f"{who}: losses names {name!r}; this model has {', '.join(weights)}")
    return {name: value if name in named else 0.0 for name, value in weights.items()}


def _informative(source: Source, places: Places, network: Network, weights: Mapping[str, float]) -> Places:
    """All windows where spikes are learned; else those that end in a known behaviour."""
    outputs = [entry.name for entry in network.spec.outputs]
    if any(value > 0 for name, value in weights.items() if name not in outputs):
        return places
    known = np.zeros(len(places), bool)
    for name in outputs:
        if weights[name] > 0:
            known |= source.known_at_end(places, network.spec.window, name)
    return places.take(known)


def fitted(
    network: Network,
    source: Source,
    parts: Parts,
    config: Config,
    *,
    weights: Mapping[str, float],
    seed: int,
    accelerator: str,
    precision: str,
    checkpoint: Path | None,
    fingerprint: str,
    progress: bool,
    who: str,
) -> History:
    """Train the network in place.

    Parameters
    ----------
    network
        With the weights it starts from; parameters without gradient stay.
    source, parts
        Data and windows.
    config
        Steps, batch size, learning rate.
    weights
        Of the terms of the loss.
    seed
        Of the order of windows and of dropout.
    accelerator, precision
        As Lightning Fabric names them.
    checkpoint, fingerprint
        Folder to write to and to go on from, and what a checkpoint must agree with.
    progress
        Show a bar.
    who
        For messages.
    """
    places = _informative(source, parts.train, network, weights)
    if len(places) == 0:
        raise ModelError(
            f"{who}: no window to learn from: none is observed, or none ends in a known behaviour; give more data"
        )
    size = min(config.batch_size, max(2, len(places)))
    objective = Objective(network, watched=[name for name, weight in weights.items() if not weight])

    def batches(step: int, rank: int, world: int) -> Batch:
        """The windows of a step: each once an epoch, in an order of its own each time."""
        rows = np.arange(step * size, (step + 1) * size)
        chosen = np.array([_order(seed, int(r // len(places)), len(places))[r % len(places)] for r in rows])
        return source.batch(places.take(chosen[rank::world]), network.spec)

    steps = config.steps
    if config.epochs is not None:
        aside = grid_of(source.n_trials, source.n_bins, network.spec.window)
        steps = max(1, math.ceil(config.epochs * len(aside) / size))
    tokens = (
        steps * size * (float(source.spikes(places, network.spec.window).mean()) + 1.0)
    )  # and the end of each
    warmup = tokens / 20 if config.warmup_tokens is None else config.warmup_tokens
    valid = _informative(source, parts.valid, network, weights).spread(MOST)
    schedule = Schedule(
        steps=steps,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        warmup_tokens=warmup,
        decay_tokens=max(tokens, warmup + 1.0),
        precision=precision,
        validate_every=max(1, steps // VALIDATIONS) if len(valid) > 1 else 0,
    )
    return train(
        objective,
        batches,
        schedule,
        seed=seed,
        weights=weights,
        validate=functools.partial(_loss_of, source=source, places=valid, weights=weights, size=size),
        checkpoint=checkpoint,
        fingerprint=fingerprint,
        progress=progress,
        description=who.removesuffix(".fit"),
        accelerator=accelerator,
        who=who,
    )


@functools.lru_cache(maxsize=4)
def _order(seed: int, epoch: int, n_windows: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(n_windows)


def _loss_of(
    objective: nn.Module, *, source: Source, places: Places, weights: Mapping[str, float], size: int
) -> float:
    """Weighted sum of the terms over some windows; contrast is over batches as in training."""
    assert isinstance(objective, Objective)
    totals: dict[str, tuple[float, float]] = {}
    for first in range(0, len(places), size):
        some = places.take(slice(first, first + size))
        for name, (total, number) in objective(source.batch(some, objective.network.spec)).items():
            before = totals.get(name, (0.0, 0.0))
            totals[name] = (before[0] + float(total), before[1] + float(number))
    return sum(weights[n] * total / number for n, (total, number) in totals.items() if number)


@torch.inference_mode()
def residual_log_sd(network: Network, source: Source, parts: Parts) -> dict[str, np.ndarray]:
    """Logarithm of the residuals' standard deviation ``(feature,)`` of each Gaussian output, in standardised units.

    Measured on the windows kept from learning, where there are any with a known behaviour, else on those learned from.
    """
    found: dict[str, np.ndarray] = {}
    for entry in (o for o in network.spec.outputs if o.kind == "gaussian"):
        for places in (parts.valid, parts.train):
            known = places.take(source.known_at_end(places, network.spec.window, entry.name))
            if len(known) > 1:
                break
        else:
            raise ModelError(f"{source.who}: {entry.name} is known at the end of no window; give more of it")
        known = known.spread(4 * MOST)
        squares, number = 0.0, 0
        for first in range(0, len(known), MOST):
            batch = source.batch(known.take(slice(first, first + MOST)), network.spec)
            predicted = network.outputs(network(batch).x, batch.positions)[entry.name]
            squares = (
                squares + (predicted - batch.outputs[entry.name].values).double().square().sum(0).numpy()
            )
            number += len(batch)
        found[entry.name] = 0.5 * np.log(np.maximum(squares / number, 1e-8))
    return found
