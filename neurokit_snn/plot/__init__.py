"""Pictures: every function takes xarray and Axes, and returns Axes. See ``README.md`` in this folder."""

from __future__ import annotations

from neurokit_snn.plot._style import PALETTE, style
from neurokit_snn.plot.comparison import comparison, unit_scores
from neurokit_snn.plot.connectivity import connectivity
from neurokit_snn.plot.decoded import decoded
from neurokit_snn.plot.latents import latents
from neurokit_snn.plot.psth import psth
from neurokit_snn.plot.raster import event_raster, raster
from neurokit_snn.plot.reconstruction import reconstruction
from neurokit_snn.plot.summary import length_scales, loading_norms, shared_variance
from neurokit_snn.plot.tuning import tuning

__all__ = [
    "PALETTE",
    "comparison",
    "connectivity",
    "decoded",
    "event_raster",
    "latents",
    "length_scales",
    "loading_norms",
    "psth",
    "raster",
    "reconstruction",
    "shared_variance",
    "style",
    "tuning",
    "unit_scores",
]
