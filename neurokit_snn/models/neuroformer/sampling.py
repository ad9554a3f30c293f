"""Windows sampled token by token, with keys and values kept; and the rates along the way.

Rows run side by side, each with a window of its own. The expected counts of a window follow from the conditional intensity:
the probability that the next token is unit u in bin d, given that it comes in bin d or later and given what was sampled before,
summed over tokens. It is what the GLM calls the rate, and varies far less from sample to sample than the sampled counts.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from neurokit_snn.models.neuroformer.attention import KeysValues
from neurokit_snn.models.neuroformer.batch import Batch
from neurokit_snn.models.neuroformer.network import Context, Network
from neurokit_snn.models.neuroformer.tokens import TINY, NextToken, next_token

__all__ = ["Decoding", "Sampled", "Steps", "draw_unit", "intensity", "nucleus", "sample_windows"]

LEAST_ROOM = 16
"""Tokens that kept keys and values have room for at first."""
ENOUGH = 0.7
"""Rows that have ended are carried along while at least this share of the rows goes on: taking them out copies the others."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decoding:
    """How tokens are drawn.

    Parameters
    ----------
    temperature
        Of both heads; 1 samples from the model itself.
    top_p
        Each head keeps its likeliest values up to this probability (Holtzman et al. 2020); below 1 it biases rates.
    """

    temperature: float = 1.0
    top_p: float = 1.0


@dataclasses.dataclass(frozen=True, eq=False)
class Sampled:
    """Counts ``(row, bin, unit)`` that were sampled, expected counts along the way, and rows cut short by the context."""

    counts: Tensor
    expected: Tensor
    cut: Tensor


