"""Batch norms folded into the layers before them: the same outputs, and nothing left that other tools and chips do not know."""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn

from neurokit_snn.errors import ModelError
from neurokit_snn.snn.delays.layer import Delays
from neurokit_snn.snn.network import NORMS, Network, Residual

__all__ = ["Shift", "fold_norms"]

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Shift(nn.Module):
    """Adds a number to each feature: the bias of a layer that has none.

    Parameters
    ----------
    shift
        ``(feature,)``.

    Examples
    --------
    >>> Shift(torch.tensor([1.0, 2.0]))(torch.zeros(1, 2))
    tensor([[1., 2.]])
    """

    def __init__(self, shift: Tensor) -> None:
        super().__init__()
        self.register_buffer("shift", shift.detach().clone())
        self.shift: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """``x + shift``, ``(..., feature)``."""
        return x + self.shift


def fold_norms(network: Network) -> Network:
    """A copy without batch norms that gives what the network gives in evaluation mode.

    A norm right behind a Linear layer, a convolution or `Delays` is a factor and a number for each of its outputs:
    ``W' = s W, b' = s (b - mean) + shift`` with ``s = gain / sqrt(variance + eps)``.

    Parameters
    ----------
    network
        Its layers may be networks and `Residual` blocks themselves.

    Returns
    -------
    Network
        In evaluation mode; the network that was given is left as it is.

    Raises
    ------
    ModelError
        When a norm is behind another layer or has no running statistics, naming it.

    Examples
    --------
    >>> from neurokit_snn.snn import LIF
    >>> net = Network(nn.Linear(3, 4), nn.BatchNorm1d(4), LIF())
    >>> _ = net(torch.rand(20, 5, 3))  # the norm learns its statistics
    >>> folded, x = fold_norms(net), torch.rand(20, 5, 3)
    >>> len(folded.layers), bool((folded(x)[0] == net.eval()(x)[0]).all())
    (2, True)
    """
    if not isinstance(network, Network):
        raise ModelError(f"fold_norms: a {type(network).__name__}; give a snn.Network")
    return _folded(network, "layer ").eval()


def _folded(network: Network, where: str) -> Network:
    layers: list[nn.Module] = []
    foldable = False
    for i, layer in enumerate(network.layers):
        place = f"{where}{i}"
        if isinstance(layer, NORMS):
            if not foldable:
                raise ModelError(
                    f"{place} is a {type(layer).__name__} that is not behind a layer with weights; put it behind one, or "
                    "leave it out"
                )
            layers[-1:] = _into(layers[-1], cast(nn.BatchNorm1d, layer), place)
            foldable = False
            continue
        foldable = isinstance(layer, (nn.Linear, *CONVOLUTIONS, Delays))
        if isinstance(layer, Network):
            layers.append(_folded(layer, f"{place}."))
        elif isinstance(layer, Residual):
            shortcut = None if layer.shortcut is None else _part(layer.shortcut, f"{place}.shortcut.")
            layers.append(Residual(_part(layer.body, f"{place}.body."), shortcut))
        else:
            layers.append(copy.deepcopy(layer))
    return Network(*layers)


def _part(part: nn.Module, where: str) -> Network:
    return _folded(part if isinstance(part, Network) else Network(part), where)


def _into(layer: nn.Module, norm: nn.BatchNorm1d, place: str) -> list[nn.Module]:
    """The layer with the norm in its weights, and what does not fit there."""
    if norm.running_mean is None or norm.running_var is None:
        raise ModelError(
            f"{place} is a {type(norm).__name__} without running statistics; it cannot be folded"
        )
    with torch.no_grad():
        gain = torch.rsqrt(norm.running_var + norm.eps)
        shift = torch.zeros_like(gain)
        if norm.affine:
            gain, shift = gain * norm.weight, norm.bias.clone()
        shift -= gain * norm.running_mean
        if isinstance(layer, Delays):
            layer.weight *= gain[:, None]  # (kernel, target, source)
            return [layer, Shift(shift)]
        made = cast("nn.Linear | nn.Conv2d", layer)
        effective = getattr(made, "standardised", lambda: made.weight)()
        if effective is not made.weight:
            made = _plain(cast(nn.Conv2d, made))
        made.weight.copy_(effective * gain.view(-1, *[1] * (effective.ndim - 1)))
        old = 0.0 if made.bias is None else made.bias
        made.bias = nn.Parameter(shift + gain * old)
    return [made]


def _plain(conv: nn.Conv2d) -> nn.Conv2d:
    """A convolution of the same shape whose weights are used as they are."""
    made = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        cast("tuple[int, int]", conv.kernel_size),
        cast("tuple[int, int]", conv.stride),
        conv.padding if isinstance(conv.padding, str) else cast("tuple[int, int]", conv.padding),
        cast("tuple[int, int]", conv.dilation),
        conv.groups,
    )
    return made.to(conv.weight)
