"""Surrogate derivatives of the spike: what a step function has for a slope where it is trained by gradients.

A unit spikes where ``u = membrane - threshold`` is at least 0. The step has no useful derivative; in the backward pass it is
taken for that of a smooth function of the same shape. Every surrogate here is the exact derivative of its ``primitive``, so
that a network with the primitive in place of the step is smooth, and its gradients can be checked by finite differences.
"""

from __future__ import annotations

import abc
import dataclasses
import math
from typing import ClassVar, final

import torch
from torch import Tensor

from neurokit_snn.errors import ConfigError

__all__ = [
    "ATan",
    "FastSigmoid",
    "Rectangle",
    "Sigmoid",
    "StraightThrough",
    "Surrogate",
    "Triangle",
    "surrogate",
]


@dataclasses.dataclass(frozen=True)
class Surrogate(abc.ABC):
    """A surrogate derivative with one shape parameter.

    Parameters
    ----------
    width
        Of the shape; each class says what it means and has the published value as its default.

    Raises
    ------
    ConfigError
        When the width is not above 0.
    """

    width: float = 1.0
    code: ClassVar[int | None] = None
    """By which the fused kernels know it; None where they do not, and plain torch runs."""

    def __post_init__(self) -> None:
        """Refuse a width that makes no slope."""
        if not (self.width > 0 and math.isfinite(self.width)):
            raise ConfigError(f"{type(self).__name__}.width is {self.width}; give a number above 0")

    @abc.abstractmethod
    def derivative(self, u: Tensor) -> Tensor:
        """Slope at ``u``, the membrane less the threshold; any shape."""

    @abc.abstractmethod
    def primitive(self, u: Tensor) -> Tensor:
        """A function whose derivative is `derivative`; near 0 far below the threshold."""


@final
@dataclasses.dataclass(frozen=True)
class ATan(Surrogate):
    """``(a/2) / (1 + (pi a u / 2)^2)``; a = 2 in Fang et al. (ICCV 2021), 5 with learned delays (Hammouamri et al., ICLR 2024).

    Examples
    --------
    >>> ATan().derivative(torch.tensor([0.0, 1.0]))
    tensor([1.0000, 0.0920])
    """

    width: float = 2.0
    code: ClassVar[int] = 0

    def derivative(self, u: Tensor) -> Tensor:
        """See the class."""
        return (0.5 * self.width) / (1.0 + (0.5 * math.pi * self.width * u) ** 2)

    def primitive(self, u: Tensor) -> Tensor:
        """Arc tangent, from 0 to 1."""
        return torch.atan(0.5 * math.pi * self.width * u) / math.pi + 0.5


@final
@dataclasses.dataclass(frozen=True)
class Sigmoid(Surrogate):
    """``a s (1 - s)`` with ``s = sigmoid(a u)``; a = 4 in SpikingJelly.

    Examples
    --------
    >>> Sigmoid().derivative(torch.tensor([0.0, 0.5]))
    tensor([1.0000, 0.4200])
    """

    width: float = 4.0
    code: ClassVar[int] = 1

    def derivative(self, u: Tensor) -> Tensor:
        """See the class."""
        s = torch.sigmoid(self.width * u)
        return self.width * s * (1.0 - s)

    def primitive(self, u: Tensor) -> Tensor:
        """Logistic function."""
        return torch.sigmoid(self.width * u)


@final
@dataclasses.dataclass(frozen=True)
class Triangle(Surrogate):
    """``max(0, 1 - |u| / a) / a``: of unit area, from ``-a`` to ``a``; a = 1 in SLTT (Meng et al., ICCV 2023).

    Examples
    --------
    >>> Triangle().derivative(torch.tensor([0.0, 0.5]))
    tensor([1.0000, 0.5000])
    """

    width: float = 1.0
    code: ClassVar[int] = 2

    def derivative(self, u: Tensor) -> Tensor:
        """See the class."""
        return (1.0 - u.abs() / self.width).clamp_min(0.0) / self.width

    def primitive(self, u: Tensor) -> Tensor:
        """Two parabolas, from 0 to 1."""
        r = (u / self.width).clamp(-1.0, 1.0)
        return 0.5 + r - 0.5 * r * r.abs()


@final
@dataclasses.dataclass(frozen=True)
class Rectangle(Surrogate):
    """``1 / a`` where ``|u| <= a / 2``; a = 1 in Wu et al. (2018) and in SLTT.

    Examples
    --------
    >>> Rectangle().derivative(torch.tensor([0.0, 0.5]))
    tensor([1., 1.])
    """

    width: float = 1.0
    code: ClassVar[int] = 3

    def derivative(self, u: Tensor) -> Tensor:
        """See the class."""
        return (u.abs() <= 0.5 * self.width).to(u.dtype) / self.width

    def primitive(self, u: Tensor) -> Tensor:
        """A ramp from 0 to 1."""
        return (u / self.width + 0.5).clamp(0.0, 1.0)


@final
@dataclasses.dataclass(frozen=True)
class FastSigmoid(Surrogate):
    """``1 / (1 + a |u|)^2`` (Zenke and Ganguli 2018); a = 25 in snnTorch. Its height is 1 for every width.

    Examples
    --------
    >>> FastSigmoid().derivative(torch.tensor([0.0, 0.5]))
    tensor([1.0000, 0.0055])
    """

    width: float = 25.0
    code: ClassVar[int] = 4

    def derivative(self, u: Tensor) -> Tensor:
        """See the class."""
        return (1.0 + self.width * u.abs()) ** -2

    def primitive(self, u: Tensor) -> Tensor:
        """``u / (1 + a |u|) + 1/a``, from 0 to 2/a."""
        return u / (1.0 + self.width * u.abs()) + 1.0 / self.width


@final
@dataclasses.dataclass(frozen=True)
class StraightThrough(Surrogate):
    """Slope 1 where ``|u| < a``, else 0: gradients go through as they are (Bengio et al. 2013), everywhere by default.

    Examples
    --------
    >>> StraightThrough().derivative(torch.tensor([0.0, 0.5]))
    tensor([1., 1.])
    """

    width: float = 1e30
    code: ClassVar[int] = 5

    def derivative(self, u: Tensor) -> Tensor:
        """See the class."""
        return (u.abs() < self.width).to(u.dtype)

    def primitive(self, u: Tensor) -> Tensor:
        """The identity, cut off at either end."""
        return u.clamp(-self.width, self.width)


NAMED: dict[str, type[Surrogate]] = {
    "atan": ATan,
    "sigmoid": Sigmoid,
    "triangle": Triangle,
    "rectangle": Rectangle,
    "fast_sigmoid": FastSigmoid,
    "straight_through": StraightThrough,
}


def surrogate(which: str | Surrogate) -> Surrogate:
    """A surrogate by its name, with its published width; one that is given comes back.

    Raises
    ------
    ConfigError
        When there is none of that name.

    Examples
    --------
    >>> surrogate("triangle")
    Triangle(width=1.0)
    """
    if isinstance(which, Surrogate):
        return which
    if which not in NAMED:
        raise ConfigError(f"surrogate is {which!r}; choose one of {', '.join(NAMED)}")
    return NAMED[which]()
