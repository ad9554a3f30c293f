"""Trainable spiking networks in torch: neurons, learned delays, training rules; no knowledge of recordings."""

from typing import Any

import lazy_loader as _lazy

from neurokit_snn._extras import require

_attached, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name in __all__:
        require("torch", extra="torch")
    return _attached(name)
