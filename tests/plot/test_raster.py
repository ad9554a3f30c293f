"""Rasters show the spikes, behaviour and trials of the recording, and no others."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import xarray as xr
from matplotlib.collections import EventCollection

from neurokit_snn import plot, recording
from neurokit_snn.errors import NeurokitError

# The package exports a function of the same name.
module = importlib.import_module("neurokit_snn.plot.raster")


def _rows(ax):
    return [list(c.get_positions()) for c in ax.collections if isinstance(c, EventCollection)]


def test_every_spike_of_the_window_is_drawn_once(tree):
    axes = plot.raster(tree, start=0.5, stop=7.5)
    assert _rows(axes[0]) == [[0.5, 1.5, 2.5], []]
    assert [tick.get_text() for tick in axes[0].get_yticklabels()] == ["a", "b"]


def test_units_come_in_the_order_asked_for(tree):
    axes = plot.raster(tree, units=["b", "a"], behavior=())
    assert _rows(axes[0]) == [[0.25, 9.0], [0.5, 1.5, 2.5, 7.5]]
    assert len(axes) == 1


def test_behaviour_is_drawn_with_its_units(tree):
    axes = plot.raster(tree, behavior=["position"])
    assert axes[1].get_ylabel() == "position (px)"
    x, y = (line.get_ydata() for line in axes[1].get_lines())
    np.testing.assert_array_equal(x, -y)
    assert [text.get_text() for text in axes[1].get_legend().get_texts()] == ["x", "y"]


def test_a_circular_line_is_lifted_where_it_wraps(tree):
    (line,) = plot.raster(tree, behavior=["heading"])[1].get_lines()
    shown = line.get_ydata()
    assert np.isnan(shown).sum() == 1
    assert np.nanmax(np.abs(np.diff(shown))) < 0.2


def test_categories_are_steps():
    tree = recording.build(
        spikes={0: [0.5]},
        behavior={"task": {"time": [0.0, 1.0, 2.0], "value": [0, 1, 0], "kind": "categorical"}},
    )
    (line,) = plot.raster(tree)[1].get_lines()
    assert line.get_drawstyle() == "steps-post"


def test_trials_in_the_window_are_shaded(tree):
    axes = plot.raster(tree, start=0.0, stop=5.0, behavior=())
    shaded = [
        path.get_extents()
        for c in axes[0].collections
        if not isinstance(c, EventCollection)
        for path in c.get_paths()
    ]
    assert sorted((box.x0, box.x1) for box in shaded) == [(0.0, 3.0), (2.0, 4.0)]
    bare = plot.raster(tree, behavior=(), trials=None)[0]
    assert all(isinstance(c, EventCollection) for c in bare.collections)


def test_other_intervals_are_shaded(tree):
    laps = xr.Dataset({"start": ("interval", [1.0]), "stop": ("interval", [2.5])})
    runs = recording.build(spikes={"a": [0.5]}, epochs={"run": laps})
    for ax in (
        plot.raster(tree, trials=laps)[0],
        plot.raster(runs, start=0.0, stop=3.0, trials="epochs/run")[0],
    ):
        bars = [c for c in ax.collections if not isinstance(c, EventCollection)]
        boxes = [path.get_extents() for c in bars for path in c.get_paths()]
        assert [(box.x0, box.x1) for box in boxes] == [(1.0, 2.5)]


def test_many_spikes_become_an_image_of_their_rates(tree, monkeypatch):
    monkeypatch.setattr(module, "MOST_TICKS", 3)
    axes = plot.raster(tree, start=0.0, stop=10.0, behavior=())
    (image,) = axes[0].get_images()
    width = 10.0 / module.DENSITY_COLUMNS
    np.testing.assert_allclose(image.get_array().sum(axis=1) * width, [4, 2])


def test_another_clock_is_brought_to_the_session():
    tree = recording.build(
        spikes={0: [6.0]},
        behavior={"x": {"time": [0.0, 1.0], "value": [1.0, 2.0], "clock": "camera"}},
        clocks={"camera": (1.0, 5.0)},
    )
    (line,) = plot.raster(tree)[1].get_lines()
    np.testing.assert_array_equal(line.get_xdata(), [5.0, 6.0])


def test_events_align_the_spikes_of_one_unit(tree):
    ax = plot.event_raster(tree, "a", to="events/lick", window=(-1.0, 1.0))
    assert _rows(ax) == [[-0.5, 0.5], [0.5]]
    assert ax.get_xlabel() == "time from lick (s)"


def test_event_rows_are_grouped(tree):
    ax = plot.event_raster(tree, "a", to="trials/start", window=(0.0, 2.0), by="side")
    assert _rows(ax) == [[0.5, 1.5], [1.5], [0.5]]
    rows = [c.get_lineoffset() for c in ax.collections]
    assert rows == [0, 1, 2]
    assert [text.get_text() for text in ax.figure.legends[0].get_texts()] == ["side = left", "side = right"]


def test_a_missing_event_time_leaves_its_row_out():
    tree = recording.build(
        spikes={0: [1.0]}, trials={"start": [0.0, 1.0], "stop": [1.0, 2.0], "lick": [np.nan, 0.5]}
    )
    assert _rows(plot.event_raster(tree, 0, to="trials/lick")) == [[0.5]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: plot.raster(t, units=["c"]), "no unit 'c'"),
        (
            lambda t: plot.raster(t, behavior=["speed"]),
            "no behaviour 'speed'; this recording has position, heading",
        ),
        (lambda t: plot.raster(t, start=3.0, stop=3.0), "start 3.0 s is not before stop 3.0 s"),
        (lambda t: plot.raster(t, trials="epochs/run"), "'epochs/run' names nothing"),
        (lambda t: plot.event_raster(t, "a", to="events/tone"), "'events/tone' names nothing"),
        (lambda t: plot.event_raster(t, "a", to="trials/start", by="colour"), "by='colour' is no column"),
        (lambda t: plot.event_raster(t, "a", to=[1.0], by="side"), "not plain times"),
        (lambda t: plot.event_raster(t, "a", to=[1.0], window=(1.0, -1.0)), "is empty"),
    ],
)
def test_bad_requests_are_named(tree, call, message):
    with pytest.raises(NeurokitError, match=message):
        call(tree)
