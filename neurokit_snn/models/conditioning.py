"""What a model may see and what it is scored on, for each task.

Every prediction goes through `hide` first: the target is removed from the data before the model is asked, so that a score
cannot depend on it, whatever the model does.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import xarray as xr

from neurokit_snn.errors import ModelError
from neurokit_snn.recording.binned import behaviors, mask_name, stimuli

__all__ = ["TASKS", "Target", "Task", "covariates", "default_given", "hide", "target_of"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """A question that a model can be asked.

    Parameters
    ----------
    name
        Name of the task.
    target
        What is predicted: ``"counts"`` (or calcium) or ``"behavior"``.
    counts
        Which counts are visible: none, those of the held-in units, or all (``forecast``: only those before the bin, which the
        model itself must respect; the common suite of tests checks it by changing the future).
    covariates
        Whether behaviour, stimulus and trial columns are visible.
    """

    name: str
    target: str
    counts: str
    covariates: bool


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(name="encode", target="counts", counts="none", covariates=True),
        Task(name="decode", target="behavior", counts="all", covariates=False),
        Task(name="cosmooth", target="counts", counts="held-in", covariates=False),
        Task(name="cosmooth+behavior", target="counts", counts="held-in", covariates=True),
        Task(name="forecast", target="counts", counts="past", covariates=True),
        Task(name="generate", target="counts", counts="none", covariates=True),
    )
}

TRIAL_CLOCK = ("trial", "trial_start", "trial_stop")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """What is scored: the name of the variable, its values and which of them are valid."""

    name: str
    values: xr.DataArray
    mask: xr.DataArray


def covariates(data: xr.Dataset) -> tuple[str, ...]:
    """Names of the behaviour and stimulus variables of a binned dataset."""
    return behaviors(data) + stimuli(data)


def task_named(name: str) -> Task:
    """The task of that name, or a `ModelError` that lists the names."""
    if name not in TASKS:
        raise ModelError(f"task is {name!r}; choose one of {', '.join(TASKS)}")
    return TASKS[name]


def neural(data: xr.Dataset) -> str:
    """Name of the neural variable: ``counts`` where there are any, else ``calcium``."""
    for name in ("counts", "calcium"):
        if name in data:
            return name
    raise ModelError("data has neither counts nor calcium; bin a recording with /spikes or /calcium")


def default_given(data: xr.Dataset, task: str) -> tuple[str, ...]:
    """Names of all variables that a task allows a model to see, in the order of the dataset."""
    spec = task_named(task)
    seen = () if spec.counts == "none" else tuple(n for n in ("counts", "calcium") if n in data)
    return seen + (covariates(data) if spec.covariates else ())


def held_out(data: xr.Dataset) -> np.ndarray:
    """The ``held_out (unit)`` coordinate as booleans, or a `ModelError` that says how to make one."""
    if "held_out" not in data.coords:
        raise ModelError(
            "data has no coordinate held_out(unit), which co-smoothing needs; call splits.by_unit(data)"
        )
    values = np.asarray(data["held_out"].values, dtype=bool)
    if not values.any() or values.all():
        raise ModelError(
            f"held_out marks {int(values.sum())} of {values.size} units; co-smoothing needs units on both sides"
        )
    return values


def hide(data: xr.Dataset, task: str, given: tuple[str, ...] | list[str] | None = None) -> xr.Dataset:
    """Remove from binned data what the task does not allow a model to see.

    Parameters
    ----------
    data
        Binned dataset, dims ``(trial, time, unit)``.
    task
        Name of a task of `TASKS`.
    given
        Names of the variables to leave; None for all that the task allows.

    Returns
    -------
    Dataset
        The visible data: masks of hidden variables are kept where they say which bins exist (``mask``), held-out units have
        count 0 and mask False, trial columns are dropped where the task allows no covariates.

    Raises
    ------
    ModelError
        When ``given`` names a variable that is absent or that the task hides.
    """
    spec = task_named(task)
    allowed = default_given(data, task)
    chosen = allowed if given is None else tuple(given)
    for name in chosen:
        if name not in data:
            raise ModelError(
                f"given names {name!r}, which is not in the data; it holds {', '.join(map(str, data))}"
            )
        if name not in allowed:
            raise ModelError(
                f"given names {name!r}, which task {task!r} hides; allowed: {', '.join(allowed) or 'none'}"
            )
    keep = [*chosen, *(mask_name(n) for n in chosen)]
    if "mask" in data and "mask" not in keep:
        keep.append("mask")
    visible = data[keep]
    if not spec.covariates:
        columns = [c for c in data.coords if data[c].dims == ("trial",) and c not in TRIAL_CLOCK]
        visible = visible.drop_vars(columns)
    if spec.counts == "held-in":
        known = xr.DataArray(~held_out(data), dims="unit")
        for name in ("counts", "calcium"):
            if name in visible:
                nothing = 0 if name == "counts" else np.nan
                visible[name] = visible[name].where(known, nothing).astype(data[name].dtype)
        for mask in ("mask", "mask_calcium"):
            if mask in visible:
                visible[mask] = visible[mask] & known
    return visible


def target_of(data: xr.Dataset, task: str, *, target: str | None = None) -> Target:
    """What a task is scored on.

    Parameters
    ----------
    data
        Binned dataset with the true values.
    task
        Name of a task of `TASKS`.
    target
        For ``decode``: name of the behaviour (with or without ``behavior_``). None where the data hold only one.

    Returns
    -------
    Target
        Its ``values`` are ``(trial, time, unit)`` with only the held-out units for co-smoothing, or ``(trial, time, ...)``.

    Raises
    ------
    ModelError
        When the target is absent or ambiguous.
    """
    spec = task_named(task)
    if spec.target == "counts":
        name = neural(data)
        values, mask = data[name], data["mask"] if name == "counts" else data["mask_calcium"]
        if spec.counts == "held-in":
            chosen = held_out(data)
            values = values.isel(unit=chosen)
            mask = mask.isel(unit=chosen) if "unit" in mask.dims else mask
        return Target(name=name, values=values, mask=mask)
    names = behaviors(data)
    if target is None:
        if len(names) != 1:
            raise ModelError(f"decode needs target=, one of {', '.join(names) or 'no behaviour at all'}")
        name = names[0]
    else:
        name = target if target.startswith("behavior_") else f"behavior_{target}"
        if name not in names:
            raise ModelError(f"target is {target!r}; the data hold {', '.join(names) or 'no behaviour'}")
    return Target(name=name, values=data[name], mask=data[mask_name(name)])
