"""How much each latent and each block moves each modality."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import xarray as xr

from neurokit_snn.models.mmgpvae.design import Batch, Design, Params
from neurokit_snn.models.mmgpvae.networks import Perceptron
from neurokit_snn.models.mmgpvae.prediction import Inferred

__all__ = ["summarised"]

MOST = 4000
"""Bins that the effects are averaged over."""


def summarised(design: Design, params: Params, batch: Batch, found: Inferred) -> xr.Dataset:
    """``loading (unit, latent)``, ``loading_norm (modality, latent)`` and ``variance (modality, part)``.

    Effects are Jansen's estimates of total effects (Saltelli et al., Computer Physics Communications 2010, table 2): the latent,
    or a block, is drawn anew from another bin, the others stay.
    """
    loading = np.zeros((design.n_units, design.n_latents))
    readers: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
    if design.reads_neural:
        loading[:, design.of_neural] = np.asarray(params["loading"])
        readers[design.likelihood.variable] = lambda z: z @ loading.T
    for channel in design.channels:
        decoder = params[f"decoder {channel.name}"]
        readers[channel.name] = functools.partial(_decoded, decoder, design.of_behavior)
    rng = np.random.default_rng(0)
    rows = _valid_rows(batch, found)
    rows = rows[rng.choice(len(rows), size=min(MOST, len(rows)), replace=False)]
    anew = rows[rng.permutation(len(rows))]
    _, blocks = design.labels()
    private = {name: np.array([b not in ("shared",) for b in blocks]) for name in readers}
    norms, shares = [], []
    for name, reader in readers.items():
        base = reader(rows)

        def effect(
            chosen: np.ndarray, reader: Callable[[np.ndarray], np.ndarray] = reader, base: np.ndarray = base
        ) -> float:
            return float(np.square(base - reader(np.where(chosen, anew, rows))).mean() / 2.0)

        each = [np.sqrt(effect(np.arange(design.n_latents) == p)) for p in range(design.n_latents)]
        norms.append(each)
        total = max(effect(np.ones(design.n_latents, dtype=bool)), 1e-12)
        shares.append([effect(private[name]) / total, effect(~private[name]) / total])
    return xr.Dataset(
        {
            "loading": (("unit", "latent"), loading),
            "loading_norm": (("modality", "latent"), np.array(norms)),
            "variance": (("modality", "part"), np.array(shares)),
        },
        coords={"modality": list(readers), "part": ["private", "shared"]},
    )


def _decoded(decoder: Perceptron, read: slice, latents: np.ndarray) -> np.ndarray:
    return decoder.plain(latents[..., read])


def _valid_rows(batch: Batch, found: Inferred) -> np.ndarray:
    """One draw of the latents in every bin that holds anything, ``(bin, latent)``."""
    valid = np.asarray(batch.neural_mask).any(-1)
    for mask in batch.behavior_mask.values():
        valid = valid | (np.asarray(mask) > 0)
    return found.draws[0][valid].astype(np.float64)
