"""Statistics of spikes against definitions written out, and checks that tell a wrong model from a right one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from neurokit_snn.errors import EvaluationError
from neurokit_snn.evaluate.predictive import posterior_predictive, spike_statistics
from neurokit_snn.models.mean_rate import MeanRate

Made = Callable[..., xr.Dataset]


def test_rate_and_fano_by_definition(made: Made) -> None:
    data = made(n_trials=30)
    found = spike_statistics(data, statistics=["rate", "fano"], window=0.5, max_lag=0.1)
    counts, mask = data["counts"].values, data["mask"].values
    np.testing.assert_allclose(found["rate"], counts.sum((0, 1)) / mask.sum((0, 1)) / 0.1)
    windows = counts.reshape(30, 4, 5, -1).sum(2).reshape(120, -1)
    valid = mask.reshape(30, 4, 5, -1).all(2).reshape(120, -1)
    expected = [
        windows[valid[:, u], u].var(ddof=1) / windows[valid[:, u], u].mean() for u in range(windows.shape[1])
    ]
    np.testing.assert_allclose(found["fano"], expected)


def test_intervals_by_definition(made: Made) -> None:
    data = made(n_trials=5)
    found = spike_statistics(data, statistics=["isi"], max_lag=0.4)["isi"]
    for unit in range(1, data.sizes["unit"]):
        every: list[int] = []
        for trial in range(5):
            counts = data["counts"].values[trial, :, unit]
            every += list(np.diff(np.repeat(np.arange(counts.size), counts)))
        expected = np.bincount(np.minimum(every, 5), minlength=6) / len(every)
        np.testing.assert_allclose(found.values[unit], expected)
    np.testing.assert_allclose(found["interval"], np.arange(6) * 0.1)


def test_intervals_over_lost_bins_do_not_count() -> None:
    counts = np.zeros((1, 6, 1), dtype=np.int32)
    counts[0, [0, 1, 4, 5], 0] = 1
    mask = np.ones_like(counts, dtype=bool)
    mask[0, 2] = False
    data = xr.Dataset(
        {"counts": (("trial", "time", "unit"), counts), "mask": (("trial", "time", "unit"), mask)},
        coords={"time": np.arange(6.0), "trial_start": ("trial", [0.0]), "trial_stop": ("trial", [6.0])},
        attrs={"schema": "neurokit_snn.binned", "schema_version": 1, "bin_width": 1.0, "layout": "session"},
    )
    found = spike_statistics(data, statistics=["isi"], max_lag=4.0)["isi"].values[0]
    np.testing.assert_allclose(found, [0, 1, 0, 0, 0, 0])


def test_population_counts_by_definition(made: Made) -> None:
    data = made(n_trials=8)
    found = spike_statistics(data, statistics=["population"])["population"]
    known = data["mask"].values.all(2)
    total = data["counts"].values.sum(2)[known]
    np.testing.assert_allclose(found, np.bincount(total, minlength=found.size) / total.size)


def test_correlograms_by_definition(made: Made) -> None:
    data = made(n_trials=6)
    found = spike_statistics(data, statistics=["autocorrelogram", "crosscorrelogram"], max_lag=0.3)
    x, m = data["counts"].values.astype(float), data["mask"].values
    for lag in range(-3, 4):
        a = slice(max(0, -lag), 20 - max(0, lag))
        b = slice(max(0, lag), 20 - max(0, -lag))
        for i in range(3):
            for j in range(3):
                both = m[:, a, i] & m[:, b, j]
                together = (x[:, a, i] * x[:, b, j] * both).sum() * both.sum()
                expected = together / ((x[:, a, i] * both).sum() * (x[:, b, j] * both).sum())
                if i != j:
                    cross = found["crosscorrelogram"].sel(lag=lag * 0.1, method="nearest").values[i, j]
                    assert cross == pytest.approx(expected)
                elif lag > 0:
                    assert found["autocorrelogram"].values[i, lag - 1] == pytest.approx(expected)
    assert bool(np.isnan(found["crosscorrelogram"].values[0, 0]).all())


def test_permuted_units_permute_the_statistics(made: Made) -> None:
    data = made(n_trials=6)
    order = [3, 0, 5, 1, 4, 2]
    one = spike_statistics(data).isel(unit=order, other=order)
    xr.testing.assert_allclose(one, spike_statistics(data.isel(unit=order)))


def test_a_flat_model_of_tuned_units_is_found_out(made: Made) -> None:
    data = made(n_trials=60, depth=1.2)
    table = posterior_predictive(MeanRate().fit(data), data, draws=39, window=2.0)
    assert float(table["rate_p"].min()) > 0.05  # what the model was fitted to
    assert float(table["fano_p"].max()) == pytest.approx(2 / 40)  # what it was not
    assert bool((table["fano"] > table["fano_high"]).all())
    assert bool(
        (table["autocorrelogram"].isel(own_lag=0) > table["autocorrelogram_high"].isel(own_lag=0)).all()
    )
    assert table.attrs["model"] == "MeanRate"


def test_a_flat_model_of_flat_units_is_not(made: Made) -> None:
    data = made(n_trials=60, depth=0.0)
    table = posterior_predictive(MeanRate().fit(data), data, draws=39)
    for name in ("rate", "fano", "autocorrelogram", "crosscorrelogram"):
        p = table[f"{name}_p"].values
        assert np.nanmean(p <= 0.05) < 0.2, name
        assert bool((table[f"{name}_low"].values <= table[f"{name}_high"].values)[np.isfinite(p)].all())


def test_bad_requests(made: Made) -> None:
    data = made(n_trials=4)
    with pytest.raises(EvaluationError, match="no statistic 'burst'"):
        spike_statistics(data, statistics=["burst"])
    with pytest.raises(EvaluationError, match=r"less than a trial \(2 s\)"):
        spike_statistics(data, max_lag=2.0)
    with pytest.raises(EvaluationError, match="draws is 1"):
        posterior_predictive(MeanRate().fit(data), data, draws=1)
