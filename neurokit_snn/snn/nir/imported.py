"""A graph of NIR as a network."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import nn

from neurokit_snn._extras import require
from neurokit_snn.errors import ModelError
from neurokit_snn.snn.delays.layer import Delays
from neurokit_snn.snn.folding import Shift
from neurokit_snn.snn.network import Network, Recurrent, Residual
from neurokit_snn.snn.nir.export import NIRWarning
from neurokit_snn.snn.nir.neurons import SAME, neuron_of
from neurokit_snn.snn.nir.wiring import DelayBranches, Wiring

__all__ = ["from_nir"]

ARRAYS = (
    "weight",
    "bias",
    "scale",
    "tau",
    "tau_mem",
    "tau_syn",
    "r",
    "w_in",
    "v_leak",
    "v_threshold",
    "v_reset",
)
"""Numbers of nodes; delays are looked at where they become steps."""
NEURONS = ("LIF", "IF", "CubaLIF", "LI")
LAYERS = (
    "Affine",
    "Linear",
    "Conv1d",
    "Conv2d",
    "AvgPool2d",
    "SumPool2d",
    "Flatten",
    "Delay",
    "Scale",
    "NIRGraph",
)


def from_nir(graph: Any, *, bin_width: float | None = None) -> Network:
    """The network of a graph of NIR, from `to_nir` or another tool.

    What `to_nir` wrote comes back with the same spikes: steps, resets, thresholds, surrogates and all other fields stand in
    the metadata. Time constants are learned further in a ParametricLIF alone. Without metadata neurons have a hard reset, as
    NIR defines them, and one step is one step of Euler's method.

    Parameters
    ----------
    graph
        A `nir.NIRGraph`, as from `nir.read`: one input and one output, layers in a row, cycles of neurons with one Linear, two
        paths that meet again, and delays.
    bin_width
        Length of a step, s; None for what the graph says.

    Returns
    -------
    Network
        For inputs ``(time, batch, ...)``. Delays are rounded and not learned.

    Raises
    ------
    ModelError
        When a node is of a kind that is not supported or has a number that is not finite, the graph has another form, a time
        constant is shorter than a step, or nothing says how long a step is: naming node and value.

    Warns
    -----
    NIRWarning
        When metadata say what cannot be kept.

    Examples
    --------
    >>> from neurokit_snn.snn import LIF, to_nir
    >>> net = Network(nn.Linear(3, 2), LIF(tau=4.0, reset="none"))
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", NIRWarning)
    ...     back = from_nir(to_nir(net, (3,)))
    >>> back.layers[1].tau, back.layers[1].reset
    (4.0, 'none')
    """
    nir = require("nir", extra="torch")
    if not isinstance(graph, nir.NIRGraph):
        raise ModelError(f"from_nir: a {type(graph).__name__}; give a nir.NIRGraph, as from nir.read")
    reader = _Reader(Wiring.of(graph), _step(graph, bin_width))
    network = Network(*reader.chain(reader.wiring.input, reader.wiring.output))
    if reader.doubts:
        warnings.warn("; ".join(reader.doubts), NIRWarning, stacklevel=2)
    return network


def _step(graph: Any, dt: float | None) -> float:
    """Length of a step, given or told by the graph."""
    told = {
        float(node.metadata["dt"]) for node in [graph, *graph.nodes.values()] if "dt" in (node.metadata or {})
    }
    if dt is not None:
        told.add(float(dt))
    if not told:
        raise ModelError(
            "from_nir: the graph does not say how long a step is; give bin_width in seconds (many tools take 1e-4 for granted)"
        )
    if not all(0 < one < np.inf for one in told):
        raise ModelError(
            f"from_nir: a step of {', '.join(f'{one:g}' for one in told)} s; give a length above 0"
        )
    if max(told) - min(told) > SAME * max(told):
        raise ModelError(
            f"from_nir: steps of {', '.join(f'{one:g}' for one in sorted(told))} s; there must be one"
        )
    return min(told) if dt is None else float(dt)


class _Reader:
    """Makes layers of nodes, along the paths of a graph."""

    def __init__(self, wiring: Wiring, dt: float) -> None:
        self.wiring, self.dt = wiring, dt
        self.doubts: list[str] = []
        for name, node in wiring.nodes.items():
            kind = type(node).__name__
            if kind not in (*NEURONS, *LAYERS, "Input", "Output", "DelayBranches"):
                known = ", ".join((*NEURONS, *LAYERS))
                raise ModelError(
                    f"NIR node {name!r} is a {kind}, which is not supported; supported are {known}"
                )
            for part in node.weights if isinstance(node, DelayBranches) else [node]:
                _refuse_not_finite(name, part)

    def chain(self, after: str, until: str) -> list[nn.Module]:
        """The layers between two nodes, neither included."""
        layers: list[nn.Module] = []
        here = after
        while True:
            following = self.wiring.following(here)
            if following == [until]:
                return layers
            if not following:
                raise ModelError(f"NIR node {here!r} leads nowhere; a graph has one output")
            if len(following) == 1:
                here = following[0]
                self.wiring.alone(here)
                layers += self._layer(here)
            else:
                meet = self.wiring.meeting(here)
                layers.append(self._residual(here, following, meet))
                here = meet
                if here == until:
                    return layers
                layers += self._layer(here)

    def _is(self, name: str, *kinds: str) -> bool:
        return type(self.wiring.nodes[name]).__name__ in kinds

    def _residual(self, start: str, following: list[str], meet: str) -> Residual:
        if len(following) != 2:
            raise ModelError(f"NIR node {start!r} leads to {', '.join(following)}; supported are two paths")
        parts = [self.chain_from(name, meet) for name in following]
        parts.sort(key=len)
        short, body = parts
        if not body:
            raise ModelError(f"NIR nodes {start!r} and {meet!r} are joined twice")
        return Residual(Network(*body), Network(*short) if short else None)

    def chain_from(self, first: str, until: str) -> list[nn.Module]:
        """The layers from a node, included, to another, not included."""
        if first == until:
            return []
        self.wiring.alone(first)
        return [*self._layer(first), *self.chain(first, until)]

    def _layer(self, name: str) -> list[nn.Module]:
        node = self.wiring.nodes[name]
        if isinstance(node, DelayBranches):
            waits = [self._steps(*delay) for delay in node.delays]
            return _delays(list(zip(waits, node.weights, strict=True)))
        if self._is(name, *NEURONS):
            neuron, doubts = neuron_of(node, dt=self.dt, name=name)
            self.doubts += doubts
            if name not in self.wiring.back:
                return [neuron]
            back = _linear(self.wiring.back[name][1], self.wiring.back[name][0])
            if back.bias is not None:
                raise ModelError(
                    f"NIR node {self.wiring.back[name][0]!r} has a bias on its way back; leave it out"
                )
            made = Recurrent(neuron, back.in_features)
            made.back = back
            return [made]
        if self._is(name, "Affine", "Linear"):
            return [_linear(node, name)]
        if self._is(name, "Conv1d", "Conv2d"):
            return [_convolution(node)]
        if self._is(name, "AvgPool2d", "SumPool2d"):
            sums = 1 if self._is(name, "SumPool2d") else None
            pairs = [
                tuple(int(n) for n in np.ravel(p)) for p in (node.kernel_size, node.stride, node.padding)
            ]
            return [nn.AvgPool2d(*pairs, divisor_override=sums)]
        if self._is(name, "Flatten"):
            start, end = int(node.start_dim), int(node.end_dim)
            return [nn.Flatten(start + 1, end if end < 0 else end + 1)]
        if self._is(name, "Scale") and np.all(np.asarray(node.scale) == 1.0):
            return []
        raise ModelError(f"NIR node {name!r} is a {type(node).__name__} that is not supported in this place")

    def _steps(self, name: str, node: Any) -> np.ndarray:
        steps = np.asarray(node.delay, np.float64) / self.dt
        whole = np.rint(steps)
        if steps.ndim != 1 or np.any(np.abs(steps - whole) > 1e-3) or np.any(whole < 0):
            raise ModelError(
                f"NIR node {name!r}: delays {np.unique(steps * self.dt)[:3]} s of shape {steps.shape}; supported are (feature,) "
                f"of whole steps of {self.dt:g} s"
            )
        return whole.astype(np.int64)


def _refuse_not_finite(name: str, node: Any) -> None:
    """Refuse a node that has a NaN or an infinity among its numbers."""
    for field in ARRAYS:
        values = getattr(node, field, None)
        if values is None:
            continue
        bad = np.argwhere(~np.isfinite(np.asarray(values, np.float64)))
        if len(bad):
            where = tuple(int(k) for k in bad[0])
            raise ModelError(
                f"NIR node {name!r}: {field}{list(where)} is {np.asarray(values)[where]}; give finite numbers"
            )


def _linear(node: Any, name: str) -> nn.Linear:
    weight = torch.from_numpy(np.array(node.weight))
    if weight.ndim != 2:
        raise ModelError(
            f"NIR node {name!r}: its weights have shape {tuple(weight.shape)}; give (target, source)"
        )
    bias = getattr(node, "bias", None)
    made = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, dtype=weight.dtype)
    with torch.no_grad():
        made.weight.copy_(weight)
        if bias is not None:
            made.bias.copy_(torch.from_numpy(np.array(bias)))
    return made


def _convolution(node: Any) -> nn.Conv1d | nn.Conv2d:
    weight = torch.from_numpy(np.array(node.weight))

    def told(value: Any) -> Any:
        value = value.decode() if isinstance(value, bytes) else value
        return value if isinstance(value, str) else tuple(int(n) for n in np.ravel(value))

    kind = nn.Conv1d if weight.ndim == 3 else nn.Conv2d
    groups = int(node.groups)
    if groups == 1 and "groups" in (node.metadata or {}):
        groups = int(node.metadata["groups"])
        weight = _grouped(weight, groups)
    made = kind(
        weight.shape[1] * groups,
        weight.shape[0],
        tuple(weight.shape[2:]),
        stride=told(node.stride),
        padding=told(node.padding),
        dilation=told(node.dilation),
        groups=groups,
        dtype=weight.dtype,
    )
    assert made.bias is not None
    with torch.no_grad():
        made.weight.copy_(weight)
        made.bias.copy_(torch.from_numpy(np.array(node.bias)))
    return made


def _grouped(weight: torch.Tensor, groups: int) -> torch.Tensor:
    """Weights of groups, from those with zeros between the groups."""
    out, own = weight.shape[0] // groups, weight.shape[1] // groups
    return torch.cat([weight[g * out : (g + 1) * out, g * own : (g + 1) * own] for g in range(groups)])


def _delays(branches: list[tuple[np.ndarray, Any]]) -> list[nn.Module]:
    """One layer of branches (steps of each source, weights), and a `Shift` for their biases."""
    weights, waits, shift = [], [], None
    about: dict[str, Any] = {}
    for steps, node in branches:
        weight = np.eye(steps.size, dtype=np.float32) if node is None else np.asarray(node.weight)
        weights.append(torch.from_numpy(weight.copy()))
        waits.append(torch.from_numpy(steps).expand(weights[-1].shape))
        bias = getattr(node, "bias", None)
        if bias is not None:
            shift = torch.from_numpy(np.array(bias)) + (0.0 if shift is None else shift)
        about |= getattr(node, "metadata", None) or {}
    weight, wait = _packed(torch.stack(weights), torch.stack(waits))
    longest = int(wait.max()) + 1
    window = max(int(about.get("window", 1)), longest + (longest + 1) % 2)
    count, targets, sources = weight.shape
    made = Delays(
        sources,
        targets,
        window=window,
        kernel_count=count,
        tail=bool(about.get("tail", False)),
        learned=False,
    ).to(weight.dtype)
    with torch.no_grad():
        made.weight.copy_(weight)
    made.set_delays(wait.to(weight.dtype))
    return [made] if shift is None else [made, Shift(shift)]


def _packed(weight: torch.Tensor, wait: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """``(branch, target, source)`` with mostly zeros as ``(kernel, target, source)`` with as few kernels as do."""
    used = weight != 0
    kernels = max(1, int(used.sum(0).max()))
    order = torch.argsort((~used).to(torch.int8), dim=0, stable=True)[:kernels]
    kept = used.gather(0, order)
    return weight.gather(0, order), torch.where(kept, wait.gather(0, order), 0)
