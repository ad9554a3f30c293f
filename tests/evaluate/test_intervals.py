"""Blocks, resampling and the coverage of intervals."""

from __future__ import annotations

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import xarray as xr
from scipy import stats

from neurokit_snn.errors import EvaluationError
from neurokit_snn.evaluate.intervals import block_index, interval, resample


def trials(start: np.ndarray, length: float, layout: str) -> xr.Dataset:
    stop = np.asarray(start) + length
    return xr.Dataset(
        coords={"trial_start": ("trial", np.asarray(start)), "trial_stop": ("trial", stop)},
        attrs={"layout": layout},
    )


def test_windows_are_joined_to_blocks_of_ten_seconds() -> None:
    index = block_index(trials(np.arange(11) * 3.0, 3.0, "windows"))
    np.testing.assert_array_equal(
        index, [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1]
    )  # 12 s, then 12 s and 9 s left over


def test_blocks_are_numbered_in_time_not_in_the_order_of_trials() -> None:
    index = block_index(trials(np.array([30.0, 0.0, 20.0, 10.0]), 10.0, "windows"))
    np.testing.assert_array_equal(index, [3, 0, 2, 1])


def test_overlapping_events_need_ten_seconds_of_session() -> None:
    # Each lasts 4 s, one starts every second: three of them hold 12 s, but no more than 6 s of the session.
    index = block_index(trials(np.arange(20.0), 4.0, "events"))
    np.testing.assert_array_equal(np.bincount(index), [7, 13])


def test_pauses_between_windows_do_not_count_as_data() -> None:
    index = block_index(trials(np.arange(4) * 100.0, 6.0, "windows"))
    np.testing.assert_array_equal(index, [0, 0, 1, 1])


def test_trials_are_their_own_blocks() -> None:
    np.testing.assert_array_equal(block_index(trials(np.array([5.0, 1.0, 3.0]), 1.0, "trials")), [2, 0, 1])


@hypothesis.given(
    st.lists(st.floats(0.1, 30.0), min_size=1, max_size=30),
    st.floats(0.5, 40.0),
    st.sampled_from(["windows", "events", "session"]),
)
def test_blocks_are_contiguous_and_long_enough(lengths: list[float], block: float, layout: str) -> None:
    stop = np.cumsum(lengths)
    start = stop - lengths
    data = xr.Dataset(
        coords={"trial_start": ("trial", start), "trial_stop": ("trial", stop)}, attrs={"layout": layout}
    )
    index = block_index(data, block=block)
    assert index[0] == 0
    assert set(np.diff(index)) <= {0, 1}
    held = np.bincount(index, weights=stop - start)
    assert held.size == 1 or held.min() >= block - 1e-6


def test_a_block_of_no_length_is_refused() -> None:
    with pytest.raises(EvaluationError, match="block is 0"):
        block_index(trials(np.arange(3.0), 1.0, "windows"), block=0.0)


def test_every_level_is_resampled() -> None:
    n_blocks = {"a1": 5, "a2": 3, "b1": 4}
    subjects = {"a1": "a", "a2": "a", "b1": "b"}
    drawn = resample(n_blocks, subjects=subjects, n_boot=4000)
    assert (drawn.level, drawn.n_groups) == ("subject", 2)
    totals = {s: w.sum(1) for s, w in drawn.weights.items()}
    # A subject is drawn 0, 1 or 2 times, its sessions as often as it has sessions, their blocks as often as those.
    times_b = totals["b1"] / 4
    assert set(times_b) == {0.0, 1.0, 2.0}
    np.testing.assert_allclose(totals["a1"] / 5 + totals["a2"] / 3, 2 * (2 - times_b))
    for session, weights in drawn.weights.items():
        assert weights.mean() == pytest.approx(1.0, abs=0.05), session
    # Sessions of one subject vary together: var of a subject's multiplicity is 1/2, that of a session in it adds to it.
    assert totals["a1"].std() / 5 > np.sqrt(0.5)
    np.testing.assert_array_equal(drawn.left_out["a1"], [[0] * 5, [1] * 5])
    one = resample({"a": 6}, subjects={"a": ""}, n_boot=10)
    assert (one.level, one.n_groups) == ("block", 6)
    np.testing.assert_array_equal(one.weights["a"].sum(1), 6)
    np.testing.assert_array_equal(one.left_out["a"], 1 - np.eye(6))


def test_of_many_blocks_neighbours_are_left_out_together() -> None:
    drawn = resample({"": 1000}, subjects={"": ""}, n_boot=10)
    assert drawn.n_groups == 1000
    left_out = drawn.left_out[""]
    assert left_out.shape == (200, 1000)
    np.testing.assert_array_equal((1 - left_out).sum(0), 1)
    np.testing.assert_array_equal((1 - left_out).sum(1), 5)
    # Skewed values: the acceleration of groups of five is that of single blocks.
    x = np.random.default_rng(0).exponential(size=1000) ** 2
    replicates = np.random.default_rng(1).choice(x, (2000, 1000)).mean(1)
    grouped = interval(x.mean(), replicates, left_out @ x / 995)
    single = interval(x.mean(), replicates, (x.sum() - x) / 999)
    np.testing.assert_allclose(grouped, single, rtol=0.02)


