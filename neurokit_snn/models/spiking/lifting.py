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
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

from neurokit_snn.errors import ModelError
from neurokit_snn.models.spiking.network import RateNetwork
from neurokit_snn.models.spiking.stretches import Batch
from neurokit_snn.snn.delays.layer import Delays
from neurokit_snn.snn.network import Network
from neurokit_snn.snn.neuron import Neuron
from neurokit_snn.snn.neurons import LeakyIntegrator
from neurokit_snn.snn.stateful import Stateful

__all__ = ["LiftedNetwork", "prior_sd"]


class LiftedNetwork(nn.Module):
    """A network as a function of a table with one row, all its parameters.

    Parameters
    ----------
    network
        From ``(time, batch, feature)`` and a state to log rates and a state. Its delays are rounded and stay; so do parameters
        without ``requires_grad``.
    sd
        Prior standard deviation of each parameter, by its dotted name; priors are centred at 0.
    centres
        Prior means other than 0, by name.

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
    >>> lifted = LiftedNetwork(network, sd={"layers.0.weight": torch.tensor(1.0)})
    >>> lifted.log_rate(torch.zeros(4, 1, 6), torch.rand(10, 1, 3)).shape, lifted.gradient
    (torch.Size([4, 10, 1, 2]), 'exact')
    """

    mean: Tensor
    sd: Tensor
    start: Tensor

    def __init__(
        self, network: Stateful, *, sd: Mapping[str, Tensor], centres: Mapping[str, Tensor] | None = None
    ) -> None:
        super().__init__()
        self.network = network
        for layer in network.modules():
            if isinstance(layer, Delays):
                layer.freeze()
        learned = {name: p for name, p in network.named_parameters() if p.requires_grad}
        if not learned:
            raise ModelError("LiftedNetwork: the network has no parameter that may be learned")
        self.names = list(learned)
        self.shapes = [p.shape for p in learned.values()]
        centre = dict(centres or {})

        def vector(parts: Mapping[str, Tensor]) -> Tensor:
            return torch.cat([parts[n].expand(p.shape).reshape(-1) for n, p in learned.items()])[None]

        self.register_buffer("start", vector({n: p.detach() for n, p in learned.items()}))
        self.register_buffer("mean", vector({n: centre.get(n, torch.zeros(())) for n in learned}))
        self.register_buffer("sd", vector(sd))
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

    @torch.no_grad()
    def put(self, theta: Tensor) -> Stateful:
        """The network with these parameters, ``(parameter,)``, in place."""
        for name, value in self.parameters_of(theta).items():
            self.network.get_parameter(name).copy_(value)
        return self.network


def prior_sd(
    network: RateNetwork, batch: Batch, *, overrides: Mapping[str, float] | None = None
) -> dict[str, Tensor]:
    """Prior standard deviation of each parameter of a fresh network that may be learned.

    Weights into hidden neurons have the size with which they begin, which drives the membranes by about a threshold
    (`neurokit_snn.models.spiking.network.started`). Readout weights are such that all together move a log rate by 1 over the
    bins of a batch, filters of the own past such that one spike does. Everything else has 1, or the size with which it begins if
    that is more.

    Parameters
    ----------
    network
        As training would begin.
    batch
        Some stretches of the data.
    overrides
        Standard deviations by pattern of the dotted name, as in `fnmatch`; the first that fits is taken.

    Raises
    ------
    ModelError
        When a number is not above 0, or a pattern fits no parameter.
    """
    given = dict(overrides or {})
    names = [name for name, _ in network.named_parameters()]
    for pattern, value in given.items():
        if not (math.isfinite(value) and value > 0):
            raise ModelError(f"priors: {pattern!r} is {value}; give a standard deviation above 0")
        if not fnmatch.filter(names, pattern):
            raise ModelError(f"priors: no parameter is named {pattern!r}; there are {', '.join(names)}")
    readout = _readout(network)
    found: dict[str, Tensor] = {}
    for name, parameter in network.named_parameters():
        patterns = [p for p in given if fnmatch.fnmatchcase(name, p)]
        rms = parameter.detach().square().mean().sqrt()
        if patterns:
            found[name] = torch.as_tensor(given[patterns[0]], dtype=parameter.dtype)
        elif name == readout:
            found[name] = _unit_drive(network, name, batch)
        elif name == "own.weight" and network.own is not None:
            found[name] = torch.tensor(network.sizes.own)[:, None]
        elif parameter.ndim >= 2 and not name.startswith("direct."):
            found[name] = rms if rms > 0 else torch.ones(())
        else:
            found[name] = torch.ones(()) if name in ("bias", "direct.weight") else rms.clamp(min=1.0)
    return found


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
