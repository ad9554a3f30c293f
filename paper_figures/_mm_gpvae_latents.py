"""Claims of the MM-GPVAE figure about length scales, latents and their coverage."""

from __future__ import annotations

import importlib.util

import numpy as np
import xarray as xr

from paper_figures._mm_gpvae_experiments import BIN_WIDTH, ceiling, elephant
from paper_figures._mm_gpvae_models import (
    BEHAVIOR,
    DATA_SETS,
    NEURAL,
    SHARED,
    STEPS,
    behavior_only,
    differences,
    fit,
    multi,
    neural_only,
    r2,
    setting,
)
from paper_figures.harness import Claim, Run

ELEPHANT_STEPS = 100


def length_scale(run: Run, start: float, target: float) -> Claim:
    name, errors = f"lengthscale.from_{start:.0f}", []
    for seed in run.seeds(3):
        where = setting(run, seed, units=20, mean_count=0.56)
        model = {
            "length_scale": start * BIN_WIDTH,
            "length_scale_bounds": [0.25, 1.8],
            "steps": STEPS[run.scale],
        }
        learnt = neural_only(run, where, **model)["length_scale"].values / BIN_WIDTH
        for latent, value in enumerate(learnt):
            run.record(
                name,
                quantity="length scale",
                arm=f"from {start:.0f}",
                of=f"latent {latent}",
                seed=seed,
                value=value,
            )
        errors.append(np.abs(learnt / where.length_scale - 1.0).max())
    words = (
        f"length scales started at {start:.0f} bins, truth 8: largest relative error of all latents and seeds"
    )
    return run.judge(name, words, errors, op="<=", target=target, reduce=np.max)


# ---- latents --------------------------------------------------------------------------------------------------------


def of_spikes(found: xr.Dataset) -> float:
    """Mean R2 of the two latents that units read."""
    return float(np.mean([r2(found, latent) for latent in (SHARED, NEURAL)]))


def neural_ceiling(run: Run) -> Claim:
    pairs = {}
    for seed in run.seeds(DATA_SETS[run.scale]):
        where = setting(run, seed)
        found = (ceiling(run, where), neural_only(run, where))
        pairs[seed] = of_spikes(found[0]), of_spikes(found[1])
    short = differences(
        run, "latents.neural_ceiling", pairs, of="spikes", arms=("known loadings", "neural only")
    )
    return run.judge(
        "latents.neural_ceiling", "R2 at the true loadings minus neural-only R2", short, op="<=", target=0.06
    )


def beyond_elephant(run: Run) -> Claim:
    name, words = "latents.elephant", "neural-only R2 minus that of elephant's GPFA at .25 spikes a bin"
    if importlib.util.find_spec("elephant") is None:
        words += "; elephant is not installed: make peers"
        return run.judge(name, words, [np.nan], op=">=", target=0.02)
    pairs = {}
    for seed in run.seeds(DATA_SETS[run.scale]):
        where = setting(run, seed)
        found = (neural_only(run, where), elephant(run, where, steps=2 if run.dry_run else ELEPHANT_STEPS))
        pairs[seed] = of_spikes(found[0]), of_spikes(found[1])
    more = differences(run, name, pairs, of="spikes", arms=("neural only", "elephant GPFA"))
    return run.judge(name, words, more, op=">=", target=0.02)


def shared(run: Run) -> Claim:
    pairs = {
        s: (r2(multi(run, s), SHARED), r2(neural_only(run, setting(run, s)), SHARED))
        for s in run.seeds(DATA_SETS[run.scale])
    }
    more = differences(run, "latents.shared", pairs, of="shared", arms=("multi-modal", "neural only"))
    words = "R2 of the shared latent, multi-modal minus neural-only, 12 units at .25 spikes a bin; the interval excludes 0"
    return run.judge("latents.shared", words, more, op=">", target=0.0, surely=True)


