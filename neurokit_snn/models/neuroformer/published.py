"""The configuration files of the published code (YAML) as parameters of `neurokit_snn.Neuroformer`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neurokit_snn._extras import require
from neurokit_snn.errors import ConfigError
from neurokit_snn.models.neuroformer.config import PRESETS

__all__ = ["parameters_of"]

SPECIALS = 2
"""Places of a published block that SOS and EOS take."""


def parameters_of(path: str | Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Parameters of the model, and the keys of the file that have no place in it.

    Parameters
    ----------
    path
        A model configuration of the published code (``mconf.yaml``).

    Returns
    -------
    parameters : dict
        By the name of the constructor's arguments; ``preset`` is ``"paper"``.
    ignored : tuple of str
        Keys, dotted, that are not read.

    Raises
    ------
    ConfigError
        When the file is missing, is not YAML, or a key holds what it cannot.

    Notes
    -----
    Behaviours with ``predict: true`` are outputs, the others inputs. The modality groups' number of layers, which stands above
    ``layers.behavior``, may differ in the published files; here it is one number: the largest. Windows of frames and behaviours
    end where the current window ends, here they are counted from its start. Rates of dropout by place become three:
    attention, residual, and the largest of the embeddings' rates. Frames have no name in the file: add theirs to
    ``covariates``.
    """
    reader = _Reader(Path(path))
    found: dict[str, Any] = {"preset": "paper"}
    for ours, theirs in (("embed", "n_embd"), ("heads", "n_head")):
        reader.into(found, ours, theirs, int)
    for ours, theirs in (("window", "window.curr"), ("past", "window.prev")):
        reader.into(found, ours, theirs, float)
    frames = reader.get("window.frame", float)
    if frames is not None:
        found["frame_past"] = _before(frames, found)
    for ours, theirs in (("max_tokens", "block_size.id"), ("max_past_tokens", "block_size.prev_id")):
        reader.into(found, ours, theirs, int)
        if ours in found:
            found[ours] = max(1, found[ours] - SPECIALS)
    places = {
        "state": "layers.state",
        "history": "layers.state_history",
        "stimulus": "layers.stimulus",
        "behavior": "layers.behavior",
        "joint": "layers.self_att",
    }
    layers: dict[str, Any] = {}
    for ours, theirs in places.items():
        reader.into(layers, ours, theirs, int)
    _read_modalities(reader, found, layers)
    if layers:
        found["layers"] = layers
    dropout: dict[str, Any] = {}
    reader.into(dropout, "attention", "dropout.attn", float)
    reader.into(dropout, "residual", "dropout.resid", float)
    rates = [reader.get(f"dropout.{key}", float) for key in ("embd", "pos", "temp", "id", "im", "b")]
    if known := [rate for rate in rates if rate is not None]:
        dropout["embedding"] = max(known)
    if dropout:
        found["dropout"] = dropout
    _read_contrast(reader, found)
    if (kernel := reader.get("frame_encoder.kernel_size", list)) is not None:
        found["kernel"] = tuple(int(k) for k in kernel)
    found["temporal"] = "sinusoid" if reader.get("wave_emb", bool) else "perceptron"
    if reader.get("temp_emb", bool) is False:  # here there always is an embedding of the bin
        reader.read.discard("temp_emb")
    return found, reader.ignored()


def _read_modalities(reader: _Reader, found: dict[str, Any], layers: dict[str, Any]) -> None:
    groups = reader.get("modalities", dict) or {}
    inputs: list[str] = []
    outputs: list[str] = []
    depths, windows = [], []
    for group, entry in groups.items():
        where = f"modalities.{group}"
        depths.append(reader.get(f"{where}.n_layers", int))
        windows.append(reader.get(f"{where}.window", float))
        for name in entry.get("variables", {}) if isinstance(entry, Mapping) else {}:
            is_output = reader.get(f"{where}.variables.{name}.predict", bool)
            for key in ("objective", "data", "dt"):
                reader.get(f"{where}.variables.{name}.{key}", object)
            (outputs if is_output else inputs).append(str(name))
    if known := [depth for depth in depths if depth is not None]:
        layers["behavior"] = max(known)
    found["covariate_past"] = max(
        (_before(window, found) for window in windows if window is not None), default=0.0
    )
    found["covariates"], found["outputs"] = tuple(inputs), tuple(outputs)


def _before(window: float, found: Mapping[str, Any]) -> float:
    """Seconds of a window before the current one, at whose end it ends."""
    return max(0.0, round(window - found.get("window", PRESETS["paper"].window), 9))


def _read_contrast(reader: _Reader, found: dict[str, Any]) -> None:
    wanted = reader.get("contrastive.contrastive", bool)
    width = reader.get("contrastive.clip_embd", int)
    if wanted is not None:
        found["contrast"] = (width or 512) if wanted else 0
    reader.into(found, "temperature", "contrastive.clip_temp", float)


class _Reader:
    """A YAML file whose keys are ticked off as they are read."""

    def __init__(self, path: Path) -> None:
        yaml = require("yaml", extra="torch")
        self.path = path
        try:
            found = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(
                f"{path}: cannot be read ({error.strerror}); give an existing YAML file"
            ) from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: not a YAML file: {str(error).splitlines()[0]}") from error
        if not isinstance(found, dict):
            raise ConfigError(f"{path}: holds no mapping of keys; give a model configuration of Neuroformer")
        self.values = found
        self.read: set[str] = set()

    def get(self, key: str, kind: type) -> Any:
        """Value of a dotted key as a type; None where it is absent."""
        value: Any = self.values
        for part in key.split("."):
            if not isinstance(value, Mapping) or part not in value:
                return None
            value = value[part]
        self.read.add(key)
        if value is None or isinstance(value, kind):
            return value
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if kind is bool and isinstance(value, int):
            return bool(value)
        raise ConfigError(f"{self.path}: {key} is {value!r}; it should be {kind.__name__}")

    def into(self, target: dict[str, Any], ours: str, theirs: str, kind: type) -> None:
        """Put the value of a key, where it is there."""
        value = self.get(theirs, kind)
        if value is not None:
            target[ours] = value

    def ignored(self) -> tuple[str, ...]:
        """Leaves of the file that nobody asked for."""
        return tuple(k for k in _leaves(self.values, "") if k not in self.read)


def _leaves(value: Any, prefix: str) -> list[str]:
    if isinstance(value, Mapping) and value:
        return [
            leaf
            for key, inner in value.items()
            for leaf in _leaves(inner, f"{prefix}.{key}" if prefix else str(key))
        ]
    return [prefix]
