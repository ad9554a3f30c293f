"""A fit that is killed goes on to the same answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

pytest.importorskip("torch")

from neurokit_snn import artefact
from neurokit_snn.testing.killing import Zygote
from neurokit_snn.testing.place_cells import place_cells

TARGET = Path(__file__).with_name("killed_fit.py")


@pytest.mark.slow
def test_killed_fit_goes_on_to_the_same_answer(tmp_path: Path) -> None:
    """SIGKILL in the midst of three writes: loss curve, weights and predictions are those of an undisturbed fit."""
    steps = []
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    with Zygote(f"{TARGET}:fit") as zygote:
        whole = zygote.run(str(tmp_path / "whole"), str(tmp_path / "whole.nk"))
        assert not whole.killed
        assert whole.error == ""
        for kill_at in (12, 13, 14):
            died = zygote.run(str(tmp_path / "parts"), str(tmp_path / "parts.nk"), kill_at=kill_at)
            assert died.killed, died.error
            steps.append(artefact.read(tmp_path / "parts" / "fit.nk").config["steps"])
        done = zygote.run(str(tmp_path / "parts"), str(tmp_path / "parts.nk"))
        assert done.error == ""
    assert steps == sorted(steps)
    assert 0 < steps[0] < steps[-1] < 24
    one, other = (artefact.load(tmp_path / name) for name in ("whole.nk", "parts.nk"))
    np.testing.assert_array_equal(one.history_.loss, other.history_.loss)
    assert one.history_.loss.size == 24
    for name, weights in one.network_.state_dict().items():
        np.testing.assert_array_equal(weights, other.network_.state_dict()[name])
    test = place_cells(trials=4, bins=15, units=4, seed=1)
    for task in one.tasks:
        xr.testing.assert_identical(one.predict(test, task=task), other.predict(test, task=task))
    scores = [model.log_likelihood(test, task="forecast") for model in (one, other)]
    xr.testing.assert_identical(*scores)
