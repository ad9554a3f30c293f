"""What a binned dataset is: the names in it and the check every consumer starts with."""

from __future__ import annotations

import numpy as np
import xarray as xr

from neurokit_snn.errors import RecordingError

__all__ = ["BINNED_SCHEMA", "BINNED_VERSION", "behaviors", "check_binned", "mask_name", "stimuli"]

BINNED_SCHEMA = "neurokit_snn.binned"
BINNED_VERSION = 1
LAYOUTS = ("session", "windows", "trials", "events")


def behaviors(data: xr.Dataset) -> tuple[str, ...]:
    """Names of the behaviour variables (``behavior_NAME``), in the order of the dataset."""
    return tuple(str(name) for name in data.data_vars if str(name).startswith("behavior_"))


def stimuli(data: xr.Dataset) -> tuple[str, ...]:
    """Names of the stimulus variables (``stimulus_NAME``), in the order of the dataset."""
    return tuple(str(name) for name in data.data_vars if str(name).startswith("stimulus_"))


def mask_name(variable: str) -> str:
    """Name of the mask that belongs to a variable: ``mask`` for counts, else ``mask_VARIABLE``."""
    return "mask" if variable == "counts" else f"mask_{variable}"


def check_binned(data: xr.Dataset, *, name: str = "data") -> None:
    """Raise one `RecordingError` that lists everything wrong with a binned dataset.

    Looks at names, dimensions, types and attributes only, so that a lazy dataset stays lazy.

    Parameters
    ----------
    data
        The dataset to check.
    name
        What to call it in the message.

    Raises
    ------
    RecordingError
        Listing each problem with the variable it concerns.

    Examples
    --------
    >>> import xarray as xr
    >>> check_binned(xr.Dataset())
    Traceback (most recent call last):
    ...
    neurokit_snn.errors.RecordingError: data is not a binned dataset: attribute schema is None, expected ...
    """
    problems: list[str] = []
    if data.attrs.get("schema") != BINNED_SCHEMA:
        problems.append(f"attribute schema is {data.attrs.get('schema')!r}, expected {BINNED_SCHEMA!r}")
    elif data.attrs.get("schema_version") != BINNED_VERSION:
        found = data.attrs.get("schema_version")
        problems.append(f"attribute schema_version is {found!r}, this package reads {BINNED_VERSION}")
    width = data.attrs.get("bin_width")
    if not isinstance(width, float | int | np.floating) or not width > 0:
        problems.append(f"attribute bin_width is {width!r}, expected seconds above 0")
    if data.attrs.get("layout") not in LAYOUTS:
        problems.append(f"attribute layout is {data.attrs.get('layout')!r}, expected one of {LAYOUTS}")
    problems += _variable_problems(data)
    problems += [
        f"coordinate {coordinate} is missing"
        for coordinate in ("trial_start", "trial_stop", "time")
        if coordinate not in data.coords
    ]
    if problems:
        raise RecordingError(
            f"{name} is not a binned dataset: "
            + "; ".join(problems)
            + "; make one with recording.bin, windows, bin_trials or align"
        )


def _variable_problems(data: xr.Dataset) -> list[str]:
    problems: list[str] = []
    names = [str(n) for n in data.data_vars]
    observed = [n for n in ("counts", "calcium") if n in names]
    for variable in [*observed, *behaviors(data), *stimuli(data)]:
        dims = data[variable].dims
        expected = ("trial", "time", "unit") if variable in observed else ("trial", "time")
        if dims[: len(expected)] != expected:
            problems.append(f"{variable} has dims {dims}, expected {expected} first")
            continue
        mask = mask_name(variable)
        mask_dims = ("trial", "time", "unit") if variable == "counts" else ("trial", "time")
        if mask not in names:
            problems.append(f"{mask} is missing beside {variable}")
        elif data[mask].dtype != np.bool_ or data[mask].dims[:2] != mask_dims[:2]:
            problems.append(f"{mask} is {data[mask].dtype} {data[mask].dims}, expected bool {mask_dims}")
    if "counts" in names and data["counts"].dtype.kind not in "iu":
        problems.append(f"counts has type {data['counts'].dtype}, expected integers")
    return problems
