"""What all pictures have in common: where they are drawn, in what style, and that nothing is cut off."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot

from neurokit_snn import plot
from neurokit_snn.errors import NeurokitError
from neurokit_snn.plot._style import axes_array, label

PICTURES = {
    "raster": lambda f: plot.raster(f("tree")),
    "event_raster": lambda f: plot.event_raster(f("tree"), "a", to="trials/start", by="side"),
    "psth": lambda f: plot.psth(f("data"), by="side"),
    "tuning": lambda f: plot.tuning(f("curves")),
    "tuning map": lambda f: plot.tuning(
        f("curves").isel(direction=[0, 1] * 4).assign_coords(direction=np.arange(8.0))[["rate"]]
    ),
    "decoded": lambda f: plot.decoded(
        f("data"), f("data").assign(behavior_position_sd=f("data")["behavior_position"] ** 2)
    ),
    "latents": lambda f: plot.latents(f("latents"), sd=abs(f("latents")), truth=-f("latents"), trials=[3, 7]),
    "reconstruction": lambda f: plot.reconstruction(f("frames"), f("frames") + 1.0, times=3),
    "length_scales": lambda f: plot.length_scales(f("summary"), truth=0.8),
    "loading_norms": lambda f: plot.loading_norms(f("summary")),
    "shared_variance": lambda f: plot.shared_variance(f("summary")),
    "comparison": lambda f: plot.comparison(f("scores")),
    "unit_scores": lambda f: plot.unit_scores(f("scores"), "place", "flat"),
    "connectivity": lambda f: plot.connectivity(f("network"), truth=f("network")["glm"] > 0.4),
}


def _figure(axes):
    return np.asarray(axes, dtype=object).ravel()[0].figure


@pytest.fixture(params=list(PICTURES))
def picture(request):
    return PICTURES[request.param](request.getfixturevalue)


def test_nothing_is_cut_off_at_the_edges(picture):
    figure = _figure(picture)
    figure.canvas.draw()
    drawn = figure.get_tightbbox()  # inches, of everything that is really drawn
    assert min(drawn.x0, drawn.y0) > -0.02
    assert drawn.x1 < figure.get_figwidth() + 0.02
    assert drawn.y1 < figure.get_figheight() + 0.02


def test_the_outer_axes_are_labelled(picture):
    axes = np.asarray(picture, dtype=object).ravel()
    assert all(one.get_xlabel() for one in axes if one.get_subplotspec().is_last_row())
    assert axes[0].get_ylabel() or [tick.get_text() for tick in axes[0].get_yticklabels()]


def test_lines_have_colours_of_the_palette(picture):
    allowed = {*plot.PALETTE, "black", "k", "#6B6B6B"}
    used = {line.get_color() for one in np.asarray(picture, dtype=object).ravel() for line in one.get_lines()}
    assert used <= allowed


def test_style_is_a_context_only():
    before = dict(matplotlib.rcParams)
    with plot.style():
        assert matplotlib.rcParams["axes.spines.top"] is False
        assert tuple(matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]) == plot.PALETTE
    assert dict(matplotlib.rcParams) == before


def test_style_is_left_when_drawing_fails(curves):
    before = dict(matplotlib.rcParams)
    with pytest.raises(NeurokitError):
        plot.tuning(curves, units=["nobody"])
    assert dict(matplotlib.rcParams) == before


def test_given_axes_are_drawn_in_and_returned(curves):
    _, ax = pyplot.subplots(1, 2)
    axes = plot.tuning(curves, ax=ax)
    assert list(axes) == list(ax)
    assert pyplot.get_fignums() == [1]
    assert ax[0].get_legend() is not None


def test_one_axes_may_be_given_bare(curves):
    _, ax = pyplot.subplots()
    assert plot.tuning(curves, units=["b"], ax=ax)[0] is ax


def test_a_wrong_number_of_axes_is_refused():
    _, ax = pyplot.subplots(1, 3)
    with pytest.raises(NeurokitError, match="ax holds 3 Axes, but a thing needs 2"):
        axes_array(ax, 2, what="a thing", size=(1, 1))


def test_too_many_panels_are_refused(curves):
    many = curves.isel(unit=[0] * 65).assign_coords(unit=np.arange(65))
    with pytest.raises(NeurokitError, match="65 panels for tuning curves; choose 1 to 64"):
        plot.tuning(many)


@pytest.mark.parametrize(
    ("name", "attrs", "part", "expected"),
    [
        ("behavior_position", {"units": "px"}, "x", "position x (px)"),
        ("running_speed", {"units": "cm/s"}, None, "running speed (cm/s)"),
        ("choice", {}, None, "choice"),
        ("ratio", {"units": "1"}, None, "ratio"),
        ("t", {"units": "s", "long_name": "time from lick"}, None, "time from lick (s)"),
    ],
)
def test_labels_name_the_thing_and_its_units(name, attrs, part, expected):
    assert label(name, attrs, part=part) == expected
