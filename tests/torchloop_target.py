"""Trainings that `test_torchloop` starts in processes of their own. Not a test."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
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
    clip=1.0,
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
        total = error = torch.zeros(())
        if (target != 0).any():
            total = nn.functional.cross_entropy(
                self.head(state).transpose(1, 2), target, ignore_index=0, reduction="sum"
            )
        known = batch["number"].isfinite()
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
    if step % 5 == 3:
        lengths[SIZE // 2 :] = 0  # the second of two processes has nothing at all to learn from
    symbols[torch.arange(10) >= lengths] = 0
    number = symbols.float().sum(1)
    number[2 if step % 4 else 0 :] = torch.nan  # only the first process has any, and at some steps nobody
    mine = slice(rank * SIZE // world, (rank + 1) * SIZE // world)
    return {"symbols": symbols[mine], "number": number[mine]}


def validate(module: nn.Module) -> float:
    """Loss per symbol on sequences that are never trained on."""
    total, count = module(batches(10_000, 0, 1))["symbol"]
    return float(total / count)


def run(
    path: str | None = None,
    *,
    dropout: float = 0.0,
    make: Any = batches,
    schedule: Schedule = SCHEDULE,
    **options: Any,
) -> tuple[Small, History]:
    """Train the model with the schedule above."""
    module = small(dropout=dropout)
    settings = {"seed": 3, "weights": {"number": 0.01}, "validate": validate} | options
    return module, train(module, make, schedule, checkpoint=path, **settings)


def saved(path: str, result: str) -> None:
    """Train with a checkpoint and dropout, and keep the history."""
    _, history = run(path, dropout=0.2)
    artefact.write(result, kind="dataset", trees={"history": history.to_dataset()}, overwrite=True)


def interrupted(at: int) -> Any:
    """The same batches, and an end at one of them."""

    def made(step: int, rank: int, world: int) -> dict[str, Tensor]:
        if step == at:
            raise KeyboardInterrupt
        return batches(step, rank, world)

    return made


def shared(folder: str) -> None:
    """What each of several processes does: train, and train again with an interruption."""
    where = Path(folder)
    model, whole = run()
    with contextlib.suppress(KeyboardInterrupt):
        run(str(where / "fit.nk"), make=interrupted(11))
    again, resumed = run(str(where / "fit.nk"))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    if torch.distributed.get_rank() == 0:
        trees = {"whole": whole.to_dataset(), "resumed": resumed.to_dataset()}
        artefact.write(where / "done.nk", kind="dataset", trees=trees)


def pair(folder: str) -> None:
    """Two processes, told what `torchrun` tells them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    child = os.fork()
    signal.alarm(60)  # where one waits for the other for ever
    rank = "0" if child else "1"
    os.environ.update(common, RANK=rank, LOCAL_RANK=rank)
    status = 1
    try:
        shared(folder)
        status = 0
    finally:
        if not child:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


def main(name: str, *args: Any) -> None:
    """One of the functions above, by its name."""
    {"saved": saved, "pair": pair, "shared": shared}[name](*args)


if __name__ == "__main__":
    main(*sys.argv[1:])
