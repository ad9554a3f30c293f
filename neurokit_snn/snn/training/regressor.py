"""Numbers out of trials: one for each, or one for every step."""

from __future__ import annotations

import dataclasses
from typing import final

from sklearn.metrics import r2_score
from torch import Tensor

from neurokit_snn.errors import ConfigError, ModelError
from neurokit_snn.snn.training.trainer import Trainer
from neurokit_snn.snn.training.trials import Array, Trials

__all__ = ["Regressor"]


@final
@dataclasses.dataclass
class Regressor(Trainer):
    """A network that follows numbers: trained by the squared error, with early stop.

    The fields are those of `Classifier`, without ``best``. Targets are ``(trial, out)``, or with the readout ``each``
    ``(time, trial, out)`` for every step. ``softmax`` is no readout of numbers.

    Attributes
    ----------
    history_ : History
        Curves of all steps.
    epochs_ : Dataset (epoch,)
        ``loss`` (squared error summed over outputs), ``learning_rate``, ``validation_loss``.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from neurokit_snn.snn import LIF, LeakyIntegrator, Network
    >>> seeded = torch.manual_seed(0)
    >>> x = torch.rand(8, 40, 3)
    >>> y = x.mean((0, 2)).unsqueeze(1)
    >>> net = Network(nn.Linear(3, 32), LIF(), nn.Linear(32, 1), LeakyIntegrator(tau=4.0))
    >>> regressor = Regressor(net, epochs=30, batch_size=8, learning_rate=0.01, readout="mean").fit(x, y)
    >>> regressor.predict(x).shape
    torch.Size([40, 1])
    """

    def __post_init__(self) -> None:
        """Refuse what no training can follow."""
        super().__post_init__()
        if self.readout == "softmax":
            raise ConfigError(
                "Regressor.readout is 'softmax', which makes classes; choose each, last or mean"
            )

    def predict(self, x: Array, *, mask: Array | None = None) -> Tensor:
        """What the readout makes of the outputs, ``(trial, out)``; those of every step are `outputs`."""
        return self.scores(x, mask=mask)

    def score(self, x: Array, y: Array, *, mask: Array | None = None) -> float:
        """R2, the mean over outputs; of valid steps where there is a target for each."""
        data = self._judged(x, y, mask)
        found, target = self.scores(x, mask=mask), data.y.cpu()
        if data.by_step:
            found, target = (part[data.mask.cpu()] for part in (self.outputs(x, mask=mask), target))
        return float(r2_score(target.numpy(), found.numpy()))

    def _criterion(self, outputs: Tensor, target: Tensor) -> Tensor:
        return (outputs - target).square().sum(-1)

    def _measured(self, found: Tensor, target: Tensor, loss: float) -> dict[str, float]:
        return {"loss": loss}

    def _check(self, data: Trials, out: int) -> None:
        y = data.y
        if not y.is_floating_point() or y.ndim not in (2, 3) or y.shape[-1] != out:
            raise ModelError(
                f"Regressor: y is {y.dtype} {tuple(y.shape)} and the network has {out} outputs; give floating-point numbers "
                f"(trial, {out}) or (time, trial, {out})"
            )
        if data.by_step and self.readout != "each":
            raise ModelError(
                f"Regressor.readout is {self.readout!r} and y has a target for each step; choose each"
            )
