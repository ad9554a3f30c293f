"""Probabilistic, neuroscience-first analysis: recordings in, comparable models and pictures out.

Everything below loads on first use, so that ``import neurokit_snn`` costs no more than ``import xarray``.

Examples
--------
>>> import neurokit_snn as nk
>>> recording = nk.recording.build(spikes={0: [0.1, 0.2], 1: [0.15]})
>>> recording.nk.bin(0.1, start=0.0, stop=0.3)["counts"].sum("time").values.tolist()
[[2, 1]]
"""

import lazy_loader as _lazy

__version__ = "0.1.0.dev0"

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)

# After the lazy names, which it uses: registers `.nk` on DataTree and Dataset.
from neurokit_snn import accessor as _accessor  # noqa: E402, F401
