"""Spikes that a GLM makes when nothing but its covariates is given: each bin feels the spikes drawn before it."""

from __future__ import annotations

import numpy as np

from neurokit_snn.models.glm.history import past
from neurokit_snn.models.poisson_regression import LOG_RATE_LIMIT

__all__ = ["free_run"]


def free_run(
    tuned: np.ndarray,
    weights: np.ndarray,
    *,
    kernel: np.ndarray,
    mean: np.ndarray,
    limit: np.ndarray,
    coupling: bool,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Simulate bin by bin.

    Parameters
    ----------
    tuned
        Log expected counts without the past, ``(draw, trial, time, unit)``.
    weights
        Of the filtered past, ``(draw, unit, basis)``, or ``(draw, unit, unit x basis)`` with ``coupling``.
    kernel
        ``(lag, basis)``.
    mean
        Mean count in a bin, what is assumed of bins before the trial, ``(unit,)``.
    limit
        Most expected spikes in a bin, ``(unit,)``: excitatory feedback can run away in simulation (Gerhard, Deger and
        Truccolo 2017, PLoS Comput. Biol. 13:e1005390), and one such path would drown the mean of all.
    coupling
        Whether units feel each other's past.
    rng
        Source of the spikes.

    Returns
    -------
    rates, counts : ndarray, (draw, trial, time, unit)
        Expected counts along the simulated paths, and the spikes of these paths.
    """
    n_draws, n_trials, n_time, n_units = tuned.shape
    counts = np.zeros((n_draws * n_trials, n_time, n_units))
    known = np.ones(counts.shape, dtype=bool)
    rates = np.empty(tuned.shape)
    equation = "dkx,dux->dku" if coupling else "dkux,dux->dku"
    for t in range(n_time):
        filtered = past(counts, known, mean, kernel, to=t)
        filtered = filtered.reshape(n_draws, n_trials, *((-1,) if coupling else (n_units, -1)))
        eta = tuned[:, :, t] + np.einsum(equation, filtered, weights)
        rates[:, :, t] = np.minimum(np.exp(np.minimum(eta, LOG_RATE_LIMIT)), limit)
        counts[:, t] = rng.poisson(rates[:, :, t]).reshape(n_draws * n_trials, n_units)
    return rates, counts.reshape(tuned.shape)
