"""Which parameters weight decay shrinks."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.modules.conv import _ConvNd

from neurokit_snn.errors import ModelError

__all__ = ["parameter_groups"]

DECAYING = (nn.Linear, nn.Bilinear, _ConvNd, nn.MultiheadAttention, nn.RNNBase, nn.RNNCellBase)
"""Layers that multiply what they are given by a matrix of weights."""


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameters to be trained in two groups: the weights of layers that multiply, which decay, and all others.

    No bias, norm, embedding or parameter of a module of one's own (positions, temperatures) decays, nor does a weight
    that a layer shares with an embedding: the grouping of minGPT and Neuroformer, by type of module.

    Parameters
    ----------
    module
        The model. Parameters with ``requires_grad`` False are left out.
    weight_decay
        Of the first group.

    Returns
    -------
    groups
        As the optimisers of torch take them; a group without parameters is left out.

    Raises
    ------
    ModelError
        When no parameter is to be trained.

    Examples
    --------
    >>> net = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 3), nn.LayerNorm(3))
    >>> [(group["weight_decay"], len(group["params"])) for group in parameter_groups(net, 1.0)]
    [(1.0, 1), (0.0, 4)]
    """
    shrinking: set[int] = set()
    staying: set[int] = set()
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            weight = isinstance(part, DECAYING) and "weight" in name
            (shrinking if weight else staying).add(id(parameter))
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if not trained:
        raise ModelError(
            f"{type(module).__name__}: no parameter has requires_grad, so there is nothing to train; unfreeze some"
        )
    decays = [id(parameter) in shrinking - staying for parameter in trained]
    groups = [
        {"params": [p for p, d in zip(trained, decays, strict=True) if d is wanted], "weight_decay": decay}
        for wanted, decay in ((True, weight_decay), (False, 0.0))
    ]
    return [group for group in groups if group["params"]]
