"""Networks with learned delays in every layer, and those of the paper (Hammouamri et al., ICLR 2024, arXiv:2306.17670)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from torch import nn

from neurokit_snn.errors import ConfigError
from neurokit_snn.snn.delays.layer import Delays
from neurokit_snn.snn.dropout import SharedDropout
from neurokit_snn.snn.network import Network
from neurokit_snn.snn.neurons import LIF, LeakyIntegrator
from neurokit_snn.snn.surrogate import ATan

__all__ = ["delayed_network", "published_network"]

BIN_MS = 10.0
SSC: dict[str, Any] = {"in_features": 140, "hidden": (512, 512, 512), "out_features": 35, "window": 31}
SSC |= {"dropout": 0.25, "tau": 15.0 / BIN_MS}
PUBLISHED: dict[str, dict[str, Any]] = {
    "shd": {"in_features": 140, "hidden": (256, 256), "out_features": 20, "window": 25, "dropout": 0.4},
    "ssc": SSC,
    "ssc-2": SSC | {"kernel_count": 2},
}


def delayed_network(
    in_features: int,
    hidden: Sequence[int],
    out_features: int,
    *,
    window: int,
    dropout: float = 0.0,
    tau: float = 10.05 / BIN_MS,
    tail: bool = True,
    **fields: Any,
) -> Network:
    """A spiking network with delays between all its layers.

    Each hidden layer is `Delays`, batch norm over trials and steps together, `LIF` and `SharedDropout`; the last has delays and
    a membrane that never spikes. The norm is not to be left out: a bump as wide as the window spreads a weight over all its lags,
    and nothing would fire.

    Parameters
    ----------
    in_features, hidden, out_features
        Units of each layer.
    window
        K, the number of delays of every layer, odd.
    dropout
        Of hidden spikes, the same units at every step of a trial.
    tau
        Membrane time constant, steps. As published it is 1.005: a leak of .005, neurons without memory but for their delays.
    tail
        Whether every layer lengthens the trial by half a window, so that late spikes still arrive.
    **fields
        Of `Delays`: ``kernel_count``, ``synapses``, ``learned``, ...

    Returns
    -------
    Network
        ``(time, batch, in_features)`` to membranes ``(time + layers * (window - 1) / 2, batch, out_features)``.

    Raises
    ------
    ConfigError
        When a field of a layer is out of range, naming it.

    Examples
    --------
    >>> import torch
    >>> membranes, _ = delayed_network(3, [8], 2, window=5)(torch.ones(10, 4, 3))
    >>> membranes.shape
    torch.Size([14, 4, 2])
    """
    sizes = [in_features, *hidden]
    fields |= {"window": window, "tail": tail}
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        layers += [
            Delays(before, after, **fields),
            nn.BatchNorm1d(after),
            LIF(tau, decay_input=False, surrogate=ATan(5.0)),
            SharedDropout(dropout),
        ]
    return Network(
        *layers, Delays(sizes[-1], out_features, **fields), LeakyIntegrator(tau, decay_input=False)
    )


def published_network(name: str) -> Network:
    """A network of the paper, at its size.

    Inputs are bins of 10 ms of 140 channels (SHD and SSC: 700 cochlear channels, five summed; Google speech commands: Mel bands).
    The published score of a class is the sum over time of the softmax of its membrane, which goes into a cross entropy, and so
    through a second softmax, as if it were a logit: ``Classifier(readout="softmax")``. With T steps a score lies between 0 and
    T, so that the loss cannot come below ``log(1 + (classes - 1) exp(-T))``, and gradients fade where one class wins every
    step. The 95.07% published for SHD are of the epoch that was best on the test set; with a validation split of its own the
    same group later found 93.77 +- 0.68%.

    Parameters
    ----------
    name
        ``"shd"`` (two layers of 256, 250 ms; 214,016 parameters), ``"ssc"`` (three of 512, 300 ms; 1,230,848; also for speech
        commands) or ``"ssc-2"`` (the same with two synapses for each pair; 2,458,624).

    Raises
    ------
    ConfigError
        When there is none of that name.

    Examples
    --------
    >>> sum(p.numel() for p in published_network("shd").parameters())
    214016
    """
    if name not in PUBLISHED:
        raise ConfigError(f"published_network: name is {name!r}; choose one of {', '.join(PUBLISHED)}")
    return delayed_network(**PUBLISHED[name])
