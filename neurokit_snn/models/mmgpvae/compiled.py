"""Compilation, kept clear of a deadlock of XLA on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import jax

__all__ = ["compiled"]

Function = TypeVar("Function", bound=Callable[..., Any])

CPU_OPTIONS = {"xla_cpu_enable_concurrency_optimized_scheduler": False}
"""With jaxlib 0.10 two batched LAPACK calls that run side by side wait for each other's threads for ever: one at a time."""


def compiled(function: Function) -> Function:
    """`jax.jit` for programs that factor many matrices."""
    options = CPU_OPTIONS if jax.default_backend() == "cpu" else None
    return jax.jit(function, compiler_options=options)  # type: ignore[return-value]
