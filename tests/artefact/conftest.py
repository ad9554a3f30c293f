"""Bit-for-bit comparison of trees, stricter than xarray's: types, dtypes, order and bytes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr


def _assert_value(found: object, expected: object, place: str) -> None:
    assert type(found) is type(expected), place
    if isinstance(expected, np.ndarray | np.generic):
        found, expected = np.asarray(found), np.asarray(expected)
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape), place
        if expected.dtype.kind in "OT":
            assert found.tolist() == expected.tolist(), place
        else:
            assert np.ascontiguousarray(found).tobytes() == np.ascontiguousarray(expected).tobytes(), place
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys(), place
        for key in expected:
            _assert_value(found[key], expected[key], f"{place}[{key!r}]")
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), place
        for i, (one, other) in enumerate(zip(found, expected, strict=True)):
            _assert_value(one, other, f"{place}[{i}]")
    else:
        assert found == expected or (found != found and expected != expected), place


def _assert_same(found: xr.DataTree | xr.Dataset, expected: xr.DataTree | xr.Dataset) -> None:
    assert type(found) is type(expected)
    if isinstance(expected, xr.Dataset):
        found, expected = xr.DataTree(found), xr.DataTree(expected)
    assert [node.path for node in found.subtree] == [node.path for node in expected.subtree]
    for one, other in zip(found.subtree, expected.subtree, strict=True):
        one, other = one.to_dataset(inherit=False), other.to_dataset(inherit=False)
        assert list(one.variables) == list(other.variables)
        assert set(one.coords) == set(other.coords)
        _assert_value(dict(one.attrs), dict(other.attrs), "attrs")
        for name in other.variables:
            assert one[name].dims == other[name].dims, name
            _assert_value(one[name].values, other[name].values, str(name))
            _assert_value(dict(one[name].attrs), dict(other[name].attrs), str(name))


@pytest.fixture(scope="session")
def assert_same() -> Callable[..., None]:
    return _assert_same


@pytest.fixture(scope="session")
def assert_value() -> Callable[..., None]:
    return _assert_value
