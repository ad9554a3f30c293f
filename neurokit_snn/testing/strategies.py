"""Hypothesis strategies for spike trains, recordings and binned data: small, odd and always valid."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

import numpy as np
import xarray as xr

from neurokit_snn import recording
from neurokit_snn._extras import require
from neurokit_snn.testing.equality import assert_recordings_equal

require("hypothesis", extra="test")

from hypothesis import strategies as st  # noqa: E402 - what is missing is said above, in our words

__all__ = ["FAMILIES", "assert_recordings_equal", "binned", "recordings", "spike_trains"]

FAMILIES = (
    "observation",
    "trials",
    "epochs",
    "events",
    "behavior",
    "calcium",
    "stimulus",
    "signals",
    "clocks",
    "truth",
)

# Times are k * STEP + origin: neighbours are far enough apart for any clock, yet most are no round binary
# numbers and many fall on the edges of bins of 2, 10 or 50 ms. A session is short, so that no train looks
# like milliseconds.
STEP, TICKS = 0.002, 2000
_ORIGINS = (0.0, -1.5, 4397.03, 1.0e5)
_SLOPES = (1.0, 1.00005, 0.9998, 1.0 - 2.0**-20)
_OFFSETS = (0.0, -3.7, 1234.5678)
_KINDS = (
    ("continuous", "f8"),
    ("continuous", "f4"),
    ("circular", "f8"),
    ("categorical", "i4"),
    ("categorical", "?"),
)
_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=8)


def _ticks(least: int = 0, most: int = 12, *, high: int = TICKS) -> st.SearchStrategy[list[int]]:
    """Sorted distinct multiples of STEP."""
    return st.lists(st.integers(0, high), min_size=least, max_size=most, unique=True).map(sorted)


def spike_trains(*, max_spikes: int = 30, duration: float = 4.0) -> st.SearchStrategy[np.ndarray]:
    """Spike times of one unit: float64, increasing, within [0, duration], <= 500 spikes/s, maybe none.

    Parameters
    ----------
    max_spikes
        Most spikes of a train.
    duration
        Greatest time in seconds.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(spike_trains(), lambda train: len(train) == 2)
    array([0.   , 0.002])
    """
    ticks = _ticks(most=max_spikes, high=int(duration / STEP))
    return ticks.map(lambda found: np.array(found, dtype=np.float64) * STEP)


class _Session:
    """What one drawn recording shares: the draw, the origin of time and the clocks there are."""

    def __init__(self, draw: Callable[..., Any], families: Collection[str]):
        self.draw = draw
        self.origin = draw(st.sampled_from(_ORIGINS))
        self.clocks: dict[str, tuple[float, float]] = {}
        if "clocks" in families:
            names = draw(st.lists(st.sampled_from(("camera", "réf λ", "0")), unique=True, max_size=2))
            self.clocks = {
                n: (draw(st.sampled_from(_SLOPES)), draw(st.sampled_from(_OFFSETS))) for n in names
            }

    def clock(self) -> str | None:
        """Label of a clock, or None for the session's."""
        return self.draw(st.sampled_from([None, *self.clocks]))

    def times(self, ticks: Iterable[int], clock: str | None) -> np.ndarray:
        """Return the times of ticks on a clock; one tick gives the same bits wherever it is used."""
        session = np.array(list(ticks), dtype=np.float64) * STEP + self.origin
        if clock is None:
            return session
        slope, offset = self.clocks[clock]
        return (session - offset) / slope

    def column(self, n: int) -> np.ndarray:
        """One column of n rows, of any type a column may have."""
        kind = self.draw(st.sampled_from(("f8", "f4", "i8", "i4", "u1", "?", "U")))
        return self.values((n,), kind)

    def values(self, shape: tuple[int, ...], kind: str) -> np.ndarray:
        """Values of one type; floats with some NaN, a signed zero and numbers that need all their digits."""
        if kind == "U":
            n = int(np.prod(shape))
            return np.array(self.draw(st.lists(_TEXT, min_size=n, max_size=n)), dtype=str).reshape(shape)
        rng = np.random.default_rng(self.draw(st.integers(0, 2**32 - 1)))
        if kind in ("f8", "f4"):
            values = rng.normal(scale=10.0, size=shape)
            values[rng.random(shape) < 0.1] = np.nan
            values[rng.random(shape) < 0.05] = -0.0
            return values.astype(kind)
        if kind == "?":
            return rng.random(shape) < 0.5
        info = np.iinfo(kind)
        return rng.integers(info.min, info.max, size=shape, dtype=np.dtype(kind), endpoint=True)


