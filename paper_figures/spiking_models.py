"""Spiking networks as models of recordings: held-out likelihood beside simpler models, and delays that come back.

``python -m paper_figures.spiking_models [--claim ID] [--scale small|paper] [--seed N] [--out DIR]``

A spiking network that reads the position of an animal and the past of all units forecasts their rates on `linear-track`, in the
folds and bins of all other models. In a simulated network (`simulations.delayed_network`) every connection has a delay that was
planted: it is estimated by gradient, and given a posterior.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from paper_figures._spiking_models_experiments import (
    NETWORKS,
    covered,
    errors,
    likeliest,
    on_the_track,
    planted,
)
from paper_figures._spiking_models_picture import draw
from paper_figures.harness import Claim, Figure, Run, run_figure
from simulations.delayed_network import DelayConfig

METRIC = "bits_per_spike"
METRICS = (METRIC, "log_likelihood")
"""Of the mean rate, a Poisson's, and of the whole predictive distribution, which of GLM and MM-GPVAE is a mixture over draws."""


def _beside(other: str, name: str) -> Callable[[Run], Claim]:
    def claim(run: Run) -> Claim:
        table = on_the_track(run)
        for model in table["model"].values:
            for metric in METRICS:
                one = table.sel(model=model, metric=metric)
                for part in ("value", "low", "high"):
                    value, quantity = float(one[part]), f"{metric}, {part}"
                    run.record("data", quantity=quantity, arm=str(model), seed=run.seed, value=value)
        pair = table.sel(model="SpikingEncoder", other=other, metric=METRIC)
        value, low, high = (float(pair[part]) for part in ("diff", "diff_low", "diff_high"))
        words = (
            f"linear-track, rates one bin ahead: bits/spike of SpikingEncoder more than of {other} "
            "(95% over windows of 8 s; the interval may include 0)"
        )
        return Claim(
            f"data.{name}", words, value, ">", 0.0, low, high, table.sizes["seed"], run.scale, value > 0.0
        )

    return claim


def _planted(run: Run) -> dict[int, xr.Dataset]:
    """Results of all networks, recorded."""
    found = {}
    for seed in run.seeds(NETWORKS[run.scale]):
        one = found[seed] = planted(run, seed)
        off = errors(one, DelayConfig().step)
        sets = covered(one)
        numbers = {
            "median error, bins": np.median(off),
            "mean error, bins": off.mean(),
            "within a bin": (off <= 1.01).mean(),
            "median error of the likeliest, bins": np.median(errors(likeliest(one), DelayConfig().step)),
            "in sets of 90%": sets["exact"],
            "in smallest sets of at least 90%": sets["smallest"],
            "probability of smallest sets": sets["mass"],
            "delays in smallest sets": sets["size"],
            "nats a bin": float(one["nats"]),
            "nats a bin, oracle": float(one["oracle"]),
        }
        for quantity, value in numbers.items():
            run.record("data", quantity=quantity, seed=seed, value=float(value))
    return found


def _recovered(run: Run) -> Claim:
    found = _planted(run)
    values = [float(np.median(errors(one, DelayConfig().step))) for one in found.values()]
    words = "median distance of learned from planted delays, bins, worst network"
    return run.judge("data.delays", words, values, op="<=", target=1.0, reduce=np.max)


def _sets(op: str, target: float, name: str) -> Callable[[Run], Claim]:
    def claim(run: Run) -> Claim:
        values = [covered(one)["exact"] for one in _planted(run).values()]
        words = "share of planted delays inside their 90% posterior sets (of 90% sharp: the last delay is in by lot)"
        return run.judge(f"data.sets_{name}", words, values, op=op, target=target)

    return claim


CLAIMS: dict[str, Callable[[Run], Claim]] = {
    "data.glm": _beside("GLM", "glm"),
    "data.mmgpvae": _beside("MM-GPVAE", "mmgpvae"),
    "data.delays": _recovered,
    "data.sets_least": _sets(">=", 0.80, "least"),
    "data.sets_most": _sets("<=", 0.97, "most"),
}

FIGURE = Figure(
    name="spiking_models",
    paper="neurokit_snn: spiking networks fitted to recordings",
    claims=CLAIMS,
    picture=draw,
)


def main(words: Sequence[str] | None = None) -> int:
    """Run the figure."""
    return run_figure(FIGURE, words)


if __name__ == "__main__":
    raise SystemExit(main())