class Steps:
    """The network one token at a time: keys and values of self-attention grow, the others stay.

    Parameters
    ----------
    network
        In evaluation mode.
    context
        Of each row.
    own
        Keys and values of self-attention of tokens that are there already, one pair a block; None for none.
    seen
        ``(row, position)``: which of those tokens a row has; None for none.
    """

    def __init__(
        self,
        network: Network,
        context: Context,
        *,
        own: list[KeysValues] | None = None,
        seen: Tensor | None = None,
    ) -> None:
        self.network = network
        self.context = context
        self.cross = network.cross_keys(context)
        rows, device = context.tokens[0].shape[0], context.tokens[0].device
        heads = network.spec.heads
        nothing = torch.zeros(rows, heads, 0, network.spec.embed // heads, device=device)
        blocks = len(network.state) + len(network.joint)
        self.own = [(nothing, nothing)] * blocks if own is None else own
        self.seen = torch.zeros(rows, 0, dtype=torch.bool, device=device) if seen is None else seen
        self.length = self.own[0][0].shape[2]  # tokens that are there; the tensors have room for more

    def next(self, id: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``(row, 1, ...)`` after one more token ``(row,)`` of each row."""
        network = self.network
        x = network.embedding(id[:, None], dt[:, None], self.seen.sum(1, keepdim=True))
        self.seen = torch.cat([self.seen, torch.ones_like(id, dtype=torch.bool)[:, None]], 1)
        mask = None if bool(self.seen.all()) else self.seen[:, None, None, :]
        if self.length == self.own[0][0].shape[2]:
            self.own = [(_roomier(k), _roomier(v)) for k, v in self.own]
        self.length += 1
        kept = iter(self.own)

        def itself(block: torch.nn.Module, x: Tensor) -> Tensor:
            pair = next(kept)
            for all_of_them, new in zip(pair, block.attention.keys(x), strict=True):
                all_of_them[:, :, self.length - 1] = new[:, :, 0]
            keys, values = (t[:, :, : self.length] for t in pair)
            out: Tensor = block(x, (keys, values), mask=mask)
            return out

        for block in network.state:
            x = itself(block, x)
        masks = self.context.masks(dt[:, None])
        for blocks, keys, visible in zip(network.stages(), self.cross, masks, strict=True):
            for block, pair in zip(blocks, keys, strict=True):
                x = block(x, pair, mask=visible)
        for block in network.joint:
            x = itself(block, x)
        return network.logits(x)

    def keep(self, rows: Tensor) -> None:
        """Go on with some of the rows only."""
        self.own = [(k[rows], v[rows]) for k, v in self.own]
        self.cross = [[(k[rows], v[rows]) for k, v in keys] for keys in self.cross]
        self.context = Context(
            [t[rows] for t in self.context.tokens], [k[rows] for k in self.context.known], self.context.bins
        )
        self.seen = self.seen[rows]


def _roomier(x: Tensor) -> Tensor:
    """The same with room for as many tokens again, ``(row, head, position, feature)``: copied seldom, not at each token."""
    rows, heads, length, width = x.shape
    return torch.cat([x, x.new_zeros(rows, heads, max(LEAST_ROOM, length), width)], 2)


def intensity(next_one: NextToken) -> tuple[Tensor, Tensor]:
    """Probability of a spike in each bin given none before it since the last token, and how the units share it.

    Returns
    -------
    hazard : Tensor, (..., bin)
        0 in bins before the last token.
    share : Tensor, (..., bin)
        Factor from ``unit`` to the share of each unit: the conditional intensity of unit u in bin d is
        ``hazard * unit * allowed / here``.
    """
    mass = next_one.bin_mass
    later = torch.flip(torch.cumsum(torch.flip(mass, (-1,)), -1), (-1,))
    hazard = mass / (later + next_one.end[..., None]).clamp_min(TINY)
    return hazard, 1.0 / next_one.here.clamp_min(TINY)


@torch.inference_mode()
def sample_windows(
    network: Network, batch: Batch, *, generator: torch.Generator, decoding: Decoding
) -> Sampled:
    """Sample one window for each row of a batch, whose own tokens are not read.

    Parameters
    ----------
    network
        In evaluation mode.
    batch
        Past state, modalities and allowed bins of each row.
    generator
        Source of the numbers: three for each row and step, whether the row is still running or not.
    decoding
        Temperature and nucleus.
    """
    spec, rows, device = network.spec, len(batch), batch.id.device
    steps = Steps(network, network.context(batch))
    counts = torch.zeros(rows, spec.window, spec.n_units, dtype=torch.int32, device=device)
    expected = torch.zeros(rows, spec.window, spec.n_units, device=device)
    running = torch.arange(rows, device=device)
    live = torch.ones(rows, dtype=torch.bool, device=device)
    allowed = batch.allowed
    id = torch.full((rows,), spec.sos, device=device)
    dt = torch.zeros_like(id)
    for number in range(spec.max_tokens + 1):
        id_logits, dt_logits = (x / decoding.temperature for x in steps.next(id, dt))
        id_logits, dt_logits = nucleus(id_logits, decoding.top_p), nucleus(dt_logits, decoding.top_p)
        found = next_token(
            spec, id_logits, dt_logits, last_id=id[:, None], last_dt=dt[:, None], allowed=allowed
        )
        uniform = torch.rand(rows, 3, generator=generator, device=device)[running]
        is_end, next_id, next_dt = _draw(found, uniform, allowed)
        until = torch.where(is_end, spec.window - 1, next_dt)
        passed = _expected(spec.ordered, found, allowed, dt, until)
        expected[running] += passed * live[:, None, None]
        live = live & ~is_end
        if number == spec.max_tokens:
            break
        one = live.to(torch.int32)
        counts.index_put_((running, next_dt, next_id), one, accumulate=True)
        id, dt = torch.where(live, next_id, id), torch.where(live, next_dt, dt)
        n_live = int(live.sum())
        if n_live == 0:
            break
        if n_live < ENOUGH * live.numel():
            rest = torch.nonzero(live)[:, 0]
            steps.keep(rest)
            running, id, dt, live = running[rest], id[rest], dt[rest], live[rest]
            allowed = None if allowed is None else allowed[rest]
    return Sampled(counts, expected, running[live])


def nucleus(logits: Tensor, top_p: float) -> Tensor:
    """Logits with all but the likeliest values, up to probability ``top_p``, at minus infinity; the likeliest always stays."""
    if top_p >= 1.0:
        return logits
    ordered, index = torch.sort(logits, descending=True)
    p = torch.softmax(ordered, -1)
    outside = torch.cumsum(p, -1) - p >= top_p
    return logits.masked_fill(torch.zeros_like(outside).scatter(-1, index, outside), float("-inf"))


def _draw(found: NextToken, uniform: Tensor, allowed: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Whether the window ends, and else unit and bin, of ``NextToken`` at ``(row, 1)``."""
    is_end = uniform[:, 0] * found.total[:, 0] < found.end[:, 0]
    bin = _inverse(found.bin_mass[:, 0], uniform[:, 1])
    unit, empty = draw_unit(found, bin, uniform[:, 2], allowed)
    return is_end | empty, unit, bin


def draw_unit(
    found: NextToken, bin: Tensor, uniform: Tensor, allowed: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Unit of the next spike ``(row,)`` given its bin, and where there is none left."""
    units = found.unit[:, 0]
    if found.units_here is not None:
        here = bin == found.last_dt[:, 0]
        other = torch.ones_like(units, dtype=torch.bool)
        if allowed is not None:
            other = allowed[torch.arange(bin.shape[0], device=bin.device), bin]
        units = units * torch.where(here[:, None], found.units_here[:, 0], other)
    return _inverse(units, uniform), units.sum(-1) <= 0.0


def _inverse(mass: Tensor, uniform: Tensor) -> Tensor:
    """Index drawn from unnormalised probabilities ``(row, value)`` by the inverse of their cumulative sum."""
    total = torch.cumsum(mass.double(), -1)
    index = torch.searchsorted(total, (uniform.double() * total[:, -1])[:, None], right=True)[:, 0]
    return index.clamp_max(mass.shape[-1] - 1)


def _expected(
    ordered: bool, found: NextToken, allowed: Tensor | None, last_dt: Tensor, until: Tensor
) -> Tensor:
    """Expected spikes ``(row, bin, unit)`` of one step, in the bins that the step has gone through."""
    unit = found.unit[:, 0, None, :]  # (row, 1, unit)
    if not ordered:
        return found.bin[:, 0, :, None] * unit
    hazard, share = (x[:, 0] for x in intensity(found))
    place = torch.arange(hazard.shape[1], device=hazard.device)
    through = (place >= last_dt[:, None]) & (place <= until[:, None])
    rate = (hazard * share * through)[..., None] * unit  # (row, bin, unit)
    assert found.units_here is not None
    here = (place == last_dt[:, None])[..., None]
    may = found.units_here[:, 0, None, :] if allowed is None else found.units_here[:, 0, None, :] & allowed
    elsewhere = torch.ones_like(may) if allowed is None else allowed
    return rate * torch.where(here, may, elsewhere)
