"""Spiking residual networks without norms: their weights are standardised instead, which no batch and no step disturbs.

A batch norm takes statistics over all steps that are run at once, so that rules which run step by step see others than those
that run whole trials. Here every convolution has weights of mean 0 and a variance that keeps the variance of its input (scaled
weight standardisation: Brock et al., ICLR 2021, arXiv:2101.08692), as in the ImageNet networks of OTTT (Xiao et al., NeurIPS
2022) and SLTT (Meng et al., ICCV 2023).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from neurokit_snn.errors import ConfigError
from neurokit_snn.snn.network import Network, Residual
from neurokit_snn.snn.neuron import Neuron
from neurokit_snn.snn.neurons import LIF

__all__ = ["StandardConv2d", "spiking_resnet"]

STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
"""Blocks of each stage by depth; from 50 on they are bottlenecks."""
ALPHA = 0.2
"""Share of a block's branch in the variance of the stream: the square is what each block adds (Brock et al. 2021, section 4)."""

Stem = Literal["image", "small"]


class StandardConv2d(nn.Conv2d):
    """Convolution with scaled weight standardisation.

    ``W = gain * scale * (V - mean V) / sqrt(fan_in * var V)`` with mean and variance over the inputs of each output channel,
    V and gain learned.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride
        As `torch.nn.Conv2d`; the padding keeps the size at stride 1.
    scale
        One over the standard deviation of the input: 1 for what is standardised, `of_spikes` for spikes.

    Examples
    --------
    >>> conv = StandardConv2d(8, 4, 3)
    >>> conv.standardised().sum((1, 2, 3)).abs().max() < 1e-5
    tensor(True)
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1, scale: float = 1.0
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2)
        self.scale = scale
        self.gain = nn.Parameter(torch.ones(out_channels))
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.bias)

    def standardised(self) -> Tensor:
        """The weights that are used, ``(out, in, y, x)``."""
        var, mean = torch.var_mean(self.weight, (1, 2, 3), correction=0, keepdim=True)
        fan_in = self.weight[0].numel()
        factor = self.scale * self.gain[:, None, None, None] * torch.rsqrt((var * fan_in).clamp_min(1e-4))
        return (self.weight - mean) * factor

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``(image, in, y, x)``."""
        return nn.functional.conv2d(x, self.standardised(), self.bias, self.stride, self.padding)


def of_spikes(threshold: float) -> float:
    """One over the standard deviation of the spikes of units that are driven by unit normal numbers, without memory.

    Examples
    --------
    >>> round(of_spikes(1.0), 2)
    2.74
    """
    p = 0.5 * math.erfc(threshold / math.sqrt(2.0))
    return 1.0 / math.sqrt(p * (1.0 - p))


def spiking_resnet(
    depth: Literal[18, 34, 50, 101],
    *,
    classes: int,
    channels: int = 3,
    stem: Stem = "image",
    width: int = 64,
    make_neurons: Callable[[], Neuron] | None = None,
) -> Network:
    """A residual network of spiking neurons, activated before each convolution, without norms.

    Images ``(time, trial, channel, y, x)`` in, scores ``(time, trial, class)`` out. Its parameters are as many as those of the
    ResNet of that depth of He et al. (2016): a gain and a bias of each channel take the place of those of its batch norm.

    Parameters
    ----------
    depth
        18, 34 (blocks of two convolutions), 50, 101 (bottlenecks).
    classes
        Outputs.
    channels
        Of the images.
    stem
        ``image``: stride 2 and a pool, for images of 224 x 224; ``small``: neither, for those of 32 x 32.
    width
        Channels of the first stage; each further one has twice as many.
    make_neurons
        Makes one layer of neurons, each time it is called; None for those of SLTT: ``tau`` 1.1, soft reset, triangle, input
        not decayed.

    Returns
    -------
    Network

    Raises
    ------
    ConfigError
        When there is no such depth or stem, a size is below 1, or neurons have several thresholds.

    Examples
    --------
    >>> net = spiking_resnet(18, classes=10, stem="small", width=4)
    >>> scores, state = net(torch.rand(2, 3, 3, 16, 16))
    >>> scores.shape
    torch.Size([2, 3, 10])
    """
    if depth not in STAGES:
        raise ConfigError(f"spiking_resnet: depth is {depth!r}; choose one of {', '.join(map(str, STAGES))}")
    if stem not in ("image", "small"):
        raise ConfigError(f"spiking_resnet: stem is {stem!r}; choose image or small")
    for field, value in (("classes", classes), ("channels", channels), ("width", width)):
        if not (isinstance(value, int) and value >= 1):
            raise ConfigError(f"spiking_resnet: {field} is {value}; give a whole number, 1 or more")
    make = _published if make_neurons is None else make_neurons
    expansion = 4 if depth >= 50 else 1
    layers = _stem(stem, channels, width)
    variance, size = 1.0, width
    for stage, blocks in enumerate(STAGES[depth]):
        inner = width * 2**stage
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            goes_through = stride == 2 or size != inner * expansion
            ends = (size, inner, inner * expansion)
            layers += [_Scale(variance**-0.5)] if goes_through else []
            layers.append(_block(ends, stride, make, beta=None if goes_through else variance**0.5))
            variance = (1.0 if goes_through else variance) + ALPHA**2
            size = inner * expansion
    layers += [
        _Scale(variance**-0.5),
        make(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(size, classes),
    ]
    return Network(*layers)


def _published() -> Neuron:
    return LIF(1.1, decay_input=False, reset="soft", surrogate="triangle")


def _stem(stem: Stem, channels: int, width: int) -> list[nn.Module]:
    if stem == "small":
        return [StandardConv2d(channels, width, 3)]
    return [StandardConv2d(channels, width, 7, stride=2), nn.MaxPool2d(3, stride=2, padding=1)]


def _block(
    ends: tuple[int, int, int], stride: int, make: Callable[[], Neuron], *, beta: float | None
) -> Network:
    """A block whose input, divided by beta, has unit variance; where there is no beta the stream goes through a convolution."""
    first = make()
    if isinstance(first.threshold, Tensor) and first.threshold.numel() != 1:
        raise ConfigError(
            f"spiking_resnet: make_neurons gives thresholds {tuple(first.threshold.shape)}; give one for the layer"
        )
    scale = of_spikes(float(first.threshold))
    branch = _branch(ends, stride, make, scale)
    if beta is not None:
        return Network(Residual(Network(_Scale(1.0 / beta), first, *branch)))
    shortcut = Network(StandardConv2d(ends[0], ends[2], 1, stride=stride, scale=scale))
    return Network(first, Residual(Network(*branch), shortcut))


def _branch(
    ends: tuple[int, int, int], stride: int, make: Callable[[], Neuron], scale: float
) -> list[nn.Module]:
    """Convolutions and the neurons between them, and how much of it all goes into the stream."""
    before, inner, after = ends
    sizes = [(before, inner, 3, stride), (inner, after, 3, 1)]
    if after != inner:
        sizes = [(before, inner, 1, 1), (inner, inner, 3, stride), (inner, after, 1, 1)]
    layers: list[nn.Module] = []
    for number, (given, gives, kernel, step) in enumerate(sizes):
        layers += [make()] if number else []
        layers.append(StandardConv2d(given, gives, kernel, stride=step, scale=scale))
    return [*layers, _Scale(ALPHA)]


class _Scale(nn.Module):
    """Times a number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x

    def extra_repr(self) -> str:
        return f"{self.factor:.4g}"
