"""Stationary Gaussian-process priors in a truncated real Fourier basis.

A path of T bins is ``z = B' f`` with independent coefficients ``f_k ~ N(0, s_k)``, ``s_k`` the spectral density of the kernel at
the frequency of row k (Aoi and Pillow, bioRxiv 2017; Gondur et al., ICLR 2024, eq. 3). The basis is periodic, with a period M
of at least T bins: the prior is the wanted one only where the kernel has died out over the M - T + 1 bins from the end of a
path round to its beginning. `basis_for` chooses M from the longest length scale that may occur, and the number of rows
from the shortest.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from typing import Literal, get_args

import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.optimize import brentq

from neurokit_snn.errors import ModelError

__all__ = ["FourierBasis", "Kernel", "PriorWarning", "basis_for", "correlation", "log_spectrum", "spectrum"]

Kernel = Literal["rbf", "matern12", "matern32", "matern52", "white"]

TOLERANCE = {"rbf": 5e-5, "matern12": 1e-2, "matern32": 2e-3, "matern52": 1e-3}
"""Largest correlation left between the end of a path and its beginning, one period on."""
TAIL = 2e-5
"""Share of the variance that may lie beyond the highest frequency, of the RBF kernel at its shortest length scale."""
HALF_ORDER = {"matern12": 0.5, "matern32": 1.5, "matern52": 2.5}
ALIASES = 8
"""Multiples of the sampling frequency that are folded back into the spectrum of a Matern kernel."""


class PriorWarning(UserWarning):
    """The Fourier prior is not the kernel it stands for."""


@dataclasses.dataclass(frozen=True)
class FourierBasis:
    """Rows of a real Fourier basis over ``n_bins`` bins with a period of ``period`` bins.

    Parameters
    ----------
    n_bins
        T, bins of a path.
    period
        M, bins after which a path repeats.
    highest
        Highest harmonic; rows are the constant, then cosines 1..highest and sines 1..highest.

    Examples
    --------
    >>> basis = FourierBasis(n_bins=8, period=8, highest=4)
    >>> bool(np.allclose(basis.matrix() @ basis.matrix().T, np.eye(8)))
    True
    """

    n_bins: int
    period: int
    highest: int

    @property
    def frequencies(self) -> np.ndarray:
        """Angular frequency of each row, rad per bin."""
        harmonic = np.arange(1, self.highest + 1)
        sines = harmonic[2 * harmonic < self.period]
        return 2.0 * np.pi * np.concatenate([[0], harmonic, sines]) / self.period

    @property
    def n_rows(self) -> int:
        """F, rows of the basis."""
        return self.frequencies.size

    def matrix(self) -> np.ndarray:
        """B, ``(row, time)``: orthonormal over one period."""
        time = np.arange(self.n_bins)
        harmonic = np.arange(1, self.highest + 1)
        phase = 2.0 * np.pi * harmonic[:, None] * time / self.period
        scale = np.where(2 * harmonic == self.period, 1.0, math.sqrt(2.0))[:, None]
        cosines = scale * np.cos(phase)
        sines = (scale * np.sin(phase))[2 * harmonic < self.period]
        rows = np.concatenate([np.ones((1, self.n_bins)), cosines, sines])
        return rows / math.sqrt(self.period)


def spectrum(kernel: Kernel, frequencies: np.ndarray, length_scale: Array) -> Array:
    """Spectral density ``s_k`` of a kernel of unit variance sampled once a bin.

    Parameters
    ----------
    kernel
        ``rbf``: ``sqrt(2 pi) l exp(-w^2 l^2 / 2)``; ``matern``: Rasmussen and Williams (2006), eq. 4.15, for one dimension,
        with the frequencies above the sampling rate folded back; ``white``: 1.
    frequencies
        ``(row,)`` rad per bin.
    length_scale
        ``(...)`` bins.

    Returns
    -------
    Array, (..., row)
    """
    return jnp.exp(log_spectrum(kernel, frequencies, length_scale))


def log_spectrum(kernel: Kernel, frequencies: np.ndarray, length_scale: Array) -> Array:
    """Logarithm of `spectrum`: far frequencies of a long length scale are no more than a small number there."""
    scale = jnp.asarray(length_scale)[..., None]
    omega = jnp.asarray(frequencies, scale.dtype)
    if kernel == "white":
        return jnp.zeros(jnp.broadcast_shapes(scale.shape, omega.shape), scale.dtype)
    if kernel == "rbf":
        return 0.5 * math.log(2.0 * math.pi) + jnp.log(scale) - 0.5 * (omega * scale) ** 2
    order = HALF_ORDER[kernel]
    constant = 2.0 * math.sqrt(math.pi) * math.gamma(order + 0.5) / math.gamma(order)
    folded = omega[..., None] + 2.0 * math.pi * jnp.arange(-ALIASES, ALIASES + 1, dtype=scale.dtype)
    rate = 2.0 * order / scale[..., None] ** 2
    density = constant * rate**order * (rate + folded**2) ** (-(order + 0.5))
    return jnp.log(density.sum(-1))


def correlation(kernel: Kernel, lag: np.ndarray, length_scale: float) -> np.ndarray:
    """The kernel itself at lags in bins, 1 at lag 0.

    Examples
    --------
    >>> round(float(correlation("rbf", np.array(10.0), 10.0)), 4)
    0.6065
    """
    r = np.abs(lag) / length_scale
    if kernel == "white":
        return np.asarray(r == 0, dtype=np.float64)
    if kernel == "rbf":
        return np.exp(-0.5 * r**2)
    if kernel == "matern12":
        return np.exp(-r)
    if kernel == "matern32":
        return (1.0 + math.sqrt(3.0) * r) * np.exp(-math.sqrt(3.0) * r)
    return (1.0 + math.sqrt(5.0) * r + 5.0 * r**2 / 3.0) * np.exp(-math.sqrt(5.0) * r)


def basis_for(
    n_bins: int,
    *,
    kernel: Kernel,
    shortest: float,
    longest: float,
    period: int | None = None,
) -> FourierBasis:
    """The smallest basis that holds the kernel for all length scales between two bounds.

    Parameters
    ----------
    n_bins
        T, bins of a path.
    kernel
        Name of the kernel.
    shortest, longest
        Bounds of the length scale, in bins.
    period
        M, in bins; None to choose it, else checked: a `PriorWarning` says how wrong the prior is at the longest length scale.

    Returns
    -------
    FourierBasis

    Raises
    ------
    ModelError
        When the period is below ``n_bins`` or the kernel is unknown.

    Examples
    --------
    >>> basis = basis_for(60, kernel="rbf", shortest=2.0, longest=10.0)
    >>> basis.period, basis.n_rows
    (104, 73)
    """
    if kernel not in get_args(Kernel):
        raise ModelError(f"kernel is {kernel!r}; choose one of {', '.join(get_args(Kernel))}")
    if kernel == "white":
        return FourierBasis(n_bins=n_bins, period=n_bins, highest=n_bins // 2)
    chosen = n_bins + math.ceil(_reach(kernel) * longest) - 1 if period is None else period
    if chosen < n_bins:
        raise ModelError(
            f"period is {chosen} bins, shorter than the {n_bins} bins of a trial; leave it None or give a longer one"
        )
    left = float(correlation(kernel, np.array(chosen - n_bins + 1.0), longest))
    if period is not None and left > TOLERANCE[kernel]:
        warnings.warn(
            f"period is {period} bins for trials of {n_bins}: at a length scale of {longest:.3g} bins the prior ties the "
            f"last bin to the first with a correlation of {left:.2g}; "
            f"give at least {n_bins + math.ceil(_reach(kernel) * longest) - 1}",
            PriorWarning,
            stacklevel=2,
        )
    highest = chosen // 2
    if kernel == "rbf":
        # The share of the variance beyond w is erfc(w l / sqrt 2).
        cut = math.sqrt(2.0) * _inverse_erfc(TAIL) / shortest
        highest = min(highest, math.ceil(cut * chosen / (2.0 * math.pi)))
    return FourierBasis(n_bins=n_bins, period=chosen, highest=max(1, highest))


def _reach(kernel: Kernel) -> float:
    """Lag in length scales at which the kernel has fallen to its tolerance."""
    return float(
        brentq(lambda r: float(correlation(kernel, np.array(r), 1.0)) - TOLERANCE[kernel], 1e-3, 60.0)
    )


def _inverse_erfc(share: float) -> float:
    return float(brentq(lambda x: math.erfc(x) - share, 0.0, 10.0))
