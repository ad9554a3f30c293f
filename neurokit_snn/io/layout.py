"""What a foreign format has no place for: the dims, dtypes, attributes and labels of a recording, as JSON.

NWB, Neo and pynapple hold times and numbers exactly, but not the rest of an xarray node. So a writer puts
everything it can into the format's own objects, where everybody finds it, and sends along

* one JSON text, the *layout*: for each node its attributes, for each variable dims, dtype and attributes, and
  the values of coordinates that have no place of their own (``axis = ["x", "y"]``);
* the few arrays that are left, *kept* as they are (``/truth``; the original times of a node on another clock,
  because the format's own objects stand on the session clock).

A reader makes nodes of the format's objects as if they were anybody's, then `restore` puts names, dtypes and
attributes back. Where the file was edited meanwhile so that the layout no longer fits a node, the node stays
as the format has it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from neurokit_snn.artefact import plain
from neurokit_snn.errors import FormatError, NeurokitError
from neurokit_snn.recording import schema

__all__ = ["LossWarning", "Outgoing", "parse", "restore", "runs"]

NAME = "neurokit_snn.layout"
VERSION = 1


class LossWarning(UserWarning):
    """A file holds something that the recording made of it leaves out."""


class Outgoing:
    """The nodes of a recording on their way into a foreign format.

    A writer takes arrays out with `take` and `seconds`; `layout` then describes everything and hands back
    what nobody took.

    Parameters
    ----------
    tree
        A recording.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> out = Outgoing(recording.build(spikes={"a": [0.1, 0.2]}))
    >>> out.seconds("/spikes", "time")
    array([0.1, 0.2])
    >>> sorted(out.layout()[1])
    ['/spikes:row_size']
    """

    def __init__(self, tree: xr.DataTree) -> None:
        self.nodes = schema.datasets(tree)
        self._taken: set[tuple[str, str]] = set()

    def take(self, path: str, name: str) -> np.ndarray:
        """Return a variable and note that the format holds it exactly."""
        self.mark(path, name)
        return self.peek(path, name)

    def peek(self, path: str, name: str) -> np.ndarray:
        """Return a variable that the format shows but does not hold exactly."""
        return np.asarray(self.nodes[path].variables[name].values)

    def mark(self, path: str, name: str) -> None:
        """Note that the format holds a variable exactly, without loading it."""
        self._taken.add((path, name))

    def keep(self, path: str, *names: str) -> None:
        """Note that the format does not hold these variables exactly after all."""
        self._taken -= {(path, name) for name in names}

    def seconds(self, path: str, name: str) -> np.ndarray:
        """Return times in session seconds; taken only where the node is on the session clock already."""
        label = self.nodes[path].attrs.get("clock")
        if label is None:
            return self.take(path, name)
        clocks = self.nodes["/clocks"]
        row = clocks["clock"].values.tolist().index(label)
        return float(clocks["slope"][row]) * self.peek(path, name) + float(clocks["offset"][row])

    def family(self, name: str) -> dict[str, str]:
        """Return ``{NAME: path}`` of the nodes ``/name/NAME``, in the order of the recording."""
        prefix = f"/{name}/"
        return {path.removeprefix(prefix): path for path in self.nodes if path.startswith(prefix)}

    def columns(self, path: str, dim: str, *, but: tuple[str, ...] = ()) -> list[str]:
        """Return the names of the variables of a node along ``dim`` alone, without those in ``but``."""
        node = self.nodes[path]
        return [
            str(name)
            for name, variable in node.variables.items()
            if variable.dims == (dim,) and name not in but
        ]

    def layout(self, *, keep_empty: bool = True) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return the layout, for `plain.dumps`, and the arrays kept, as ``{"/node:variable": array}``.

        Parameters
        ----------
        keep_empty
            Whether empty arrays are kept even if they were taken, because the format loses track of them (a
            table without rows has no types).
        """
        kept: dict[str, np.ndarray] = {}
        nodes: dict[str, Any] = {}
        for path, node in self.nodes.items():
            variables: dict[str, Any] = {}
            for name, variable in node.variables.items():
                name = str(name)
                spec: dict[str, Any] = {
                    "dims": list(variable.dims),
                    "dtype": _dtype_name(variable.dtype, f"{path}:{name}"),
                    "shape": list(variable.shape),
                    "attrs": dict(variable.attrs),
                    "coordinate": name in node.coords,
                }
                if (path, name) not in self._taken or (keep_empty and variable.size == 0):
                    if _is_label(path, name, variable, node):
                        spec["values"] = np.asarray(variable.values)
                    else:
                        kept[f"{path}:{name}"] = to_plain(np.asarray(variable.values), f"{path}:{name}")
                variables[name] = spec
            nodes[path] = {"attrs": dict(node.attrs), "variables": variables}
        return {"layout": NAME, "version": VERSION, "nodes": nodes}, kept


def runs(values: np.ndarray, row_size: np.ndarray) -> list[np.ndarray]:
    """Return the run of each unit of a flat array.

    Examples
    --------
    >>> [run.tolist() for run in runs(np.arange(3), np.array([2, 0, 1]))]
    [[0, 1], [], [2]]
    """
    # np.split makes one piece, not none, of no cuts.
    return np.split(values, np.cumsum(row_size)[:-1]) if len(row_size) else []


