"""Files of the Heidelberg digits and of spoken commands (SHD, SSC): spikes of an artificial cochlea in HDF5."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from neurokit_snn.errors import FormatError
from neurokit_snn.io.foreign import built, check_duration, existing, wrapped

__all__ = ["read_shd"]

N_CHANNELS = 700
GAP = 0.1
"""Seconds between the end of one trial and the start of the next."""


def read_shd(
    path: str | os.PathLike[str],
    *,
    samples: Sequence[int] | np.ndarray | slice | None = None,
    duration: float = 1.4,
    duplicates: Literal["nudge", "drop", "error"] = "nudge",
) -> xr.DataTree:
    """Read a file of SHD or SSC as published, ``shd_train.h5`` and its like.

    The samples, recorded one by one, become trials of one session, one after another. The files do not say how long a sound
    was; all trials are ``duration`` long.

    Parameters
    ----------
    path
        HDF5 file with ``spikes/times`` and ``spikes/units``, one ragged row a sample, ``labels``, and where there is one
        ``extra`` with ``speaker``, ``keys`` (the words) and ``meta_info`` (of the speakers).
    samples
        Numbers of the samples to read, which come once each and in order, or a slice; None for all. SSC has 75,466 to train with,
        some 5 GB of spikes.
    duration
        Of a trial, s.
    duplicates
        What to do where a unit has two spikes at the same time, which may be as times are kept in 16 bits: ``"nudge"`` moves
        the later one by the least float64 step, so that counts stay what they were; ``"drop"`` keeps the first; ``"error"``
        refuses.

    Returns
    -------
    recording
        ``/units`` 0 to 699; ``/spikes``; ``/trials`` with the columns ``label``, ``sample`` (its number in the file), and
        where the file has them ``speaker``, ``word`` and what is known of the speaker, as in ``gender``.

    Raises
    ------
    FormatError
        When the file has another layout, naming what is missing or wrong; when a sample is not there, or a spike is later
        than ``duration``.

    References
    ----------
    Cramer, Stradmann, Schemmel, Zenke, IEEE TNNLS 33:2744 (2022); the layout is that of zenkelab.org/datasets.

    Examples
    --------
    >>> import h5py, tempfile
    >>> from neurokit_snn import io
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with h5py.File(f"{folder}/shd_test.h5", "w") as file:
    ...         for name, kind in (("times", "f2"), ("units", "u2")):
    ...             rows = file.create_dataset(f"spikes/{name}", (2,), h5py.vlen_dtype(kind))
    ...             rows[0], rows[1] = [0.5, 0.25], [0.75]
    ...         file["labels"] = [3, 7]
    ...     io.read_shd(f"{folder}/shd_test.h5")["trials"]["label"].values
    array([3, 7])
    """
    if duplicates not in ("nudge", "drop", "error"):
        raise FormatError(f"duplicates={duplicates!r}; give 'nudge', 'drop' or 'error'")
    check_duration(duration, path)
    source = existing(path)
    with wrapped(source, "SHD", "h5py"):
        import h5py

        with h5py.File(source, "r") as file:
            labels = _labels(file, source)
            rows = _rows(samples, labels.size, source)
            times = [np.asarray(file["spikes/times"][row], np.float64) for row in rows]
            units = [np.asarray(file["spikes/units"][row]) for row in rows]
            columns = {"label": labels[rows], "sample": rows, **_extra(file, labels, rows, source)}
    size = np.array([row.size for row in times], np.int64)
    when, who = np.concatenate([np.empty(0), *times]), np.concatenate([np.empty(0, np.int64), *units])
    _check(when, who, size, [row.size for row in units], rows, duration=duration, source=source)
    start = np.arange(rows.size) * (duration + GAP)
    when, who = _in_order(np.repeat(start, size) + when, who.astype(np.int64))
    if duplicates == "nudge":
        when = _nudged(when, who)
    return built(
        source,
        spikes=(when, who),
        units={"unit": np.arange(N_CHANNELS)},
        trials={"start": start, "stop": start + duration, **columns},
        duplicates="error" if duplicates == "nudge" else duplicates,
        session_id=source.stem,
        source=f"SHD/SSC file {source.name}",
    )


def _labels(file: Any, source: Path) -> np.ndarray:
    """Labels of all samples, once the datasets are those of the layout."""
    import h5py

    for name in ("spikes/times", "spikes/units", "labels"):
        if name not in file or not isinstance(file[name], h5py.Dataset):
            raise FormatError(f"{source}: no dataset {name!r} in it; is it a file of SHD or SSC?")
    for name, kinds in (("spikes/times", "f"), ("spikes/units", "iu")):
        ragged = h5py.check_vlen_dtype(file[name].dtype)
        if ragged is None or np.dtype(ragged).kind not in kinds or file[name].ndim != 1:
            what = "numbers with a point" if kinds == "f" else "whole numbers"
            raise FormatError(
                f"{source}: {name} is {file[name].dtype} {file[name].shape}; expected ragged rows of {what}"
            )
    labels = np.asarray(file["labels"])
    n = {name: file[name].shape for name in ("spikes/times", "spikes/units", "labels")}
    if len(set(n.values())) > 1 or labels.dtype.kind not in "iu":
        raise FormatError(
            f"{source}: {', '.join(f'{name} {shape}' for name, shape in n.items())}; expected one row a sample"
        )
    if labels.size and labels.min() < 0:
        raise FormatError(f"{source}: labels hold {labels.min()}; expected 0 or more; is it damaged?")
    return labels.astype(np.int64)


def _rows(samples: Sequence[int] | np.ndarray | slice | None, n: int, source: Path) -> np.ndarray:
    """Numbers of the samples that are wanted, in order: h5py reads no others."""
    if samples is None or isinstance(samples, slice):
        return np.arange(n)[samples or slice(None)]
    rows = np.unique(np.asarray(samples))
    if rows.dtype.kind not in "iu" or rows.ndim != 1 or rows.size == 0 or rows[0] < 0 or rows[-1] >= n:
        raise FormatError(f"{source}: samples {samples!r}; give numbers from 0 to {n - 1}, or a slice")
    return rows


def _extra(file: Any, labels: np.ndarray, rows: np.ndarray, source: Path) -> dict[str, np.ndarray]:
    """Columns of the group ``extra``: who spoke, which word, and what is known of the speaker."""
    columns: dict[str, np.ndarray] = {}
    if "extra/keys" in file:
        words = np.asarray(file["extra/keys"].asstr()[...])
        if labels.size and labels.max() >= words.size:
            raise FormatError(
                f"{source}: label {labels.max()} and {words.size} words in extra/keys; expected a word for each label"
            )
        columns["word"] = words[labels[rows]].astype(str)
    if "extra/speaker" not in file:
        return columns
    speaker = np.asarray(file["extra/speaker"]).astype(np.int64)
    if speaker.shape != labels.shape:
        raise FormatError(
            f"{source}: extra/speaker is {speaker.shape} for {labels.size} samples; expected one a sample"
        )
    if speaker.size and speaker.min() < 0:
        raise FormatError(
            f"{source}: extra/speaker holds {speaker.min()}; expected 0 or more; is it damaged?"
        )
    columns["speaker"] = speaker[rows]
    for name, known in file.get("extra/meta_info", {}).items():
        text = known.dtype.kind in "OS"
        values = np.asarray(known.asstr()[...] if text else known)
        if values.ndim == 1 and values.size > speaker.max(initial=-1):
            columns[name] = values[speaker[rows]].astype(str) if text else values[speaker[rows]]
    return columns


def _check(
    when: np.ndarray,
    who: np.ndarray,
    size: np.ndarray,
    n_units: list[int],
    rows: np.ndarray,
    *,
    duration: float,
    source: Path,
) -> None:
    """Refuse spikes that cannot be those of a sample, naming it."""
    uneven = np.flatnonzero(size != n_units)
    if uneven.size:
        i = int(uneven[0])
        raise FormatError(
            f"{source}: sample {rows[i]} has {size[i]} times and {n_units[i]} units; expected as many; is it damaged?"
        )
    sample = np.repeat(rows, size)
    bad = np.flatnonzero(~np.isfinite(when) | (when < 0))
    if bad.size:
        raise FormatError(
            f"{source}: sample {sample[bad[0]]} has a spike at {when[bad[0]]} s; is it damaged?"
        )
    late = np.flatnonzero(when >= duration)
    if late.size:
        raise FormatError(
            f"{source}: sample {sample[late[0]]} has a spike at {when[late[0]]:.3f} s and trials are {duration:g} s long; "
            "give a longer duration"
        )
    beyond = np.flatnonzero((who < 0) | (who >= N_CHANNELS))
    if beyond.size:
        raise FormatError(
            f"{source}: sample {sample[beyond[0]]} has a spike of unit {who[beyond[0]]}; expected 0 to {N_CHANNELS - 1}"
        )


def _in_order(when: np.ndarray, who: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Spikes by unit and then by time."""
    order = np.lexsort((when, who))
    return when[order], who[order]


def _nudged(when: np.ndarray, who: np.ndarray) -> np.ndarray:
    """Times, strictly increasing within a unit: what coincides is moved by single steps of float64."""
    when = when.copy()
    while True:
        again = np.flatnonzero((np.diff(who) == 0) & (np.diff(when) <= 0)) + 1
        if not again.size:
            return when
        when[again] = np.nextafter(when[again - 1], np.inf)
