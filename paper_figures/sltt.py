"""SLTT: gradients inside each step in place of gradients through time; how near they are, what they cost, and where they fail.

``python -m paper_figures.sltt [--claim ID] [--scale small|paper] [--seed N] [--out DIR]``

Meng, Xiao, Yan, Wang, Lin and Luo, "Towards memory- and time-efficient backpropagation for training spiking neural networks",
ICCV (2023). The published experiments take days on a GPU: here are small networks on MNIST, on digits seen by an event camera and
on a recording, where the gradient of BPTT can be had beside that of SLTT.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from paper_figures._sltt_costs import counted, held
from paper_figures._sltt_encoder import encoder
from paper_figures._sltt_gradients import LEAKS, RULES, fit
from paper_figures._sltt_picture import draw
from paper_figures._sltt_recall import CHANCE, recall
from paper_figures._sltt_recall import RULES as RECALLING
from paper_figures.harness import Claim, Figure, Run, run_figure

SEEDS = {"small": 3, "paper": 5}
FLAT = 1.05
KINDS = ("sltt", "sltt_detached", "ottt", "held")
"""SLTT, the same against a BPTT whose reset is detached, OTTT, and SLTT where inputs are held at their mean over time."""


# ---- nearness ------------------------------------------------------------------------------------------------------


def _nearness(run: Run, claim: str, of: str, seed: int, leak: float, kind: str = "sltt") -> float:
    """Least cosine over layers and numbers of steps, each a mean over minibatches, of a network that SLTT trained."""
    found = fit(run, of, seed, leak, "SLTT")
    for each in KINDS:
        if f"cosine_{each}" not in found:
            continue
        mean = found[f"cosine_{each}"].mean("batch")
        for steps in mean["steps"].values.tolist():
            for layer in mean["layer"].values.tolist()[:-1]:
                words = f"{of}, leak {leak:.2f}, T = {steps}, layer {layer}"
                value = float(mean.sel(steps=steps, layer=layer))
                run.record(claim, quantity="cosine", arm=each, of=words, seed=seed, value=value)
    # The scores have no memory, so that the gradient of the last layer is the same by any rule.
    return float(found[f"cosine_{kind}"].mean("batch").isel(layer=slice(0, -1)).min())


def _cosine(
    name: str, of: str, leaks: Sequence[float], target: float, kind: str = "sltt"
) -> Callable[[Run], Claim]:
    def claim(run: Run) -> Claim:
        values = [
            min(_nearness(run, f"SLTT.{name}", of, seed, leak, kind) for leak in leaks)
            for seed in run.seeds(SEEDS[run.scale])
        ]
        told = " and ".join(f"{leak:.2f}" for leak in leaks)
        how = ", every input held at its mean over time" if kind == "held" else ""
        words = f"cosine of SLTT's gradient to the whole BPTT's after training, least over layers, leak {told}, {of}{how}"
        return run.judge(f"SLTT.{name}", words, values, op=">=", target=target)

    return claim


def _encoder(run: Run) -> Claim:
    """Cosines of the fit by BPTT; what the fits by other rules are worth is recorded beside it."""
    values = []
    for seed in run.seeds(SEEDS[run.scale]):
        found = encoder(run, seed, "BPTT")
        for kind in ("sltt", "ottt"):
            for layer, value in enumerate(found[f"cosine_{kind}"].mean("batch").values, 1):
                of = f"encoder, layer {layer}"
                run.record("SLTT.encoder", quantity="cosine", arm=kind, of=of, seed=seed, value=value)
        for rule in ("BPTT", "SLTT", "OTTT"):
            bits = float(encoder(run, seed, rule)["bits"])
            run.record("SLTT.encoder", quantity="bits/spike", arm=rule, of="encoder", seed=seed, value=bits)
        values.append(float(found["cosine_sltt"].mean("batch").min()))
    words = "the same for a SpikingEncoder of linear-track, membranes and readout of 100 ms in bins of 10 ms"
    return run.judge("SLTT.encoder", words, values, op=">=", target=0.80)


# ---- accuracy ------------------------------------------------------------------------------------------------------


def _accuracy(name: str, rule: str) -> Callable[[Run], Claim]:
    def claim(run: Run) -> Claim:
        values = []
        for seed in run.seeds(SEEDS[run.scale]):
            differences = []
            for leak in LEAKS:
                found = {each: float(fit(run, "mnist", seed, leak, each)["test_accuracy"]) for each in RULES}
                for each, value in found.items():
                    of = f"mnist, leak {leak:.2f}"
                    run.record("SLTT.accuracy", quantity="accuracy", arm=each, of=of, seed=seed, value=value)
                differences.append(abs(found[rule] - found["BPTT"]))
            values.append(max(differences))
        words = f"accuracy on MNIST by {rule} away from that by BPTT, largest over leaks"
        return run.judge(f"SLTT.{name}", words, values, op="<=", target=0.015)

    return claim


# ---- cost ----------------------------------------------------------------------------------------------------------


def _multiplications(run: Run) -> Claim:
    found = counted(run, "SLTT.multiplications")
    values = [max(found[name]) / min(found[name]) for name in ("SLTT-1", "SLTT-4")]
    words = "multiplications of SLTT-1 and SLTT-4 backward, most over least for T from 4 to 64"
    return run.judge("SLTT.multiplications", words, [max(values)], op="<=", target=1.0)


def _flat(run: Run) -> Claim:
    found = held(run, "sltt_memory.flat", ("SLTT", "SLTT-1", "OTTT"))
    values = [max(sizes.values()) / min(sizes.values()) for sizes in found.values()]
    words = "bytes that the graph holds by SLTT, SLTT-1 and OTTT, most over least for T from 4 to 64"
    return run.judge("sltt_memory.flat", words, [max(values)], op="<=", target=FLAT)


def _growth(run: Run) -> Claim:
    found = held(run, "sltt_memory.growth", ("BPTT",))["BPTT"]
    words = "bytes that the graph holds by BPTT at T = 32 over those at T = 8, away from 4"
    return run.judge("sltt_memory.growth", words, [abs(found[32] / found[8] - 4.0)], op="<=", target=0.5)


# ---- failure -------------------------------------------------------------------------------------------------------


def _recalled(run: Run, claim: str, rule: str) -> tuple[list[float], list[float]]:
    """Accuracies and first gradients, by seed."""
    accuracy, first = [], []
    for seed in run.seeds(SEEDS[run.scale]):
        found = recall(run, seed, rule)
        accuracy.append(float(found["test_accuracy"]))
        first.append(float(found["first_gradient"]))
        run.record(claim, quantity="accuracy", arm=rule, of="recall", seed=seed, value=accuracy[-1])
        run.record(claim, quantity="first gradient", arm=rule, of="recall", seed=seed, value=first[-1])
    return accuracy, first


def _recall(run: Run) -> Claim:
    for rule in RECALLING:
        _recalled(run, "SLTT.recall", rule)
    values, _ = _recalled(run, "SLTT.recall", "SLTT")
    words = "accuracy by SLTT where a digit is shown at the first step and asked for at the tenth (chance .1)"
    return run.judge("SLTT.recall", words, values, op="<=", target=CHANCE + 0.05)


def _recall_bptt(run: Run) -> Claim:
    values, _ = _recalled(run, "SLTT.recall_bptt", "BPTT")
    return run.judge("SLTT.recall_bptt", "the same by BPTT", values, op=">=", target=0.8)


def _recall_gradient(run: Run) -> Claim:
    _, first = _recalled(run, "SLTT.recall_gradient", "SLTT")
    _, other = _recalled(run, "SLTT.recall_gradient", "BPTT")
    share = [a / b if b else np.nan for a, b in zip(first, other, strict=True)]
    words = "largest gradient of the first layer by SLTT over that by BPTT, before training"
    return run.judge("SLTT.recall_gradient", words, share, op="<=", target=0.0)


CLAIMS: dict[str, Callable[[Run], Claim]] = {
    "SLTT.cosine_low": _cosine("cosine_low", "mnist", LEAKS[:2], 0.97),
    "SLTT.cosine_high": _cosine("cosine_high", "mnist", LEAKS[2:], 0.80),
    "SLTT.accuracy_sltt": _accuracy("accuracy_sltt", "SLTT"),
    "SLTT.accuracy_sltt_1": _accuracy("accuracy_sltt_1", "SLTT-1"),
    "SLTT.multiplications": _multiplications,
    "SLTT.nmnist_published": _cosine("nmnist_published", "nmnist", LEAKS[:1], 0.97),
    "SLTT.nmnist_low": _cosine("nmnist_low", "nmnist", LEAKS[1:2], 0.97),
    "SLTT.nmnist_high": _cosine("nmnist_high", "nmnist", LEAKS[2:], 0.80),
    "SLTT.nmnist_held": _cosine("nmnist_held", "nmnist", LEAKS, 0.80, "held"),
    "SLTT.encoder": _encoder,
    "SLTT.recall": _recall,
    "SLTT.recall_bptt": _recall_bptt,
    "SLTT.recall_gradient": _recall_gradient,
    "sltt_memory.flat": _flat,
    "sltt_memory.growth": _growth,
}

FIGURE = Figure(
    name="sltt",
    paper="Meng et al. (2023), Towards memory- and time-efficient backpropagation for training spiking neural networks, ICCV",
    claims=CLAIMS,
    picture=draw,
)


def main(words: Sequence[str] | None = None) -> int:
    """Run the figure."""
    return run_figure(FIGURE, words)


if __name__ == "__main__":
    raise SystemExit(main())
