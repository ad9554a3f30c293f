"""Neurons of NIR, which live in continuous time, and ours, which live in steps.

A step of ours is one step of Euler's method of the equation of NIR, ``tau dv/dt = v_leak - v + r I``:

    v[t] = (1 - dt / tau) v[t-1] + (r dt / tau) I[t]        (v_leak = 0)

so ``tau = tau_steps dt``, ``r = gain tau_steps`` (1 with ``decay_input``, ``tau_steps`` without), for a neuron without leak
``r = 1 / dt``, and a current is ``tau_syn = tau_current dt``, ``w_in = tau_current`` times the gain. Arrays are of 32 bits, as
other tools expect; ``metadata`` has the exact numbers, and what NIR has no words for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurokit_snn.errors import ConfigError, ModelError
from neurokit_snn.snn.neuron import Neuron
from neurokit_snn.snn.neurons import (
    IF,
    LIF,
    AdaptiveLIF,
    CurrentLIF,
    IntegerLIF,
    LeakyIntegrator,
    ParametricLIF,
)
from neurokit_snn.snn.surrogate import NAMED, surrogate

__all__ = ["losses", "neuron_of", "node_of"]

KINDS: dict[str, type[Neuron]] = {
    kind.__name__: kind
    for kind in (IF, LIF, ParametricLIF, AdaptiveLIF, CurrentLIF, IntegerLIF, LeakyIntegrator)
}
SURROGATES = {kind.__name__: name for name, kind in NAMED.items()}
USUAL = LIF()
"""What a neuron without metadata is trained as."""
SAME = 1e-6
"""Relative difference below which an array of 32 bits and a number of the metadata are the same."""


def node_of(neuron: Neuron, shape: Sequence[int], *, dt: float) -> Any:
    """The node of a layer of neurons.

    Parameters
    ----------
    neuron
        The layer.
    shape
        Of its neurons.
    dt
        Length of a step, s.

    Raises
    ------
    ModelError
        When it is of a kind that NIR has no node for.
    """
    import nir

    kind = type(neuron).__name__
    if KINDS.get(kind) is not type(neuron):
        raise ModelError(f"{kind} is a neuron without a node in NIR; there are nodes for {', '.join(KINDS)}")

    def spread(value: Tensor | float) -> np.ndarray:
        made = torch.as_tensor(value).detach().cpu().to(torch.float64).expand(tuple(shape))
        return made.to(torch.float32).numpy().copy()

    about = _about(neuron, dt)
    zero = spread(0.0)
    fires = {"v_threshold": spread(neuron.threshold), "v_reset": spread(neuron.rest)}
    if isinstance(neuron, IF):
        return nir.IF(r=spread(1.0 / dt), metadata=about, **fires)
    tau = torch.as_tensor(neuron.tau, dtype=torch.float64)
    r = spread(1.0 if neuron.decay_input else tau)
    if isinstance(neuron, CurrentLIF):
        slow = torch.as_tensor(neuron.tau_current, dtype=torch.float64)
        # The gain stands at the current: a membrane that adds it as it is is what all tools read.
        w_in = spread(slow / tau if neuron.decay_input else slow)
        times = {"tau_syn": spread(slow * dt), "tau_mem": spread(tau * dt)}
        return nir.CubaLIF(r=spread(tau), v_leak=zero, w_in=w_in, metadata=about, **times, **fires)
    if isinstance(neuron, LeakyIntegrator):
        return nir.LI(tau=spread(tau * dt), r=r, v_leak=zero, metadata=about)
    return nir.LIF(tau=spread(tau * dt), r=r, v_leak=zero, metadata=about, **fires)


def losses(neuron: Neuron) -> list[str]:
    """What stands in the metadata of a neuron alone: other tools do otherwise, and a graph that they wrote comes back without.

    Fields of training are among it where they are not what `neuron_of` takes for granted.
    """
    found: list[str] = []
    if isinstance(neuron, LeakyIntegrator):
        return found
    if neuron.reset != "hard":
        found.append(f"reset {neuron.reset!r}, where NIR has hard")
    if isinstance(neuron, AdaptiveLIF):
        found.append("a threshold that adapts")
    if isinstance(neuron, IntegerLIF):
        found.append(f"spikes of up to {neuron.levels}")
    if not isinstance(neuron, IntegerLIF) and neuron.surrogate != USUAL.surrogate:
        found.append(f"surrogate {neuron.surrogate}, for training")
    if neuron.reset != "none" and neuron.detach_reset != USUAL.detach_reset:
        found.append("a reset that gradients go through, for training")
    return found


def _about(neuron: Neuron, dt: float) -> dict[str, Any]:
    """Metadata: all fields, in words and numbers that HDF5 holds."""
    about: dict[str, Any] = {
        "neuron": type(neuron).__name__,
        "dt": float(dt),
        "reset": neuron.reset,
        "rest": float(neuron.rest),
        "detach_reset": bool(neuron.detach_reset),
        "spikes_where": "v >= v_threshold",
        "surrogate": type(neuron.surrogate).__name__,
        "surrogate_width": float(neuron.surrogate.width),
    }
    for name in ("threshold", "tau", "tau_current", "tau_adaptation", "jump", "leak"):
        if hasattr(neuron, name):
            exact = torch.as_tensor(getattr(neuron, name)).detach().cpu().double().numpy()
            about[name] = exact.copy() if exact.ndim else float(exact)
    if hasattr(neuron, "decay_input"):
        about["decay_input"] = bool(neuron.decay_input)
    if isinstance(neuron, IntegerLIF):
        about["levels"] = neuron.levels
    return about


# ---- back --------------------------------------------------------------------------------------------------------


def neuron_of(node: Any, *, dt: float, name: str) -> tuple[Neuron, list[str]]:
    """The layer of a node of NIR.

    A leak towards another voltage than 0 is taken away from all voltages; a factor of the input that ours have no word for
    divides threshold and rest, which leaves every spike where it was.

    Parameters
    ----------
    node
        LIF, IF, CubaLIF or LI.
    dt
        Length of a step, s.
    name
        Of the node, for errors.

    Returns
    -------
    neuron
    doubts
        What the metadata say that could not be kept.

    Raises
    ------
    ModelError
        When a time constant is shorter than a step, a factor of the input is not above 0, neurons of one node have different
        resets, or a readout has a leak voltage or a factor, naming the node and the value.
    """
    kind = type(node).__name__
    about = {key: _plain(value) for key, value in node.metadata.items()}
    chosen = str(
        about.get(
            "neuron", {"LIF": "LIF", "IF": "IF", "CubaLIF": "CurrentLIF", "LI": "LeakyIntegrator"}[kind]
        )
    )
    if chosen not in KINDS:
        raise ModelError(
            f"NIR node {name!r}: metadata name a neuron {chosen!r}; known are {', '.join(KINDS)}"
        )
    fields, gain = _times(node, kind, about, dt, name)
    leak = 0.0 if kind == "IF" else np.asarray(node.v_leak, np.float64)
    if kind == "LI":
        if np.any(leak != 0) or gain is not None:
            raise ModelError(
                f"NIR node {name!r}: a readout with v_leak {np.unique(leak)} and a factor of its input of {gain}; give v_leak 0 "
                "and r 1, or r = tau / dt"
            )
    else:
        factor = 1.0 if gain is None else gain
        threshold = (np.asarray(node.v_threshold, np.float64) - leak) / factor
        rest = (np.asarray(node.v_reset, np.float64) - leak) / factor
        if np.unique(rest).size > 1:
            raise ModelError(
                f"NIR node {name!r}: v_reset has the values {np.unique(rest)[:3]}; give one to all neurons"
            )
        fields["threshold"] = _exact(threshold, about.get("threshold"))
        fields["rest"] = float(np.ravel(_exact(rest, about.get("rest")))[0])
        fields["reset"] = str(about.get("reset", "hard"))
        fields["detach_reset"] = bool(about.get("detach_reset", True))
    fields |= {key: _number(about[key]) for key in ("tau_adaptation", "jump") if key in about}
    if "levels" in about:
        fields["levels"] = int(about["levels"])
    doubts = []
    shape = _surrogate(about)
    if shape is not None and kind != "LI":
        fields["surrogate"] = shape
    elif "surrogate" in about and kind != "LI":
        doubts.append(f"{name}: surrogate {about['surrogate']!r} is not known here; the default is used")
    fields = {key: _number(value) for key, value in fields.items()}
    try:
        return _made(chosen, fields, about.get("leak")), doubts
    except (ConfigError, TypeError) as error:
        raise ModelError(f"NIR node {name!r}: {error}") from error


def _times(
    node: Any, kind: str, about: Mapping[str, Any], dt: float, name: str
) -> tuple[dict[str, Any], np.ndarray | None]:
    """Time constants in steps and decay_input; and a factor of the input where it is neither 1 nor 1 / tau."""
    if kind == "IF":
        gain = np.asarray(node.r, np.float64) * dt
        _refuse_factor(gain, name)
        return {}, None if np.allclose(gain, 1.0, rtol=SAME) else gain
    slow = kind == "CubaLIF"
    tau = np.asarray(node.tau_mem if slow else node.tau, np.float64) / dt
    fields: dict[str, Any] = {"tau": _exact(tau, about.get("tau"))}
    gain = np.asarray(node.r, np.float64) / tau
    if slow:
        current = np.asarray(node.tau_syn, np.float64) / dt
        fields["tau_current"] = _exact(current, about.get("tau_current"))
        gain = gain * np.asarray(node.w_in, np.float64) / current
    for key, value in fields.items():
        short = np.ravel(np.asarray(value))
        if not np.all(short >= 1.0 - SAME):
            raise ModelError(
                f"NIR node {name!r}: {key} is {short.min() * dt:g} s and a step lasts {dt:g} s; give a shorter step"
            )
        fields[key] = np.maximum(value, 1.0)
    _refuse_factor(gain, name)
    decayed, whole = np.allclose(gain * tau, 1.0, rtol=10 * SAME), np.allclose(gain, 1.0, rtol=10 * SAME)
    fields["decay_input"] = bool(decayed and (not whole or about.get("decay_input", False)))
    return fields, None if decayed or whole else gain


def _refuse_factor(gain: np.ndarray, name: str) -> None:
    if not np.all(gain > 0):
        where = int(np.flatnonzero(~(np.ravel(gain) > 0))[0])
        raise ModelError(
            f"NIR node {name!r}: neuron {where} hears its input times {np.ravel(gain)[where]:g}; give an r (and w_in) above 0"
        )


def _made(chosen: str, fields: dict[str, Any], leak: Any) -> Neuron:
    if chosen != "ParametricLIF":
        return KINDS[chosen](**fields)
    tau = torch.as_tensor(fields.pop("tau"), dtype=torch.float64)
    if tau.ndim > 1:
        raise ConfigError(f"ParametricLIF.tau has shape {tuple(tau.shape)}; give one or one a feature")
    made = ParametricLIF(2.0, features=tau.numel() if tau.ndim else None, **fields)
    found = -torch.log(tau - 1.0)
    if leak is not None:  # what was learned, where that is what makes these time constants
        told = torch.as_tensor(leak, dtype=torch.float64)
        if told.shape == tau.shape and torch.allclose(1.0 + torch.exp(-told), tau, rtol=SAME, atol=0.0):
            found = told
    with torch.no_grad():
        torch.as_tensor(made.leak).copy_(found)
    return made


def _surrogate(about: Mapping[str, Any]) -> Any:
    known = SURROGATES.get(str(about.get("surrogate")))
    if known is None:
        return None
    return type(surrogate(known))(float(about.get("surrogate_width", surrogate(known).width)))


def _exact(values: np.ndarray, told: Any) -> Any:
    """The numbers of the metadata where they are those of the array, so that nothing is lost to 32 bits; else the array."""
    array = np.asarray(values, np.float64)
    if told is not None:
        told = np.asarray(told, np.float64)
        fits = told.ndim <= array.ndim and np.broadcast_shapes(told.shape, array.shape) == array.shape
        if fits and np.allclose(np.broadcast_to(told, array.shape), array, rtol=SAME, atol=0.0):
            return told
    return array.flat[0] if np.all(array == array.flat[0]) else array


def _number(value: Any) -> Any:
    """Numbers as Python has them, arrays of them as tensors."""
    if isinstance(value, np.ndarray):
        if not value.ndim:
            return float(value)
        short = value.astype(np.float32)
        return torch.from_numpy(short if np.array_equal(short, value) else value)
    return float(value) if isinstance(value, np.floating) else value


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and not value.ndim):
        value = value.item()
        return value.decode() if isinstance(value, bytes) else value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
