"""Recordings in files are read in pieces, and give the very numbers that those in memory give."""

from __future__ import annotations

import dask
import dask.array
import numpy as np
import pytest
import xarray as xr

from neurokit_snn import recording
from neurokit_snn.recording import lazy

RNG = np.random.default_rng(11)
TIME = np.arange(0.0, 40.0, 0.23)  # slower than the bins, so that most are filled from their neighbours
TREE = recording.build(
    spikes={f"u{u}": np.sort(RNG.uniform(0, 40, n)) for u, n in enumerate((500, 0, 900, 1, 300))},
    observation={f"u{u}": [[0.0, 11.0], [11.5, 30.0 + u]] for u in range(4)} | {"u4": [[0.0, 50.0]]},
    calcium={"time": TIME, "value": RNG.normal(size=(TIME.size, 5))},
    behavior={"x": (TIME, np.sin(TIME))},
    validate=False,
)


@pytest.fixture(params=["dask", "xarray"])
def stored(tmp_path, request):
    """The recording in a file, opened lazily: by dask in chunks that cut through runs, or by xarray alone."""
    path = tmp_path / "recording.nc"
    TREE.to_netcdf(path, engine="h5netcdf")
    chunks = {"spike": 128, "time": 100} if request.param == "dask" else None
    with xr.open_datatree(path, engine="h5netcdf", chunks=chunks, cache=False) as tree:
        yield tree


@pytest.mark.parametrize("n", [31, 399, 400, 10_000])
def test_blocks_of_a_file_equal_what_is_in_memory(stored, n):
    eager = recording.bin(TREE, 0.1, start=0.0, stop=40.0)
    for tree in (TREE, stored):
        part = recording.bin(tree, 0.1, start=0.0, stop=40.0, chunks={"time": n})
        for name in ("counts", "mask", "calcium", "mask_calcium"):
            assert isinstance(part[name].data, dask.array.Array)
            assert part[name].dtype == eager[name].dtype
            assert max(part[name].data.chunks[1]) <= n
        xr.testing.assert_identical(part.compute(scheduler="synchronous"), eager)


@pytest.mark.parametrize("scheduler", ["threads", "synchronous"])
def test_every_scheduler_agrees(stored, scheduler):
    eager = recording.bin(TREE, 0.02, start=3.0, stop=33.0)
    part = recording.bin(stored, 0.02, start=3.0, stop=33.0, chunks={"time": 430})
    xr.testing.assert_identical(part.compute(scheduler=scheduler), eager)


def test_a_lazy_recording_bins_eagerly_too(stored):
    for call in (
        lambda tree: recording.bin(tree, 0.1),
        lambda tree: recording.windows(tree, 0.1, length=1.0),
        lambda tree: recording.align(tree, 0.1, to=[5.0, 6.0, 20.0]),
    ):
        xr.testing.assert_identical(call(stored), call(TREE))


def test_one_block_reads_its_own_rows(stored, monkeypatch):
    """Of a file that is cut into 40 blocks, computing one may read a few percent, not the whole."""
    monkeypatch.setattr(lazy, "NEAR_ROWS", 4)
    data = recording.bin(stored, 0.1, start=0.0, stop=40.0, calcium=False, chunks={"time": 10})
    asked: list[int] = []
    plain = lazy.Spikes.read

    def counted(self, start, stop):
        for times, first, last in plain(self, start, stop):
            asked.append(times.size)
            yield times, first, last

    monkeypatch.setattr(lazy.Spikes, "read", counted)
    one = data["counts"].isel(time=slice(100, 110)).compute(scheduler="synchronous")
    assert one.sum() > 0
    assert sum(asked) < 0.06 * TREE["spikes"].sizes["spike"]


def test_reads_are_bounded_and_complete(monkeypatch):
    monkeypatch.setattr(lazy, "MOST_ROWS", 100)
    monkeypatch.setattr(lazy, "NEAR_ROWS", 5)
    start = np.array([0, 350, 350, 352, 380, 900])
    stop = np.array([330, 350, 351, 360, 470, 901])
    reads = list(lazy._reads(start, stop))
    assert all(high - low <= 100 for low, high in reads)
    rows = np.concatenate([np.arange(low, high) for low, high in reads])
    assert np.unique(rows).size == rows.size
    wanted = np.concatenate([np.arange(low, high) for low, high in zip(start, stop, strict=True)])
    assert np.isin(wanted, rows).all()
    assert not np.isin(rows, np.r_[331:349, 475:899]).any()


def test_pieces_that_cut_runs_count_every_spike_once(monkeypatch, stored):
    monkeypatch.setattr(lazy, "MOST_ROWS", 37)
    part = recording.bin(stored, 0.1, start=0.0, stop=40.0, chunks={"time": 157})
    xr.testing.assert_identical(
        part["counts"].compute(scheduler="synchronous"),
        recording.bin(TREE, 0.1, start=0.0, stop=40.0)["counts"],
    )
