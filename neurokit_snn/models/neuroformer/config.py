"""Everything a Neuroformer can be told, its presets, and the files it is read from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neurokit_snn.config import from_mapping, read_tables
from neurokit_snn.errors import ModelError
from neurokit_snn.models.neuroformer.spec import Dropout, Layers

__all__ = ["PRESETS", "Config", "read_toml", "resolved"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Hyperparameters of `neurokit_snn.Neuroformer`, all of them known; defaults are the preset ``small``."""

    window: float = 0.1  # seconds whose spikes are one sequence
    past: float = 0.2  # seconds before the window: the past state
    covariates: tuple[str, ...] | None = (
        None  # inputs, in order; None for all behaviours that are not predicted
    )
    covariate_past: float = 0.1  # seconds before the window in which series are seen
    frame_past: float = 0.15  # the same of frames
    outputs: tuple[str, ...] = ()  # behaviours that are predicted, and never inputs
    contrast: int = 0  # width of the space in which modalities are contrasted; 0 for no contrast
    temperature: float = 0.5  # of the contrast
    learn_temperature: bool = False  # start from it, and learn it
    binary: bool = False  # a unit spikes once in a bin at most
    ordered: bool = True  # no probability for sequences that are no raster
    embed: int = 64  # width of the network
    heads: int = 4  # attention heads
    layers: Layers = Layers(state=1, history=1, stimulus=1, behavior=1, joint=1)  # noqa: RUF009 (frozen)
    dropout: Dropout = Dropout(attention=0.0, residual=0.1, embedding=0.1)  # noqa: RUF009 (frozen)
    temporal: str = "sinusoid"  # embedding of bins: "sinusoid" or "perceptron"
    hidden: int = 64  # hidden width of the perceptron that embeds series
    kernel: tuple[int, ...] = (3, 5, 5)  # (time, y, x) of the convolution over frames
    max_tokens: int | None = (
        None  # spikes that fit into a window; None for twice the most in the training data
    )
    max_past_tokens: int | None = (
        None  # the same of the past state, whose oldest spikes are dropped beyond it
    )
    steps: int = 1500  # of the optimiser
    epochs: float | None = None  # passes over windows side by side, instead of steps
    batch_size: int = 64  # windows a step
    learning_rate: float = 4e-3
    weight_decay: float = 0.1  # on weights of linear layers and convolutions
    warmup_tokens: float | None = None  # None for a twentieth of the tokens of the fit
    validation: float = (
        0.1  # last part of the training data, kept to choose the step and to measure residuals
    )


PRESETS: dict[str, Config] = {
    "small": Config(),
    "paper": Config(
        window=0.05,
        past=0.15,
        covariate_past=0.0,
        contrast=512,
        ordered=False,
        embed=256,
        heads=8,
        layers=Layers(state=6, history=6, stimulus=6, behavior=4, joint=6),
        dropout=Dropout(attention=0.2, residual=0.2, embedding=0.2),
        temporal="perceptron",
        hidden=2,
        max_tokens=98,
        max_past_tokens=698,
        epochs=250.0,
        batch_size=160,
        learning_rate=1e-4,
        weight_decay=1.0,
        warmup_tokens=8e7,
        validation=0.0,
    ),
}
"""``small`` trains on two cores in minutes; ``paper`` has the sizes and defaults of Antoniades et al. (2024) and their code."""


