"""``.nk``: the same answers as the functions, and no swallowed errors."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import xarray as xr

import neurokit_snn as nk
from neurokit_snn import accessor


@pytest.fixture
def tree() -> xr.DataTree:
    rng = np.random.default_rng(0)
    time = np.arange(0.0, 40.0, 0.05)
    return nk.recording.build(
        spikes={name: np.sort(rng.uniform(0.0, 40.0, 60)) for name in "abcd"},
        behavior={"position": {"time": time, "value": np.sin(time / 2), "units": "m"}},
        trials={"start": np.arange(0.0, 40.0, 4.0), "stop": np.arange(0.0, 40.0, 4.0) + 3.0},
        events={"lick": {"time": [5.0, 15.0, 25.0]}},
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda nk_, of: (of.bin(0.5), nk_.bin),
        lambda nk_, of: (of.windows(0.5, length=5.0), nk_.windows),
        lambda nk_, of: (of.bin_trials(0.5), nk_.bin_trials),
        lambda nk_, of: (of.align(0.5, to="events/lick"), nk_.align),
    ],
)
def test_binning_is_that_of_the_function(tree, call):
    options = {"windows": {"length": 5.0}, "align": {"to": "events/lick"}}
    found, function = call(nk.recording, tree.nk)
    xr.testing.assert_identical(found, function(tree, 0.5, **options.get(function.__name__, {})))


def test_choosing_is_that_of_the_functions(tree):
    xr.testing.assert_identical(tree.nk.select_units(["b"]), nk.recording.select_units(tree, ["b"]))
    xr.testing.assert_identical(tree.nk.slice_time(3.0, 9.0), nk.recording.slice_time(tree, 3.0, 9.0))
    np.testing.assert_array_equal(tree.nk.spike_times("c"), nk.recording.spike_times(tree, "c"))
    xr.testing.assert_identical(tree.nk.laps(), nk.recording.laps(tree))
    assert tree.nk.span() == nk.recording.span(tree)


def test_validation_is_that_of_the_functions(tree):
    assert tree.nk.validate() is None
    assert tree.nk.problems() == []
    broken = tree.copy()
    broken["trials"] = broken["trials"].to_dataset().assign(stop=broken["trials"]["start"] - 1.0)
    assert broken.nk.problems() == nk.recording.problems(broken)
    with pytest.raises(nk.errors.RecordingError):
        broken.nk.validate()


def test_splits_are_those_of_the_functions(tree):
    data = tree.nk.bin_trials(0.5)
    for made, same in (
        (data.nk.blocked(folds=3), nk.splits.blocked(data, folds=3)),
        (data.nk.by_trial(folds=3, seed=1), nk.splits.by_trial(data, folds=3, seed=1)),
    ):
        for ours, theirs in zip(made.folds, same.folds, strict=True):
            np.testing.assert_array_equal(ours.test, theirs.test)
    xr.testing.assert_identical(data.nk.by_unit(seed=2), nk.splits.by_unit(data, seed=2))


def test_pictures_are_drawn(tree):
    assert len(tree.nk.raster()) == 2
    assert tree.nk.event_raster("a", to="events/lick").get_title(loc="left") == "unit a"
    assert len(tree.nk.bin_trials(0.5).nk.psth(units=["a"])) == 1


def test_recordings_and_binned_data_are_saved(tree, tmp_path):
    xr.testing.assert_identical(nk.load(tree.nk.save(tmp_path / "a.nk")), tree)
    data = tree.nk.bin(0.5)
    xr.testing.assert_identical(nk.load(data.nk.save(tmp_path / "b.nk")), data)


def test_a_comparison_of_the_dataset(tree):
    data = tree.nk.bin_trials(0.5)
    scores = data.nk.compare({"flat": nk.MeanRate()}, task="encode", cv=2, baselines=False, progress=False)
    assert scores["model"].values.tolist() == ["flat"]
    assert len(scores.nk.comparison()) == 2


def test_an_attribute_error_is_not_swallowed(tree, monkeypatch):
    def broken(self, tree):
        raise AttributeError("inner")

    monkeypatch.setattr(accessor.RecordingAccessor, "__init__", broken)
    with pytest.raises(RuntimeError, match="nk"):
        _ = tree.nk


@pytest.mark.parametrize("cls", [accessor.RecordingAccessor, accessor.DatasetAccessor])
def test_every_method_names_the_function_it_calls(cls):
    for name, method in inspect.getmembers(cls, inspect.isfunction):
        if not name.startswith("_"):
            assert (method.__doc__ or "").startswith("See `neurokit_snn."), name
