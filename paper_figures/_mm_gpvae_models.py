"""Which data sets and models the claims of the MM-GPVAE figure compare, at each scale."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import xarray as xr

from paper_figures._mm_gpvae_experiments import Setting, fitted
from paper_figures.harness import Run

SHARED, NEURAL, BEHAVIOR = "shared 0", "neural 0", "behavior 0"
DATA_SETS = {"small": 10, "paper": 20}
FEW = {"small": 5, "paper": 10}
STEPS = {"small": 600, "paper": 2000}
LONG = {"small": 1500, "paper": 4000}
"""Steps of the fits to the main data sets. More steps go on to unbend the latents that images drive: R2 and coverage grow."""
SCHEDULE = {"start_weight": 0.03, "anneal": 0.8}
"""Of all multi-modal fits: images count little until the spikes have said what is shared, and fully from 80% of the steps on."""


def setting(run: Run, seed: int, **changes: Any) -> Setting:
    """The simulation of this scale."""
    made = Setting(seed=seed) if run.scale == "small" else Setting(seed=seed, train=240, test=60, bins=60)
    if run.dry_run:
        changes = {"train": 6, "test": 4, "bins": 16} | changes
    return dataclasses.replace(made, **changes)


def arm(run: Run, *, neural: int = 1, shared: int = 1, behavior: int = 1, **changes: Any) -> dict[str, Any]:
    """Parameters of `nk.MMGPVAE`; length scales start at 12 bins, and the truth is 8."""
    made = {
        "neural": neural,
        "shared": shared,
        "behavior": behavior,
        "length_scale": 0.6,
        "steps": STEPS[run.scale],
        "batch_size": 8,
    }
    made |= SCHEDULE | changes
    return made | ({"steps": 1} if run.dry_run else {})


def fit(run: Run, where: Setting, **changes: Any) -> xr.Dataset:
    """A fit of these parameters, multi-modal where nothing else is said, and what was measured of it."""
    return fitted(run, where, arm(run, **changes))


def multi(run: Run, seed: int, **changes: Any) -> xr.Dataset:
    """The multi-modal fit to the data set of a seed."""
    return fit(run, setting(run, seed), **({"steps": LONG[run.scale]} | changes))


def neural_only(run: Run, where: Setting, **changes: Any) -> xr.Dataset:
    """Poisson GPFA: two latents of the spikes."""
    of_spikes = {"neural": 2, "shared": 0, "behavior": 0, "steps": STEPS[run.scale] // 2}
    return fit(run, where, **(of_spikes | changes))


def behavior_only(run: Run, where: Setting, **changes: Any) -> xr.Dataset:
    """A GP-VAE of the images with two latents."""
    of_images = {"neural": 0, "shared": 0, "behavior": 2, "steps": LONG[run.scale]}
    return fit(run, where, **(of_images | changes))


def r2(found: xr.Dataset, latent: str, name: str = "r2") -> float:
    """R2 of one true latent."""
    return float(found[name].sel(true_latent=latent))


def differences(
    run: Run, claim: str, pairs: dict[int, tuple[float, float]], *, of: str, arms: tuple[str, str]
) -> np.ndarray:
    """Record both sides of each data set as R2 and return their differences, one for each seed."""
    for seed, both in pairs.items():
        for name, value in zip(arms, both, strict=True):
            run.record(claim, quantity="r2", arm=name, of=of, seed=seed, value=value)
    return np.array([first - second for first, second in pairs.values()])