@st.composite
def recordings(
    draw: Callable[..., Any], *, families: Collection[str] = FAMILIES, min_units: int = 0, max_units: int = 4
) -> xr.DataTree:
    """Draw a valid recording of a few seconds, with everything odd that the schema allows.

    Empty units and none at all, int and str labels, overlapping trials, several clocks with drift,
    observation intervals that end at a spike, behaviour of every kind with further dimensions and NaN, empty
    tables, non-ASCII labels and attributes. None of them raises or warns in `recording.validate`.

    Parameters
    ----------
    draw
        Given by hypothesis.
    families
        Which kinds of node may appear beside ``/units`` and ``/spikes``; without ``"clocks"`` all is session
        time.
    min_units, max_units
        Bounds of the number of units.

    Examples
    --------
    >>> from hypothesis import find
    >>> smallest = find(recordings(families=("trials",), min_units=1), lambda tree: "trials" in tree.children)
    >>> smallest["spikes"].sizes["unit"]
    1
    """
    if unknown := set(families) - set(FAMILIES):
        raise ValueError(f"unknown families {sorted(unknown)}; choose from {FAMILIES}")
    session = _Session(draw, families)
    chosen = {family for family in families if draw(st.booleans())}
    n = draw(st.integers(min_units, max_units))
    labels = draw(
        st.one_of(
            st.lists(st.integers(-5, 500), min_size=n, max_size=n, unique=True),
            st.lists(_TEXT, min_size=n, max_size=n, unique=True),
        )
    )
    makers: dict[str, Callable[[_Session], Any]] = {"trials": _trials, "epochs": _epochs, "events": _events}
    makers |= {"behavior": _behavior, "stimulus": _stimulus, "signals": _signals}
    tables: dict[str, Any] = {name: make(session) for name, make in makers.items() if name in chosen}
    spikes, observation = _spikes(session, labels, observed="observation" in chosen)
    if "calcium" in chosen:
        ticks, clock = draw(_ticks()), session.clock()
        value = session.values((len(ticks), n), draw(st.sampled_from(("f8", "f4"))))
        tables["calcium"] = {
            "time": session.times(ticks, clock),
            "value": value,
            "clock": clock,
            "units": "dF/F",
        }
    columns = {
        name: session.column(n) for name in draw(st.sets(st.sampled_from(("depth", "région", "good"))))
    }
    truth = (
        xr.Dataset({"latent": (("k", "bin"), session.values((2, 3), "f8"))}) if "truth" in chosen else None
    )
    return recording.build(
        spikes=spikes,
        units=xr.Dataset({key: ("unit", value) for key, value in columns.items()}),
        observation=observation,
        clocks=session.clocks or None,
        truth=truth,
        session_id=draw(_TEXT),
        subject=draw(_TEXT),
        source=draw(_TEXT),
        start=draw(st.sampled_from(("", "2024-02-29T23:59:59.5+01:00"))),
        **tables,
    )


