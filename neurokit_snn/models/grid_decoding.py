"""Decoding on a grid: maps of the rate over cells, the likelihood of spikes in each cell, and a smoother over time.

All arrays over the grid keep one dimension an axis; Gaussian kernels are separable, one matrix an axis, so that neither
smoothing a map nor one step of the random walk ever forms a matrix of all cells by all cells.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Self

import numpy as np
import scipy.sparse as sp
from scipy.special import gammaln

from neurokit_snn.models.covariates import Covariate

__all__ = ["GridAxes", "RateMaps", "forward_backward", "learn_maps", "spread"]

PRIOR_SHAPE = 1.0
"""Spikes that the prior of the rate in a cell is worth; it is centred on the unit's mean rate."""

UNIFORM_SHARE = 0.02
"""Share of the prior over cells (and of each step of the walk) that ignores where the animal was seen in training."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class GridAxes:
    """Equal cells along one or two axes.

    Parameters
    ----------
    edges
        Edges of the cells of each axis, in the units of the behaviour.
    circular
        Whether each axis closes on itself.
    """

    edges: tuple[np.ndarray, ...]
    circular: tuple[bool, ...]

    @classmethod
    def around(cls, found: Covariate, *, bins: int) -> Self:
        """Cells over the range of a behaviour, reaching half a cell beyond it on either side."""
        edges = []
        for index in range(len(found.axes)):
            if found.kind == "circular":
                edges.append(np.linspace(0.0, found.period, bins + 1))
                continue
            values = found.values[found.valid][:, index]
            half = 0.5 * (values.max() - values.min()) / max(1, bins - 1)
            edges.append(np.linspace(values.min() - half, values.max() + half, bins + 1))
        return cls(edges=tuple(edges), circular=(found.kind == "circular",) * len(found.axes))

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of cells along each axis."""
        return tuple(e.size - 1 for e in self.edges)

    def cells(self, values: np.ndarray) -> np.ndarray:
        """Cell of each point ``(row, axis)`` in C order, points beyond the grid going to its border."""
        index = []
        for axis, edge in enumerate(self.edges):
            along = values[:, axis]
            if self.circular[axis]:
                along = edge[0] + np.mod(along - edge[0], edge[-1] - edge[0])
            index.append(np.clip(np.searchsorted(edge, along, side="right") - 1, 0, edge.size - 2))
        return np.ravel_multi_index(index, self.shape)

    def differences(self, steps: np.ndarray) -> np.ndarray:
        """Signed differences ``(row, axis)``, the short way around on circular axes."""
        out = steps.copy()
        for axis, edge in enumerate(self.edges):
            if self.circular[axis]:
                period = edge[-1] - edge[0]
                out[:, axis] = np.mod(steps[:, axis] + period / 2, period) - period / 2
        return out

    def kernels(self, widths: Sequence[float] | np.ndarray) -> list[np.ndarray]:
        """Gaussian kernel matrix of each axis, ``(cell, cell)``, with a standard deviation in the units of the axis."""
        made = []
        for edge, circular, width in zip(self.edges, self.circular, widths, strict=True):
            middle = (edge[1:] + edge[:-1]) / 2
            distance = np.abs(middle[:, None] - middle[None, :])
            if circular:
                distance = np.minimum(distance, edge[-1] - edge[0] - distance)
            made.append(np.exp(-0.5 * (distance / width) ** 2) if width > 0 else np.eye(middle.size))
        return made

    def cell_widths(self) -> tuple[float, ...]:
        """Width of a cell along each axis."""
        return tuple(float(e[1] - e[0]) for e in self.edges)


def spread(values: np.ndarray, kernels: Sequence[np.ndarray]) -> np.ndarray:
    """Multiply the last axes of ``values`` by one symmetric matrix each."""
    for offset, kernel in enumerate(reversed(kernels)):
        values = np.moveaxis(np.moveaxis(values, -1 - offset, -1) @ kernel, -1, -1 - offset)
    return values


