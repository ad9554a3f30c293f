"""Layers of spiking neurons: one call runs a layer over all of time.

With input x (or a current that filters it), membrane v, and a surrogate for the slope of the spike,

    h[t] = beta v[t-1] + gain x[t],    s[t] = 1 where h[t] >= threshold,    v[t] = h[t], reset where s[t] = 1

and neurons differ in where beta, gain and threshold come from. A reset is ``hard`` (to `rest`), ``soft`` (the threshold is
taken away) or ``none``. Time constants are in steps, ``beta = 1 - 1/tau``; with ``decay_input`` the gain is ``1/tau``, else 1.
State is explicit: it goes in and comes out, and a layer remembers nothing.
"""

from __future__ import annotations

import abc
import math
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from neurokit_snn.errors import ConfigError, ModelError
from neurokit_snn.snn import surrogate as surrogates
from neurokit_snn.snn.kernels.cell import Cell, NotFinite, Scan, state_dtype
from neurokit_snn.snn.kernels.scan import scan
from neurokit_snn.snn.stateful import State, Stateful
from neurokit_snn.snn.surrogate import Surrogate

__all__ = ["Neuron", "Reset"]

Reset = Literal["hard", "soft", "none"]


class Range(NamedTuple):
    """What a field may be."""

    least: float
    closed: bool  # whether the least is in

    def holds(self, value: float) -> bool:
        """Whether a number is in it."""
        return (value >= self.least if self.closed else value > self.least) and value < math.inf

    def __str__(self) -> str:
        """For messages."""
        if self.least == -math.inf:
            return "a finite number"
        return f"a finite number{',' if self.closed else ' above'} {self.least:g}{' or more' if self.closed else ''}"


ANY = Range(-math.inf, closed=False)
ABOVE_0 = Range(0.0, closed=False)
FROM_0 = Range(0.0, closed=True)
ABOVE_1 = Range(1.0, closed=False)
FROM_1 = Range(1.0, closed=True)


