"""Which models explain a recording? Fit a short list, compare them on held-out data, write the report.

``python -m analysis.compare_models --out out/demo`` takes a few minutes; interrupted, it goes on where it was.
For a recording of your own, copy this file and write a plan like that of `linear_track`.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import xarray as xr

import neurokit_snn as nk


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What is particular to one recording."""

    title: str
    recording: xr.DataTree
    data: xr.Dataset  # counts and behaviour, trial by trial
    behavior: str  # what is decoded
    encoders: dict[str, nk.GLM]  # the first is the reference of the others
    notes: tuple[str, ...]


def linear_track(trials: int | None) -> Plan:
    """Tune the units of a running animal to its position on the track, without and with its direction."""
    recording = nk.recording.linearize(nk.catalog.open("linear-track"), name="track_position", epoch="run")
    laps = nk.recording.laps(recording, epoch="run", max_duration=4.0).isel(interval=slice(trials))
    data = nk.recording.bin_trials(recording, 0.1, trials=laps, behavior=["track_position"])
    place = ("track_position",)
    return Plan(
        title="Do place cells on a track know where the animal is heading?",
        recording=recording,
        data=data.isel(unit=(data["counts"].sum(("trial", "time")) >= 30).values),
        behavior="track_position",
        encoders={
            "position": nk.GLM(covariates=place),
            "position x direction": nk.GLM(covariates=place, by="direction"),
        },
        notes=(
            "Analysed are the laps of at most 4 s from one end of the track to the other; pauses and rest are left out.",
            "Units with fewer than 30 spikes in these laps are left out.",
            "Position is the tracked LED projected onto the track; no scale from pixels to cm is given.",
        ),
    )


def digits(trials: int | None) -> Plan:
    """Tune simulated units to the rotation of a digit, without and with its zoom, which does not drive them."""
    recording = nk.recording.select_units(nk.catalog.open("digits-multimodal"), range(12))
    return Plan(
        title="Is the rotation of the digit all that simulated units know?",
        recording=recording,
        data=nk.recording.bin_trials(recording, 0.05).isel(trial=slice(trials or 60)),
        behavior="rotation",
        encoders={
            "rotation": nk.GLM(covariates=("rotation",)),
            "rotation and zoom": nk.GLM(covariates=("rotation", "zoom")),
        },
        notes=("The recording is simulated. Zoom does not drive its units: nothing is to be gained by it.",),
    )


PLANS = {"linear-track": linear_track, "digits-multimodal": digits}


def open_plan(name: str, trials: int | None) -> Plan:
    """Open a recording; where it is not to be had, say so and take the simulated one, which always is."""
    try:
        return PLANS[name](trials)
    except nk.errors.CatalogError as error:
        print(f"{name} cannot be opened: {error}\nUsing digits-multimodal instead.\n")
        return digits(trials)


def models_of(plan: Plan) -> dict[str, dict[str, nk.models.AbstractModel]]:
    """Name the models to compare, task by task."""
    decode = plan.behavior
    return {
        "encode": {"mean rate": nk.MeanRate(), **plan.encoders},
        "cosmooth": {
            "mean rate": nk.MeanRate(),
            "population regression": nk.ReducedRankRegression(),
            "GP latents": gaussian_process_latents(),
        },
        "decode": {
            "ridge": nk.RidgeDecoder(target=decode),
            "naive Bayes": nk.NaiveBayesDecoder(target=decode),
            "naive Bayes, random walk": nk.NaiveBayesDecoder(target=decode, smoother="random-walk"),
        },
    }


def gaussian_process_latents() -> nk.MMGPVAE:
    """Name the latents of the neural data alone; `analysis.shared_latents` adds those that they share with behaviour."""
    return nk.MMGPVAE(
        neural=5,
        shared=0,
        behavior=0,
        length_scale=0.3,
        length_scale_bounds=(0.15, 0.6),
        steps=150,
        batch_size=8,
    )


def pictures(plan: Plan, split: nk.splits.Split) -> dict[str, nk.report.Picture]:
    """Draw the recording, the tuning of its units and what is decoded from them."""
    train, test = next(split.apply(plan.data))
    name, encoder = list(plan.encoders.items())[-1]
    curves = encoder.fit(plan.data).tuning_curves(plan.behavior)
    decoder = models_of(plan)["decode"]["naive Bayes, random walk"].fit(train)
    predicted = decoder.predict(test, task="decode", target=plan.behavior)
    trials = plan.data[["trial_start", "trial_stop"]].reset_coords()
    start = float(trials["trial_start"][0])
    return {
        "raster": nk.report.Picture(
            axes=nk.plot.raster(
                plan.recording,
                start=start,
                stop=start + 240.0,
                behavior=plan.behavior,
                trials=trials.rename(trial_start="start", trial_stop="stop"),
            ),
            caption="Four minutes of the recording: spikes of all units, behaviour, and the trials analysed (grey).",
            alt="Spike raster above the behaviour that tunes the units.",
        ),
        "tuning": nk.report.Picture(
            axes=nk.plot.tuning(curves),
            caption=f"Tuning curves of “{name}”, fitted to all trials, with 95% credible bands.",
            alt="Rate of each unit against the behaviour, a panel a unit.",
            task="encode",
        ),
        "decoded": nk.report.Picture(
            axes=nk.plot.decoded(test, predicted, behavior=plan.behavior, side_by_side=True),
            caption="What naive Bayes with a random walk decodes from the trials of the first test fold.",
            alt="Decoded over true behaviour, with its 95% band, trial after trial.",
            task="decode",
        ),
    }


def main(words: Sequence[str] | None = None) -> int:
    """Run the analysis."""
    parser = argparse.ArgumentParser(description="Compare models of a recording on held-out data.")
    parser.add_argument("--recording", choices=PLANS, default="linear-track")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder for all that is written")
    parser.add_argument("--folds", type=int, default=5, help="parts that are held out in turn")
    parser.add_argument("--trials", type=int, help="take only so many trials")
    options = parser.parse_args(words)

    plan = open_plan(options.recording, options.trials)
    models = models_of(plan)
    gap = max(model.history() for of_task in models.values() for model in of_task.values())
    split = nk.splits.blocked(plan.data, folds=options.folds, gap=gap)
    settings = {
        "encode": {},
        "cosmooth": {},
        "decode": {"target": plan.behavior, "metrics": ("median_error", "log_density", "r2")},
    }
    scores = {
        task: nk.compare(
            models[task],
            plan.data,
            task=task,
            cv=split,
            baselines=False,
            cache=options.out / "cache",
            **settings[task],
        )
        for task in models
    }
    reference = {"encode": next(iter(plan.encoders)), "cosmooth": "population regression"}
    print(nk.report.markdown(nk.report.table(scores, reference=reference)))
    page = nk.report.write(
        options.out,
        title=plan.title,
        recording=plan.recording,
        data=plan.data,
        comparisons=scores,
        models=models,
        reference=reference,
        pictures=pictures(plan, split),
        notes=plan.notes,
        config={"folds": options.folds, "gap": gap, "trials": options.trials},
        overwrite=True,
    )
    print(f"\nThe report is {page}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
