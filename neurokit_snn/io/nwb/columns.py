"""Columns of NWB tables as arrays, and ragged columns as values and row sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurokit_snn._extras import require
from neurokit_snn.errors import FormatError

__all__ = ["interval_table", "ragged", "table_columns"]


def table_columns(table: Any, dim: str, *, but: tuple[str, ...] = ()) -> tuple[dict[str, Any], list[str]]:
    """Return the flat columns of a table and the names of those that are not flat.

    Parameters
    ----------
    table
        A ``DynamicTable``.
    dim
        Dim of the rows, which a column may not have as its name.
    but
        Columns to leave to the caller.

    Returns
    -------
    columns
        ``{name: array (row,)}`` of bool, numbers or str.
    left_out
        Names of ragged columns, references, and columns of more than one dimension.
    """
    columns: dict[str, Any] = {}
    left_out: list[str] = []
    for name in table.colnames:
        if name in but:
            continue
        values = _flat(table[name])
        if values is None:
            left_out.append(name)
        else:
            columns[f"{name}_" if name == dim else name] = values
    return columns, left_out


def interval_table(table: Any, dim: str) -> tuple[xr.Dataset, list[str]]:
    """Return a ``TimeIntervals`` table as rows, and the names of what was left out."""
    times = {"start_time": "start", "stop_time": "stop"}
    columns, left_out = table_columns(table, dim, but=(*times, "timeseries"))
    if "tags" in left_out:
        columns["tags"] = _joined(table["tags"])
        left_out.remove("tags")
    columns = {
        (f"{name}_" if name in ("start", "stop") else name): values for name, values in columns.items()
    }
    edges = {ours: np.asarray(table[theirs].data[:], dtype=np.float64) for theirs, ours in times.items()}
    rows = {dim: np.asarray(table.id[:])}
    return xr.Dataset(
        {name: (dim, values) for name, values in (edges | columns).items()}, coords=rows
    ), left_out


def ragged(table: Any, name: str, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of a ragged column and the size of each row's run.

    Raises
    ------
    FormatError
        When the index does not fit the values.
    """
    column = table[name]
    common = require("hdmf.common", extra="nwb")
    if not isinstance(column, common.VectorIndex):
        raise FormatError(f"{what}: column {name} has no index; it must be ragged")
    values = np.asarray(column.target.data[:])
    index = np.asarray(column.data[:]).astype(np.int64)
    sizes = np.diff(index, prepend=0)
    wrong = np.flatnonzero(sizes < 0)
    if wrong.size or (index[-1] if index.size else 0) != len(values):
        row = int(wrong[0]) if wrong.size else len(index) - 1
        at = int(index[row]) if index.size else 0
        raise FormatError(
            f"{what}: {name}_index[{row}] = {at} does not fit {len(values)} values; is the file cut?"
        )
    return values, sizes


def _flat(column: Any) -> np.ndarray | None:
    """Return a column with one value per row, or None."""
    common = require("hdmf.common", extra="nwb")
    if isinstance(column, common.VectorIndex | common.DynamicTableRegion):
        return None
    values = np.asarray(column.data[:])
    if isinstance(column, common.EnumData):
        return np.asarray(column.elements.data[:])[values]
    if values.ndim != 1:
        return None
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8")
    if values.dtype.kind == "O":
        # Columns of groups and series (electrode_group) hold objects, whose names say what they are.
        items = [_text(item) for item in values.tolist()]
        return None if any(item is None for item in items) else np.array(items, dtype=object)
    return values if values.dtype.kind in "biufU" else None


def _text(item: Any) -> str | None:
    if isinstance(item, bytes):
        return item.decode("utf-8", errors="replace")
    if isinstance(item, str):
        return item
    name = getattr(item, "name", None)
    return name if isinstance(name, str) else None


def _joined(column: Any) -> np.ndarray:
    """Join the texts of each row of a ragged column with commas."""
    rows = [",".join(str(_text(item)) for item in column[i]) for i in range(len(column))]
    return np.array(rows, dtype=object)
