"""``.nk`` on recordings and Datasets: every method is one call of the function of the same name.

The functions are the interface; the accessor saves typing at a prompt. It is registered when the package is
imported, and each function loads on its first use.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

    from neurokit_snn.recording.splits import Split
    from neurokit_snn.recording.validate import Problem

__all__ = ["DatasetAccessor", "RecordingAccessor"]


@xr.register_datatree_accessor("nk")
class RecordingAccessor:
    """Functions of `neurokit_snn.recording` and `neurokit_snn.plot` on one recording.

    Examples
    --------
    >>> import neurokit_snn as nk
    >>> tree = nk.recording.build(spikes={"a": [0.1, 0.5], "b": [0.3]})
    >>> tree.nk.bin(0.25, start=0.0, stop=1.0)["counts"].sum("time").values.tolist()
    [[2, 1]]
    """

    def __init__(self, tree: xr.DataTree) -> None:
        self._tree = tree

    def validate(self, **options: Any) -> None:
        """See `neurokit_snn.recording.validate`."""
        from neurokit_snn import recording

        recording.validate(self._tree, **options)

    def problems(self) -> list[Problem]:
        """See `neurokit_snn.recording.problems`."""
        from neurokit_snn import recording

        return recording.problems(self._tree)

    def span(self) -> tuple[float, float]:
        """See `neurokit_snn.recording.span`."""
        from neurokit_snn import recording

        return recording.span(self._tree)

    def spike_times(self, unit: Any) -> np.ndarray:
        """See `neurokit_snn.recording.spike_times`."""
        from neurokit_snn import recording

        return recording.spike_times(self._tree, unit)

    def select_units(self, units: Any) -> xr.DataTree:
        """See `neurokit_snn.recording.select_units`."""
        from neurokit_snn import recording

        return recording.select_units(self._tree, units)

    def slice_time(self, start: float, stop: float) -> xr.DataTree:
        """See `neurokit_snn.recording.slice_time`."""
        from neurokit_snn import recording

        return recording.slice_time(self._tree, start, stop)

    def bin(self, bin_width: float, **options: Any) -> xr.Dataset:
        """See `neurokit_snn.recording.bin`."""
        from neurokit_snn import recording

        return recording.bin(self._tree, bin_width, **options)

    def windows(self, bin_width: float, *, length: float, **options: Any) -> xr.Dataset:
        """See `neurokit_snn.recording.windows`."""
        from neurokit_snn import recording

        return recording.windows(self._tree, bin_width, length=length, **options)

    def bin_trials(self, bin_width: float, **options: Any) -> xr.Dataset:
        """See `neurokit_snn.recording.bin_trials`."""
        from neurokit_snn import recording

        return recording.bin_trials(self._tree, bin_width, **options)

    def align(self, bin_width: float, *, to: Any, **options: Any) -> xr.Dataset:
        """See `neurokit_snn.recording.align`."""
        from neurokit_snn import recording

        return recording.align(self._tree, bin_width, to=to, **options)

    def laps(self, **options: Any) -> xr.Dataset:
        """See `neurokit_snn.recording.laps`."""
        from neurokit_snn import recording

        return recording.laps(self._tree, **options)

    def raster(self, **options: Any) -> np.ndarray:
        """See `neurokit_snn.plot.raster`."""
        from neurokit_snn import plot

        return plot.raster(self._tree, **options)

    def event_raster(self, unit: Any, *, to: Any, **options: Any) -> Axes:
        """See `neurokit_snn.plot.event_raster`."""
        from neurokit_snn import plot

        return plot.event_raster(self._tree, unit, to=to, **options)

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """See `neurokit_snn.save`."""
        from neurokit_snn import artefact

        return artefact.save(self._tree, path, overwrite=overwrite)


@xr.register_dataset_accessor("nk")
class DatasetAccessor:
    """Functions of `neurokit_snn.splits`, `neurokit_snn.plot` and `neurokit_snn.compare` on one Dataset.

    Examples
    --------
    >>> import neurokit_snn as nk
    >>> tree = nk.recording.build(spikes={"a": [0.1, 0.5, 3.5], "b": [0.3]})
    >>> data = tree.nk.windows(0.25, length=1.0, start=0.0, stop=4.0)
    >>> len(data.nk.blocked(folds=2).folds)
    2
    """

    def __init__(self, data: xr.Dataset) -> None:
        self._data = data

    def blocked(self, **options: Any) -> Split:
        """See `neurokit_snn.splits.blocked`."""
        from neurokit_snn.recording import splits

        return splits.blocked(self._data, **options)

    def by_trial(self, **options: Any) -> Split:
        """See `neurokit_snn.splits.by_trial`."""
        from neurokit_snn.recording import splits

        return splits.by_trial(self._data, **options)

    def by_unit(self, **options: Any) -> xr.Dataset:
        """See `neurokit_snn.splits.by_unit`."""
        from neurokit_snn.recording import splits

        return splits.by_unit(self._data, **options)

    def compare(self, models: Mapping[str, Any], *, task: str, **options: Any) -> xr.Dataset:
        """See `neurokit_snn.compare`."""
        from neurokit_snn import evaluate

        return evaluate.compare(models, self._data, task=task, **options)

    def psth(self, **options: Any) -> np.ndarray:
        """See `neurokit_snn.plot.psth`."""
        from neurokit_snn import plot

        return plot.psth(self._data, **options)

    def decoded(self, predicted: xr.Dataset, **options: Any) -> np.ndarray:
        """See `neurokit_snn.plot.decoded`."""
        from neurokit_snn import plot

        return plot.decoded(self._data, predicted, **options)

    def comparison(self, **options: Any) -> np.ndarray:
        """See `neurokit_snn.plot.comparison`, for what `neurokit_snn.compare` gave."""
        from neurokit_snn import plot

        return plot.comparison(self._data, **options)

    def tuning(self, **options: Any) -> np.ndarray:
        """See `neurokit_snn.plot.tuning`, for the tuning curves of a model."""
        from neurokit_snn import plot

        return plot.tuning(self._data, **options)

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """See `neurokit_snn.save`."""
        from neurokit_snn import artefact

        return artefact.save(self._data, path, overwrite=overwrite)
