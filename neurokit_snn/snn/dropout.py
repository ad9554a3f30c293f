"""Dropout of networks that run over time."""

from __future__ import annotations

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor

from neurokit_snn.errors import ConfigError
from neurokit_snn.snn.stateful import Stateful

__all__ = ["SharedDropout"]


@final
class SharedDropout(Stateful):
    """Dropout that leaves the same units out at every step of a trial.

    `torch.nn.Dropout` draws anew at every step, so that a unit left out now is heard in the next step. Here a mask is drawn once
    for each trial and unit, as in the multi-step mode of SpikingJelly, and it is the state: pieces of a trial share it.

    Parameters
    ----------
    p
        Probability of being left out; what is left is divided by ``1 - p``.

    Raises
    ------
    ConfigError
        When ``p`` is no probability below 1.

    Examples
    --------
    >>> y, _ = SharedDropout(0.5)(torch.ones(3, 2, 4))
    >>> bool((y == y[0]).all())
    True
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not 0.0 <= p < 1.0:
            raise ConfigError(f"SharedDropout.p is {p}; give a probability, 0 up to below 1")
        self.p = p

    def forward(
        self, x: Tensor, state: Tensor | None = None, *, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Run over time; the state is the factor of each unit, None in evaluation mode."""
        if not self.training or self.p == 0.0:
            return x, None
        kept = F.dropout(torch.ones_like(x[0]), self.p) if state is None else state
        return x * kept, kept
