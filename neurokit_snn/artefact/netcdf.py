"""Trees of xarray datasets to one netCDF4 file and back, bit for bit.

The files are plain netCDF4 that any program opens, with three things that a generic writer does not do. Types
that netCDF lacks come back as they were (`attributes`, `variables`). Every byte is guarded: arrays by a
Fletcher-32 checksum per chunk, HDF5's own structures by the checksums of its version 1.10 format. Chunks are
slabs of rows, so that a slice in time of a file larger than memory reads little more than itself.

Floats are not compressed: deflate takes 20 times as long as writing spike times does and saves a third.
Integers and bools are, where a variable is large: counts and masks shrink to a few per cent.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5netcdf
import numpy as np
import xarray as xr
from xarray.core.indexing import LazilyIndexedArray

from neurokit_snn.artefact import attributes, plain, variables
from neurokit_snn.artefact.lazy import LazyArray, OpenFile
from neurokit_snn.errors import ArtefactError

__all__ = ["SMALL", "digest_file", "read_tree", "write_tree"]

LAYOUT = 1
"""Version of what `write_tree` does; files of every version stay readable."""

SMALL = 1 << 16
"""Variables of up to this many elements are loaded even when a file is opened lazily."""

_CHUNK = 1 << 16
_SLAB_BYTES = 1 << 26


def write_tree(tree: xr.DataTree | xr.Dataset, path: str | os.PathLike[str]) -> None:
    """Write a tree, or one dataset, to a netCDF4 file. Lazy (dask) variables are streamed slab by slab.

    The file is written in place: give a temporary name and rename it, or use `neurokit_snn.artefact.write`.

    Parameters
    ----------
    tree
        What to write. Variables are bool, integers, floats, str (dtype ``U``, ``T`` or object) or datetimes.
    path
        New file.

    Raises
    ------
    ArtefactError
        When the file exists; or naming the variable that netCDF cannot hold and the first offending index.

    Examples
    --------
    >>> import tempfile
    >>> data = xr.Dataset({"rate": ("unit", [1.5, 2.0])}, {"unit": ["a", "b"]}, {"bin_width": 0.01})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_tree(data, f"{folder}/rates.nc")
    ...     read_tree(f"{folder}/rates.nc").to_dataset().identical(data)
    True
    """
    root = xr.DataTree(tree) if isinstance(tree, xr.Dataset) else tree
    plans = {key: _plan(key, node) for key, node in _nodes(root)}
    try:
        with h5netcdf.File(os.fspath(path), "x", libver=("v110", "v110")) as file:
            for key, node in _nodes(root):
                _write_node(file if key == "/" else file.create_group(key), node, plans[key])
    except ArtefactError:
        raise
    except FileExistsError as error:
        raise ArtefactError(f"{path} exists; nothing is written over, choose another name") from error
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        raise ArtefactError(
            f"{path}: netCDF cannot hold this tree ({_first_line(error)}); rename what it names"
        ) from error


def read_tree(path: str | os.PathLike[str], *, lazy: bool = False, digest: str | None = None) -> xr.DataTree:
    """Read a file of `write_tree`.

    Parameters
    ----------
    path
        File that `write_tree` wrote.
    lazy
        Leave variables of more than `SMALL` numbers on disk until they are used; slices read only what they
        need, ``.chunk()`` makes dask arrays of them. Coordinates of a dimension and strings are always
        loaded.
    digest
        What `digest_file` gave when the file was written; a lazy reader checks it.

    Returns
    -------
    tree
        The tree, its nodes, variables, attributes and their order as they were written.

    Raises
    ------
    ArtefactError
        When the file is not there, is damaged or was not written by `write_tree`. A lazy variable raises it
        when the part that is damaged is used.
    """
    opened = OpenFile(Path(path))
    try:
        tree = _read(opened, lazy)
        if lazy and digest not in (None, opened.digest.hexdigest()):
            raise ArtefactError(f"{path}: its content does not match its digest; restore it from a copy")
    except ArtefactError:
        raise
    except Exception as error:
        # A damaged file makes HDF5 and its wrappers raise almost anything; all of it means the same to the
        # user.
        raise ArtefactError(
            f"{path}: damaged netCDF file ({_first_line(error)}); restore it from a copy"
        ) from error
    finally:
        if not lazy:
            opened.close()
    return tree


def digest_file(path: str | os.PathLike[str]) -> str:
    """SHA-256 of all that a lazy reader loads at once.

    These are names, shapes, attributes, strings and variables of up to `SMALL` elements. What is left, the
    chunks of large variables, has a checksum each. Together they guard every value that `read_tree` with
    ``lazy=True`` can return, without reading the whole file.

    Parameters
    ----------
    path
        File that `write_tree` wrote.
    """
    opened = OpenFile(Path(path))
    try:
        _read(opened, lazy=True)
        return opened.digest.hexdigest()
    finally:
        opened.close()


def _nodes(tree: xr.DataTree) -> Iterator[tuple[str, xr.DataTree]]:
    """Paths from the root of ``tree`` (which may itself be a child) and nodes, parents first."""
    for key, node in tree.subtree_with_keys:
        yield ("/" if key in (".", "/") else f"/{key}"), node


def _plan(key: str, node: xr.DataTree) -> dict[str, variables.Stored]:
    """How each variable of a node is stored; raises before anything is written."""
    dataset = node.to_dataset(inherit=False)
    plans: dict[str, variables.Stored] = {}
    for name, variable in dataset.variables.items():
        if not isinstance(name, str):
            raise ArtefactError(f"{key}: variable name {name!r} is no string; rename it")
        plans[name] = variables.plan(variable, where=f"{key}: variable {name!r}")
    return plans


def _write_node(group: Any, node: xr.DataTree, plans: dict[str, variables.Stored]) -> None:
    dataset = node.to_dataset(inherit=False)
    group.dimensions = {dim: dataset.sizes[dim] for dim in dataset.sizes}
    for name, plan in plans.items():
        _write_variable(group, name, dataset.variables[name], plan)
    native, exact = attributes.encode(dataset.attrs, where=group.name)
    aside = [str(name) for name in dataset.coords if name not in dataset.dims]
    if aside and not any(" " in name for name in aside):
        native["coordinates"] = " ".join(aside)
    order = {
        "variables": list(dataset.variables),
        "coordinates": list(dataset.coords),
        "children": list(node.children),
    }
    mark = {"layout": LAYOUT, "small": SMALL} if group.name == "/" else {}
    group.attrs.update(native | attributes.keep(attrs=exact, **order, **mark))


def _write_variable(group: Any, name: str, source: xr.Variable, plan: variables.Stored) -> None:
    filters: dict[str, Any] = {}
    if source.size and source.ndim and not plan.text:
        filters = {"chunks": chunk_shape(source.shape), "fletcher32": True}
        if source.size > SMALL and plan.dtype.kind in "iu":
            filters |= {"compression": "gzip", "compression_opts": 1, "shuffle": True}
    target = group.create_variable(name, source.dims, dtype=plan.dtype, **filters)
    for key in _slabs(source, plan.dtype.itemsize):
        target[key] = plan.encode(np.asarray(source[key].values))
    native, exact = attributes.encode(source.attrs, where=f"{group.name}: variable {name!r}")
    if plan.original == np.bool_:
        native["dtype"] = "bool"  # how xarray marks bools, so that it reads ours
    target.attrs.update(native | attributes.keep(attrs=exact, dtype=plan.tag, escaped=plan.escaped or None))


def chunk_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of the chunks of an array: whole trailing dimensions as far as the budget goes, then rows.

    Examples
    --------
    >>> chunk_shape((10_000_000,)), chunk_shape((1, 720_000, 500)), chunk_shape((3, 2))
    ((65536,), (1, 131, 500), (3, 2))
    """
    budget, chunks = _CHUNK, []
    for size in reversed(shape):
        chunks.append(max(1, min(size, budget)))
        budget //= chunks[-1]
    return tuple(reversed(chunks))


