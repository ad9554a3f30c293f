"""A fit that starts from another one: weights of equal place and shape, units by their label, parts that stay as they are."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

from neurokit_snn.errors import ModelError
from neurokit_snn.models.neuroformer.network import Network

__all__ = ["freeze_parts", "load_start"]

OF_UNITS = {"embedding.unit.weight": 3, "unit_head.weight": 1}
"""Weights with a row for each unit, and how many rows come after the units."""
OF_PLACES = ("embedding.position", "embedding.past_position")
"""Weights with a row for each place of a sequence, of which the two may have unlike numbers."""


def load_start(
    network: Network,
    weights: dict[str, Tensor],
    *,
    units: Sequence[Hashable],
    known_units: Sequence[Hashable],
) -> list[str]:
    """Copy into a new network what another one has learned, and return the names of what stays fresh.

    Parameters
    ----------
    network
        To be filled.
    weights
        Of the other network, by name.
    units, known_units
        Labels of the units of either. Rows of units that the other one does not know stay fresh.
    """
    place = {label: i for i, label in enumerate(known_units)}
    pairs = [(i, place[label]) for i, label in enumerate(units) if label in place]
    fresh = [] if len(pairs) == len(units) else ["units"]
    own = network.state_dict()
    with torch.no_grad():
        for name, value in own.items():
            found = weights.get(name)
            if found is None:
                fresh.append(name)
            elif name in OF_UNITS:
                last = OF_UNITS[name]
                value[-last:] = found[-last:]
                for i, j in pairs:
                    value[i] = found[j]
            elif found.shape == value.shape:
                value.copy_(found)
            elif name in OF_PLACES and found.shape[1:] == value.shape[1:]:
                n = min(found.shape[0], value.shape[0])
                value[:n] = found[:n]
            else:
                fresh.append(name)
    return fresh


def freeze_parts(network: Network, parts: Sequence[str], who: str) -> None:
    """Leave parts of the network out of training.

    Raises
    ------
    ModelError
        When there is no such part, or nothing is left to train.
    """
    known = [name for name, _ in network.named_children()]
    for part in parts:
        if part not in known:
            raise ModelError(f"{who}: freeze names {part!r}; the parts are {', '.join(known)}")
        for parameter in getattr(network, part).parameters():
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ModelError(f"{who}: freeze names all parts; leave one to be trained")
