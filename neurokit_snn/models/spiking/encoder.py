"""`SpikingEncoder` behind the protocol of models."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import xarray as xr

from neurokit_snn.errors import ModelError
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.models.covariates import counts_and_mask
from neurokit_snn.models.module_state import module_state, weights_from
from neurokit_snn.models.observations import AbstractObservation, Bernoulli, Poisson, Space
from neurokit_snn.models.spiking import connections
from neurokit_snn.models.spiking.code import Code
from neurokit_snn.models.spiking.fitting import fitted, fresh, outputs_of
from neurokit_snn.models.spiking.likelihoods import COUNT_NATS, LOG_RATE_LIMIT, SUREST, log_means
from neurokit_snn.models.spiking.network import Builder, RateNetwork, Sizes
from neurokit_snn.models.spiking.sampling import free_run
from neurokit_snn.models.spiking.settings import (
    check_encoder,
    memory_of,
    plan_of,
    rule_named,
    run_in_of,
    sizes_of,
)
from neurokit_snn.models.spiking.stretches import Source
from neurokit_snn.snn.training import Rule
from neurokit_snn.torchloop import History

__all__ = ["SpikingEncoder"]

OWN_FILTERS = 5
"""Leaky integrators of a unit's own past, their time constants evenly spaced in the logarithm."""


