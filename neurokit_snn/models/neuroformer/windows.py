"""Binned data as windows: which there are, and batches of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence

import numpy as np
import torch
import xarray as xr

from neurokit_snn.errors import ModelError
from neurokit_snn.models.modalities import Modality, features_of
from neurokit_snn.models.neuroformer.batch import Batch, Series
from neurokit_snn.models.neuroformer.spec import Spec
from neurokit_snn.recording.tokens import SpikeStream, Vocabulary

__all__ = ["Past", "Places", "Source", "grid_of", "places_of", "require_single_spikes"]


@dataclasses.dataclass(frozen=True, eq=False)
class Places:
    """Windows by trial and first bin, each ``(window,)``; the first bin may lie before the trial."""

    trial: np.ndarray
    start: np.ndarray

    def __len__(self) -> int:
        return self.trial.size

    def take(self, rows: np.ndarray | slice) -> Places:
        """Some of them."""
        return Places(self.trial[rows], self.start[rows])

    def spread(self, most: int) -> Places:
        """At most so many of them, evenly spread from the first to the last."""
        return self.take(np.linspace(0, max(len(self) - 1, 0), min(most, len(self))).astype(int))


def grid_of(n_trials: int, n_bins: int, window: int) -> Places:
    """Windows side by side from the start of each trial, trial by trial; the last one may stick out."""
    starts = np.arange(0, n_bins, window)
    return Places(np.repeat(np.arange(n_trials), starts.size), np.tile(starts, n_trials))


def places_of(lengths: np.ndarray, window: int, *, before: bool) -> Places:
    """Windows at every bin of trials of so many bins; with ``before`` also those that end in a trial's first bins."""
    first = 1 - window if before else 0
    starts = [np.arange(min(first, length - window), max(length - window, 0) + 1) for length in lengths]
    trial = np.repeat(np.arange(len(starts)), [s.size for s in starts])
    return Places(trial, np.concatenate(starts) if starts else np.zeros(0, int))


def require_single_spikes(data: xr.Dataset, who: str) -> None:
    """Refuse counts with two spikes of a unit in an observed bin, naming the unit."""
    most = data["counts"].where(data["mask"], 0).max(("trial", "time"))
    if int(most.max()) > 1:
        unit = data["unit"].values[int(np.argmax(most.values))]
        raise ModelError(
            f"{who}: unit {unit} has {int(most.max())} spikes in a bin, but binary is True; take narrower bins"
        )


