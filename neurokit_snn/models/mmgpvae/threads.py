"""Threads of the libraries under XLA."""

from __future__ import annotations

import contextlib

from threadpoolctl import threadpool_limits

__all__ = ["one_blas_thread"]


def one_blas_thread() -> contextlib.ContextDecorator:
    """Decorator of a function during which BLAS has one thread.

    XLA spreads batched factorisations over its own threads, and each of them would call a BLAS that does the same: a fit on
    two cores took seven times as long.

    Examples
    --------
    >>> @one_blas_thread()
    ... def added(one: int, other: int) -> int:
    ...     return one + other
    >>> added(1, 2)
    3
    """
    made: contextlib.ContextDecorator = threadpool_limits.wrap(limits=1, user_api="blas")
    return made
