"""Lagged correlation and GLM couplings: direction, masks, and a chain whose ends only the GLM keeps apart."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import neurokit_snn as nk
from neurokit_snn.errors import ModelError, RecordingError
from neurokit_snn.models import glm_couplings, lagged_correlation

LABELS = np.array(["c", "a", "d", "b"])
CHAIN = {"a": "b", "b": "c"}
"""a drives b and b drives c, each with two thirds of its spikes, one bin later; d is by itself."""


def _binned(counts: np.ndarray, *, units: np.ndarray, mask: np.ndarray | None = None) -> xr.Dataset:
    """Binned data of counts (trial, time, unit) in bins of 10 ms."""
    n_trials, n_bins, _ = counts.shape
    mask = np.ones(counts.shape, bool) if mask is None else mask
    start = np.arange(n_trials) * n_bins * 0.01
    return xr.Dataset(
        {
            "counts": (("trial", "time", "unit"), np.where(mask, counts, 0).astype(np.int32)),
            "mask": (("trial", "time", "unit"), mask),
        },
        coords={
            "trial": np.arange(n_trials),
            "time": (np.arange(n_bins) + 0.5) * 0.01,
            "unit": units,
            "trial_start": ("trial", start),
            "trial_stop": ("trial", start + n_bins * 0.01),
        },
        attrs={
            "schema": "neurokit_snn.binned", "schema_version": 1, "bin_width": 0.01,
            "layout": "windows", "session_id": "", "subject": "",
        },
    )  # fmt: skip


def _chain(seed: int = 0, n_bins: int = 8000, trials: int = 1) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    spikes = {name: (rng.random(n_bins) < 0.02).astype(int) for name in "abcd"}
    for source, target in CHAIN.items():
        passed = spikes[source] * (rng.random(n_bins) < 2 / 3)
        spikes[target] = np.maximum(spikes[target], np.concatenate([[0], passed[:-1]]))
    counts = np.stack([spikes[name] for name in LABELS], axis=-1)
    return _binned(counts.reshape(trials, -1, 4), units=LABELS)


@pytest.fixture(scope="module")
def chain() -> xr.Dataset:
    return _chain(n_bins=4000)


@pytest.fixture(scope="module")
def coupled(chain: xr.Dataset) -> xr.DataArray:
    return glm_couplings(chain, past=0.06, bases=3, strength=2.0)


def _by_definition(data: xr.Dataset, target: int, source: int, lags: int) -> float:
    counts = np.where(data["mask"].values, data["counts"].values, np.nan)
    best = np.nan
    for lag in range(1, lags + 1):
        x, y = counts[:, lag:, target].ravel(), counts[:, :-lag, source].ravel()
        both = np.isfinite(x) & np.isfinite(y)
        found = np.corrcoef(x[both], y[both])[0, 1]
        best = found if not abs(best) >= abs(found) else best
    return float(best)


def test_lagged_correlation_points_from_source_to_target() -> None:
    found = lagged_correlation(_chain(), lags=3)
    assert found.dims == ("target", "source")
    assert found["target"].values.tolist() == found["source"].values.tolist() == LABELS.tolist()
    assert np.isnan(np.diag(found)).all()
    for source, target in CHAIN.items():
        assert found.sel(target=target, source=source) > 0.4
        assert abs(found.sel(target=source, source=target)) < 0.06
    assert found.sel(target="c", source="a") > 0.25, "two steps of the chain look like one"
    assert np.nanmax(np.abs(found.sel(source="d"))) < 0.06


@pytest.mark.parametrize("lags", [1, 4])
def test_lagged_correlation_is_pearsons_within_trials_and_masks(lags: int) -> None:
    rng = np.random.default_rng(1)
    counts = rng.poisson(0.7, (9, 12, 3))
    mask = rng.random(counts.shape) < 0.8
    mask[:, 7:, 1] = False
    data = _binned(np.where(mask, counts, 50), units=np.arange(3), mask=mask)
    found = lagged_correlation(data, lags=lags).values
    for target in range(3):
        for source in set(range(3)) - {target}:
            assert found[target, source] == pytest.approx(_by_definition(data, target, source, lags))


def test_lagged_correlation_keeps_the_sign_of_the_largest() -> None:
    rng = np.random.default_rng(2)
    source = rng.random(5000) < 0.3
    target = (rng.random(5000) < 0.3) & ~np.concatenate([[False], source[:-1]])
    data = _binned(np.stack([source, target], axis=-1)[None].astype(int), units=np.array([0, 1]))
    assert lagged_correlation(data, lags=3).values[1, 0] < -0.25


def test_no_pair_of_bins_reaches_over_the_end_of_a_trial() -> None:
    """b fires in the first bin of the trial after that in whose last bin a did: within trials they are strangers."""
    rng = np.random.default_rng(3)
    counts = (rng.random((400, 6, 2)) < 0.3).astype(int)
    counts[1:, 0, 1] = counts[:-1, -1, 0]
    one_trial = _binned(counts.reshape(1, -1, 2), units=np.array(["a", "b"]))
    by_trial = _binned(counts, units=np.array(["a", "b"]))
    assert lagged_correlation(one_trial, lags=1).values[1, 0] > 0.1
    assert abs(lagged_correlation(by_trial, lags=1).values[1, 0]) < 0.06


def test_a_silent_or_unseen_unit_has_no_correlation() -> None:
    data = _chain()
    counts, mask = data["counts"].values.copy(), data["mask"].values.copy()
    counts[..., 2] = 0
    mask[..., 3] = False
    found = lagged_correlation(_binned(counts, units=LABELS, mask=mask)).values
    assert np.isnan(found[2:]).all()
    assert np.isnan(found[:, 2:]).all()
    assert np.isfinite(found[[0, 1], [1, 0]]).all()


def test_glm_keeps_the_ends_of_a_chain_apart(chain: xr.Dataset, coupled: xr.DataArray) -> None:
    assert coupled.dims == ("target", "source")
    assert coupled["target"].values.tolist() == coupled["source"].values.tolist() == LABELS.tolist()
    assert np.isnan(np.diag(coupled)).all()
    for source, target in CHAIN.items():
        assert coupled.sel(target=target, source=source) > 3 * abs(coupled.sel(target=source, source=target))
    assert np.unravel_index(np.nanargmax(coupled), (4, 4)) in [(0, 3), (3, 1)]  # c from b, b from a
    assert coupled.sel(target="c", source="a") < 0.2 * coupled.sel(target="c", source="b")
    correlation = lagged_correlation(chain, lags=3)
    assert correlation.sel(target="c", source="a") > 0.4 * correlation.sel(target="c", source="b")


@pytest.mark.slow
def test_glm_coupling_is_the_sum_of_its_filter_over_the_lags(
    chain: xr.Dataset, coupled: xr.DataArray
) -> None:
    model = nk.GLM(covariates=(), past=0.06, coupling=True, bases=3, strength=2.0).fit(chain)
    weight = dict(zip(model.features_, model.weights_[LABELS.tolist().index("c")], strict=True))
    filtered = sum(model.kernel_[:, b] * weight[f"past of b [{b}]"] for b in range(3))
    assert filtered.shape == (6,)
    assert coupled.sel(target="c", source="b") == pytest.approx(filtered.sum())
    assert coupled.attrs["strength"] == 2.0
    assert filtered[0] > np.log(10), "a spike of b two thirds of the time, 2% without"


@pytest.mark.slow
def test_the_order_of_units_does_not_matter(chain: xr.Dataset, coupled: xr.DataArray) -> None:
    turned = chain.isel(unit=[2, 0, 3, 1])
    found = glm_couplings(turned, past=0.06, bases=3, strength=2.0)
    xr.testing.assert_allclose(found.sel(target=LABELS, source=LABELS), coupled, atol=1e-6)
    correlation = lagged_correlation(turned).sel(target=LABELS, source=LABELS)
    xr.testing.assert_allclose(correlation, lagged_correlation(chain))


@pytest.mark.parametrize("lags", [0, 5])
def test_lags_must_fit_into_a_trial(lags: int) -> None:
    with pytest.raises(ModelError, match=f"lags is {lags}, and trials have 5 bins; give 1 to 4"):
        lagged_correlation(_chain(n_bins=2000, trials=400), lags=lags)


def test_only_binned_data_are_taken() -> None:
    for estimate in (lagged_correlation, glm_couplings):
        with pytest.raises(RecordingError, match="data"):
            estimate(xr.Dataset())
