"""The Pyro program of a spiking network with random outputs, the bound of its evidence, and its training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, Protocol

import pyro
import pyro.distributions as dist
import torch
from pyro.infer import TraceMeanField_ELBO
from torch import Tensor, nn
from torch.distributions import kl_divergence

from neurokit_snn.models.spiking.guides import Guide
from neurokit_snn.models.spiking.likelihoods import LOG_RATE_LIMIT
from neurokit_snn.models.spiking.stretches import AT_ONCE, Batch

__all__ = [
    "Bound",
    "Observation",
    "Predictor",
    "drawn_delays",
    "evidence_bound",
    "guided",
    "observed",
    "program",
]

Observation = Literal["poisson", "bernoulli"]


class Predictor(Protocol):
    """What is lifted: log rates from a table of parameters with normal priors.

    Attributes
    ----------
    mean, sd
        Of the prior, ``(row, parameter)``.
    """

    mean: Tensor
    sd: Tensor

    def log_rate(self, theta: Tensor, x: Tensor, *, delays: Tensor | None = None) -> Tensor:
        """``(draw, time, batch, unit)`` of parameters ``(draw, row, parameter)`` and inputs ``(time, batch, feature)``."""


def observed(log_rate: Tensor, observation: Observation) -> dist.TorchDistribution:
    """Counts given the log of their expectation; of ``"bernoulli"``, bins with ``p = 1 - exp(-expected)``."""
    eta = log_rate.clamp(-60.0, LOG_RATE_LIMIT)
    rate = eta.exp()
    if observation == "poisson":
        return dist.Poisson(rate, validate_args=False)
    # log(exp(rate) - 1), the odds of a spike; for large rates the 1 does not matter
    odds = torch.where(rate > 15.0, rate, torch.log(torch.expm1(rate.clamp(max=15.0))))
    return dist.Bernoulli(logits=odds, validate_args=False)


def program(
    predictor: Predictor,
    batch: Batch,
    *,
    observation: Observation,
    delays: Tensor | None = None,
    scale: float = 1.0,
) -> None:
    """The model: parameters from their priors, counts given the parameters.

    Sites: ``theta (row, parameter)`` and ``counts (time, batch, unit)``. Pyro's plate of particles may stand around it.

    Parameters
    ----------
    predictor
        Of the log rates.
    batch
        Inputs, counts, and which of them are scored.
    observation
        Distribution of the counts.
    delays
        Numbers of delays ``(draw, target, source)``; they have no site of their own: whoever draws them adds their divergence.
    scale
        Stretches that each stretch of the batch stands for.
    """
    with pyro.plate("row", predictor.mean.shape[0], dim=-1):
        theta = pyro.sample("theta", dist.Normal(predictor.mean, predictor.sd).to_event(1))
    lead = theta.shape[:-2]
    log_rate = predictor.log_rate(theta.reshape(-1, *theta.shape[-2:]), batch.x, delays=delays)
    log_rate = log_rate.reshape(*lead, *([1] if lead else []), *log_rate.shape[1:])  # 1: where rows would be
    known = (batch.weight > 0).expand(batch.target.shape)
    with pyro.poutine.scale(scale=scale):
        pyro.sample("counts", observed(log_rate, observation).mask(known).to_event(3), obs=batch.target)


def guided(guide: Guide, *, delays: Tensor | None = None) -> None:
    """The guide: parameters given the delays ``(draw, target, source)``."""
    among = None if delays is None else delays.squeeze(0) if delays.shape[0] == 1 else delays
    with pyro.plate("row", guide.loc.shape[0], dim=-1):
        pyro.sample("theta", guide.distribution(among))


class Bound(nn.Module):
    """What is trained: minus the bound of the evidence, nats.

    Given delays the divergence of parameters is in closed form, and the expected log-likelihood comes from draws whose noise does
    not depend on the guide. Delays are drawn from the probabilities they have, which this training leaves as they are
    (`delay_posterior` finds them); their divergence is then a constant, and is not in the sum.

    Parameters
    ----------
    predictor, guide
        Model and guide.
    observation
        Distribution of the counts.
    draws
        Of each step.
    stretches
        In all of the data.
    """

    probability: Tensor

    def __init__(
        self,
        predictor: Predictor,
        guide: Guide,
        *,
        observation: Observation,
        draws: int,
        stretches: int,
        probability: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.predictor, self.guide, self.observation = predictor, guide, observation
        self.draws, self.stretches = draws, stretches
        self.register_buffer(
            "probability", torch.zeros(0) if probability is None else probability, persistent=False
        )

    def forward(self, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
        """Minus the bound of all data as a batch tells it, by scored number."""
        stands_for = self.stretches / batch.x.shape[1]
        count = batch.weight.expand(batch.target.shape).sum() * stands_for
        return {"nats": (self.loss(batch, stands_for), count)}

    def loss(self, batch: Batch, scale: float) -> Tensor:
        """Minus the bound, differentiable; delays are drawn anew."""
        many = self.draws > 1
        elbo: Any = TraceMeanField_ELBO(
            num_particles=self.draws, vectorize_particles=many, max_plate_nesting=1
        )
        delays = drawn_delays(self.probability, self.draws) if self.probability.numel() else None

        def model() -> None:
            program(self.predictor, batch, observation=self.observation, delays=delays, scale=scale)

        def guide() -> None:
            guided(self.guide, delays=delays)

        found: Tensor = elbo.differentiable_loss(model, guide)
        return found

    def tokens(self, batch: Batch) -> int:
        """Scored numbers of a batch."""
        return int(batch.weight.sum())


def drawn_delays(probability: Tensor, draws: int) -> Tensor:
    """Numbers of delays ``(draw, target, source)`` from their probabilities ``(target, source, delay)``."""
    found = torch.multinomial(probability.flatten(0, 1), draws, replacement=True)
    return found.T.reshape(draws, *probability.shape[:-1])


@torch.no_grad()
def evidence_bound(
    predictor: Predictor,
    guide: Guide,
    batches: Iterable[Batch],
    *,
    observation: Observation,
    probability: Tensor | None = None,
    draws: int = 64,
    seed: int = 0,
) -> tuple[float, float]:
    """The bound of the log evidence, nats, and the standard error of the estimate.

    It is an average over draws of what the model itself gives, hidden neurons sending true spikes: an unbiased estimate of a
    bound, whatever gradient the guide was trained by.

    Parameters
    ----------
    predictor, guide, observation
        Model and guide.
    batches
        All of the data, once.
    probability
        Of delays ``(target, source, delay)``.
    draws
        Of parameters, at least 2.
    seed
        Of the draws.
    """
    device = guide.loc.device
    with torch.random.fork_rng(
        devices=[device] if device.type == "cuda" else []
    ):  # a training goes on undisturbed
        torch.manual_seed(seed)
        delays = None
        if probability is not None:
            probability = probability.to(device)
            delays = drawn_delays(probability, draws)
        given = guide.distribution(delays)
        theta = given.sample() if delays is not None else given.sample((draws,))
    prior = dist.Normal(predictor.mean, predictor.sd).to_event(1)
    found = -kl_divergence(given, prior).sum(-1).double().expand(draws).clone()
    if probability is not None:
        odds = probability.double() * probability.shape[-1]
        found -= torch.special.xlogy(probability.double(), odds).sum()
    for batch in batches:
        batch = batch.to(device)
        known = (batch.weight > 0).expand(batch.target.shape)
        size = max(1, AT_ONCE // batch.target.numel())
        for rows in torch.arange(draws).split(size):
            given_delays = None if delays is None else delays[rows]
            log_rate = predictor.log_rate(theta[rows], batch.x, delays=given_delays)
            likelihood = observed(log_rate, observation).mask(known).log_prob(batch.target)
            found[rows] += likelihood.sum((1, 2, 3), dtype=torch.float64)
    return float(found.mean()), float(found.std()) / draws**0.5
