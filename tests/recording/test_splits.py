"""Folds cover every trial once, nothing near a test trial is learnt from, and leaks are refused by name."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from neurokit_snn import recording
from neurokit_snn.errors import SplitError
from neurokit_snn.recording import splits


def binned(start, stop, layout="trials", units=3) -> xr.Dataset:
    n = len(start)
    return xr.Dataset(
        {"counts": (("trial", "time", "unit"), np.zeros((n, 2, units), np.int32))},
        coords={
            "trial": np.arange(n),
            "trial_start": ("trial", np.asarray(start, float)),
            "trial_stop": ("trial", np.asarray(stop, float)),
        },
        attrs={"layout": layout},
    )


WINDOWS = binned(np.arange(20.0), np.arange(20.0) + 1.0, "windows")
SESSION = binned([0.0], [100.0], "session")


@given(
    trials=st.lists(st.tuples(st.integers(0, 80), st.integers(0, 20)), min_size=4, max_size=20),
    folds=st.integers(2, 4),
    gap=st.sampled_from([0.0, 0.5, 3.0]),
    random=st.booleans(),
)
def test_folds_cover_once_and_keep_their_distance(trials, folds, gap, random):
    start = np.array([a for a, _ in trials], float)
    stop = start + np.array([length for _, length in trials])
    data = binned(start, stop, "events")
    make = splits.by_trial if random else splits.blocked
    try:
        split = make(data, folds=folds, gap=gap)
    except SplitError:
        with pytest.raises(SplitError, match="nothing left to learn from"):
            make(data, folds=folds, gap=gap)
        return
    assert (split.gap, len(split)) == (gap, folds)
    np.testing.assert_array_equal(
        np.sort(np.concatenate([f.test for f in split.folds])), np.arange(len(trials))
    )
    for fold in split.folds:
        kept = np.zeros(len(trials), bool)
        kept[fold.train] = True
        for i in set(range(len(trials))) - set(fold.test.tolist()):
            apart = [max(start[j] - stop[i], start[i] - stop[j]) for j in fold.test]
            assert kept[i] == (min(apart) >= gap), (i, min(apart))


def test_blocks_are_contiguous_in_time_whatever_the_order():
    order = np.random.default_rng(0).permutation(20)
    split = splits.blocked(WINDOWS.isel(trial=order), folds=4)
    for fold in split.folds:
        times = np.sort(order[fold.test])
        np.testing.assert_array_equal(np.diff(times), 1)


def test_windows_that_only_touch_do_not_overlap():
    assert [fold.train.size for fold in splits.blocked(WINDOWS, folds=5).folds] == [16] * 5
    assert [fold.train.size for fold in splits.blocked(WINDOWS, folds=5, gap=1.0).folds] == [
        15,
        14,
        14,
        14,
        15,
    ]


def test_windows_that_touch_up_to_rounding_do_not_overlap():
    tree = recording.build(spikes={"a": [0.1]})
    data = recording.windows(tree, 0.1, length=0.3, start=4397.03, stop=4427.03)
    assert [fold.train.size for fold in splits.blocked(data, folds=5).folds] == [80] * 5


def test_trials_that_touch_up_to_rounding_do_not_overlap():
    edges = np.arange(11.0) + 4397.03
    data = binned(edges[:-1] - 1e-12, edges[1:] + 1e-12)
    assert [fold.train.size for fold in splits.by_trial(data, folds=5).folds] == [8] * 5


def test_a_long_test_trial_reaches_past_the_short_ones_after_it():
    data = binned([0.0, 1.0, 20.0, 40.0, 50.0, 60.0], [30.0, 2.0, 25.0, 41.0, 51.0, 61.0])
    assert splits.blocked(data, folds=3).folds[0].train.tolist() == [3, 4, 5]


def test_overlapping_events_never_stand_on_both_sides():
    tree = recording.build(spikes={"a": [0.1]}, epochs={"all": [[0.0, 100.0]]})
    data = recording.align(tree, 0.1, to=[10.0, 11.0, 40.0, 41.0, 70.0, 71.0], window=(-1.0, 2.0))
    for seed in range(5):
        for fold in splits.by_trial(data, folds=3, seed=seed).folds:
            pairs = set(fold.test // 2)
            assert not pairs & set(fold.train // 2)


def test_seeds_decide_the_order():
    one, same, other = (
        splits.by_trial(binned(np.arange(30.0), np.arange(30.0) + 0.5), seed=s) for s in (1, 1, 2)
    )
    assert all((a.test == b.test).all() for a, b in zip(one.folds, same.folds, strict=True))
    assert any((a.test != b.test).any() for a, b in zip(one.folds, other.folds, strict=True))


def test_applying_a_split_yields_both_sides():
    split = splits.blocked(WINDOWS, folds=4, gap=1.0)
    for fold, (train, test) in zip(split.folds, split.apply(WINDOWS), strict=True):
        np.testing.assert_array_equal(train["trial"], fold.train)
        np.testing.assert_array_equal(test["trial"], fold.test)
    with pytest.raises(SplitError, match="names trial 19, the data hold 10"):
        list(split.apply(WINDOWS.isel(trial=slice(10))))


def test_describe_says_what_each_fold_holds():
    text = splits.blocked(WINDOWS, folds=2, gap=2.0).describe()
    assert text == (
        "blocked, 2 folds, gap 2 s: fold 0 learns from 8 trials and is judged on 10; "
        "fold 1 learns from 8 trials and is judged on 10"
    )


def test_the_leaky_split_keeps_neighbours():
    split = splits.leaky_random(WINDOWS, folds=5, seed=3)
    assert split.kind == "leaky_random"
    assert all(fold.train.size == 16 for fold in split.folds)
    touching = [(np.abs(fold.train[:, None] - fold.test) == 1).any() for fold in split.folds]
    assert all(touching)


@pytest.mark.parametrize("fraction", [0.01, 0.25, 0.99])
def test_units_are_held_out_on_both_sides(fraction):
    data = binned([0.0], [1.0], units=8)
    marked = splits.by_unit(data, fraction=fraction, seed=1)
    assert marked["held_out"].dtype == bool
    assert int(marked["held_out"].sum()) == {0.01: 1, 0.25: 2, 0.99: 7}[fraction]
    assert "held_out" not in data.coords
    assert marked["held_out"].equals(splits.by_unit(data, fraction=fraction, seed=1)["held_out"])


BAD = {
    "windows by trial": (
        lambda: splits.by_trial(WINDOWS),
        r"call splits\.blocked\(data\).*splits\.leaky_random",
    ),
    "session by trial": (lambda: splits.by_trial(SESSION), "leak"),
    "session": (lambda: splits.blocked(SESSION), r"recording\.windows"),
    "too few": (lambda: splits.blocked(WINDOWS, folds=21), "the data hold 20; give fewer folds"),
    "one fold": (lambda: splits.blocked(WINDOWS, folds=1), "at least 2"),
    "float folds": (lambda: splits.blocked(WINDOWS, folds=2.0), "whole number"),
    "gap": (lambda: splits.blocked(WINDOWS, gap=-1.0), "gap is -1.0"),
    "wide gap": (lambda: splits.blocked(WINDOWS, folds=2, gap=30.0), "fold 0 has nothing left to learn from"),
    "no clock": (lambda: splits.blocked(WINDOWS.drop_vars("trial_stop")), "no coordinate trial_stop"),
    "fraction": (lambda: splits.by_unit(WINDOWS, fraction=1.0), "between 0 and 1"),
    "one unit": (lambda: splits.by_unit(WINDOWS.isel(unit=[0])), "hold 1 unit;"),
    "both sides": (lambda: splits.Fold(train=[0, 1], test=[1, 2]), "trial 1 is named twice"),
    "twice": (lambda: splits.Fold(train=[0, 0], test=[1, 2]), "trial 0 is named twice"),
    "empty": (lambda: splits.Fold(train=[], test=[1]), "train is no list"),
    "negative": (lambda: splits.Fold(train=[-1], test=[1]), "train is no list"),
    "no folds": (lambda: splits.Split(folds=(), kind="mine"), "no Fold"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_would_leak_or_cannot_be_made_is_refused(case):
    call, message = BAD[case]
    with pytest.raises(SplitError, match=message):
        call()
