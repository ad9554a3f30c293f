"""Poisson naive-Bayes decoder on a grid, one bin at a time or with a random walk through time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import xarray as xr
from scipy.special import logsumexp

from neurokit_snn.errors import ModelError
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.models.covariates import Covariate, counts_and_mask, decoded_covariate
from neurokit_snn.models.grid_decoding import GridAxes, RateMaps, forward_backward, learn_maps
from neurokit_snn.models.inner_folds import blocks_of_bins
from neurokit_snn.models.observations import AbstractObservation, Grid

__all__ = ["NaiveBayesDecoder"]

SMOOTHINGS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
"""Standard deviations of the map's kernel, in cells, among which ``smoothing="auto"`` chooses."""

WIDENINGS = (1.0, 1.5, 2.0, 3.0, 4.0)
"""Multiples of the step seen in training among which the width of the random walk is chosen."""

INNER_FOLDS = 3


class NaiveBayesDecoder(AbstractModel):
    """Decode a behaviour from the counts of all units in a bin, as a density on a grid.

    Each unit has a map of its rate over the cells (spikes and time smoothed alike, then divided); given the cell, counts are
    Poisson and independent, the rate being integrated over its posterior. The prior is the time spent in each cell
    (Zhang et al. 1998, J. Neurophysiol. 79:1017). ``smoother="random-walk"`` adds a Gaussian random walk among the cells
    within each trial and the forward-backward recursion over it (Brown et al. 1998, J. Neurosci. 18:7411, on a grid).

    Parameters
    ----------
    target
        Behaviour to decode, one or two axes, continuous or circular; None where the data hold only one.
    bins
        Cells along each axis.
    smoothing
        Standard deviation of the maps' kernel in cells, or ``"auto"``: chosen inside the training data by the density
        given to bins left out.
    smoother
        ``"none"``: each bin alone. ``"random-walk"``: the step of the walk is the root mean square step of the training data
        times a factor chosen inside the training data, for spikes of a unit in neighbouring bins are not as independent
        as the model says, which a wider step makes up for.
    estimate
        Which point ``predict`` gives: the ``"mode"`` of the density or its ``"mean"``. Does not change the likelihood.

    Attributes
    ----------
    smoothing_ : float
        Smoothing used, in cells.
    step_ : ndarray, (axis,)
        Standard deviation of a step of the walk, in the units of the behaviour; NaN without a smoother.
    axes_ : GridAxes
    maps_ : RateMaps

    Raises
    ------
    ModelError
        From `fit`: when the target is absent, ambiguous or has more than two axes.

    Examples
    --------
    >>> import numpy as np
    >>> from neurokit_snn import recording
    >>> time = np.arange(0.0, 60.0, 0.1)
    >>> left = np.sin(time) < 0
    >>> position = {"time": time, "value": np.sin(time), "units": "m"}
    >>> tree = recording.build(spikes={"a": time[left], "b": time[~left]}, behavior={"position": position})
    >>> data = recording.windows(tree, 0.5, length=5.0, start=0.0, stop=60.0)
    >>> found = NaiveBayesDecoder(bins=4).fit(data).predict(data, task="decode")
    >>> error = abs(found["behavior_position"] - data["behavior_position"])
    >>> bool(error.median() < 0.5)
    True
    """

    tasks: ClassVar[tuple[str, ...]] = ("decode",)
    deterministic: ClassVar[bool] = True
    space: ClassVar[Literal["counts", "binary", "density"]] = "density"

    target_: str
    axes_: GridAxes
    axis_dim_: str | None
    axis_labels_: tuple[str, ...]
    maps_: RateMaps
    smoothing_: float
    step_: np.ndarray

    def __init__(
        self,
        *,
        target: str | None = None,
        bins: int = 16,
        smoothing: float | str = "auto",
        smoother: str = "none",
        estimate: str = "mode",
    ) -> None:
        self.target = target
        self.bins = bins
        self.smoothing = smoothing
        self.smoother = smoother
        self.estimate = estimate

    def _fit(self, data: xr.Dataset, *, seed: int, progress: bool, resume: Path | None) -> None:
        who = "NaiveBayesDecoder.fit"
        self._check_parameters()
        found = decoded_covariate(data, self.target, max_axes=2, circular=True, who=who)
        counts, mask = counts_and_mask(data, who)
        usable = found.valid & mask.any(-1)
        if not usable.any():
            raise ModelError(
                f"{who}: no bin has both a valid count and a valid {found.name}; check the masks"
            )
        self.target_ = f"behavior_{found.name}"
        extra = [str(d) for d in data[self.target_].dims if d not in ("trial", "time")]
        self.axis_dim_, self.axis_labels_ = (extra[0], found.axes) if extra else (None, ())
        self.axes_ = GridAxes.around(found, bins=self.bins)
        trial = np.nonzero(usable)[0]
        cell = self.axes_.cells(found.values[usable])
        block = None
        if self.smoothing == "auto" or self.smoother == "random-walk":
            block = blocks_of_bins(trial, folds=INNER_FOLDS, who=who)
        if self.smoothing == "auto":
            assert block is not None
            self.smoothing_ = _chosen_smoothing(self.axes_, cell, counts[usable], mask[usable], block)
        else:
            self.smoothing_ = float(self.smoothing)
        self.step_ = np.full(len(found.axes), np.nan)
        if self.smoother == "random-walk":
            assert block is not None
            widening = self._chosen_widening(found, counts, mask, usable, cell, block)
            self.step_ = widening * _step(self.axes_, found, usable)
        self.maps_ = learn_maps(self.axes_, cell, counts[usable], mask[usable], smoothing=self.smoothing_)

    def _check_parameters(self) -> None:
        if self.smoother not in ("none", "random-walk"):
            raise ModelError(
                f"NaiveBayesDecoder: smoother is {self.smoother!r}; choose 'none' or 'random-walk'"
            )
        if self.estimate not in ("mode", "mean"):
            raise ModelError(f"NaiveBayesDecoder: estimate is {self.estimate!r}; choose 'mode' or 'mean'")
        if self.smoothing != "auto" and not (isinstance(self.smoothing, int | float) and self.smoothing >= 0):
            raise ModelError(
                f"NaiveBayesDecoder: smoothing is {self.smoothing!r}; give cells, 0 or more, or 'auto'"
            )
        if self.bins < 2:
            raise ModelError(f"NaiveBayesDecoder: bins is {self.bins}; give at least 2")

    def _chosen_widening(
        self,
        found: Covariate,
        counts: np.ndarray,
        mask: np.ndarray,
        usable: np.ndarray,
        cell: np.ndarray,
        block: np.ndarray,
    ) -> float:
        """Multiple of the training step with the highest smoothed density of blocks of bins left out."""
        scores = np.zeros(len(WIDENINGS))
        trial, time = np.nonzero(usable)
        for left_out in np.unique(block):
            train, test = block != left_out, block == left_out
            kept = np.zeros(usable.shape, dtype=bool)
            kept[trial[train], time[train]] = True
            step = _step(self.axes_, found, kept)
            maps = learn_maps(
                self.axes_, cell[train], counts[usable][train], mask[usable][train], smoothing=self.smoothing_
            )
            rows = np.unique(trial[test])
            first, last = time[test].min(), time[test].max() + 1
            if rows.size > 1:  # whole trials are smoothed; within a lone trial only the stretch of the block
                first, last = 0, usable.shape[1]
            part = np.ix_(rows, np.arange(first, last))
            log_likelihood = _by_trial(maps, counts[part], mask[part])
            place = (np.searchsorted(rows, trial[test]), time[test] - first, cell[test])
            for index, widening in enumerate(WIDENINGS):
                p = forward_backward(log_likelihood, maps.prior, self.axes_.kernels(widening * step))
                scores[index] += np.log(p[place] + np.finfo(float).tiny).sum()
        return WIDENINGS[int(scores.argmax())]

    def _predictive(
        self, visible: xr.Dataset, *, task: str, draws: int, rng: np.random.Generator
    ) -> Mapping[str, AbstractObservation]:
        counts, mask = counts_and_mask(visible, "NaiveBayesDecoder")
        log_likelihood = _by_trial(self.maps_, counts, mask)
        if self.smoother == "random-walk":
            kernels = self.axes_.kernels(self.step_)
            with np.errstate(divide="ignore"):
                log_p = np.log(forward_backward(log_likelihood, self.maps_.prior, kernels))
        else:
            log_p = log_likelihood + np.log(self.maps_.prior)
            log_p = log_p - logsumexp(log_p, axis=-1, keepdims=True)
        coords = {"trial": visible["trial"].values, "time": visible["time"].values}
        density = Grid(
            log_p=xr.DataArray(log_p, dims=("trial", "time", "cell"), coords=coords),
            edges=self.axes_.edges,
            axis_dim=self.axis_dim_,
            axis_labels=self.axis_labels_,
            estimate="mode" if self.estimate == "mode" else "mean",
        )
        return {self.target_: density}

    def _state(self) -> dict[str, xr.Dataset]:
        maps = xr.Dataset(
            {
                "shape": (("unit", "cell"), self.maps_.shape),
                "exposure": (("unit", "cell"), self.maps_.exposure),
                "prior": ("cell", self.maps_.prior),
                "step": ("axis", self.step_),
                **{f"edges_{i}": (f"edge_{i}", e) for i, e in enumerate(self.axes_.edges)},
            },
            attrs={
                "target": self.target_,
                "smoothing": self.smoothing_,
                "circular": json.dumps(self.axes_.circular),
                "axis_dim": json.dumps(self.axis_dim_),
                "axis_labels": json.dumps(self.axis_labels_),
            },
        )
        return {"maps": maps}

    def _set_state(self, state: Mapping[str, xr.Dataset]) -> None:
        maps = state["maps"]
        self.target_, self.smoothing_ = str(maps.attrs["target"]), float(maps.attrs["smoothing"])
        self.step_ = maps["step"].values
        self.axis_dim_ = json.loads(maps.attrs["axis_dim"])
        self.axis_labels_ = tuple(json.loads(maps.attrs["axis_labels"]))
        circular = tuple(json.loads(maps.attrs["circular"]))
        edges = tuple(maps[f"edges_{i}"].values for i in range(len(circular)))
        self.axes_ = GridAxes(edges=edges, circular=circular)
        self.maps_ = RateMaps(
            shape=maps["shape"].values, exposure=maps["exposure"].values, prior=maps["prior"].values
        )


