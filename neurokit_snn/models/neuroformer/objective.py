"""What is trained: spikes, behaviour at the end of the window, and modalities that agree before they are fused."""

from __future__ import annotations

import itertools
from collections.abc import Collection

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neurokit_snn.models.neuroformer.batch import Batch, Series
from neurokit_snn.models.neuroformer.network import Hidden, Network
from neurokit_snn.models.neuroformer.spec import Output, Spec
from neurokit_snn.models.neuroformer.tokens import NextToken, next_token

__all__ = ["Objective", "after_each_token", "contrast", "output_loss", "targets"]

Terms = dict[str, tuple[Tensor, Tensor]]


def targets(spec: Spec, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What comes after each position: unit, bin, whether it is the end, whether there is anything; each ``(row, position)``."""
    following = torch.roll(batch.id, -1, 1), torch.roll(batch.dt, -1, 1)
    place = torch.arange(batch.id.shape[1], device=batch.id.device)
    is_end, exists = place == batch.n_tokens[:, None], place <= batch.n_tokens[:, None]
    spike = exists & ~is_end
    return following[0] * spike, following[1] * spike, is_end, exists


def after_each_token(network: Network, batch: Batch, hidden: Hidden) -> NextToken:
    """Distribution of what comes after each token of a batch."""
    id_logits, dt_logits = network.logits(hidden.x)
    return next_token(
        network.spec,
        id_logits,
        dt_logits,
        last_id=batch.id,
        last_dt=batch.dt,
        allowed=batch.allowed,
    )


def output_loss(entry: Output, found: Tensor, true: Series) -> tuple[Tensor, Tensor]:
    """Sum over the rows that are known, and how many there are: squared error, cross entropy, or von Mises.

    A circular behaviour has the negative log density of a von Mises distribution with natural parameter ``found``, up to a
    constant.
    """
    known = true.valid
    if entry.kind == "gaussian":
        loss = (found - true.values).square().mean(-1)
    elif entry.kind == "categorical":
        loss = -(true.values * F.log_softmax(found, -1)).sum(-1)
    else:
        length = found.square().sum(-1).add(1e-12).sqrt()
        loss = torch.log(torch.special.i0e(length)) + length - (true.values * found).sum(-1)
    return (loss * known).sum(), known.sum()


def contrast(features: dict[str, Tensor], temperature: Tensor) -> tuple[Tensor, Tensor]:
    """Symmetric InfoNCE over every pair of modalities (Radford et al. 2021): sum over rows, and rows.

    Parameters
    ----------
    features
        ``(row, feature)`` of each modality, on the unit sphere; rows of equal number belong together.
    temperature
        Of the softmax.
    """
    pairs = list(itertools.combinations(features.values(), 2))
    rows = next(iter(features.values())).shape[0]
    own = torch.arange(rows, device=pairs[0][0].device)
    total = torch.zeros((), device=own.device)
    for one, other in pairs:
        alike = one @ other.T / temperature  # (row, row)
        total = total + 0.5 * (
            F.cross_entropy(alike, own, reduction="sum") + F.cross_entropy(alike.T, own, reduction="sum")
        )
    return total / len(pairs), torch.tensor(rows, device=own.device)


class Objective(nn.Module):
    """The terms of the loss of a batch, as the training loop wants them.

    ``tokens`` is the negative log probability of the spikes and of the end of each window, in nats per token, where tokens
    are ``ordered``; the published loss has two terms, ``id`` and ``dt``, of the two heads. ``contrast`` and one term for each
    predicted behaviour come with them where there are any.

    Parameters
    ----------
    network
        To be trained.
    watched
        Terms that are measured without a gradient: weights that no other term reaches then stay as they are, where a gradient
        of 0 would let weight decay shrink them.
    """

    def __init__(self, network: Network, *, watched: Collection[str] = ()) -> None:
        super().__init__()
        self.network = network
        self.watched = frozenset(watched)

    def forward(self, batch: Batch) -> Terms:
        """Sum over its tokens and how many there are, for each term."""
        batch = batch.to(self.network.unit_head.weight.device)
        hidden = self.network(batch)
        terms = self._of_tokens(batch, hidden)
        if self.network.spec.contrast and len(self.network.spec.inputs):
            terms["contrast"] = contrast(
                self.network.contrasted(hidden, batch.positions), self.network.log_temperature.exp()
            )
        found = self.network.outputs(hidden.x, batch.positions)
        for entry in self.network.spec.outputs:
            terms[entry.name] = output_loss(entry, found[entry.name], batch.outputs[entry.name])
        for name in self.watched:
            total, number = terms[name]
            terms[name] = (total.detach(), number)
        return terms

    def _of_tokens(self, batch: Batch, hidden: Hidden) -> Terms:
        spec = self.network.spec
        unit, bins, is_end, exists = targets(spec, batch)
        if spec.ordered:
            log_p = after_each_token(self.network, batch, hidden).log_prob(unit, bins, is_end)
            return {"tokens": (-(log_p * exists).sum(), exists.sum())}
        id_logits, dt_logits = self.network.logits(hidden.x)
        true = torch.where(is_end, spec.n_units, unit)
        of_id = F.cross_entropy(id_logits.flatten(0, 1), true.flatten(), reduction="none")
        of_dt = F.cross_entropy(dt_logits.flatten(0, 1), bins.flatten(), reduction="none")
        spike = (exists & ~is_end).flatten()
        return {
            "id": ((of_id * exists.flatten()).sum(), exists.sum()),
            "dt": ((of_dt * spike).sum(), spike.sum()),
        }

    @staticmethod
    def tokens(batch: Batch) -> int:
        """Tokens of a batch, the end of each window counted."""
        return int(batch.n_tokens.sum()) + len(batch)
