"""The network with delays: the raster and the delays are what was asked for, and the oracle knows them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import neurokit_snn as nk
from neurokit_snn.errors import ConfigError, EvaluationError
from neurokit_snn.testing import assert_recordings_equal
from simulations.delayed_network import DelayConfig, main, oracle_log_likelihood, simulate

SMALL = DelayConfig(units=5, sources=2, duration=5.0)


def _raster(tree: xr.DataTree, step: float = 0.005) -> np.ndarray:
    """Counts at the steps of the simulation, (bin, unit)."""
    return nk.recording.bin(tree, step, behavior=False)["counts"].values[0]


def test_the_same_seed_gives_the_same_bits() -> None:
    tree = simulate(SMALL)
    nk.recording.validate(tree)
    assert_recordings_equal(tree, simulate(SMALL))
    other = simulate(DelayConfig(units=5, sources=2, duration=5.0, seed=1))
    assert not np.array_equal(other["truth"]["delay"], tree["truth"]["delay"], equal_nan=True)
    longer = simulate(DelayConfig(units=5, sources=2, duration=9.0))
    xr.testing.assert_equal(longer["truth"]["delay"], tree["truth"]["delay"])


def test_the_wiring_is_what_was_asked_for() -> None:
    truth = simulate(DelayConfig(units=20, sources=6, duration=0.1, seed=4))["truth"]
    weight, delay = truth["weight"].values, truth["delay"].values
    assert truth["delay"].dims == ("target", "source")
    np.testing.assert_array_equal((weight != 0).sum(1), 6)
    np.testing.assert_array_equal(weight != 0, np.isfinite(delay))
    assert (np.diag(weight) == 0).all()
    signs = [np.unique(np.sign(column[column != 0])) for column in weight.T]
    assert all(found.size <= 1 for found in signs), "a cell excites or inhibits"
    assert sum(bool((found < 0).any()) for found in signs) == 5
    sizes = np.abs(weight[weight != 0])
    assert 0.2 <= sizes.min() < 0.25 < 0.55 < sizes.max() <= 0.6
    bins = delay[np.isfinite(delay)] / 0.005
    np.testing.assert_allclose(bins, np.rint(bins), atol=1e-9)
    assert set(np.rint(bins).astype(int)) == set(range(1, 13))


def test_a_spike_acts_after_its_delay_and_not_before() -> None:
    """A spike after a silence of the source: the target keeps its base rate up to the delay, and is raised by the weight then."""
    config = DelayConfig(units=2, sources=1, weight=1.5, inhibitory=0.0, reset=0.0, duration=200.0, seed=2)
    tree = simulate(config)
    truth, raster = tree["truth"], _raster(tree)
    assert raster.max() == 1
    for target, source in ((0, 1), (1, 0)):
        lag = round(float(truth["delay"][target, source]) / config.step)
        after = np.flatnonzero(raster[:-30, source])
        after = after[
            np.diff(after, prepend=-99) > 25
        ]  # nothing of the source is on its way, nor left in the membrane
        found = np.array([raster[after + k, target].mean() for k in range(lag + 1)])
        drive = np.where(np.arange(lag + 1) == lag, float(truth["weight"][target, source]), 0.0)
        expected = -np.expm1(-float(truth["base"][target]) * np.exp(drive) * config.step)
        assert after.size > 300
        np.testing.assert_array_less(np.abs(found - expected), 4 * np.sqrt(expected / after.size))


def _by_hand(tree: xr.DataTree, config: DelayConfig) -> np.ndarray:
    """The log-likelihood again, bin by bin and spike by spike, (bin, unit)."""
    truth, raster = tree["truth"], _raster(tree, config.step)
    weight, delay = truth["weight"].values, truth["delay"].values
    nats = np.zeros(raster.shape)
    membrane = np.zeros(config.units)
    for k in range(len(raster)):
        membrane *= config.beta
        for i in range(config.units):
            membrane[i] -= config.reset * (raster[k - 1, i] if k else 0)
            for j in range(config.units):
                lag = 0 if np.isnan(delay[i, j]) else round(delay[i, j] / config.step)
                if lag and lag <= k:
                    membrane[i] += weight[i, j] * raster[k - lag, j]
        rate = np.minimum(truth["base"].values * np.exp(membrane), config.cap)
        silent = np.exp(-rate * config.step)
        nats[k] = np.log(np.where(raster[k] == 1, 1 - silent, silent))
    return nats


def test_the_oracle_is_the_likelihood_of_the_spikes() -> None:
    config = DelayConfig(units=4, sources=3, base=30.0, cap=60.0, duration=3.0)
    tree = simulate(config)
    found = oracle_log_likelihood(tree)
    assert found.dims == ("time", "unit")
    np.testing.assert_allclose(found, _by_hand(tree, config), rtol=1e-9)


def test_the_oracle_is_calibrated_and_beats_a_constant_rate() -> None:
    tree = simulate(DelayConfig(duration=100.0))
    nats, raster = oracle_log_likelihood(tree).values, _raster(tree)
    p = np.where(raster == 1, np.exp(nats), -np.expm1(nats))
    mean = raster.mean(0)
    constant = np.where(raster == 1, np.log(mean), np.log1p(-mean))
    assert nats.sum() > constant.sum() + 100
    for weight in (np.ones_like(p), np.log(p)):
        z = (weight * (raster - p)).sum() / np.sqrt((weight**2 * p * (1 - p)).sum())
        assert abs(z) < 3.5


def test_the_command_writes_what_it_was_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "made" / "delays.nk"
    words = ["--out", str(out), "--seed", "3", "--units", "6", "--sources", "3", "--duration", "5"]
    assert main(words) == 0
    assert "5 s, 6 units" in capsys.readouterr().out
    assert_recordings_equal(nk.load(out), simulate(DelayConfig(seed=3, units=6, sources=3, duration=5.0)))
    with pytest.raises(nk.errors.ArtefactError):
        main(words)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"units": 0}, r"DelayConfig\.units is 0; give a number above 0"),
        ({"units": 2.5}, r"DelayConfig\.units is 2\.5; give a whole number"),
        ({"sources": 12}, r"DelayConfig\.sources is 12, and a cell has 11 others"),
        ({"shortest": 0.001}, r"DelayConfig\.shortest is 0\.001 s"),
        ({"longest": 0.001}, r"longest 0\.001 s"),
        ({"tau": 0.004}, r"DelayConfig\.tau is 0\.004 s; give at least one step"),
        ({"inhibitory": float("nan")}, r"DelayConfig\.inhibitory is nan; give a share"),
        ({"reset": -1.0}, r"DelayConfig\.reset is -1\.0; give 0 or more"),
    ],
)
def test_config_names_the_field_that_is_wrong(changed: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        DelayConfig(**changed)  # type: ignore[arg-type]


def test_the_oracle_refuses_what_is_not_whole() -> None:
    tree = simulate(SMALL)
    with pytest.raises(EvaluationError, match=r"4 units and \d+ spikes, not the 5"):
        oracle_log_likelihood(nk.recording.select_units(tree, list(range(4))))
    with pytest.raises(EvaluationError, match="no /truth/delay"):
        oracle_log_likelihood(nk.recording.build(spikes={"a": [0.1]}))
