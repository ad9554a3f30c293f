"""What rounding the delays costs: a network is trained with bumps around its delays and used with whole numbers of steps.

With few hidden units the difference is large enough to undo all that was learned, so the two are always told together. Where they
differ, a finishing phase helps: `freeze_delays`, then train on, and only the weights learn.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import nn

from neurokit_snn.errors import ModelError
from neurokit_snn.snn.delays.layer import Delays

__all__ = ["SoftAndRounded", "freeze_delays", "soft_and_rounded", "soft_delays"]


class SoftAndRounded(NamedTuple):
    """One score of a network as it was trained, and as it is used."""

    soft: float
    rounded: float

    @property
    def gap(self) -> float:
        """What rounding takes from the score; below 0 where it adds."""
        return self.soft - self.rounded


def layers_with_delays(network: nn.Module) -> list[Delays]:
    """All layers with delays inside a network.

    Raises
    ------
    ModelError
        When there is none.
    """
    found = [layer for layer in network.modules() if isinstance(layer, Delays)]
    if not found:
        raise ModelError(
            f"{type(network).__name__}: there is no layer with delays in it; give a network with snn.Delays"
        )
    return found


@contextlib.contextmanager
def soft_delays(network: nn.Module) -> Iterator[None]:
    """Evaluate with the bumps of the training in place of rounded delays, for as long as the block lasts.

    Raises
    ------
    ModelError
        When no layer has delays.
    """
    layers = layers_with_delays(network)
    before = [layer.soft_in_evaluation for layer in layers]
    try:
        for layer in layers:
            layer.soft_in_evaluation = True
        yield
    finally:
        for layer, value in zip(layers, before, strict=True):
            layer.soft_in_evaluation = value


def soft_and_rounded(network: nn.Module, evaluate: Callable[[], float]) -> SoftAndRounded:
    """A score with the bumps of the training and with rounded delays.

    Parameters
    ----------
    network
        It is put into evaluation mode while it is scored.
    evaluate
        Runs the network and says how good it is.

    Raises
    ------
    ModelError
        When no layer has delays.

    Examples
    --------
    >>> layer = Delays(1, 1, window=5, sigma=2.0)
    >>> layer.set_delays(torch.tensor([[[2.0]]]))
    >>> x = torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0]).view(5, 1, 1)
    >>> found = soft_and_rounded(layer, lambda: float((layer(x)[0] / layer.weight)[2]))
    >>> round(found.soft, 3), found.rounded
    (0.24, 1.0)
    """
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.no_grad():
            with soft_delays(network):
                soft = float(evaluate())
            return SoftAndRounded(soft, float(evaluate()))
    finally:
        for module, mode in modes:
            module.training = mode


def freeze_delays(network: nn.Module) -> None:
    """Round all delays and learn them no more, for the finishing phase.

    Raises
    ------
    ModelError
        When no layer has delays.
    """
    for layer in layers_with_delays(network):
        layer.freeze()
