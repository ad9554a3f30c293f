"""The loop itself: batches in, a trained module and its history out."""

from __future__ import annotations

import dataclasses
import math
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from neurokit_snn.errors import ModelError
from neurokit_snn.torchloop.checkpoint import Checkpoint
from neurokit_snn.torchloop.groups import parameter_groups
from neurokit_snn.torchloop.history import History, Records
from neurokit_snn.torchloop.processes import Held, Whole, forked, seed_step, started
from neurokit_snn.torchloop.schedule import Schedule

__all__ = ["train"]

Batches = Callable[[int, int, int], Any]
Validate = Callable[[nn.Module], float | Mapping[str, float]]


def train(
    module: nn.Module,
    batches: Batches,
    schedule: Schedule,
    *,
    seed: int,
    weights: Mapping[str, float] | None = None,
    rates: Mapping[str, float] | None = None,
    validate: Validate | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    fingerprint: str = "",
    progress: bool = False,
    description: str = "training",
    accelerator: str = "cpu",
    who: str = "train",
) -> History:
    """Train a torch module in place with AdamW.

    The loss of a step is the sum over its terms of weight * total / count, with totals and counts summed over all
    processes. Under ``torchrun`` each process trains on its share of a batch and gradients are those of the whole.

    Parameters
    ----------
    module
        ``module(batch)`` returns ``{term: (total, count)}``: the sum of a loss over its tokens, and how many there are;
        the same terms at each step. ``module.tokens(batch)`` counts the tokens that the schedule goes by. Parameters
        without ``requires_grad`` stay as they are. It comes back in evaluation mode, on the device it was trained on.
    batches
        ``batches(step, rank, world)`` makes the share of process ``rank`` of ``world`` in the batch of a step, counted
        from 0. It depends on nothing but its arguments: that is what makes a resumed training exact.
    schedule
        Steps, learning rate, precision, when to validate and to save.
    seed
        Of what the module itself draws (dropout). Torch's own generators come back as they were.
    weights
        Of terms; 1 for a term that is not named.
    rates
        Factors of the learning rate for parameters whose dotted name matches a pattern of `fnmatch`, as
        ``{"*.position": 100.0}``; 1 for all others.
    validate
        ``validate(module)``, in evaluation mode and without gradients, returns a number that is lower where the module
        is better; or a mapping, of which the first number decides and the others go into the history beside it. Only the
        first process calls it. The weights of the best validation are those the module ends with.
    checkpoint
        Folder, ending in ``.nk``, of the artefact that keeps the state; where it exists the training goes on from it to
        the same answer. With another number of processes that is the same up to rounding and dropout.
    fingerprint
        Of data and model. A checkpoint with another one, or another schedule, seed, weights or rates, is
        refused.
    progress
        Show a progress bar with the loss and tokens per second.
    description
        Of the progress bar.
    accelerator
        As Lightning Fabric names it: ``"cpu"``, ``"cuda"``, ``"auto"``, ...
    who
        Name of the model in errors.

    Returns
    -------
    history
        Curves of all steps, those before an interruption included.

    Raises
    ------
    ModelError
        When the loss or its gradient is not finite, naming step and term; when the checkpoint is of another training.
    ArtefactError
        When the checkpoint is damaged; it is left as it is.

    Examples
    --------
    >>> class Mean(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.mean = nn.Parameter(torch.zeros(()))
    ...     def forward(self, batch):
    ...         return {"square": (((batch - self.mean) ** 2).sum(), torch.tensor(len(batch)))}
    ...     def tokens(self, batch):
    ...         return len(batch)
    >>> model = Mean()
    >>> history = train(model, lambda step, rank, world: torch.full((4,), 3.0), Schedule(steps=200, learning_rate=0.1), seed=0)
    >>> round(model.mean.item(), 1), history.tokens[-1].item()
    (3.0, 800)
    """
    if schedule.validate_every and validate is None:
        raise ModelError(
            f"{who}: validate_every is {schedule.validate_every} and there is no validate; give one, or validate_every=0"
        )
    run = _Run(
        module,
        batches,
        schedule,
        seed=seed,
        weights=dict(weights or {}),
        rates=dict(rates or {}),
        accelerator=accelerator,
        who=who,
    )
    keeper = None
    if checkpoint is not None:
        keeper = Checkpoint(checkpoint, settings={"fingerprint": fingerprint, **run.settings})
    with forked(run.fabric.device):
        return run.through(validate, keeper, progress=progress, description=description)