class SpikingEncoder(AbstractModel):
    """Rates of recorded units from a spiking network that reads covariates and past spikes.

    The log of the expected count of unit u in bin t is

        b_u + sum_c D_uc x_c[t] + sum_k H_uk l_k[t] + r_u[t],

    where x are the covariates as columns (`covariates`), l leaky integrals of the unit's own counts before t (`past`), and r
    the readout of a spiking network: covariates and, with `coupling`, the counts of all units before t drive layers of spiking
    neurons, whose spikes are weighted and integrated by one leaky membrane for each unit. The recorded units are the outputs and
    their spikes are random, so that the likelihood is that of a GLM and smooth in the rate; the hidden neurons are
    deterministic and learned through a surrogate gradient. What goes past the network is what spikes are bad at: refractoriness
    of one unit, which a hidden layer shared by all cannot see, and tuning, which costs a network many noisy spikes.

    With ``hidden=()`` the units themselves are the only layer: past spikes meet in the leaky membrane of each target, and the
    weights are couplings (`couplings_`).

    Parameters
    ----------
    covariates
        Names of behaviours and trial columns, and of stimuli under ``stimulus_NAME``; None for all behaviours, () for none.
    splines
        Splines an axis, or a mapping from covariate to that number, as in `GLM`.
    direct
        Whether covariates go straight to the log rate as well; with ``hidden=()`` they have no other way.
    past
        Seconds of a unit's own past spikes that go straight to its log rate; 0 for none.
    coupling
        Whether the network reads the past spikes of all units.
    delays
        Longest delay, seconds, of the synapses from past spikes, which are then learned; 0 for none.
    hidden
        Neurons of each spiking layer.
    neuron
        Kind of its neurons, a name of `neurokit_snn.snn`: ``"IF", "LIF", "ParametricLIF", "AdaptiveLIF", "CurrentLIF"`` or
        ``"IntegerLIF"``.
    tau, tau_readout
        Time constants of the membranes of the neurons and of the readout, seconds; shorter than a bin, they forget within it.
    neuron_fields
        Other fields of the neurons; those whose names begin with ``tau`` are seconds.
    recurrent
        Whether the spikes of a layer come back to it a bin later.
    network
        A network of one's own in place of layers and readout: a callable that takes the number of features and of units and
        gives a `neurokit_snn.snn.Network`. Such a model is not saved: no file can hold the callable.
    memory
        Seconds for which the network runs before a bin that it predicts, at least; at most twice that, for a stretch of as many
        bins is predicted at once. None for the past, or the longest delay and five of the slowest time constant.
    observation
        ``"poisson"`` counts, or ``"bernoulli"``: bins of at most one spike, of probability ``1 - exp(-expected)``.
    rule
        How the gradient comes about: ``"BPTT"``, ``"SLTT"`` or ``"OTTT"``, or a rule of `neurokit_snn.snn`. Of the two whose
        memory does not grow with time OTTT is the one for recordings: on `linear-track` SLTT cost a tenth of the bits per spike.
    steps, batch_size, learning_rate, weight_decay
        Of the training (`neurokit_snn.torchloop`); the batch size counts stretches.
    validation
        Share of the training data, in blocks with a gap of the memory around them, that chooses the step.
    patience
        Validations, of 40, without a new best after which training stops; None for never.
    accelerator
        As Lightning Fabric names it.

    Attributes
    ----------
    network_ : RateNetwork
    sizes_ : Sizes
        All sizes and time constants, in bins.
    history_ : History
        Curves of the training.

    Raises
    ------
    ModelError
        From `fit`: when a parameter is out of range, a covariate is unknown or never varies, or a bin of ``"bernoulli"`` holds
        two spikes.

    Notes
    -----
    Parameters are a point estimate: ``forecast`` gives one distribution, without draws. ``encode`` and ``generate`` show no
    spikes, so that a model that reads the past runs freely on its own, and the mixture of the rates along its paths is the
    predictive distribution. `history` gives the seconds of past that a prediction reads: twice the memory.

    Examples
    --------
    >>> from neurokit_snn.testing.place_cells import place_cells
    >>> data = place_cells(trials=8)
    >>> model = SpikingEncoder(covariates=("position",), hidden=(16,), past=0.2, steps=40).fit(data)
    >>> model.predict(data, task="forecast")["rate"].dims
    ('trial', 'time', 'unit')
    """

    tasks: ClassVar[tuple[str, ...]] = ("encode", "forecast", "generate")
    deterministic: ClassVar[bool] = False

    network_: RateNetwork
    sizes_: Sizes
    code_: Code
    count_mean_: np.ndarray
    count_limit_: np.ndarray
    history_: History

    def __init__(
        self,
        *,
        covariates: Sequence[str] | None = None,
        splines: int | Mapping[str, int] | None = None,
        direct: bool = True,
        past: float = 0.0,
        coupling: bool = False,
        delays: float = 0.0,
        hidden: Sequence[int] = (64,),
        neuron: str = "LIF",
        tau: float = 0.1,
        tau_readout: float = 0.1,
        neuron_fields: Mapping[str, Any] | None = None,
        recurrent: bool = False,
        network: Builder | None = None,
        memory: float | None = None,
        observation: str = "poisson",
        rule: str | Rule = "BPTT",
        steps: int = 1000,
        batch_size: int = 32,
        learning_rate: float = 3e-3,
        weight_decay: float = 0.1,
        validation: float = 0.1,
        patience: int | None = 12,
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
        self.rule = rule
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.validation = validation
        self.patience = patience
        self.accelerator = accelerator

    # ---- protocol ----------------------------------------------------------------------------------------------

    @property
    def space(self) -> Space:  # type: ignore[override]
        """Raw counts, or bins of at most one spike."""
        return "binary" if self.observation == "bernoulli" else "counts"

    def history(self) -> float:
        """Seconds before a bin that a prediction reads: the run-in and the stretch, each as long as the memory."""
        return 2.0 * self._memory()

    def _memory(self) -> float:
        return memory_of(self.get_params())

    # ---- what was learned --------------------------------------------------------------------------------------

    @property
    def delays_(self) -> xr.DataArray:
        """Delays of the synapses from past spikes, seconds, ``(target, source)``: from a spike to the bin it first acts in.

        They are whole numbers of bins, those that predictions use. Targets are the units where ``hidden=()``, else the neurons of
        the first layer, numbered.

        Raises
        ------
        ModelError
            When the model is not fitted, or was fitted without delays.
        """
        self._check_fitted()
        targets = np.arange(self.sizes_.hidden[0]) if self.sizes_.hidden else self.units_
        return connections.delays_between(
            self.network_, target=targets, source=self.units_, bin_width=self.bin_width_
        )

    @property
    def couplings_(self) -> xr.DataArray:
        """Weights between units of a network without hidden layers, ``(target, source)``, NaN on the diagonal.

        The change of the target's log rate by one spike of the source, summed over bins, as `neurokit_snn.models.glm_couplings`
        gives it.

        Raises
        ------
        ModelError
            When the model is not fitted, has hidden layers or a network of the user's own, or reads no past.
        """
        self._check_fitted()
        return connections.couplings_between(self.network_, units=self.units_)

    # ---- fit ---------------------------------------------------------------------------------------------------

    def _fit(self, data: xr.Dataset, *, seed: int, progress: bool, resume: Path | None) -> None:
        who = "SpikingEncoder.fit"
        check_encoder(self.get_params(), self.bin_width_, who=who)
        self._prepare(data, who)
        source = self._source(data, who, told=True)
        self.network_ = self._fresh(source, seed)
        self.history_ = fitted(
            self.network_,
            source,
            COUNT_NATS[self.observation],
            plan_of(self.get_params(), who),
            rule=rule_named(self.rule, who),
            parameters=self.get_params(),
            seed=seed,
            resume=resume,
            progress=progress,
        )

    def _prepare(self, data: xr.Dataset, who: str) -> None:
        """Learn what the inputs are made of, and the sizes of the network."""
        counts, mask = counts_and_mask(data, who)
        self.code_ = Code.learn(data, self.covariates, splines=self.splines, who=who)
        bins = np.maximum(mask.sum((0, 1)), 1)
        spikes = np.where(mask, counts, 0)
        self.count_mean_ = spikes.sum((0, 1)) / bins
        self.count_limit_ = spikes.max((0, 1)) + 1.0
        if self.observation == "bernoulli" and spikes.max(initial=0) > 1:
            raise ModelError(
                f"{who}: a bin holds {spikes.max()} spikes; bin finer, or take observation='poisson'"
            )
        self.sizes_ = self._sizes(who)

    def _sizes(self, who: str) -> Sizes:
        longest = max(1.0, self.past / self.bin_width_ / 3.0)
        own = np.unique(np.geomspace(1.0, longest, OWN_FILTERS)).tolist() if self.past else ()
        return sizes_of(
            self.get_params(),
            self.bin_width_,
            columns=self.code_.mean.size,
            sources=self.units_.size if self.past or self.coupling else 0,
            outputs=self.units_.size,
            coupling=bool(self.coupling),
            own=tuple(own),
            direct=bool(self.direct) or not (self.hidden or self.network),
            who=who,
        )

    def _fresh(self, source: Source, seed: int) -> RateNetwork:
        """A network whose rates are those of the training data."""
        return fresh(self.sizes_, self.network, source, bias=log_means(self.count_mean_), seed=seed)

    def _source(self, data: xr.Dataset, who: str, *, told: bool) -> Source:
        """Inputs of the network; with ``told`` the counts as targets, else nothing is scored."""
        columns, known = self.code_.columns(data, who)
        shape = (*columns.shape[:2], self.units_.size)
        counts, mask = np.zeros(shape), np.zeros(shape, dtype=bool)
        if told or self.sizes_.sources:
            counts, mask = counts_and_mask(data, who)
        centred = np.where(mask, counts - self.count_mean_, 0.0)
        past = np.zeros((*shape[:2], self.sizes_.sources), dtype=np.float32)
        if self.sizes_.sources:
            past[:, 1:] = centred[:, :-1]
        run_in = run_in_of(self._memory(), self.bin_width_, who=who)
        return Source(
            x=np.concatenate([columns.astype(np.float32), past], -1),
            target=np.where(mask, counts, 0).astype(np.float32),
            scored=mask & known[..., None],
            run_in=run_in,
            length=run_in,
        )

    # ---- predict -----------------------------------------------------------------------------------------------

    def _predictive(
        self, visible: xr.Dataset, *, task: str, draws: int, rng: np.random.Generator
    ) -> Mapping[str, AbstractObservation]:
        if self.sizes_.sources and task != "forecast":
            expected, _ = self._run_freely(visible, draws=draws, rng=rng)
            return {"counts": self._observed(expected, visible)}
        source = self._source(visible, f"SpikingEncoder, {task}", told=False)
        log_rate = outputs_of(self.network_, source, self.units_.size)
        rate = np.exp(np.minimum(log_rate, LOG_RATE_LIMIT))
        return {"counts": self._observed(-np.expm1(-rate) if self.space == "binary" else rate, visible)}

    def _sample(self, visible: xr.Dataset, *, task: str, rng: np.random.Generator) -> xr.DataArray:
        if not self.sizes_.sources or task == "forecast":
            return super()._sample(visible, task=task, rng=rng)
        _, counts = self._run_freely(visible, draws=1, rng=rng)
        return self._labelled(counts, visible).isel(draw=0, drop=True)

    def _run_freely(
        self, visible: xr.Dataset, *, draws: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        return free_run(self.network_, draws=draws, rng=rng, **self._surroundings(visible))

    def _surroundings(self, visible: xr.Dataset) -> dict[str, Any]:
        """All that a free run needs beside a network and random numbers."""
        who = f"{type(self).__name__}.sample"
        columns, _ = self.code_.columns(visible, who)
        run_in = run_in_of(self._memory(), self.bin_width_, who=who)
        return {
            "columns": columns,
            "mean": self.count_mean_,
            "limit": self.count_limit_,
            "binary": self.space == "binary",
            "run_in": run_in,
            "length": run_in,
        }

    def _observed(self, expected: np.ndarray, visible: xr.Dataset) -> AbstractObservation:
        """Probabilities of spikes, or expected counts, ``([draw,] trial, time, unit)``, as a distribution."""
        if self.space == "binary":
            return Bernoulli(p=self._labelled(np.minimum(expected, SUREST), visible))
        return Poisson(rate_per_bin=self._labelled(expected, visible))

    def _labelled(self, values: np.ndarray, visible: xr.Dataset) -> xr.DataArray:
        coords = {"trial": visible["trial"].values, "time": visible["time"].values, "unit": self.units_}
        dims = ("draw", "trial", "time", "unit")[-values.ndim :]
        return xr.DataArray(values, dims=dims, coords=coords)

    # ---- state -------------------------------------------------------------------------------------------------

    def _state(self) -> dict[str, xr.Dataset]:
        return {
            "network": module_state(self.network_),
            "history": self.history_.to_dataset(),
            **self._inputs_state(),
        }

    def _set_state(self, state: Mapping[str, xr.Dataset]) -> None:
        self._set_inputs(state)
        self.network_ = self._bare()
        self.network_.load_state_dict(weights_from(state["network"]))
        self.network_.eval()
        self.history_ = History.from_dataset(state["history"])

    def _bare(self) -> RateNetwork:
        """A network of the right sizes and any weights."""
        with torch.random.fork_rng(devices=[]):
            return RateNetwork(self.sizes_)

    def _inputs_state(self) -> dict[str, xr.Dataset]:
        """What `_prepare` has learned."""
        counts = {"mean": ("unit", self.count_mean_), "limit": ("unit", self.count_limit_)}
        sizes = json.dumps(dataclasses.asdict(self.sizes_))
        return {"code": self.code_.state(), "counts": xr.Dataset(counts, attrs={"sizes": sizes})}

    def _set_inputs(self, state: Mapping[str, xr.Dataset]) -> None:
        """The inverse of `_inputs_state`."""
        self.sizes_ = Sizes.from_json(json.loads(state["counts"].attrs["sizes"]))
        self.code_ = Code.from_state(state["code"])
        self.count_mean_, self.count_limit_ = (state["counts"][n].values for n in ("mean", "limit"))
