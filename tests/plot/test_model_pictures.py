"""Tuning curves, decoded behaviour and comparisons show the numbers that they are given."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm

from neurokit_snn import plot
from neurokit_snn.errors import NeurokitError


def test_tuning_draws_a_line_and_a_band_for_each_condition(curves):
    axes = plot.tuning(curves)
    assert [one.get_title(loc="left") for one in axes] == ["unit a", "unit b"]
    lines = axes[1].get_lines()
    for line, direction in zip(lines, ["in", "out"], strict=True):
        np.testing.assert_allclose(line.get_ydata(), curves["rate"].sel(unit="b", direction=direction))
    band = axes[1].collections[0].get_paths()[0].get_extents()
    np.testing.assert_allclose([band.y0, band.y1], [1.5, 3.5])
    assert axes[0].get_xlabel() == "position (px)"
    assert axes[0].get_ylabel() == "rate (spikes/s)"


def test_a_band_without_data_does_not_rule_the_panel(curves):
    curves["high"][0, 0, 0] = 1000.0
    top = plot.tuning(curves, units=["a"])[0].get_ylim()[1]
    assert top == 2.0 * float(curves["rate"].sel(unit="a").max())


def _plane(curves):
    """Tuning to two continuous axes, without intervals."""
    angle = ("direction", np.linspace(0.0, 3.0, 8), {"units": "rad"})
    return curves[["rate"]].isel(direction=[0, 1] * 4).assign_coords(direction=angle)


def test_conditions_may_be_numbers(curves):
    axes = plot.tuning(curves.assign_coords(direction=[-1.0, 1.0]))
    assert len(axes[0].get_lines()) == 2


def test_two_real_axes_make_a_map(curves):
    plane = _plane(curves)
    axes = plot.tuning(plane, units=["a"])
    (mesh,) = axes[0].collections
    np.testing.assert_allclose(
        mesh.get_array(), plane["rate"].sel(unit="a").transpose("position", "direction")
    )
    assert (axes[0].get_xlabel(), axes[0].get_ylabel()) == ("direction (rad)", "position (px)")


def test_along_chooses_the_horizontal_axis(curves):
    assert plot.tuning(_plane(curves), units=["a"], along="position")[0].get_xlabel() == "position (px)"


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda c: c.drop_vars("low"), {}, "need the variable 'low'"),
        (lambda c: c.rename(rate="gain"), {}, "need a variable 'rate'"),
        (lambda c: c, {"units": ["z"]}, "no unit 'z'"),
        (lambda c: c, {"along": "speed"}, "along='speed' is no dim"),
        (lambda c: c.isel(position=0), {}, "cannot be drawn"),
    ],
)
def test_bad_tuning_is_named(curves, change, options, message):
    with pytest.raises(NeurokitError, match=message):
        plot.tuning(change(curves), **options)


@pytest.fixture
def predicted(data):
    return xr.Dataset(
        {
            "behavior_position": data["behavior_position"] + 1.0,
            "behavior_position_sd": xr.full_like(data["behavior_position"], 2.0),
        }
    )


def test_decoded_is_drawn_over_the_truth_in_session_time(data, predicted):
    axes = plot.decoded(data, predicted)
    assert [one.get_ylabel() for one in axes] == ["position x (px)", "position y (px)"]
    true, shown = axes[0].get_lines()
    np.testing.assert_allclose(true.get_xdata()[:6], [0.25, 0.75, 1.25, 1.75, 2.25, np.nan])
    np.testing.assert_allclose(
        shown.get_ydata() - true.get_ydata(), np.where(np.isnan(true.get_ydata()), np.nan, 1.0)
    )
    masked = true.get_ydata().reshape(4, 6)[3, 4]
    assert np.isnan(masked), "a bin that is not valid must not be drawn"


def test_the_band_has_the_level_asked_for(data, predicted):
    flat = data.assign(behavior_position=xr.zeros_like(data["behavior_position"]).assign_attrs(units="px"))
    axes = plot.decoded(
        flat, predicted.assign(behavior_position=flat["behavior_position"]), level=0.5, trials=[0]
    )
    box = axes[0].collections[0].get_paths()[0].get_extents()
    np.testing.assert_allclose([box.y0, box.y1], [-2.0 * norm.ppf(0.75), 2.0 * norm.ppf(0.75)])


def test_a_posterior_takes_the_place_of_the_band(data, predicted):
    centre = np.linspace(-3, 3, 7)
    posterior = xr.DataArray(
        np.full((4, 5, 2, 7), 1 / 7),
        dims=("trial", "time", "axis", "centre"),
        coords={"trial": data["trial"], "axis": ["x", "y"], "centre": centre},
    )
    axes = plot.decoded(data, predicted, posterior=posterior, trials=[0, 2])
    assert len(axes[0].collections) == 2  # a mesh for each trial and no band
    np.testing.assert_allclose(axes[0].collections[0].get_array(), 1 / 7)


def test_trials_may_stand_side_by_side(data, predicted):
    axes = plot.decoded(data, predicted, side_by_side=True)
    time = axes[0].get_lines()[0].get_xdata().reshape(4, 6)[:, :5]
    np.testing.assert_allclose(np.diff(time[:3], axis=1), 0.5)
    np.testing.assert_allclose(time[1:, 0] - time[:-1, 4], 0.5 + 2 * 0.5)
    assert np.isnan(time[3, 4]), "a bin that is not valid takes no room at the end"
    assert axes[1].get_xlabel() == "time in the trials shown (s)"


def test_draws_give_the_line_and_the_band(data, predicted):
    still = data.assign(behavior_position=xr.zeros_like(data["behavior_position"]).assign_attrs(units="px"))
    draws = xr.DataArray(np.linspace(-1.0, 3.0, 5), dims="draw")
    many = (still[["behavior_position"]] + draws).transpose("draw", ...)
    axes = plot.decoded(still, many, level=0.5, trials=[0])
    np.testing.assert_allclose(axes[0].get_lines()[1].get_ydata()[:5], 1.0)
    box = axes[0].collections[0].get_paths()[0].get_extents()
    np.testing.assert_allclose([box.y0, box.y1], [0.0, 2.0])


def test_without_uncertainty_there_is_no_band(data, predicted):
    assert not plot.decoded(data, predicted.drop_vars("behavior_position_sd"))[0].collections


@pytest.mark.parametrize(
    ("options", "message"),
    [({"behavior": "speed"}, "no 'behavior_speed' in the data"), ({"trials": [9]}, "no trial 9")],
)
def test_bad_decoding_is_named(data, predicted, options, message):
    with pytest.raises(NeurokitError, match=message):
        plot.decoded(data, predicted, **options)


def test_comparison_shows_values_intervals_and_paired_differences(scores):
    left, right = plot.comparison(scores, reference="place")
    np.testing.assert_allclose(left.get_lines()[0].get_xdata(), [0.0, 0.5, 0.7])
    spans = [segment[:, 0].tolist() for segment in left.collections[0].get_segments()]
    np.testing.assert_allclose(spans, [[-0.1, 0.2], [0.4, 0.7], [0.6, 0.9]])
    np.testing.assert_allclose(right.get_lines()[0].get_xdata(), [-0.5, 0.0, 0.2])
    assert [tick.get_text() for tick in left.get_yticklabels()] == ["flat", "place", "place x way"]
    assert left.get_ylim()[0] > left.get_ylim()[1], "the first model stands on top"
    assert left.get_xlabel() == "bits/spike"
    assert right.get_title(loc="left") == "minus place, paired"


def test_comparison_of_another_metric(scores):
    left, _ = plot.comparison(scores, metric="log_likelihood")
    assert left.get_xlabel() == "nats/s per unit"
    np.testing.assert_allclose(left.get_lines()[0].get_xdata(), [-1.0, -0.8, -0.7])


def test_one_long_interval_does_not_rule_the_picture(scores):
    scores["unit_low"][1, 0] = -50.0
    scores["unit_score"][1, 1] = np.nan
    ax = plot.unit_scores(scores, "place", "flat")
    assert ax.get_xlim()[0] > -1.0
    assert ax.get_title(loc="left") == "1 of 1 units above the line"


def test_units_are_set_against_each_other(scores):
    ax = plot.unit_scores(scores, "place x way", "place")
    assert ax.get_title(loc="left") == "1 of 2 units above the line"
    assert ax.get_ylabel() == "place x way (bits/spike)"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: plot.comparison(s, metric="r2"), "no metric 'r2'"),
        (lambda s: plot.comparison(s, reference="gp"), "no model 'gp'"),
        (lambda s: plot.unit_scores(s, "gp", "flat"), "no model 'gp'"),
        (lambda s: plot.unit_scores(s.drop_vars("unit_score"), "flat", "place"), "no scores of units"),
    ],
)
def test_bad_comparisons_are_named(scores, call, message):
    with pytest.raises(NeurokitError, match=message):
        call(scores)
