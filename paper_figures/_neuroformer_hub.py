"""Experiments of the Neuroformer figure on networks with hubs: likelihood, connectivity, generation, modalities.

The bins of 10 ms hold one spike of a unit at most, and the sample space of all models is binary. Half of a recording is learned
from, the other half judged, with a window of 20 s between them left out.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from sklearn.linear_model import LogisticRegression

import neurokit_snn as nk
from neurokit_snn.evaluate.connectivity import connectivity_scores
from paper_figures._neuroformer_statistics import retrieval, spike_errors
from paper_figures.harness import Run
from simulations.hub_network import HubConfig, oracle_log_likelihood, simulate

BIN, TRIAL = 0.01, 20.0
TRAIN_S, TEST_S = 400.0, 400.0
DECAYS = (1.0, 2.0, 5.0)
"""Bins over which the past decays, in the filters of the GLM; the truth is the second."""
PENALTIES = (0.1, 1.0)
"""Inverse strengths of the GLM's ridge, chosen inside the training half."""


@dataclasses.dataclass(frozen=True)
class Halves:
    """A simulated recording: to learn from, to be judged on, and the truth."""

    tree: xr.DataTree
    train: xr.Dataset
    test: xr.Dataset


def halves(run: Run, seed: int, **options: Any) -> Halves:
    """Simulate and cut; half of the bins, a gap of one window, the other half."""
    short = run.dry_run
    train, test = (40.0, 40.0) if short else (TRAIN_S, TEST_S)
    tree = simulate(HubConfig(seed=seed, duration=train + TRIAL + test, **options))
    data = nk.recording.windows(tree, BIN, length=TRIAL, start=0.0, stop=train + TRIAL + test)
    first = round(train / TRIAL)
    return Halves(tree, data.isel(trial=slice(0, first)), data.isel(trial=slice(first + 1, None)))


def arm(run: Run, **changes: Any) -> dict[str, Any]:
    """Parameters of `nk.Neuroformer`: windows of 20 ms after 100 ms of past; there are data enough to go without dropout."""
    made = {
        "window": 0.02,
        "past": 0.1,
        "covariates": (),
        "binary": True,
        "dropout": 0.0,
        "batch_size": 128,
        "steps": 1200,
    } | changes
    return made | ({"steps": 3} if run.dry_run else {})


def _fitted(
    run: Run, name: str, seed: int, options: dict[str, Any], made: dict[str, Any], make: Any
) -> xr.Dataset:
    key = {
        "seed": seed,
        "options": options,
        "arm": made,
        "train": TRAIN_S,
        "test": TEST_S,
        "dry_run": run.dry_run,
    }
    return run.result(name, key, make)


def reference(run: Run, seed: int, **options: Any) -> xr.Dataset:
    """One fit to one network, and all that is measured of it: nats, connectivity, what it generates."""
    gated = bool(options.get("gate"))
    other = "inhibition" in options or "observed" in options
    made = arm(run, covariates=("state",) if gated else ())

    def make(checkpoints: Path) -> xr.Dataset:
        parts = halves(run, seed, **options)
        model = nk.Neuroformer(**made).fit(parts.train, seed=seed, progress=True, resume=checkpoints)
        out = xr.Dataset({"seconds": ((), model.history_.seconds)})
        if not other:
            out = out.assign(_likelihoods(model, parts, gate="state" if gated else None))
        if not gated:
            out = out.merge(_connectivity(run, model, parts))
        if not options:
            out = out.merge(_generation(model, parts, seed))
        return out

    return _fitted(run, "hub", seed, options, made, make)


def _likelihoods(model: nk.Neuroformer, parts: Halves, *, gate: str | None) -> dict[str, float]:
    """Nats of the test half under every model, and its bins."""
    return {
        "neuroformer": float(model.log_likelihood(parts.test, task="forecast").sum()),
        "homogeneous": homogeneous(parts.train, parts.test),
        "glm": bernoulli_glm(parts.train, parts.test, gate=gate),
        "oracle": oracle(parts),
        "bins": parts.test.sizes["trial"] * parts.test.sizes["time"],
    }


def _connectivity(run: Run, model: nk.Neuroformer, parts: Halves) -> xr.Dataset:
    data = parts.train.isel(trial=slice(0, 1 if run.dry_run else 10))
    found = model.connectivity(data, subsample=200 if run.dry_run else 4000)
    truth = parts.tree["truth"].to_dataset()["adjacency"]
    scores = [connectivity_scores(found[name], truth) for name in found]
    joined = xr.concat(scores, xr.Variable("method", list(found)))
    return joined.merge(found.rename({name: f"estimate_{name}" for name in found})).assign(truth=truth)


def _generation(model: nk.Neuroformer, parts: Halves, seed: int) -> xr.Dataset:
    """Errors of spikes that the model makes, both ways of making them, against the held-out half."""
    modes = ("free-running", "teacher-forced")
    made = []
    for mode in modes:
        tree = model.generate(parts.test, mode=mode, seed=seed)
        start = float(parts.test["trial_start"][0])
        stop = float(parts.test["trial_stop"][-1])
        binned = nk.recording.windows(tree, BIN, length=TRIAL, start=start, stop=stop)
        made.append(spike_errors(parts.test["counts"].values, binned["counts"].values))
    return xr.concat(made, xr.Variable("mode", list(modes)))


