"""What do spikes and behaviour share? Fit MM-GPVAE to a recording, compare it on held-out data, draw its latents.

``python -m analysis.shared_latents --recording linear-track --out out/latents`` takes about ten minutes; ``--quick`` is a look
at the pictures with a handful of steps. `songbird-hvc` is an illustration: 22 s of song carry no interval.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr

import neurokit_snn as nk


def place_code(data: xr.Dataset, *, position: str, fields: int = 6) -> xr.Dataset:
    """Add the behaviour ``place``: overlapping fields along the track for each running direction, as place cells have them.

    Latents act on log rates linearly. A behaviour that says no more than a position and a direction leaves them free to be
    anything that decodes to it; one that says how near every field is ties them down.
    """
    where = data[f"behavior_{position}"]
    along = (where - float(where.min())) / float(where.max() - where.min())
    near = np.exp(
        -0.5 * ((along - xr.DataArray(np.linspace(0, 1, fields), dims="field")) * (fields - 1)) ** 2
    )
    both = xr.concat([near.where(data["direction"] == way, 0.0) for way in (-1, 1)], "field", join="exact")
    place = both.where(where.notnull()).transpose("trial", "time", "field").reset_coords(drop=True)
    place = place.assign_attrs(units="1", kind="continuous")
    return data.assign(behavior_place=place, mask_behavior_place=data[f"mask_behavior_{position}"])


def track(*, quick: bool) -> tuple[xr.Dataset, nk.MMGPVAE]:
    """Laps of `linear-track` without a pause, and the model of them."""
    recording = nk.recording.linearize(nk.catalog.open("linear-track"), name="track_position", epoch="run")
    recording = nk.recording.speed(recording, position="track_position")
    laps = nk.recording.laps(recording, epoch="run", max_duration=4.0).isel(
        interval=slice(12 if quick else None)
    )
    data = nk.recording.bin_trials(recording, 0.1, trials=laps, behavior=["track_position", "speed"])
    data = data.isel(unit=(data["counts"].sum(("trial", "time")) >= (5 if quick else 30)).values)
    model = nk.MMGPVAE(
        neural=2,
        shared=1 if quick else 6,
        behavior=0,
        covariates=("track_position", "place", "speed"),
        length_scale=0.3,
        length_scale_bounds=(0.1, 0.6),
        hidden=(40,),
        steps=5 if quick else 400,
        batch_size=8,
    )
    return place_code(data, position="track_position"), model


def compared(data: xr.Dataset, model: nk.MMGPVAE, *, quick: bool, folder: Path) -> dict[str, xr.Dataset]:
    """Score the model beside what a lab would otherwise use, task by task, on the same laps and held-out units."""
    place: dict[str, Any] = {"covariates": ("track_position",), "by": "direction"}
    fast: dict[str, Any] = {"covariates": ("track_position", "speed"), "by": {"track_position": "direction"}}
    target: dict[str, Any] = {"target": "track_position"}
    few, widths = min(5, data.sizes["unit"]), (0.15, 0.6)
    alone = nk.MMGPVAE(
        neural=few,
        shared=0,
        behavior=0,
        length_scale=0.3,
        length_scale_bounds=widths,
        steps=5 if quick else 150,
        batch_size=8,
    )
    tasks: dict[str, tuple[dict[str, nk.models.AbstractModel], dict[str, Any]]] = {
        "cosmooth": (
            {
                "MM-GPVAE, neural latents only": alone,
                "population regression": nk.ReducedRankRegression(**place),
            },
            {},
        ),
        "cosmooth+behavior": (
            {
                "GLM, position x direction": nk.GLM(**place),
                "the same, and speed": nk.GLM(**fast),
                "population regression": nk.ReducedRankRegression(**place),
            },
            {},
        ),
        "decode": (
            {
                "naive Bayes": nk.NaiveBayesDecoder(**target),
                "naive Bayes, random walk": nk.NaiveBayesDecoder(**target, smoother="random-walk"),
            },
            {**target, "metrics": ("median_error", "log_density", "r2")},
        ),
    }
    split = nk.splits.blocked(data, folds=2 if quick else 5, gap=model.history())
    return {
        task: nk.compare(
            {"MM-GPVAE": model, **others},
            data,
            task=task,
            cv=split,
            baselines=False,
            seeds=(0,) if quick else (0, 1, 2),
            cache=folder / "cache",
            **settings,
        )
        for task, (others, settings) in tasks.items()
    }


def pictures_of_track(data: xr.Dataset, model: nk.MMGPVAE, folder: Path) -> None:
    """Draw the latents of held-out laps and what they say, and what the model learned of the track."""
    train, test = next(nk.splits.blocked(data, folds=5, gap=model.history()).apply(data))
    model.fit(train, progress=True)
    shown = test["trial"].values[:3]
    valid = test["mask_behavior_track_position"]
    found = model.latents(test)
    keep(
        nk.plot.latents(found["latents"], sd=found["latents_sd"], trials=shown, mask=valid),
        folder / "latents.png",
    )
    predicted = model.predict(test, task="decode", target="track_position")
    keep(
        nk.plot.decoded(test, predicted, behavior="track_position", side_by_side=True), folder / "decoded.png"
    )
    keep_summary(model, folder)


def keep_summary(model: nk.MMGPVAE, folder: Path) -> None:
    """Draw length scales, the size of each latent's effect, and what is shared."""
    summary = model.summary()
    keep(nk.plot.length_scales(summary), folder / "length_scales.png")
    keep(nk.plot.loading_norms(summary), folder / "loading_norms.png")
    keep(nk.plot.shared_variance(summary), folder / "shared_variance.png")


