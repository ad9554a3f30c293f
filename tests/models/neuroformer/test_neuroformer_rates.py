"""Rates one bin ahead and hazards of units, against sums over all rasters."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
import xarray as xr

from neurokit_snn.models.neuroformer.connectivity import (
    attention_scores,
    gradient_scores,
    log_hazards,
    perturbation_scores,
)
from neurokit_snn.models.neuroformer.prediction import expected_counts, free_running, window_log_prob
from neurokit_snn.models.neuroformer.windows import Places, Source, grid_of


@pytest.fixture
def tiny(spec):
    """Two units, windows of two bins, at most one spike in a bin: sixteen rasters."""
    return dataclasses.replace(
        spec, n_units=2, window=2, past=2, inputs=(), outputs=(), contrast=0, strict=True
    )


def binned(counts, mask=None):
    """Binned data of the counts ``(trial, time, unit)``."""
    counts = np.asarray(counts, np.int32)
    n_trials, n_bins, n_units = counts.shape
    mask = np.ones(counts.shape, bool) if mask is None else mask
    return xr.Dataset(
        {
            "counts": (("trial", "time", "unit"), np.where(mask, counts, 0)),
            "mask": (("trial", "time", "unit"), mask),
        },
        coords={
            "trial": np.arange(n_trials),
            "time": (np.arange(n_bins) + 0.5) * 0.1,
            "unit": np.arange(n_units),
            "trial_start": ("trial", np.arange(n_trials) * 10.0),
            "trial_stop": ("trial", np.arange(n_trials) * 10.0 + n_bins * 0.1),
        },
        attrs={
            "schema": "neurokit_snn.binned",
            "schema_version": 1,
            "bin_width": 0.1,
            "layout": "trials",
            "session_id": "",
            "subject": "",
        },
    )


def source_of(counts, mask=None):
    data = binned(counts, mask)
    return Source(data, units=data["unit"].values.tolist(), inputs=(), outputs=(), who="test")


RASTERS = np.array(list(itertools.product([0, 1], repeat=4))).reshape(16, 2, 2)  # (raster, bin, unit)


@pytest.mark.parametrize("lost", [False, True])
def test_rates_are_expectations_over_all_rasters(make_network, tiny, monkeypatch, lost):
    """The rate in each bin is the sum, over all rasters that agree before the bin, of their probability."""
    from neurokit_snn.models.neuroformer import prediction

    monkeypatch.setattr(prediction, "CONTINUATIONS", 4000)
    network = make_network(tiny)
    mask = np.ones(RASTERS.shape, bool)
    if lost:
        mask[:, 1, 0] = False
    source = source_of(RASTERS, mask)
    p = np.exp(window_log_prob(network, source)[:, 0])
    kept = [i for i in range(16) if not (lost and RASTERS[i, 1, 0])]
    assert p[kept].sum() == pytest.approx(1.0, abs=1e-5)
    found = expected_counts(network, source, generator=torch.Generator().manual_seed(0))
    for i in kept:
        for bin in (0, 1):
            agree = [j for j in kept if (RASTERS[j, :bin] == RASTERS[i, :bin]).all()]
            weights = p[agree] / p[agree].sum()
            expected = weights @ RASTERS[agree, bin]
            np.testing.assert_allclose(found[i, bin], expected, atol=0.015)


def test_hazards_multiply_to_the_probability_of_a_bin(make_network, tiny):
    """In windows of one bin the log probability is that of a Bernoulli for each unit given those of lower index."""
    network = make_network(dataclasses.replace(tiny, window=1, n_units=3))
    rasters = np.array(list(itertools.product([0, 1], repeat=3))).reshape(8, 1, 3)
    source = source_of(rasters)
    batch = source.batch(grid_of(8, 1, 1), network.spec)
    with torch.no_grad():
        log_h = log_hazards(network, batch, network.context(batch)).double().numpy()  # (raster, unit)
    y = rasters[:, 0]
    chain = (y * log_h + (1 - y) * np.log1p(-np.exp(np.minimum(log_h, -1e-9)))).sum(1)
    np.testing.assert_allclose(chain, window_log_prob(network, source)[:, 0], atol=1e-4)


def test_free_runs_have_the_rates_of_the_model(make_network, tiny):
    """From silence, the first window's samples average to the sum over rasters."""
    network = make_network(tiny)
    source = source_of(RASTERS)
    p = np.exp(window_log_prob(network, source)[:, 0])
    one = source_of(RASTERS[:1])
    counts, expected, cut = free_running(
        network, one, draws=20_000, generator=torch.Generator().manual_seed(0)
    )
    assert cut == 0
    true = np.einsum("r,rbu->bu", p, RASTERS)
    np.testing.assert_allclose(counts[:, 0].mean(0), true, atol=0.02)
    np.testing.assert_allclose(expected[:, 0].mean(0), true, atol=0.02)


