"""`read` and `write`: any file or folder by its name and content."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import xarray as xr

from neurokit_snn.errors import FormatError
from neurokit_snn.io.formats import FORMATS, Format, find_format, identify

__all__ = ["read", "write"]


def read(
    path: str | os.PathLike[str], *, format: str | None = None, lazy: bool = False, **options: Any
) -> xr.DataTree:
    """Read a recording from a file or folder of any format.

    Parameters
    ----------
    path
        What to read. A folder of neurokit_snn itself, ``X.nk``, is read by `neurokit_snn.load`.
    format
        Name of the format (see `capabilities`); None to go by name and content, which must agree.
    lazy
        Whether large variables become dask arrays, read when used; for netCDF, Zarr and NWB.
    **options
        Given to the reader of the format, as in ``sampling_rate=30.0`` for tracks.

    Returns
    -------
    recording
        Validated.

    Raises
    ------
    FormatError
        When the path is missing, its format unknown, or its content is not what its name or ``format`` says,
        naming both; or when the reader does not know an option.
    RecordingError
        When what it holds breaks a rule of the schema.
    MissingExtraError
        When the format needs a package that is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from neurokit_snn import io, recording
    >>> tree = recording.build(spikes={"a": [0.1, 0.2]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     io.read(io.write(tree, f"{folder}/a.nc")).identical(tree)
    True
    """
    source = Path(path)
    if not source.exists():
        # Zarr brings back what an interrupted overwrite left aside, so its reader looks for itself.
        if source.suffix != ".zarr":
            raise FormatError(f"{source} does not exist; check the path")
        spec = find_format("zarr")
    else:
        spec = _named(source, format) if format is not None else _found(source)
    if lazy and not spec.lazy:
        able = ", ".join(one.title for one in FORMATS if one.lazy)
        raise FormatError(
            f"{source}: {spec.title} is not read lazily; leave lazy=True out, or convert to {able}"
        )
    function = _function(spec.reader)
    try:
        return function(source, **({"lazy": True} if lazy else {}), **options)
    except TypeError as error:
        # Only a mistake in the call itself: what goes wrong inside is the reader's.
        if error.__traceback__ is not None and error.__traceback__.tb_next is None:
            raise FormatError(
                f"{source}: {spec.title}: {error}; see the documentation of {function.__name__}"
            ) from error
        raise


def write(
    tree: xr.DataTree, path: str | os.PathLike[str], *, format: str | None = None, overwrite: bool = False
) -> Path:
    """Write a recording to a file or folder, whole or not at all.

    Parameters
    ----------
    tree
        A recording; it is validated first.
    path
        ``.nc`` (netCDF4), ``.nwb`` or ``.zarr``. An artefact with a manifest, ``X.nk``, is written by
        `neurokit_snn.save`.
    format
        Name of the format; None to go by the name of the path.
    overwrite
        Whether an existing path may be replaced.

    Returns
    -------
    path
        What was written.

    Raises
    ------
    FormatError
        When the format is unknown, is not written, or does not go with the name.
    NeurokitError
        When ``path`` exists and ``overwrite`` is False.
    RecordingError
        When the recording breaks a rule of the schema.
    MissingExtraError
        When the format needs a package that is not installed.

    Examples
    --------
    >>> from neurokit_snn import io, recording
    >>> io.write(recording.build(spikes={"a": [0.1]}), "a.xyz")
    Traceback (most recent call last):
    neurokit_snn.errors.FormatError: a.xyz: no format is written under '.xyz'; use one of .nc, .nwb, .zarr
    """
    target = Path(path)
    writable = [one for one in FORMATS if one.writer is not None and one.place != "object"]
    by_name = [one for one in writable if target.suffix.lower() in one.suffixes]
    if format is None:
        if not by_name:
            known = ", ".join(suffix for one in writable for suffix in one.suffixes)
            raise FormatError(f"{target}: no format is written under {target.suffix!r}; use one of {known}")
        spec = by_name[0]
    else:
        spec = find_format(format)
        if spec not in writable:
            names = ", ".join(one.name for one in writable)
            raise FormatError(f"{target}: {spec.title} is not written to files; use one of {names}")
        if by_name and spec not in by_name:
            raise FormatError(
                f"{target}: its name says {by_name[0].title}, format={format!r} says {spec.title}; "
                "make them agree"
            )
    assert spec.writer is not None
    written: Path = _function(spec.writer)(tree, target, overwrite=overwrite)
    return written


def _found(source: Path) -> Format:
    """Format of a path by its content, which must be what its name says."""
    _refuse_artefact(source)
    found = identify(source)
    named = [one for one in FORMATS if source.suffix.lower() in one.suffixes]
    if found is not None and (found in named or not named):
        return found
    if not named:
        known = ", ".join(f"{one.title} ({one.name})" for one in FORMATS if one.place != "object")
        raise FormatError(f"{source}: neither its name nor its content is of a format known here: {known}")
    says = " or ".join(one.title for one in named)
    holds = found.title if found is not None else _content(source)
    remedy = (
        f"rename it or pass format={found.name!r}"
        if found is not None
        else "is it damaged, or another format?"
    )
    raise FormatError(f"{source}: its name says {says}, its content is {holds}; {remedy}")


def _named(source: Path, name: str) -> Format:
    """Format that the caller names, if the content is of it."""
    spec = find_format(name)
    if spec.place == "object":
        raise FormatError(
            f"{source}: {spec.title} is a kind of object, not of file; use {spec.reader.split(':')[1]}()"
        )
    _refuse_artefact(source)
    folder = source.is_dir()
    if folder == (spec.place == "folder") and spec.recognises(source):
        return spec
    found = identify(source)
    holds = found.title if found is not None else _content(source)
    raise FormatError(
        f"{source}: format={name!r} says {spec.title}, its content is {holds}; leave format out, or mend it"
    )


def _refuse_artefact(source: Path) -> None:
    if source.is_dir() and (source / "manifest.json").is_file():
        raise FormatError(f"{source}: an artefact of neurokit_snn; open it with neurokit_snn.load")


def _content(source: Path) -> str:
    """Say what can be said of content that no format recognises."""
    if source.is_dir():
        return "a folder of something else"
    with source.open("rb") as file:
        start = file.read(8)
    if not start:
        return "nothing (it is empty)"
    return (
        "HDF5 of another kind"
        if start == b"\x89HDF\r\n\x1a\n"
        else f"something else (it starts with {start!r})"
    )


def _function(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(f"neurokit_snn.io.{module}"), function)
    return found
