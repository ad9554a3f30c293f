"""Import of optional dependencies, with one line that says what to install."""

from __future__ import annotations

import importlib
from types import ModuleType

from neurokit_snn.errors import MissingExtraError

__all__ = ["require"]


def require(module: str, *, extra: str) -> ModuleType:
    """Import ``module`` or raise `MissingExtraError` naming the ``extra`` that brings it.

    Parameters
    ----------
    module
        Dotted name of the module to import.
    extra
        Name of the extra of this package that installs it.

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    MissingExtraError
        When the module is not installed. A module that is installed but fails to import raises its own error.

    Examples
    --------
    >>> require("math", extra="core").pi > 3
    True
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        top = module.split(".", maxsplit=1)[0]
        if error.name is not None and error.name.split(".", maxsplit=1)[0] != top:
            raise
        raise MissingExtraError(
            f'{top} is not installed; install it with: pip install "neurokit_snn[{extra}]"'
        ) from error
