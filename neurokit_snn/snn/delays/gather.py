"""Delays that are whole numbers of steps: every synapse reads its source so many steps ago, and no kernel is built."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from neurokit_snn.errors import ModelError
from neurokit_snn.snn.kernels import gather as cpu
from neurokit_snn.snn.kernels.threads import over_stretches

__all__ = ["gather", "gather_reference"]

COLUMNS = 512
"""Least length of a series for the vector loops; trials that are shorter go through together."""
LEAST = 1 << 20
"""Products from which a second thread is worth its start."""


def gather(x: Tensor, weight: Tensor, lag: Tensor, source: Tensor, *, window: int) -> Tensor:
    """Sum over synapses of weight times source, each at its own lag.

    Parameters
    ----------
    x
        Inputs ``(window - 1 + time, trial, source)``, float32 or float64: those before the first step come first.
    weight
        ``(target, synapse)``, of the same dtype.
    lag
        Whole numbers of steps from 0 to ``window - 1``, int64 ``(target, synapse)``.
    source
        Which input a synapse reads, int64 ``(target, synapse)``.
    window
        Number of lags.

    Returns
    -------
    Tensor, (time, trial, target)
        ``y[t, b, o] = sum over s of weight[o, s] x[window - 1 + t - lag[o, s], b, source[o, s]]``; on the CPU differentiable
        once in ``x`` and ``weight``, elsewhere as often as you like.

    Raises
    ------
    ModelError
        When a lag or a source lies outside of the input.

    Examples
    --------
    >>> x = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0]).view(5, 1, 1)
    >>> one = torch.ones(2, 1)
    >>> gather(x, one, torch.tensor([[0], [2]]), torch.zeros(2, 1, dtype=torch.long), window=3)[:, 0].T
    tensor([[1., 0., 0.],
            [0., 0., 1.]])
    """
    if x.device.type != "cpu" or x.numel() == 0:
        return gather_reference(x, weight, lag, source, window=window)
    steps, trials, sources = x.shape
    together = max(1, min(trials, COLUMNS // steps))
    groups = math.ceil(trials / together)
    x = F.pad(x, (0, 0, 0, groups * together - trials))
    x = x.view(steps, groups, together, sources).permute(1, 3, 0, 2).reshape(groups, sources, -1)
    y = _forward(x, weight.contiguous(), (window - 1 - lag) * together, source, (window - 1) * together)
    y = y.view(groups, weight.shape[0], -1, together).permute(2, 0, 3, 1)
    return y.reshape(y.shape[0], -1, weight.shape[0])[:, :trials]


def gather_reference(x: Tensor, weight: Tensor, lag: Tensor, source: Tensor, *, window: int) -> Tensor:
    """As `gather`, in plain torch on any device: one pass for each lag over the synapses that have it."""
    steps = x.shape[0] - window + 1
    y = x.new_zeros(steps, x.shape[1], weight.shape[0])
    for d in range(window):
        target, synapse = (lag == d).nonzero(as_tuple=True)
        read = x[window - 1 - d : window - 1 - d + steps, :, source[target, synapse]]
        y = y.index_add(2, target, read * weight[target, synapse].to(x.dtype))
    return y


# ---- operators -----------------------------------------------------------------------------------------------------


@torch.library.custom_op("neurokit_snn::delays_forward", mutates_args=())
def _forward(x: Tensor, weight: Tensor, first: Tensor, source: Tensor, longer: int) -> Tensor:
    for name, index, most in (("lag", first, longer), ("source", source, x.shape[1] - 1)):
        if not 0 <= int(index.min()) <= int(index.max()) <= most:
            raise ModelError(
                f"gather: a {name} lies outside of the input; look for delays that are not finite"
            )
    y = x.new_empty(x.shape[0], weight.shape[0], x.shape[2] - longer)
    arrays = _arrays(x, weight, first, source, y)
    _shared(
        lambda low, high: cpu.forward(*arrays, low, high), weight.shape[0], weight.numel() * y[:, 0].numel()
    )
    return y


@_forward.register_fake
def _(x: Tensor, weight: Tensor, first: Tensor, source: Tensor, longer: int) -> Tensor:
    return x.new_empty(x.shape[0], weight.shape[0], x.shape[2] - longer)


@torch.library.custom_op("neurokit_snn::delays_backward", mutates_args=())
def _backward(
    gy: Tensor, x: Tensor, weight: Tensor, first: Tensor, source: Tensor, inputs: bool, weights: bool
) -> list[Tensor]:
    gx = torch.zeros_like(x) if inputs else x.new_empty(0)
    gw = torch.zeros_like(weight) if weights else x.new_empty(0)
    cost = weight.numel() * gy[:, 0].numel()
    if inputs:
        arrays = _arrays(gy, weight, first, source, gx)
        _shared(lambda low, high: cpu.input_gradient(*arrays, low, high), x.shape[0], cost)
    if weights:
        read = _arrays(gy, x, first, source, gw)
        _shared(lambda low, high: cpu.weight_gradient(*read, low, high), weight.shape[0], cost)
    return [gx, gw]


@_backward.register_fake
def _(
    gy: Tensor, x: Tensor, weight: Tensor, first: Tensor, source: Tensor, inputs: bool, weights: bool
) -> list[Tensor]:
    return [
        torch.empty_like(x) if inputs else x.new_empty(0),
        torch.empty_like(weight) if weights else x.new_empty(0),
    ]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:4])


def _differentiated(ctx: Any, gy: Tensor) -> tuple[Any, ...]:
    x, weight, first, source = ctx.saved_tensors
    inputs, weights = ctx.needs_input_grad[:2]
    gx, gw = _backward(gy.contiguous(), x, weight, first, source, inputs, weights)
    return gx if inputs else None, gw if weights else None, None, None, None


_forward.register_autograd(_differentiated, setup_context=_keep)


def _arrays(*tensors: Tensor) -> list[Any]:
    return [tensor.detach().numpy() for tensor in tensors]


# ---- threads -------------------------------------------------------------------------------------------------------


def _shared(call: Callable[[int, int], None], count: int, products: int) -> None:
    """Call for stretches of so many things, on as many threads as torch has where there is enough to do."""
    threads = max(1, min(torch.get_num_threads() if products >= LEAST else 1, count))
    over_stretches(call, [count * i // threads for i in range(threads + 1)])
