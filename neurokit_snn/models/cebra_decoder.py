"""Adapter of CEBRA: a learned embedding of the spikes, read out by its neighbours."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import xarray as xr
from sklearn.neighbors import NearestNeighbors

from neurokit_snn._extras import require
from neurokit_snn.errors import ModelError
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.models.correlated_gaussian import gaussian_around
from neurokit_snn.models.covariates import counts_and_mask, decoded_covariate
from neurokit_snn.models.inner_folds import blocks_of_bins
from neurokit_snn.models.observations import AbstractObservation

__all__ = ["CEBRADecoder"]

NEIGHBORS = (1, 4, 9, 16, 25, 49, 100, 200)
"""Numbers of neighbours among which the fit chooses."""

CALIBRATION_BLOCKS = 5
"""The last of this many blocks of training bins is kept from the embedding, to choose the neighbours and their spread."""


class CEBRADecoder(AbstractModel):
    """Decode a behaviour from a CEBRA embedding (Schneider, Lee and Mathis 2023, Nature 617:360) by nearest neighbours.

    The embedding is trained through the package cebra on the counts, contrasting bins by the behaviour (CEBRA-Behavior)
    or by time alone. The last fifth of the training bins is kept from it: there the number of neighbours is chosen and the
    covariance of the residuals measured, for an embedding flatters the bins whose labels it saw. The prediction is the mean
    behaviour of the nearest training bins by cosine distance, with a Gaussian of that covariance.

    Parameters
    ----------
    target
        Behaviour to decode; None where the data hold only one.
    labels
        Whether the embedding is trained with the behaviour or on time alone.
    architecture
        Name of a cebra model, such as ``"offset10-model"`` (ten bins around the bin).
    dimensions
        Of the embedding.
    hidden
        Units of the network's hidden layers.
    max_iterations
        Training steps.
    batch_size
        Samples a step.
    learning_rate
        Of the optimiser.
    time_offset
        Bins between the two samples of a positive pair.
    temperature
        Of the contrastive loss.

    Raises
    ------
    MissingExtraError
        From `fit`: when cebra or torch is not installed.
    ModelError
        From `fit`: when the target is absent or circular, or cebra has no such architecture.

    Notes
    -----
    cebra draws its samples from one long series, so a few training windows reach across the seam of two trials;
    predictions never do. Weights are saved as plain arrays.
    """

    tasks: ClassVar[tuple[str, ...]] = ("decode",)
    deterministic: ClassVar[bool] = False
    space: ClassVar[Literal["counts", "binary", "density"]] = "density"

    target_: str
    axis_dim_: str | None
    axis_labels_: tuple[str, ...]
    weights_: dict[str, np.ndarray]
    count_mean_: np.ndarray
    embedding_: np.ndarray
    behavior_: np.ndarray
    neighbors_: int
    covariance_: np.ndarray

    def __init__(
        self,
        *,
        target: str | None = None,
        labels: bool = True,
        architecture: str = "offset10-model",
        dimensions: int = 8,
        hidden: int = 32,
        max_iterations: int = 2000,
        batch_size: int = 512,
        learning_rate: float = 3e-4,
        time_offset: int = 10,
        temperature: float = 1.0,
    ) -> None:
        self.target = target
        self.labels = labels
        self.architecture = architecture
        self.dimensions = dimensions
        self.hidden = hidden
        self.max_iterations = max_iterations
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.time_offset = time_offset
        self.temperature = temperature

    # ---- fit ---------------------------------------------------------------------------------------------------

    def _fit(self, data: xr.Dataset, *, seed: int, progress: bool, resume: Path | None) -> None:
        who = "CEBRADecoder.fit"
        found = decoded_covariate(data, self.target, max_axes=None, circular=False, who=who)
        counts, mask = counts_and_mask(data, who)
        usable = found.valid & mask.any(-1)
        if not usable.any():
            raise ModelError(
                f"{who}: no bin has both a valid count and a valid {found.name}; check the masks"
            )
        self.target_ = f"behavior_{found.name}"
        extra = [str(d) for d in data[self.target_].dims if d not in ("trial", "time")]
        self.axis_dim_, self.axis_labels_ = (extra[0], found.axes) if extra else (None, ())
        self.count_mean_ = np.where(mask, counts, 0).sum((0, 1)) / np.maximum(mask.sum((0, 1)), 1)
        block = blocks_of_bins(np.nonzero(usable)[0], folds=CALIBRATION_BLOCKS, who=who)
        learned = block < CALIBRATION_BLOCKS - 1
        inputs = self._filled(counts, mask)
        behavior = found.values[usable]
        scale = np.maximum(behavior.std(0), np.finfo(float).tiny)
        self._train(inputs[usable][learned], behavior[learned] / scale, seed=seed, progress=progress, who=who)
        embedding = self._embed(inputs)[usable]
        self._calibrate(embedding, behavior, learned, scale)
        self.embedding_, self.behavior_ = embedding, behavior

    def _train(
        self, inputs: np.ndarray, behavior: np.ndarray, *, seed: int, progress: bool, who: str
    ) -> None:
        torch, cebra = require("torch", extra="torch"), require("cebra", extra="baselines")
        if self.architecture not in cebra.models.get_options():
            raise ModelError(
                f"{who}: cebra has no architecture {self.architecture!r}; see cebra.models.get_options()"
            )
        with torch.random.fork_rng(devices=[]), _seeded_sampling(cebra, seed):
            torch.manual_seed(seed)
            model = cebra.CEBRA(
                model_architecture=self.architecture,
                device="cpu",
                conditional="time_delta" if self.labels else "time",
                time_offsets=self.time_offset,
                temperature=self.temperature,
                max_iterations=self.max_iterations,
                batch_size=min(self.batch_size, inputs.shape[0]),
                learning_rate=self.learning_rate,
                output_dimension=self.dimensions,
                num_hidden_units=self.hidden,
                verbose=progress,
            )
            model.fit(inputs.astype(np.float32), *([behavior.astype(np.float32)] if self.labels else []))
        self.weights_ = {k: v.detach().cpu().numpy() for k, v in model.model_.state_dict().items()}

    def _calibrate(
        self, embedding: np.ndarray, behavior: np.ndarray, learned: np.ndarray, scale: np.ndarray
    ) -> None:
        """Choose the neighbours, and measure the residuals, on bins the embedding did not learn from."""
        apart: dict[int, np.ndarray] = {}
        for number in (n for n in NEIGHBORS if n <= learned.sum()):
            near = _mean_of_nearest(embedding[learned], behavior[learned], embedding[~learned], number)
            apart[number] = behavior[~learned] - near
        self.neighbors_ = min(apart, key=lambda n: float(np.square(apart[n] / scale).mean()))
        errors = apart[self.neighbors_]
        self.covariance_ = errors.T @ errors / errors.shape[0] + 1e-9 * np.diag(scale**2)

    # ---- embedding ---------------------------------------------------------------------------------------------

    def _filled(self, counts: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return np.where(mask, counts, self.count_mean_)

    def _network(self) -> Any:
        torch, cebra = require("torch", extra="torch"), require("cebra", extra="baselines")
        with torch.random.fork_rng(devices=[]):
            model = cebra.models.init(self.architecture, self.units_.size, self.hidden, self.dimensions)
        model.load_state_dict({k: torch.as_tensor(v) for k, v in self.weights_.items()})
        return model.eval()

    def _embed(self, inputs: np.ndarray) -> np.ndarray:
        """Embed each bin from the window around it; beyond a trial's ends its first or last bin repeats."""
        torch = require("torch", extra="torch")
        model = self._network()
        offset = model.get_offset()
        padded = np.pad(inputs, ((0, 0), (offset.left, offset.right - 1), (0, 0)), mode="edge")
        # windows: (trial, time, unit, lag)
        windows = np.lib.stride_tricks.sliding_window_view(padded, len(offset), axis=1)
        parts = []
        with torch.inference_mode():
            for trial in windows:
                batch = torch.as_tensor(np.ascontiguousarray(trial, dtype=np.float32))
                parts.append(model(batch).reshape(trial.shape[0], -1).numpy())
        return np.stack(parts).astype(np.float64)

    def _predictive(
        self, visible: xr.Dataset, *, task: str, draws: int, rng: np.random.Generator
    ) -> Mapping[str, AbstractObservation]:
        counts, mask = counts_and_mask(visible, "CEBRADecoder")
        embedding = self._embed(self._filled(counts, mask))
        near = _mean_of_nearest(
            self.embedding_, self.behavior_, embedding.reshape(-1, embedding.shape[-1]), self.neighbors_
        )
        return {
            self.target_: gaussian_around(
                near.reshape(*counts.shape[:2], -1),
                visible,
                covariance=self.covariance_,
                axis_dim=self.axis_dim_,
                axis_labels=self.axis_labels_,
            )
        }

    # ---- state -------------------------------------------------------------------------------------------------

    def _state(self) -> dict[str, xr.Dataset]:
        readout = xr.Dataset(
            {
                "embedding": (("row", "dimension"), self.embedding_),
                "behavior": (("row", "axis"), self.behavior_),
                "covariance": (("axis", "axis_"), self.covariance_),
                "count_mean": ("unit", self.count_mean_),
            },
            attrs={
                "neighbors": self.neighbors_,
                "target": self.target_,
                "axis_dim": json.dumps(self.axis_dim_),
                "axis_labels": json.dumps(self.axis_labels_),
                "weights": json.dumps(list(self.weights_)),
            },
        )
        arrays = {
            f"weight_{i}": ([f"d{i}_{axis}" for axis in range(value.ndim)], value)
            for i, value in enumerate(self.weights_.values())
        }
        return {"readout": readout, "network": xr.Dataset(arrays)}

    def _set_state(self, state: Mapping[str, xr.Dataset]) -> None:
        readout, network = state["readout"], state["network"]
        self.embedding_, self.behavior_ = readout["embedding"].values, readout["behavior"].values
        self.covariance_, self.count_mean_ = readout["covariance"].values, readout["count_mean"].values
        self.neighbors_, self.target_ = int(readout.attrs["neighbors"]), str(readout.attrs["target"])
        self.axis_dim_ = json.loads(readout.attrs["axis_dim"])
        self.axis_labels_ = tuple(json.loads(readout.attrs["axis_labels"]))
        names = json.loads(readout.attrs["weights"])
        self.weights_ = {name: network[f"weight_{i}"].values for i, name in enumerate(names)}


@contextlib.contextmanager
def _seeded_sampling(cebra: Any, seed: int) -> Iterator[None]:
    """Seed what cebra samples pairs with: its generators seed themselves from the clock, whatever the caller asks."""
    home = cebra.distributions.base.HasGenerator
    original = home.__init__

    def seeded(self: Any, *args: Any, **options: Any) -> None:
        original(self, *args, **options)
        self._seed = seed
        self.generator.manual_seed(seed)

    home.__init__ = seeded
    try:
        yield
    finally:
        home.__init__ = original


def _mean_of_nearest(
    embedding: np.ndarray, behavior: np.ndarray, asked: np.ndarray, number: int
) -> np.ndarray:
    nearest = NearestNeighbors(n_neighbors=number, metric="cosine").fit(embedding)
    return np.asarray(behavior[nearest.kneighbors(asked, return_distance=False)].mean(1))
