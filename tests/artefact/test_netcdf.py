"""Trees to netCDF and back: bit for bit, readable by others, lazy without a wrong number."""

from __future__ import annotations

import os
import pickle

import h5netcdf
import h5py
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings

from neurokit_snn.artefact import netcdf, read_tree, write_tree
from neurokit_snn.errors import ArtefactError

PAYLOAD = np.array([0x7FF8DEADBEEF0001, 0xFFF0000000000000, 0x8000000000000000, 1], "u8").view("f8")


@pytest.fixture
def everything() -> xr.DataTree:
    """Whatever netCDF, HDF5 or their wrappers are known to change."""
    attrs = {
        "text": "é", "empty": "", "int": 3, "float": 0.5, "nan": float("nan"), "bool": True, "none": None,
        "one": [1], "mixed": [1, 2.5], "tuple": (1, 2), "array": np.arange(3, dtype="i2"), "nul": "a\0b",
        "single": np.array([2.0]), "matrix": np.zeros((2, 2)), "nothing": np.empty(0), "texts": ["a", "b"],
        "words": np.array(["a", "bb"]), "scalar": np.float32(2), "dict": {"x": [1, {"y": (2,)}], 3: 4},
        "huge": 2**70, "long": np.arange(20_000.0), "dtype": "bool", "_FillValue": 3, "coordinates": "q r",
    }  # fmt: skip
    values = xr.Dataset(
        {
            "payload": ("x", PAYLOAD),
            "single": ("x", PAYLOAD.astype("f4")),
            "flag": ("x", [True, False, True, True]),
            "int32": ("x", np.arange(4, dtype="i4")),
            "uint8": ("x", np.arange(4, dtype="u1"), {"_FillValue": 2, "scale_factor": 0.5}),
            "half": ("x", np.arange(4, dtype="f2")),
            "big_endian": ("x", np.arange(4, dtype=">f8")),
            "date": ("x", np.arange(4).astype("M8[ns]")),
            "object": ("x", np.array(["a", "", "ü", "z"], dtype=object)),
            "odd": ("x", np.array(["a\0b", "", "q", "\ud800"], dtype=object)),
            "text": ((), "hello"),
            "number": ((), 3.5, {"units": "seconds since 2000-01-01"}),
            "transposed": (("y", "x"), np.asfortranarray(np.arange(12.0).reshape(3, 4))),
        },
        coords={
            "x": np.arange(4, dtype="i4"),
            "label": ("x", list("abcd")),
            "at": 3,
            "two words": ("y", [1, 2, 3]),
        },
    )
    empty = xr.Dataset(
        {
            "start": ("trial", np.empty(0)),
            "ok": ("trial", np.empty(0, bool)),
            "side": ("trial", np.empty(0, "U5")),
        },
        coords={"trial": np.empty(0, "i8")},
    )
    nodes = {"/": xr.Dataset(attrs=attrs), "/b/values": values, "/b/none": xr.Dataset(), "/a": empty}
    return xr.DataTree.from_dict(nodes)


@pytest.mark.parametrize("lazy", [False, True])
def test_what_others_change_comes_back(everything, tmp_path, assert_same, lazy):
    write_tree(everything, tmp_path / "a.nc")
    assert_same(read_tree(tmp_path / "a.nc", lazy=lazy), everything)


_names = st.text("abcü _-1", min_size=1, max_size=6).filter(lambda name: name.strip() == name)
_arrays = hnp.arrays(
    st.sampled_from(["f4", "f8", "i4", "u1", "?"]), hnp.array_shapes(min_dims=0, max_dims=2, min_side=0)
)
_lists = st.lists(st.integers(), max_size=3)
_values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), _lists, _arrays
)
_dtypes = st.sampled_from(["f8", "f4", "i8", "i4", "u2", "?", "U3"])


@st.composite
def _datasets(draw) -> xr.Dataset:
    sizes = {dim: draw(st.integers(0, 4)) for dim in ("time", "unit")}
    variables = {}
    for name in draw(st.lists(_names, max_size=4, unique=True)):
        dims = tuple(draw(st.permutations(["time", "unit"]))[: draw(st.integers(0, 2))])
        values = draw(hnp.arrays(draw(_dtypes), tuple(sizes[dim] for dim in dims)))
        variables[name] = (dims, values, draw(st.dictionaries(_names, _values, max_size=2)))
    data = xr.Dataset(variables, attrs=draw(st.dictionaries(_names, _values, max_size=4)))
    return data.set_coords(
        draw(st.lists(st.sampled_from(sorted(variables)), unique=True)) if variables else []
    )


