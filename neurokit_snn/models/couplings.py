"""What any estimate of connectivity stands beside: lagged correlation, and the coupling filters of a GLM."""

from __future__ import annotations

import numpy as np
import xarray as xr

from neurokit_snn.errors import ModelError
from neurokit_snn.models.covariates import counts_and_mask
from neurokit_snn.models.glm import GLM
from neurokit_snn.recording.binned import check_binned

__all__ = ["glm_couplings", "lagged_correlation"]

SMALLEST_SHARE = 1e-9
"""Sums of squares below this share of what was summed are rounding: a unit that did not vary."""


def lagged_correlation(data: xr.Dataset, *, lags: int = 5) -> xr.DataArray:
    """Correlation of each unit's counts with those of each other unit some bins before, at the lag where it is largest.

    Pearson's correlation of ``counts[t, target]`` with ``counts[t - l, source]`` over all ``t`` for which both bins lie in
    the same trial and are valid; of the lags ``l`` from 1 to ``lags`` the one with the largest absolute value is kept, with
    its sign. It knows nothing of common input: what drives two units one after the other correlates them.

    Parameters
    ----------
    data
        Binned dataset, dims ``(trial, time, unit)``. One long trial (`recording.bin`) has more pairs of bins than short
        windows of the same session.
    lags
        Bins that a target may lag behind its source, at least 1 and fewer than a trial has.

    Returns
    -------
    DataArray, (target, source)
        Between -1 and 1; NaN on the diagonal and where a unit does not vary.

    Raises
    ------
    RecordingError
        When ``data`` is not a binned dataset.
    ModelError
        When there are no counts or no pairs of bins at such lags.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> tree = recording.build(spikes={"a": [0.15, 0.45, 1.25], "b": [0.25, 0.55, 1.35]})
    >>> data = recording.bin(tree, 0.1, start=0.0, stop=1.5)
    >>> lagged_correlation(data, lags=2).sel(target="b", source="a").round(2).item()
    1.0
    """
    who = "lagged_correlation"
    check_binned(data, name=f"{who}: data")
    counts, mask = counts_and_mask(data, who)
    n_bins = counts.shape[1]
    if not 1 <= lags < n_bins:
        raise ModelError(
            f"{who}: lags is {lags}, and trials have {n_bins} bins; give 1 to {n_bins - 1}, or bin longer trials"
        )
    weights = mask.astype(np.float64)
    seen = np.maximum(weights.sum((0, 1)), 1.0)
    x = np.where(mask, counts - np.where(mask, counts, 0).sum((0, 1)) / seen, 0.0)
    best = np.full((counts.shape[2],) * 2, np.nan)
    for lag in range(1, lags + 1):
        found = _correlation(x[:, lag:], weights[:, lag:], x[:, :-lag], weights[:, :-lag])
        larger = np.isnan(best) | (np.abs(found) > np.abs(best))
        best = np.where(larger, found, best)
    return _labelled(best, data["unit"].values, "lagged_correlation", {"units": "1", "lags": lags})


def _correlation(x: np.ndarray, x_weights: np.ndarray, y: np.ndarray, y_weights: np.ndarray) -> np.ndarray:
    """Pearson's correlation of each unit of ``x`` with each of ``y`` over the bins where both are valid, ``(unit, unit)``."""
    x, x_weights, y, y_weights = (v.reshape(-1, v.shape[-1]) for v in (x, x_weights, y, y_weights))
    n = np.maximum(x_weights.T @ y_weights, 1.0)
    sum_x, sum_y = x.T @ y_weights, x_weights.T @ y
    square_x, square_y = np.square(x).T @ y_weights, x_weights.T @ np.square(y)
    left_x, left_y = square_x - sum_x**2 / n, square_y - sum_y**2 / n
    vary = (left_x > SMALLEST_SHARE * square_x) & (left_y > SMALLEST_SHARE * square_y)
    scale = np.sqrt(np.where(vary, left_x * left_y, 1.0))
    return np.where(vary, (x.T @ y - sum_x * sum_y / n) / scale, np.nan)


def glm_couplings(
    data: xr.Dataset, *, past: float = 0.05, bases: int = 5, strength: float | str = 1.0
) -> xr.DataArray:
    """Coupling of each pair of units in a Poisson GLM of all units' past spikes (Pillow et al. 2008, Nature 454:995).

    The rate of each unit is fitted to the past of all, itself included, so that what two units owe to a third is not put
    down to one of them, as long as the third was recorded. The coupling is the sum over lags of the fitted filter: of the
    log rate that one spike adds to the bins after it.

    Parameters
    ----------
    data
        Binned dataset, dims ``(trial, time, unit)``. One long trial (`recording.bin`) wastes no past at the edges of windows.
    past
        Seconds of past spikes.
    bases
        Filters over the past, as in `GLM`.
    strength
        Prior precision of the weights, as in `GLM`. ``"auto"`` chooses it by fits to parts of the data, which takes minutes
        where there are tens of units: 30 units and 40,000 bins take half a minute with a number.

    Returns
    -------
    DataArray, (target, source)
        Log rate, summed over the bins of the past; the target is the unit whose rate is moved. NaN on the diagonal: what a
        unit's own spikes do to it is no connection.

    Raises
    ------
    RecordingError
        When ``data`` is not a binned dataset.
    ModelError
        When the GLM cannot be fitted to it.
    MissingExtraError
        When nemos is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from neurokit_snn import recording
    >>> first = 0.05 + 0.5 * np.arange(200)
    >>> second = first[np.arange(200) % 4 > 0] + 0.1
    >>> tree = recording.build(spikes={"a": first, "b": second})
    >>> data = recording.bin(tree, 0.1, start=0.0, stop=100.0)
    >>> found = glm_couplings(data, past=0.1)
    >>> bool(found.sel(target="b", source="a") > 2.0)
    True
    """
    model = GLM(covariates=(), past=past, coupling=True, bases=bases, strength=strength).fit(data)
    n_units = model.units_.size
    filters = model.weights_[:, 1:].reshape(n_units, n_units, -1)  # (target, source, basis)
    summed = filters @ model.kernel_.sum(0)
    attrs: dict[str, str | float | int] = {
        "units": "log rate x bins",
        "past": past,
        "strength": model.strength_,
    }
    return _labelled(summed, model.units_, "glm_coupling", attrs)


def _labelled(
    values: np.ndarray, labels: np.ndarray, name: str, attrs: dict[str, str | float | int]
) -> xr.DataArray:
    values = values.copy()
    np.fill_diagonal(values, np.nan)
    return xr.DataArray(
        values, dims=("target", "source"), coords={"target": labels, "source": labels}, name=name, attrs=attrs
    )
