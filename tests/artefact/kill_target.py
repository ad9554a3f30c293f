"""What the processes that `test_artefact_kill` kills are doing. Not a test; imported by a zygote."""

from __future__ import annotations

import numpy as np
import xarray as xr

from neurokit_snn.artefact import atomic_file, repair, store, writer  # noqa: F401  loaded before the forks

UNITS = 40


def tree_of(value: int) -> xr.DataTree:
    """Tree in which every number tells which save it comes from, large enough that saving takes a while."""
    spikes = xr.Dataset(
        {"time": ("spike", np.full(100_000, float(value))), "row_size": ("unit", np.full(UNITS, 2_500))},
        coords={"unit": np.arange(UNITS)},
    )
    behaviour = xr.Dataset({"value": (("time", "axis"), np.full((20_000, 2), float(value)))})
    return xr.DataTree.from_dict(
        {"/": xr.Dataset(attrs={"value": value}), "/spikes": spikes, "/b": behaviour}
    )


TREES = {value: tree_of(value) for value in (1, 2)}


def save(path: str, value: int, overwrite: bool) -> None:
    store.save(TREES[value], path, overwrite=overwrite)


def replace_file(path: str, letter: str) -> None:
    with atomic_file(path, overwrite=True) as partial:
        partial.write_text(letter * 100_000)
