"""Which parameters weight decay shrinks, and which learn at a rate of their own."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.nn.modules.conv import _ConvNd

from neurokit_snn.errors import ModelError

__all__ = ["parameter_groups"]

DECAYING = (nn.Linear, nn.Bilinear, _ConvNd, nn.MultiheadAttention, nn.RNNBase, nn.RNNCellBase)
"""Layers that multiply what they are given by a matrix of weights."""


def parameter_groups(
    module: nn.Module, weight_decay: float, rates: Mapping[str, float] | None = None
) -> list[dict[str, Any]]:
    """Parameters to be trained in two groups: the weights of layers that multiply, which decay, and all others.

    Where some learn at a rate of their own, there are two groups for each rate.

    No bias, norm, embedding or parameter of a module of one's own (positions, temperatures) decays, nor does a weight
    that a layer shares with an embedding: the grouping of minGPT and Neuroformer, by type of module.

    Parameters
    ----------
    module
        The model. Parameters with ``requires_grad`` False are left out.
    weight_decay
        Of the first group.
    rates
        Factor of the learning rate by a pattern of the dotted names of parameters, as `fnmatch` understands them
        (``"*.position"``); 1 for a parameter that no pattern matches.

    Returns
    -------
    groups
        As the optimisers of torch take them, with the factor under ``factor``; a group without parameters is left out.

    Raises
    ------
    ModelError
        When no parameter is to be trained, a factor is not above 0, or a pattern matches none or what another matches.

    Examples
    --------
    >>> net = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 3), nn.LayerNorm(3))
    >>> [(group["weight_decay"], len(group["params"])) for group in parameter_groups(net, 1.0)]
    [(1.0, 1), (0.0, 4)]
    >>> [(group["factor"], len(group["params"])) for group in parameter_groups(net, 0.0, {"0.*": 10.0})]
    [(1.0, 1), (1.0, 3), (10.0, 1)]
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
    factors = _factors(module, rates or {})
    groups = [
        {
            "params": [
                p
                for p in trained
                if (id(p) in shrinking - staying) is wanted and factors.get(id(p), 1.0) == factor
            ],
            "weight_decay": decay,
            "factor": factor,
        }
        for factor in dict.fromkeys([1.0, *factors.values()])
        for wanted, decay in ((True, weight_decay), (False, 0.0))
    ]
    return [group for group in groups if group["params"]]


def _factors(module: nn.Module, rates: Mapping[str, float]) -> dict[int, float]:
    """Factor of the learning rate of each parameter that a pattern matches, by its id."""
    found: dict[int, tuple[str, float]] = {}
    for pattern, factor in rates.items():
        if not 0.0 < factor < math.inf:
            raise ModelError(
                f"rates[{pattern!r}] is {factor!r}; give a factor above 0 (requires_grad=False keeps a parameter as it is)"
            )
        matched = [(name, p) for name, p in module.named_parameters() if fnmatch.fnmatchcase(name, pattern)]
        if not matched:
            names = ", ".join(name for name, _ in module.named_parameters())
            raise ModelError(f"rates[{pattern!r}] matches no parameter; there are {names}")
        for name, parameter in matched:
            other, _ = found.setdefault(id(parameter), (pattern, float(factor)))
            if other != pattern:
                raise ModelError(
                    f"rates: {pattern!r} and {other!r} both match {name}; let one pattern match it"
                )
    return {key: factor for key, (_, factor) in found.items()}