def _slabs(source: xr.Variable, itemsize: int) -> Iterator[tuple[slice | int, ...]]:
    """Keys that cover an array in blocks of whole chunks and bounded memory."""
    if not source.size:
        return
    budget, steps = _SLAB_BYTES // itemsize, []
    for size, chunk in zip(reversed(source.shape), reversed(chunk_shape(source.shape)), strict=True):
        step = min(size, max(1, budget // chunk) * chunk)
        steps.append(step)
        budget = max(1, budget // step)
    counts = [-(-size // step) for size, step in zip(source.shape, reversed(steps), strict=True)]
    for block in np.ndindex(*counts):
        yield tuple(
            slice(i * step, min((i + 1) * step, size))
            for i, step, size in zip(block, reversed(steps), source.shape, strict=True)
        )


def _read(opened: OpenFile, lazy: bool) -> xr.DataTree:
    kept = attributes.kept(opened.file.attrs)
    if "layout" not in kept:
        raise ArtefactError(f"{opened.path}: not a file of neurokit_snn; open it with xarray.open_datatree")
    if kept["layout"] > LAYOUT:
        raise ArtefactError(
            f"{opened.path}: layout {kept['layout']} was written by a newer neurokit_snn; upgrade to read it"
        )
    opened.small = int(kept["small"])  # as it was when the digest was taken
    found: dict[str, xr.Dataset] = {}
    _read_group(opened, opened.file, "/", lazy, found)
    return xr.DataTree.from_dict(found)


def _read_group(opened: OpenFile, group: Any, key: str, lazy: bool, found: dict[str, xr.Dataset]) -> None:
    kept = attributes.kept(group.attrs)
    names, coordinates = kept.get("variables", []), set(kept.get("coordinates", []))
    if set(names) != set(group.variables) or set(kept.get("children", [])) != set(group.groups):
        raise ArtefactError(
            f"{opened.path}: {key} does not hold the variables and groups it lists; restore it from a copy"
        )
    _count_in(opened, [key, list(group.dimensions)], group.attrs)
    content = {name: _read_variable(opened, group, key, name, lazy) for name in names}
    found[key] = xr.Dataset(
        {name: v for name, v in content.items() if name not in coordinates},
        coords={name: v for name, v in content.items() if name in coordinates},
        attrs=attributes.decode(dict(group.attrs), kept.get("attrs", {})),
    )
    for child in kept.get("children", []):
        _read_group(opened, group.groups[child], f"{key.rstrip('/')}/{child}", lazy, found)


def _read_variable(opened: OpenFile, group: Any, key: str, name: str, lazy: bool) -> xr.Variable:
    stored = group.variables[name]
    kept = attributes.kept(stored.attrs)
    plan = variables.Stored.of_file(stored.dtype, kept.get("dtype"), escaped=kept.get("escaped", False))
    attrs = attributes.decode(dict(stored.attrs), kept.get("attrs", {}))
    dims = tuple(stored.dimensions)
    _count_in(opened, [key, name, list(dims), list(stored.shape), str(stored.dtype)], stored.attrs)
    large = int(np.prod(stored.shape)) > opened.small and not plan.text
    if lazy and large and dims != (name,):
        array = LazyArray(opened, f"{key.rstrip('/')}/{name}", tuple(stored.shape), plan)
        return xr.Variable(dims, LazilyIndexedArray(array), attrs)
    values = stored[...]
    if lazy and not large:
        opened.digest.update(plain.dumps(np.asarray(values), what=name).encode("ascii"))
    return xr.Variable(dims, plan.decode(values), attrs)


def _count_in(opened: OpenFile, head: list[Any], attrs: Any) -> None:
    """Add names, shapes and attributes, as they stand in the file, to the digest."""
    text = plain.dumps([head, {name: attrs[name] for name in sorted(attrs)}], what="attributes")
    opened.digest.update(text.encode("ascii"))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
