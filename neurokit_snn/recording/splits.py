"""Which trials a model learns from and which it is judged on, without leaks.

Neighbouring bins and neighbouring windows share slow drifts and the tails of filters, so a random choice
among them lets a model read part of the answer from its training data. The splits here are blocked in time,
or by trials that an experimenter set apart, or by units; the random one over neighbours exists under the name
of what it does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurokit_snn.errors import SplitError

__all__ = ["Fold", "Split", "blocked", "by_trial", "by_unit", "leaky_random"]

Ints = NDArray[np.int64]

ROUNDING = 1e-9  # seconds: trials that only touch, up to rounding, do not overlap


@dataclass(frozen=True, eq=False)
class Fold:
    """Positions of trials to learn from and to be judged on.

    Attributes
    ----------
    train, test
        Integer arrays, positions along ``trial``, without a common one and without repeats.

    Raises
    ------
    SplitError
        When a side is empty, a trial is named twice, or stands on both sides.
    """

    train: Ints
    test: Ints

    def __post_init__(self) -> None:
        for side in ("train", "test"):
            given = np.asarray(getattr(self, side))
            if given.ndim != 1 or not given.size or given.dtype.kind not in "iu" or (given < 0).any():
                raise SplitError(
                    f"fold: {side} is no list of trial positions; give integers from 0, at least one"
                )
            object.__setattr__(self, side, given.astype(np.int64))
        both = np.concatenate([self.train, self.test])
        values, times = np.unique(both, return_counts=True)
        if (times > 1).any():
            raise SplitError(
                f"fold: trial {values[times > 1][0]} is named twice; a trial belongs to one side"
            )


@dataclass(frozen=True, eq=False)
class Split:
    """Folds of a cross-validation over the trials of a binned dataset.

    Attributes
    ----------
    folds
        One `Fold` after the other.
    kind
        How it was made: ``"blocked"``, ``"by_trial"``, ``"leaky_random"``, or a name of your own.
    gap
        Seconds around every test trial from which no training trial is taken.

    Raises
    ------
    SplitError
        When there is no fold.

    Examples
    --------
    >>> split = Split(folds=(Fold(train=[0, 1], test=[2]),), kind="mine", gap=0.0)
    >>> print(split.describe())
    mine, 1 fold, gap 0 s: fold 0 learns from 2 trials and is judged on 1
    """

    folds: tuple[Fold, ...]
    kind: str
    gap: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "folds", tuple(self.folds))
        if not self.folds or not all(isinstance(fold, Fold) for fold in self.folds):
            raise SplitError("split: folds holds no Fold; give at least one Fold(train, test)")

    def __len__(self) -> int:
        """Return the number of folds."""
        return len(self.folds)

    def apply(self, data: xr.Dataset) -> Iterator[tuple[xr.Dataset, xr.Dataset]]:
        """Yield ``(train, test)`` datasets, fold by fold.

        Parameters
        ----------
        data
            The binned dataset that the split was made for.

        Raises
        ------
        SplitError
            When a fold names a trial that the data do not have.
        """
        n = data.sizes.get("trial", 0)
        for i, fold in enumerate(self.folds):
            highest = int(max(fold.train.max(), fold.test.max()))
            if highest >= n:
                raise SplitError(
                    f"fold {i} names trial {highest}, the data hold {n}; split these data themselves"
                )
            yield data.isel(trial=fold.train), data.isel(trial=fold.test)

    def describe(self) -> str:
        """Return in one sentence how many trials each fold learns from and is judged on."""
        sizes = [
            f"fold {i} learns from {f.train.size} trials and is judged on {f.test.size}"
            for i, f in enumerate(self.folds)
        ]
        return f"{self.kind}, {len(sizes)} fold{'s' * (len(sizes) > 1)}, gap {self.gap:g} s: " + "; ".join(
            sizes
        )


def blocked(data: xr.Dataset, *, folds: int = 5, gap: float = 0.0) -> Split:
    """Cut the trials, in order of time, into contiguous blocks; each block is the test set once.

    Parameters
    ----------
    data
        Binned dataset of at least as many trials as folds.
    folds
        Number of blocks, of equal numbers of trials (up to one).
    gap
        Training trials that lie closer than this (seconds) to a test trial, or overlap one, are left out.
        Give at least the history that a model reads plus the width of its kernels (``model.history()``).

    Returns
    -------
    Split
        Every trial is tested once.

    Raises
    ------
    SplitError
        When there are too few trials, or the gap leaves a fold nothing to learn from.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> tree = recording.build(spikes={"a": [0.1, 0.2, 9.9]})
    >>> data = recording.windows(tree, 0.5, length=1.0, start=0.0, stop=10.0)
    >>> blocked(data, folds=5, gap=1.0).folds[1].train
    array([0, 5, 6, 7, 8, 9])
    """
    start, stop = _times(data)
    _check_folds(start.size, folds, data)
    order = np.argsort(start, kind="stable")
    tests = [np.sort(part) for part in np.array_split(order, folds)]
    return _split(tests, start, stop, kind="blocked", gap=gap)


def by_trial(data: xr.Dataset, *, folds: int = 5, seed: int = 0, gap: float = 0.0) -> Split:
    """Deal trials out at random: for trials that the experiment set apart, or events.

    Parameters
    ----------
    data
        Binned dataset of layout ``"trials"`` or ``"events"``.
    folds
        Number of folds.
    seed
        Of the random order.
    gap
        As for `blocked`. Trials that overlap a test trial are left out whatever the gap.

    Returns
    -------
    Split
        Every trial is tested once.

    Raises
    ------
    SplitError
        For windows of a continuous session, whose neighbours leak; when there are too few trials; when the
        gap leaves a fold nothing to learn from.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> tree = recording.build(
    ...     spikes={"a": [0.1]}, trials={"start": [0.0, 2.0, 4.0], "stop": [1.0, 3.0, 5.0]}
    ... )
    >>> split = by_trial(recording.bin_trials(tree, 0.5), folds=3)
    >>> sorted(int(fold.test[0]) for fold in split.folds)
    [0, 1, 2]
    """
    layout = data.attrs.get("layout")
    if layout not in ("trials", "events"):
        raise SplitError(
            f"by_trial: neighbouring trials of layout {layout!r} leak into each other; "
            "call splits.blocked(data), or splits.leaky_random(data) if a leak is what you want"
        )
    start, stop = _times(data)
    _check_folds(start.size, folds, data)
    return _split(_dealt(start.size, folds, seed), start, stop, kind="by_trial", gap=gap)


def leaky_random(data: xr.Dataset, *, folds: int = 5, seed: int = 0) -> Split:
    """Deal trials or windows out at random, neighbours and all: scores of such a split are too good.

    It is here to show by how much. Nothing is left out between training and test trials.

    Parameters
    ----------
    data
        Binned dataset of any layout with at least as many trials as folds.
    folds
        Number of folds.
    seed
        Of the random order.

    Returns
    -------
    Split
        Of kind ``"leaky_random"``.

    Raises
    ------
    SplitError
        When there are too few trials.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> tree = recording.build(spikes={"a": [0.1]})
    >>> data = recording.windows(tree, 0.5, length=1.0, start=0.0, stop=10.0)
    >>> leaky_random(data, folds=2).folds[0].test.size
    5
    """
    n = data.sizes.get("trial", 0)
    _check_folds(n, folds, data)
    folded = [Fold(np.setdiff1d(np.arange(n), test), test) for test in _dealt(n, folds, seed)]
    return Split(tuple(folded), "leaky_random", 0.0)


def by_unit(data: xr.Dataset, *, fraction: float = 0.25, seed: int = 0) -> xr.Dataset:
    """Mark units as held out, for co-smoothing.

    Parameters
    ----------
    data
        Binned dataset.
    fraction
        Of the units to hold out, between 0 and 1; at least one unit stays on either side.
    seed
        Of the random choice.

    Returns
    -------
    Dataset
        The data with the coordinate ``held_out (unit)``, bool.

    Raises
    ------
    SplitError
        When there are fewer than two units or the fraction is not between 0 and 1.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> tree = recording.build(spikes={"a": [0.1], "b": [0.2], "c": [0.7], "d": [0.8]})
    >>> int(by_unit(recording.bin(tree, 0.1))["held_out"].sum())
    1
    """
    n = data.sizes.get("unit", 0)
    if n < 2:
        raise SplitError(
            f"by_unit: the data hold {n} unit{'s' * (n != 1)}; holding some out needs two at least"
        )
    if not 0 < fraction < 1:
        raise SplitError(
            f"by_unit: fraction is {fraction!r}; give a number between 0 and 1, as in fraction=0.25"
        )
    chosen = np.random.default_rng(seed).permutation(n)[: min(max(round(fraction * n), 1), n - 1)]
    held_out = np.zeros(n, bool)
    held_out[chosen] = True
    return data.assign_coords(held_out=("unit", held_out))


def _times(data: xr.Dataset) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    for name in ("trial_start", "trial_stop"):
        if name not in data.coords or data[name].dims != ("trial",):
            raise SplitError(
                f"data have no coordinate {name}(trial); bin the recording with this package's functions"
            )
    return data["trial_start"].values.astype(np.float64), data["trial_stop"].values.astype(np.float64)


def _check_folds(n_trials: int, folds: int, data: xr.Dataset) -> None:
    if isinstance(folds, bool) or not isinstance(folds, int | np.integer) or folds < 2:
        raise SplitError(f"folds is {folds!r}; give a whole number, at least 2")
    if n_trials < folds:
        layout = data.attrs.get("layout")
        remedy = (
            "cut the session with recording.windows(tree, bin_width, length=...) first"
            if layout == "session"
            else "give fewer folds"
        )
        raise SplitError(f"{folds} folds need as many trials, the data hold {n_trials}; {remedy}")


def _dealt(n: int, folds: int, seed: int) -> list[Ints]:
    order = np.random.default_rng(seed).permutation(n)
    return [np.sort(part) for part in np.array_split(order, folds)]


def _split(
    tests: list[Ints], start: NDArray[np.float64], stop: NDArray[np.float64], *, kind: str, gap: float
) -> Split:
    """Give each test set the training trials that neither overlap it nor lie within the gap."""
    if not (np.isfinite(gap) and gap >= 0):
        raise SplitError(f"gap is {gap!r}; give seconds, 0 or more")
    made = []
    for i, test in enumerate(tests):
        near = _near(start, stop, test, gap)
        near[test] = True
        train = np.flatnonzero(~near)
        if not train.size:
            others = start.size - test.size
            raise SplitError(
                f"{kind}: fold {i} has nothing left to learn from: the other {others} trials all lie within "
                f"{gap:g} s of a test trial; give a smaller gap, fewer folds, or more and shorter trials"
            )
        made.append(Fold(train, test))
    return Split(tuple(made), kind, float(gap))


def _near(start: NDArray[np.float64], stop: NDArray[np.float64], test: Ints, gap: float) -> NDArray[np.bool_]:
    """Return which trials ``[start, stop)`` overlap a test trial widened by the gap on both sides.

    A trial is clear of the test set when all test trials that begin before it ends have ended before it
    begins.
    """
    order = test[np.argsort(start[test], kind="stable")]
    begins = start[order] - gap + ROUNDING
    ends = np.maximum.accumulate(stop[order]) + gap - ROUNDING
    before = np.searchsorted(begins, stop, side="left")  # test trials that begin before this one ends
    return (before > 0) & (ends[np.maximum(before - 1, 0)] > start)
