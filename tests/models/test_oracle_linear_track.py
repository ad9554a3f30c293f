"""Row `oracle`: naive Bayes on the real recording, at the settings that were tried before this package existed.

250 ms bins, 16 x 16 cells, the run epoch, speed above 20 px/s, units with at least 30 spikes in it, 10 contiguous folds.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from neurokit_snn import NaiveBayesDecoder, catalog, recording, splits

TARGET_PX = 31.6


@pytest.fixture(scope="module")
def running(linear_track_path: Path) -> xr.Dataset:
    """Windows of 10 s; bins in which the animal does not run have no valid position."""
    tree = recording.speed(catalog.open("linear-track"))
    data = recording.windows(tree, 0.25, length=10.0, epoch="run")
    fast = data["mask_behavior_speed"] & (data["behavior_speed"] > 20.0)
    data["mask_behavior_position"] = data["mask_behavior_position"] & fast
    spikes = data["counts"].where(data["mask"], 0).sum(("trial", "time"))
    return data.drop_vars(["behavior_speed", "mask_behavior_speed"]).isel(unit=(spikes >= 30).values)


def _median_error(data: xr.Dataset, *, smoother: str, shift: int = 0) -> float:
    """Median distance in pixels over all test bins, spikes shifted by whole windows where asked."""
    errors = []
    if shift:
        data = data.assign(counts=data["counts"].roll(trial=shift, roll_coords=False))
    for train, test in splits.blocked(data, folds=10).apply(data):
        decoder = NaiveBayesDecoder(target="position", bins=16, smoother=smoother).fit(train)
        found = decoder.predict(test, task="decode")["behavior_position"]
        distance = ((found - test["behavior_position"]) ** 2).sum("axis") ** 0.5
        errors.append(distance.values[test["mask_behavior_position"].values])
    return float(np.median(np.concatenate(errors)))


def test_naive_bayes_decodes_position(running: xr.Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    assert running.sizes["unit"] in range(22, 27)
    memoryless = _median_error(running, smoother="none")
    smoothed = _median_error(running, smoother="random-walk")
    shifted = _median_error(running, smoother="none", shift=13)
    with capsys.disabled():
        print(
            f"\nlinear-track, {running.sizes['unit']} units, median error: memoryless {memoryless:.1f} px, "
            f"random walk {smoothed:.1f} px, spikes shifted by 130 s {shifted:.1f} px"
        )
    assert min(memoryless, smoothed) <= TARGET_PX
    assert shifted > 100.0
