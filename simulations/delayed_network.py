"""Simulate a network whose every connection has a delay of its own, and save the recording with the delays that were planted.

``python -m simulations.delayed_network --out out/delays.nk --seed 0 --units 12 --duration 120``

Cells are leaky membranes that fire at random, the faster the higher they stand (escape noise; Gerstner et al., Neuronal Dynamics,
2014, chapter 9). In each bin of ``step`` seconds cell i fires at most once, with probability ``1 - exp(-rate step)``, and

    rate_i(k) = min(base_i exp(v_i(k)), cap),
    v_i(k) = beta v_i(k-1) + sum_j W_ij s_j(k - D_ij) - reset s_i(k-1),    beta = 1 - step / tau,

with whole delays of at least one bin: a spike of j changes the log rate of i by ``W_ij`` first in the bin ``D_ij`` later. It is a
GLM of the delayed past and a spiking network at once: the likelihood is known (`oracle_log_likelihood`), and smooth in all but
the delays. A cell excites or inhibits all of its targets, and weights differ, so that some delays are plain to see and some are
not: what an interval of a delay has to tell.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from scipy.signal import lfilter

import neurokit_snn as nk
from neurokit_snn.errors import ConfigError, EvaluationError

WIRING, SPIKES = range(2)
"""Streams of random numbers: the network stays the same when it is run for longer."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DelayConfig:
    """Parameters of the simulation; times in seconds, rates in spikes/s, weights in log rate."""

    units: int = 12
    sources: int = 4  # of each cell
    shortest: float = 0.005  # delay
    longest: float = 0.06
    weight: float = 0.4  # mean size; sizes are even between half and one and a half of it
    inhibitory: float = 0.25  # share of the cells that inhibit
    base: float = 8.0
    reset: float = 2.0  # by which a spike lowers the cell's own log rate
    tau: float = 0.01  # of the membrane
    cap: float = 150.0  # no rate is higher
    duration: float = 120.0
    step: float = 0.005  # a bin, in which a cell fires at most once
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated, naming the field."""
        for field in ("units", "sources", "seed"):
            if not isinstance(getattr(self, field), int | np.integer):
                raise ConfigError(f"DelayConfig.{field} is {getattr(self, field)}; give a whole number")
        for field in ("units", "weight", "base", "cap", "step"):
            if not getattr(self, field) > 0:
                raise ConfigError(f"DelayConfig.{field} is {getattr(self, field)}; give a number above 0")
        for field in ("sources", "reset", "seed"):
            if not getattr(self, field) >= 0:
                raise ConfigError(f"DelayConfig.{field} is {getattr(self, field)}; give 0 or more")
        if not self.sources < self.units:
            raise ConfigError(
                f"DelayConfig.sources is {self.sources}, and a cell has {self.units - 1} others; give more units"
            )
        if not 0 <= self.inhibitory <= 1:
            raise ConfigError(f"DelayConfig.inhibitory is {self.inhibitory}; give a share from 0 to 1")
        for field in ("tau", "duration"):
            if not getattr(self, field) >= self.step:
                raise ConfigError(f"DelayConfig.{field} is {getattr(self, field)} s; give at least one step")
        if not 1 <= self.delays[0] <= self.delays[1]:
            raise ConfigError(
                f"DelayConfig.shortest is {self.shortest} s and longest {self.longest} s; give at least one step "
                f"({self.step} s), and no shorter longest"
            )

    @property
    def delays(self) -> tuple[int, int]:
        """Shortest and longest delay, bins."""
        return round(self.shortest / self.step), round(self.longest / self.step)

    @property
    def n_bins(self) -> int:
        """Bins of the simulation."""
        return round(self.duration / self.step)

    @property
    def beta(self) -> float:
        """What is left of a membrane after a bin."""
        return 1.0 - self.step / self.tau


def simulate(config: DelayConfig) -> xr.DataTree:
    """Simulate one recording; the same config gives the same bits.

    Returns
    -------
    recording
        ``/spikes``, each in the middle of its bin, so that bins of ``step`` seconds give the raster back, of units labelled 0 to
        n - 1; ``/epochs/simulation``; ``/truth`` with ``weight`` (log rate, 0 where there is no connection) and ``delay`` (s, NaN
        there), ``(target, source)``, ``base (unit)`` in spikes/s, and the config as attributes.

    Examples
    --------
    >>> tree = simulate(DelayConfig(units=5, sources=2, duration=5.0))
    >>> delay = tree["truth"]["delay"]
    >>> delay.dims, int(delay.notnull().sum())
    (('target', 'source'), 10)
    """
    truth = _network(config)
    raster = _run(config, truth["weight"].values, truth["delay"].values, truth["base"].values)
    time = (np.arange(config.n_bins) + 0.5) * config.step
    truth.attrs = dataclasses.asdict(config) | {"n_spikes": int(raster.sum())}
    return nk.recording.build(
        spikes={unit: time[raster[:, unit]] for unit in range(config.units)},
        epochs={"simulation": np.array([[0.0, config.n_bins * config.step]])},
        truth=truth,
        session_id="delayed-network",
        subject="simulated",
        source="simulations.delayed_network",
        licence="BSD-3-Clause",
        citation="neurokit_snn, simulations.delayed_network",
    )


def oracle_log_likelihood(recording: xr.DataTree) -> xr.DataArray:
    """Log-likelihood of each bin of each unit under what made it, given all spikes before: no model beats it in expectation.

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
    >>> tree = simulate(DelayConfig(units=5, sources=2, duration=5.0))
    >>> oracle_log_likelihood(tree).shape
    (1000, 5)
    """
    who = "oracle_log_likelihood"
    if "truth" not in recording or "delay" not in recording["truth"]:
        raise EvaluationError(f"{who}: the recording has no /truth/delay; give what simulate returned")
    truth, spikes = recording["truth"].to_dataset(), recording["spikes"].to_dataset()
    config = DelayConfig(**{f.name: truth.attrs[f.name] for f in dataclasses.fields(DelayConfig)})
    found = spikes.sizes["unit"], spikes.sizes["spike"]
    if found != (config.units, truth.attrs["n_spikes"]):
        raise EvaluationError(
            f"{who}: the recording has {found[0]} units and {found[1]} spikes, not the {config.units} and "
            f"{truth.attrs['n_spikes']} that were simulated; give it whole"
        )
    raster = np.zeros((config.n_bins, config.units), dtype=bool)
    cell = np.repeat(np.arange(config.units), spikes["row_size"].values)
    raster[np.floor(spikes["time"].values / config.step).astype(int), cell] = True
    expected = _expected(config, raster, truth)
    return xr.DataArray(
        np.where(raster, np.log(-np.expm1(-expected)), -expected),
        dims=("time", "unit"),
        coords={"time": (np.arange(config.n_bins) + 0.5) * config.step, "unit": spikes["unit"].values},
        name="log_likelihood",
        attrs={"units": "nats", "bin_width": config.step, "space": "binary"},
    )


def _expected(config: DelayConfig, raster: np.ndarray, truth: xr.Dataset) -> np.ndarray:
    """Expected spikes ``rate * step`` of each bin given the raster before it, ``(bin, unit)``."""
    padded = np.concatenate([np.zeros((config.delays[1], config.units)), raster])  # silence before the start
    weight, delay = truth["weight"].values, truth["delay"].values
    given = np.zeros(raster.shape)
    given[1:] -= config.reset * raster[:-1]
    for target, source in np.argwhere(weight != 0):
        first = config.delays[1] - round(delay[target, source] / config.step)
        given[:, target] += weight[target, source] * padded[first : first + config.n_bins, source]
    membrane = lfilter([1.0], [1.0, -config.beta], given, axis=0)
    rate = np.minimum(truth["base"].values * np.exp(membrane), config.cap)
    return np.asarray(rate * config.step)


def _network(config: DelayConfig) -> xr.Dataset:
    """Who drives whom, how strongly and after how long."""
    rng = np.random.default_rng((config.seed, WIRING))
    n = config.units
    inhibits = rng.permutation(n) < round(config.inhibitory * n)
    weight, delay = np.zeros((n, n)), np.full((n, n), np.nan)  # (target, source)
    for target in range(n):
        sources = rng.choice(np.delete(np.arange(n), target), config.sources, replace=False)
        sizes = config.weight * rng.uniform(0.5, 1.5, config.sources)
        weight[target, sources] = np.where(inhibits[sources], -sizes, sizes)
        shortest, longest = config.delays
        delay[target, sources] = rng.integers(shortest, longest + 1, config.sources) * config.step
    base = config.base * rng.uniform(0.75, 1.25, n)
    cells = np.arange(n)
    return xr.Dataset(
        {
            "weight": (("target", "source"), weight, {"units": "log rate"}),
            "delay": (("target", "source"), delay, {"units": "s"}),
            "base": ("unit", base, {"units": "spikes/s"}),
        },
        coords={"target": cells, "source": cells, "unit": cells},
    )


def _run(config: DelayConfig, weight: np.ndarray, delay: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Which bins of which cells hold a spike, ``(bin, cell)``."""
    rng = np.random.default_rng((config.seed, SPIKES))
    longest = config.delays[1]
    lag = np.rint(np.nan_to_num(delay) / config.step).astype(int)
    by_lag = np.zeros((longest + 1, config.units, config.units))  # (lag, source, target)
    target, source = np.nonzero(weight)
    by_lag[lag[target, source], source, target] = weight[target, source]
    by_lag[1, np.arange(config.units), np.arange(config.units)] = -config.reset
    coming = np.zeros(
        (longest + 1, config.units)
    )  # what is on its way; a row is due when its turn comes round
    raster = np.zeros((config.n_bins, config.units), dtype=bool)
    membrane = np.zeros(config.units)
    ahead = np.arange(longest + 1)
    for k in range(config.n_bins):
        now = k % (longest + 1)
        membrane = config.beta * membrane + coming[now]
        coming[now] = 0.0
        rate = np.minimum(base * np.exp(membrane), config.cap)
        raster[k] = rng.random(config.units) < -np.expm1(-rate * config.step)
        if raster[k].any():
            coming[(now + ahead) % (longest + 1)] += by_lag[:, raster[k]].sum(1)
    return raster


def main(words: Sequence[str] | None = None) -> int:
    """Simulate, save, and say what was made."""
    defaults = DelayConfig()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/delayed-network.nk"), help="artefact to write")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--units", type=int, default=defaults.units)
    parser.add_argument("--sources", type=int, default=defaults.sources, help="of each cell")
    parser.add_argument("--longest", type=float, default=defaults.longest, help="delay, seconds")
    parser.add_argument("--weight", type=float, default=defaults.weight, help="mean size, log rate")
    parser.add_argument("--duration", type=float, default=defaults.duration, help="seconds")
    parser.add_argument("--overwrite", action="store_true", help="replace what stands at --out")
    options = vars(parser.parse_args(words))
    out, overwrite = options.pop("out"), options.pop("overwrite")
    recording = simulate(DelayConfig(**options))
    out.parent.mkdir(parents=True, exist_ok=True)
    nk.save(recording, out, overwrite=overwrite)
    sizes = recording["spikes"].sizes
    print(f"{out}: {options['duration']:g} s, {sizes['unit']} units, {sizes['spike']} spikes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
