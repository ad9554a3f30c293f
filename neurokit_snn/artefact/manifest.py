"""The manifest of an artefact: what it is, who made it how, and a checksum of every file and of itself."""

from __future__ import annotations

import datetime
import functools
import hashlib
import importlib.metadata
import os
import platform
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neurokit_snn.artefact import plain
from neurokit_snn.errors import ArtefactError

__all__ = ["FORMAT", "NAME", "SCHEMA_VERSIONS", "FileEntry", "compose", "parse", "render", "sha256_of"]

NAME = "manifest.json"

FORMAT = 1
"""Version of the folder layout and of the manifest itself."""

SCHEMA_VERSIONS = {"recording": 1, "binned": 1, "comparison": 1, "dataset": 1, "tree": 1, "model": 1}
"""Newest schema version of each kind that this release reads; kinds not named here are at 1."""

FileEntry = dict[str, Any]
"""``sha256`` and ``size`` of one file; for netCDF also ``digest``, what a lazy reader checks."""

_SEAL = re.compile(rb'(?s)(.*),\n "manifest_sha256": "([0-9a-f]{64})"\n}\n')
_LIBRARIES = (
    "numpy", "scipy", "xarray", "h5py", "h5netcdf", "numba", "scikit-learn", "jax", "jaxlib", "numpyro",
    "torch", "pyro-ppl", "nemos", "cebra", "PSID", "brian2", "dask",
)  # fmt: skip
_MODULES = {"scikit-learn": "sklearn", "pyro-ppl": "pyro"}
_REQUIRED = {
    "format": int,
    "kind": str,
    "schema_version": int,
    "files": dict,
    "versions": dict,
    "created": str,
}
_OWN = {"format", "kind", "files", "versions", "command", "created", "seed", "config", "manifest_sha256"}


def compose(
    *,
    kind: str,
    files: Mapping[str, FileEntry],
    config: Mapping[str, Any] | None,
    seed: int | None,
    extra: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Contents of a new manifest.

    Parameters
    ----------
    kind
        What is saved: ``recording``, ``binned``, ``model``, ``comparison``, ...
    files
        Entry of every file.
    config
        Whatever the kind needs to come back to life.
    seed
        Seed that made it.
    extra
        Further entries: ``class``, ``schema_version``, ``chain_method``, ``codegen_target`` and any others.

    Raises
    ------
    ArtefactError
        When ``extra`` sets an entry that is not its own to set.
    """
    extra = dict(extra or {})
    if taken := sorted(_OWN & extra.keys()):
        raise ArtefactError(f"extra sets {taken[0]!r}, which the writer sets itself; use another name")
    return {
        "format": FORMAT,
        "kind": kind,
        "class": None,
        "schema_version": SCHEMA_VERSIONS.get(kind, 1),
        "files": dict(files),
        "versions": _versions(),
        "seed": None if seed is None else int(seed),
        "command": shlex.join(sys.orig_argv),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds"),
        "threads": _threads(),
        "chain_method": None,
        "codegen_target": None,
        "config": dict(config or {}),
    } | extra


def render(contents: Mapping[str, Any]) -> bytes:
    """Text of a manifest; its last entry is the SHA-256 of all that stands before it.

    Raises
    ------
    ArtefactError
        When an entry has no JSON form.
    """
    body = plain.dumps(dict(contents), what="the manifest", indent=1).encode("ascii").removesuffix(b"\n}")
    return body + f',\n "manifest_sha256": "{hashlib.sha256(body).hexdigest()}"\n}}\n'.encode("ascii")


def parse(data: bytes, *, where: Path, kind: str | None = None) -> dict[str, Any]:
    """Read and check a manifest.

    Parameters
    ----------
    data
        Bytes of the file.
    where
        Its path, for messages.
    kind
        Kind that is wanted; None for any.

    Raises
    ------
    ArtefactError
        When it is damaged, of a newer format or schema, or of another kind.
    """
    contents = _unseal(data, where)
    if contents["format"] > FORMAT:
        raise ArtefactError(
            f"{where}: format {contents['format']} was written by a newer neurokit_snn, this one reads up "
            f"to {FORMAT}; "
            ""
            "upgrade to read it"
        )
    if kind is not None and contents["kind"] != kind:
        raise ArtefactError(
            f"{where}: kind is {contents['kind']!r}, not {kind!r}; open it with neurokit_snn.load"
        )
    newest = SCHEMA_VERSIONS.get(contents["kind"], 1)
    if not 1 <= contents["schema_version"] <= newest:
        raise ArtefactError(
            f"{where}: schema version {contents['schema_version']} of {contents['kind']!r} is unknown, this "
            "neurokit_snn "
            ""
            f"reads 1 to {newest}; it was written by a newer one, upgrade to read it"
        )
    return contents


def _unseal(data: bytes, where: Path) -> dict[str, Any]:
    sealed = _SEAL.fullmatch(data)
    if sealed is None:
        raise ArtefactError(f"{where}: no manifest of neurokit_snn, or cut short; restore it from a copy")
    if hashlib.sha256(sealed[1]).hexdigest().encode() != sealed[2]:
        raise ArtefactError(f"{where}: its content does not match its own checksum; restore it from a copy")
    try:
        contents = plain.loads(data.decode("ascii"))
    except (ValueError, TypeError, KeyError) as error:
        raise ArtefactError(f"{where}: no readable manifest ({error}); restore it from a copy") from error
    for name, type_ in _REQUIRED.items():
        if not isinstance(contents.get(name), type_):
            raise ArtefactError(
                f"{where}: entry {name!r} is missing or no {type_.__name__}; restore it from a copy"
            )
    for name, entry in contents["files"].items():
        if not isinstance(entry.get("sha256"), str) or not isinstance(entry.get("size"), int):
            raise ArtefactError(f"{where}: has no sha256 and size for {name!r}; restore it from a copy")
        if name != os.path.basename(name) or name in ("", ".", "..", NAME):
            raise ArtefactError(f"{where}: lists {name!r}, which is no file of this folder; do not trust it")
    return contents


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _versions() -> dict[str, str]:
    """Versions of Python, this package and the libraries loaded: the others cannot have mattered."""
    from neurokit_snn import __version__

    versions = {"python": platform.python_version(), "neurokit_snn": __version__}
    for library in _LIBRARIES:
        if _MODULES.get(library, library) in sys.modules:
            versions[library] = _version(library)
    return versions


@functools.cache
def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _threads() -> dict[str, int | str | None]:
    """Collect what decides how many threads compute, and with that the last bits of sums."""
    wanted = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "XLA_FLAGS")
    found: dict[str, int | str | None] = {name: os.environ[name] for name in wanted if name in os.environ}
    torch = sys.modules.get("torch")
    return {"cpus": os.cpu_count(), **found, **({} if torch is None else {"torch": torch.get_num_threads()})}
