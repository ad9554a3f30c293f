"""Binned recordings as tokens ``(id, dt)``, one for each spike of a window, and back.

The order inside a window is by bin, then by unit, a count of ``c`` repeated ``c`` times, and ``dt`` is the bin since the start
of the window. With that order a window of counts and its tokens are one-to-one, as in Neuroformer (Antoniades et al.,
"Neuroformer: multimodal and multitask generative pretraining for brain data", ICLR 2024).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurokit_snn.errors import RecordingError
from neurokit_snn.recording.binned import check_binned
from neurokit_snn.recording.calcium import calcium_events, trace
from neurokit_snn.recording.grid import exact_bins
from neurokit_snn.recording.sessions import joined
from neurokit_snn.recording.spike_stream import NONE, SpikeStream, Vocabulary, Windows
from neurokit_snn.recording.token_places import TOKENS_SCHEMA, TOKENS_VERSION, places, where

__all__ = [
    "SpikeStream",
    "Vocabulary",
    "Windows",
    "calcium_events",
    "calcium_from_tokens",
    "calcium_tokens",
    "joined",
    "tokenize",
    "untokenize",
]

CLOCK = ("trial", "time", "trial_start", "trial_stop")
PAST = "past_"


def tokenize(
    data: xr.Dataset,
    *,
    window: float,
    past: float = 0.0,
    max_tokens: int | None = None,
    max_past_tokens: int | None = None,
    vocabulary: Vocabulary | None = None,
) -> xr.Dataset:
    """Cut trials into consecutive windows and list the spikes of each.

    Parameters
    ----------
    data
        Binned data with ``counts``. Bins that are masked hold no tokens.
    window
        Seconds of a window, a whole number of bins. The last window of a trial may stick out of it.
    past
        Seconds before each window whose spikes are listed beside it; 0 for none. Before a trial there are none.
    max_tokens, max_past_tokens
        Most tokens of a window and of its past; None for as many as the fullest has. A window keeps its first
        spikes, a past its last; ``overflow`` counts the others.
    vocabulary
        Gives the units their ids; None: their positions in ``data``.

    Returns
    -------
    Dataset
        ``id, dt (trial, window, token)``: unit, and bins since the start of the window, -1 where there is no token;
        ``n_tokens, overflow (trial, window)``: tokens there are, and spikes that did not fit. With a past also
        ``past_id, past_dt (trial, window, past_token)``, the bins counted from the start of the past, and
        ``past_n_tokens, past_overflow (trial, window)``. Coordinates ``window_start (window)``: its first bin; ``unit``:
        labels of the ids; the clock of the trials. Attributes ``window_length`` and ``past_length`` in bins, ``bin_width`` in s.

    Raises
    ------
    RecordingError
        When there are no counts, a length is no whole number of bins, or a unit is outside the vocabulary.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> tree = recording.build(spikes={"a": [0.12, 0.31], "b": [0.05, 0.11, 0.13]})
    >>> tokens = tokenize(recording.bin(tree, 0.1, start=0.0, stop=0.4), window=0.2)
    >>> tokens["id"].values[0], tokens["dt"].values[0]
    (array([[ 1,  0,  1,  1],
           [ 0, -1, -1, -1]]), array([[ 0,  1,  1,  1],
           [ 1, -1, -1, -1]]))
    """
    stream = SpikeStream.of(data, vocabulary=vocabulary)
    width = float(data.attrs["bin_width"])
    length, before = exact_bins(window, width, name="window"), exact_bins(past, width, name="past", least=0)
    if max_past_tokens is not None and not before:
        raise RecordingError(
            f"max_past_tokens is {max_past_tokens}, and past is 0 s; give a past, or leave it out"
        )
    start = np.arange(0, data.sizes["time"], length)
    variables = _listed(stream, start, length=length, max_tokens=max_tokens, keep="first", name="")
    if before:
        variables |= _listed(
            stream, start - before, length=before, max_tokens=max_past_tokens, keep="last", name=PAST
        )
    units = data["unit"].values if vocabulary is None else np.array(vocabulary.units)
    coords: dict[str, Any] = {name: data[name].variable for name in CLOCK}
    coords |= {"window": np.arange(start.size), "window_start": ("window", start), "unit": ("unit", units)}
    attrs = {"schema": TOKENS_SCHEMA, "schema_version": TOKENS_VERSION, "bin_width": width}
    attrs |= {"window_length": length, "past_length": before}
    attrs |= {name: data.attrs.get(name, "") for name in ("session_id", "subject")}
    return xr.Dataset(variables, coords=coords, attrs=attrs)


def untokenize(tokens: xr.Dataset, *, like: xr.Dataset | None = None) -> xr.DataArray:
    """Counts of tokens: the inverse of `tokenize`, exact for all bins that are not masked.

    Parameters
    ----------
    tokens
        As `tokenize` makes them, or a selection of their trials and windows; bins in none of the windows count 0.
    like
        Binned data whose units and coordinates the counts take; None: the units of the vocabulary.

    Returns
    -------
    DataArray
        ``counts (trial, time, unit)``, int32.

    Raises
    ------
    RecordingError
        Where a window overflowed (spikes are missing and the counts would be wrong), where tokens are outside of the
        vocabulary, the window, the trial or their order (naming the first of them), and where ``like`` has other trials or
        bins, or lacks a unit that has tokens.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> tree = recording.build(spikes={"a": [0.12, 0.31], "b": [0.05, 0.11, 0.13]})
    >>> data = recording.bin(tree, 0.1, start=0.0, stop=0.4)
    >>> untokenize(tokenize(data, window=0.3), like=data).identical(data["counts"])
    True
    """
    found = places(tokens)
    flat = np.ravel_multi_index((found.trial, found.bin, found.unit), found.shape)
    counts = np.bincount(flat, minlength=int(np.prod(found.shape))).astype(np.int32).reshape(found.shape)
    raster = _raster(counts, tokens, "counts").assign_attrs(long_name="spike count")
    return raster if like is None else _framed(raster, like)


def calcium_tokens(
    data: xr.Dataset,
    *,
    window: float,
    past: float = 0.0,
    max_tokens: int | None = None,
    max_past_tokens: int | None = None,
    threshold: float = 0.0,
) -> xr.Dataset:
    """Tokens of calcium that keep its size: one for each bin of a unit above the threshold, with its value.

    Parameters
    ----------
    data
        Binned data with ``calcium (trial, time, unit)``.
    window, past, max_tokens, max_past_tokens
        As for `tokenize`.
    threshold
        In the units of the trace, as for `calcium_events`.

    Returns
    -------
    Dataset
        As from `tokenize`, and ``value (trial, window, token)`` in the units of the trace, NaN where there is no token (with a
        past, ``past_value`` too). The attribute ``threshold`` is kept.

    Raises
    ------
    RecordingError
        As for `tokenize` and `calcium_events`.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> trace = {"time": np.arange(4) / 30, "value": [[0.0], [1.5], [0.2], [0.0]]}
    >>> tree = recording.build(units={"unit": ["a"]}, calcium=trace)
    >>> data = recording.bin(tree, 1 / 30, start=-0.5 / 30, stop=3.5 / 30)
    >>> calcium_tokens(data, window=2 / 30)["value"].values[0]
    array([[1.5],
           [0.2]])
    """
    values, _ = trace(data)
    events = calcium_events(data, threshold=threshold)
    tokens = tokenize(
        events, window=window, past=past, max_tokens=max_tokens, max_past_tokens=max_past_tokens
    )
    start, before = tokens["window_start"].values[:, None], int(tokens.attrs["past_length"])
    for name, first in (("", start), (PAST, start - before))[: 2 if before else 1]:
        unit, dt = tokens[f"{name}id"], tokens[f"{name}dt"].values
        there = unit.values != NONE
        found = np.full(there.shape, np.nan, dtype=np.result_type(values, np.float32))
        found[there] = values[np.nonzero(there)[0], (first + dt)[there], unit.values[there]]
        tokens[f"{name}value"] = (unit.dims, found, data["calcium"].attrs)
    return tokens.assign_attrs(threshold=float(threshold))


def calcium_from_tokens(tokens: xr.Dataset) -> xr.DataArray:
    """Calcium of tokens: the inverse of `calcium_tokens` above the threshold, 0 where there is no token.

    Parameters
    ----------
    tokens
        As `calcium_tokens` makes them.

    Returns
    -------
    DataArray
        ``calcium (trial, time, unit)`` in the units of the trace.

    Raises
    ------
    RecordingError
        As for `untokenize`, and for tokens without a value, with one that is not above the threshold, or twice in one bin.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> trace = {"time": np.arange(4) / 30, "value": [[0.0], [1.5], [0.2], [0.0]]}
    >>> tree = recording.build(units={"unit": ["a"]}, calcium=trace)
    >>> data = recording.bin(tree, 1 / 30, start=-0.5 / 30, stop=3.5 / 30)
    >>> calcium_from_tokens(calcium_tokens(data, window=2 / 30, threshold=1.0)).values.ravel()
    array([0. , 1.5, 0. , 0. ])
    """
    if "value" not in tokens or "threshold" not in tokens.attrs:
        raise RecordingError(
            "the tokens have no value or no threshold; make them with recording.tokens.calcium_tokens"
        )
    found = places(tokens)
    value = (
        tokens["value"].transpose("trial", "window", "token").values[found.trial, found.window, found.token]
    )
    flat = np.ravel_multi_index((found.trial, found.bin, found.unit), found.shape)
    # Tokens are in order, so that two of one bin and unit stand side by side.
    twice = np.append(False, flat[1:] == flat[:-1])[: flat.size]
    threshold = float(tokens.attrs["threshold"])
    for wrong, told in (
        (~(value > threshold) | np.isinf(value), f"is no finite number above the threshold of {threshold:g}"),
        (twice, "is the second of its bin and unit; a trace has one value in a bin"),
    ):
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            place = where(tokens, int(found.trial[at]), int(found.window[at]), int(found.token[at]))
            raise RecordingError(f"{place}: value {value[at]!r} {told}; mend it, or leave the token out")
    calcium = np.zeros(found.shape, dtype=value.dtype)
    calcium.reshape(-1)[flat] = value
    return _raster(calcium, tokens, "calcium").assign_attrs(tokens["value"].attrs)


def _listed(
    stream: SpikeStream,
    start: NDArray[np.int64],
    *,
    length: int,
    max_tokens: int | None,
    keep: Literal["first", "last"],
    name: str,
) -> dict[str, Any]:
    """Variables of the windows that begin at ``start`` in every trial, with ``name`` in front."""
    n_trials = stream.first.shape[0]
    trial, begin = np.repeat(np.arange(n_trials), start.size), np.tile(start, n_trials)
    if max_tokens is None:
        counted = stream.windows(trial, begin, length=length, max_tokens=0, keep=keep)
        max_tokens = int(counted.overflow.max(initial=0))
    made = stream.windows(trial, begin, length=length, max_tokens=max_tokens, keep=keep)
    of_window, of_token = ("trial", "window"), ("trial", "window", f"{name}token")
    shape = (n_trials, start.size)
    return {
        f"{name}id": (of_token, made.id.reshape(*shape, max_tokens), {"long_name": "unit, -1 for none"}),
        f"{name}dt": (of_token, made.dt.reshape(*shape, max_tokens), {"long_name": "bins since the start"}),
        f"{name}n_tokens": (of_window, made.n_tokens.reshape(shape)),
        f"{name}overflow": (
            of_window,
            made.overflow.reshape(shape),
            {"long_name": "spikes that did not fit"},
        ),
    }


def _raster(values: NDArray[Any], tokens: xr.Dataset, name: str) -> xr.DataArray:
    coords = {key: tokens[key].variable for key in (*CLOCK, "unit") if key in tokens.coords}
    return xr.DataArray(values, dims=("trial", "time", "unit"), coords=coords, name=name)


def _framed(counts: xr.DataArray, like: xr.Dataset) -> xr.DataArray:
    """The counts with the units and coordinates of binned data."""
    check_binned(like, name="like")
    if like.sizes["time"] != counts.sizes["time"]:
        bins = like.sizes["time"]
        raise RecordingError(
            f"like has {bins} bins, the tokens are of {counts.sizes['time']}; give the data they are of"
        )
    ours, theirs = counts["trial"].values.tolist(), like["trial"].values.tolist()
    if ours != theirs:
        raise RecordingError(
            f"like has trials {theirs[:3]}..., the tokens {ours[:3]}...; select the same trials of both"
        )
    units = counts["unit"].values.tolist()
    chosen = Vocabulary(units=tuple(units)).ids(like["unit"].values)
    left = np.setdiff1d(np.flatnonzero(counts.values.any(axis=(0, 1))), chosen)
    if left.size:
        raise RecordingError(f"unit {units[left[0]]!r} has tokens and is not in like; give data that hold it")
    coords = {name: c.variable for name, c in like.coords.items() if set(c.dims) <= set(counts.dims)}
    return xr.DataArray(
        counts.values[..., chosen], dims=counts.dims, coords=coords, name="counts", attrs=counts.attrs
    )
