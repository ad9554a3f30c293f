"""Frames stand above their reconstruction, each at its time and in the greys of the truth."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot

from neurokit_snn import plot
from neurokit_snn.errors import NeurokitError


def test_a_strip_shows_the_frames_of_its_times(frames):
    ax = plot.reconstruction(frames, -frames, trial="b", times=3)
    (image,) = ax.get_images()
    strip = np.ma.filled(image.get_array(), np.nan)
    assert strip.shape == (3 + 1 + 3, 3 * 4 + 2)
    for column, time in enumerate([0, 2, 4]):
        left = 5 * column
        np.testing.assert_allclose(strip[:3, left : left + 4], frames.sel(trial="b").isel(time=time))
        np.testing.assert_allclose(strip[4:, left : left + 4], -frames.sel(trial="b").isel(time=time))
    assert np.isnan(strip[3]).all()
    assert np.isnan(strip[:, 4]).all()
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0.25", "1.25", "2.25"]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["true", "predicted"]
    assert ax.get_title(loc="left") == "trial b"


def test_both_rows_have_the_greys_of_the_truth(frames):
    ax = plot.reconstruction(frames, 0.5 * frames, trial="a")
    assert ax.get_images()[0].get_clim() == (float(frames[0].min()), float(frames[0].max()))
    assert ax.figure.axes[-1].get_ylabel() == "stimulus image (grey level)"
    flat = plot.reconstruction(0.0 * frames, frames)
    assert flat.get_images()[0].get_clim() == (0.0, 1.0)


def test_masked_and_missing_frames_are_passed_over(frames):
    mask = xr.DataArray(np.ones((2, 5), bool), dims=("trial", "time"))
    mask[0, 4] = False
    gaps = frames.where(frames["time"] != frames["time"][0])
    ax = plot.reconstruction(gaps, frames, times=8, mask=mask)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0.75", "1.25", "1.75"]


def test_of_draws_the_mean_is_drawn_in_the_axes_given(frames):
    _, ax = pyplot.subplots()
    draws = (frames + xr.DataArray([-1.0, 3.0], dims="draw")).transpose("draw", ...)
    assert plot.reconstruction(frames, draws, times=1, ax=ax) is ax
    strip = np.ma.filled(ax.get_images()[0].get_array(), np.nan)
    np.testing.assert_allclose(strip[4:] - strip[:3], 1.0)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda f: f.expand_dims(channel=3), {}, "frames have dims .* select one channel"),
        (lambda f: f.drop_vars("time"), {}, "frames have no coordinate time"),
        (lambda f: f[:, 1:], {}, "frames have 4 along time, predicted 5"),
        (lambda f: f, {"times": 0}, "times=0 shows no frame"),
        (lambda f: f, {"trial": "c"}, "no trial 'c' in these data; there are 'a' to 'b'"),
        (lambda f: f * np.nan, {}, "no bin of this trial has a valid frame"),
    ],
)
def test_bad_frames_are_named(frames, change, options, message):
    with pytest.raises(NeurokitError, match=message):
        plot.reconstruction(change(frames), frames, **options)
