"""How often the truth lies inside the interval that posterior draws claim for it."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr

from neurokit_snn.errors import EvaluationError
from neurokit_snn.evaluate.lined_up import check_lined_up
from neurokit_snn.evaluate.scored import ratio

__all__ = ["interval_coverage"]


def interval_coverage(
    draws: xr.DataArray, truth: xr.DataArray, *, level: float = 0.9, mask: xr.DataArray | None = None
) -> xr.DataArray:
    """Share of true values inside the equal-tailed interval of the draws.

    The limits are quantiles at ``p (n + 1)`` of ``n`` ordered draws (Hyndman & Fan 1996, Am. Stat. 50:361, type 6), with
    which draws from the right posterior cover ``level`` on average however few they are; numpy's default limits cover
    less, .882 of a 90% interval at 100 draws. Draws of latents are aligned first (`LatentAlignment.apply`); rates need no
    alignment.

    Parameters
    ----------
    draws
        Posterior draws (draw, ...), such as (draw, trial, time, unit) in spikes/s.
    truth
        True values, the dims of ``draws`` without ``draw``, in the same units and order.
    level
        Coverage that the interval claims.
    mask
        Which values count, bool over any of these dims; all by default.

    Returns
    -------
    DataArray
        Share along the last dim of ``truth``, such as (unit,) or (latent,); NaN where nothing is valid. The coordinate
        ``pooled`` is the share of all valid values.

    Raises
    ------
    EvaluationError
        When the dims, sizes or labels differ, a valid value is not finite, or there are too few draws for the level.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> rng = np.random.default_rng(0)
    >>> mean = xr.DataArray(rng.normal(size=(50, 40, 2)), dims=("trial", "time", "latent"))
    >>> draws = mean + xr.DataArray(rng.normal(size=(100, 50, 40, 2)), dims=("draw", *mean.dims))
    >>> covered = interval_coverage(draws, mean + rng.normal(size=mean.shape))
    >>> round(float(covered["pooled"]), 1)
    0.9
    """
    _check(draws, truth, level)
    last = str(truth.dims[-1])
    valid = _valid(truth, mask)
    ordered = draws.transpose("draw", *truth.dims)
    tails = [(1.0 - level) / 2.0, (1.0 + level) / 2.0]
    inside, count = np.zeros(truth.sizes[last]), np.zeros(truth.sizes[last])
    for index in range(truth.sizes[last]):  # one column at a time: quantiles copy what they are given
        keep = valid.isel({last: index}).values
        values, true = ordered.isel({last: index}).values[:, keep], truth.isel({last: index}).values[keep]
        if not (np.isfinite(values).all() and np.isfinite(true).all()):
            raise EvaluationError(f"a valid value at {last} {index} is not finite; mask it")
        count[index] = true.size
        if true.size:
            low, high = np.quantile(values, tails, axis=0, method="weibull")
            inside[index] = ((low <= true) & (true <= high)).sum()
    kept = {name: c.variable for name, c in truth.coords.items() if c.dims == (last,)}
    pooled = float(ratio(inside.sum(), count.sum()))
    return xr.DataArray(
        ratio(inside, count),
        dims=last,
        coords=kept | {"pooled": pooled},
        name="coverage",
        attrs={"level": level, "draws": draws.sizes["draw"]},
    )


def _check(draws: xr.DataArray, truth: xr.DataArray, level: float) -> None:
    if not 0.0 < level < 1.0:
        raise EvaluationError(f"level={level} is not between 0 and 1; 0.9 is a 90% interval")
    if "draw" not in draws.dims or not truth.dims or {*draws.dims} != {"draw", *truth.dims}:
        raise EvaluationError(
            f"draws have dims {draws.dims} and truth {truth.dims}; pass draws (draw, ...) with the dims of the truth"
        )
    least = math.ceil(2.0 / (1.0 - level) - 1.0 - 1e-9)
    if draws.sizes["draw"] < least:
        raise EvaluationError(
            f"{draws.sizes['draw']} draws have no {level:.0%} interval; it takes at least {least}"
        )
    check_lined_up(draws, truth, truth.dims, names=("draws", "truth"))


def _valid(truth: xr.DataArray, mask: xr.DataArray | None) -> xr.DataArray:
    """The mask over all dims of the truth."""
    whole = xr.DataArray(np.ones(truth.shape, dtype=bool), dims=truth.dims)
    if mask is None:
        return whole
    if mask.dtype != bool or not {*mask.dims} <= {*truth.dims}:
        raise EvaluationError(f"mask is {mask.dtype} over {mask.dims}; pass bool over dims of {truth.dims}")
    check_lined_up(mask, truth, mask.dims, names=("mask", "truth"))
    bare = xr.DataArray(mask.values, dims=mask.dims)
    return (whole & bare).transpose(*truth.dims)
