"""The time-rescaling test: whether the intervals between spikes, measured in expected spikes, are exponential.

Brown et al. 2002 (Neural Computation 14) rescale time by the predicted rate, which turns the spikes of a
right model into a Poisson process of unit rate. Bins make the rescaled intervals coarse, and the test reject
right models; Haslinger, Pipa & Brown 2010 (Neural Computation 22) undo that by drawing where in its bin each
spike fell from what the model says about it.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import xarray as xr
from scipy import stats

from neurokit_snn.errors import EvaluationError
from neurokit_snn.evaluate.scored import ratio
from neurokit_snn.evaluate.scoring import lined_up
from neurokit_snn.recording.binned import check_binned

__all__ = ["time_rescaling"]

LEVELS = np.linspace(0.0, 1.0, 101)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Spikes:
    """Rescaled spikes of all units, unit by unit and in the order of time."""

    unit: np.ndarray  # (spike,)
    interval: np.ndarray  # (spike,), expected spikes since the one before


def time_rescaling(
    data: xr.Dataset, rate: xr.DataArray | xr.Dataset, *, space: str = "counts", seed: int = 0
) -> xr.Dataset:
    """Test each unit's predicted rate by the rescaled intervals between its spikes.

    Parameters
    ----------
    data
        Binned dataset; bins with mask False take no time.
    rate
        Predicted rate in spikes/s ``(trial, time, unit)``, or what ``model.predict`` gave. For a test of
        everything that the model knows, a forecast.
    space
        ``"counts"``: any number of spikes in a bin, Poisson given the rate; ``"binary"``: at most one, with
        the probability ``rate * bin_width``.
    seed
        Seed of the places of spikes in their bins.

    Returns
    -------
    Dataset
        ``ks (unit)``, the largest distance of the distribution of ``1 - exp(-interval)`` from a uniform one,
        its ``p_value (unit)`` and the ``band (unit)`` that it leaves in 5% of cases; ``n_spikes (unit)``;
        ``empirical (unit, level)``, the distribution for a plot; ``serial (unit)``, the correlation of
        successive intervals, 0 for a right model.

    Raises
    ------
    EvaluationError
        When rates are negative or NaN in valid bins, or, with ``"binary"``, a bin holds more than one spike.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> import neurokit_snn as nk
    >>> rng = np.random.default_rng(0)
    >>> tree = nk.recording.build(spikes={"a": np.cumsum(rng.exponential(0.1, 900))})
    >>> data = nk.recording.windows(tree, 0.02, length=2.0, start=0.0, stop=80.0)
    >>> right = xr.full_like(data["counts"], 10.0, dtype=float)
    >>> found = time_rescaling(data, right), time_rescaling(data, 2 * right)
    >>> [bool(table["p_value"][0] > 0.05) for table in found]
    [True, False]
    """
    check_binned(data)
    if space not in ("counts", "binary"):
        raise EvaluationError(f"space is {space!r}; choose 'counts' or 'binary'")
    if isinstance(rate, xr.Dataset):
        rate = rate["rate"]
    counts, expected = _flat(data, rate)
    if space == "binary":
        _check_binary(counts, expected)
    spikes = _rescaled(counts, expected, np.random.default_rng(seed), space)
    n_units = counts.shape[1]
    uniform = -np.expm1(-spikes.interval)
    n = np.bincount(spikes.unit, minlength=n_units).astype(np.float64)
    ks = _distance(uniform, spikes.unit, n)
    label = (
        data["unit"].sel(unit=rate["unit"].values).values if "unit" in rate.coords else data["unit"].values
    )
    with np.errstate(invalid="ignore"):
        p = np.where(n > 0, stats.kstwo.sf(ks, np.maximum(n, 1)), np.nan)
        band = np.where(n > 0, stats.kstwo.isf(0.05, np.maximum(n, 1)), np.nan)
    return xr.Dataset(
        {
            "ks": ("unit", ks),
            "p_value": ("unit", p),
            "band": ("unit", band),
            "n_spikes": ("unit", n.astype(np.int64)),
            "empirical": (("unit", "level"), _empirical(uniform, spikes.unit, n)),
            "serial": ("unit", _serial(uniform, spikes.unit, n_units)),
        },
        coords={"unit": label, "level": LEVELS},
        attrs={"space": space, "seed": seed},
    )


def _flat(data: xr.Dataset, rate: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Counts and expected spikes of all bins in the order of time ``(bin, unit)``, both 0 where masked."""
    counts, mask = data["counts"], data["mask"]
    if "unit" in rate.coords and "unit" in counts.coords:
        counts, mask = counts.sel(unit=rate["unit"].values), mask.sel(unit=rate["unit"].values)
    rate = lined_up(rate, counts, name="rate").broadcast_like(counts).transpose(*counts.dims)
    order = np.argsort(data["trial_start"].values, kind="stable")
    valid = mask.values[order]
    expected = rate.values[order] * float(data.attrs["bin_width"])
    with np.errstate(invalid="ignore"):
        bad = valid & ~(expected >= 0)
    if bad.any():
        trial, _, unit = (int(i) for i in np.argwhere(bad)[0])
        raise EvaluationError(
            f"the rate is negative or NaN where the mask is True (first in trial number {order[trial]}, unit number {unit})"
        )
    flat = (-1, counts.sizes["unit"])
    return np.where(valid, counts.values[order], 0).reshape(flat), np.where(valid, expected, 0.0).reshape(
        flat
    )


