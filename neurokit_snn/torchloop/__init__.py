"""The one training loop of all torch models: schedules, devices, several processes, checkpoints, exact resume."""

from typing import Any

import lazy_loader as _lazy

from neurokit_snn._extras import require

_attached, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name in __all__:
        for module in ("torch", "lightning_fabric", "safetensors"):
            require(module, extra="torch")
    return _attached(name)