def _by_trial(maps: RateMaps, counts: np.ndarray, mask: np.ndarray) -> np.ndarray:
    flat = maps.log_likelihood(counts.reshape(-1, counts.shape[-1]), mask.reshape(-1, mask.shape[-1]))
    return flat.reshape(*counts.shape[:2], -1)


def _chosen_smoothing(
    axes: GridAxes, cell: np.ndarray, counts: np.ndarray, valid: np.ndarray, block: np.ndarray
) -> float:
    """Smoothing with the highest density of single bins left out."""
    scores = np.zeros(len(SMOOTHINGS))
    for left_out in np.unique(block):
        train, test = block != left_out, block == left_out
        for index, smoothing in enumerate(SMOOTHINGS):
            maps = learn_maps(axes, cell[train], counts[train], valid[train], smoothing=smoothing)
            log_p = maps.log_likelihood(counts[test], valid[test]) + np.log(maps.prior)
            log_p -= logsumexp(log_p, axis=1, keepdims=True)
            scores[index] += log_p[np.arange(log_p.shape[0]), cell[test]].sum()
    return SMOOTHINGS[int(scores.argmax())]


def _step(axes: GridAxes, found: Covariate, kept: np.ndarray) -> np.ndarray:
    """Root mean square of the step between neighbouring bins of a trial, at least a tenth of a cell, ``(axis,)``."""
    least = 0.1 * np.asarray(axes.cell_widths())
    both = kept[:, 1:] & kept[:, :-1]
    if not both.any():
        return np.asarray(axes.cell_widths())
    steps = axes.differences(found.values[:, 1:][both] - found.values[:, :-1][both])
    return np.maximum(np.sqrt(np.square(steps).mean(0)), least)
