"""The GLM behind the protocol of models."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import xarray as xr

from neurokit_snn.errors import ModelError
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.models.conditioning import held_out, task_named
from neurokit_snn.models.covariates import counts_and_mask, covariate_names
from neurokit_snn.models.glm.history import history_kernel, past
from neurokit_snn.models.glm.nemos_fit import fit_population
from neurokit_snn.models.glm.simulate import free_run
from neurokit_snn.models.glm.terms import Term, columns_of, learn_term
from neurokit_snn.models.inner_folds import blocks_of_bins
from neurokit_snn.models.observations import AbstractObservation, Poisson
from neurokit_snn.models.poisson_regression import (
    LOG_RATE_LIMIT,
    PoissonDesign,
    choose_strength,
    information,
    observed_somewhere,
    start_weights,
)
from neurokit_snn.models.posterior import POSTERIOR_DRAWS, draws_tree, gaussian_draws

__all__ = ["GLM"]

STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Prior precisions of the weights among which ``strength="auto"`` chooses."""

INNER_FOLDS = 3


class GLM(AbstractModel):
    """Poisson GLM of every unit: log rate = intercept + tuning + past spikes, with a posterior over the weights.

    The tuning of each covariate is a sum of cubic B-splines (closed on themselves for circular behaviours, a tensor product
    for behaviours with two axes), one curve for each category of ``by``. Past spikes pass through raised cosines of the
    logarithm of the lag, never across trials. Weights have the prior ``N(0, 1 / strength)``, the intercept is free; they are
    fitted through nemos (Ridge), and Laplace's approximation at the maximum gives the posterior, from which all
    predictions and intervals are drawn. Bins where a covariate is missing are left out of the fit; a prediction there uses
    the mean of its columns over the training data.

    Parameters
    ----------
    covariates
        Names of behaviours or trial columns; None for all behaviours (but those named in ``by``).
    by
        Name of a categorical behaviour or trial column (such as a running direction) for whose values each tuning curve
        is fitted apart; or a mapping from covariate to such a name.
    splines
        Splines an axis, or a mapping from covariate to that number; None for 10 on one axis and 8 on each of two.
    past
        Seconds of each unit's own past spikes that its rate depends on; 0 for none.
    coupling
        Whether the past of the other units enters as well, over the same lags.
    bases
        Filters over the past.
    strength
        Prior precision of the weights, or ``"auto"``: chosen inside the training data, for all units together, by the
        likelihood of contiguous blocks left out.

    Attributes
    ----------
    weights_ : ndarray, (unit, feature)
        Maximum of the posterior, in log rate per bin.
    covariance_ : ndarray, (unit, feature, feature)
        Laplace's covariance.
    features_ : list of str
        Name of each feature.
    strength_ : float
        The strength used.

    Raises
    ------
    ModelError
        From `fit`: when a covariate is unknown, has more than two axes, or never varies.
    MissingExtraError
        From `fit`: when nemos is not installed.

    Notes
    -----
    ``encode`` and ``generate`` show the model no spikes, so a model with a past runs freely on its own: each draw of the
    weights simulates its spikes bin by bin, and the mixture of the rates along those paths is the predictive
    distribution. ``forecast`` shows spikes up to the bin before (horizon 1) and covariates up to the bin itself.
    ``cosmooth+behavior`` is answered as ``encode``: the GLM reads no counts of the held-in units.

    Examples
    --------
    >>> import numpy as np
    >>> from neurokit_snn import recording
    >>> time = np.arange(0.0, 40.0, 0.05)
    >>> position = 50 + 50 * np.sin(time)
    >>> spikes = time[np.random.default_rng(0).random(time.size) < np.where(position > 50, 0.5, 0.02)]
    >>> tree = recording.build(
    ...     spikes={"a": spikes}, behavior={"position": {"time": time, "value": position, "units": "cm"}}
    ... )
    >>> data = recording.windows(tree, 0.1, length=2.0, start=0.0, stop=40.0)
    >>> model = GLM(covariates=("position",), splines=6, strength=1.0).fit(data)
    >>> low, _, high = model.tuning_curves("position", points=3)["rate"].sel(unit="a").values
    >>> bool(high > 4 * low)
    True
    """

    tasks: ClassVar[tuple[str, ...]] = ("encode", "cosmooth+behavior", "forecast", "generate")
    deterministic: ClassVar[bool] = True

    terms_: tuple[Term, ...]
    kernel_: np.ndarray
    column_mean_: np.ndarray
    count_mean_: np.ndarray
    count_limit_: np.ndarray
    weights_: np.ndarray
    covariance_: np.ndarray
    strength_: float

    def __init__(
        self,
        *,
        covariates: Sequence[str] | None = None,
        by: str | Mapping[str, str] | None = None,
        splines: int | Mapping[str, int] | None = None,
        past: float = 0.0,
        coupling: bool = False,
        bases: int = 5,
        strength: float | str = "auto",
    ) -> None:
        self.covariates = covariates
        self.by = by
        self.splines = splines
        self.past = past
        self.coupling = coupling
        self.bases = bases
        self.strength = strength

    # ---- fit ---------------------------------------------------------------------------------------------------

    def _fit(self, data: xr.Dataset, *, seed: int, progress: bool, resume: Path | None) -> None:
        who = "GLM.fit"
        self._check_parameters()
        counts, mask = counts_and_mask(data, who)
        self.terms_ = tuple(
            learn_term(data, name, by=self._by(name), splines=self.splines, who=who)
            for name in self._names(data)
        )
        columns, valid = columns_of(data, self.terms_, who=who)
        usable = valid & mask.any(-1)  # (trial, time)
        if not usable.any():
            raise ModelError(
                f"{who}: no bin has both a valid count and every covariate; check the masks of the data"
            )
        self.column_mean_ = columns[usable].mean(0)
        bins = np.maximum(mask.sum((0, 1)), 1)
        self.count_mean_ = np.where(mask, counts, 0).sum((0, 1)) / bins
        self.count_limit_ = np.where(mask, counts, 0).max((0, 1)) + 1.0
        window = round(self.past / self.bin_width_)
        self.kernel_ = history_kernel(window, self.bases) if window else np.zeros((0, 0))
        design = self._design(columns[usable], self._past_of(counts, mask, usable))
        self._learn_weights(
            design, counts[usable], observed_somewhere(mask[usable]), trial=np.nonzero(usable)[0], who=who
        )

    def _learn_weights(
        self,
        design: PoissonDesign,
        counts: np.ndarray,
        valid: np.ndarray | None,
        *,
        trial: np.ndarray,
        who: str,
    ) -> None:
        penalised = np.ones(design.n_features)
        penalised[0] = 0.0
        if self.strength == "auto" and design.n_features > 1:
            block = blocks_of_bins(trial, folds=INNER_FOLDS, who=who)
            self.strength_, start = choose_strength(
                design, counts, valid, penalised=penalised, block=block, grid=STRENGTHS, who=who
            )
        else:
            self.strength_ = 0.0 if self.strength == "auto" else float(self.strength)
            start = start_weights(design, counts, valid)
        precision = self.strength_ * penalised
        self.weights_ = fit_population(
            design, counts, valid, strength=self.strength_, precision=precision, start=start, who=who
        )
        self.covariance_ = np.linalg.inv(information(design, self.weights_, valid, precision=precision))

    def _check_parameters(self) -> None:
        if self.strength != "auto" and not (isinstance(self.strength, int | float) and self.strength >= 0):
            raise ModelError(f"GLM: strength is {self.strength!r}; give a precision, 0 or more, or 'auto'")
        if not self.past >= 0:
            raise ModelError(f"GLM: past is {self.past!r} s; give 0 for none or more")
        if self.past and round(self.past / self.bin_width_) < 1:
            raise ModelError(
                f"GLM: past is {self.past} s, shorter than a bin of {self.bin_width_} s; lengthen it"
            )
        if self.coupling and not self.past:
            raise ModelError(
                "GLM: coupling=True needs past > 0, the seconds of past that units feel of each other"
            )
        if self.bases < 1:
            raise ModelError(f"GLM: bases is {self.bases}; give at least 1")

    def _names(self, data: xr.Dataset) -> tuple[str, ...]:
        if self.covariates is not None:
            if isinstance(self.covariates, str):
                raise ModelError(f"GLM: covariates is the text {self.covariates!r}; give a tuple of names")
            return tuple(self.covariates)
        grouping = set(self.by.values()) if isinstance(self.by, Mapping) else {self.by}
        return tuple(n for n in covariate_names(data) if n not in grouping)

    def _by(self, name: str) -> str | None:
        found = self.by.get(name) if isinstance(self.by, Mapping) else self.by
        return None if found == name else found

    def _past_of(
        self, counts: np.ndarray, mask: np.ndarray, rows: np.ndarray | None = None
    ) -> np.ndarray | None:
        """Filtered past ``(row, unit, basis)`` in the bins ``rows (trial, time)``, or None for a model without."""
        if not self.kernel_.size:
            return None
        filtered = past(counts, mask, self.count_mean_, self.kernel_)
        return filtered.reshape(-1, *filtered.shape[2:]) if rows is None else filtered[rows]

    def _design(self, columns: np.ndarray, filtered: np.ndarray | None) -> PoissonDesign:
        """Regressors from tuning columns ``(row, column)`` and filtered past ``(row, unit, basis)``."""
        parts = [np.ones((columns.shape[0], 1)), columns]
        if filtered is not None and self.coupling:
            parts.append(filtered.reshape(columns.shape[0], -1))
        own = None if filtered is None or self.coupling else filtered
        return PoissonDesign(np.concatenate(parts, axis=1), own)

    @property
    def features_(self) -> list[str]:
        """Name of each feature, in the order of `weights_`."""
        filters = range(self.kernel_.shape[1])
        names = ["intercept", *(n for term in self.terms_ for n in term.names())]
        if self.coupling:
            return names + [f"past of {unit} [{b}]" for unit in self.units_.tolist() for b in filters]
        return names + [f"past[{b}]" for b in filters]

    # ---- predict -----------------------------------------------------------------------------------------------

    def _predictive(
        self, visible: xr.Dataset, *, task: str, draws: int, rng: np.random.Generator
    ) -> Mapping[str, AbstractObservation]:
        weights = gaussian_draws(
            self.weights_, self.covariance_, draws=draws, rng=rng
        )  # (draw, unit, feature)
        columns = self._filled_columns(visible)
        if self.kernel_.size and task != "forecast":
            rates, _ = self._run_freely(columns, weights, rng)
        else:
            filtered = None
            if self.kernel_.size:
                filtered = self._past_of(*counts_and_mask(visible, "GLM"))
            n_rows = columns.shape[0] * columns.shape[1]
            design = self._design(
                columns.reshape(n_rows, -1) if columns.size else np.empty((n_rows, 0)), filtered
            )
            rates = _rates(design, weights).reshape(draws, *columns.shape[:2], -1)
        labelled = self._labelled(rates, visible)
        if task_named(task).counts == "held-in":
            labelled = labelled.isel(unit=held_out(visible))
        return {"counts": Poisson(rate_per_bin=labelled)}

    def _sample(self, visible: xr.Dataset, *, task: str, rng: np.random.Generator) -> xr.DataArray:
        if not self.kernel_.size or task == "forecast":
            return super()._sample(visible, task=task, rng=rng)
        weights = gaussian_draws(self.weights_, self.covariance_, draws=1, rng=rng)
        _, counts = self._run_freely(self._filled_columns(visible), weights, rng)
        return self._labelled(counts, visible).isel(draw=0, drop=True)

    def _run_freely(
        self, columns: np.ndarray, weights: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        n_tuned = 1 + columns.shape[-1]
        tuned = weights[..., 0][:, None, None, :] + np.einsum(
            "kts,dus->dktu", columns, weights[..., 1:n_tuned]
        )
        return free_run(
            tuned,
            weights[..., n_tuned:],
            kernel=self.kernel_,
            mean=self.count_mean_,
            limit=self.count_limit_,
            coupling=self.coupling,
            rng=rng,
        )

    def _filled_columns(self, visible: xr.Dataset) -> np.ndarray:
        columns, _ = columns_of(visible, self.terms_, who="GLM")
        return np.where(np.isnan(columns), self.column_mean_, columns)

    def _labelled(self, values: np.ndarray, visible: xr.Dataset) -> xr.DataArray:
        coords = {"trial": visible["trial"].values, "time": visible["time"].values, "unit": self.units_}
        return xr.DataArray(values, dims=("draw", "trial", "time", "unit"), coords=coords)

    def history(self) -> float:
        """Seconds of past that a prediction reads: the parameter ``past``."""
        return float(self.past)

    def tuning_curves(
        self,
        covariate: str,
        *,
        points: int = 50,
        level: float = 0.95,
        draws: int = POSTERIOR_DRAWS,
        seed: int = 0,
    ) -> xr.Dataset:
        """Rate of each unit as a covariate goes over its range, with credible intervals.

        All other covariates, and the past, are held at the mean of their columns in the training data.

        Parameters
        ----------
        covariate
            Name of a covariate of the model.
        points
            Points along each axis.
        level
            Probability of the intervals.
        draws
            Posterior draws that they are taken from, at least 100.
        seed
            Seed of the draws.

        Returns
        -------
        Dataset
            ``rate`` (posterior mean), ``low`` and ``high`` in spikes/s, dims ``(unit[, by], covariate)``; a covariate with
            axes x and y has dims ``NAME_x, NAME_y``.

        Raises
        ------
        ModelError
            When the model has no such covariate, or ``draws`` is below 100.
        """
        from neurokit_snn.models.glm.curves import curves_of

        self._check_fitted()
        return curves_of(self, covariate, points=points, level=level, draws=draws, seed=seed)

    # ---- state -------------------------------------------------------------------------------------------------

    def _posterior(self) -> xr.DataTree:
        rng = np.random.default_rng(self.seed_)
        weights = gaussian_draws(self.weights_, self.covariance_, draws=POSTERIOR_DRAWS, rng=rng)
        coords = {"unit": self.units_, "feature": self.features_}
        return draws_tree({"weight": (("unit", "feature"), weights)}, coords=coords)

    def _state(self) -> dict[str, xr.Dataset]:
        fitted = xr.Dataset(
            {
                "weights": (("unit", "feature"), self.weights_),
                "covariance": (("unit", "feature", "feature_"), self.covariance_),
                "column_mean": ("column", self.column_mean_),
                "count_mean": ("unit", self.count_mean_),
                "count_limit": ("unit", self.count_limit_),
                "kernel": (("lag", "basis"), self.kernel_),
            },
            attrs={"strength": self.strength_, "terms": json.dumps([term.to_json() for term in self.terms_])},
        )
        return {"glm": fitted}

    def _set_state(self, state: Mapping[str, xr.Dataset]) -> None:
        fitted = state["glm"]
        self.weights_, self.covariance_ = fitted["weights"].values, fitted["covariance"].values
        self.column_mean_, self.kernel_ = fitted["column_mean"].values, fitted["kernel"].values
        self.count_mean_, self.count_limit_ = fitted["count_mean"].values, fitted["count_limit"].values
        self.strength_ = float(fitted.attrs["strength"])
        self.terms_ = tuple(Term.from_json(stored) for stored in json.loads(fitted.attrs["terms"]))


def _rates(design: PoissonDesign, weights: np.ndarray) -> np.ndarray:
    """Expected counts ``(draw, row, unit)`` under each draw of the weights."""
    rates = np.stack([design.predictor(drawn) for drawn in weights])
    return np.exp(np.minimum(rates, LOG_RATE_LIMIT, out=rates), out=rates)
