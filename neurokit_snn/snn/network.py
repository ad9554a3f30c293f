"""Networks: layers one after another, over time, with one explicit state."""

from __future__ import annotations

import itertools
from typing import Any, final

import torch
from torch import Tensor, nn

from neurokit_snn.errors import ConfigError, ModelError
from neurokit_snn.snn.neuron import Neuron
from neurokit_snn.snn.stateful import Stateful

__all__ = ["Network", "Recurrent", "Residual"]

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@final
class Network(Stateful):
    """Layers in a row; those of torch run once over all steps and trials together.

    Parameters
    ----------
    layers
        Modules of torch, which see ``(time * batch, ...)``, and layers with a state, which see ``(time, batch, ...)``. A
        batch norm thus takes its statistics over trials and all steps that are run at once.

    Raises
    ------
    ModelError
        When a layer cannot take its input, or a weight or value is not finite: it names the layer.

    Examples
    --------
    >>> from neurokit_snn.snn.neurons import LIF, LeakyIntegrator
    >>> net = Network(nn.Linear(3, 8), LIF(), nn.Linear(8, 2), LeakyIntegrator())
    >>> x = torch.rand(10, 4, 3)
    >>> whole, _ = net(x)
    >>> first, state = net(x[:6])
    >>> second, state = net(x[6:], state)
    >>> torch.allclose(whole, torch.cat([first, second]), atol=1e-6)
    True
    """

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        if not layers:
            raise ModelError("Network: no layers; give at least one")
        self.layers = nn.ModuleList(layers)

    def forward(
        self, x: Tensor, state: tuple[Any, ...] | None = None, *, mask: Tensor | None = None
    ) -> tuple[Tensor, tuple[Any, ...]]:
        """Run over time; the state has a part for each layer, None for those that have none."""
        _check(x, mask)
        if state is not None and len(state) != len(self.layers):
            raise ModelError(
                f"Network: the state has {len(state)} parts and there are {len(self.layers)} layers; "
                "give what this network returned"
            )
        parts: list[Any] = []
        for i, layer in enumerate(self.layers):
            try:
                if isinstance(layer, Stateful):
                    x, part = layer(x, None if state is None else state[i], mask=mask)
                else:
                    x, part = _over_all(layer, x, mask), None
            except (ValueError, RuntimeError) as error:
                raise self._told(error, i) from error
            parts.append(part)
        # A neuron has looked at what it was given; nobody has looked at what comes out of other layers.
        if (
            not isinstance(self.layers[-1], Neuron)
            and not torch.compiler.is_compiling()
            and not _is_finite(x, mask)
        ):
            raise self._told(ModelError("the output is not finite"), len(parts) - 1)
        return x, tuple(parts)

    def _told(self, error: Exception, at: int) -> ModelError:
        """The error with the layer's place; weights that are not finite are the cause wherever they are."""
        found = not_finite(self, at)
        if found is not None:
            return found
        kind = type(self.layers[at]).__name__
        return ModelError(f"layer {at}: {error}" if kind in str(error) else f"layer {at}: {kind}: {error}")


def _check(x: Tensor, mask: Tensor | None) -> None:
    if not isinstance(x, Tensor):
        raise ModelError(f"Network: the input is a {type(x).__name__}; give a tensor")
    if x.ndim < 3:
        raise ModelError(f"Network: the input has shape {tuple(x.shape)}; give (time, batch, ..., feature)")
    if mask is not None and (mask.dtype != torch.bool or mask.ndim < 2 or mask.shape != x.shape[: mask.ndim]):
        raise ModelError(
            f"Network: mask is {mask.dtype} {tuple(mask.shape)}; give booleans (time, batch) = {tuple(x.shape[:2])}"
        )


def not_finite(network: Network, last: int | None = None) -> ModelError | None:
    """The error that names the first weight of a network that is NaN or infinite, up to a layer; None where all are finite."""
    for i, layer in enumerate(network.layers):
        if last is not None and i > last:
            break
        for name, weight in itertools.chain(layer.named_parameters(), layer.named_buffers()):
            weight = weight.detach()
            bad = ~torch.isfinite(weight)
            if bad.any():
                where = tuple(int(k) for k in bad.nonzero()[0])
                return ModelError(
                    f"layer {i}: {type(layer).__name__}: {name}{list(where)} is {weight[where].item()}; "
                    "lower the learning rate, or load sound weights"
                )
    return None


