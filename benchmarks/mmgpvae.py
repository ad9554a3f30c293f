"""MMGPVAE's cost by trials and bins, and a full fit of the published size.

python -m benchmarks.mmgpvae [--quick]

The seconds of a step are those of a fit of many steps less those of a fit of few, divided by the difference, both after a
fit that compiled: medians of five. Every step takes all trials. The slope is that of a straight line through the logarithms,
over sizes from one to eight; below 64 bins a trial is held whole and the smoother costs more than its bins, above it is cut.
The full fit is the simulation of the paper (300 trials of 60 bins, 100 units, images of 36 x 36), compiling included.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import xarray as xr

from benchmarks.gpfa import simulated
from benchmarks.harness import Result, exit_code
from neurokit_snn import recording
from neurokit_snn.models.mmgpvae.model import MMGPVAE
from simulations.mm_gpvae_digits import MMGPVAEDigitsConfig, simulate

UNITS = 30
FEW, MANY = 5, 20
REPEATS = 5
STEEPEST = 1.1
LONGEST_FIT = 600.0
TRIALS = {"full": (32, 64, 128, 256), "quick": (16, 32)}
BINS = {"full": (60, 120, 240, 480), "quick": (60, 120)}


def model(*, steps: int, batch_size: int) -> MMGPVAE:
    """Two neural latents and one shared with a behaviour."""
    return MMGPVAE(neural=2, shared=1, behavior=0, length_scale=0.16, steps=steps, batch_size=batch_size)


def with_behavior(data: xr.Dataset) -> xr.Dataset:
    """The data with a behaviour that follows the population rate."""
    rate = data["counts"].mean("unit") + 0.1 * np.random.default_rng(0).standard_normal(
        data["counts"].shape[:2]
    )
    data["behavior_effort"] = rate.assign_attrs(units="", kind="continuous")
    data["mask_behavior_effort"] = data["mask"].any("unit")
    return data


def seconds_per_step(*, trials: int, bins: int) -> float:
    """Of a step on all trials, in this process, compiled."""
    train, _ = simulated(trials=trials, test_trials=1, bins=bins, units=UNITS, length_scale=8.0)
    data = with_behavior(train)
    fits = [model(steps=steps, batch_size=trials * bins) for steps in (FEW, MANY)]
    for fit in fits:
        fit.fit(data, seed=0)
    found = []
    for _ in range(REPEATS):
        taken = []
        for fit in fits:
            start = time.perf_counter()
            fit.fit(data, seed=0)
            taken.append(time.perf_counter() - start)
        found.append((taken[1] - taken[0]) / (MANY - FEW))
    return statistics.median(found)


def scaling(name: str, sizes: Sequence[int], seconds: Sequence[float]) -> Result:
    """One line about how the cost of a step grows."""
    slope = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
    told = ", ".join(f"{size}: {1e3 * value:.1f} ms" for size, value in zip(sizes, seconds, strict=True))
    return _line(
        f"cost of a step by {name} ({told})",
        seconds[-1],
        slope=slope,
        target=STEEPEST,
        holds=slope <= STEEPEST,
    )


def _line(case: str, seconds: float, *, slope: float | None, target: float, holds: bool) -> Result:
    rounded = None if slope is None else round(slope, 3)
    result = Result("mmgpvae", case, round(seconds, 4), None, None, None, None, None, rounded, target, holds)
    print(json.dumps(asdict(result)), flush=True)
    return result


def full_fit(*, quick: bool) -> Result:
    """The published size, from data to fit, on images and counts."""
    config = MMGPVAEDigitsConfig(seed=0, trials=20 if quick else 300, units=100, exemplar="one", zoom="exp")
    tree = simulate(config)
    data = recording.bin_trials(tree, config.bin_width, stimulus=True).isel(time=slice(0, config.bins))
    fit = MMGPVAE(
        neural=1,
        shared=1,
        behavior=1,
        covariates=["stimulus_image"],
        length_scale=config.length_scale,
        hidden=(128, 256),
        steps=20 if quick else 600,
    )
    start = time.perf_counter()
    fit.fit(data, seed=0, progress=sys.stderr.isatty())
    seconds = time.perf_counter() - start
    made = fit.reconstruct(data.isel(trial=slice(0, 20)), draws=5)
    seen = data["stimulus_image"].isel(trial=slice(0, 20))
    image = 1.0 - float(
        ((made["stimulus_image"] - seen) ** 2).mean() / ((seen - seen.mean(("trial", "time"))) ** 2).mean()
    )
    size = f"{config.trials} trials x {config.bins} bins x {config.units} units and {config.pixels} x {config.pixels} images"
    case = f"full fit, {size}, {fit.steps} steps, compiling included; R2 of the images it saw {image:.3f}"
    return _line(case, seconds, slope=None, target=LONGEST_FIT, holds=seconds <= LONGEST_FIT)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="two small sizes and a short fit: shows that it runs"
    )
    options = parser.parse_args(arguments)
    size = "quick" if options.quick else "full"
    results = [
        scaling("trials", TRIALS[size], [seconds_per_step(trials=n, bins=60) for n in TRIALS[size]]),
        scaling("bins", BINS[size], [seconds_per_step(trials=16, bins=n) for n in BINS[size]]),
        full_fit(quick=options.quick),
    ]
    return exit_code(results)


if __name__ == "__main__":
    sys.exit(main())
