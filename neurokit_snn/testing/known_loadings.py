"""The ceiling of a fit to simulated spikes: latents found with the loadings that made them."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh

from neurokit_snn.errors import ModelError

__all__ = ["known_loading_latents"]

SMALLEST_EIGENVALUE = 1e-12
"""Directions of the kernel below this share of its largest eigenvalue carry no latent."""

STEEPEST = 1e-10
"""Newton's method stops when no component of the gradient, by whitened coefficients, is larger per spike of the trial."""

MOST_STEPS = 100


def known_loading_latents(
    counts: np.ndarray,
    *,
    loading: np.ndarray,
    offset: np.ndarray,
    length_scale_bins: float | np.ndarray,
    variance: float | np.ndarray = 1.0,
) -> np.ndarray:
    """Latents at the mode of the posterior of a Poisson GPFA whose parameters are the true ones.

    ``y_tu ~ Poisson(exp(sum_p loading_up z_tp + offset_u))`` with each latent a Gaussian process of kernel
    ``variance exp(-(t - t')^2 / (2 length_scale_bins^2))`` over bins. No model that has to learn its loadings from the same
    spikes can be expected to do better, so this is what neural-only fits are measured against. The posterior is
    log-concave: Newton's method with a line search finds its only mode (as for the Laplace approximation of Rasmussen and
    Williams, Gaussian Processes for Machine Learning, 2006, section 3.4), in coefficients ``c ~ N(0, 1)`` of the kernel's
    eigenvectors, ``z = eigenvectors sqrt(eigenvalues) c``, for all trials at once.

    Parameters
    ----------
    counts
        Spikes in each bin, ``(trial, time, unit)``.
    loading
        ``(unit, latent)``, in log spikes for one unit of the latent.
    offset
        ``(unit,)``, in log spikes per bin.
    length_scale_bins
        Of the kernel, in bins; one, or one for each latent.
    variance
        Of the kernel; one, or one for each latent.

    Returns
    -------
    ndarray, (trial, time, latent)

    Raises
    ------
    ModelError
        When shapes do not agree, counts are negative or not finite, a length scale or variance is not above 0, or the search
        does not end.

    Examples
    --------
    >>> import numpy as np
    >>> spikes = np.array([[[0], [0], [4], [5], [4], [0], [0]]])
    >>> found = known_loading_latents(spikes, loading=np.ones((1, 1)), offset=np.zeros(1), length_scale_bins=1.5)
    >>> int(found[0, :, 0].argmax())
    3
    """
    counts, loading, offset = (np.asarray(a, dtype=np.float64) for a in (counts, loading, offset))
    scales, variances = _checked(counts, loading, offset, length_scale_bins, variance)
    n_trials, n_time, _ = counts.shape
    basis = _basis(n_time, scales, variances)  # (time, latent, coefficient), z_tp = sum_k basis_tpk c_pk
    shape = basis.shape[1:]
    found = np.zeros((n_trials, *shape))
    waiting = np.arange(n_trials)
    for _ in range(MOST_STEPS):
        there = found[waiting]
        expected, gradient = _slope(there, counts[waiting], basis, loading, offset)
        steepest = np.abs(gradient).max((1, 2)) / (1.0 + counts[waiting].sum((1, 2)))
        going = steepest > STEEPEST
        if not going.any():
            return np.einsum("tpk,rpk->rtp", basis, found)
        waiting, there, expected, gradient = (a[going] for a in (waiting, there, expected, gradient))
        step = _newton_step(expected, gradient, basis, loading)
        found[waiting] = _uphill(there, step, gradient, counts[waiting], basis, loading, offset)
    raise ModelError(
        f"known_loading_latents: {waiting.size} of {n_trials} trials, the first being number {waiting[0]}, have no mode "
        f"after {MOST_STEPS} steps; check that loading and offset are those that made the counts"
    )


