"""What is read out of a network's outputs over time, and what it is told to learn from them.

Each readout weights the steps of a trial: ``each`` and ``mean`` all valid ones alike, ``last`` the last valid one, ``softmax``
counts them. The score of a trial is the weighted sum of its outputs (of their softmax for ``softmax``). ``each`` and ``last``
take the loss of every step and sum it with the same weights, which adds up over time, so that any rule can learn from it;
``mean`` and ``softmax`` take the loss of the score, for which the whole trial has to be there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from neurokit_snn.snn.training.rules import Objective

__all__ = ["Readout", "adds_up", "objective", "scores", "step_weights"]

Readout = Literal["each", "last", "mean", "softmax"]
Criterion = Callable[[Tensor, Tensor], Tensor]
"""Loss of each trial ``(...,)`` of outputs ``(..., out)`` and their targets."""


def adds_up(readout: Readout) -> bool:
    """Whether the loss is a sum over steps."""
    return readout in ("each", "last")


def step_weights(readout: Readout, mask: Tensor) -> Tensor:
    """Weights ``(time, trial)`` of the steps.

    Parameters
    ----------
    readout
        Which.
    mask
        Booleans ``(time, trial)``; each trial has a valid step.

    Examples
    --------
    >>> step_weights("each", torch.tensor([[True, True], [True, False]]))
    tensor([[0.5000, 1.0000],
            [0.5000, 0.0000]])
    """
    valid = mask.to(torch.get_default_dtype())
    if readout == "last":
        step = torch.arange(mask.shape[0], device=mask.device).unsqueeze(1)
        return (step == torch.where(mask, step, -1).amax(0)).to(valid.dtype)
    return valid if readout == "softmax" else valid / valid.sum(0)


def scores(readout: Readout, outputs: Tensor, mask: Tensor) -> Tensor:
    """Scores ``(trial, out)`` of outputs ``(time, trial, out)``; steps beyond those of the mask are valid."""
    weights = step_weights(readout, _through(mask, outputs.shape[0]))
    return _score(readout, outputs, weights)


def objective(readout: Readout, criterion: Criterion, target: Tensor, mask: Tensor) -> Objective:
    """Loss of a batch, summed over its trials, as rules ask for it.

    Parameters
    ----------
    readout
        Which.
    criterion
        Loss of every trial.
    target
        ``(trial, ...)``, or with ``each`` one for every step, ``(time, trial, out)``.
    mask
        ``(time, trial)`` of the inputs; a network may give more steps, which are valid.
    """
    weights = step_weights(readout, mask)

    def loss(outputs: Tensor, start: int) -> Tensor:
        stop = start + outputs.shape[0]
        whole = weights if stop <= len(weights) else step_weights(readout, _through(mask, stop))
        if not adds_up(readout):
            return criterion(_score(readout, outputs, whole[start:stop]), target).sum()
        told = target[start:stop] if target.ndim == 3 else target.expand(stop - start, *target.shape)
        return (whole[start:stop].to(outputs.dtype) * criterion(outputs, told)).sum()

    return loss


def _score(readout: Readout, outputs: Tensor, weights: Tensor) -> Tensor:
    seen = outputs.softmax(-1) if readout == "softmax" else outputs
    return (seen * weights.to(outputs.dtype).unsqueeze(-1)).sum(0)


def _through(mask: Tensor, steps: int) -> Tensor:
    """The mask with as many steps."""
    more = steps - mask.shape[0]
    return mask if more <= 0 else torch.cat([mask, mask.new_ones(more, mask.shape[1])])
