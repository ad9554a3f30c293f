"""Hyperparameters in seconds and names as what is built: bins, stretches, rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from neurokit_snn.errors import ModelError
from neurokit_snn.models.spiking.fitting import Plan
from neurokit_snn.models.spiking.likelihoods import COUNT_NATS
from neurokit_snn.models.spiking.network import Sizes
from neurokit_snn.snn.training import BPTT, OTTT, SLTT, Rule

__all__ = [
    "check_encoder",
    "check_seconds",
    "check_whole",
    "delays_of",
    "in_steps",
    "memory_of",
    "plan_of",
    "rule_named",
    "run_in_of",
    "sizes_of",
    "steps_of",
]

POSITION_RATE = 100.0
"""How many times faster delays are learned than weights, as published for `neurokit_snn.snn.Delays`."""
SETTLED = 5.0
"""Time constants after which a membrane has forgotten all but a hundredth."""
RULES: dict[str, Rule] = {"BPTT": BPTT(), "SLTT": SLTT(), "OTTT": OTTT()}


def check_whole(parameters: Mapping[str, Any], names: Iterable[str], *, who: str) -> None:
    """Refuse what is not a whole number of 1 or more.

    Raises
    ------
    ModelError
        At the first of them, naming it.
    """
    for name in names:
        value = parameters[name]
        if not (isinstance(value, int | np.integer) and value >= 1):
            raise ModelError(f"{who}: {name} is {value!r}; give at least 1, a whole number")


def check_seconds(parameters: Mapping[str, Any], names: Iterable[str], *, who: str) -> None:
    """Refuse what is no time of 0 or more seconds.

    Raises
    ------
    ModelError
        At the first of them, naming it.
    """
    for name in names:
        value = parameters[name]
        if not (isinstance(value, int | float | np.number) and 0.0 <= value < np.inf):
            raise ModelError(f"{who}: {name} is {value!r}; give seconds, 0 or more")


def check_encoder(parameters: Mapping[str, Any], bin_width: float, *, who: str) -> None:
    """Refuse hyperparameters of `SpikingEncoder` that are out of range or do not go together.

    Raises
    ------
    ModelError
        At the first of them, naming it.
    """
    if parameters["observation"] not in COUNT_NATS:
        raise ModelError(
            f"{who}: observation is {parameters['observation']!r}; choose {' or '.join(COUNT_NATS)}"
        )
    check_seconds(parameters, ("past", "delays"), who=who)
    past, delays = parameters["past"], parameters["delays"]
    if delays and not parameters["coupling"]:
        raise ModelError(
            f"{who}: delays is {delays} s and coupling False; delays are those of past spikes: couple the units"
        )
    if past and past < bin_width * (1 - 1e-6):
        raise ModelError(f"{who}: past is {past} s, shorter than a bin of {bin_width} s; lengthen it")
    rule_named(parameters["rule"], who)


def rule_named(rule: str | Rule, who: str) -> Rule:
    """A rule by its name, or the rule itself.

    Raises
    ------
    ModelError
        When there is none of that name.
    """
    if isinstance(rule, Rule):
        return rule
    if rule not in RULES:
        raise ModelError(
            f"{who}: rule is {rule!r}; choose {', '.join(RULES)}, or give a rule of neurokit_snn.snn"
        )
    return RULES[rule]


def steps_of(name: str, seconds: float, bin_width: float, *, who: str, least: float = 1.0) -> float:
    """A time constant in bins, ``least`` where it is shorter.

    Raises
    ------
    ModelError
        When it is no number above 0.

    Examples
    --------
    >>> steps_of("tau", 0.05, 0.02, who="example"), steps_of("tau", 0.05, 0.1, who="example")
    (2.5, 1.0)
    """
    if not (isinstance(seconds, int | float) and 0.0 < seconds < np.inf):
        raise ModelError(f"{who}: {name} is {seconds!r}; give seconds, above 0")
    return max(least, float(round(seconds / bin_width, 9)))


def in_steps(fields: Mapping[str, Any] | None, bin_width: float, *, who: str) -> dict[str, Any]:
    """Fields of neurons with those that are time constants in bins.

    Examples
    --------
    >>> in_steps({"tau_adaptation": 0.2, "threshold": 0.5}, 0.02, who="example")
    {'tau_adaptation': 10.0, 'threshold': 0.5}
    """
    return {
        name: steps_of(f"neuron_fields[{name!r}]", value, bin_width, who=who)
        if name.startswith("tau")
        else value
        for name, value in (fields or {}).items()
    }


def memory_of(parameters: Mapping[str, Any]) -> float:
    """Seconds of run-in: as asked for, or the past, at least the longest delay and five of the slowest time constant.

    Examples
    --------
    >>> parameters = {"past": 0.1, "delays": 0.0, "tau": 0.05, "tau_readout": 0.02, "neuron_fields": None, "memory": None}
    >>> memory_of(parameters), memory_of({**parameters, "neuron_fields": {"tau_adaptation": 0.2, "jump": 1.0}})
    (0.25, 1.0)
    """
    if parameters["memory"] is not None:
        return float(parameters["memory"])
    fields = parameters["neuron_fields"] or {}
    slowest = max(
        parameters["tau"],
        parameters["tau_readout"],
        *(value for name, value in fields.items() if name.startswith("tau")),
    )
    return max(parameters.get("past", 0.0), parameters["delays"] + SETTLED * slowest)


def run_in_of(memory: float, bin_width: float, *, who: str) -> int:
    """Whole bins that the memory holds.

    Raises
    ------
    ModelError
        When it holds none.
    """
    bins = int(np.floor(memory / bin_width + 1e-6)) if np.isfinite(memory) else 0
    if bins < 1:
        raise ModelError(f"{who}: memory is {memory} s and a bin {bin_width} s; give at least a bin")
    return bins


def delays_of(longest: float, bin_width: float, *, who: str) -> int:
    """How many delays synapses have, from one bin on: up to the longest, or one more where that is an even number.

    Raises
    ------
    ModelError
        When the longest is above 0 and shorter than a bin.

    Examples
    --------
    >>> delays_of(0.05, 0.005, who="example"), delays_of(0.0, 0.005, who="example")
    (11, 0)
    """
    bins = int(np.floor(longest / bin_width + 1e-6))
    if longest and not bins:
        raise ModelError(
            f"{who}: delays is {longest} s, shorter than a bin of {bin_width} s; lengthen it, or give 0 for none"
        )
    return bins + 1 - bins % 2 if bins else 0


def sizes_of(
    parameters: Mapping[str, Any],
    bin_width: float,
    *,
    columns: int,
    sources: int,
    outputs: int,
    coupling: bool,
    own: tuple[float, ...],
    direct: bool,
    who: str,
) -> Sizes:
    """Sizes of a network from the hyperparameters of a model, and from what depends on the data.

    Raises
    ------
    ModelError
        When a width is below 1, a time is out of range, or hidden neurons would have no input.
    """
    asked = parameters["hidden"]
    hidden = tuple(asked) if isinstance(asked, Iterable) else (None,)
    if not all(isinstance(n, int) and n >= 1 for n in hidden):
        raise ModelError(
            f"{who}: hidden is {asked!r}; give the neurons of each layer, whole numbers of 1 or more"
        )
    if (hidden or parameters["network"] is not None) and not (columns or (coupling and sources)):
        raise ModelError(
            f"{who}: the network has nothing to read: no covariates, and coupling is False; name covariates, couple the units, "
            "or give hidden=()"
        )
    return Sizes(
        columns=columns,
        sources=sources,
        outputs=outputs,
        coupling=coupling,
        own=own,
        direct=direct,
        hidden=hidden,
        neuron=parameters["neuron"],
        tau=steps_of("tau", parameters["tau"], bin_width, who=who),
        fields=in_steps(parameters["neuron_fields"], bin_width, who=who),
        recurrent=bool(parameters["recurrent"]),
        tau_readout=steps_of("tau_readout", parameters["tau_readout"], bin_width, who=who),
        delays=delays_of(parameters["delays"], bin_width, who=who),
    )


def plan_of(parameters: Mapping[str, Any], who: str) -> Plan:
    """How a model is trained, from its hyperparameters.

    With delays training never stops early: while the bumps around them are wide, rounded delays tell little of what is learned.
    """
    check_whole(parameters, ("steps", "batch_size"), who=who)
    delayed = bool(parameters["delays"]) and parameters["network"] is None
    taken = ("steps", "batch_size", "learning_rate", "weight_decay", "validation", "accelerator")
    return Plan(
        **{name: parameters[name] for name in taken},
        patience=None if delayed else parameters["patience"],
        rates={"*.position": POSITION_RATE} if delayed else {},
        who=who,
    )
