"""From hyperparameters and training data to what is fitted: modalities, sizes, and the mark of a checkpoint."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from neurokit_snn.errors import ModelError
from neurokit_snn.models.modalities import Modality, modality_of
from neurokit_snn.models.neuroformer.config import Config
from neurokit_snn.models.neuroformer.network import Network
from neurokit_snn.models.neuroformer.spec import Input, Output, Spec
from neurokit_snn.models.neuroformer.windows import Places, Source, places_of
from neurokit_snn.recording.binned import behaviors
from neurokit_snn.recording.grid import exact_bins

__all__ = ["fingerprint", "modalities_for", "spec_for", "warn_of_past"]

MARGIN = 8
"""Places for tokens beyond twice the most of the training data, where the context is left to the fit."""


def modalities_for(
    data: xr.Dataset, config: Config, *, known: Sequence[Modality], who: str
) -> tuple[tuple[Modality, ...], tuple[Modality, ...]]:
    """What is read and what is predicted; modalities that are known (of a pretrained model) keep their scale.

    Raises
    ------
    ModelError
        When one is absent from the data, read and predicted at once, or predicted and no behaviour.
    """
    kept = {m.name: m for m in known}

    def named(name: str) -> Modality:
        full = name if name.startswith(("behavior_", "stimulus_")) else f"behavior_{name}"
        return kept.get(full) or kept.get(name) or modality_of(data, name, who)

    outputs = tuple(named(name) for name in config.outputs)
    predicted = {m.name for m in outputs}
    names = config.covariates
    if names is None:
        names = tuple(n for n in behaviors(data) if n not in predicted)
    inputs = tuple(named(name) for name in names)
    for modality in inputs:
        if modality.name in predicted:
            raise ModelError(f"{who}: {modality.name} is both in covariates and in outputs; name it once")
    for modality in outputs:
        if not modality.name.startswith("behavior_"):
            raise ModelError(f"{who}: outputs names {modality.name}; only behaviours are predicted")
    return inputs, outputs


def spec_for(
    source: Source,
    config: Config,
    *,
    inputs: Sequence[Modality],
    outputs: Sequence[Modality],
    n_units: int,
    bin_width: float,
    start: Spec | None,
) -> Spec:
    """Sizes of the network for the training data; at least those of the network it starts from."""

    def bins(name: str, least: int) -> int:
        return exact_bins(getattr(config, name), bin_width, name=f"Neuroformer: {name}", least=least)

    def entry(modality: Modality) -> Input:
        frames = modality.name.startswith("stimulus_")
        shape = modality.shape if len(modality.shape) == 3 else (*modality.shape, 1)
        return Input(
            name=modality.name,
            form="frames" if frames else "series",
            width=modality.width,
            bins=bins("frame_past" if frames else "covariate_past", 0),
            shape=shape if frames else (),
        )

    window, past = bins("window", 1), bins("past", 1)
    places = places_of(source.lengths(), window, before=False)
    most = 2 * source.longest(places, window) + MARGIN
    most_past = 2 * source.longest(places, past, -past) + MARGIN
    if start is not None:
        most, most_past = max(most, start.max_tokens), max(most_past, start.max_past_tokens)
    return Spec(
        n_units=n_units,
        window=window,
        past=past,
        max_tokens=config.max_tokens or most,
        max_past_tokens=config.max_past_tokens or most_past,
        embed=config.embed,
        heads=config.heads,
        layers=config.layers,
        dropout=config.dropout,
        temporal="sinusoid" if config.temporal == "sinusoid" else "perceptron",
        hidden=config.hidden,
        kernel=(config.kernel[0], config.kernel[1], config.kernel[2]),
        inputs=tuple(entry(m) for m in inputs),
        outputs=tuple(Output(name=m.name, kind=m.kind, width=m.width) for m in outputs),
        contrast=config.contrast,
        temperature=config.temperature,
        learn_temperature=config.learn_temperature,
        ordered=config.ordered,
        strict=config.binary,
    )


def warn_of_past(source: Source, places: Places, spec: Spec, who: str) -> None:
    """Say so where a past state has more spikes than there are places for."""
    longest = source.longest(places, spec.past, -spec.past)
    if longest > spec.max_past_tokens:
        warnings.warn(
            f"{who}: a past state has {longest} spikes, more than max_past_tokens {spec.max_past_tokens}; "
            "the oldest are left out",
            UserWarning,
            stacklevel=4,
        )


def fingerprint(parameters: Mapping[str, Any], source: Source, network: Network, seed: int) -> str:
    """Of everything that a training depends on: parameters, data, seed, and the weights it starts from."""
    told = {k: v for k, v in parameters.items() if k not in ("accelerator", "pretrained")}
    found = hashlib.sha256(json.dumps({**told, "seed": seed}, sort_keys=True, default=str).encode())
    assert source.stream is not None
    arrays = [source.stream.bin, source.stream.unit, source.stream.first, source.mask]
    arrays += [a for pair in (*source.inputs.values(), *source.outputs.values()) for a in pair]
    arrays += [w.numpy() for w in network.state_dict().values()]
    for array in arrays:
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
