"""The distribution of the next token: what is left of two independent heads once order and masks are respected.

The published heads give the unit and the bin of the next spike independently, so that part of the probability lies on
sequences that are no raster: out of order, or in bins that were not observed. With ``ordered`` that part is taken away and
the rest renormalised,

    p(unit u, bin d | prefix) = p_id(u) p_dt(d) [ (d, u) allowed ] / Z,     p(end | prefix) = p_id(end) / Z,

and a window's tokens and its raster are one to one: the sum of the logarithms is a log probability of the counts.
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
        ``(..., bin)``: probability of each bin by the dt head.
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
    if allowed is None:
        later = (1.0 - end)[..., None].expand_as(bins)
    else:
        later = unit @ allowed.transpose(1, 2).to(unit.dtype)  # (row, position, bin)
        rows = torch.arange(unit.shape[0], device=unit.device)[:, None]
        units_here = units_here & allowed[rows, last_dt]
    now = (unit * units_here).sum(-1)
    place = torch.arange(spec.window, device=unit.device)
    behind, same = place < last_dt[..., None], place == last_dt[..., None]
    here = torch.where(same, now[..., None], later).masked_fill(behind, 0.0)
    total = (end + (bins * here).sum(-1)).clamp_min(TINY)
    return NextToken(unit, end, bins, here, last_dt, units_here, total)