def _checked(
    counts: np.ndarray,
    loading: np.ndarray,
    offset: np.ndarray,
    length_scale_bins: float | np.ndarray,
    variance: float | np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Length scales and variances of each latent, ``(latent,)``; errors where something does not fit."""
    who = "known_loading_latents"
    if counts.ndim != 3 or loading.ndim != 2 or offset.shape != loading.shape[:1]:
        raise ModelError(
            f"{who}: counts has shape {counts.shape}, loading {loading.shape}, offset {offset.shape}; give "
            "(trial, time, unit), (unit, latent) and (unit,)"
        )
    if counts.shape[2] != loading.shape[0]:
        raise ModelError(
            f"{who}: counts has {counts.shape[2]} units, loading {loading.shape[0]}; give the same"
        )
    bad = np.argwhere(~(np.isfinite(counts) & (counts >= 0)))
    if bad.size:
        trial, time, unit = (int(i) for i in bad[0])
        raise ModelError(
            f"{who}: counts at trial {trial}, bin {time}, unit {unit} is {counts[trial, time, unit]:.6g}; give 0 or more"
        )
    made = []
    for name, given in (("length_scale_bins", length_scale_bins), ("variance", variance)):
        values = np.asarray(given, dtype=np.float64)
        if values.shape not in ((), loading.shape[1:]) or not (values > 0).all():
            raise ModelError(
                f"{who}: {name} is {given}; give one number above 0, or one for each of {loading.shape[1]} latents"
            )
        made.append(np.broadcast_to(values, loading.shape[1:]))
    return made[0], made[1]


def _basis(n_time: int, scales: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """Eigenvectors of each kernel times the roots of their eigenvalues, ``(time, latent, coefficient)``.

    Latents with fewer eigenvalues of note are filled up with columns of zeros, whose coefficients stay at 0.
    """
    time = np.arange(n_time)
    parts = []
    for scale, variance in zip(scales, variances, strict=True):
        values, vectors = eigh(variance * np.exp(-0.5 * ((time[:, None] - time) / scale) ** 2))
        kept = values > SMALLEST_EIGENVALUE * values[-1]
        parts.append(vectors[:, kept] * np.sqrt(values[kept]))
    basis = np.zeros((n_time, len(parts), max(part.shape[1] for part in parts)))
    for latent, part in enumerate(parts):
        basis[:, latent, : part.shape[1]] = part
    return basis


def _predictor(c: np.ndarray, basis: np.ndarray, loading: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Log expected counts, ``(trial, time, unit)``."""
    return np.asarray(np.einsum("tpk,rpk->rtp", basis, c) @ loading.T + offset)


def _objective(
    c: np.ndarray, counts: np.ndarray, basis: np.ndarray, loading: np.ndarray, offset: np.ndarray
) -> np.ndarray:
    """Log joint density of each trial up to a constant, ``(trial,)``; -inf where it overflows."""
    predictor = _predictor(c, basis, loading, offset)
    with np.errstate(over="ignore", invalid="ignore"):
        value = (counts * predictor - np.exp(predictor)).sum((1, 2)) - 0.5 * np.square(c).sum((1, 2))
    return np.where(np.isfinite(value), value, -np.inf)


def _slope(
    c: np.ndarray, counts: np.ndarray, basis: np.ndarray, loading: np.ndarray, offset: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Expected counts ``(trial, time, unit)``, and the gradient of the objective ``(trial, latent, coefficient)``."""
    expected = np.exp(_predictor(c, basis, loading, offset))
    return expected, np.einsum("rtp,tpk->rpk", (counts - expected) @ loading, basis) - c


def _newton_step(
    expected: np.ndarray, gradient: np.ndarray, basis: np.ndarray, loading: np.ndarray
) -> np.ndarray:
    """Solve (minus Hessian) step = gradient in each trial."""
    n_trials, n_latents, n_coefficients = gradient.shape
    size = n_latents * n_coefficients
    hessian = np.empty((n_trials, n_latents, n_coefficients, n_latents, n_coefficients))
    for p in range(n_latents):
        for q in range(n_latents):
            weight = expected @ (loading[:, p] * loading[:, q])  # (trial, time)
            hessian[:, p, :, q] = (basis[:, p].T * weight[:, None]) @ basis[:, q]
    matrix = hessian.reshape(n_trials, size, size) + np.eye(size)
    return np.linalg.solve(matrix, gradient.reshape(n_trials, size, 1)).reshape(gradient.shape)


def _uphill(
    c: np.ndarray,
    step: np.ndarray,
    gradient: np.ndarray,
    counts: np.ndarray,
    basis: np.ndarray,
    loading: np.ndarray,
    offset: np.ndarray,
) -> np.ndarray:
    """Go along the step, halved until the objective rises by a tenth of a thousandth of what the slope promises (Armijo)."""
    now = _objective(c, counts, basis, loading, offset)
    promised = (gradient * step).sum((1, 2))
    # Rounding of the objective itself, below which no rise can be seen.
    slack = 1e-12 * (1.0 + np.abs(now))
    length = np.ones(len(c))
    for _ in range(60):
        then = _objective(c + length[:, None, None] * step, counts, basis, loading, offset)
        short = then < now + 1e-4 * length * promised - slack
        if not short.any():
            break
        length = np.where(short, 0.5 * length, length)
    return np.asarray(c + length[:, None, None] * step)
