"""Expected log predictive density in the objects of arviz-stats: blocked K-fold and leave-one-block-out.

Bins of one session are no independent observations, so the points whose spread gives the standard error are
blocks of at least ten seconds, as in `intervals`. `arviz_stats.compare` takes what these functions give.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from sklearn.base import clone

from neurokit_snn._extras import require
from neurokit_snn.errors import EvaluationError
from neurokit_snn.evaluate.intervals import block_index
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.recording.binned import check_binned
from neurokit_snn.recording.splits import Split, blocked

__all__ = ["blocked_kfold", "loo"]


def blocked_kfold(
    model: AbstractModel,
    data: xr.Dataset,
    *,
    task: str,
    cv: int | Split = 5,
    given: Sequence[str] | None = None,
    target: str | None = None,
    gap: float | None = None,
    block: float = 10.0,
    draws: int = 100,
    seed: int = 0,
) -> Any:
    """Expected log predictive density of held-out blocks, from fits to the other folds.

    Parameters
    ----------
    model
        Hyperparameters; clones of it are fitted.
    data
        Binned dataset of one session.
    task, given, target, draws, seed
        As for ``model.log_likelihood``.
    cv
        Number of contiguous folds, or a split.
    gap
        Seconds left out around test trials; None for ``model.history()``.
    block
        Least length of the blocks over which the standard error is computed, seconds.

    Returns
    -------
    arviz_stats.ELPDData
        Of kind ``loo_kfold``, in nats, with ``elpd_i (block)``. ``p`` is NaN: it would take a fit to all
        data.

    Raises
    ------
    EvaluationError
        When the gap is shorter than the model's history.
    MissingExtraError
        When arviz-stats is not installed.
    """
    check_binned(data)
    need = float(model.history())
    kept_gap = need if gap is None else gap
    split = cv if isinstance(cv, Split) else blocked(data, folds=cv, gap=kept_gap)
    if split.gap < need - 1e-9 and split.kind != "leaky_random":
        raise EvaluationError(
            f"the gap is {split.gap:g} s, {type(model).__name__} reads {need:g} s of past; give at least that"
        )
    tested = np.unique(np.concatenate([fold.test for fold in split.folds]))
    index = np.full(data.sizes["trial"], -1)
    index[tested] = block_index(data.isel(trial=tested), block=block)
    points = np.zeros(int(index.max()) + 1)
    for fold, (train, test) in zip(split.folds, split.apply(data), strict=True):
        fitted = clone(model).fit(train, seed=seed)
        found = fitted.log_likelihood(test, task=task, given=given, target=target, draws=draws, seed=seed)
        np.add.at(points, index[fold.test], _of_trials(found).values)
    return _elpd_data(points, n_folds=len(split), n_samples=draws)


def _elpd_data(points: np.ndarray, *, n_folds: int, n_samples: int) -> Any:
    elpd_data = require("arviz_stats.utils", extra="bayes").ELPDData
    spread = float(np.sqrt(points.size * np.var(points)))
    return elpd_data(
        kind="loo_kfold",
        elpd=float(points.sum()),
        se=spread,
        p=float("nan"),
        n_samples=n_samples,
        n_data_points=points.size,
        scale="log",
        warning=False,
        good_k=None,
        elpd_i=xr.DataArray(points, dims="block"),
        n_folds=n_folds,
    )


def loo(log_likelihood: xr.DataArray, data: xr.Dataset, *, block: float = 10.0, reff: float = 1.0) -> Any:
    """Leave out one block at a time by Pareto-smoothed importance sampling, without refitting (Vehtari et al. 2017).

    Parameters
    ----------
    log_likelihood
        Log-likelihood of the training data for each posterior draw, nats, dims ``(draw, trial, ...)`` or
        ``(chain, draw, trial, ...)``, NaN where masked.
    data
        The binned dataset it belongs to.
    block
        Least length of a block, seconds. Long blocks are hard to leave out by weighting: where ``pareto_k``
        exceeds ``good_k``, use `blocked_kfold`.
    reff
        Effective over actual number of draws: 1 for independent ones, less for a chain.

    Returns
    -------
    arviz_stats.ELPDData
        With ``elpd_i`` and ``pareto_k`` ``(block,)``.

    Raises
    ------
    EvaluationError
        When the draws or trials are missing, or do not match the data.
    MissingExtraError
        When arviz-stats is not installed.
    """
    if "draw" not in log_likelihood.dims or "trial" not in log_likelihood.dims:
        raise EvaluationError(f"log_likelihood has dims {log_likelihood.dims}; it needs draw and trial")
    if log_likelihood.sizes["trial"] != data.sizes["trial"]:
        raise EvaluationError(
            f"log_likelihood has {log_likelihood.sizes['trial']} trials, the data {data.sizes['trial']}; pass the data it is of"
        )
    arviz_base, arviz_stats = require("arviz_base", extra="bayes"), require("arviz_stats", extra="bayes")
    if "chain" not in log_likelihood.dims:
        log_likelihood = log_likelihood.expand_dims("chain")
    per_trial = _of_trials(log_likelihood).transpose("chain", "draw", "trial")
    index = block_index(data, block=block)
    points = np.zeros((*per_trial.shape[:2], int(index.max()) + 1))
    np.add.at(points.transpose(2, 0, 1), index, per_trial.values.transpose(2, 0, 1))
    tree = arviz_base.from_dict({"log_likelihood": {"blocks": points}}, dims={"blocks": ["block"]})
    return arviz_stats.loo(tree, pointwise=True, var_name="blocks", reff=reff)


def _of_trials(log_likelihood: xr.DataArray) -> xr.DataArray:
    """Sum over everything but trials (and draws); masked bins, NaN, add nothing."""
    over = [d for d in log_likelihood.dims if d not in ("chain", "draw", "trial")]
    return log_likelihood.sum(over, skipna=True)
