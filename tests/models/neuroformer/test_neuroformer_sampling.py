"""Sampling with kept keys and values: the same tokens as without, and the distribution it claims."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from neurokit_snn.models.neuroformer.objective import after_each_token
from neurokit_snn.models.neuroformer.sampling import Decoding, Steps, nucleus, sample_windows


def without_cache(network, batch, *, generator, decoding):
    """The plain reference: the whole sequence again for every token, one row at a time."""
    spec = network.spec
    rows = len(batch)
    tokens = [[] for _ in range(rows)]
    running = list(range(rows))
    from neurokit_snn.models.neuroformer.tokens import next_token

    while running:
        uniform = torch.rand(rows, 3, generator=generator)
        for row in list(running):
            one = batch.take(torch.tensor([row]))
            id = torch.tensor([[spec.sos, *(u for u, _ in tokens[row])]])
            dt = torch.tensor([[0, *(d for _, d in tokens[row])]])
            one = dataclasses.replace(one, id=id, dt=dt, n_tokens=torch.tensor([len(tokens[row])]))
            with torch.no_grad():
                id_logits, dt_logits = network.logits(network(one).x[:, -1:])
            id_logits = nucleus(id_logits / decoding.temperature, decoding.top_p)
            dt_logits = nucleus(dt_logits / decoding.temperature, decoding.top_p)
            found = next_token(
                spec, id_logits, dt_logits, last_id=id[:, -1:], last_dt=dt[:, -1:], allowed=one.allowed
            )
            u = uniform[row].double()
            if u[0] * found.total[0, 0] < found.end[0, 0]:
                running.remove(row)
                continue
            mass = found.bin_mass[0, 0].double().cumsum(0)
            bin = int(torch.searchsorted(mass, u[1] * mass[-1], right=True))
            units = found.unit[0, 0].clone()
            if bin == int(dt[0, -1]):
                units = units * found.units_here[0, 0]
            elif one.allowed is not None:
                units = units * one.allowed[0, bin]
            mass = units.double().cumsum(0)
            if len(tokens[row]) == spec.max_tokens:
                running.remove(row)
                continue
            tokens[row].append((int(torch.searchsorted(mass, u[2] * mass[-1], right=True)), bin))
    return tokens


@pytest.mark.parametrize("decoding", [Decoding(), Decoding(temperature=1.3, top_p=0.9)])
def test_kept_keys_give_the_same_tokens(make_network, make_batch, changed, decoding):
    """Token by token under one seed, with masks, modalities and rows that end at different times."""
    network = make_network(sd=0.25)
    network.unit_head.weight.data[-1] *= 0.2
    batch = make_batch(rows=12, seed=3)
    allowed = torch.rand(12, 6, 5, generator=torch.Generator().manual_seed(5)) < 0.8
    batch = changed(batch, allowed=allowed)
    found = sample_windows(network, batch, generator=torch.Generator().manual_seed(7), decoding=decoding)
    plain = without_cache(network, batch, generator=torch.Generator().manual_seed(7), decoding=decoding)
    counts = np.zeros((12, 6, 5), int)
    for row, tokens in enumerate(plain):
        for unit, bin in tokens:
            counts[row, bin, unit] += 1
    lengths = counts.sum((1, 2))
    assert lengths.max() >= 4
    assert np.unique(lengths).size >= 3
    np.testing.assert_array_equal(found.counts.numpy(), counts)
    assert (counts[~allowed.numpy()] == 0).all()


def test_steps_after_a_prefix_are_those_of_the_whole_sequence(make_network, make_batch):
    """Keys kept from a pass over whole windows, cut at a place of their own in each row."""
    network, batch = make_network(double=True), make_batch(double=True, rows=4)
    kept = []
    with torch.no_grad():
        hidden = network(batch, kept=kept)
        whole = torch.cat(network.logits(hidden.x), -1)
        place = torch.tensor([3, 0, 1, 2]).clamp_max(batch.n_tokens - 1)
        seen = torch.arange(batch.id.shape[1]) <= place[:, None]
        steps = Steps(network, hidden.context, own=kept, seen=seen)
        at = torch.arange(4)
        next_one = torch.cat(steps.next(batch.id[at, place + 1], batch.dt[at, place + 1]), -1)
    torch.testing.assert_close(next_one[:, 0], whole[at, place + 1], atol=1e-12, rtol=0)


def test_samples_have_the_probabilities_of_the_model(make_network, make_batch, spec):
    """Frequency of each first token, over many samples of one window, against its probability."""
    small = dataclasses.replace(spec, n_units=3, window=3, inputs=(), outputs=(), contrast=0)
    network = make_network(small)
    rows = 20_000
    one = make_batch(small, rows=1, seed=2)
    batch = one.take(torch.zeros(rows, dtype=torch.long))
    found = sample_windows(network, batch, generator=torch.Generator().manual_seed(0), decoding=Decoding())
    first = dataclasses.replace(one, id=one.id[:, :1], dt=one.dt[:, :1], n_tokens=torch.tensor([0]))
    with torch.no_grad():
        after = after_each_token(network, first, network(first))
    empty = float((found.counts.sum((1, 2)) == 0).float().mean())
    p = float(after.end[0, 0] / after.total[0, 0])
    assert abs(empty - p) < 4 * np.sqrt(p * (1 - p) / rows)
    flat = found.counts.flatten(1).numpy()
    some = flat[flat.sum(1) > 0]
    leading = (some > 0).argmax(1)
    pairs = (after.bin[0, 0, :, None] * after.unit[0, 0]).flatten().numpy() / (1 - float(after.end[0, 0]))
    share = np.bincount(leading, minlength=9) / len(some)
    np.testing.assert_allclose(share, pairs, atol=4 * np.sqrt(0.25 / len(some)))


def test_expected_counts_are_the_mean_of_samples(make_network, make_batch, spec):
    """Conditional intensities along the way average to the counts, and vary less."""
    small = dataclasses.replace(spec, n_units=3, window=3, inputs=(), outputs=(), contrast=0, strict=True)
    network = make_network(small)
    network.unit_head.weight.data[-1] += 0.1
    batch = make_batch(small, rows=1, seed=2).take(torch.zeros(20_000, dtype=torch.long))
    found = sample_windows(network, batch, generator=torch.Generator().manual_seed(0), decoding=Decoding())
    assert found.cut.numel() == 0
    counts = found.counts.double()
    error = (counts.mean(0) - found.expected.double().mean(0)).abs()
    se = ((counts - found.expected.double()).var(0) / len(batch)).sqrt()
    assert (error <= 4 * se + 1e-6).all()
    assert found.expected.double().var(0).sum() < counts.var(0).sum()


def test_the_nucleus_keeps_the_likeliest():
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]]))
    assert torch.isfinite(nucleus(logits, 0.8))[0].tolist() == [True, True, False, False]
    assert torch.isfinite(nucleus(logits, 0.01))[0].tolist() == [True, False, False, False]
    assert torch.equal(nucleus(logits, 1.0), logits)
