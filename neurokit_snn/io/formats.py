"""The exchange formats, as data: names, how each is recognised, who reads and writes it, what it holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr

from neurokit_snn.errors import FormatError
from neurokit_snn.recording import schema

__all__ = ["FORMATS", "NODES", "Format", "capabilities", "find_format", "identify"]

NODES = tuple(dict.fromkeys(spec.family for spec in schema.NODES))

Holds = Literal["native", "kept", "read"]
_SIGNATURE = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True)
class Format:
    """One exchange format.

    Attributes
    ----------
    name, title
        What users type, and what people call it.
    suffixes
        Endings of its files or folders; none for objects and for folders of no particular name.
    place
        Whether it is a file, a folder, or an object in memory.
    reader, writer
        ``module:function`` below `neurokit_snn.io`, or None.
    recognises
        Whether a path, known to exist and to be of the right place, holds this format.
    lazy
        Whether its reader takes ``lazy``.
    extra
        Extra of this package that it needs, or None.
    holds
        For each node: ``native``, everybody's readers find it, and it comes back equal; ``kept``, it comes
        back equal but only this package reads it; ``read``, the format is read only.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    place: Literal["file", "folder", "object"]
    reader: str
    writer: str | None
    recognises: Callable[[Path], bool]
    lazy: bool = False
    extra: str | None = None
    holds: Mapping[str, Holds] = field(default_factory=dict)


def _hdf5(path: Path, *, attrs: tuple[str, ...] = (), names: tuple[str, ...] = ()) -> bool:
    """Whether an HDF5 file has one of the attributes, or all of the groups and datasets, at its root."""
    with path.open("rb") as file:
        if file.read(len(_SIGNATURE)) != _SIGNATURE:
            return False
    import h5py

    try:
        with h5py.File(path, "r") as opened:
            found = bool(names) and all(name in opened for name in names)
            return found or any(name in opened.attrs for name in attrs)
    except Exception as error:
        # h5py raises OSError, KeyError, RuntimeError and more for damage, all meaning the same here.
        raise FormatError(
            f"{path}: an HDF5 file that cannot be opened ({' '.join(str(error).split())[:200]}); it is "
            "damaged or cut short, restore it from a copy"
        ) from error


def _starts(path: Path, text: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(text)) == text


def _has(*names: str) -> Callable[[Path], bool]:
    return lambda folder: any((folder / name).is_file() for name in names)


def _is_suite2p(folder: Path) -> bool:
    return any(
        next(folder.glob(pattern), None) for pattern in ("iscell.npy", "*/iscell.npy", "suite2p/*/iscell.npy")
    )


def _held(default: Holds, **others: Holds) -> dict[str, Holds]:
    return {node: others.get(node, default) for node in NODES}


_KEPT: dict[str, Holds] = {"clocks": "kept", "truth": "kept", "extra": "kept"}


def _is_netcdf(path: Path) -> bool:
    return _hdf5(path, attrs=("schema", "_NCProperties", "neurokit_snn")) and not _is_nwb(path)


def _is_nwb(path: Path) -> bool:
    return _hdf5(path, attrs=("nwb_version",))


def _is_deeplabcut(path: Path) -> bool:
    return _starts(path, b"scorer,") or _hdf5(path, names=("df_with_missing",))


def _is_sleap(path: Path) -> bool:
    return _hdf5(path, names=("tracks", "node_names"))


def _is_shd(path: Path) -> bool:
    return _hdf5(path, names=("spikes/times", "spikes/units", "labels"))


def _is_nmnist(folder: Path) -> bool:
    return next(folder.glob("[0-9]/*.bin"), None) is not None


def _never(path: Path) -> bool:
    return False


