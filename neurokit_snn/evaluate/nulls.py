"""Nulls against nonsense correlation: two slow signals that have nothing to do with each other correlate.

Spikes and behaviour both drift, so that a test which takes bins for independent finds "tuning" everywhere
(Harris 2020, "Nonsense correlations in neuroscience"; Meijer 2021). Here the behaviour is replaced by one
that cannot have driven the spikes and the statistic is computed again:

``circular``
    The behaviour of the session, shifted along it and wrapped round, by equal steps of 1/(n+1) of the
    session. Those shifts are a group, so that the test is exact for behaviour whose statistics do not change
    along the session, but for the seam that wrapping makes; the seam matters when the behaviour is as slow as
    a fifth of the session (7-8% rejections instead of 5% in simulation).
``linear``
    Spikes of the middle half of the session against behaviour shifted by up to a quarter either way: no seam,
    half the data. Its level is at most twice the nominal one by theorem (Harris 2020) and 3-4.5% in
    simulation.
``trials``
    Behaviour of trials in another order: exact where trials are exchangeable, and refused for windows of a
    continuous session.
``sessions``
    Behaviour of other sessions, cut to the common length: exact where sessions are exchangeable, and coarse
    with few of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import xarray as xr

from neurokit_snn.errors import EvaluationError
from neurokit_snn.evaluate.association import STATISTICS
from neurokit_snn.evaluate.scored import period_of
from neurokit_snn.evaluate.scoring import score
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.recording.binned import behaviors, check_binned, mask_name

__all__ = ["KINDS", "model_test", "null_test", "p_value", "surrogates"]

Statistic = Callable[[np.ndarray, np.ndarray], np.ndarray]
KINDS = ("circular", "linear", "trials", "sessions")
CHUNK_VALUES = 8_000_000
"""Most values (surrogates x samples) that one call of a statistic is given."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Samples:
    """Behaviour of one session, its bins in the order of time and end to end."""

    position: np.ndarray  # (sample,) place of each sample among the flattened (trial, time) bins
    values: dict[str, np.ndarray]  # name -> (sample, axis)
    per_trial: int

    @property
    def size(self) -> int:
        return self.position.size


def p_value(observed: np.ndarray | float, null: np.ndarray) -> np.ndarray:
    """How often the null is at least as large: ``(1 + #{null >= observed}) / (1 + n)``.

    Parameters
    ----------
    observed
        Statistic of the data, any shape.
    null
        Statistic of the surrogates, ``(draw, *shape)``.

    Examples
    --------
    >>> import numpy as np
    >>> float(p_value(2.0, np.array([1.0, 3.0, 0.5])))
    0.5
    """
    observed = np.asarray(observed, dtype=np.float64)
    # Rounding must not make a surrogate that equals the data (a constant behaviour) count as smaller.
    reached = null >= observed - 1e-9 * np.abs(observed)
    p = (1.0 + reached.sum(0)) / (1.0 + len(null))
    return np.where(np.isfinite(observed), p, np.nan)


