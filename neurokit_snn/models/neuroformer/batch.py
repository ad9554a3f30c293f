"""A batch of windows as tensors."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

__all__ = ["Batch", "Series"]


@dataclasses.dataclass(frozen=True, eq=False)
class Series:
    """One modality of a batch: features of the bins before and inside the window, and which are known.

    ``values`` is ``(row, bin, feature)`` or ``(row, bin, y, x, channel)``, ``valid`` ``(row, bin)``.
    """

    values: Tensor
    valid: Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class Batch:
    """Windows with all that the network reads and predicts.

    Parameters
    ----------
    id, dt
        ``(row, position)``: SOS and then the spikes of the window, ``dt`` in bins from its start; PAD beyond.
    n_tokens
        ``(row,)``: spikes of the window.
    past_id, past_dt
        ``(row, position)``: SOS and the spikes of the past state, ``dt`` in bins from its start; PAD beyond.
    allowed
        ``(row, bin, unit)``: where there can be a spike, False in bins that were not observed; None where all were.
    inputs
        Modalities by name.
    outputs
        Features ``(row, feature)`` at the end of the window and whether they are known ``(row,)``, by name.
    """

    id: Tensor
    dt: Tensor
    n_tokens: Tensor
    past_id: Tensor
    past_dt: Tensor
    allowed: Tensor | None
    inputs: dict[str, Series]
    outputs: dict[str, Series]

    def __len__(self) -> int:
        return self.id.shape[0]

    def to(self, device: torch.device) -> Batch:
        """The batch on a device."""
        if self.id.device == device:
            return self
        return self._each(lambda x: x.to(device))

    def take(self, rows: Tensor) -> Batch:
        """Some rows, in the order given."""
        return self._each(lambda x: x[rows])

    def _each(self, change) -> Batch:  # type: ignore[no-untyped-def]
        return Batch(
            id=change(self.id),
            dt=change(self.dt),
            n_tokens=change(self.n_tokens),
            past_id=change(self.past_id),
            past_dt=change(self.past_dt),
            allowed=None if self.allowed is None else change(self.allowed),
            inputs={k: Series(change(s.values), change(s.valid)) for k, s in self.inputs.items()},
            outputs={k: Series(change(s.values), change(s.valid)) for k, s in self.outputs.items()},
        )

    @property
    def positions(self) -> Tensor:
        """``(row, position)``: True where there is a token, SOS included."""
        return torch.arange(self.id.shape[1], device=self.id.device) <= self.n_tokens[:, None]
