"""Whether two labelled arrays hold the same trials, times and columns, so that they may be compared value by value."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np
import xarray as xr

from neurokit_snn.errors import EvaluationError

__all__ = ["check_lined_up"]

SLACK = 1e-6
"""Seconds by which times may differ: they are sums of bin widths."""


def check_lined_up(
    one: xr.DataArray, other: xr.DataArray, dims: Iterable[Hashable], *, names: tuple[str, str]
) -> None:
    """Refuse arrays that differ in the length or the labels of a dim, which would be paired wrongly.

    Parameters
    ----------
    one, other
        Arrays that both have ``dims``. Labels are compared where both have them.
    dims
        The dims to look at.
    names
        What the arrays are called in the error.

    Raises
    ------
    EvaluationError
        With the dim, the first place where they differ and what stands there.

    Examples
    --------
    >>> import xarray as xr
    >>> rate = xr.DataArray([1.0, 2.0], dims="unit", coords={"unit": ["a", "b"]})
    >>> check_lined_up(rate, rate[::-1], ["unit"], names=("draws", "truth"))
    Traceback (most recent call last):
    ...
    neurokit_snn.errors.EvaluationError: unit 0 of draws is 'a', of truth 'b'; select the same, in the same order
    """
    first, second = names
    for dim in dims:
        if one.sizes[dim] != other.sizes[dim]:
            raise EvaluationError(
                f"{first} has {one.sizes[dim]} along {dim}, {second} {other.sizes[dim]}; select the same"
            )
        if dim not in one.coords or dim not in other.coords:
            continue
        ours, theirs = one[dim].values, other[dim].values
        numbers = ours.dtype.kind == "f" and theirs.dtype.kind in "fiu"
        differ = ~np.isclose(ours, theirs, rtol=0, atol=SLACK) if numbers else ours != theirs
        if np.any(differ):
            at = int(np.argmax(differ))
            raise EvaluationError(
                f"{dim} {at} of {first} is {ours.tolist()[at]!r}, of {second} {theirs.tolist()[at]!r}; "
                "select the same, in the same order"
            )
