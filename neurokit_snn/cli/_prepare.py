"""From options and a configuration file to binned data, models and a split."""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from neurokit_snn import config
from neurokit_snn.errors import ConfigError

if TYPE_CHECKING:
    import xarray as xr

    from neurokit_snn.models.base import AbstractModel

__all__ = [
    "binned",
    "load_config",
    "make_model",
    "named_models",
    "overlaid",
    "parse_settings",
    "split_options",
]

T = TypeVar("T")


def load_config(path: Path | None) -> config.Config:
    """Read the configuration file, or give the defaults where there is none."""
    return config.Config() if path is None else config.load(path)


def overlaid(base: T, **given: Any) -> T:
    """Put the options that were given over a table of the configuration."""
    return dataclasses.replace(base, **{name: value for name, value in given.items() if value is not None})  # type: ignore[type-var]


def binned(recording: xr.DataTree, settings: config.DataConfig) -> xr.Dataset:
    """Bin a recording as the ``[data]`` table says.

    Raises
    ------
    ConfigError
        When the layout is unknown or no unit has enough spikes.
    """
    from neurokit_snn import recording as rec

    shared: dict[str, Any] = {"behavior": True if settings.behavior is None else list(settings.behavior)}
    width = settings.bin_width
    cut: dict[str, Any] = {"start": settings.start, "stop": settings.stop}
    if settings.layout in ("trials", "laps") and (settings.start is not None or settings.stop is not None):
        start, stop = rec.span(recording)
        recording = rec.slice_time(
            recording,
            start if settings.start is None else settings.start,
            stop if settings.stop is None else settings.stop,
        )
    if settings.layout == "windows":
        data = rec.windows(recording, width, length=settings.length, **cut, **shared)
    elif settings.layout == "session":
        data = rec.bin(recording, width, **cut, **shared)
    elif settings.layout == "trials":
        data = rec.bin_trials(recording, width, trials=settings.trials, **shared)
    elif settings.layout == "laps":
        data = rec.bin_trials(
            recording, width, trials=rec.laps(recording, position=settings.position), **shared
        )
    else:
        raise ConfigError(f"[data]: layout is {settings.layout!r}; choose windows, session, trials or laps")
    if "counts" not in data:
        return data
    spikes = data["counts"].sum(("trial", "time")).values
    enough = spikes >= settings.min_spikes
    if not enough.any():
        raise ConfigError(
            f"[data]: no unit has min_spikes = {settings.min_spikes} in the binned data, "
            f"the most is {spikes.max(initial=0)}"
        )
    return data.isel(unit=enough)


def make_model(name: str, options: Mapping[str, Any], *, where: str) -> AbstractModel:
    """Make a model by the name of its class, in any spelling (``mean-rate``, ``MeanRate``).

    Raises
    ------
    ConfigError
        When the class or a hyperparameter is unknown.
    """
    from neurokit_snn.models.registry import MODELS, model_class

    known = {_plain(one): one for one in MODELS}
    if _plain(name) not in known:
        near = difflib.get_close_matches(_plain(name), known, n=2, cutoff=0.5)
        hint = (
            f"did you mean {' or '.join(known[one] for one in near)}?"
            if near
            else f"models are {', '.join(MODELS)}"
        )
        raise ConfigError(f"{where}: no model {name!r}; {hint}")
    found = model_class(known[_plain(name)])
    accepted = sorted(found._get_param_names())
    for key in options:
        if key not in accepted:
            near = difflib.get_close_matches(key, accepted, n=2, cutoff=0.5)
            hint = (
                f"did you mean {' or '.join(near)}?" if near else f"it takes {', '.join(accepted) or 'none'}"
            )
            raise ConfigError(f"{where}: {found.__name__} has no hyperparameter {key!r}; {hint}")
    try:
        return found(**options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {found.__name__} refuses its hyperparameters: {error}") from error


def named_models(names: Sequence[str], settings: config.Config) -> dict[str, AbstractModel]:
    """Make the models of a comparison: those of the configuration by their name there, others by their class.

    Raises
    ------
    ConfigError
        When there is nothing to compare, or a name is unknown or repeated.
    """
    chosen = list(names) or list(settings.models)
    if not chosen:
        raise ConfigError("nothing to compare; name models with --models A,B or in [models.NAME] of --config")
    if len(set(chosen)) < len(chosen):
        raise ConfigError(f"--models names {next(n for n in chosen if chosen.count(n) > 1)!r} twice")
    made = {}
    for name in chosen:
        if name in settings.models:
            model = settings.models[name]
            made[name] = make_model(model.class_name, model.options, where=f"[models.{name}]")
        else:
            made[name] = make_model(name, {}, where="--models")
    return made


def split_options(
    data: xr.Dataset, settings: config.SplitConfig, models: Mapping[str, AbstractModel]
) -> dict[str, Any]:
    """Turn the ``[split]`` table into options of `neurokit_snn.compare`.

    Raises
    ------
    ConfigError
        When the kind is unknown.
    """
    if settings.kind == "blocked":
        return {"cv": settings.folds, "gap": settings.gap}
    if settings.kind != "by_trial":
        raise ConfigError(f"[split]: kind is {settings.kind!r}; choose blocked or by_trial")
    from neurokit_snn.recording import splits

    gap = max(model.history() for model in models.values()) if settings.gap is None else settings.gap
    return {"cv": splits.by_trial(data, folds=settings.folds, gap=gap)}


def parse_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """Read ``KEY=VALUE`` settings, the value as TOML and otherwise as text.

    Raises
    ------
    ConfigError
        When a setting has no ``=``.

    Examples
    --------
    >>> parse_settings(["alpha=0.5", "kind=poisson"])
    {'alpha': 0.5, 'kind': 'poisson'}
    """
    read = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not key:
            raise ConfigError(f"--set {pair}: write KEY=VALUE")
        try:
            read[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            read[key] = value
    return read


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
