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

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import xarray as xr

from neurokit_snn.errors import EvaluationError
from neurokit_snn.evaluate.association import STATISTICS
from neurokit_snn.evaluate.scored import period_of
from neurokit_snn.evaluate.scoring import score
from neurokit_snn.evaluate.surrogate import KINDS, drawn, samples_of, with_behavior
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.recording.binned import behaviors, check_binned

__all__ = ["KINDS", "model_test", "null_test", "p_value", "surrogates"]

Statistic = Callable[[np.ndarray, np.ndarray], np.ndarray]
CHUNK_VALUES = 8_000_000
"""Most values (surrogates x samples) that one call of a statistic is given."""


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
    >>> import numpy as np
    >>> import neurokit_snn as nk
    >>> rng = np.random.default_rng(1)
    >>> time = np.arange(0.0, 200.0, 0.1)
    >>> x = np.cumsum(rng.normal(size=time.size)) / 20
    >>> spikes = time[rng.random(time.size) < 0.5 * np.exp(np.sin(x) - 1)]
    >>> tree = nk.recording.build(spikes={3: spikes}, behavior={"x": {"time": time, "value": x, "units": "m"}})
    >>> data = nk.recording.bin(tree, 0.1, start=0.0, stop=199.0)
    >>> float(null_test(data, n=39)["p_value"][0])
    0.025
    """
    check_binned(data)
    name = _behavior_name(data, behavior)
    compute = _statistic(statistic)
    samples = samples_of(data, (name,), with_missing=kind == "trials")
    kept, replaced = drawn(
        data, samples, kind=kind, n=n, min_shift=min_shift, others=others, seed=seed, names=(name,)
    )
    counts = _counts(data)[samples.position[kept]]
    embed = _embedding(data[name])
    observed = compute(counts, embed(samples.values[name][kept])[None])[0]
    null = []
    step = max(1, CHUNK_VALUES // max(1, kept.size))
    for first in range(0, len(replaced), step):
        null.append(compute(counts, np.stack([embed(d[name]) for d in replaced[first : first + step]])))
    every = np.concatenate(null)
    unit = data["unit"].values if "unit" in data.coords else np.arange(data.sizes["unit"])
    return xr.Dataset(
        {
            "statistic": ("unit", observed),
            "null": (("draw", "unit"), every),
            "p_value": ("unit", p_value(observed, every)),
        },
        coords={"unit": unit},
        attrs={"kind": kind, "behavior": name, "n": len(replaced)},
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
    samples = samples_of(data, names, with_missing=kind == "trials")
    kept, replaced = drawn(
        data, samples, kind=kind, n=n, min_shift=min_shift, others=others, seed=seed, names=names
    )
    yield with_behavior(data, samples.position[kept], {k: v[kept] for k, v in samples.values.items()})
    for values in replaced:
        yield with_behavior(data, samples.position[kept], values)


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


def _counts(data: xr.Dataset) -> np.ndarray:
    """Counts of the flattened bins ``(trial * time, unit)``, NaN where masked."""
    counts = np.where(data["mask"].values, data["counts"].values, np.nan)
    return counts.reshape(-1, counts.shape[-1])


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
