"""Spikes of binned data in one order, so that the tokens of a window that begins at any bin are a slice."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterable, Mapping
from functools import cached_property
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from neurokit_snn.errors import RecordingError
from neurokit_snn.recording.binned import check_binned

__all__ = ["NONE", "SpikeStream", "Vocabulary", "Windows"]

Ints = NDArray[np.int64]
NONE = -1
"""What stands in ``id`` and ``dt`` where there is no token."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The units that tokens may name; the id of a unit is its position.

    After the units come three ids that are no units: ``sos`` (start of a window), ``eos`` (its end) and ``pad``
    (filling), as in Neuroformer (Antoniades et al., ICLR 2024). ``size`` counts them.

    Parameters
    ----------
    units
        Labels, each once: all text, or all whole numbers.

    Raises
    ------
    RecordingError
        When a label is there twice, or is of another type than the others.

    Examples
    --------
    >>> vocabulary = Vocabulary(units=("a", "b", "c"))
    >>> vocabulary.ids(["c", "a"])
    array([2, 0])
    >>> vocabulary.eos, vocabulary.size
    (4, 6)
    """

    units: tuple[Hashable, ...]

    def __post_init__(self) -> None:
        kind = str if self.units and isinstance(self.units[0], str) else int
        if (odd := next((label for label in self.units if not isinstance(label, kind)), None)) is not None:
            raise RecordingError(
                f"unit {odd!r} of the vocabulary is {type(odd).__name__}; give labels all of type str, or all of type int"
            )
        if len(self._place) < len(self.units):
            twice = next(label for i, label in enumerate(self.units) if self._place[label] != i)
            raise RecordingError(f"unit {twice!r} is in the vocabulary twice; give each label once")

    @classmethod
    def of(cls, data: xr.Dataset | Mapping[str, xr.Dataset]) -> Vocabulary:
        """The units of binned data, or of several sessions.

        Parameters
        ----------
        data
            Binned data, or such data by the name of their session, whose units are then called ``SESSION/UNIT``
            as in `joined` and in `neurokit_snn.compare`.

        Raises
        ------
        RecordingError
            When there are no units, or two of one label.

        Examples
        --------
        >>> from neurokit_snn import recording
        >>> data = recording.bin(recording.build(spikes={"a": [0.1], "b": [0.3]}), 0.1)
        >>> Vocabulary.of({"monday": data, "tuesday": data}).units
        ('monday/a', 'monday/b', 'tuesday/a', 'tuesday/b')
        """
        if isinstance(data, xr.Dataset):
            return cls(units=_labels(data))
        return cls(units=tuple(f"{name}/{label}" for name, one in data.items() for label in _labels(one)))

    @property
    def n_units(self) -> int:
        """How many units there are; ids below are units."""
        return len(self.units)

    @property
    def sos(self) -> int:
        """Id of the start of a window."""
        return len(self.units)

    @property
    def eos(self) -> int:
        """Id of the end of a window."""
        return len(self.units) + 1

    @property
    def pad(self) -> int:
        """Id of filling."""
        return len(self.units) + 2

    @property
    def size(self) -> int:
        """Number of ids, units and the three others."""
        return len(self.units) + 3

    def ids(self, labels: Iterable[Hashable]) -> Ints:
        """Ids of labels, int64.

        Raises
        ------
        RecordingError
            Naming the first label outside the vocabulary.
        """
        listed = labels.tolist() if isinstance(labels, np.ndarray) else list(labels)
        for at, label in enumerate(listed):
            if label not in self._place:
                raise RecordingError(
                    f"labels[{at}]: unit {label!r} is outside the vocabulary of {self.n_units} units; "
                    "select the units it holds, or make a vocabulary of all sessions"
                )
        return np.array([self._place[label] for label in listed], dtype=np.int64)

    def labels(self, ids: ArrayLike) -> tuple[Hashable, ...]:
        """Labels of ids ``(n,)``.

        Raises
        ------
        RecordingError
            Naming the first id that is no unit: outside the vocabulary, or one of the three others.

        Examples
        --------
        >>> Vocabulary(units=("a", "b")).labels([1, 2])
        Traceback (most recent call last):
        ...
        neurokit_snn.errors.RecordingError: ids[1]: 2 is SOS, no unit; ids of the 2 units are 0..1
        """
        found = np.asarray(ids)
        wrong = np.flatnonzero((found < 0) | (found >= self.n_units))
        if wrong.size:
            at, value = int(wrong[0]), int(found[wrong[0]])
            special = {self.sos: "is SOS, no unit", self.eos: "is EOS, no unit", self.pad: "is PAD, no unit"}
            told = special.get(value, "is outside the vocabulary")
            raise RecordingError(
                f"ids[{at}]: {value} {told}; ids of the {self.n_units} units are 0..{self.n_units - 1}"
            )
        return tuple(self.units[i] for i in found.tolist())

    @cached_property
    def _place(self) -> dict[Hashable, int]:
        return {label: i for i, label in enumerate(self.units)}


@dataclasses.dataclass(frozen=True, eq=False)
class Windows:
    """Tokens of some windows, in the order of time.

    Attributes
    ----------
    id
        ``(n, max_tokens)`` int64: the units, -1 beyond the last token of a window.
    dt
        ``(n, max_tokens)`` int64: bins since the start of the window, -1 beyond the last token.
    n_tokens
        ``(n,)`` int64: tokens of each window that are there.
    overflow
        ``(n,)`` int64: spikes of each window that did not fit.
    """

    id: Ints
    dt: Ints
    n_tokens: Ints
    overflow: Ints


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class SpikeStream:
    """All spikes of binned data: trial after trial, bin after bin, within a bin by unit, each as often as it fired.

    Parameters
    ----------
    bin
        ``(spike,)`` int32: bin of the trial.
    unit
        ``(spike,)`` int32: id of the unit.
    first
        ``(trial, time + 1)`` int64: position of the first spike of each bin; the last column is where the trial ends.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> tree = recording.build(spikes={"a": [0.12, 0.31], "b": [0.05, 0.11, 0.13]})
    >>> stream = SpikeStream.of(recording.bin(tree, 0.1, start=0.0, stop=0.4))
    >>> stream.bin, stream.unit
    (array([0, 1, 1, 1, 3], dtype=int32), array([1, 0, 1, 1, 0], dtype=int32))
    """

    bin: NDArray[np.int32]
    unit: NDArray[np.int32]
    first: Ints

    @classmethod
    def of(cls, data: xr.Dataset, *, vocabulary: Vocabulary | None = None) -> SpikeStream:
        """The spikes of binned data; bins that are masked hold none.

        Parameters
        ----------
        data
            Binned data with ``counts`` and ``mask (trial, time, unit)``.
        vocabulary
            Gives the units their ids; it may hold more of them, and in another order. None: the units of ``data``.

        Raises
        ------
        RecordingError
            When there are no counts, a count is negative, or a unit is outside the vocabulary.
        """
        counts = _valid_counts(data)
        labels = _labels(data)
        own = Vocabulary(units=labels)
        ids = (own if vocabulary is None else vocabulary).ids(labels)
        order = np.argsort(ids)
        if not np.array_equal(order, np.arange(order.size)):
            counts = counts[..., order]
        n_trials, n_bins, n_units = counts.shape
        flat = np.ascontiguousarray(counts).reshape(-1)
        filled = np.flatnonzero(flat)
        spike = np.repeat(filled, flat[filled])
        row, unit = np.divmod(spike, n_units)
        until = np.zeros(n_trials * n_bins + 1, dtype=np.int64)
        np.cumsum(np.bincount(row, minlength=n_trials * n_bins), out=until[1:])
        first = until[np.arange(n_trials)[:, None] * n_bins + np.arange(n_bins + 1)]
        return cls(
            bin=(row % max(n_bins, 1)).astype(np.int32), unit=ids[order][unit].astype(np.int32), first=first
        )

    def windows(
        self,
        trial: ArrayLike,
        start: ArrayLike,
        *,
        length: int,
        max_tokens: int,
        keep: Literal["first", "last"],
    ) -> Windows:
        """Tokens of windows that begin at any bin of any trial.

        Parameters
        ----------
        trial, start
            ``(n,)`` integers: position of the trial and the first bin of each window. A window may stick out of
            its trial on either side, or lie beside it: what is outside holds no spikes.
        length
            Bins of a window.
        max_tokens
            Most tokens of a window.
        keep
            Which of a window's spikes stay where they are more than that: the first (a window that is
            predicted) or the last (the past). The others are counted in ``overflow``.

        Raises
        ------
        RecordingError
            When a trial does not exist, a size is negative, or there are not as many trials as starts.
        """
        trial, start = (np.asarray(values, dtype=np.int64) for values in (trial, start))
        if trial.ndim != 1 or trial.shape != start.shape:
            raise RecordingError(f"trial has shape {trial.shape}, start {start.shape}; give both as (n,)")
        self._check(trial, length, max_tokens, keep)
        n_bins = self.first.shape[1] - 1
        low = self.first[trial, np.clip(start, 0, n_bins)]
        high = self.first[trial, np.clip(start + length, 0, n_bins)]
        n_tokens = np.minimum(high - low, max_tokens)
        overflow = high - low - n_tokens
        begin = low if keep == "first" else high - n_tokens
        there = np.arange(max_tokens) < n_tokens[:, None]
        before = np.cumsum(n_tokens) - n_tokens
        spike = np.repeat(begin - before, n_tokens) + np.arange(int(n_tokens.sum()))
        ids, dts = (np.full(there.shape, NONE, dtype=np.int64) for _ in range(2))
        ids[there] = self.unit[spike]
        dts[there] = self.bin[spike] - np.repeat(start, n_tokens)
        return Windows(id=ids, dt=dts, n_tokens=n_tokens, overflow=overflow)

    def _check(self, trial: Ints, length: int, max_tokens: int, keep: str) -> None:
        n_trials = self.first.shape[0]
        if trial.size and (trial.min() < 0 or trial.max() >= n_trials):
            at = int(np.flatnonzero((trial < 0) | (trial >= n_trials))[0])
            raise RecordingError(
                f"trial[{at}] is {trial[at]}; there are {n_trials} trials, give 0..{n_trials - 1}"
            )
        if length < 0 or max_tokens < 0:
            raise RecordingError(
                f"length is {length} bins and max_tokens {max_tokens}; give numbers of 0 or more"
            )
        if keep not in ("first", "last"):
            raise RecordingError(f"keep is {keep!r}; choose 'first' or 'last'")


def _labels(data: xr.Dataset) -> tuple[Hashable, ...]:
    if "unit" not in data.coords:
        raise RecordingError("data has no coordinate unit; give binned data with labelled units")
    return tuple(data["unit"].values.tolist())


def _valid_counts(data: xr.Dataset) -> np.ndarray:
    """Counts with nothing in masked bins."""
    check_binned(data)
    if "counts" not in data:
        raise RecordingError(
            "data has no counts; of calcium make events with recording.tokens.calcium_events"
        )
    counts = np.where(data["mask"].values, data["counts"].values, 0)
    if counts.size and counts.min() < 0:
        trial, time, unit = (int(i) for i in np.argwhere(counts < 0)[0])
        raise RecordingError(
            f"counts[{trial}, {time}, {unit}] (trial, time, unit) is {counts[trial, time, unit]}; counts are 0 or more"
        )
    return counts
