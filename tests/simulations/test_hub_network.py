"""The network with hubs: the raster, the wiring and the gains are what was asked for, and the oracle knows them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import neurokit_snn as nk
from neurokit_snn.errors import ConfigError, EvaluationError, MissingExtraError
from neurokit_snn.testing import assert_recordings_equal
from simulations import hub_network
from simulations.hub_network import HubConfig, main, oracle_log_likelihood, simulate

ROOT = Path(__file__).resolve().parents[2]
SMALL = HubConfig(units=8, hubs=2, duration=5.0)
CLEAN = {"units": 24, "hubs": 1, "duration": 100.0, "base": 3.0, "seed": 4}
"""One hub, so that nothing but its spikes moves a rate."""


def _raster(tree: xr.DataTree) -> np.ndarray:
    """Counts at the steps of the simulation, (bin, unit)."""
    return nk.recording.bin(tree, 0.01, behavior=False)["counts"].values[0]


def _after_a_spike(
    tree: xr.DataTree, hub: int, where: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Spikes of each unit in the bins after a lone spike of the hub, and what bins without one would let expect.

    A spike is lone that has no other of the hub in the 15 bins before it.
    """
    raster = _raster(tree)
    source = raster[:, hub]
    before = np.concatenate([[0], source[:-1]])
    earlier = np.convolve(before, np.ones(16, int))[: source.size] - before
    after, silent = (before == 1) & (earlier == 0), (before == 0) & (earlier == 0)
    if where is not None:
        after, silent = after & where, silent & where
    expected = raster[silent].mean(0) * after.sum()
    return raster[after].sum(0), expected


@pytest.fixture(scope="module")
def excited() -> xr.DataTree:
    return simulate(HubConfig(**CLEAN))


def test_the_same_seed_gives_the_same_bits() -> None:
    tree = simulate(SMALL)
    nk.recording.validate(tree)
    assert_recordings_equal(tree, simulate(SMALL))
    other = simulate(HubConfig(units=8, hubs=2, duration=5.0, seed=1))
    assert not np.array_equal(other["spikes"]["time"], tree["spikes"]["time"])
    assert not np.array_equal(other["truth"]["adjacency"], tree["truth"]["adjacency"])


def test_bins_hold_one_spike_at_most_and_windows_are_the_same_raster(excited: xr.DataTree) -> None:
    raster = _raster(excited)
    assert raster.shape == (10_000, 24)
    assert raster.max() == 1
    assert raster.sum() == excited["spikes"].sizes["spike"]
    windows = nk.recording.windows(excited, 0.01, length=0.05)["counts"].values
    np.testing.assert_array_equal(windows.reshape(10_000, 24), raster)
    assert windows.shape == (2_000, 5, 24)


def test_the_wiring_is_what_was_asked_for() -> None:
    tree = simulate(HubConfig(duration=1.0, seed=2, inhibition=True))
    truth = tree["truth"]
    adjacency = truth["adjacency"].values
    assert truth["adjacency"].dims == ("target", "source")
    assert (np.diag(adjacency) == 0).all()
    outgoing = (adjacency != 0).sum(0)
    np.testing.assert_array_equal(outgoing, np.where(truth["hub"], 15, 0))
    assert sorted(np.unique(adjacency[:, outgoing > 0])) == [-3.0, 0.0, 1.8]
    assert (adjacency < 0).any(0).sum() == 2
    assert not ((adjacency != 0) & (adjacency != 0).T).any(), "no two cells drive each other"
    base = truth["network_base"].values
    inhibited = (adjacency < 0).any(1)
    np.testing.assert_array_equal(base, np.where(inhibited, 6.0, np.where(truth["hub"], 5.0, 2.0)))
    exciting = simulate(HubConfig(duration=1.0, seed=2))["truth"]["adjacency"].values
    np.testing.assert_array_equal(np.where(adjacency > 0, adjacency, 0.0), exciting)


