"""Reduced-rank regression: directions of the inputs that predict the targets best, in order."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

__all__ = ["PENALTIES", "RANKS", "LatentMap", "cross_fitted", "learn_maps"]

PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Ridge penalties on standardised inputs, as a share of the number of rows, among which the model chooses."""

RANKS = (1, 2, 3, 5, 8, 12)
"""Ranks among which the model chooses."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LatentMap:
    """From inputs to latents of unit variance in training, the most predictive first.

    Parameters
    ----------
    mean, scale
        Of each input, ``(input,)``.
    weights
        Of the ridge regression, ``(input, target)`` on standardised inputs.
    principal
        From predicted targets to latents, ``(target, latent)``.
    """

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    principal: np.ndarray

    @property
    def n_latents(self) -> int:
        """Number of latents, the rank of the prediction."""
        return int(self.principal.shape[1])

    def predicted(self, inputs: np.ndarray) -> np.ndarray:
        """Ridge prediction of the standardised targets, ``(row, target)``."""
        return np.asarray(((inputs - self.mean) / self.scale) @ self.weights)

    def latents(self, inputs: np.ndarray) -> np.ndarray:
        """Latents ``(row, latent)`` of inputs ``(row, input)``."""
        return np.asarray(self.predicted(inputs) @ self.principal)


def cross_fitted(
    final: LatentMap,
    inputs: np.ndarray,
    targets: np.ndarray,
    valid: np.ndarray,
    *,
    block: np.ndarray,
    penalty: float,
) -> np.ndarray:
    """Latents of each block of rows from regressions that did not see it, ``(row, latent)``.

    In the rows it was fitted to a regression looks better than it is, and a readout that is fitted to its latents there is
    too sure of them. Predictions of targets mean the same in every fold, so they share the principal directions of the
    final map (stacking: Wolpert 1992, Neural Networks 5:241).
    """
    predicted = np.empty(targets.shape)
    for left_out in np.unique(block):
        train, test = block != left_out, block == left_out
        [fold] = learn_maps(inputs[train], targets[train], valid[train], penalties=(penalty,))
        predicted[test] = fold.predicted(inputs[test])
    return np.asarray(predicted @ final.principal)


def learn_maps(
    inputs: np.ndarray, targets: np.ndarray, valid: np.ndarray, *, penalties: Sequence[float]
) -> list[LatentMap]:
    """One map for each ridge penalty.

    With standardised inputs ``Z`` and targets ``Y`` (counts less their mean, over the square root of it, so that Poisson
    noise weighs alike in all units), ``B = (Z'Z + n penalty I)^-1 Z'Y``; the singular vectors of the prediction ``Z B`` give
    the directions (Izenman 1975, with the identity as weight).

    Parameters
    ----------
    inputs
        ``(row, input)``.
    targets, valid
        ``(row, target)``; where not valid a target counts as its mean.
    penalties
        Shares of the number of rows.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(200, 3))
    >>> y = np.outer(x[:, 0], [1.0, 2.0]) + 5.0
    >>> [found] = learn_maps(x, y, np.ones_like(y, bool), penalties=(0.001,))
    >>> latent = found.latents(x)[:, 0]
    >>> bool(abs(np.corrcoef(latent, x[:, 0])[0, 1]) > 0.999)
    True
    """
    n_rows = inputs.shape[0]
    mean, scale = inputs.mean(0), inputs.std(0)
    scale = np.where(scale > 1e-12, scale, 1.0)
    z = (inputs - mean) / scale
    level = np.where(valid, targets, 0).sum(0) / np.maximum(valid.sum(0), 1)
    apart = np.where(valid, targets - level, 0.0) / np.sqrt(np.maximum(level, 1e-6))
    values, vectors = np.linalg.eigh(z.T @ z)
    values = np.maximum(values, 0.0)
    projected = vectors.T @ (z.T @ apart)
    maps = []
    for penalty in penalties:
        weights = (vectors / (values + penalty * n_rows)) @ projected  # (input, target)
        # The prediction's second moments, from those of the inputs: no array over rows is decomposed.
        rotated = vectors.T @ weights
        moments = rotated.T @ (values[:, None] * rotated) / n_rows  # (target, target)
        variance, principal = np.linalg.eigh(moments)
        order = np.argsort(variance)[::-1]
        keep = order[variance[order] > 1e-10 * max(float(variance[order[0]]), 1e-300)]
        directions = principal[:, keep] / np.sqrt(np.maximum(variance[keep], 1e-300))
        maps.append(LatentMap(mean=mean, scale=scale, weights=weights, principal=directions))
    return maps
