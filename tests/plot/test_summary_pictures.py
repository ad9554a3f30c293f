"""Length scales, loading norms and shares of variance are drawn as the summary has them."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from matplotlib import colors, pyplot

from neurokit_snn import plot
from neurokit_snn.errors import NeurokitError


def _ticks(axis):
    return [tick.get_text() for tick in axis.get_ticklabels()]


def test_length_scales_stand_beside_the_true_ones(summary):
    truth = summary["length_scale"] * 2.0
    ax = plot.length_scales(summary, truth=truth)
    np.testing.assert_allclose(
        ax.collections[0].get_offsets(), np.column_stack([summary["length_scale"], np.arange(5)])
    )
    np.testing.assert_allclose(ax.get_lines()[0].get_xdata(), truth)
    assert _ticks(ax.yaxis) == summary["latent"].values.tolist()
    assert ax.get_ylim() == (4.5, -0.5)
    assert ax.get_xlim()[0] == 0.0
    assert ax.get_xlabel() == "length scale (s)"


def test_one_true_length_scale_may_serve_all(summary):
    _, ax = pyplot.subplots()
    assert plot.length_scales(summary, truth=0.5, ax=ax) is ax
    np.testing.assert_allclose(ax.get_lines()[0].get_xdata(), [0.5] * 5)
    assert not plot.length_scales(summary).get_lines()


def test_pruned_latents_are_open_bars(summary):
    neural, image = plot.loading_norms(summary)
    assert _ticks(neural.yaxis) == ["neural 0", "neural 1", "shared 0", "shared 1"]
    assert _ticks(image.yaxis) == ["shared 0", "shared 1", "behavior 0"]
    np.testing.assert_allclose([bar.get_width() for bar in neural.patches], [0.9, 0.04, 0.5, 0.01])
    filled = [bar.get_facecolor() != colors.to_rgba("white") for bar in neural.patches]
    assert filled == [True, False, True, False]
    np.testing.assert_allclose(neural.get_lines()[0].get_xdata(), 0.09)
    assert neural.get_xlabel() == "effect of one sd of the latent (log rate)"
    assert image.get_xlabel() == "effect of one sd of the latent (sd)"
    assert image.get_title(loc="left") == "stimulus image"


def test_a_norm_that_is_nan_is_no_connection(summary):
    norm = summary["loading_norm"].where(summary["latent"] != "shared 1")
    axes = plot.loading_norms(summary.assign(loading_norm=norm))
    assert _ticks(axes[0].yaxis) == ["neural 0", "neural 1", "shared 0"]


def test_a_latent_that_is_not_pruned_in_one_modality_may_be_in_another(summary):
    summary["loading_norm"][1, 3] = 0.6
    neural, image = plot.loading_norms(summary)
    assert neural.patches[3].get_facecolor() == colors.to_rgba("white")
    assert image.patches[1].get_facecolor() != colors.to_rgba("white")


def test_shares_are_stacked(summary):
    ax = plot.shared_variance(summary)
    left = np.array([bar.get_x() for bar in ax.patches]).reshape(3, 2)
    width = np.array([bar.get_width() for bar in ax.patches]).reshape(3, 2)
    np.testing.assert_allclose(width, [[0.62, 0.0], [0.38, 0.97], [0.0, 0.03]])
    np.testing.assert_allclose(left, [[0.0, 0.0], [0.62, 0.0], [1.0, 0.97]])
    assert [text.get_text() for text in ax.texts] == ["62%", "38%", "97%"]
    names = [text.get_text() for text in ax.figure.legends[0].get_texts()]
    assert names == ["neural only", "shared", "behavior only"]
    assert _ticks(ax.yaxis) == ["counts", "stimulus image"]


def test_shares_beyond_one_stay_in_the_picture(summary):
    wide = plot.shared_variance(summary.assign(variance=2.0 * summary["variance"]))
    assert wide.get_xlim() == (0.0, 2.0)


@pytest.mark.parametrize(
    ("draw", "change", "message"),
    [
        (
            plot.length_scales,
            lambda s: s.drop_vars("length_scale"),
            "the summary has no 'length_scale'; it has",
        ),
        (
            plot.length_scales,
            lambda s: s.assign(length_scale=s["loading_norm"]),
            r"has dims \('modality', 'latent'\)",
        ),
        (plot.loading_norms, lambda s: s.drop_vars("loading_norm"), "the summary has no 'loading_norm'"),
        (
            plot.shared_variance,
            lambda s: s.drop_vars("variance"),
            r"the summary needs variance \(modality, part\)",
        ),
        (plot.shared_variance, lambda s: s.drop_vars("part"), "variance has no labels along 'part'"),
        (plot.shared_variance, lambda s: s.assign(variance=-s["variance"]), "the negative share -0.97"),
    ],
)
def test_bad_summaries_are_named(summary, draw, change, message):
    with pytest.raises(NeurokitError, match=message):
        draw(change(summary))


def test_true_length_scales_of_other_latents_are_refused(summary):
    truth = xr.DataArray([1.0], dims="latent", coords={"latent": ["pace"]})
    with pytest.raises(NeurokitError, match=r"truth has the latents \['pace'\]"):
        plot.length_scales(summary, truth=truth)
