"""Configuration of the command line: TOML onto frozen dataclasses, every key checked.

A file has the tables ``[data]``, ``[split]``, ``[compare]`` and one ``[models.NAME]`` for each model::

    [data]
    bin_width = 0.05
    layout = "windows"
    length = 10.0

    [split]
    folds = 5

    [compare]
    task = "encode"

    [models.position]
    class = "GLM"
    # every further key is a hyperparameter of that class
"""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from neurokit_snn.errors import ConfigError

__all__ = [
    "CompareConfig",
    "Config",
    "DataConfig",
    "ModelConfig",
    "SplitConfig",
    "from_mapping",
    "load",
    "read_tables",
]

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """How a recording becomes a binned Dataset."""

    bin_width: float = 0.05  # seconds
    layout: str = "windows"  # windows | session | trials | laps
    length: float = 10.0  # seconds of one window
    start: float | None = None  # session seconds; None for the start of the recording
    stop: float | None = None  # session seconds; None for its end
    trials: str = "trials"  # node of the trials: "trials" or "epochs/NAME"
    position: str = "position"  # behaviour that tells the laps
    behavior: tuple[str, ...] | None = None  # behaviours to bin; None for all
    min_spikes: int = 1  # units with fewer spikes in the binned data are left out


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """How training and test data are kept apart."""

    kind: str = "blocked"  # blocked | by_trial
    folds: int = 5
    gap: float | None = (
        None  # seconds between training and test data; None for the longest history of the models
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """What is compared, and with how many resamples."""

    task: str = "encode"  # encode | decode | cosmooth | cosmooth+behavior | forecast
    given: tuple[str, ...] | None = (
        None  # variables that the models may see; None for all that the task allows
    )
    target: str | None = None  # behaviour that `decode` predicts
    metrics: tuple[str, ...] | None = None  # None for those of the task
    held_out: float = 0.25  # fraction of units held out for co-smoothing
    seeds: tuple[int, ...] = (0, 1, 2)
    draws: int = 100  # posterior draws a score averages
    block: float = 10.0  # seconds of the blocks that the intervals resample
    n_boot: int = 2000
    n_jobs: int | None = None  # processes; None for one
    baselines: bool = True  # add the standing baselines of the task


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A model by the name of its class, and its hyperparameters."""

    class_name: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """A whole configuration file."""

    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    split: SplitConfig = dataclasses.field(default_factory=SplitConfig)
    compare: CompareConfig = dataclasses.field(default_factory=CompareConfig)
    models: Mapping[str, ModelConfig] = dataclasses.field(default_factory=dict)


def load(path: str | Path) -> Config:
    r"""Read a TOML file.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    Config

    Raises
    ------
    ConfigError
        When the file is missing, is not TOML, or holds an unknown key or a value of the wrong type.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "run.toml"
    ...     _ = path.write_text("[data]\nbin_width = 0.02\n[models.glm]\nclass = 'GLM'\n")
    ...     config = load(path)
    >>> config.data.bin_width, config.models["glm"].class_name
    (0.02, 'GLM')
    """
    path = Path(path)
    tables = read_tables(path)
    known = {field.name for field in dataclasses.fields(Config)}
    _refuse_unknown(tables, known, where=str(path))
    return Config(
        data=from_mapping(DataConfig, _table(tables, "data", path), where=f"{path} [data]"),
        split=from_mapping(SplitConfig, _table(tables, "split", path), where=f"{path} [split]"),
        compare=from_mapping(CompareConfig, _table(tables, "compare", path), where=f"{path} [compare]"),
        models={
            name: _model(table, f"{path} [models.{name}]")
            for name, table in _table(tables, "models", path).items()
        },
    )


def read_tables(path: str | Path) -> dict[str, Any]:
    """Everything in a TOML file, unchecked.

    Raises
    ------
    ConfigError
        When the file is missing or is not TOML.
    """
    path = Path(path)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give an existing TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a TOML file: {error}") from error


def from_mapping(cls: type[T], values: Mapping[str, Any], *, where: str) -> T:
    """Make a dataclass of plain values, refusing unknown keys and wrong types.

    Parameters
    ----------
    cls
        A dataclass whose fields are numbers, strings, booleans, or tuples of these, each possibly None.
    values
        Values by the name of the field.
    where
        What to call the place in an error.

    Raises
    ------
    ConfigError
        Naming the key, and the keys spelt most like an unknown one.

    Examples
    --------
    >>> from_mapping(SplitConfig, {"folds": 3}, where="[split]").folds
    3
    >>> from_mapping(SplitConfig, {"fold": 3}, where="[split]")
    Traceback (most recent call last):
    ...
    neurokit_snn.errors.ConfigError: [split]: unknown key 'fold'; did you mean 'folds'?
    """
    hints = typing.get_type_hints(cls)
    _refuse_unknown(values, set(hints), where=where)
    return cls(**{key: _checked(value, hints[key], where=f"{where}: {key}") for key, value in values.items()})


def _model(table: Any, where: str) -> ModelConfig:
    if not isinstance(table, dict) or not isinstance(table.get("class"), str):
        raise ConfigError(f'{where}: needs class = "NAME", the name of a model')
    return ModelConfig(class_name=table["class"], options={k: v for k, v in table.items() if k != "class"})


def _table(tables: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    table = tables.get(name, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: {name} must be a table, written [{name}]; it is {table!r}")
    return table


def _refuse_unknown(values: Mapping[str, Any], known: set[str], *, where: str) -> None:
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=2, cutoff=0.5)
            hint = (
                f"did you mean {' or '.join(map(repr, near))}?"
                if near
                else f"known are {', '.join(sorted(known))}"
            )
            raise ConfigError(f"{where}: unknown key {key!r}; {hint}")


def _checked(value: Any, hint: Any, *, where: str) -> Any:
    """Return ``value`` as the type a field declares, or raise."""
    choices = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    for choice in choices:
        if choice is types.NoneType:
            continue
        if typing.get_origin(choice) is tuple and isinstance(value, list | tuple):
            inner = typing.get_args(choice)[0]
            return tuple(_checked(one, inner, where=f"{where}[{i}]") for i, one in enumerate(value))
        if choice is float and isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        if isinstance(choice, type) and type(value) is choice:
            return value
    wanted = " or ".join(_name(choice) for choice in choices if choice is not types.NoneType)
    raise ConfigError(f"{where} must be {wanted}, it is {value!r}")


def _name(choice: Any) -> str:
    if typing.get_origin(choice) is tuple:
        return f"a list of {_name(typing.get_args(choice)[0])}"
    return {float: "a number", int: "a whole number", str: "a text", bool: "true or false"}[choice]
