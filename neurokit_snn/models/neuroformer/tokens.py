"""The distribution of the next token: what is left of two independent heads once order and masks are respected.

The published heads give the unit and the bin of the next spike independently, so that part of the probability lies on
sequences that are no raster. With ``ordered`` that part is taken away and the rest renormalised,

    p(unit u, bin d | prefix) = p_id(u) p_dt(d) [ (d, u) in order ] / Z,     p(end | prefix) = p_id(end) / Z,

and a window's tokens and its raster are one to one: the sum of the logarithms is a log probability of the counts.

What was not observed is not known to be silent. With ``S(d)`` the probability that the next token comes in bin d or later, a
spike of u in d has the conditional intensity ``h(u, d) = p(u, d) / S(d)``. A mask takes away the intensities of what it
hides and leaves all others as they are,

    p(unit u, bin d) = h(u, d) prod_{d' < d} (1 - sum_{u' observed in d'} h(u', d')),

so that a trial that stops within a window has no more spikes in its last bins for being cut there.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from neurokit_snn.models.neuroformer.spec import Spec

__all__ = ["NextToken", "next_token"]

TINY = 1e-30
"""Keeps logarithms finite where nothing but the end of the window is left."""


@dataclasses.dataclass(frozen=True, eq=False)
class NextToken:
    """Distribution of the next token at each of ``...`` places.

    Parameters
    ----------
    unit
        ``(..., unit)``: probability of each unit by the id head.
    end
        ``(...,)``: probability of the end of the window by the id head.
    bin
        ``(..., bin)``: probability of each bin by the dt head; under a mask, what takes its place.
    here
        ``(..., bin)``: share of the units' probability that is allowed in each bin.
    last_dt
        ``(...,)``: bin of the last token.
    units_here
        ``(..., unit)``: units allowed in the bin of the last token.
    total
        ``(...,)``: Z.
    """

    unit: Tensor
    end: Tensor
    bin: Tensor
    here: Tensor
    last_dt: Tensor
    units_here: Tensor | None
    total: Tensor

    @property
    def bin_mass(self) -> Tensor:
        """``(..., bin)``: probability that the next token is a spike in the bin, before renormalising."""
        return self.bin * self.here

    def log_prob(self, unit: Tensor, bin: Tensor, is_end: Tensor) -> Tensor:
        """Log probability ``(...,)`` of the token that came: a unit in a bin, or the end."""
        of_unit = self.unit.gather(-1, unit[..., None])[..., 0]
        of_bin = self.bin.gather(-1, bin[..., None])[..., 0]
        spike = torch.log(of_unit.clamp_min(TINY)) + torch.log(of_bin.clamp_min(TINY))
        found = torch.where(is_end, torch.log(self.end.clamp_min(TINY)), spike)
        return found - torch.log(self.total)


def next_token(
    spec: Spec,
    id_logits: Tensor,
    dt_logits: Tensor,
    *,
    last_id: Tensor,
    last_dt: Tensor,
    allowed: Tensor | None,
) -> NextToken:
    """What can come after each token.

    Parameters
    ----------
    spec
        Sizes; ``ordered`` and ``strict`` say what is allowed.
    id_logits, dt_logits
        ``(row, position, unit + 1)`` and ``(row, position, bin)``.
    last_id, last_dt
        ``(row, position)``: the token each logit comes after; SOS where there is none.
    allowed
        ``(row, bin, unit)``; None where all bins were observed.
    """
    kind = torch.promote_types(id_logits.dtype, torch.float32)  # of mixed precision, single at least
    p = torch.softmax(id_logits, -1, dtype=kind)
    unit, end = p[..., :-1], p[..., -1]
    bins = torch.softmax(dt_logits, -1, dtype=kind)
    if not spec.ordered:
        return NextToken(
            unit, end, bins, (1.0 - end)[..., None].expand_as(bins), last_dt, None, torch.ones_like(end)
        )
    number = torch.arange(spec.n_units, device=unit.device)
    after = torch.where(last_id < spec.n_units, last_id + int(spec.strict), torch.zeros_like(last_id))
    units_here = number >= after[..., None]  # (row, position, unit)
    here = _from_here(unit, units_here, last_dt, (1.0 - end)[..., None].expand_as(bins))
    if allowed is None:
        total = (end + (bins * here).sum(-1)).clamp_min(TINY)
        return NextToken(unit, end, bins, here, last_dt, units_here, total)
    not_before = torch.flip(torch.cumsum(torch.flip(bins * here, (-1,)), -1), (-1,)) + end[..., None]  # S
    rows = torch.arange(unit.shape[0], device=unit.device)[:, None]
    units_here = units_here & allowed[rows, last_dt]
    later = unit @ allowed.transpose(1, 2).to(unit.dtype)  # (row, position, bin)
    here = _from_here(unit, units_here, last_dt, later)
    bins = bins / not_before.clamp_min(TINY)
    silent = torch.cumprod((1.0 - bins * here).clamp_min(0.0), -1)  # no spike up to and with each bin
    before = torch.cat([torch.ones_like(silent[..., :1]), silent[..., :-1]], -1)
    return NextToken(unit, silent[..., -1], bins * before, here, last_dt, units_here, torch.ones_like(end))


def _from_here(unit: Tensor, units_here: Tensor, last_dt: Tensor, later: Tensor) -> Tensor:
    """Share of the units ``(row, position, bin)``: in the bin of the last token those that are left, none before it."""
    now = (unit * units_here).sum(-1)
    place = torch.arange(later.shape[-1], device=unit.device)
    behind, same = place < last_dt[..., None], place == last_dt[..., None]
    return torch.where(same, now[..., None], later).masked_fill(behind, 0.0)
