"""Small networks with random weights, and windows for them."""

from __future__ import annotations

import dataclasses

import pytest

pytest.importorskip("torch")

import torch

from neurokit_snn.models.neuroformer.batch import Batch, Series
from neurokit_snn.models.neuroformer.network import Network
from neurokit_snn.models.neuroformer.spec import Dropout, Input, Layers, Output, Spec

SPEC = Spec(
    n_units=5,
    window=6,
    past=4,
    max_tokens=40,
    max_past_tokens=30,
    embed=16,
    heads=2,
    layers=Layers(state=2, history=1, stimulus=1, behavior=1, joint=2),
    dropout=Dropout(attention=0.0, residual=0.0, embedding=0.0),
    temporal="sinusoid",
    hidden=8,
    kernel=(3, 2, 2),
    inputs=(
        Input(name="stimulus_movie", form="frames", width=16, bins=2, shape=(4, 4, 1)),
        Input(name="behavior_speed", form="series", width=1, bins=3),
    ),
    outputs=(Output(name="behavior_position", kind="gaussian", width=2),),
    contrast=8,
    temperature=0.5,
    learn_temperature=True,
    ordered=True,
    strict=False,
)


@pytest.fixture
def spec() -> Spec:
    """Frames, a series, an output, contrast: everything there is."""
    return SPEC


@pytest.fixture
def make_network():
    """A network whose weights are large enough for every path to matter."""

    def make(spec: Spec = SPEC, *, seed: int = 0, sd: float = 0.3, double: bool = False) -> Network:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = Network(spec)
            for name, parameter in network.named_parameters():
                if parameter.ndim > 1 or "null" in name:
                    torch.nn.init.normal_(parameter, std=sd)
        return (network.double() if double else network).eval()

    return make


@pytest.fixture
def make_batch():
    """Random windows in canonical order, of unequal length, with padding."""

    def make(
        spec: Spec = SPEC, *, rows: int = 4, tokens: int = 7, seed: int = 0, double: bool = False
    ) -> Batch:
        g = torch.Generator().manual_seed(seed)
        kind = torch.float64 if double else torch.float32

        def sequence(bins: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            number = torch.randint(1, tokens + 1, (rows,), generator=g)
            number[0] = tokens
            flat = torch.randint(0, bins * spec.n_units, (rows, tokens), generator=g)
            place = torch.arange(tokens) < number[:, None]
            flat = torch.where(place, flat, bins * spec.n_units).sort(1).values  # missing ones last
            ids = torch.where(place, flat % spec.n_units, spec.pad)
            dts = torch.where(place, flat // spec.n_units, 0)
            first = torch.full((rows, 1), spec.sos)
            return torch.cat([first, ids], 1), torch.cat([torch.zeros_like(first), dts], 1), number

        id, dt, number = sequence(spec.window)
        past_id, past_dt, _ = sequence(spec.past)
        inputs = {}
        for entry in spec.inputs:
            shape = entry.shape or (entry.width,)
            values = torch.randn(rows, entry.bins + spec.window, *shape, generator=g).to(kind)
            inputs[entry.name] = Series(values, torch.ones(values.shape[:2], dtype=torch.bool))
        outputs = {
            o.name: Series(
                torch.randn(rows, o.width, generator=g).to(kind), torch.ones(rows, dtype=torch.bool)
            )
            for o in spec.outputs
        }
        return Batch(
            id=id,
            dt=dt,
            n_tokens=number,
            past_id=past_id,
            past_dt=past_dt,
            allowed=None,
            inputs=inputs,
            outputs=outputs,
        )

    return make


@pytest.fixture
def changed():
    """A copy of a frozen dataclass with other fields."""
    return dataclasses.replace
