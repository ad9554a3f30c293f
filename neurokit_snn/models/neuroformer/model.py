"""Neuroformer behind the protocol of models."""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
import xarray as xr

from neurokit_snn import artefact
from neurokit_snn.errors import ModelError
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.models.couplings import glm_couplings, lagged_correlation
from neurokit_snn.models.covariates import require_counts
from neurokit_snn.models.modalities import (
    Modality,
    modalities_from,
    modalities_state,
    observation,
)
from neurokit_snn.models.module_state import weights_from
from neurokit_snn.models.neuroformer.config import Config, read_toml, resolved
from neurokit_snn.models.neuroformer.connectivity import network_connectivity
from neurokit_snn.models.neuroformer.design import fingerprint, modalities_for, spec_for, warn_of_past
from neurokit_snn.models.neuroformer.fitting import fitted, parts_of, residual_log_sd, weights_of
from neurokit_snn.models.neuroformer.generation import generated
from neurokit_snn.models.neuroformer.network import Network
from neurokit_snn.models.neuroformer.observation import BinaryWindows, SpikeWindows
from neurokit_snn.models.neuroformer.prediction import (
    Mode,
    contrasted,
    decoded,
    expected_counts,
    free_running,
    window_log_prob,
)
from neurokit_snn.models.neuroformer.published import parameters_of
from neurokit_snn.models.neuroformer.sampling import Decoding
from neurokit_snn.models.neuroformer.spec import Spec
from neurokit_snn.models.neuroformer.start import freeze_parts, load_start
from neurokit_snn.models.neuroformer.state import network_state, spec_from
from neurokit_snn.models.neuroformer.windows import Source, require_single_spikes
from neurokit_snn.models.observations import AbstractObservation, Bernoulli, Poisson, Space
from neurokit_snn.torchloop import History

__all__ = ["Neuroformer"]