def behavior_margin(run: Run) -> Claim:
    pairs = {
        s: (r2(multi(run, s), SHARED), r2(behavior_only(run, setting(run, s)), SHARED))
        for s in run.seeds(DATA_SETS[run.scale])
    }
    more = differences(
        run, "latents.behavior_margin", pairs, of="shared", arms=("multi-modal", "behaviour only")
    )
    return run.judge(
        "latents.behavior_margin",
        "R2 of the shared latent, multi-modal minus behaviour-only",
        more,
        op=">=",
        target=0.2,
    )


def private(run: Run, block: str) -> Claim:
    name, latent = f"latents.private.{block}", {"neural": NEURAL, "behavior": BEHAVIOR}[block]
    values = []
    for seed in run.seeds(DATA_SETS[run.scale]):
        values.append(r2(multi(run, seed), latent))
        run.record(name, quantity="r2", arm="multi-modal", of=block, seed=seed, value=values[-1])
    return run.judge(name, f"R2 of the {block} latent, multi-modal", values, op=">=", target=0.75)


def leakage(run: Run) -> Claim:
    values = []
    for seed in run.seeds(DATA_SETS[run.scale]):
        leak = multi(run, seed)["leak"]
        apart = leak["from_block"] != leak["of_block"]
        values.append(float(leak.where(apart).max()))
        run.record(
            "latents.leakage",
            quantity="leak",
            arm="multi-modal",
            of="worst pair",
            seed=seed,
            value=values[-1],
        )
    return run.judge(
        "latents.leakage", "largest R2 of one block's truth from another block", values, op="<=", target=0.1
    )


def many_neurons(run: Run) -> Claim:
    pairs = {}
    for seed in run.seeds(DATA_SETS[run.scale]):
        where = setting(run, seed, units=20, mean_count=0.56)
        pairs[seed] = (r2(fit(run, where), SHARED), r2(neural_only(run, where), SHARED))
    more = differences(
        run, "latents.many_neurons", pairs, of="shared, 20 units", arms=("multi-modal", "neural only")
    )
    words = "R2 of the shared latent, multi-modal minus neural-only, 20 units at .56 spikes a bin"
    return run.judge("latents.many_neurons", words, more, op=">=", target=-0.02)


def gp(run: Run) -> Claim:
    pairs = {}
    for seed in run.seeds(DATA_SETS[run.scale]):
        where = setting(run, seed)
        pairs[seed] = r2(fit(run, where), SHARED), r2(fit(run, where, kernel="white"), SHARED)
    steps = STEPS[run.scale]
    arms = (f"multi-modal, {steps} steps", f"no GP, {steps} steps")
    more = differences(run, "latents.gp", pairs, of="shared", arms=arms)
    words = f"R2 of the shared latent, with a GP prior minus without, {steps} steps each"
    return run.judge("latents.gp", words, more, op=">=", target=0.1)


# ---- coverage -------------------------------------------------------------------------------------------------------


COVERED = {
    "rates": "true rates of held-out trials inside 90% intervals, multi-modal",
    "latents": "aligned latents of held-out trials inside 90% intervals, multi-modal, all blocks together",
    "rates_of_spikes": "true rates of held-out trials inside 90% intervals, neural-only",
    "latents_of_spikes": "aligned latents of held-out trials inside 90% intervals, neural-only",
}


def coverage(run: Run, what: str, side: str, target: float) -> Claim:
    name, values = f"coverage.{what}.{side}", []
    variable, _, spikes = what.partition("_of_")
    arm = "neural only" if spikes else "multi-modal"
    for seed in run.seeds(DATA_SETS[run.scale]):
        fits = neural_only(run, setting(run, seed)) if spikes else multi(run, seed)
        found = fits[f"coverage_{variable}"]
        if what == "latents_of_spikes":
            found = found.sel(true_latent=[SHARED, NEURAL])
        values.append(float(found.mean()))
        run.record(f"coverage.{what}", quantity="coverage", arm=arm, of=what, seed=seed, value=values[-1])
        for latent in found["true_latent"].values if found.dims else ():
            one = float(found.sel(true_latent=latent))
            run.record(f"coverage.{what}", quantity="coverage", arm=arm, of=latent, seed=seed, value=one)
    op = {"least": ">=", "most": "<="}[side]
    return run.judge(name, f"share of {COVERED[what]}", values, op=op, target=target)
