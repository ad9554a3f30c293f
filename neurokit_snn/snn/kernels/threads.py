"""Threads for the kernels of the CPU, which release the GIL."""

from __future__ import annotations

import concurrent.futures
import functools
import itertools
import os
from collections.abc import Callable, Sequence
from typing import TypeVar

__all__ = ["over_stretches"]

Found = TypeVar("Found")


@functools.lru_cache(maxsize=1)
def _pool() -> concurrent.futures.ThreadPoolExecutor:
    # Its threads start when they are needed: with more than there are cores nothing would be faster.
    return concurrent.futures.ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="neurokit-kernels")


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_pool.cache_clear)  # the child of a fork has none of the threads


def over_stretches(call: Callable[[int, int], Found], edges: Sequence[int]) -> list[Found]:
    """Call for ``[edges[0], edges[1])``, ``[edges[1], edges[2])`` and so on, each on a thread, the first on the caller's.

    Examples
    --------
    >>> over_stretches(lambda low, high: high - low, [0, 3, 5])
    [3, 2]
    """
    first, *others = itertools.pairwise(edges)
    waiting = [_pool().submit(call, *ends) for ends in others]
    return [call(*first), *(other.result() for other in waiting)]
