"""The typed errors of the package: one line that names the place, the value and the remedy."""

from __future__ import annotations

__all__ = [
    "ArtefactError",
    "CatalogError",
    "ConfigError",
    "EvaluationError",
    "FormatError",
    "MissingExtraError",
    "ModelError",
    "NeurokitError",
    "RecordingError",
    "SplitError",
    "UnitsWarning",
]


class NeurokitError(ValueError):
    """Base of every error that the package raises on purpose."""


class RecordingError(NeurokitError):
    """A recording, or a request made of one, breaks a rule of the schema."""


class ArtefactError(NeurokitError):
    """A saved artefact is missing, damaged, of another kind, or in the way."""


class CatalogError(NeurokitError):
    """A named dataset is unknown, not to be had, or not what its checksum says."""


class FormatError(NeurokitError):
    """A file of a foreign format cannot be read or written as asked."""


class SplitError(NeurokitError):
    """A split would leak or cannot be made."""


class ModelError(NeurokitError):
    """A model cannot be fitted to, or asked about, the data given."""


class EvaluationError(NeurokitError):
    """Scores cannot be computed or must not be compared."""


class ConfigError(NeurokitError):
    """A configuration file or option is wrong."""


class MissingExtraError(NeurokitError, ImportError):
    """An optional dependency is not installed."""


class UnitsWarning(UserWarning):
    """Numbers look as if they were in another unit (milliseconds for seconds)."""
