"""Estimates of connectivity stand in one order of units, each in colours of its own."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot

from neurokit_snn import plot
from neurokit_snn.errors import NeurokitError


def _shown(ax):
    return np.ma.filled(ax.get_images()[0].get_array().astype(float), np.nan)


def _ticks(axis):
    return [tick.get_text() for tick in axis.get_ticklabels()]


def test_the_truth_comes_first_and_orders_the_units_of_all(network):
    truth = xr.zeros_like(network["attention"])
    truth.loc[{"source": "b"}] = 1.0
    truth.loc[{"source": "d", "target": "a"}] = 1.0
    axes = plot.connectivity(network, truth=truth)
    assert [one.get_title(loc="left") for one in axes] == ["truth", "attention", "glm"]
    order = ["b", "d", "a", "c"]
    for one, array in zip(axes, (truth, network["attention"], network["glm"]), strict=True):
        expected = array.sel(target=order, source=order).values.copy()
        np.fill_diagonal(expected, np.nan)
        np.testing.assert_array_equal(_shown(one), expected)
        assert _ticks(one.xaxis) == _ticks(one.yaxis) == order
        assert one.get_xlabel() == "source unit"
    assert axes[0].get_ylabel() == "target unit"


def test_without_a_truth_the_first_estimate_orders_the_units_whatever_is_on_its_diagonal(network):
    network["attention"].values[0, 0] = 100.0
    (ax, _) = plot.connectivity(network)
    assert _ticks(ax.xaxis) == ["d", "c", "b", "a"]


def test_a_truth_in_another_order_is_drawn_by_its_labels(network):
    turned = network["glm"].T.isel(target=[3, 1, 0, 2], source=[2, 0, 1, 3])
    truth, _, glm = plot.connectivity(network, truth=turned)
    np.testing.assert_array_equal(_shown(truth), _shown(glm))


def test_signed_estimates_are_drawn_around_zero_and_others_from_zero(network):
    attention, glm = plot.connectivity(network)
    assert glm.get_images()[0].get_clim() == (-0.7, 0.7)
    assert attention.get_images()[0].get_clim() == (0.0, pytest.approx(0.08))
    assert glm.get_images()[0].get_cmap().name != attention.get_images()[0].get_cmap().name


def test_units_are_named_at_the_colour_bars(network):
    axes = plot.connectivity(network)
    bars = [one for one in axes[0].figure.axes if one not in list(axes)]
    assert [bar.get_xlabel() for bar in bars] == ["", "log rate"]


def test_numbers_at_the_colour_bars_do_not_run_into_each_other(network):
    axes = plot.connectivity(1e-4 * network)
    axes[0].figure.canvas.draw()
    for bar in [one for one in axes[0].figure.axes if one not in list(axes)]:
        boxes = [tick.get_window_extent() for tick in bar.get_xticklabels()]
        assert len(boxes) >= 2
        assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_nan_is_grey_and_nothing_at_all_is_drawn_too(network):
    (ax,) = plot.connectivity(network[["glm"]] * np.nan)
    assert np.isnan(_shown(ax)).all()
    (flat,) = plot.connectivity(network[["glm"]] * 0.0)
    assert flat.get_images()[0].get_clim() == (0.0, 1.0)


def test_of_many_units_some_are_named():
    units = [f"unit {i}" for i in range(35)]
    found = xr.DataArray(
        np.ones((35, 35)), dims=("target", "source"), coords={"target": units, "source": units}
    )
    (ax,) = plot.connectivity(xr.Dataset({"glm": found}))
    assert _ticks(ax.xaxis) == units[::4]


def test_given_axes_are_used(network):
    _, ax = pyplot.subplots(1, 2)
    assert list(plot.connectivity(network, ax=ax)) == list(ax)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda n: n[[]], {}, "0 estimates of connectivity; select 1 to 12"),
        (lambda n: n.isel(target=0), {}, r"attention has dims \('source',\)"),
        (lambda n: n.rename(target="to"), {}, r"attention has dims \('to', 'source'\)"),
        (lambda n: n.drop_vars("source"), {}, "attention has no unique labels along source"),
        (lambda n: n, {"truth": lambda n: n["glm"][:3, :3]}, "attention has 4 units along target"),
        (
            lambda n: n,
            {"truth": lambda n: n["glm"].assign_coords(source=list("abce"), target=list("abce"))},
            "attention has no unit 'e' along target",
        ),
        (
            lambda n: n.where(n["source"] != "b", np.inf),
            {},
            "attention of target 'a' and source 'b' is infinite",
        ),
        (lambda n: n, {"ax": lambda n: pyplot.subplots()[1]}, "ax holds 1 Axes, but heat maps"),
    ],
)
def test_bad_estimates_are_named(network, change, options, message):
    with pytest.raises(NeurokitError, match=message):
        plot.connectivity(change(network), **{name: value(network) for name, value in options.items()})
