"""The picture of the figure of spiking models, drawn from the rows of a run and the delays of its networks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurokit_snn import plot
from paper_figures._panels import letters, points, silent
from paper_figures._spiking_models_experiments import planted
from paper_figures.harness import Run
from simulations.delayed_network import DelayConfig

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREEN, *_ = plot.PALETTE
DARK = "0.35"
TARGET: dict[str, Any] = {"color": "black", "linewidth": 0.9, "linestyle": ":"}
PARTS = ("value", "low", "high")
MEASURES = {
    "bits_per_spike": ("linear-track: mean rates", "bits/spike"),
    "log_likelihood": ("linear-track: distributions", "nats/s per unit"),
}
"""What is recorded of the recording, its title and its unit."""
MS = 1e3


def draw(run: Run, path: Path) -> None:
    """Draw everything the run has measured; panels of claims that were not asked for say so."""
    from matplotlib import pyplot

    with plot.style():
        figure, axes = pyplot.subplots(1, 5, figsize=(15.0, 3.3), width_ratios=[1.0, 1.0, 1.0, 1.0, 0.5])
        for ax, quantity in zip(axes, MEASURES, strict=False):
            _models(run, ax, quantity)
        _delays(run, axes[2])
        _sets(run, axes[3])
        _coverage(run, axes[4])
        letters(axes)
        figure.savefig(path, format="png")
        pyplot.close(figure)


def _models(run: Run, ax: Axes, name: str) -> None:
    """Value and 95% interval of each model on the recording."""
    title, words = MEASURES[name]
    arms = dict.fromkeys(str(row["arm"]) for row in run.rows if row["quantity"] == f"{name}, value")
    if not arms:
        silent(ax, title)
        return
    for place, arm in enumerate(arms):
        value, low, high = (run.values(quantity=f"{name}, {part}", arm=arm)[run.seed] for part in PARTS)
        color = GREEN if arm.startswith("Spiking") else DARK
        ax.plot([low, high], [place, place], color=color, linewidth=1.6)
        ax.plot(value, place, "o", color=color, markersize=5.5)
    ax.set_yticks(range(len(arms)), labels=[arm.replace(", ", ",\n") for arm in arms], fontsize=8)
    ax.set(title=title, xlabel=f"{words}, 95% interval", ylim=(len(arms) - 0.5, -0.5))


def _seeds(run: Run) -> list[int]:
    return list(run.values(quantity="median error, bins"))


def _delays(run: Run, ax: Axes) -> None:
    """Learned over planted delays of all networks, a little apart where they fall on each other."""
    title = "learned delays"
    if not _seeds(run):
        silent(ax, title)
        return
    step, rng = DelayConfig().step, np.random.default_rng(0)
    for seed in _seeds(run):
        found = planted(run, seed)
        truth, learned = found["truth"].values, found["delay"].values
        on = np.isfinite(truth)
        spread = rng.uniform(-0.3, 0.3, (2, int(on.sum()))) * step
        size = 60.0 * np.abs(found["weight"].values[on])
        colors = np.where(found["weight"].values[on] > 0, BLUE, ORANGE)
        ax.scatter(
            (truth[on] + spread[0]) * MS,
            (learned[on] + spread[1]) * MS,
            s=size,
            c=colors,
            alpha=0.5,
            linewidths=0,
        )
    ends = np.array([0.0, DelayConfig().longest + step]) * MS
    ax.plot(ends, ends, **TARGET)
    ax.set(title=title, xlabel="planted delay (ms)", ylabel="learned delay (ms)")
    for color, words, place in ((BLUE, "excites", 0.75), (ORANGE, "inhibits", 1.0)):
        ax.text(place, 1.02, words, color=color, transform=ax.transAxes, fontsize=8, ha="right")


def _sets(run: Run, ax: Axes) -> None:
    """Posterior of the delays of one unit's connections, and what was planted."""
    title = "posterior of delays, one unit"
    if not _seeds(run):
        silent(ax, title)
        return
    found = planted(run, _seeds(run)[0])
    target = 0
    sources = np.flatnonzero(np.isfinite(found["truth"].values[target]))
    grid = found["delay_grid"].values * MS
    probability = found["probability"].transpose("target", "source", "delay_grid").values[target]
    for place, source in enumerate(sources):
        base = len(sources) - 1 - place
        ax.bar(
            grid,
            0.85 * probability[source],
            bottom=base,
            width=0.8 * (grid[1] - grid[0]),
            color=BLUE,
            linewidth=0,
        )
        ax.plot(
            found["truth"].values[target, source] * MS, base, "^", color="black", markersize=5, clip_on=False
        )
    labels = [str(found["source"].values[source]) for source in sources[::-1]]
    ax.set_yticks(range(len(sources)), labels=labels)
    ax.set(title=title, xlabel="delay (ms), planted: triangle", ylabel="source", ylim=(-0.1, len(sources)))


def _coverage(run: Run, ax: Axes) -> None:
    title = "90% sets"
    values = run.values(quantity="in sets of 90%")
    if not values:
        silent(ax, title)
        return
    points(ax, 0, list(values.values()), GREEN)
    for height in (0.80, 0.97):
        ax.axhline(height, **TARGET)
    ax.set_xticks([])
    ax.set(title=title, ylabel="planted delays inside", xlim=(-0.6, 0.6), ylim=(0.7, 1.0))
