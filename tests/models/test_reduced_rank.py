"""Reduced-rank regression for co-smoothing."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neurokit_snn.errors import ModelError
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.models.mean_rate import MeanRate
from neurokit_snn.models.reduced_rank import ReducedRankRegression
from neurokit_snn.models.reduced_rank_map import learn_maps
from neurokit_snn.testing.model_suite import ModelSuite
from neurokit_snn.testing.place_cells import place_cells


class TestReducedRank(ModelSuite):
    poisson = True

    def make(self) -> AbstractModel:
        return ReducedRankRegression(smoothing=(0.1, 0.3), by="direction", covariates=("position",))


def latent_session(
    *, trials: int = 40, bins: int = 50, units: int = 12, dims: int = 2, seed: int = 0
) -> xr.Dataset:
    """Counts whose log rates are a few slow latents seen by all units."""
    rng = np.random.default_rng(seed)
    data = place_cells(trials=trials, bins=bins, units=units)
    data["mask"].values[:] = True
    latents = rng.normal(size=(trials, bins + 20, dims))
    kernel = np.exp(-0.5 * (np.arange(-10, 11) / 3.0) ** 2)
    smooth = np.apply_along_axis(np.convolve, 1, latents, kernel / np.sqrt((kernel**2).sum()), mode="valid")
    loadings = rng.normal(size=(dims, units)) / np.sqrt(dims)
    data["counts"].values[:] = rng.poisson(np.exp(-0.5 + smooth @ loadings))
    return data.drop_vars([n for n in data.data_vars if "behavior" in str(n)])


def test_held_out_units_are_predicted_from_shared_latents() -> None:
    data = latent_session(seed=2)
    train, test = data.isel(trial=slice(0, 30)), data.isel(trial=slice(30, None))
    model, flat = ReducedRankRegression().fit(train), MeanRate().fit(train)
    gain = model.log_likelihood(test, task="cosmooth") - flat.log_likelihood(test, task="cosmooth")
    spikes = float(test["counts"].isel(unit=test["held_out"].values).sum())
    assert float(gain.sum()) / spikes / np.log(2) > 0.2
    assert model.rank_ <= 3, "two latents made the data"


def test_unrelated_units_teach_it_to_be_flat() -> None:
    rng = np.random.default_rng(1)
    data = latent_session()
    data["counts"].values[:] = rng.poisson(0.7, data["counts"].shape)
    train, test = data.isel(trial=slice(0, 30)), data.isel(trial=slice(30, None))
    model, flat = ReducedRankRegression().fit(train), MeanRate().fit(train)
    gain = model.log_likelihood(test, task="cosmooth") - flat.log_likelihood(test, task="cosmooth")
    assert abs(float(gain.mean())) < 2e-3


def test_directions_come_in_order_and_have_unit_variance() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(500, 6))
    y = np.outer(x[:, 0], [3.0, 3.0, 3.0]) + np.outer(x[:, 1], [1.0, -1.0, 0.0]) + 10.0
    [found] = learn_maps(x, y, np.ones_like(y, bool), penalties=(1e-6,))
    assert found.n_latents == 2, "the targets span two dimensions"
    latents = found.latents(x)
    np.testing.assert_allclose(latents.T @ latents / 500, np.eye(2), atol=1e-6)
    assert abs(np.corrcoef(latents[:, 0], x[:, 0])[0, 1]) > 0.99
    assert abs(np.corrcoef(latents[:, 1], x[:, 1])[0, 1]) > 0.99


def test_full_rank_is_ordinary_ridge() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(300, 4)), rng.poisson(3.0, size=(300, 3))
    [found] = learn_maps(x, y, np.ones(y.shape, bool), penalties=(0.1,))
    z = (x - x.mean(0)) / x.std(0)
    ridge = z @ np.linalg.solve(z.T @ z + 30 * np.eye(4), z.T @ ((y - y.mean(0)) / np.sqrt(y.mean(0))))
    latents = found.latents(x)
    back = latents @ np.linalg.lstsq(latents, ridge, rcond=None)[0]
    np.testing.assert_allclose(back, ridge, atol=1e-9)


def test_behaviour_helps_where_it_drives_the_unit() -> None:
    data = place_cells(trials=60, units=6)
    train, test = data.isel(trial=slice(0, 45)), data.isel(trial=slice(45, None))
    model = ReducedRankRegression(smoothing=(0.1,), covariates=("position",), by="direction").fit(train)
    plain, informed = (model.log_likelihood(test, task=t).sum() for t in ("cosmooth", "cosmooth+behavior"))
    assert float(informed) > float(plain)


def test_without_covariates_both_tasks_are_the_same() -> None:
    data = latent_session(trials=12)
    model = ReducedRankRegression().fit(data)
    found = [model.predict(data, task=t)["rate"] for t in ("cosmooth", "cosmooth+behavior")]
    np.testing.assert_array_equal(*[f.values for f in found])


def test_bad_requests_are_named() -> None:
    data = place_cells(trials=8)
    with pytest.raises(ModelError, match="held_out"):
        ReducedRankRegression().fit(data.drop_vars("held_out"))
    with pytest.raises(ModelError, match=r"smoothing is 0\.1"):
        ReducedRankRegression(smoothing=0.1).fit(data)
    with pytest.raises(ModelError, match="smoothing is empty"):
        ReducedRankRegression(smoothing=()).fit(data)
    with pytest.raises(ModelError, match="rank is 0"):
        ReducedRankRegression(rank=0).fit(data)
    model = ReducedRankRegression(covariates=()).fit(data)
    other = data.assign_coords(held_out=("unit", ~data["held_out"].values))
    with pytest.raises(ModelError, match="held_out differs"):
        model.predict(other, task="cosmooth")
