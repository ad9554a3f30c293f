"""Ridge regression of a few targets on many columns, its strength chosen on blocks left out, and its posterior."""

from __future__ import annotations

import dataclasses

import numpy as np

__all__ = ["RidgeFit", "fit_ridge"]

ALPHAS = tuple(float(a) for a in np.logspace(-3, 5, 17))
"""Penalties, relative to a column of unit variance times the number of rows / 1000, among which the fit chooses."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RidgeFit:
    """Weights with their Gaussian posterior, ``N(weights, spread_target' spread) `` for columns centred on their mean.

    Parameters
    ----------
    mean_in, scale_in
        Mean and standard deviation of each column in training, ``(column,)``.
    mean_out
        Mean of each target, ``(target,)``.
    weights
        On standardised columns, ``(column, target)``.
    factor
        ``(column, column)`` with ``factor factor' = (X'X + alpha I)^-1``.
    covariance
        Of the residuals on blocks left out, ``(target, target)``.
    alpha
        The penalty.
    """

    mean_in: np.ndarray
    scale_in: np.ndarray
    mean_out: np.ndarray
    weights: np.ndarray
    factor: np.ndarray
    covariance: np.ndarray
    alpha: float

    def standardised(self, columns: np.ndarray) -> np.ndarray:
        """Columns less their mean, over their scale; NaN becomes the mean."""
        z = (columns - self.mean_in) / self.scale_in
        return np.where(np.isnan(z), 0.0, z)

    def predict(self, columns: np.ndarray) -> np.ndarray:
        """Expected targets, ``(row, target)``."""
        return self.standardised(columns) @ self.weights + self.mean_out

    def draws(self, columns: np.ndarray, *, draws: int, rng: np.random.Generator) -> np.ndarray:
        """Expected targets under draws of the weights, ``(draw, row, target)``.

        The weights have the posterior of Bayesian linear regression, matrix normal with the residual covariance across
        targets (Bishop, Pattern Recognition and Machine Learning, section 3.3).
        """
        noise = rng.standard_normal((draws, *self.weights.shape))
        weights = self.weights + self.factor @ noise @ np.linalg.cholesky(self.covariance).T
        return self.standardised(columns) @ weights + self.mean_out


def fit_ridge(
    columns: np.ndarray, targets: np.ndarray, block: np.ndarray, *, alpha: float | None = None
) -> RidgeFit:
    """Fit with the penalty that predicts blocks left out best.

    Parameters
    ----------
    columns
        ``(row, column)``; NaN counts as the column's mean.
    targets
        ``(row, target)``, finite.
    block
        Block of each row, ``(row,)``, left out in turn.
    alpha
        Penalty on standardised columns; None to choose.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(90, 1))
    >>> fit = fit_ridge(x, 2 * x + 1, np.repeat([0, 1, 2], 30))
    >>> fit.predict(np.array([[1.0]])).round(2).tolist()
    [[3.0]]
    """
    grid = ALPHAS if alpha is None else (alpha * 1000.0 / columns.shape[0],)
    residuals = np.zeros((len(grid), *targets.shape))
    for left_out in np.unique(block):
        train, test = block != left_out, block == left_out
        mean, scale = _moments(columns[train])
        centre = targets[train].mean(0)
        values, vectors, projected = _decomposed(
            _standard(columns[train], mean, scale), targets[train] - centre
        )
        seen = _standard(columns[test], mean, scale) @ vectors
        for index, relative in enumerate(grid):
            penalty = relative * train.sum() / 1000.0
            predicted = (seen / (values + penalty)) @ projected + centre
            residuals[index, test] = targets[test] - predicted
    spread = np.maximum(targets.std(0), np.finfo(float).tiny)
    best = int(np.square(residuals / spread).mean((1, 2)).argmin())
    chosen = grid[best] * columns.shape[0] / 1000.0
    mean, scale = _moments(columns)
    centre = targets.mean(0)
    values, vectors, projected = _decomposed(_standard(columns, mean, scale), targets - centre)
    shrunk = 1.0 / (values + chosen)
    covariance = residuals[best].T @ residuals[best] / targets.shape[0]
    return RidgeFit(
        mean_in=mean,
        scale_in=scale,
        mean_out=centre,
        weights=(vectors * shrunk) @ projected,
        factor=vectors * np.sqrt(shrunk),
        covariance=covariance + 1e-9 * np.diag(spread**2),
        alpha=float(chosen),
    )


def _moments(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    known = np.isfinite(columns)
    n = np.maximum(known.sum(0), 1)
    mean = np.where(known, columns, 0.0).sum(0) / n
    scale = np.sqrt(np.where(known, (columns - mean) ** 2, 0.0).sum(0) / n)
    return mean, np.where(scale > 1e-12, scale, 1.0)


def _standard(columns: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    z = (columns - mean) / scale
    return np.where(np.isnan(z), 0.0, z)


def _decomposed(z: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Eigenvalues and vectors of ``Z'Z`` and ``V'Z'Y``: with them every penalty costs one product."""
    values, vectors = np.linalg.eigh(z.T @ z)
    return np.maximum(values, 0.0), vectors, vectors.T @ (z.T @ targets)
