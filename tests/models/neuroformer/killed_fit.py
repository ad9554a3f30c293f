"""A fit that `test_neuroformer_resume` kills. Not a test."""

from __future__ import annotations

import functools
from pathlib import Path

from neurokit_snn.models.neuroformer import fitting
from neurokit_snn.models.neuroformer.model import Neuroformer
from neurokit_snn.testing.place_cells import place_cells
from neurokit_snn.torchloop import Schedule

STEPS = 24


def fit(resume: str, saved: str) -> None:
    """A short fit with a checkpoint every third step, saved when it is done."""
    fitting.Schedule = functools.partial(Schedule, checkpoint_every=3)  # type: ignore[assignment, misc]
    data = place_cells(trials=10, bins=15, units=4)
    model = Neuroformer(
        window=0.5,
        past=0.5,
        covariates=(),
        outputs=("position",),
        embed=16,
        heads=2,
        dropout=0.2,
        steps=STEPS,
        batch_size=8,
    )
    model.fit(data, seed=5, resume=resume).save(Path(saved))
