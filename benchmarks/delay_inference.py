"""Rounded delays gathered synapse by synapse, beside the dense convolution over time that they were trained with.

A layer of 256 x 256 units with 25 delays hears 64 trials of 100 steps: spikes at three rates, and numbers where every input
counts. The peer has its kernels ready and its input in the layout it likes; ours starts from what a network hands on, and packs
it itself. The last case is our own training path, which convolves in the frequency domain: what rounding is worth against that.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from benchmarks.harness import exit_code, run_case
from neurokit_snn.snn import Delays, soft_delays

UNITS, WINDOW, STEPS, TRIALS = 256, 25, 100, 64
TARGET = 3.0


def inputs(rate: float | None, *, units: int) -> Tensor:
    """Spikes ``(time, trial, unit)`` at so many a step; standard normal numbers for None."""
    generator = torch.Generator().manual_seed(0)
    size = (STEPS, TRIALS, units)
    if rate is None:
        return torch.randn(size, generator=generator)
    return (torch.rand(size, generator=generator) < rate).float()


def layer_of(units: int) -> Delays:
    """The layer, with whole delays in every place of the window."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        layer = Delays(units, units, window=WINDOW, shape="triangle", sigma=0.0, final_sigma=0.0).eval()
        layer.set_delays(torch.randint(0, WINDOW, (1, units, units)).float())
    return layer


def rounded(layer: Delays, x: Tensor) -> Callable[[], Tensor]:
    """Ours."""

    @torch.inference_mode()
    def run() -> Tensor:
        return layer(x)[0]

    run()
    return run


def dense(layer: Delays, x: Tensor) -> Callable[[], Tensor]:
    """The peer: one convolution with kernels that are 0 but for one lag."""
    kernel = torch.zeros(*layer.weight.shape[1:], WINDOW)
    at = (WINDOW - 1 - layer.delays[0]).long()
    kernel.scatter_(2, at[..., None], layer.weight.detach()[0, :, :, None])
    padded = torch.nn.functional.pad(x.permute(1, 2, 0), (WINDOW - 1, 0)).contiguous()

    @torch.inference_mode()
    def run() -> Tensor:
        return torch.nn.functional.conv1d(padded, kernel)

    run()
    return run


def soft(layer: Delays, x: Tensor) -> Callable[[], Tensor]:
    """The other peer: the path of our training, where a triangle of no width stands for a whole delay."""

    @torch.inference_mode()
    def run() -> Tensor:
        with soft_delays(layer):
            return layer(x)[0]

    run()
    return run


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few units: shows that it runs")
    options = parser.parse_args(arguments)
    units = 32 if options.quick else UNITS
    layer, results = layer_of(units), []
    for rate in (0.05, 0.1, 0.2, None):
        x = inputs(rate, units=units)
        told = "normal numbers" if rate is None else f"spikes at {rate:g} a step"
        results.append(
            run_case(
                "delay_inference",
                f"{units} x {units}, K={WINDOW}, {TRIALS} trials of {STEPS} steps, {told}",
                ours=rounded(layer, x),
                peer=dense(layer, x),
                peer_name=f"torch conv1d {torch.__version__}",
                target=1.0 if options.quick else TARGET,
                repeats=9,
                agree=lambda a, b: torch.allclose(a, b.permute(2, 0, 1), rtol=1e-4, atol=1e-4),
            )
        )
    x = inputs(0.1, units=units)
    results.append(
        run_case(
            "delay_inference",
            f"{units} x {units}, K={WINDOW}, spikes at 0.1 a step, beside the path of the training",
            ours=rounded(layer, x),
            peer=soft(layer, x),
            peer_name="neurokit_snn, frequency domain",
            target=0.0 if options.quick else 1.0,
            repeats=9,
            agree=lambda a, b: torch.allclose(a, b, rtol=1e-4, atol=1e-4),
        )
    )
    return exit_code(results)


if __name__ == "__main__":
    sys.exit(main())
