"""Who drives whom, as the network sees it: attention, gradients and an extra spike.

All three are ``(target, source)``. Attention says where the network looks, not what follows from it, and mixes the two
directions of a pair that fires together; the other two are effects on the log rate of the target, signed.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from neurokit_snn.errors import ModelError
from neurokit_snn.models.neuroformer.batch import Batch
from neurokit_snn.models.neuroformer.network import Context, Network
from neurokit_snn.models.neuroformer.objective import targets
from neurokit_snn.models.neuroformer.sampling import Steps, intensity
from neurokit_snn.models.neuroformer.tokens import TINY, next_token
from neurokit_snn.models.neuroformer.windows import Places, Source, places_of

__all__ = ["attention_scores", "gradient_scores", "network_connectivity", "perturbation_scores"]

ROWS = 256
"""Windows of one pass."""


def network_connectivity(
    network: Network, source: Source, *, windows: int, seed: int
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
    rows = np.random.default_rng(seed).choice(len(places), size=min(windows, len(places)), replace=False)
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


def _log_rates(network: Network, batch: Batch, context: Context) -> Tensor:
    """Logarithm of the conditional intensity ``(row, unit)`` of every unit in a window's first bin, given the past state."""
    first = torch.full((len(batch),), network.spec.sos)
    zero = torch.zeros_like(first)
    logits = Steps(network, context).next(first, zero)
    found = next_token(
        network.spec, *logits, last_id=first[:, None], last_dt=zero[:, None], allowed=batch.allowed
    )
    if not network.spec.ordered:
        return torch.log(found.unit[:, 0] * found.bin[:, 0, :1] + TINY)
    hazard, share = intensity(found)
    return torch.log(hazard[:, 0, :1] * share[:, 0, :1] * found.unit[:, 0] + TINY)


def gradient_scores(network: Network, source: Source, places: Places) -> np.ndarray:
    """Mean derivative of a target's log rate with respect to the presence of each past spike of a source.

    The embedding of a past spike is multiplied by its presence, which is 1; the rate is that of the window's first bin.

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
        rates = _log_rates(network, batch, gated).sum(0)  # (unit,)
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
    """Mean change of a target's log rate in the next bin when a source has one more spike in the bin before.

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
        before = _log_rates(network, some, network.context(some))
        at = torch.arange(len(some))
        for unit in range(n):
            ids[at, length], bins[at, length] = unit, spec.past - 1
            more = _with_past(some, ids, bins)
            change = _log_rates(network, more, network.context(more)) - before
            total[:, unit] += change.double().sum(0).numpy()
        rows += len(some)
    return total / max(rows, 1)


def _with_past(batch: Batch, ids: Tensor, bins: Tensor) -> Batch:
    return Batch(
        id=batch.id,
        dt=batch.dt,
        n_tokens=batch.n_tokens,
        past_id=ids,
        past_dt=bins,
        allowed=batch.allowed,
        inputs=batch.inputs,
        outputs=batch.outputs,
    )
