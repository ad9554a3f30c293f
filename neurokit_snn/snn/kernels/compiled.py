"""How kernels of the CPU are compiled: by numba, without the GIL, and kept on disk where there is a place for it.

Numba takes a kept function for good as long as the file it stands in is the same: whoever changes a function that a kernel of
another file calls has to touch that file, or to empty ``__pycache__``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

__all__ = ["compiled"]


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator; ``options`` are those of `numba.njit`.

    Examples
    --------
    >>> @compiled(error_model="numpy")
    ... def half(x):
    ...     return x / 2
    >>> half(3.0)
    1.5
    """

    def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            return numba.njit(nogil=True, cache=True, **options)(function)
        except (
            RuntimeError
        ):  # numba found no folder to keep compiled code in (read-only installation and home)
            return numba.njit(nogil=True, **options)(function)

    return decorated