@settings(max_examples=15)
@given(st.dictionaries(st.sampled_from(["/N", "/N2/N", "/N2/N3"]), _datasets(), max_size=3))
def test_any_tree_comes_back(tmp_path_factory, assert_same, nodes):
    tree = xr.DataTree.from_dict(nodes)
    path = tmp_path_factory.mktemp("any") / "a.nc"
    write_tree(tree, path)
    assert_same(read_tree(path), tree)
    assert_same(read_tree(path, lazy=True, digest=netcdf.digest_file(path)), tree)


def test_a_child_is_written_as_a_tree_of_its_own(everything, tmp_path, assert_same):
    write_tree(everything["b"], tmp_path / "a.nc")
    assert_same(read_tree(tmp_path / "a.nc"), everything["b"].copy())


def test_xarray_reads_our_files(tmp_path):
    data = xr.Dataset(
        {
            "counts": (("time", "unit"), np.arange(6).reshape(3, 2), {"units": "1"}),
            "ok": ("unit", [True, False]),
        },
        coords={"time": [0.1, 0.2, 0.3], "unit": ["a", "b"], "depth": ("unit", [1.0, 2.0])},
        attrs={"bin_width": 0.1, "version": 1},
    )
    write_tree(xr.DataTree.from_dict({"/": data, "/b": data}), tmp_path / "a.nc")
    with xr.open_datatree(tmp_path / "a.nc", engine="h5netcdf") as found:
        for node in (found, found["b"]):
            seen = node.to_dataset()
            seen.attrs.pop("neurokit_snn", None)
            for variable in seen.variables.values():
                variable.attrs.pop("neurokit_snn", None)
            xr.testing.assert_identical(seen.load(), data)


def test_every_array_has_a_checksum(tmp_path, everything):
    write_tree(everything, tmp_path / "a.nc")
    unguarded = []
    with h5py.File(tmp_path / "a.nc") as file:
        file.visititems(
            lambda name, item: (
                isinstance(item, h5py.Dataset)
                and item.size
                and item.ndim
                and not item.fletcher32
                and unguarded.append((name, item.dtype.kind))
            )
        )
    # What is left has no numbers of its own: strings, and the marks that netCDF makes of bare dimensions.
    assert {name for name, kind in unguarded if kind != "O"} <= {"b/values/y"}


# ---- lazy
# ------------------------------------------------------------------------------------------------------


@pytest.fixture
def large(tmp_path):
    """A file with a variable too large to be loaded at once, and the variable."""
    values = np.random.default_rng(0).normal(size=(100_000, 3))
    data = xr.Dataset({"v": (("time", "axis"), values)}, coords={"time": np.arange(100_000) / 1e3})
    write_tree(data, tmp_path / "a.nc")
    return tmp_path / "a.nc", values


def test_lazy_reads_slices_only(large, monkeypatch):
    path, values = large
    tree = read_tree(path, lazy=True)
    assert not tree["v"].variable._in_memory
    read = []
    get = h5netcdf.Variable.__getitem__
    monkeypatch.setattr(
        h5netcdf.Variable, "__getitem__", lambda self, key: read.append(key) or get(self, key)
    )
    np.testing.assert_array_equal(tree["v"][500:510, 1].values, values[500:510, 1])
    assert read == [(slice(500, 510, 1), 1)]
    np.testing.assert_array_equal(tree["v"][::-40_000].values, values[::-40_000])
    np.testing.assert_array_equal(tree["v"][[70_000, 3, 3]].values, values[[70_000, 3, 3]])
    assert tree["v"][7:7].shape == (0, 3)
    assert not tree["v"].variable._in_memory


def test_lazy_goes_to_dask_and_to_other_processes(large):
    pytest.importorskip("dask")
    path, values = large
    tree = read_tree(path, lazy=True)
    chunked = tree["v"].chunk(time=30_000)
    np.testing.assert_array_equal(chunked.sum("axis").compute(scheduler="threads"), values.sum(1))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(tree))["v"].values, values)


def test_lazy_variables_are_streamed_into_a_new_file(large, tmp_path, monkeypatch):
    pytest.importorskip("dask")
    path, values = large
    monkeypatch.setattr(netcdf, "_SLAB_BYTES", 1 << 19)
    tree = read_tree(path, lazy=True)
    for i, source in enumerate((tree, tree.chunk(time=7_777))):
        write_tree(source, tmp_path / f"{i}.nc")
        np.testing.assert_array_equal(read_tree(tmp_path / f"{i}.nc")["v"].values, values)


