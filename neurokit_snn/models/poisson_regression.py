"""Ridge-penalised Poisson regression of many units on one design: Newton's method and Laplace's approximation.

The objective of unit ``u`` with weights ``w`` (the first is the intercept, never penalised) is

    sum_t m_tu (y_tu x_t'w - exp(x_t'w)) - sum_j lambda_j w_j**2 / 2,

the log posterior under the prior ``w_j ~ N(0, 1 / lambda_j)``; it is concave, so Newton's steps, halved until they
ascend, find its one maximum. The negative Hessian there, the penalised Fisher information, is the inverse covariance of
Laplace's Gaussian approximation (Bishop, Pattern Recognition and Machine Learning, section 4.4).
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Self

import numpy as np
import scipy.sparse as sp
from scipy.linalg import solve_triangular

from neurokit_snn.errors import ModelError

__all__ = [
    "PoissonDesign",
    "choose_strength",
    "information",
    "log_likelihood",
    "newton",
    "observed_somewhere",
    "observed_targets",
    "start_weights",
]

LOG_RATE_LIMIT = 30.0
"""Linear predictors are cut off here before they are exponentiated."""

CHUNK_ROWS = 4096


@dataclasses.dataclass(frozen=True)
class PoissonDesign:
    """Regressors of many units: columns that all units share, and columns of each unit's own.

    Parameters
    ----------
    shared
        ``(row, shared feature)``; the first column is all ones.
    own
        ``(row, unit, own feature)`` or None, for instance each unit's own past.

    Notes
    -----
    Weights have dims ``(unit, feature)`` with the shared features first.
    """

    shared: np.ndarray
    own: np.ndarray | None = None

    @property
    def n_features(self) -> int:
        """Number of weights of one unit."""
        return self.shared.shape[1] + (0 if self.own is None else self.own.shape[2])

    def take(self, rows: np.ndarray) -> Self:
        """The design of some rows only."""
        part = type(self)(self.shared[rows], None if self.own is None else self.own[rows])
        if "_pairs" in self.__dict__:  # slicing the products is cheaper than making them again
            part.__dict__["_pairs"] = None if self._pairs is None else self._pairs[rows]
        return part

    def take_units(self, units: np.ndarray) -> Self:
        """The design of some units only."""
        part = type(self)(self.shared, None if self.own is None else self.own[:, units])
        if "_pairs" in self.__dict__:
            part.__dict__["_pairs"] = self._pairs
        return part

    def predictor(self, weights: np.ndarray) -> np.ndarray:
        """Linear predictors ``x'w``, ``(row, unit)``, of weights ``(unit, feature)``."""
        n_shared = self.shared.shape[1]
        eta = self.shared @ weights[:, :n_shared].T
        if self.own is not None:
            eta = eta + np.einsum("nuf,uf->nu", self.own, weights[:, n_shared:])
        return eta

    def gradient(self, residual: np.ndarray) -> np.ndarray:
        """``X'r`` of residuals ``(row, unit)``, ``(unit, feature)``."""
        shared = residual.T @ self.shared
        if self.own is None:
            return shared
        return np.concatenate([shared, np.einsum("nuf,nu->uf", self.own, residual)], axis=1)

    def products(self, weight: np.ndarray) -> np.ndarray:
        """``X' diag(weight) X`` of weights ``(row, unit)``, ``(unit, feature, feature)``."""
        n_shared, n_units = self.shared.shape[1], weight.shape[1]
        upper = np.triu_indices(n_shared)
        if self._pairs is not None:
            packed = (self._pairs.T @ weight).T  # (unit, pair)
        else:
            packed = np.zeros((n_units, upper[0].size))
            for first in range(0, weight.shape[0], CHUNK_ROWS):
                part = self.shared[first : first + CHUNK_ROWS]
                packed += weight[first : first + CHUNK_ROWS].T @ (part[:, upper[0]] * part[:, upper[1]])
        full = np.zeros((n_units, self.n_features, self.n_features))
        full[:, upper[0], upper[1]] = packed
        full[:, upper[1], upper[0]] = packed
        if self.own is not None:
            weighted = self.own * weight[:, :, None]  # (row, unit, own)
            cross = np.tensordot(self.shared, weighted, axes=(0, 0)).transpose(1, 0, 2)  # (unit, shared, own)
            full[:, :n_shared, n_shared:] = cross
            full[:, n_shared:, :n_shared] = cross.transpose(0, 2, 1)
            full[:, n_shared:, n_shared:] = np.einsum("nuf,nug->ufg", self.own, weighted)
        return full

    @functools.cached_property
    def _pairs(self) -> sp.csr_array | None:
        """Products of all pairs of shared columns, ``(row, pair)``, where splines leave them sparse enough."""
        n_rows, n_shared = self.shared.shape
        nonzero = self.shared != 0
        width = int(nonzero.sum(1).max(initial=0))
        if width * (width + 1) * 4 > n_shared * (n_shared + 1):
            return None
        # Columns of the nonzero entries of each row, padded by columns whose entry is zero.
        columns = np.sort(np.argsort(~nonzero, axis=1, kind="stable")[:, :width], axis=1)
        entries = np.take_along_axis(self.shared, columns, axis=1)
        a, b = np.triu_indices(width)
        low, high = columns[:, a], columns[:, b]  # low <= high
        index = low * n_shared - low * (low - 1) // 2 + high - low  # place in np.triu_indices(n_shared)
        starts = np.arange(n_rows + 1) * a.size
        size = n_shared * (n_shared + 1) // 2
        return sp.csr_array(
            ((entries[:, a] * entries[:, b]).ravel(), index.ravel(), starts), shape=(n_rows, size)
        )


