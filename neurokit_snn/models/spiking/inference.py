"""How a Bayesian spiking network is fitted: rounds of coordinate ascent on delays and of gradient steps on all that is smooth."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from neurokit_snn.models.poisson_regression import PoissonDesign, information, newton
from neurokit_snn.models.spiking.delay_posterior import DelayPosterior, Drive, flat_delays, updated
from neurokit_snn.models.spiking.guides import Guide
from neurokit_snn.models.spiking.membranes import Membranes
from neurokit_snn.models.spiking.program import Bound, Observation, Predictor, evidence_bound
from neurokit_snn.models.spiking.stretches import Batch, Source
from neurokit_snn.torchloop import History, Schedule, train

__all__ = ["Recipe", "fitted_guide", "fitted_membranes"]

BINS = 1 << 15
"""Bins of one gradient step, run-ins included, where the recipe does not say how many stretches."""
LONGEST = 1024
"""Bins of a stretch in training."""
GRID = (-2.0, -1.0, 0.0, 1.0, 2.0)
"""Time constants that the first coordinate ascent tries, in standard deviations of the prior."""
CHOICES = 20
"""Estimates of the bound that choose a step."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a guide is trained.

    Parameters
    ----------
    steps
        Gradient steps, of all rounds together.
    learning_rate
        Highest.
    draws
        Of each step.
    batch_size
        Stretches of a step; None for as many as `BINS` bins hold.
    seed, progress, resume, mark, accelerator, who
        Seed; whether to show a bar; folder of checkpoints or None; fingerprint of data and parameters; as Lightning Fabric names
        it; for messages.
    """

    steps: int
    learning_rate: float
    draws: int
    batch_size: int | None
    seed: int
    progress: bool
    resume: Path | None
    mark: str
    accelerator: str
    who: str


def fitted_guide(
    predictor: Predictor,
    guide: Guide,
    source: Source,
    recipe: Recipe,
    *,
    observation: Observation,
    probability: np.ndarray | None = None,
    name: str = "fit",
    share: float = 1.0,
    choose: bool = False,
) -> History:
    """Train a guide in place by draws that are differentiable in it.

    Parameters
    ----------
    predictor, guide, observation
        Model and guide.
    source
        Data; its stretches make the batches.
    recipe
        How.
    probability
        Of delays ``(target, source, delay)``; they stay.
    name
        Of the checkpoint.
    share
        Of the recipe's steps.
    choose
        Whether the guide ends as it was at the best of `CHOICES` estimates of the bound: for gradients that are not the bound's.
    """
    told = source.told()
    each = source.run_in + source.length
    size = min(len(told), recipe.batch_size or max(1, BINS // each))
    kept = None if probability is None else torch.from_numpy(probability).to(guide.loc.dtype)
    bound = Bound(
        predictor, guide, observation=observation, draws=recipe.draws, stretches=len(told), probability=kept
    )
    cached = functools.lru_cache(maxsize=1)(lambda: source.batch(told))

    def batches(step: int, rank: int, world: int) -> Batch:
        """The stretches of a step; all of them always where they fit."""
        if size == len(told) and world == 1:
            return cached()
        return source.batch(told.of_step(step, size, seed=recipe.seed).take(slice(rank, None, world)))

    steps = max(1, round(share * recipe.steps))
    tokens = max(1.0, steps * size * float(source.scored.sum()) / len(told))
    schedule = Schedule(
        steps=steps,
        learning_rate=recipe.learning_rate,
        betas=(0.9, 0.99),
        weight_decay=0.0,
        clip=math.inf,
        warmup_tokens=tokens / 20,
        decay_tokens=tokens,
        final_fraction=0.01,
        checkpoint_every=50,
        validate_every=max(1, steps // CHOICES) if choose else 0,
    )

    def reached(_: nn.Module) -> float:
        some = told.take(np.linspace(0, len(told) - 1, min(len(told), size), dtype=int))
        value, _ = evidence_bound(
            predictor,
            guide,
            [source.batch(some)],
            observation=observation,
            probability=kept,
            draws=16,
            seed=recipe.seed,
        )
        return -value

    history = train(
        bound,
        batches,
        schedule,
        seed=recipe.seed,
        validate=reached if choose else None,
        checkpoint=None if recipe.resume is None else recipe.resume / f"{name}.nk",
        fingerprint=f"{recipe.mark} {name}",
        progress=recipe.progress,
        description=f"{recipe.who.removesuffix('.fit')}, {name}",
        accelerator=recipe.accelerator,
        who=recipe.who,
    )
    bound.to("cpu")
    return history


def fitted_membranes(
    layer: Membranes,
    guide: Guide,
    source: Source,
    recipe: Recipe,
    *,
    observation: Observation,
    usual: np.ndarray,
) -> tuple[DelayPosterior | None, dict[str, History]]:
    """Fit the posterior of one layer of random neurons.

    First what does not go through synapses, as a Poisson regression; then delays and weights by coordinate ascent, for several
    time constants, the best of which each unit keeps; then everything smooth by gradients, delays once more, and everything
    smooth again. All stages climb the same bound; the ascent takes time constants at their means, and what synapses do as
    independent of all else, and the gradients that follow it do not.

    Parameters
    ----------
    layer, guide
        Model and guide; the guide is trained in place.
    source
        Data.
    recipe
        How.
    observation
        Distribution of the counts.
    usual
        Mean counts that the inputs are relative to, ``(unit,)``.

    Returns
    -------
    delays
        Their posterior; None where units are not coupled.
    histories
        Of the gradient steps, by stage.
    """
    _start(layer, guide, source, recipe.who)
    run = functools.partial(fitted_guide, layer, guide, _longer(source), recipe, observation=observation)
    if not layer.coupling:
        return None, {"fit": run()}
    ascend = functools.partial(_ascended, layer, guide, source, observation=observation, usual=usual)
    posterior, log_tau = _best(layer, ascend)
    with torch.no_grad():
        guide.loc[:, -1] = torch.from_numpy(log_tau)
    histories = {}
    for name, share in (("first", 0.4), ("last", 0.6)):
        guide.set_synapses(*(torch.from_numpy(x) for x in (posterior.mean, posterior.sd)))
        histories[name] = run(probability=posterior.probability, name=name, share=share)
        if name == "first":
            now = guide.loc[:, -1].detach().double().numpy()
            posterior, _ = ascend(_of_guide(posterior, guide), log_tau=now)
    return posterior, histories


def _start(layer: Membranes, guide: Guide, source: Source, who: str) -> None:
    """Put what does not go through synapses at Laplace's approximation of a Poisson regression, independent of each other."""
    x = torch.from_numpy(np.ascontiguousarray(source.x.swapaxes(0, 1)))
    scored = np.broadcast_to(source.scored, source.target.shape)
    rows = scored.any(-1)
    shared = np.concatenate([np.ones((rows.sum(), 1)), source.x[rows][:, : layer.columns]], 1)
    own = (
        layer.own_past(x[..., layer.columns :]).transpose(0, 1)[torch.from_numpy(rows)] if layer.own else None
    )
    design = PoissonDesign(shared.astype(np.float64), None if own is None else own.double().numpy())
    precision = layer.sd[0, : design.n_features].double().numpy() ** -2
    counts, valid = source.target[rows].astype(np.float64), scored[rows]
    weights = newton(design, counts, valid, precision=precision, who=who)
    spread = np.diagonal(information(design, weights, valid, precision=precision), axis1=1, axis2=2) ** -0.5
    with torch.no_grad():
        guide.loc[:, : design.n_features] = torch.from_numpy(weights)
        guide.log_scale[:, : design.n_features] = torch.from_numpy(np.log(spread))


