"""Scores of held-out predictions, their intervals, nulls and checks, and the comparison of models."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