def test_hubs_stand_anywhere() -> None:
    networks = [hub_network._network(HubConfig(seed=s)) for s in range(8)]
    places = np.concatenate([np.flatnonzero(network["network_hub"]) for network in networks])
    assert places.size == 24
    assert len(set(places.tolist())) > 12
    assert places.min() < 5 < 25 < places.max()


def test_targets_fire_more_after_a_hub_and_others_do_not(excited: xr.DataTree) -> None:
    adjacency = excited["truth"]["adjacency"]
    (hub,) = np.flatnonzero(excited["truth"]["hub"])
    spikes, expected = _after_a_spike(excited, hub)
    targets = adjacency.values[:, hub] > 0
    others = ~targets & (np.arange(24) != hub)
    pooled = spikes[targets].sum()
    assert pooled > 100
    # A bin holds one spike at most: the ratio of the probabilities is a little below that of the rates.
    rate = 3.0 * 0.01
    gain = -np.expm1(-np.exp(1.8) * rate) / -np.expm1(-rate)
    assert gain < np.exp(1.8)
    assert abs(pooled / expected[targets].sum() - gain) < 3 * gain / np.sqrt(pooled)
    z = (spikes[others].sum() - expected[others].sum()) / np.sqrt(expected[others].sum())
    assert abs(z) < 3


def test_targets_of_an_inhibiting_hub_fire_less() -> None:
    tree = simulate(HubConfig(**{**CLEAN, "hubs": 0}, inhibition=True, inhibitory_hubs=1))
    adjacency = tree["truth"]["adjacency"].values
    (hub,) = np.flatnonzero(tree["truth"]["hub"])
    spikes, expected = _after_a_spike(tree, hub)
    targets = adjacency[:, hub] < 0
    total = expected[targets].sum()
    assert total > 150
    assert abs(spikes[targets].sum() - np.exp(-3.0) * total) < 3 * np.sqrt(np.exp(-3.0) * total) + 3


def test_a_gated_hub_acts_in_state_one_only() -> None:
    tree = simulate(HubConfig(**CLEAN, gate=True))
    node = tree["behavior/state"]
    state = node["value"].values
    assert node["value"].attrs["kind"] == "categorical"
    assert set(state) == {0, 1}
    switches = np.abs(np.diff(state)).sum()
    assert abs(switches - 50) < 3 * np.sqrt(50), "dwells last 2 s on average"
    (hub,) = np.flatnonzero(tree["truth"]["hub"])
    targets = tree["truth"]["adjacency"].values[:, hub] > 0
    for value, gain in ((0, 1.0), (1, np.exp(1.8))):
        spikes, expected = (v[targets].sum() for v in _after_a_spike(tree, hub, state == value))
        assert abs(spikes - gain * expected) < 3 * np.sqrt(gain * expected) + 0.1 * gain * expected
    data = nk.recording.windows(tree, 0.01, length=0.05)
    np.testing.assert_array_equal(data["behavior_state"].values.ravel(), state)


def test_a_stimulus_moves_rates_by_its_loadings() -> None:
    tree = simulate(HubConfig(units=20, hubs=0, duration=80.0, base=8.0, stimulus=0.5))
    s = tree["behavior/stimulus"]["value"].values
    assert s.std() == pytest.approx(1.0, abs=0.15)
    assert np.corrcoef(s[:-20], s[20:])[0, 1] == pytest.approx(np.exp(-1.0), abs=0.1)  # 0.2 s later
    raster = _raster(tree)
    high, low = raster[s > 0.8].mean(0), raster[s < -0.8].mean(0)
    slope = np.log(high / low) / (s[s > 0.8].mean() - s[s < -0.8].mean())
    expected = 0.5 * tree["truth"]["network_loading"].values
    assert np.corrcoef(slope, expected)[0, 1] > 0.95
    assert np.polyfit(expected, slope, 1)[0] == pytest.approx(1.0, abs=0.1)


