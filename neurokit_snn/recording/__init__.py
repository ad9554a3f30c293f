"""Recordings: one `xarray.DataTree` per session, and what is done to it before any model sees it.

Names load on first use, so that importing this package costs no more than xarray (numba waits for the first
bin).
"""

import sys as _sys
from types import ModuleType as _ModuleType

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)


class _Package(_ModuleType):
    """Module whose functions are not replaced by the submodules of the same name."""

    def __setattr__(self, name: str, value: object) -> None:
        # The import system binds a submodule to its parent when it is first loaded; that would hide the
        # function.
        if isinstance(value, _ModuleType) and name in __all__ and name not in ("splits", "tokens"):
            return
        super().__setattr__(name, value)


_sys.modules[__name__].__class__ = _Package
