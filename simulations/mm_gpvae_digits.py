"""Simulate the published data of MM-GPVAE: MNIST's threes turn and zoom while 100 units fire.

``python -m simulations.mm_gpvae_digits --out out/mm-gpvae-digits.nk --seed 0 --trials 300 --zoom exp``

After Gondur, Sikandar, Schaffer, Aoi and Keeley, "Multi-modal Gaussian process variational autoencoders for neural and
behavioral data", ICLR (2024), and the file data_generator.py of their repository (RabiaGondur/MM-GPVAE).
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr

import neurokit_snn as nk
from neurokit_snn.catalog.moving_digits import latent_paths, spike_trains, turned
from neurokit_snn.errors import CatalogError, ConfigError

RELATED = ("shared", "neural", "behavior")
UNRELATED = ("neural 0", "neural 1", "behavior 0", "behavior 1")
SMALLEST_ZOOM = 1e-3
"""A digit below a thousandth of its size is not seen anyway."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MMGPVAEDigitsConfig:
    """Parameters of the simulation, the published ones by default; times in seconds."""

    trials: int = 300
    bins: int = 60  # bins of each trial
    bin_width: float = 0.05  # not published; rates are in spikes a bin
    gap: float = 0.5  # between trials
    units: int = 100
    loading: float = 1.5  # loadings are uniform in [-loading, loading]
    offset: float = 0.5  # log spikes per bin, uniform in [-offset, offset]
    length_scale: float = 0.5  # of the RBF kernel: 10 bins
    shared_variance: float = 0.3
    neural_variance: float = 0.5
    behavior_variance: float = 0.8
    rotation: float = 2.0 * np.pi / 3.0  # rad for a shared latent of 1: 120 degrees
    zoom: Literal["abs", "exp"] = (
        "abs"  # |1 + s|, as published, which hides the sign of s; or exp(log_zoom s / sd)
    )
    log_zoom: float = 0.4  # log zoom for one sd of the behavioural latent, where zoom is "exp"
    exemplar: Literal["one", "many"] = (
        "many"  # another handwritten digit in every frame, as published, or one
    )
    images: Literal["related", "unrelated"] = "related"  # "unrelated": the latent that turns drives no unit
    border: int = 4  # black pixels around the 28 x 28 of MNIST
    pixels: int = 36  # frames are pixels x pixels
    noise: float = 0.0  # sd of the noise of a pixel, which is 0..1
    digit: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated, naming the field."""
        name = type(self).__name__
        for field in ("trials", "bins", "units", "pixels"):
            if getattr(self, field) < 1:
                raise ConfigError(f"{name}.{field} is {getattr(self, field)}; give at least 1")
        for field in (
            "bin_width", "length_scale", "shared_variance", "neural_variance", "behavior_variance",
        ):  # fmt: skip
            if not getattr(self, field) > 0:
                raise ConfigError(f"{name}.{field} is {getattr(self, field)}; give a number above 0")
        for field in ("gap", "noise", "border"):
            if not getattr(self, field) >= 0:
                raise ConfigError(f"{name}.{field} is {getattr(self, field)}; give 0 or more")
        choices = {"zoom": ("abs", "exp"), "exemplar": ("one", "many"), "images": ("related", "unrelated")}
        for field, known in choices.items():
            if getattr(self, field) not in known:
                raise ConfigError(f"{name}.{field} is {getattr(self, field)!r}; choose {' or '.join(known)}")
        if self.digit not in range(10):
            raise ConfigError(f"{name}.digit is {self.digit}; give 0 to 9")


def simulate(config: MMGPVAEDigitsConfig, *, exemplars: np.ndarray | None = None) -> xr.DataTree:
    """Simulate one recording; the same config gives the same bits.

    Parameters
    ----------
    config
        What to simulate.
    exemplars
        Images to show in place of MNIST's, ``(image, y, x)`` from 0 to 1, square; the first one where one is shown.

    Returns
    -------
    recording
        ``/spikes``, ``/trials``, ``/behavior/rotation`` (rad), ``/behavior/zoom``, ``/stimulus/image`` (time, y, x), and
        ``/truth`` with ``latents (trial, bin, latent)`` in the units of the paper, a coordinate ``block (latent)`` of
        shared, neural and behavior, ``variance (latent)``, ``loading (unit, neural_latent)``, ``offset (unit)`` in log
        spikes per bin, ``rate (trial, bin, unit)`` in spikes/s and ``exemplar (trial, bin)``, the number of the image shown.
        With ``images="unrelated"`` the spikes are the same and only the rotation is another; the latents are then
        ``neural 0``, ``neural 1``, ``behavior 0`` (rotation) and ``behavior 1`` (zoom).

    Raises
    ------
    CatalogError
        When MNIST is needed and not to be had.
    ConfigError
        When the exemplars are not square images.

    Examples
    --------
    >>> small = MMGPVAEDigitsConfig(trials=2, bins=10, units=3)
    >>> tree = simulate(small, exemplars=np.ones((1, 28, 28)))
    >>> tree["stimulus/image"]["frames"].shape, tree["truth"]["block"].values.tolist()
    ((20, 36, 36), ['shared', 'neural', 'behavior'])
    """
    shown = _mnist(config.digit) if exemplars is None else exemplars
    if shown.ndim != 3 or shown.shape[1] != shown.shape[2]:
        raise ConfigError(f"exemplars has shape {shown.shape}; give square images (image, y, x)")
    rng = np.random.default_rng(config.seed)
    truth = _truth(config, rng)
    counts = rng.poisson(truth["rate"].values * config.bin_width)
    start = np.arange(config.trials) * (config.bins * config.bin_width + config.gap)
    edge = start[:, None] + np.arange(config.bins) * config.bin_width  # (trial, bin) left edges
    centre = (edge + config.bin_width / 2).ravel()
    angle, zoom = (values.ravel() for values in _movement(config, truth["latents"].values))
    frame = np.arange(edge.size)
    exemplar = frame % len(shown) if config.exemplar == "many" else np.zeros_like(frame)
    frames = _frames(config, shown, exemplar, angle, zoom)
    frames += rng.normal(0.0, config.noise, frames.shape).astype(np.float32)
    return nk.recording.build(
        spikes=spike_trains(counts, edge, config.bin_width, rng),
        trials={"start": start, "stop": start + config.bins * config.bin_width},
        behavior={
            "rotation": {"time": centre, "value": angle, "units": "rad"},
            "zoom": {"time": centre, "value": zoom, "units": "1"},
        },
        stimulus={"image": {"time": edge.ravel(), "value": frames}},
        truth=truth.assign(exemplar=(("trial", "bin"), exemplar.reshape(edge.shape))),
        session_id="mm-gpvae-digits",
        subject="simulated",
        source="simulations.mm_gpvae_digits",
        licence="BSD-3-Clause; the digits of MNIST CC BY-SA 3.0",
        citation="After Gondur, Sikandar, Schaffer, Aoi, Keeley, ICLR (2024)",
    )


def _truth(config: MMGPVAEDigitsConfig, rng: np.random.Generator) -> xr.Dataset:
    """Latents, loadings and rates. What is unrelated has a stream of its own, so that the spikes stay as they are."""
    time = np.arange(config.bins) * config.bin_width
    variance = [config.shared_variance, config.neural_variance, config.behavior_variance]
    paths = latent_paths(time, rng, trials=config.trials, latents=3, length_scale=config.length_scale)
    names: tuple[str, ...] = RELATED
    blocks: tuple[str, ...] = RELATED
    if config.images == "unrelated":
        other = np.random.default_rng((config.seed, 1))
        extra = latent_paths(time, other, trials=config.trials, latents=1, length_scale=config.length_scale)
        paths = np.concatenate([paths[..., :2], extra, paths[..., 2:]], axis=-1)
        variance.insert(2, config.shared_variance)
        names, blocks = UNRELATED, ("neural", "neural", "behavior", "behavior")
    latents = paths * np.sqrt(variance)  # (trial, bin, latent)
    latents[..., -1] += 1.0
    loading = config.loading * rng.uniform(-1.0, 1.0, (config.units, 2))
    offset = config.offset * rng.uniform(-1.0, 1.0, config.units)
    rate = np.exp(latents[..., :2] @ loading.T + offset) / config.bin_width
    return xr.Dataset(
        {
            "latents": (("trial", "bin", "latent"), latents),
            "variance": ("latent", np.array(variance)),
            "loading": (("unit", "neural_latent"), loading),
            "offset": ("unit", offset),
            "rate": (("trial", "bin", "unit"), rate, {"units": "spikes/s"}),
        },
        coords={
            "latent": list(names),
            "block": ("latent", list(blocks)),
            "neural_latent": list(names[:2]),
            "unit": np.arange(config.units),
        },
        attrs=dataclasses.asdict(config),
    )


def _movement(config: MMGPVAEDigitsConfig, latents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Angle in rad and zoom of each frame, ``(trial, bin)``."""
    turn = latents[..., 0 if config.images == "related" else 2]
    if config.zoom == "abs":
        return config.rotation * turn, np.abs(latents[..., -1])
    scaled = (latents[..., -1] - 1.0) / np.sqrt(config.behavior_variance)
    return config.rotation * turn, np.exp(config.log_zoom * scaled)


