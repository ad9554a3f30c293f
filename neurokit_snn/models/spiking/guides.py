"""Gaussian guides of parameters: independent, or with correlations of low rank; weights of synapses given their delays.

Parameters are a table ``(row, parameter)``. Rows are independent of each other, in the guide as in the posterior: the units of
one layer that is driven by observed spikes (a row each), or all parameters of a deeper network (one row).
"""

from __future__ import annotations

from typing import Literal, get_args

import pyro.distributions as dist
import torch
from torch import Tensor, nn
from torch.distributions import Independent, register_kl

from neurokit_snn.errors import ModelError

__all__ = ["Guide", "GuideName"]

GuideName = Literal["mean-field", "low-rank"]

START = 0.1
"""Standard deviation of the guide before training, in those of the prior."""


class Guide(nn.Module):
    """A Gaussian over a table of parameters.

    With ``z ~ N(0, 1 + F F^T)`` in each row, F being ``factor (row, parameter, rank)``, they are ``loc + exp(log_scale) z``. The
    last columns may be weights of synapses whose mean and scale are looked up by the delay of the synapse: given the delays the
    guide is Gaussian, over them it is a mixture.

    Parameters
    ----------
    mean, sd
        Of the prior, ``(row, parameter)``.
    kind
        ``"mean-field"`` has no factor.
    rank
        Of the factor.
    delays
        How many delays each of the last ``synapses`` parameters of a row has.
    synapses
        Parameters that depend on a delay.
    seed
        Of the factor's start, which cannot be zero: there its gradient is.

    Raises
    ------
    ModelError
        When the kind is unknown or the rank below 1.

    Examples
    --------
    >>> guide = Guide(torch.zeros(3, 5), torch.ones(3, 5), kind="low-rank", rank=2)
    >>> guide.distribution().rsample().shape
    torch.Size([3, 5])
    """

    def __init__(
        self,
        mean: Tensor,
        sd: Tensor,
        *,
        kind: GuideName = "mean-field",
        rank: int = 4,
        synapses: int = 0,
        delays: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if kind not in get_args(GuideName):
            raise ModelError(f"Guide: kind is {kind!r}; choose one of {', '.join(get_args(GuideName))}")
        if kind == "low-rank" and not rank >= 1:
            raise ModelError(f"Guide: rank is {rank}; give at least 1, or kind='mean-field'")
        rows, size = mean.shape
        self.kind: GuideName = kind
        self.synapses = synapses
        self.loc = nn.Parameter(mean[:, : size - synapses].clone())
        self.log_scale = nn.Parameter((START * sd[:, : size - synapses]).log())
        by_delay = (rows, synapses, delays)
        last, spread = mean[:, size - synapses :, None], sd[:, size - synapses :, None]
        self.loc_by_delay = nn.Parameter(last.expand(by_delay).clone())
        self.log_scale_by_delay = nn.Parameter((START * spread).log().expand(by_delay).clone())
        shape = (rows, size, rank if kind == "low-rank" else 0)
        generator = torch.Generator().manual_seed(seed)
        self.factor = nn.Parameter(
            0.1 * torch.randn(shape, generator=generator, dtype=torch.float64).to(mean)
        )

    def distribution(self, delays: Tensor | None = None) -> dist.TorchDistribution:
        """The Gaussian over rows, given which delay each synapse has.

        Parameters
        ----------
        delays
            Numbers of delays ``(..., row, synapse)``; None where there is no choice.

        Returns
        -------
        distribution
            Of batch shape ``(..., row)`` and event shape ``(parameter,)``.
        """
        loc, log_scale = self.loc, self.log_scale
        if self.synapses:
            if delays is None:
                delays = torch.zeros(self.loc_by_delay.shape[:2], dtype=torch.long, device=loc.device)
            lead = delays.shape[:-2]
            loc = torch.cat([loc.expand(*lead, *loc.shape), _at(self.loc_by_delay, delays)], -1)
            log_scale = torch.cat(
                [log_scale.expand(*lead, *log_scale.shape), _at(self.log_scale_by_delay, delays)], -1
            )
        scale = log_scale.exp()
        if self.kind == "mean-field":
            return dist.Normal(loc, scale).to_event(1)
        factor = scale[..., None] * self.factor
        return dist.LowRankMultivariateNormal(loc, factor, scale.square(), validate_args=False)

    @torch.no_grad()
    def synapses_by_delay(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the weight of each synapse at each delay, ``(row, synapse, delay)``."""
        return self.loc_by_delay.clone(), self.log_scale_by_delay.exp() * self._widening()

    def _widening(self) -> Tensor:
        """What the factor makes of the scales of the synapses, ``(row, synapse, 1)``."""
        last = self.factor[:, self.factor.shape[1] - self.synapses :]
        return (1.0 + last.square().sum(-1, keepdim=True)).sqrt()

    @torch.no_grad()
    def set_synapses(self, mean: Tensor, sd: Tensor) -> None:
        """The inverse: put means and standard deviations in place."""
        self.loc_by_delay.copy_(mean)
        self.log_scale_by_delay.copy_((sd / self._widening()).log())


def _at(table: Tensor, delays: Tensor) -> Tensor:
    """Entries ``(..., row, synapse)`` of a table ``(row, synapse, delay)``."""
    lead = delays.shape[:-2]
    return table.expand(*lead, *table.shape).gather(-1, delays[..., None])[..., 0]


@register_kl(dist.LowRankMultivariateNormal, Independent)
def _kl_low_rank_independent(q: dist.LowRankMultivariateNormal, p: Independent) -> Tensor:
    """Divergence of a Gaussian with correlations of low rank from one without any."""
    if not (isinstance(p.base_dist, torch.distributions.Normal) and p.reinterpreted_batch_ndims == 1):
        # What torch raises for a pair it knows no closed form of.
        raise NotImplementedError(f"kl_divergence: no closed form from a low-rank Gaussian to {p}")
    mean, sd = p.base_dist.loc, p.base_dist.scale
    trace = (q.variance + (q.mean - mean).square()) / sd.square()
    diagonal, factor = q._unbroadcasted_cov_diag, q._unbroadcasted_cov_factor
    rank = factor.shape[-1]
    inner = torch.eye(rank, dtype=factor.dtype, device=factor.device) + factor.mT @ (
        factor / diagonal[..., None]
    )
    log_det = diagonal.log().sum(-1) + torch.linalg.slogdet(inner).logabsdet
    return 0.5 * (trace.sum(-1) - mean.shape[-1] - log_det) + sd.log().expand(mean.shape).sum(-1)
