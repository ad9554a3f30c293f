"""What a training saw, step by step."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
import xarray as xr

__all__ = ["History", "Records"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class History:
    """The curves of a training.

    Attributes
    ----------
    loss : ndarray (step,)
        Weighted sum of the terms, in the units of the terms per token.
    terms : dict of ndarray (step,)
        Each term per token it counts, unweighted; NaN at a step that counted none.
    learning_rate : ndarray (step,)
    tokens : ndarray (step,)
        Tokens seen so far, of all processes.
    validation_step : ndarray (validation,)
        Steps done at each validation.
    validation : ndarray (validation,)
        What it gave; lower is better.
    measures : dict of ndarray (validation,)
        What else it gave, by name.
    seconds : float
        Time spent, that before an interruption included.

    Examples
    --------
    >>> records = Records()
    >>> records.add(0.5, {"id": 0.5}, learning_rate=1e-3, tokens=64)
    >>> history = records.history(seconds=1.0)
    >>> again = History.from_dataset(history.to_dataset())
    >>> again.loss, again.terms["id"], again.tokens
    (array([0.5]), array([0.5]), array([64]))
    """

    loss: np.ndarray
    terms: dict[str, np.ndarray]
    learning_rate: np.ndarray
    tokens: np.ndarray
    validation_step: np.ndarray
    validation: np.ndarray
    measures: dict[str, np.ndarray]
    seconds: float

    def to_dataset(self) -> xr.Dataset:
        """All of it as ``loss``, ``learning_rate``, ``tokens (step)``, ``terms (term, step)``, ``validation``, ``measures``.

        Of the last two ``validation (validation_step)`` decided, and ``measures (measure, validation_step)`` are the others.
        ``step`` and ``validation_step``, the coordinates, count from 1: steps that have been done.
        """
        terms = np.array(list(self.terms.values())).reshape(len(self.terms), len(self.loss))
        measures = np.array(list(self.measures.values())).reshape(len(self.measures), len(self.validation))
        return xr.Dataset(
            {
                "loss": ("step", self.loss),
                "terms": (("term", "step"), terms),
                "learning_rate": ("step", self.learning_rate),
                "tokens": ("step", self.tokens),
                "validation": ("validation_step", self.validation),
                "measures": (("measure", "validation_step"), measures),
            },
            coords={
                "step": np.arange(1, len(self.loss) + 1),
                "term": np.array(list(self.terms), dtype=object),
                "measure": np.array(list(self.measures), dtype=object),
                "validation_step": self.validation_step,
            },
            attrs={"seconds": self.seconds},
        )

    @classmethod
    def from_dataset(cls, data: xr.Dataset) -> History:
        """What `to_dataset` made; histories of version 0.1 have no measures."""
        measures = data["measure"].values.tolist() if "measures" in data else []
        return cls(
            loss=data["loss"].values,
            terms={str(name): data["terms"].values[i] for i, name in enumerate(data["term"].values.tolist())},
            learning_rate=data["learning_rate"].values,
            tokens=data["tokens"].values,
            validation_step=data["validation_step"].values,
            validation=data["validation"].values,
            measures={str(name): data["measures"].values[i] for i, name in enumerate(measures)},
            seconds=float(data.attrs["seconds"]),
        )


class Records:
    """A history in the making."""

    def __init__(self, history: History | None = None) -> None:
        self.loss: list[float] = []
        self.terms: dict[str, list[float]] = {}
        self.learning_rate: list[float] = []
        self.tokens: list[int] = []
        self.validation_step: list[int] = []
        self.validation: list[float] = []
        self.measures: dict[str, list[float]] = {}
        if history is not None:
            self.terms = {name: values.tolist() for name, values in history.terms.items()}
            self.measures = {name: values.tolist() for name, values in history.measures.items()}
            for name in ("loss", "learning_rate", "tokens", "validation_step", "validation"):
                setattr(self, name, getattr(history, name).tolist())

    def add(self, loss: float, terms: dict[str, float], *, learning_rate: float, tokens: int) -> None:
        """One step more; ``tokens`` are all that were seen so far."""
        self.loss.append(loss)
        for name, value in terms.items():
            self.terms.setdefault(name, []).append(value)
        self.learning_rate.append(learning_rate)
        self.tokens.append(tokens)

    def validated(self, value: float, measures: Mapping[str, float]) -> bool:
        """Note a validation after the last step; whether it is the best one so far."""
        best = not self.validation or value < min(self.validation)
        self.validation_step.append(len(self.loss))
        self.validation.append(value)
        for name, measured in measures.items():
            self.measures.setdefault(name, []).append(measured)
        return best

    @property
    def since_best(self) -> float:
        """Validations after the best one."""
        if not self.validation:
            return -math.inf
        return len(self.validation) - 1 - self.validation.index(min(self.validation))

    def history(self, *, seconds: float) -> History:
        """All of it as arrays."""
        return History(
            loss=np.array(self.loss, float),
            terms={name: np.array(values, float) for name, values in self.terms.items()},
            learning_rate=np.array(self.learning_rate, float),
            tokens=np.array(self.tokens, np.int64),
            validation_step=np.array(self.validation_step, np.int64),
            validation=np.array(self.validation, float),
            measures={name: np.array(values, float) for name, values in self.measures.items()},
            seconds=seconds,
        )
