"""Where tokens say that spikes are, after everything that could be wrong with them was looked at."""

from __future__ import annotations

import dataclasses

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurokit_snn.errors import RecordingError
from neurokit_snn.recording.spike_stream import NONE, Vocabulary

__all__ = ["TOKENS_SCHEMA", "TOKENS_VERSION", "Places", "places"]

TOKENS_SCHEMA = "neurokit_snn.tokens"
TOKENS_VERSION = 1

Ints = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Places:
    """Where each token is, and where it belongs; all arrays ``(spike,)`` but the last.

    Attributes
    ----------
    trial, window, token
        Position among the tokens.
    bin
        Of the trial.
    unit
        Position in the coordinate ``unit``.
    shape
        Of the raster: trials, bins, units.
    """

    trial: Ints
    window: Ints
    token: Ints
    bin: Ints
    unit: Ints
    shape: tuple[int, int, int]


def places(tokens: xr.Dataset) -> Places:
    """Where the tokens of windows belong.

    Parameters
    ----------
    tokens
        As `tokenize` makes them.

    Raises
    ------
    RecordingError
        For what `tokenize` did not make, windows that overlap each other or overflowed, and tokens that are out of the
        vocabulary, the window, the trial or their order; naming the first trial, window and token.

    Examples
    --------
    >>> from neurokit_snn import recording
    >>> data = recording.bin(recording.build(spikes={"a": [0.12], "b": [0.05, 0.31]}), 0.1, start=0.0, stop=0.4)
    >>> found = places(recording.tokens.tokenize(data, window=0.2))
    >>> found.bin, found.unit
    (array([0, 1, 3]), array([1, 0, 1]))
    """
    _check_made(tokens)
    ids, dts = (tokens[name].transpose("trial", "window", "token").values for name in ("id", "dt"))
    n_tokens, overflow = (
        tokens[name].transpose("trial", "window").values for name in ("n_tokens", "overflow")
    )
    most, length, n_bins = ids.shape[-1], int(tokens.attrs["window_length"]), tokens.sizes["time"]
    n_units = Vocabulary(units=tuple(tokens["unit"].values.tolist())).n_units
    bins = _window_starts(tokens, length)[:, None] + dts
    there = np.arange(most) < n_tokens[..., None]
    back = np.zeros_like(there)
    order = dts * n_units + ids
    back[..., 1:] = order[..., 1:] < order[..., :-1]
    rules = [
        (overflow != 0, "{overflow} spikes did not fit; tokenize with more max_tokens"),
        (
            (n_tokens < 0) | (n_tokens > most),
            f"n_tokens is {{n_tokens}}; give 0..{most}, there is no more room",
        ),
        (
            ~there & ((ids != NONE) | (dts != NONE)),
            "id {id}, dt {dt} come after the last token; put -1 there",
        ),
        (
            there & ((ids < 0) | (ids >= n_units)),
            f"id {{id}} is outside the vocabulary; ids of its {n_units} units are 0..{n_units - 1}",
        ),
        (
            there & ((dts < 0) | (dts >= length)),
            f"dt {{dt}} is outside the window of {length} bins; give 0..{length - 1}",
        ),
        (
            there & ((bins < 0) | (bins >= n_bins)),
            f"dt {{dt}} is bin {{bin}} of a trial that has bins 0..{n_bins - 1}; leave it out",
        ),
        (there & back, "id {id}, dt {dt} is out of order; sort tokens by dt, then by id"),
    ]
    values = {"id": ids, "dt": dts, "bin": bins, "n_tokens": n_tokens, "overflow": overflow}
    for wrong, message in rules:
        if wrong.any():
            at = tuple(int(i) for i in np.argwhere(wrong)[0])
            found = {name: each[at] for name, each in values.items() if each.ndim == len(at)}
            raise RecordingError(f"{where(tokens, *at)}: {message.format(**found)}")
    trial, window, token = np.nonzero(there)
    shape = (tokens.sizes["trial"], n_bins, n_units)
    return Places(trial=trial, window=window, token=token, bin=bins[there], unit=ids[there], shape=shape)


def where(tokens: xr.Dataset, trial: int, window: int, token: int | None = None) -> str:
    """Name a window, or a token of it, in a message.

    Examples
    --------
    >>> where(xr.Dataset(coords={"trial": ["left", "right"]}), 1, 3, 0)
    "tokens of trial 1 ('right'), window 3, token 0"
    """
    label = tokens["trial"].values.tolist()[trial]
    shown = f"{trial}" if label == trial else f"{trial} ({label!r})"
    return f"tokens of trial {shown}, window {window}" + ("" if token is None else f", token {token}")


def _check_made(tokens: xr.Dataset) -> None:
    """Raise unless variables, dims and attributes are those that `tokenize` makes."""
    problems = []
    for key, expected in (("schema", TOKENS_SCHEMA), ("schema_version", TOKENS_VERSION)):
        if tokens.attrs.get(key) != expected:
            problems.append(f"attribute {key} is {tokens.attrs.get(key)!r}, expected {expected!r}")
    if not tokens.attrs.get("window_length", 0) > 0:
        problems.append(
            f"attribute window_length is {tokens.attrs.get('window_length')!r}, expected bins above 0"
        )
    for name, dims in {
        "id": {"trial", "window", "token"},
        "dt": {"trial", "window", "token"},
        "n_tokens": {"trial", "window"},
        "overflow": {"trial", "window"},
        "window_start": {"window"},
        "time": {"time"},
        "unit": {"unit"},
    }.items():
        if name not in tokens.variables:
            problems.append(f"{name} is missing")
        elif set(tokens[name].dims) != dims:
            problems.append(f"{name} has dims {tokens[name].dims}, expected {tuple(sorted(dims))}")
        elif name not in ("time", "unit") and tokens[name].dtype.kind not in "iu":
            problems.append(f"{name} has type {tokens[name].dtype}, expected integers")
    if problems:
        raise RecordingError(
            f"these are no tokens of windows: {'; '.join(problems)}; make them with recording.tokens.tokenize"
        )


def _window_starts(tokens: xr.Dataset, length: int) -> Ints:
    """First bin of each window, of windows that share no bin."""
    start: Ints = tokens["window_start"].values.astype(np.int64)
    order = np.argsort(start, kind="stable")
    near = np.flatnonzero(np.diff(start[order]) < length)
    if near.size:
        one, other = (int(i) for i in order[near[0] : near[0] + 2])
        raise RecordingError(
            f"windows {one} and {other} begin at bins {start[one]} and {start[other]} and last {length}: they overlap, "
            "and their spikes would count twice; select windows that do not"
        )
    return start
