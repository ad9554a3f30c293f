"""The distribution of the next token: normalised over rasters, by counting all of them."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch

from neurokit_snn.models.neuroformer.batch import Batch
from neurokit_snn.models.neuroformer.objective import after_each_token, contrast, output_loss, targets
from neurokit_snn.models.neuroformer.spec import Output
from neurokit_snn.models.neuroformer.tokens import next_token


@pytest.fixture
def tiny(spec):
    """Two units, two bins, no modality: few enough rasters to list."""
    return dataclasses.replace(spec, n_units=2, window=2, past=2, inputs=(), outputs=(), contrast=0)


def window_of(spec, tokens, allowed=None):
    """One window with the tokens (bin, unit) and one past spike."""
    id = torch.tensor([[spec.sos, *(u for _, u in tokens)]])
    dt = torch.tensor([[0, *(d for d, _ in tokens)]])
    return Batch(
        id=id,
        dt=dt,
        n_tokens=torch.tensor([len(tokens)]),
        past_id=torch.tensor([[spec.sos, 1]]),
        past_dt=torch.tensor([[0, 1]]),
        allowed=allowed,
        inputs={},
        outputs={},
    )


def log_prob(network, batch):
    with torch.no_grad():
        unit, bins, is_end, exists = targets(network.spec, batch)
        return float(
            (after_each_token(network, batch, network(batch)).log_prob(unit, bins, is_end) * exists).sum()
        )


def test_probabilities_of_all_binary_rasters_sum_to_one(make_network, tiny):
    """Every raster of two units and two bins, each once: 16 sequences."""
    network = make_network(dataclasses.replace(tiny, strict=True), double=True)
    places = [(0, 0), (0, 1), (1, 0), (1, 1)]
    total = sum(
        math.exp(log_prob(network, window_of(network.spec, some)))
        for n in range(5)
        for some in itertools.combinations(places, n)
    )
    assert total == pytest.approx(1.0, abs=1e-9)


def test_masked_bins_take_no_probability(make_network, tiny):
    """Where unit 1 is lost in bin 0, the rasters without that spike have all the probability."""
    network = make_network(dataclasses.replace(tiny, strict=True), double=True)
    allowed = torch.tensor([[[True, False], [True, True]]])
    places = [(0, 0), (1, 0), (1, 1)]
    total = sum(
        math.exp(log_prob(network, window_of(network.spec, some, allowed)))
        for n in range(4)
        for some in itertools.combinations(places, n)
    )
    assert total == pytest.approx(1.0, abs=1e-9)


def test_probabilities_of_counts_sum_to_one(make_network, tiny):
    """With repeated spikes the sum over all multisets approaches one from below as they grow."""
    network = make_network(tiny, double=True)
    network.unit_head.weight.data[-1] *= 0
    network.unit_head.weight.data[-1] += 0.2 * torch.sign(network(window_of(tiny, [])).x[0, 0].detach())
    places = [(0, 0), (0, 1), (1, 0), (1, 1)]
    by_length = [
        sum(
            math.exp(log_prob(network, window_of(tiny, some)))
            for some in itertools.combinations_with_replacement(places, n)
        )
        for n in range(9)
    ]
    total = np.cumsum(by_length)
    assert total[-1] < 1.0 + 1e-9
    rest = 1.0 - total
    assert (np.diff(rest) <= 1e-12).all()
    assert rest[-1] < 0.5 * rest[3]


def test_published_heads_lose_what_is_no_raster(make_network, tiny):
    """Without order, the same sum is below one: a bound from below."""
    network = make_network(dataclasses.replace(tiny, ordered=False), double=True)
    places = [(0, 0), (0, 1), (1, 0), (1, 1)]
    total = sum(
        math.exp(log_prob(network, window_of(network.spec, some)))
        for n in range(6)
        for some in itertools.combinations_with_replacement(places, n)
    )
    assert total < 0.999


def test_order_is_what_next_token_allows(tiny):
    """After unit 1 in bin 1 nothing but unit 1 again or the end; with at most one spike a bin, only the end."""
    logits = torch.zeros(1, 1, 3), torch.zeros(1, 1, 2)
    after = {"last_id": torch.tensor([[1]]), "last_dt": torch.tensor([[1]]), "allowed": None}
    found = next_token(tiny, *logits, **after)
    assert found.bin_mass[0, 0].tolist() == pytest.approx([0.0, 0.5 / 3])
    assert float(found.total) == pytest.approx(1 / 3 + 0.5 / 3)
    strict = next_token(dataclasses.replace(tiny, strict=True), *logits, **after)
    assert float(strict.total) == pytest.approx(1 / 3)


def test_contrast_knows_rows_that_belong_together():
    """Equal features are told apart at a low temperature; shuffled ones are not; both directions count."""
    g = torch.Generator().manual_seed(0)
    x = torch.nn.functional.normalize(torch.randn(16, 8, generator=g), dim=-1)
    low, total = torch.tensor(0.02), torch.tensor(16)
    same, rows = contrast({"a": x, "b": x}, low)
    assert rows == total
    assert float(same) / 16 < 0.01
    assert float(contrast({"a": x, "b": x.roll(1, 0)}, low)[0]) / 16 > 2.0
    lopsided = {"a": x, "b": x[:1].expand(16, 8)}
    one = float(contrast(lopsided, low)[0])
    other = float(contrast({"b": lopsided["b"], "a": x}, low)[0])
    assert one == pytest.approx(other)


def test_von_mises_loss_is_its_density():
    from scipy import stats

    angle, found = (
        torch.tensor([[0.3], [2.0]], dtype=torch.float64),
        torch.tensor([[1.2, -0.4], [0.1, 3.0]], dtype=torch.float64),
    )
    true = torch.cat([torch.cos(angle), torch.sin(angle)], -1)
    entry = Output(name="heading", kind="circular", width=2)
    from neurokit_snn.models.neuroformer.batch import Series

    loss, n = output_loss(entry, found, Series(true, torch.ones(2, dtype=torch.bool)))
    kappa, location = found.norm(dim=-1).numpy(), torch.atan2(found[:, 1], found[:, 0]).numpy()
    expected = -stats.vonmises.logpdf(angle[:, 0].numpy(), kappa, loc=location).sum()
    assert float(loss) + 2 * math.log(2 * math.pi) == pytest.approx(expected, rel=1e-6)
    assert int(n) == 2
