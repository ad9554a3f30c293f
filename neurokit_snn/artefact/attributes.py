"""Attributes of xarray objects to netCDF attributes and back, types kept.

netCDF holds text, numbers and one-dimensional arrays of numbers; it makes a NumPy scalar of an ``int`` and
has no bool, None, tuple, dict, list of one, empty array or 2-D array. What netCDF would change is therefore
kept exactly, as JSON, in one attribute of ours (`KEEPER`), and written natively as well where other programs
can make sense of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurokit_snn.artefact import plain
from neurokit_snn.errors import ArtefactError

__all__ = ["KEEPER", "decode", "encode"]

KEEPER = "neurokit_snn"
"""Name of the attribute with what netCDF cannot say, JSON."""

# Names that HDF5, netCDF or the CF decoders of other programs act on: as plain attributes they would change
# the data.
_RESERVED = {
    KEEPER, "CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "_FillValue", "_Encoding", "_NCProperties",
    "_Netcdf4Coordinates", "_Netcdf4Dimid", "_Unsigned", "_nc3_strict", "add_offset", "calendar",
    "coordinates", "dtype", "missing_value", "scale_factor",
}  # fmt: skip


def encode(attrs: Mapping[Any, Any], *, where: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split attributes into what netCDF can hold and what has to be kept exactly beside it.

    Parameters
    ----------
    attrs
        Attributes of a variable, Dataset or node.
    where
        Node or variable, for messages.

    Returns
    -------
    native
        Attributes to write as such.
    exact
        Attributes for the `KEEPER`, which win on the way back.

    Raises
    ------
    ArtefactError
        When a name is no string.

    Examples
    --------
    >>> encode({"units": "s", "version": 1, "flag": True}, where="/spikes")
    ({'units': 's', 'version': np.int64(1)}, {'version': 1, 'flag': True})
    """
    native: dict[str, Any] = {}
    exact: dict[str, Any] = {}
    for name, value in attrs.items():
        if not isinstance(name, str):
            raise ArtefactError(f"{where}: attribute name {name!r} is no string; rename it")
        seen = None if name in _RESERVED or not _is_text(name) or "/" in name or not name else _native(value)
        if seen is not None:
            native[name] = seen
        if seen is None or not _survives(value):
            exact[name] = value
    return native, exact


def decode(found: Mapping[str, Any], exact: Mapping[str, Any]) -> dict[str, Any]:
    """Inverse of `encode`: the attributes found in the file, with the exact ones over them.

    Examples
    --------
    >>> decode({"units": "s", "version": np.int64(1)}, {"version": 1, "flag": True})
    {'units': 's', 'version': 1, 'flag': True}
    """
    return {name: value for name, value in found.items() if name not in _RESERVED} | dict(exact)


def keep(**exact: Any) -> dict[str, str]:
    """Make the `KEEPER` attribute of whatever of ``exact`` is not empty; none when all is."""
    filled = {key: value for key, value in exact.items() if value not in (None, {}, [])}
    return {KEEPER: plain.dumps(filled)} if filled else {}


def kept(found: Mapping[str, Any]) -> dict[str, Any]:
    """Inverse of `keep`."""
    return plain.loads(found[KEEPER]) if KEEPER in found else {}


def _is_text(value: str) -> bool:
    # HDF5 ends strings at the first NUL and holds UTF-8, which has no lone surrogates.
    return "\x00" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value)


def _native(value: Any) -> Any:
    """Convert a value to what netCDF can show of it, or None."""
    if isinstance(value, str):
        return value if _is_text(value) else None
    if isinstance(value, bool | np.bool_):
        return None
    if isinstance(value, int):
        return np.int64(value) if -(2**63) <= value < 2**63 else None
    if isinstance(value, float | np.integer | np.floating):
        return np.float64(value) if type(value) is float else _of_netcdf(np.asarray(value))
    if isinstance(value, list | tuple) and value and all(type(item) in (int, float) for item in value):
        try:
            return _of_netcdf(np.asarray(value))
        except OverflowError:
            return None
    if isinstance(value, np.ndarray) and value.ndim == 1 and value.size:
        return _of_netcdf(value)
    return None


def _of_netcdf(array: np.ndarray) -> Any:
    fits = array.dtype.kind in "iuf" and array.dtype.itemsize <= 8 and array.dtype != np.float16
    return array[()] if fits else None


def _survives(value: Any) -> bool:
    """Whether the native attribute reads back as the same type and bits."""
    if type(value) is str:
        return True
    if isinstance(value, np.ndarray):
        return value.size > 1 and value.dtype.isnative
    return isinstance(value, np.generic) and not isinstance(value, str)