def start_weights(design: PoissonDesign, counts: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    """Weights of a constant rate, ``(unit, feature)``."""
    bins = counts.shape[0] if valid is None else np.maximum(valid.sum(0), 1)
    spikes = counts.sum(0) if valid is None else np.where(valid, counts, 0).sum(0)
    weights = np.zeros((counts.shape[1], design.n_features))
    weights[:, 0] = np.log(np.maximum(spikes, 0.5) / bins)
    return weights


def newton(
    design: PoissonDesign,
    counts: np.ndarray,
    valid: np.ndarray | None,
    *,
    precision: np.ndarray,
    start: np.ndarray | None = None,
    tolerance: float = 1e-8,
    max_steps: int = 100,
    who: str = "Poisson regression",
) -> np.ndarray:
    """Weights that maximise the penalised log-likelihood.

    Parameters
    ----------
    design
        Regressors.
    counts
        ``(row, unit)``; a unit without a single spike is given half a spike, spread evenly, for its maximum would be at
        minus infinity.
    valid
        ``(row, unit)``, True where a count was observed; None for everywhere. A unit never observed is given the first row,
        so that its posterior is proper.
    precision
        ``(feature,)`` of the Gaussian prior, 0 for none.
    start
        Weights to start from, ``(unit, feature)``; None for constant rates.
    tolerance
        Stop when no weight moves by more.
    max_steps
        Most Newton steps.
    who
        Who asks, for the message.

    Returns
    -------
    ndarray, (unit, feature)

    Raises
    ------
    ModelError
        When the design is collinear and nothing penalises it, or the steps do not settle.

    Examples
    --------
    >>> import numpy as np
    >>> design = PoissonDesign(np.ones((4, 1)))
    >>> weights = newton(design, np.array([[1], [2], [3], [2]]), None, precision=np.zeros(1))
    >>> float(np.exp(weights[0, 0]).round(6))
    2.0
    """
    valid = observed_somewhere(valid)
    targets = observed_targets(counts, valid)
    weights = start_weights(design, counts, valid) if start is None else start.copy()

    def objective(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        eta = np.minimum(design.predictor(w), LOG_RATE_LIMIT)
        rate = np.exp(eta)
        values = targets * eta - rate
        if valid is not None:
            rate, values = np.where(valid, rate, 0.0), np.where(valid, values, 0.0)
        return values.sum(0) - 0.5 * (precision * w**2).sum(1), rate

    value, rate = objective(weights)
    for _ in range(max_steps):
        gradient = design.gradient(targets - rate) - precision * weights
        hessian = design.products(rate) + np.diag(precision)
        step = _solved(hessian, gradient, who)
        size = np.ones(weights.shape[0])
        for _halving in range(40):
            trial = weights + size[:, None] * step
            new_value, new_rate = objective(trial)
            worse = ~(new_value >= value - 1e-9 * np.abs(value))
            if not worse.any():
                break
            size[worse] *= 0.5
        weights, value, rate = trial, new_value, new_rate
        if np.abs(size[:, None] * step).max() <= tolerance:
            return weights
    raise ModelError(
        f"{who}: the fit did not settle in {max_steps} Newton steps (last step {np.abs(step).max():.2g}); "
        "use a larger strength"
    )


def information(
    design: PoissonDesign, weights: np.ndarray, valid: np.ndarray | None, *, precision: np.ndarray
) -> np.ndarray:
    """Penalised Fisher information, the inverse of Laplace's covariance, ``(unit, feature, feature)``."""
    valid = observed_somewhere(valid)
    rate = np.exp(np.minimum(design.predictor(weights), LOG_RATE_LIMIT))
    if valid is not None:
        rate = np.where(valid, rate, 0.0)
    return design.products(rate) + np.diag(precision)


def log_likelihood(
    design: PoissonDesign,
    weights: np.ndarray,
    counts: np.ndarray,
    valid: np.ndarray | None,
    *,
    precision: np.ndarray,
) -> np.ndarray:
    """Log-likelihood of each unit at the posterior mean of its rate, without the term of ``y!``, ``(unit,)``.

    Under Laplace's posterior the rate is log-normal with mean ``exp(x'w + x'Cx / 2)``. At the mode alone, a weak prior
    would cost a unit nothing that is silent over part of the design, though its mean rate there is far too high.

    Parameters
    ----------
    design, weights, counts, valid
        As in `newton`.
    precision
        Inverse of Laplace's covariance ``C``, from `information`, ``(unit, feature, feature)``.
    """
    eta = np.minimum(design.predictor(weights) + 0.5 * _predictor_variance(design, precision), LOG_RATE_LIMIT)
    values = counts * eta - np.exp(eta)
    return np.asarray((values if valid is None else np.where(valid, values, 0.0)).sum(0))


def _predictor_variance(design: PoissonDesign, precision: np.ndarray) -> np.ndarray:
    """Variance ``x'Cx`` of the linear predictors, ``(row, unit)``, from the inverse of ``C``."""
    variance = np.empty((design.shared.shape[0], precision.shape[0]))
    for unit, inverse in enumerate(precision):
        columns = design.shared
        if design.own is not None:
            columns = np.concatenate([columns, design.own[:, unit]], axis=1)
        factor = np.linalg.cholesky(inverse)
        variance[:, unit] = np.square(solve_triangular(factor, columns.T, lower=True)).sum(0)
    return variance


def choose_strength(
    design: PoissonDesign,
    counts: np.ndarray,
    valid: np.ndarray | None,
    *,
    penalised: np.ndarray,
    block: np.ndarray,
    grid: tuple[float, ...],
    who: str = "Poisson regression",
) -> tuple[float, np.ndarray]:
    """Choose the prior precision by the likelihood of contiguous blocks left out, all units together.

    Each block is left out once; within it the grid is walked from the strongest penalty to the weakest, every fit starting
    from the one before.

    Parameters
    ----------
    design, counts, valid
        As in `newton`.
    penalised
        ``(feature,)`` 1.0 where the strength applies, 0.0 where not.
    block
        Block of each row, ``(row,)``.
    grid
        Strengths to choose from.
    who
        Who asks, for the message.

    Returns
    -------
    strength : float
    weights : ndarray, (unit, feature)
        Mean over blocks of the weights at that strength: a good start for the fit to all rows.
    """
    order = np.argsort(grid)[::-1]
    scores = np.zeros(len(grid))
    found = np.zeros((len(grid), counts.shape[1], design.n_features))
    blocks = np.unique(block)
    design.products(
        np.zeros(counts.shape)
    )  # makes the products of columns once, before the rows are taken apart
    for left_out in blocks:
        train, test = np.flatnonzero(block != left_out), np.flatnonzero(block == left_out)
        seen, unseen = design.take(train), design.take(test)
        masks = (None, None) if valid is None else (valid[train], valid[test])
        weights = None
        for index in order:
            weights = newton(
                seen,
                counts[train],
                masks[0],
                precision=grid[index] * penalised,
                start=weights,
                tolerance=1e-3,
                who=who,
            )
            precision = information(seen, weights, masks[0], precision=grid[index] * penalised)
            scores[index] += log_likelihood(
                unseen, weights, counts[test], masks[1], precision=precision
            ).sum()
            found[index] += weights / blocks.size
    best = int(scores.argmax())
    return float(grid[best]), found[best]


def observed_somewhere(valid: np.ndarray | None) -> np.ndarray | None:
    """The mask ``(row, unit)`` with one row for each unit that was never observed; None where all is observed."""
    if valid is None or valid.all():
        return None
    unseen = ~valid.any(0)
    if not unseen.any():
        return valid
    valid = valid.copy()
    valid[0, unseen] = True
    return valid


def observed_targets(counts: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    """Counts where they were observed, 0 elsewhere; a silent unit has half a spike, spread evenly, ``(row, unit)``."""
    observed = np.ones(counts.shape, dtype=bool) if valid is None else valid
    targets = np.where(observed, counts, 0).astype(np.float64)
    silent = targets.sum(0) == 0
    bins = np.maximum(observed.sum(0), 1)
    targets[:, silent] = np.where(observed[:, silent], 0.5 / bins[silent], 0.0)
    return targets


def _solved(hessian: np.ndarray, gradient: np.ndarray, who: str) -> np.ndarray:
    try:
        np.linalg.cholesky(hessian)
        step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
    except np.linalg.LinAlgError:
        raise ModelError(
            f"{who}: columns of the design depend on each other and nothing penalises them; use a strength above 0"
        ) from None
    return np.asarray(step)
