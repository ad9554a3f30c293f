"""Empirical tuning curves."""

from __future__ import annotations

import numpy as np
import pytest

from neurokit_snn.errors import ModelError
from neurokit_snn.models.tuning import tuning_curves
from neurokit_snn.testing.place_cells import place_cells


def test_spikes_and_seconds_are_those_of_a_histogram() -> None:
    data = place_cells()
    edges = np.linspace(0, 100, 6)
    found = tuning_curves(data, "position", bins={"position": edges})
    for unit in range(data.sizes["unit"]):
        used = data["mask"].values[..., unit] & data["mask_behavior_position"].values
        x, y = data["behavior_position"].values[used], data["counts"].values[used, unit]
        seconds = np.histogram(x, edges)[0] * 0.1
        spikes = np.histogram(x, edges, weights=y)[0]
        np.testing.assert_allclose(found["occupancy"][unit], seconds, rtol=1e-12)
        np.testing.assert_allclose(found["spikes"][unit], spikes)
        np.testing.assert_allclose(found["rate"][unit], spikes / seconds)
    assert (found["low"] < found["rate"]).where(found["spikes"] > 0, True).all()
    assert (found["high"] > found["rate"]).all()
    assert found["position"].attrs["units"] == "cm"


def test_intervals_cover_the_true_rate() -> None:
    rng = np.random.default_rng(0)
    data = place_cells(trials=10, units=200)
    data["mask"].values[:] = True
    data["counts"].values[:] = rng.poisson(0.3, data["counts"].shape)
    found = tuning_curves(data, "position", bins=5)
    inside = ((found["low"] < 3.0) & (found["high"] > 3.0)).mean()
    assert 0.93 < float(inside) < 0.97


def test_categories_and_gaps() -> None:
    data = place_cells()
    found = tuning_curves(data, "position", bins=4, by="direction")
    assert found["rate"].dims == ("unit", "direction", "position")
    total = tuning_curves(data, "position", bins=4)
    np.testing.assert_allclose(found["spikes"].sum("direction"), total["spikes"])
    beyond = tuning_curves(data, "position", bins={"position": np.array([0.0, 100.0, 200.0])})
    assert np.isnan(beyond["rate"].isel(position=1)).all()


def test_bad_requests_are_named() -> None:
    data = place_cells(trials=4)
    with pytest.raises(ModelError, match="nonsense"):
        tuning_curves(data, "nonsense")
    with pytest.raises(ModelError, match="one or two real axes"):
        tuning_curves(data, "direction")
    with pytest.raises(ModelError, match="categorical"):
        tuning_curves(data, "position", by="speed")
    with pytest.raises(ModelError, match="do not increase"):
        tuning_curves(data, "position", bins={"position": np.array([1.0, 0.0])})
    with pytest.raises(ModelError, match="no edges for 'position'"):
        tuning_curves(data, "position", bins={"x": np.array([1.0, 2.0])})
