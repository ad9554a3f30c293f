"""Trials to train on: checked, hashed, split and cut into batches."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor

from neurokit_snn.errors import ModelError

__all__ = ["Array", "Trials", "split", "trials"]

Array: TypeAlias = Tensor | np.ndarray


class Trials(NamedTuple):
    """Inputs ``(time, trial, ...)``, targets with one axis of trials, and which steps are valid ``(time, trial)``."""

    x: Tensor
    y: Tensor
    mask: Tensor

    @property
    def number(self) -> int:
        """Of trials."""
        return self.x.shape[1]

    @property
    def by_step(self) -> bool:
        """Whether there is a target for every step."""
        return self.y.ndim == 3

    @property
    def ends(self) -> Tensor | None:
        """The mask where it masks anything: a layer that makes trials longer takes none."""
        return None if bool(self.mask.all()) else self.mask

    def at(self, which: Tensor) -> Trials:
        """Some of them."""
        y = self.y[:, which] if self.by_step else self.y[which]
        return Trials(self.x[:, which], y, self.mask[:, which])

    def like(self, weight: Tensor) -> Trials:
        """Where a weight is, and the inputs of its dtype."""
        x, y, mask = (part.to(weight.device) for part in self)
        return Trials(x.to(weight.dtype), y.to(weight.dtype) if y.is_floating_point() else y, mask)

    def fingerprint(self) -> str:
        """Changes with every value; an axis that was expanded is hashed once."""
        found = hashlib.sha256()
        for part in self:
            once = part[tuple(slice(1) if step == 0 else slice(None) for step in part.stride())]
            found.update(f"{part.dtype} {tuple(part.shape)}".encode())
            found.update(once.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        return found.hexdigest()


def trials(who: str, x: Array, y: Array | None, mask: Array | None = None) -> Trials:
    """Inputs as tensors, refused where they are no trials; without targets these are zeros.

    Raises
    ------
    ModelError
        When shapes do not fit each other, a value is not finite, or a trial has no valid step: it names where.
    """
    x = _tensor(x)
    if x.ndim < 3 or 0 in x.shape:
        raise ModelError(f"{who}: x has shape {tuple(x.shape)}; give (time, trial, ..., feature)")
    steps, count = x.shape[:2]
    valid = torch.ones(steps, 1, dtype=torch.bool).expand(steps, count) if mask is None else _tensor(mask)
    if valid.shape != (steps, count) or valid.dtype != torch.bool:
        raise ModelError(f"{who}: mask is {valid.dtype} {tuple(valid.shape)}; give booleans {(steps, count)}")
    if not (any_valid := valid.any(0)).all():
        raise ModelError(
            f"{who}: trial {int((~any_valid).nonzero()[0])} has no valid step in mask; leave it out"
        )
    target = torch.zeros(count) if y is None else _tensor(y)
    found = Trials(x, target, valid)
    axis = 1 if found.by_step else 0
    if target.ndim == 0 or target.shape[axis] != count or (found.by_step and target.shape[0] != steps):
        raise ModelError(
            f"{who}: y has shape {tuple(target.shape)} and x {tuple(x.shape)}; give y (trial, ...) or (time, trial, out)"
        )
    for name, value in (("x", x), ("y", target)):
        if value.is_floating_point() and not torch.isfinite(value).all():
            where = (~torch.isfinite(value)).nonzero()[0].tolist()
            raise ModelError(
                f"{who}: {name}{where} is {float(value[tuple(where)])}; give finite numbers, and mask others"
            )
    return found


def _tensor(value: Array) -> Tensor:
    """As a tensor that shares the memory where it may; torch warns of arrays that are read-only."""
    writable = isinstance(value, Tensor) or np.asarray(value).flags.writeable
    return torch.as_tensor(value if writable else np.array(value))


def split(
    who: str, data: Trials, validation: float | tuple[Array, ...] | None, *, seed: int, by_class: bool
) -> tuple[Trials, Trials | None]:
    """Trials to learn from, and those to validate with.

    Parameters
    ----------
    who
        In errors.
    data
        All that was given to learn from.
    validation
        A share of them, trials of its own ``(x, y)`` or ``(x, y, mask)``, or None.
    seed
        Of the share.
    by_class
        Whether the share is the same in each class, where all have two trials at least.

    Raises
    ------
    ModelError
        When the share leaves one side empty, or the other trials are those to learn from.
    """
    if validation is None:
        return data, None
    if isinstance(validation, tuple):
        return data, _given(who, data, validation)
    if not 0.0 < validation < 1.0:
        raise ModelError(
            f"{who}: validation is {validation!r}; give a share between 0 and 1, (x, y), (x, y, mask) or None"
        )
    labels = (
        data.y.numpy(force=True)
        if by_class and torch.unique(data.y, return_counts=True)[1].min() > 1
        else None
    )
    try:
        chosen: Any = train_test_split(
            np.arange(data.number), test_size=validation, random_state=seed, stratify=labels
        )
    except ValueError as error:
        raise ModelError(
            f"{who}: validation is {validation!r} of {data.number} trials, which leaves a side without trials of every class; "
            "give another share, or trials of its own"
        ) from error
    learned, held = (torch.as_tensor(np.sort(part)) for part in chosen)
    return data.at(learned), data.at(held)


def _given(who: str, data: Trials, validation: tuple[Array, ...]) -> Trials:
    if len(validation) not in (2, 3):
        raise ModelError(f"{who}: validation has {len(validation)} parts; give (x, y) or (x, y, mask)")
    held = trials(f"{who}: validation", *validation)
    if held.x.data_ptr() == data.x.data_ptr() and held.x.shape == data.x.shape:
        raise ModelError(f"{who}: validation is the data to learn from; give other trials, or a share as 0.1")
    if held.x.shape[2:] != data.x.shape[2:] or held.by_step != data.by_step:
        raise ModelError(
            f"{who}: validation has x {tuple(held.x.shape)} and y {tuple(held.y.shape)}; "
            f"the data have {tuple(data.x.shape)} and {tuple(data.y.shape)}"
        )
    return held
