"""Co-smoothing baseline: rates of held-out units from held-in units through a few shared dimensions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter1d
from tqdm.auto import tqdm

from neurokit_snn.errors import ModelError
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.models.conditioning import held_out
from neurokit_snn.models.covariates import counts_and_mask, covariate_names
from neurokit_snn.models.glm.terms import Term, columns_of, learn_term
from neurokit_snn.models.inner_folds import blocks_of_bins
from neurokit_snn.models.observations import AbstractObservation, Poisson
from neurokit_snn.models.poisson_regression import (
    LOG_RATE_LIMIT,
    PoissonDesign,
    choose_strength,
    information,
    log_likelihood,
    newton,
)
from neurokit_snn.models.posterior import gaussian_draws
from neurokit_snn.models.reduced_rank_map import PENALTIES, RANKS, LatentMap, cross_fitted, learn_maps

__all__ = ["ReducedRankRegression"]

STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1000.0)
INNER_FOLDS = 3
READOUT_STRENGTH = 1.0
"""Prior precision of the readout while rank and penalty are being chosen."""


class ReducedRankRegression(AbstractModel):
    """Predict units from other units: smoothed counts, a map of low rank, a Poisson readout.

    Counts of the held-in units, smoothed by Gaussian kernels, are mapped to the held-out units by reduced-rank regression
    (Izenman 1975, J. Multivariate Anal. 5:248): ridge regression whose prediction is then confined to its leading
    principal directions. The coordinates there are the latents; each held-out unit reads them out through a Poisson GLM with
    Laplace's posterior, so that the prediction is a distribution of counts. Rank, ridge penalty and the strength of the
    readout's prior are chosen inside the training data by blocks of bins left out.

    Which units are held out is the coordinate ``held_out (unit)`` of the training data (see ``splits.by_unit``); the counts
    of those units are read in training, never in prediction.

    Parameters
    ----------
    smoothing
        Standard deviation of the kernels over time in seconds, each held-in unit entering once for each kernel; kernels
        are symmetric in time and stay within a trial.
    rank
        Number of latents, or ``"auto"``.
    covariates
        Behaviours and trial columns that the readout adds for the task ``cosmooth+behavior``; None for all behaviours.
    by
        As in `GLM`: name of the categories, or mapping from covariate to such a name.

    Attributes
    ----------
    rank_ : int
        The rank used.
    map_ : LatentMap
        From smoothed counts to latents.

    Raises
    ------
    ModelError
        From `fit`: when the data lack the coordinate ``held_out``.

    Examples
    --------
    >>> import numpy as np
    >>> from neurokit_snn import recording
    >>> rng = np.random.default_rng(0)
    >>> time = np.arange(0.0, 100.0, 0.01)
    >>> spikes = {u: time[rng.random(time.size) < 0.02 * (1 + np.sin(time))] for u in range(6)}
    >>> data = recording.windows(recording.build(spikes=spikes), 0.1, length=5.0, start=0.0, stop=100.0)
    >>> data = recording.splits.by_unit(data, fraction=0.34)
    >>> model = ReducedRankRegression(rank=1).fit(data)
    >>> model.predict(data, task="cosmooth")["rate"].sizes["unit"]
    2
    """

    tasks: ClassVar[tuple[str, ...]] = ("cosmooth", "cosmooth+behavior")
    deterministic: ClassVar[bool] = True

    rank_: int
    held_out_: np.ndarray
    count_mean_: np.ndarray
    map_: LatentMap
    terms_: tuple[Term, ...]
    column_mean_: np.ndarray
    readouts_: dict[str, tuple[np.ndarray, np.ndarray]]

    def __init__(
        self,
        *,
        smoothing: Sequence[float] = (0.1, 0.3),
        rank: int | str = "auto",
        covariates: Sequence[str] | None = None,
        by: str | Mapping[str, str] | None = None,
    ) -> None:
        self.smoothing = smoothing
        self.rank = rank
        self.covariates = covariates
        self.by = by

    # ---- fit ---------------------------------------------------------------------------------------------------

    def _fit(self, data: xr.Dataset, *, seed: int, progress: bool, resume: Path | None) -> None:
        who = "ReducedRankRegression.fit"
        self._check_parameters()
        counts, mask = counts_and_mask(data, who)
        self.held_out_ = held_out(data)
        bins = np.maximum(mask.sum((0, 1)), 1)
        self.count_mean_ = np.where(mask, counts, 0).sum((0, 1)) / bins
        inputs = self._inputs(counts, mask)
        usable = mask[..., self.held_out_].any(-1)
        if not usable.any():
            raise ModelError(f"{who}: no held-out unit has a valid bin; check mask and held_out of the data")
        trial = np.nonzero(usable)[0]
        targets, valid = counts[usable][:, self.held_out_], mask[usable][:, self.held_out_]
        block = blocks_of_bins(trial, folds=INNER_FOLDS, who=who)
        ranks = RANKS if self.rank == "auto" else (int(self.rank),)
        rank, penalty = self._chosen(inputs[usable], targets, valid, block, ranks, progress=progress)
        [self.map_] = learn_maps(inputs[usable], targets, valid, penalties=(penalty,))
        self.rank_ = min(rank, self.map_.n_latents)
        latents = np.zeros((*usable.shape, self.rank_))
        latents[usable] = cross_fitted(
            self.map_, inputs[usable], targets, valid, block=block, penalty=penalty
        )[:, : self.rank_]
        self._fit_readouts(data, latents, counts, mask, who=who)

    def _check_parameters(self) -> None:
        name = "ReducedRankRegression"
        if isinstance(self.smoothing, str | int | float) or not all(s >= 0 for s in self.smoothing):
            raise ModelError(
                f"{name}: smoothing is {self.smoothing!r}; give a tuple of seconds, 0 or more each"
            )
        if len(self.smoothing) == 0:
            raise ModelError(f"{name}: smoothing is empty; give at least one kernel")
        if self.rank != "auto" and not (isinstance(self.rank, int) and self.rank >= 1):
            raise ModelError(f"{name}: rank is {self.rank!r}; give 1 or more, or 'auto'")

    def _chosen(
        self,
        inputs: np.ndarray,
        targets: np.ndarray,
        valid: np.ndarray,
        block: np.ndarray,
        ranks: Sequence[int],
        *,
        progress: bool,
    ) -> tuple[int, float]:
        """Rank and ridge penalty with the highest Poisson likelihood of blocks left out."""
        scores = np.zeros((len(PENALTIES), len(ranks)))
        for left_out in tqdm(np.unique(block), desc="reduced rank", disable=not progress, leave=False):
            train, test = block != left_out, block == left_out
            maps = learn_maps(inputs[train], targets[train], valid[train], penalties=PENALTIES)
            for i, found in enumerate(maps):
                seen, unseen = found.latents(inputs[train]), found.latents(inputs[test])
                for j, rank in enumerate(ranks):
                    design, other = _readout(seen[:, :rank]), _readout(unseen[:, :rank])
                    precision = READOUT_STRENGTH * _penalised(design)
                    weights = newton(
                        design, targets[train], valid[train], precision=precision, tolerance=1e-3
                    )
                    spread = information(design, weights, valid[train], precision=precision)
                    scores[i, j] += log_likelihood(
                        other, weights, targets[test], valid[test], precision=spread
                    ).sum()
        i, j = divmod(int(scores.argmax()), len(ranks))
        return int(ranks[j]), float(PENALTIES[i])

    def _fit_readouts(
        self, data: xr.Dataset, latents: np.ndarray, counts: np.ndarray, mask: np.ndarray, *, who: str
    ) -> None:
        names = covariate_names(data) if self.covariates is None else tuple(self.covariates)
        grouping = set(self.by.values()) if isinstance(self.by, Mapping) else {self.by}
        if self.covariates is None:
            names = tuple(n for n in names if n not in grouping)
        self.terms_ = tuple(learn_term(data, n, by=self._by(n), splines=None, who=who) for n in names)
        columns, known = columns_of(data, self.terms_, who=who)
        observed = np.asarray(mask[..., self.held_out_].any(-1))
        if self.terms_ and not (observed & known).any():
            raise ModelError(
                f"{who}: no bin has both a valid count and every covariate; check the masks of the data"
            )
        self.column_mean_ = columns[observed & known].mean(0)
        self.readouts_ = {"cosmooth": self._fitted_readout(latents, None, counts, mask, observed, who=who)}
        if self.terms_:
            self.readouts_["cosmooth+behavior"] = self._fitted_readout(
                latents, columns, counts, mask, observed & known, who=who
            )

    def _fitted_readout(
        self,
        latents: np.ndarray,
        columns: np.ndarray | None,
        counts: np.ndarray,
        mask: np.ndarray,
        rows: np.ndarray,
        *,
        who: str,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Weights of the readout ``(held-out unit, feature)`` and their covariance."""
        design = _readout(latents[rows], None if columns is None else columns[rows])
        targets, valid = counts[rows][:, self.held_out_], mask[rows][:, self.held_out_]
        block = blocks_of_bins(np.nonzero(rows)[0], folds=INNER_FOLDS, who=who)
        penalised = _penalised(design)
        strength, _ = choose_strength(
            design, targets, valid, penalised=penalised, block=block, grid=STRENGTHS, who=who
        )
        weights = newton(design, targets, valid, precision=strength * penalised, who=who)
        covariance = np.linalg.inv(information(design, weights, valid, precision=strength * penalised))
        return weights, covariance

    def _by(self, name: str) -> str | None:
        found = self.by.get(name) if isinstance(self.by, Mapping) else self.by
        return None if found == name else found

    def _inputs(self, counts: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Smoothed counts of the held-in units, ``(trial, time, unit x kernel)``; what is not observed counts as the mean."""
        chosen = ~self.held_out_
        seen = mask[..., chosen]
        apart = np.where(seen, counts[..., chosen] - self.count_mean_[chosen], 0.0)
        parts = []
        for seconds in self.smoothing:
            width = seconds / self.bin_width_
            if width == 0:
                parts.append(apart)
                continue
            smooth = gaussian_filter1d(apart, width, axis=1, mode="constant")
            weight = gaussian_filter1d(seen.astype(np.float64), width, axis=1, mode="constant")
            parts.append(np.where(weight > 1e-6, smooth / np.maximum(weight, 1e-6), 0.0))
        return np.concatenate(parts, axis=-1)

    # ---- predict -----------------------------------------------------------------------------------------------

    def _predictive(
        self, visible: xr.Dataset, *, task: str, draws: int, rng: np.random.Generator
    ) -> Mapping[str, AbstractObservation]:
        if not np.array_equal(held_out(visible), self.held_out_):
            raise ModelError(
                "ReducedRankRegression: held_out differs between the data and the fit; fit again for these units"
            )
        name = task if task in self.readouts_ else "cosmooth"  # without covariates both tasks are the same
        mean, covariance = self.readouts_[name]
        weights = gaussian_draws(mean, covariance, draws=draws, rng=rng)
        counts, mask = counts_and_mask(visible, "ReducedRankRegression")
        inputs = self._inputs(counts, mask)
        latents = self.map_.latents(inputs.reshape(-1, inputs.shape[-1]))[:, : self.rank_]
        columns = None
        if name == "cosmooth+behavior":
            found, _ = columns_of(visible, self.terms_, who="ReducedRankRegression")
            columns = np.where(np.isnan(found), self.column_mean_, found).reshape(latents.shape[0], -1)
        design = _readout(latents, columns)
        eta = np.stack([design.predictor(w) for w in weights]).reshape(draws, *counts.shape[:2], -1)
        coords = {
            "trial": visible["trial"].values,
            "time": visible["time"].values,
            "unit": self.units_[self.held_out_],
        }
        rates = np.exp(np.minimum(eta, LOG_RATE_LIMIT))
        labelled = xr.DataArray(rates, dims=("draw", "trial", "time", "unit"), coords=coords)
        return {"counts": Poisson(rate_per_bin=labelled)}

    def history(self) -> float:
        """Seconds around a bin that a prediction reads: four standard deviations of the widest kernel."""
        return 4.0 * max(float(s) for s in self.smoothing)

    # ---- state -------------------------------------------------------------------------------------------------

    def _state(self) -> dict[str, xr.Dataset]:
        state = {
            "map": xr.Dataset(
                {
                    "mean": ("input", self.map_.mean),
                    "scale": ("input", self.map_.scale),
                    "weights": (("input", "target"), self.map_.weights),
                    "principal": (("target", "latent"), self.map_.principal),
                    "held_out": ("unit", self.held_out_),
                    "count_mean": ("unit", self.count_mean_),
                    "column_mean": ("column", self.column_mean_),
                },
                attrs={"rank": self.rank_, "terms": json.dumps([term.to_json() for term in self.terms_])},
            )
        }
        for task, (weights, covariance) in self.readouts_.items():
            state[f"readout_{task.replace('+', '_')}"] = xr.Dataset(
                {
                    "weights": (("unit", "feature"), weights),
                    "covariance": (("unit", "feature", "feature_"), covariance),
                }
            )
        return state

    def _set_state(self, state: Mapping[str, xr.Dataset]) -> None:
        stored = state["map"]
        self.map_ = LatentMap(
            mean=stored["mean"].values,
            scale=stored["scale"].values,
            weights=stored["weights"].values,
            principal=stored["principal"].values,
        )
        self.held_out_, self.count_mean_ = stored["held_out"].values, stored["count_mean"].values
        self.column_mean_, self.rank_ = stored["column_mean"].values, int(stored.attrs["rank"])
        self.terms_ = tuple(Term.from_json(term) for term in json.loads(stored.attrs["terms"]))
        self.readouts_ = {
            task: (found["weights"].values, found["covariance"].values)
            for task in ("cosmooth", "cosmooth+behavior")
            if (found := state.get(f"readout_{task.replace('+', '_')}")) is not None
        }


def _readout(latents: np.ndarray, columns: np.ndarray | None = None) -> PoissonDesign:
    parts = [np.ones((latents.shape[0], 1)), latents]
    return PoissonDesign(np.concatenate(parts if columns is None else [*parts, columns], axis=1))


def _penalised(design: PoissonDesign) -> np.ndarray:
    penalised = np.ones(design.n_features)
    penalised[0] = 0.0
    return penalised
