"""Training rules: how the gradient of a spiking network's weights comes about.

Every rule runs a network forward and gives back a loss with a gradient, so that any loop can weight it, add to it and call
``backward``. Rules that learn in pieces of time run backward as well while they go: the graph of a piece is freed before the next
one begins, and what is handed on is one node that holds the summed gradients.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias, final

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from neurokit_snn.errors import ConfigError, ModelError
from neurokit_snn.snn.stateful import Stateful, detached

__all__ = ["BPTT", "SLTT", "Objective", "Rule", "TruncatedBPTT"]

Objective: TypeAlias = Callable[[Tensor, int], Tensor]
"""``objective(outputs, start)``: a scalar, of the outputs ``(time, batch, ...)`` of the steps from ``start`` on.

It adds up over time: that of all steps is the sum of that of the pieces. `BPTT` alone asks once, and takes any.
"""

Piece = tuple[int, int, bool]
"""First step, the one after the last, and whether it has a gradient."""


@dataclasses.dataclass(frozen=True)
class Rule(abc.ABC):
    """A way to come to the gradient of a network."""

    @abc.abstractmethod
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
        """Run the network, and say how to learn from it.

        Parameters
        ----------
        network
            With a state, such as a `Network`.
        x
            Inputs ``(time, batch, ...)``; they too are given a gradient where they ask for one.
        objective
            Loss of the outputs of some steps; adds up over time.
        mask
            Booleans ``(time, batch)``, False at steps beyond a trial's end.
        state
            Of the network before the first step; None for silence. Only `BPTT` hands a gradient on to it.
        generator
            Of what the rule draws; that of torch where there is none.

        Returns
        -------
        loss
            Scalar: the objective of all steps. Its gradient is the one of the rule.
        outputs
            ``(time, batch, ...)`` of the network, cut off from the graph.

        Raises
        ------
        ModelError
            When the rule cannot learn through a layer, naming it, the network refuses its input, or the objective is no number.
        """


@final
@dataclasses.dataclass(frozen=True)
class BPTT(Rule):
    """Backpropagation through time: the whole gradient, with memory that grows with the number of steps.

    What neurons detach (their reset, by default) stays detached.

    Examples
    --------
    >>> from neurokit_snn.snn import LIF, Network
    >>> net = Network(nn.Linear(3, 2), LIF())
    >>> loss, outputs = BPTT().loss(net, torch.rand(5, 4, 3), lambda out, start: out.sum())
    >>> loss.backward()
    >>> outputs.shape, net.layers[0].weight.grad.shape
    (torch.Size([5, 4, 2]), torch.Size([2, 3]))
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
        """See the base class."""
        outputs, _ = network(x, state, mask=mask)
        return _asked(objective, outputs, 0), outputs.detach()


@final
@dataclasses.dataclass(frozen=True)
class TruncatedBPTT(Rule):
    """Backpropagation through windows of time: nothing is learned across their borders.

    Parameters
    ----------
    window
        Steps of a window, at least 1; the last one may be shorter. Memory grows with it and not with the number of steps.

    Raises
    ------
    ConfigError
        When the window has no step.
    """

    window: int

    def __post_init__(self) -> None:
        """Refuse an empty window."""
        _whole("TruncatedBPTT.window", self.window)

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
        """See the base class."""
        steps = x.shape[0]
        windows = [(at, min(at + self.window, steps), True) for at in range(0, steps, self.window)]
        return in_pieces(network, x, objective, windows, mask=mask, state=state)


@final
@dataclasses.dataclass(frozen=True)
class SLTT(Rule):
    """Spatial learning through time (Meng et al., ICCV 2023): the gradient inside each step, none from step to step.

    It is that of `BPTT` with everything that a neuron remembers taken for a constant (eq. 7 of the paper), in memory that does
    not depend on the number of steps. What can only be learned across time, as to recall what is no longer there, is not
    learned: a loss at the last step gives weights that only matter before it no gradient at all. Where inputs hold still it is
    the gradient of `BPTT` nearly to the last digit; where they change faster than membranes forget it is not, and `OTTT` is
    nearer for the same memory (``paper_figures/sltt.py``).

    Parameters
    ----------
    steps
        K: learn from that many steps, drawn anew at each call without replacement; the others only run forward. The loss is
        not scaled up, as published: in the mean the gradient is K / T of the one of all T steps. None for all.

    Raises
    ------
    ConfigError
        When no step is left to learn from.

    Examples
    --------
    >>> from neurokit_snn.snn import LIF, Network
    >>> net = Network(nn.Linear(3, 2), LIF())
    >>> loss, _ = SLTT(steps=1).loss(net, torch.rand(5, 4, 3), lambda out, start: out.sum())
    >>> loss.backward()
    """

    steps: int | None = None

    def __post_init__(self) -> None:
        """Refuse no step at all."""
        if self.steps is not None:
            _whole("SLTT.steps", self.steps)

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
        """See the base class."""
        refuse_sequences(network, type(self).__name__)
        n = x.shape[0]
        if self.steps is not None and self.steps > n:
            raise ConfigError(
                f"SLTT.steps is {self.steps} and the input has {n} steps; give at most {n}, or None for all"
            )
        learned = set(range(n))
        if self.steps is not None:
            learned = set(torch.randperm(n, generator=generator)[: self.steps].tolist())
        pieces = [(t, t + 1, t in learned) for t in range(n)]
        return in_pieces(network, x, objective, pieces, mask=mask, state=state)