class Neuron(Stateful):
    """A layer of neurons that do not touch each other.

    Parameters
    ----------
    threshold
        Membrane at which a neuron spikes; a number above 0, or a tensor of them.
    reset
        What a spike does to the membrane.
    rest
        Membrane after a hard reset. Between spikes it leaks towards 0, whatever this is.
    detach_reset
        Whether gradients go around the reset.
    surrogate
        Name or instance.
    fused
        Use the kernel of the device; plain torch otherwise, which is differentiable twice.

    Raises
    ------
    ConfigError
        When a field is out of range, naming it.

    Notes
    -----
    A threshold or a time constant that is a tensor has the shape of the last dimensions of the input, ``(feature,)`` for one of
    each neuron; an ``nn.Parameter`` is learned. Ranges are looked at in every call, but not inside a compiled graph.
    """

    levels: int = 1
    filters: bool = False  # whether a current filters the input
    adapts: bool = False

    def __init__(
        self,
        *,
        threshold: float | Tensor = 1.0,
        reset: Reset = "hard",
        rest: float = 0.0,
        detach_reset: bool = True,
        surrogate: str | Surrogate = "atan",
        fused: bool = True,
    ) -> None:
        super().__init__()
        if reset not in get_args(Reset):
            raise ConfigError(f"{type(self).__name__}.reset is {reset!r}; choose hard, soft or none")
        if not math.isfinite(rest):
            raise ConfigError(f"{type(self).__name__}.rest is {rest}; give a finite number")
        self._ranges: dict[str, Range] = {}
        self.threshold = self._within("threshold", threshold, ABOVE_0)
        self.reset, self.rest = reset, rest
        self.detach_reset, self.fused = detach_reset, fused
        self.surrogate = surrogates.surrogate(surrogate)

    @abc.abstractmethod
    def parameters_of_cells(self) -> dict[str, Tensor | float]:
        """``beta`` and ``gain``, and what else differs from 0 of `Cell`; numbers, or tensors like the input's last dimensions."""

    def forward(
        self, x: Tensor, state: State | None = None, *, mask: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Run the layer over time.

        Parameters
        ----------
        x
            Inputs ``(time, batch, ..., feature)``, any number of batch dimensions.
        state
            Before the first step, each part ``(batch, ..., feature)``; None for silence.
        mask
            ``(time, batch, ...)``, False at steps beyond a trial's end: nothing fires there and the state stays.

        Returns
        -------
        spikes
            Of the shape and dtype of ``x``.
        state
            After the last step.

        Raises
        ------
        ModelError
            When rank or dtype is wrong, or a value is not finite or out of range, naming it.
        """
        spikes, _, after = self.run(x, state, mask=mask)
        return spikes, after

    def run(
        self, x: Tensor, state: State | None = None, *, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor, State]:
        """As calling the layer, and the membrane before the reset as second."""
        self._check(x, state, mask)
        how = Scan(self.reset, self.detach_reset, self.surrogate, self.levels, self.filters, self.adapts)
        try:
            return scan(x, state, self._cell(x), how, mask=mask, fused=self.fused)
        except NotFinite:
            self._not_finite(x, state, mask)
            raise

    def _cell(self, x: Tensor) -> Cell:
        given = {"theta": self.threshold, "rest": self.rest} | self.parameters_of_cells()
        rank = max([0, *(part.ndim for part in given.values() if isinstance(part, Tensor))])
        if rank:
            given = {name: self._spread(name, part, x.shape[x.ndim - rank :]) for name, part in given.items()}
        return Cell(**given)

    def _spread(self, name: str, part: Tensor | float, shape: torch.Size) -> Tensor | float:
        if not isinstance(part, Tensor) or part.numel() == 1:
            return part
        try:
            return part.expand(shape).reshape(-1)
        except RuntimeError as error:
            raise ModelError(
                f"{type(self).__name__}: {name} has shape {tuple(part.shape)}; the input's last dimensions are {tuple(shape)}"
            ) from error

    def extra_repr(self) -> str:
        """Fields, as a network prints them; of a field that is a tensor its shape."""
        shown = {name: getattr(self, name) for name in (*self._ranges, "decay_input", "reset", "detach_reset", "surrogate")
                 if hasattr(self, name)}  # fmt: skip
        return ", ".join(f"{name}={_shown(value)}" for name, value in shown.items())

    # ---- what is wrong ---------------------------------------------------------------------------------------------

    def _check(self, x: Tensor, state: State | None, mask: Tensor | None) -> None:
        kind = type(self).__name__
        if x.ndim < 3 or not x.shape[0]:
            raise ModelError(
                f"{kind}: the input has shape {tuple(x.shape)}; give (time, batch, ..., feature), a step or more"
            )
        if not x.is_floating_point():
            raise ModelError(f"{kind}: the input is {x.dtype}; give floating-point numbers")
        if state is not None:
            if not isinstance(state, tuple) or len(state) != len(State._fields):
                raise ModelError(
                    f"{kind}: the state is {type(state).__name__} of {len(state)}; give what the layer returned"
                )
            for name, part in zip(State._fields, state, strict=True):
                if part is not None and (part.shape != x.shape[1:] or part.dtype != state_dtype(x)):
                    raise ModelError(
                        f"{kind}: state.{name} is {part.dtype} {tuple(part.shape)}; the input asks for "
                        f"{state_dtype(x)} {tuple(x.shape[1:])}"
                    )
        if mask is not None and (
            mask.dtype != torch.bool or mask.shape != x.shape[: mask.ndim] or mask.ndim < 2
        ):
            raise ModelError(
                f"{kind}: mask is {mask.dtype} {tuple(mask.shape)}; give booleans (time, batch, ...) = {tuple(x.shape[:-1])}"
            )
        if not torch.compiler.is_compiling():
            for name, limits in self._ranges.items():
                value = getattr(self, name)
                if isinstance(value, Tensor):
                    self._refuse(name, value.detach(), limits, ModelError)
                else:  # it may have been changed since it was given
                    self._refuse_number(name, value, limits, ModelError)

    def _not_finite(self, x: Tensor, state: State | None, mask: Tensor | None) -> None:
        """Say which value it was."""
        kind = type(self).__name__
        seen = x.detach() if mask is None else torch.where(_mask_like(x, mask), x.detach(), 0.0)
        sources = {"the input": seen} | (
            {} if state is None else {f"state.{k}": p for k, p in state._asdict().items()}
        )
        for name, values in sources.items():
            if values is None:
                continue
            bad = ~torch.isfinite(values)
            if bad.any():
                where = tuple(int(i) for i in bad.nonzero()[0])
                dims = "(time, batch, ..., feature)" if name == "the input" else "(batch, ..., feature)"
                raise ModelError(
                    f"{kind}: {name} is {values[where].item()} at {dims} = {where}; look at the data and the weights before it"
                ) from None
        for name, value in self.parameters_of_cells().items():
            if not torch.isfinite(torch.as_tensor(value)).all():
                raise ModelError(f"{kind}: {name} is not finite; lower the learning rate") from None

    def _within(self, field: str, value: float | Tensor, limits: Range) -> float | Tensor:
        """The value of a field, in its range; remembered, so that a learned one is looked at again."""
        self._refuse_field(field, value, limits)
        self._ranges[field] = limits
        if not isinstance(value, Tensor):
            return float(value)
        if not isinstance(value, nn.Parameter):
            self.register_buffer(field, value)
        return value

    def _refuse_field(self, field: str, value: object, limits: Range) -> None:
        """As `_refuse`, of what a constructor was given."""
        if isinstance(value, (int, float)):
            self._refuse_number(field, value, limits, ConfigError)
            return
        try:
            given = torch.as_tensor(value).detach()
        except (TypeError, ValueError, RuntimeError) as error:
            raise ConfigError(
                f"{type(self).__name__}.{field} is {value!r}; give {limits}, or a tensor"
            ) from error
        if not given.numel() or given.is_complex():
            raise ConfigError(
                f"{type(self).__name__}.{field} is {given.dtype} {tuple(given.shape)}; give {limits}, or a tensor"
            )
        self._refuse(field, given, limits, ConfigError)

    def _refuse_number(self, field: str, value: float, limits: Range, error: type[Exception]) -> None:
        if not limits.holds(value):
            raise error(f"{type(self).__name__}.{field} is {value:g}; give {limits}")

    def _refuse(self, field: str, value: Tensor, limits: Range, error: type[Exception]) -> None:
        low, high = (float(edge) for edge in torch.aminmax(value))  # NaN where there is one
        if limits.holds(low) and high < math.inf:
            return
        good = (value >= limits.least if limits.closed else value > limits.least) & torch.isfinite(value)
        where = tuple(int(i) for i in (~good).nonzero()[0])
        at = f"[{', '.join(map(str, where))}]" if where else ""
        raise error(f"{type(self).__name__}.{field}{at} is {value[where].item():g}; give {limits}")


def _mask_like(x: Tensor, mask: Tensor) -> Tensor:
    return mask.reshape(*mask.shape, *[1] * (x.ndim - mask.ndim)).expand(x.shape)


def _shown(value: object) -> str:
    """A field, for people."""
    if isinstance(value, Tensor):
        return f"{value.item():g}" if value.numel() == 1 else f"tensor of {tuple(value.shape)}"
    return f"{value:g}" if isinstance(value, float) else repr(value)
