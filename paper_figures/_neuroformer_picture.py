"""The picture of the Neuroformer figure, drawn from the rows of a run and the estimates of one network as an example."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from neurokit_snn import plot
from paper_figures._neuroformer_hub import reference
from paper_figures._panels import joined, letters, points, silent
from paper_figures.harness import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREEN, PINK, *_ = plot.PALETTE
DARK = "0.35"
NATS = "nats a bin"
METHODS = ("attention", "gradient", "perturbation", "lagged_correlation", "glm")
WORDS = {"lagged_correlation": "lagged correlation", "glm": "GLM"}
NETWORKS = {"hub network": (BLUE, "o"), "with inhibition": (ORANGE, "s"), "half observed": (PINK, "^")}
MODES = {"free-running": (GREEN, "o"), "teacher-forced": (DARK, "s")}
TURNED: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"}
TARGET: dict[str, Any] = {"color": "black", "linewidth": 0.9, "linestyle": ":"}
PARTS = ("value", "low", "high")
REAL = (
    ("forecast bits_per_spike", "rates", "bits/spike"),
    ("forecast log_likelihood", "windows", "nats/s per unit"),
    ("decode median_error", "position", "median error (px)"),
)
"""What is recorded of `linear-track` (rates one bin ahead, whole windows given all before them), its title and its unit."""
MAPS = 6
HEIGHTS = [1.0, 0.95, 1.05, 1.0]


def draw(run: Run, path: Path) -> None:
    """Draw everything the run has measured; panels of claims that were not asked for say so."""
    from matplotlib import pyplot

    with plot.style():
        figure = pyplot.figure(figsize=(12.0, 12.6))
        rows = figure.subfigures(4, 1, height_ratios=HEIGHTS)
        above = rows[0].subplots(1, 3, width_ratios=[1.1, 1.0, 1.0])
        maps = rows[1].subplots(1, MAPS)
        middle = rows[2].subplots(1, 4, width_ratios=[1.7, 1.0, 0.8, 0.45])
        below = rows[3].subplots(1, 4, width_ratios=[1.2, 1.0, 1.0, 1.0])
        _likelihood(run, above[0])
        _scores(
            run,
            above[1],
            score="auc",
            title="true connections found",
            ylabel="AUC off the diagonal",
            target=0.9,
        )
        words = "AUC, sources standardised"
        _scores(run, above[2], score="column_auc", title="apart from who is a hub", ylabel=words, target=0.65)
        _maps(run, maps)
        _generation(run, middle[0])
        _ablation(run, middle[1])
        _modality(run, middle[2])
        _retrieval(run, middle[3])
        _labels(run, below[0])
        for one, quantity, title, words in zip(below[1:], *zip(*REAL, strict=True), strict=True):
            _real(run, one, quantity=quantity, title=title, words=words)
        rows[3].supxlabel(
            "Dots: networks or seeds; bars: their mean and its 95% interval. Dotted: what is asked.",
            fontsize=8,
        )
        letters([*above, maps[0], *middle, *below])
        figure.savefig(path, format="png")
        pyplot.close(figure)


def _likelihood(run: Run, ax: Axes) -> None:
    """Nats that each model saves of those of constant rates, networks of one seed joined."""
    title, arms = "held-out likelihood", {"glm": BLUE, "neuroformer": GREEN, "oracle": DARK}
    ticks: list[str] = []
    groups: list[tuple[float, str]] = []
    for of in ("hub network", "gated network"):
        constant = run.values(quantity=NATS, arm="homogeneous", of=of)
        if not constant:
            continue
        saved = []
        for name in arms:
            nats = run.values(quantity=NATS, arm=name, of=of)
            saved.append({seed: constant[seed] - value for seed, value in nats.items()})
        joined(ax, saved, first=len(ticks))
        groups.append((len(ticks) + (len(arms) - 1) / 2, of))
        for values, (name, color) in zip(saved, arms.items(), strict=True):
            points(ax, len(ticks), list(values.values()), color)
            ticks.append({"glm": "GLM", "neuroformer": "Neuroformer", "oracle": "truth"}[name])
    if not ticks:
        silent(ax, title)
        return
    for middle, of in groups:
        ax.annotate(of, (middle, 1.0), xycoords=("data", "axes fraction"), ha="center", va="top", fontsize=8)
    ax.axhline(0.0, **TARGET)
    ax.margins(y=0.14)
    ax.set_xticks(range(len(ticks)), labels=ticks, **TURNED)
    ax.set(title=title, ylabel="saved over constant rates\n(nats a bin)", xlim=(-0.6, len(ticks) - 0.4))


def _scores(run: Run, ax: Axes, *, score: str, title: str, ylabel: str, target: float) -> None:
    """A score of each method in each kind of network."""
    kinds = [of for of in NETWORKS if run.values(quantity=score, arm="attention", of=of)]
    if not kinds:
        silent(ax, title)
        return
    for number, of in enumerate(kinds):
        color, marker = NETWORKS[of]
        for place, method in enumerate(METHODS):
            values = run.values(quantity=score, arm=method, of=of)
            at = place + 0.26 * (number - (len(kinds) - 1) / 2)
            points(ax, at, list(values.values()), color, marker=marker, width=0.11)
        ax.plot([], [], marker, color=color, label=of)
    ax.axhline(target, label="asked of attention in hub networks", **TARGET)
    ax.set_xticks(range(len(METHODS)), labels=[WORDS.get(method, method) for method in METHODS], **TURNED)
    ax.set(title=title, ylabel=ylabel, xlim=(-0.5, len(METHODS) - 0.5))
    _legend_above(ax, columns=2)
    ax.set_yticks([tick for tick in ax.get_yticks() if ax.get_ylim()[0] <= tick <= 1.0])


def _legend_above(ax: Axes, *, columns: int) -> None:
    """A legend between the title and the data, which it never covers."""
    number = len(ax.get_legend_handles_labels()[0])
    low, high = ax.get_ylim()
    rows = -(-number // columns)
    ax.set_ylim(low, high + (0.04 + 0.105 * rows) * (high - low))
    ax.legend(
        loc="upper center", ncols=columns, fontsize=7, columnspacing=1.0, handletextpad=0.4, borderaxespad=0.0
    )


def _maps(run: Run, axes: np.ndarray) -> None:
    """Estimates of the first hub network beside its truth."""
    seeds = run.values(quantity="auc", arm="attention", of="hub network")
    if not seeds:
        for one in axes:
            silent(one, "")
        axes[0].set_title("estimated connections")
        return
    found = reference(run, min(seeds))
    estimates = xr.Dataset({method: found[f"estimate_{method}"] for method in METHODS})
    units = {"gradient": "log rate", "perturbation": "log rate", "attention": "attention"}
    for name in METHODS:
        estimates[name].attrs["units"] = units.get(name, estimates[name].attrs.get("units", "1"))
    estimates["lagged_correlation"].attrs["units"] = "correlation"
    plot.connectivity(estimates, truth=found["truth"].assign_attrs(units="log rate"), ax=list(axes))
    axes[0].set_title(f"truth, hub network {min(seeds)}")
    axes[-1].set_title(WORDS["glm"])


def _generation(run: Run, ax: Axes) -> None:
    """Errors of spikes made by the model, running on its own and given the true past."""
    title = "generated spikes against held-out ones"
    if not any(run.values(quantity="fano_ratio", arm=mode) for mode in MODES):
        silent(ax, title)
        return
    words = {
        "rate error, mean": ("rate,\nmean", 0.10),
        "rate error, worst": ("rate,\nworst unit", None),
        "fano_ratio": ("Fano\nfactor", 0.20),
        "fano_ratio_population": ("Fano of\nthe sum", None),
        "isi_distance": ("intervals\n(KS)", None),
        "correlogram_error": ("correlo-\ngrams", None),
    }
    for number, (mode, (color, marker)) in enumerate(MODES.items()):
        for place, name in enumerate(words):
            found = _errors(run, name, mode)
            if found:
                points(ax, place + 0.3 * (number - 0.5), found, color, marker=marker, width=0.12)
        ax.plot([], [], marker, color=color, label=mode)
    for place, (_, target) in enumerate(words.values()):
        if target is not None:
            label = "at most, free-running" if not place else None
            ax.plot([place - 0.4, place + 0.4], [target] * 2, label=label, **TARGET)
    ax.set_xticks(range(len(words)), labels=[name for name, _ in words.values()])
    ax.set(title=title, ylabel="relative error, or distance", xlim=(-0.5, len(words) - 0.5))
    ax.set_ylim(bottom=0.0)
    _legend_above(ax, columns=3)


def _errors(run: Run, name: str, mode: str) -> list[float]:
    """One number a seed, 0 where there is no error; correlograms as a share of the size of the true ones."""
    found = run.values(quantity=name, arm=mode)
    if name.startswith("fano"):
        return [abs(value - 1.0) for value in found.values()]
    if name == "correlogram_error":
        size = run.values(quantity="correlogram_size", arm=mode)
        return [value / size[seed] for seed, value in found.items()]
    return list(found.values())


def _saved(run: Run, added: str, before: str) -> list[float]:
    """Share of the negative log-likelihood in percent that one arm saves over another, for each seed that has both."""
    now, then = (run.values(quantity=NATS, arm=arm, of="driven network") for arm in (added, before))
    return [100.0 * (1.0 - now[seed] / then[seed]) for seed in now if seed in then]


def _ablation(run: Run, ax: Axes) -> None:
    title = "each step adds"
    steps = [("past", "window"), ("stimulus", "past"), ("behavior", "stimulus"), ("contrast", "behavior")]
    found = {added: values for added, before in steps if (values := _saved(run, added, before))}
    if not found:
        silent(ax, title)
        return
    for place, values in enumerate(found.values()):
        points(ax, place, values, GREEN)
    ax.axhline(0.0, **TARGET)
    ax.set_xticks(range(len(found)), labels=[f"+ {name}" for name in found], **TURNED)
    ax.set(title=title, ylabel="held-out NLL saved (%)", xlim=(-0.5, len(found) - 0.5))


def _modality(run: Run, ax: Axes) -> None:
    title = "the stimulus"
    arms = {"given": ("stimulus", GREEN), "of another\ntime": ("stimulus, shuffled", PINK)}
    found = {
        name: (values, color) for name, (arm, color) in arms.items() if (values := _saved(run, arm, "past"))
    }
    if not found:
        silent(ax, title)
        return
    for place, (values, color) in enumerate(found.values()):
        points(ax, place, values, color)
    ax.axhline(5.0, label="at least, given", **TARGET)
    ax.axhline(0.0, color="0.8", linewidth=0.8, zorder=0)
    ax.set_xticks(range(len(found)), labels=list(found))
    ax.set(title=title, ylabel="held-out NLL saved (%)", xlim=(-0.5, len(found) - 0.5))
    _legend_above(ax, columns=1)


def _retrieval(run: Run, ax: Axes) -> None:
    values = run.values(quantity="retrieval over chance")
    if not values:
        silent(ax, "retrieval")
        return
    points(ax, 0, list(values.values()), GREEN)
    for height, words in ((5.0, "asked"), (1.0, "chance")):
        ax.axhline(height, **TARGET)
        ax.annotate(
            words, (1.0, height), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=7
        )
    ax.set_xticks([0], labels=["contrast"])
    ax.set(title="retrieval", ylabel="hits over chance", xlim=(-0.5, 0.8))
    ax.set_ylim(bottom=0.0)


def _labels(run: Run, ax: Axes) -> None:
    title, arms = "5% of the labels", {"scratch": DARK, "pca ridge": BLUE, "pretrained": GREEN}
    ticks: list[str] = []
    for of in ("simulated", "linear-track"):
        found = [run.values(quantity="r", arm=name, of=of) for name in arms]
        if not any(found):
            continue
        joined(ax, found, first=len(ticks))
        middle = len(ticks) + (len(arms) - 1) / 2
        ax.annotate(of, (middle, 1.0), xycoords=("data", "axes fraction"), ha="center", va="top", fontsize=8)
        for values, (name, color) in zip(found, arms.items(), strict=True):
            points(ax, len(ticks), list(values.values()), color)
            ticks.append({"scratch": "from scratch", "pca ridge": "PCA, ridge"}.get(name, name))
    if not ticks:
        silent(ax, title)
        return
    ax.margins(y=0.14)
    ax.set_xticks(range(len(ticks)), labels=ticks, **TURNED)
    ax.set(title=title, ylabel="r of held-out decoding", xlim=(-0.6, len(ticks) - 0.4))


def _real(run: Run, ax: Axes, *, quantity: str, title: str, words: str) -> None:
    """Value and 95% interval of each model on the recording."""
    found = {
        str(row["arm"]): [
            run.values(quantity=f"{quantity}, {part}", arm=row["arm"])[row["seed"]] for part in PARTS
        ]
        for row in run.rows
        if row["quantity"] == f"{quantity}, value" and np.isfinite(row["value"])
    }
    title = f"linear-track: {title}"
    if not found:
        silent(ax, title)
        return
    for place, (name, (value, low, high)) in enumerate(found.items()):
        color = GREEN if name == "Neuroformer" else DARK
        ax.plot([low, high], [place, place], color=color, linewidth=1.6)
        ax.plot(value, place, "o", color=color, markersize=5.5)
    ax.set_yticks(range(len(found)), labels=[name.replace(", ", ",\n") for name in found], fontsize=7)
    ax.set(title=title, xlabel=f"{words}, 95% interval", ylim=(len(found) - 0.5, -0.5))
