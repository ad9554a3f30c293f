"""How long a torch model is trained and how fast it learns."""

from __future__ import annotations

import dataclasses
import math

from neurokit_snn.errors import ModelError

__all__ = ["Schedule"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Schedule:
    """Everything about a training that is neither model nor data.

    The defaults are those of Neuroformer (Antoniades et al. 2024, arXiv:2311.00136), whose loop is that of minGPT.
    Unlike there the first step is part of the warm-up, and the cosine reaches ``final_fraction`` at ``decay_tokens``
    and not before.

    Parameters
    ----------
    steps
        Optimiser steps.
    learning_rate
        Highest learning rate.
    betas
        Decay of the first and of the second moment of AdamW.
    weight_decay
        Of the weights that `parameter_groups` says decay.
    clip
        Largest norm of the whole gradient; ``math.inf`` for any.
    warmup_tokens
        Tokens over which the learning rate rises linearly.
    decay_tokens
        Tokens, from the first one, at which the cosine has come down; None: the rate stays after the warm-up.
    final_fraction
        Share of the learning rate that is left from ``decay_tokens`` on.
    precision
        As Lightning Fabric names it: ``"32-true"``, ``"bf16-mixed"``, ``"16-mixed"`` (on a GPU), ``"64-true"``, ...
    checkpoint_every
        Steps between two checkpoints.
    validate_every
        Steps between two validations, the last of which comes after the last step; 0 for none.
    patience
        Validations in a row without a new best after which the training stops; None: it never stops early.

    Raises
    ------
    ModelError
        When a number is out of its range.

    Examples
    --------
    >>> schedule = Schedule(steps=100, learning_rate=1.0, warmup_tokens=10, decay_tokens=110)
    >>> [schedule.rate(tokens) for tokens in (5, 10, 60, 110, 500)]
    [0.5, 1.0, 0.55, 0.1, 0.1]
    """

    steps: int
    learning_rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 1.0
    clip: float = 1.0
    warmup_tokens: float = 0.0
    decay_tokens: float | None = None
    final_fraction: float = 0.1
    precision: str = "32-true"
    checkpoint_every: int = 200
    validate_every: int = 0
    patience: int | None = None

    def __post_init__(self) -> None:
        """Refuse what no training can follow."""
        rules = {
            "steps": (self.steps >= 1, "at least 1"),
            "learning_rate": (0.0 < self.learning_rate < math.inf, "above 0"),
            "betas": (all(0.0 <= beta < 1.0 for beta in self.betas), "two numbers from 0 up to below 1"),
            "weight_decay": (0.0 <= self.weight_decay < math.inf, "0 or more"),
            "clip": (self.clip > 0.0, "above 0; math.inf for no limit"),
            "warmup_tokens": (0.0 <= self.warmup_tokens < math.inf, "0 or more"),
            "decay_tokens": (
                self.decay_tokens is None or self.decay_tokens > self.warmup_tokens,
                f"more than warmup_tokens ({self.warmup_tokens:g}), or None",
            ),
            "final_fraction": (0.0 <= self.final_fraction <= 1.0, "from 0 to 1"),
            "checkpoint_every": (self.checkpoint_every >= 1, "at least 1"),
            "validate_every": (self.validate_every >= 0, "0 or more"),
            "patience": (
                self.patience is None or (self.patience >= 1 and self.validate_every > 0),
                "at least 1, with validate_every above 0, or None",
            ),
        }
        for name, (holds, wanted) in rules.items():
            if not holds:
                raise ModelError(f"Schedule: {name} is {getattr(self, name)!r}; give {wanted}")

    def rate(self, tokens: float) -> float:
        """Learning rate of the step after which so many tokens have been seen."""
        if tokens < self.warmup_tokens:
            return self.learning_rate * tokens / self.warmup_tokens
        if self.decay_tokens is None:
            return self.learning_rate
        done = min(1.0, (tokens - self.warmup_tokens) / (self.decay_tokens - self.warmup_tokens))
        left = 0.5 * (1.0 + math.cos(math.pi * done))
        return self.learning_rate * (self.final_fraction + (1.0 - self.final_fraction) * left)
