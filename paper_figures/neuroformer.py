"""Neuroformer: what a generative transformer of spikes learns of networks, stimuli and behaviour, beside simpler models.

``python -m paper_figures.neuroformer [--claim ID] [--scale small|paper] [--seed N] [--out DIR]``

Antoniades, Yu, Canzano, Wang and Smith, "Neuroformer: multimodal and multitask generative pretraining for brain data", ICLR
(2024). The published recordings are not to be had, so the simulated network with hubs and a recorded one, `linear-track`, take
their place; all splits are blocked, all models see the same bins, and what is compared is held out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from paper_figures._neuroformer_decoding import ARMS as LABELLED
from paper_figures._neuroformer_decoding import LABEL_SEEDS, few_labels, on_the_track
from paper_figures._neuroformer_hub import GATED, RETRIEVED, modal, reference
from paper_figures._neuroformer_picture import draw
from paper_figures.harness import Claim, Figure, Run, run_figure

SEEDS = {"small": 3, "paper": 5}
HALF_SEEDS = (1, 2, 3)
"""Networks of which half is observed and a hub among it: seed 0 has none."""
NATS = "nats a bin"


# ---- likelihood ----------------------------------------------------------------------------------------------------


def _nats(run: Run, claim: str, seed: int, found: xr.Dataset, of: str) -> dict[str, float]:
    """Negative log-likelihood a bin of every model, recorded."""
    made = {}
    for name in ("homogeneous", "glm", "neuroformer", "oracle"):
        made[name] = -float(found[name] / found["bins"])
        run.record(claim, quantity=NATS, arm=name, of=of, seed=seed, value=made[name])
    run.record(claim, quantity="seconds", arm="neuroformer", of=of, seed=seed, value=float(found["seconds"]))
    return made


def _hub(run: Run) -> Claim:
    values = []
    for seed in run.seeds(SEEDS[run.scale]):
        nats = _nats(run, "likelihood.hub", seed, reference(run, seed), "hub network")
        values.append((nats["homogeneous"] - nats["neuroformer"]) / (nats["homogeneous"] - nats["glm"]))
    words = "share of the Bernoulli GLM's gain over constant rates, held out, hub network of 400 s"
    return run.judge("likelihood.hub", words, values, op=">=", target=0.85)


def _gated(run: Run) -> Claim:
    values = []
    for seed in run.seeds(SEEDS[run.scale]):
        nats = _nats(run, "likelihood.gated", seed, reference(run, seed, **GATED), "gated network")
        values.append(1.0 - nats["neuroformer"] / nats["glm"])
    words = (
        "held-out NLL below the GLM's (which knows the state), as a share, where a state gates the coupling"
    )
    return run.judge("likelihood.gated", words, values, op=">=", target=0.02)


# ---- connectivity --------------------------------------------------------------------------------------------------

METHODS = ("attention", "gradient", "perturbation", "lagged_correlation", "glm")
SCORES = ("auc", "column_auc", "hubs_found", "hubs", "direction", "sign")


def _scores(run: Run, seeds: Sequence[int], of: str, **options: object) -> dict[str, np.ndarray]:
    """Scores ``(seed,)`` of every method under ``METHOD SCORE``, recorded."""
    found: dict[str, list[float]] = {}
    for seed in seeds:
        scores = reference(run, seed, **options)
        for method in METHODS:
            for score in SCORES:
                value = float(scores[score].sel({"method": method}))
                run.record("connectivity", quantity=score, arm=method, of=of, seed=seed, value=value)
                found.setdefault(f"{method} {score}", []).append(value)
    return {name: np.array(values) for name, values in found.items()}


def _connectivity(score: str, method: str, target: float) -> Callable[[Run], Claim]:
    said = {
        "auc": "AUC of true connections, off the diagonal",
        "column_auc": "the same after each source is standardised, which takes away mere hub detection",
        "hubs_found": "true hubs among the three units that drive most",
        "direction": "share of one-way connections whose direction is found",
    }

    def claim(run: Run) -> Claim:
        found = _scores(run, run.seeds(SEEDS[run.scale]), "hub network")[f"{method} {score}"]
        kind = f"connectivity.{score}" if method == "attention" else f"connectivity.{method}_{score}"
        return run.judge(kind, f"{said[score]}, by {method}", found, op=">=", target=target)

    return claim


def _other_networks(run: Run) -> Claim:
    """Reported: inhibition, and networks of which half is observed."""
    _scores(run, run.seeds(SEEDS[run.scale]), "with inhibition", inhibition=True)
    seeds = HALF_SEEDS[: 1 if run.dry_run else SEEDS[run.scale]]
    found = _scores(run, seeds, "half observed", observed=0.5)["perturbation auc"]
    words = "AUC by perturbation where half of the units is not observed (inhibition and other methods are in the table)"
    return run.judge("connectivity.half", words, found, op=">=", target=0.9)


# ---- generation ----------------------------------------------------------------------------------------------------


def _generated(run: Run, claim: str) -> dict[int, xr.Dataset]:
    found = {}
    for seed in run.seeds(SEEDS[run.scale]):
        both = reference(run, seed)
        found[seed] = both.sel(mode="free-running")
        for mode in both["mode"].values:
            one = both.sel(mode=mode)
            for name in (
                "fano_ratio",
                "fano_ratio_population",
                "isi_distance",
                "correlogram_error",
                "correlogram_size",
            ):
                run.record(claim, quantity=name, arm=str(mode), seed=seed, value=float(one[name]))
            error = np.abs(one["rate_error"])
            run.record(
                claim, quantity="rate error, mean", arm=str(mode), seed=seed, value=float(error.mean())
            )
            run.record(
                claim, quantity="rate error, worst", arm=str(mode), seed=seed, value=float(error.max())
            )
    return found


def _rates(run: Run) -> Claim:
    found = _generated(run, "generation")
    values = [float(np.abs(one["rate_error"]).mean()) for one in found.values()]
    words = "mean over units of the relative error of free-running rates, against the held-out half"
    return run.judge("generation.rates", words, values, op="<=", target=0.10)


def _fano(run: Run) -> Claim:
    found = _generated(run, "generation")
    values = [abs(float(one["fano_ratio"]) - 1.0) for one in found.values()]
    words = "relative error of the free-running Fano factor (1 s, mean over units)"
    return run.judge("generation.fano", words, values, op="<=", target=0.20)


# ---- modalities ----------------------------------------------------------------------------------------------------

STEPS = (("past", "window"), ("stimulus", "past"), ("behavior", "stimulus"), ("contrast", "behavior"))


def _modal_nats(run: Run, seed: int, name: str) -> float:
    found = modal(run, seed, name)
    value = -float(found["nats"] / found["bins"])
    run.record("ablation", quantity=NATS, arm=name, of="driven network", seed=seed, value=value)
    return value


def _step(added: str, before: str) -> Callable[[Run], Claim]:
    def claim(run: Run) -> Claim:
        values = []
        for seed in run.seeds(SEEDS[run.scale]):
            nats = {name: _modal_nats(run, seed, name) for name in (before, added)}
            values.append(1.0 - nats[added] / nats[before])
        hurts = added == "contrast"
        words = f"held-out NLL saved by adding {added}, as a share"
        return run.judge(
            f"ablation.{added}",
            words,
            values,
            op=">=" if hurts else ">",
            target=-0.01 if hurts else 0.0,
            surely=not hurts,
        )

    return claim


def _given(run: Run) -> Claim:
    values = []
    for seed in run.seeds(SEEDS[run.scale]):
        without, given = (_modal_nats(run, seed, name) for name in ("past", "stimulus"))
        values.append(1.0 - given / without)
    return run.judge(
        "modality.given",
        "held-out NLL saved by a stimulus that drives the units, as a share",
        values,
        op=">=",
        target=0.05,
    )


def _shuffled(run: Run) -> Claim:
    values = []
    for seed in run.seeds(SEEDS[run.scale]):
        without, found = _modal_nats(run, seed, "past"), modal(run, seed, "stimulus")
        shuffled = -float(found["shuffled"] / found["bins"])
        run.record(
            "modality",
            quantity=NATS,
            arm="stimulus, shuffled",
            of="driven network",
            seed=seed,
            value=shuffled,
        )
        values.append(1.0 - shuffled / without)
    words = "the same where the stimulus of another time is given at test: nothing is saved"
    return run.judge("modality.shuffled", words, values, op="<=", target=0.0)


def _retrieval(run: Run) -> Claim:
    values = []
    for seed in run.seeds(SEEDS[run.scale]):
        value = float(modal(run, seed, "contrast")["retrieval"]) * RETRIEVED
        run.record("modality", quantity="retrieval over chance", seed=seed, value=value)
        values.append(value)
    words = f"how often held-out spikes find their stimulus among {RETRIEVED}, over chance"
    return run.judge("modality.retrieval", words, values, op=">=", target=5.0)


# ---- few labels ----------------------------------------------------------------------------------------------------


def _few(of: str) -> Callable[[Run], Claim]:
    def claim(run: Run) -> Claim:
        values = []
        for seed in run.seeds(LABEL_SEEDS[run.scale]):
            found = few_labels(run, of, seed)
            r = {name: float(found[name]) for name in LABELLED}
            for name, value in r.items():
                run.record("fewshot", quantity="r", arm=name, of=of, seed=seed, value=value)
            values.append(r["pretrained"] - r["scratch"])
        words = f"r of held-out decoding with 5% of the labels, pretrained minus from scratch, {of}"
        return run.judge(f"fewshot.{of}", words, values, op=">=", target=0.1, surely=False)

    return claim


# ---- a recording ---------------------------------------------------------------------------------------------------


def _real(name_of: str, task: str, metric: str, other: str) -> Callable[[Run], Claim]:
    def claim(run: Run) -> Claim:
        table = on_the_track(run, task)
        for name in table["model"].values:
            one = table.sel(model=name, metric=metric)
            for part in ("value", "low", "high"):
                run.record(
                    "real",
                    quantity=f"{task} {metric}, {part}",
                    arm=str(name),
                    seed=run.seed,
                    value=float(one[part]),
                )
        pair = table.sel(model="Neuroformer", other=other, metric=metric)
        sign = 1.0 if bool(pair["higher_is_better"]) else -1.0
        ends = sorted(sign * float(pair[part]) for part in ("diff_low", "diff_high"))
        value = sign * float(pair["diff"])
        words = (
            f"linear-track, {task}: {metric} of Neuroformer better than {other} by (95% over windows of 8 s; "
            "the interval may include 0)"
        )
        n_seeds = table.sizes["seed"]
        return Claim(f"real.{name_of}", words, value, ">", 0.0, *ends, n_seeds, run.scale, value > 0.0)

    return claim


CLAIMS: dict[str, Callable[[Run], Claim]] = {
    "likelihood.hub": _hub,
    "likelihood.gated": _gated,
    "connectivity.auc": _connectivity("auc", "attention", 0.90),
    "connectivity.column_auc": _connectivity("column_auc", "attention", 0.65),
    "connectivity.hubs_found": _connectivity("hubs_found", "attention", 2.0),
    "connectivity.direction": _connectivity("direction", "attention", 0.9),
    "connectivity.perturbation_column_auc": _connectivity("column_auc", "perturbation", 0.65),
    "connectivity.half": _other_networks,
    "generation.rates": _rates,
    "generation.fano": _fano,
    **{f"ablation.{added}": _step(added, before) for added, before in STEPS},
    "modality.given": _given,
    "modality.shuffled": _shuffled,
    "modality.retrieval": _retrieval,
    "fewshot.simulated": _few("simulated"),
    "fewshot.linear-track": _few("linear-track"),
    "real.bits": _real("bits", "forecast", "bits_per_spike", "GLM"),
    "real.nats": _real("nats", "forecast", "log_likelihood", "GLM"),
    "real.decode": _real("decode", "decode", "median_error", "naive Bayes"),
}

FIGURE = Figure(
    name="neuroformer",
    paper="Antoniades et al. (2024), Neuroformer: multimodal and multitask generative pretraining for brain data, ICLR",
    claims=CLAIMS,
    picture=draw,
)


def main(words: Sequence[str] | None = None) -> int:
    """Run the figure."""
    return run_figure(FIGURE, words)


if __name__ == "__main__":
    raise SystemExit(main())
