"""`BayesianSpiking` behind the protocol of models."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from neurokit_snn.errors import ModelError
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.models.module_state import module_state, weights_from
from neurokit_snn.models.observations import AbstractObservation, Space
from neurokit_snn.models.posterior import POSTERIOR_DRAWS
from neurokit_snn.models.spiking.bayesian_draws import drawn, free_paths, log_rates
from neurokit_snn.models.spiking.bayesian_settings import check_parameters, guide_of, layer_of
from neurokit_snn.models.spiking.bayesian_summaries import draws_of_layer, draws_of_network, synapse_table
from neurokit_snn.models.spiking.delay_posterior import DelayPosterior
from neurokit_snn.models.spiking.encoder import SpikingEncoder
from neurokit_snn.models.spiking.fitting import fingerprint
from neurokit_snn.models.spiking.guides import Guide, GuideName
from neurokit_snn.models.spiking.inference import Recipe, fitted_guide, fitted_membranes
from neurokit_snn.models.spiking.lifting import LiftedNetwork, NetworkPriors, network_priors
from neurokit_snn.models.spiking.likelihoods import LOG_RATE_LIMIT
from neurokit_snn.models.spiking.membranes import Membranes
from neurokit_snn.models.spiking.network import Builder, Sizes
from neurokit_snn.models.spiking.program import Observation, evidence_bound
from neurokit_snn.models.spiking.settings import check_encoder, memory_of
from neurokit_snn.models.spiking.stretches import Source
from neurokit_snn.torchloop import History

__all__ = ["BayesianSpiking"]

LONGEST = 256
"""Bins of a stretch, for the bound of one layer."""


class BayesianSpiking(AbstractModel):
    """A spiking network with a posterior: weights, time constants and delays have priors, predictions are draws.

    The network is that of `SpikingEncoder`, whose recorded units fire at random (escape noise), lifted through Pyro. What is
    known of it after the fit is a guide, a distribution that maximises a bound of the evidence:

    - With ``hidden=()`` the units are the only layer, driven by recorded spikes, and nothing is hidden. The bound is smooth in
      all but the delays, its gradient exact. The time constant of every membrane is unknown, and every synapse has a probability
      for each of its whole delays, found by coordinate ascent (`neurokit_snn.models.spiking.delay_posterior`).
    - With hidden neurons spikes are step functions of the weights. The guide starts from `SpikingEncoder`'s estimate and follows
      surrogate gradients, which are not the gradient of the bound: `gradient_` says ``"surrogate"``. The bound itself is
      estimated with true spikes, chooses among the steps, and is as valid as any. Delays are the encoder's, rounded; time
      constants are random where neurons learn them (``neuron="ParametricLIF"``), with the prior median ``tau``.

    Parameters
    ----------
    covariates, splines, direct, past, coupling, delays, hidden, neuron, tau, tau_readout, neuron_fields, recurrent, network
        As in `SpikingEncoder`. With ``hidden=()``, ``tau_readout`` is the prior median of the membranes' time constants.
    memory
        As in `SpikingEncoder`.
    observation
        ``"poisson"`` counts, or ``"bernoulli"``: bins of at most one spike, of probability ``1 - exp(-expected)``.
    guide
        ``"mean-field"``: parameters independent given the delays; ``"low-rank"``: correlations within a unit's parameters (with
        hidden neurons, among all).
    rank
        Of these correlations.
    priors
        Standard deviations. With ``hidden=()`` of ``"constant"``, ``"column"``, ``"own"``, ``"weight"`` in log rate (of one spike
        for the latter two; 1, 1, 1, 0.5), and of ``"tau"`` in the logarithm of ``tau - bin`` (0.5). With hidden neurons by
        pattern of the dotted name of a parameter of the network (`neurokit_snn.models.spiking.lifting.network_priors`).
    steps, learning_rate, batch_size
        Of the guide's training; the batch size counts stretches, None for all where they are few.
    start_steps
        Of the estimate that a network with hidden neurons starts from.
    gradient_draws
        Draws of the parameters for each step.
    accelerator
        As Lightning Fabric names it.

    Attributes
    ----------
    bound_ : float
        Bound of the log evidence of the training data, nats, estimated with true spikes.
    bound_se_ : float
        Standard error of that estimate.
    gradient_ : str
        ``"exact"`` or ``"surrogate"``.
    histories_ : dict of History
        Curves of the training, by stage.
    sizes_ : Sizes
        All sizes and time constants, in bins.

    Raises
    ------
    ModelError
        From `fit`: when a parameter is out of range, a covariate is unknown or never varies, or a bin of ``"bernoulli"`` holds
        two spikes.

    Notes
    -----
    ``log_likelihood`` is the log of the mean over draws of the probability, never the bound. A mean-field guide understates
    standard deviations, most where parameters of a unit are correlated (by 9% on average and 16% at most in
    ``tests/models/test_spiking_nuts.py``, where the low-rank guide agrees with NUTS).

    Nothing is left in Pyro's global store: guides are modules that own their parameters.

    Examples
    --------
    >>> from neurokit_snn.testing.place_cells import place_cells
    >>> data = place_cells(trials=8)
    >>> model = BayesianSpiking(covariates=("position",), coupling=True, delays=0.2, tau_readout=0.2, steps=30).fit(data)
    >>> dict(model.synapses().sizes)
    {'target': 6, 'source': 6, 'delay': 2}
    >>> model.gradient_
    'exact'
    """

    tasks: ClassVar[tuple[str, ...]] = ("encode", "forecast", "generate")
    deterministic: ClassVar[bool] = False

    encoder_: SpikingEncoder
    predictor_: Membranes | LiftedNetwork
    guide_: Guide
    probability_: np.ndarray | None
    bound_: float
    bound_se_: float
    gradient_: str
    histories_: dict[str, History]

    def __init__(
        self,
        *,
        covariates: Sequence[str] | None = None,
        splines: int | Mapping[str, int] | None = None,
        direct: bool = True,
        past: float = 0.0,
        coupling: bool = False,
        delays: float = 0.0,
        hidden: Sequence[int] = (),
        neuron: str = "LIF",
        tau: float = 0.1,
        tau_readout: float = 0.1,
        neuron_fields: Mapping[str, Any] | None = None,
        recurrent: bool = False,
        network: Builder | None = None,
        memory: float | None = None,
        observation: Observation = "poisson",
        guide: GuideName = "mean-field",
        rank: int = 4,
        priors: Mapping[str, float] | None = None,
        steps: int = 300,
        learning_rate: float = 0.02,
        batch_size: int | None = None,
        start_steps: int = 1000,
        gradient_draws: int = 2,
        accelerator: str = "cpu",
    ) -> None:
        self.covariates = covariates
        self.splines = splines
        self.direct = direct
        self.past = past
        self.coupling = coupling
        self.delays = delays
        self.hidden = hidden
        self.neuron = neuron
        self.tau = tau
        self.tau_readout = tau_readout
        self.neuron_fields = neuron_fields
        self.recurrent = recurrent
        self.network = network
        self.memory = memory
        self.observation = observation
        self.guide = guide
        self.rank = rank
        self.priors = priors
        self.steps = steps
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.start_steps = start_steps
        self.gradient_draws = gradient_draws
        self.accelerator = accelerator

    # ---- protocol ----------------------------------------------------------------------------------------------

    @property
    def space(self) -> Space:  # type: ignore[override]
        """Raw counts, or bins of at most one spike."""
        return "binary" if self.observation == "bernoulli" else "counts"

    def history(self) -> float:
        """Seconds before a bin that a prediction reads: the run-in and the stretch, each as long as the memory."""
        return 2.0 * memory_of(self.get_params())

    @property
    def sizes_(self) -> Sizes:
        """All sizes and time constants, in bins."""
        return self.encoder_.sizes_

    @property
    def delays_(self) -> xr.DataArray:
        """Likeliest delay of each synapse, seconds, ``(target, source)``: from a spike to the bin it first acts in.

        NaN on the diagonal; with hidden neurons those of the encoder.

        Raises
        ------
        ModelError
            When the model is not fitted, or was fitted without delays.
        """
        self._check_fitted()
        if isinstance(self.predictor_, LiftedNetwork):
            return self.encoder_.delays_
        if self.probability_ is None or not self.delays:
            raise ModelError("BayesianSpiking: no delays were learned; fit with delays > 0 and coupling=True")
        found = self.synapses()
        return found["probability"].idxmax("delay").where(found["weight"].notnull()).rename("delay")

    def synapses(self, *, level: float = 0.9) -> xr.Dataset:
        """Posterior of the synapses between units.

        Parameters
        ----------
        level
            Probability of the sets of delays.

        Returns
        -------
        Dataset
            ``probability (target, source, delay)`` of each delay; ``in_set``, the smallest set of at least that level;
            ``inclusion``, the chance to be in a set of exactly that level, the last delay of which is drawn by lot; and
            ``weight``, ``weight_sd (target, source)``: change of the target's log rate by a spike of the source, at its arrival;
            NaN on the diagonal. Coordinate ``delay`` in seconds: from a spike to the bin it first acts in.

        Raises
        ------
        ModelError
            When there are hidden neurons, or units are not coupled.
        """
        self._check_fitted()
        if self.probability_ is None:
            raise ModelError(
                "BayesianSpiking: only units coupled without hidden neurons have synapses of their own; "
                "fit with hidden=() and coupling=True"
            )
        if not 0.0 < level < 1.0:
            raise ModelError(f"synapses: level is {level!r}; give a probability between 0 and 1")
        mean, sd = (part.double().numpy() for part in self.guide_.synapses_by_delay())
        posterior = DelayPosterior(self.probability_, mean, sd)
        return synapse_table(posterior, units=self.units_, seconds=self._seconds(), level=level)

    # ---- fit ---------------------------------------------------------------------------------------------------

    def _fit(self, data: xr.Dataset, *, seed: int, progress: bool, resume: Path | None) -> None:
        who = "BayesianSpiking.fit"
        check_parameters(self.get_params(), self.bin_width_, who=who)
        encoder = self.encoder_ = self._encoder()
        check_encoder(encoder.get_params(), self.bin_width_, who=who)
        encoder._prepare(data, who)
        source = encoder._source(data, who, told=True)
        recipe = Recipe(
            steps=self.steps,
            learning_rate=self.learning_rate,
            draws=self.gradient_draws,
            batch_size=self.batch_size,
            seed=seed,
            progress=progress,
            resume=resume,
            mark=fingerprint(self.get_params(), source, seed=seed, weights={}),
            accelerator=self.accelerator,
            who=who,
        )
        if self.hidden or self.network is not None:
            self._fit_lifted(data, source, recipe)
        else:
            self._fit_layer(source, recipe)
            source = dataclasses.replace(source, length=max(source.length, LONGEST))  # less of it is run-in
        self.gradient_, chance = self.predictor_.gradient, self.probability_
        told = source.split(source.told(), width=self.units_.size)
        self.bound_, self.bound_se_ = evidence_bound(
            self.predictor_,
            self.guide_,
            (source.batch(some) for some in told),
            observation=self.observation,
            probability=None if chance is None else torch.from_numpy(chance).float(),
            seed=seed,
        )

    def _fit_layer(self, source: Source, recipe: Recipe) -> None:
        self.predictor_ = layer = self._layer()
        self.guide_ = self._guide()
        posterior, self.histories_ = fitted_membranes(
            layer, self.guide_, source, recipe, observation=self.observation, usual=self.encoder_.count_mean_
        )
        self.probability_ = None if posterior is None else posterior.probability

    def _fit_lifted(self, data: xr.Dataset, source: Source, recipe: Recipe) -> None:
        priors = network_priors(self.encoder_._fresh(source, recipe.seed), source, overrides=self.priors)
        start = None if recipe.resume is None else recipe.resume / "start"
        self.encoder_.fit(data, seed=recipe.seed, progress=recipe.progress, resume=start)
        self.predictor_ = LiftedNetwork(self.encoder_.network_, priors)
        self.guide_ = self._guide()
        history = fitted_guide(
            self.predictor_, self.guide_, source, recipe, observation=self.observation, choose=True
        )
        self.histories_, self.probability_ = {"fit": history}, None

    def _encoder(self) -> SpikingEncoder:
        """The point estimate's model, with what it shares with this one."""
        shared = set(self.get_params()) & set(SpikingEncoder().get_params())
        taken = {name: getattr(self, name) for name in shared - {"steps", "learning_rate", "batch_size"}}
        encoder = SpikingEncoder(**taken, steps=self.start_steps)
        encoder.units_, encoder.bin_width_, encoder.seed_ = self.units_, self.bin_width_, self.seed_
        return encoder

    def _layer(self) -> Membranes:
        return layer_of(self.get_params(), self.sizes_, self.encoder_.count_mean_, self.bin_width_)

    def _guide(self) -> Guide:
        return guide_of(self.predictor_, kind=self.guide, rank=self.rank, seed=self.seed_)

    def _seconds(self) -> np.ndarray:
        """Delays that a synapse may have."""
        assert self.probability_ is not None
        return (np.arange(self.probability_.shape[-1]) + 1.0) * self.bin_width_

    # ---- predict -----------------------------------------------------------------------------------------------

    def _predictive(
        self, visible: xr.Dataset, *, task: str, draws: int, rng: np.random.Generator
    ) -> Mapping[str, AbstractObservation]:
        theta, delays = drawn(self.guide_, self.probability_, draws, rng)
        if self.sizes_.sources and task != "forecast":
            expected, _ = self._run_freely(visible, theta, delays, rng=rng)
        else:
            source = self.encoder_._source(visible, f"BayesianSpiking, {task}", told=False)
            log_rate = log_rates(self.predictor_, source, theta, delays)
            rate = np.exp(np.minimum(log_rate, LOG_RATE_LIMIT))
            expected = -np.expm1(-rate) if self.space == "binary" else rate
        return {"counts": self.encoder_._observed(expected, visible)}

    def _sample(self, visible: xr.Dataset, *, task: str, rng: np.random.Generator) -> xr.DataArray:
        if not self.sizes_.sources or task == "forecast":
            return super()._sample(visible, task=task, rng=rng)
        _, counts = self._run_freely(visible, *drawn(self.guide_, self.probability_, 1, rng), rng=rng)
        return self.encoder_._labelled(counts, visible).isel(draw=0, drop=True)

    def _run_freely(
        self, visible: xr.Dataset, theta: Tensor, delays: Tensor | None, *, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        return free_paths(self.predictor_, theta, delays, rng=rng, **self.encoder_._surroundings(visible))

    def _posterior(self) -> xr.DataTree:
        rng = np.random.default_rng(self.seed_)
        theta, delays = drawn(self.guide_, self.probability_, POSTERIOR_DRAWS, rng)
        if isinstance(self.predictor_, LiftedNetwork):
            return draws_of_network(self.predictor_, theta)
        seconds = None if delays is None else self._seconds()[delays.numpy()]
        units, columns, width = self.units_, self.encoder_.code_.names(), self.bin_width_
        return draws_of_layer(self.predictor_, theta, seconds, units=units, columns=columns, bin_width=width)

    # ---- state -------------------------------------------------------------------------------------------------

    def _state(self) -> dict[str, xr.Dataset]:
        chance = self.probability_
        delays = {} if chance is None else {"probability": (("target", "source", "delay"), chance)}
        told = {"bound": self.bound_, "bound_se": self.bound_se_, "gradient": self.gradient_}
        return {
            "guide": module_state(self.guide_, **told),
            "predictor": module_state(self.predictor_),
            "delays": xr.Dataset(delays),
            **self.encoder_._inputs_state(),
            **{f"history_{name}": history.to_dataset() for name, history in self.histories_.items()},
        }

    def _set_state(self, state: Mapping[str, xr.Dataset]) -> None:
        encoder = self.encoder_ = self._encoder()
        encoder._set_inputs(state)
        if self.hidden:
            encoder.network_ = encoder._bare()
            ones = {name: torch.ones(()) for name, _ in encoder.network_.named_parameters()}
            self.predictor_ = LiftedNetwork(encoder.network_, NetworkPriors(ones, {}))
        else:
            self.predictor_ = self._layer()
        self.predictor_.load_state_dict(weights_from(state["predictor"]))
        self.guide_ = self._guide()
        self.guide_.load_state_dict(weights_from(state["guide"]))
        chance = state["delays"].get("probability")
        self.probability_ = None if chance is None else chance.values
        told = state["guide"].attrs
        self.bound_, self.bound_se_ = float(told["bound"]), float(told["bound_se"])
        self.gradient_ = str(told["gradient"])
        self.histories_ = {
            name.removeprefix("history_"): History.from_dataset(found)
            for name, found in state.items()
            if name.startswith("history_")
        }