class _Run:
    """One training: the module as Fabric wraps it, its optimiser and what was recorded."""

    def __init__(
        self,
        module: nn.Module,
        batches: Batches,
        schedule: Schedule,
        *,
        seed: int,
        weights: dict[str, float],
        rates: dict[str, float],
        accelerator: str,
        who: str,
    ) -> None:
        self.fabric = started(schedule.precision, accelerator, who)
        self.world = self.fabric.world_size
        self.module, self.batches, self.schedule = module, batches, schedule
        self.seed, self.weights, self.rates, self.who = seed, weights, rates, who
        self.mixed = schedule.precision.endswith("mixed")
        device = self.fabric.device
        # One call for all parameters; a scaler of gradients cannot have it.
        fused = True if device.type == "cpu" else None
        self.optimiser = torch.optim.AdamW(
            parameter_groups(module, schedule.weight_decay, rates),
            lr=schedule.learning_rate,
            betas=schedule.betas,
            fused=fused,
        )
        self.called, self.stepper = self.fabric.setup(Held(module, linked=self.world > 1), self.optimiser)
        self.exact = torch.float32 if device.type == "mps" else torch.float64
        self.records = Records()
        self.best: dict[str, Tensor] | None = None
        self.spent, self.began = 0.0, time.perf_counter()

    def through(
        self, validate: Validate | None, keeper: Checkpoint | None, *, progress: bool, description: str
    ) -> History:
        """All steps that are left, and the best weights in their place."""
        self._resume(keeper)
        first = len(self.records.loss)
        bar = tqdm(
            total=self.schedule.steps,
            initial=first,
            desc=description,
            unit="step",
            disable=not (progress and self.fabric.is_global_zero),
            leave=False,
        )
        self.module.train()
        with bar:
            while not self.finished:
                self._step(len(self.records.loss))
                self._validate(validate)
                self._keep(keeper)
                bar.update()
                if progress:
                    bar.set_postfix_str(self._told(first), refresh=False)
        self.optimiser.zero_grad()
        if self.best is not None:
            self.module.load_state_dict(self.best)
        self.module.eval()
        return self.records.history(seconds=self.seconds)

    @property
    def settings(self) -> dict[str, Any]:
        """What the answer depends on, data and code of the module apart."""
        schedule = dataclasses.asdict(self.schedule)
        del schedule["checkpoint_every"]
        shapes = [(name, tuple(p.shape), p.requires_grad) for name, p in self.module.named_parameters()]
        return {
            "schedule": schedule,
            "seed": self.seed,
            "weights": self.weights,
            "rates": self.rates,
            "parameters": shapes,
        }

    @property
    def finished(self) -> bool:
        """Whether all steps are done, or validations have not improved for too long."""
        patience = math.inf if self.schedule.patience is None else self.schedule.patience
        return len(self.records.loss) >= self.schedule.steps or self.records.since_best >= patience

    @property
    def seconds(self) -> float:
        """Time spent, that before an interruption included."""
        return self.spent + time.perf_counter() - self.began

    def _step(self, step: int) -> None:
        """One step of the optimiser, refused where its loss or its gradient is not finite."""
        fabric, rank = self.fabric, self.fabric.global_rank
        batch = fabric.to_device(self.batches(step, rank, self.world))
        seed_step(fabric.device, self.seed, step, rank)
        terms = self.called(Whole(batch) if self.mixed else batch)
        self._check_names(terms, step)
        sums = self._summed(terms, self.module.tokens(batch))
        norm = self._backward(terms, sums)
        *flat, tokens, length = torch.cat([sums, norm.detach().to(self.exact).reshape(1)]).tolist()
        found = {name: (flat[2 * i], flat[2 * i + 1]) for i, name in enumerate(terms)}
        loss = sum(self._weight(name) * total / (count or 1.0) for name, (total, count) in found.items())
        if not math.isfinite(loss):
            bad = [
                name for name, (total, _) in found.items() if not math.isfinite(self._weight(name) * total)
            ]
            self._refuse("loss", step, f"the term is {', '.join(bad) or 'their sum'}")
        if not math.isfinite(length) and self.schedule.precision != "16-mixed":
            self._refuse("gradient", step, f"the loss is {loss:.4g}")
        seen = int(tokens) + (self.records.tokens[-1] if self.records.tokens else 0)
        rate = self.schedule.rate(seen)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["factor"]
        self.stepper.step()
        means = {name: total / count if count else math.nan for name, (total, count) in found.items()}
        self.records.add(loss, means, learning_rate=rate, tokens=seen)

    def _weight(self, name: str) -> float:
        return self.weights.get(name, 1.0)

    def _summed(self, terms: Mapping[str, tuple[Tensor, Tensor]], tokens: int) -> Tensor:
        """Total and count of each term in turn, then the tokens: over all processes."""
        values = [value for pair in terms.values() for value in pair]
        flat = torch.stack([value.detach().to(self.fabric.device, self.exact) for value in values])
        return self._reduced(torch.cat([flat, flat.new_tensor([tokens])]), "sum")

    def _reduced(self, values: Tensor, how: str) -> Tensor:
        return self.fabric.all_reduce(values, reduce_op=how) if self.world > 1 else values

    def _over_processes(self, values: list[float], how: str) -> list[float]:
        return self._reduced(torch.tensor(values, dtype=self.exact, device=self.fabric.device), how).tolist()

    def _backward(self, terms: Mapping[str, tuple[Tensor, Tensor]], sums: Tensor) -> Tensor:
        """Gradient of the loss over all processes, clipped; its norm before that."""
        loss = torch.zeros((), device=sums.device)
        for i, (name, (total, _)) in enumerate(terms.items()):
            count = sums[2 * i + 1].to(total.dtype)
            loss = loss + self._weight(name) * total / torch.where(count > 0, count, 1.0)
        self.optimiser.zero_grad()
        if loss.requires_grad:
            # The processes average their gradients, and each has divided by the count of all.
            self.fabric.backward(loss * self.world)
        return self.fabric.clip_gradients(
            self.called, self.stepper, max_norm=self.schedule.clip, error_if_nonfinite=False
        )

    def _check_names(self, terms: Mapping[str, Any], step: int) -> None:
        known = self.records.terms
        if known and list(known) != list(terms):
            raise ModelError(
                f"{self.who}: the terms of the loss are {list(terms)} at step {step} and were {list(known)} before; "
                "return every term at each step, with a count of 0 where there is nothing to count"
            )
        strange = sorted(set(self.weights) - set(terms))
        if strange:
            raise ModelError(
                f"{self.who}: weights names {strange}, and the terms of the loss are {list(terms)}; name one of these"
            )

    def _refuse(self, what: str, step: int, told: str) -> None:
        raise ModelError(
            f"{self.who}: the {what} is not finite at step {step}; {told}. "
            "Lower learning_rate or clip, or look for extreme values in the data"
        )

    def _validate(self, validate: Validate | None) -> None:
        """Validate where it is time, and keep the weights if they are the best ones."""
        done, every = len(self.records.loss), self.schedule.validate_every
        if validate is None or not every or (done % every and done < self.schedule.steps):
            return
        found: dict[str, float] = {}
        if self.fabric.is_global_zero:
            seed_step(self.fabric.device, self.seed, done, self.world)
            self.module.eval()
            with torch.no_grad(), self.fabric.autocast():
                given = validate(self.module)
            found = dict(given) if isinstance(given, Mapping) else {"validation": float(given)}
            self.module.train()
        deciding, *others = found or [""]
        (value,) = self._over_processes([float(found.get(deciding, 0.0))], "sum")
        if math.isnan(value):
            raise ModelError(
                f"{self.who}: validation after {done} steps gave NaN; look for empty or extreme validation data"
            )
        # The other processes decide by the same number; what is measured beside it only the first one keeps.
        if self.records.validated(value, {name: float(found[name]) for name in others}):
            self.best = {name: kept.detach().clone() for name, kept in self.module.state_dict().items()}

    def _keep(self, keeper: Checkpoint | None) -> None:
        """Write the checkpoint where it is time; the first process does."""
        due = self.finished or len(self.records.loss) % self.schedule.checkpoint_every == 0
        if keeper is not None and due and self.fabric.is_global_zero:
            keeper.write(
                self.module,
                self.optimiser,
                history=self.records.history(seconds=self.seconds),
                best=self.best,
                scaler=self.fabric.strategy.precision.state_dict(),
            )

    def _resume(self, keeper: Checkpoint | None) -> None:
        """Go on from the checkpoint where there is one; else write the first, so that a bad path is known at once."""
        if keeper is None:
            return
        stored = keeper.restore(self.module, self.optimiser)
        if stored is not None:
            self.records, self.best = Records(stored.history), stored.best
            self.spent = stored.history.seconds
            self.fabric.strategy.precision.load_state_dict(stored.scaler)
        done = float(len(self.records.loss))
        most, least = self._over_processes([done, -done], "max")
        if most != -least:
            raise ModelError(
                f"{self.who}: the processes find different checkpoints at {keeper.path}; give a folder that all of them see"
            )
        if stored is None:
            self._keep(keeper)

    def _told(self, first: int) -> str:
        """Loss and speed, for the progress bar."""
        tokens = self.records.tokens
        speed = (tokens[-1] - (tokens[first - 1] if first else 0)) / (time.perf_counter() - self.began)
        return f"loss={self.records.loss[-1]:.4f}, {speed:,.0f} tokens/s"
