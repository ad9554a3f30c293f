"""GPFA of elephant on binned data: latents, and rates of held-out units read out of them by Poisson regression.

Elephant (Denker et al.; its GPFA follows Yu et al. 2009, J. Neurophysiol. 102:614) models square roots of counts as
Gaussian and predicts no counts. For co-smoothing its latents of the held-in units are therefore read out as users of it
do: one Poisson regression for each held-out unit, learnt on the training trials.

Elephant is a peer (``make peers``) and is imported inside functions, so that a benchmark can time the import.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from neurokit_snn.models.conditioning import held_out
from neurokit_snn.models.covariates import counts_and_mask
from neurokit_snn.models.poisson_regression import LOG_RATE_LIMIT, PoissonDesign, newton

READOUT_STRENGTH = 1.0
"""Prior precision of the readout; the latents have a prior variance of about 1 and the trials number thousands of bins."""

Trains = list[list[Any]]
"""For each trial the neo.SpikeTrain of each unit, as elephant wants them."""


def spike_trains(data: xr.Dataset, units: np.ndarray | None = None) -> Trains:
    """Spike trains that elephant bins back to exactly the counts of binned data.

    The ``c`` spikes of a bin are spread evenly within it, away from its edges. A trial ends with its last valid bin, and all
    units must be valid up to there: elephant knows no missing bins. The result is binned by elephant and compared.

    Parameters
    ----------
    data
        Binned dataset.
    units
        Bool ``(unit,)``, which units to take; None for all.

    Raises
    ------
    ValueError
        When a trial has a gap, or no valid bin, or elephant counts otherwise than the data.
    """
    import neo
    import quantities as pq
    from elephant.conversion import BinnedSpikeTrain

    counts, mask = counts_and_mask(data, "spike_trains")
    if units is not None:
        counts, mask = counts[..., units], mask[..., units]
    width = float(data.attrs["bin_width"])
    trains: Trains = []
    for trial, (values, valid) in enumerate(zip(counts.astype(np.int64), mask, strict=True)):
        n_bins = _valid_bins(valid, trial)
        values = values[:n_bins]
        times = [_times(values[:, unit], width) for unit in range(values.shape[1])]
        made = [neo.SpikeTrain(t * pq.s, t_start=0.0 * pq.s, t_stop=n_bins * width * pq.s) for t in times]
        with _quiet():
            binned = BinnedSpikeTrain(made, bin_size=width * pq.s).to_array()
        if not np.array_equal(binned, values.T):
            raise ValueError(
                f"trial {trial}: elephant counts {binned.sum()} spikes in {binned.shape[1]} bins, "
                f"the data {values.sum()} in {n_bins}, or places them elsewhere"
            )
        trains.append(made)
    return trains


def _valid_bins(valid: np.ndarray, trial: int) -> int:
    """How many bins a trial has, all units alike; ``valid`` is ``(time, unit)``."""
    n_bins = int(valid.any(1).sum())
    if n_bins == 0 or not valid[:n_bins].all():
        raise ValueError(
            f"trial {trial}: bins are missing; elephant's GPFA needs trials that are whole to their end"
        )
    return n_bins


def _times(counts: np.ndarray, width: float) -> np.ndarray:
    """Seconds of the spikes of one unit in one trial from its counts ``(time,)``."""
    bins = np.repeat(np.arange(counts.size), counts)
    first = np.cumsum(counts) - counts
    place = (np.arange(bins.size) - first[bins] + 0.5) / counts[bins]
    return np.asarray((bins + place) * width)


@dataclass(frozen=True)
class ElephantGPFA:
    """A fitted GPFA of elephant.

    Parameters
    ----------
    model
        The ``elephant.gpfa.GPFA``.
    steps
        Steps of EM that were run.
    seconds_per_step
        Of each step, by elephant's own clock.
    """

    model: Any
    steps: int
    seconds_per_step: tuple[float, ...]

    def transform(self, trains: Trains) -> list[np.ndarray]:
        """Posterior means of the latents of each trial, ``(time, latent)``."""
        with _quiet():
            found = self.model.transform(trains, returned_data=["latent_variable"])
        return [np.asarray(values, dtype=np.float64).T for values in found]


def fit(trains: Trains, *, bin_width: float, latents: int, steps: int, seed: int = 0) -> ElephantGPFA:
    """Run EM from elephant's own start (factor analysis, time constants of 100 ms) and with its own tolerance.

    Parameters
    ----------
    trains
        From `spike_trains`.
    bin_width
        Seconds.
    latents
        How many.
    steps
        Most steps of EM; elephant stops earlier where its likelihood no longer grows.
    seed
        Of numpy's global generator, from which elephant draws the overlaps of the segments it cuts trials into. The state
        of the generator is put back.
    """
    import quantities as pq
    from elephant.gpfa import GPFA

    model = GPFA(bin_size=bin_width * pq.s, x_dim=latents, em_max_iters=steps)
    state = np.random.get_state()  # noqa: NPY002 (elephant draws from there)
    np.random.seed(seed)  # noqa: NPY002
    try:
        with _quiet():
            model.fit(trains)
    finally:
        np.random.set_state(state)  # noqa: NPY002
    took = tuple(float(t) for t in model.fit_info["iteration_time"])
    return ElephantGPFA(model=model, steps=len(took), seconds_per_step=took)


@contextlib.contextmanager
def _quiet() -> Any:
    """Elephant prints its progress, and warns of floors and of names that its dependencies will drop."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def readout(
    train_latents: Sequence[np.ndarray], train_counts: np.ndarray, test_latents: Sequence[np.ndarray]
) -> np.ndarray:
    """Poisson regression from latents to units, learnt on training trials, applied to test trials.

    Parameters
    ----------
    train_latents, test_latents
        For each trial ``(time, latent)``.
    train_counts
        ``(bin, unit)``, the bins of all training trials one after the other.

    Returns
    -------
    ndarray, (bin, unit)
        Spikes a bin, the bins of all test trials one after the other.
    """
    seen, unseen = (_design(np.concatenate(parts)) for parts in (train_latents, test_latents))
    precision = np.full(seen.n_features, READOUT_STRENGTH)
    precision[0] = 0.0
    weights = newton(seen, train_counts, None, precision=precision, who="readout of elephant's GPFA")
    return np.exp(np.minimum(unseen.predictor(weights), LOG_RATE_LIMIT))


