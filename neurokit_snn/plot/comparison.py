"""Scores of models with their intervals, and their paired differences to a reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from neurokit_snn.errors import NeurokitError
from neurokit_snn.plot._style import GREY, PALETTE, axes_array, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["comparison", "unit_scores"]


@styled
def comparison(
    scores: xr.Dataset,
    *,
    metric: str | None = None,
    reference: str | None = None,
    ax: Axes | Sequence[Axes] | None = None,
) -> np.ndarray:
    """Draw the held-out score of each model with its interval, and its paired difference to a reference.

    Parameters
    ----------
    scores
        What `neurokit_snn.compare` gave: value, low, high (model, metric) and diff, diff_low, diff_high
        (model, other, metric).
    metric
        Which metric; the first one by default.
    reference
        The model that the others are compared with; the first one by default.
    ax
        Two Axes (scores, differences), one (scores alone), or None for a new figure.

    Returns
    -------
    axes : ndarray of Axes, (2,) or (1,)

    Raises
    ------
    NeurokitError
        When the metric or reference is unknown.
    """
    metric = str(scores["metric"].values[0]) if metric is None else metric
    models = [str(name) for name in scores["model"].values]
    reference = models[0] if reference is None else reference
    if metric not in scores["metric"].values:
        raise NeurokitError(f"no metric {metric!r}; there are {', '.join(map(str, scores['metric'].values))}")
    if reference not in models:
        raise NeurokitError(f"no model {reference!r} to refer to; there are {', '.join(models)}")
    alone = ax is not None and np.size(np.asarray(ax, dtype=object)) == 1
    axes = axes_array(
        ax,
        1 if alone else 2,
        what="a comparison",
        size=(7.2, 1.0 + 0.34 * len(models)),
        nrows=1,
        ncols=2,
        sharey=True,
    )
    one = scores.sel(metric=metric)
    _draw_intervals(axes[0], one, ("value", "low", "high"))
    axes[0].set(
        yticks=range(len(models)),
        yticklabels=models,
        xlabel=metric_label(scores, metric),
        title="held-out score",
    )
    axes[0].set_ylim(len(models) - 0.5, -0.5)
    if not alone:
        _draw_intervals(axes[1], one.sel(other=reference), ("diff", "diff_low", "diff_high"))
        axes[1].plot(
            0.0, models.index(reference), "o", color=PALETTE[0], markerfacecolor="white", markersize=5
        )
        axes[1].axvline(0.0, color=GREY, linewidth=0.8, zorder=0)
        axes[1].set(xlabel=f"difference, {metric_label(scores, metric)}", title=f"minus {reference}, paired")
    return axes


@styled
def unit_scores(scores: xr.Dataset, model: str, other: str, *, ax: Axes | None = None) -> Axes:
    """Draw each unit's held-out score under one model against another's, with intervals.

    Parameters
    ----------
    scores
        What `neurokit_snn.compare` gave, with unit_score, unit_low and unit_high (model, unit).
    model, other
        The models on the vertical and the horizontal axis.
    ax
        Axes to draw in, or None for a new figure.

    Returns
    -------
    ax : Axes

    Raises
    ------
    NeurokitError
        When a model or the scores of units are missing.
    """
    if "unit_score" not in scores:
        raise NeurokitError(
            "this comparison holds no scores of units (they come with tasks that score counts)"
        )
    for name in (model, other):
        if name not in scores["model"].values:
            raise NeurokitError(f"no model {name!r}; there are {', '.join(map(str, scores['model'].values))}")
    (one,) = axes_array(ax, 1, what="scores of units", size=(3.6, 3.4))
    y, x = (
        [scores[name].sel(model=who).values for name in ("unit_score", "unit_low", "unit_high")]
        for who in (model, other)
    )
    one.errorbar(
        x[0],
        y[0],
        xerr=_arms(*x),
        yerr=_arms(*y),
        fmt="o",
        markersize=3.5,
        color=PALETTE[0],
        ecolor="#9DC3DE",
        elinewidth=0.8,
    )
    known = np.isfinite(x[0]) & np.isfinite(y[0])
    if known.any():
        limits = _limits([x[0][known], y[0][known]], [x[1][known], y[1][known], x[2][known], y[2][known]])
        one.set(xlim=limits, ylim=limits)
    one.axline((0.0, 0.0), slope=1.0, color=GREY, linewidth=0.8, zorder=0)
    better = int(np.sum(y[0][known] > x[0][known]))
    one.set(
        xlabel=f"{other} (bits/spike)",
        ylabel=f"{model} (bits/spike)",
        title=f"{better} of {int(known.sum())} units above the line",
    )
    return one


def metric_label(scores: xr.Dataset, metric: str) -> str:
    """Word a metric for an axis; the comparison carries it as the coordinate ``unit_label``."""
    if "unit_label" in scores.coords:
        return str(scores["unit_label"].sel(metric=metric).item())
    return metric.replace("_", " ")


def _limits(points: list[np.ndarray], ends: list[np.ndarray]) -> tuple[float, float]:
    """Show every point; an interval much longer than the points are apart leaves the panel rather than rule it."""
    low, high = float(np.min(points)), float(np.max(points))
    room = 0.5 * (high - low) or 0.5
    left, right = float(np.nanmin(ends)) - 0.1 * room, float(np.nanmax(ends)) + 0.1 * room
    return max(low - room, left), min(high + room, right)


def _arms(value: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Lengths of the error bars, (2, n); a bootstrap interval need not hold the value itself."""
    return np.maximum([value - low, high - value], 0.0)


def _draw_intervals(ax: Axes, scores: xr.Dataset, names: tuple[str, str, str]) -> None:
    """One row a model: the value as a point, its interval as a line."""
    value, low, high = (scores[name].values for name in names)
    rows = np.arange(len(value))
    ax.hlines(rows, low, high, color=PALETTE[0], linewidth=2.0)
    ax.plot(value, rows, "o", color=PALETTE[0], markersize=5)
    ax.margins(x=0.08)