class Neuroformer(AbstractModel):
    """Generative transformer of spikes: each spike of a window given those before it, the past, and behaviour or stimulus.

    A window of binned data is a sequence of tokens (unit, bin), in the order of bins and then of units. A network of
    attention gives the distribution of the next token; sequences and rasters are one to one, so that the likelihood of a
    window is that of its counts. Behaviours named in ``outputs`` are predicted, read from the tokens of a window and its past;
    all others are inputs. Parameters left None are those of the preset.

    Parameters
    ----------
    preset
        ``"small"`` (two cores, minutes) or ``"paper"`` (sizes and defaults of the publication).
    window, past
        Seconds of a window, and of the past state before it: whole bins.
    covariates
        Behaviours, trial columns and stimuli that are inputs, attended to in this order; None for all behaviours that are not
        predicted.
    covariate_past, frame_past
        Seconds before the window in which behaviours, and stimuli, are seen.
    outputs
        Behaviours that are predicted, and never inputs.
    contrast
        Width of the space in which modalities are contrasted before they are fused; 0 for no contrast.
    temperature, learn_temperature
        Of the contrast, and whether that is only its start.
    binary
        Whether a unit spikes at most once in a bin; the model then answers in binary bins, not in counts.
    ordered
        Whether sequences that are no raster have probability 0. False in the publication, where the unit and the bin are
        independent and part of the probability is lost on them: a bound from below on the likelihood of the counts.
    embed, heads, layers, dropout, temporal, hidden, kernel
        Sizes of the network; ``layers`` (of ``state, history, stimulus, behavior, joint``) and ``dropout`` (of ``attention,
        residual, embedding``) are one number or a mapping by place.
    max_tokens, max_past_tokens
        Spikes that fit into a window and the past state; None for twice the most in the training data. A window with more is
        refused, of a past state with more the oldest are left out, with a warning.
    steps, epochs, batch_size, learning_rate, weight_decay, warmup_tokens
        Of the training (`neurokit_snn.torchloop`); ``epochs`` (passes over windows side by side) in place of ``steps``.
    validation
        Last share of the training data, kept to choose the step and to measure residuals of predicted behaviour.
    pretrained
        Path of a saved Neuroformer to start from. Parts that do not fit (another session's units, a new output) start fresh.
    losses
        Terms to train (``"tokens"``, ``"contrast"``, names of behaviours); None for all.
    freeze
        Parts of the network that stay as they are: ``embedding, state, history, modalities, encoders, fusion, joint,
        unit_head, bin_head, output_heads, projection``.
    accelerator, precision
        As Lightning Fabric names them; under ``torchrun`` all processes train one model.

    Attributes
    ----------
    network_ : torch.nn.Module
    history_ : History
        Curves of the training.
    fresh_ : list of str
        With ``pretrained``: parts that it did not have.

    Raises
    ------
    ModelError
        From `fit`: when a parameter is out of range, a covariate is unknown, or a window has more spikes than its context.

    Notes
    -----
    Parameters are a point estimate. ``forecast`` gives rates one bin ahead; its log-likelihood ``(trial, window)`` is that of
    each window given all before it, each spike given those before it in the window: the chain rule over tokens. ``encode``
    and ``generate`` show no spikes, so the model runs on its own, and the mixture of the rates along its samples is the
    predictive distribution, bin by bin. Where data are masked there can be no spike: rates are 0, and a window has the
    probability of what was observed of it. Antoniades et al., Neuroformer, ICLR 2024 (arXiv:2311.00136).

    Examples
    --------
    >>> from neurokit_snn.testing.place_cells import place_cells
    >>> data = place_cells(trials=6)
    >>> model = Neuroformer(window=0.5, past=0.5, covariates=("position",), embed=16, steps=30).fit(data)
    >>> model.log_likelihood(data, task="forecast").dims
    ('trial', 'window')
    """

    deterministic = False

    spec_: Spec
    network_: Network
    inputs_: tuple[Modality, ...]
    outputs_: tuple[Modality, ...]
    residual_log_sd_: dict[str, np.ndarray]
    history_: History
    fresh_: list[str]

    def __init__(
        self,
        *,
        preset: str = "small",
        window: float | None = None,
        past: float | None = None,
        covariates: Sequence[str] | None = None,
        covariate_past: float | None = None,
        frame_past: float | None = None,
        outputs: Sequence[str] | None = None,
        contrast: int | None = None,
        temperature: float | None = None,
        learn_temperature: bool | None = None,
        binary: bool | None = None,
        ordered: bool | None = None,
        embed: int | None = None,
        heads: int | None = None,
        layers: int | Mapping[str, int] | None = None,
        dropout: float | Mapping[str, float] | None = None,
        temporal: str | None = None,
        hidden: int | None = None,
        kernel: Sequence[int] | None = None,
        max_tokens: int | None = None,
        max_past_tokens: int | None = None,
        steps: int | None = None,
        epochs: float | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        warmup_tokens: float | None = None,
        validation: float | None = None,
        pretrained: str | None = None,
        losses: Sequence[str] | None = None,
        freeze: Sequence[str] = (),
        accelerator: str = "cpu",
        precision: str = "32-true",
    ) -> None:
        self.preset = preset
        self.window = window
        self.past = past
        self.covariates = covariates
        self.covariate_past = covariate_past
        self.frame_past = frame_past
        self.outputs = outputs
        self.contrast = contrast
        self.temperature = temperature
        self.learn_temperature = learn_temperature
        self.binary = binary
        self.ordered = ordered
        self.embed = embed
        self.heads = heads
        self.layers = layers
        self.dropout = dropout
        self.temporal = temporal
        self.hidden = hidden
        self.kernel = kernel
        self.max_tokens = max_tokens
        self.max_past_tokens = max_past_tokens
        self.steps = steps
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.warmup_tokens = warmup_tokens
        self.validation = validation
        self.pretrained = pretrained
        self.losses = losses
        self.freeze = freeze
        self.accelerator = accelerator
        self.precision = precision

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """An unfitted model as a TOML file says: ``preset`` and any parameter of the network and the training.

        Raises
        ------
        ConfigError
            When the file is missing, or holds an unknown key or a value of the wrong type.
        """
        return cls(**read_toml(path))

    @classmethod
    def from_published_yaml(cls, path: str | Path) -> Self:
        """An unfitted model of the sizes that a configuration of the published code gives (``mconf.yaml``).

        Keys that have no place here are named in a warning. Frames have no name in the file: add theirs to ``covariates``
        with ``set_params``.

        Raises
        ------
        ConfigError
            When the file is missing, is not YAML, or a key holds what it cannot.
        """
        found, ignored = parameters_of(path)
        if ignored:
            warnings.warn(f"{path}: not read: {', '.join(ignored)}", UserWarning, stacklevel=2)
        return cls(**found)

    # ---- protocol ----------------------------------------------------------------------------------------------

    @property
    def tasks(self) -> tuple[str, ...]:  # type: ignore[override]
        """From covariates, one bin ahead, samples; behaviours where there are outputs and no behaviour is an input."""
        spikes = ("encode", "forecast", "generate")
        decodes = bool(self.outputs) and (self.covariates is not None and not self.covariates)
        return ("decode", *spikes) if decodes else spikes

    @property
    def space(self) -> Space:  # type: ignore[override]
        """Raw counts, or bins of at most one spike."""
        return "binary" if self.binary else "counts"

    def history(self) -> float:
        """Seconds before a bin that a prediction reads: the past state and the window."""
        config, width = self._config(), getattr(self, "bin_width_", 0.0)
        reach = max(config.past, config.covariate_past, config.frame_past if self._has_frames() else 0.0)
        return reach + config.window - width

    def _has_frames(self) -> bool:
        return any(str(name).startswith("stimulus_") for name in self.covariates or ())

    def _config(self) -> Config:
        names = Config.__dataclass_fields__
        return resolved(self.preset, {name: getattr(self, name) for name in names})

    # ---- fit ---------------------------------------------------------------------------------------------------

    def _fit(self, data: xr.Dataset, *, seed: int, progress: bool, resume: Path | None) -> None:
        who = "Neuroformer.fit"
        config = self._config()
        require_counts(data, who)
        start = (
            None if self.pretrained is None else _saved(self.pretrained, config.embed, self.bin_width_, who)
        )
        known = () if start is None else (*start.inputs_, *start.outputs_)
        self.inputs_, self.outputs_ = modalities_for(data, config, known=known, who=who)
        source = self._source(data, who)
        self.spec_ = spec_for(
            source,
            config,
            inputs=self.inputs_,
            outputs=self.outputs_,
            n_units=self.units_.size,
            bin_width=self.bin_width_,
            start=None if start is None else start.spec_,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network_ = Network(self.spec_)
        self.fresh_ = []
        if start is not None:
            self.fresh_ = load_start(
                self.network_,
                start.network_.state_dict(),
                units=self.units_.tolist(),
                known_units=start.units_.tolist(),
            )
        freeze_parts(self.network_, self.freeze, who)
        weights = weights_of(config, self.network_, None if self.losses is None else tuple(self.losses), who)
        reach = max([self.spec_.past, *(entry.bins for entry in self.spec_.inputs)])
        parts = parts_of(
            source,
            window=self.spec_.window,
            reach=reach,
            share=config.validation,
            before=bool(self.outputs_),
        )
        for places in (parts.train, parts.valid):
            source.fitting_in(places, self.spec_)
        warn_of_past(source, parts.train, self.spec_, who)
        self.history_ = fitted(
            self.network_,
            source,
            parts,
            config,
            weights=weights,
            seed=seed,
            accelerator=self.accelerator,
            precision=self.precision,
            checkpoint=None if resume is None else resume / "fit.nk",
            fingerprint=fingerprint(self.get_params(), source, self.network_, seed),
            progress=progress,
            who=who,
        )
        self.network_.to("cpu").eval()
        self.residual_log_sd_ = residual_log_sd(self.network_, source, parts)

    def _source(self, data: xr.Dataset, who: str) -> Source:
        if "counts" in data and self._config().binary:
            require_single_spikes(data, who)
        return Source(data, units=self.units_.tolist(), inputs=self.inputs_, outputs=self.outputs_, who=who)

    # ---- predict -----------------------------------------------------------------------------------------------

    def _predictive(
        self, visible: xr.Dataset, *, task: str, draws: int, rng: np.random.Generator
    ) -> Mapping[str, AbstractObservation]:
        source = self._source(visible, f"Neuroformer, {task}")
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        if task == "decode":
            return self._decoded(source, visible)
        if task == "forecast":
            return {"counts": self._forecast(source, visible, generator)}
        _, expected, cut = free_running(self.network_, source, draws=draws, generator=generator)
        self._warn_of_cut(cut)
        dims = ("draw", "trial", "time", "unit")
        rates = xr.DataArray(expected.astype(np.float64), dims=dims, coords=self._coords(visible))
        if self.spec_.strict:
            return {"counts": Bernoulli(p=rates.clip(max=1.0))}
        return {"counts": Poisson(rate_per_bin=rates)}

    def _coords(self, visible: xr.Dataset) -> dict[str, np.ndarray]:
        return {"trial": visible["trial"].values, "time": visible["time"].values, "unit": self.units_}

    def _forecast(self, source: Source, visible: xr.Dataset, generator: torch.Generator) -> SpikeWindows:
        coords = self._coords(visible)

        @functools.cache
        def rate() -> xr.DataArray:
            found = expected_counts(self.network_, source, generator=generator)
            return xr.DataArray(found, dims=("trial", "time", "unit"), coords=coords)

        def score(target: xr.DataArray) -> xr.DataArray:
            same = visible.assign(counts=target.transpose("trial", "time", "unit"))
            found = window_log_prob(self.network_, self._source(same, "Neuroformer.log_likelihood"))
            return xr.DataArray(found, dims=("trial", "window"), coords={"trial": coords["trial"]})

        kind = BinaryWindows if self.spec_.strict else SpikeWindows
        return kind(rate=rate, score=score)

    def _decoded(self, source: Source, visible: xr.Dataset) -> dict[str, AbstractObservation]:
        where = {name: visible[name].values for name in ("trial", "time")}
        found = decoded(self.network_, source)
        return {
            m.name: observation(m, found[m.name], self.residual_log_sd_.get(m.name), where)
            for m in self.outputs_
        }

    def _sample(self, visible: xr.Dataset, *, task: str, rng: np.random.Generator) -> xr.DataArray:
        mode: Mode = "teacher-forced" if task == "forecast" else "free-running"
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        source = self._source(visible, f"Neuroformer, {task}")
        counts, _, cut = free_running(self.network_, source, draws=1, generator=generator, mode=mode)
        self._warn_of_cut(cut)
        return xr.DataArray(counts[0], dims=("trial", "time", "unit"), coords=self._coords(visible))

    def _warn_of_cut(self, cut: int) -> None:
        if cut:
            warnings.warn(
                f"Neuroformer: {cut} sampled windows filled the context of {self.spec_.max_tokens} tokens and were cut short; "
                "raise max_tokens",
                UserWarning,
                stacklevel=4,
            )

    def generate(
        self,
        data: xr.Dataset,
        *,
        mode: Mode = "free-running",
        temperature: float = 1.0,
        top_p: float = 1.0,
        seed: int = 0,
        progress: bool = False,
    ) -> xr.DataTree:
        """Sample spikes and return them as a recording.

        Parameters
        ----------
        data
            Binned dataset that gives covariates, bins and masks; ``teacher-forced``, also the spikes of the past state.
        mode
            ``"free-running"``: the past state of each window is what was generated before it, from nothing at a trial's
            start. ``"teacher-forced"``: it is that of the data. They are different claims; say which one a figure shows.
        temperature
            Of both heads; 1 samples from the model.
        top_p
            Each head keeps its likeliest values up to this probability; below 1 it biases rates.
        seed
            Of the samples.
        progress
            Show a progress bar over windows.

        Returns
        -------
        recording
            Spikes in session time, evenly spread within their bin, with the trials of ``data``.

        Raises
        ------
        ModelError
            When the mode is unknown, a covariate is missing, or ``temperature`` or ``top_p`` is out of range.
        """
        if mode not in ("free-running", "teacher-forced"):
            raise ModelError(f"Neuroformer.generate: mode is {mode!r}; choose free-running or teacher-forced")
        if not temperature > 0 or not 0 < top_p <= 1:
            raise ModelError(
                f"Neuroformer.generate: temperature is {temperature} and top_p {top_p}; give more than 0, top_p at most 1"
            )
        self._check_asked(data, "generate")
        visible = data.drop_vars(["counts"], errors="ignore") if mode == "free-running" else data
        counts, _, cut = free_running(
            self.network_,
            self._source(visible, "Neuroformer.generate"),
            draws=1,
            generator=torch.Generator().manual_seed(seed),
            decoding=Decoding(temperature=temperature, top_p=top_p),
            mode=mode,
            progress=progress,
        )
        self._warn_of_cut(cut)
        return generated(data, counts[0], source=f"Neuroformer.generate, {mode}, seed {seed}")

    def connectivity(self, data: xr.Dataset, *, subsample: int = 2000, seed: int = 0) -> xr.Dataset:
        """Who drives whom: three readings of the network, always beside lagged correlation and the couplings of a GLM.

        Parameters
        ----------
        data
            Binned dataset; no test data are needed for a question about the network.
        subsample
            How many windows, drawn from all, the network is read on.
        seed
            Of that choice.

        Returns
        -------
        Dataset, (target, source)
            ``attention`` (mean attention of a target's spikes to those of a source, at least 0), ``gradient`` (derivative of the
            target's log rate by the presence of a past spike), ``perturbation`` (change of the target's log rate in the next
            bin when the source has one spike more); ``lagged_correlation`` and ``glm`` (log rate) of the same data, which know
            nothing of the network. The network's own diagonals are kept: a unit's effect on itself.
        """
        who = "Neuroformer.connectivity"
        self._check_asked(data, "forecast")
        found = network_connectivity(self.network_, self._source(data, who), subsample=subsample, seed=seed)
        coords = {"target": self.units_, "source": self.units_}
        units = {"attention": "1", "gradient": "nats", "perturbation": "nats"}
        made = {
            name: xr.DataArray(v, dims=("target", "source"), coords=coords, attrs={"units": units[name]})
            for name, v in found.items()
        }
        made["lagged_correlation"] = lagged_correlation(data, lags=self.spec_.past)
        made["glm"] = glm_couplings(data, past=self.spec_.past * self.bin_width_)
        return xr.Dataset(made)

    def contrasted(self, data: xr.Dataset) -> xr.Dataset:
        """Spikes and modalities of each window in the space in which they are contrasted, before they are fused.

        Parameters
        ----------
        data
            Binned dataset with the covariates of the model.

        Returns
        -------
        Dataset, (trial, window, feature)
            ``tokens`` and one variable for each modality, of unit length: the product of two over ``feature`` is their
            likeness. Windows lie side by side from the start of each trial.

        Raises
        ------
        ModelError
            When the model was fitted without ``contrast``, or without a modality.

        Examples
        --------
        >>> from neurokit_snn.testing.place_cells import place_cells
        >>> data = place_cells(trials=4)
        >>> model = Neuroformer(covariates=("position",), contrast=8, window=0.2, past=0.2, embed=16, steps=2).fit(data)
        >>> made = model.contrasted(data)
        >>> list(made), made["tokens"].dims
        (['tokens', 'behavior_position'], ('trial', 'window', 'feature'))
        """
        who = "Neuroformer.contrasted"
        self._check_asked(data, "forecast")
        if not self.spec_.contrast or not self.spec_.inputs:
            raise ModelError(
                f"{who}: contrast is {self.spec_.contrast} with {len(self.spec_.inputs)} modalities; "
                "fit with contrast and a covariate"
            )
        found = contrasted(self.network_, self._source(data, who))
        dims = ("trial", "window", "feature")
        return xr.Dataset(
            {n: (dims, v, {"units": "1"}) for n, v in found.items()}, coords={"trial": data["trial"].values}
        )

    # ---- state -------------------------------------------------------------------------------------------------

    def _state(self) -> dict[str, xr.Dataset]:
        sd = {name: (f"feature_{name}", value) for name, value in self.residual_log_sd_.items()}
        return {
            "network": network_state(self.network_),
            "inputs": modalities_state(self.inputs_),
            "outputs": modalities_state(self.outputs_),
            "residuals": xr.Dataset(sd, attrs={"fresh": json.dumps(self.fresh_)}),
            "history": self.history_.to_dataset(),
        }

    def _set_state(self, state: Mapping[str, xr.Dataset]) -> None:
        self.spec_ = spec_from(state["network"].attrs["spec"])
        with torch.random.fork_rng(devices=[]):
            self.network_ = Network(self.spec_)
        self.network_.load_state_dict(weights_from(state["network"]))
        self.network_.eval()
        self.inputs_ = modalities_from(state["inputs"])
        self.outputs_ = modalities_from(state["outputs"])
        residuals = state["residuals"]
        self.residual_log_sd_ = {str(name): v.values for name, v in residuals.data_vars.items()}
        self.fresh_ = json.loads(residuals.attrs["fresh"])
        self.history_ = History.from_dataset(state["history"])


def _saved(path: str, embed: int, bin_width: float, who: str) -> Neuroformer:
    found = artefact.load(path)
    if not isinstance(found, Neuroformer):
        raise ModelError(f"{who}: pretrained {path} holds {type(found).__name__}, not a Neuroformer")
    if found.spec_.embed != embed:
        raise ModelError(
            f"{who}: pretrained {path} has embed {found.spec_.embed}, this model embed {embed}; give the same"
        )
    if not np.isclose(found.bin_width_, bin_width, rtol=1e-9, atol=0.0):
        raise ModelError(
            f"{who}: pretrained {path} was fitted to bins of {found.bin_width_} s, the data have {bin_width} s; bin alike"
        )
    return found
