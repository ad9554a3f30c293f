"""Online training through time: what a weight has heard so far, kept as a trace, in place of a graph over time."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from neurokit_snn.errors import ModelError
from neurokit_snn.snn.network import Recurrent
from neurokit_snn.snn.neuron import Neuron
from neurokit_snn.snn.stateful import Stateful
from neurokit_snn.snn.training.rules import Objective, Rule, in_pieces, refuse_sequences

__all__ = ["OTTT"]

SYNAPSES = (nn.Linear, _ConvNd)
"""Layers whose weights have traces: they multiply what they are given."""


@final
@dataclasses.dataclass(frozen=True)
class OTTT(Rule):
    """Online training through time (Xiao et al., NeurIPS 2022): step-wise errors, and what each weight has heard before.

    The error of a step is that of `SLTT`; the gradient of a weight is the error times the trace ``a[t] = beta a[t-1] + x[t]``
    of its input, with the leak of the neuron that it feeds (eq. 11 of the paper); the input of a bias is 1. Where the current
    of a neuron is filtered as well, so is the trace. For one layer of neurons without a reset, or with one that is detached
    and soft, it is the gradient of `BPTT`. Memory does not depend on the number of steps: one trace the size of an input for
    each layer. Weights of linear and convolutional layers have traces; other parameters (norms, time constants) are given the
    gradient of their step. The neuron that a layer feeds is the next one in the order of the network.

    Examples
    --------
    >>> from neurokit_snn.snn import LIF, Network
    >>> net = Network(nn.Linear(3, 2), LIF())
    >>> loss, _ = OTTT().loss(net, torch.rand(5, 4, 3), lambda out, start: out.sum())
    >>> loss.backward()
    """

    def loss(
        self,
        network: Stateful,
        x: Tensor,
        objective: Objective,
        *,
        mask: Tensor | None = None,
        state: Any = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """See the base class; also refused is a neuron with more than one leak, which no trace of an input can follow."""
        refuse_sequences(network, type(self).__name__)
        traces = _Traces([_Synapse(*found) for found in _fed(network)], mask)
        pieces = [(t, t + 1, True) for t in range(x.shape[0])]
        with traces.listening(network):
            return in_pieces(network, x, objective, pieces, mask=mask, state=state, backward=traces.backward)


def _fed(network: nn.Module) -> Iterator[tuple[str, nn.Module, Neuron | None]]:
    """Layers with weights to be learned, and the neuron that each feeds; None for what feeds none."""
    named = list(network.named_modules())
    own = {module.back: module.neuron for _, module in named if isinstance(module, Recurrent)}
    for i, (name, layer) in enumerate(named):
        if isinstance(layer, SYNAPSES) and any(p.requires_grad for p in layer.parameters()):
            after = (module for _, module in named[i:] if isinstance(module, Neuron))
            yield name, layer, own.get(layer, next(after, None))


class _Synapse:
    """A layer with weights, and the traces of what it has heard."""

    def __init__(self, name: str, layer: nn.Module, neuron: Neuron | None) -> None:
        self.name, self.layer = name, layer
        self.weights = [p for n, p in layer.named_parameters() if p.requires_grad and n != "bias"]
        bias = getattr(layer, "bias", None)
        self.bias = bias if bias is not None and bias.requires_grad else None
        self.leaks = [torch.zeros(())] if neuron is None else _leaks(name, neuron)
        self.inputs: list[Tensor] = []
        self.ones: list[Tensor] = []
        self.gave: Tensor | None = None

    def hear(self, x: Tensor, gave: Tensor, mask: Tensor | None) -> None:
        """One step: what the layer was given and what it gave."""
        if self.gave is not None:
            raise ModelError(
                f"OTTT: layer {self.name} runs more than once a step; use SLTT(), or a layer for each place"
            )
        self.gave = gave
        one = x.new_ones((x.shape[0], *[1] * (x.ndim - 1)))  # what a bias hears
        valid = None if mask is None else mask.reshape(one.shape)
        self.inputs = _filtered(x, self.inputs, self.leaks, valid)
        self.ones = _filtered(one, self.ones, self.leaks, valid)

    @torch.enable_grad()
    def gradients(self, error: Tensor) -> Iterator[tuple[nn.Parameter, Tensor]]:
        """Of the weights and of the bias, with the error of what the layer gave."""
        if self.weights:
            told = self.layer.forward(self.inputs[-1])  # not its hooks
            yield from zip(self.weights, torch.autograd.grad(told, self.weights, error), strict=True)
        if self.bias is not None:
            channel = error.ndim - 1 if isinstance(self.layer, nn.Linear) else 1
            others = [axis for axis in range(error.ndim) if axis != channel]
            yield self.bias, (error * self.ones[-1]).sum(others)


def _leaks(name: str, neuron: Neuron) -> list[Tensor]:
    """What the input of a neuron goes through: the filter of its current, where it has one, and that of its membrane."""
    of_cells, leaks = neuron.parameters_of_cells(), []
    for which in ("alpha", "beta") if neuron.filters else ("beta",):
        leak = torch.as_tensor(of_cells[which], dtype=torch.float64).detach()
        if leak.numel() != 1:
            raise ModelError(
                f"OTTT: {type(neuron).__name__} behind layer {name} has {leak.numel()} values of {which}, and a trace follows "
                "one; give it one time constant, or use SLTT()"
            )
        leaks.append(leak.reshape(()))
    return leaks


def _filtered(x: Tensor, before: list[Tensor], leaks: list[Tensor], valid: Tensor | None) -> list[Tensor]:
    """One step of exponential filters in a row; masked trials stay as they are."""
    made = []
    for i, leak in enumerate(leaks):
        last = before[i] if before else torch.zeros_like(x)
        x = leak.to(x) * last + x
        made.append(x if valid is None else torch.where(valid, x, last))
    return made


class _Traces:
    """The traces of all layers of a network, step by step."""

    def __init__(self, synapses: Sequence[_Synapse], mask: Tensor | None) -> None:
        self.synapses, self.mask, self.step = synapses, mask, -1

    @contextlib.contextmanager
    def listening(self, network: nn.Module) -> Iterator[None]:
        """Hear what the layers are given at each step, until the end."""
        hooks = [network.register_forward_pre_hook(self._next)]
        hooks += [s.layer.register_forward_hook(self._heard(s)) for s in self.synapses]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _next(self, *_: Any) -> None:
        self.step += 1
        for synapse in self.synapses:
            synapse.gave = None

    def _heard(self, synapse: _Synapse) -> Callable[..., None]:
        def hook(layer: nn.Module, given: tuple[Tensor, ...], gave: Tensor) -> None:
            valid = None if self.mask is None else self.mask[self.step]
            synapse.hear(given[0].detach(), gave, valid)

        return hook

    def backward(self, value: Tensor, wanted: list[Tensor]) -> list[Tensor | None]:
        """Gradients of one step: by traces where there is one, else those of autograd."""
        ran = [s for s in self.synapses if s.gave is not None]
        traced = {id(p) for s in ran for p in (*s.weights, *([] if s.bias is None else [s.bias]))}
        plain = [one for one in wanted if id(one) not in traced]
        outputs = [s.gave for s in ran]
        found = torch.autograd.grad(value, [*plain, *outputs], allow_unused=True)
        made = {id(one): grad for one, grad in zip(plain, found, strict=False)}
        for synapse, error in zip(ran, found[len(plain) :], strict=True):
            if error is not None:
                for parameter, grad in synapse.gradients(error):
                    before = made.get(id(parameter))
                    made[id(parameter)] = grad if before is None else before + grad
        return [made.get(id(one)) for one in wanted]
