"""A layer of LIF neurons behind a Linear layer: one training step beside SpikingJelly and snnTorch.

python -m benchmarks.lif [--quick]

The same weights, inputs, time constant, hard reset that gradients do not go through, and arc tangent on all sides, each in the
form that its own guide shows: SpikingJelly takes the sequence whole (its torch code on the CPU), snnTorch runs Linear and LIF
step by step. A step is forward and backward, in float32; ten of them in a row are timed. Before anything is timed all sides run
in float64, where pre-activations are equal up to rounding, and must give the same spikes and the same gradients: a case whose
sides differ ends the benchmark.

A product of matrices costs the same on all sides; what it alone takes stands in each line, since no layer of neurons can be
faster than nothing.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.harness import Result, exit_code, run_case
from neurokit_snn.snn import LIF

CASES = {"full": ((100, 32, 128), (500, 16, 256), (8, 32, 4096)), "quick": ((20, 4, 32),)}
ALONE = {"full": (100, 1, 32_768), "quick": (20, 1, 256)}
LEAST = {"spikingjelly": (3.0, 3.0, 1.5), "snntorch": (10.0, 10.0, 1.5)}
STEP_CALLS = 1000
STEPS = 10
"""Training steps in a row, as a training makes them; the seconds of a line are those of all of them."""

Layer = Callable[[Tensor, nn.Module], Tensor]
"""From inputs ``(time, batch, feature)`` and what stands before the neurons, spikes of the same shape."""


def flat(before: nn.Module, x: Tensor) -> Tensor:
    """A layer without time on all steps and trials at once."""
    y: Tensor = before(x.flatten(0, 1)).unflatten(0, x.shape[:2])
    return y


def ours() -> Layer:
    lif = LIF(2.0, decay_input=False)
    return lambda x, before: lif(flat(before, x))[0]


def spikingjelly() -> Layer:
    from spikingjelly.activation_based import functional, neuron, surrogate

    lif = neuron.LIFNode(
        tau=2.0, decay_input=False, surrogate_function=surrogate.ATan(), detach_reset=True, step_mode="m"
    )

    def run(x: Tensor, before: nn.Module) -> Tensor:
        functional.reset_net(lif)
        spikes: Tensor = lif(flat(before, x))
        return spikes

    return run


def snntorch() -> Layer:
    from snntorch import Leaky, surrogate

    lif = Leaky(beta=0.5, spike_grad=surrogate.atan(), reset_mechanism="zero")

    def run(x: Tensor, before: nn.Module) -> Tensor:
        membrane, spikes = lif.reset_mem(), []
        for xt in x.unbind(0):
            s, membrane = lif(before(xt), membrane)
            spikes.append(s)
        return torch.stack(spikes)

    return run


SIDES = {"ours": ours, "spikingjelly": spikingjelly, "snntorch": snntorch}


class Case:
    """Inputs, a Linear layer or none, and the gradient that comes from above."""

    def __init__(
        self, steps: int, batch: int, features: int, *, dtype: torch.dtype, linear: bool = True
    ) -> None:
        g = torch.Generator().manual_seed(0)
        shape = (steps, batch, features)
        self.x = torch.randn(shape, generator=g).to(dtype).requires_grad_(not linear)
        self.up = torch.randn(shape, generator=g).to(dtype)
        self.before: nn.Module = nn.Identity()
        if linear:
            weight = 2.0 * torch.randn(features, features, generator=g) / features**0.5
            self.before = nn.Linear(features, features).to(dtype)
            with torch.no_grad():
                self.before.weight.copy_(weight)
                self.before.bias.fill_(0.1)

    def step(self, layer: Layer) -> tuple[Tensor, list[Tensor]]:
        """Spikes, and gradients of the weights or else of the inputs."""
        wanted = list(self.before.parameters()) or [self.x]
        spikes = layer(self.x, self.before)
        return spikes.detach(), list(torch.autograd.grad(spikes, wanted, self.up))


def assert_equal(sizes: tuple[int, int, int], *, linear: bool = True) -> None:
    """All sides give the same spikes and gradients in float64."""
    case = Case(*sizes, dtype=torch.float64, linear=linear)
    spikes, gradients = case.step(ours())
    if not 0.01 < float(spikes.mean()) < 0.99:
        raise AssertionError(f"{sizes}: a case without spikes, or with nothing else, shows nothing")
    for name in ("spikingjelly", "snntorch"):
        theirs, theirs_g = case.step(SIDES[name]())
        if not torch.equal(spikes, theirs.to(spikes.dtype)):
            raise AssertionError(
                f"{sizes}: {int((spikes != theirs).sum())} spikes differ from those of {name}"
            )
        for one, two in zip(gradients, theirs_g, strict=True):
            torch.testing.assert_close(one, two, rtol=1e-7, atol=1e-9, msg=f"{sizes}: gradients of {name}")


def prepare(side: str, case: Case) -> Callable[[], Any]:
    """One side, ready to be timed; its answer is a digest of spikes and gradients."""
    layer = SIDES[side]()
    case.step(layer)  # compiles what there is to compile

    def run() -> list[float]:
        for _ in range(STEPS):
            spikes, gradients = case.step(layer)
        return [float(spikes.sum()), *(float(g.norm()) for g in gradients)]

    return run


def agree(left: Sequence[float], right: Sequence[float]) -> bool:
    """In float32 a membrane within rounding of its threshold may fall on either side of it."""
    return all(abs(one - two) <= 1e-3 * abs(two) for one, two in zip(left, right, strict=True))


def linear_ms(case: Case) -> float:
    """What the Linear layer alone takes, forward and backward."""
    found = []
    for _ in range(6):
        start = time.perf_counter()
        case.step(lambda x, before: flat(before, x))
        found.append(time.perf_counter() - start)
    return 1e3 * statistics.median(found[1:])


def step_by_step(side: str) -> Callable[[], None]:
    """Calls of one step each, as a rule that learns online makes them: 32 trials of 128 neurons, forward."""
    x = torch.randn(1, 32, 128, requires_grad=True)
    layer, before = SIDES[side](), nn.Identity()

    def run() -> None:
        for _ in range(STEP_CALLS):
            layer(x, before)

    run()
    return run


def versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: f"{name} {version(name)}" for name in LEAST}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it runs")
    quick = parser.parse_args(arguments).quick
    size, peers, results = ("quick" if quick else "full"), versions(), []

    def beside(peer: str, label: str, make: Callable[[str], Callable[[], Any]], **how: Any) -> Result:
        return run_case("lif", label, ours=make("ours"), peer=make(peer), peer_name=peers[peer], **how)

    threads = f"{torch.get_num_threads()} threads"
    for at, sizes in enumerate(CASES[size]):
        assert_equal(sizes)
        case = Case(*sizes, dtype=torch.float32)
        label = "Linear + LIF, T{} B{} N{}, {} steps, {} (Linear alone {:.1f} ms)".format(
            *sizes, STEPS, threads, STEPS * linear_ms(case)
        )
        for peer, least in LEAST.items():
            target = 0.1 if quick else least[at]
            results.append(beside(peer, label, lambda s, c=case: prepare(s, c), target=target, agree=agree))
    assert_equal(ALONE[size], linear=False)
    case = Case(*ALONE[size], dtype=torch.float32, linear=False)
    steps, _, cells = ALONE[size]
    label = f"LIF alone, T{steps} x {cells:,}, {STEPS} steps, {threads}"
    for peer in LEAST:  # nothing is promised of it: no slower
        target = 0.1 if quick else 1.0
        results.append(beside(peer, label, lambda s, c=case: prepare(s, c), target=target, agree=agree))
    label = f"LIF, {STEP_CALLS} calls of one step, B32 N128"
    results.append(beside("snntorch", label, step_by_step, target=0.1 if quick else 1.0))
    return exit_code(results)


if __name__ == "__main__":
    sys.exit(main())
