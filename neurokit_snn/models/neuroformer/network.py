"""The network: past and current state, modalities in order, causal self-attention, heads.

For a window with tokens ``y_1 .. y_n`` (each a unit and a bin) and everything before it,

    cur = causal blocks (current tokens)                    what has been said in this window
    x   = cur, then blocks with keys from the past state    history
    x   = blocks with keys from each modality, in order     stimulus, behaviour
    x   = causal blocks (x)
    p(y_{i+1} | y_1 .. y_i, past, modalities) from x_i      one head for the unit, one for the bin

(Antoniades et al. 2024, section 3). Two differences, both for causality: tokens see a modality only up to their own bin, and
frames see only frames before them. Padding is masked everywhere.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from neurokit_snn.models.neuroformer.attention import Block, KeysValues
from neurokit_snn.models.neuroformer.batch import Batch
from neurokit_snn.models.neuroformer.embedding import FrameEmbedding, SeriesEmbedding, TokenEmbedding
from neurokit_snn.models.neuroformer.spec import Spec

__all__ = ["Context", "Hidden", "Network"]

INITIAL_SD = 0.02
"""Of linear and embedding weights, as published (and as in GPT)."""


class Context(NamedTuple):
    """What tokens of the window attend to: the past state and each modality.

    ``tokens`` are ``(row, position, embed)``, ``known (row, position)`` and, of modalities, ``bins (position,)`` relative to
    the window; the past state lies before every token of the window.
    """

    tokens: list[Tensor]
    known: list[Tensor]
    bins: list[Tensor | None]

    def masks(self, dt: Tensor) -> list[Tensor]:
        """Where tokens in the bins ``dt (row, query)`` may look, ``(row, 1, query, position)``."""
        found = []
        for known, bins in zip(self.known, self.bins, strict=True):
            mask = known[:, None, None, :]
            if bins is not None:
                mask = mask & (bins <= dt[..., None])[:, None]
            found.append(mask)
        return found


class Hidden(NamedTuple):
    """``cur`` before and ``x`` after fusion, ``(row, position, embed)``, and what was attended to."""

    cur: Tensor
    x: Tensor
    context: Context


class Network(nn.Module):
    """Neuroformer's layers.

    Parameters
    ----------
    spec
        Sizes.
    """

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        depth = spec.layers

        def blocks(number: int) -> nn.ModuleList:
            return nn.ModuleList(Block(spec.embed, spec.heads, spec.dropout) for _ in range(number))

        self.embedding = TokenEmbedding(spec)
        self.state = blocks(depth.state)
        self.history = blocks(depth.history)
        frames = [entry for entry in spec.inputs if entry.form == "frames"]
        self.modalities = nn.ModuleDict(
            {
                entry.name: FrameEmbedding(entry, spec) if entry in frames else SeriesEmbedding(entry, spec)
                for entry in spec.inputs
            }
        )
        self.encoders = nn.ModuleDict({entry.name: blocks(depth.stimulus) for entry in frames})
        self.fusion = nn.ModuleDict(
            {e.name: blocks(depth.stimulus if e in frames else depth.behavior) for e in spec.inputs}
        )
        self.joint = blocks(depth.joint)
        self.unit_head = nn.Linear(spec.embed, spec.n_units + 1, bias=False)
        self.bin_head = nn.Linear(spec.embed, spec.window, bias=False)
        self.output_heads = nn.ModuleDict({o.name: nn.Linear(spec.embed, o.width) for o in spec.outputs})
        if spec.contrast:
            self.projection = nn.Linear(spec.embed, spec.contrast, bias=False)
            self.log_temperature = nn.Parameter(
                torch.log(torch.tensor(spec.temperature)), requires_grad=spec.learn_temperature
            )
        self.apply(_initialise)

    # ---- whole windows -----------------------------------------------------------------------------------------

    def context(self, batch: Batch) -> Context:
        """Past state and modalities of each row, embedded."""
        past = self.embedding.past(batch.past_id, batch.past_dt)
        tokens, known = [past], [batch.past_id != self.spec.pad]
        bins: list[Tensor | None] = [None]
        for entry in self.spec.inputs:
            embedding = self.modalities[entry.name]
            found, valid = embedding(batch.inputs[entry.name])
            if entry.form == "frames":
                mask = valid[:, None, None, :] & (embedding.bins <= embedding.bins[:, None])
                mask = mask | torch.eye(mask.shape[-1], dtype=torch.bool, device=mask.device)
                for block in self.encoders[entry.name]:
                    found = block(found, mask=mask)
            tokens.append(found)
            known.append(valid)
            bins.append(embedding.bins)
        return Context(tokens, known, bins)

    def stages(self) -> list[nn.ModuleList]:
        """Blocks of cross-attention, in the order of `Context`."""
        return [self.history, *(self.fusion[entry.name] for entry in self.spec.inputs)]

    def forward(
        self, batch: Batch, *, context: Context | None = None, kept: list[KeysValues] | None = None
    ) -> Hidden:
        """Features of every token of a batch of windows.

        Parameters
        ----------
        batch
            The windows.
        context
            What they attend to, where it is known already.
        kept
            Where keys and values of self-attention are to be added.
        """

        def causal(block: nn.Module, x: Tensor) -> Tensor:
            keys = block.attention.keys(x)
            if kept is not None:
                kept.append(keys)
            out: Tensor = block(x, keys, causal=True)
            return out

        context = self.context(batch) if context is None else context
        cur = self.embedding(batch.id, batch.dt)  # (row, position, embed)
        for block in self.state:
            cur = causal(block, cur)
        x = cur
        for blocks, tokens, mask in zip(self.stages(), context.tokens, context.masks(batch.dt), strict=True):
            for block in blocks:
                x = block(x, block.attention.keys(tokens), mask=mask)
        for block in self.joint:
            x = causal(block, x)
        return Hidden(cur, x, context)

    def logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Of the unit (or the end of the window) and of the bin of the next spike."""
        return self.unit_head(x), self.bin_head(x)

    def outputs(self, x: Tensor, positions: Tensor) -> dict[str, Tensor]:
        """Each predicted behaviour ``(row, feature)`` from the mean of ``x`` over the window's tokens."""
        pooled = mean_over(x, positions)
        return {name: head(pooled) for name, head in self.output_heads.items()}

    def contrasted(self, hidden: Hidden, positions: Tensor) -> dict[str, Tensor]:
        """Each modality ``(row, contrast)`` before fusion: mean over its tokens in the window, projected, on the unit sphere."""
        pooled = {"tokens": mean_over(hidden.cur, positions)}
        for entry, tokens, known in zip(
            self.spec.inputs, hidden.context.tokens[1:], hidden.context.known[1:], strict=True
        ):
            inside = self.modalities[entry.name].bins >= 0  # neither the null token nor what was before
            pooled[entry.name] = mean_over(tokens, known & inside)
        return {name: nn.functional.normalize(self.projection(x), dim=-1) for name, x in pooled.items()}

    # ---- one token at a time -----------------------------------------------------------------------------------

    def cross_keys(self, context: Context) -> list[list[KeysValues]]:
        """Keys and values of every block of cross-attention: computed once for a window."""
        return [
            [block.attention.keys(tokens) for block in blocks]
            for blocks, tokens in zip(self.stages(), context.tokens, strict=True)
        ]


def mean_over(x: Tensor, where: Tensor) -> Tensor:
    """Mean of ``x (row, position, feature)`` over the positions that are True; 0 where none is."""
    weights = where.to(x.dtype)[..., None]
    return (x * weights).sum(1) / weights.sum(1).clamp_min(1.0)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding | nn.Conv3d):
        nn.init.normal_(module.weight, std=INITIAL_SD)
    if isinstance(module, nn.Linear | nn.Conv3d) and module.bias is not None:
        nn.init.zeros_(module.bias)
