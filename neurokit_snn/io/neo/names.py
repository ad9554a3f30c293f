"""What both directions share: keys of annotations, and units as ``quantities`` knows them."""

from __future__ import annotations

from typing import Any

from neurokit_snn._extras import require

__all__ = ["KEPT", "LAYOUT", "NODE", "UNIT", "quantity"]

LAYOUT = "neurokit_snn_layout"
"""Annotation of the Block: what Neo has no place for, JSON."""

KEPT = "neurokit_snn_kept"
"""Annotation of the Block: arrays that no Neo object holds."""

NODE = "neurokit_snn_node"
"""Annotation of every object: the node that it is."""

UNIT = "neurokit_snn_unit"
"""Annotation of a SpikeTrain: label of its unit."""

# Only these names are looked up: `quantities` evaluates whatever text it is given.
_QUANTITIES = {
    "V": "V", "mV": "mV", "uV": "uV", "µV": "uV", "μV": "uV", "A": "A", "mA": "mA", "nA": "nA", "pA": "pA",
    "m": "m", "cm": "cm", "mm": "mm", "um": "um", "m/s": "m/s", "cm/s": "cm/s", "mm/s": "mm/s",
    "s": "s", "ms": "ms", "us": "us", "Hz": "Hz", "kHz": "kHz", "rad": "rad", "deg": "deg", "rad/s": "rad/s",
    "deg/s": "deg/s", "K": "K", "Pa": "Pa", "N": "N", "T": "T",
}  # fmt: skip


def quantity(units: str) -> Any:
    """Return the unit of `quantities` that stands for ``units``; dimensionless where it has none.

    Examples
    --------
    >>> quantity("mV").dimensionality.string, quantity("dF/F").dimensionality.string
    ('mV', 'dimensionless')
    """
    pq = require("quantities", extra="neo")
    known = _QUANTITIES.get(units)
    return pq.dimensionless if known is None else pq.Quantity(1.0, known).units
