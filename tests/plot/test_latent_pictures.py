"""Latents are drawn where they belong, and what does not belong together is refused."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm

from neurokit_snn import plot
from neurokit_snn.errors import NeurokitError


def _band(ax):
    return ax.collections[0].get_paths()[0].get_extents()


def test_a_row_for_each_latent_and_a_column_for_each_trial(latents):
    axes = plot.latents(latents, truth=latents + 1.0, trials=[7, 3])
    assert axes.shape == (3, 2)
    estimated, true = axes[1, 0].get_lines()
    np.testing.assert_allclose(estimated.get_xdata(), latents["time"])
    np.testing.assert_allclose(estimated.get_ydata(), latents.sel(trial=7, latent="shared 0"))
    np.testing.assert_allclose(true.get_ydata() - estimated.get_ydata(), 1.0)
    assert [one.get_title(loc="left") for one in axes[0]] == ["trial 7", "trial 3"]
    assert [one.get_ylabel() for one in axes[:, 0]] == ["pace, neural", "shared 0", "behavior 0"]
    assert axes[2, 1].get_xlabel() == "time in trial (s)"
    assert len({one.get_lines()[0].get_color() for one in axes[:, 0]}) == 3


def test_the_first_trial_is_drawn_by_default(latents):
    (axes,) = plot.latents(latents).T
    assert axes[0].get_title(loc="left") == "trial 3"
    assert not axes[0].collections, "without a spread there is no band"


def test_a_behaviour_over_a_latent_gives_its_units(latents):
    behavior = latents.assign_attrs(units="cm")
    assert plot.latents(latents, truth=behavior)[1, 0].get_ylabel() == "shared 0 (cm)"


def test_the_band_is_that_of_the_sd(latents):
    axes = plot.latents(0.0 * latents, sd=xr.full_like(latents, 2.0), level=0.5)
    np.testing.assert_allclose(
        [_band(axes[0, 0]).y0, _band(axes[0, 0]).y1], [-2.0 * norm.ppf(0.75), 2.0 * norm.ppf(0.75)]
    )


def test_draws_give_the_line_and_the_band(latents):
    draws = (0.0 * latents + xr.DataArray(np.linspace(-1.0, 3.0, 5), dims="draw")).transpose("draw", ...)
    axes = plot.latents(draws, level=0.5)
    np.testing.assert_allclose(axes[0, 0].get_lines()[0].get_ydata(), 1.0)
    np.testing.assert_allclose([_band(axes[0, 0]).y0, _band(axes[0, 0]).y1], [0.0, 2.0])


def test_lines_and_bands_break_where_masked(latents):
    mask = xr.DataArray(np.ones((3, 6), bool), dims=("trial", "time"), coords={"trial": latents["trial"]})
    mask[1, 4:] = False
    axes = plot.latents(latents, sd=abs(latents), truth=latents, mask=mask, trials=[5])
    for line in axes[0, 0].get_lines():
        np.testing.assert_array_equal(np.isnan(line.get_ydata()), [False] * 4 + [True] * 2)
    assert _band(axes[0, 0]).x1 == latents["time"].values[3]


def test_times_that_differ_by_rounding_are_the_same(latents):
    other = latents.assign_coords(time=latents["time"] + 1e-12)
    estimated, true = plot.latents(latents, sd=other, truth=other)[0, 0].get_lines()
    np.testing.assert_array_equal(estimated.get_ydata(), true.get_ydata())


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda z: z, {"level": 95}, "level=95 is not between 0 and 1"),
        (lambda z: z, {"trials": [4]}, "no trial 4 in these data; there are 3 to 7"),
        (lambda z: z, {"trials": []}, "no trial to draw"),
        (lambda z: z.drop_vars("time"), {}, "latents has no coordinate time"),
        (lambda z: z.isel(latent=0), {}, "latents has dims .* which lack 'latent'"),
        (lambda z: z, {"truth": lambda z: z.assign_coords(latent=list("abc"))}, "truth holds .* align them"),
        (lambda z: z, {"sd": lambda z: z[..., ::-1]}, "sd holds"),
        (lambda z: z, {"truth": lambda z: z[:, 1:]}, "truth has 5 times, latents 6"),
        (lambda z: z, {"truth": lambda z: z[1:]}, "no trial 3 in truth"),
        (lambda z: z.isel(latent=[0] * 65), {}, "65 latents of 1 trials make 65 panels"),
    ],
)
def test_bad_latents_are_named(latents, change, options, message):
    options = {name: value(latents) if callable(value) else value for name, value in options.items()}
    with pytest.raises(NeurokitError, match=message):
        plot.latents(change(latents), **options)
