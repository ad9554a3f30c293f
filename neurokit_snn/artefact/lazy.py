"""Arrays that stay in their file until a part of them is used."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np
from xarray.backends import BackendArray
from xarray.core import indexing

from neurokit_snn.artefact.variables import Stored
from neurokit_snn.errors import ArtefactError

__all__ = ["LazyArray", "OpenFile"]


class OpenFile:
    """A netCDF file held open, so that all reads see one version even when it is replaced meanwhile.

    It travels to other processes as its path, and is opened there on first use: only if it still is the same
    file.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    ArtefactError
        When it is missing, or no HDF5 file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.digest = hashlib.sha256()
        self.small = 0
        self._lock = threading.RLock()
        self._identity = _identity(path)
        self._file: h5netcdf.File | None = self._open()

    @property
    def file(self) -> h5netcdf.File:
        """The open file."""
        with self._lock:
            if self._file is None:
                if _identity(self.path) != self._identity:
                    raise ArtefactError(f"{self.path}: changed since it was opened lazily; open it again")
                self._file = self._open()
            return self._file

    def close(self) -> None:
        """Close it; the next use opens it again."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._hdf5.close()
                self._file = None

    def _open(self) -> h5netcdf.File:
        try:
            self._hdf5 = h5py.File(self.path, "r")
            try:
                # Before h5netcdf looks at them: it would leave a half-made object behind, which complains
                # when deleted.
                dict(self._hdf5.attrs)
                return h5netcdf.File(self._hdf5, "r", decode_vlen_strings=True)
            except Exception:
                self._hdf5.close()
                raise
        except Exception as error:
            # HDF5 raises OSError, KeyError, RuntimeError and others for the same thing.
            raise ArtefactError(
                f"{self.path}: not a netCDF4 file, or a damaged one ({error}); restore it from a copy"
            ) from error

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "identity": self._identity}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.path, self._identity = state["path"], state["identity"]
        self.digest = hashlib.sha256()
        self._lock = threading.RLock()
        self._file = None


class LazyArray(BackendArray):
    """One variable of an `OpenFile`, read when indexed.

    Parameters
    ----------
    opened
        Its file.
    name
        Its path inside the file.
    shape
        Its shape.
    stored
        How its values are stored.
    """

    def __init__(self, opened: OpenFile, name: str, shape: tuple[int, ...], stored: Stored) -> None:
        self.opened, self.name, self.stored = opened, name, stored
        self.shape, self.dtype = shape, stored.original

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        """Read what an xarray indexer asks for."""
        # BASIC: HDF5 is asked for slices only; picking single rows by HDF5 is slower than reading what lies
        # between.
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._read)

    def _read(self, key: tuple[Any, ...]) -> np.ndarray:
        group, _, name = self.name.rpartition("/")
        try:
            found = self.opened.file if not group else self.opened.file[group]
            return self.stored.decode(found.variables[name][key])
        except ArtefactError:
            raise
        except Exception as error:
            # A failed checksum is an OSError in one version of HDF5 and a RuntimeError in another.
            raise ArtefactError(
                f"{self.opened.path}: {self.name}: damaged where it was read ({error}); restore it from a "
                "copy"
            ) from error


def _identity(path: Path) -> tuple[int, int, int]:
    try:
        found = os.stat(path)
    except OSError as error:
        raise ArtefactError(f"{path}: cannot be opened ({error.strerror})") from error
    return found.st_size, found.st_mtime_ns, found.st_ino
