"""Learned delays: what they are worth where only timing tells the answer, and for spoken digits of unheard speakers.

``python -m paper_figures.delays [--claim ID] [--scale small|paper] [--seed N] [--out DIR]``

Hammouamri, Khalfaoui-Hassani and Masquelier, "Learning delays in spiking neural networks using dilated convolutions with
learnable spacings", ICLR (2024). Published are SHD, SSC and speech commands, which take hours on a GPU: here are a task that only
delays can solve, and digits that six people speak, each of whom is held out in turn. Every accuracy is that of rounded delays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from neurokit_snn.snn import published_network
from paper_figures import _delays_spoken, _delays_timing
from paper_figures._delays_picture import draw
from paper_figures._delays_spoken import LEARNED
from paper_figures.harness import Claim, Figure, Run, run_figure

TIMING_SEEDS = 4
SPOKEN_SEEDS = {"small": 3, "paper": 10}
SIZES = {"shd": 214_016, "ssc": 1_230_848, "ssc-2": 2_458_624}
"""Learned numbers of the published networks."""


# ---- only timing ---------------------------------------------------------------------------------------------------


def _timing(run: Run, arm: str) -> list[float]:
    """Accuracies of an arm by seed, rounded; all that was measured is recorded."""
    values = []
    for seed in run.seeds(TIMING_SEEDS):
        for weights in _delays_timing.WEIGHTS:
            found = _delays_timing.timing(run, seed, arm, weights)
            for quantity in ("soft", "rounded"):
                run.record(
                    "delays", quantity=quantity, arm=arm, of=weights, seed=seed, value=float(found[quantity])
                )
        values.append(float(_delays_timing.timing(run, seed, arm, "learned")["rounded"]))
    return values


def _chance(run: Run) -> Claim:
    words = "accuracy where only timing tells ten classes apart, without delays, worst seed"
    return run.judge("delays.none", words, _timing(run, "no delays"), op="<=", target=0.15, reduce=np.max)


def _gained(run: Run) -> Claim:
    learned, fixed = _timing(run, "learned, annealed"), _timing(run, "fixed random")
    words = "the same with learned delays, rounded, more than with fixed random ones"
    return run.judge("delays.learned", words, np.subtract(learned, fixed), op=">=", target=0.10, surely=True)


def _annealed(run: Run) -> Claim:
    annealed, constant = _timing(run, "learned, annealed"), _timing(run, "learned, constant width")
    words = "the same with bumps whose width comes down, more than with narrow ones from the start"
    return run.judge("delays.annealed", words, np.subtract(annealed, constant), op=">=", target=-0.01)


# ---- spoken digits -------------------------------------------------------------------------------------------------


def _spoken(run: Run, arm: str) -> list[float]:
    """Accuracies on each speaker who is held out, means over seeds; all that was measured is recorded."""
    values = []
    for speaker in _delays_spoken.speakers()[: 1 if run.dry_run else None]:
        found = []
        for seed in run.seeds(SPOKEN_SEEDS[run.scale]):
            one = _delays_spoken.spoken(run, speaker, arm, seed)
            for quantity in one.data_vars:
                run.record(
                    "delays_real",
                    quantity=str(quantity),
                    arm=arm,
                    of=speaker,
                    seed=seed,
                    value=float(one[quantity]),
                )
            found.append(float(one["accuracy"]))
        values.append(float(np.mean(found)))
    return values


def _beside(arm: str, name: str) -> Callable[[Run], Claim]:
    def claim(run: Run) -> Claim:
        more = np.subtract(_spoken(run, LEARNED), _spoken(run, arm))
        words = (
            f"digits of a speaker unheard: accuracy with learned delays more than with {arm}, six speakers"
        )
        return run.judge(f"delays_real.{name}", words, more, op=">", target=0.0, surely=True)

    return claim


def _sizes(run: Run) -> Claim:
    found = {name: sum(p.numel() for p in published_network(name).parameters()) for name in SIZES}
    for name, number in found.items():
        run.record("delays_real.sizes", quantity="numbers", arm=name, seed=run.seed, value=number)
    off = [abs(found[name] - wanted) for name, wanted in SIZES.items()]
    words = "learned numbers of the published networks of SHD and SSC, away from those published, most"
    return run.judge("delays_real.sizes", words, [max(off)], op="<=", target=0.0)


CLAIMS: dict[str, Callable[[Run], Claim]] = {
    "delays.none": _chance,
    "delays.learned": _gained,
    "delays.annealed": _annealed,
    "delays_real.rates": _beside("rates", "rates"),
    "delays_real.recurrent": _beside("recurrent", "recurrent"),
    "delays_real.none": _beside("no delays", "none"),
    "delays_real.fixed": _beside("fixed delays", "fixed"),
    "delays_real.fixed_wide": _beside("fixed delays, twice the units", "fixed_wide"),
    "delays_real.sizes": _sizes,
}

FIGURE = Figure(
    name="delays",
    paper="Hammouamri et al. (2024), Learning delays in spiking neural networks using dilated convolutions with learnable "
    "spacings, ICLR",
    claims=CLAIMS,
    picture=draw,
)


def main(words: Sequence[str] | None = None) -> int:
    """Run the figure."""
    return run_figure(FIGURE, words)


if __name__ == "__main__":
    raise SystemExit(main())
