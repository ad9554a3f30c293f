"""Attention and blocks, for whole windows and one token at a time."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neurokit_snn.models.neuroformer.spec import Dropout

__all__ = ["Attention", "Block", "KeysValues"]

KeysValues = tuple[Tensor, Tensor]
"""Keys and values, each ``(row, head, position, feature)``."""


class Attention(nn.Module):
    """Multi-head scaled dot-product attention of queries to keys and values computed beforehand.

    Parameters
    ----------
    embed, heads
        Width, and into how many heads it is cut.
    dropout
        Of the weights and of the result.
    """

    def __init__(self, embed: int, heads: int, dropout: Dropout) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(embed, embed)
        self.key = nn.Linear(embed, embed)
        self.value = nn.Linear(embed, embed)
        self.out = nn.Linear(embed, embed)
        self.dropout = dropout

    def _split(self, x: Tensor) -> Tensor:
        rows, length, embed = x.shape
        return x.view(rows, length, self.heads, embed // self.heads).transpose(
            1, 2
        )  # (row, head, position, feature)

    def keys(self, context: Tensor) -> KeysValues:
        """Keys and values of a context ``(row, position, embed)``."""
        return self._split(self.key(context)), self._split(self.value(context))

    def forward(
        self, x: Tensor, keys: KeysValues, *, mask: Tensor | None = None, causal: bool = False
    ) -> Tensor:
        """Attend from ``x (row, query, embed)``; ``mask (row, 1, query, key)`` is True where a query may look."""
        drop = self.dropout.attention if self.training else 0.0
        found = F.scaled_dot_product_attention(
            self._split(self.query(x)), *keys, attn_mask=mask, dropout_p=drop, is_causal=causal
        )
        merged = found.transpose(1, 2).flatten(2)  # (row, query, embed)
        return F.dropout(self.out(merged), self.dropout.residual, self.training)

    def weights(self, x: Tensor, keys: KeysValues, mask: Tensor | None) -> Tensor:
        """Attention weights ``(row, head, query, key)``, which the fast path does not keep."""
        query = self._split(self.query(x))
        scores = query @ keys[0].transpose(-1, -2) / query.shape[-1] ** 0.5
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        return torch.softmax(scores, -1)


class Block(nn.Module):
    """One block of the published network: ``x += attend(LN x, k, v); x += MLP(LN x); return LN(x)``.

    Keys and values are of the context as it is, not layer-normed; in self-attention the context is ``x``.
    """

    def __init__(self, embed: int, heads: int, dropout: Dropout) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(embed)
        self.attention = Attention(embed, heads, dropout)
        self.norm_perceptron = nn.LayerNorm(embed)
        self.perceptron = nn.Sequential(
            nn.Linear(embed, 4 * embed), nn.GELU(), nn.Linear(4 * embed, embed), nn.Dropout(dropout.residual)
        )
        self.norm_out = nn.LayerNorm(embed)

    def forward(
        self, x: Tensor, keys: KeysValues | None = None, *, mask: Tensor | None = None, causal: bool = False
    ) -> Tensor:
        """Pass ``x (row, position, embed)``; ``keys`` None for self-attention."""
        if keys is None:
            keys = self.attention.keys(x)
        x = x + self.attention(self.norm_attention(x), keys, mask=mask, causal=causal)
        x = x + self.perceptron(self.norm_perceptron(x))
        out: Tensor = self.norm_out(x)
        return out