def test_free_runs_feed_on_their_own_spikes(make_network, spec):
    """Free-running, the data's spikes do not matter; teacher-forced, those of the past do and those of the window do not."""
    network = make_network(dataclasses.replace(spec, inputs=(), outputs=(), contrast=0))
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.5, (3, 12, 5))
    later = counts.copy()
    later[:, 6:] = rng.poisson(0.5, (3, 6, 5))

    def run(data, mode):
        return free_running(
            network, source_of(data), draws=2, generator=torch.Generator().manual_seed(1), mode=mode
        )[0]

    np.testing.assert_array_equal(run(counts, "free-running"), run(later, "free-running"))
    np.testing.assert_array_equal(run(counts, "teacher-forced"), run(later, "teacher-forced"))
    earlier = counts.copy()
    earlier[:, 2:6] += 2
    np.testing.assert_array_equal(run(counts, "free-running"), run(earlier, "free-running"))
    forced, other = run(counts, "teacher-forced"), run(earlier, "teacher-forced")
    np.testing.assert_array_equal(forced[:, :, :6], other[:, :, :6])
    assert not np.array_equal(forced[:, :, 6:], other[:, :, 6:])


def test_attention_counts_every_pair(make_network, spec):
    """Against plain loops over tokens, a source that fires twice counting twice."""
    network = make_network(dataclasses.replace(spec, inputs=(), outputs=(), contrast=0, window=2, past=2))
    counts = np.random.default_rng(3).poisson(0.6, (1, 40, 5))
    source = source_of(counts)
    places = Places(np.zeros(30, int), np.arange(2, 32))
    found = attention_scores(network, source, places)
    from neurokit_snn.models.neuroformer.connectivity import _weights

    paid, met = np.zeros((5, 5)), np.zeros((5, 5))
    for row in range(30):
        batch = source.batch(places.take(slice(row, row + 1)), network.spec)
        with torch.no_grad():
            history, own = _weights(network, batch)
        ids, past = batch.id[0].tolist(), batch.past_id[0].tolist()
        for i in range(int(batch.n_tokens[0])):
            target = ids[i + 1]
            for j, source_id in enumerate(past):
                if source_id < 5:
                    paid[target, source_id] += float(history[0, i, j])
                    met[target, source_id] += 1
            for j in range(i + 1):
                if ids[j] < 5:
                    paid[target, ids[j]] += float(own[0, i, j])
                    met[target, ids[j]] += 1
    np.testing.assert_allclose(found, paid / np.maximum(met, 1), atol=1e-6)
    assert met.max() > 5


def test_gradients_are_those_of_finite_differences(make_network, spec):
    """The derivative of a log rate by the presence of past spikes, for one source at a time."""
    network = make_network(
        dataclasses.replace(spec, inputs=(), outputs=(), contrast=0, window=2, past=3), double=True
    )
    counts = np.random.default_rng(5).poisson(0.5, (1, 30, 5))
    source = source_of(counts)
    places = Places(np.zeros(20, int), np.arange(3, 23))
    found = gradient_scores(network, source, places)
    batch = source.batch(places, network.spec)
    context = network.context(batch)
    for unit in range(5):
        mine = (batch.past_id == unit).double()

        def rates(step, mine=mine):
            scaled = context.tokens[0] * (1 + step * mine)[..., None]
            with torch.no_grad():
                return log_hazards(network, batch, context._replace(tokens=[scaled])).sum(0).numpy()

        slope = (rates(1e-5) - rates(-1e-5)) / 2e-5 / float(mine.sum())
        np.testing.assert_allclose(found[:, unit], slope, atol=1e-4)


def test_perturbation_is_the_change_by_one_more_spike(make_network, spec):
    """Against data that have the spike: the same windows with one more count in the last past bin."""
    network = make_network(dataclasses.replace(spec, inputs=(), outputs=(), contrast=0, window=2, past=3))
    counts = np.random.default_rng(6).poisson(0.3, (12, 5, 5))
    counts[:, 2] = 0  # the last past bin: the added spike is then the last token in either way of adding it
    places = Places(np.arange(12), np.full(12, 3))
    found = perturbation_scores(network, source_of(counts), places)
    for unit in range(5):
        more = counts.copy()
        more[:, 2, unit] += 1
        change = 0.0
        for data, sign in ((more, 1.0), (counts, -1.0)):
            batch = source_of(data).batch(places, network.spec)
            with torch.no_grad():
                change = change + sign * log_hazards(network, batch, network.context(batch)).double()
        np.testing.assert_allclose(found[:, unit], change.mean(0).numpy(), atol=1e-5)
    assert math.isfinite(float(np.abs(found).max()))