def resolved(preset: str, given: Mapping[str, Any]) -> Config:
    """The preset with what was given in its place, checked.

    Parameters
    ----------
    preset
        Name of a preset.
    given
        Values by the name of the field; None stands for the preset's.

    Raises
    ------
    ModelError
        Naming the parameter and its value.

    Examples
    --------
    >>> resolved("small", {"layers": 2, "embed": 32, "steps": None}).layers.joint
    2
    """
    if preset not in PRESETS:
        raise ModelError(f"Neuroformer: preset is {preset!r}; choose one of {', '.join(PRESETS)}")
    start = PRESETS[preset]
    changes = {name: value for name, value in given.items() if value is not None}
    for name in ("covariates", "outputs", "kernel"):
        if isinstance(changes.get(name), str):
            raise ModelError(f"Neuroformer: {name} is the text {changes[name]!r}; give a tuple of names")
        if name in changes:
            changes[name] = tuple(changes[name])
    for name in ("layers", "dropout"):
        if name in changes:
            changes[name] = _by_place(name, getattr(start, name), changes[name])
    found = dataclasses.replace(start, **changes)
    if "steps" in changes and "epochs" not in changes:
        found = dataclasses.replace(found, epochs=None)
    _check(found)
    return found


def _by_place(name: str, default: Any, value: Any) -> Any:
    places = [field.name for field in dataclasses.fields(default)]
    if not isinstance(value, Mapping):
        return type(default)(**dict.fromkeys(places, value))
    for place in value:
        if place not in places:
            raise ModelError(f"Neuroformer: {name} names {place!r}; its places are {', '.join(places)}")
    return dataclasses.replace(default, **value)


def _check(found: Config) -> None:
    rules: dict[str, tuple[bool, str]] = {
        "window": (found.window > 0, "seconds above 0"),
        "past": (found.past > 0, "seconds above 0"),
        "covariate_past": (found.covariate_past >= 0, "seconds, 0 or more"),
        "frame_past": (found.frame_past >= 0, "seconds, 0 or more"),
        "contrast": (found.contrast >= 0, "a width, or 0 for no contrast"),
        "temperature": (found.temperature > 0, "a number above 0"),
        "temporal": (found.temporal in ("sinusoid", "perceptron"), "'sinusoid' or 'perceptron'"),
        "heads": (found.heads > 0 and found.embed % max(found.heads, 1) == 0, "a divisor of embed"),
        "embed": (found.embed > 0 and found.embed % 2 == 0, "an even number above 0"),
        "hidden": (found.hidden > 0, "at least 1"),
        "kernel": (len(found.kernel) == 3 and min(found.kernel) > 0, "three extents (time, y, x)"),
        "steps": (found.steps >= 1, "at least 1"),
        "epochs": (found.epochs is None or found.epochs > 0, "a number above 0"),
        "batch_size": (found.batch_size >= 2, "at least 2"),
        "validation": (0 <= found.validation < 0.5, "a share from 0 up to below 0.5"),
        "max_tokens": (found.max_tokens is None or found.max_tokens >= 1, "at least 1"),
        "max_past_tokens": (found.max_past_tokens is None or found.max_past_tokens >= 1, "at least 1"),
    }
    for name, (holds, wanted) in rules.items():
        if not holds:
            raise ModelError(f"Neuroformer: {name} is {getattr(found, name)!r}; give {wanted}")
    for name, value in dataclasses.asdict(found.layers).items():
        if not (isinstance(value, int) and value >= 0):
            raise ModelError(f"Neuroformer: layers of {name} is {value!r}; give 0 blocks or more")
    for name, value in dataclasses.asdict(found.dropout).items():
        if not 0 <= value < 1:
            raise ModelError(f"Neuroformer: dropout of {name} is {value!r}; give a probability below 1")
    if found.binary and not found.ordered:
        raise ModelError("Neuroformer: binary=True needs ordered=True, which is what forbids a second spike")


def read_toml(path: str | Path) -> dict[str, Any]:
    """Parameters of `neurokit_snn.Neuroformer` from a TOML file: ``preset`` and any field of `Config`.

    Raises
    ------
    ConfigError
        When the file is missing, is not TOML, or holds an unknown key or a value of the wrong type.
    """
    found = read_tables(path)
    preset = found.pop("preset", "small")
    by_place: dict[str, Any] = {name: found.pop(name) for name in ("layers", "dropout") if name in found}
    plain = from_mapping(Config, found, where=str(path))
    values = {name: getattr(plain, name) for name in found}
    return {"preset": preset, **values, **by_place}
