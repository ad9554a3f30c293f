"""Kernels over lags: a delay that can be learned by gradients is a bump around it that narrows during training.

Hammouamri, Khalfaoui-Hassani and Masquelier, "Learning delays in spiking neural networks using dilated convolutions with
learnable spacings", ICLR (2024), arXiv:2306.17670. With d the delay, l a lag from 0 to K - 1, and SIG what is annealed:

    gauss     g[l] = exp(-((l - d) / s)^2 / 2),  s = |SIG| + 0.27
    triangle  g[l] = max(0, s - |l - d|),        s = |SIG| + 1
    kernel[l] = g[l] / (sum of g + 1e-7)

so that annealing to SIG = 0.23 ends at a Gaussian of half a step. A triangle at SIG = 0 shares the weight between the two lags
next to d: at a whole number it is one lag alone.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

__all__ = ["Shape", "delay_kernel"]

Shape = Literal["gauss", "triangle"]
WIDER = {"gauss": 0.27, "triangle": 1.0}
"""What is added to SIG: a width never gets to 0, where there would be no gradient."""
TINY = 1e-7


def delay_kernel(delays: Tensor, *, sigma: float | Tensor, window: int, shape: Shape = "gauss") -> Tensor:
    """Kernels that sum to 1.

    Parameters
    ----------
    delays
        Steps, of any shape, from 0 to ``window - 1``.
    sigma
        SIG, steps; the width is that and 0.27 (gauss) or 1 (triangle) more.
    window
        Number of lags, K.
    shape
        Of the bump.

    Returns
    -------
    Tensor, (window, ...)
        Value at each lag, differentiable in ``delays``. A bump near either end is cut off, and what is left of it sums to 1.

    Examples
    --------
    >>> delay_kernel(torch.tensor([1.25]), sigma=0.0, window=4, shape="triangle").flatten()
    tensor([0.0000, 0.7500, 0.2500, 0.0000])
    """
    lag = torch.arange(window, dtype=delays.dtype, device=delays.device).view(-1, *[1] * delays.ndim)
    width = abs(sigma) + WIDER[shape]
    away = lag - delays
    bump = torch.exp(-0.5 * (away / width) ** 2) if shape == "gauss" else torch.relu(width - away.abs())
    return bump / (bump.sum(0) + TINY)
