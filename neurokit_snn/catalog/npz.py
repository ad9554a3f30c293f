"""Reading prepared `.npz` files: plain arrays only, nothing pickled."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from neurokit_snn.errors import CatalogError

__all__ = ["read_arrays"]


def read_arrays(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The named arrays of an `.npz` file.

    Raises
    ------
    CatalogError
        When the file is no such archive, or an array is missing or an object array.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [name for name in names if name not in archive.files]
            if missing:
                raise CatalogError(
                    f"{path}: array {missing[0]!r} is missing; it holds {', '.join(archive.files)}"
                )
            return {name: archive[name] for name in names}
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise CatalogError(f"{path}: cannot be read as .npz ({error}); fetch it again") from error
