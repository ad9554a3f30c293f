"""MM-GPVAE: shared and private latents of spikes and images, on simulated data with known truth.

``python -m paper_figures.mm_gpvae [--claim ID] [--scale small|paper] [--seed N] [--out DIR]``

Gondur, Sikandar, Schaffer, Aoi and Keeley, "Multi-modal Gaussian process variational autoencoders for neural and behavioral
data", ICLR (2024). A digit turns with a latent that also drives units, and zooms with one of its own; the units have another
to themselves. What is compared are R2 of held-out latents after an alignment fitted on training trials, paired over data sets.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from paper_figures import _mm_gpvae_latents as latents
from paper_figures._mm_gpvae_experiments import Setting
from paper_figures._mm_gpvae_models import (
    BEHAVIOR,
    DATA_SETS,
    FEW,
    LONG,
    NEURAL,
    SHARED,
    behavior_only,
    differences,
    fit,
    multi,
    neural_only,
    r2,
    setting,
)
from paper_figures._mm_gpvae_picture import draw
from paper_figures.harness import Claim, Figure, Run, run_figure

PRUNED = 0.1
"""Share of the largest effect on a modality under which a latent counts as pruned."""
APART = {"small": 2000, "paper": 4000}
"""Steps of the fits to unrelated modalities: one leaves a shared latent to the other only slowly."""
NEURONS = (1, 5, 20, 50)
SHORT = (100, 200, 300)
"""Steps of the shorter fits of the smoother that race the other posteriors; all others have `LONG` steps."""
RIVALS = {"time": {"start_weight": 1.0}, "fourier": {}}
"""Own schedules: the standard GP-VAE weighs all alike from the start, and prunes every latent where images come late."""


# ---- nothing shared -------------------------------------------------------------------------------------------------


def claimed(found: xr.Dataset) -> np.ndarray:
    """For each shared latent, its effect on the modality it moves less, as a share of the largest effect there."""
    norm = found["loading_norm"]
    share = norm / norm.max("latent")
    return share.isel(latent=np.flatnonzero(found["block"].values == "shared")).min("modality").values


def _unshared(run: Run) -> Claim:
    rates = []
    for seed in run.seeds(DATA_SETS[run.scale]):
        where = setting(run, seed, related=False)
        found = fit(run, where, neural=2, behavior=2, steps=APART[run.scale])
        share = claimed(found)
        run.record(
            "unshared", quantity="shared effect", arm="unrelated", of="shared", seed=seed, value=share.max()
        )
        run.record(
            "unshared",
            quantity="shared effect",
            arm="related",
            of="shared",
            seed=seed,
            value=claimed(multi(run, seed)).max(),
        )
        rates.append(float((share >= PRUNED).mean()))
    words = "share of shared latents that move both of two unrelated modalities (10% of the largest effect or more)"
    return run.judge("unshared", words, rates, op="<=", target=0.05)


# ---- other posteriors -----------------------------------------------------------------------------------------------


def _mean_r2(found: xr.Dataset) -> float:
    return float(np.mean([r2(found, latent) for latent in (SHARED, NEURAL, BEHAVIOR)]))


def _raced(run: Run, seed: int, rival: str) -> tuple[dict[int, xr.Dataset], xr.Dataset]:
    """Fits of the smoother by their number of steps, and the long fit of the rival."""
    long = LONG[run.scale]
    ours = {steps: multi(run, seed, steps=steps) for steps in (*SHORT, long)}
    theirs = multi(run, seed, posterior=rival, steps=long, **RIVALS[rival])
    for label, found in [*((f"smoother {n}", one) for n, one in ours.items()), (f"{rival} {long}", theirs)]:
        run.record("smoother", quantity="r2", arm=label, of="mean", seed=seed, value=_mean_r2(found))
        run.record(
            "smoother", quantity="seconds", arm=label, of="fit", seed=seed, value=float(found["seconds"])
        )
    return ours, theirs


def _smoother_r2(run: Run, rival: str) -> Claim:
    values = []
    for seed in run.seeds(FEW[run.scale]):
        ours, theirs = _raced(run, seed, rival)
        values.append(_mean_r2(ours[LONG[run.scale]]) - _mean_r2(theirs))
    words = f"mean R2 of the three latents, smoother minus posterior {rival!r}, {LONG[run.scale]} steps each"
    return run.judge(f"smoother.r2_{rival}", words, values, op=">", target=0.0, surely=True)


def _smoother_seconds(run: Run, rival: str) -> Claim:
    values = []
    for seed in run.seeds(FEW[run.scale]):
        ours, theirs = _raced(run, seed, rival)
        goal = _mean_r2(theirs)
        there = [float(one["seconds"]) for one in ours.values() if _mean_r2(one) >= goal]
        values.append(float(theirs["seconds"]) / min(there) if there else 0.0)
    words = f"seconds of posterior {rival!r} over those of the shortest smoother fit of at least its R2 (median; 0 for none)"
    return run.judge(f"smoother.seconds_{rival}", words, values, op=">", target=1.0, reduce=np.median)


# ---- missing data, few and many units, too many latents ----------------------------------------------------------------


def _masked(run: Run) -> Claim:
    pairs = {
        s: (r2(neural_only(run, setting(run, s)), SHARED), r2(multi(run, s), SHARED, "r2_masked"))
        for s in run.seeds(DATA_SETS[run.scale])
    }
    less = differences(
        run, "missing.masked", pairs, of="shared", arms=("neural only", "multi-modal, images hidden")
    )
    words = "R2 of the shared latent, neural-only minus multi-modal with images hidden at test"
    return run.judge("missing.masked", words, less, op="<=", target=0.05)


def _neurons(run: Run) -> Claim:
    seeds = run.seeds(FEW[run.scale])
    found = np.empty((len(NEURONS), len(seeds)))
    for row, count in enumerate(NEURONS):
        for column, seed in enumerate(seeds):
            where = setting(run, seed, units=max(NEURONS), used=count)
            one = fit(run, where, neural=min(1, count - 1))
            found[row, column] = r2(one, SHARED)
            run.record(
                "missing.neurons",
                quantity="r2 by units",
                arm=f"{count}",
                of="shared",
                seed=seed,
                value=found[row, column],
            )
    steps = np.diff(found.mean(1))
    words = "smallest step of the mean R2 of the shared latent over 1, 5, 20 and 50 units"
    return dataclasses.replace(
        run.judge("missing.neurons", words, steps, op=">=", target=-0.03, reduce=np.min), n_seeds=len(seeds)
    )


def pruned(found: xr.Dataset) -> int:
    """Latents whose effect is under a tenth of the largest one in every modality."""
    norm = found["loading_norm"]
    return int((norm / norm.max("latent") < PRUNED).all("modality").sum())


def _superfluous(run: Run) -> Claim:
    values = []
    for seed in run.seeds(FEW[run.scale]):
        values.append(pruned(fit(run, setting(run, seed), neural=2, behavior=2)))
        run.record(
            "missing.superfluous",
            quantity="pruned",
            arm="multi-modal",
            of="5 latents",
            seed=seed,
            value=values[-1],
        )
    words = "latents pruned of two superfluous ones, the fewest of all data sets"
    return run.judge("missing.superfluous", words, values, op=">=", target=1.0, reduce=np.min)


# ---- the published simulation ---------------------------------------------------------------------------------------


def _published(run: Run, seed: int) -> Setting:
    size = {"small": {"train": 60, "test": 20}, "paper": {"train": 240, "test": 60}}[run.scale]
    if run.dry_run:
        size = {"train": 4, "test": 4}
    big = {"bins": 60, "units": 100, "pixels": 36, "length_scale": 10.0}
    return Setting(seed=seed, noise=0.0, published="small" if run.dry_run else run.scale, **size, **big)  # type: ignore[arg-type]


def _digit_fits(run: Run, seed: int) -> dict[str, xr.Dataset]:
    where = _published(run, seed)
    given = {"length_scale": 0.75, "steps": {"small": 1000, "paper": 4000}[run.scale]}
    return {
        "multi-modal": fit(run, where, **given),
        "no GP": fit(run, where, kernel="white", **given),
        "neural only": neural_only(run, where, length_scale=0.75),
        "behaviour only": behavior_only(run, where, **given),
    }


def _digits_quality(run: Run, what: str, target: float) -> Claim:
    variable = {"image": "r2_stimulus_image", "rate": "r2_rate"}[what]
    values = []
    for seed in run.seeds(3):
        values.append(float(_digit_fits(run, seed)["multi-modal"][variable]))
        run.record(
            f"digits.{what}",
            quantity=f"r2 of the {what}",
            arm="multi-modal",
            of="digits",
            seed=seed,
            value=values[-1],
        )
    return run.judge(
        f"digits.{what}",
        f"held-out R2 of the {what}, 36 x 36 pixels, 100 units, 60 bins",
        values,
        op=">=",
        target=target,
    )


def averaged(neural: xr.Dataset, behavior: xr.Dataset, latent: str) -> float:
    """R2 of the average of what two single-modality models say of a true latent."""
    truth = neural["truth"].sel(true_latent=latent).values
    mean = 0.5 * (
        neural["mean"].sel(true_latent=latent).values + behavior["mean"].sel(true_latent=latent).values
    )
    return float(1.0 - np.square(mean - truth).sum() / np.square(truth - truth.mean()).sum())


def _digits_against(run: Run, rival: str) -> Claim:
    label = {"no_gp": "a VAE without GP", "average": "the average of two single-modality models"}[rival]
    name, pairs = f"digits.{rival}", {}
    for seed in run.seeds(3):
        fits = _digit_fits(run, seed)
        ours = fits["multi-modal"]
        if rival == "no_gp":
            pairs[seed] = _mean_r2(ours), _mean_r2(fits["no GP"])
        else:
            pairs[seed] = r2(ours, SHARED), averaged(fits["neural only"], fits["behaviour only"], SHARED)
    what = {"no_gp": "mean R2 of the three latents", "average": "R2 of the shared latent"}[rival]
    of = {"no_gp": "all latents, digits", "average": "shared, digits"}[rival]
    more = differences(run, name, pairs, of=of, arms=("multi-modal", label))
    return run.judge(name, f"{what} minus that of {label}", more, op=">", target=0.0, surely=True)


def _picture(run: Run, path: Path) -> None:
    fitted = any(row["arm"].startswith("multi-modal") for row in run.rows)
    draw(run, path, example=multi(run, run.seed) if fitted else None)


FIGURE = Figure(
    name="mm_gpvae",
    paper="Gondur et al., Multi-modal Gaussian process variational autoencoders, ICLR (2024)",
    claims={
        "lengthscale.from_12": lambda run: latents.length_scale(run, 12.0, 0.15),
        "lengthscale.from_30": lambda run: latents.length_scale(run, 30.0, 0.25),
        "latents.neural_ceiling": latents.neural_ceiling,
        "latents.elephant": latents.beyond_elephant,
        "latents.shared": latents.shared,
        "latents.behavior_margin": latents.behavior_margin,
        "latents.private.neural": lambda run: latents.private(run, "neural"),
        "latents.private.behavior": lambda run: latents.private(run, "behavior"),
        "latents.leakage": latents.leakage,
        "latents.many_neurons": latents.many_neurons,
        "latents.gp": latents.gp,
        "coverage.rates.least": lambda run: latents.coverage(run, "rates", "least", 0.85),
        "coverage.rates.most": lambda run: latents.coverage(run, "rates", "most", 0.95),
        "coverage.latents.least": lambda run: latents.coverage(run, "latents", "least", 0.80),
        "coverage.latents.most": lambda run: latents.coverage(run, "latents", "most", 0.97),
        "coverage.rates_of_spikes.least": lambda run: latents.coverage(run, "rates_of_spikes", "least", 0.85),
        "coverage.rates_of_spikes.most": lambda run: latents.coverage(run, "rates_of_spikes", "most", 0.95),
        "coverage.latents_of_spikes.least": lambda run: latents.coverage(
            run, "latents_of_spikes", "least", 0.80
        ),
        "coverage.latents_of_spikes.most": lambda run: latents.coverage(
            run, "latents_of_spikes", "most", 0.97
        ),
        "unshared": _unshared,
        "smoother.r2_time": lambda run: _smoother_r2(run, "time"),
        "smoother.r2_fourier": lambda run: _smoother_r2(run, "fourier"),
        "smoother.seconds_time": lambda run: _smoother_seconds(run, "time"),
        "smoother.seconds_fourier": lambda run: _smoother_seconds(run, "fourier"),
        "missing.masked": _masked,
        "missing.neurons": _neurons,
        "missing.superfluous": _superfluous,
        "digits.image": lambda run: _digits_quality(run, "image", 0.75),
        "digits.rate": lambda run: _digits_quality(run, "rate", 0.80),
        "digits.no_gp": lambda run: _digits_against(run, "no_gp"),
        "digits.average": lambda run: _digits_against(run, "average"),
    },
    picture=_picture,
)


def main(words: Sequence[str] | None = None) -> int:
    """Run the claims and draw the picture."""
    return run_figure(FIGURE, words)


if __name__ == "__main__":
    raise SystemExit(main())
