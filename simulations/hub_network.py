"""Simulate a network with hubs in Brian2, and save the recording with its true adjacency.

``python -m simulations.hub_network --out out/hubs.nk --seed 0 --inhibition --observed 0.5``

A few cells, the hubs, excite half of the others; nothing else is connected. In each bin of ``step`` seconds a cell fires at
most once, with probability ``1 - exp(-rate step)``, and

    log rate_i(k) = log base_i + gate(k) sum_j A_ij f_j(k) + stimulus loading_i s(k),   rate <= cap,
    f_j(k) = sum over spikes of j in bins l < k of exp(-(k - l - 1) step / tau),

so that a spike of a hub multiplies the rates of its targets by ``exp(gain)`` in the next bin, and by less after that. It is
the kind of network in which Neuroformer (Antoniades et al., ICLR 2024) looks for hubs in its attention, and an exact GLM of
its own past: the likelihood under the truth is known (`oracle_log_likelihood`).

Hubs stand in an order and excite only hubs after them. Were two allowed to excite each other, one spike would call up more
than another, and the network would stay at ``cap`` for seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import xarray as xr
from scipy.signal import lfilter

import neurokit_snn as nk
from neurokit_snn._extras import require
from neurokit_snn.errors import ConfigError, EvaluationError

LEAST_LOG_RATE = -30.0
"""Log rates are cut off here below, far under what can be seen, so that nothing underflows."""

WIRING, STATE, STIMULUS, OBSERVED, SPIKES = range(5)
"""Streams of random numbers: what one option draws leaves the draws of the others as they are."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class HubConfig:
    """Parameters of the simulation, the reference network by default; times in seconds, rates in spikes/s.

    After a spike of an exciting hub its targets fire 9.1 bins' worth of spikes more, 0.18 spikes at a base of 2 spikes/s.
    Inhibition can take no more than there is: at a gain of -3, which leaves a twentieth of the rate in the first bin, a spike
    costs 3.9 bins' worth, which would be 0.08 spikes at that base. Targets of an inhibiting hub therefore have the base
    ``inhibited_base``, at which it costs them 0.23 spikes and is as plain to see as excitation.
    """

    units: int = 30
    hubs: int = 3
    fraction: float = 0.5  # of all cells that a hub drives
    duration: float = 400.0
    step: float = 0.01  # a bin, in which a cell fires at most once
    tau: float = 0.02  # of the exponential filter over past spikes
    gain: float = 1.8  # in log rate, of a spike of a hub in the bin before
    base: float = 2.0
    hub_base: float = 5.0
    cap: float = 100.0  # no rate is higher
    inhibition: bool = False  # whether there are inhibiting hubs beside the exciting ones
    inhibitory_hubs: int = 2
    inhibitory_gain: float = -3.0
    inhibited_base: float = 6.0  # of the targets of inhibiting hubs
    observed: float = 1.0  # share of the cells that the recording has
    gate: bool = False  # whether hubs act only while a state, the behaviour "state", is 1
    dwell: float = 2.0  # mean time in either state
    stimulus: float = 0.0  # log rate, sd over cells, that one sd of a hidden stimulus adds; 0 for none
    stimulus_tau: float = 0.2  # of the Ornstein-Uhlenbeck process that is the stimulus
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated, naming the field."""
        positive = ("base", "hub_base", "cap", "inhibited_base", "dwell", "stimulus_tau")
        for field in ("units", "step", "tau", *positive):
            if not getattr(self, field) > 0:
                raise ConfigError(f"HubConfig.{field} is {getattr(self, field)}; give a number above 0")
        for field in ("hubs", "seed", "stimulus", "gain", "inhibitory_hubs"):
            if not getattr(self, field) >= 0:
                raise ConfigError(f"HubConfig.{field} is {getattr(self, field)}; give 0 or more")
        if not self.inhibitory_gain <= 0:
            raise ConfigError(f"HubConfig.inhibitory_gain is {self.inhibitory_gain}; give 0 or less")
        if not self.duration >= self.step:
            raise ConfigError(f"HubConfig.duration is {self.duration} s; give at least one step")
        if not 0 < self.observed <= 1 or round(self.observed * self.units) < 1:
            raise ConfigError(
                f"HubConfig.observed is {self.observed}; give a share that keeps a unit, at most 1"
            )
        if not 0 <= self.fraction <= 1:
            raise ConfigError(f"HubConfig.fraction is {self.fraction}; give a share from 0 to 1")
        most = self.units - self.n_hubs
        if self.n_targets > most:
            raise ConfigError(
                f"HubConfig.fraction is {self.fraction}, {self.n_targets} targets of each hub; "
                f"{self.units} units with {self.n_hubs} hubs have room for {most}: give more units or a smaller fraction"
            )

    @property
    def n_hubs(self) -> int:
        """Hubs of both kinds."""
        return self.hubs + (self.inhibitory_hubs if self.inhibition else 0)

    @property
    def n_targets(self) -> int:
        """Targets of one hub."""
        return round(self.fraction * self.units)

    @property
    def n_bins(self) -> int:
        """Bins of the simulation."""
        return round(self.duration / self.step)


def simulate(config: HubConfig) -> xr.DataTree:
    """Simulate one recording; the same config gives the same bits.

    Returns
    -------
    recording
        ``/spikes``, each in the middle of its bin, so that bins of ``step`` seconds give the raster back; ``/epochs/simulation``;
        where asked for ``/behavior/state`` (categorical) and ``/behavior/stimulus`` (of unit variance), one sample a bin.
        Units are labelled 0 to n - 1, hubs at random places; the labels of cells that are not observed are left out.
        ``/truth`` has ``adjacency (target, source)``, the gain of each connection, and ``hub (unit)``. With the prefix
        ``network_`` it has the same, ``network_base`` and ``network_loading`` of all cells, observed or not; and the spikes
        of the others as ``hidden_time`` and ``hidden_unit (hidden_spike)``. The attributes are the config's.

    Raises
    ------
    MissingExtraError
        When Brian2 is not installed.

    Examples
    --------
    >>> tree = simulate(HubConfig(units=8, hubs=1, duration=5.0))
    >>> tree["truth"]["adjacency"].sizes, int((tree["truth"]["adjacency"] > 0).sum())
    (Frozen({'target': 8, 'source': 8}), 4)
    """
    network = _network(config)
    state, stimulus = _state(config), _stimulus(config)
    cell, bin_of_spike = _run(config, network, state, stimulus)
    rng = np.random.default_rng((config.seed, OBSERVED))
    seen = np.sort(rng.choice(config.units, round(config.observed * config.units), replace=False))
    time = (bin_of_spike + 0.5) * config.step
    behavior: dict[str, Any] = {}
    centre = (np.arange(config.n_bins) + 0.5) * config.step
    if config.gate:
        behavior["state"] = {"time": centre, "value": state.astype(np.int64), "kind": "categorical"}
    if config.stimulus > 0:
        behavior["stimulus"] = {"time": centre, "value": stimulus, "units": "1"}
    hidden = ~np.isin(cell, seen)
    truth = network.assign(
        adjacency=network["network_adjacency"]
        .sel(network_target=seen, network_source=seen)
        .rename(network_target="target", network_source="source"),
        hub=network["network_hub"].sel(network_unit=seen).rename(network_unit="unit"),
        hidden_time=("hidden_spike", time[hidden], {"units": "s"}),
        hidden_unit=("hidden_spike", cell[hidden]),
    )
    truth.attrs = {k: int(v) if isinstance(v, bool) else v for k, v in dataclasses.asdict(config).items()}
    truth.attrs["n_spikes"] = int((~hidden).sum())
    return nk.recording.build(
        spikes={int(unit): time[cell == unit] for unit in seen},
        epochs={"simulation": np.array([[0.0, config.n_bins * config.step]])},
        behavior=behavior,
        truth=truth,
        session_id="hub-network",
        subject="simulated",
        source="simulations.hub_network",
        licence="BSD-3-Clause",
        citation="After the simulated hubs of Antoniades et al., Neuroformer, ICLR (2024)",
    )


def oracle_log_likelihood(recording: xr.DataTree) -> xr.DataArray:
    """Log-likelihood of each bin of each unit under what made it, which no model can beat in expectation.

    A bin is given everything before it, hidden cells' spikes included, and the behaviours in it.

    Parameters
    ----------
    recording
        What `simulate` returned, whole: neither cut in time nor with units taken out.

    Returns
    -------
    DataArray, (time, unit)
        Nats; ``time`` are the centres of the bins of ``step`` seconds.

    Raises
    ------
    EvaluationError
        When it is another recording, or spikes or units of it are missing.

    Examples
    --------
    >>> tree = simulate(HubConfig(units=8, hubs=1, duration=5.0))
    >>> oracle_log_likelihood(tree).shape
    (500, 8)
    """
    if "truth" not in recording or "network_adjacency" not in recording["truth"]:
        raise EvaluationError(
            "oracle_log_likelihood: the recording has no /truth/network_adjacency; give what simulate returned"
        )
    truth = recording["truth"].to_dataset()
    config = HubConfig(**{f.name: truth.attrs[f.name] for f in dataclasses.fields(HubConfig)})
    raster = _raster(recording, truth, config)
    decay = np.exp(-config.step / config.tau)
    filtered = lfilter([0.0, 1.0], [1.0, -decay], raster.astype(float), axis=0)  # (bin, cell)
    drive = filtered @ truth["network_adjacency"].values.T
    if config.gate:
        drive *= recording["behavior/state"].to_dataset()["value"].values[:, None]
    if config.stimulus > 0:
        s = recording["behavior/stimulus"].to_dataset()["value"].values
        drive += config.stimulus * s[:, None] * truth["network_loading"].values
    log_rate = np.clip(np.log(truth["network_base"].values) + drive, LEAST_LOG_RATE, np.log(config.cap))
    expected = np.exp(log_rate) * config.step
    nats = np.where(raster, np.log(-np.expm1(-expected)), -expected)
    units = truth["unit"].values
    return xr.DataArray(
        nats[:, units],
        dims=("time", "unit"),
        coords={"time": (np.arange(config.n_bins) + 0.5) * config.step, "unit": units},
        name="log_likelihood",
        attrs={"units": "nats", "bin_width": config.step, "space": "binary"},
    )


def _raster(recording: xr.DataTree, truth: xr.Dataset, config: HubConfig) -> np.ndarray:
    """Which bins of which cells of the whole network hold a spike, ``(bin, cell)``."""
    spikes = recording["spikes"].to_dataset()
    found = spikes.sizes["unit"], spikes.sizes["spike"]
    made = truth.sizes["unit"], truth.attrs["n_spikes"]
    if found != made or (spikes["unit"].values != truth["unit"].values).any():
        raise EvaluationError(
            f"oracle_log_likelihood: the recording has {found[0]} units and {found[1]} spikes, not the {made[0]} and "
            f"{made[1]} that were simulated; give it whole"
        )
    raster = np.zeros((config.n_bins, config.units), dtype=bool)
    seen = np.repeat(truth["unit"].values, spikes["row_size"].values)
    raster[np.floor(spikes["time"].values / config.step).astype(int), seen] = True
    hidden = np.floor(truth["hidden_time"].values / config.step).astype(int)
    raster[hidden, truth["hidden_unit"].values] = True
    return raster


# ---- what is drawn before the run ----------------------------------------------------------------------------------


def _network(config: HubConfig) -> xr.Dataset:
    """Who drives whom, and how fast each cell fires on its own."""
    rng = np.random.default_rng((config.seed, WIRING))
    order = rng.permutation(config.units)
    hubs = order[: config.n_hubs]
    adjacency = np.zeros((config.units, config.units))  # (target, source)
    base = np.full(config.units, config.base)
    base[hubs] = config.hub_base
    for rank, hub in enumerate(hubs):
        excites = rank < config.hubs
        allowed = np.setdiff1d(np.arange(config.units), hubs[: rank + 1])  # never itself, nor a hub before it
        targets = rng.choice(allowed, config.n_targets, replace=False)
        adjacency[targets, hub] = config.gain if excites else config.inhibitory_gain
        if not excites:
            base[targets] = np.maximum(base[targets], config.inhibited_base)
    other = np.random.default_rng((config.seed, STIMULUS, 1))
    loading = other.uniform(-np.sqrt(3), np.sqrt(3), config.units)  # of unit variance
    cells = np.arange(config.units)
    return xr.Dataset(
        {
            "network_adjacency": (("network_target", "network_source"), adjacency),
            "network_hub": ("network_unit", np.isin(cells, hubs)),
            "network_base": ("network_unit", base, {"units": "spikes/s"}),
            "network_loading": ("network_unit", loading),
        },
        coords={"network_target": cells, "network_source": cells, "network_unit": cells},
    )


def _state(config: HubConfig) -> np.ndarray:
    """The gate in each bin: a random telegraph of 0 and 1, or always 1."""
    if not config.gate:
        return np.ones(config.n_bins, dtype=bool)
    rng = np.random.default_rng((config.seed, STATE))
    flips = rng.random(config.n_bins) < -np.expm1(-config.step / config.dwell)
    return (np.cumsum(flips) + rng.integers(2)) % 2 == 1


def _stimulus(config: HubConfig) -> np.ndarray:
    """An Ornstein-Uhlenbeck process of unit variance in each bin, stationary from the first."""
    rng = np.random.default_rng((config.seed, STIMULUS, 0))
    decay = np.exp(-config.step / config.stimulus_tau)
    noise = rng.normal(size=config.n_bins)
    noise[1:] *= np.sqrt(1.0 - decay**2)
    return np.asarray(lfilter([1.0], [1.0, -decay], noise))


# ---- the run -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _brian() -> Iterator[ModuleType]:
    """Brian2 on its runtime device with numpy, which needs no compiler; its settings and numpy's generator are put back."""
    with warnings.catch_warnings():
        # Brian 2.9 uses names that pyparsing has renamed.
        warnings.simplefilter("ignore", DeprecationWarning)
        # Importing it puts a hook in place by which any later error leaves log files behind.
        hook = sys.excepthook
        brian2 = require("brian2", extra="brian")
        sys.excepthook = hook
        devices = require("brian2.devices.device", extra="brian")
        target = brian2.prefs["codegen.target"]
        brian2.set_device("runtime")
        random_state = brian2.get_device().get_random_state()
        brian2.prefs["codegen.target"] = "numpy"
        try:
            yield brian2
        finally:
            brian2.get_device().set_random_state(random_state)
            brian2.prefs["codegen.target"] = target
            devices.reset_device()


