"""What a scan is told besides its inputs: parameters of the cells, and how they reset."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from neurokit_snn.errors import ModelError
from neurokit_snn.snn.surrogate import NAMED, Surrogate

__all__ = ["HARD", "NONE", "RESETS", "SOFT", "Cell", "NotFinite", "Parts", "Scan", "state_dtype"]

Parts = Sequence[Tensor | None]
"""Tensors for the parts of a state, None for those that are not there."""
HARD, SOFT, NONE = 0, 1, 2
RESETS = {"hard": HARD, "soft": SOFT, "none": NONE}
"""By which the kernels know what happens to the membrane after a spike."""


class NotFinite(ModelError):
    """A NaN or an infinity came into a scan."""


class Cell(NamedTuple):
    """Parameters of the cells, each a number or ``(period,)``: cell k has the value at ``k % period``.

    ``current[t] = alpha current[t-1] + x[t]`` (where there is a current, else it is the input),
    ``h[t] = beta v[t-1] + gain current[t]``; a spike where ``h >= theta + jump a[t-1]``; ``a[t] = rho a[t-1] + s[t]``; ``rest``
    is the membrane after a hard reset.
    """

    beta: Tensor | float
    gain: Tensor | float
    theta: Tensor | float
    alpha: Tensor | float = 0.0
    rho: Tensor | float = 0.0
    jump: Tensor | float = 0.0
    rest: Tensor | float = 0.0

    def table(self, like: Tensor) -> Tensor:
        """All as one tensor ``(parameter, period)``, period 1 where all are numbers, with the dtype of a state for ``like``."""
        dtype = state_dtype(like)
        tensors = {at: part for at, part in enumerate(self) if isinstance(part, Tensor)}
        numbers = tuple(0.0 if isinstance(part, Tensor) else part for part in self)
        if (
            like.is_cpu and not torch.compiler.is_compiling()
        ):  # in a hurry: a network that learns online calls once per step
            table = torch.from_numpy(_numbers(numbers, dtype == torch.float64))
        else:
            table = torch.tensor(numbers, dtype=dtype, device=like.device).unsqueeze(1)
        if not tensors:
            return table
        period = max([part.numel() for part in tensors.values()])
        rows = list(table.expand(-1, period).unbind(0))
        for at, part in tensors.items():
            rows[at] = part.to(like.device, dtype).reshape(-1).expand(period)
        return torch.stack(rows)


@functools.lru_cache
def _numbers(values: tuple[float, ...], double: bool) -> np.ndarray:
    return np.array(values, np.float64 if double else np.float32)[:, None]


class Scan(NamedTuple):
    """Everything of a scan that is not a tensor."""

    reset: str  # "hard", "soft" or "none"
    detach: bool  # whether gradients do not go through the reset
    surrogate: Surrogate
    levels: int = 1  # most spikes of a step
    current: bool = False
    adapts: bool = False

    @property
    def used(self) -> tuple[bool, bool, bool]:
        """Which parts of a state there are."""
        return True, self.current, self.adapts

    def flat(self) -> tuple[str, bool, int | None, float, int, bool, bool]:
        """Of plain types, for operators; `from_flat` is the way back."""
        shape = self.surrogate
        return self.reset, self.detach, shape.code, shape.width, self.levels, self.current, self.adapts

    @classmethod
    def from_flat(
        cls, reset: str, detach: bool, code: int, width: float, levels: int, current: bool, adapts: bool
    ) -> Scan:
        """See `flat`."""
        kind = next(kind for kind in NAMED.values() if kind.code == code)
        return cls(reset, detach, kind(width), levels, current, adapts)


def state_dtype(x: Tensor) -> torch.dtype:
    """Of the state for inputs like ``x``: float64 for float64, else float32."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32
