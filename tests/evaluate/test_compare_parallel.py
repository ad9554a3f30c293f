"""Cells spread over processes and over a dask cluster give the numbers that they give here."""

from __future__ import annotations

from collections.abc import Callable

import joblib
import pytest
import xarray as xr

from neurokit_snn.evaluate import compare
from neurokit_snn.models.mean_rate import MeanRate

Made = Callable[..., xr.Dataset]
HOW = {"task": "cosmooth", "cv": 2, "seeds": (0, 1), "baselines": False, "progress": False, "n_boot": 200}


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
        distributed.Client(cluster),
        joblib.parallel_config("dask"),
    ):
        there = compare({"mean": MeanRate()}, data, **HOW)
    xr.testing.assert_identical(here, there)