def test_half_of_the_cells_are_hidden_and_known_to_the_truth() -> None:
    whole, half = (
        simulate(HubConfig(units=20, hubs=2, duration=10.0, observed=share)) for share in (1.0, 0.5)
    )
    units = half["spikes"]["unit"].values
    assert units.size == 10
    truth = half["truth"]
    np.testing.assert_array_equal(truth["network_adjacency"], whole["truth"]["adjacency"])
    np.testing.assert_array_equal(
        truth["adjacency"], whole["truth"]["adjacency"].sel(target=units, source=units)
    )
    for dim in ("target", "source", "unit"):
        np.testing.assert_array_equal(truth[dim], units)
    raster = _raster(whole)
    np.testing.assert_array_equal(_raster(half), raster[:, units])
    assert truth.sizes["hidden_spike"] == raster.sum() - raster[:, units].sum()
    xr.testing.assert_allclose(oracle_log_likelihood(half), oracle_log_likelihood(whole).sel(unit=units))


def _by_hand(tree: xr.DataTree) -> np.ndarray:
    """The log-likelihood again, bin by bin and from each single spike, (bin, unit)."""
    truth, raster = tree["truth"], _raster(tree)
    adjacency, base = truth["network_adjacency"].values, truth["network_base"].values
    nats = np.zeros(raster.shape)
    for k in range(len(raster)):
        drive = np.zeros(raster.shape[1])
        for past in range(max(0, k - 100), k):
            drive += np.exp(-(k - past - 1) * 0.01 / 0.02) * (adjacency @ raster[past])
        if "behavior" in tree:
            drive *= tree["behavior/state"]["value"].values[k]
            drive += (
                0.7 * truth["network_loading"].values * float(tree["behavior/stimulus"]["value"].values[k])
            )
        silent = np.exp(-np.minimum(base * np.exp(drive), 40.0) * 0.01)
        nats[k] = np.log(np.where(raster[k] == 1, 1 - silent, silent))
    return nats


@pytest.mark.parametrize("more", [{}, {"gate": True, "stimulus": 0.7, "dwell": 0.5}])
def test_the_oracle_is_the_likelihood_of_the_spikes(more: dict[str, float]) -> None:
    tree = simulate(HubConfig(units=6, hubs=2, duration=4.0, base=8.0, cap=40.0, **more))
    found = oracle_log_likelihood(tree)
    assert found.dims == ("time", "unit")
    np.testing.assert_allclose(found, _by_hand(tree), rtol=1e-9)


def test_the_oracle_is_calibrated_and_beats_a_constant_rate(excited: xr.DataTree) -> None:
    """Under the truth, spikes less their probability have mean zero, whatever they are weighted by."""
    nats, raster = oracle_log_likelihood(excited).values, _raster(excited)
    p = np.where(raster == 1, np.exp(nats), -np.expm1(nats))
    mean = raster.mean(0)
    constant = np.where(raster == 1, np.log(mean), np.log1p(-mean))
    assert nats.sum() > constant.sum() + 50
    for weight in (np.ones_like(p), np.log(p)):
        z = (weight * (raster - p)).sum() / np.sqrt((weight**2 * p * (1 - p)).sum())
        assert abs(z) < 3.5


def test_rates_are_capped_and_finite() -> None:
    tree = simulate(HubConfig(units=4, hubs=1, duration=20.0, gain=400.0, base=20.0, hub_base=60.0))
    (hub,) = np.flatnonzero(tree["truth"]["hub"])
    target = int(np.flatnonzero(tree["truth"]["adjacency"].values[:, hub])[0])
    raster = _raster(tree)
    driven = raster[1:, target][raster[:-1, hub] == 1].mean()
    assert driven == pytest.approx(-np.expm1(-1.0), abs=0.06)  # 100 spikes/s
    assert np.isfinite(oracle_log_likelihood(tree)).all()


