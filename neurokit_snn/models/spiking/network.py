"""From inputs and past spikes to log rates: a spiking network with a leaky readout, and what goes past it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, final

import torch
from torch import Tensor, nn

from neurokit_snn.errors import ConfigError, ModelError
from neurokit_snn.snn import neurons
from neurokit_snn.snn.delays.layer import Delays
from neurokit_snn.snn.network import Network, Recurrent
from neurokit_snn.snn.neuron import Neuron
from neurokit_snn.snn.neurons import LeakyIntegrator
from neurokit_snn.snn.stateful import Stateful

__all__ = ["Builder", "OwnPast", "RateNetwork", "Sizes", "Synapses", "spiking_layers", "started"]

Builder = Callable[[int, int], Stateful]
"""``builder(features, outputs)``: a network of the user's own, from ``(time, batch, feature)`` to ``(time, batch, output)``."""

DRIVE = 1.0
"""Standard deviation, in thresholds, that the membranes of every layer have at the start of training."""
ANNEALED = 0.5
"""Share of the training over which the bumps around delays become narrow."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """All that a network is built from, in steps: plain numbers, so that it can be built again.

    Parameters
    ----------
    columns
        Of the covariates, first in the input.
    sources
        Units whose past spikes come after them; 0 for none.
    outputs
        Width of what comes out.
    coupling
        Whether the past of all sources goes through the network.
    own
        Time constants of the filters through which each unit's own past goes straight to its rate; empty for none.
    direct
        Whether covariates go straight to the rates, too.
    hidden
        Neurons of each spiking layer; empty for none.
    neuron, tau, fields
        Kind of the neurons, their membrane time constant, and further fields of theirs.
    recurrent
        Whether the spikes of a layer come back to it.
    tau_readout
        Time constant of the readout.
    delays
        Longest delay of the synapses of past spikes, an odd number; 0 for none. Past spikes come a bin late anyway, so that the
        delays of the layer itself go from 0 to one less.
    """

    columns: int
    sources: int
    outputs: int
    coupling: bool
    own: tuple[float, ...]
    direct: bool
    hidden: tuple[int, ...]
    neuron: str
    tau: float
    fields: Mapping[str, Any]
    recurrent: bool
    tau_readout: float
    delays: int

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Sizes:
        """From what ``dataclasses.asdict`` gave, after a turn through JSON."""
        return cls(**{**stored, "own": tuple(stored["own"]), "hidden": tuple(stored["hidden"])})


def neuron_of(sizes: Sizes) -> Neuron:
    """One layer of neurons.

    Raises
    ------
    ConfigError
        When the kind is unknown, or it has no field of a name.
    """
    kinds = [n for n in neurons.__all__ if n != "LeakyIntegrator"]
    if sizes.neuron not in kinds:
        raise ConfigError(f"neuron is {sizes.neuron!r}; choose one of {', '.join(kinds)}")
    kind = getattr(neurons, sizes.neuron)
    constants = {} if sizes.neuron == "IF" else {"tau": sizes.tau}
    try:
        made: Neuron = kind(**constants, **sizes.fields)
    except TypeError as error:
        raise ConfigError(f"neuron_fields: {sizes.neuron} takes no such field ({error})") from None
    return made


def spiking_layers(sizes: Sizes, columns: int) -> Network:
    """Spiking layers and the readout.

    Parameters
    ----------
    sizes
        Of the layers.
    columns
        How many of the first inputs are covariates; the others are past spikes.
    """
    sources = sizes.sources if sizes.coupling else 0
    width = columns + sources
    layers: list[nn.Module] = []
    for features in sizes.hidden:
        delayed = sizes.delays and sources and not layers
        layers.append(
            Synapses(columns, sources, features, sizes.delays) if delayed else nn.Linear(width, features)
        )
        neuron = neuron_of(sizes)
        layers.append(Recurrent(neuron, features) if sizes.recurrent else neuron)
        width = features
    if sizes.delays and sources and not layers:
        layers.append(Delays(sources, sizes.outputs, window=sizes.delays, annealed=ANNEALED))
    else:
        layers.append(nn.Linear(width, sizes.outputs, bias=False))
    return Network(*layers, LeakyIntegrator(sizes.tau_readout))


@final
class Synapses(Stateful):
    """Weights from covariates, and weights with learned delays from past spikes, to one layer.

    Parameters
    ----------
    columns, sources, features
        Widths of covariates, past spikes and output.
    window
        Number of delays.
    """

    needs_sequence = True

    def __init__(self, columns: int, sources: int, features: int, window: int) -> None:
        super().__init__()
        self.columns = columns
        self.bias = nn.Parameter(torch.zeros(features))
        self.given = nn.Linear(columns, features, bias=False) if columns else None
        self.past = Delays(sources, features, window=window, annealed=ANNEALED)

    def forward(self, x: Tensor, state: Any = None, *, mask: Tensor | None = None) -> tuple[Tensor, Any]:
        """``(time, batch, columns + sources)`` to ``(time, batch, features)``; the state is that of the delays."""
        delayed, state = self.past(x[..., self.columns :], state, mask=mask)
        total = delayed + self.bias
        return total if self.given is None else total + self.given(x[..., : self.columns]), state


@final
class OwnPast(Stateful):
    """Each unit's own past spikes through leaky integrators, weighted for each unit: what it adds to its log rate.

    Parameters
    ----------
    units
        How many.
    constants
        Time constants of the integrators, steps.
    """

    def __init__(self, units: int, constants: tuple[float, ...]) -> None:
        super().__init__()
        self.filters = LeakyIntegrator(torch.tensor(constants))
        self.weight = nn.Parameter(torch.zeros(len(constants), units))

    def forward(self, x: Tensor, state: Any = None, *, mask: Tensor | None = None) -> tuple[Tensor, Any]:
        """Log rate ``(time, batch, unit)`` of past counts ``(time, batch, unit)``, and the state of the integrators."""
        every = x.unsqueeze(-1).expand(*x.shape, self.weight.shape[0])  # (time, batch, unit, filter)
        if mask is not None:
            mask = mask.unsqueeze(-1).expand(x.shape)
        filtered, state = self.filters(every, state, mask=mask)
        return (filtered * self.weight.T).sum(-1), state


@final
class RateNetwork(Stateful):
    """Log expected counts of a bin: bias + what covariates add + each unit's own past + a spiking network.

    Parameters
    ----------
    sizes
        Of all parts.
    builder
        Makes the network in place of the one that ``sizes`` describes; None for that one.

    Examples
    --------
    >>> sizes = Sizes(columns=4, sources=3, outputs=3, coupling=True, own=(1.0, 5.0), direct=True, hidden=(8,), neuron="LIF",
    ...     tau=5.0, fields={}, recurrent=False, tau_readout=5.0, delays=0)
    >>> log_rate, state = RateNetwork(sizes)(torch.rand(10, 2, 7))
    >>> log_rate.shape
    torch.Size([10, 2, 3])
    """

    def __init__(self, sizes: Sizes, builder: Builder | None = None) -> None:
        super().__init__()
        self.sizes, self.own_builder = sizes, builder is not None
        self.bias = nn.Parameter(torch.zeros(sizes.outputs))
        straight = sizes.direct and sizes.columns
        self.direct = nn.Linear(sizes.columns, sizes.outputs, bias=False) if straight else None
        self.own = OwnPast(sizes.outputs, sizes.own) if sizes.own else None
        self.columns_in = sizes.columns if sizes.hidden or builder else 0
        width = self.columns_in + (sizes.sources if sizes.coupling else 0)
        self.network: Stateful | None = None
        if builder is not None:
            self.network = builder(width, sizes.outputs)
            if not isinstance(self.network, Stateful):
                raise ModelError(
                    f"network gave a {type(self.network).__name__}; give a snn.Network, or another layer with a state"
                )
        elif width:
            self.network = spiking_layers(sizes, self.columns_in)

    def forward(
        self, x: Tensor, state: tuple[Any, Any] | None = None, *, mask: Tensor | None = None
    ) -> tuple[Tensor, tuple[Any, Any]]:
        """Run over time.

        Parameters
        ----------
        x
            ``(time, batch, columns + sources)``: covariates, and the counts of the bin before.
        state
            As returned for the steps before.
        mask
            ``(time, batch)``, False at steps that are not there.

        Returns
        -------
        log_rate : Tensor, (time, batch, output)
        state
        """
        columns, past = x.split([self.sizes.columns, self.sizes.sources], -1)
        own, inner = (None, None) if state is None else state
        eta = self.bias.expand(*x.shape[:-1], -1)
        if self.direct is not None:
            eta = eta + self.direct(columns)
        if self.own is not None:
            added, own = self.own(past, own, mask=mask)
            eta = eta + added
        if self.network is not None:
            added, inner = self.network(self.read(x), inner, mask=mask)
            eta = eta + added
        return eta, (own, inner)

    def read(self, x: Tensor) -> Tensor:
        """What of the inputs goes into the spiking network."""
        columns, past = x.split([self.sizes.columns, self.sizes.sources], -1)
        return torch.cat(
            [columns[..., : self.columns_in], past if self.sizes.coupling else past[..., :0]], -1
        )


def started(network: Network, x: Tensor) -> None:
    """Scale the weights of a fresh network so that its neurons are driven, and silence its readout.

    Weights drawn for inputs of unit variance would leave the neurons silent: splines and counts of a bin are far smaller. The
    synapses before neurons are scaled so that what they give, through a leaky membrane, has the standard deviation `DRIVE` over
    the steps of a batch (after Mishkin and Matas, All you need is a good init, ICLR 2016); the readout begins at 0.

    Parameters
    ----------
    network
        Of `spiking_layers`.
    x
        Inputs ``(time, batch, feature)``.
    """
    with torch.no_grad():
        for layer, after in zip(network.layers, [*network.layers[1:], None], strict=True):
            neuron = after.neuron if isinstance(after, Recurrent) else after
            if isinstance(neuron, LeakyIntegrator):
                layer.weight.zero_()
            elif isinstance(neuron, Neuron):
                _drive(layer, neuron, x)
            x = layer(x)[0] if isinstance(layer, Stateful) else layer(x)


def _drive(layer: nn.Module, neuron: Neuron, x: Tensor) -> None:
    made = layer(x)[0] if isinstance(layer, Stateful) else layer(x)
    tau = torch.as_tensor(getattr(neuron, "tau", 1.0)).mean()
    membrane, _ = LeakyIntegrator(float(tau))(made)
    spread = float(membrane.std((0, 1)).mean())  # over time: a bias is no drive
    if math.isfinite(spread) and spread > 0:
        for name, weight in layer.named_parameters():
            if name.endswith("weight"):
                weight *= DRIVE * neuron.threshold / spread
