"""Hyperparameters in seconds and names as what is built: bins, stretches, rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurokit_snn.errors import ModelError
from neurokit_snn.snn.training import BPTT, OTTT, SLTT, Rule

__all__ = ["delays_of", "in_steps", "rule_named", "run_in_of", "steps_of"]

RULES: dict[str, Rule] = {"BPTT": BPTT(), "SLTT": SLTT(), "OTTT": OTTT()}


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
