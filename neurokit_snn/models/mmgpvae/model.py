"""`MMGPVAE`: the model behind the protocol of all models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import xarray as xr

from neurokit_snn.errors import ModelError
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.models.conditioning import held_out, task_named
from neurokit_snn.models.mmgpvae.arrays import batch_of
from neurokit_snn.models.mmgpvae.behavior import channel_of
from neurokit_snn.models.mmgpvae.checkpoint import fingerprint
from neurokit_snn.models.mmgpvae.checks import check_parameters, covariates_of, one_of, start_weight_of
from neurokit_snn.models.mmgpvae.design import Batch, Design, Params, length_scales
from neurokit_snn.models.mmgpvae.fitting import Recipe, bound_per_bin, fitted
from neurokit_snn.models.mmgpvae.fourier import basis_for
from neurokit_snn.models.mmgpvae.neural import LIKELIHOODS
from neurokit_snn.models.mmgpvae.prediction import Inferred, infer, trial_keys
from neurokit_snn.models.mmgpvae.predictive import behavior_observation, neural_observation
from neurokit_snn.models.mmgpvae.readout import Readout, loading_posterior
from neurokit_snn.models.mmgpvae.segments import CONTEXT, segmented
from neurokit_snn.models.mmgpvae.state import params_from, params_state
from neurokit_snn.models.mmgpvae.summaries import summarised
from neurokit_snn.models.modalities import Modality, modalities_from, modalities_state, modality_of
from neurokit_snn.models.observations import AbstractObservation, Space
from neurokit_snn.models.posterior import POSTERIOR_DRAWS, draws_tree

__all__ = ["MMGPVAE"]


class MMGPVAE(AbstractModel):
    """Multi-modal Gaussian-process variational autoencoder (Gondur, Sikandar, Schaffer, Aoi and Keeley, ICLR 2024).

    Latents are Gaussian processes in a truncated Fourier basis, in three blocks: those of neural data alone, those shared
    with behaviour, and those of behaviour alone. Neural data depend on the first two through linear loadings,
    ``y ~ p(y | W [z_neural, z_shared] + d)``; behaviours and images on the last two through a network each.

    With ``posterior="smoother"`` the posterior of a trial is the Gaussian smoother of one Gaussian factor for each bin and
    modality: behaviour's factors come from an encoder network, neural ones from natural-gradient steps on the bound, so that
    any subset of units, bins and modalities can be given. ``"fourier"`` is the published guide (networks and a learnt map
    to independent Fourier coefficients), ``"time"`` the standard GP-VAE's (independent bins).

    Parameters
    ----------
    neural, shared, behavior
        Latents of each block; ``shared=0, behavior=0`` is GPFA with the likelihood of choice, ``neural=0, shared=0`` a GP-VAE of
        behaviour.
    covariates
        Behaviours (with or without ``behavior_``), trial columns and ``stimulus_NAME`` that are modelled; None for all
        behaviours and stimuli of the data.
    likelihood
        Of neural data: ``"poisson"``, ``"negative_binomial"``, ``"gaussian"`` (calcium) or ``"zero_inflated_gamma"`` (deconvolved
        calcium).
    kernel
        Of the latents: ``"rbf"``, ``"matern12"``, ``"matern32"``, ``"matern52"``, or ``"white"`` for none (a VAE).
    length_scale
        Seconds, where the fit starts.
    length_scale_bounds
        Seconds, between which the length scales stay; None for half of ``length_scale`` to twice. They decide the size of
        the basis: the padding of a trial is chosen from the longest.
    period
        Bins after which the Fourier basis repeats; None to choose it. A `PriorWarning` says where it is too short.
    posterior
        ``"smoother"``, ``"fourier"`` or ``"time"``.
    fusion
        How modalities make one posterior of a shared latent: ``"precision"`` multiplies what they say, ``"mean"`` averages it as
        published.
    closed_form
        Take the expected log likelihood of neural data in closed form (or by quadrature); False to sample it.
    hidden
        Widths of the hidden layers of decoders; encoders mirror them.
    steps, batch_size
        Optimiser steps, and trials in each.
    start_weight
        Weight of the behaviours' likelihood at the first step, or one for each name; it rises to 1 over the share ``anneal`` of
        the steps, and the rest of the fit maximises the bound itself. Without it the shared latent may fall to what
        behaviour alone says.
    anneal
        Share of the steps with rising weights.
    warmup
        Share of the steps with fixed length scales.
    restarts
        Fits from different starts; above 1 the best bound on every fifth trial, held out, chooses, and that fit goes on with all
        trials.

    Attributes
    ----------
    design_ : Design
        Sizes, likelihoods and prior.
    params_ : dict
        Loadings ``(unit, latent)``, offsets, networks and the position of each length scale between its bounds.
    losses_ : ndarray, (step,)
        Negative weighted bound per valid bin, of one batch each.
    chosen_start_ : int
        Which of the restarts was kept.

    Raises
    ------
    ModelError
        From `fit`: more latents than units, a behaviour that is constant or missing throughout, values the likelihood does not
        allow, a period shorter than a trial, or a bound that is not finite (with its step and term).

    Examples
    --------
    >>> from neurokit_snn.testing.place_cells import place_cells
    >>> data = place_cells()
    >>> model = MMGPVAE(neural=1, shared=1, behavior=0, covariates=["position"], steps=20).fit(data.isel(trial=slice(0, 8)))
    >>> model.predict(data.isel(trial=[8]), task="decode")["behavior_position"].dims
    ('trial', 'time')
    """

    deterministic: ClassVar[bool] = False

    design_: Design
    params_: Params
    losses_: np.ndarray
    chosen_start_: int
    modalities_: tuple[Modality, ...]
    readout_: Readout
    summary_: xr.Dataset

    def __init__(
        self,
        *,
        neural: int = 2,
        shared: int = 1,
        behavior: int = 1,
        covariates: Sequence[str] | None = None,
        likelihood: str = "poisson",
        kernel: str = "rbf",
        length_scale: float = 0.5,
        length_scale_bounds: tuple[float, float] | None = None,
        period: int | None = None,
        posterior: str = "smoother",
        fusion: str = "precision",
        closed_form: bool = True,
        hidden: Sequence[int] = (40, 40),
        steps: int = 600,
        batch_size: int = 8,
        start_weight: float | Mapping[str, float] = 0.03,
        anneal: float = 0.8,
        warmup: float = 0.15,
        restarts: int = 1,
    ) -> None:
        self.neural = neural
        self.shared = shared
        self.behavior = behavior
        self.covariates = covariates
        self.likelihood = likelihood
        self.kernel = kernel
        self.length_scale = length_scale
        self.length_scale_bounds = length_scale_bounds
        self.period = period
        self.posterior = posterior
        self.fusion = fusion
        self.closed_form = closed_form
        self.hidden = hidden
        self.steps = steps
        self.batch_size = batch_size
        self.start_weight = start_weight
        self.anneal = anneal
        self.warmup = warmup
        self.restarts = restarts

    # ---- what it can do ----------------------------------------------------------------------------------------

    @property
    def tasks(self) -> tuple[str, ...]:  # type: ignore[override]
        """Neural-only: co-smoothing, forecasts (of the smoother), samples; with shared latents also from behaviour and to it."""
        if self.neural + self.shared == 0:
            return ()
        ahead = ("forecast",) if self.posterior == "smoother" else ()  # the others see a trial as a whole
        if self.shared == 0:
            return ("cosmooth", *ahead, "generate")
        return ("encode", "decode", "cosmooth", "cosmooth+behavior", *ahead, "generate")

    @property
    def space(self) -> Space:  # type: ignore[override]
        """Counts, or densities of calcium."""
        return LIKELIHOODS[one_of("likelihood", self.likelihood, LIKELIHOODS)].space

    def history(self) -> float:
        """Seconds over which the slowest latent that the bounds allow remembers: three length scales."""
        return CONTEXT * self.bounds()[1]

    # ---- fit ---------------------------------------------------------------------------------------------------

    def _fit(self, data: xr.Dataset, *, seed: int, progress: bool, resume: Path | None) -> None:
        who = "MMGPVAE.fit"
        check_parameters(self, data, who)
        names = covariates_of(self, data, who)
        self.modalities_ = tuple(modality_of(data, name, who) for name in names)
        batch = self._batch(data, who)
        if self.neural + self.shared:
            likelihood = LIKELIHOODS[self.likelihood]
            mask = np.asarray(batch.neural_mask) > 0
            if not mask.any():
                raise ModelError(
                    f"{who}: {likelihood.variable} is masked in every bin; there is nothing to fit"
                )
            likelihood.check(np.asarray(batch.neural), mask, who)
        pieces = segmented(batch, longest=self.bounds()[1] / self.bin_width_)
        self.design_ = self._design(pieces.neural.shape[1])
        recipe = Recipe(
            length_scale=float(self.length_scale) / self.bin_width_,
            steps=int(self.steps),
            batch_size=int(self.batch_size),
            start_weights=tuple((m.name, start_weight_of(self, m.name)) for m in self.modalities_),
            anneal=float(self.anneal),
            warmup=float(self.warmup),
            restarts=int(self.restarts),
        )
        mark = fingerprint(self.get_params(), pieces, seed)
        self.params_, self.losses_, self.chosen_start_ = fitted(
            self.design_, pieces, recipe, seed=seed, progress=progress, resume=resume, mark=mark, who=who
        )
        found = self._inferred(batch, np.arange(batch.n_trials, dtype=np.uint32), draws=1)
        self.readout_ = loading_posterior(self.design_, self.params_, batch, found)
        self.summary_ = self._summarised(batch, found)

    def bounds(self) -> tuple[float, float]:
        """Shortest and longest length scale that a fit may reach, seconds."""
        if self.length_scale_bounds is None:
            return self.length_scale / 2.0, self.length_scale * 2.0
        low, high = self.length_scale_bounds
        return float(low), float(high)

    def _design(self, n_bins: int) -> Design:
        low, high = (bound / self.bin_width_ for bound in self.bounds())
        basis = basis_for(n_bins, kernel=self.kernel, shortest=low, longest=high, period=self.period)  # type: ignore[arg-type]
        return Design(
            neural=int(self.neural),
            shared=int(self.shared),
            behavior=int(self.behavior),
            likelihood=LIKELIHOODS[self.likelihood],
            n_units=self.units_.size,
            channels=tuple(channel_of(m) for m in self.modalities_),
            kernel=self.kernel,  # type: ignore[arg-type]
            basis=basis,
            shortest=low,
            longest=high,
            posterior=self.posterior,  # type: ignore[arg-type]
            fusion=self.fusion,  # type: ignore[arg-type]
            closed_form=bool(self.closed_form),
            hidden=tuple(int(h) for h in self.hidden),
        )

    def _batch(self, data: xr.Dataset, who: str) -> Batch:
        likelihood = LIKELIHOODS[self.likelihood]
        return batch_of(
            data, likelihood=likelihood, n_units=self.units_.size, modalities=self.modalities_, who=who
        )

    def _inferred(self, batch: Batch, keys: np.ndarray, *, draws: int, causal: bool = False) -> Inferred:
        n_bins = batch.neural.shape[1]
        if self.design_.posterior == "fourier" and n_bins != self.design_.basis.n_bins:
            raise ModelError(
                f"MMGPVAE: posterior 'fourier' was fitted to trials of {self.design_.basis.n_bins} bins and cannot infer "
                f"{n_bins}; use posterior='smoother'"
            )
        return infer(self.design_, self.params_, batch, keys=keys, draws=draws, causal=causal)

    # ---- predict -----------------------------------------------------------------------------------------------

    def _predictive(
        self, visible: xr.Dataset, *, task: str, draws: int, rng: np.random.Generator
    ) -> Mapping[str, AbstractObservation]:
        weights = self.readout_.draws(draws, rng) if self.design_.reads_neural else None
        seed = int(rng.integers(2**31))
        batch = self._batch(visible, "MMGPVAE")
        keys = trial_keys(visible, seed)
        found = self._inferred(batch, keys, draws=draws, causal=task == "forecast")
        coords = {name: visible[name].values for name in ("trial", "time")}
        made: dict[str, AbstractObservation] = {}
        if task == "decode":
            for modality in self.modalities_:
                if modality.name.startswith("behavior_"):
                    made[modality.name] = behavior_observation(
                        self.design_, self.params_, modality, found.draws, coords
                    )
            if not made:
                raise ModelError("MMGPVAE: no behaviour is among its covariates; there is nothing to decode")
            return made
        assert weights is not None
        asked = (
            held_out(visible)
            if task_named(task).counts == "held-in"
            else np.ones(self.units_.size, dtype=bool)
        )
        made[self.design_.likelihood.variable] = neural_observation(
            self.design_, self.params_, weights, found.draws, coords | {"unit": self.units_}, units=asked
        )
        return made

    def latents(self, data: xr.Dataset, *, draws: int = 0, seed: int = 0) -> xr.Dataset:
        """Posterior of the latents given everything that the data hold; drop or mask what should not be seen.

        Parameters
        ----------
        data
            Binned dataset; neural data, behaviours or both.
        draws
            0 for means and standard deviations, n for n joint draws over the bins of a trial.
        seed
            Of the draws.

        Returns
        -------
        Dataset
            ``latents`` and ``latents_sd``, ``(trial, time, latent)``, or ``latents`` ``(draw, trial, time, latent)``; coordinates
            ``latent`` and ``block`` (``neural``, ``shared`` or ``behavior``). In units of the prior's standard deviation.
        """
        self._check_fitted()
        found = self._inferred(self._batch(data, "MMGPVAE.latents"), trial_keys(data, seed), draws=draws)
        labels, blocks = self.design_.labels()
        coords = {
            "trial": data["trial"].values,
            "time": data["time"].values,
            "latent": labels,
            "block": ("latent", blocks),
        }
        dims = ("trial", "time", "latent")
        if draws:
            return xr.Dataset({"latents": (("draw", *dims), found.draws.astype(np.float64))}, coords=coords)
        sd = np.sqrt(np.maximum(np.diagonal(found.covariance, axis1=-2, axis2=-1), 0.0))
        return xr.Dataset(
            {"latents": (dims, found.mean.astype(np.float64)), "latents_sd": (dims, sd.astype(np.float64))},
            coords=coords,
        )

    def reconstruct(self, data: xr.Dataset, *, draws: int = 20, seed: int = 0) -> xr.Dataset:
        """What the model makes of data it has seen in full: each modality from the latents that all of them together gave.

        Returns
        -------
        Dataset
            ``rate`` in spikes/s (or ``calcium``) ``(trial, time, unit)``, and every behaviour and stimulus in its own units and
            dims: expected values, averaged over draws of the latents. For predictions use `predict`.
        """
        self._check_fitted()
        batch = self._batch(data, "MMGPVAE.reconstruct")
        found = self._inferred(batch, trial_keys(data, seed), draws=draws)
        coords = {name: data[name].values for name in ("trial", "time")}
        made = {
            m.name: behavior_observation(self.design_, self.params_, m, found.draws, coords).mean()
            for m in self.modalities_
        }
        if self.design_.reads_neural:
            weights = self.readout_.repeated(draws)
            where = coords | {"unit": self.units_}
            everyone = np.ones(self.units_.size, dtype=bool)
            values = neural_observation(
                self.design_, self.params_, weights, found.draws, where, units=everyone
            ).mean()
            is_count = self.design_.likelihood.variable == "counts"
            made["rate" if is_count else "calcium"] = values / self.bin_width_ if is_count else values
        return xr.Dataset(made)

    # ---- what was learned --------------------------------------------------------------------------------------

    def summary(self) -> xr.Dataset:
        """Length scales, loadings, and what each latent and each block does to each modality.

        Returns
        -------
        Dataset
            ``length_scale (latent)`` in seconds; ``loading (unit, latent)``, 0 for latents that neural data do not read;
            ``loading_norm (modality, latent)``: root mean square change of the modality when the latent is drawn anew, divided by
            the square root of 2 (for a linear readout the root mean square loading): log rates for neural data, standard
            deviations for behaviour; ``variance (modality, part)``: the share of the modality's predicted variance that goes
            when a block is fixed (Jansen's total effect), over ``private`` and ``shared``.
        """
        self._check_fitted()
        return self.summary_.copy()

    def _summarised(self, batch: Batch, found: Inferred) -> xr.Dataset:
        labels, blocks = self.design_.labels()
        seconds = np.asarray(length_scales(self.design_, self.params_), dtype=np.float64) * self.bin_width_
        coords = {"latent": labels, "block": ("latent", blocks), "unit": self.units_}
        made = summarised(self.design_, self.params_, batch, found)
        made["length_scale"] = xr.DataArray(seconds, dims="latent", attrs={"units": "s"})
        return made.assign_coords(coords)

    def elbo(self, data: xr.Dataset, *, seed: int = 0) -> xr.Dataset:
        """The evidence lower bound of data, term by term.

        Returns
        -------
        Dataset
            Scalars in nats per valid bin: ``neural``, each behaviour, ``latents`` (minus the divergence from the prior), and
            their sum ``elbo``. Behaviours are in standardised units.
        """
        self._check_fitted()
        batch = segmented(self._batch(data, "MMGPVAE.elbo"), longest=self.design_.longest)
        terms = bound_per_bin(self.design_.over(batch.neural.shape[1]), self.params_, batch, seed=seed)
        terms["elbo"] = sum(terms.values())
        return xr.Dataset({k: ((), v, {"units": "nats"}) for k, v in terms.items()})

    def _posterior(self) -> xr.DataTree:
        """Loadings and offsets, from the Gaussian approximation at their fitted values."""
        if not self.design_.reads_neural:
            raise ModelError(
                "MMGPVAE: a model of behaviour alone keeps no posterior of parameters; see latents(draws=)"
            )
        values = self.readout_.draws(
            POSTERIOR_DRAWS, np.random.default_rng(self.seed_)
        )  # (draw, unit, latent + 1)
        labels, _ = self.design_.labels()
        return draws_tree(
            {"loading": (("unit", "latent"), values[..., :-1]), "offset": (("unit",), values[..., -1])},
            coords={"unit": self.units_, "latent": labels[self.design_.of_neural]},
        )

    # ---- state -------------------------------------------------------------------------------------------------

    def _state(self) -> dict[str, xr.Dataset]:
        bins = {"n_bins": self.design_.basis.n_bins, "chosen_start": self.chosen_start_}
        state = {
            "params": params_state(self.params_),
            "modalities": modalities_state(self.modalities_),
            "fit": xr.Dataset({"losses": ("step", self.losses_)}, attrs=bins),
            "summary": self.summary_,
        }
        if self.design_.reads_neural:
            state["readout"] = self.readout_.state()
        return state

    def _set_state(self, state: Mapping[str, xr.Dataset]) -> None:
        self.params_ = params_from(state["params"])
        self.modalities_ = modalities_from(state["modalities"])
        self.losses_ = state["fit"]["losses"].values
        self.chosen_start_ = int(state["fit"].attrs["chosen_start"])
        self.summary_ = state["summary"].load()
        self.design_ = self._design(int(state["fit"].attrs["n_bins"]))
        if "readout" in state:
            self.readout_ = Readout.from_state(state["readout"])
