"""Cells spread over processes and over a dask cluster give the numbers that they give here."""

from __future__ import annotations

import sys
from collections.abc import Callable

import joblib
import numpy as np
import pytest
import xarray as xr

from neurokit_snn.evaluate import compare
from neurokit_snn.models.mean_rate import MeanRate
from neurokit_snn.models.ridge import RidgeDecoder

Made = Callable[..., xr.Dataset]
HOW = {"task": "cosmooth", "cv": 2, "seeds": (0, 1), "baselines": False, "progress": False, "n_boot": 200}


@pytest.mark.slow
def test_two_processes(made: Made) -> None:
    data = made(n_trials=20)
    here = compare({"mean": MeanRate()}, data, **HOW)
    there = compare({"mean": MeanRate()}, data, n_jobs=2, **HOW)
    xr.testing.assert_identical(here, there)


@pytest.mark.filterwarnings("ignore:Port .* is already in use:UserWarning")
def test_a_dask_cluster_of_two_workers(made: Made) -> None:
    distributed = pytest.importorskip("distributed")
    data = made(n_trials=20)
    here = compare({"mean": MeanRate()}, data, **HOW)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=None
        ) as cluster,
        distributed.Client(cluster) as client,
        joblib.parallel_config("dask"),
    ):
        there = compare({"mean": MeanRate()}, data, **HOW)
        worked = client.run(lambda: "neurokit_snn.evaluate.cells" in sys.modules)
    assert any(worked.values())  # the scheduler is free to give so few cells to one of the two
    xr.testing.assert_identical(here, there)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "least"),
    [
        ("encode", {"mean rate", "tuning GLM"}),
        ("forecast", {"mean rate", "tuning GLM", "history GLM"}),
        ("cosmooth", {"mean rate", "population regression"}),
        ("cosmooth+behavior", {"mean rate", "population regression"}),
        ("decode", {"ridge", "naive Bayes", "naive Bayes, random walk"}),
    ],
)
def test_the_baselines_of_every_task(task: str, least: set[str], made: Made) -> None:
    pytest.importorskip("nemos")
    other = "angle" if task == "decode" else "place"
    data = made(n_trials=60).drop_vars([f"behavior_{other}", f"mask_behavior_{other}"])
    start = {"decode": RidgeDecoder(past=0.1, future=0.1)}.get(task, MeanRate())
    table = compare({"mine": start}, data, task=task, cv=3, seeds=(0,), progress=False, n_boot=200)
    expected = least - {"mean rate"} if task != "decode" else least
    assert expected <= {*table["model"].values}
    assert bool(np.isfinite(table[["value", "low", "high"]].to_dataarray()).all())
    best = str(table["model"].values[int(np.argmin(table["rank"].values[:, 0]))])
    assert best != "mine" or task == "decode"
