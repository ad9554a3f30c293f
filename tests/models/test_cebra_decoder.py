"""The CEBRA adapter: its embedding against the package's own, and the protocol. Slow: importing cebra takes seconds."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest

from neurokit_snn.errors import MissingExtraError, ModelError
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.models.cebra_decoder import CEBRADecoder
from neurokit_snn.testing.model_suite import ModelSuite
from neurokit_snn.testing.place_cells import place_cells

with_cebra = pytest.mark.skipif(importlib.util.find_spec("cebra") is None, reason="cebra is not installed")


@with_cebra
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
class TestCEBRA(ModelSuite):
    target = "position"
    unit_order = False

    def make(self) -> AbstractModel:
        return CEBRADecoder(target="position", max_iterations=20, dimensions=3, hidden=8, batch_size=64)


@with_cebra
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("architecture", ["offset1-model", "offset10-model"])
def test_embedding_equals_the_packages_own(architecture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import cebra

    kept = {}
    original = cebra.CEBRA.fit

    def fit(self, *args, **options):  # type: ignore[no-untyped-def]
        kept["model"] = original(self, *args, **options)
        return kept["model"]

    monkeypatch.setattr(cebra.CEBRA, "fit", fit)
    data = place_cells(trials=8, bins=40)
    model = CEBRADecoder(
        target="position", architecture=architecture, max_iterations=5, dimensions=3, hidden=8, batch_size=32
    ).fit(data)
    trial = np.where(data["mask"], data["counts"], model.count_mean_)[0].astype(np.float32)
    np.testing.assert_allclose(model._embed(trial[None])[0], kept["model"].transform(trial), atol=1e-5)


@with_cebra
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_decodes_made_place_cells() -> None:
    data = place_cells(trials=60, units=8)
    train, test = data.isel(trial=slice(0, 45)), data.isel(trial=slice(45, None))
    model = CEBRADecoder(target="position", max_iterations=300, learning_rate=1e-3, batch_size=256).fit(train)
    found = model.predict(test, task="decode")
    error = np.abs((found["behavior_position"] - test["behavior_position"]).values)
    assert np.nanmedian(error) < 10
    inside = error < 1.645 * found["behavior_position_sd"].values
    assert inside[np.isfinite(error)].mean() == pytest.approx(0.9, abs=0.08)


@with_cebra
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_unknown_architecture_is_named() -> None:
    with pytest.raises(ModelError, match="no architecture 'nonsense'"):
        CEBRADecoder(target="position", architecture="nonsense").fit(place_cells(trials=4))


def test_without_cebra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setitem(sys.modules, "cebra", None)
    with pytest.raises(MissingExtraError, match=r"neurokit_snn\[baselines\]"):
        CEBRADecoder(target="position").fit(place_cells(trials=4))
