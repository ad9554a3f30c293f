"""From tokens, series and frames to vectors."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neurokit_snn.models.neuroformer.batch import Series
from neurokit_snn.models.neuroformer.spec import Input, Spec

__all__ = ["BEFORE", "FrameEmbedding", "SeriesEmbedding", "TokenEmbedding", "sinusoids"]

BEFORE = -(10**6)
"""Bin of a modality's null token: before everything, so that there is always something to attend to."""


def sinusoids(length: int, embed: int) -> Tensor:
    """Positions as sines and cosines of geometric wavelengths, ``(length, embed)`` (Vaswani et al. 2017, section 3.5).

    Examples
    --------
    >>> sinusoids(3, 4).shape
    torch.Size([3, 4])
    """
    place = torch.arange(length, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, embed, 2, dtype=torch.float32) * (-math.log(10000.0) / embed))
    out = torch.zeros(length, embed)
    out[:, 0::2] = torch.sin(place * rate)
    out[:, 1::2] = torch.cos(place * rate)[:, : embed // 2]
    return out


class BinEmbedding(nn.Module):
    """The bin of a token: a perceptron of its number, or sinusoids."""

    table: Tensor

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.n_bins = max(spec.window, spec.past)
        if spec.temporal == "perceptron":
            half = spec.embed // 2
            self.perceptron: nn.Module | None = nn.Sequential(
                nn.Linear(1, half), nn.GELU(), nn.Linear(half, spec.embed)
            )
        else:
            self.perceptron = None
            self.register_buffer("table", sinusoids(self.n_bins, spec.embed), persistent=False)

    def forward(self, dt: Tensor) -> Tensor:
        if self.perceptron is None:
            return self.table[dt]
        out: Tensor = self.perceptron((dt.to(torch.get_default_dtype()) / self.n_bins)[..., None])
        return out


class TokenEmbedding(nn.Module):
    """Tokens of the window and of the past: unit, bin and place in the sequence."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.unit = nn.Embedding(spec.vocabulary, spec.embed)
        self.bin = BinEmbedding(spec)
        self.position = nn.Parameter(torch.zeros(spec.max_tokens + 1, spec.embed))
        self.past_position = nn.Parameter(torch.zeros(spec.max_past_tokens + 1, spec.embed))
        self.dropout = nn.Dropout(spec.dropout.embedding)

    def forward(self, id: Tensor, dt: Tensor, place: Tensor | None = None) -> Tensor:
        """Tokens of the window at their places in the sequence, all ``(row, position)``, to ``(row, position, embed)``."""
        position = self.position[: id.shape[1]] if place is None else self.position[place]
        out: Tensor = self.dropout(self.unit(id) + self.bin(dt) + position)
        return out

    def past(self, id: Tensor, dt: Tensor) -> Tensor:
        """The same of the past state."""
        out: Tensor = self.dropout(self.unit(id) + self.bin(dt) + self.past_position[: id.shape[1]])
        return out


class SeriesEmbedding(nn.Module):
    """A behaviour, one token a bin, after a null token that is always there."""

    table: Tensor
    bins: Tensor

    def __init__(self, entry: Input, spec: Spec) -> None:
        super().__init__()
        self.perceptron = nn.Sequential(
            nn.Linear(entry.width, spec.hidden), nn.GELU(), nn.Linear(spec.hidden, spec.embed)
        )
        self.null = nn.Parameter(torch.zeros(spec.embed))
        self.dropout = nn.Dropout(spec.dropout.embedding)
        n_bins = entry.bins + spec.window
        self.register_buffer("table", sinusoids(n_bins, spec.embed), persistent=False)
        own = torch.arange(n_bins) - entry.bins
        self.register_buffer("bins", torch.cat([torch.tensor([BEFORE]), own]), persistent=False)

    def forward(self, series: Series) -> tuple[Tensor, Tensor]:
        """Tokens ``(row, 1 + bin, embed)`` and which are known ``(row, 1 + bin)``; their bins are in ``bins``."""
        tokens = self.dropout(self.perceptron(series.values) + self.table)
        return _after_null(self.null, tokens, series.valid)


class FrameEmbedding(nn.Module):
    """Frames as patches, convolved with the frames before them and never with later ones, after a null token."""

    bins: Tensor

    def __init__(self, entry: Input, spec: Spec) -> None:
        super().__init__()
        height, width, channels = entry.shape
        self.reach = spec.kernel[0] - 1
        extent = (min(spec.kernel[1], height), min(spec.kernel[2], width))
        self.convolution = nn.Conv3d(channels, spec.embed, (spec.kernel[0], *extent), stride=(1, *extent))
        self.norm = nn.LayerNorm(spec.embed)
        self.null = nn.Parameter(torch.zeros(spec.embed))
        self.dropout = nn.Dropout(spec.dropout.embedding)
        n_bins = entry.bins + spec.window
        self.patches = (height // extent[0]) * (width // extent[1])
        self.place = nn.Parameter(torch.zeros(self.patches, spec.embed))
        self.register_buffer("table", sinusoids(n_bins, spec.embed), persistent=False)
        own = (torch.arange(n_bins) - entry.bins).repeat_interleave(self.patches)
        self.register_buffer("bins", torch.cat([torch.tensor([BEFORE]), own]), persistent=False)

    def forward(self, series: Series) -> tuple[Tensor, Tensor]:
        """Tokens ``(row, 1 + bin * patch, embed)`` and which are known, patches of one frame side by side."""
        frames = series.values.permute(0, 4, 1, 2, 3)  # (row, channel, bin, y, x)
        found = self.convolution(F.pad(frames, (0, 0, 0, 0, self.reach, 0)))  # (row, embed, bin, y', x')
        patches = found.flatten(3).permute(0, 2, 3, 1)  # (row, bin, patch, embed)
        tokens = F.relu(self.norm(patches)) + self.table[:, None] + self.place
        valid = series.valid.repeat_interleave(self.patches, dim=1)
        return _after_null(self.null, self.dropout(tokens.flatten(1, 2)), valid)


def _after_null(null: Tensor, tokens: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    rows = tokens.shape[0]
    first = null.expand(rows, 1, -1)
    always = torch.ones(rows, 1, dtype=torch.bool, device=valid.device)
    return torch.cat([first, tokens], 1), torch.cat([always, valid], 1)
