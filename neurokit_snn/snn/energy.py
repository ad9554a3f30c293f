"""What a network's operations would cost: three estimates of energy, which differ by more than any two networks do.

* ``proxy``: arithmetic at synapses alone, ``E_AC AC + E_MAC MAC``, as papers on spiking networks print it;
* ``ann``: an artificial network with the same connections, each a MAC;
* ``memory``: arithmetic with the reads and writes of weights, states and activations that it takes, neurons included; and
  ``ann_memory``, the artificial network on the same terms.

The operations are counted by `count_operations` on real data.
"""

from __future__ import annotations

import dataclasses
import math

import xarray as xr
from torch import Tensor

from neurokit_snn.errors import ConfigError
from neurokit_snn.snn.operations import LayerOperations, count_operations, trial_lengths
from neurokit_snn.snn.stateful import Stateful

__all__ = ["EnergyCosts", "EnergyReport", "estimate_energy"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnergyCosts:
    """Energy of single operations, picojoules, for 32 bits in 45 nm.

    Parameters
    ----------
    e_mac, e_ac
        A multiplication with its addition (3.7 + 0.9 pJ), and an addition alone, of floating-point numbers.
    weight_access, state_access, activation_access
        One read or write of a weight, of a neuron's state (or of a sum on the way to it), and of a spike or value that goes from
        one layer to the next. 5 pJ is a word of an SRAM of 8 kB; it is 10 pJ of 32 kB, 50 pJ of 1 MB, 640 pJ or more of DRAM.

    Raises
    ------
    ConfigError
        When one is negative or not finite, naming it.

    References
    ----------
    Horowitz, Computing's energy problem (and what we can do about it), ISSCC 2014: 64 bits of a cache of 8 kB, 32 kB and 1 MB
    take 10, 20 and 100 pJ, of DRAM 1.3 to 2.6 nJ. That memory decides between spiking and artificial networks, and not
    arithmetic: Dampfhoffer, Mesquida, Valentian, Anghel, IEEE TETCI 7:731 (2023).

    Examples
    --------
    >>> EnergyCosts(weight_access=640.0).weight_access
    640.0
    """

    e_mac: float = 4.6
    e_ac: float = 0.9
    weight_access: float = 5.0
    state_access: float = 5.0
    activation_access: float = 5.0

    def __post_init__(self) -> None:
        """Refuse what is no energy."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not (value >= 0 and math.isfinite(value)):
                raise ConfigError(f"EnergyCosts.{field.name} is {value}; give picojoules, 0 or more")

    def proxy(self, operations: LayerOperations) -> float:
        """Arithmetic at a layer's synapses, pJ."""
        return self.e_ac * operations.acs + self.e_mac * operations.macs

    def memory(self, operations: LayerOperations) -> float:
        """A layer's arithmetic with its reads and writes, pJ.

        An AC reads a weight, and reads and writes a sum; each event is read once. A MAC reads a weight and an input; its sum
        stays in a register until it is written. A neuron reads and writes each number of its state and does a MAC for it; a
        spike is written.
        """
        if operations.updates:
            return (
                operations.updates * operations.words * (self.e_mac + 2 * self.state_access)
                + operations.outputs * self.activation_access
            )
        if operations.macs:
            return self._macs(operations.macs, operations.outputs)
        return (
            operations.acs * (self.e_ac + self.weight_access + 2 * self.state_access)
            + operations.events * self.activation_access
        )

    def artificial(self, operations: LayerOperations) -> float:
        """A layer in which every input is a real number, with its reads and writes, pJ."""
        return self._macs(operations.dense, operations.outputs) if operations.dense else 0.0

    def _macs(self, macs: float, outputs: float) -> float:
        return (
            macs * (self.e_mac + self.weight_access + self.activation_access)
            + outputs * self.activation_access
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnergyReport:
    """What `estimate_energy` found; all numbers are of one trial, in the mean.

    Attributes
    ----------
    rows
        One for each layer.
    costs
        Of single operations.
    steps
        Mean length of a trial.
    ann_steps
        How often the artificial network runs for a trial.
    """

    rows: tuple[LayerOperations, ...]
    costs: EnergyCosts
    steps: float
    ann_steps: float

    @property
    def proxy(self) -> float:
        """Arithmetic at synapses alone, pJ."""
        return sum(self.costs.proxy(row) for row in self.rows)

    @property
    def memory(self) -> float:
        """Arithmetic with reads and writes, neurons included, pJ."""
        return sum(self.costs.memory(row) for row in self.rows)

    @property
    def ann(self) -> float:
        """An artificial network with the same connections, arithmetic alone, pJ."""
        return sum(row.dense for row in self.rows) * self.costs.e_mac * self.ann_steps / self.steps

    @property
    def ann_memory(self) -> float:
        """The artificial network with its reads and writes, pJ."""
        return sum(self.costs.artificial(row) for row in self.rows) * self.ann_steps / self.steps

    def to_dataset(self) -> xr.Dataset:
        """The table: a column for each number of `LayerOperations`, and ``proxy`` and ``memory`` in pJ, along ``layer``.

        The four totals, the costs and the steps are attributes.
        """
        names = [field.name for field in dataclasses.fields(LayerOperations) if field.name != "name"]
        columns = {name: ("layer", [getattr(row, name) for row in self.rows]) for name in names}
        table = xr.Dataset(columns, coords={"layer": [row.name for row in self.rows]})
        for name, price in (("proxy", self.costs.proxy), ("memory", self.costs.memory)):
            table[name] = ("layer", [price(row) for row in self.rows], {"units": "pJ"})
        totals = {name: getattr(self, name) for name in ("proxy", "ann", "memory", "ann_memory")}
        costs = {f"cost_{name}": value for name, value in dataclasses.asdict(self.costs).items()}
        steps = {"steps": self.steps, "ann_steps": self.ann_steps}
        return table.assign_attrs({"units": "pJ"} | totals | costs | steps)


def estimate_energy(
    network: Stateful,
    x: Tensor,
    *,
    mask: Tensor | None = None,
    costs: EnergyCosts | None = None,
    ann_steps: int | None = None,
) -> EnergyReport:
    """Run a network, count what each layer does, and price it.

    Parameters
    ----------
    network
        It runs in evaluation mode, from silence; see `count_operations`.
    x
        Inputs ``(time, batch, ...)``: real data, for rates are what decides.
    mask
        Booleans ``(time, batch)``, False beyond a trial's end; only the other steps count.
    costs
        Of single operations; None for those of `EnergyCosts`.
    ann_steps
        How often an artificial network would run for a trial: 1 where a still image is shown at every step; None for once a
        step.

    Returns
    -------
    EnergyReport
        ``.proxy``, ``.ann``, ``.memory``, ``.ann_memory`` in pJ a trial; ``.rows``; ``.to_dataset()``.

    Raises
    ------
    ModelError
        When a layer has weights of a kind that is not counted, naming it, or the mask has steps after a trial's end.
    ConfigError
        When ``ann_steps`` is below 1.

    Examples
    --------
    >>> import torch
    >>> from neurokit_snn.snn import IF, Network
    >>> spikes = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]).unsqueeze(1)  # two steps, one trial, three inputs
    >>> found = estimate_energy(Network(torch.nn.Linear(3, 2), IF()), spikes)
    >>> round(found.proxy, 2), round(found.ann, 2)
    (5.4, 55.2)
    """
    if ann_steps is not None and not ann_steps >= 1:
        raise ConfigError(
            f"estimate_energy: ann_steps is {ann_steps}; give 1 or more, or None for once a step"
        )
    rows = count_operations(network, x, mask=mask)
    steps = float(trial_lengths(x, mask).double().mean())
    return EnergyReport(
        rows=rows,
        costs=costs or EnergyCosts(),
        steps=steps,
        ann_steps=steps if ann_steps is None else float(ann_steps),
    )
