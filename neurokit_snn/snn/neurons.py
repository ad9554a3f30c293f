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
from typing import Literal, final, get_args

import torch
from torch import Tensor, nn

from neurokit_snn.errors import ConfigError, ModelError
from neurokit_snn.snn import surrogate as surrogates
from neurokit_snn.snn.kernels.reference import Cell, Scan, State
from neurokit_snn.snn.kernels.scan import scan
from neurokit_snn.snn.surrogate import Surrogate

__all__ = [
    "IF",
    "LIF",
    "AdaptiveLIF",
    "CurrentLIF",
    "IntegerLIF",
    "LeakyIntegrator",
    "Neuron",
    "ParametricLIF",
    "Recurrent",
    "Reset",
    "State",
]

Reset = Literal["hard", "soft", "none"]


class Neuron(nn.Module, abc.ABC):
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
        bad = ~torch.isfinite(x)
        if bad.any():
            where = tuple(int(i) for i in bad.nonzero()[0])
            raise ModelError(
                f"{kind}: the input is {float(x[where])} at (time, batch, ..., feature) = {where}; look at the data and the "
                "weights before it"
            )
        for name, value in self.parameters_of_cells().items():
            if not torch.isfinite(torch.as_tensor(value)).all():
                raise ModelError(f"{kind}: {name} is not finite; lower the learning rate")
        where = tuple(int(i) for i in (~torch.isfinite(after.membrane)).nonzero()[0])
        raise ModelError(f"{kind}: the membrane of cell {where} is not finite; look at the state that was given")

    def _above(self, field: str, value: float, least: float, *, equal: bool = False) -> float:
        good = value >= least if equal else value > least
        if not (good and math.isfinite(value)):
            at = "or more" if equal else "exclusive"
            raise ConfigError(f"{type(self).__name__}.{field} is {value}; give a number above {least:g} ({at})")
        return float(value)


@final
class IF(Neuron):
    """Integrate and fire: no leak, ``beta = gain = 1``."""

    def parameters_of_cells(self) -> dict[str, Tensor | float]:
        """See the base class."""
        return {"beta": 1.0, "gain": 1.0}


@final
class LIF(Neuron):
    """Leaky integrate and fire.

    Parameters
    ----------
    tau
        Membrane time constant, steps, at least 1.
    decay_input
        Whether the input is divided by ``tau``.

    Examples
    --------
    >>> spikes, state = LIF(tau=2.0, decay_input=False)(torch.full((4, 1, 1), 0.7))
    >>> spikes.flatten().tolist()
    [0.0, 1.0, 0.0, 1.0]
    """

    def __init__(self, tau: float = 2.0, *, decay_input: bool = True, **fields: object) -> None:
        super().__init__(**fields)  # type: ignore[arg-type]
        self.tau, self.decay_input = self._above("tau", tau, 1.0, equal=True), decay_input

    def parameters_of_cells(self) -> dict[str, Tensor | float]:
        """See the base class."""
        return {"beta": 1.0 - 1.0 / self.tau, "gain": 1.0 / self.tau if self.decay_input else 1.0}


@final
class ParametricLIF(Neuron):
    """LIF that learns its time constant (Fang et al., ICCV 2021): ``1/tau = sigmoid(w)``.

    Parameters
    ----------
    tau
        Time constant to begin with, steps, above 1.
    features
        How many time constants; None for one of the whole layer.
    decay_input
        Whether the input is divided by ``tau``.
    """

    def __init__(
        self, tau: float = 2.0, *, features: int | None = None, decay_input: bool = True, **fields: object
    ) -> None:
        super().__init__(**fields)  # type: ignore[arg-type]
        self._above("tau", tau, 1.0)
        self.decay_input = decay_input
        start = -math.log(tau - 1.0)
        self.leak = nn.Parameter(torch.full(() if features is None else (features,), start))

    @property
    def tau(self) -> Tensor:
        """Time constants, steps."""
        return 1.0 + torch.exp(-self.leak)

    def parameters_of_cells(self) -> dict[str, Tensor | float]:
        """See the base class."""
        share = torch.sigmoid(self.leak)
        return {"beta": 1.0 - share, "gain": share if self.decay_input else 1.0}


@final
class AdaptiveLIF(Neuron):
    """LIF whose threshold rises with each of its spikes (Bellec et al., 2018).

    ``threshold[t] = threshold + jump a[t-1]``, ``a[t] = rho a[t-1] + s[t]`` with ``rho = 1 - 1/tau_adaptation``.

    Parameters
    ----------
    tau, tau_adaptation
        Time constants of membrane and threshold, steps, at least 1.
    jump
        How far one spike lifts the threshold.
    decay_input
        Whether the input is divided by ``tau``.
    """

    adapts = True

    def __init__(
        self,
        tau: float = 2.0,
        *,
        tau_adaptation: float = 20.0,
        jump: float = 0.2,
        decay_input: bool = True,
        **fields: object,
    ) -> None:
        super().__init__(**fields)  # type: ignore[arg-type]
        self.tau, self.decay_input = self._above("tau", tau, 1.0, equal=True), decay_input
        self.tau_adaptation = self._above("tau_adaptation", tau_adaptation, 1.0, equal=True)
        self.jump = self._above("jump", jump, 0.0, equal=True)

    def parameters_of_cells(self) -> dict[str, Tensor | float]:
        """See the base class."""
        return {
            "beta": 1.0 - 1.0 / self.tau,
            "gain": 1.0 / self.tau if self.decay_input else 1.0,
            "rho": 1.0 - 1.0 / self.tau_adaptation,
            "jump": self.jump,
        }


