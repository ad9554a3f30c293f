"""An estimate of who drives whom beside the truth of a simulation."""

from __future__ import annotations

import numpy as np
import xarray as xr
from sklearn.metrics import roc_auc_score

from neurokit_snn.errors import EvaluationError
from neurokit_snn.evaluate.lined_up import check_lined_up
from neurokit_snn.evaluate.scored import ratio

__all__ = ["connectivity_scores"]

DIMS = ("target", "source")


def connectivity_scores(
    estimate: xr.DataArray, truth: xr.DataArray, *, hubs: int | None = None
) -> xr.Dataset:
    """How well an estimated connectivity finds the true connections; the diagonals are never read.

    Parameters
    ----------
    estimate
        Strength of each connection (target, source), signed or not, such as an aggregate of attention or the couplings of a
        GLM. NaN off the diagonal counts as no connection, of strength 0: the pair could not be judged.
    truth
        True gain of each connection (target, source) with the same units in the same order, 0 for none.
    hubs
        How many sources to take for hubs; None for the sources with at least half of the most true targets that any has.

    Returns
    -------
    Dataset
        ``auc``: probability that a true connection has a larger absolute estimate than a missing one. A method that only
        finds which units drive others scores high already.
        ``column_auc``: the same of absolute estimates standardised source by source (each column less its mean, over its
        sd), which takes that away. Columns without true connections are stretched as well, so that even the truth with a
        little noise stays below 1, near .85 where a tenth of the units drives half of the others.
        ``hubs_found``: how many of the ``hubs`` sources with the most true targets are among as many sources with the
        largest mean absolute estimate; ``hubs``: how many that is.
        ``direction``: of the connections that have none the other way, the share whose absolute estimate exceeds that of
        the other way.
        ``sign``: of the true connections, the share whose estimate has their sign.
        ``connections``: the number of true ones.

        Ties count against the estimate. NaN: all but the counts where there is no true connection; the AUCs where every
        pair is connected; ``direction`` where all are mutual; ``sign`` unless the truth has both signs, for without it is no
        question.

    Raises
    ------
    EvaluationError
        When the dims or labels differ, the matrices are not square, there are fewer than two units, the truth is not finite,
        the estimate is infinite, or ``hubs`` is not from 1 to the number of units.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> truth = xr.DataArray([[0.0, 0.0, 0.0], [1.8, 0.0, 0.0], [1.8, 0.0, 0.0]], dims=("target", "source"))
    >>> estimate = truth + 0.1 * np.arange(9.0).reshape(3, 3)
    >>> found = connectivity_scores(estimate, truth)
    >>> float(found["auc"]), float(found["direction"]), int(found["hubs_found"])
    (1.0, 1.0, 1)
    """
    estimate, truth = _checked(estimate, truth)
    signed, true = estimate.values.astype(float), truth.values.astype(float)
    n_units = len(true)
    away = ~np.eye(n_units, dtype=bool)
    signed = np.where(np.isnan(signed) | ~away, 0.0, signed)
    connected = (true != 0) & away
    outgoing = connected.sum(0)
    n_hubs = int((2 * outgoing >= max(outgoing.max(), 1)).sum()) if hubs is None else hubs
    if hubs is not None and not 1 <= hubs <= n_units:
        raise EvaluationError(f"hubs is {hubs}; give 1 to {n_units}, the number of units")
    size = np.abs(signed)
    one_way = connected & ~connected.T
    both_signs = bool((true[connected] > 0).any() and (true[connected] < 0).any())
    right = np.sign(signed) == np.sign(true)
    scores: dict[str, float | int] = {
        "auc": _auc(size[away], connected[away]),
        "column_auc": _auc(_standardised(size, away)[away], connected[away]),
        "hubs_found": _hubs_found(size, away, outgoing, n_hubs),
        "hubs": n_hubs,
        "direction": float(ratio((size > size.T)[one_way].sum(), one_way.sum())),
        "sign": float(right[connected].mean()) if both_signs else np.nan,
        "connections": int(connected.sum()),
    }
    return xr.Dataset({name: ((), value) for name, value in scores.items()})


def _checked(estimate: xr.DataArray, truth: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Both as (target, source), of the same units."""
    for name, given in (("estimate", estimate), ("truth", truth)):
        if {*given.dims} != {*DIMS} or given.ndim != 2:
            raise EvaluationError(f"{name} has dims {given.dims}; pass (target, source)")
    estimate, truth = estimate.transpose(*DIMS), truth.transpose(*DIMS)
    check_lined_up(estimate, truth, DIMS, names=("estimate", "truth"))
    n_targets, n_sources = truth.shape
    if n_targets != n_sources or n_sources < 2:
        raise EvaluationError(
            f"truth has {n_targets} targets and {n_sources} sources; pass the same two units or more"
        )
    if all(dim in truth.coords for dim in DIMS) and (truth["target"].values != truth["source"].values).any():
        at = int(np.argmax(truth["target"].values != truth["source"].values))
        raise EvaluationError(
            f"unit {at} of truth is {truth['target'].values.tolist()[at]!r} as a target and "
            f"{truth['source'].values.tolist()[at]!r} as a source; pass both in the same order"
        )
    for name, bad in (("estimate", np.isinf(estimate.values)), ("truth", ~np.isfinite(truth.values))):
        if bad.any():
            target, source = np.argwhere(bad)[0].tolist()
            value = (estimate if name == "estimate" else truth).values[target, source]
            raise EvaluationError(
                f"{name} at target {target}, source {source} is {value}; give 0 for no connection"
            )
    return estimate, truth


def _hubs_found(size: np.ndarray, away: np.ndarray, outgoing: np.ndarray, n_hubs: int) -> int:
    """True hubs that fewer than ``n_hubs`` other sources equal or exceed in their mean."""
    if not n_hubs:
        return 0
    hub = (outgoing >= np.sort(outgoing)[-n_hubs]) & (outgoing > 0)
    mean = size.mean(0, where=away)
    ahead = (mean >= mean[:, None]).sum(1) - 1  # sources that are at least as large, itself left out
    return int((hub & (ahead < n_hubs)).sum())


def _auc(values: np.ndarray, connected: np.ndarray) -> float:
    if connected.all() or not connected.any():
        return np.nan
    return float(roc_auc_score(connected, values))


def _standardised(size: np.ndarray, away: np.ndarray) -> np.ndarray:
    """Each column less its mean over its sd, off the diagonal; a column that is the same everywhere becomes 0."""
    mean = size.mean(0, where=away)
    sd = size.std(0, where=away)
    flat = sd <= 1e-12 * np.maximum(mean, np.finfo(float).tiny)
    return np.asarray(np.where(flat, 0.0, (size - mean) / np.where(flat, 1.0, sd)))
