"""`SpikingDecoder` behind the protocol of models."""

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
from neurokit_snn.models.covariates import counts_and_mask, decoded_name
from neurokit_snn.models.modalities import (
    Modality,
    features_of,
    modalities_from,
    modalities_state,
    modality_of,
    observation,
)
from neurokit_snn.models.module_state import module_state, weights_from
from neurokit_snn.models.observations import AbstractObservation, Space
from neurokit_snn.models.spiking.fitting import fitted, fresh, outputs_of
from neurokit_snn.models.spiking.likelihoods import BEHAVIOR_NATS, LOG_SD_LIMIT
from neurokit_snn.models.spiking.network import Builder, RateNetwork, Sizes
from neurokit_snn.models.spiking.settings import (
    check_seconds,
    memory_of,
    plan_of,
    rule_named,
    run_in_of,
    sizes_of,
)
from neurokit_snn.models.spiking.stretches import Source
from neurokit_snn.recording.grid import exact_bins
from neurokit_snn.snn.training import Rule
from neurokit_snn.torchloop import History

__all__ = ["SpikingDecoder"]


class SpikingDecoder(AbstractModel):
    """A behaviour from the spikes of all units, through a spiking network.

    Standardised counts drive layers of spiking neurons, bin by bin; their spikes are weighted and integrated by leaky membranes,
    which are the parameters of the behaviour's distribution in that bin: mean and standard deviation of a continuous one, the
    natural parameter of a von Mises distribution of a circular one, log odds of a categorical one.

    Parameters
    ----------
    target
        Behaviour to decode, of any kind and number of axes (a circular one of one axis); None where the data hold only one.
    future
        Seconds of spikes after a bin that the network has read when it answers for it, whole bins; 0 for a causal decoder.
    delays
        Longest delay, seconds, of the synapses of the first layer, which are then learned; 0 for none.
    hidden, neuron, tau, tau_readout, neuron_fields, recurrent, network, memory
        As in `SpikingEncoder`; a network of one's own takes the number of units and of outputs (two for each axis of a continuous
        behaviour: means, then log standard deviations, standardised).
    rule, steps, batch_size, learning_rate, weight_decay, validation, patience, accelerator
        As in `SpikingEncoder`.

    Attributes
    ----------
    network_ : RateNetwork
    target_ : Modality
    history_ : History
        Curves of the training.

    Raises
    ------
    ModelError
        From `fit`: when a parameter is out of range, or the target is absent, ambiguous, never known or constant; there and when
        predicting: when trials are no longer than the future.

    Notes
    -----
    Parameters are a point estimate: there are no draws. The past that a prediction reads is at most twice the memory.

    Examples
    --------
    >>> from neurokit_snn.testing.place_cells import place_cells
    >>> data = place_cells(trials=12)
    >>> model = SpikingDecoder(target="position", hidden=(32,), tau=0.2, tau_readout=0.2, steps=150).fit(data)
    >>> found = model.predict(data, task="decode", target="position")["behavior_position"]
    >>> bool(abs(found - data["behavior_position"]).median() < 20.0)
    True
    """

    tasks: ClassVar[tuple[str, ...]] = ("decode",)
    deterministic: ClassVar[bool] = False

    network_: RateNetwork
    sizes_: Sizes
    target_: Modality
    count_mean_: np.ndarray
    count_sd_: np.ndarray
    history_: History

    def __init__(
        self,
        *,
        target: str | None = None,
        future: float = 0.0,
        delays: float = 0.0,
        hidden: Sequence[int] = (64,),
        neuron: str = "LIF",
        tau: float = 0.1,
        tau_readout: float = 0.1,
        neuron_fields: Mapping[str, Any] | None = None,
        recurrent: bool = False,
        network: Builder | None = None,
        memory: float | None = None,
        rule: str | Rule = "BPTT",
        steps: int = 1000,
        batch_size: int = 32,
        learning_rate: float = 3e-3,
        weight_decay: float = 0.1,
        validation: float = 0.1,
        patience: int | None = 12,
        accelerator: str = "cpu",
    ) -> None:
        self.target = target
        self.future = future
        self.delays = delays
        self.hidden = hidden
        self.neuron = neuron
        self.tau = tau
        self.tau_readout = tau_readout
        self.neuron_fields = neuron_fields
        self.recurrent = recurrent
        self.network = network
        self.memory = memory
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
        """A density, or probabilities of categories once it was fitted to such a behaviour."""
        fitted_to = getattr(self, "target_", None)
        return "categories" if fitted_to is not None and fitted_to.kind == "categorical" else "density"

    def history(self) -> float:
        """Seconds of spikes around a bin that a prediction reads: twice the memory, or the future."""
        return float(max(2.0 * memory_of(self.get_params()), self.future))

    # ---- fit ---------------------------------------------------------------------------------------------------

    def _fit(self, data: xr.Dataset, *, seed: int, progress: bool, resume: Path | None) -> None:
        who = "SpikingDecoder.fit"
        rule = rule_named(self.rule, who)
        check_seconds(self.get_params(), ("future", "delays"), who=who)
        counts, mask = counts_and_mask(data, who)
        self.target_ = modality_of(data, decoded_name(data, self.target, who=who), who)
        bins = np.maximum(mask.sum((0, 1)), 1)
        self.count_mean_ = np.where(mask, counts, 0).sum((0, 1)) / bins
        variance = np.square(np.where(mask, counts - self.count_mean_, 0.0)).sum((0, 1)) / bins
        self.count_sd_ = np.sqrt(np.where(variance > 0, variance, 1.0))  # of a silent unit: it stays 0
        gaussian = self.target_.kind == "gaussian"
        width = self.target_.width * (2 if gaussian else 1)
        self.sizes_ = sizes_of(
            self.get_params(),
            self.bin_width_,
            columns=0,
            sources=self.units_.size,
            outputs=width,
            coupling=True,
            own=(),
            direct=False,
            who=who,
        )
        source = self._source(data, who, told=True)
        self.network_ = fresh(self.sizes_, self.network, source, bias=np.zeros(width), seed=seed)
        self.history_ = fitted(
            self.network_,
            source,
            BEHAVIOR_NATS[self.target_.kind],
            plan_of(self.get_params(), who),
            rule=rule,
            parameters=self.get_params(),
            seed=seed,
            resume=resume,
            progress=progress,
        )

    def _source(self, data: xr.Dataset, who: str, *, told: bool) -> Source:
        """Inputs of the network, ``future`` ahead of what is predicted; with ``told`` the behaviour as target."""
        counts, mask = counts_and_mask(data, who)
        standard = np.where(mask, (counts - self.count_mean_) / self.count_sd_, 0.0).astype(np.float32)
        ahead = exact_bins(self.future, self.bin_width_, name="SpikingDecoder: future", least=0)
        if ahead >= standard.shape[1]:
            raise ModelError(
                f"{who}: future is {self.future} s, and trials have {standard.shape[1]} bins of {self.bin_width_} s; "
                "shorten it, or cut longer trials"
            )
        x = np.zeros_like(standard)
        x[:, : x.shape[1] - ahead] = standard[:, ahead:]
        target = np.zeros((*x.shape[:2], self.target_.width), dtype=np.float32)
        known = np.zeros(x.shape[:2], dtype=bool)
        if told:
            features, known = features_of(data, self.target_, who)
            target = features.astype(np.float32)
            known = known & mask.any(-1)
        run_in = run_in_of(memory_of(self.get_params()), self.bin_width_, who=who)
        return Source(x=x, target=target, scored=known[..., None], run_in=run_in, length=run_in)

    # ---- predict -----------------------------------------------------------------------------------------------

    def _predictive(
        self, visible: xr.Dataset, *, task: str, draws: int, rng: np.random.Generator
    ) -> Mapping[str, AbstractObservation]:
        source = self._source(visible, "SpikingDecoder", told=False)
        found = outputs_of(self.network_, source, self.sizes_.outputs)
        log_sd = None
        if self.target_.kind == "gaussian":
            found, log_sd = np.split(found, 2, axis=-1)
            log_sd = np.clip(log_sd, -LOG_SD_LIMIT, LOG_SD_LIMIT)
        coords = {name: visible[name].values for name in ("trial", "time")}
        return {self.target_.name: observation(self.target_, found, log_sd, coords)}

    # ---- state -------------------------------------------------------------------------------------------------

    def _state(self) -> dict[str, xr.Dataset]:
        counts = {"mean": ("unit", self.count_mean_), "sd": ("unit", self.count_sd_)}
        return {
            "network": module_state(self.network_, sizes=json.dumps(dataclasses.asdict(self.sizes_))),
            "target": modalities_state((self.target_,)),
            "counts": xr.Dataset(counts),
            "history": self.history_.to_dataset(),
        }

    def _set_state(self, state: Mapping[str, xr.Dataset]) -> None:
        self.sizes_ = Sizes.from_json(json.loads(state["network"].attrs["sizes"]))
        with torch.random.fork_rng(devices=[]):
            self.network_ = RateNetwork(self.sizes_)
        self.network_.load_state_dict(weights_from(state["network"]))
        self.network_.eval()
        (self.target_,) = modalities_from(state["target"])
        self.count_mean_, self.count_sd_ = (state["counts"][n].values for n in ("mean", "sd"))
        self.history_ = History.from_dataset(state["history"])
