"""Devices, processes and generators of random numbers, through Lightning Fabric."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment, TorchElasticEnvironment
from lightning_fabric.strategies import DDPStrategy
from torch import Tensor, nn

from neurokit_snn.errors import ModelError

__all__ = ["Held", "Whole", "forked", "seed_step", "started"]


def started(precision: str, accelerator: str, who: str) -> Fabric:
    """Fabric on one device, or on those of all processes that ``torchrun`` started.

    Raises
    ------
    ModelError
        When there is no such accelerator or precision.
    """
    if precision.startswith("16") and accelerator == "cpu":
        raise ModelError(f"{who}: precision {precision!r} needs a GPU; give 'bf16-mixed' or '32-true'")
    world = int(os.environ.get("WORLD_SIZE", "1"))
    options: dict[str, Any] = {"devices": 1, "plugins": [LightningEnvironment()]}
    if world > 1:
        here = int(os.environ.get("LOCAL_WORLD_SIZE", str(world)))
        options = {
            "devices": here,
            "num_nodes": world // here,
            "plugins": [TorchElasticEnvironment()],
            # A parameter that no process has used keeps no gradient, as in one process.
            "strategy": DDPStrategy(find_unused_parameters=True),
        }
    try:
        with _quiet():
            fabric = Fabric(accelerator=accelerator, precision=precision, **options)
            fabric.launch()
    except (ValueError, RuntimeError) as error:
        raise ModelError(
            f"{who}: accelerator {accelerator!r} with precision {precision!r} cannot be had: {error}"
        ) from error
    return fabric


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Fabric tells the log what it was told to do; once for each fit is too often."""
    log = logging.getLogger("lightning_fabric")
    before = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(before)


class Whole:
    """A batch that Fabric passes on as it is; it would round floating-point inputs to the precision of the products."""

    def __init__(self, batch: Any) -> None:
        self.batch = batch


class Held(nn.Module):
    """The module as the loop calls it.

    Parameters
    ----------
    module
        Returns its terms, each a total and a count.
    linked
        Whether other processes wait for this one's gradient, so that there has to be one.
    """

    def __init__(self, module: nn.Module, *, linked: bool) -> None:
        super().__init__()
        self.module = module
        # DDP waits for a gradient from every process, and tells the log where each parameter has one: this one has none
        # but where nothing else does.
        self.link = nn.Parameter(torch.zeros(())) if linked else None

    def forward(self, batch: Any) -> dict[str, tuple[Tensor, Tensor]]:
        """Terms of a batch."""
        terms = self.module(batch.batch if isinstance(batch, Whole) else batch)
        if self.link is not None and not any(total.requires_grad for total, _ in terms.values()):
            terms = {name: (total + 0.0 * self.link, count) for name, (total, count) in terms.items()}
        return terms


@contextlib.contextmanager
def forked(device: torch.device) -> Iterator[None]:
    """Give the caller's generators of torch back as they were."""
    if device.type == "cpu":
        with torch.random.fork_rng(devices=[]):
            yield
    else:
        with torch.random.fork_rng(devices=[device.index or 0], device_type=device.type):
            yield


def seed_step(device: torch.device, seed: int, step: int, rank: int) -> None:
    """Seed the generators that operations on this device draw from."""
    number = int(np.random.SeedSequence((seed, step, rank)).generate_state(1, np.uint64)[0])
    torch.default_generator.manual_seed(number)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(number)
