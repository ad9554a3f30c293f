"""The common suite for encoders of several kinds, and what is `SpikingEncoder`'s own."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy.signal import lfilter

pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")

import torch
from torch import Tensor, nn

from neurokit_snn import recording
from neurokit_snn.errors import ArtefactError, ConfigError, ModelError
from neurokit_snn.models.observations import Bernoulli, Poisson
from neurokit_snn.models.spiking.encoder import SpikingEncoder
from neurokit_snn.models.spiking.likelihoods import COUNT_NATS
from neurokit_snn.models.spiking.stretches import Source, parts_of
from neurokit_snn.snn import LIF, LeakyIntegrator, Network
from neurokit_snn.snn.training import SLTT
from neurokit_snn.testing.model_suite import ModelSuite
from neurokit_snn.testing.place_cells import place_cells

QUICK: dict[str, Any] = {
    "hidden": (12,),
    "memory": 0.5,
    "steps": 30,
    "batch_size": 8,
    "learning_rate": 1e-2,
    "splines": 6,
}
COUPLED: dict[str, Any] = {"covariates": (), "coupling": True, "hidden": (), **QUICK} | {"hidden": ()}


def _small() -> xr.Dataset:
    return place_cells(trials=12, bins=15, units=4)


def _single_spikes() -> xr.Dataset:
    data = _small()
    return data.assign(counts=data["counts"].clip(max=1))


class TestCoupled(ModelSuite):
    """From position and the past of all units."""

    simulates = ("encode", "generate")
    unit_order = False
    tolerance = 1e-5

    def data(self) -> xr.Dataset:
        return _small()

    def make(self) -> SpikingEncoder:
        return SpikingEncoder(covariates=("position",), past=0.3, coupling=True, **QUICK | {"steps": 12})


@pytest.mark.slow
class TestTuned(ModelSuite):
    """From behaviour alone, through two layers: nothing is simulated."""

    unit_order = False
    tolerance = 1e-5

    def data(self) -> xr.Dataset:
        return _small()

    def make(self) -> SpikingEncoder:
        return SpikingEncoder(
            **QUICK | {"hidden": (12, 8), "neuron": "AdaptiveLIF", "direct": False, "steps": 80}
        )


@pytest.mark.slow
class TestDelayed(ModelSuite):
    """Bins of at most one spike, coupled through learned delays, without hidden neurons."""

    simulates = ("encode", "generate")
    unit_order = False
    tolerance = 1e-5

    def data(self) -> xr.Dataset:
        return _single_spikes()

    def make(self) -> SpikingEncoder:
        own = {"hidden": (), "delays": 0.5, "memory": 0.8, "observation": "bernoulli"}
        return SpikingEncoder(covariates=("position",), coupling=True, **QUICK | own)


# ---- what is computed ------------------------------------------------------------------------------------------


def _given(model: SpikingEncoder, **weights: np.ndarray) -> SpikingEncoder:
    """The model with some weights of its network replaced."""
    own = model.network_.state_dict()
    for name, value in weights.items():
        own[name.replace("__", ".")].copy_(torch.as_tensor(value))
    return model


def test_log_rates_are_what_the_equation_says() -> None:
    """Bias + splines of position + leaky integrals of own spikes + coupling through a leaky membrane, computed by numpy."""
    data = place_cells(trials=3, bins=12, units=4)
    model = SpikingEncoder(
        covariates=("position",),
        splines=6,
        past=0.6,
        coupling=True,
        hidden=(),
        tau_readout=0.3,
        memory=1.2,
        steps=1,
    ).fit(data)
    rng = np.random.default_rng(0)
    weights = {
        "bias": rng.normal(-1.0, 0.3, 4),
        "direct__weight": rng.normal(size=(4, 6)),
        "own__weight": 0.3 * rng.normal(size=model.network_.own.weight.shape),
        "network__layers__0__weight": 0.3 * rng.normal(size=(4, 4)),
    }
    _given(model, **weights)
    counts, mask = data["counts"].values, data["mask"].values
    mean = counts.sum((0, 1)) / mask.sum((0, 1))
    centred = np.where(mask, counts - mean, 0.0)
    past = np.concatenate([np.zeros((3, 1, 4)), centred[:, :-1]], 1)
    columns, _ = model.code_.columns(data, "test")
    eta = weights["bias"] + columns @ weights["direct__weight"].T
    for tau, weight in zip(model.sizes_.own, weights["own__weight"], strict=True):
        eta += weight * lfilter([1 / tau], [1.0, 1 / tau - 1], past, axis=1)
    eta += lfilter([1 / 3], [1.0, -2 / 3], past @ weights["network__layers__0__weight"].T, axis=1)
    assert model.sizes_.own[0] == 1.0
    assert model.sizes_.own[-1] == pytest.approx(2.0)
    found = model.predict(data, task="forecast")["rate"].values
    np.testing.assert_allclose(found, np.exp(eta) / 0.1, rtol=1e-4)


def test_columns_are_centred_and_zero_where_missing() -> None:
    data = place_cells(trials=6)
    model = SpikingEncoder(covariates=("position", "direction"), **QUICK | {"steps": 1}).fit(data)
    columns, known = model.code_.columns(data, "test")
    assert model.code_.names()[-2:] == ["direction direction=-1", "direction direction=1"]
    np.testing.assert_array_equal(known, data["mask_behavior_position"])
    assert np.abs(columns[known].mean(0)).max() < 1e-12
    assert (columns[~known][:, :6] == 0).all()
    assert (columns[~known][:, 6:] != 0).all()


def test_a_stimulus_drives_rates() -> None:
    """Frames of two pixels, one of which excites a unit."""
    rng = np.random.default_rng(0)
    frames = rng.normal(size=(8, 40, 1, 2))
    data = place_cells(trials=8, bins=40, units=2)
    data["mask"].values[:] = True
    data["counts"].values[..., 0] = rng.poisson(np.exp(frames[..., 0, 0] - 0.5))
    data["stimulus_movie"] = (("trial", "time", "y", "x"), frames)
    data["mask_stimulus_movie"] = (("trial", "time"), np.ones((8, 40), bool))
    model = SpikingEncoder(covariates=("stimulus_movie",), **QUICK | {"steps": 100}).fit(data)
    rate = model.predict(data, task="encode")["rate"].sel(unit=data["unit"][0]).values
    seen = [abs(np.corrcoef(np.log(rate).ravel(), frames[..., 0, pixel].ravel())[0, 1]) for pixel in range(2)]
    assert seen[0] > 0.9
    assert seen[1] < 0.25


@pytest.mark.parametrize("observation", ["poisson", "bernoulli"])
def test_losses_are_likelihoods_up_to_a_constant(observation: str) -> None:
    rng = np.random.default_rng(1)
    eta = np.concatenate([rng.normal(-2, 1, 40), [-14.0, -9.3, 3.0]])
    counts = np.tile([0.0, 1.0], 22)[: eta.size]
    array = {name: xr.DataArray(value, dims="row") for name, value in {"eta": eta, "y": counts}.items()}
    known: Poisson | Bernoulli = Poisson(rate_per_bin=np.exp(array["eta"]))
    if observation == "bernoulli":
        known = Bernoulli(p=-np.expm1(-np.exp(array["eta"])))
    nats = COUNT_NATS[observation]
    for row in range(eta.size):
        one = torch.tensor(eta[row], dtype=torch.float64, requires_grad=True)
        loss = nats(one, torch.tensor(counts[row]), torch.tensor(1.0))
        expected = -float(known.log_prob(array["y"])[row])
        assert float(loss.detach()) == pytest.approx(expected, rel=2e-4)
        loss.backward()
        assert torch.isfinite(one.grad)


# ---- time ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", [(), (10,)])
def test_rates_of_a_simulation_are_those_forecast_from_its_spikes(hidden: tuple[int, ...]) -> None:
    """The state handed on from bin to bin is that of the scan over stretches, also beyond the first."""
    data = place_cells(trials=4, bins=30, units=4)
    delays = {} if hidden else {"delays": 0.4}
    model = SpikingEncoder(
        covariates=("position",), past=0.3, coupling=True, **QUICK | {"hidden": hidden, "steps": 15} | delays
    ).fit(data)
    visible = data.drop_vars("counts")
    expected, counts = model._run_freely(visible, draws=2, rng=np.random.default_rng(3))
    assert expected.shape == (2, 4, 30, 4)
    assert counts.max() > 1
    assert (expected < model.count_limit_).mean() > 0.9
    for draw in range(2):
        whole = data.assign(counts=(("trial", "time", "unit"), counts[draw]), mask=xr.ones_like(data["mask"]))
        found = model.predict(whole, task="forecast")["rate"].values * 0.1
        np.testing.assert_allclose(np.minimum(found, model.count_limit_), expected[draw], rtol=1e-4)


def test_a_prediction_reads_as_far_back_as_history_says() -> None:
    data = place_cells(trials=4, bins=30, units=4)
    model = SpikingEncoder(tau_readout=1.0, **COUPLED | {"memory": 0.4, "steps": 5}).fit(data)
    assert model.history() == pytest.approx(0.8)
    changed = data.copy(deep=True)
    changed["counts"].values[:, 10] += 5
    moved = np.abs(
        model.predict(data, task="forecast")["rate"] - model.predict(changed, task="forecast")["rate"]
    )
    reached = np.flatnonzero(moved.max(("trial", "unit")).values)
    assert reached.min() == 11
    assert 10 + 4 < reached.max() <= 10 + 8


def test_stretches_kept_for_validation_share_no_bin_with_the_others() -> None:
    x = np.zeros((2, 400, 1), np.float32)
    source = Source(x=x, target=x, scored=np.ones((2, 400, 1), bool), run_in=5, length=5)
    learned, kept = parts_of(source.told(), 0.2)
    assert len(kept) == pytest.approx(0.2 * 160, abs=3)
    read = np.zeros((2, 400), bool)
    for trial, start in zip(learned.trial, learned.start, strict=True):
        read[trial, max(0, start - 5) : start + 5] = True
    assert not any(
        read[trial, max(0, start - 5) : start + 5].any()
        for trial, start in zip(kept.trial, kept.start, strict=True)
    )
    assert set(kept.trial) == {0, 1}
    nothing = source.told().take(slice(0, 2))
    assert [len(part) for part in parts_of(nothing, 0.5)] == [2, 0]


def test_batches_hold_every_scored_bin_once_and_its_past_before_it() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 13, 1)).astype(np.float32)
    scored = rng.random((2, 13, 3)) < 0.8
    source = Source(x=x, target=np.tile(x, 3), scored=scored, run_in=4, length=4)
    batch = source.batch(source.stretches())
    assert batch.x.shape == (8, 8, 1)
    assert int(batch.weight.sum()) == scored.sum()
    weighed = batch.target * batch.weight
    assert float(weighed.sum()) == pytest.approx(float((np.tile(x, 3) * scored).sum()), rel=1e-5)
    out = np.full((2, 13, 1), np.nan)
    source.put(source.stretches(), batch.x, out)
    np.testing.assert_array_equal(out, x)
    third = np.flatnonzero(source.stretches().start == 8)[0]
    np.testing.assert_array_equal(batch.x[:, third, 0], np.append(x[0, 4:, 0][:8], [])[:8])


# ---- delays and couplings --------------------------------------------------------------------------------------


def _response(model: SpikingEncoder, source: int, bins: int) -> np.ndarray:
    """Change of log rates ``(bin, unit)`` after one spike of a unit in bin 0, against none."""
    quiet = place_cells(trials=1, bins=bins, units=model.units_.size)
    quiet["mask"].values[:] = True
    quiet["counts"].values[:] = 0
    spike = quiet.copy(deep=True)
    spike["counts"].values[0, 0, source] = 1
    rates = [np.log(model.predict(d, task="forecast")["rate"].values[0]) for d in (spike, quiet)]
    return np.asarray(rates[0] - rates[1])


def test_a_spike_acts_first_after_its_delay() -> None:
    data = place_cells(trials=6, bins=20, units=3)
    model = SpikingEncoder(delays=0.6, tau_readout=0.2, **COUPLED | {"memory": 2.0, "steps": 1}).fit(data)
    rng = np.random.default_rng(0)
    layer = model.network_.network.layers[0]
    layer.set_delays(torch.tensor([[[0.0, 1.0, 6.0], [2.0, 3.0, 4.0], [5.0, 6.0, 0.0]]]))
    _given(model, network__layers__0__weight=rng.normal(size=(1, 3, 3)))
    delays = model.delays_
    assert delays.dims == ("target", "source")
    assert delays.attrs["units"] == "s"
    np.testing.assert_array_equal(delays["source"], data["unit"])
    np.testing.assert_allclose(delays[1], [0.3, 0.4, 0.5])
    for source in range(3):
        moved = _response(model, source, 20)
        first = np.array([np.flatnonzero(np.abs(moved[:, target]) > 1e-4)[0] for target in range(3)])
        np.testing.assert_allclose(first * 0.1, delays[:, source])


def test_couplings_are_the_summed_response_to_a_spike() -> None:
    data = place_cells(trials=6, bins=20, units=3)
    model = SpikingEncoder(tau_readout=0.2, **COUPLED | {"memory": 4.0, "steps": 1}).fit(data)
    weight = np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32)
    _given(model, network__layers__0__weight=weight)
    found = model.couplings_
    assert np.isnan(np.diag(found)).all()
    for source in range(3):
        summed = _response(model, source, 40).sum(0)
        others = np.arange(3) != source
        np.testing.assert_allclose(summed[others], found.values[others, source], rtol=1e-3)


def test_hidden_neurons_have_delays_from_units_and_no_couplings() -> None:
    data = place_cells(trials=6, units=3)
    model = SpikingEncoder(coupling=True, delays=0.3, **QUICK | {"memory": None, "steps": 5}).fit(data)
    assert model.delays_.shape == (12, 3)
    assert float(model.delays_.min()) >= 0.1 - 1e-9
    assert float(model.delays_.max()) <= 0.3 + 1e-9
    assert model.history() == pytest.approx(2 * (0.3 + 5 * 0.1))
    with pytest.raises(ModelError, match=r"fit with hidden=\(\) and coupling=True"):
        _ = model.couplings_
    with pytest.raises(ModelError, match="no delays were learned"):
        _ = SpikingEncoder(**COUPLED | {"steps": 1}).fit(data).delays_


@pytest.mark.slow
def test_planted_delays_come_back() -> None:
    """The simulated network of strong weights: most delays to the bin, couplings of the right sign."""
    simulations = pytest.importorskip("simulations.delayed_network")
    config = simulations.DelayConfig(units=6, sources=2, weight=0.9, duration=120.0, seed=1)
    tree = simulations.simulate(config)
    data = recording.windows(tree, config.step, length=10.0, start=0.0, stop=120.0)
    model = SpikingEncoder(
        covariates=(), hidden=(), coupling=True, delays=0.06, tau_readout=0.01, past=0.03,
        observation="bernoulli", steps=800, validation=0.0,
    ).fit(data)  # fmt: skip
    planted = tree["truth"]["delay"].values
    on = np.isfinite(planted)
    error = np.abs(model.delays_.values - planted)[on] / config.step
    assert np.median(error) <= 1.01
    assert (error <= 1.01).mean() > 0.7
    weight = tree["truth"]["weight"].values
    assert np.corrcoef(model.couplings_.values[on], weight[on])[0, 1] > 0.9


# ---- training --------------------------------------------------------------------------------------------------


class _Stopped(Exception):
    pass


@pytest.mark.slow
def test_a_fit_that_was_stopped_goes_on_to_the_same_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = place_cells(trials=4, bins=15, units=3)
    options = QUICK | {"steps": 230, "hidden": (4,), "batch_size": 2, "validation": 0.0}
    model = SpikingEncoder(coupling=True, delays=0.3, covariates=(), **options)
    whole = model.fit(data, seed=1)
    weights = {name: value.clone() for name, value in whole.network_.state_dict().items()}
    predicted = whole.predict(data, task="forecast")
    batch, calls = Source.batch, []

    def until(self: Source, *args: Any, **kwargs: Any) -> Any:
        calls.append(None)
        if len(calls) > 215:
            raise _Stopped
        return batch(self, *args, **kwargs)

    monkeypatch.setattr(Source, "batch", until)
    with pytest.raises(_Stopped):
        model.fit(data, seed=1, resume=tmp_path)
    monkeypatch.setattr(Source, "batch", batch)
    again = model.fit(data, seed=1, resume=tmp_path)
    for name, value in again.network_.state_dict().items():
        np.testing.assert_array_equal(value, weights[name])
    xr.testing.assert_identical(again.predict(data, task="forecast"), predicted)
    with pytest.raises(ModelError, match="checkpoint of a fit with other data"):
        model.set_params(learning_rate=1e-3).fit(data, seed=1, resume=tmp_path)


def test_training_stops_where_validation_no_longer_improves() -> None:
    data = place_cells(trials=10, bins=20, units=3)
    options = QUICK | {"steps": 400, "learning_rate": 0.1, "hidden": (64,), "patience": 2, "validation": 0.2}
    model = SpikingEncoder(coupling=True, **options).fit(data)
    history = model.history_
    assert history.loss.size < 400
    best = int(history.validation.argmin())
    assert len(history.validation) - 1 - best == 2


def test_rules_learn_by_other_gradients() -> None:
    data = _small()
    options = QUICK | {
        "tau": 0.3,
        "tau_readout": 0.3,
        "steps": 10,
        "batch_size": 100,
    }  # all stretches in each step
    fits = {
        rule: SpikingEncoder(rule=rule, coupling=True, **options).fit(data)
        for rule in ("BPTT", "SLTT", SLTT(steps=3))
    }
    losses = {str(rule): model.history_.loss[-1] for rule, model in fits.items()}
    start = fits["BPTT"].history_.loss[0]
    assert len(set(losses.values())) == 3
    assert all(loss < start for loss in losses.values())


def _own(features: int, units: int) -> Network:
    return Network(nn.Linear(features, 9), LIF(3.0), nn.Linear(9, units), LeakyIntegrator(2.0))


def test_a_network_of_ones_own(tmp_path: Path) -> None:
    data = _small()
    options = QUICK | {"steps": 15}
    model = SpikingEncoder(coupling=True, covariates=("position",), network=_own, **options).fit(data)
    assert model.network_.network.layers[0].weight.shape == (9, 6 + 4)
    assert model.history_.loss[-1] < model.history_.loss[0]
    assert np.isfinite(model.log_likelihood(data, task="forecast").where(data["mask"], 0.0)).all()
    with pytest.raises(ArtefactError, match="network"):
        model.save(tmp_path / "own.nk")
    with pytest.raises(ModelError, match=r"network gave a Linear; give a snn\.Network"):
        SpikingEncoder(network=nn.Linear, **QUICK).fit(data)


def test_every_kind_of_neuron_and_recurrence() -> None:
    data = place_cells(trials=4, bins=12, units=3)
    kinds: dict[str, dict[str, Any]] = {
        "IF": {},
        "LIF": {"recurrent": True},
        "ParametricLIF": {"neuron_fields": {"reset": "soft"}},
        "AdaptiveLIF": {"neuron_fields": {"tau_adaptation": 0.4, "jump": 0.1}},
        "CurrentLIF": {"neuron_fields": {"tau_current": 0.2}},
        "IntegerLIF": {"neuron_fields": {"levels": 3}},
    }
    for kind, more in kinds.items():
        own = {"neuron": kind, "tau": 0.3, "steps": 3, **more}
        model = SpikingEncoder(coupling=True, **QUICK | own).fit(data)
        assert np.isfinite(model.predict(data, task="forecast")["rate"]).all()
    assert model.sizes_.tau == pytest.approx(3.0)


def test_hidden_neurons_are_driven_before_anything_is_learned() -> None:
    """Splines and counts are small numbers; without a scale of their own, no neuron would reach its threshold."""
    data = _small()
    model = SpikingEncoder(
        coupling=True, **QUICK | {"steps": 1, "hidden": (40, 40), "learning_rate": 1e-9}
    ).fit(data)
    batch = model._source(data, "test", told=True)
    x = model.network_.read(batch.batch(batch.told()).x)
    for layer in model.network_.network.layers[:4]:
        x = layer(x)[0] if isinstance(layer, LIF) else layer(x)
        if isinstance(layer, LIF):
            assert 0.02 < float(x.detach().mean()) < 0.5
    rate = model.predict(data, task="forecast")["rate"] * 0.1
    mean = data["counts"].sum(("trial", "time")) / data["mask"].sum(("trial", "time"))
    np.testing.assert_allclose(rate.mean(("trial", "time")), mean, rtol=1e-4)


# ---- beside others, and errors ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_compared_with_a_glm() -> None:
    pytest.importorskip("nemos")
    pytest.importorskip("jax")
    from neurokit_snn.evaluate import compare
    from neurokit_snn.models.glm import GLM
    from neurokit_snn.models.mean_rate import MeanRate

    data = place_cells(trials=16, bins=30, units=4)
    models = {
        "spiking": SpikingEncoder(covariates=("position",), past=0.3, **QUICK | {"steps": 150}),
        "glm": GLM(covariates=("position",), past=0.3, strength=1.0),
        "flat": MeanRate(),
    }
    options: dict[str, Any] = {"cv": 2, "seeds": (0, 1), "n_boot": 100, "baselines": False, "progress": False}
    found = compare(models, data, task="forecast", **options)
    value = found["value"].sel(metric="bits_per_spike")
    assert float(value.sel(model="spiking")) > float(value.sel(model="flat")) + 0.2
    assert found.attrs["gap"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"observation": "gamma"}, ModelError, "observation is 'gamma'; choose poisson or bernoulli"),
        ({"observation": "bernoulli"}, ModelError, r"a bin holds \d+ spikes; bin finer"),
        ({"past": 0.01}, ModelError, "past is 0.01 s, shorter than a bin of 0.1 s"),
        ({"past": -1.0}, ModelError, "past is -1.0; give seconds, 0 or more"),
        ({"delays": 0.3}, ModelError, "delays is 0.3 s and coupling False"),
        ({"delays": 0.02, "coupling": True}, ModelError, "delays is 0.02 s, shorter than a bin"),
        ({"memory": 0.05}, ModelError, "memory is 0.05 s and a bin 0.1 s; give at least a bin"),
        ({"tau": 0.0}, ModelError, "tau is 0.0; give seconds, above 0"),
        ({"tau_readout": float("nan")}, ModelError, "tau_readout is nan"),
        ({"rule": "RTRL"}, ModelError, "rule is 'RTRL'; choose BPTT, SLTT, OTTT"),
        ({"rule": "SLTT", "delays": 0.3, "coupling": True}, ModelError, "SLTT.*Synapses|Synapses.*SLTT"),
        ({"hidden": (0,)}, ModelError, r"hidden is \(0,\); give the neurons of each layer"),
        (
            {"covariates": ()},
            ModelError,
            "the network has nothing to read: no covariates, and coupling is False",
        ),
        ({"hidden": 8}, ModelError, "hidden is 8; give the neurons of each layer"),
        ({"neuron": "HH"}, ConfigError, "neuron is 'HH'; choose one of IF, LIF"),
        ({"neuron_fields": {"levels": 3}}, ConfigError, "neuron_fields: LIF takes no such field"),
        ({"neuron_fields": {"threshold": -1.0}}, ConfigError, "LIF.threshold is -1;"),
        ({"covariates": "position"}, ModelError, "covariates is the text 'position'"),
        ({"covariates": ("smell",)}, ModelError, "no behaviour and no trial column is named 'smell'"),
        ({"validation": 1.0}, ModelError, "validation is 1.0; give a share"),
        ({"batch_size": 0}, ModelError, "batch_size is 0; give at least 1"),
        ({"batch_size": 2.5}, ModelError, r"batch_size is 2\.5; give at least 1, a whole number"),
        ({"past": float("inf")}, ModelError, "past is inf; give seconds, 0 or more"),
        ({"steps": 0}, ModelError, "steps is 0; give at least 1"),
    ],
)
def test_wrong_parameters_are_named(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        SpikingEncoder(**QUICK | options).fit(_small())


def test_nothing_observed_is_said() -> None:
    data = _small()
    data["mask"] = xr.zeros_like(data["mask"])
    with pytest.raises(ModelError, match="no bin to learn from"):
        SpikingEncoder(covariates=(), past=0.3, **QUICK | {"hidden": ()}).fit(data)


def test_sizes_come_back_from_json() -> None:
    import json

    from neurokit_snn.models.spiking.network import RateNetwork, Sizes

    sizes = SpikingEncoder(past=0.3, **QUICK | {"steps": 1}).fit(_small()).sizes_
    again = Sizes.from_json(json.loads(json.dumps(dataclasses.asdict(sizes))))
    assert again == sizes
    x: Tensor = torch.zeros(3, 2, sizes.columns + sizes.sources)
    assert RateNetwork(again)(x)[0].shape == (3, 2, 4)
