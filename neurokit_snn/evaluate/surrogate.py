"""Behaviour put in the place of other behaviour: which samples are kept, and where each of them comes from."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import xarray as xr

from neurokit_snn.errors import EvaluationError
from neurokit_snn.recording.binned import check_binned, mask_name

__all__ = ["KINDS", "Samples", "drawn", "samples_of", "with_behavior"]

KINDS = ("circular", "linear", "trials", "sessions")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Samples:
    """Behaviour of one session, its bins in the order of time and end to end."""

    position: np.ndarray  # (sample,) place of each sample among the flattened (trial, time) bins
    values: dict[str, np.ndarray]  # name -> (sample, axis)
    per_trial: int

    @property
    def size(self) -> int:
        """Number of samples."""
        return self.position.size


# ----------------------------------------------------------------------------------


def drawn(
    data: xr.Dataset,
    samples: Samples,
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


def _shuffled(samples: Samples, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """All samples and, for each order of the trials, where the behaviour comes from."""
    n_trials = samples.size // samples.per_trial
    if n_trials < 2:
        raise EvaluationError("kind 'trials' needs at least two trials")
    rng = np.random.default_rng(seed)
    orders = rng.permuted(np.tile(np.arange(n_trials), (n, 1)), axis=1)
    within = np.arange(samples.per_trial)
    return np.arange(samples.size), (orders[:, :, None] * samples.per_trial + within).reshape(n, -1)


def _borrowed(
    samples: Samples, others: Sequence[xr.Dataset], names: Sequence[str]
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
        theirs.append(samples_of(other, names, with_missing=False).values)
    common = min(samples.size, *(len(v[names[0]]) for v in theirs))
    return np.arange(common), [{k: v[:common] for k, v in one.items()} for one in theirs]


# ---- arrays of a dataset
# ---------------------------------------------------------------------------------------


def samples_of(data: xr.Dataset, names: Sequence[str], *, with_missing: bool) -> Samples:
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
        return Samples(position=position, values=values, per_trial=n_time)
    kept = {k: v[known] for k, v in values.items()}
    return Samples(position=position[known], values=kept, per_trial=n_time)


def with_behavior(data: xr.Dataset, position: np.ndarray, values: dict[str, np.ndarray]) -> xr.Dataset:
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