def _over_all(layer: nn.Module, x: Tensor, mask: Tensor | None) -> Tensor:
    """A layer without time on all steps and trials at once; norms see only the valid ones."""
    flat = x.flatten(0, 1)
    if mask is None or not isinstance(layer, NORMS):
        y = layer(flat)
    else:
        valid = mask.flatten()
        made = layer(flat[valid])
        y = made.new_zeros(flat.shape[0], *made.shape[1:])
        y[valid] = made
    return y.unflatten(0, x.shape[:2])


def _is_finite(x: Tensor, mask: Tensor | None) -> bool:
    """Whether all valid values are; the sum tells of all at once, unless it overflows."""
    x = x.detach()
    return bool(torch.isfinite(x.sum())) or bool(torch.isfinite(x if mask is None else x[mask]).all())


@final
class Residual(Stateful):
    """``x + body(x)``, or ``shortcut(x) + body(x)``.

    Parameters
    ----------
    body
        What is added.
    shortcut
        What the input goes through; None for nothing.

    Raises
    ------
    ModelError
        In a call, when the two do not have the same shape.

    Examples
    --------
    >>> from neurokit_snn.snn.neurons import LIF
    >>> out, _ = Residual(Network(nn.Linear(3, 3), LIF()))(torch.zeros(10, 4, 3))
    >>> tuple(out.shape)
    (10, 4, 3)
    """

    def __init__(self, body: Stateful, shortcut: Stateful | None = None) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(
        self, x: Tensor, state: tuple[Any, Any] | None = None, *, mask: Tensor | None = None
    ) -> tuple[Tensor, tuple[Any, Any]]:
        """Run over time; the state is that of the body and that of the shortcut."""
        inner, outer = (None, None) if state is None else state
        y, inner = self.body(x, inner, mask=mask)
        if self.shortcut is not None:
            x, outer = self.shortcut(x, outer, mask=mask)
        if x.shape != y.shape:
            raise ModelError(
                f"Residual: the body gives {tuple(y.shape)} and what it is added to has {tuple(x.shape)}; "
                "give a shortcut that makes them equal"
            )
        return x + y, (inner, outer)


@final
class Recurrent(Stateful):
    """A layer whose spikes come back to it one step later through learned weights, orthogonal times 1/2 to begin with.

    Parameters
    ----------
    neuron
        What its neurons are.
    features
        How many.

    Raises
    ------
    ConfigError
        When the neuron is none, or there is no feature.
    ModelError
        In a call, when the input has another number of features.

    Examples
    --------
    >>> from neurokit_snn.snn.neurons import AdaptiveLIF
    >>> out, state = Recurrent(AdaptiveLIF(), 3)(torch.zeros(10, 4, 3))
    >>> tuple(out.shape)
    (10, 4, 3)
    """

    def __init__(self, neuron: Neuron, features: int) -> None:
        super().__init__()
        if not isinstance(neuron, Neuron):
            raise ConfigError(
                f"Recurrent.neuron is a {type(neuron).__name__}; give a layer of neurons, as LIF()"
            )
        if not (isinstance(features, int) and features >= 1):
            raise ConfigError(f"Recurrent.features is {features!r}; give a whole number, 1 or more")
        self.neuron = neuron
        self.back = nn.Linear(features, features, bias=False)
        nn.init.orthogonal_(self.back.weight, gain=0.5)

    def forward(
        self, x: Tensor, state: tuple[Any, Tensor] | None = None, *, mask: Tensor | None = None
    ) -> tuple[Tensor, tuple[Any, Tensor]]:
        """Run over time; the state is that of the neurons and their last spikes."""
        if x.ndim < 3 or x.shape[-1] != self.back.in_features:
            raise ModelError(
                f"Recurrent: the input has shape {tuple(x.shape)}; "
                f"give (time, batch, ..., feature) with {self.back.in_features} features"
            )
        inner, last = (None, torch.zeros_like(x[:1])) if state is None else (state[0], state[1].unsqueeze(0))
        made = []
        for t, xt in enumerate(x.split(1)):
            now = None if mask is None else mask[t : t + 1]
            s, inner = self.neuron(xt + self.back(last), inner, mask=now)
            last = (
                s
                if now is None
                else torch.where(now.reshape(*now.shape, *[1] * (x.ndim - now.ndim)), s, last)
            )
            made.append(s)
        return torch.cat(made), (inner, last[0])