FORMATS: tuple[Format, ...] = (
    Format(
        name="netcdf",
        title="netCDF4",
        suffixes=(".nc",),
        place="file",
        reader="netcdf:read_netcdf",
        writer="netcdf:write_netcdf",
        recognises=_is_netcdf,
        lazy=True,
        holds=_held("native"),
    ),
    Format(
        name="nwb",
        title="NWB",
        suffixes=(".nwb",),
        place="file",
        reader="nwb:read_nwb",
        writer="nwb:write_nwb",
        recognises=_is_nwb,
        lazy=True,
        extra="nwb",
        holds=_held("native", **_KEPT),
    ),
    Format(
        name="zarr",
        title="Zarr",
        suffixes=(".zarr",),
        place="folder",
        reader="zarr:read_zarr",
        writer="zarr:write_zarr",
        recognises=_has(".zgroup", "zarr.json"),
        lazy=True,
        extra="zarr",
        holds=_held("native"),
    ),
    Format(
        name="phy",
        title="Phy/Kilosort",
        suffixes=(),
        place="folder",
        reader="phy:read_phy",
        writer=None,
        recognises=_has("spike_times.npy"),
        holds={"units": "read", "spikes": "read"},
    ),
    Format(
        name="suite2p",
        title="suite2p",
        suffixes=(),
        place="folder",
        reader="suite2p:read_suite2p",
        writer=None,
        recognises=_is_suite2p,
        holds={"units": "read", "calcium": "read"},
    ),
    Format(
        name="deeplabcut",
        title="DeepLabCut",
        suffixes=(".csv", ".h5", ".hdf5"),
        place="file",
        reader="deeplabcut:read_deeplabcut",
        writer=None,
        recognises=_is_deeplabcut,
        holds={"behavior": "read"},
    ),
    Format(
        name="sleap",
        title="SLEAP analysis",
        suffixes=(".h5", ".hdf5"),
        place="file",
        reader="sleap:read_sleap",
        writer=None,
        recognises=_is_sleap,
        holds={"behavior": "read"},
    ),
    Format(
        name="shd",
        title="SHD/SSC",
        suffixes=(".h5", ".hdf5"),
        place="file",
        reader="shd:read_shd",
        writer=None,
        recognises=_is_shd,
        holds={"units": "read", "spikes": "read", "trials": "read"},
    ),
    Format(
        name="nmnist",
        title="N-MNIST",
        suffixes=(),
        place="folder",
        reader="nmnist:read_nmnist",
        writer=None,
        recognises=_is_nmnist,
        holds={"stimulus": "read", "trials": "read"},
    ),
    Format(
        name="neo",
        title="Neo",
        suffixes=(),
        place="object",
        reader="neo:from_neo",
        writer="neo:to_neo",
        recognises=_never,
        extra="neo",
        holds=_held("native", observation="kept", **_KEPT),
    ),
    Format(
        name="pynapple",
        title="pynapple",
        suffixes=(),
        place="object",
        reader="pynapple:from_pynapple",
        writer="pynapple:to_pynapple",
        recognises=_never,
        extra="glm",
        holds=_held("native", observation="kept", **_KEPT),
    ),
    Format(
        name="spikeinterface",
        title="SpikeInterface sorting",
        suffixes=(),
        place="object",
        reader="spikeinterface:from_spikeinterface",
        writer=None,
        recognises=_never,
        holds={"units": "read", "spikes": "read", "observation": "read", "epochs": "read"},
    ),
)


def find_format(name: str) -> Format:
    """Return the format of a name.

    Raises
    ------
    FormatError
        When there is none, naming those there are.

    Examples
    --------
    >>> find_format("nwb").suffixes
    ('.nwb',)
    """
    for one in FORMATS:
        if one.name == name:
            return one
    raise FormatError(f"unknown format {name!r}; known are {', '.join(one.name for one in FORMATS)}")


def identify(path: Path) -> Format | None:
    """Return the format that the content of a file or folder is in, whatever its name, or None.

    Raises
    ------
    FormatError
        When it is an HDF5 file that cannot be opened.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "spike_times.npy").write_bytes(b"")
    ...     identify(Path(folder)).name
    'phy'
    """
    place = "folder" if path.is_dir() else "file"
    return next((one for one in FORMATS if one.place == place and one.recognises(path)), None)


def capabilities() -> xr.Dataset:
    """Return what each format reads, writes and holds.

    Returns
    -------
    table
        ``holds (format, node)``: ``"native"``, everybody's readers find it and it comes back equal;
        ``"kept"``, it comes back equal but only this package reads it; ``"read"``, the format is only read;
        ``""``, it has no such thing. ``title``, ``writes``, ``lazy``, ``suffixes``, ``extra`` ``(format,)``.
        Nothing is held within a tolerance: what comes back is equal to the bit.

    Examples
    --------
    >>> capabilities()["holds"].sel(format="nwb", node=["trials", "truth"]).values.tolist()
    ['native', 'kept']
    """
    return xr.Dataset(
        {
            "holds": (
                ("format", "node"),
                np.array([[one.holds.get(node, "") for node in NODES] for one in FORMATS]),
            ),
            "title": ("format", [one.title for one in FORMATS]),
            "writes": ("format", [one.writer is not None for one in FORMATS]),
            "lazy": ("format", [one.lazy for one in FORMATS]),
            "suffixes": ("format", [" ".join(one.suffixes) for one in FORMATS]),
            "extra": ("format", [one.extra or "" for one in FORMATS]),
        },
        coords={"format": [one.name for one in FORMATS], "node": list(NODES)},
    )
