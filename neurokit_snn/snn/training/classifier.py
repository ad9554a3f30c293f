"""Classification of trials."""

from __future__ import annotations

import dataclasses
from typing import Literal, final

import torch
from torch import Tensor, nn

from neurokit_snn.errors import ConfigError, ModelError
from neurokit_snn.snn.training.trainer import Terms, Trainer
from neurokit_snn.snn.training.trials import Array, Trials

__all__ = ["Classifier"]


@final
@dataclasses.dataclass
class Classifier(Trainer):
    """A network that tells classes apart: trained by cross-entropy, with early stop.

    Parameters
    ----------
    network
        Gives one output for each class; trained in place.
    rule
        Where the gradient comes from.
    readout
        ``each``: the mean over valid steps of the cross-entropy of every step, and of the outputs as score; ``last``: the last
        valid step. ``mean``: cross-entropy of the mean output; ``softmax``: cross-entropy of the sum over time of the softmax of
        the outputs, as with learned delays (Hammouamri et al., ICLR 2024). These two only with `BPTT`.
    epochs
        Passes over the training trials.
    batch_size
        Most trials of a step.
    learning_rate
        Of AdamW.
    rates
        Factors of the learning rate by a pattern of the dotted names of the network's parameters: ``{"*.position": 100.0}``.
    warmup
        Epochs over which the learning rate rises.
    final_fraction
        Share of the learning rate that a cosine comes down to in the last epoch; 1 for a constant one.
    weight_decay
        Of the weights of Linear layers and convolutions; those of `Delays` do not decay.
    clip
        Largest norm of the whole gradient.
    patience
        Epochs without a better validation after which the training stops; None: never before the last.
    precision, accelerator
        As Lightning Fabric names them.
    best
        What decides which validation is the best one: its ``loss``, or its ``error``, the share of wrong classes.

    Attributes
    ----------
    history_ : History
        Curves of all steps.
    epochs_ : Dataset (epoch,)
        ``loss``, ``accuracy`` on the trials as they are learned from, ``learning_rate``, ``validation_loss``,
        ``validation_error``.

    Notes
    -----
    A layer with a schedule of its own, as the width of delays, has a method ``at(progress)``: it is called before each step with
    the share of the planned steps that is done.

    Raises
    ------
    ConfigError
        When a field is out of range, or the rule cannot learn from the readout, naming it.

    Examples
    --------
    >>> from neurokit_snn.snn import LIF, LeakyIntegrator, Network
    >>> seeded = torch.manual_seed(0)
    >>> y = torch.arange(40) % 2
    >>> x = torch.rand(6, 40, 3) + y[:, None]
    >>> net = Network(nn.Linear(3, 16), LIF(), nn.Linear(16, 2), LeakyIntegrator())
    >>> classifier = Classifier(net, epochs=10, batch_size=8, learning_rate=0.02).fit(x, y)
    >>> classifier.score(x, y)
    1.0
    """

    best: Literal["loss", "error"] = dataclasses.field(default="loss", kw_only=True)

    by_class = True
    told = ("accuracy",)

    def __post_init__(self) -> None:
        """Refuse what no training can follow."""
        super().__post_init__()
        if self.best not in ("loss", "error"):
            raise ConfigError(f"Classifier.best is {self.best!r}; choose loss or error")

    def predict(self, x: Array, *, mask: Array | None = None) -> Tensor:
        """Class ``(trial,)`` of trials ``(time, trial, ...)``."""
        return self.scores(x, mask=mask).argmax(-1)

    def score(self, x: Array, y: Array, *, mask: Array | None = None) -> float:
        """Share of trials whose class is found."""
        data = self._judged(x, y, mask)
        return 1.0 - self._validated(data)["error"]

    def _criterion(self, outputs: Tensor, target: Tensor) -> Tensor:
        flat = nn.functional.cross_entropy(outputs.flatten(0, -2), target.flatten(), reduction="none")
        return flat.view(outputs.shape[:-1])

    def _counted(self, found: Tensor, target: Tensor) -> Terms:
        right = (found.argmax(-1) == target).to(found.dtype)
        return {"accuracy": (right.sum(), right.new_tensor(right.numel()))}

    def _measured(self, found: Tensor, target: Tensor, loss: float) -> dict[str, float]:
        error = float((found.argmax(-1) != target).double().mean())
        return {"loss": loss, "error": error} if self.best == "loss" else {"error": error, "loss": loss}

    def _check(self, data: Trials, out: int) -> None:
        y = data.y
        if y.ndim != 1 or y.is_floating_point() or y.dtype == torch.bool:
            raise ModelError(f"Classifier: y is {y.dtype} {tuple(y.shape)}; give whole numbers (trial,)")
        bad = (y < 0) | (y >= out)
        if bad.any():
            where = int(bad.nonzero()[0])
            raise ModelError(
                f"Classifier: y[{where}] is {int(y[where])} and the network has {out} outputs; give classes 0 to {out - 1}"
            )