# ---- peers -------------------------------------------------------------------------------------------------


def _log_p(p: np.ndarray, y: np.ndarray) -> float:
    p = np.clip(p, 1e-9, 1 - 1e-9)
    return float((y * np.log(p) + (1 - y) * np.log1p(-p)).sum())


def homogeneous(train: xr.Dataset, test: xr.Dataset) -> float:
    """Nats of the test half under each unit's mean rate."""
    p = train["counts"].mean(("trial", "time")).values
    return _log_p(p, test["counts"].values)


def oracle(parts: Halves) -> float:
    """Nats of the test half under what made it."""
    found = oracle_log_likelihood(parts.tree).values  # (time, unit)
    first = round(float(parts.test["trial_start"][0]) / BIN)
    return float(found[first:].sum())


def bernoulli_glm(train: xr.Dataset, test: xr.Dataset, *, gate: str | None) -> float:
    """Nats of the test half under logistic regressions on the past of all units and on the units of lower index now.

    The chain rule over the units of a bin, as over tokens: unit by unit, each given those before it. The strength is chosen
    on the last fifth of the training half.
    """
    x, y = _regressors(train, gate)
    x_test, y_test = _regressors(test, gate)
    cut = int(0.8 * len(y))
    by_strength = [_chain(x[:cut], y[:cut], x[cut:], y[cut:], c) for c in PENALTIES]
    return _chain(x, y, x_test, y_test, PENALTIES[int(np.argmax(by_strength))])


def _regressors(data: xr.Dataset, gate: str | None) -> tuple[np.ndarray, np.ndarray]:
    y = data["counts"].values.astype(np.float64)  # (trial, time, unit)
    filtered = []
    for decay in DECAYS:
        past = np.zeros_like(y)
        for t in range(1, y.shape[1]):
            past[:, t] = past[:, t - 1] * np.exp(-1.0 / decay) + y[:, t - 1]
        filtered.append(past)
    if gate is not None:
        filtered.append(data[f"behavior_{gate}"].values[..., None])
    n_rows = y.shape[0] * y.shape[1]
    return np.concatenate(filtered, -1).reshape(n_rows, -1), y.reshape(n_rows, -1)


def _chain(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, y_test: np.ndarray, strength: float) -> float:
    total = 0.0
    for unit in range(y.shape[1]):
        now = np.concatenate([x, y[:, :unit]], 1)
        if not 0 < y[:, unit].sum() < len(y):
            total += _log_p(np.full(len(y_test), y[:, unit].mean()), y_test[:, unit])
            continue
        model = LogisticRegression(C=strength, solver="newton-cholesky", max_iter=200).fit(now, y[:, unit])
        p = model.predict_proba(np.concatenate([x_test, y_test[:, :unit]], 1))[:, 1]
        total += _log_p(p, y_test[:, unit])
    return total


# ---- modalities --------------------------------------------------------------------------------------------

GATED = {"gate": True, "hubs": 5, "gain": 2.2}
"""A network whose coupling a state gates; what a GLM without that interaction can miss is 4 to 5% of the NLL here."""
DRIVEN = {"gate": True, "gain": 1.2, "stimulus": 2.0, "stimulus_tau": 0.05}
"""A network with a hidden stimulus, too fast for the past to tell it, and a state that gates the coupling."""
ARMS: dict[str, dict[str, Any]] = {
    "window": {"past": BIN, "covariates": ()},
    "past": {"covariates": ()},
    "stimulus": {"covariates": ("stimulus",)},
    "behavior": {"covariates": ("stimulus", "state")},
    "contrast": {"covariates": ("stimulus", "state"), "contrast": 64, "learn_temperature": True},
}
"""Each adds to the one before: past state, a stimulus, a behaviour, contrast."""
MODALITY = {"window": 0.05, "batch_size": 64, "steps": 1200}
"""Longer windows than elsewhere: a few spikes say little of a stimulus."""
RETRIEVED = 64
"""Windows among which the one that belongs to a stimulus is looked for."""


def modal(run: Run, seed: int, name: str) -> xr.Dataset:
    """The fit of one arm to the driven network: nats held out, with the true and with a shuffled stimulus; retrieval."""
    made = arm(run, **(MODALITY | ARMS[name]))

    def make(checkpoints: Path) -> xr.Dataset:
        parts = halves(run, seed, **DRIVEN)
        model = nk.Neuroformer(**made).fit(parts.train, seed=seed, progress=True, resume=checkpoints)
        found = {
            "nats": float(model.log_likelihood(parts.test, task="forecast").sum()),
            "bins": parts.test.sizes["trial"] * parts.test.sizes["time"],
            "seconds": model.history_.seconds,
        }
        if "stimulus" in made["covariates"]:
            shuffled = parts.test.copy(deep=True)
            values = shuffled["behavior_stimulus"].values
            shuffled["behavior_stimulus"].values[:] = np.roll(values, values.shape[0] // 2, axis=0)
            found["shuffled"] = float(model.log_likelihood(shuffled, task="forecast").sum())
        if made.get("contrast"):
            found["retrieval"] = retrieval(model, parts.test, other="behavior_stimulus", among=RETRIEVED)
        return xr.Dataset({k: ((), v) for k, v in found.items()})

    return _fitted(run, f"modal-{name}", seed, DRIVEN, made, make)
