"""What the pictures of figures share: dots of data sets with their mean, thin lines between pairs, letters, empty panels."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from paper_figures.harness import mean_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def points(
    ax: Axes,
    place: float,
    values: Sequence[float] | np.ndarray,
    color: str,
    *,
    marker: str = "o",
    width: float = 0.22,
) -> None:
    """One dot a data set, and the mean with its 95% interval, so wide to either side."""
    found = np.asarray(values, dtype=float)
    ax.plot(
        np.full(found.size, place), found, marker, color=color, alpha=0.35, markersize=3.5, markeredgewidth=0
    )
    low, high = mean_interval(found)
    ax.plot([place - width, place + width], [found.mean()] * 2, color=color, linewidth=2.2)
    if np.isfinite(low):
        ax.plot([place, place], [low, high], color=color, linewidth=1.6)


def joined(ax: Axes, found: Sequence[dict[int, float]], *, first: float = 0.0) -> None:
    """Lines between the values of one data set, at places one apart."""
    for seed in found[0]:
        line = [(first + place, values[seed]) for place, values in enumerate(found) if seed in values]
        ax.plot(*zip(*line, strict=True), color="0.8", linewidth=0.7, zorder=0)


def silent(ax: Axes, title: str) -> None:
    """A panel of claims that were not asked for."""
    ax.set_title(title)
    ax.text(0.5, 0.5, "not run", ha="center", va="center", transform=ax.transAxes, color="0.6")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def letters(axes: Sequence[Axes]) -> None:
    """Letter the panels."""
    for letter, one in zip(string.ascii_lowercase, axes, strict=False):
        one.annotate(
            letter,
            (0, 1),
            xycoords="axes fraction",
            xytext=(-36, 7),
            textcoords="offset points",
            fontweight="bold",
            fontsize=12,
        )