def _design(latents: np.ndarray) -> PoissonDesign:
    return PoissonDesign(np.column_stack([np.ones(len(latents)), latents]))


def held_out_counts(data: xr.Dataset) -> np.ndarray:
    """Counts of the held-out units, ``(bin, unit)``, the bins of all trials one after the other."""
    counts, mask = counts_and_mask(data, "held_out_counts")
    there = mask.any(-1)
    return np.asarray(counts[there][:, held_out(data)])


def rates(data: xr.Dataset, per_bin: np.ndarray) -> xr.DataArray:
    """Spikes a bin of the held-out units as the rate (spikes/s) that ``nk.evaluate.score`` takes, NaN after a trial's end."""
    chosen = held_out(data)
    there = counts_and_mask(data, "rates")[1].any(-1)
    values = np.full((*there.shape, int(chosen.sum())), np.nan)
    values[there] = per_bin / float(data.attrs["bin_width"])
    coords = {"trial": data["trial"].values, "time": data["time"].values, "unit": data["unit"].values[chosen]}
    return xr.DataArray(values, dims=("trial", "time", "unit"), coords=coords, name="rate")


def cosmooth(
    train: xr.Dataset, test: xr.Dataset, *, latents: int, steps: int = 100, seed: int = 0
) -> xr.DataArray:
    """Rates of the held-out units of test trials, ``(trial, time, unit)`` in spikes/s."""
    chosen = ~held_out(train)
    seen, unseen = spike_trains(train, chosen), spike_trains(test, chosen)
    fitted = fit(seen, bin_width=float(train.attrs["bin_width"]), latents=latents, steps=steps, seed=seed)
    return rates(test, readout(fitted.transform(seen), held_out_counts(train), fitted.transform(unseen)))


def latents_of(
    train: xr.Dataset,
    *others: xr.Dataset,
    latents: int,
    steps: int = 100,
    seed: int = 0,
    units: np.ndarray | None = None,
) -> list[xr.Dataset]:
    """Latents after a fit to training trials, in the layout of ``model.latents``.

    Parameters
    ----------
    train
        Binned dataset to fit.
    others
        Binned datasets to transform besides.
    latents, steps, seed
        As in `fit`.
    units
        Bool ``(unit,)``, which units are used; None for all.

    Returns
    -------
    list of Dataset
        Of the training data and of each other: ``latents (trial, time, latent)`` and ``latents_sd``, NaN after a trial's end,
        with the coordinate ``block (latent)``, "neural" throughout.
    """
    fitted = fit(
        spike_trains(train, units),
        bin_width=float(train.attrs["bin_width"]),
        latents=latents,
        steps=steps,
        seed=seed,
    )
    return [_latents(fitted, data, units) for data in (train, *others)]


def _latents(fitted: ElephantGPFA, data: xr.Dataset, units: np.ndarray | None) -> xr.Dataset:
    with _quiet():
        found = fitted.model.transform(spike_trains(data, units), returned_data=["latent_variable", "Vsm"])
    n_latents = found["latent_variable"][0].shape[0]
    mean = np.full((data.sizes["trial"], data.sizes["time"], n_latents), np.nan)
    sd = mean.copy()
    for trial, (path, spread) in enumerate(zip(found["latent_variable"], found["Vsm"], strict=True)):
        mean[trial, : path.shape[1]] = path.T
        sd[trial, : path.shape[1]] = np.sqrt(np.einsum("llt->tl", spread))
    dims = ("trial", "time", "latent")
    return xr.Dataset(
        {"latents": (dims, mean), "latents_sd": (dims, sd)},
        coords={
            "trial": data["trial"].values,
            "time": data["time"].values,
            "latent": [f"neural {i}" for i in range(n_latents)],
            "block": ("latent", ["neural"] * n_latents),
        },
    )
