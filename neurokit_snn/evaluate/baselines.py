"""The models that every comparison holds: what a lab would have to beat to say that it found something."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Mapping
from typing import Any

import xarray as xr

from neurokit_snn.evaluate.fingerprint import fingerprint
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.models.registry import model_class
from neurokit_snn.recording.binned import behaviors

__all__ = ["BASELINES", "Baseline", "with_baselines"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Baseline:
    """A model by its name in the table of models, and when it joins.

    Parameters
    ----------
    name
        What it is called in a comparison.
    model
        Name of its class in ``models.registry.MODELS``.
    parameters
        Hyperparameters that are not the default.
    tasks
        Tasks for which it joins.
    covariates
        Whether it needs behaviour in the data.
    needs
        Optional module without which it stays away.
    """

    name: str
    model: str
    tasks: tuple[str, ...]
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    covariates: bool = False
    needs: str | None = None


HISTORY = 0.25
"""Seconds of its own past that the history GLM reads: refractoriness, bursts and theta."""

BASELINES: tuple[Baseline, ...] = (
    Baseline(
        name="mean rate", model="MeanRate", tasks=("encode", "cosmooth", "cosmooth+behavior", "forecast")
    ),
    Baseline(name="tuning GLM", model="GLM", tasks=("encode", "forecast"), covariates=True, needs="nemos"),
    Baseline(
        name="history GLM",
        model="GLM",
        parameters={"covariates": (), "past": HISTORY},
        tasks=("forecast",),
        needs="nemos",
    ),
    Baseline(
        name="population regression", model="ReducedRankRegression", tasks=("cosmooth", "cosmooth+behavior")
    ),
    Baseline(name="ridge", model="RidgeDecoder", tasks=("decode",)),
    Baseline(name="naive Bayes", model="NaiveBayesDecoder", tasks=("decode",)),
    Baseline(
        name="naive Bayes, random walk",
        model="NaiveBayesDecoder",
        parameters={"smoother": "random-walk"},
        tasks=("decode",),
    ),
)
"""Every baseline, in the order in which they join."""


def with_baselines(
    models: Mapping[str, AbstractModel], data: xr.Dataset, *, task: str, target: str | None = None
) -> tuple[dict[str, AbstractModel], list[str]]:
    """Add the baselines of a task to the models given, but for those that are there already under any name.

    Parameters
    ----------
    models
        Models by name.
    data
        Binned dataset of one session.
    task
        Name of a task.
    target
        Behaviour to decode.

    Returns
    -------
    models
        The models given first, then the baselines.
    missing
        Names of the baselines that would have joined, were what they need installed.
    """
    found, missing = dict(models), []
    known = {fingerprint(model) for model in models.values()}
    suited = [
        b
        for b in BASELINES
        if task in b.tasks and (behaviors(data) or not b.covariates) and b.name not in found
    ]
    for baseline in suited if "counts" in data else ():
        if baseline.needs is not None and importlib.util.find_spec(baseline.needs) is None:
            missing.append(baseline.name)
            continue
        model = model_class(baseline.model)(**baseline.parameters)
        if target is not None and "target" in model.get_params(deep=False):
            model.set_params(target=target)
        if fingerprint(model) not in known:
            found[baseline.name] = model
    return found, missing
