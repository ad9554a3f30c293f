"""Expected log predictive density through arviz-stats."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from neurokit_snn.errors import EvaluationError
from neurokit_snn.evaluate.elpd import blocked_kfold, loo
from neurokit_snn.evaluate.intervals import block_index
from neurokit_snn.models.mean_rate import MeanRate
from neurokit_snn.recording import splits

pytest.importorskip("arviz_stats")

Made = Callable[..., xr.Dataset]


class Slow(MeanRate):
    """Says that it reads three seconds of past."""

    def history(self) -> float:
        return 3.0


# arviz-stats 0.8 calls pandas in a way that pandas 3.1 warns about.
@pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame")
def test_blocks_of_held_out_trials(made: Made) -> None:
    import arviz_stats

    data = made()
    found = blocked_kfold(MeanRate(), data, task="encode", cv=4)
    points = np.zeros(8)
    for train, test in splits.blocked(data, folds=4).apply(data):
        log_p = MeanRate().fit(train).log_likelihood(test, task="encode")
        for trial in range(test.sizes["trial"]):
            points[int(test["trial"][trial]) // 5] += float(log_p[trial].sum())
    np.testing.assert_allclose(found.elpd_i, points)
    assert found.elpd == pytest.approx(points.sum())
    assert found.se == pytest.approx(np.sqrt(8) * points.std())
    assert (found.kind, found.n_data_points, found.n_folds) == ("loo_kfold", 8, 4)
    worse = blocked_kfold(MeanRate(), data.assign(counts=data["counts"]), task="encode", cv=2)
    table = arviz_stats.compare({"four": found, "two": worse}, method="pseudo-BMA")
    assert set(table.index) == {"four", "two"}


def test_the_gap_is_the_models(made: Made) -> None:
    data = made()
    assert np.isfinite(blocked_kfold(Slow(), data, task="encode", cv=4).elpd)
    with pytest.raises(EvaluationError, match="the gap is 1 s, Slow reads 3 s"):
        blocked_kfold(Slow(), data, task="encode", gap=1.0)


def gaussian(made: Made, n_trials: int = 60) -> tuple[xr.Dataset, xr.DataArray, np.ndarray]:
    """Mean of a normal with a flat prior: draws of the posterior, and the exact leave-one-out densities."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=n_trials)
    draws = rng.normal(y.mean(), 1 / np.sqrt(n_trials), 4000)
    log_p = stats.norm.logpdf(y[None, :], draws[:, None], 1.0)
    data = made(n_trials=n_trials, n_time=5, layout="trials")
    exact = stats.norm.logpdf(y, (y.sum() - y) / (n_trials - 1), np.sqrt(1 + 1 / (n_trials - 1)))
    return data, xr.DataArray(log_p, dims=("draw", "trial")), exact


def test_leaving_out_by_weighting_is_leaving_out(made: Made) -> None:
    data, log_p, exact = gaussian(made)
    found = loo(log_p, data)
    np.testing.assert_allclose(found.elpd_i, exact, atol=0.02)
    assert float(found.pareto_k.max()) < found.good_k
    assert found.n_data_points == 60


def test_blocks_are_left_out_whole_and_masked_bins_add_nothing(made: Made) -> None:
    data, log_p, _ = gaussian(made)
    windows = data.assign_attrs(layout="windows")  # 0.5 s each: three blocks of 10 s
    index = block_index(windows)
    found = loo(log_p, windows)
    assert found.n_data_points == index.max() + 1 == 3
    wide = log_p.expand_dims(unit=2).transpose("draw", "trial", "unit").copy()
    wide[..., 1] = np.nan
    again = loo(wide.expand_dims("chain"), windows)
    np.testing.assert_allclose(again.elpd_i, found.elpd_i)


def test_bad_log_likelihoods(made: Made) -> None:
    data, log_p, _ = gaussian(made)
    with pytest.raises(EvaluationError, match="it needs draw and trial"):
        loo(log_p.isel(draw=0), data)
    with pytest.raises(EvaluationError, match="59 trials, the data 60"):
        loo(log_p.isel(trial=slice(59)), data)
