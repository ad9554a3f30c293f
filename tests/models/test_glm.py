"""The GLM: its numbers against statsmodels, its intervals against the truth, its simulation against its rates."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import xarray as xr

from neurokit_snn import recording, splits
from neurokit_snn.errors import ModelError
from neurokit_snn.evaluate import score
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.models.glm import GLM, nemos_fit
from neurokit_snn.models.glm import model as glm_module
from neurokit_snn.models.poisson_regression import newton
from neurokit_snn.models.tuning import tuning_curves
from neurokit_snn.testing.model_suite import ModelSuite
from neurokit_snn.testing.place_cells import place_cells

pytest.importorskip("nemos")
# The first import of jax draws from numpy's global generator, which a guard of the tests minds.
pytest.importorskip("jax")


@pytest.fixture
def newton_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out nemos, which compiles anew for every fit; `test_nemos_and_newton_agree` compares the two."""
    _without_nemos(monkeypatch)


@pytest.fixture(scope="class")
def newton_only_for_class() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        _without_nemos(patch)
        yield


def _without_nemos(patch: pytest.MonkeyPatch) -> None:
    def fit(design, counts, valid, *, strength, precision, start, who):  # type: ignore[no-untyped-def]
        return newton(design, counts, valid, precision=precision, start=start, who=who)

    patch.setattr(glm_module, "fit_population", fit)


@pytest.mark.usefixtures("newton_only_for_class")
class TestTuningGLM(ModelSuite):
    poisson = True

    def make(self) -> AbstractModel:
        return GLM(covariates=("position",), by="direction", splines=8)


@pytest.mark.usefixtures("newton_only_for_class")
class TestHistoryGLM(ModelSuite):
    simulates = ("encode", "cosmooth+behavior", "generate")
    spread_of_draws = 0.03

    def make(self) -> AbstractModel:
        return GLM(covariates=("position",), by="direction", splines=8, past=0.3, bases=2, strength=3.0)


@pytest.mark.slow
class TestCoupledGLMThroughNemos(ModelSuite):
    simulates = ("encode", "cosmooth+behavior", "generate")
    spread_of_draws = 0.03

    def make(self) -> AbstractModel:
        return GLM(covariates=("position",), by="direction", splines=8, past=0.3, bases=2, coupling=True)


# ---- against statsmodels ---------------------------------------------------------------------------------------


def _own_design(data: xr.Dataset, model: GLM, unit: int) -> tuple[np.ndarray, np.ndarray]:
    """The history design of one unit, computed here from the definition."""
    lags = model.kernel_.shape[0]
    counts, mask = data["counts"].values[..., unit], data["mask"].values[..., unit]
    mean = counts[mask].mean()
    rows, targets = [], []
    for k in range(data.sizes["trial"]):
        for t in range(data.sizes["time"]):
            if not mask[k, t]:
                continue
            past = [
                counts[k, t - lag] if t - lag >= 0 and mask[k, t - lag] else mean
                for lag in range(1, lags + 1)
            ]
            rows.append(np.concatenate([[1.0], np.array(past) @ model.kernel_]))
            targets.append(counts[k, t])
    return np.array(rows), np.array(targets)


def test_unpenalised_history_glm_equals_statsmodels() -> None:
    """Coefficients and standard errors of an unpenalised fit through nemos, on a design made apart from ours."""
    statsmodels = pytest.importorskip("statsmodels.api")
    data = place_cells(trials=12, bins=40, units=3)
    data["mask"].values[:, :, 0] = data["mask"].values[:, :, 1]  # one group of units: nemos compiles once
    model = GLM(covariates=(), past=0.6, bases=3, strength=0.0).fit(data)
    for unit in range(3):
        rows, targets = _own_design(data, model, unit)
        found = statsmodels.GLM(targets, rows, family=statsmodels.families.Poisson()).fit(tol=1e-12)
        np.testing.assert_allclose(model.weights_[unit], found.params, rtol=1e-4)
        errors = np.sqrt(np.diag(model.covariance_[unit]))
        np.testing.assert_allclose(errors, found.bse, rtol=1e-4)


@pytest.mark.usefixtures("newton_only")
def test_penalised_maximum_solves_the_normal_equations() -> None:
    """At the maximum X'(y - rate) = strength * w, checked with a design built by scipy apart from ours."""
    from scipy.interpolate import BSpline

    data = place_cells(trials=10, units=2)
    model = GLM(covariates=("position",), splines=6, strength=0.7).fit(data)
    position = data["behavior_position"].values
    known = data["mask_behavior_position"].values & data["mask"].values.any(-1)
    low, high = position[data["mask_behavior_position"].values].min(), np.nanmax(position)
    knots = np.r_[[low] * 3, np.linspace(low, high, 4), [high] * 3]
    for unit in range(2):
        rows = known & data["mask"].values[..., unit]
        basis = np.stack([BSpline(knots, np.eye(6)[i], 3)(position[rows]) for i in range(6)], axis=1)
        rate = np.exp(model.weights_[unit, 0] + basis @ model.weights_[unit, 1:])
        y = data["counts"].values[rows, unit]
        np.testing.assert_allclose(basis.T @ (y - rate), 0.7 * model.weights_[unit, 1:], atol=1e-6)
        assert abs((y - rate).sum()) < 1e-6