def null_test(
    data: xr.Dataset,
    *,
    behavior: str | None = None,
    statistic: str | Statistic = "information",
    kind: str = "circular",
    n: int = 99,
    min_shift: float = 1.0,
    others: Sequence[xr.Dataset] = (),
    seed: int = 0,
) -> xr.Dataset:
    """Test each unit for an association with a behaviour.

    Parameters
    ----------
    data
        Binned dataset of one session.
    behavior
        Name of the behaviour; None where there is one.
    statistic
        ``"correlation"`` (absolute, the largest over axes; angles by sine and cosine), ``"information"``
        (bits/spike of a tuning curve, Skaggs et al. 1993), or a function of counts ``(sample, unit)``, NaN
        where masked, and behaviour ``(draw, sample, axis)`` that gives ``(draw, unit)``, large where they go
        together.
    kind
        ``circular``, ``linear``, ``trials`` or ``sessions``; see the module.
    n
        Number of surrogates (all of ``others`` for ``sessions``).
    min_shift
        Least shift in seconds; fewer than ``n`` shifts that far apart are an error.
    others
        Binned data of other sessions, for ``sessions``.
    seed
        Seed of the order of trials.

    Returns
    -------
    Dataset
        ``statistic (unit)``, ``null (draw, unit)`` and ``p_value (unit)``; attrs kind, behavior and n.

    Raises
    ------
    EvaluationError
        When the kind does not suit the layout, or the session is too short for the shifts.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> rng = np.random.default_rng(1)
    >>> x = np.cumsum(rng.normal(size=(1, 2000)), axis=1) / 20
    >>> spikes, all_of = rng.poisson(np.exp(np.sin(x)))[..., None], np.ones((1, 2000, 1), dtype=bool)
    >>> data = xr.Dataset(
    ...     {
    ...         "counts": (("trial", "time", "unit"), spikes),
    ...         "mask": (("trial", "time", "unit"), all_of),
    ...         "behavior_x": (("trial", "time"), x),
    ...         "mask_behavior_x": (("trial", "time"), all_of[..., 0]),
    ...     },
    ...     coords={"time": np.arange(2000) * 0.1, "trial_start": ("trial", [0.0]), "trial_stop": ("trial",
    [200.0])}, ...     attrs={"schema": "neurokit_snn.binned", "schema_version": 1, "bin_width": 0.1,
    "layout": "session"}, ... )
    >>> float(null_test(data, n=39)["p_value"][0])
    0.025
    """
    check_binned(data)
    name = _behavior_name(data, behavior)
    compute = _statistic(statistic)
    samples = _samples(data, (name,), with_missing=kind == "trials")
    kept, drawn = _drawn(
        data, samples, kind=kind, n=n, min_shift=min_shift, others=others, seed=seed, names=(name,)
    )
    counts = _counts(data)[samples.position[kept]]
    embed = _embedding(data[name])
    observed = compute(counts, embed(samples.values[name][kept])[None])[0]
    null = []
    step = max(1, CHUNK_VALUES // max(1, kept.size))
    for first in range(0, len(drawn), step):
        null.append(compute(counts, np.stack([embed(d[name]) for d in drawn[first : first + step]])))
    every = np.concatenate(null)
    unit = data["unit"].values if "unit" in data.coords else np.arange(data.sizes["unit"])
    return xr.Dataset(
        {
            "statistic": ("unit", observed),
            "null": (("draw", "unit"), every),
            "p_value": ("unit", p_value(observed, every)),
        },
        coords={"unit": unit},
        attrs={"kind": kind, "behavior": name, "n": len(drawn)},
    )


def surrogates(
    data: xr.Dataset,
    *,
    kind: str = "circular",
    n: int = 19,
    min_shift: float = 1.0,
    others: Sequence[xr.Dataset] = (),
    seed: int = 0,
) -> Iterator[xr.Dataset]:
    """Give copies of binned data whose behaviour, all variables together, cannot have driven the spikes.

    Parameters
    ----------
    data, kind, n, min_shift, others, seed
        As in `null_test`.

    Yields
    ------
    Dataset
        First the data themselves over the bins that all copies have, then ``n`` surrogates; bins left out
        have mask False.
    """
    check_binned(data)
    names = behaviors(data)
    if not names:
        raise EvaluationError("data hold no behaviour to make surrogates of; bin a recording with /behavior")
    samples = _samples(data, names, with_missing=kind == "trials")
    kept, drawn = _drawn(
        data, samples, kind=kind, n=n, min_shift=min_shift, others=others, seed=seed, names=names
    )
    yield _with_behavior(data, samples.position[kept], {k: v[kept] for k, v in samples.values.items()})
    for values in drawn:
        yield _with_behavior(data, samples.position[kept], values)


def model_test(
    model: AbstractModel,
    data: xr.Dataset,
    *,
    task: str,
    metric: str | None = None,
    target: str | None = None,
    kind: str = "circular",
    n: int = 19,
    min_shift: float = 1.0,
    others: Sequence[xr.Dataset] = (),
    seed: int = 0,
) -> xr.Dataset:
    """Test whether a fitted model's held-out score needs the behaviour that went with the spikes.

    The model stays as it was fitted; it predicts, and is scored on, held-out data with surrogate behaviour.

    Parameters
    ----------
    model
        A fitted model.
    data
        Held-out binned data.
    task
        ``encode``, ``decode`` or another task that pairs spikes with behaviour.
    metric
        Name of the metric; None for the first of the target.
    target
        Behaviour to decode, where the model decodes several.
    kind, n, min_shift, others, seed
        As in `null_test`.

    Returns
    -------
    Dataset
        ``statistic``, ``null (draw)`` and ``p_value``; attrs task, metric, kind, n.
    """
    scores, sign, label = [], 1.0, ""
    for copy in surrogates(data, kind=kind, n=n, min_shift=min_shift, others=others, seed=seed):
        predicted = model.predict(copy, task=task, target=target)
        found = score(copy, predicted, metrics=None if metric is None else [metric], target=target)
        sign, label = (1.0 if bool(found["higher_is_better"][0]) else -1.0), str(found["metric"].values[0])
        scores.append(float(found["value"][0]))
    null = np.array(scores[1:])
    return xr.Dataset(
        {
            "statistic": scores[0],
            "null": ("draw", null),
            "p_value": float(p_value(sign * scores[0], sign * null)),
        },
        attrs={"task": task, "metric": label, "kind": kind, "n": null.size},
    )


# ---- what is replaced by what
# ----------------------------------------------------------------------------------


def _drawn(
    data: xr.Dataset,
    samples: _Samples,
    *,
    kind: str,
    n: int,
    min_shift: float,
    others: Sequence[xr.Dataset],
    seed: int,
    names: Sequence[str],
) -> tuple[np.ndarray, list[dict[str, np.ndarray]]]:
    """The samples that are kept, and the behaviour of each surrogate on them."""
    if kind not in KINDS:
        raise EvaluationError(f"kind is {kind!r}; choose one of {', '.join(KINDS)}")
    if n < 1:
        raise EvaluationError(f"n is {n}; a null needs at least one surrogate")
    _suits(str(data.attrs["layout"]), kind)
    if kind == "sessions":
        return _borrowed(samples, others, names)
    if kind == "trials":
        kept, sources = _shuffled(samples, n, seed)
    else:
        kept, sources = _shifted(samples.size, kind, n, min_shift / float(data.attrs["bin_width"]))
    return kept, [{k: v[source] for k, v in samples.values.items()} for source in sources]


def _suits(layout: str, kind: str) -> None:
    if kind == "trials" and layout in ("session", "windows"):
        raise EvaluationError(
            f"kind 'trials' shuffles trials, and those of layout {layout!r} follow each other; use 'circular' or 'linear'"
        )
    if kind in ("circular", "linear") and layout == "events":
        raise EvaluationError(
            f"kind {kind!r} shifts along the session, and events may overlap; use kind 'trials'"
        )


def _shifted(size: int, kind: str, n: int, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Kept samples and, for each shift, where the behaviour comes from ``(draw, kept)``."""
    if kind == "circular":
        kept = np.arange(size)
        shifts = np.round(np.arange(1, n + 1) * size / (n + 1)).astype(np.int64)
        apart = size / (n + 1)
    else:
        furthest = size // 4
        kept = np.arange(furthest, size - furthest)
        half = (n + 1) // 2
        steps = np.concatenate([np.arange(-half, 0), np.arange(1, n - half + 1)])
        shifts = np.round(steps * furthest / half).astype(np.int64)
        apart = furthest / half
    if apart < max(least, 1.0):
        raise EvaluationError(
            f"{n} {kind} shifts of {size} bins are {apart:.3g} bins apart, less than min_shift ({least:.3g} bins); "
            f"use fewer surrogates, at most {int(n * apart / max(least, 1.0))}, or a smaller min_shift"
        )
    return kept, (kept[None, :] + shifts[:, None]) % size


def _shuffled(samples: _Samples, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """All samples and, for each order of the trials, where the behaviour comes from."""
    n_trials = samples.size // samples.per_trial
    if n_trials < 2:
        raise EvaluationError("kind 'trials' needs at least two trials")
    rng = np.random.default_rng(seed)
    orders = rng.permuted(np.tile(np.arange(n_trials), (n, 1)), axis=1)
    within = np.arange(samples.per_trial)
    return np.arange(samples.size), (orders[:, :, None] * samples.per_trial + within).reshape(n, -1)


def _borrowed(
    samples: _Samples, others: Sequence[xr.Dataset], names: Sequence[str]
) -> tuple[np.ndarray, list[dict[str, np.ndarray]]]:
    if not others:
        raise EvaluationError(
            "kind 'sessions' needs others=, binned data of other sessions with the same behaviour"
        )
    theirs = []
    for i, other in enumerate(others):
        check_binned(other, name=f"others[{i}]")
        missing = [name for name in names if name not in other]
        if missing:
            raise EvaluationError(f"others[{i}] has no {missing[0]}; give sessions with the same behaviour")
        theirs.append(_samples(other, names, with_missing=False).values)
    common = min(samples.size, *(len(v[names[0]]) for v in theirs))
    return np.arange(common), [{k: v[:common] for k, v in one.items()} for one in theirs]


# ---- arrays of a dataset
# ---------------------------------------------------------------------------------------


def _samples(data: xr.Dataset, names: Sequence[str], *, with_missing: bool) -> _Samples:
    """Behaviour of all bins in the order of time; without ``with_missing`` of those where it is known."""
    order = np.argsort(data["trial_start"].values, kind="stable")
    n_time = data.sizes["time"]
    position = (order[:, None] * n_time + np.arange(n_time)).ravel()
    values, known = {}, np.ones(position.size, dtype=bool)
    for name in names:
        array = data[name].values.reshape(data.sizes["trial"] * n_time, -1)[position]
        valid = data[mask_name(name)].values.reshape(-1)[position]
        values[name] = np.where(valid[:, None], array, np.nan)
        known &= np.isfinite(values[name]).all(1)
    if with_missing:
        return _Samples(position=position, values=values, per_trial=n_time)
    kept = {k: v[known] for k, v in values.items()}
    return _Samples(position=position[known], values=kept, per_trial=n_time)


def _counts(data: xr.Dataset) -> np.ndarray:
    """Counts of the flattened bins ``(trial * time, unit)``, NaN where masked."""
    counts = np.where(data["mask"].values, data["counts"].values, np.nan)
    return counts.reshape(-1, counts.shape[-1])


def _with_behavior(data: xr.Dataset, position: np.ndarray, values: dict[str, np.ndarray]) -> xr.Dataset:
    """Copy the data with other behaviour at the bins ``position`` of the flattened ``(trial, time)``, none elsewhere."""
    n_bins = data.sizes["trial"] * data.sizes["time"]
    shape = (data.sizes["trial"], data.sizes["time"])
    kept = np.zeros(n_bins, dtype=bool)
    kept[position] = True
    changed = data.copy()
    for name, new in values.items():
        array = np.full((n_bins, new.shape[1]), np.nan)
        array[position] = new
        changed[name] = data[name].copy(data=array.reshape(data[name].shape))
        changed[mask_name(name)] = (("trial", "time"), np.isfinite(array).all(1).reshape(shape))
    for name in ("mask", "mask_calcium"):
        if name in changed:
            among = xr.DataArray(kept.reshape(shape), dims=("trial", "time"))
            changed[name] = (data[name] & among).transpose(*data[name].dims)
    if "counts" in changed:
        changed["counts"] = data["counts"].where(changed["mask"], 0).astype(data["counts"].dtype)
    return changed


def _behavior_name(data: xr.Dataset, behavior: str | None) -> str:
    names = behaviors(data)
    if behavior is None:
        if len(names) != 1:
            raise EvaluationError(
                f"name one behaviour with behavior=; the data hold {', '.join(names) or 'none'}"
            )
        return names[0]
    name = behavior if behavior.startswith("behavior_") else f"behavior_{behavior}"
    if name not in names:
        raise EvaluationError(f"behavior is {behavior!r}; the data hold {', '.join(names) or 'none'}")
    return name


def _statistic(statistic: str | Statistic) -> Statistic:
    if callable(statistic):
        return statistic
    if statistic not in STATISTICS:
        raise EvaluationError(
            f"statistic is {statistic!r}; choose from {', '.join(STATISTICS)} or pass a function"
        )
    return STATISTICS[statistic]


def _embedding(values: xr.DataArray) -> Callable[[np.ndarray], np.ndarray]:
    """Angles as points on the circle, everything else as it is; ``(sample, axis)`` to ``(sample, axis)``."""
    if values.attrs.get("kind") != "circular":
        return lambda array: array
    turn = 2.0 * np.pi / period_of(values)
    return lambda array: np.concatenate([np.cos(array * turn), np.sin(array * turn)], axis=-1)