def song(*, quick: bool) -> tuple[xr.Dataset, nk.MMGPVAE]:
    """Calcium and spectrogram of `songbird-hvc` in windows, and the model of them."""
    data = nk.recording.windows(nk.catalog.open("songbird-hvc"), 0.05, length=2.0)
    bands = (
        data["behavior_song"]
        .coarsen(frequency=10, boundary="trim")
        .mean()
        .assign_attrs(data["behavior_song"].attrs)
    )
    active = (data["counts"].sum(("trial", "time")) >= 20).values
    data = data.drop_vars(["behavior_song", "frequency", "counts", "mask"]).assign(behavior_song=bands)
    model = nk.MMGPVAE(
        neural=2,
        shared=4,
        behavior=1,
        covariates=("song",),
        likelihood="gaussian",
        length_scale=0.15,
        length_scale_bounds=(0.08, 0.3),
        hidden=(20,),
        steps=5 if quick else 150,
        batch_size=4,
    )
    return data.isel(unit=active), model


def reconstructed(data: xr.Dataset, model: nk.MMGPVAE, folder: Path, *, seed: int) -> pd.DataFrame:
    """Held-out windows, one fifth after the other: the song from the calcium, the calcium from the song, and R2 of both."""
    parts: list[xr.Dataset] = []
    for train, test in nk.splits.blocked(data, folds=5).apply(data):
        model.fit(train, seed=seed, progress=True)
        sung = model.predict(test, task="decode", target="song", seed=seed)["behavior_song"]
        active = model.predict(test, task="encode", seed=seed)["calcium"]
        means = train[["behavior_song", "calcium"]].mean(("trial", "time"))
        parts.append(
            xr.Dataset(
                {"song": sung, "calcium": active, "song_mean": means["behavior_song"].broadcast_like(sung)}
            )
        )
        parts[-1]["calcium_mean"] = means["calcium"].broadcast_like(active)
    found = xr.concat(parts, "trial", join="exact")
    rows = []
    for name, given in (("song", "calcium"), ("calcium", "song")):
        truth = data["behavior_song" if name == "song" else "calcium"]
        left, total = (float(((truth - found[key]) ** 2).sum()) for key in (name, f"{name}_mean"))
        rows.append({"predicted": name, "given": given, "held_out_r2": 1.0 - left / total})
    draw_song(data["behavior_song"], found["song"], folder / "song.png")
    keep_summary(model, folder)
    return pd.DataFrame(rows)


def draw_song(truth: xr.DataArray, predicted: xr.DataArray, path: Path) -> None:
    """Draw the spectrogram above what is predicted of it from calcium alone, all windows in a row."""
    figure, axes = plt.subplots(2, 1, sharex=True, figsize=(8, 4), layout="constrained")
    seconds = truth.sizes["trial"] * truth.sizes["time"] * 0.05
    for ax, values, title in zip(
        axes,
        (truth, predicted),
        ("song", "predicted from calcium, in windows that were not fitted"),
        strict=True,
    ):
        image = values.transpose("frequency", "trial", "time").values.reshape(values.sizes["frequency"], -1)
        ax.imshow(
            image,
            origin="lower",
            aspect="auto",
            cmap="magma",
            vmin=0,
            vmax=float(truth.max()),
            extent=(0, seconds, 0, 1),
        )
        ax.set(title=title, yticks=[], ylabel="frequency")
    axes[-1].set_xlabel("time (s)")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def keep(axes: Any, path: Path) -> None:
    """Save the figure of these axes."""
    figure = np.ravel(axes)[0].figure
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main(words: Sequence[str] | None = None) -> int:
    """Run the analysis."""
    parser = argparse.ArgumentParser(description="Shared and private latents of neural data and behaviour.")
    parser.add_argument("--recording", choices=("linear-track", "songbird-hvc"), default="linear-track")
    parser.add_argument(
        "--out", type=Path, default=Path("out/latents"), help="folder for all that is written"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the fits to the song")
    parser.add_argument(
        "--quick", action="store_true", help="a handful of steps: to see that everything runs"
    )
    options = parser.parse_args(words)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.recording == "songbird-hvc":
        data, model = song(quick=options.quick)
        rows = reconstructed(data, model, options.out, seed=options.seed)
        print(rows.round(3).to_string(index=False))
    else:
        data, model = track(quick=options.quick)
        scores = compared(data, model, quick=options.quick, folder=options.out)
        reference = {
            "cosmooth": "population regression",
            "cosmooth+behavior": "GLM, position x direction",
            "decode": "naive Bayes",
        }
        rows = nk.report.table(scores, reference=reference)
        print(nk.report.markdown(rows))
        pictures_of_track(data, model, options.out)
    rows.to_csv(options.out / "table.csv", index=False)
    print(f"\nThe table and the pictures are in {options.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
