"""Score one prediction of binned data: no refit, no resampling, one pass over the data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from neurokit_snn.errors import EvaluationError
from neurokit_snn.evaluate.metric import AbstractMetric
from neurokit_snn.evaluate.metrics import default_metrics, metric_named
from neurokit_snn.evaluate.scored import Kind, Null, Scored, kind_of, ratio, train_null
from neurokit_snn.models.conditioning import Target
from neurokit_snn.recording.binned import behaviors, check_binned, mask_name

__all__ = ["chosen_metrics", "collect", "lined_up", "score"]


def score(
    data: xr.Dataset,
    predicted: xr.Dataset | xr.DataArray,
    *,
    metrics: Sequence[str | AbstractMetric] | None = None,
    log_prob: xr.DataArray | None = None,
    train: xr.Dataset | None = None,
    target: str | None = None,
) -> xr.Dataset:
    """Score a prediction against binned data.

    Bits per spike are ``(log p(model) - log p(null)) / (spikes ln 2)`` with Poisson counts at the predicted
    rate; the null is each unit's mean rate over ``data`` itself, as in the Neural Latents Benchmark (Pei et
    al. 2021). Rates below 1e-9 a bin are raised to it, in a copy. Lazy data are read chunk by chunk.

    Parameters
    ----------
    data
        Binned dataset with the true values; bins with mask False do not count.
    predicted
        What ``model.predict`` gave: ``rate`` (spikes/s), ``calcium`` or ``behavior_NAME``; or the rate alone,
        over any of the dims ``(trial, time, unit)``. Where it holds some of the units, those are scored.
    metrics
        Names or specifications; None for all that fit the target and what is given.
    log_prob
        What ``model.log_likelihood`` gave, for the metrics that need it; its attribute ``space`` says what it is
        measured in.
    train
        Training data, for metrics that compare with its mean.
    target
        Which behaviour, where ``predicted`` holds several.

    Returns
    -------
    Dataset
        ``value (metric)`` over all units (weighted by their spikes) or axes, ``unit_value (metric, unit)``
        for each unit; coordinates ``unit_label`` and ``higher_is_better`` ``(metric,)``.

    Raises
    ------
    EvaluationError
        When the prediction does not line up with the data, is negative, or a metric lacks what it needs.

    Examples
    --------
    >>> import neurokit_snn as nk
    >>> data = nk.recording.bin(nk.recording.build(spikes={"a": [1.2, 1.7]}), 1.0, start=0.0, stop=2.0)
    >>> perfect = data["counts"].astype(float)
    >>> round(float(score(data, perfect, metrics=["bits_per_spike"])["value"][0]), 6)
    1.0
    """
    check_binned(data)
    asked, mean = _asked(data, predicted, target)
    kind = kind_of(asked.values)
    null = _train_null_of(train, asked) if train is not None else None
    chosen = chosen_metrics(metrics, asked.values, kind)
    scored = Scored(
        target=asked.values,
        mask=asked.mask,
        kind=kind,
        bin_width=float(data.attrs["bin_width"]),
        mean=mean,
        log_prob=None if log_prob is None else lined_up(log_prob, asked.values, name="log_prob"),
        null=null,
        space=None if log_prob is None else log_prob.attrs.get("space"),
    )
    if metrics is None:
        chosen = tuple(m for m in chosen if all(scored.has(part) for part in m.needs))
    return _scores(chosen, scored)


def _scores(chosen: Sequence[AbstractMetric], scored: Scored) -> xr.Dataset:
    statistics = collect(chosen, scored)
    blocks, weights = np.zeros(scored.target.sizes["trial"], dtype=np.int64), np.ones((1, 1))
    parts = [m.combine(statistics[m.name], blocks=blocks, weights=weights) for m in chosen]
    result = xr.Dataset(
        {"value": ("metric", [float(ratio(n.sum(), d.sum())) for n, d in parts])},
        coords={
            "metric": [m.name for m in chosen],
            "unit_label": ("metric", [label_of(m, scored.target) for m in chosen]),
            "higher_is_better": ("metric", [m.higher_is_better for m in chosen]),
        },
        attrs={
            "null": "mean of the evaluated data",
            "bin_width": scored.bin_width,
            "target": str(scored.target.name),
        },
    )
    if "unit" in scored.target.dims:
        n_units = scored.target.sizes["unit"]
        rows = [ratio(n, d)[0] if n.shape[1] == n_units else np.full(n_units, np.nan) for n, d in parts]
        result["unit_value"] = (("metric", "unit"), np.array(rows))
        result = result.assign_coords(
            unit=scored.target["unit"].values if "unit" in scored.target.coords else np.arange(n_units)
        )
    return result


def chosen_metrics(
    metrics: Sequence[str | AbstractMetric] | None, target: xr.DataArray, kind: Kind
) -> tuple[AbstractMetric, ...]:
    """The metrics asked for, each checked against the kind of the target; the defaults for None."""
    if metrics is None:
        return default_metrics(target, kind)
    chosen = tuple(metric_named(m) if isinstance(m, str) else m for m in metrics)
    if not chosen:
        raise EvaluationError("metrics is empty; name at least one, or pass None for the defaults")
    for metric in chosen:
        if kind not in metric.kinds:
            fitting = [m.name for m in default_metrics(target, kind)]
            raise EvaluationError(
                f"metric {metric.name!r} scores {', '.join(metric.kinds)}, the target {target.name} is {kind}; "
                f"choose from {', '.join(fitting)}"
            )
    names = [m.name for m in chosen]
    if len(set(names)) < len(names):
        raise EvaluationError(f"metrics names {', '.join(names)}; each may be there once")
    return chosen


def label_of(metric: AbstractMetric, target: xr.DataArray) -> str:
    """Unit label of a metric, with the units of the behaviour filled in."""
    return metric.unit_label.format(units=target.attrs.get("units") or "its own units")


def collect(metrics: Sequence[AbstractMetric], scored: Scored) -> dict[str, xr.Dataset]:
    """Statistics of several metrics by name, in memory, from one pass over lazy data.

    Raises
    ------
    EvaluationError
        When a prediction is NaN where the mask is True, or a predicted rate is negative there.
    """
    parts = {m.name: m.statistics(scored) for m in metrics}
    parts[CHECKS] = _wrong(scored)
    renamed = [part.rename({v: f"{name}.{v}" for v in part.data_vars}) for name, part in parts.items()]
    # Metrics of one number a sample and of one number a unit both call their columns so.
    apart = [
        part.rename({"column": f"column{i}"} if "column" in part.dims else {})
        for i, part in enumerate(renamed)
    ]
    everything = xr.merge(apart, join="exact", compat="equals").compute()
    found = {}
    for i, (name, part) in enumerate(parts.items()):
        mine = everything[[f"{name}.{v}" for v in part.data_vars]]
        back = {f"{name}.{v}": v for v in part.data_vars} | (
            {f"column{i}": "column"} if "column" in part.dims else {}
        )
        found[name] = mine.rename(back)
    _refuse_wrong(found.pop(CHECKS), scored.target)
    return found


CHECKS = "checks"
"""Name that the checks of predictions go by beside the metrics."""


def _wrong(scored: Scored) -> xr.Dataset:
    """How many valid samples of each trial and column have a prediction that cannot be scored."""
    valid = scored.valid()
    wrong = {}
    if scored.mean is not None:
        mean = scored.columns(scored.mean)
        bad = mean.isnull() | (mean < 0) if scored.kind == "counts" else mean.isnull()
        wrong["mean"] = (bad & valid).sum("time")
    if scored.log_prob is not None:
        bad = scored.columns(scored.log_prob).isnull()
        if "time" in bad.dims:
            bad = bad & (valid if bad.dims == valid.dims else scored.valid_samples())
        wrong["log_prob"] = bad.sum([d for d in bad.dims if d != "trial"])
    return xr.Dataset(wrong)


def _refuse_wrong(wrong: xr.Dataset, target: xr.DataArray) -> None:
    for what, values in wrong.data_vars.items():
        if not (values > 0).any():
            continue
        place = [int(i) for i in np.argwhere(values.values > 0)[0]]
        extra = [d for d in target.dims if d not in ("trial", "time")]
        column = ""
        if len(place) > 1 and extra:
            labels = (
                target[extra[0]].values if extra[0] in target.coords else np.arange(target.sizes[extra[0]])
            )
            column = f", {extra[0]} {labels[place[1]]}"
        problem = "negative or NaN" if what == "mean" and target.name == "counts" else "NaN"
        quantity = (
            f"predicted {'rate' if target.name == 'counts' else target.name}"
            if what == "mean"
            else "log-likelihood"
        )
        raise EvaluationError(
            f"the {quantity} is {problem} where the mask is True (first in trial number {place[0]}{column}); "
            "a model must answer for every valid sample"
        )


def lined_up(values: xr.DataArray, like: xr.DataArray, *, name: str) -> xr.DataArray:
    """Values with the coordinates of ``like``, after checking that the dims they share have equal labels.

    Raises
    ------
    EvaluationError
        When sizes or labels differ: xarray would otherwise drop what does not match, and score the rest.
    """
    for dim in values.dims:
        if dim not in like.dims:
            continue
        if values.sizes[dim] != like.sizes[dim]:
            raise EvaluationError(
                f"{name} has {values.sizes[dim]} along {dim}, the data have {like.sizes[dim]}; predict the same data"
            )
        if dim in values.coords and dim in like.coords and not _same(values[dim].values, like[dim].values):
            raise EvaluationError(f"{name} has other labels along {dim} than the data; predict the same data")
    bare = values.drop_vars(list(values.coords))
    return bare.assign_coords({k: v for k, v in like.coords.items() if set(v.dims) <= set(bare.dims)})


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    if a.dtype.kind == "f" and b.dtype.kind == "f":
        return bool(np.allclose(a, b, rtol=0.0, atol=1e-9))
    return bool(np.array_equal(a, b))


def _asked(
    data: xr.Dataset, predicted: xr.Dataset | xr.DataArray, target: str | None
) -> tuple[Target, xr.DataArray]:
    """The target with its mask, and the prediction in its units."""
    if isinstance(predicted, xr.DataArray):
        predicted = predicted.to_dataset(name="rate")
    if "draw" in predicted.dims:
        raise EvaluationError("the prediction has a dim draw; predict with draws=0 for its mean")
    name, source = _target_name(data, predicted, target)
    values, mask, mean = data[name], data[mask_name(name)], predicted[source]
    if source == "rate":
        mean = mean * float(data.attrs["bin_width"])
    if "unit" in mean.coords and "unit" in values.coords and mean.sizes["unit"] < values.sizes["unit"]:
        missing = set(mean["unit"].values.tolist()) - set(values["unit"].values.tolist())
        if missing:
            raise EvaluationError(
                f"the prediction holds unit {min(missing, key=str)}, which the data do not; predict the same data"
            )
        values = values.sel(unit=mean["unit"].values)
        mask = mask.sel(unit=mean["unit"].values) if "unit" in mask.dims else mask
    mean = lined_up(mean, values, name=source)
    return Target(name=name, values=values, mask=mask), mean


def _target_name(data: xr.Dataset, predicted: xr.Dataset, target: str | None) -> tuple[str, str]:
    """Name of the target in the data and of its prediction."""
    if target is not None:
        name = (
            target
            if target.startswith("behavior_") or target in ("counts", "calcium")
            else f"behavior_{target}"
        )
        source = "rate" if name == "counts" else name
    elif "rate" in predicted:
        name, source = "counts", "rate"
    elif "calcium" in predicted:
        name, source = "calcium", "calcium"
    else:
        found = behaviors(predicted)
        found = tuple(n for n in found if not n.endswith("_sd"))
        if len(found) != 1:
            raise EvaluationError(
                f"the prediction holds {', '.join(found) or 'no rate and no behaviour'}; name one with target="
            )
        name = source = found[0]
    for variable, where, what in ((name, data, "data"), (source, predicted, "prediction")):
        if variable not in where:
            raise EvaluationError(
                f"the {what} has no {variable}; it holds {', '.join(map(str, where.data_vars))}"
            )
    return name, source


def _train_null_of(train: xr.Dataset, asked: Target) -> Null | None:
    check_binned(train, name="train")
    values, mask = train[asked.name], train[mask_name(asked.name)]
    if "unit" in asked.values.coords:
        values = values.sel(unit=asked.values["unit"].values)
        mask = mask.sel(unit=asked.values["unit"].values) if "unit" in mask.dims else mask
    return train_null(Target(name=asked.name, values=values, mask=mask))
