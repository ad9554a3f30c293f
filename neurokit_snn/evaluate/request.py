"""What a comparison was asked: checked, and put into the form that its cells need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from neurokit_snn.errors import EvaluationError
from neurokit_snn.evaluate.cells import Question
from neurokit_snn.evaluate.metric import AbstractMetric
from neurokit_snn.evaluate.scored import kind_of
from neurokit_snn.evaluate.scoring import chosen_metrics
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.models.conditioning import target_of, task_named
from neurokit_snn.models.observations import Space
from neurokit_snn.recording.binned import behaviors, check_binned
from neurokit_snn.recording.splits import Fold, Split, blocked

ONE_SESSION = ""
"""Name of the session where data is no dict."""

Splits = int | Split | Mapping[str, Split]


# --------------------------------------------------------------------------------------------


def check_options(
    models: Mapping[str, AbstractModel],
    *,
    seeds: Sequence[int],
    draws: int,
    n_boot: int,
    on_error: str,
    cv: Splits,
) -> None:
    """Refuse what makes no comparison."""
    if not models:
        raise EvaluationError("models is empty; give at least one, as {'name': model}")
    for name, model in models.items():
        if not isinstance(model, AbstractModel):
            raise EvaluationError(
                f"model {name!r} is a {type(model).__name__}; give models of this package's protocol"
            )
    if not len(seeds) or len(set(seeds)) < len(seeds):
        raise EvaluationError(f"seeds is {tuple(seeds)}; give at least one, each once")
    for option, value, least in (("draws", draws, 100), ("n_boot", n_boot, 100)):
        if value < least:
            raise EvaluationError(f"{option} is {value}; give at least {least}")
    if not isinstance(cv, int | Split | Mapping) or isinstance(cv, bool):
        raise EvaluationError(f"cv is {cv!r}; give a number of folds, a split, or a split for each session")
    if on_error not in ("raise", "nan"):
        raise EvaluationError(f"on_error is {on_error!r}; choose 'raise' or 'nan'")


def check_tasks(models: Mapping[str, AbstractModel], task: str) -> None:
    """Refuse models that cannot do the task."""
    task_named(task)
    if task == "generate":
        raise EvaluationError("task 'generate' is sampled, not scored; use evaluate.posterior_predictive")
    for name, model in models.items():
        if task not in model.tasks:
            able = sorted(n for n, m in models.items() if task in m.tasks)
            raise EvaluationError(
                f"model {name!r} cannot {task}, it can {', '.join(model.tasks)}; able are {', '.join(able) or 'none'}"
            )


def sessions_of(data: xr.Dataset | Mapping[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    """Sessions by name, checked, with equal bin widths."""
    if isinstance(data, xr.Dataset):
        check_binned(data)
        return {ONE_SESSION: data}
    if not data:
        raise EvaluationError("data holds no session; give a binned dataset, or datasets by session")
    sessions = {str(name): one for name, one in data.items()}
    for name, one in sessions.items():
        check_binned(one, name=f"data[{name!r}]")
    widths = {name: float(one.attrs["bin_width"]) for name, one in sessions.items()}
    first, *others = widths
    for name in others:
        if not np.isclose(widths[name], widths[first], rtol=1e-9, atol=0.0):
            raise EvaluationError(
                f"session {name!r} has bins of {widths[name]} s, session {first!r} of {widths[first]} s; scores of different "
                "bin widths cannot be ranked, bin them alike"
            )
    return sessions


def one_space(
    models: Mapping[str, AbstractModel],
    *,
    given: Mapping[str, AbstractModel],
    sessions: Mapping[str, xr.Dataset],
    task: str,
    target: str | None = None,
) -> tuple[Space, list[str]]:
    """The sample space that all models share, and the baselines that are in another one.

    A Bernoulli and a Poisson model of the same bins differ by tenths of a bit per spike from their sample
    spaces alone. Of behaviour, models answer in densities, or of categories in probabilities.
    """
    if task_named(task).target == "behavior":
        kinds = {kind_of(values_of(one, task, target)) for one in sessions.values()}
        if "categorical" in kinds and len(kinds) > 1:
            raise EvaluationError(
                f"the target is of kinds {', '.join(sorted(kinds))} in different sessions; compare each by itself"
            )
        return "categories" if "categorical" in kinds else "density", []
    spaces = {name: model.space for name, model in given.items()}
    if len(set(spaces.values())) > 1:
        words = ", ".join(f"{name!r} ({space})" for name, space in spaces.items())
        raise EvaluationError(
            f"models answer in different sample spaces: {words}; compare each space by itself"
        )
    space = next(iter(spaces.values()))
    for session, one in sessions.items():
        where = f" of session {session!r}" if session else ""
        target = "counts" if "counts" in one else "calcium"
        if (target == "calcium") != (space in ("density", "mixed")):
            raise EvaluationError(
                f"the data{where} hold {target}, models {', '.join(map(repr, given))} answer in {space}"
            )
        if space == "binary" and (most := int(one["counts"].where(one["mask"], 0).max())) > 1:
            raise EvaluationError(
                f"models {', '.join(map(repr, given))} know bins of at most one spike, a bin{where} holds {most}; "
                "use narrower bins"
            )
    return space, [name for name, model in models.items() if model.space != space]


def question_of(
    data: xr.Dataset,
    *,
    task: str,
    space: Space,
    given: Sequence[str] | None,
    target: str | None,
    draws: int,
    held_out: float,
    metrics: Sequence[str | AbstractMetric] | None,
    nulls: int,
) -> Question:
    """What every cell is asked."""
    values = values_of(data, task, target)
    return Question(
        task=task,
        space=space,
        given=None if given is None else tuple(given),
        target=target,
        draws=draws,
        held_out=held_out,
        metrics=chosen_metrics(metrics, values, kind_of(values)),
        nulls=checked_nulls(data, task, nulls),
    )


def checked_nulls(data: xr.Dataset, task: str, nulls: int) -> int:
    """Number of surrogates, which need behaviour to be made of."""
    spec = task_named(task)
    if nulls < 0:
        raise EvaluationError(f"nulls is {nulls}; give 0 for none")
    if nulls and not (behaviors(data) and (spec.covariates or spec.target == "behavior")):
        raise EvaluationError(
            f"nulls is {nulls}, but task {task!r} of these data pairs no behaviour with spikes; leave it 0"
        )
    return nulls


def values_of(data: xr.Dataset, task: str, target: str | None) -> xr.DataArray:
    """What is scored; all units for co-smoothing, as those held out may be chosen later."""
    if task_named(task).counts == "held-in":
        return data["counts" if "counts" in data else "calcium"]
    return target_of(data, task, target=target).values


# ---- folds
# -----------------------------------------------------------------------------------------------------


def gap_of(models: Mapping[str, AbstractModel], gap: float | None, cv: Splits) -> float:
    """Seconds between training and test trials, at least the past that any model reads."""
    reads = {name: float(model.history()) for name, model in models.items()}
    furthest = max(reads, key=lambda name: reads[name])
    need = reads[furthest]
    remedy = f"model {furthest!r} reads {need:g} s of past; give a gap of at least that"
    if isinstance(cv, int):
        if gap is not None and gap < need - 1e-9:
            raise EvaluationError(f"gap is {gap:g} s, and test trials would leak into training: {remedy}")
        return need if gap is None else float(gap)
    if gap is not None:
        raise EvaluationError(
            "gap and a split were both given; the gap is the split's own, make it with splits.blocked"
        )
    for split in _all_of(cv):
        # Somebody who asks for a leaky split by name wants to see the leak.
        if split.kind != "leaky_random" and split.gap < need - 1e-9:
            raise EvaluationError(f"the {split.kind} split has a gap of {split.gap:g} s: {remedy}")
    return min(split.gap for split in _all_of(cv))


def folds_of(sessions: Mapping[str, xr.Dataset], cv: Splits, gap: float) -> dict[str, tuple[Fold, ...]]:
    """Folds of each session."""
    if isinstance(cv, int):
        return {name: blocked(one, folds=cv, gap=gap).folds for name, one in sessions.items()}
    if isinstance(cv, Split):
        if len(sessions) > 1:
            raise EvaluationError(
                "one split was given for several sessions; give a split for each, by session"
            )
        cv = dict.fromkeys(sessions, cv)
    missing = [name for name in sessions if name not in cv]
    if missing:
        raise EvaluationError(f"cv has no split for session {missing[0]!r}; give one for each session")
    for name, one in sessions.items():
        for number, fold in enumerate(cv[name].folds):
            highest = int(max(fold.train.max(), fold.test.max()))
            if highest >= one.sizes["trial"]:
                raise EvaluationError(
                    f"fold {number} of the split names trial {highest}, the data hold {one.sizes['trial']}; "
                    "split these data themselves"
                )
    return {name: cv[name].folds for name in sessions}


def split_kind(cv: Splits) -> str:
    """How the folds were made."""
    return "blocked" if isinstance(cv, int) else ", ".join(dict.fromkeys(split.kind for split in _all_of(cv)))


def _all_of(cv: Split | Mapping[str, Split]) -> list[Split]:
    return [cv] if isinstance(cv, Split) else list(cv.values())
