"""Experiments of the Neuroformer figure on behaviour: decoding with few labels, and a recording beside other models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV

import neurokit_snn as nk
from paper_figures.harness import Run
from simulations.many_fields import FieldsConfig, simulate

ARMS = ("pretrained", "scratch", "pca ridge")
LABEL_SEEDS = {"small": 5, "paper": 10}
LABELS = 0.05
"""Share of the training windows whose behaviour is known."""
FOLDS = 3
RUNNING = 10.0
"""Speed from which the animal runs, px/s: about half of the time."""
LAGS = 10
"""Steps of past that the linear decoder reads; together they are a window and its past state."""


def simulated_session(run: Run, seed: int) -> tuple[xr.Dataset, str]:
    """Units with several fields each of a behaviour that is to be decoded, in windows of 4 s."""
    duration = 40.0 if run.dry_run else 320.0
    tree = simulate(FieldsConfig(seed=seed, duration=duration))
    return nk.recording.windows(tree, 0.02, length=4.0, start=0.0, stop=duration), "x"


def track_session(run: Run) -> xr.Dataset:
    """The run epoch of `linear-track` in windows of 8 s, pauses included."""
    tree = nk.recording.linearize(nk.catalog.open("linear-track"), name="track_position", epoch="run")
    tree = nk.recording.speed(tree, position="track_position")
    data = nk.recording.windows(tree, 0.1, length=8.0, epoch="run", behavior=["track_position", "speed"])
    data = data.isel(trial=slice(0, 20) if run.dry_run else slice(None))
    return data.isel(unit=(data["counts"].sum(("trial", "time")) >= 30).values)


def running_session(run: Run, _: int) -> tuple[xr.Dataset, str]:
    """The same, its position known only while the animal runs: at rest the units need not tell where it is."""
    data, target = track_session(run), "track_position"
    runs = data["mask_behavior_speed"] & (data["behavior_speed"] >= RUNNING)
    return data.assign({f"mask_behavior_{target}": data[f"mask_behavior_{target}"] & runs}), target


SESSIONS: dict[str, Any] = {"simulated": simulated_session, "linear-track": running_session}
SIZES: dict[str, dict[str, Any]] = {
    "simulated": {"window": 0.2, "past": 0.4},
    "linear-track": {"window": 0.5, "past": 1.5},
}


def few_labels(run: Run, of: str, seed: int) -> xr.Dataset:
    """Correlation of decoded with true behaviour on held-out windows, by arm; and what the labels were."""
    shared = {"covariates": (), **SIZES[of]}
    pretraining = {**shared, "steps": 3 if run.dry_run else 700, "dropout": 0.2}
    tuning = {**shared, "steps": 3 if run.dry_run else 150, "dropout": 0.2, "validation": 0.0}
    key = {
        "of": of,
        "seed": seed,
        "pretraining": pretraining,
        "tuning": tuning,
        "labels": LABELS,
        "dry_run": run.dry_run,
    }

    def make(checkpoints: Path) -> xr.Dataset:
        train, labelled, test, target = _parts(run, of, seed)
        first = nk.Neuroformer(**pretraining).fit(train, seed=seed, progress=True, resume=checkpoints)
        path = checkpoints / "pretrained.nk"
        first.save(path, overwrite=True)
        arms = {
            "pretrained": {"pretrained": str(path), "losses": (target,), "learning_rate": 5e-4},
            "scratch": {},
        }
        found = {}
        for name, own in arms.items():
            model = nk.Neuroformer(**(tuning | {"outputs": (target,)} | own)).fit(labelled, seed=seed)
            decoded = model.predict(test, task="decode", target=target)[f"behavior_{target}"]
            found[name] = _r(decoded.values, test, target)
        found["labelled windows"] = float(labelled.sizes["trial"])
        return xr.Dataset({name: ((), value) for name, value in found.items()})

    def linear(_: Path) -> xr.Dataset:
        train, labelled, test, target = _parts(run, of, seed)
        bins = round((shared["window"] + shared["past"]) / train.attrs["bin_width"])
        decoded = _pca_ridge(train, labelled, test, target, step=max(1, bins // LAGS))
        return xr.Dataset({"pca ridge": ((), _r(decoded, test, target))})

    return run.result("few", key, make).merge(run.result("few-ridge", key | {"lags": LAGS}, linear))


def _parts(run: Run, of: str, seed: int) -> tuple[xr.Dataset, xr.Dataset, xr.Dataset, str]:
    """Windows to learn from, those of them whose behaviour is known, windows of a block held out, and the behaviour."""
    data, target = SESSIONS[of](run, seed)
    train, test = list(nk.splits.blocked(data, folds=5, gap=2.0).apply(data))[seed % 5]
    return train, train.isel(trial=_labelled(train, target, seed)), test, target


def _labelled(train: xr.Dataset, target: str, seed: int) -> np.ndarray:
    """Windows whose behaviour is known, drawn from those in which it is there for a quarter at least."""
    known = np.flatnonzero(train[f"mask_behavior_{target}"].values.mean(1) >= 0.25)
    number = max(2, round(LABELS * train.sizes["trial"]))
    return np.sort(np.random.default_rng([seed, 7]).choice(known, size=number, replace=False))


def _r(decoded: np.ndarray, test: xr.Dataset, target: str) -> float:
    valid = test[f"mask_behavior_{target}"].values
    return float(np.corrcoef(decoded[valid], test[f"behavior_{target}"].values[valid])[0, 1])


def _pca_ridge(
    train: xr.Dataset, labelled: xr.Dataset, test: xr.Dataset, target: str, *, step: int
) -> np.ndarray:
    """Principal components of lagged counts of all training windows, ridge on those that are labelled."""
    components = PCA(n_components=20, random_state=0).fit(_lagged(train, step))
    valid = labelled[f"mask_behavior_{target}"].values.ravel()
    x = components.transform(_lagged(labelled, step))[valid]
    y = labelled[f"behavior_{target}"].values.ravel()[valid]
    model = RidgeCV(alphas=np.logspace(-2, 4, 13)).fit(x, y)
    return np.asarray(model.predict(components.transform(_lagged(test, step)))).reshape(
        test.sizes["trial"], -1
    )


def _lagged(data: xr.Dataset, step: int) -> np.ndarray:
    """Roots of the counts of the last `LAGS` stretches of so many bins, ``(trial and time, unit and lag)``."""
    counts = np.pad(data["counts"].values, ((0, 0), (LAGS * step - 1, 0), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(counts, LAGS * step, axis=1)
    made = windows.reshape(*windows.shape[:-1], LAGS, step).sum(-1)  # (trial, time, unit, lag)
    return np.sqrt(made, dtype=np.float32).reshape(made.shape[0] * made.shape[1], -1)


# ---- a recording beside other models ---------------------------------------------------------------------------------


def models_of(run: Run, task: str) -> dict[str, nk.models.AbstractModel]:
    """What is compared, by task."""
    few = {"steps": 3} if run.dry_run else {}
    target = "track_position"
    latents: dict[str, Any] = {"length_scale": 0.3, "length_scale_bounds": (0.15, 0.6), "batch_size": 8}
    if task == "forecast":
        return {
            "Neuroformer": nk.Neuroformer(**(FORECASTER | few)),
            "GLM": nk.GLM(covariates=(target,), past=0.5, coupling=True),
            "GLM, own past only": nk.GLM(covariates=(target,), past=0.5),
            "MM-GPVAE": nk.MMGPVAE(neural=5, shared=0, behavior=0, **(latents | {"steps": 150} | few)),
            "mean rate": nk.MeanRate(),
        }
    return {
        "Neuroformer": nk.Neuroformer(**(DECODER | few)),
        "naive Bayes": nk.NaiveBayesDecoder(target=target),
        "naive Bayes, random walk": nk.NaiveBayesDecoder(target=target, smoother="random-walk"),
        "MM-GPVAE": nk.MMGPVAE(
            neural=2,
            shared=4,
            behavior=0,
            covariates=(target,),
            hidden=(40,),
            **(latents | {"steps": 200} | few),
        ),
        "ridge": nk.RidgeDecoder(target=target, past=0.5),
    }


FORECASTER: dict[str, Any] = {
    "window": 0.3,
    "past": 0.5,
    "covariates": ("track_position",),
    "covariate_past": 0.2,
    "steps": 600,
}
DECODER: dict[str, Any] = {
    "window": 0.5,
    "past": 0.5,
    "covariates": (),
    "outputs": ("track_position",),
    "dropout": 0.2,
    "steps": 600,
}


def on_the_track(run: Run, task: str) -> xr.Dataset:
    """The comparison of a task: blocked folds, three seeds."""
    chosen = {"forecast": FORECASTER, "decode": DECODER}[task]

    def make(checkpoints: Path) -> xr.Dataset:
        data = running_session(run, run.seed)[0] if task == "decode" else track_session(run)
        models = models_of(run, task)
        gap = max(model.history() for model in models.values())
        more = {"target": "track_position", "metrics": ("median_error", "r2")} if task == "decode" else {}
        return nk.compare(
            models,
            data,
            task=task,
            cv=nk.splits.blocked(data, folds=2 if run.dry_run else FOLDS, gap=gap),
            seeds=(0,) if run.dry_run else (0, 1, 2),
            baselines=False,
            cache=checkpoints / "cells",
            **more,
        )

    return run.result(f"track-{task}", {"arm": chosen, "dry_run": run.dry_run}, make)
