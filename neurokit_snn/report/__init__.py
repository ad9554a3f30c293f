"""Reports: the table of a comparison, its pictures, and one self-contained page on how they were made."""

from __future__ import annotations

from neurokit_snn.report.page import Picture, write
from neurokit_snn.report.tables import markdown, table, with_interval

__all__ = ["Picture", "markdown", "table", "with_interval", "write"]
