"""What the processes that `test_compare_kill` kills are doing. Not a test; imported by a zygote."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from neurokit_snn.artefact import store, writer  # noqa: F401  loaded before the forks
from neurokit_snn.evaluate.comparison import compare
from neurokit_snn.models.mean_rate import MeanRate

_spec = importlib.util.spec_from_file_location("made", Path(__file__).with_name("conftest.py"))
assert _spec is not None
assert _spec.loader is not None
_made = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_made)

DATA = _made.made_session(n_trials=20)
HOW = {
    "task": "cosmooth",
    "cv": 3,
    "seeds": (0,),
    "metrics": ["bits_per_spike"],
    "baselines": False,
    "progress": False,
    "n_boot": 100,
}


def compare_and_save(cache: str, result: str) -> None:
    store.save(compare({"mean": MeanRate()}, DATA, cache=cache, **HOW), result)


if __name__ != "__main__":
    # The first call loads what is loaded on first use; forks then start at once.
    compare({"mean": MeanRate()}, DATA, **HOW)
