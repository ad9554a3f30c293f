"""A simulated recording with known truth: a digit turns and zooms while units fire, driven by shared and private latents.

Three Gaussian processes with an RBF kernel drive each trial, after the simulation of Gondur et al. (ICLR 2024): a shared one
turns the digit and drives the units, a neural one drives only the units, a behavioural one only zooms the digit.
Two things differ from the published recipe: the zoom is ``exp(scale * s)`` and not ``abs(s)``, so that the sign of the
latent can be known, and one and the same handwritten digit (of scikit-learn) is shown in every frame.
With ``related=False`` another latent turns the digit, so that the frames have nothing to do with the spikes.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import xarray as xr

from neurokit_snn.catalog.moving_digits import latent_paths, spike_trains, turned
from neurokit_snn.errors import ConfigError
from neurokit_snn.recording import build

__all__ = ["DigitsConfig", "read", "simulate"]

LATENTS = ("shared", "neural", "behavior")
UNRELATED = ("neural 0", "neural 1", "behavior 0", "behavior 1")
"""Latents where nothing is shared: those of the units, the one that turns the digit, and the one that zooms it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DigitsConfig:
    """Parameters of the simulation; times in seconds."""

    trials: int = 300
    bins: int = 60  # bins of each trial
    bin_width: float = 0.05
    gap: float = 0.5  # between trials
    units: int = 40
    mean_count: float = 0.5  # expected spikes of a unit in a bin, averaged over latents
    loading: float = 1.0  # loadings are uniform in [-loading, loading]
    length_scale: float = 0.5  # of the RBF kernel
    rotation: float = 1.15  # rad for one sd of the shared latent
    zoom: float = 0.4  # log zoom for one sd of the behavioural latent
    pixels: int = 12  # frames are pixels x pixels
    noise: float = 0.2  # sd of the noise of a pixel, which is 0..1
    digit: int = 3
    related: bool = True  # whether the latent that turns the digit is one that drives the units
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated, naming the field."""
        for field in ("trials", "bins", "units", "pixels"):
            if getattr(self, field) < 1:
                raise ConfigError(f"DigitsConfig.{field} is {getattr(self, field)}; give at least 1")
        for field in ("bin_width", "mean_count", "length_scale"):
            if not getattr(self, field) > 0:
                raise ConfigError(f"DigitsConfig.{field} is {getattr(self, field)}; give a number above 0")
        for field in ("gap", "noise"):
            if not getattr(self, field) >= 0:
                raise ConfigError(f"DigitsConfig.{field} is {getattr(self, field)}; give 0 or more")
        if self.digit not in range(10):
            raise ConfigError(f"DigitsConfig.digit is {self.digit}; give 0 to 9")


def read(files: dict[str, Path]) -> xr.DataTree:
    """The recording of the catalog: the defaults of `DigitsConfig`."""
    return simulate(DigitsConfig())


def simulate(config: DigitsConfig) -> xr.DataTree:
    """Simulate one recording; the same config gives the same bits.

    Returns
    -------
    recording
        ``/spikes``, ``/trials``, ``/behavior/rotation`` (rad), ``/behavior/zoom``, ``/stimulus/image`` (time, y, x), and
        ``/truth`` with ``latents (trial, bin, latent)`` of unit variance, ``loading (unit, neural_latent)``,
        ``offset (unit)`` in log spikes per bin, ``rate (trial, bin, unit)`` in spikes/s and the ``template`` that was shown.
        With ``related=False`` the spikes are the same and only the rotation is another; the latents are then
        ``neural 0``, ``neural 1``, ``behavior 0`` (rotation) and ``behavior 1`` (zoom), with a coordinate ``block (latent)``.

    Examples
    --------
    >>> tree = simulate(DigitsConfig(trials=2, bins=10, units=3))
    >>> dict(tree["truth"].sizes)["latent"], tree["stimulus/image"]["frames"].shape
    (3, (20, 12, 12))
    """
    rng = np.random.default_rng(config.seed)
    time = np.arange(config.bins) * config.bin_width
    latent = latent_paths(  # (trial, bin, latent)
        time, rng, trials=config.trials, latents=len(LATENTS), length_scale=config.length_scale
    )
    turn: np.ndarray = latent[..., 0]
    names: tuple[str, ...] = LATENTS
    if not config.related:
        other = np.random.default_rng((config.seed, 1))  # a stream of its own: the spikes stay as they are
        extra = latent_paths(time, other, trials=config.trials, latents=1, length_scale=config.length_scale)
        turn, names = extra[..., 0], UNRELATED
        latent = np.concatenate([latent[..., :2], extra, latent[..., 2:]], axis=-1)
    loading = rng.uniform(-config.loading, config.loading, (config.units, 2))
    # The mean of exp(w's) for standard normal s is exp(|w|^2 / 2); the offsets scatter around the wanted mean count.
    offset = np.log(config.mean_count) - 0.5 * (loading**2).sum(1) + rng.uniform(-0.5, 0.5, config.units)
    log_count = latent[..., :2] @ loading.T + offset  # (trial, bin, unit)
    counts = rng.poisson(np.exp(log_count))
    start = np.arange(config.trials) * (config.bins * config.bin_width + config.gap)
    edge = start[:, None] + np.arange(config.bins) * config.bin_width  # (trial, bin) left edges
    template = _template(config.digit)
    angle, zoom = config.rotation * turn, np.exp(config.zoom * latent[..., -1])
    frames = turned(template, angle.ravel(), zoom.ravel(), pixels=config.pixels)
    frames += rng.normal(0.0, config.noise, frames.shape).astype(np.float32)
    centre = (edge + config.bin_width / 2).ravel()
    return build(
        spikes=spike_trains(counts, edge, config.bin_width, rng),
        trials={"start": start, "stop": start + config.bins * config.bin_width},
        behavior={
            "rotation": {"time": centre, "value": angle.ravel(), "units": "rad"},
            "zoom": {"time": centre, "value": zoom.ravel(), "units": "1"},
        },
        stimulus={"image": {"time": edge.ravel(), "value": frames}},
        truth=_truth(config, latent, names, loading, offset, np.exp(log_count)).assign(
            template=(("y", "x"), template)
        ),
        session_id="digits-multimodal",
        subject="simulated",
        source="neurokit_snn.catalog.digits_multimodal",
        licence="BSD-3-Clause",
        citation="After Gondur, Sikandar, Schaffer, Aoi, Keeley, ICLR (2024)",
    )


def _truth(
    config: DigitsConfig,
    latent: np.ndarray,
    names: tuple[str, ...],
    loading: np.ndarray,
    offset: np.ndarray,
    expected: np.ndarray,
) -> xr.Dataset:
    """What made the recording; ``expected`` are spikes a bin."""
    attrs = dataclasses.asdict(config)
    related = attrs.pop("related")
    coords = {"latent": list(names), "neural_latent": list(names[:2]), "unit": np.arange(config.units)}
    made = xr.Dataset(
        {
            "latents": (("trial", "bin", "latent"), latent),
            "loading": (("unit", "neural_latent"), loading),
            "offset": ("unit", offset),
            "rate": (("trial", "bin", "unit"), expected / config.bin_width, {"units": "spikes/s"}),
        },
        coords=coords,
        attrs=attrs,
    )
    if related:
        return made
    blocks = [name.split()[0] for name in names]
    return made.assign_coords(block=("latent", blocks)).assign_attrs(related=0)


def _template(digit: int) -> np.ndarray:
    """The first image of a digit in scikit-learn's set, 8 x 8, values 0..1."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    first = int(np.flatnonzero(digits.target == digit)[0])
    return np.asarray(digits.images[first] / 16.0)
