"""The peer is given the data as they are, sees nothing that is held out, and is timed with no more steps than it needs."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import _elephant_gpfa, gpfa
from neurokit_snn.models.conditioning import held_out

SMALL = {"trials": 30, "test_trials": 10, "bins": 20, "units": 12, "length_scale": 6.0}


@pytest.fixture(scope="module")
def small():
    return gpfa.simulated(**SMALL)


@pytest.fixture
def _elephant():
    pytest.importorskip("elephant", reason="a peer: make peers")


def test_simulated_counts_have_the_mean_that_was_asked_for_and_follow_their_neighbours():
    train, test = gpfa.simulated(trials=300, test_trials=5, bins=50, units=10, length_scale=8.0)
    assert (train.sizes["trial"], test.sizes["trial"], int(held_out(train).sum())) == (300, 5, 2)
    assert float(train["counts"].mean()) == pytest.approx(gpfa.MEAN_COUNT, rel=0.1)
    counts = train["counts"].values - train["counts"].values.mean((0, 1))
    near, far = ((counts[:, :-lag] * counts[:, lag:]).mean() / (counts * counts).mean() for lag in (1, 40))
    assert near > 0.1 > abs(far) * 2


def test_the_fewest_steps_within_the_margin_count():
    assert gpfa.fewest({1: (0.10, 1.0), 10: (0.196, 2.0), 30: (0.198, 3.0), 100: (0.2, 9.0)}) == 10
    assert gpfa.fewest({1: (0.2, 1.0), 10: (0.1, 2.0)}) == 1


@pytest.mark.usefixtures("_elephant")
@pytest.mark.parametrize("width", [0.02, 1 / 30, 0.0123])
def test_elephant_counts_what_the_data_hold_in_trials_of_unequal_length(width):
    rng = np.random.default_rng(1)
    data, _ = gpfa.simulated(**SMALL)
    counts = rng.poisson(rng.choice([0.2, 4.0], data["counts"].shape)).astype(np.int32)
    valid = np.arange(20)[None, :, None] < rng.integers(5, 21, 30)[:, None, None]
    mask = np.broadcast_to(valid, counts.shape).copy()
    data = data.assign(
        counts=(data["counts"].dims, np.where(mask, counts, 0)), mask=(data["counts"].dims, mask)
    )
    data.attrs["bin_width"] = width
    trains = _elephant_gpfa.spike_trains(data)  # raises where elephant's own binning differs
    found = [sum(len(train) for train in trial) for trial in trains]
    assert found == data["counts"].sum(("time", "unit")).values.tolist()
    stops = [float(trial[0].t_stop) for trial in trains]
    np.testing.assert_allclose(stops, valid.sum((1, 2)) * width, rtol=1e-12)


@pytest.mark.usefixtures("_elephant")
def test_a_trial_with_a_gap_is_refused(small):
    train = small[0].copy(deep=True)
    train["mask"][3, 7] = False
    train["counts"][3, 7] = 0
    with pytest.raises(ValueError, match="trial 3: bins are missing"):
        _elephant_gpfa.spike_trains(train)


@pytest.mark.usefixtures("_elephant")
def test_held_out_units_of_test_trials_are_not_read_and_are_predicted(small):
    train, test = small
    state = np.random.get_state()[1].copy()  # noqa: NPY002 (elephant draws from there)
    rate = _elephant_gpfa.cosmooth(train, test, latents=3, steps=3)
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert rate["unit"].values.tolist() == test["unit"].values[held_out(test)].tolist()
    assert gpfa.bits_per_spike(test, rate) > 0.05
    other = test.copy(deep=True)
    other["counts"][:, :, held_out(test)] = 9
    again = _elephant_gpfa.cosmooth(train, other, latents=3, steps=3)
    np.testing.assert_array_equal(again.values, rate.values)
    # Held-in counts are read: without them little is known.
    other["counts"][:] = other["counts"].values[::-1]
    assert gpfa.bits_per_spike(test, _elephant_gpfa.cosmooth(train, other, latents=3, steps=3)) < 0.0


@pytest.mark.usefixtures("_elephant")
def test_latents_explain_the_rates_of_test_trials(small):
    """In the limit of many spikes the latents span the log rates; they are aligned on the training trials."""
    train, test = small
    rng = np.random.default_rng(2)
    time = np.arange(20)
    kernel = np.exp(-0.5 * ((time[:, None] - time) / 6.0) ** 2) + 1e-6 * np.eye(20)
    truth = np.linalg.cholesky(kernel) @ rng.standard_normal((40, 20, 2))
    counts = rng.poisson(8.0 * np.exp(0.4 * truth @ rng.standard_normal((2, 12)))).astype(np.int32)
    dims = train["counts"].dims
    seen, unseen = train.assign(counts=(dims, counts[:30])), test.assign(counts=(dims, counts[30:]))
    fitted, other = _elephant_gpfa.latents_of(seen, unseen, latents=2, steps=10)
    assert other["latents"].dims == other["latents_sd"].dims == ("trial", "time", "latent")
    assert set(other["block"].values) == {"neural"}
    assert float(other["latents_sd"].min()) > 0
    design, new = (
        np.column_stack([np.ones(part["latents"].size // 2), part["latents"].values.reshape(-1, 2)])
        for part in (fitted, other)
    )
    weights = np.linalg.lstsq(design, truth[:30].reshape(-1, 2), rcond=None)[0]
    left = truth[30:].reshape(-1, 2) - new @ weights
    r2 = 1 - (left**2).sum(0) / ((truth[30:] - truth[30:].mean((0, 1))) ** 2).sum((0, 1))
    assert (r2 > 0.8).all()


@pytest.mark.slow
@pytest.mark.usefixtures("_elephant")
def test_the_benchmark_prints_a_cold_and_a_warm_case(capsys):
    assert (
        gpfa.main(["--quick", "--model", "ReducedRankRegression"]) == 1
    )  # it has no GP: elephant scores better
    cold, warm = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert ", cold;" in cold["case"]
    assert ", warm;" in warm["case"]
    for line in (cold, warm):
        assert line["ratio"] == pytest.approx(line["peer_s"] / line["ours_s"], rel=0.01)
        assert " 10: " in line["case"]
        assert not line["holds"]
