"""A comparison as a table: long for files, one line a model for reading."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from neurokit_snn.errors import EvaluationError
from neurokit_snn.plot.comparison import metric_label

__all__ = ["markdown", "table", "with_interval"]

COLUMNS = (
    "task",
    "metric",
    "measured_in",
    "model",
    "value",
    "low",
    "high",
    "reference",
    "diff",
    "diff_low",
    "diff_high",
    "null",
)


def table(
    comparisons: Mapping[str, xr.Dataset], *, reference: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Put comparisons into one long table: a row for each task, metric and model.

    Parameters
    ----------
    comparisons
        What `neurokit_snn.compare` gave, by the name of the question (most simply the task).
    reference
        The model that the differences are taken from, for each question; the first model where none is named.

    Returns
    -------
    DataFrame
        Columns task, metric, measured_in, model, value, low, high, reference, diff, diff_low, diff_high and
        null. ``diff`` is the model minus the reference, paired; NaN for the reference itself.

    Raises
    ------
    EvaluationError
        When a reference is no model of its comparison.

    Examples
    --------
    >>> import xarray as xr
    >>> one = ("model", "metric"), [[0.1], [0.4]]
    >>> pairs = ("model", "other", "metric"), [[[0.0], [-0.3]], [[0.3], [0.0]]]
    >>> scores = xr.Dataset(
    ...     {"value": one, "low": one, "high": one, "diff": pairs, "diff_low": pairs, "diff_high": pairs},
    ...     coords={"model": ["flat", "tuned"], "other": ["flat", "tuned"], "metric": ["bits_per_spike"]},
    ... )
    >>> table({"encode": scores})[["model", "value", "reference", "diff"]].to_dict("records")[1]
    {'model': 'tuned', 'value': 0.4, 'reference': 'flat', 'diff': 0.3}
    """
    rows = []
    for task, scores in comparisons.items():
        models = [str(name) for name in scores["model"].values]
        base = (reference or {}).get(task, models[0])
        if base not in models:
            raise EvaluationError(f"no model {base!r} in {task!r}; there are {', '.join(models)}")
        for metric in scores["metric"].values:
            part = scores.sel(metric=metric)
            for model in models:
                own, pair = part.sel(model=model), part.sel(model=model, other=base)
                numbers = {name: float(own[name]) for name in ("value", "low", "high")}
                numbers |= {
                    name: math.nan if model == base else float(pair[name])
                    for name in ("diff", "diff_low", "diff_high")
                }
                words = {
                    "task": task,
                    "metric": str(metric),
                    "measured_in": metric_label(scores, str(metric)),
                    "model": model,
                    "reference": base,
                    "null": str(scores.attrs.get("null", "")),
                }
                rows.append(words | numbers)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def markdown(rows: pd.DataFrame, *, headline: bool = True) -> str:
    """Word a table for reading, in a terminal as in a README: a line a model, every number with its interval.

    Parameters
    ----------
    rows
        What `table` gave.
    headline
        Keep the first metric of each task only.

    Returns
    -------
    str
        A Markdown table for each task and metric, each under a line that names them.
    """
    blocks = []
    for task, of_task in rows.groupby("task", sort=False):
        for number, (_, part) in enumerate(of_task.groupby("metric", sort=False)):
            if headline and number:
                break
            blocks.append(f"**{task}**, {part['measured_in'].iloc[0]}\n\n{_grid(part)}")
    return "\n\n".join(blocks)


def with_interval(middle: float, low: float, high: float) -> str:
    """Word a number with its interval, to as many digits as the interval's width warrants.

    Examples
    --------
    >>> with_interval(0.74812, 0.6511, 0.8524)
    '0.75 [0.65, 0.85]'
    >>> with_interval(28.71, 25.2, 33.9)
    '28.7 [25.2, 33.9]'
    """
    if not math.isfinite(middle):
        return "–"
    if not (math.isfinite(low) and math.isfinite(high)):
        return f"{middle:.3g} [no interval]"
    half = (high - low) / 2
    digits = 2 if half <= 0 else int(np.clip(1 - math.floor(math.log10(half)), 0, 6))
    return f"{middle:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _grid(part: pd.DataFrame) -> str:
    reference = str(part["reference"].iloc[0])
    lines = [["model", "score [95% interval]", f"minus {reference} [95% interval]"]]
    for row in part.to_dict("records"):
        difference = with_interval(row["diff"], row["diff_low"], row["diff_high"])
        lines.append([str(row["model"]), with_interval(row["value"], row["low"], row["high"]), difference])
    widths = [max(len(line[i]) for line in lines) for i in range(3)]
    worded = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    ]
    rule = (
        "|"
        + "|".join(
            ("-" if i == 0 else " ") + "-" * width + ("-" if i == 0 else ":")
            for i, width in enumerate(widths)
        )
        + "|"
    )
    return "\n".join([worded[0], rule.replace("| ", "|-"), *worded[1:]])
