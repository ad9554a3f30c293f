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
from typing import Literal, get_args

import torch
from torch import Tensor

from neurokit_snn.errors import ConfigError, ModelError
from neurokit_snn.snn import surrogate as surrogates
from neurokit_snn.snn.kernels.reference import Cell, Scan
from neurokit_snn.snn.kernels.scan import scan
from neurokit_snn.snn.stateful import State, Stateful
from neurokit_snn.snn.surrogate import Surrogate

__all__ = ["Neuron", "Reset"]

Reset = Literal["hard", "soft", "none"]


class Neuron(Stateful):
    """A layer of neurons that do not touch each other.

    Parameters
    ----------
    threshold
        Membrane at which a neuron spikes.
    reset
        What a spike does to the membrane.
    rest
        Membrane after a hard reset.
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
    """

    levels: int = 1
    filters: bool = False  # whether a current filters the input
    adapts: bool = False

    def __init__(
        self,
        *,
        threshold: float = 1.0,
        reset: Reset = "hard",
        rest: float = 0.0,
        detach_reset: bool = True,
        surrogate: str | Surrogate = "atan",
        fused: bool = True,
    ) -> None:
        super().__init__()
        if reset not in get_args(Reset):
            raise ConfigError(f"{type(self).__name__}.reset is {reset!r}; choose hard, soft or none")
        self.threshold = self._above("threshold", threshold, 0.0)
        self.reset, self.rest = reset, rest
        self.detach_reset, self.fused = detach_reset, fused
        self.surrogate = surrogates.surrogate(surrogate)

    @abc.abstractmethod
    def parameters_of_cells(self) -> dict[str, Tensor | float]:
        """``beta`` and ``gain``, and what else differs from 0 of `Cell`; numbers or ``(feature,)``."""

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
            When rank or dtype is wrong, or a value is not finite, naming it.
        """
        spikes, _, after = self.run(x, state, mask=mask)
        return spikes, after

    def run(
        self, x: Tensor, state: State | None = None, *, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor, State]:
        """As calling the layer, and the membrane before the reset as second."""
        self._check(x, state, mask)
        shape = x.shape[1:]
        flat = x.reshape(x.shape[0], -1)
        before = self.silent(x) if state is None else state
        how = Scan(
            self.reset, self.detach_reset, self.surrogate, self.levels, self.filters, self.adapts
        )
        valid = None if mask is None else mask[..., None].expand(x.shape).reshape(flat.shape)
        spikes, membrane, after = scan(
            flat,
            State(*(part.reshape(-1) for part in before)),
            self._cell(x),
            how,
            mask=valid,
            fused=self.fused,
        )
        if not torch.compiler.is_compiling() and not bool(torch.isfinite(after.membrane).all()):
            self._not_finite(x, after)
        return spikes.view(x.shape), membrane.view(x.shape), State(*(part.view(shape) for part in after))

    def silent(self, x: Tensor) -> State:
        """The state of a layer that has not seen anything yet, for inputs like ``x``."""
        dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
        zero = x.new_zeros(x.shape[1:], dtype=dtype)
        return State(zero, zero, zero)

    def _cell(self, x: Tensor) -> Cell:
        dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
        given: dict[str, Tensor | float] = {"theta": self.threshold, "rest": self.rest}
        given |= self.parameters_of_cells()
        cells = x.shape[1:]

        def spread(value: Tensor | float) -> Tensor:
            made = torch.as_tensor(value, dtype=dtype, device=x.device)
            return made.expand(cells).reshape(-1)

        return Cell(**{name: spread(given.get(name, 0.0)) for name in Cell._fields})

    def _check(self, x: Tensor, state: State | None, mask: Tensor | None) -> None:
        kind = type(self).__name__
        if x.ndim < 3:
            raise ModelError(f"{kind}: the input has shape {tuple(x.shape)}; give (time, batch, ..., feature)")
        if not x.is_floating_point():
            raise ModelError(f"{kind}: the input is {x.dtype}; give floating-point numbers")
        if state is not None:
            for name, part in zip(State._fields, state, strict=True):
                if part.shape != x.shape[1:]:
                    raise ModelError(
                        f"{kind}: state.{name} has shape {tuple(part.shape)}; the input asks for {tuple(x.shape[1:])}"
                    )
        if mask is not None and (mask.shape != x.shape[:-1] or mask.dtype != torch.bool):
            raise ModelError(
                f"{kind}: mask is {mask.dtype} {tuple(mask.shape)}; give booleans {tuple(x.shape[:-1])}"
            )

    def _not_finite(self, x: Tensor, after: State) -> None:
        """A NaN never leaves the membrane that it came into: the last one tells of all."""
        kind = type(self).__name__
        x, membrane = x.detach(), after.membrane.detach()
        bad = ~torch.isfinite(x)
        if bad.any():
            where = tuple(int(i) for i in bad.nonzero()[0])
            raise ModelError(
                f"{kind}: the input is {x[where].item()} at (time, batch, ..., feature) = {where}; look at the data and the "
                "weights before it"
            )
        for name, value in self.parameters_of_cells().items():
            if not torch.isfinite(torch.as_tensor(value)).all():
                raise ModelError(f"{kind}: {name} is not finite; lower the learning rate")
        where = tuple(int(i) for i in (~torch.isfinite(membrane)).nonzero()[0])
        raise ModelError(f"{kind}: the membrane of cell {where} is not finite; look at the state that was given")

    def _above(self, field: str, value: float, least: float, *, equal: bool = False) -> float:
        good = value >= least if equal else value > least
        if not (good and math.isfinite(value)):
            at = "or more" if equal else "exclusive"
            raise ConfigError(f"{type(self).__name__}.{field} is {value}; give a number above {least:g} ({at})")
        return float(value)
