"""Simulate a large population in which every unit has several fields of one behaviour, and save the recording.

``python -m simulations.many_fields --out out/many-fields.nk --seed 0 --units 400 --fields 3``

The behaviour x is a place on a track of length 1, visited evenly: the normal distribution function of an Ornstein-Uhlenbeck
process. In each bin of ``step`` seconds unit i fires at most once, with probability ``1 - exp(-rate step)``, and

    rate_i(x) = base + peak sum_f exp(-(x - c_if)^2 / (2 width^2)),

where the centres ``c_if`` are spread evenly over the track in every round of fields, and dealt out anew to the units. So all
places call up the same number of spikes; one spike says little of x, and a unit fires rarely: which units belong together has to
be learned from the spikes of all, and a short stretch in which x is known is too short for it. Populations of mixed
selectivity, in calcium imaging above all, are like that.
"""

from __future__ import annotations

import argparse
import dataclasses
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from scipy.signal import lfilter
from scipy.special import ndtr

import neurokit_snn as nk
from neurokit_snn.errors import ConfigError, UnitsWarning

FIELDS, BEHAVIOR, SPIKES = range(3)
"""Streams of random numbers: what one draws leaves the draws of the others as they are."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FieldsConfig:
    """Parameters of the simulation; times in seconds, rates in spikes/s, widths in tracks."""

    units: int = 400
    fields: int = 3  # of every unit
    width: float = 0.05  # standard deviation of a field
    base: float = 0.03
    peak: float = 1.0  # of one field
    tau: float = 1.5  # of the process behind the behaviour
    duration: float = 320.0
    step: float = 0.02  # a bin, in which a unit fires at most once
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated, naming the field."""
        for field in ("units", "fields", "width", "peak", "tau", "step"):
            if not getattr(self, field) > 0:
                raise ConfigError(f"FieldsConfig.{field} is {getattr(self, field)}; give a number above 0")
        for field in ("base", "seed"):
            if not getattr(self, field) >= 0:
                raise ConfigError(f"FieldsConfig.{field} is {getattr(self, field)}; give 0 or more")
        if not self.duration >= self.step:
            raise ConfigError(f"FieldsConfig.duration is {self.duration} s; give at least one step")


def simulate(config: FieldsConfig) -> xr.DataTree:
    """Simulate one recording; the same config gives the same bits.

    Returns
    -------
    recording
        ``/spikes``, each in the middle of its bin; ``/behavior/x``, one sample a bin; ``/epochs/simulation``; ``/truth`` with
        the centres of the fields, ``centre (unit, field)``, and the config as attributes.

    Examples
    --------
    >>> tree = simulate(FieldsConfig(units=5, fields=2, duration=10.0))
    >>> dict(tree["truth"].sizes), tree["behavior/x"].sizes["time"]
    ({'unit': 5, 'field': 2}, 500)
    """
    n_bins = round(config.duration / config.step)
    deal = np.random.default_rng((config.seed, FIELDS))
    ranks = np.stack([deal.permutation(config.units) for _ in range(config.fields)], 1)  # (unit, field)
    centre = (ranks + 0.5) / config.units
    decay = np.exp(-config.step / config.tau)
    noise = np.random.default_rng((config.seed, BEHAVIOR)).normal(size=n_bins)
    noise[1:] *= np.sqrt(1.0 - decay**2)
    x = ndtr(lfilter([1.0], [1.0, -decay], noise))
    draws = np.random.default_rng((config.seed, SPIKES))
    fired = np.empty((n_bins, config.units), dtype=bool)
    for unit in range(config.units):
        rate = config.base + config.peak * np.exp(
            -0.5 * ((x[:, None] - centre[unit]) / config.width) ** 2
        ).sum(1)
        fired[:, unit] = draws.random(n_bins) < -np.expm1(-rate * config.step)
    truth = xr.Dataset({"centre": (("unit", "field"), centre)}, coords={"unit": np.arange(config.units)})
    truth.attrs = dataclasses.asdict(config)
    with warnings.catch_warnings():
        # Units that fire so rarely look as if their spikes were given in milliseconds.
        warnings.simplefilter("ignore", UnitsWarning)
        return _recording(config, x, fired, truth)


def _recording(config: FieldsConfig, x: np.ndarray, fired: np.ndarray, truth: xr.Dataset) -> xr.DataTree:
    n_bins, time = x.size, (np.arange(x.size) + 0.5) * config.step
    return nk.recording.build(
        spikes={unit: time[fired[:, unit]] for unit in range(config.units)},
        epochs={"simulation": np.array([[0.0, n_bins * config.step]])},
        behavior={"x": {"time": time, "value": x, "units": "1"}},
        truth=truth,
        session_id="many-fields",
        subject="simulated",
        source="simulations.many_fields",
        licence="BSD-3-Clause",
        citation="neurokit_snn, simulations.many_fields",
    )


def main(words: Sequence[str] | None = None) -> int:
    """Simulate, save, and say what was made."""
    defaults = FieldsConfig()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/many-fields.nk"), help="artefact to write")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--units", type=int, default=defaults.units)
    parser.add_argument("--fields", type=int, default=defaults.fields, help="fields of every unit")
    parser.add_argument("--duration", type=float, default=defaults.duration, help="seconds")
    parser.add_argument("--overwrite", action="store_true", help="replace what stands at --out")
    options = vars(parser.parse_args(words))
    out, overwrite = options.pop("out"), options.pop("overwrite")
    recording = simulate(FieldsConfig(**options))
    out.parent.mkdir(parents=True, exist_ok=True)
    nk.save(recording, out, overwrite=overwrite)
    sizes = recording["spikes"].sizes
    print(f"{out}: {options['duration']:g} s, {sizes['unit']} units, {sizes['spike']} spikes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
