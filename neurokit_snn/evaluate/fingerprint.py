"""Fingerprints of data, models and settings: what a stored cell of a comparison answers to."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from sklearn.base import BaseEstimator

__all__ = ["fingerprint", "of_dataset", "plain"]

SLAB_VALUES = 4_000_000
"""Most values of a lazy array that are held at once."""


def fingerprint(value: Any) -> str:
    """Hash anything that `plain` can word, 40 hexadecimal digits.

    Examples
    --------
    >>> fingerprint({"folds": 5}) == fingerprint({"folds": 5.0})
    False
    """
    text = json.dumps(plain(value), sort_keys=True, allow_nan=True)
    return hashlib.blake2b(text.encode(), digest_size=20).hexdigest()


def plain(value: Any) -> Any:
    """Word a value as JSON that is equal for equal values: arrays by hash, estimators by class and parameters.

    Examples
    --------
    >>> plain({"a": (1, 2.5), "b": None})
    {'a': [1, 2.5], 'b': None}
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return {"array": _of_array(value)}
    if isinstance(value, xr.Dataset):
        return {"dataset": of_dataset(value)}
    if isinstance(value, xr.DataArray):
        return {"dataset": of_dataset(value.to_dataset(name="value"))}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, set | frozenset):
        return sorted(json.dumps(plain(v)) for v in value)
    if isinstance(value, BaseEstimator):
        return {
            "class": _named(type(value)),
            "source": _source(type(value)),
            "parameters": plain(value.get_params(deep=False)),
        }
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"class": _named(type(value)), "fields": fields}
    if inspect.isfunction(value):
        return {"function": _named(value), "code": _of_code(value)}
    return {"repr": f"{type(value).__module__}.{type(value).__qualname__}: {value!r}"}


def of_dataset(data: xr.Dataset) -> str:
    """Hash the variables, coordinates and attributes of a dataset; the same for lazy and loaded data.

    Lazy variables are read slab by slab along their second dim, time in binned data.

    Examples
    --------
    >>> import xarray as xr
    >>> a = xr.Dataset({"x": ("time", [1.0, 2.0])})
    >>> of_dataset(a) == of_dataset(a.copy(deep=True)), of_dataset(a) == of_dataset(a + 1)
    (True, False)
    """
    digest = hashlib.blake2b(digest_size=20)
    attrs = {str(k): plain(v) for k, v in data.attrs.items()}
    digest.update(json.dumps(attrs, sort_keys=True).encode())
    for name in sorted(map(str, data.variables)):
        variable = data.variables[name]
        head = [name, list(map(str, variable.dims)), str(variable.dtype), list(variable.shape)]
        own = {str(k): plain(v) for k, v in variable.attrs.items()}
        digest.update(json.dumps([head, own, name in data.coords], sort_keys=True).encode())
        for slab in _slabs(variable):
            digest.update(_bytes(slab))
    return digest.hexdigest()


def _named(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"


def _of_code(function: Any) -> str:
    """Hash what a function does, as two lambdas have one name; values it closes over included."""
    code = function.__code__
    closed = [repr(cell.cell_contents) for cell in function.__closure__ or ()]
    parts = [
        code.co_code.hex(),
        repr([c for c in code.co_consts if not inspect.iscode(c)]),
        repr(code.co_names),
        *closed,
    ]
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=20).hexdigest()


def _source(kind: type) -> str:
    """Hash the module of a class, so that an edited model is not taken for the one that was fitted; "" where there is none."""
    try:
        path = inspect.getsourcefile(kind)
        text = Path(path).read_bytes() if path else b""
    except (OSError, TypeError):
        text = b""
    return hashlib.blake2b(text, digest_size=20).hexdigest() if text else ""


def _slabs(variable: xr.Variable) -> Iterator[np.ndarray]:
    """Yield the values in pieces that do not depend on how a lazy variable is chunked."""
    axis = min(1, variable.ndim - 1)
    if variable.ndim == 0 or variable.size <= SLAB_VALUES:
        yield np.asarray(variable.values)
        return
    step = max(1, SLAB_VALUES * variable.shape[axis] // variable.size)
    for first in range(0, variable.shape[axis], step):
        yield np.asarray(variable.isel({variable.dims[axis]: slice(first, first + step)}).values)


def _of_array(array: np.ndarray) -> str:
    digest = hashlib.blake2b(f"{array.dtype} {array.shape}".encode(), digest_size=20)
    digest.update(_bytes(array))
    return digest.hexdigest()


def _bytes(array: np.ndarray) -> bytes:
    if array.dtype.kind in "OUS":
        return json.dumps([str(v) for v in array.ravel()]).encode()
    return np.ascontiguousarray(array).tobytes()
