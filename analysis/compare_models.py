"""Which models explain a recording? Fit a short list, compare them on held-out data, write the report.

``python -m analysis.compare_models --out out/demo`` takes a few minutes; interrupted, the same command goes on.
For a recording of your own, copy this file and change `prepare` and `questions`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import xarray as xr

import neurokit_snn as nk
from neurokit_snn import report

TITLE = "Do place cells on a track know where the animal is heading?"
REFERENCES = {"encode": "position", "cosmooth": "mean rate", "decode": "ridge"}
METRICS = {"decode": ("median_error", "log_density", "r2")}  # the first one ranks; elsewhere bits/spike
NOTES = (
    "Analysed are the laps of at most 10 s from one end of the track to the other; rest is left out.",
    "Units with fewer than 30 spikes in these laps are left out.",
    "Position is the projection of the tracked LED onto the track; no scale from pixels to centimetres is given.",
)


def prepare(name: str, *, laps: int | None = None) -> tuple[xr.DataTree, xr.Dataset]:
    """Open a recording and cut it into laps along the track."""
    recording = nk.recording.linearize(nk.catalog.open(name), name="track_position", epoch="run")
    runs = nk.recording.laps(recording, epoch="run", max_duration=10.0).isel(interval=slice(laps))
    data = nk.recording.bin_trials(recording, 0.1, trials=runs, behavior=["track_position"])
    return recording, data.isel(unit=(data["counts"].sum(("trial", "time")) >= 30).values)


def questions() -> dict[str, dict[str, nk.models.AbstractModel]]:
    """Name the models to compare, for each task."""
    place = nk.GLM(covariates=("track_position",))
    return {
        "encode": {
            "mean rate": nk.MeanRate(),
            "position": place,
            "position x direction": nk.GLM(covariates=("track_position",), by="direction"),
        },
        "cosmooth": {"mean rate": nk.MeanRate(), "population regression": nk.ReducedRankRegression()},
        "decode": {
            "ridge": nk.RidgeDecoder(),
            "naive Bayes": nk.NaiveBayesDecoder(),
            "naive Bayes, random walk": nk.NaiveBayesDecoder(smoother="random-walk"),
        },
    }


def pictures(recording: xr.DataTree, data: xr.Dataset, split: nk.splits.Split) -> dict[str, report.Picture]:
    """Draw the recording, the tuning of its units and what is decoded from them."""
    train, test = next(split.apply(data))
    tuned = questions()["encode"]["position x direction"].fit(data)
    decoder = questions()["decode"]["naive Bayes, random walk"].fit(train)
    return {
        "raster": report.Picture(
            axes=nk.plot.raster(recording, stop=300.0, behavior="track_position"),
            caption="The first five minutes: spikes of all units, and the position along the track.",
            alt="Spike raster over the position, in which single units fire at the same place of every lap.",
        ),
        "tuning": report.Picture(
            axes=nk.plot.tuning(tuned.tuning_curves("track_position")),
            caption="Place fields by running direction, fitted to all laps, with 95% credible bands.",
            alt="Rate of each unit along the track; in many units the two directions differ.",
            task="encode",
        ),
        "decoded": report.Picture(
            axes=nk.plot.decoded(
                test, decoder.predict(test, task="decode"), behavior="track_position", side_by_side=True
            ),
            caption="Position decoded by naive Bayes with a random walk from the laps of the first test fold.",
            alt="Decoded position follows the true position in most laps.",
            task="decode",
        ),
    }


def main(words: Sequence[str] | None = None) -> int:
    """Run the analysis."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recording", default="linear-track", help="name of a dataset")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder for everything written")
    parser.add_argument("--folds", type=int, default=5, help="parts that are held out in turn")
    parser.add_argument("--laps", type=int, help="use the first so many laps only")
    options = parser.parse_args(words)
    recording, data = prepare(options.recording, laps=options.laps)
    gap = max(model.history() for models in questions().values() for model in models.values())
    split = nk.splits.blocked(data, folds=options.folds, gap=gap)
    scores = {
        task: nk.compare(
            models,
            data,
            task=task,
            cv=split,
            metrics=METRICS.get(task),
            baselines=False,
            cache=options.out / "cache",
        )
        for task, models in questions().items()
    }
    print(report.markdown(report.table(scores, references=REFERENCES)))
    page = report.write(
        options.out,
        title=TITLE,
        recording=recording,
        data=data,
        comparisons=scores,
        models=questions(),
        references=REFERENCES,
        pictures=pictures(recording, data, split),
        notes=NOTES,
        config={"recording": options.recording, "folds": options.folds, "laps": options.laps},
        overwrite=True,
    )
    print(f"\nThe report: {page}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
