"""Who drives whom, as the network sees it: attention, gradients and an extra spike.

All three are ``(target, source)``. Attention says where the network looks, not what follows from it, and mixes the two
directions of a pair that fires together; the other two are effects on the log rate of the target, signed.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor

from neurokit_snn.errors import ModelError
from neurokit_snn.models.neuroformer.batch import Batch
from neurokit_snn.models.neuroformer.network import Context, Network
from neurokit_snn.models.neuroformer.objective import after_each_token, targets
from neurokit_snn.models.neuroformer.tokens import TINY
from neurokit_snn.models.neuroformer.windows import Places, Source, places_of

__all__ = [
    "attention_scores",
    "gradient_scores",
    "log_hazards",
    "network_connectivity",
    "perturbation_scores",
]

ROWS = 256
"""Windows of one pass."""


def network_connectivity(
    network: Network, source: Source, *, subsample: int, seed: int
) -> dict[str, np.ndarray]:
    """All three readings, each ``(target, source)``, on so many windows drawn from those that were wholly observed.

    Raises
    ------
    ModelError
        When there is no such window.
    """
    spec = network.spec
    places = places_of(source.lengths(), spec.window, before=False)
    places = places.take(np.flatnonzero(source.observed(places, spec.window).all((1, 2))))
    if len(places) == 0:
        raise ModelError(f"{source.who}: no window of {spec.window} bins is wholly observed; give more data")
    rows = np.random.default_rng(seed).choice(len(places), size=min(subsample, len(places)), replace=False)
    places = places.take(np.sort(rows))
    return {
        "attention": attention_scores(network, source, places),
        "gradient": gradient_scores(network, source, places),
        "perturbation": perturbation_scores(network, source, places),
    }


def _batches(network: Network, source: Source, places: Places) -> list[Batch]:
    return [source.batch(places.take(slice(i, i + ROWS)), network.spec) for i in range(0, len(places), ROWS)]


@torch.inference_mode()
def attention_scores(network: Network, source: Source, places: Places) -> np.ndarray:
    """Mean attention that the prediction of a target pays to a spike of a source: ``N_a / N_z`` of Antoniades et al. (2024).

    ``N_a`` sums, over every spike that is predicted and every earlier spike that can be attended to, the attention weights
    (mean over heads and blocks; cross-attention to the past state, self-attention within the window), ``N_z`` counts those
    pairs. Every pair is added up, also where a source fired several times.

    Returns
    -------
    ndarray, (target, source)
        0 where a pair never met.
    """
    n = network.spec.n_units
    paid, met = np.zeros((n, n)), np.zeros((n, n))
    for batch in _batches(network, source, places):
        unit, _, is_end, exists = targets(network.spec, batch)
        spike = exists & ~is_end
        history, own = _weights(network, batch)
        for weights, ids, earlier in (
            (history, batch.past_id, torch.ones((), dtype=torch.bool)),
            (own, batch.id, torch.ones(own.shape[1:], dtype=torch.bool).tril()),
        ):
            pair = spike[:, :, None] & (ids < n)[:, None, :] & earlier
            row, query, key = torch.nonzero(pair, as_tuple=True)
            place = (unit[row, query].numpy(), ids[row, key].numpy())
            np.add.at(paid, place, weights[row, query, key].double().numpy())
            np.add.at(met, place, 1.0)
    return paid / np.maximum(met, 1.0)


def _weights(network: Network, batch: Batch) -> tuple[Tensor, Tensor]:
    """Attention to the past state and within the window, ``(row, query, key)``, mean over heads and blocks."""
    context = network.context(batch)
    length = batch.id.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    history, own = [], []
    cur = network.embedding(batch.id, batch.dt)
    for block in network.state:
        keys = block.attention.keys(cur)
        own.append(block.attention.weights(block.norm_attention(cur), keys, causal).mean(1))
        cur = block(cur, keys, causal=True)
    x = cur
    masks = context.masks(batch.dt)
    for number, (blocks, tokens, mask) in enumerate(
        zip(network.stages(), context.tokens, masks, strict=True)
    ):
        for block in blocks:
            keys = block.attention.keys(tokens)
            if number == 0:
                history.append(block.attention.weights(block.norm_attention(x), keys, mask).mean(1))
            x = block(x, keys, mask=mask)
    for block in network.joint:
        keys = block.attention.keys(x)
        own.append(block.attention.weights(block.norm_attention(x), keys, causal).mean(1))
        x = block(x, keys, causal=True)
    nothing = torch.zeros(1, 1, 1)
    return (
        torch.stack(history).mean(0)
        if history
        else nothing.expand(len(batch), length, batch.past_id.shape[1]),
        torch.stack(own).mean(0) if own else nothing.expand(len(batch), length, length),
    )


def log_hazards(network: Network, batch: Batch, context: Context) -> Tensor:
    """Logarithm of the probability of a spike of each unit in a window's first bin ``(row, unit)``, given all that comes before.

    Tokens come in the order of units, so before a unit come the past and the units of lower index in the same bin, as they
    were: with ``i`` the last token before unit u and ``p`` the distribution of what comes after it,

        h(u) = p(u, bin 0) / (p(end) + sum of p over all units and bins that are not before (bin 0, u)).

    It is what a GLM with couplings inside the bin, to units of lower index, gives as its rate.
    """
    spec = network.spec
    inside = batch.positions & (batch.id < spec.n_units) & (batch.dt == 0)
    after = after_each_token(network, batch, network(batch, context=context))
    units = torch.arange(spec.n_units)
    place = (inside[:, None] & (batch.id[:, None] < units[:, None])).sum(
        -1
    )  # (row, unit): the last token before it
    rows = torch.arange(len(batch))[:, None]
    own = after.unit[rows, place]  # (row, unit, unit)
    if after.units_here is not None:
        own = own * after.units_here[rows, place]
    from_here = torch.flip(torch.cumsum(torch.flip(own, (-1,)), -1), (-1,))  # units of at least this index
    first = after.bin[rows, place, 0]  # (row, unit)
    mass = after.bin_mass[rows, place]  # (row, unit, bin)
    rest = after.end[rows, place] + mass[..., 1:].sum(-1) + first * from_here.diagonal(dim1=1, dim2=2)
    return torch.log(first * own.diagonal(dim1=1, dim2=2) + TINY) - torch.log(rest + TINY)


def gradient_scores(network: Network, source: Source, places: Places) -> np.ndarray:
    """Mean derivative of a target's log rate (`log_hazards`) with respect to the presence of each past spike of a source.

    The embedding of a past spike is multiplied by its presence, which is 1.

    Returns
    -------
    ndarray, (target, source)
        0 for a source that never fired in the past state of a window.
    """
    n = network.spec.n_units
    total, number = np.zeros((n, n)), np.zeros(n)
    wanted = [parameter.requires_grad for parameter in network.parameters()]
    network.requires_grad_(False)
    for batch in _batches(network, source, places):
        context = network.context(batch)
        presence = torch.ones(batch.past_id.shape, requires_grad=True)
        gated = Context(
            [context.tokens[0] * presence[..., None], *context.tokens[1:]], context.known, context.bins
        )
        rates = log_hazards(network, batch, gated).sum(0)  # (unit,)
        spike = (batch.past_id < n).numpy()
        ids = batch.past_id.numpy()[spike]
        number += np.bincount(ids, minlength=n)
        for target in range(n):
            (slope,) = torch.autograd.grad(rates[target], presence, retain_graph=target < n - 1)
            total[target] += np.bincount(ids, slope.numpy()[spike], minlength=n)
    for parameter, value in zip(network.parameters(), wanted, strict=True):
        parameter.requires_grad_(value)
    return total / np.maximum(number, 1.0)


@torch.inference_mode()
def perturbation_scores(network: Network, source: Source, places: Places) -> np.ndarray:
    """Mean change of a target's log rate in the next bin (`log_hazards`) when a source has one more spike in the bin before.

    Returns
    -------
    ndarray, (target, source)
    """
    n, spec = network.spec.n_units, network.spec
    total, rows = np.zeros((n, n)), 0
    for batch in _batches(network, source, places):
        length = (batch.past_id != spec.pad).sum(1)
        fits = torch.nonzero(length <= spec.max_past_tokens)[:, 0]
        some, length = batch.take(fits), length[fits]
        room = torch.full((len(some), 1), spec.pad)
        ids, bins = torch.cat([some.past_id, room], 1), torch.cat([some.past_dt, torch.zeros_like(room)], 1)
        before = log_hazards(network, some, network.context(some))
        at = torch.arange(len(some))
        for unit in range(n):
            ids[at, length], bins[at, length] = unit, spec.past - 1
            more = dataclasses.replace(some, past_id=ids, past_dt=bins)
            change = log_hazards(network, more, network.context(more)) - before
            total[:, unit] += change.double().sum(0).numpy()
        rows += len(some)
    return total / max(rows, 1)
