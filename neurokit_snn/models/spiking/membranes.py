"""One layer of random neurons driven by what was observed: its log rates are smooth in everything but the delays.

The recorded units are the neurons. Each integrates the spikes of the others through its synapses, leaky, and fires at random,
the faster the higher its membrane stands (escape noise; Gerstner et al., Neuronal Dynamics, 2014, chapter 9). As the spikes that
drive it are the recorded ones there is nothing hidden, and no surrogate gradient: given the delays, the bound of the evidence
has an exact gradient.
"""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neurokit_snn.snn.kernels.cell import Cell, Scan
from neurokit_snn.snn.kernels.scan import scan
from neurokit_snn.snn.surrogate import ATan

__all__ = ["Membranes", "Priors"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Priors:
    """Normal priors of one layer; of time constants, of the logarithm of ``tau - 1``.

    Parameters
    ----------
    constant
        Median log rate of each unit ``(unit,)``.
    constant_sd, column_sd, own_sd, weight_sd
        Standard deviations of the log rate itself, and of what it gains by one unit of a column of the covariates, by one spike
        of the unit's own, by one spike of a source.
    tau, tau_spread
        Median time constant of the membranes in bins, above 1, and the standard deviation on the log scale.
    """

    constant: tuple[float, ...]
    constant_sd: float = 1.0
    column_sd: float = 1.0
    own_sd: float = 1.0
    weight_sd: float = 0.5
    tau: float = 2.0
    tau_spread: float = 0.5


class Membranes(nn.Module):
    """Log rates of all units, from a row of parameters of each.

    A row holds ``constant``, a weight of every column of the covariates, one of every filter of the unit's own past,
    ``log_tau`` (the logarithm of tau - 1, in bins), and a weight of every source; the last two only with ``coupling``.

        log rate = constant + D columns + H own past + v,   v[t] = (1 - 1/tau) v[t-1] + sum_j w_j n_j[t - delay_j]

    with counts n less their mean, so that the constant is the log rate under the usual drive. A unit is no source of its own.

    Parameters
    ----------
    columns
        Of the covariates, first in the input.
    units
        Whose counts of the bin before come after them.
    own
        Time constants, in bins, of the leaky sums of a unit's own past.
    coupling
        Whether units are sources of each other.
    delays
        How many delays a synapse may have: 1 to so many bins.
    priors
        Of all of it.

    Examples
    --------
    >>> layer = Membranes(columns=0, units=2, own=(), coupling=True, delays=3, priors=Priors(constant=(0.0, 0.0)))
    >>> theta = torch.tensor([[[0.0, -20.0, 0.0, 0.7], [0.0, -20.0, 0.0, 0.0]]])  # tau = 1, from unit 1 to unit 0 only
    >>> x = torch.zeros(5, 1, 2)
    >>> x[1, 0, 1] = 1.0  # unit 1 in bin 0, seen in bin 1
    >>> delays = torch.full((1, 2, 2), 2)  # the third: 3 bins
    >>> layer.log_rate(theta, x, delays=delays)[0, :, 0, 0].tolist()
    [0.0, 0.0, 0.0, 0.7, 0.0]
    """

    gradient: ClassVar[str] = "exact"
    mean: Tensor
    sd: Tensor
    connected: Tensor

    def __init__(
        self,
        *,
        columns: int,
        units: int,
        own: tuple[float, ...],
        coupling: bool,
        delays: int,
        priors: Priors,
    ) -> None:
        super().__init__()
        self.columns, self.units, self.own, self.coupling, self.delays = columns, units, own, coupling, delays
        self.priors = priors
        self.names = [
            "constant",
            *(f"column[{c}]" for c in range(columns)),
            *(f"own[{k}]" for k in range(len(own))),
        ]
        mean = torch.zeros(units, len(self.names))
        mean[:, 0] = torch.tensor(priors.constant)
        sd = [priors.constant_sd, *[priors.column_sd] * columns, *[priors.own_sd] * len(own)]
        self.synapses = units if coupling else 0
        if coupling:
            self.names += ["log_tau", *(f"weight[{j}]" for j in range(units))]
            sd += [priors.tau_spread, *[priors.weight_sd] * units]
            log_tau = torch.full((units, 1), math.log(priors.tau - 1.0))
            mean = torch.cat([mean, log_tau, torch.zeros(units, units)], 1)
        self.register_buffer("mean", mean)
        self.register_buffer("sd", torch.tensor(sd).expand(units, -1).clone())
        self.register_buffer("connected", ~torch.eye(units, dtype=torch.bool))

    def log_rate(self, theta: Tensor, x: Tensor, *, delays: Tensor | None = None) -> Tensor:
        """Log expected counts of a bin.

        Parameters
        ----------
        theta
            Parameters ``(draw, unit, parameter)``.
        x
            ``(time, batch, column + unit)``: covariates, and counts of the bin before less their mean; 0 where unknown.
        delays
            Number of the delay of each synapse ``(draw, target, source)``, from 0; None where there is no choice.

        Returns
        -------
        Tensor, (draw, time, batch, unit)
        """
        total = self.rest(theta, x)
        if not self.coupling:
            return total
        weight = theta[..., -self.synapses :] * self.connected
        log_tau = theta[..., -self.synapses - 1]
        return total + self._membrane(weight, torch.sigmoid(log_tau), x[..., self.columns :], delays)

    def rest(self, theta: Tensor, x: Tensor) -> Tensor:
        """What the log rate is without the synapses, ``(draw, time, batch, unit)``."""
        total = theta[:, None, None, :, 0]
        if self.columns:
            weight = theta[..., 1 : 1 + self.columns]
            total = total + torch.einsum("tbc,suc->stbu", x[..., : self.columns], weight)
        if self.own:
            filtered = self.own_past(x[..., self.columns :])
            weight = theta[..., 1 + self.columns : 1 + self.columns + len(self.own)]
            total = total + torch.einsum("tbuk,suk->stbu", filtered, weight)
        return total.expand(-1, *x.shape[:2], -1)

    def own_past(self, past: Tensor) -> Tensor:
        """Leaky sums of each unit's own counts, ``(time, batch, unit, filter)``."""
        constants = torch.tensor(self.own, dtype=past.dtype, device=past.device)
        spread = past[..., None].expand(*past.shape, len(self.own))
        return _leaky(spread, 1.0 - 1.0 / constants)

    def _membrane(self, weight: Tensor, beta: Tensor, past: Tensor, delays: Tensor | None) -> Tensor:
        """Of weights ``(draw, target, source)`` and leaks ``(draw, target)``, ``(draw, time, batch, target)``."""
        draws = weight.shape[0]
        if delays is None:
            current = torch.einsum("tbj,sij->tbsi", past, weight)
        else:
            # A convolution runs backwards in the kernel: the shortest delay is its last place.
            kernel = torch.zeros(*weight.shape, self.delays, dtype=weight.dtype, device=weight.device)
            kernel = kernel.scatter(-1, (self.delays - 1 - delays)[..., None], weight[..., None])
            padded = F.pad(past.permute(1, 2, 0), (self.delays - 1, 0))
            found = F.conv1d(padded, kernel.flatten(0, 1))  # (batch, draw * target, time)
            current = found.permute(2, 0, 1).unflatten(-1, (draws, self.units))
        return _leaky(current, beta).permute(2, 0, 1, 3)


def _leaky(x: Tensor, beta: Tensor) -> Tensor:
    """Leaky sums over time of ``(time, batch, ...)``, with a leak for each of the last dimensions."""
    _, membrane, _ = scan(x, None, Cell(beta.reshape(-1), gain=1.0, theta=1.0), Scan("none", True, ATan()))
    return membrane
