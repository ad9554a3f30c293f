"""What the layers of a network do on real data: rates, and operations at every synapse, counted while it runs.

A spike makes an accumulation (AC, also called synaptic operation) at each synapse it reaches; a real number makes a
multiplication as well (MAC). So what a layer costs hangs on what comes in: 0 and 1, whole numbers, or real numbers. It is
measured, not assumed, by hooks that watch the layers.

Biases, pooling and dropout are not counted. A batch norm that runs right behind a layer with weights is folded into it and free;
any other is a MAC for each value. Weights that are exactly 0 count: nobody is assumed to skip them. Learned delays are counted
as they are after rounding: a spike reaches a synapse once.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from neurokit_snn.errors import ModelError
from neurokit_snn.snn.delays.layer import Delays
from neurokit_snn.snn.network import NORMS
from neurokit_snn.snn.neuron import Neuron
from neurokit_snn.snn.neurons import LeakyIntegrator
from neurokit_snn.snn.stateful import Stateful

__all__ = ["LayerOperations", "count_operations", "fan_out"]

KINDS = ("binary", "integer", "real")
CONVOLUTIONS = (
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)
WEIGHTED = (nn.Linear, *CONVOLUTIONS, Delays)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerOperations:
    """One layer's operations: means over trials, each of all the steps of a trial.

    Attributes
    ----------
    name, kind
        In the network, and of its class.
    input_kind
        Of all that came in: ``binary`` (0 and 1), ``integer`` or ``real``; signs do not matter. Empty for neurons.
    input_rate
        Mean size of an input at a step: of binary ones, the share that spikes. NaN for neurons.
    rate
        Spikes of a neuron at a step; NaN for what has none.
    dense
        Synapses times steps: the MACs if all inputs are real.
    macs, acs
        Operations at synapses, or of a norm that cannot be folded.
    events
        Inputs that are not zero.
    outputs
        Values that leave the layer; of neurons, spikes.
    updates
        Neurons times steps.
    words
        Numbers that a neuron's state has.
    """

    name: str
    kind: str
    input_kind: str = ""
    input_rate: float = math.nan
    rate: float = math.nan
    dense: float = 0.0
    macs: float = 0.0
    acs: float = 0.0
    events: float = 0.0
    outputs: float = 0.0
    updates: float = 0.0
    words: int = 0


def count_operations(
    network: Stateful, x: Tensor, *, mask: Tensor | None = None
) -> tuple[LayerOperations, ...]:
    """Run a network in evaluation mode, from silence, and count what each layer does.

    The number of ACs is exact: each spike counts once for each synapse it reaches, at the borders of a convolution as well; a
    whole number n counts as n spikes.

    Parameters
    ----------
    network
        Of Linear layers, convolutions, `Delays`, batch norms, neurons and what has no weights.
    x
        Inputs ``(time, batch, ...)``.
    mask
        Booleans ``(time, batch)``, False beyond a trial's end; only the other steps count.

    Returns
    -------
    tuple of LayerOperations
        In the order in which the layers were made.

    Raises
    ------
    ModelError
        When a layer has weights of a kind that is not counted, naming it, or the mask has steps after a trial's end.

    Examples
    --------
    >>> from neurokit_snn.snn import IF, Network
    >>> spikes = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]).unsqueeze(1)  # two steps, one trial, three inputs
    >>> row, _ = count_operations(Network(nn.Linear(3, 2), IF()), spikes)
    >>> row.input_kind, row.input_rate, row.acs, row.macs, row.dense
    ('binary', 0.5, 6.0, 0.0, 12.0)
    """
    _refuse_unknown(network)
    lengths = trial_lengths(x, mask)
    counters = {
        name: _Counter(name, module) for name, module in network.named_modules() if _is_counted(module)
    }
    with _watched(network, list(counters.values())), torch.no_grad():
        for length in lengths.unique().tolist():
            network(x[:length, lengths == length])
    return tuple(counter.mean(x.shape[1]) for counter in counters.values())


def trial_lengths(x: Tensor, mask: Tensor | None) -> Tensor:
    """Steps of each trial ``(batch,)``.

    Raises
    ------
    ModelError
        When the mask has another shape, or a trial has no steps or some after its end.
    """
    if mask is None:
        return torch.full((x.shape[1],), x.shape[0], device=x.device)
    if mask.shape != x.shape[:2] or mask.dtype != torch.bool:
        raise ModelError(
            f"count_operations: mask is {mask.dtype} {tuple(mask.shape)}; give booleans {tuple(x.shape[:2])}"
        )
    lengths = mask.sum(0)
    bad = (mask[1:] & ~mask[:-1]).any(0) | (lengths == 0)
    if bad.any():
        raise ModelError(
            f"count_operations: trial {int(bad.nonzero()[0])} has no steps, or steps after its end; mend the mask"
        )
    return lengths


def fan_out(module: nn.Module, shape: Sequence[int]) -> Tensor:
    """How many synapses of a layer each of its inputs reaches.

    Parameters
    ----------
    module
        Linear, a convolution, or `Delays`.
    shape
        Of one input, without time and batch.

    Returns
    -------
    Tensor
        float64 of that shape: the slope of the sum of all outputs where every weight is 1.

    Examples
    --------
    >>> fan_out(nn.Conv1d(1, 2, 3, padding=1), (1, 4))
    tensor([[4., 6., 6., 4.]], dtype=torch.float64)
    """
    if isinstance(module, Delays):
        count = module.weight.shape[0]
        if module.source is None:
            return torch.full((module.in_features,), count * module.out_features, dtype=torch.float64)
        return count * torch.bincount(module.source.flatten().cpu(), minlength=module.in_features).double()
    kind = next(kind for kind in WEIGHTED if isinstance(module, kind))
    probe = copy.deepcopy(module).cpu().double().requires_grad_(False)
    for weight in probe.parameters():
        weight.fill_(1.0)
    with torch.enable_grad():
        x = torch.zeros(1, *shape, dtype=torch.float64, requires_grad=True)
        # As its kind does it: not by calling the layer, which has hooks, nor as one does that makes other weights of its own.
        made: Tensor = kind.forward(probe, x)
        (slope,) = torch.autograd.grad(made.sum(), x)
    return slope[0]


def _is_counted(module: nn.Module) -> bool:
    return isinstance(module, (*WEIGHTED, *NORMS, Neuron))


def _refuse_unknown(network: nn.Module) -> None:
    for name, module in network.named_modules():
        own = [key for key, _ in module.named_parameters(recurse=False)]
        if own and not _is_counted(module):
            raise ModelError(
                f"count_operations: layer {name or '(the network)'} is a {type(module).__name__} with the parameter {own[0]!r}; "
                f"counted are {', '.join(kind.__name__ for kind in WEIGHTED)}, batch norms and neurons"
            )


@contextmanager
def _watched(network: nn.Module, counters: list[_Counter]) -> Iterator[None]:
    """Evaluation mode, and hooks that count; both are undone."""
    last: list[nn.Module] = []

    def hook(counter: _Counter) -> Any:
        def seen(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            made = output[0] if isinstance(output, tuple) else output
            counter.see(inputs[0], made, follows=last[-1] if last else None)
            last[:] = [module]

        return seen

    handles = [counter.module.register_forward_hook(hook(counter)) for counter in counters]
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for module in training:
            module.training = True


class _Counter:
    """Sums over all calls of one layer."""

    def __init__(self, name: str, module: nn.Module) -> None:
        self.name, self.module = name, module
        self.kind = 0  # of the input, a place in KINDS
        self.sums = dict.fromkeys(("dense", "acs", "events", "outputs", "updates", "inputs", "size"), 0.0)
        self.fan_outs: dict[tuple[int, ...], Tensor] = {}

    def see(self, x: Tensor, y: Tensor, *, follows: nn.Module | None) -> None:
        """Add one call: its inputs, its outputs, and the layer that ran before it."""
        if isinstance(self.module, Neuron):
            self._add(updates=y.numel(), outputs=0.0 if self._is_readout else y.sum(dtype=torch.float64))
            return
        size = x.detach().abs().double()
        if isinstance(self.module, NORMS):
            if not isinstance(follows, WEIGHTED):
                self.kind = KINDS.index("real")
                self._add(dense=x.numel(), outputs=y.numel(), inputs=x.numel(), size=size.sum())
        else:
            reached = self._fan_out(x)
            self.kind = max(self.kind, _kind(size))
            self._add(
                dense=float(reached.sum()) * (x.numel() // reached.numel()),
                acs=(size * reached).sum(),
                events=(size > 0).sum(),
                outputs=y.numel(),
                inputs=x.numel(),
                size=size.sum(),
            )

    @property
    def _is_readout(self) -> bool:
        """Whether the layer gives its membrane and no spikes."""
        return isinstance(self.module, LeakyIntegrator)

    def _add(self, **numbers: float | Tensor) -> None:
        for name, value in numbers.items():
            self.sums[name] += float(value)

    def _fan_out(self, x: Tensor) -> Tensor:
        """As `fan_out`, of what comes in; leading dimensions of a Linear layer have all the same."""
        if isinstance(self.module, nn.Linear):
            shape = x.shape[-1:]
        else:
            shape = x.shape[2:] if isinstance(self.module, Delays) else x.shape[1:]
        key = tuple(shape)
        if key not in self.fan_outs:
            self.fan_outs[key] = fan_out(self.module, key).to(x.device)
        return self.fan_outs[key]

    def mean(self, trials: int) -> LayerOperations:
        """The means over trials."""
        each: dict[str, Any] = {name: value / trials for name, value in self.sums.items()}
        size, inputs, acs = each.pop("size"), each.pop("inputs"), each.pop("acs")
        kind = type(self.module).__name__
        if isinstance(self.module, Neuron):
            silent = self._is_readout or not each["updates"]
            rate = math.nan if silent else each["outputs"] / each["updates"]
            words = 1 + self.module.filters + self.module.adapts
            return LayerOperations(name=self.name, kind=kind, rate=rate, words=words, **each)
        if not inputs:
            unused = " (folded)" if isinstance(self.module, NORMS) else " (never run)"
            return LayerOperations(name=self.name, kind=kind + unused)
        real = KINDS[self.kind] == "real"
        return LayerOperations(
            name=self.name,
            kind=kind,
            input_kind=KINDS[self.kind],
            input_rate=size / inputs,
            macs=each["dense"] if real else 0.0,
            acs=0.0 if real else acs,
            **each,
        )


def _kind(size: Tensor) -> int:
    """Place in KINDS of numbers whose absolute values are given."""
    if bool(((size == 0) | (size == 1)).all()):
        return 0
    return 1 if bool((size == size.round()).all()) else 2