def _mnist(digit: int) -> np.ndarray:
    """All images of a digit in MNIST's order, ``(image, y, x)``, values 0..1."""
    try:
        found = nk.catalog.open("mnist")
    except CatalogError as error:
        raise CatalogError(f"the digits of MNIST are not to be had: {error}") from error
    images, labels = np.asarray(found["image"]), np.asarray(found["label"])
    return images[labels == digit] / 255.0


def _frames(
    config: MMGPVAEDigitsConfig, shown: np.ndarray, exemplar: np.ndarray, angle: np.ndarray, zoom: np.ndarray
) -> np.ndarray:
    """Frames ``(frame, y, x)``, each image with its border turned and zoomed."""
    edge = config.border
    frames = np.empty((exemplar.size, config.pixels, config.pixels), dtype=np.float32)
    zoom = np.maximum(zoom, SMALLEST_ZOOM)
    for image in np.unique(exemplar):
        mine = np.flatnonzero(exemplar == image)
        padded = np.pad(shown[image], edge)
        frames[mine] = turned(padded, angle[mine], zoom[mine], pixels=config.pixels)
    return frames


def main(words: Sequence[str] | None = None) -> int:
    """Simulate, save, and say what was made."""
    defaults = MMGPVAEDigitsConfig()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/mm-gpvae-digits.nk"), help="artefact to write")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--trials", type=int, default=defaults.trials)
    parser.add_argument("--units", type=int, default=defaults.units)
    parser.add_argument(
        "--exemplar", choices=("one", "many"), default=defaults.exemplar, help="handwritten digits to show"
    )
    parser.add_argument("--zoom", choices=("abs", "exp"), default=defaults.zoom)
    parser.add_argument("--images", choices=("related", "unrelated"), default=defaults.images)
    parser.add_argument("--overwrite", action="store_true", help="replace what stands at --out")
    options = vars(parser.parse_args(words))
    out, overwrite = options.pop("out"), options.pop("overwrite")
    recording = simulate(MMGPVAEDigitsConfig(**options))
    out.parent.mkdir(parents=True, exist_ok=True)
    nk.save(recording, out, overwrite=overwrite)
    n_spikes = recording["spikes"].sizes["spike"]
    print(f"{out}: {options['trials']} trials, {options['units']} units, {n_spikes} spikes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