def _best(
    layer: Membranes, ascend: Callable[..., tuple[DelayPosterior, np.ndarray]]
) -> tuple[DelayPosterior, np.ndarray]:
    """Delays under the best of several time constants for each unit; delay and time constant can stand in for each other."""
    flat = flat_delays(layer.connected.numpy(), layer.delays, prior_sd=layer.priors.weight_sd)
    tried = (
        layer.mean[:, -layer.synapses - 1].double().numpy()
        + np.array(GRID)[:, None] * layer.priors.tau_spread
    )
    found = [ascend(flat, log_tau=log_tau) for log_tau in tried]
    reached = np.stack([bound for _, bound in found]) - 0.5 * np.square(GRID)[:, None]  # (try, target)
    best, every = reached.argmax(0), np.arange(layer.units)
    parts = (np.stack([getattr(p, part) for p, _ in found])[best, every] for part in DelayPosterior._fields)
    return DelayPosterior(*parts), tried[best, every]


def _longer(source: Source) -> Source:
    """The same with longer stretches, of which less is run-in."""
    return dataclasses.replace(source, length=max(source.length, min(LONGEST, source.x.shape[1])))


def _of_guide(posterior: DelayPosterior, guide: Guide) -> DelayPosterior:
    """Probabilities as they are, weights as the guide has them now."""
    mean, sd = guide.synapses_by_delay()
    return DelayPosterior(posterior.probability, mean.double().numpy(), sd.double().numpy())


@torch.inference_mode()
def _ascended(
    layer: Membranes,
    guide: Guide,
    source: Source,
    before: DelayPosterior,
    *,
    log_tau: np.ndarray,
    observation: Observation,
    usual: np.ndarray,
) -> tuple[DelayPosterior, np.ndarray]:
    """Posterior of the delays given all else, and the bound of each target that it reaches."""
    rest, log_rest = _rest(layer, guide, source)
    x = source.x[..., layer.columns :].astype(np.float64)
    found, bounds = updated(
        before,
        Drive(source.target, np.broadcast_to(source.scored, source.target.shape), x + usual, usual),
        rest=rest,
        log_rest=log_rest,
        beta=1.0 / (1.0 + np.exp(-log_tau)),
        connected=layer.connected.numpy(),
        prior_sd=layer.priors.weight_sd,
        binary=observation == "bernoulli",
    )
    return found, np.nanmax(bounds, 1)


def _rest(layer: Membranes, guide: Guide, source: Source) -> tuple[np.ndarray, np.ndarray]:
    """Mean, and log of the mean exponential, of what else the log rates are made of, ``(trial, time, unit)``.

    It is linear in parameters that are Gaussian: its exponential is log-normal.
    """
    x = torch.from_numpy(np.ascontiguousarray(source.x.swapaxes(0, 1)))
    scale, columns = guide.log_scale.exp(), 1 + layer.columns
    mean = layer.rest(guide.loc[None], x)[0]
    variance = scale[:, 0].square() + x[..., : layer.columns].square() @ scale[:, 1:columns].square().T
    if layer.own:
        own = layer.own_past(x[..., layer.columns :]).square()
        variance = variance + torch.einsum(
            "tbuk,uk->tbu", own, scale[:, columns : columns + len(layer.own)].square()
        )
    for factor in guide.factor[:, : scale.shape[1]].unbind(-1):  # of low rank
        variance = variance + layer.rest((scale * factor)[None], x)[0].square()
    mean, log_mean = (part.double().transpose(0, 1).numpy() for part in (mean, mean + 0.5 * variance))
    return mean, log_mean
