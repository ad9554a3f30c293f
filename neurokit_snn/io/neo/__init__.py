"""Neo objects: `to_neo` and `from_neo`."""

from neurokit_snn.io.neo.reader import from_neo
from neurokit_snn.io.neo.writer import to_neo

__all__ = ["from_neo", "to_neo"]