class Source:
    """Everything of binned data that batches are made of.

    Parameters
    ----------
    data
        Binned data; counts may be absent where they are hidden.
    units
        Labels of the units, in the order of their ids.
    inputs, outputs
        Modalities; outputs may be absent from the data.
    who
        For messages.
    """

    def __init__(
        self,
        data: xr.Dataset,
        *,
        units: Sequence[Hashable],
        inputs: Sequence[Modality],
        outputs: Sequence[Modality],
        who: str,
    ) -> None:
        self.who = who
        self.labels = data["trial"].values
        self.n_trials, self.n_bins = data.sizes["trial"], data.sizes["time"]
        self.stream = (
            SpikeStream.of(data, vocabulary=Vocabulary(units=tuple(units))) if "counts" in data else None
        )
        order = ("trial", "time", "unit")
        self.mask = (
            np.asarray(data["mask"].transpose(*order).values)
            if "mask" in data
            else np.ones((self.n_trials, self.n_bins, len(units)), bool)
        )
        self.inputs = {m.name: self._series(data, m) for m in inputs}
        self.outputs = {m.name: self._series(data, m) for m in outputs if m.name in data}

    def _series(self, data: xr.Dataset, modality: Modality) -> tuple[np.ndarray, np.ndarray]:
        features, valid = features_of(data, modality, self.who)
        return features.astype(np.float32), valid

    def lengths(self) -> np.ndarray:
        """Bins of each trial up to the last one in which a unit was observed, ``(trial,)``."""
        seen = np.asarray(self.mask.any(-1))
        return np.where(seen.any(1), self.n_bins - np.argmax(seen[:, ::-1], axis=1), 0)

    def longest(self, places: Places, length: int, offset: int = 0) -> int:
        """Most spikes in any of the windows."""
        if self.stream is None or not len(places):
            return 0
        return int(self.spikes(places, length, offset).max())

    def spikes(self, places: Places, length: int, offset: int = 0) -> np.ndarray:
        """How many spikes each window has, ``(window,)``, counted from so many bins after its start."""
        assert self.stream is not None
        first = np.clip(places.start + offset, 0, self.n_bins)
        last = np.clip(places.start + offset + length, 0, self.n_bins)
        of = self.stream.first
        return of[places.trial, last] - of[places.trial, first]

    def fitting_in(self, places: Places, spec: Spec) -> np.ndarray:
        """Spikes of each window ``(window,)``.

        Raises
        ------
        ModelError
            When a window has more spikes than the network has places, naming trial and bin.
        """
        n_tokens = self.spikes(places, spec.window)
        if n_tokens.max(initial=0) > spec.max_tokens:
            row = int(np.argmax(n_tokens > spec.max_tokens))
            raise ModelError(
                f"{self.who}: the window at bin {places.start[row]} of trial {self.labels[places.trial[row]]} has "
                f"{n_tokens[row]} spikes, more than the context of {spec.max_tokens}; raise max_tokens or shorten window"
            )
        return n_tokens

    def observed(self, places: Places, window: int) -> np.ndarray:
        """``(window, bin, unit)``: where there can be a spike."""
        bins = places.start[:, None] + np.arange(window)
        inside = (bins >= 0) & (bins < self.n_bins)
        found = self.mask[places.trial[:, None], np.clip(bins, 0, self.n_bins - 1)]
        return found & inside[..., None]

    def known_at_end(self, places: Places, window: int, name: str) -> np.ndarray:
        """Whether a predicted behaviour is known in the last bin of each window, ``(window,)``."""
        last = places.start + window - 1
        inside = (last >= 0) & (last < self.n_bins)
        at = np.clip(last, 0, self.n_bins - 1)
        return self.outputs[name][1][places.trial, at] & inside

    def batch(self, places: Places, spec: Spec, *, past: Past | None = None, spikes: bool = True) -> Batch:
        """Windows as tensors.

        Parameters
        ----------
        places
            Which windows.
        spec
            Sizes.
        past
            Past tokens of a model's own making, in place of those of the data.
        spikes
            Whether the window's own spikes are read.

        Raises
        ------
        ModelError
            When a window has more spikes than the network has places, naming trial and bin.
        """
        id, dt, n_tokens = self._current(places, spec, read=spikes)
        if past is None:
            past = self.past(places, spec)
        allowed = self.observed(places, spec.window)
        outputs = {name: self._at_end(values, places, spec) for name, values in self.outputs.items()}
        reach = {entry.name: entry for entry in spec.inputs}
        inputs = {
            name: self._around(values, places, spec, before=reach[name].bins, shape=reach[name].shape)
            for name, values in self.inputs.items()
        }
        return Batch(
            id=torch.from_numpy(id),
            dt=torch.from_numpy(dt),
            n_tokens=torch.from_numpy(n_tokens),
            past_id=torch.from_numpy(past.id),
            past_dt=torch.from_numpy(past.dt),
            allowed=None if allowed.all() else torch.from_numpy(allowed),
            inputs=inputs,
            outputs=outputs,
        )

    def _current(
        self, places: Places, spec: Spec, *, read: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if self.stream is None or not read:
            n_tokens = np.zeros(len(places), np.int64)
            found_id = found_dt = np.zeros((len(places), 0), np.int64)
        else:
            n_tokens = self.fitting_in(places, spec)
            most = int(n_tokens.max(initial=0))
            found = self.stream.windows(
                places.trial, places.start, length=spec.window, max_tokens=max(most, 1), keep="first"
            )
            found_id, found_dt = found.id[:, :most], found.dt[:, :most]
        return (*_with_start(found_id, found_dt, spec), n_tokens)

    def past(self, places: Places, spec: Spec) -> Past:
        """The spikes before each window, the latest where they are too many."""
        if self.stream is None:
            nothing = np.zeros((len(places), 0), np.int64)
            return Past(*_with_start(nothing, nothing, spec))
        offset = -spec.past
        most = int(self.spikes(places, spec.past, offset).max(initial=0))
        found = self.stream.windows(
            places.trial,
            places.start + offset,
            length=spec.past,
            max_tokens=max(min(most, spec.max_past_tokens), 1),
            keep="last",
        )
        return Past(*_with_start(found.id, found.dt, spec))

    def _around(
        self,
        values: tuple[np.ndarray, np.ndarray],
        places: Places,
        spec: Spec,
        *,
        before: int,
        shape: tuple[int, ...],
    ) -> Series:
        """Features of the bins before and inside each window."""
        features, valid = values
        bins = places.start[:, None] + np.arange(-before, spec.window)
        inside = (bins >= 0) & (bins < self.n_bins)
        at = np.clip(bins, 0, self.n_bins - 1)
        known = valid[places.trial[:, None], at] & inside
        found = features[places.trial[:, None], at] * known[..., None]
        if shape:
            found = found.reshape(*found.shape[:2], *shape)
        return Series(torch.from_numpy(np.ascontiguousarray(found)), torch.from_numpy(known))

    def _at_end(self, values: tuple[np.ndarray, np.ndarray], places: Places, spec: Spec) -> Series:
        """Features of the last bin of each window."""
        features, valid = values
        last = places.start + spec.window - 1
        inside = (last >= 0) & (last < self.n_bins)
        at = np.clip(last, 0, self.n_bins - 1)
        return Series(
            torch.from_numpy(features[places.trial, at]), torch.from_numpy(valid[places.trial, at] & inside)
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Past:
    """Tokens of the past state, SOS first, PAD beyond; ``(window, position)``."""

    id: np.ndarray
    dt: np.ndarray


def _with_start(id: np.ndarray, dt: np.ndarray, spec: Spec) -> tuple[np.ndarray, np.ndarray]:
    """Tokens with SOS before them and PAD for those that are missing."""
    missing = id < 0
    first = np.full((id.shape[0], 1), spec.sos, np.int64)
    ids = np.concatenate([first, np.where(missing, spec.pad, id)], 1)
    return ids, np.concatenate([np.zeros_like(first), np.where(missing, 0, dt)], 1)
