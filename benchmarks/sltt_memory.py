"""Memory and time of a training step by SLTT beside BPTT, over the number of time steps.

python -m benchmarks.sltt_memory [--quick]

The network is a normaliser-free spiking ResNet-18 (`snn.spiking_resnet`). Two measures of memory: the most bytes that the graph
holds at one time (everything torch saves for the backward pass but weights and inputs, each storage once), which has to be flat
in T for SLTT and to grow as T does for BPTT; and the peak resident memory of a process that does one training step, each side in
a process of its own. Time is reported: no ratio is asked of it. Published (Meng et al., ICCV 2023, ImageNet, ResNet-34, T = 6): a
third of the memory and .9 of the time by SLTT, .43 of the time by SLTT-1.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.harness import Result, exit_code, run_case
from neurokit_snn.snn import BPTT, OTTT, SLTT, Rule, spiking_resnet

RULES: dict[str, Rule] = {"BPTT": BPTT(), "SLTT": SLTT(), "SLTT-1": SLTT(steps=1), "OTTT": OTTT()}
LENGTHS = {"full": (4, 8, 16, 32, 64), "quick": (4, 8, 16)}
FLAT = 1.05
GROWTH = (3.5, 4.5)
"""Of the bytes of BPTT when T is four times as long."""


@dataclasses.dataclass
class Sizes:
    """Of the network and its images."""

    width: int = 16
    size: int = 32
    batch: int = 8


QUICK = Sizes(width=4, size=8, batch=2)


def make_step(rule: Rule, steps: int, sizes: Sizes) -> tuple[Callable[[], float], list[Tensor]]:
    """One training step, and the tensors that are there without it."""
    torch.manual_seed(0)
    network = spiking_resnet(18, classes=10, stem="small", width=sizes.width)
    x = torch.randn(sizes.batch, 3, sizes.size, sizes.size).expand(steps, -1, -1, -1, -1)
    y = torch.arange(sizes.batch) % 10
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01)

    def objective(outputs: Tensor, start: int) -> Tensor:
        flat = nn.functional.cross_entropy(outputs.flatten(0, 1), y.repeat(len(outputs)), reduction="sum")
        return flat / (steps * len(y))

    def step() -> float:
        optimiser.zero_grad()
        loss, _ = rule.loss(network, x, objective)
        loss.backward()
        optimiser.step()
        return loss.item()

    return step, [*network.parameters(), x]


class _Saved:
    """A tensor that the graph holds; counts its storage for as long as it does."""

    def __init__(self, tensor: Tensor, live: Counter[int]) -> None:
        # Cut off: a node that saves its own output would otherwise hold itself, and be there for ever.
        self.tensor, self.live, self.at = tensor.detach(), live, tensor.untyped_storage().data_ptr()
        live[self.at] += 1

    def __del__(self) -> None:
        self.live[self.at] -= 1
        if not self.live[self.at]:
            del self.live[self.at]


def peak_saved_bytes(step: Callable[[], Any], *, besides: Iterable[Tensor] = ()) -> int:
    """The most bytes that torch holds for backward passes at one time.

    Parameters
    ----------
    step
        Runs forward and backward.
    besides
        Tensors that are there anyway, and not counted.
    """
    there = {tensor.untyped_storage().data_ptr() for tensor in besides}
    live: Counter[int] = Counter()
    sizes: dict[int, int] = {}
    peak = 0

    def pack(tensor: Tensor) -> _Saved:
        nonlocal peak
        saved = _Saved(tensor, live)
        sizes[saved.at] = tensor.untyped_storage().nbytes()
        peak = max(peak, sum(sizes[at] for at in live if at not in there))
        return saved

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved.tensor):
        step()
    return peak


def saved_bytes(rule: Rule, lengths: Sequence[int], sizes: Sizes) -> dict[int, int]:
    """Peak bytes by the number of steps."""
    found = {}
    for steps in lengths:
        step, besides = make_step(rule, steps, sizes)
        found[steps] = peak_saved_bytes(step, besides=besides)
    return found


def line(name: str, found: dict[int, int], *, holds: bool, words: str, target: float) -> Result:
    """How bytes go with T, and whether as promised; the slope is the exponent."""
    lengths = sorted(found)
    slope = float(np.polyfit(np.log(lengths), np.log([found[n] for n in lengths]), 1)[0])
    told = ", ".join(f"{n}: {found[n] / 2**20:.2f}" for n in lengths)
    result = Result(
        bench="sltt_memory",
        case=f"{name}: MiB that the graph holds by T ({told}); {words}",
        ours_s=0.0,
        peer=None,
        peer_s=None,
        ratio=None,
        ours_mb=round(found[lengths[-1]] / 2**20, 3),
        peer_mb=None,
        slope=round(slope, 3),
        target=target,
        holds=holds,
    )
    print(json.dumps(dataclasses.asdict(result)), flush=True)
    return result


def flat(name: str, lengths: Sequence[int], sizes: Sizes) -> Result:
    """A rule whose bytes do not depend on T."""
    found = saved_bytes(RULES[name], lengths, sizes)
    ratio = max(found.values()) / min(found.values())
    return line(name, found, holds=ratio <= FLAT, words=f"most over least {ratio:.3f}", target=FLAT)


def growing(lengths: Sequence[int], sizes: Sizes) -> Result:
    """BPTT, at a length and four times that."""
    found = saved_bytes(RULES["BPTT"], lengths, sizes)
    short = 8 if 32 in found else min(found)
    ratio = found[4 * short] / found[short]
    words = f"T = {4 * short} over T = {short}: {ratio:.3f}, from {GROWTH[0]} to {GROWTH[1]}"
    return line("BPTT", found, holds=GROWTH[0] <= ratio <= GROWTH[1], words=words, target=GROWTH[0])


def prepare(side: str, steps: int, sizes: dict[str, int], rule: str = "SLTT") -> Callable[[], float]:
    """One training step of a side, for a process of its own."""
    step, _ = make_step(RULES["BPTT" if side == "peer" else rule], 1, Sizes(**sizes))
    step()  # compiles the kernels
    return make_step(RULES["BPTT" if side == "peer" else rule], steps, Sizes(**sizes))[0]


def prepare_ours(**kwargs: Any) -> Callable[[], float]:
    """SLTT."""
    return prepare("ours", **kwargs)


def prepare_peer(**kwargs: Any) -> Callable[[], float]:
    """BPTT."""
    return prepare("peer", **kwargs)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it runs")
    quick = parser.parse_args(arguments).quick
    sizes = QUICK if quick else Sizes()
    lengths = LENGTHS["quick" if quick else "full"]
    results = [flat(name, lengths, sizes) for name in ("SLTT", "SLTT-1", "OTTT")]
    results.append(growing(lengths, sizes))
    steps = max(lengths) // 2
    for rule in ("SLTT", "SLTT-1"):
        kwargs = {"rule": rule, "steps": steps, "sizes": dataclasses.asdict(sizes)}
        result = run_case(
            "sltt_memory",
            f"{rule}, a training step of ResNet-18, width {sizes.width}, T = {steps}, batch {sizes.batch}",
            ours="benchmarks.sltt_memory:prepare_ours",
            peer="benchmarks.sltt_memory:prepare_peer",
            peer_name="BPTT",
            kwargs=kwargs,
            target=0.0,  # time is reported, memory is what is asked
            agree=lambda ours, theirs: abs(ours - theirs) <= 1e-3 * abs(theirs),
            less_memory=not quick,
        )
        results.append(result)
    return exit_code(results)


if __name__ == "__main__":
    sys.exit(main())
