"""Long one-dimensional arrays read piece by piece, in memory or not."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

__all__ = ["blocks"]

BLOCK = 2**20


def blocks(values: xr.Variable | xr.DataArray, *, size: int = BLOCK) -> Iterator[tuple[int, np.ndarray]]:
    """Yield ``(offset, array)`` pieces of a one-dimensional variable in order.

    A dask array is read chunk by chunk, a lazily opened one in pieces of ``size``, one in memory as views.

    Parameters
    ----------
    values
        The variable.
    size
        Most samples of a piece where there are no chunks.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> [(offset, piece.tolist()) for offset, piece in blocks(xr.Variable("spike", np.arange(5)), size=2)]
    [(0, [0, 1]), (2, [2, 3]), (4, [4])]
    """
    variable = values.variable if isinstance(values, xr.DataArray) else values
    chunks = variable.chunks[0] if variable.chunks else None
    n = variable.shape[0]
    stops = np.cumsum(chunks).tolist() if chunks else [*range(size, n, size), n]
    start = 0
    for stop in stops:
        if stop > start:
            # A slice of a lazily opened variable reads that slice only and leaves no copy of the whole
            # behind.
            yield start, np.asarray(variable[start:stop].values)
        start = stop
