"""BayesianSpiking as a model: the common suite, recovery of what was planted, intervals, delays, saving, resuming."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

pytest.importorskip("torch")
pytest.importorskip("pyro")

from neurokit_snn import recording
from neurokit_snn.artefact import load
from neurokit_snn.errors import ModelError
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.models.spiking.bayesian import BayesianSpiking
from neurokit_snn.models.spiking.program import Bound
from neurokit_snn.testing.model_suite import ModelSuite
from neurokit_snn.testing.place_cells import place_cells
from simulations.delayed_network import DelayConfig, simulate


class TestLayer(ModelSuite):
    poisson = True
    simulates = ("encode", "generate")
    spread_of_draws = 0.03
    tolerance = 1e-4  # float32
    unit_order = False  # draws of the gradient differ; see test_the_order_of_units_does_not_matter

    def data(self) -> xr.Dataset:
        return place_cells(trials=12, bins=20, units=4)

    def make(self) -> AbstractModel:
        return BayesianSpiking(
            covariates=("position",),
            past=0.2,
            coupling=True,
            delays=0.2,
            tau_readout=0.15,
            memory=0.6,
            steps=6,
        )


@pytest.mark.slow
class TestLayerOfBins(ModelSuite):
    simulates = ("encode", "generate")
    spread_of_draws = 0.03
    tolerance = 1e-4

    def data(self) -> xr.Dataset:
        data = super().data()
        data["counts"] = data["counts"].clip(max=1)
        return data

    def make(self) -> AbstractModel:
        return BayesianSpiking(
            covariates=("position",), past=0.2, observation="bernoulli", guide="low-rank", rank=2, steps=20
        )


@pytest.mark.slow
class TestLifted(ModelSuite):
    poisson = True
    simulates = ("encode", "generate")
    spread_of_draws = 0.03
    tolerance = 1e-4
    unit_order = False

    def make(self) -> AbstractModel:
        return BayesianSpiking(covariates=("position",), hidden=(8,), steps=20, start_steps=30, tau=0.2)


# ---- what was planted comes back -----------------------------------------------------------------------------------

NETWORK = {
    "covariates": (),
    "coupling": True,
    "delays": 0.03,
    "tau_readout": 0.01,
    "observation": "bernoulli",
}


@pytest.fixture(scope="module")
def planted():
    """A network of five units, 30 s in trials of 5, and its truth."""
    config = DelayConfig(units=5, sources=2, duration=30.0, longest=0.03, weight=0.9, base=15.0, seed=1)
    tree = simulate(config)
    data = recording.windows(tree, config.step, length=5.0, start=0.0, stop=config.duration)
    return data, tree["truth"].to_dataset()


@pytest.fixture(scope="module")
def fitted(planted):
    return BayesianSpiking(**NETWORK, past=0.02, steps=16).fit(planted[0], seed=2)


def test_planted_synapses_come_back_with_intervals(planted, fitted):
    _, truth = planted
    found, on = fitted.synapses(), truth["delay"].notnull().values
    assert found["delay"].values == pytest.approx(np.arange(1, 7) * 0.005)
    assert np.median(np.abs(fitted.delays_.values - truth["delay"].values)[on]) < 0.001
    at = np.rint(truth["delay"].values[on] / 0.005).astype(int) - 1
    assert found["in_set"].values[on, at].mean() >= 0.8
    weight = truth["weight"].values
    z = ((found["weight"].values - weight) / found["weight_sd"].values)[~np.eye(5, dtype=bool)]
    assert np.sqrt(np.mean(z**2)) < 1.6
    assert np.corrcoef(found["weight"].values[on], weight[on])[0, 1] > 0.9
    tau = fitted.posterior_["posterior"]["tau"]
    assert abs(float(tau.mean()) - 0.01) < 0.004


def test_the_posterior_and_the_tables_tell_the_same(fitted):
    drawn, found = fitted.posterior_["posterior"].to_dataset(), fitted.synapses()
    pairs = {"target": drawn["target"], "source": drawn["source"]}
    np.testing.assert_allclose(drawn["weight"].mean(("chain", "draw")), found["weight"].sel(pairs), atol=0.08)
    for at, delay in enumerate(found["delay"].values):
        share = np.isclose(drawn["delay"], delay).mean((0, 1))
        np.testing.assert_allclose(share, found["probability"].isel(delay=at).sel(pairs), atol=0.11)


def test_forecasts_beat_a_glm_without_delays_and_stay_below_the_truth(planted, fitted):
    data, _ = planted
    score = fitted.log_likelihood(data, task="forecast").sum()
    blind = BayesianSpiking(**(NETWORK | {"coupling": False, "delays": 0.0}), past=0.02, steps=16).fit(data)
    assert score > blind.log_likelihood(data, task="forecast").sum() + 50.0
    assert fitted.bound_ > blind.bound_ + 20.0
    assert fitted.gradient_ == "exact"
    assert 0.0 < fitted.bound_se_ < 10.0


def test_an_interrupted_fit_goes_on_to_the_same_answer(planted, fitted, tmp_path, monkeypatch):
    model, calls, forward = BayesianSpiking(**NETWORK, past=0.02, steps=16), [], Bound.forward

    def stops(self, batch):
        calls.append(1)
        if len(calls) > 9:
            raise KeyboardInterrupt
        return forward(self, batch)

    monkeypatch.setattr(Bound, "forward", stops)
    with pytest.raises(KeyboardInterrupt):
        model.fit(planted[0], seed=2, resume=tmp_path)
    monkeypatch.undo()
    again = model.fit(planted[0], seed=2, resume=tmp_path)
    xr.testing.assert_identical(again.synapses(), fitted.synapses())
    assert again.bound_ == fitted.bound_
    with pytest.raises(ModelError, match="checkpoint of a fit with other data"):
        model.fit(planted[0], seed=3, resume=tmp_path)


# ---- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"guide": "full"}, "guide is 'full'; choose mean-field or low-rank"),
        ({"guide": "full", "hidden": (4,)}, "guide is 'full'"),
        ({"rank": 1.5}, r"rank is 1\.5; give at least 1, a whole number"),
        ({"learning_rate": 0.0, "hidden": (4,)}, r"learning_rate is 0\.0"),
        ({"priors": {"*.wieght": 1.0}, "hidden": (4,)}, r"no parameter is named '\*\.wieght'"),
        ({"steps": 0}, "steps is 0"),
        ({"gradient_draws": 0}, "gradient_draws is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"priors": {"wieght": 1.0}}, "priors names 'wieght'"),
        ({"priors": {"weight": 0.0}}, "'weight' is 0.0"),
        ({"priors": {"weight": "a"}}, "'weight' is 'a'"),
        ({"coupling": True, "tau_readout": 0.1}, "tau_readout is 0.1 s"),
        ({"delays": 0.2}, "delays is 0.2 s and coupling False"),
        ({"observation": "bernoulli"}, "a bin holds"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_one_line(changes, told):
    with pytest.raises(ModelError, match=told) as error:
        BayesianSpiking(covariates=("position",), **changes).fit(place_cells(trials=4))
    assert "\n" not in str(error.value)


def test_questions_that_have_no_answer_are_refused(planted, fitted):
    alone = BayesianSpiking(covariates=(), past=0.02, observation="bernoulli", steps=1).fit(planted[0])
    with pytest.raises(ModelError, match="only units coupled without hidden neurons"):
        alone.synapses()
    with pytest.raises(ModelError, match="no delays were learned"):
        _ = alone.delays_
    with pytest.raises(ModelError, match=r"level is 1\.5"):
        fitted.synapses(level=1.5)


# ---- beside the others, and slower ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_it_stands_in_a_comparison_and_has_a_blocked_elpd(planted):
    pytest.importorskip("arviz_stats")
    from neurokit_snn.evaluate import blocked_kfold, compare

    data = planted[0]
    model = BayesianSpiking(**NETWORK, steps=40)
    table = compare(
        {"bayes": model, "alone": BayesianSpiking(covariates=(), past=0.02, observation="bernoulli", steps=40)},
        data, task="forecast", cv=4, seeds=(0,), baselines=False, progress=False,
    )  # fmt: skip
    metric = table["metric"].values[0]
    assert float(table["diff"].sel(model="bayes", other="alone", metric=metric)) > 0
    elpd = blocked_kfold(model, data, task="forecast", cv=4, block=5.0)
    assert np.isfinite(elpd.elpd)
    assert elpd.n_data_points == 6


@pytest.mark.slow
def test_the_order_of_units_does_not_matter():
    data = place_cells(trials=12)
    order = np.random.default_rng(0).permutation(data.sizes["unit"])
    make = lambda: BayesianSpiking(  # noqa: E731
        covariates=("position",),
        past=0.2,
        coupling=True,
        delays=0.2,
        tau_readout=0.15,
        steps=400,
        gradient_draws=8,
    )
    one, other = make().fit(data), make().fit(data.isel(unit=order))
    found, turned = one.synapses(), other.synapses().reindex_like(one.synapses())
    np.testing.assert_allclose(turned["probability"], found["probability"], atol=0.06)
    assert float((abs(turned["weight"] - found["weight"]) / found["weight_sd"]).max()) < 0.6
    assert abs(one.bound_ - other.bound_) < 3.0


@pytest.mark.slow
def test_hidden_neurons_get_a_bound_of_true_spikes_that_chose_the_step():
    data = place_cells()
    model = BayesianSpiking(covariates=("position",), hidden=(16,), tau=0.2, steps=150, start_steps=300).fit(
        data
    )
    curve = model.histories_["fit"].validation
    assert model.gradient_ == "surrogate"
    assert curve.min() < curve[0]
    assert model.bound_ == pytest.approx(-curve.min(), abs=10 * model.bound_se_ + 20.0)
    assert model.bound_ < float(model.log_likelihood(data, task="encode").sum())
    drawn = model.posterior_["posterior"]["network.layers.0.weight"]
    assert drawn.dims[:2] == ("chain", "draw")
    assert float(drawn.std("draw").min()) > 0


@pytest.mark.slow
def test_delays_into_hidden_neurons_are_the_encoders_and_stay(tmp_path):
    data = place_cells()
    model = BayesianSpiking(
        covariates=("position",), coupling=True, delays=0.3, hidden=(8,), neuron="ParametricLIF", tau=0.2, steps=5,
        start_steps=20,
    ).fit(data)  # fmt: skip
    found = model.posterior_["posterior"]
    assert "network.layers.1.leak" in found, "time constants are random"
    assert not [name for name in found if "position" in str(name)]
    seconds = model.delays_.values / 0.1
    np.testing.assert_allclose(seconds, np.rint(seconds))
    before = model.predict(data, task="forecast")
    model.sample(data, seed=1)
    xr.testing.assert_identical(before, model.predict(data, task="forecast"))
    loaded = load(model.save(tmp_path / "fit.nk"))
    xr.testing.assert_identical(before, loaded.predict(data, task="forecast"))
    xr.testing.assert_identical(model.delays_, loaded.delays_)
