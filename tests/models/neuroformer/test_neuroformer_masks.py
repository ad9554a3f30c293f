"""What was not observed is left out of the distribution of tokens, and is not taken for silence."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch

from neurokit_snn.models.neuroformer.batch import Batch
from neurokit_snn.models.neuroformer.model import Neuroformer
from neurokit_snn.models.neuroformer.objective import after_each_token, targets
from neurokit_snn.models.neuroformer.sampling import intensity
from neurokit_snn.models.neuroformer.tokens import next_token
from neurokit_snn.testing.place_cells import place_cells

N_UNITS, N_BINS = 2, 3
PLACES = list(itertools.product(range(N_BINS), range(N_UNITS)))  # (bin, unit) in order


@pytest.fixture
def network(make_network, spec):
    """Two units, three bins, at most one spike in each: 64 rasters."""
    tiny = dataclasses.replace(
        spec, n_units=N_UNITS, window=N_BINS, past=2, inputs=(), outputs=(), contrast=0
    )
    return make_network(dataclasses.replace(tiny, strict=True), double=True)


def probability(network, tokens, allowed=None) -> float:
    """Of a window with these tokens (bin, unit) after one past spike."""
    batch = Batch(
        id=torch.tensor([[network.spec.sos, *(u for _, u in tokens)]]),
        dt=torch.tensor([[0, *(d for d, _ in tokens)]]),
        n_tokens=torch.tensor([len(tokens)]),
        past_id=torch.tensor([[network.spec.sos, 1]]),
        past_dt=torch.tensor([[0, 1]]),
        allowed=None if allowed is None else torch.tensor(allowed)[None],
        inputs={},
        outputs={},
    )
    with torch.no_grad():
        unit, bins, is_end, exists = targets(network.spec, batch)
        after = after_each_token(network, batch, network(batch))
        return math.exp(float((after.log_prob(unit, bins, is_end) * exists).sum()))


def rasters(places):
    return itertools.chain.from_iterable(itertools.combinations(places, n) for n in range(len(places) + 1))


@pytest.mark.parametrize("seed", range(4))
def test_probabilities_sum_to_one_under_any_mask(network, seed):
    """Over all rasters that the mask leaves."""
    allowed = np.random.default_rng(seed).random((N_BINS, N_UNITS)) < 0.6
    seen = [place for place in PLACES if allowed[place]]
    total = sum(probability(network, some, allowed) for some in rasters(seen))
    assert total == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("stop", [0, 1, 2])
def test_a_window_that_is_cut_has_the_marginal_probability(network, stop):
    """Of the bins up to the cut: the sum over everything that may have come after."""
    allowed = np.repeat(np.arange(N_BINS) < stop, N_UNITS).reshape(N_BINS, N_UNITS)
    seen, unseen = ([p for p in PLACES if allowed[p] == kept] for kept in (True, False))
    for some in rasters(seen):
        whole = sum(probability(network, some + more) for more in rasters(unseen))
        assert probability(network, some, allowed) == pytest.approx(whole, rel=1e-9)


def test_a_mask_that_hides_nothing_changes_nothing(network):
    """A row that was wholly observed, in a batch in which another was not."""
    everything = np.ones((N_BINS, N_UNITS), bool)
    for some in rasters(PLACES):
        assert probability(network, some, everything) == pytest.approx(probability(network, some), rel=1e-9)


def test_a_lost_unit_leaves_the_intensities_of_the_others(spec):
    """Up to the next token the others fire as they would beside it."""
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 1, spec.n_units + 1, generator=g), torch.randn(1, 1, spec.window, generator=g)
    after = {"last_id": torch.tensor([[2]]), "last_dt": torch.tensor([[1]])}
    allowed = torch.ones(1, spec.window, spec.n_units, dtype=torch.bool)
    allowed[..., 3] = False
    allowed[:, 4] = False
    rates = []
    for mask in (None, allowed):
        found = next_token(spec, *logits, **after, allowed=mask)
        hazard, share = intensity(found)
        rates.append(((hazard * share)[..., None] * found.unit[:, :, None])[0, 0])  # (bin, unit)
    seen = allowed[0].clone()
    seen[0] = False  # before the last token
    assert float(rates[0][seen].min()) > 0
    torch.testing.assert_close(rates[1][seen], rates[0][seen])


def test_trials_that_end_within_a_window_end_as_others_do():
    """Samples have no more spikes in the last bins of short trials than the data have there."""
    data = place_cells(trials=40, bins=20, units=4)
    keep = {"window": 0.5, "past": 0.5, "covariates": ("position",), "embed": 16, "heads": 2}
    model = Neuroformer(**keep, steps=200, batch_size=32, learning_rate=1e-2).fit(data, seed=0)
    last = data["mask"] & ~data["mask"].shift(
        time=-1, fill_value=False
    )  # the last bin of each trial and unit
    made = np.mean([float(model.sample(data, seed=s)["counts"].where(last).mean()) for s in range(5)])
    true = float(data["counts"].where(last).mean())
    usual = float(data["counts"].where(data["mask"]).mean())
    assert abs(made - true) < 0.6 * usual, (made, true, usual)