@dataclasses.dataclass(frozen=True, kw_only=True)
class RateMaps:
    """Gamma posteriors of the rate of each unit in each cell, and the prior over cells.

    Parameters
    ----------
    shape, exposure
        Of the Gamma distribution of spikes per bin, ``(unit, cell)``.
    prior
        Probability of each cell, ``(cell,)``.
    """

    shape: np.ndarray
    exposure: np.ndarray
    prior: np.ndarray

    def log_likelihood(self, counts: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Log probability of the counts of each bin in each cell, ``(row, cell)``; units that are not valid say nothing.

        Given the cell, units are independent (naive Bayes). The rate of each is integrated over its posterior, so a
        count is negative binomial; ``log y!``, the same in all cells, is left out.
        """
        n_units, n_cells = self.shape.shape
        highest = int(np.where(valid, counts, 0).max(initial=0)) + 1
        y = np.arange(highest)[None, :, None]
        a, b = self.shape[:, None, :], self.exposure[:, None, :]
        table = gammaln(a + y) - gammaln(a) - a * np.log1p(1.0 / b) - y * np.log1p(b)  # (unit, count, cell)
        rows, units = np.nonzero(valid)
        picks = sp.csr_array(
            (np.ones(rows.size), (rows, units * highest + counts[rows, units])),
            shape=(counts.shape[0], n_units * highest),
        )
        return np.asarray(picks @ table.reshape(-1, n_cells))


def learn_maps(
    axes: GridAxes, cell: np.ndarray, counts: np.ndarray, valid: np.ndarray, *, smoothing: float
) -> RateMaps:
    """Maps from training bins.

    Spikes and time in each cell are smoothed by the same kernel before they are divided; the smoothed sums carry the
    evidence of ``(sum k)**2 / sum k**2`` cells. Without evidence the rate of a cell is the mean rate of the unit.

    Parameters
    ----------
    axes
        The grid.
    cell
        Cell of each bin, ``(row,)``.
    counts, valid
        ``(row, unit)``.
    smoothing
        Standard deviation of the kernel in cells.
    """
    n_cells = int(np.prod(axes.shape))
    where = sp.csr_array((np.ones(cell.size), (cell, np.arange(cell.size))), shape=(n_cells, cell.size))
    spikes = (where @ np.where(valid, counts, 0)).T.reshape(-1, *axes.shape)
    bins = (where @ valid.astype(np.float64)).T.reshape(-1, *axes.shape)
    seen = np.bincount(cell, minlength=n_cells).astype(np.float64).reshape(axes.shape)
    kernels = axes.kernels([smoothing * width for width in axes.cell_widths()])
    gain = 1.0
    for kernel in kernels:
        middle = kernel[kernel.shape[0] // 2]
        gain *= middle.sum() / np.square(middle).sum()
    norm = float(np.prod([k[k.shape[0] // 2].sum() for k in kernels]))
    spikes, bins, seen = (spread(v, kernels) / norm for v in (spikes, bins, seen))
    total = np.maximum(np.where(valid, counts, 0).sum(0), 0.5)
    mean = total / np.maximum(valid.sum(0), 1)  # (unit,)
    prior = seen.ravel() / seen.sum()
    return RateMaps(
        shape=PRIOR_SHAPE + gain * spikes.reshape(-1, n_cells),
        exposure=PRIOR_SHAPE / mean[:, None] + gain * bins.reshape(-1, n_cells),
        prior=(1.0 - UNIFORM_SHARE) * prior + UNIFORM_SHARE / n_cells,
    )


def forward_backward(
    log_likelihood: np.ndarray, prior: np.ndarray, kernels: Sequence[np.ndarray]
) -> np.ndarray:
    """Probability of each cell at each time given all spikes of the trial, for a random walk among the cells.

    The walk goes from cell ``i`` to ``j`` with probability proportional to ``K_ij prior_j`` (K Gaussian), so it stays where the
    animal was seen in training, and with a small probability jumps anywhere by the prior. Each trial starts from the prior.

    Parameters
    ----------
    log_likelihood
        ``(trial, time, cell)``; zero where nothing was observed.
    prior
        ``(cell,)``.
    kernels
        One matrix an axis, see `GridAxes.kernels`.

    Returns
    -------
    ndarray, (trial, time, cell)
        Probabilities that sum to one over cells.
    """
    shape = tuple(k.shape[0] for k in kernels)
    home = prior.reshape(shape)
    norm = spread(home, kernels)
    n_trials, n_time, _ = log_likelihood.shape
    flat = tuple(range(1, 1 + len(shape)))
    likelihood = np.exp(log_likelihood - log_likelihood.max(-1, keepdims=True)).reshape(
        n_trials, n_time, *shape
    )

    def scaled(p: np.ndarray) -> np.ndarray:
        return p / p.sum(axis=flat, keepdims=True)

    filtered = np.empty_like(likelihood)
    arriving = np.broadcast_to(home, (n_trials, *shape))
    for t in range(n_time):
        filtered[:, t] = scaled(arriving * likelihood[:, t])
        walked = spread(filtered[:, t] / norm, kernels) * home
        arriving = (1.0 - UNIFORM_SHARE) * walked + UNIFORM_SHARE * home
    later = np.ones((n_trials, *shape))
    smoothed = np.empty_like(filtered)
    smoothed[:, -1] = filtered[:, -1]
    for t in range(n_time - 2, -1, -1):
        ahead = likelihood[:, t + 1] * later
        jumped = (ahead * home).sum(axis=flat, keepdims=True)
        later = scaled((1.0 - UNIFORM_SHARE) * spread(ahead * home, kernels) / norm + UNIFORM_SHARE * jumped)
        smoothed[:, t] = scaled(filtered[:, t] * later)
    return smoothed.reshape(n_trials, n_time, -1)
