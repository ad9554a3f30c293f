"""How the values of one variable are stored in netCDF, and how they come back with the dtype they had."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Self

import h5py
import numpy as np
import xarray as xr

from neurokit_snn.errors import ArtefactError

__all__ = ["Stored", "plan"]

# Kinds that netCDF lacks, kept as integers of the same width: every bit survives.
_AS_INTEGERS = {"b": "i", "M": "i", "m": "i", "f": "u"}
_TAGGED_KINDS = "bMmfiuUTO"


@dataclass(frozen=True)
class Stored:
    """The dtype in memory and the dtype on disk of one variable.

    Attributes
    ----------
    original
        dtype in memory.
    dtype
        dtype on disk.
    escaped
        Whether strings are JSON literals, because one of them holds what HDF5 strings cannot (NUL, lone
        surrogates).
    """

    original: np.dtype[Any]
    dtype: np.dtype[Any]
    escaped: bool = False

    @property
    def text(self) -> bool:
        """Whether the values are strings."""
        return is_text(self.original)

    @property
    def tag(self) -> str | None:
        """Name of the original dtype where the file does not tell it."""
        if self.original == self.dtype:
            return None
        return self.original.char if self.original.kind in "OT" else self.original.str

    @classmethod
    def of_file(cls, dtype: Any, tag: str | None, *, escaped: bool) -> Self:
        """From what a file says: its dtype and the tag kept beside it."""
        on_disk = h5py.string_dtype() if dtype is str or np.dtype(dtype).kind == "O" else np.dtype(dtype)
        original = on_disk if tag is None else np.dtypes.StringDType() if tag == "T" else np.dtype(tag)
        if original.kind not in _TAGGED_KINDS or is_text(original) != is_text(on_disk):
            raise ValueError(f"dtype {original} stored as {on_disk}")
        return cls(original, on_disk, escaped)

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Values as the file holds them."""
        if self.text:
            write = json.dumps if self.escaped else str
            return np.array([write(item) for item in values.ravel()], dtype=object).reshape(values.shape)
        if self.original == self.dtype:
            return values
        native = values.astype(self.original.newbyteorder("="), copy=False)
        return native.view(self.dtype)

    def decode(self, values: Any) -> np.ndarray:
        """Values as they were in memory."""
        array = np.asarray(values)
        if self.text:
            read = json.loads if self.escaped else _as_text
            out = np.empty(array.shape, dtype=object)
            out[...] = np.array([read(item) for item in array.ravel()], dtype=object).reshape(array.shape)
            return out.astype(self.original) if self.original.kind in "UT" else out
        if self.original == self.dtype:
            return array
        native = np.ascontiguousarray(array).reshape(array.shape).view(self.original.newbyteorder("="))
        return native.astype(self.original, copy=False)


def plan(variable: xr.Variable, *, where: str) -> Stored:
    """Decide how to store a variable.

    Raises
    ------
    ArtefactError
        When its values are nothing that netCDF or this package can hold.
    """
    dtype = variable.dtype
    if not isinstance(dtype, np.dtype):
        raise ArtefactError(f"{where} has the pandas dtype {dtype}; convert it to strings or numbers first")
    if is_text(dtype):
        return Stored(dtype, h5py.string_dtype(), escaped=_check_text(variable, where))
    if dtype == np.float16 or dtype.kind in "bMm":
        return Stored(dtype, np.dtype(f"{_AS_INTEGERS[dtype.kind]}{dtype.itemsize}"))
    if dtype.kind in "iuf" and dtype.itemsize <= 8:
        return Stored(dtype, dtype.newbyteorder("="))
    raise ArtefactError(
        f"{where} has dtype {dtype}, which cannot be saved; use bool, integers, floats or str"
    )


def is_text(dtype: Any) -> bool:
    """Whether arrays of this dtype hold strings (or Python objects, which must then be strings)."""
    return dtype.kind in "UTO"


def _check_text(variable: xr.Variable, where: str) -> bool:
    """Whether the strings need escaping; raises on the first that is none."""
    escape = False
    for i, item in enumerate(np.asarray(variable.values).ravel().tolist()):
        if not isinstance(item, str):
            index = tuple(int(k) for k in np.unravel_index(i, variable.shape))
            raise ArtefactError(
                f"{where}: {item!r} at {index} is no string; use strings only, '' for what is missing"
            )
        escape = escape or "\x00" in item or any("\ud800" <= letter <= "\udfff" for letter in item)
    return escape


def _as_text(item: Any) -> str:
    return item.decode("utf-8") if isinstance(item, bytes) else str(item)
