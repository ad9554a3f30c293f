"""The common suite for decoders of every kind of behaviour, and what is `SpikingDecoder`'s own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")

import torch
from torch import nn

from neurokit_snn.errors import ModelError, NeurokitError
from neurokit_snn.models.modalities import Modality, observation
from neurokit_snn.models.spiking.decoder import SpikingDecoder
from neurokit_snn.models.spiking.likelihoods import BEHAVIOR_NATS
from neurokit_snn.snn import LIF, LeakyIntegrator, Network
from neurokit_snn.testing.model_suite import ModelSuite
from neurokit_snn.testing.place_cells import place_cells

QUICK: dict[str, Any] = {
    "hidden": (12,),
    "memory": 0.5,
    "steps": 30,
    "batch_size": 8,
    "learning_rate": 1e-2,
}


def _data() -> xr.Dataset:
    """The track with its position also as a heading, as a half of it, and on two axes."""
    data = place_cells(trials=12, bins=20, units=5)
    position, known = data["behavior_position"], data["mask_behavior_position"]
    circular = {"units": "deg", "kind": "circular"}
    half = xr.where(position > 50.0, 1.0, 0.0).where(known)
    plane = xr.concat([position, -0.5 * position], xr.DataArray(["x", "y"], dims="axis", name="axis"))
    data["behavior_heading"] = (position * 3.6 % 360.0).assign_attrs(circular)
    data["behavior_half"] = half.assign_attrs({"units": "1", "kind": "categorical"})
    data["behavior_plane"] = plane.transpose("trial", "time", "axis").assign_attrs(position.attrs)
    for name in ("heading", "half", "plane"):
        data[f"mask_behavior_{name}"] = known
    return data


@pytest.mark.slow
class TestDecoder(ModelSuite):
    """Position from spikes, some of them later than the bin."""

    target = "position"
    unit_order = False
    tolerance = 1e-5

    def data(self) -> xr.Dataset:
        return place_cells(trials=12, bins=20, units=5)

    def make(self) -> SpikingDecoder:
        return SpikingDecoder(target="position", future=0.2, **QUICK)


class _Other(ModelSuite):
    unit_order = False
    tolerance = 1e-5

    def data(self) -> xr.Dataset:
        return _data()

    def make(self) -> SpikingDecoder:
        return SpikingDecoder(target=self.target, delays=0.3, **QUICK)


@pytest.mark.slow
class TestHeading(_Other):
    """An angle."""

    target = "heading"


@pytest.mark.slow
class TestHalf(_Other):
    """One of two categories."""

    target = "half"


@pytest.mark.slow
class TestPlane(_Other):
    """Two axes."""

    target = "plane"


@pytest.mark.parametrize("future", [0.0, 0.3])
def test_it_reads_spikes_up_to_the_future_and_no_later(future: float) -> None:
    data = place_cells(trials=4, bins=20, units=4)
    own = QUICK | {"steps": 10}
    model = SpikingDecoder(target="position", future=future, tau=0.3, tau_readout=0.3, **own).fit(data)
    changed = data.copy(deep=True)
    changed["mask"].values[:, 12:] = True
    changed["counts"].values[:, 12:] += 4
    before, after = (model.predict(d, task="decode", target="position") for d in (data, changed))
    moved = np.abs(before - after)["behavior_position"].max("trial").values
    assert np.flatnonzero(moved)[0] == 12 - round(future / 0.1)


def test_distributions_are_what_the_loss_says() -> None:
    """Losses are negative log densities up to a constant of the behaviour: differences between two outputs are equal."""
    rng = np.random.default_rng(0)
    kinds = {
        "gaussian": Modality(
            name="behavior_a", kind="gaussian", centre=np.array([3.0]), scale=np.array([2.0])
        ),
        "circular": Modality(name="behavior_a", kind="circular", period=360.0),
        "categorical": Modality(name="behavior_a", kind="categorical", categories=(0.0, 1.0, 4.0)),
    }
    values = {"gaussian": 2.5, "circular": 200.0, "categorical": 4.0}
    for kind, modality in kinds.items():
        target = modality.features(np.full((1, 1), values[kind]), np.ones((1, 1), bool))
        width = modality.width * (2 if kind == "gaussian" else 1)
        outputs = rng.normal(size=(2, 1, 1, width))
        found, told = [], []
        for output in outputs:
            nats = BEHAVIOR_NATS[kind](torch.tensor(output), torch.tensor(target), torch.ones(1, 1, 1))
            found.append(-float(nats))
            mean, log_sd = np.split(output, 2, -1) if kind == "gaussian" else (output, None)
            made = observation(modality, mean, log_sd, {"trial": np.arange(1), "time": np.arange(1)})
            told.append(made.log_prob(xr.DataArray([[values[kind]]], dims=("trial", "time"))).item())
        assert found[0] - found[1] == pytest.approx(told[0] - told[1], rel=1e-6)


def test_the_standard_deviation_is_that_of_the_bin() -> None:
    """A behaviour that is noisy while one unit fires, and exact while the other does."""
    rng = np.random.default_rng(0)
    data = place_cells(trials=10, bins=30, units=2)
    noisy = (np.arange(30) // 5) % 2 == 1
    data["mask"].values[:] = True
    data["counts"].values[..., 0], data["counts"].values[..., 1] = 2 * noisy, 2 * ~noisy
    value = np.where(noisy, rng.normal(0.0, 3.0, (10, 30)), rng.normal(0.0, 0.3, (10, 30)))
    data["behavior_position"] = (("trial", "time"), value, {"units": "cm", "kind": "continuous"})
    data["mask_behavior_position"] = (("trial", "time"), np.ones((10, 30), bool))
    own = {"steps": 100, "tau": 0.1, "tau_readout": 0.1, "validation": 0.0}
    model = SpikingDecoder(target="position", **QUICK | own).fit(data)
    sd = model._predictive(data, task="decode", draws=1, rng=rng)["behavior_position"].scale
    assert sd.dims == ("trial", "time")
    middle = np.arange(30) % 5 == 3
    assert float(sd[:, noisy & middle].mean()) == pytest.approx(3.0, rel=0.25)
    assert float(sd[:, ~noisy & middle].mean()) == pytest.approx(0.3, rel=0.35)


@pytest.mark.slow
def test_position_is_decoded_and_better_with_memory() -> None:
    data = place_cells(trials=40, bins=30, units=10, gain=30.0)
    train, test = data.isel(trial=slice(0, 30)), data.isel(trial=slice(30, None))
    error = {}
    for tau in (0.05, 0.2):
        model = SpikingDecoder(target="position", tau=tau, tau_readout=tau, hidden=(64,), steps=400).fit(
            train
        )
        found = model.predict(test, task="decode", target="position")["behavior_position"]
        error[tau] = float(abs(found - test["behavior_position"]).median())
    assert error[0.2] < 12.0
    assert error[0.2] < error[0.05] - 1.0


def test_a_network_of_ones_own() -> None:
    def own(features: int, outputs: int) -> Network:
        return Network(nn.Linear(features, 7), LIF(2.0), nn.Linear(7, outputs), LeakyIntegrator(2.0))

    model = SpikingDecoder(target="plane", network=own, **QUICK | {"steps": 15}).fit(_data())
    assert model.network_.network.layers[2].weight.shape == (4, 7)
    assert model.history_.loss[-1] < model.history_.loss[0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"target": "smell"}, r"target is 'smell'; the data hold the behaviours position, speed"),
        ({"target": None}, "no target is named"),
        ({"future": -0.1}, "future is -0.1; give seconds, 0 or more"),
        ({"future": 0.15}, r"future is 0\.15 s, which is no whole number of bins"),
        ({"future": 2.0}, r"future is 2\.0 s, and trials have 20 bins of 0\.1 s; shorten it"),
        ({"delays": 0.01}, r"delays is 0\.01 s, shorter than a bin"),
    ],
)
def test_wrong_parameters_are_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(NeurokitError, match=words):
        SpikingDecoder(**{"target": "position"} | QUICK | options).fit(_data())


def test_a_constant_behaviour_is_refused() -> None:
    data = _data()
    data["behavior_speed"].values[:] = 3.0
    with pytest.raises(ModelError, match="behavior_speed is constant"):
        SpikingDecoder(target="speed", **QUICK).fit(data)
