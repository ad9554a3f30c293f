"""The picture of the figure of delays, drawn from the rows of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurokit_snn import plot
from paper_figures import _delays_spoken, _delays_timing
from paper_figures._panels import letters, points, silent
from paper_figures.harness import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREEN, PINK, *_ = plot.PALETTE
DARK = "0.35"
LINE: dict[str, Any] = {"color": "black", "linewidth": 0.9, "linestyle": ":"}
NARROW = {
    "no delays": "none",
    "fixed random": "fixed\nrandom",
    "learned, constant width": "learned,\nnarrow",
    "learned, annealed": "learned,\nannealed",
}
"""Names of the arms of the timing task, as its panels have room for."""


def draw(run: Run, path: Path) -> None:
    """Draw everything the run has measured; panels of claims that were not asked for say so."""
    from matplotlib import pyplot

    with plot.style():
        figure, axes = pyplot.subplots(
            1, 4, figsize=(14.0, 3.9), width_ratios=[1.0, 1.1, 1.2, 1.0], layout="constrained"
        )
        _raster(axes[0])
        _timing(run, axes[1])
        _spoken(run, axes[2])
        _rounding(run, axes[3])
        letters(axes)
        figure.savefig(path, format="png")
        pyplot.close(figure)


def _raster(ax: Axes) -> None:
    """Two trials of two classes."""
    orders = _delays_timing.orders_of(0)
    spikes, label = _delays_timing.trials_of(orders, 40, np.random.default_rng(1))
    first = int(np.flatnonzero(label.numpy() != int(label[0]))[0])
    for trial, color, shift in ((0, BLUE, 0.18), (first, ORANGE, -0.18)):
        step, channel = np.nonzero(spikes[:, trial].numpy())
        ax.plot(step, channel + shift, "|", color=color, markersize=6, markeredgewidth=1.4)
        ax.plot(
            [], [], "|", color=color, markersize=6, markeredgewidth=1.4, label=f"class {int(label[trial])}"
        )
    ax.set(
        title="only timing tells",
        xlabel="time step",
        ylabel="channel",
        xlim=(-1, _delays_timing.STEPS),
        ylim=(-0.6, 8.9),
    )
    ax.legend(fontsize=7, ncols=2, loc="upper left")


def _timing(run: Run, ax: Axes) -> None:
    """Accuracy of all arms, with weights that are learned and with none."""
    title = "ten orders of eight channels"
    if not run.values(quantity="rounded", arm="no delays", of="learned"):
        silent(ax, title)
        return
    for place, arm in enumerate(NARROW):
        for weights, color, shift in (("learned", BLUE, -0.17), ("frozen at 1", ORANGE, 0.17)):
            values = run.values(quantity="rounded", arm=arm, of=weights)
            if values:
                points(ax, place + shift, [100 * v for v in values.values()], color, width=0.13)
    ax.axhline(10.0, **LINE)
    for weights, color in (("weights learned", BLUE), ("weights 1", ORANGE), ("chance", None)):
        ax.plot([], [], **(LINE if color is None else {"color": color, "linewidth": 2.0}), label=weights)
    ax.set_xticks(range(len(NARROW)), labels=list(NARROW.values()), fontsize=8)
    ax.set(title=title, xlabel="delays", ylabel="1,000 test trials (%)", ylim=(0, 103))
    ax.legend(fontsize=7, loc="center left")


def _spoken(run: Run, ax: Axes) -> None:
    """Accuracy on each speaker who is held out, by arm."""
    title = "spoken digits, speakers unheard"
    arms = [
        arm
        for arm in _delays_spoken.ARMS
        if any((row["arm"], row["quantity"]) == (arm, "accuracy") for row in run.rows)
    ]
    if not arms:
        silent(ax, title)
        return
    found = {arm: _by_speaker(run, arm, "accuracy") for arm in arms}
    for speaker in next(iter(found.values())):
        line = [
            (100 * values[speaker], place) for place, values in enumerate(found.values()) if speaker in values
        ]
        ax.plot(*zip(*line, strict=True), color="0.85", linewidth=0.8, zorder=0)
    for place, (arm, values) in enumerate(found.items()):
        color = GREEN if arm == _delays_spoken.LEARNED else DARK
        ax.plot(
            [100 * v for v in values.values()],
            [place] * len(values),
            "o",
            color=color,
            alpha=0.45,
            markersize=4,
        )
        mean = 100 * float(np.mean(list(values.values())))
        ax.plot([mean] * 2, [place - 0.25, place + 0.25], color=color, linewidth=2.4)
        ax.text(101.5, place, f"{mean:.1f}", va="center", fontsize=8, color=color)
    ax.set_yticks(range(len(arms)), labels=[arm.replace(", ", ",\n") for arm in arms], fontsize=8)
    ax.axvline(10.0, **LINE)
    ax.set(
        title=title, xlabel="clips of the held-out speaker (%)", xlim=(0, 100), ylim=(len(arms) - 0.5, -0.5)
    )


def _by_speaker(run: Run, arm: str, quantity: str) -> dict[str, float]:
    """Means over seeds."""
    speakers = dict.fromkeys(
        row["of"] for row in run.rows if row["arm"] == arm and row["quantity"] == quantity
    )
    return {s: float(np.mean(list(run.values(quantity=quantity, arm=arm, of=s).values()))) for s in speakers}


def _rounding(run: Run, ax: Axes) -> None:
    """Before and after the delays are rounded, and after the weights are fitted to that."""
    title = "rounding learned delays"
    stages = {"soft": "bumps", "rounded": "rounded", "accuracy": "rounded,\nfinished"}
    found = [_by_speaker(run, _delays_spoken.LEARNED, quantity) for quantity in stages]
    if not all(found):
        silent(ax, title)
        return
    for number, speaker in enumerate(found[0]):
        values = [100 * stage[speaker] for stage in found]
        ax.plot(
            range(len(stages)),
            values,
            "o-",
            color=plot.PALETTE[number % len(plot.PALETTE)],
            markersize=4,
            label=speaker,
        )
    ax.set_xticks(range(len(stages)), labels=list(stages.values()), fontsize=8)
    ax.set(title=title, ylabel="clips of the held-out speaker (%)", ylim=(None, 100), xlim=(-0.3, 2.3))
    ax.legend(fontsize=7, ncols=2, loc="upper right", title="held out", title_fontsize=7)
