"""Simulated data of the MM-GPVAE figure, fits to them, and everything that is measured of a fit."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import neurokit_snn as nk
from neurokit_snn import recording
from neurokit_snn.catalog import digits_multimodal
from neurokit_snn.evaluate import align_latents, interval_coverage, latent_leakage, latent_r2
from neurokit_snn.testing.known_loadings import known_loading_latents
from paper_figures.harness import Run
from simulations import mm_gpvae_digits

LEVEL = 0.9
DRAWS = 100
IMAGE = "stimulus_image"
BIN_WIDTH = 0.05
SHOWN = 1
"""Trials of which frames are kept for the picture."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """What is simulated. The defaults are those of the calibration box: 64 pixels with noise .3, length scale 8 bins."""

    seed: int
    train: int = 120  # trials
    test: int = 40
    bins: int = 40
    units: int = 12
    mean_count: float = 0.25  # spikes a bin
    length_scale: float = 8.0  # bins
    pixels: int = 8
    noise: float = 0.3
    related: bool = True  # whether the latent that turns the digit drives units
    used: int = 0  # the first so many units are given; 0 for all
    published: str = (
        ""  # "small" or "paper": the published simulation in place of all this but seed and trials
    )


@dataclasses.dataclass(frozen=True)
class Simulated:
    """Binned data, the same with noiseless frames, true latents and rates, and which trials are for what."""

    data: xr.Dataset
    clean: xr.DataArray
    truth: xr.DataArray
    rate: xr.DataArray
    parameters: xr.Dataset
    train: slice
    test: slice


@functools.lru_cache(maxsize=3)
def simulated(setting: Setting) -> Simulated:
    """Simulate and bin; the same seed gives the same latents and spikes whatever the noise and however many units are used."""
    noisy, clean = _recordings(setting)
    truth = noisy["truth"].to_dataset()
    data, frames = (_binned(tree, setting.bins) for tree in (noisy, clean))
    where = {"trial": data["trial"].values, "time": data["time"].values}
    names = [str(name) for name in truth["latent"].values]
    labels = [name if " " in name else f"{name} 0" for name in names]
    blocks = [name.split()[0] for name in names]
    latents = xr.DataArray(
        truth["latents"].values,
        dims=("trial", "time", "latent"),
        coords=where | {"latent": labels, "block": ("latent", blocks)},
    )
    rate = xr.DataArray(
        truth["rate"].values, dims=("trial", "time", "unit"), coords=where | {"unit": data["unit"].values}
    )
    if setting.used:
        kept = slice(0, setting.used)
        data, rate, truth = data.isel(unit=kept), rate.isel(unit=kept), truth.isel(unit=kept)
    cut = slice(0, setting.train), slice(setting.train, setting.train + setting.test)
    return Simulated(data, frames[IMAGE], latents, rate, truth, *cut)


def _recordings(setting: Setting) -> tuple[xr.DataTree, xr.DataTree]:
    trials = setting.train + setting.test
    if not setting.published:
        config = digits_multimodal.DigitsConfig(
            trials=trials,
            bins=setting.bins,
            bin_width=BIN_WIDTH,
            units=setting.units,
            mean_count=setting.mean_count,
            length_scale=setting.length_scale * BIN_WIDTH,
            pixels=setting.pixels,
            noise=setting.noise,
            related=setting.related,
            seed=setting.seed,
        )
        quiet = dataclasses.replace(config, noise=0.0)
        return digits_multimodal.simulate(config), digits_multimodal.simulate(quiet)
    if setting.published == "paper":
        made = mm_gpvae_digits.simulate(mm_gpvae_digits.MMGPVAEDigitsConfig(trials=trials, seed=setting.seed))
        return made, made
    # One digit, and a zoom that shows the sign of its latent; the digit is scikit-learn's, which needs no download.
    small = mm_gpvae_digits.MMGPVAEDigitsConfig(
        trials=trials,
        bins=setting.bins,
        units=setting.units,
        pixels=setting.pixels,
        zoom="exp",
        exemplar="one",
        seed=setting.seed,
    )
    made = mm_gpvae_digits.simulate(small, exemplars=_three())
    return made, made


def _three() -> np.ndarray:
    """The first 3 of scikit-learn's digits at MNIST's size, ``(1, 28, 28)``."""
    from scipy.ndimage import zoom
    from sklearn.datasets import load_digits

    digits = load_digits()
    first = digits.images[int(np.flatnonzero(digits.target == 3)[0])] / 16.0
    return np.clip(zoom(first, 28 / 8, order=1), 0.0, 1.0)[None]


def _binned(tree: xr.DataTree, bins: int) -> xr.Dataset:
    binned = recording.bin_trials(tree, BIN_WIDTH, stimulus=True, behavior=False)
    return binned.isel(time=slice(0, bins))


# ---- fits -----------------------------------------------------------------------------------------------------------


def fitted(run: Run, setting: Setting, arm: Mapping[str, Any]) -> xr.Dataset:
    """Fit a model of these parameters and measure it; from the cache where that was done before."""

    def make(checkpoints: Path) -> xr.Dataset:
        world = simulated(setting)
        model = nk.MMGPVAE(**arm)
        began = time.perf_counter()
        model.fit(world.data.isel(trial=world.train), seed=setting.seed, resume=checkpoints)
        return measured(model, world, seconds=time.perf_counter() - began)

    return run.result("fit", {"setting": dataclasses.asdict(setting), "model": dict(arm)}, make)


def measured(model: Any, world: Simulated, *, seconds: float) -> xr.Dataset:
    """Everything the claims ask of a fit, alignment always fitted on training trials."""
    summary = model.summary()
    made = {name: summary[name] for name in ("length_scale", "loading_norm")}
    found = model.latents(world.data)
    latents, sd = found["latents"], found["latents_sd"]
    train, test = (world.truth.isel(trial=part) for part in (world.train, world.test))
    ours, theirs = latents.isel(trial=world.train), latents.isel(trial=world.test)
    blocks = model.shared > 0
    alignment = align_latents(
        ours, train, blocks=blocks and _has_blocks(ours, train), sd=sd.isel(trial=world.train)
    )
    aligned = alignment.apply(theirs)
    made["r2"] = latent_r2(aligned, test).rename(latent="true_latent").drop_vars("block")
    if blocks:
        leak = latent_leakage(ours, train, theirs, test)
        made["leak"] = leak.rename(block="from_block", true_block="of_block")
        hidden = world.data.isel(trial=world.test).drop_vars([IMAGE, f"mask_{IMAGE}"])
        blind = alignment.apply(model.latents(hidden)["latents"])
        made["r2_masked"] = latent_r2(blind, test).rename(latent="true_latent").drop_vars("block")
    made |= _uncertain(model, world, alignment)
    made |= _reconstructed(model, world)
    made["seconds"] = xr.DataArray(seconds)
    made = {name: array.drop_vars("block", errors="ignore") for name, array in made.items()}
    kept = {"block": ("latent", summary["block"].values)}
    kept |= {"true_block": ("true_latent", world.truth["block"].values)}
    return xr.Dataset(made).drop_vars("block", errors="ignore").assign_coords(kept)


def _has_blocks(latents: xr.DataArray, truth: xr.DataArray) -> bool:
    return set(truth["block"].values) <= set(latents["block"].values)


def _uncertain(model: Any, world: Simulated, alignment: Any) -> dict[str, xr.DataArray]:
    """Aligned latents of held-out trials with bands; coverage of 90% intervals of them and of the rates."""
    test = world.data.isel(trial=world.test)
    truth = world.truth.isel(trial=world.test)
    draws = model.latents(test, draws=DRAWS)["latents"]
    aligned = alignment.apply(draws)
    named = {"latent": "true_latent"}
    bands = {"mean": aligned.mean("draw"), "sd": aligned.std("draw")}
    made = {name: band.rename(named).drop_vars("block") for name, band in bands.items()}
    made["truth"] = truth.rename(named).drop_vars("block")
    covered = interval_coverage(aligned, truth, level=LEVEL)
    made["coverage_latents"] = xr.DataArray(covered.values, dims="true_latent")
    if model.neural + model.shared:
        posterior = model.posterior_["posterior"].isel(chain=0, draw=slice(0, DRAWS))
        read = posterior["loading"].transpose("draw", "unit", "latent").values
        reading = (
            draws.sel(latent=posterior["latent"].values).transpose("draw", "trial", "time", "latent").values
        )
        offset = posterior["offset"].transpose("draw", "unit").values[:, None, None]
        log_count = np.einsum("drtp,dup->drtu", reading, read) + offset
        rates = xr.DataArray(
            np.exp(log_count) / BIN_WIDTH,
            dims=("draw", "trial", "time", "unit"),
            coords=world.rate.isel(trial=world.test).coords,
        )
        covered = interval_coverage(rates, world.rate.isel(trial=world.test), level=LEVEL)
        made["coverage_rates"] = xr.DataArray(float(covered["pooled"]))
    return made


def _reconstructed(model: Any, world: Simulated) -> dict[str, xr.DataArray]:
    """R2 of rates and of noiseless frames in held-out trials, over that of the training mean of each unit or pixel."""
    again = model.reconstruct(world.data.isel(trial=world.test))
    pairs = {"rate": world.rate, IMAGE: world.clean}
    made = {}
    for name, true in pairs.items():
        if name not in again:
            continue
        mean = true.isel(trial=world.train).mean(("trial", "time"))
        target = true.isel(trial=world.test).transpose(*again[name].dims).values
        squares = np.square(again[name].values - target).sum()
        made[f"r2_{name}"] = xr.DataArray(1.0 - squares / np.square(target - mean.values).sum())
        if name == IMAGE:
            seen = world.data[IMAGE].isel(trial=world.test)
            for what, frames in (("frames", seen), ("predicted_frames", again[IMAGE])):
                shown = frames.isel(trial=slice(0, SHOWN)).transpose("trial", "time", "y", "x")
                bare = xr.DataArray(shown.values.astype(np.float32), dims=("shown_trial", "time", "y", "x"))
                made[what] = bare
    return made


# ---- peers ----------------------------------------------------------------------------------------------------------


def ceiling(run: Run, setting: Setting) -> xr.Dataset:
    """R2 of latents found with the loadings that made the spikes."""

    def make(_: Path) -> xr.Dataset:
        world = simulated(setting)
        known = world.parameters
        found = known_loading_latents(
            world.data["counts"].values,
            loading=known["loading"].values,
            offset=known["offset"].values,
            length_scale_bins=setting.length_scale,
        )
        which = [f"{name!s} 0" for name in known["neural_latent"].values]
        latents = world.truth.sel(latent=which).copy(data=found)
        return _peer(latents, world, which)

    return run.result("ceiling", {"setting": dataclasses.asdict(setting)}, make)


def elephant(run: Run, setting: Setting, *, steps: int) -> xr.Dataset:
    """R2 of the latents of elephant's GPFA (square roots of counts, Gaussian, EM from its own start)."""

    def make(_: Path) -> xr.Dataset:
        from benchmarks import _elephant_gpfa

        world = simulated(setting)
        which = [f"{name!s} 0" for name in world.parameters["neural_latent"].values]
        began = time.perf_counter()
        parts = _elephant_gpfa.latents_of(
            world.data.isel(trial=world.train),
            world.data.isel(trial=world.test),
            latents=2,
            steps=steps,
            seed=setting.seed,
        )
        latents = xr.concat([part["latents"] for part in parts], "trial")
        return _peer(latents, world, which).assign(seconds=time.perf_counter() - began)

    return run.result("elephant", {"setting": dataclasses.asdict(setting), "steps": steps}, make)


def _peer(latents: xr.DataArray, world: Simulated, which: list[str]) -> xr.Dataset:
    truth = world.truth.sel(latent=which)
    train, test = (truth.isel(trial=part) for part in (world.train, world.test))
    alignment = align_latents(latents.isel(trial=world.train), train, blocks=False)
    r2 = latent_r2(alignment.apply(latents.isel(trial=world.test)), test)
    return xr.Dataset({"r2": r2.rename(latent="true_latent").drop_vars("block")})