@final
class CurrentLIF(Neuron):
    """Current-based LIF: ``i[t] = (1 - 1/tau_current) i[t-1] + x[t]`` drives the membrane.

    Parameters
    ----------
    tau, tau_current
        Time constants of membrane and current, steps, at least 1.
    decay_input
        Whether the current is divided by ``tau`` on its way to the membrane.
    """

    filters = True

    def __init__(
        self, tau: float = 2.0, *, tau_current: float = 2.0, decay_input: bool = True, **fields: object
    ) -> None:
        super().__init__(**fields)  # type: ignore[arg-type]
        self.tau, self.decay_input = self._above("tau", tau, 1.0, equal=True), decay_input
        self.tau_current = self._above("tau_current", tau_current, 1.0, equal=True)

    def parameters_of_cells(self) -> dict[str, Tensor | float]:
        """See the base class."""
        return {
            "beta": 1.0 - 1.0 / self.tau,
            "gain": 1.0 / self.tau if self.decay_input else 1.0,
            "alpha": 1.0 - 1.0 / self.tau_current,
        }


@final
class IntegerLIF(Neuron):
    """LIF that sends integers in training and as many binary spikes at inference (Luo et al., ECCV 2024).

    ``s = floor(h / threshold + 1/2)`` cut off at 0 and ``levels``; the slope is 1/threshold in between, 0 outside. A soft reset takes
    ``threshold s`` away.

    Parameters
    ----------
    tau
        Membrane time constant, steps, at least 1; 1 has no memory.
    levels
        D, most spikes of a step.
    decay_input
        Whether the input is divided by ``tau``.
    """

    def __init__(
        self, tau: float = 4.0 / 3.0, *, levels: int = 4, decay_input: bool = False, **fields: object
    ) -> None:
        super().__init__(**({"reset": "soft"} | fields))  # type: ignore[arg-type]
        if self.reset == "hard":
            raise ConfigError("IntegerLIF.reset is 'hard'; choose soft or none: a hard reset forgets how many spikes there were")
        if not (isinstance(levels, int) and levels >= 2):
            raise ConfigError(f"IntegerLIF.levels is {levels}; give a whole number, 2 or more")
        self.tau, self.decay_input = self._above("tau", tau, 1.0, equal=True), decay_input
        self.levels = levels

    def parameters_of_cells(self) -> dict[str, Tensor | float]:
        """See the base class."""
        return {"beta": 1.0 - 1.0 / self.tau, "gain": 1.0 / self.tau if self.decay_input else 1.0}

    def expanded(self, spikes: Tensor) -> Tensor:
        """Integers as binary spikes of `levels` steps each.

        Parameters
        ----------
        spikes
            ``(time, ...)`` of whole numbers from 0 to ``levels``.

        Returns
        -------
        Tensor, (time, level, ...)
            Of 0 and 1; their sum over levels is the integer. They are those of a neuron with ``v = h + threshold/2``, no leak
            and a soft reset.
        """
        level = torch.arange(self.levels, dtype=spikes.dtype, device=spikes.device)
        return (spikes.unsqueeze(1) > level.view(-1, *[1] * (spikes.ndim - 1))).to(spikes.dtype)


@final
class LeakyIntegrator(Neuron):
    """A membrane that never spikes: a readout. Calling it gives the membrane.

    Parameters
    ----------
    tau
        Time constant, steps, at least 1.
    decay_input
        Whether the input is divided by ``tau``.
    """

    def __init__(self, tau: float = 2.0, *, decay_input: bool = True, fused: bool = True) -> None:
        super().__init__(reset="none", fused=fused)
        self.tau, self.decay_input = self._above("tau", tau, 1.0, equal=True), decay_input

    def forward(
        self, x: Tensor, state: State | None = None, *, mask: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """The membrane ``(time, batch, ..., feature)`` and the state."""
        _, membrane, after = self.run(x, state, mask=mask)
        return membrane.to(x.dtype), after

    def parameters_of_cells(self) -> dict[str, Tensor | float]:
        """See the base class."""
        return {"beta": 1.0 - 1.0 / self.tau, "gain": 1.0 / self.tau if self.decay_input else 1.0}


@final
class Recurrent(nn.Module):
    """A layer whose spikes come back to it one step later through learned weights.

    Parameters
    ----------
    neuron
        What its neurons are.
    features
        How many.
    """

    def __init__(self, neuron: Neuron, features: int) -> None:
        super().__init__()
        self.neuron = neuron
        self.back = nn.Linear(features, features, bias=False)
        nn.init.orthogonal_(self.back.weight, gain=0.5)

    def forward(
        self, x: Tensor, state: tuple[State, Tensor] | None = None, *, mask: Tensor | None = None
    ) -> tuple[Tensor, tuple[State, Tensor]]:
        """Run over time; the state is that of the neurons and their last spikes."""
        inner, last = (self.neuron.silent(x), torch.zeros_like(x[0])) if state is None else state
        made = []
        for t, xt in enumerate(x.unbind(0)):
            now = None if mask is None else mask[t : t + 1]
            s, inner = self.neuron((xt + self.back(last)).unsqueeze(0), inner, mask=now)
            last = s[0] if mask is None else torch.where(mask[t, ..., None], s[0], last)
            made.append(s[0])
        return torch.stack(made), (inner, last)