# ---- learning in pieces --------------------------------------------------------------------------------------------


class _Handed(torch.autograd.Function):
    """A loss whose gradients are known already."""

    @staticmethod
    def forward(ctx: Any, total: Tensor, found: Sequence[Tensor | None], *wanted: Tensor) -> Tensor:
        ctx.found = found
        return total.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *(None if g is None else grad[0].to(g.dtype) * g for g in ctx.found)


Backward = Callable[[Tensor, list[Tensor]], Sequence[Tensor | None]]
"""Gradients of a piece's objective with respect to what is given."""


def in_pieces(
    network: Stateful,
    x: Tensor,
    objective: Objective,
    pieces: Sequence[Piece],
    *,
    mask: Tensor | None = None,
    state: Any = None,
    backward: Backward | None = None,
) -> tuple[Tensor, Tensor]:
    """Run a network over pieces of time, each backward as soon as it is forward.

    Parameters
    ----------
    network, x, objective, mask, state
        As a rule is given them.
    pieces
        Together all steps, in order.
    backward
        Gradients of a piece; by default those of autograd.

    Returns
    -------
    loss, outputs
        As a rule gives them.
    """
    if not pieces:
        raise ModelError(f"the input has shape {tuple(x.shape)}, no step; give (time, batch, ..., feature)")
    learning = torch.is_grad_enabled()
    weights = [parameter for parameter in network.parameters() if parameter.requires_grad]
    sums: list[Tensor | None] = [None] * len(weights)
    by_input = x.requires_grad and learning
    of_inputs, made, values = [], [], []
    how = _of_autograd if backward is None else backward
    for (start, _, learned), part, valid in _cut(x.detach(), mask, pieces):
        part = part.detach().requires_grad_(by_input)
        with torch.set_grad_enabled(learning and learned):
            outputs, state = _ran(network, part, detached(state), valid, start)
            if len(outputs) != len(part):
                raise ModelError(
                    f"the network gives {len(outputs)} steps for the {len(part)} from step {start} on, as delays with a tail "
                    "do, and a rule that learns in pieces cannot put them in their places; use BPTT(), or tail=False"
                )
            value = _asked(objective, outputs, start)
            found: Sequence[Tensor | None] = ()
            if value.requires_grad:
                found = how(value, [*weights, part] if by_input else weights)
        made.append(outputs.detach())
        values.append(value.detach())
        _add(sums, found[: len(weights)])
        if by_input:
            last = found[-1] if found else None
            of_inputs.append(torch.zeros_like(part) if last is None else last)
        del outputs, value, found
    outputs, total = torch.cat(made), torch.stack(values).sum()
    if not learning:
        return total, outputs
    wanted, gradients = [*weights], [*sums]
    if by_input:
        wanted, gradients = [*wanted, x], [*gradients, torch.cat(of_inputs)]
    return _Handed.apply(total, gradients, *wanted), outputs


def _cut(
    x: Tensor, mask: Tensor | None, pieces: Sequence[Piece]
) -> Iterator[tuple[Piece, Tensor, Tensor | None]]:
    lengths = [stop - start for start, stop, _ in pieces]
    masks = [None] * len(pieces) if mask is None else mask.split(lengths)
    yield from zip(pieces, x.split(lengths), masks, strict=True)


def _ran(network: Stateful, part: Tensor, state: Any, mask: Tensor | None, start: int) -> tuple[Tensor, Any]:
    try:
        return network(part, state, mask=mask)
    except ModelError as error:
        raise ModelError(f"in the piece from step {start} on: {error}") from error


def _asked(objective: Objective, outputs: Tensor, start: int) -> Tensor:
    value = objective(outputs, start)
    if value.numel() != 1 or not value.is_floating_point():
        raise ModelError(
            f"the objective gives {value.dtype} {tuple(value.shape)} at step {start}; give one floating-point number"
        )
    return value


def _of_autograd(value: Tensor, wanted: list[Tensor]) -> Sequence[Tensor | None]:
    return torch.autograd.grad(value, wanted, allow_unused=True)


@torch.no_grad()
def _add(sums: list[Tensor | None], found: Sequence[Tensor | None]) -> None:
    for i, one in enumerate(found):
        before = sums[i]
        if one is not None:
            sums[i] = one.clone() if before is None else before.add_(one)


def refuse_sequences(network: nn.Module, who: str) -> None:
    """Refuse a layer whose gradients go to earlier steps where something before it is to be learned from them.

    Raises
    ------
    ModelError
        Naming the layer.
    """
    before = False
    for name, layer in network.named_modules():
        if before and getattr(layer, "needs_sequence", False):
            raise ModelError(
                f"{who}: layer {name} ({type(layer).__name__}) sends gradients to earlier steps, and {who} learns inside of "
                "each step, so that the weights before it would learn next to nothing; use BPTT() or TruncatedBPTT(window=...)"
            )
        before = before or any(p.requires_grad for p in layer.parameters(recurse=False))


def _whole(field: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"{field} is {value!r}; give a whole number, 1 or more")
