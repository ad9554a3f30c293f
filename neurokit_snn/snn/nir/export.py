"""A network as a graph of NIR."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from neurokit_snn._extras import require
from neurokit_snn.errors import ConfigError, ModelError
from neurokit_snn.snn.delays.layer import Delays
from neurokit_snn.snn.dropout import SharedDropout
from neurokit_snn.snn.folding import Shift
from neurokit_snn.snn.network import NORMS, Network, Recurrent, Residual, not_finite
from neurokit_snn.snn.neuron import Neuron
from neurokit_snn.snn.nir.neurons import losses, node_of

__all__ = ["NIRWarning", "to_nir"]

NOTHING = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, SharedDropout)
"""Layers that do nothing in evaluation mode."""


class NIRWarning(UserWarning):
    """A graph of NIR does not say all that the network does, or says what cannot be kept."""


def to_nir(network: Network, input_shape: Sequence[int], *, bin_width: float = 1e-4) -> Any:
    """A network, as it is in evaluation mode, as a graph of NIR (Pedersen et al., Nature Communications 15:8122, 2024).

    NIR lives in continuous time and says neither how long a step is nor how a neuron is reset; both stand in the ``metadata``
    of each node, with all other fields, and `from_nir` reads them. Other tools do not, and write graphs without: what is lost
    on the way through one is told in one `NIRWarning` that names the layers. Of what the network does: soft resets and none,
    thresholds that adapt, spikes above 1, delays between two steps, tails of trials. Of how it is trained: surrogates, and
    resets that gradients go through, where they are not those of `LIF` by default. NIR has a spike where the membrane is
    above the threshold, ours have one at the threshold as well: with weights that are round numbers that is another spike
    train.

    Linear -> Affine or Linear, Conv1d, Conv2d, AvgPool2d, Flatten; LIF, ParametricLIF, AdaptiveLIF, IntegerLIF -> LIF, IF ->
    IF, CurrentLIF -> CubaLIF, LeakyIntegrator -> LI; Recurrent -> a cycle of neurons and Linear; Residual -> a Scale of ones
    that two paths lead to; Delays -> a Delay with a Linear for each delay that occurs. Dropout is left out.

    Parameters
    ----------
    network
        Without batch norms: see `fold_norms`.
    input_shape
        Of one step of one trial, ``(feature,)`` or ``(channel, y, x)``.
    bin_width
        Length of a step, s; ``dt`` in the metadata. 0.1 ms is what snnTorch and others take for granted.

    Returns
    -------
    nir.NIRGraph
        For `nir.write` and other tools.

    Raises
    ------
    ModelError
        When there is a layer that NIR has no node for, or with a weight that is not finite, naming it.
    ConfigError
        When ``bin_width`` is no time.

    Warns
    -----
    NIRWarning
        When something is lost on the way through another tool.

    Examples
    --------
    >>> from neurokit_snn.snn import LIF
    >>> graph = to_nir(Network(nn.Linear(3, 2), LIF(tau=4.0)), (3,))
    >>> [type(node).__name__ for node in graph.nodes.values()]
    ['Input', 'Affine', 'LIF', 'Output']
    >>> graph.nodes["lif_1"].tau, graph.nodes["lif_1"].r
    (array([0.0004, 0.0004], dtype=float32), array([1., 1.], dtype=float32))
    """
    nir = require("nir", extra="torch")
    if not isinstance(network, Network):
        raise ModelError(f"to_nir: a {type(network).__name__}; give a snn.Network")
    bad = not_finite(network)
    if bad is not None:
        raise bad
    if not (bin_width > 0 and np.isfinite(bin_width)):
        raise ConfigError(f"to_nir: bin_width is {bin_width}; give the seconds of a step")
    graph = _Graph(tuple(input_shape), bin_width)
    sources = graph.walk(network, "", ["input"])
    graph.add("output", nir.Output(output_type={"output": np.array(graph.shape)}), sources)
    if graph.told:
        warnings.warn(f"NIR does not say: {graph.sentence()}", NIRWarning, stacklevel=2)
    about = {"dt": float(bin_width), "source": "neurokit_snn"}
    return nir.NIRGraph(nodes=graph.nodes, edges=graph.edges, metadata=about)


class _Graph:
    """Nodes and edges so far, and the shape of what comes out of the last ones."""

    def __init__(self, shape: tuple[int, ...], dt: float) -> None:
        import nir

        self.shape, self.dt = shape, dt
        self.nodes: dict[str, Any] = {"input": nir.Input(input_type={"input": np.array(shape)})}
        self.edges: list[tuple[str, str]] = []
        self.told: dict[tuple[str, str], list[str]] = {}  # (kind of layer, what is lost) -> layers

    def tell(self, path: str, layer: nn.Module, loss: str) -> None:
        """Note what NIR does not say of a layer."""
        self.told.setdefault((type(layer).__name__, loss), []).append(path)

    def sentence(self) -> str:
        """All that was told, layers of which the same is to be said together."""
        return "; ".join(
            f"layer{'s' if len(paths) > 1 else ''} {', '.join(paths)} ({kind}): {loss}"
            for (kind, loss), paths in self.told.items()
        )

    def add(self, name: str, node: Any, sources: list[str]) -> list[str]:
        """Add a node that takes the sum of some others; itself is what the next one takes."""
        self.nodes[name] = node
        self.edges += [(source, name) for source in sources]
        return [name]

    def walk(self, network: Network, path: str, sources: list[str]) -> list[str]:
        """Add the layers of a network."""
        for i, layer in enumerate(network.layers):
            here = f"{path}{i}"
            if isinstance(layer, Shift):
                self._shift(layer, here, sources)
            elif not isinstance(layer, NOTHING):
                sources = self._layer(layer, here, sources)
        return sources

    def _layer(self, layer: nn.Module, path: str, sources: list[str]) -> list[str]:
        if isinstance(layer, Network):
            return self.walk(layer, f"{path}_", sources)
        if isinstance(layer, Residual):
            return self._residual(layer, path, sources)
        if isinstance(layer, Recurrent):
            return self._recurrent(layer, path, sources)
        if isinstance(layer, Delays):
            return self._delays(layer, path, sources)
        if isinstance(layer, Neuron):
            return self.add(f"{type(layer).__name__.lower()}_{path}", self._neuron(layer, path), sources)
        if isinstance(layer, NORMS):
            raise ModelError(
                f"layer {path} is a {type(layer).__name__}, and NIR has none; export fold_norms(network)"
            )
        try:
            made = _tried(layer, self.shape)
        except RuntimeError as error:
            raise ModelError(f"layer {path}: {type(layer).__name__}: {error}; check input_shape") from error
        node = _stateless(layer, self.shape, path)
        self.shape = tuple(made.shape[1:])
        reckoned = node.output_type["output"]
        if reckoned is not None and tuple(int(n) for n in reckoned) != self.shape:
            raise ModelError(
                f"layer {path}: {type(layer).__name__}: NIR reckons with outputs {tuple(map(int, reckoned))}, not "
                f"{self.shape}; kernels must be square"
            )
        return self.add(f"{type(node).__name__.lower()}_{path}", node, sources)

    def _neuron(self, neuron: Neuron, path: str) -> Any:
        for loss in losses(neuron):
            self.tell(path, neuron, loss)
        try:
            return node_of(neuron, self.shape, dt=self.dt)
        except (ModelError, RuntimeError) as error:
            raise ModelError(f"layer {path}: {error}") from error

    def _residual(self, block: Residual, path: str, sources: list[str]) -> list[str]:
        import nir

        before = self.shape
        body = self._path(block.body, f"{path}_body", sources)
        after, self.shape = self.shape, before
        skip = sources if block.shortcut is None else self._path(block.shortcut, f"{path}_shortcut", sources)
        if set(skip) & set(body):
            raise ModelError(
                f"layer {path}: Residual: its body has no layer; NIR cannot add a node to itself"
            )
        self.shape = after
        return self.add(f"sum_{path}", nir.Scale(scale=np.ones(after, np.float32)), [*skip, *body])

    def _path(self, part: nn.Module, path: str, sources: list[str]) -> list[str]:
        """One of two paths; if it forks at once it begins with a node of its own, so that no node leads three ways."""
        import nir

        network = part if isinstance(part, Network) else Network(part)
        if _forks(network):
            sources = self.add(f"fork_{path}", nir.Scale(scale=np.ones(self.shape, np.float32)), sources)
        return self.walk(network, f"{path}_", sources)

    def _recurrent(self, layer: Recurrent, path: str, sources: list[str]) -> list[str]:
        # The dot is what snnTorch goes by.
        neuron, back = f"recurrent_{path}.neuron", f"recurrent_{path}.back"
        self.add(neuron, self._neuron(layer.neuron, path), sources)
        self.add(back, _stateless(layer.back, self.shape, path), [neuron])
        self.edges.append((back, neuron))
        return [neuron]

    def _delays(self, layer: Delays, path: str, sources: list[str]) -> list[str]:
        """A branch for each delay: who comes in so much later, times the weights that have it."""
        import nir

        found = layer.delays
        delays = torch.where(torch.isnan(found), -1.0, found).round().long()
        if bool((found != found.round())[~torch.isnan(found)].any()):
            self.tell(path, layer, "delays between two steps, which are rounded")
        if layer.tail:
            self.tell(path, layer, f"a tail, {layer.window // 2} more steps of silence after a trial's end")
        weight = layer.weight.detach()
        if layer.source is not None:
            every = weight.new_zeros(found.shape)
            weight = every.scatter(2, layer.source.expand(weight.shape), weight)
        about = {"window": layer.window, "tail": bool(layer.tail)}
        ends = []
        for delay in sorted(set(delays[delays >= 0].tolist())):
            own = torch.where(delays == delay, weight, 0.0).sum(0)
            wait = nir.Delay(delay=np.full(self.shape, delay * self.dt), metadata={"steps": delay})
            start = self.add(f"delay_{path}_{delay}", wait, sources)
            ends += self.add(f"delayed_{path}_{delay}", nir.Linear(weight=_array(own), metadata=about), start)
        self.shape = (layer.out_features,)
        return ends

    def _shift(self, layer: Shift, path: str, sources: list[str]) -> None:
        """The bias of the delays before it, at the first of their branches."""
        import nir

        first = self.nodes[sources[0]]
        if not isinstance(first, nir.Linear):
            raise ModelError(f"layer {path} is a Shift that is not behind Delays; NIR has no node for it")
        self.nodes[sources[0]] = nir.Affine(
            weight=first.weight, bias=_array(layer.shift), metadata=first.metadata
        )


@torch.no_grad()
def _tried(layer: nn.Module, shape: tuple[int, ...]) -> Tensor:
    """What a layer of torch makes of zeros in evaluation mode."""
    like = next(layer.parameters(), torch.zeros(()))
    training = layer.training
    try:
        made: Tensor = layer.eval()(torch.zeros(1, *shape, dtype=like.dtype, device=like.device))
    finally:
        layer.train(training)
    return made


def _forks(network: Network) -> bool:
    first = next((layer for layer in network.layers if not isinstance(layer, NOTHING)), None)
    return isinstance(first, Residual) or (isinstance(first, Network) and _forks(first))


def _array(values: Tensor) -> np.ndarray:
    return values.detach().cpu().numpy().copy()


def _stateless(layer: nn.Module, shape: tuple[int, ...], path: str) -> Any:
    """The node of a layer of torch."""
    import nir

    if isinstance(layer, nn.Linear):
        if len(shape) != 1:
            raise ModelError(
                f"layer {path}: Linear: its input has shape {shape}; NIR knows (feature,): put a Flatten before it"
            )
        if layer.bias is None:
            return nir.Linear(weight=_array(layer.weight))
        return nir.Affine(weight=_array(layer.weight), bias=_array(layer.bias))
    if isinstance(layer, (nn.Conv1d, nn.Conv2d)):
        return _convolution(layer, shape, path)
    if isinstance(layer, nn.Flatten) and layer.start_dim >= 1:
        end = layer.end_dim - 1 if layer.end_dim > 0 else layer.end_dim
        return nir.Flatten(input_type={"input": np.array(shape)}, start_dim=layer.start_dim - 1, end_dim=end)
    if isinstance(layer, nn.AvgPool2d) and _is_plain_pool(layer):
        kind = nir.SumPool2d if layer.divisor_override == 1 else nir.AvgPool2d
        pairs = (_pair(layer.kernel_size), _pair(layer.stride), _pair(layer.padding))
        return kind(*(np.array(pair) for pair in pairs))
    raise ModelError(
        f"layer {path} is a {type(layer).__name__}, or one in a form, that NIR has no node for; there are nodes for Linear, "
        "Conv1d, Conv2d, AvgPool2d, Flatten, neurons, Delays, Recurrent and Residual"
    )


def _convolution(layer: nn.Conv1d | nn.Conv2d, shape: tuple[int, ...], path: str) -> Any:
    import nir

    if layer.padding_mode != "zeros":
        raise ModelError(
            f"layer {path}: {type(layer).__name__}: padding_mode is {layer.padding_mode!r}; NIR pads with zeros"
        )
    weight = getattr(layer, "standardised", lambda: layer.weight)()
    bias = np.zeros(layer.out_channels, np.float32) if layer.bias is None else _array(layer.bias)
    one = isinstance(layer, nn.Conv1d)

    def told(value: Any) -> Any:
        if isinstance(value, str):
            return value
        return int(value[0]) if one else (int(value[0]), int(value[1]))

    return (nir.Conv1d if one else nir.Conv2d)(
        input_shape=shape[1] if one else (shape[1], shape[2]),
        weight=_array(_ungrouped(weight, layer.groups)),
        stride=told(layer.stride),
        padding=told(layer.padding),
        dilation=told(layer.dilation),
        groups=1,
        bias=bias,
        metadata={"groups": layer.groups} if layer.groups > 1 else {},
    )


def _ungrouped(weight: Tensor, groups: int) -> Tensor:
    """Weights of groups with zeros between the groups: nir 1.0 takes the inputs of one group for all and refuses such graphs."""
    if groups == 1:
        return weight
    out, own, *kernel = weight.shape
    every = weight.new_zeros(groups, out // groups, groups, own, *kernel)
    for group, part in enumerate(weight.chunk(groups)):
        every[group, :, group] = part
    return every.view(out, groups * own, *kernel)


def _is_plain_pool(layer: nn.AvgPool2d) -> bool:
    padded = any(_pair(layer.padding))
    return (
        not layer.ceil_mode
        and (layer.count_include_pad or not padded)
        and layer.divisor_override in (None, 1)
    )


def _pair(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return (value, value) if isinstance(value, int) else tuple(value)
