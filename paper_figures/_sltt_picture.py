"""The picture of the SLTT figure, drawn from the rows of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurokit_snn import plot
from paper_figures._panels import letters, points, silent
from paper_figures._sltt_costs import COUNTED, HELD, LENGTHS
from paper_figures._sltt_gradients import LEAKS, RULES, STEPS
from paper_figures._sltt_recall import CHANCE
from paper_figures._sltt_recall import RULES as RECALLING
from paper_figures.harness import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREEN, PINK, *_ = plot.PALETTE
DARK = "0.35"
COLOURS = {
    "BPTT": DARK,
    "SLTT": BLUE,
    "SLTT-1": GREEN,
    "SLTT-4": PINK,
    "OTTT": ORANGE,
    "truncated": PINK,
}
KINDS = {
    "sltt": ("SLTT, to the whole BPTT", BLUE, "o"),
    "sltt_detached": ("SLTT, reset detached in BPTT", PINK, "s"),
    "ottt": ("OTTT, to the whole BPTT", ORANGE, "^"),
    "held": ("SLTT, inputs held", GREEN, "D"),
}
TARGET: dict[str, Any] = {"color": "black", "linewidth": 0.9, "linestyle": ":"}
MIB = 2.0**20


def draw(run: Run, path: Path) -> None:
    """Draw everything the run has measured; panels of claims that were not asked for say so."""
    from matplotlib import pyplot

    with plot.style():
        figure, axes = pyplot.subplots(2, 3, figsize=(12.0, 7.4), layout="constrained")
        _cosines(run, axes[0, 0], of="mnist", leaks=LEAKS, title="still digits (MNIST)")
        _others(run, axes[0, 1])
        _accuracies(run, axes[0, 2])
        _growing(run, axes[1, 0], "multiplications", tuple(COUNTED), "backward multiplications", 1.0)
        _growing(run, axes[1, 1], "bytes", HELD, "bytes that the graph holds (MiB)", MIB)
        _recall(run, axes[1, 2])
        figure.supxlabel(
            "Dots: seeds; bars: their mean and its 95% interval. Dotted: what is asked.", fontsize=8
        )
        letters(axes.ravel())
        figure.savefig(path, format="png")
        pyplot.close(figure)


def _columns(run: Run, ax: Axes, columns: list[tuple[str, str, float]]) -> None:
    """One column for each place where a cosine was measured, the kinds side by side; what is asked as a line."""
    for place, (_, of, target) in enumerate(columns):
        for number, (kind, (_, color, marker)) in enumerate(KINDS.items()):
            values = list(run.values(quantity="cosine", arm=kind, of=of).values())
            if values:
                points(ax, place + 0.2 * (number - 1), values, color, marker=marker, width=0.08)
        ax.plot([place - 0.42, place + 0.42], [target] * 2, **TARGET)
    ax.set_xticks(range(len(columns)), labels=[words for words, *_ in columns])
    ax.set(ylabel="cosine of gradients", xlim=(-0.5, len(columns) - 0.5))


def _cosines(run: Run, ax: Axes, *, of: str, leaks: tuple[float, ...], title: str) -> None:
    columns = [
        (f"{leak:.2f}\n{layer}" if layer == 1 else f"\n{layer}", f"{of}, leak {leak:.2f}, T = {STEPS[of][0]}, layer {layer}",
         0.97 if leak <= 0.5 else 0.80)
        for leak in leaks
        for layer in (1, 2)
    ]  # fmt: skip
    if not any(run.values(quantity="cosine", arm="sltt", of=where) for _, where, _ in columns):
        silent(ax, title)
        return
    _columns(run, ax, columns)
    ax.set(title=f"{title}, T = {STEPS[of][0]}", xlabel="leak of the membrane / layer")
    for words, color, marker in (words for kind, words in KINDS.items() if kind != "held"):
        ax.plot([], [], marker, color=color, label=words)
    ax.legend(loc="lower left", fontsize=7)


def _others(run: Run, ax: Axes) -> None:
    """Events and a recording."""
    title, steps = "events and a recording", STEPS["nmnist"][0]
    columns = [
        (f"{leak:.1f}\n{layer}", f"nmnist, leak {leak:.2f}, T = {steps}, layer {layer}", 0.97 if leak <= 0.5 else 0.80)
        for leak in LEAKS
        for layer in (1, 2)
    ] + [(f"0.9\n{layer}", f"encoder, layer {layer}", 0.80) for layer in (1, 2)]  # fmt: skip
    if not any(run.values(quantity="cosine", arm="sltt", of=where) for _, where, _ in columns):
        silent(ax, title)
        return
    _columns(run, ax, columns)
    words, color, marker = KINDS["held"]
    held = ax.plot([], [], marker, color=color, label=words)
    ax.legend(handles=held, loc="lower left", fontsize=7)
    ax.axvline(5.5, color="0.8", linewidth=0.8)
    for place, height, name in ((0.9, 0.35, "N-MNIST"), (6.5, 0.05, "encoder of\nlinear-track")):
        ax.text(place, height, name, transform=ax.get_xaxis_transform(), ha="center", fontsize=8)
    ax.set(title=title, xlabel="leak of the membrane / layer")


def _accuracies(run: Run, ax: Axes) -> None:
    title = "accuracy on MNIST"
    places = [f"mnist, leak {leak:.2f}" for leak in LEAKS]
    if not any(run.values(quantity="accuracy", arm="BPTT", of=of) for of in places):
        silent(ax, title)
        return
    for place, of in enumerate(places):
        for number, rule in enumerate(RULES):
            values = [100.0 * v for v in run.values(quantity="accuracy", arm=rule, of=of).values()]
            if values:
                points(ax, place + 0.24 * (number - 1), values, COLOURS[rule], width=0.1)
    for rule in RULES:
        ax.plot([], [], "o", color=COLOURS[rule], label=rule)
    ax.set_xticks(range(len(LEAKS)), labels=[f"{leak:.2f}" for leak in LEAKS])
    ax.set(title=title, xlabel="leak of the membrane", ylabel="10,000 test images (%)")
    ax.legend(loc="lower right", fontsize=7)


def _growing(run: Run, ax: Axes, quantity: str, rules: tuple[str, ...], words: str, unit: float) -> None:
    """A cost over the number of time steps."""
    title = "cost of a training step" if quantity == "multiplications" else "memory of a training step"
    drawn = False
    for rule in rules:
        found = {
            steps: value / unit
            for steps in LENGTHS
            for value in run.values(quantity=quantity, arm=rule, of=f"T = {steps}").values()
        }
        if found:
            drawn = True
            width = 4.0 if rule == "BPTT" else 1.5  # SLTT multiplies as often
            ax.plot(
                list(found),
                list(found.values()),
                "o-",
                color=COLOURS[rule],
                label=rule,
                markersize=4,
                linewidth=width,
            )
    if not drawn:
        silent(ax, title)
        return
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xticks(LENGTHS, labels=[str(n) for n in LENGTHS])
    ax.set(title=title, xlabel="time steps T", ylabel=words)
    ax.legend(fontsize=7)


def _recall(run: Run, ax: Axes) -> None:
    title = "a digit recalled after nine steps"
    found = {
        rule: list(run.values(quantity="accuracy", arm=rule, of="recall").values()) for rule in RECALLING
    }
    found = {rule: values for rule, values in found.items() if values}
    if not found:
        silent(ax, title)
        return
    for place, (rule, values) in enumerate(found.items()):
        points(ax, place, [100.0 * v for v in values], COLOURS[rule])
    ax.axhline(100.0 * CHANCE, label="chance", **TARGET)
    ax.set_xticks(
        range(len(found)), labels=["BPTT by\nwindows of 5" if r == "truncated" else r for r in found]
    )
    ax.set(title=title, ylabel="10,000 test images (%)", ylim=(0, 100), xlim=(-0.5, len(found) - 0.5))
    ax.legend(fontsize=7)