def test_a_replaced_file_is_not_mistaken_for_the_one_opened(large, tmp_path):
    path, values = large
    tree = read_tree(path, lazy=True)
    travelling = pickle.dumps(tree)
    write_tree(xr.Dataset({"v": (("time", "axis"), values + 1)}), tmp_path / "b.nc")
    os.replace(tmp_path / "b.nc", path)
    np.testing.assert_array_equal(tree["v"][:5].values, values[:5])  # still held open
    with pytest.raises(ArtefactError, match="changed since it was opened lazily"):
        pickle.loads(travelling)["v"][:5].values  # noqa: B018


@pytest.mark.parametrize(
    ("shape", "chunks"),
    [
        ((5,), (5,)),
        ((1 << 20,), (1 << 16,)),
        ((1, 720_000, 500), (1, 131, 500)),
        ((9, 300, 400), (1, 163, 400)),
        ((2, 200_000), (1, 65_536)),
    ],
)
def test_chunks_are_slabs_of_rows(shape, chunks):
    assert netcdf.chunk_shape(shape) == chunks


# ---- refusals
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        (("x", np.array(["a", None], object)), r"/: variable 'v': nan at \(1,\) is no string"),
        (
            (("x", "y"), np.array([["a", "b"], ["c", 4]], dtype=object)),
            r"/: variable 'v': 4 at \(1, 1\) is no string",
        ),
        (("x", np.array([1j, 2])), "'v' has dtype complex128"),
        (("x", np.array([b"a"])), r"'v' has dtype \|S1"),
        (("x", pd.Categorical(["a", "b"])), "'v' has the pandas dtype category"),
    ],
)
def test_what_cannot_be_held_is_refused(tmp_path, variable, message):
    with pytest.raises(ArtefactError, match=message):
        write_tree(xr.Dataset({"v": variable}), tmp_path / "a.nc")
    assert not (tmp_path / "a.nc").exists()


def test_names_and_attributes_that_cannot_be_held(tmp_path):
    with pytest.raises(ArtefactError, match="variable name 3 is no string"):
        write_tree(xr.Dataset({3: ("x", [1.0])}), tmp_path / "a.nc")
    with pytest.raises(ArtefactError, match=r"'f'\] is a builtin_function_or_method"):
        write_tree(xr.Dataset(attrs={"a": {"f": print}}), tmp_path / "b.nc")
    with pytest.raises(ArtefactError, match="attribute name 3 is no string"):
        write_tree(xr.Dataset(attrs={3: 1}), tmp_path / "c.nc")


def test_nothing_is_written_over(tmp_path):
    (tmp_path / "a.nc").write_text("mine")
    with pytest.raises(ArtefactError, match="exists; nothing is written over"):
        write_tree(xr.Dataset(), tmp_path / "a.nc")
    assert (tmp_path / "a.nc").read_text() == "mine"


def test_what_is_not_ours_is_refused(tmp_path):
    xr.Dataset({"a": ("x", [1.0])}).to_netcdf(tmp_path / "foreign.nc", engine="h5netcdf")
    (tmp_path / "text.nc").write_text("no HDF5 at all")
    messages = {"foreign": "not a file of neurokit_snn", "text": "not a netCDF4 file", "no": "No such file"}
    for name, message in messages.items():
        with pytest.raises(ArtefactError, match=message):
            read_tree(tmp_path / f"{name}.nc")


def test_a_newer_layout_is_refused(tmp_path, monkeypatch):
    with monkeypatch.context() as future:
        future.setattr(netcdf, "LAYOUT", 2)
        write_tree(xr.Dataset(), tmp_path / "a.nc")
    with pytest.raises(ArtefactError, match="layout 2 was written by a newer neurokit_snn; upgrade"):
        read_tree(tmp_path / "a.nc")


def test_a_missing_variable_is_noticed(tmp_path):
    write_tree(xr.Dataset({"a": ("x", [1.0]), "b": ("x", [2.0])}), tmp_path / "a.nc")
    with h5py.File(tmp_path / "a.nc", "r+") as file:
        del file["b"]
    with pytest.raises(ArtefactError, match="does not hold the variables and groups it lists"):
        read_tree(tmp_path / "a.nc")