def _run(
    config: HubConfig, network: xr.Dataset, state: np.ndarray, stimulus: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Cell and bin of each spike, in order of time."""
    terms = "log_base + gate(t) * drive" if config.gate else "log_base + drive"
    if config.stimulus > 0:
        terms += " + loading * stimulus(t)"
    adjacency = network["network_adjacency"].values
    targets, sources = np.nonzero(adjacency)
    with _brian() as b:
        step = config.step * b.second
        clock = b.Clock(dt=step)
        names = {
            "tau": config.tau * b.second,
            "least": LEAST_LOG_RATE,
            "most": np.log(config.cap),
            "gate": b.TimedArray(state.astype(float), dt=step),
            "stimulus": b.TimedArray(config.stimulus * stimulus, dt=step),
        }
        equations = f"""
            ddrive/dt = -drive / tau : 1
            rate = exp(clip({terms}, least, most)) * Hz : Hz
            log_base : 1 (constant)
            loading : 1 (constant)
        """
        fires = "rand() < 1 - exp(-rate * dt)"
        cells = b.NeuronGroup(
            config.units, equations, threshold=fires, method="exact", clock=clock, namespace=names
        )
        cells.log_base = np.log(network["network_base"].values)
        cells.loading = network["network_loading"].values
        wires = b.Synapses(cells, cells, "weight : 1 (constant)", on_pre="drive_post += weight", clock=clock)
        if targets.size:
            wires.connect(i=sources, j=targets)
            wires.weight = adjacency[targets, sources]
        else:
            wires.active = False
        monitor = b.SpikeMonitor(cells)
        run = b.Network(cells, wires, monitor)
        # Thresholds come before the filter decays, so that a spike acts in full in the bin after it.
        run.schedule = ["start", "thresholds", "groups", "synapses", "resets", "end"]
        b.seed(int(np.random.SeedSequence((config.seed, SPIKES)).generate_state(1)[0]))
        run.run(config.n_bins * step, namespace={})
        cell = np.array(monitor.i, dtype=np.int64)
        return cell, np.rint(np.asarray(monitor.t) / config.step).astype(np.int64)


def main(words: Sequence[str] | None = None) -> int:
    """Simulate, save, and say what was made."""
    defaults = HubConfig()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/hub-network.nk"), help="artefact to write")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--units", type=int, default=defaults.units)
    parser.add_argument("--duration", type=float, default=defaults.duration, help="seconds")
    parser.add_argument("--inhibition", action="store_true", help="add hubs that inhibit")
    parser.add_argument("--observed", type=float, default=defaults.observed, help="share of cells recorded")
    parser.add_argument("--gate", action="store_true", help="let hubs act only while a behaviour is 1")
    parser.add_argument("--stimulus", type=float, default=defaults.stimulus, help="log rate for one sd of it")
    parser.add_argument("--overwrite", action="store_true", help="replace what stands at --out")
    options = vars(parser.parse_args(words))
    out, overwrite = options.pop("out"), options.pop("overwrite")
    config = HubConfig(**options)
    recording = simulate(config)
    out.parent.mkdir(parents=True, exist_ok=True)
    nk.save(recording, out, overwrite=overwrite)
    sizes = recording["spikes"].sizes
    print(f"{out}: {config.duration:g} s, {sizes['unit']} units, {sizes['spike']} spikes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
