"""Any spiking network with random outputs as a Bayesian one: its parameters become one random vector with normal priors.

Hidden neurons are deterministic, their spikes step functions of the weights. The bound of the evidence of such a network is a
number like any other, and running the network on draws of its weights estimates it without bias: that is what is reported, and
what chooses among the steps of a training. Its gradient, however, is not what a surrogate gradient gives: the guide follows a
direction that is useful and biased. So the fit is marked ``"surrogate"``, and only a network without hidden neurons is
``"exact"`` (`neurokit_snn.models.spiking.membranes`).
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from neurokit_snn.errors import ModelError
from neurokit_snn.models.spiking.network import RateNetwork
from neurokit_snn.models.spiking.stretches import Batch, Source
from neurokit_snn.snn.delays.layer import Delays
from neurokit_snn.snn.network import Network
from neurokit_snn.snn.neuron import Neuron
from neurokit_snn.snn.neurons import LeakyIntegrator, ParametricLIF
from neurokit_snn.snn.stateful import Stateful

__all__ = ["LiftedNetwork", "NetworkPriors", "network_priors"]

TAU_SPREAD = 0.5
"""Prior standard deviation of ``log(tau - 1)``, of neurons that learn their time constant."""
SEEN = 64
"""Stretches from which the prior of the readout is taken."""


class NetworkPriors(NamedTuple):
    """Normal priors of the parameters of a network, by dotted name; a centre that is not named is 0."""

    sd: dict[str, Tensor]
    centres: dict[str, Tensor]


class LiftedNetwork(nn.Module):
    """A network as a function of a table with one row, all its parameters.

    Parameters
    ----------
    network
        From ``(time, batch, feature)`` and a state to log rates and a state. Its delays are rounded and stay; so do parameters
        without ``requires_grad``.
    priors
        Of its parameters.

    Attributes
    ----------
    names : list of str
        Parameters in the order of the vector.
    start : Tensor, (1, parameter)
        Their values in the network.
    gradient : str
        ``"surrogate"`` where there is a neuron that spikes, else ``"exact"``.

    Examples
    --------
    >>> network = Network(nn.Linear(3, 2, bias=False), LeakyIntegrator(2.0))
    >>> lifted = LiftedNetwork(network, NetworkPriors({"layers.0.weight": torch.tensor(1.0)}, {}))
    >>> lifted.log_rate(torch.zeros(4, 1, 6), torch.rand(10, 1, 3)).shape, lifted.gradient
    (torch.Size([4, 10, 1, 2]), 'exact')
    """

    mean: Tensor
    sd: Tensor
    start: Tensor

    def __init__(self, network: Stateful, priors: NetworkPriors) -> None:
        super().__init__()
        self.network = network
        _round_delays(network)
        learned = {name: p for name, p in network.named_parameters() if p.requires_grad}
        if not learned:
            raise ModelError("LiftedNetwork: the network has no parameter that may be learned")
        self.names = list(learned)
        self.shapes = [p.shape for p in learned.values()]

        def vector(parts: Mapping[str, Tensor]) -> Tensor:
            return torch.cat([parts[n].expand(p.shape).reshape(-1) for n, p in learned.items()])[None]

        self.register_buffer("start", vector({n: p.detach() for n, p in learned.items()}))
        self.register_buffer("mean", vector({n: priors.centres.get(n, torch.zeros(())) for n in learned}))
        self.register_buffer("sd", vector(priors.sd))
        for parameter in network.parameters():
            parameter.requires_grad_(False)

    @property
    def gradient(self) -> str:
        """Whether gradients are those of the bound."""
        spiking = any(
            isinstance(m, Neuron) and not isinstance(m, LeakyIntegrator) for m in self.network.modules()
        )
        return "surrogate" if spiking else "exact"

    def parameters_of(self, theta: Tensor) -> dict[str, Tensor]:
        """Parameters by name, of one vector ``(parameter,)``."""
        parts = theta.split([math.prod(shape) for shape in self.shapes])
        return {n: part.view(shape) for n, part, shape in zip(self.names, parts, self.shapes, strict=True)}

    def log_rate(self, theta: Tensor, x: Tensor, *, delays: Tensor | None = None) -> Tensor:
        """Log expected counts ``(draw, time, batch, unit)`` of parameters ``(draw, 1, parameter)``; `delays` are not used."""
        made = [
            functional_call(self.network, self.parameters_of(row), (x,))[0] for row in theta[:, 0].unbind(0)
        ]
        return torch.stack(made)

    def given(self, theta: Tensor) -> Callable[[Tensor, Any], tuple[Tensor, Any]]:
        """The network with these parameters, ``(parameter,)``: from inputs and a state to log rates and a state."""
        parameters = self.parameters_of(theta)

        def run(x: Tensor, state: Any) -> tuple[Tensor, Any]:
            found: tuple[Tensor, Any] = functional_call(self.network, parameters, (x, state))
            return found

        return run


def _round_delays(network: nn.Module) -> None:
    for layer in network.modules():
        if isinstance(layer, Delays):
            layer.freeze()


def network_priors(
    network: RateNetwork, source: Source, *, overrides: Mapping[str, float] | None = None
) -> NetworkPriors:
    """Priors of all that may be learned of a fresh network, its delays excepted, which are rounded and stay.

    Standard deviations: weights into hidden neurons have the size with which they begin, which drives the membranes by about a
    threshold (`neurokit_snn.models.spiking.network.started`). Readout weights are such that all together move a log rate by 1
    over the bins of a batch, filters of the own past such that one spike does. Neurons that learn their time constant have
    `TAU_SPREAD`. Everything else has 1, or the size with which it begins if that is more. Centres are 0, but those of time
    constants and of the bias of the rates are what the network begins with.

    Parameters
    ----------
    network
        As training would begin.
    source
        Training data, of which some stretches are looked at.
    overrides
        Standard deviations by pattern of the dotted name, as in `fnmatch`; the first that fits is taken.

    Raises
    ------
    ModelError
        When a number is not above 0, or a pattern fits no parameter.
    """
    given = dict(overrides or {})
    _round_delays(network)
    learned = {name: p for name, p in network.named_parameters() if p.requires_grad}
    names = list(learned)
    for pattern, value in given.items():
        if not (isinstance(value, int | float) and 0 < value < math.inf):
            raise ModelError(f"priors: {pattern!r} is {value!r}; give a standard deviation above 0")
        if not any(fnmatch.fnmatchcase(name, pattern) for name in names):
            raise ModelError(f"priors: no parameter is named {pattern!r}; there are {', '.join(names)}")
    every = source.told()
    batch = source.batch(every.take(np.linspace(0, len(every) - 1, min(len(every), SEEN), dtype=int)))
    readout, time_constants = _readout(network), _of_neurons(network)
    found: dict[str, Tensor] = {}
    for name, parameter in learned.items():
        patterns = [p for p in given if fnmatch.fnmatchcase(name, p)]
        rms = parameter.detach().square().mean().sqrt()
        if patterns:
            found[name] = torch.as_tensor(given[patterns[0]], dtype=parameter.dtype)
        elif name in time_constants:
            found[name] = torch.tensor(TAU_SPREAD)
        elif name == readout:
            found[name] = _unit_drive(network, name, batch)
        elif name == "own.weight" and network.own is not None:
            found[name] = torch.tensor(network.sizes.own)[:, None]
        elif parameter.ndim >= 2 and not name.startswith("direct."):
            found[name] = rms if rms > 0 else torch.ones(())
        else:
            found[name] = torch.ones(()) if name in ("bias", "direct.weight") else rms.clamp(min=1.0)
    centres = {name: learned[name].detach().clone() for name in ("bias", *time_constants)}
    return NetworkPriors(found, centres)


def _of_neurons(network: nn.Module) -> list[str]:
    """Names of the learned time constants of neurons."""
    names = [f"{name}.leak" for name, m in network.named_modules() if isinstance(m, ParametricLIF)]
    return [name for name in names if network.get_parameter(name).requires_grad]


def _readout(network: RateNetwork) -> str | None:
    """Name of the weights that go into the leaky readout."""
    if isinstance(network.network, Network) and len(network.network.layers) >= 2:
        last, after = network.network.layers[-2:]
        if isinstance(last, nn.Linear) and isinstance(after, LeakyIntegrator):
            return f"network.layers.{len(network.network.layers) - 2}.weight"
    return None


@torch.no_grad()
def _unit_drive(network: RateNetwork, name: str, batch: Batch) -> Tensor:
    """Standard deviation of readout weights under which the readout varies by 1 over the bins of a batch."""
    layer = network.get_submodule(name.removesuffix(".weight"))
    seen: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(batch.x)
    hook.remove()
    inner = network.network
    assert isinstance(inner, Network)
    inputs = seen[0].view(*batch.x.shape[:2], -1)
    filtered, _ = inner.layers[-1](inputs)
    spread = filtered.flatten(0, 1).var(0).sum().sqrt()
    least = 1.0 / math.sqrt(inputs.shape[-1])  # of neurons that are silent at first
    return 1.0 / spread.clamp(min=0.1 * least)
