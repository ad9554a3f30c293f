"""Neuroformer: sampling with kept keys beside none kept, a training of the preset "small", cost by length of a modality.

python -m benchmarks.generation [--quick]

Both samplers draw the same 512 tokens for each of eight windows, from the same numbers, and must give the same spikes. The
peer is the plain reference: the whole sequence through the network again for every token, as in the published code. The
network's last row of weights is set so that a window ends only when its context is full. Cost by length is that of a forward
pass over 64 windows whose behaviour has 128 to 1024 bins.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from benchmarks.harness import Result, exit_code, run_case
from neurokit_snn import recording
from neurokit_snn.models.neuroformer.batch import Batch, Series
from neurokit_snn.models.neuroformer.model import Neuroformer
from neurokit_snn.models.neuroformer.network import Network
from neurokit_snn.models.neuroformer.sampling import Decoding, sample_windows
from neurokit_snn.models.neuroformer.spec import Dropout, Input, Layers, Spec
from neurokit_snn.models.neuroformer.tokens import next_token
from simulations.hub_network import HubConfig, simulate

UNITS = 60
WINDOWS = 8
SMALL_FIT_S = 180.0
STEEPEST = 1.1
LENGTHS = {"full": (128, 256, 512, 1024), "quick": (64, 128)}
CONTEXT = {"full": 512, "quick": 64}


def spec_of(*, max_tokens: int, inputs: tuple[Input, ...] = (), window: int = 20) -> Spec:
    """The sizes of the preset "small"."""
    return Spec(
        n_units=UNITS,
        window=window,
        past=20,
        max_tokens=max_tokens,
        max_past_tokens=64,
        embed=64,
        heads=4,
        layers=Layers(state=1, history=1, stimulus=1, behavior=1, joint=1),
        dropout=Dropout(attention=0.0, residual=0.0, embedding=0.0),
        temporal="sinusoid",
        hidden=64,
        kernel=(3, 5, 5),
        inputs=inputs,
        outputs=(),
        contrast=0,
        temperature=0.5,
        learn_temperature=False,
        ordered=False,
        strict=False,
    )


def network_of(spec: Spec, *, endless: bool = False) -> Network:
    """Random weights; ``endless``: the end of the window never comes."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Network(spec)
        for parameter in network.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.1)
    network.eval()
    if endless:
        network.unit_head = _Endless(network.unit_head)
    return network


class _Endless(torch.nn.Module):
    """A head whose last logit is out of reach."""

    def __init__(self, head: torch.nn.Module) -> None:
        super().__init__()
        self.head = head
        self.weight = head.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(x)
        logits[..., -1] = -60.0
        return logits


def batch_of(spec: Spec, rows: int) -> Batch:
    """Windows with 40 past spikes each and no spikes of their own."""
    g = torch.Generator().manual_seed(0)
    past = torch.randint(0, spec.n_units, (rows, 40), generator=g)
    bins = torch.randint(0, spec.past, (rows, 40), generator=g).sort(1).values
    first = torch.full((rows, 1), spec.sos)
    inputs = {}
    for entry in spec.inputs:
        values = torch.randn(rows, entry.bins + spec.window, entry.width, generator=g)
        inputs[entry.name] = Series(values, torch.ones(values.shape[:2], dtype=torch.bool))
    return Batch(
        id=first,
        dt=torch.zeros_like(first),
        n_tokens=torch.zeros(rows, dtype=torch.long),
        past_id=torch.cat([first, past], 1),
        past_dt=torch.cat([torch.zeros_like(first), bins], 1),
        allowed=None,
        inputs=inputs,
        outputs={},
    )


@torch.inference_mode()
def uncached(network: Network, batch: Batch, *, generator: torch.Generator) -> torch.Tensor:
    """Counts ``(row, bin, unit)``: every token from a pass over the whole sequence before it."""
    spec, rows = network.spec, len(batch)
    id, dt = batch.id, batch.dt
    counts = torch.zeros(rows, spec.window, spec.n_units, dtype=torch.int32)
    at = torch.arange(rows)
    for number in range(spec.max_tokens):
        whole = dataclasses.replace(batch, id=id, dt=dt, n_tokens=torch.full((rows,), number))
        logits = network.logits(network(whole).x[:, -1:])
        found = next_token(spec, *logits, last_id=id[:, -1:], last_dt=dt[:, -1:], allowed=None)
        uniform = torch.rand(rows, 3, generator=generator).double()
        mass = found.bin_mass[:, 0].double().cumsum(-1)
        bin = torch.searchsorted(mass, uniform[:, 1:2] * mass[:, -1:], right=True)[:, 0]
        mass = found.unit[:, 0].double().cumsum(-1)
        unit = torch.searchsorted(mass, uniform[:, 2:] * mass[:, -1:], right=True)[:, 0]
        counts[at, bin, unit] += 1
        id, dt = torch.cat([id, unit[:, None]], 1), torch.cat([dt, bin[:, None]], 1)
    return counts


