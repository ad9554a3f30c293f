"""The kinds of neurons. Each says where leak, gain and threshold of its cells come from; `Neuron` does the rest.

Time constants, thresholds and jumps are numbers, or tensors of the input's last dimensions; an ``nn.Parameter`` is learned.
"""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn

from neurokit_snn.errors import ConfigError
from neurokit_snn.snn.neuron import ABOVE_1, ANY, FROM_0, FROM_1, Neuron
from neurokit_snn.snn.stateful import State

__all__ = ["IF", "LIF", "AdaptiveLIF", "CurrentLIF", "IntegerLIF", "LeakyIntegrator", "ParametricLIF"]


@final
class IF(Neuron):
    """Integrate and fire: no leak, ``beta = gain = 1``.

    Examples
    --------
    >>> spikes, _ = IF()(torch.full((4, 1, 1), 0.4))
    >>> spikes.flatten().tolist()
    [0.0, 0.0, 1.0, 0.0]
    """

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

    def __init__(self, tau: float | Tensor = 2.0, *, decay_input: bool = True, **fields: object) -> None:
        super().__init__(**fields)  # type: ignore[arg-type]
        self.tau, self.decay_input = self._within("tau", tau, FROM_1), decay_input

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

    Examples
    --------
    >>> ParametricLIF(tau=3.0, features=2).tau.tolist()
    [3.0, 3.0]
    """

    def __init__(
        self, tau: float = 2.0, *, features: int | None = None, decay_input: bool = True, **fields: object
    ) -> None:
        super().__init__(**fields)  # type: ignore[arg-type]
        self._refuse_field("tau", tau, ABOVE_1)
        self.decay_input = decay_input
        start = torch.full(() if features is None else (features,), -math.log(tau - 1.0))
        self.leak = self._within("leak", nn.Parameter(start), ANY)

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

    Examples
    --------
    >>> spikes, _ = AdaptiveLIF(tau=1.0, tau_adaptation=2.0, jump=1.0)(torch.full((5, 1, 1), 1.5))
    >>> spikes.flatten().tolist()
    [1.0, 0.0, 1.0, 0.0, 0.0]
    """

    adapts = True

    def __init__(
        self,
        tau: float | Tensor = 2.0,
        *,
        tau_adaptation: float | Tensor = 20.0,
        jump: float | Tensor = 0.2,
        decay_input: bool = True,
        **fields: object,
    ) -> None:
        super().__init__(**fields)  # type: ignore[arg-type]
        self.tau, self.decay_input = self._within("tau", tau, FROM_1), decay_input
        self.tau_adaptation = self._within("tau_adaptation", tau_adaptation, FROM_1)
        self.jump = self._within("jump", jump, FROM_0)

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

    Examples
    --------
    >>> pulse = torch.tensor([1.0, 0.0, 0.0, 0.0]).reshape(4, 1, 1)
    >>> spikes, state = CurrentLIF(tau=1.0, tau_current=2.0, threshold=0.2)(pulse)
    >>> spikes.flatten().tolist(), state.current.item()
    ([1.0, 1.0, 1.0, 0.0], 0.125)
    """

    filters = True

    def __init__(
        self,
        tau: float | Tensor = 2.0,
        *,
        tau_current: float | Tensor = 2.0,
        decay_input: bool = True,
        **fields: object,
    ) -> None:
        super().__init__(**fields)  # type: ignore[arg-type]
        self.tau, self.decay_input = self._within("tau", tau, FROM_1), decay_input
        self.tau_current = self._within("tau_current", tau_current, FROM_1)

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

    ``s = floor(h / threshold + 1/2)`` cut off at 0 and ``levels``; the slope is 1/threshold in between, 0 outside. A soft
    reset takes ``threshold s`` away.

    Parameters
    ----------
    tau
        Membrane time constant, steps, at least 1; 1 has no memory.
    levels
        D, most spikes of a step.
    decay_input
        Whether the input is divided by ``tau``.

    Examples
    --------
    >>> neuron = IntegerLIF(levels=4)
    >>> spikes, _ = neuron(torch.tensor([[[0.2, 2.3, 9.0]]]))
    >>> spikes
    tensor([[[0., 2., 4.]]])
    >>> neuron.expanded(spikes)[0, :, 0, 1]
    tensor([1., 1., 0., 0.])
    """

    def __init__(
        self, tau: float | Tensor = 4.0 / 3.0, *, levels: int = 4, decay_input: bool = False, **fields: object
    ) -> None:
        super().__init__(**({"reset": "soft"} | fields))  # type: ignore[arg-type]
        if self.reset == "hard":
            raise ConfigError(
                "IntegerLIF.reset is 'hard'; choose soft or none: a hard reset forgets how many spikes there were"
            )
        if not (isinstance(levels, int) and levels >= 2):
            raise ConfigError(f"IntegerLIF.levels is {levels}; give a whole number, 2 or more")
        self.tau, self.decay_input = self._within("tau", tau, FROM_1), decay_input
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

    Examples
    --------
    >>> membrane, _ = LeakyIntegrator(tau=2.0)(torch.tensor([1.0, 0.0, 0.0]).reshape(3, 1, 1))
    >>> membrane.flatten().tolist()
    [0.5, 0.25, 0.125]
    """

    def __init__(self, tau: float | Tensor = 2.0, *, decay_input: bool = True, fused: bool = True) -> None:
        super().__init__(reset="none", fused=fused)
        self.tau, self.decay_input = self._within("tau", tau, FROM_1), decay_input

    def forward(
        self, x: Tensor, state: State | None = None, *, mask: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """The membrane ``(time, batch, ..., feature)`` and the state."""
        _, membrane, after = self.run(x, state, mask=mask)
        return membrane.to(x.dtype), after

    def parameters_of_cells(self) -> dict[str, Tensor | float]:
        """See the base class."""
        return {"beta": 1.0 - 1.0 / self.tau, "gain": 1.0 / self.tau if self.decay_input else 1.0}
