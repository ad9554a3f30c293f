"""What trainers share: batches of trials, a rule, early stop on trials that are held out, an exact resume."""

from __future__ import annotations

import abc
import dataclasses
import hashlib
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, get_args

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from neurokit_snn.errors import ConfigError, ModelError
from neurokit_snn.snn.stateful import Stateful
from neurokit_snn.snn.training.readouts import Readout, adds_up, objective, scores
from neurokit_snn.snn.training.rules import BPTT, Rule
from neurokit_snn.snn.training.trials import Array, Trials, split, trials
from neurokit_snn.torchloop import History, Schedule, train

__all__ = ["Trainer"]

Terms = dict[str, tuple[Tensor, Tensor]]


@dataclasses.dataclass
class Trainer(abc.ABC):
    """Base of `Classifier` and `Regressor`, where the fields are explained."""

    network: Stateful
    _: dataclasses.KW_ONLY
    rule: Rule = dataclasses.field(default_factory=BPTT)
    readout: Readout = "each"
    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 1e-3
    rates: Mapping[str, float] = dataclasses.field(default_factory=dict)
    warmup: float = 0.0
    final_fraction: float = 1.0
    weight_decay: float = 0.0
    clip: float = math.inf
    patience: int | None = 10
    precision: str = "32-true"
    accelerator: str = "cpu"

    history_: History = dataclasses.field(init=False, repr=False)
    epochs_: xr.Dataset = dataclasses.field(init=False, repr=False)

    by_class: ClassVar[bool] = False
    """Whether a validation share is drawn from each class alike."""
    best = "loss"
    """Name of what decides which validation is the best."""
    told: ClassVar[tuple[str, ...]] = ()
    """Names of what the history holds of training batches beside the loss."""

    def __post_init__(self) -> None:
        """Refuse fields that no training can follow; those of the schedule are refused by `Schedule`."""
        who = type(self).__name__
        if not isinstance(self.network, Stateful):
            raise ConfigError(
                f"{who}.network is a {type(self.network).__name__}; give a snn.Network, or a layer with a state"
            )
        if not isinstance(self.rule, Rule):
            raise ConfigError(f"{who}.rule is {self.rule!r}; give an instance of a rule, as snn.BPTT()")
        if self.readout not in get_args(Readout):
            raise ConfigError(
                f"{who}.readout is {self.readout!r}; choose one of {', '.join(get_args(Readout))}"
            )
        if not adds_up(self.readout) and not isinstance(self.rule, BPTT):
            raise ConfigError(
                f"{who}.readout is {self.readout!r}, whose loss needs the whole trial, and {self.rule} learns in pieces; "
                "choose readout each or last, or rule BPTT()"
            )
        for field in ("epochs", "batch_size"):
            value = getattr(self, field)
            if not isinstance(value, int) or value < 1:
                raise ConfigError(f"{who}.{field} is {value!r}; give a whole number, 1 or more")

    # ---- what the kind of target decides ---------------------------------------------------------------------------

    @abc.abstractmethod
    def _criterion(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Loss ``(...,)`` of outputs ``(..., out)``."""

    @abc.abstractmethod
    def _check(self, data: Trials, out: int) -> None:
        """Refuse targets that a network with so many outputs cannot have."""

    @abc.abstractmethod
    def _measured(self, found: Tensor, target: Tensor, loss: float) -> dict[str, float]:
        """What a validation says of scores; the first decides, and lower is better."""

    def _counted(self, found: Tensor, target: Tensor) -> Terms:
        """What `told` names: totals and counts of a batch with these scores."""
        return {}

    # ---- public ----------------------------------------------------------------------------------------------------

    def fit(
        self,
        x: Array,
        y: Array,
        *,
        mask: Array | None = None,
        validation: float | tuple[Array, ...] | None = 0.1,
        seed: int = 0,
        progress: bool = False,
        resume: str | Path | None = None,
    ) -> Self:
        """Train the network, in place.

        Parameters
        ----------
        x
            Inputs ``(time, trial, ...)``; whole numbers and booleans become floating-point batch by batch. A view that was
            expanded over time is never copied as a whole.
        y
            Targets, see the class.
        mask
            Booleans ``(time, trial)``, False at steps beyond a trial's end.
        validation
            Trials to stop by and to choose the weights with: a share of those given, drawn by ``seed``; others, as ``(x, y)``
            or ``(x, y, mask)``; or None to train all epochs and keep the last weights. Never the trials that the network is
            judged by afterwards.
        seed
            Of the share, the order of trials, and what network and rule draw.
        progress
            Show a progress bar.
        resume
            Folder for a checkpoint, written after each epoch: a fit that was killed goes on to the same answer.

        Returns
        -------
        self
            With ``history_`` and ``epochs_``; the network has the weights of the best validation and is in evaluation mode.

        Raises
        ------
        ModelError
            When data, targets or mask do not fit each other or the network, or the loss is no longer finite.
        """
        who = type(self).__name__
        data = self._judged(x, y, mask)
        learned, held = split(who, data, validation, seed=seed, by_class=self.by_class)
        if held is not None:
            self._check(held, self._width(held))
        schedule = self._schedule(learned, held)
        self.history_ = train(
            _Learning(self),
            _Batches(learned, schedule=schedule, seed=seed),
            schedule,
            seed=seed,
            weights=dict.fromkeys(self.told, 0.0),
            rates={f"network.{pattern}": factor for pattern, factor in self.rates.items()},
            validate=None if held is None else lambda _: self._validated(held),
            checkpoint=None if resume is None else Path(resume) / "training.nk",
            fingerprint="" if resume is None else self._fingerprint(learned, held),
            progress=progress,
            description=who,
            accelerator=self.accelerator,
            who=who,
        )
        self.epochs_ = self._by_epoch(schedule.checkpoint_every)
        return self

    def outputs(self, x: Array, *, mask: Array | None = None) -> Tensor:
        """Outputs ``(time, trial, out)`` of every step, on the CPU, in evaluation mode."""
        data = trials(type(self).__name__, x, None, mask)
        return torch.cat([outputs.cpu() for outputs, _ in self._over(data)], 1)

    def scores(self, x: Array, *, mask: Array | None = None) -> Tensor:
        """Scores ``(trial, out)``, on the CPU: what the readout makes of the outputs, in evaluation mode."""
        return self._scored(trials(type(self).__name__, x, None, mask))

    def loss(self, x: Array, y: Array, *, mask: Array | None = None) -> float:
        """Mean loss of trials, in evaluation mode."""
        return self._evaluated(self._judged(x, y, mask))[1]

    # ---- inside ----------------------------------------------------------------------------------------------------

    def _judged(self, x: Array, y: Array, mask: Array | None) -> Trials:
        data = trials(type(self).__name__, x, y, mask)
        self._check(data, self._width(data))
        return data

    def _width(self, data: Trials) -> int:
        """How many outputs the network has, which one trial shows: an input it cannot take is known before any step."""
        outputs, _ = next(self._over(data.at(torch.arange(1))))
        if outputs.ndim != 3:
            raise ModelError(
                f"{type(self).__name__}: the network gives {tuple(outputs.shape)}; "
                "its last layer has to give (time, trial, out)"
            )
        return outputs.shape[-1]

    def _schedule(self, learned: Trials, held: Trials | None) -> Schedule:
        """Epochs in steps, and in trials."""
        per_epoch = math.ceil(learned.number / self.batch_size)
        return Schedule(
            steps=self.epochs * per_epoch,
            learning_rate=self.learning_rate,
            betas=(0.9, 0.999),
            weight_decay=self.weight_decay,
            clip=self.clip,
            warmup_tokens=self.warmup * learned.number,
            decay_tokens=self.epochs * learned.number if self.final_fraction < 1.0 else None,
            final_fraction=self.final_fraction,
            precision=self.precision,
            checkpoint_every=per_epoch,
            validate_every=0 if held is None else per_epoch,
            patience=None if held is None else self.patience,
        )

    def _fingerprint(self, learned: Trials, held: Trials | None) -> str:
        """Of data, network and everything else that the answer depends on and the loop does not see."""
        data = [part.fingerprint() for part in (learned, held) if part is not None]
        layers = [(name, *_settings(module)) for name, module in self.network.named_modules()]
        told = [*data, repr(self), repr(layers)]
        return hashlib.sha256("\n".join(told).encode()).hexdigest()

    def _over(self, data: Trials) -> Iterator[tuple[Tensor, Trials]]:
        """Outputs batch by batch, in evaluation mode, and the trials that gave them."""
        like = next((p for p in self.network.parameters()), torch.zeros(()))
        training = self.network.training
        self.network.eval()
        try:
            for which in torch.arange(data.number).split(self.batch_size):
                batch = data.at(which).like(like)
                with torch.no_grad():
                    outputs, _ = self.network(batch.x, mask=batch.ends)
                yield outputs, batch
        finally:
            self.network.train(training)

    def _scored(self, data: Trials) -> Tensor:
        """Scores ``(trial, out)``."""
        return torch.cat(
            [scores(self.readout, outputs, batch.mask).cpu() for outputs, batch in self._over(data)]
        )

    def _evaluated(self, data: Trials) -> tuple[Tensor, float]:
        """Scores and the mean loss."""
        made, total = [], 0.0
        for outputs, batch in self._over(data):
            made.append(scores(self.readout, outputs, batch.mask).cpu())
            total += float(objective(self.readout, self._criterion, batch.y, batch.mask)(outputs, 0))
        return torch.cat(made), total / data.number

    def _validated(self, held: Trials) -> dict[str, float]:
        found, loss = self._evaluated(held)
        return self._measured(found, held.y.cpu(), loss)

    def _by_epoch(self, per_epoch: int) -> xr.Dataset:
        """The history, with one number for each epoch."""
        found = self.history_
        curves = {"loss": found.loss, **{name: found.terms[name] for name in self.told}}
        made = {name: values.reshape(-1, per_epoch).mean(1) for name, values in curves.items()}
        made["learning_rate"] = found.learning_rate[per_epoch - 1 :: per_epoch]
        decided = {} if not found.validation.size else {self.best: found.validation}
        made |= {f"validation_{name}": values for name, values in (decided | found.measures).items()}
        epoch = np.arange(1, len(made["loss"]) + 1)
        return xr.Dataset({name: ("epoch", values) for name, values in made.items()}, coords={"epoch": epoch})


def _settings(module: nn.Module) -> list[tuple[str, Any]]:
    """What tells one layer from another of its kind: its plain attributes, which not every layer prints."""
    plain = (bool, int, float, str, tuple, type(None))
    return [
        (name, value)
        for name, value in sorted(vars(module).items())
        if not name.startswith("_")
        and name != "training"
        and (isinstance(value, plain) or dataclasses.is_dataclass(value))
    ]


class _Learning(nn.Module):
    """The network as the loop trains it."""

    def __init__(self, trainer: Trainer) -> None:
        super().__init__()
        self.trainer, self.network = trainer, trainer.network

    def forward(self, batch: tuple[Trials, float]) -> Terms:
        """The loss of a batch, with the gradient of the rule."""
        data, progress = batch
        for module in self.network.modules():
            if callable(told := getattr(module, "at", None)):
                told(progress)
        trainer, data = self.trainer, data.like(next(self.network.parameters()))
        asked = objective(trainer.readout, trainer._criterion, data.y, data.mask)
        loss, outputs = trainer.rule.loss(self.network, data.x, asked, mask=data.ends)
        told = trainer._counted(scores(trainer.readout, outputs, data.mask), data.y)
        return {"loss": (loss, loss.new_tensor(data.number)), **told}

    def tokens(self, batch: tuple[Trials, float]) -> int:
        """Trials of a batch."""
        return batch[0].number


class _Batches:
    """Every epoch all trials once, in an order of its own, in batches of nearly one size."""

    def __init__(self, data: Trials, *, schedule: Schedule, seed: int) -> None:
        self.data, self.seed = data, seed
        self.steps, self.per_epoch = schedule.steps, schedule.checkpoint_every

    def __call__(self, step: int, rank: int, world: int) -> tuple[Trials, float]:
        """The share of a process, and the share of the training that is done."""
        epoch, at = divmod(step, self.per_epoch)
        order = np.random.default_rng((self.seed, epoch)).permutation(self.data.number)
        which = np.array_split(order, self.per_epoch)[at][rank::world]
        return self.data.at(torch.from_numpy(which)), step / self.steps
