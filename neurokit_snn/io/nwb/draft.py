"""An NWB file in the making, and where each node of the recording went in it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from neurokit_snn.io.layout import Outgoing

__all__ = ["LAYOUT", "Draft", "safe_name"]

LAYOUT = "neurokit_snn_layout"
"""Name of the scratch text that holds what NWB has no place for."""


@dataclass
class Draft:
    """What the functions that fill an NWB file share.

    Attributes
    ----------
    out
        The recording.
    file
        The ``pynwb.NWBFile``.
    places
        Path in the file, as in ``processing/behavior/speed``, to path of the node.
    columns
        For each node that became a table, column in the file to variable of the node.
    electrodes
        Label of an electrode to its row in the electrode table.
    """

    out: Outgoing
    file: Any
    places: dict[str, str] = field(default_factory=dict)
    columns: dict[str, dict[str, str]] = field(default_factory=dict)
    electrodes: dict[str, int] = field(default_factory=dict)


def safe_name(name: str) -> str:
    """Return ``name`` without what HDF5 paths and NWB names do not allow.

    Examples
    --------
    >>> safe_name("cell/type"), safe_name("")
    ('cell_type', '_')
    """
    return re.sub(r"[/:\x00]", "_", name).strip(". ") or "_"
