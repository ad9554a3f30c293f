"""The picture of the MM-GPVAE figure, drawn from the rows of a run and one fit as an example."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from neurokit_snn import plot
from paper_figures._mm_gpvae_models import STEPS
from paper_figures._panels import joined, letters, points, silent
from paper_figures.harness import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREEN, PINK, *_ = plot.PALETTE
TRIALS = 2
LATENTS = ("neural 0", "shared 0", "behavior 0")
MIDDLE = [["strip", "strip"], ["effect0", "effect1"], ["scales", "scales"]]
BELOW = [["spikes", "shared", "private", "many"], ["unshared", "units", "race", "coverage"]]


def draw(run: Run, path: Path, *, example: xr.Dataset | None) -> None:
    """Draw everything the run has measured; panels of claims that were not asked for say so."""
    from matplotlib import pyplot

    with plot.style():
        figure = pyplot.figure(figsize=(12.0, 11.4))
        above, below = figure.subfigures(2, 1, height_ratios=[1.0, 1.15])
        left, right = above.subfigures(1, 2, width_ratios=[1.0, 1.05])
        paths = left.subplots(3, TRIALS, sharex=True, sharey="row")
        axes = right.subplot_mosaic(MIDDLE, height_ratios=[1.0, 0.8, 0.8])
        axes |= below.subplot_mosaic(BELOW)
        _example(example, paths, axes)
        _length_scales(run, axes["scales"])
        arms = ["elephant GPFA", "neural only", "known loadings"]
        _paired(run, axes["spikes"], of="spikes", arms=arms, title="spikes alone")
        steps = STEPS[run.scale]
        arms = ["behaviour only", f"no GP, {steps} steps", f"multi-modal, {steps} steps"]
        arms += ["neural only", "multi-modal, images hidden", "multi-modal"]
        _paired(run, axes["shared"], of="shared", arms=arms, title="shared latent")
        _private(run, axes["private"])
        _many(run, axes["many"])
        _unshared(run, axes["unshared"])
        _units(run, axes["units"])
        _race(run, axes["race"])
        _coverage(run, axes["coverage"])
        lettered = [
            paths[0, 0],
            axes["strip"],
            axes["effect0"],
            axes["scales"],
            *(axes[n] for row in BELOW for n in row),
        ]
        letters(lettered)
        figure.savefig(path, format="png")
        pyplot.close(figure)


def _example(example: xr.Dataset | None, paths: np.ndarray, axes: dict[str, Axes]) -> None:
    """One multi-modal fit: latents, frames, and what each latent does."""
    if example is None:
        for one in [*paths.ravel(), axes["strip"], axes["effect0"], axes["effect1"]]:
            silent(one, "")
        return
    _latents(example, paths)
    _frames(example, axes["strip"])
    for one in plot.loading_norms(example, ax=[axes["effect0"], axes["effect1"]]):
        if one.get_legend() is not None:
            one.get_legend().remove()
    for name, words in (("effect0", "effect on spike counts"), ("effect1", "effect on images")):
        axes[name].set_title(words)


def _latents(example: xr.Dataset, axes: np.ndarray) -> None:
    blocks = [name.split()[0] for name in LATENTS]
    parts = {}
    for name in ("mean", "sd", "truth"):
        part = (
            example[name]
            .sel(true_latent=list(LATENTS))
            .isel(trial=slice(0, TRIALS))
            .rename(true_latent="latent")
        )
        parts[name] = part.drop_vars("true_block", errors="ignore").assign_coords(block=("latent", blocks))
        parts[name].attrs = {"units": "sd"}
    trials = parts["mean"]["trial"].values.tolist()
    plot.latents(
        parts["mean"], sd=parts["sd"], truth=parts["truth"], trials=trials, level=0.9, ax=list(axes.ravel())
    )
    axes[0, 0].get_legend().remove()
    for one in axes[:-1].ravel():
        one.set_xlabel("")
    for one, trial in zip(axes[0], trials, strict=True):
        one.set_title(f"held-out trial {trial}")
    handles, names = axes[0, 0].get_legend_handles_labels()
    axes[0, 0].figure.legend(handles, names, ncols=3, loc="outside lower center")


def _frames(example: xr.Dataset, ax: Axes) -> None:
    where = {"time": example["time"].values, "trial": example["trial"].values[: example.sizes["shown_trial"]]}
    true, made = (
        example[name].rename(shown_trial="trial").assign_coords(where).rename("pixel")
        for name in ("frames", "predicted_frames")
    )
    plot.reconstruction(true, made, times=9, ax=ax)
    ax.set_title(f"images of held-out trial {where['trial'][0]}, and their reconstruction")


def _paired(run: Run, ax: Axes, *, of: str, arms: list[str], title: str) -> None:
    """R2 of each arm, data sets joined by thin lines."""
    found = {name: run.values(quantity="r2", arm=name, of=of) for name in arms}
    found = {name: values for name, values in found.items() if values}
    if not found:
        silent(ax, title)
        return
    joined(ax, list(found.values()))
    for place, (name, values) in enumerate(found.items()):
        ours = name.startswith("multi-modal")
        points(ax, place, list(values.values()), GREEN if ours else BLUE if name == "neural only" else "0.35")
    turned = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if len(found) > 3 else {}
    words = [name if turned else name.replace(" ", "\n", 1) for name in found]
    ax.set_xticks(range(len(found)), labels=words, **turned)
    ax.set(title=title, ylabel="held-out R²", xlim=(-0.5, len(found) - 0.5))


def _private(run: Run, ax: Axes) -> None:
    title = "private latents and leakage"
    leak = run.values(quantity="leak", arm="multi-modal", of="worst pair")
    groups = [
        (b, run.values(quantity="r2", arm="multi-modal", of=b), c, 0.75)
        for b, c in (("neural", BLUE), ("behavior", ORANGE))
    ]
    groups.append(("worst\nleak", leak, PINK, 0.1))
    groups = [group for group in groups if group[1]]
    if not groups:
        silent(ax, title)
        return
    for place, (_, values, color, target) in enumerate(groups):
        points(ax, place, list(values.values()), color)
        ax.plot([place - 0.35, place + 0.35], [target] * 2, color="black", linewidth=0.9, linestyle=":")
    ax.set_xticks(range(len(groups)), labels=[group[0] for group in groups])
    ax.set(title=title, ylabel="held-out R²", xlim=(-0.5, len(groups) - 0.5))


def _many(run: Run, ax: Axes) -> None:
    """20 units, and the published sizes."""
    title = "where spikes suffice"
    pairs = [
        ("20 units", "shared, 20 units", ["neural only", "multi-modal"]),
        ("digits", "shared, digits", ["the average of two single-modality models", "multi-modal"]),
        ("digits, all", "all latents, digits", ["a VAE without GP", "multi-modal"]),
    ]
    short = {
        "a VAE without GP": "no GP",
        "the average of two single-modality models": "average",
        "neural only": "neural only",
    }
    place, ticks = 0, []
    for label, of, arms in pairs:
        found = {name: run.values(quantity="r2", arm=name, of=of) for name in arms}
        for name, values in found.items():
            if values:
                points(ax, place, list(values.values()), GREEN if name == "multi-modal" else "0.35")
                ticks.append((place, f"{label}: {short.get(name, name)}"))
                place += 1
    if not ticks:
        silent(ax, title)
        return
    ax.set_xticks(
        [t[0] for t in ticks], labels=[t[1] for t in ticks], rotation=40, ha="right", rotation_mode="anchor"
    )
    ax.set(title=title, ylabel="held-out R²", xlim=(-0.5, place - 0.5))


def _length_scales(run: Run, ax: Axes) -> None:
    title = "learnt length scales of the spikes' latents"
    starts = {
        start: [run.values(quantity="length scale", arm=start, of=f"latent {i}") for i in (0, 1)]
        for start in ("from 12", "from 30")
    }
    found = {start: [*first.values(), *second.values()] for start, (first, second) in starts.items() if first}
    if not found:
        silent(ax, title)
        return
    for place, values in enumerate(found.values()):
        ax.plot(
            values,
            np.full(len(values), place),
            "o",
            color=BLUE,
            alpha=0.6,
            label="learnt" if not place else None,
        )
    ax.axvline(8.0, color="black", linestyle="--", linewidth=0.9, label="true")
    ax.set_yticks(range(len(found)), labels=[f"{start} bins" for start in found])
    ax.set(title=title, xlabel="length scale (bins of 50 ms)", xlim=(0, 14), ylim=(len(found) - 0.5, -0.5))
    ax.legend(loc="center right")


def _unshared(run: Run, ax: Axes) -> None:
    title = "is anything shared?"
    groups = [
        (arm, run.values(quantity="shared effect", arm=arm, of="shared")) for arm in ("related", "unrelated")
    ]
    groups = [group for group in groups if group[1]]
    if not groups:
        silent(ax, title)
        return
    for place, (arm, values) in enumerate(groups):
        points(ax, place, list(values.values()), GREEN if arm == "related" else "0.35")
    ax.axhline(0.1, color="black", linewidth=0.9, linestyle=":")
    ax.set_xticks(range(len(groups)), labels=[f"{arm}\nmodalities" for arm, _ in groups])
    ax.set(
        title=title,
        ylabel="effect of the shared latent\n(share of the largest)",
        xlim=(-0.5, len(groups) - 0.5),
        ylim=(-0.03, 1.05),
    )


def _units(run: Run, ax: Axes) -> None:
    title = "more units"
    arms = [arm for arm in ("1", "5", "20", "50") if run.values(quantity="r2 by units", arm=arm, of="shared")]
    if not arms:
        silent(ax, title)
        return
    found = [run.values(quantity="r2 by units", arm=arm, of="shared") for arm in arms]
    joined(ax, found)
    for place, values in enumerate(found):
        points(ax, place, list(values.values()), GREEN)
    ax.set_xticks(range(len(arms)), labels=arms)
    ax.set(title=title, xlabel="units", ylabel="R² of the shared latent", xlim=(-0.5, len(arms) - 0.5))


def _race(run: Run, ax: Axes) -> None:
    title = "posteriors: accuracy and time"
    names = {row["arm"] for row in run.rows if row["claim"] == "smoother" and row["quantity"] == "seconds"}
    if not names:
        silent(ax, title)
        return
    colors = {"smoother": GREEN, "fourier": PINK, "time": ORANGE}
    for name in sorted(names):
        seconds, r2 = (
            run.values(quantity=q, arm=name, of=o) for q, o in (("seconds", "fit"), ("r2", "mean"))
        )
        kind, steps = name.split()
        x, y = float(np.median(list(seconds.values()))), float(np.mean(list(r2.values())))
        ax.plot(
            list(seconds.values()),
            list(r2.values()),
            "o",
            color=colors[kind],
            alpha=0.3,
            markersize=3.5,
            markeredgewidth=0,
        )
        ax.plot(x, y, "o", color=colors[kind], markersize=7)
        words = {"fourier": "published guide", "time": "time-domain GP-VAE"}.get(kind, kind)
        ax.plot([], [], "o", color=colors[kind], label=words)
        if kind != "smoother" or steps in ("100", "1500", "4000"):
            where = 7 if kind != "fourier" else -14
            ax.annotate(steps, (x, y), xytext=(0, where), textcoords="offset points", fontsize=7, ha="center")
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.margins(x=0.12, y=0.15)
    handles, labels = ax.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    ax.legend(once.values(), once.keys(), loc="center right")
    ax.set(title=title, xlabel="seconds of a fit (labels: steps)", ylabel="mean held-out R²")


def _coverage(run: Run, ax: Axes) -> None:
    title = "coverage of 90% intervals"
    words = [
        ("rates, spikes only", "rates_of_spikes", "neural only", (0.85, 0.95)),
        ("latents, spikes only", "latents_of_spikes", "neural only", (0.80, 0.97)),
        ("rates", "rates", "multi-modal", (0.85, 0.95)),
        *((block, f"{block} 0", "multi-modal", (0.80, 0.97)) for block in ("neural", "shared", "behavior")),
    ]
    groups = [(name, run.values(quantity="coverage", arm=arm, of=of), band) for name, of, arm, band in words]
    groups = [group for group in groups if group[1]]
    if not groups:
        silent(ax, title)
        return
    for place, (_, values, band) in enumerate(groups):
        ax.fill_between([place - 0.38, place + 0.38], *band, color="0.9", linewidth=0)
        points(ax, place, list(values.values()), BLUE if "spikes" in groups[place][0] else GREEN)
    ax.axhline(0.9, color="black", linewidth=0.9, linestyle=":")
    ax.set_xticks(
        range(len(groups)),
        labels=[group[0] for group in groups],
        rotation=40,
        ha="right",
        rotation_mode="anchor",
    )
    ax.set(title=title, ylabel="share inside", xlim=(-0.5, len(groups) - 0.5), ylim=(0.0, 1.02))