def test_nemos_alone_comes_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the polish, nemos' own solution lies within a small part of a posterior standard deviation."""
    import jax

    data = place_cells(trials=10, units=4)
    data["mask"].values[:, :, 0] = data["mask"].values[:, :, 1]
    make = lambda: GLM(covariates=("position",), splines=6, strength=1.0)  # noqa: E731
    with monkeypatch.context() as patch:
        patch.setattr(nemos_fit, "newton", lambda design, counts, valid, *, precision, start, who: start)
        rough = make().fit(data)
    assert not jax.config.jax_enable_x64
    _without_nemos(monkeypatch)
    exact = make().fit(data)
    sd = np.sqrt(np.diagonal(exact.covariance_, axis1=1, axis2=2))
    assert np.abs((rough.weights_ - exact.weights_) / sd).max() < 0.05
    assert not np.array_equal(rough.weights_, exact.weights_)


@pytest.mark.slow
@pytest.mark.parametrize("coupling", [False, True])
def test_nemos_and_newton_agree(monkeypatch: pytest.MonkeyPatch, coupling: bool) -> None:
    """The fit through nemos, units with different masks and a feature mask included, ends where Newton alone does."""
    data = place_cells(trials=8, units=3)
    make = lambda: GLM(covariates=("position",), splines=5, past=0.2, coupling=coupling, strength=1.0)  # noqa: E731
    through_nemos = make().fit(data)
    _without_nemos(monkeypatch)
    np.testing.assert_allclose(through_nemos.weights_, make().fit(data).weights_, rtol=1e-6, atol=1e-8)


# ---- tuning ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("newton_only")
def test_direction_is_found_and_improves_held_out_likelihood() -> None:
    data = place_cells(trials=40)
    train, test = data.isel(trial=slice(0, 30)), data.isel(trial=slice(30, None))
    scores = {
        by: float(GLM(covariates=("position",), by=by).fit(train).log_likelihood(test, task="encode").sum())
        for by in (None, "direction")
    }
    assert scores["direction"] > scores[None] + 25


