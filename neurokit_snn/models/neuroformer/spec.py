"""What the network is: sizes only, no weights and no data."""

from __future__ import annotations

import dataclasses
from typing import Literal

from neurokit_snn.models.modalities import Kind

__all__ = ["Dropout", "Input", "Layers", "Output", "Spec"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layers:
    """Blocks of each stage, in the order in which a token passes them."""

    state: int  # causal self-attention among the tokens of the window
    history: int  # cross-attention to the past state
    stimulus: int  # self-attention among frames, and as many of cross-attention to them
    behavior: int  # cross-attention to each series
    joint: int  # causal self-attention after all modalities


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dropout:
    """Probability of dropping, by place."""

    attention: float
    residual: float
    embedding: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Input:
    """A modality that tokens attend to.

    Parameters
    ----------
    name
        Variable of the binned data, or a trial column.
    form
        ``"series"`` (features of a bin are one token) or ``"frames"`` (patches of a frame are tokens).
    width
        Features of a bin.
    shape
        ``(y, x, channel)`` of frames; empty for series.
    bins
        Bins before the window that are seen, besides those inside.
    """

    name: str
    form: Literal["series", "frames"]
    width: int
    bins: int
    shape: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Output:
    """A behaviour that is predicted at the end of each window, and never an input."""

    name: str
    kind: Kind
    width: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spec:
    """Sizes of the network.

    Parameters
    ----------
    n_units
        Units of the vocabulary; the end of a window is one id more.
    window, past
        Bins of the window, and of the past state before it.
    max_tokens, max_past_tokens
        Spikes that fit into each.
    embed, heads
        Width and attention heads.
    layers, dropout
        By place.
    temporal
        Embedding of the bin: a perceptron of its number, or sinusoids.
    hidden
        Hidden width of the perceptron that embeds series.
    kernel
        ``(time, y, x)`` extent of the convolution over frames; space is strided by its extent.
    inputs, outputs
        Modalities in the order in which tokens attend to them; behaviours that are predicted.
    contrast
        Width of the space in which modalities are contrasted; 0 for no contrast.
    temperature
        Of the contrast.
    learn_temperature
        Whether that is only where it starts.
    ordered
        Whether tokens out of the canonical order (bin, then unit) have probability 0.
    strict
        Whether a unit can spike only once in a bin.
    """

    n_units: int
    window: int
    past: int
    max_tokens: int
    max_past_tokens: int
    embed: int
    heads: int
    layers: Layers
    dropout: Dropout
    temporal: Literal["perceptron", "sinusoid"]
    hidden: int
    kernel: tuple[int, int, int]
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    contrast: int
    temperature: float
    learn_temperature: bool
    ordered: bool
    strict: bool

    @property
    def vocabulary(self) -> int:
        """Ids that can be embedded: units, SOS, EOS, PAD."""
        return self.n_units + 3

    @property
    def sos(self) -> int:
        """Id of the token before the first spike."""
        return self.n_units

    @property
    def pad(self) -> int:
        """Id of what fills a batch."""
        return self.n_units + 2
