"""The PSID adapter: the filter written here against the package's own, and the protocol."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("PSID")

from neurokit_snn.errors import MissingExtraError, ModelError
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.models.psid_model import PSIDModel
from neurokit_snn.testing.model_suite import ModelSuite
from neurokit_snn.testing.place_cells import place_cells


class TestPSID(ModelSuite):
    target = "position"

    def make(self) -> AbstractModel:
        return PSIDModel(target="position", states=4, behavior_states=2, block_rows=3)


def test_filter_equals_the_packages_own() -> None:
    import PSID

    data = place_cells(trials=10, bins=60)
    data["mask"].values[:] = True
    data["behavior_position"].values[:] = np.nan_to_num(data["behavior_position"].values, nan=50.0)
    data["mask_behavior_position"].values[:] = True
    model = PSIDModel(target="position", states=4, behavior_states=2).fit(data)
    y = [trial - model.count_mean_ for trial in data["counts"].values]
    z = [trial[:, None] - model.behavior_mean_ for trial in data["behavior_position"].values]
    system = PSID.PSID(y, z, 4, 2, 5, remove_mean_Y=False, remove_mean_Z=False)
    theirs = system.predict(y, useXFilt=True)[0]
    ours = model.predict(data, task="decode")["behavior_position"].values
    np.testing.assert_allclose(ours, np.stack(theirs)[..., 0] + model.behavior_mean_, rtol=1e-8)


def test_decodes_better_than_the_mean_and_knows_its_error() -> None:
    data = place_cells(trials=60, units=8)
    train, test = data.isel(trial=slice(0, 45)), data.isel(trial=slice(45, None))
    found = PSIDModel(target="position").fit(train).predict(test, task="decode")
    error = (found["behavior_position"] - test["behavior_position"]).values
    assert np.nanstd(error) < 0.6 * np.nanstd(test["behavior_position"])
    z = error / found["behavior_position_sd"].values
    assert np.mean(np.abs(z[np.isfinite(z)]) < 1.645) == pytest.approx(0.9, abs=0.05)


def test_bad_requests_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    data = place_cells(trials=4)
    with pytest.raises(ModelError, match="block_rows 1"):
        PSIDModel(target="position", block_rows=1).fit(data)
    with pytest.raises(ModelError, match="longer than 2 x block_rows = 80"):
        PSIDModel(target="position", block_rows=40).fit(data)
    monkeypatch.setitem(__import__("sys").modules, "PSID", None)
    with pytest.raises(MissingExtraError, match=r"neurokit_snn\[baselines\]"):
        PSIDModel(target="position").fit(data)