def test_the_interval_of_a_mean_is_that_of_t() -> None:
    """For symmetric data the widened limits are those of a t interval, which the percentile ones fall short of."""
    x = stats.norm.ppf((np.arange(12) + 0.5) / 12)
    drawn = resample({"": 12}, subjects={"": ""}, n_boot=20000)
    low, high = interval(x.mean(), drawn.weights[""] @ x / 12, drawn.left_out[""] @ x / 11)
    half = stats.t.ppf(0.975, 11) * x.std(ddof=1) / np.sqrt(12)
    assert float(high) == pytest.approx(half, rel=0.04)
    assert float(low) == pytest.approx(-half, rel=0.04)


def test_limits_take_any_shape_and_leave_out_what_is_not_a_number() -> None:
    rng = np.random.default_rng(0)
    replicates = rng.normal(size=(500, 2, 3))
    replicates[::5, 0, 0] = np.nan
    estimate = np.zeros((2, 3))
    estimate[1, 2] = np.nan
    low, high = interval(estimate, replicates, rng.normal(size=(9, 2, 3)))
    assert low.shape == high.shape == (2, 3)
    assert np.isnan(low[1, 2])
    assert np.isfinite(low).sum() == 5
    assert (low < high)[np.isfinite(low)].all()


def test_one_block_has_no_interval() -> None:
    low, high = interval(0.3, np.full(100, 0.3), np.zeros((1,)))
    assert np.isnan(low)
    assert np.isnan(high)


def gained(rng: np.random.Generator, n_blocks: int) -> np.ndarray:
    """Log probability, spikes and bins of blocks whose rates differ, ``(block, 3)``."""
    rates = rng.gamma(8.0, 0.25, (n_blocks, 1)) * np.exp(0.5 * rng.normal(size=(n_blocks, 20)))
    counts = rng.poisson(rates)
    said = rates * np.exp(0.4 * rng.normal(size=rates.shape))
    return np.stack([(counts * np.log(said) - said).sum(1), counts.sum(1), np.full(n_blocks, 20.0)], axis=1)


def bits(sums: np.ndarray) -> np.ndarray:
    log_p, spikes, bins = sums[..., 0], sums[..., 1], sums[..., 2]
    return (log_p - spikes * np.log(spikes / bins) + spikes) / spikes / np.log(2)


@pytest.mark.parametrize(("n_blocks", "least"), [(12, 0.85), (40, 0.90)])
def test_coverage_of_bits_per_spike(n_blocks: int, least: float) -> None:
    rng = np.random.default_rng(1)
    truth = float(bits(gained(rng, 200_000).sum(0)))
    covered, narrow = 0, 0
    n_runs = 400
    for run in range(n_runs):
        sums = gained(rng, n_blocks)
        drawn = resample({"": n_blocks}, subjects={"": ""}, n_boot=600, seed=run)
        replicates = bits(drawn.weights[""] @ sums)
        low, high = interval(bits(sums.sum(0)), replicates, bits(drawn.left_out[""] @ sums))
        covered += bool(low <= truth <= high)
        plain = np.quantile(replicates, [0.025, 0.975])
        narrow += bool(plain[0] <= truth <= plain[1])
    assert least <= covered / n_runs <= 0.985
    assert covered >= narrow


def test_coverage_over_sessions_and_subjects() -> None:
    """Sessions that differ are not trials that differ: an interval over blocks alone would cover far too rarely."""
    rng = np.random.default_rng(2)
    covered, naive, n_runs = 0, 0, 300
    for run in range(n_runs):
        means = rng.normal(size=8)
        x = {f"s{i}": m + rng.normal(size=10) for i, m in enumerate(means)}
        drawn = resample(dict.fromkeys(x, 10), subjects={s: s for s in x}, n_boot=400, seed=run)

        def pooled(weights: dict[str, np.ndarray], x: dict[str, np.ndarray] = x) -> np.ndarray:
            return sum(weights[s] @ x[s] for s in x) / sum(w.sum(1) for w in weights.values())

        estimate = np.mean(list(x.values()))
        low, high = interval(estimate, pooled(drawn.weights), pooled(drawn.left_out))
        covered += bool(low <= 0 <= high)
        every = np.concatenate(list(x.values()))
        half = 1.96 * every.std(ddof=1) / np.sqrt(every.size)
        naive += bool(abs(estimate) <= half)
    assert 0.88 <= covered / n_runs <= 0.99
    assert naive / n_runs < 0.75
