"""Folders of Kilosort and Phy."""

from __future__ import annotations

import ast
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from neurokit_snn.errors import FormatError
from neurokit_snn.io.foreign import built, existing, load_npy

__all__ = ["read_phy"]


def read_phy(
    path: str | os.PathLike[str],
    *,
    sampling_rate: float | None = None,
    groups: Collection[str] | None = None,
    duplicates: Literal["error", "drop"] = "error",
) -> xr.DataTree:
    """Read the spikes and the units' labels of a Kilosort or Phy folder.

    ``spike_times.npy`` (samples) over ``sample_rate`` of ``params.py`` gives seconds; that file is Python,
    and is parsed, never executed. Units are the clusters of ``spike_clusters.npy`` (``spike_templates.npy``
    before curation) and those of ``cluster_info.tsv``, whose columns, or else those of the other
    ``cluster_*.tsv``, they get.

    Parameters
    ----------
    path
        The folder.
    sampling_rate
        In Hz; None to take it from ``params.py``.
    groups
        Curation groups to keep, as in ``["good"]``; None for all. Units without a group count as
        ``"unsorted"``.
    duplicates
        ``"drop"`` removes repeated spike times of one unit, which Kilosort makes; ``"error"`` reports them.

    Returns
    -------
    recording
        ``/units`` and ``/spikes``; seconds from the first sample.

    Raises
    ------
    FormatError
        When a file is missing, damaged or of another layout, or ``groups`` names a group that no unit is in.
    RecordingError
        When the spikes break a rule of the schema.

    References
    ----------
    The layout is that of the Phy documentation, "Sorting data analysis and
    visualization" (phy.readthedocs.io).

    Examples
    --------
    >>> import tempfile
    >>> from neurokit_snn import io
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/spike_times.npy", np.array([300, 600, 900]))
    ...     np.save(f"{folder}/spike_clusters.npy", np.array([7, 2, 7]))
    ...     _ = Path(folder, "params.py").write_text("sample_rate = 30000.0")
    ...     io.read_phy(folder)["spikes"]["time"].values
    array([0.02, 0.01, 0.03])
    """
    folder = existing(path, folder=True)
    rate = _rate(folder, sampling_rate)
    samples = load_npy(folder / "spike_times.npy", kinds="iu", ndim=(1, 2)).reshape(-1)
    curated = folder / "spike_clusters.npy"
    source = curated if curated.exists() else folder / "spike_templates.npy"
    clusters = load_npy(source, kinds="iu", ndim=(1, 2)).reshape(-1).astype(np.int64)
    if len(samples) != len(clusters):
        raise FormatError(
            f"{folder}: {len(samples)} spikes in spike_times.npy but {len(clusters)} in {source.name}; "
            "is one cut?"
        )
    units = _units(folder, np.unique(clusters))
    if groups is not None:
        units = _of_groups(units, groups, folder)
        kept = np.isin(clusters, units["unit"].values)
        samples, clusters = samples[kept], clusters[kept]
    return built(
        folder,
        spikes=(samples / rate, clusters),
        units=units,
        source=f"Phy folder {folder.name}",
        duplicates=duplicates,
    )


def _rate(folder: Path, given: float | None) -> float:
    """Return the sampling rate in Hz, given or from params.py."""
    if given is None:
        path = folder / "params.py"
        if not path.is_file():
            raise FormatError(f"{folder}: no params.py; pass sampling_rate in Hz")
        given = _parameters(path).get("sample_rate")
        if given is None:
            raise FormatError(f"{path}: sample_rate is not assigned a number; pass sampling_rate in Hz")
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given < float("inf"):
        raise FormatError(
            f"{folder}: sampling rate {given!r} is no positive number of Hz; pass sampling_rate"
        )
    return float(given)


def _parameters(path: Path) -> dict[str, Any]:
    """Return the plain values that a Python file assigns to names; nothing in it is executed."""
    try:
        module = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise FormatError(
            f"{path}: not a Python file of parameters ({error}); pass sampling_rate in Hz"
        ) from error
    found: dict[str, Any] = {}
    for statement in module.body:
        if not isinstance(statement, ast.Assign):
            continue
        try:
            value = ast.literal_eval(statement.value)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue  # a path put together from calls, as people write them, is nobody's business here
        found |= {target.id: value for target in statement.targets if isinstance(target, ast.Name)}
    return found


def _units(folder: Path, firing: np.ndarray) -> xr.Dataset:
    """Return the units with their columns: all clusters that fire, and all of cluster_info."""
    import pandas as pd

    info = [folder / name for name in ("cluster_info.tsv", "cluster_info.csv") if (folder / name).is_file()]
    others = sorted(p for p in folder.glob("cluster_*") if p.suffix in (".tsv", ".csv") and p not in info)
    # Clusters that were merged away stay in the small tables; cluster_info knows the present ones only.
    labels = firing
    columns: dict[str, Any] = {}
    for path in info or others:
        table = _table(path)
        if info:
            labels = np.union1d(firing, table.index.to_numpy())
        columns |= {str(name): table[name] for name in table.columns if name not in columns}
    frame = pd.DataFrame(columns, index=pd.Index(labels, name="unit")).reindex(labels)
    out = {}
    for name in frame.columns:
        values = frame[name]
        text = values.dtype.kind not in "biuf"
        out[name] = (
            "unit",
            values.fillna("").astype(str).to_numpy(dtype=object) if text else values.to_numpy(),
        )
    return xr.Dataset(out, coords={"unit": labels.astype(np.int64)})


def _table(path: Path) -> Any:
    """Return one table of clusters, indexed by cluster."""
    import pandas as pd

    try:
        table = pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",")
    except (ValueError, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: not a table of clusters ({error}); is it damaged?") from error
    key = next((name for name in ("cluster_id", "id") if name in table.columns), None)
    if key is None or table[key].dtype.kind not in "iu" or table[key].duplicated().any():
        raise FormatError(
            f"{path}: needs a column cluster_id of different integers, has {list(table.columns)}"
        )
    return table.set_index(key)


def _of_groups(units: xr.Dataset, groups: Collection[str], folder: Path) -> xr.Dataset:
    name = next((name for name in ("group", "KSLabel") if name in units), None)
    values = units[name].values if name else np.full(units.sizes["unit"], "", dtype=object)
    values = np.where(values == "", "unsorted", values)
    wanted = {groups} if isinstance(groups, str) else set(groups)
    if missing := sorted(wanted - set(values.tolist())):
        has = ", ".join(sorted(set(values.tolist()))) or "none"
        raise FormatError(f"{folder}: no unit is in group {missing[0]!r}; its groups are: {has}")
    return units.isel(unit=np.isin(values, sorted(wanted)))