def prepare(side: str, max_tokens: int) -> Callable[[], Any]:
    """One side, ready to be timed; its answer is the sum of counts by bin and unit."""
    spec = spec_of(max_tokens=max_tokens)
    network, batch = network_of(spec, endless=True), batch_of(spec, WINDOWS)

    def run() -> list[int]:
        generator = torch.Generator().manual_seed(1)
        if side == "ours":
            found = sample_windows(network, batch, generator=generator, decoding=Decoding()).counts
        else:
            found = uncached(network, batch, generator=generator)
        return [int(x) for x in found.flatten()]

    return run


def seconds_of(length: int) -> float:
    """A forward pass over windows whose behaviour has so many bins, median of seven."""
    entry = Input(name="behavior_speed", form="series", width=1, bins=length - 20)
    spec = spec_of(max_tokens=64, inputs=(entry,))
    network, batch = network_of(spec), batch_of(spec, 64)
    g = torch.Generator().manual_seed(2)
    flat = torch.randint(0, spec.window * UNITS, (64, 48), generator=g).sort(1).values
    batch = dataclasses.replace(
        batch,
        id=torch.cat([batch.id, flat % UNITS], 1),
        dt=torch.cat([batch.dt, flat // UNITS], 1),
        n_tokens=torch.full((64,), 48),
    )
    found = []
    with torch.inference_mode():
        network(batch)
        for _ in range(7):
            start = time.perf_counter()
            network(batch)
            found.append(time.perf_counter() - start)
    return statistics.median(found)


def by_length(lengths: Sequence[int]) -> Result:
    """How the cost grows with the length of a modality."""
    seconds = [seconds_of(length) for length in lengths]
    slope = float(np.polyfit(np.log(lengths), np.log(seconds), 1)[0])
    told = ", ".join(f"{n}: {1e3 * s:.0f} ms" for n, s in zip(lengths, seconds, strict=True))
    return _line(f"cost by bins of a behaviour ({told})", seconds[-1], slope=slope, holds=slope <= STEEPEST)


def small_fit(*, quick: bool) -> Result:
    """1,500 steps of the preset "small" on 320 s of the hub network."""
    duration = 20.0 if quick else 320.0
    tree = simulate(HubConfig(duration=duration))
    data = recording.windows(tree, 0.01, length=20.0, start=0.0, stop=duration)
    steps = 20 if quick else 1500
    model = Neuroformer(window=0.05, past=0.1, covariates=(), binary=True, steps=steps)
    start = time.perf_counter()
    model.fit(data, progress=sys.stderr.isatty())
    seconds = time.perf_counter() - start
    case = f'preset "small", {steps} steps, {torch.get_num_threads()} threads'
    return _line(case, seconds, slope=None, holds=seconds <= SMALL_FIT_S)


def _line(case: str, seconds: float, *, slope: float | None, holds: bool) -> Result:
    target = SMALL_FIT_S if slope is None else STEEPEST
    rounded = None if slope is None else round(slope, 3)
    found = Result(
        "generation", case, round(seconds, 4), None, None, None, None, None, rounded, target, holds
    )
    print(json.dumps(asdict(found)), flush=True)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it runs")
    options = parser.parse_args(arguments)
    size = "quick" if options.quick else "full"
    context = CONTEXT[size]
    results = [
        run_case(
            "generation",
            f"{WINDOWS} windows of {context} tokens, keys kept beside none kept",
            ours=prepare("ours", context),
            peer=prepare("peer", context),
            peer_name="the whole sequence again for each token",
            target=1.0 if options.quick else 10.0,
            agree=lambda ours, theirs: ours == theirs,
        ),
        by_length(LENGTHS[size]),
        small_fit(quick=options.quick),
    ]
    return exit_code(results)


if __name__ == "__main__":
    sys.exit(main())
