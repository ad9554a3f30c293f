"""The one writer and reader of everything saved; README.md in this folder says how and why."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
