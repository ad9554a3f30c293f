"""Trainings that `test_torchloop` starts in processes of their own. Not a test."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from neurokit_snn import artefact
from neurokit_snn.torchloop import History, Schedule, train

SIZE = 12
"""Sequences of a step, over all processes."""
SCHEDULE = Schedule(
    steps=20,
    learning_rate=0.02,
    weight_decay=0.1,
    clip=0.5,
    warmup_tokens=300,
    decay_tokens=1500,
    checkpoint_every=3,
    validate_every=5,
)


class Small(nn.Module):
    """Next symbol of a sequence, and a number of it that few sequences have: terms with unlike counts."""

    def __init__(self, *, dropout: float = 0.0, symbols: int = 7, width: int = 16) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, width)
        self.position = nn.Parameter(torch.zeros(1, 10, width))
        self.norm = nn.LayerNorm(width)
        self.hidden = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, symbols, bias=False)
        self.number = nn.Linear(width, 1)
        self.never = nn.Linear(width, 1)

    def forward(self, batch: dict[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        """Cross-entropy of the next symbol where it is no padding, and squared error of the number where it is known."""
        seen, target = batch["symbols"][:, :-1], batch["symbols"][:, 1:]
        state = self.norm(self.embedding(seen) + self.position[:, : seen.shape[1]])
        state = self.dropout(torch.relu(self.hidden(state))).cumsum(1)
        total = nn.functional.cross_entropy(
            self.head(state).transpose(1, 2), target, ignore_index=0, reduction="sum"
        )
        known = batch["number"].isfinite()
        error = torch.zeros(())
        if known.any():
            error = (self.number(state[known].mean(1))[:, 0] - batch["number"][known]).square().sum()
        return {"symbol": (total, (target != 0).sum()), "number": (error, known.sum())}

    def tokens(self, batch: dict[str, Tensor]) -> int:
        """Symbols that are no padding."""
        return int((batch["symbols"][:, 1:] != 0).sum())


def small(**options: Any) -> Small:
    """A model that is the same each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Small(**options)


def batches(step: int, rank: int, world: int) -> dict[str, Tensor]:
    """Share of a process in a step's sequences; their lengths and who has a number differ from share to share."""
    draw = torch.Generator().manual_seed(1000 + step)
    symbols = torch.randint(1, 7, (SIZE, 10), generator=draw)
    lengths = torch.randint(2, 11, (SIZE, 1), generator=draw).sort(0).values
    symbols[torch.arange(10) >= lengths] = 0
    number = symbols.float().sum(1)
    number[2 if step % 4 else 0 :] = torch.nan  # only the first process has any, and at some steps nobody
    mine = slice(rank * SIZE // world, (rank + 1) * SIZE // world)
    return {"symbols": symbols[mine], "number": number[mine]}


def validate(module: nn.Module) -> float:
    """Loss per symbol on sequences that are never trained on."""
    total, count = module(batches(10_000, 0, 1))["symbol"]
    return float(total / count)


def run(path: str | None = None, dropout: float = 0.0, **options: Any) -> tuple[Small, History]:
    """Train the model with the schedule above."""
    module = small(dropout=dropout)
    settings = {"seed": 3, "weights": {"number": 0.01}, "validate": validate} | options
    return module, train(module, batches, settings.pop("schedule", SCHEDULE), checkpoint=path, **settings)


def saved(path: str, folder: str) -> None:
    """Train with a checkpoint, and keep the history."""
    _, history = run(path, dropout=0.2)
    artefact.write(
        f"{folder}/done.nk", kind="dataset", trees={"history": history.to_dataset()}, overwrite=True
    )


if __name__ == "__main__":
    where = Path(sys.argv[1])
    _, found = run(str(where / "fit.nk"))
    if int(torch.distributed.get_rank()) == 0:
        artefact.write(where / "done.nk", kind="dataset", trees={"history": found.to_dataset()})
