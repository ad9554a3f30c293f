"""A simulated recording with known truth: a digit turns and zooms while units fire, driven by shared and private latents.

Three Gaussian processes with an RBF kernel drive each trial, after the simulation of Gondur et al. (ICLR 2024): a shared one
turns the digit and drives the units, a neural one drives only the units, a behavioural one only zooms the digit.
Two things differ from the published recipe: the zoom is ``exp(scale * s)`` and not ``abs(s)``, so that the sign of the
latent can be known, and one and the same handwritten digit (of scikit-learn) is shown in every frame.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import xarray as xr

from neurokit_snn.errors import ConfigError
from neurokit_snn.recording import build

__all__ = ["DigitsConfig", "read", "simulate"]

LATENTS = ("shared", "neural", "behavior")


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

    Examples
    --------
    >>> tree = simulate(DigitsConfig(trials=2, bins=10, units=3))
    >>> dict(tree["truth"].sizes)["latent"], tree["stimulus/image"]["frames"].shape
    (3, (20, 12, 12))
    """
    rng = np.random.default_rng(config.seed)
    latent = _latents(config, rng)  # (trial, bin, latent)
    loading = rng.uniform(-config.loading, config.loading, (config.units, 2))
    # The mean of exp(w's) for standard normal s is exp(|w|^2 / 2); the offsets scatter around the wanted mean count.
    offset = np.log(config.mean_count) - 0.5 * (loading**2).sum(1) + rng.uniform(-0.5, 0.5, config.units)
    log_count = latent[..., :2] @ loading.T + offset  # (trial, bin, unit)
    counts = rng.poisson(np.exp(log_count))
    start = np.arange(config.trials) * (config.bins * config.bin_width + config.gap)
    edge = start[:, None] + np.arange(config.bins) * config.bin_width  # (trial, bin) left edges
    template = _template(config.digit)
    angle, zoom = config.rotation * latent[..., 0], np.exp(config.zoom * latent[..., 2])
    frames = _frames(template, angle.ravel(), zoom.ravel(), pixels=config.pixels)
    frames += rng.normal(0.0, config.noise, frames.shape).astype(np.float32)
    centre = (edge + config.bin_width / 2).ravel()
    return build(
        spikes=_spikes(counts, edge, config.bin_width, rng),
        trials={"start": start, "stop": start + config.bins * config.bin_width},
        behavior={
            "rotation": {"time": centre, "value": angle.ravel(), "units": "rad"},
            "zoom": {"time": centre, "value": zoom.ravel(), "units": "1"},
        },
        stimulus={"image": {"time": edge.ravel(), "value": frames}},
        truth=xr.Dataset(
            {
                "latents": (("trial", "bin", "latent"), latent),
                "loading": (("unit", "neural_latent"), loading),
                "offset": ("unit", offset),
                "rate": (
                    ("trial", "bin", "unit"),
                    np.exp(log_count) / config.bin_width,
                    {"units": "spikes/s"},
                ),
                "template": (("y", "x"), template),
            },
            coords={
                "latent": list(LATENTS),
                "neural_latent": list(LATENTS[:2]),
                "unit": np.arange(config.units),
            },
            attrs=dataclasses.asdict(config),
        ),
        session_id="digits-multimodal",
        subject="simulated",
        source="neurokit_snn.catalog.digits_multimodal",
        licence="BSD-3-Clause",
        citation="After Gondur, Sikandar, Schaffer, Aoi, Keeley, ICLR (2024)",
    )


def _latents(config: DigitsConfig, rng: np.random.Generator) -> np.ndarray:
    """Draws of RBF Gaussian processes with unit variance, ``(trial, bin, latent)``."""
    time = np.arange(config.bins) * config.bin_width
    kernel = np.exp(-0.5 * ((time[:, None] - time) / config.length_scale) ** 2)
    factor = np.linalg.cholesky(kernel + 1e-9 * np.eye(config.bins))
    return np.einsum("ts,rsp->rtp", factor, rng.standard_normal((config.trials, config.bins, len(LATENTS))))


def _template(digit: int) -> np.ndarray:
    """The first image of a digit in scikit-learn's set, 8 x 8, values 0..1."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    first = int(np.flatnonzero(digits.target == digit)[0])
    return np.asarray(digits.images[first] / 16.0)


def _frames(template: np.ndarray, angle: np.ndarray, zoom: np.ndarray, *, pixels: int) -> np.ndarray:
    """The template turned by ``angle (frame,)`` and enlarged by ``zoom (frame,)``, ``(frame, y, x)`` float32."""
    from scipy.ndimage import map_coordinates

    size = template.shape[0]
    line = (np.arange(pixels) - (pixels - 1) / 2) * (size / pixels)
    y, x = np.meshgrid(line, line, indexing="ij")  # (y, x) in pixels of the template, around its centre
    cosine, sine = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    scale = zoom[:, None, None]
    source_y = (cosine * y - sine * x) / scale + (size - 1) / 2
    source_x = (sine * y + cosine * x) / scale + (size - 1) / 2
    shown = map_coordinates(template, [source_y, source_x], order=1, mode="constant", cval=0.0)
    return np.asarray(shown, dtype=np.float32)


def _spikes(
    counts: np.ndarray, edge: np.ndarray, bin_width: float, rng: np.random.Generator
) -> dict[int, np.ndarray]:
    """Spike times of each unit: each count spread evenly at random over its bin, clear of the edges."""
    trains = {}
    for unit in range(counts.shape[-1]):
        of_bin = np.repeat(edge.ravel(), counts[..., unit].ravel())
        times = np.sort(of_bin + rng.uniform(0.01, 0.99, of_bin.size) * bin_width)
        trains[unit] = times
    return trains
