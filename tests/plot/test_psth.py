"""The PSTH shows the mean rate over valid trials and an interval that covers the truth."""

from __future__ import annotations

import numpy as np
import pytest

from neurokit_snn import plot
from neurokit_snn.errors import NeurokitError
from neurokit_snn.plot.psth import rate_with_interval


def test_the_line_is_the_mean_over_valid_trials(data):
    axes = plot.psth(data)
    counts = data["counts"].where(data["mask"]).sel(unit="b")
    np.testing.assert_allclose(axes[1].get_lines()[0].get_ydata(), counts.mean("trial") / 0.5)
    np.testing.assert_allclose(axes[1].get_lines()[0].get_xdata(), data["time"])
    assert axes[0].get_ylabel() == "rate (spikes/s)"
    assert axes[0].get_xlabel() == "time in trial (s)"


def test_conditions_have_a_line_each(data):
    (ax,) = plot.psth(data, units=["a"], by="side")
    left = data["counts"].where(data["mask"]).sel(unit="a")[data["side"].values == "left"]
    np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), left.mean("trial") / 0.5)
    assert [text.get_text() for text in ax.figure.legends[0].get_texts()] == ["side = left", "side = right"]


def test_events_mark_their_instant(data):
    aligned = data.assign_coords(time=data["time"] - 1.0).assign_attrs(layout="events")
    (ax,) = plot.psth(aligned, units=["a"])
    assert ax.get_lines()[-1].get_xdata() == [0.0, 0.0]
    assert ax.get_xlabel() == "time from event (s)"


def test_the_same_seed_gives_the_same_band(data):
    bands = [
        plot.psth(data, units=["a"], seed=seed)[0].collections[0].get_paths()[0].vertices
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(bands[0], bands[1])
    assert not np.array_equal(bands[0], bands[2])


def test_bins_without_a_valid_trial_stay_empty():
    counts, mask = np.ones((3, 2)), np.array([[True, False]] * 3)
    mean, low, high = rate_with_interval(counts, mask, level=0.95, n_boot=20, rng=np.random.default_rng(0))
    np.testing.assert_array_equal([mean[0], low[0], high[0]], 1.0)
    assert np.isnan([mean[1], low[1], high[1]]).all()


def test_the_interval_covers_the_rate_as_often_as_it_says():
    rng = np.random.default_rng(3)
    counts = rng.poisson(4.0, size=(60, 400)).astype(float)
    _, low, high = rate_with_interval(counts, np.ones_like(counts, bool), level=0.9, n_boot=400, rng=rng)
    covered = np.mean((low <= 4.0) & (high >= 4.0))
    assert 0.84 < covered < 0.95


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda d: d.isel(trial=[0]), {}, "needs several trials"),
        (lambda d: d, {"by": "colour"}, "'colour' is no trial column"),
        (lambda d: d, {"units": ["c"]}, "no unit 'c'"),
    ],
)
def test_bad_requests_are_named(data, change, options, message):
    with pytest.raises(NeurokitError, match=message):
        plot.psth(change(data), **options)