def test_settings_of_brian_and_numpys_generator_are_put_back() -> None:
    import brian2

    target, random_state = brian2.prefs["codegen.target"], np.random.get_state()  # noqa: NPY002
    brian2.prefs["codegen.target"] = "cython"
    try:
        simulate(HubConfig(units=6, duration=0.1, hubs=1))
        assert brian2.prefs["codegen.target"] == "cython"
    finally:
        brian2.prefs["codegen.target"] = target
    assert float(brian2.defaultclock.dt) == 1e-4
    for before, after in zip(random_state, np.random.get_state(), strict=True):  # noqa: NPY002
        np.testing.assert_array_equal(after, before)


@pytest.mark.slow
def test_nothing_of_brian_is_left(tmp_path: Path) -> None:
    """No log, no warning and no hook, not even after an error later on."""
    code = (
        "import sys\n"
        "from simulations.hub_network import HubConfig, simulate\n"
        "hook = sys.excepthook\n"
        "simulate(HubConfig(units=6, duration=1.0, hubs=1))\n"
        "assert sys.excepthook is hook\n"
        "raise RuntimeError('later')\n"
    )
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = {**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": str(ROOT)}
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert child.stderr.splitlines()[-1] == "RuntimeError: later"
    assert len(child.stderr.splitlines()) < 6, child.stderr
    assert child.stdout == ""
    assert list(scratch.iterdir()) == []


def test_without_brian_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "brian2", None)
    with pytest.raises(MissingExtraError, match=r'pip install "neurokit_snn\[brian\]"'):
        simulate(SMALL)


def test_the_command_writes_what_it_was_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "made" / "hubs.nk"
    words = ["--out", str(out), "--seed", "3", "--units", "20", "--duration", "5", "--inhibition"]
    words += ["--observed", "0.5", "--gate", "--stimulus", "0.5"]
    assert main(words) == 0
    assert "5 s, 10 units" in capsys.readouterr().out
    tree = nk.load(out)
    made = simulate(
        HubConfig(seed=3, units=20, duration=5.0, inhibition=True, observed=0.5, gate=True, stimulus=0.5)
    )
    assert_recordings_equal(tree, made)
    xr.testing.assert_identical(oracle_log_likelihood(tree), oracle_log_likelihood(made))
    with pytest.raises(nk.errors.ArtefactError):
        main(words)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"units": 0}, r"HubConfig\.units is 0; give a number above 0"),
        ({"tau": 0.0}, r"HubConfig\.tau is 0\.0; give a number above 0"),
        ({"stimulus": -1.0}, r"HubConfig\.stimulus is -1\.0; give 0 or more"),
        ({"inhibitory_gain": 1.0}, r"HubConfig\.inhibitory_gain is 1\.0; give 0 or less"),
        ({"duration": 0.001}, r"HubConfig\.duration is 0\.001 s"),
        ({"observed": 0.01}, r"HubConfig\.observed is 0\.01"),
        ({"observed": float("nan")}, r"HubConfig\.observed is nan"),
        ({"fraction": 1.5}, r"HubConfig\.fraction is 1\.5; give a share"),
        ({"fraction": 0.95}, "28 targets of each hub; 30 units with 3 hubs have room for 27"),
    ],
)
def test_config_names_the_field_that_is_wrong(changed: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        HubConfig(**changed)  # type: ignore[arg-type]


def test_the_oracle_refuses_what_is_not_whole() -> None:
    tree = simulate(SMALL)
    with pytest.raises(EvaluationError, match=r"7 units and \d+ spikes, not the 8"):
        oracle_log_likelihood(nk.recording.select_units(tree, list(range(7))))
    with pytest.raises(EvaluationError, match=r"8 units and \d+ spikes, not the 8 and"):
        oracle_log_likelihood(nk.recording.slice_time(tree, 0.0, 2.5))
    with pytest.raises(EvaluationError, match="no /truth/network_adjacency"):
        oracle_log_likelihood(nk.recording.build(spikes={"a": [0.1]}))
