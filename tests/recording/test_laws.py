"""What must hold of any recording: binning conserves, permutes, slices and joins, in memory and out of it."""

from __future__ import annotations

import numpy as np
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from neurokit_snn import recording
from neurokit_snn.testing import recordings

WIDTHS = st.sampled_from([0.002, 0.01, 0.1, 1 / 30, 0.25])
NEURAL = ("observation", "calcium", "clocks", "behavior")


def session(tree: xr.DataTree, width: float) -> tuple[float, float] | None:
    """A stretch of whole bins that holds all of the recording, or None where there is nothing to bin."""
    start, stop = recording.span(tree)
    return (start, start + (np.floor((stop - start) / width) + 1) * width) if stop > start else None


@given(recordings(families=("observation", "clocks", "trials", "events")), WIDTHS)
def test_binning_conserves_spikes(tree, width):
    if (ends := session(tree, width)) is None:
        return
    bare = tree.drop_nodes("observation", errors="ignore")
    counts = recording.bin(bare, width, start=ends[0], stop=ends[1])["counts"]
    np.testing.assert_array_equal(counts.sum(["trial", "time"]), tree["spikes"]["row_size"])
    data = recording.bin(tree, width, start=ends[0], stop=ends[1])
    np.testing.assert_array_equal(data["counts"], counts.where(data["mask"], 0))


@given(recordings(families=("observation", "clocks"), min_units=1), WIDTHS, st.data())
def test_windows_conserve_spikes(tree, width, data):
    if (ends := session(tree, width)) is None:
        return
    per_window = data.draw(st.integers(1, 5))
    whole = recording.bin(tree, width, start=ends[0], stop=ends[1])
    n = whole.sizes["time"] // per_window
    if n == 0:
        return
    cut = recording.windows(tree, width, length=per_window * width, start=ends[0], stop=ends[1])
    for name in ("counts", "mask"):
        flat = cut[name].values.reshape(n * per_window, -1)
        np.testing.assert_array_equal(flat, whole[name].values[0, : n * per_window])


@given(recordings(families=NEURAL, min_units=2), WIDTHS, st.data())
def test_permuting_units_permutes_results(tree, width, data):
    if (ends := session(tree, width)) is None:
        return
    order = data.draw(st.permutations(tree["units"]["unit"].values.tolist()))
    permuted = recording.bin(recording.select_units(tree, order), width, start=ends[0], stop=ends[1])
    plain = recording.bin(tree, width, start=ends[0], stop=ends[1])
    xr.testing.assert_identical(permuted, plain.sel(unit=order))


@given(recordings(families=("observation", "clocks", "trials", "events")), WIDTHS, st.floats(0.01, 0.99))
def test_slicing_and_joining_is_the_identity_on_counts(tree, width, share):
    if (ends := session(tree, width)) is None:
        return
    start, stop = ends
    middle = float(start + share * (stop - start))
    joined = recording.concat_time(
        [recording.slice_time(tree, start, middle), recording.slice_time(tree, middle, stop)]
    )
    for name in ("counts", "mask"):
        xr.testing.assert_equal(
            recording.bin(joined, width, start=start, stop=stop)[name],
            recording.bin(tree, width, start=start, stop=stop)[name],
        )


@given(recordings(families=("observation", "clocks"), min_units=1), WIDTHS, st.floats(0.01, 0.99))
def test_binning_slices_is_slicing_bins(tree, width, share):
    """Cut at an edge: the bins of the two halves, one after the other, are the bins of the whole."""
    if (ends := session(tree, width)) is None:
        return
    start, stop = ends
    whole = recording.bin(tree, width, start=start, stop=stop)["counts"].values[0]
    n = int(share * len(whole))
    if n == 0:
        return
    edge = start + n * width
    before = recording.bin(recording.slice_time(tree, start, edge), width, start=start, stop=stop)[
        "counts"
    ].values[0]
    after = recording.bin(recording.slice_time(tree, edge, stop), width, start=start, stop=stop)[
        "counts"
    ].values[0]
    np.testing.assert_array_equal(before[:n], whole[:n])
    np.testing.assert_array_equal(after[n:], whole[n:])
    assert not before[n:].any()
    assert not after[:n].any()


@given(recordings(families=NEURAL), WIDTHS, st.integers(1, 50), st.integers(1, 9))
def test_lazy_equals_eager(tree, width, length, chunk):
    if (ends := session(tree, width)) is None:
        return
    eager = recording.bin(tree, width, start=ends[0], stop=ends[1])
    lazy = tree.chunk({"spike": chunk})
    for source in (tree, lazy):
        blocks = recording.bin(source, width, start=ends[0], stop=ends[1], chunks={"time": length * 100})
        xr.testing.assert_identical(blocks.compute(scheduler="synchronous"), eager)
    xr.testing.assert_identical(recording.bin(lazy, width, start=ends[0], stop=ends[1]), eager)