def _spikes(session: _Session, labels: list[Any], *, observed: bool) -> tuple[xr.Dataset, xr.Dataset | None]:
    """Make the nodes /spikes and /observation; spikes are dropped where their unit was not observed."""
    draw, clock = session.draw, session.clock()
    attrs = {} if clock is None else {"clock": clock}
    trains, edges = [], []
    for _ in labels:
        train = draw(_ticks(most=25))
        cuts = draw(_ticks(most=6))
        cuts = cuts[: len(cuts) // 2 * 2]
        inside = [tick for tick in train if not observed or np.searchsorted(cuts, tick, side="right") % 2]
        trains.append(session.times(inside, clock))
        edges.append(session.times(cuts, clock))
    units = np.array(labels, dtype=np.int64 if not labels or isinstance(labels[0], int) else str)

    def ragged(dim: str, sizes: list[int], **flat: np.ndarray) -> xr.Dataset:
        variables = {name: (dim, values, {"units": "s"}) for name, values in flat.items()}
        rows = ("unit", np.array(sizes, dtype=np.int64), {"sample_dimension": dim})
        return xr.Dataset({**variables, "row_size": rows}, coords={"unit": units}, attrs=attrs)

    spikes = ragged("spike", [len(train) for train in trains], time=np.concatenate([np.empty(0), *trains]))
    if not observed:
        return spikes, None
    flat = np.concatenate([np.empty(0), *edges])
    return spikes, ragged("interval", [len(e) // 2 for e in edges], start=flat[::2], stop=flat[1::2])


def _rows(session: _Session, dim: str) -> tuple[xr.Dataset, int]:
    """Make rows with start and stop that may overlap, contain each other, or be empty."""
    draw, clock = session.draw, session.clock()
    ticks = draw(st.lists(st.tuples(st.integers(0, TICKS), st.integers(0, 500)), max_size=4).map(sorted))
    start = session.times((a for a, _ in ticks), clock)
    stop = session.times((a + b for a, b in ticks), clock)
    out = xr.Dataset(
        {name: (dim, value, {"units": "s"}) for name, value in (("start", start), ("stop", stop))}
    )
    for name in draw(st.sets(st.sampled_from(("choice", "coherence")))):
        out[name] = (dim, session.column(len(ticks)))
    return (out if clock is None else out.assign_attrs(clock=clock)), len(ticks)


def _trials(session: _Session) -> xr.Dataset:
    rows, n = _rows(session, "trial")
    labels = session.draw(
        st.one_of(
            st.permutations(range(n)),
            st.lists(st.text("abcµ ", max_size=3), min_size=n, max_size=n, unique=True),
        )
    )
    return rows.assign_coords(
        trial=np.array(labels, dtype=np.int64 if not n or isinstance(labels[0], int) else str)
    )


def _names(session: _Session, *names: str) -> list[str]:
    return session.draw(st.lists(st.sampled_from(names), unique=True, min_size=1, max_size=2))


def _epochs(session: _Session) -> dict[str, xr.Dataset]:
    return {name: _rows(session, "interval")[0] for name in _names(session, "run", "rest")}


def _events(session: _Session) -> dict[str, xr.Dataset]:
    out = {}
    for name in _names(session, "lick", "reward"):
        ticks = session.draw(st.lists(st.integers(0, TICKS), max_size=6).map(sorted))
        clock = session.clock()
        out[name] = xr.Dataset({"time": ("event", session.times(ticks, clock), {"units": "s"})})
        if session.draw(st.booleans()):
            out[name]["side"] = ("event", session.column(len(ticks)))
        out[name].attrs = {} if clock is None else {"clock": clock}
    return out


def _behavior(session: _Session) -> dict[str, dict[str, Any]]:
    out = {}
    for name in _names(session, "position", "head_direction", "state"):
        ticks = session.draw(_ticks())
        kind, dtype = session.draw(st.sampled_from(_KINDS))
        more, coords = session.draw(
            st.sampled_from(
                (
                    ((), {}),
                    (("axis",), {"axis": np.array(["x", "y"])}),
                    (
                        ("bodypart", "axis"),
                        {"bodypart": np.array(["nez", "queue"]), "axis": np.array(["x", "y"])},
                    ),
                )
            )
        )
        clock = session.clock()
        shape = (len(ticks), *(2 for _ in more))
        attrs = {"origin": np.array([0.5, -1.0]), "note": session.draw(_TEXT), "camera": 2}
        entry = {"time": session.times(ticks, clock), "value": session.values(shape, dtype), "kind": kind}
        out[name] = {
            **entry,
            "units": "cm",
            "dims": ("time", *more),
            "coords": coords,
            "clock": clock,
            "attrs": attrs,
        }
    return out


def _stimulus(session: _Session) -> dict[str, Any]:
    ticks, clock = session.draw(_ticks(most=5)), session.clock()
    out: dict[str, Any] = {}
    if session.draw(st.booleans()):
        shape = (len(ticks), 2, 3, *session.draw(st.sampled_from(((), (2,)))))
        frames = session.values(shape, session.draw(st.sampled_from(("u1", "f4"))))
        out["movie"] = {"time": session.times(ticks, clock), "frames": frames, "clock": clock}
    else:
        columns = {name: ("event", session.values((len(ticks),), "u1") % 2) for name in ("x", "y", "p")}
        out["dvs"] = xr.Dataset({"time": ("event", session.times(ticks, clock), {"units": "s"}), **columns})
        out["dvs"].attrs = {} if clock is None else {"clock": clock}
    return out


def _signals(session: _Session) -> dict[str, Any]:
    ticks, clock = session.draw(_ticks()), session.clock()
    value = session.values((len(ticks), 2), session.draw(st.sampled_from(("f8", "f4", "i4"))))
    return {"lfp": {"time": session.times(ticks, clock), "value": value, "units": "uV", "clock": clock}}


@st.composite
def binned(
    draw: Callable[..., Any],
    *,
    layouts: Collection[str] = ("session", "windows", "trials", "events"),
    behavior: bool = True,
    max_trials: int = 4,
    max_bins: int = 12,
    max_units: int = 4,
) -> xr.Dataset:
    """Draw a binned dataset: masks, unequal trials, units lost for a while, behaviour with gaps.

    Parameters
    ----------
    draw
        Given by hypothesis.
    layouts
        Which layouts may appear; ``"session"`` has one trial, ``"trials"`` unequal ones.
    behavior
        Whether ``behavior_position (trial, time, axis)`` and ``behavior_state (trial, time)`` come with it.
    max_trials, max_bins, max_units
        Greatest sizes; each is at least 1.

    Examples
    --------
    >>> from hypothesis import find
    >>> data = find(binned(layouts=("trials",)), lambda data: bool(data["counts"].sum() > 0))
    >>> data["counts"].dims
    ('trial', 'time', 'unit')
    """
    layout = draw(st.sampled_from(sorted(layouts)))
    trials = 1 if layout == "session" else draw(st.integers(1, max_trials))
    bins, units = draw(st.integers(1, max_bins)), draw(st.integers(1, max_units))
    width = draw(st.sampled_from((0.005, 0.02, 0.25)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    lengths = np.full(trials, bins)
    if layout == "trials":
        lengths[1:] = rng.integers(1, bins, size=trials - 1, endpoint=True)
    inside = np.arange(bins) < lengths[:, None]
    mask = np.repeat(inside[..., None], units, axis=-1)
    if draw(st.booleans()):
        mask &= rng.random(mask.shape) < 0.9
    counts = np.where(mask, rng.poisson(rng.gamma(1.0, 1.0, size=units), size=mask.shape), 0).astype(np.int32)
    # Trials of a session follow each other; those around events may overlap.
    spacing = bins if layout in ("windows", "session") else draw(st.integers(1, 2 * bins))
    starts = draw(st.sampled_from((0.0, 4397.03))) + spacing * width * np.arange(trials)
    before = draw(st.integers(0, bins)) if layout == "events" else 0
    labels = draw(st.sampled_from((np.arange(units), np.array([f"n{u}é" for u in range(units)]))))
    data = xr.Dataset(
        {"counts": (("trial", "time", "unit"), counts), "mask": (("trial", "time", "unit"), mask)},
        coords={
            "trial": np.arange(trials),
            "time": ("time", (np.arange(bins) - before + 0.5) * width, {"units": "s"}),
            "unit": labels,
            "trial_start": ("trial", starts, {"units": "s"}),
            "trial_stop": ("trial", starts + lengths * width, {"units": "s"}),
            "depth": ("unit", rng.normal(size=units)),
        },
        attrs={"schema": "neurokit_snn.binned", "schema_version": 1, "bin_width": width, "layout": layout}
        | {"session_id": draw(_TEXT), "subject": draw(_TEXT)},
    )
    return _with_behavior(data, inside, rng) if behavior else data


def _with_behavior(data: xr.Dataset, inside: np.ndarray, rng: np.random.Generator) -> xr.Dataset:
    """Add a position and a state; where they are masked they are NaN."""
    for name, more, kind in (("position", ("axis",), "continuous"), ("state", (), "categorical")):
        mask = inside & (rng.random(inside.shape) < 0.9)
        shape = (*inside.shape, *(2 for _ in more))
        values = (
            rng.normal(size=shape).cumsum(axis=1) if kind == "continuous" else rng.integers(3, size=shape)
        )
        values = np.where(mask.reshape(mask.shape + (1,) * len(more)), values, np.nan).astype(np.float64)
        attrs = {"units": "cm" if more else "", "kind": kind}
        data[f"behavior_{name}"] = (("trial", "time", *more), values, attrs)
        data[f"mask_behavior_{name}"] = (("trial", "time"), mask)
    return data.assign_coords(axis=np.array(["x", "y"]))
