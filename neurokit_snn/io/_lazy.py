"""One numeric HDF5 dataset as a dask array that keeps no file open and travels to other processes."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from neurokit_snn._extras import require

__all__ = ["lazy_hdf5"]


class _Dataset:
    """What dask needs of an array: shape, dtype and slices; the file is opened for each slice."""

    def __init__(self, path: str, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.path, self.name, self.shape, self.dtype = path, name, shape, dtype
        self.ndim = len(shape)

    def __getitem__(self, key: Any) -> np.ndarray:
        import h5py

        with h5py.File(self.path, "r") as file:
            return np.asarray(file[self.name][key])


def lazy_hdf5(dataset: Any) -> Any:
    """Return an h5py dataset as a dask array.

    Parameters
    ----------
    dataset
        An ``h5py.Dataset`` of numbers. Its file may be closed afterwards.

    Raises
    ------
    MissingExtraError
        When dask is not installed.

    Examples
    --------
    >>> import h5py, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with h5py.File(f"{folder}/a.h5", "w") as file:
    ...         file["x"] = [1, 2, 3]
    ...         x = lazy_hdf5(file["x"])
    ...     int(x.sum().compute())
    6
    """
    array = require("dask.array", extra="dask")
    path = os.path.abspath(dataset.file.filename)
    source = _Dataset(path, dataset.name, dataset.shape, dataset.dtype)
    # HDF5 is not safe for threads of one process: the lock lets them read one after another.
    return array.from_array(
        source, chunks="auto", lock=True, asarray=True, name=f"{path}:{dataset.name}:{id(source)}"
    )