def _is_label(path: str, name: str, variable: xr.Variable, node: xr.Dataset) -> bool:
    """Whether a variable is a short list of labels, which goes into the JSON, and not data."""
    return (
        name in node.coords
        and variable.ndim < 2
        and variable.dims != ("time",)
        and variable.dtype.kind in "biufcUO"
    )


def parse(text: str, name: str) -> dict[str, Any]:
    """Return the layout that a file carries.

    Parameters
    ----------
    text
        What the file holds, made by `plain.dumps` of `Outgoing.layout`.
    name
        Name of the file, for errors.

    Raises
    ------
    FormatError
        When the text is not a layout of a version that this package reads.

    Examples
    --------
    >>> parse('{"layout": "neurokit_snn.layout", "version": 1, "nodes": {}}', "a.nwb")["nodes"]
    {}
    """
    try:
        layout = plain.loads(text)
        known, version, _ = layout["layout"] == NAME, layout["version"], layout["nodes"].items()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(
            f"{name}: its neurokit_snn layout is damaged ({error}); write the file again"
        ) from error
    if not known or version != VERSION:
        raise FormatError(
            f"{name}: layout version {version!r}, this release reads {VERSION}; install a newer one"
        )
    return layout


def restore(
    found: Mapping[str, xr.Dataset], layout: Mapping[str, Any], kept: Mapping[str, Any], name: str
) -> dict[str, xr.Dataset]:
    """Return the nodes as they were before they went through the format.

    Parameters
    ----------
    found
        Nodes as the format's own objects give them, by path.
    layout
        What `Outgoing.layout` made.
    kept
        The arrays that it kept aside.
    name
        Name of the file, for the warning.

    Returns
    -------
    nodes
        Datasets by path; nodes that the layout does not know are passed on as they were found.

    Raises
    ------
    FormatError
        When the layout is damaged, or names data that are not there.

    Warns
    -----
    LossWarning
        When a node was edited so that its layout no longer fits; the node is then taken as the format has it.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> out = Outgoing(recording.build(spikes={"a": [0.1, 0.2]}))
    >>> nodes = restore({}, *out.layout(), "memory")
    >>> nodes["/spikes"]["time"].attrs["units"]
    's'
    """
    nodes: dict[str, xr.Dataset] = {}
    for path, spec in layout["nodes"].items():
        try:
            nodes[path] = _restore_node(found.get(path, xr.Dataset()), path, spec, kept)
        except NeurokitError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            if path not in found:
                raise FormatError(
                    f"{name}: node {path} is damaged ({error}); write the file again"
                ) from error
            warnings.warn(
                f"{name}: {path} no longer fits its neurokit_snn layout ({error}); taken as it stands",
                LossWarning,
                stacklevel=2,
            )
            nodes[path] = found[path]
    return nodes | {path: node for path, node in found.items() if path not in nodes}


def _restore_node(
    found: xr.Dataset, path: str, spec: Mapping[str, Any], kept: Mapping[str, Any]
) -> xr.Dataset:
    variables: dict[str, xr.Variable] = {}
    for name, its in spec["variables"].items():
        if "values" in its:
            data = its["values"]
        elif (key := f"{path}:{name}") in kept:
            data = from_plain(kept[key], its["dtype"], its["shape"])
        else:
            data = from_plain(found.variables[name].data, its["dtype"], its["shape"])
        variables[name] = xr.Variable(tuple(its["dims"]), data, its["attrs"])
    coords = [name for name, its in spec["variables"].items() if its["coordinate"]]
    data_vars = {name: variable for name, variable in variables.items() if name not in coords}
    return xr.Dataset(data_vars, {name: variables[name] for name in coords}, spec["attrs"])


def to_plain(values: np.ndarray, what: str) -> np.ndarray:
    """Return the array as numbers or str with at least one dimension, which every format can hold."""
    values = np.atleast_1d(values)
    kind = values.dtype.kind
    if kind in "biuf":
        return values
    if kind in "mM":
        return values.view(np.int64)
    if kind == "c":
        return np.stack([values.real, values.imag], axis=-1)
    texts = values.astype(object)
    wrong = next((index for index, item in np.ndenumerate(texts) if not isinstance(item, str)), None)
    if wrong is not None:
        raise FormatError(
            f"{what}: element {wrong} is {texts[wrong]!r}; exchange formats hold numbers and str only"
        )
    return texts


def from_plain(values: Any, dtype: str, shape: list[int]) -> Any:
    """Undo `to_plain`; dask arrays stay lazy. Rows may have been added or removed, the rest must fit."""
    values = values if hasattr(values, "dask") else np.asarray(values)
    if dtype == "str":
        return np.asarray(values, dtype=object).reshape(_fit(values.size, shape))
    wanted = np.dtype(dtype)
    if wanted.kind in "mM":
        values = np.ascontiguousarray(values, dtype=np.int64).view(wanted)
    elif wanted.kind == "c":
        values = values[..., 0] + 1j * values[..., 1]
    return values.reshape(_fit(values.size, shape)).astype(wanted)


def _fit(size: int, shape: list[int]) -> tuple[int, ...]:
    if size == int(np.prod(shape)) or not shape:
        return tuple(shape)
    return (-1, *shape[1:])


def _dtype_name(dtype: np.dtype, what: str) -> str:
    if dtype.kind in "OT":
        return "str"
    if dtype.kind not in "biufcmMU":
        raise FormatError(
            f"{what} has dtype {dtype}, which no exchange format holds; use numbers, bool or str"
        )
    return dtype.str