def _check_binary(counts: np.ndarray, expected: np.ndarray) -> None:
    if counts.max(initial=0) > 1:
        raise EvaluationError(
            f"space 'binary' takes bins of at most one spike, one holds {counts.max()}; use narrower bins"
        )
    if expected.max(initial=0.0) >= 1.0:
        raise EvaluationError(
            f"space 'binary': a probability of {expected.max():.3g} in a bin; use narrower bins"
        )


def _rescaled(counts: np.ndarray, expected: np.ndarray, rng: np.random.Generator, space: str) -> _Spikes:
    # A bin that holds a spike with probability p is q = -log(1 - p) of rescaled time long (Haslinger et al. 2010).
    length = -np.log1p(-expected) if space == "binary" else expected
    before = np.cumsum(length, axis=0) - length
    unit, time = np.nonzero(counts.T)
    times = counts[time, unit]
    unit, time = np.repeat(unit, times), np.repeat(time, times)
    q, start = length[time, unit], before[time, unit]
    u = rng.random(unit.size)
    if space == "counts":
        # Given their number, the spikes of a Poisson bin lie uniformly in it.
        place = start + q * u
        order = np.lexsort((place, unit))
        unit, place = unit[order], place[order]
        since = np.concatenate([[0.0], place[:-1]])
    else:
        # The place of the spike given that the bin holds one; the rest of its bin counts for no interval.
        place = start - np.log1p(u * np.expm1(-q))
        since = np.concatenate([[0.0], (start + q)[:-1]])
    first = np.concatenate([[True], unit[1:] != unit[:-1]]) if unit.size else np.zeros(0, dtype=bool)
    return _Spikes(unit=unit, interval=place - np.where(first, 0.0, since[: unit.size]))


def _distance(uniform: np.ndarray, unit: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Kolmogorov-Smirnov distance of each unit's values from the uniform distribution."""
    order = np.lexsort((uniform, unit))
    values, owner = uniform[order], unit[order]
    first = np.concatenate([[0], np.cumsum(n)[:-1]])
    rank = np.arange(values.size) - first[owner]
    apart = np.maximum((rank + 1) / n[owner] - values, values - rank / n[owner])
    largest = np.full(n.size, -np.inf)
    np.maximum.at(largest, owner, apart)
    return np.where(n > 0, largest, np.nan)


def _empirical(uniform: np.ndarray, unit: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Fraction of each unit's values up to each level, ``(unit, level)``."""
    cell = np.searchsorted(LEVELS, uniform, side="left")
    counted = np.zeros((n.size, LEVELS.size))
    np.add.at(counted, (unit, np.minimum(cell, LEVELS.size - 1)), 1.0)
    return ratio(np.cumsum(counted, axis=1), np.broadcast_to(n[:, None], counted.shape))


def _serial(uniform: np.ndarray, unit: np.ndarray, n_units: int) -> np.ndarray:
    """Correlation of successive intervals after a map to normal values (Truccolo et al. 2005)."""
    z = stats.norm.ppf(np.clip(uniform, 1e-12, 1 - 1e-12))
    pair = unit[1:] == unit[:-1] if unit.size else np.zeros(0, dtype=bool)
    owner, x, y = unit[1:][pair], z[:-1][pair], z[1:][pair]

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(owner, weights=values, minlength=n_units)

    m = np.bincount(owner, minlength=n_units).astype(np.float64)
    covariance = total(x * y) - ratio(total(x) * total(y), m)
    spread = (total(x**2) - ratio(total(x) ** 2, m)) * (total(y**2) - ratio(total(y) ** 2, m))
    return ratio(covariance, np.sqrt(np.maximum(spread, 0.0)))
