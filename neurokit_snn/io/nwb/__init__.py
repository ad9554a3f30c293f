"""NWB through pynwb: `write_nwb` and `read_nwb`."""

from neurokit_snn.io.nwb.reader import read_nwb
from neurokit_snn.io.nwb.writer import write_nwb

__all__ = ["read_nwb", "write_nwb"]
