"""What is measured of generated spikes, and of modalities that are contrasted."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy import stats

import neurokit_snn as nk

FANO_BINS = 100
LAGS = 10


def spike_errors(true: np.ndarray, made: np.ndarray) -> xr.Dataset:
    """How spikes ``made (trial, time, unit)`` differ from true ones.

    Returns
    -------
    Dataset
        ``rate_error`` relative error of the rate (unit), ``fano_ratio`` of the mean Fano factor over units in blocks of 100 bins,
        ``fano_ratio_population`` of the summed count, ``isi_distance`` Kolmogorov-Smirnov distance of the intervals of all units
        within trials, ``correlogram_error`` root mean square difference of the lagged correlations of all pairs (lags 1 to 10),
        ``correlogram_size`` that of the true ones.
    """
    n_units = true.shape[-1]
    rate = made.mean((0, 1)) / np.maximum(true.mean((0, 1)), 1e-12) - 1.0
    fano = [_fano(x) for x in (made, true)]
    both = [_fano(x.sum(-1, keepdims=True)) for x in (made, true)]
    intervals = [_intervals(x) for x in (made, true)]
    correlogram = [_correlogram(x) for x in (made, true)]
    off = ~np.eye(n_units, dtype=bool)
    return xr.Dataset(
        {
            "rate_error": ("unit", rate),
            "fano_ratio": ((), float(np.nanmean(fano[0]) / np.nanmean(fano[1]))),
            "fano_ratio_population": ((), float(both[0][0] / both[1][0])),
            "isi_distance": ((), float(stats.ks_2samp(*intervals).statistic)),
            "correlogram_error": (
                (),
                float(np.sqrt(((correlogram[0] - correlogram[1])[:, off] ** 2).mean())),
            ),
            "correlogram_size": ((), float(np.sqrt((correlogram[1][:, off] ** 2).mean()))),
        }
    )


def _fano(counts: np.ndarray) -> np.ndarray:
    blocks = counts.shape[1] // FANO_BINS
    binned = counts[:, : blocks * FANO_BINS].reshape(counts.shape[0] * blocks, FANO_BINS, -1).sum(1)
    return np.asarray(binned.var(0) / np.maximum(binned.mean(0), 1e-12))


def _intervals(counts: np.ndarray) -> np.ndarray:
    parts = [np.diff(np.flatnonzero(series)) for trial in counts for series in trial.T]
    return np.concatenate([p for p in parts if p.size] or [np.zeros(1)])


def _correlogram(counts: np.ndarray) -> np.ndarray:
    """Correlations ``(lag, target, source)``, a target so many bins after a source."""
    z = (counts - counts.mean((0, 1))) / np.maximum(counts.std((0, 1)), 1e-9)
    n = counts.shape[1]
    return np.stack(
        [
            np.einsum("ktu,ktv->uv", z[:, lag:], z[:, : n - lag]) / (z.shape[0] * (n - lag))
            for lag in range(1, LAGS + 1)
        ]
    )


def retrieval(model: nk.Neuroformer, data: xr.Dataset, *, other: str, among: int, seed: int = 0) -> float:
    """Share of held-out windows whose spikes find their own stimulus among so many, by the contrasted features.

    Windows of one group are drawn from all of the data, so that neighbours are rarely among them; 1 / among is chance.
    """
    features = model.contrasted(data).stack(row=("trial", "window"))
    tokens, others = (features[name].transpose("row", "feature").values for name in ("tokens", other))
    rng = np.random.default_rng(seed)
    hits, asked = 0, 0
    for _ in range(60):
        rows = np.sort(rng.choice(len(tokens), size=min(among, len(tokens)), replace=False))
        alike = tokens[rows] @ others[rows].T
        hits += int((alike.argmax(1) == np.arange(len(rows))).sum())
        asked += len(rows)
    return hits / asked
