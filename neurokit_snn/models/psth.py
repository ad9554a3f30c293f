"""The peri-event time histogram as a model: the smoothed mean over trials, by condition, with its posterior."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter1d
from scipy.special import gammaln

from neurokit_snn.errors import ModelError
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.models.covariates import category_codes, counts_and_mask, covariate
from neurokit_snn.models.observations import AbstractObservation, GammaPoisson
from neurokit_snn.models.posterior import POSTERIOR_DRAWS, draws_tree

__all__ = ["PSTH"]

BANDWIDTHS = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0)
"""Standard deviations of the kernel, in bins, among which ``smoothing="auto"`` chooses."""

PRIOR_SHAPE = 0.5
"""Shape of the Gamma prior around the mean rate of a unit: half a spike of evidence."""

INNER_FOLDS = 3


class PSTH(AbstractModel):
    """Rate by time in the trial and by condition, averaged over trials and smoothed in time.

    With a Gaussian kernel ``k`` along time, the spikes and the number of observed trials of each bin are both smoothed, so
    that bins which few trials reach weigh little. The smoothed sums carry the evidence of ``1 / sum(k**2)`` bins, which
    gives the rate a Gamma posterior; its prior is centred on the unit's mean rate and worth half a spike.

    Parameters
    ----------
    smoothing
        Standard deviation of the kernel in seconds, or ``"auto"``: chosen for all units together by the predictive
        likelihood of trials left out, inside the training data.
    by
        Name of a trial column whose values have a curve each; None for one curve. A trial whose value was never seen in
        training, or is missing, gets the curve of all trials.

    Attributes
    ----------
    smoothing_ : float
        The standard deviation used, s.
    conditions_ : tuple
        Values of ``by``.
    shape_, exposure_ : ndarray, (condition, time, unit)
        Parameters of the Gamma posterior in spikes per bin; the last condition is all trials together.
    time_ : ndarray, (time,)

    Raises
    ------
    ModelError
        From `fit`: for layouts without a common clock of trials (``session``, ``windows``).

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> tree = recording.build(spikes={"a": [0.25, 1.26, 2.25], "b": [0.0, 3.0]})
    >>> data = recording.align(tree, 0.1, to=[0.0, 1.0, 2.0], window=(0.0, 0.5))
    >>> rate = PSTH(smoothing=0.0).fit(data).predict(data, task="encode")["rate"]
    >>> rate.sel(trial=0, unit="a").values.round(1).tolist()
    [0.9, 0.9, 6.4, 0.9, 0.9]
    """

    tasks: ClassVar[tuple[str, ...]] = ("encode", "forecast", "generate")
    deterministic: ClassVar[bool] = True

    smoothing_: float
    conditions_: tuple[object, ...]
    shape_: np.ndarray
    exposure_: np.ndarray
    time_: np.ndarray

    def __init__(self, *, smoothing: float | str = "auto", by: str | None = None) -> None:
        self.smoothing = smoothing
        self.by = by

    def _fit(self, data: xr.Dataset, *, seed: int, progress: bool, resume: Path | None) -> None:
        if data.attrs["layout"] not in ("trials", "events"):
            raise ModelError(
                f"PSTH.fit: layout is {data.attrs['layout']!r}, whose trials share no clock; "
                "use recording.bin_trials or recording.align"
            )
        counts, mask = counts_and_mask(data, "PSTH.fit")
        codes = self._learn_conditions(data)
        self.time_ = np.asarray(data["time"].values, dtype=np.float64)
        if self.smoothing == "auto":
            self.smoothing_ = _chosen_bandwidth(counts, mask, codes, len(self.conditions_)) * self.bin_width_
        elif isinstance(self.smoothing, int | float) and self.smoothing >= 0:
            self.smoothing_ = float(self.smoothing)
        else:
            raise ModelError(f"PSTH: smoothing is {self.smoothing!r}; give seconds, 0 or more, or 'auto'")
        self.shape_, self.exposure_ = _posterior_of_curves(
            counts,
            mask,
            codes,
            n_conditions=len(self.conditions_),
            bandwidth=self.smoothing_ / self.bin_width_,
        )

    def _learn_conditions(self, data: xr.Dataset) -> np.ndarray:
        if self.by is None:
            self.conditions_ = ()
            return np.full(data.sizes["trial"], -1)
        found = covariate(data, self.by, who="PSTH.fit")
        if found.kind != "categorical" or self.by not in data.coords:
            raise ModelError(f"PSTH: by={self.by!r} must name a trial column of categories")
        seen = found.values[found.valid]
        self.conditions_ = tuple(np.unique(seen).tolist())
        return category_codes(found, self.conditions_)[:, 0]

    def _predictive(
        self, visible: xr.Dataset, *, task: str, draws: int, rng: np.random.Generator
    ) -> Mapping[str, AbstractObservation]:
        times = np.asarray(visible["time"].values, dtype=np.float64)
        nearest = np.clip(np.searchsorted(self.time_, times - self.bin_width_ / 2), 0, self.time_.size - 1)
        off = np.abs(self.time_[nearest] - times) > 1e-6 * self.bin_width_ + 1e-9
        if off.any():
            raise ModelError(
                f"PSTH: data has a bin at {times[off][0]:g} s that the training trials do not have "
                f"({self.time_[0]:g} to {self.time_[-1]:g} s); align both alike"
            )
        codes = np.full(visible.sizes["trial"], -1)
        if self.by is not None:
            codes = category_codes(covariate(visible, self.by, who="PSTH"), self.conditions_)[:, 0]
        where = (codes[:, None], nearest[None, :])
        coords = {"trial": visible["trial"], "time": visible["time"], "unit": self.units_}
        dims = ("trial", "time", "unit")
        return {
            "counts": GammaPoisson(
                shape=xr.DataArray(self.shape_[where], dims=dims, coords=coords),
                rate=xr.DataArray(self.exposure_[where], dims=dims, coords=coords),
            )
        }

    def history(self) -> float:
        """Seconds of past that a prediction reads: none, for the kernel runs over time in the trial."""
        return 0.0

    def _posterior(self) -> xr.DataTree:
        rng = np.random.default_rng(self.seed_)
        rates = rng.gamma(self.shape_, 1.0 / self.exposure_, size=(POSTERIOR_DRAWS, *self.shape_.shape))
        labels = [*(str(c) for c in self.conditions_), "all"]
        coords = {"condition": labels, "time": self.time_, "unit": self.units_}
        return draws_tree({"rate": (("condition", "time", "unit"), rates / self.bin_width_)}, coords=coords)

    def _state(self) -> dict[str, xr.Dataset]:
        curves = xr.Dataset(
            {
                "shape": (("condition", "time", "unit"), self.shape_),
                "exposure": (("condition", "time", "unit"), self.exposure_),
                "seconds": ("time", self.time_),
            },
            attrs={"smoothing": self.smoothing_, "conditions": json.dumps(list(self.conditions_))},
        )
        return {"curves": curves}

    def _set_state(self, state: Mapping[str, xr.Dataset]) -> None:
        curves = state["curves"]
        self.shape_, self.exposure_ = curves["shape"].values, curves["exposure"].values
        self.time_ = curves["seconds"].values
        self.smoothing_ = float(curves.attrs["smoothing"])
        self.conditions_ = tuple(json.loads(curves.attrs["conditions"]))


def _posterior_of_curves(
    counts: np.ndarray, mask: np.ndarray, codes: np.ndarray, *, n_conditions: int, bandwidth: float
) -> tuple[np.ndarray, np.ndarray]:
    """Shape and exposure of the Gamma posterior, ``(condition + 1, time, unit)``, the last being all trials."""
    spikes = np.where(mask, counts, 0).astype(np.float64)
    members = [codes == c for c in range(n_conditions)] + [np.ones(codes.size, dtype=bool)]
    total = np.stack([spikes[m].sum(0) for m in members])  # (condition, time, unit)
    trials = np.stack([mask[m].sum(0) for m in members]).astype(np.float64)
    bins = np.maximum(mask.sum((0, 1)), 1)
    mean = np.maximum(spikes.sum((0, 1)), PRIOR_SHAPE) / bins  # (unit,)
    if bandwidth > 0:
        # Sums, not means, are smoothed: zero beyond the ends says that no trial was seen there.
        total = gaussian_filter1d(total, bandwidth, axis=1, mode="constant")
        trials = gaussian_filter1d(trials, bandwidth, axis=1, mode="constant")
        impulse = np.zeros(2 * int(4 * bandwidth + 0.5) + 3)
        impulse[impulse.size // 2] = 1.0
        gain = 1.0 / np.square(gaussian_filter1d(impulse, bandwidth, mode="constant")).sum()
        total, trials = total * gain, trials * gain
    return PRIOR_SHAPE + total, PRIOR_SHAPE / mean + trials


def _chosen_bandwidth(counts: np.ndarray, mask: np.ndarray, codes: np.ndarray, n_conditions: int) -> float:
    """Bandwidth in bins with the highest predictive likelihood of blocks of trials left out."""
    n_trials, n_bins = counts.shape[:2]
    folds = min(INNER_FOLDS, n_trials)
    if folds < 2:
        return 0.0
    candidates = [b for b in BANDWIDTHS if b <= max(1.0, n_bins / 4)]
    block = np.arange(n_trials) * folds // n_trials
    scores = np.zeros(len(candidates))
    for fold in range(folds):
        train, test = block != fold, block == fold
        for index, bandwidth in enumerate(candidates):
            shape, exposure = _posterior_of_curves(
                counts[train], mask[train], codes[train], n_conditions=n_conditions, bandwidth=bandwidth
            )
            a, b, y = shape[codes[test]], exposure[codes[test]], counts[test]
            # Negative binomial: y! is the same for all bandwidths.
            values = gammaln(a + y) - gammaln(a) - a * np.log1p(1.0 / b) - y * np.log1p(b)
            scores[index] += values[mask[test]].sum()
    return float(candidates[int(scores.argmax())])
