"""Probabilistic, neuroscience-first analysis: recordings in, comparable models and pictures out.

Everything below loads on first use, so that ``import neurokit_snn`` costs no more than ``import xarray``.

Examples
--------
>>> import neurokit_snn as nk
>>> recording = nk.recording.build(spikes={0: [0.1, 0.2], 1: [0.15]})
>>> recording["units"].sizes["unit"]
2
"""

import lazy_loader as _lazy

__version__ = "0.1.0.dev0"

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
__all__ = [*__all__, "__version__"]
