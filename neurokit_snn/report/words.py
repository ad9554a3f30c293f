"""What a comparison says, in plain sentences made from its own numbers."""

from __future__ import annotations

import numpy as np
import xarray as xr

from neurokit_snn.plot.comparison import metric_label
from neurokit_snn.report.tables import with_interval

__all__ = ["QUESTIONS", "best_model", "caveats", "finding", "heading"]

QUESTIONS = {
    "encode": (
        "Encoding: spikes from behaviour",
        "How well are held-out spikes predicted from behaviour and stimulus alone, with no spikes visible?",
    ),
    "decode": (
        "Decoding: behaviour from spikes",
        "How well is held-out behaviour read from the spikes of all units?",
    ),
    "cosmooth": (
        "Co-smoothing: units from other units",
        "How well are the spikes of held-out units predicted from those of the others, behaviour unseen?",
    ),
    "cosmooth+behavior": (
        "Co-smoothing with behaviour",
        "How well are the spikes of held-out units predicted from those of the others and from behaviour?",
    ),
    "forecast": (
        "Forecasting: spikes from the past",
        "How well are spikes predicted from everything before them?",
    ),
}


def heading(task: str) -> tuple[str, str]:
    """Title of the section of a task, and the question it asks."""
    return QUESTIONS.get(task, (task, "Scores on held-out data."))


def best_model(scores: xr.Dataset) -> str:
    """Name the model with the best headline score (the first metric)."""
    return _ranked(scores)[0]


def finding(scores: xr.Dataset, *, reference: str) -> str:
    """Say which model came out best and whether the data tell it from the reference.

    Where the reference itself is best, it is set against the next one.

    Parameters
    ----------
    scores
        What `neurokit_snn.compare` gave; the first metric is the headline.
    reference
        The model to compare with.

    Returns
    -------
    str
    """
    metric = str(scores["metric"].values[0])
    part, ranked = scores.sel(metric=metric), _ranked(scores)
    best = ranked[0]
    own = part.sel(model=best)
    value = with_interval(float(own["value"]), float(own["low"]), float(own["high"]))
    text = f"“{best}” is best: {metric_label(scores, metric)} = {value}."
    if len(ranked) == 1:
        return text
    other = reference if reference != best else ranked[1]
    pair = part.sel(model=best, other=other)
    diff, low, high = (float(pair[name]) for name in ("diff", "diff_low", "diff_high"))
    clear = low > 0 or high < 0
    end = "clear of 0." if clear else "which holds 0: these data do not tell the two apart."
    return f"{text} Paired difference to “{other}”: {with_interval(diff, low, high)}, {end}"


def caveats(scores: xr.Dataset) -> list[str]:
    """List what the numbers of a comparison mean and do not mean, from the attributes that it carries."""
    attrs = scores.attrs
    notes = [
        "Every score is of data that the model was not fitted to.",
        f"Intervals: {attrs.get('interval') or '95%, over blocks'}, {attrs.get('n_boot', 0)} resamples. "
        "Blocks are resampled whole, because neighbouring bins are not independent. The intervals say how a "
        "score would vary with other stretches of such a recording, not with another animal.",
    ]
    if attrs.get("task") != "decode" and "bits_per_spike" in scores["metric"].values:
        notes.append(
            "Bits per spike are the gain over a null that knows the mean rate of each unit "
            f"({attrs.get('null') or 'over the evaluated data'}). At 0 a model is no better than that null; "
            "one that has to learn the mean rate from training data falls below 0 where rates drift."
        )
    if "gap" in attrs:
        notes.append(f"Training data closer than {float(attrs['gap']):g} s to a test trial were left out.")
    return notes


def _ranked(scores: xr.Dataset) -> list[str]:
    """Names of the models, the best headline score first."""
    first = scores.isel(metric=0)
    higher = bool(first["higher_is_better"]) if "higher_is_better" in first.coords else True
    signed = first["value"].values if higher else -first["value"].values
    order = np.argsort(-np.nan_to_num(signed, nan=-np.inf), kind="stable")
    return [str(name) for name in first["model"].values[order]]
