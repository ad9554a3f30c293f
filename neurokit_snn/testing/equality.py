"""Equality of recordings, bit for bit, that names the first difference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr

from neurokit_snn.recording.schema import datasets

__all__ = ["assert_recordings_equal"]


def assert_recordings_equal(actual: xr.DataTree, expected: xr.DataTree) -> None:
    """Raise AssertionError with the first difference between two recordings.

    Nodes, variables, dimensions, types, attributes and values must be equal, floats to the bit (so that -0.0
    is not 0.0, while any NaN is NaN). How str are stored (fixed width or objects), the order of nodes and
    variables, and whether a number in an attribute is Python's or NumPy's do not matter.

    Parameters
    ----------
    actual, expected
        Recordings, eager or lazy.

    Raises
    ------
    AssertionError
        Naming the node, the variable, the first index and both values.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> one, two = (recording.build(spikes={"a": [0.1, t]}) for t in (0.2, 0.3))
    >>> assert_recordings_equal(one, two)
    Traceback (most recent call last):
    ...
    AssertionError: /spikes: time[1] is 0.2, expected 0.3
    """
    for difference in _differences(datasets(actual), datasets(expected)):
        raise AssertionError(difference)


def _differences(actual: Mapping[str, xr.Dataset], expected: Mapping[str, xr.Dataset]) -> Iterator[str]:
    for path in sorted(set(actual) ^ set(expected)):
        yield f"{path}: {'not expected' if path in actual else 'missing'}"
    for path, node in expected.items():
        other = actual[path]
        yield from _attrs(path, other.attrs, node.attrs)
        for name in sorted(map(str, set(other.variables) ^ set(node.variables))):
            yield f"{path}: variable {name!r} is {'not expected' if name in other.variables else 'missing'}"
        for name in sorted(map(str, set(other.coords) ^ set(node.coords))):
            yield f"{path}: {name!r} is a coordinate in one of them only"
        for key, variable in node.variables.items():
            yield from _variable(f"{path}: {key}", other.variables[key], variable)


def _attrs(place: str, actual: Mapping[Any, Any], expected: Mapping[Any, Any]) -> Iterator[str]:
    for key in sorted(map(str, {*actual, *expected})):
        if key not in actual or key not in expected:
            yield f"{place}: attribute {key!r} is {'not expected' if key in actual else 'missing'}"
            continue
        ours, theirs = np.asarray(actual[key]), np.asarray(expected[key])
        if _kind(ours) != _kind(theirs) or ours.shape != theirs.shape or _first(ours, theirs) is not None:
            yield f"{place}: attribute {key!r} is {actual[key]!r}, expected {expected[key]!r}"


def _variable(place: str, actual: xr.Variable, expected: xr.Variable) -> Iterator[str]:
    if actual.dims != expected.dims or actual.shape != expected.shape:
        yield f"{place} is {dict(actual.sizes)}, expected {dict(expected.sizes)}"
        return
    ours, theirs = np.asarray(actual.values), np.asarray(expected.values)
    if _kind(ours) != _kind(theirs) or (_kind(ours) != "str" and ours.dtype != theirs.dtype):
        yield f"{place} has type {actual.dtype}, expected {expected.dtype}"
        return
    index = _first(ours, theirs)
    if index is not None:
        at = ", ".join(map(str, index))
        found, wanted = (
            str(v[index]) if _kind(v) == "str" else repr(v[index].tolist()) for v in (ours, theirs)
        )
        yield f"{place}[{at}] is {found}, expected {wanted}"
    yield from _attrs(place, actual.attrs, expected.attrs)


def _kind(values: np.ndarray) -> str:
    """Class of a type within which representations may differ."""
    kind = values.dtype.kind
    return "str" if kind in "UOT" else kind


def _first(ours: np.ndarray, theirs: np.ndarray) -> tuple[int, ...] | None:
    """Index of the first element that differs, floats by their bits."""
    if ours.dtype.kind == "f" and ours.dtype == theirs.dtype:
        both_nan = np.isnan(ours) & np.isnan(theirs)
        differ = ~both_nan & ((ours != theirs) | (np.signbit(ours) != np.signbit(theirs)))
    elif _kind(ours) == "str":
        differ = np.asarray(ours.astype(object) != theirs.astype(object), dtype=bool)
    else:
        differ = np.asarray(ours != theirs, dtype=bool)
    found = np.argwhere(differ)
    return tuple(int(i) for i in found[0]) if len(found) else None
