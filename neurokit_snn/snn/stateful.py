"""What layers that remember have in common: time is a dimension, and state goes in and comes out."""

from __future__ import annotations

import abc
from typing import Any, NamedTuple

from torch import Tensor, nn

__all__ = ["State", "Stateful", "detached"]


class State(NamedTuple):
    """What a neuron layer carries from one step to the next, each ``(batch, ..., feature)``; None for what it does not have."""

    membrane: Tensor
    current: Tensor | None = None
    adaptation: Tensor | None = None


class Stateful(nn.Module, abc.ABC):
    """A layer that runs over time: ``(time, batch, ...)`` and a state in, ``(time, batch, ...)`` and the next state out.

    Running a sequence at once, or in pieces with the state handed on, gives the same.
    """

    needs_sequence: bool = False
    """Whether its gradients go to the inputs of earlier steps, so that a rule which learns step by step loses them."""

    @abc.abstractmethod
    def forward(self, x: Tensor, state: Any = None, *, mask: Tensor | None = None) -> tuple[Tensor, Any]:
        """Run over time.

        Parameters
        ----------
        x
            Inputs ``(time, batch, ...)``.
        state
            What the layer returned for the steps before; None where there are none.
        mask
            Booleans ``(time, batch)``, False at steps beyond a trial's end.

        Returns
        -------
        outputs, state
        """


def detached(state: Any) -> Any:
    """A state of any nesting, cut off from the graph that made it.

    Examples
    --------
    >>> import torch
    >>> detached((torch.ones(1, requires_grad=True), None))
    (tensor([1.]), None)
    """
    if isinstance(state, Tensor):
        return state.detach()
    if isinstance(state, tuple):
        parts = [detached(part) for part in state]
        return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)
    return state