def _one_way_laps() -> xr.Dataset:
    """Twelve laps of units with a place field in one direction and not one spike in the other."""
    rng = np.random.default_rng(0)
    time = np.arange(0.0, 60.0, 0.02)
    lap, phase = (time // 5.0).astype(int), (time % 5.0) / 4.0
    direction = np.where(lap % 2 == 0, 1, -1)
    position = np.clip(np.where(direction > 0, phase, 1 - phase), 0.0, 1.0)
    trains = {}
    for unit, field in enumerate(rng.uniform(0.1, 0.9, 8)):
        runs = (phase < 1) & (direction == (1 if unit % 2 else -1))
        rate = np.where(runs, 20.0 * np.exp(-0.5 * ((position - field) / 0.08) ** 2), 0.0)
        trains[unit] = time[rng.random(time.size) < rate * 0.02] + 0.001
    start = np.arange(12) * 5.0
    tree = recording.build(
        spikes=trains,
        behavior={"position": {"time": time, "value": position, "units": "m"}},
        trials={"start": start, "stop": start + 4.0, "direction": np.where(np.arange(12) % 2 == 0, 1, -1)},
    )
    return recording.bin_trials(tree, 0.1)


@pytest.mark.usefixtures("newton_only")
def test_units_silent_in_one_direction_keep_a_small_mean_rate_there() -> None:
    data = _one_way_laps()
    train, test = next(splits.blocked(data, folds=4).apply(data))
    bits = {}
    for by in (None, "direction"):
        model = GLM(covariates=("position",), by=by).fit(train)
        rate = model.predict(test, task="encode")["rate"]
        bits[by] = float(score(test, rate.to_dataset())["value"].sel(metric="bits_per_spike"))
    # Chosen at the mode of the weights the strength was 0.03, and the direction scored -3.4 bits/spike.
    assert bits["direction"] > bits[None] + 0.3 > 0.3


@pytest.mark.usefixtures("newton_only")
def test_tuning_curves_cover_the_true_rates() -> None:
    """95% intervals of the curves cover the rates that made the spikes about as often as they say."""
    data = place_cells(trials=60, units=12, seed=3)
    curves = (
        GLM(covariates=("position",), by="direction", splines=14)
        .fit(data)
        .tuning_curves("position", points=30)
    )
    assert curves["rate"].dims == ("unit", "direction", "position")
    assert curves["position"].attrs["units"] == "cm"
    x = curves["position"].values
    centres = 100 * (np.arange(12) + 0.5) / 12
    field = np.exp(-0.5 * ((x[None] - centres[:, None]) / 12) ** 2)
    gain = np.where((np.arange(12) % 2 == 1)[:, None], [0.1, 1.0], [1.0, 1.0])  # (unit, direction -1, 1)
    true = 1.0 + 20 * gain[:, :, None] * field[:, None, :]
    inside = ((true > curves["low"].values) & (true < curves["high"].values)).mean()
    assert 0.88 <= inside <= 0.99
    assert (curves["low"] <= curves["rate"]).all()
    assert (curves["rate"] <= curves["high"]).all()


@pytest.mark.usefixtures("newton_only")
def test_model_curves_agree_with_occupancy_normalised_ones() -> None:
    data = place_cells(trials=80, units=4)
    curves = GLM(covariates=("position",), by="direction").fit(data).tuning_curves("position", points=101)
    empirical = tuning_curves(data, "position", bins=10, by="direction")
    at = curves["rate"].interp(position=empirical["position"])
    correlation = np.corrcoef(at.values.ravel(), empirical["rate"].values.ravel())[0, 1]
    assert correlation > 0.97


@pytest.mark.usefixtures("newton_only")
def test_circular_covariates_close_on_themselves() -> None:
    rng = np.random.default_rng(0)
    data = place_cells(trials=40, units=2)
    heading = rng.uniform(0, 360, size=data["behavior_position"].shape)
    rate = np.exp(1.5 * np.cos(np.deg2rad(heading[..., None] - np.array([0.0, 90.0]))))
    data["counts"].values[:] = rng.poisson(rate)
    attrs = {"units": "deg", "kind": "circular"}
    data["behavior_heading"] = (("trial", "time"), heading + 720.0, attrs)  # turns do not matter
    data["mask_behavior_heading"] = (("trial", "time"), np.ones(heading.shape, bool))
    curves = GLM(covariates=("heading",), splines=8).fit(data).tuning_curves("heading", points=36)
    assert float(curves["heading"][0]) == 0.0
    assert float(curves["heading"][-1]) == 350.0
    first = curves["rate"].isel(unit=0).values
    assert first.argmax() in (0, 1, 2, 34, 35)
    assert abs(first[0] - first[-1]) < 0.15 * first.max()
    assert abs(float(curves["heading"][int(curves["rate"].isel(unit=1).values.argmax())]) - 90) <= 20


@pytest.mark.usefixtures("newton_only")
def test_two_axes_make_a_map_and_trial_columns_are_covariates() -> None:
    rng = np.random.default_rng(0)
    data = place_cells(trials=40, units=2)
    shape = data["behavior_speed"].shape
    place = rng.uniform(0, 1, size=(*shape, 2))
    contrast = np.tile(["high", "low"], 20)
    rate = np.exp(-8 * ((place - 0.5) ** 2).sum(-1)) * np.where(contrast == "high", 3.0, 1.0)[:, None]
    data["counts"].values[:] = rng.poisson(rate[..., None], size=(*shape, 2))
    data["behavior_place"] = (("trial", "time", "axis"), place, {"units": "m", "kind": "continuous"})
    data["mask_behavior_place"] = (("trial", "time"), np.ones(shape, bool))
    data = data.assign_coords(axis=["x", "y"], contrast=("trial", contrast))
    model = GLM(covariates=("place", "contrast"), splines={"place": 5}).fit(data)
    rates = model.tuning_curves("place", points=9)["rate"]
    assert rates.dims == ("unit", "place_x", "place_y")
    peak = np.unravel_index(int(rates.isel(unit=0).values.argmax()), (9, 9))
    assert max(abs(peak[0] - 4), abs(peak[1] - 4)) <= 1
    contrasts = model.tuning_curves("contrast")["rate"]
    assert contrasts.dims == ("unit", "contrast")
    ratio = (contrasts.sel(contrast="high") / contrasts.sel(contrast="low")).values
    np.testing.assert_allclose(ratio, 3.0, rtol=0.25)


# ---- history ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def refractory() -> xr.Dataset:
    """Units whose rate falls to a tenth in the two bins after a spike."""
    rng = np.random.default_rng(4)
    data = place_cells(trials=60, bins=60, units=2, bin_width=0.01)
    data["mask"].values[:] = True
    counts = np.zeros(data["counts"].shape, dtype=np.int32)
    for t in range(60):
        recent = counts[:, max(0, t - 2) : t].sum(1) > 0
        counts[:, t] = rng.random(recent.shape) < np.where(recent, 0.03, 0.3)
    data["counts"].values[:] = counts
    return data


@pytest.mark.usefixtures("newton_only")
def test_history_predicts_refractory_units(refractory: xr.Dataset) -> None:
    train, test = refractory.isel(trial=slice(0, 40)), refractory.isel(trial=slice(40, None))
    scores = {
        past: GLM(covariates=(), past=past)
        .fit(train)
        .log_likelihood(test, task="forecast")
        .sum("trial")
        .sum()
        for past in (0.0, 0.05)
    }
    assert float(scores[0.05] - scores[0.0]) > 100


@pytest.mark.usefixtures("newton_only")
def test_free_running_model_keeps_rate_and_silence_after_spikes(refractory: xr.Dataset) -> None:
    model = GLM(covariates=(), past=0.05).fit(refractory)
    made = model.sample(refractory, seed=1)["counts"].values
    real = refractory["counts"].values
    assert made.mean() == pytest.approx(real.mean(), rel=0.1)
    after = lambda y: (y[:, 1:] * y[:, :-1]).mean() / y.mean() ** 2  # noqa: E731
    assert after(made) == pytest.approx(after(real), abs=0.12)
    assert after(made) < 0.5, "a Poisson train without memory would have 1"
    rates = model.predict(refractory, task="encode")["rate"]
    assert float(rates.mean()) * 0.01 == pytest.approx(real.mean(), rel=0.1)


@pytest.mark.usefixtures("newton_only")
def test_coupling_is_found() -> None:
    """Unit 1 fires in the bin after unit 0 does."""
    rng = np.random.default_rng(5)
    data = place_cells(trials=40, bins=50, units=3, bin_width=0.01)
    data["mask"].values[:] = True
    counts = rng.poisson(0.2, data["counts"].shape)
    counts[:, 1:, 1] = rng.poisson(0.05 + 0.6 * np.minimum(counts[:, :-1, 0], 1))
    data["counts"].values[:] = counts
    coupled = GLM(covariates=(), past=0.02, coupling=True).fit(data)
    weight = xr.DataArray(coupled.weights_, dims=("unit", "feature"), coords={"feature": coupled.features_})
    from_first = weight.sel(feature="past of 100 [0]").values
    assert from_first[1] > 0.8
    assert abs(from_first[2]) < 0.3
    alone = GLM(covariates=(), past=0.02).fit(data)
    gain = [m.log_likelihood(data, task="forecast").sum() for m in (coupled, alone)]
    assert float(gain[0] - gain[1]) > 50


@pytest.mark.usefixtures("newton_only")
def test_history_does_not_cross_trials(refractory: xr.Dataset) -> None:
    """The first bin of a trial is predicted from an average past, whatever the trial before ended with."""
    model = GLM(covariates=(), past=0.05).fit(refractory)
    busy = refractory.copy(deep=True)
    busy["counts"].values[:-1, -5:] = 3
    rates = [model.predict(d, task="forecast")["rate"].isel(time=0).values for d in (refractory, busy)]
    np.testing.assert_array_equal(*rates)
    assert np.ptp(rates[0], axis=0).max() < 1e-9


# ---- errors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"covariates": ("nonsense",)}, "nonsense.*position, speed"),
        ({"covariates": "position"}, "tuple"),
        ({"covariates": ("position",), "by": "speed"}, "speed.*categorical"),
        ({"covariates": ("position",), "splines": 3}, "splines is 3"),
        ({"covariates": (), "past": 0.01}, "shorter than a bin"),
        ({"covariates": (), "past": -1.0}, "past is -1.0"),
        ({"covariates": (), "coupling": True}, "coupling=True needs past"),
        ({"strength": "strong"}, "strength is 'strong'"),
        ({"strength": -1.0}, "strength is -1.0"),
        ({"covariates": (), "past": 0.2, "bases": 0}, "bases is 0"),
        ({"covariates": ("position",), "strength": 0.0}, "strength above 0"),
    ],
)
@pytest.mark.usefixtures("newton_only")
def test_bad_hyperparameters_are_named(options: dict, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        GLM(**options).fit(place_cells(trials=4, units=2))


@pytest.mark.usefixtures("newton_only")
def test_bad_questions_about_tuning_are_named() -> None:
    model = GLM(covariates=("position",), strength=1.0).fit(place_cells(trials=4, units=2))
    with pytest.raises(ModelError, match="no covariate 'speed'; it has position"):
        model.tuning_curves("speed")
    with pytest.raises(ModelError, match="draws is 10"):
        model.tuning_curves("position", draws=10)
    with pytest.raises(ModelError, match="not fitted"):
        GLM().tuning_curves("position")
