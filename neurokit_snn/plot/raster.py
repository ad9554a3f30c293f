"""Spikes against time: a whole recording with its behaviour below, and one unit around events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from neurokit_snn.errors import NeurokitError
from neurokit_snn.plot._style import GREY, PALETTE, axes_array, label, legend, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["event_raster", "raster"]

MOST_TICKS = 200_000
DENSITY_COLUMNS = 1500


@styled
def raster(
    recording: xr.DataTree,
    *,
    start: float | None = None,
    stop: float | None = None,
    units: Sequence[Any] | None = None,
    behavior: str | Sequence[str] | None = None,
    trials: str | xr.Dataset | None = "trials",
    ax: Axes | Sequence[Axes] | None = None,
) -> np.ndarray:
    """Draw the spikes of a recording, one row a unit, with its behaviour below and its trials shaded.

    Up to 200,000 spikes are drawn as ticks; more become an image of rates, which shows the same at a fraction
    of the cost.

    Parameters
    ----------
    recording
        A recording (see `neurokit_snn.recording.build`).
    start, stop
        Part of session time to draw, seconds; all of it by default.
    units
        Labels of the units to draw, from the bottom row up; all by default.
    behavior
        Name or names of the behaviours below the raster; all of them by default, ``()`` for none.
    trials
        What to shade: ``"trials"`` (where the recording has some), ``"epochs/NAME"``, or a Dataset with
        ``start`` and ``stop`` in session seconds, as from `neurokit_snn.recording.laps`; None for nothing.
    ax
        One Axes for the spikes and one for each behaviour, or None for a new figure.

    Returns
    -------
    axes : ndarray of Axes, (1 + number of behaviours,)

    Raises
    ------
    NeurokitError
        When a unit or behaviour is unknown, start is not before stop, or ``ax`` has another length.

    Examples
    --------
    >>> import neurokit_snn as nk
    >>> tree = nk.recording.build(spikes={"a": [0.1, 0.5], "b": [0.3]})
    >>> nk.plot.raster(tree)[0].get_ylabel()
    'unit'
    """
    from neurokit_snn.recording import span, to_session_clock

    tree = to_session_clock(recording)
    first, last = span(tree)
    start, stop = first if start is None else float(start), last if stop is None else float(stop)
    if not start < stop:
        raise NeurokitError(f"start {start} s is not before stop {stop} s; give a stretch of the recording")
    names = _behavior_names(tree, behavior)
    axes = axes_array(
        ax,
        1 + len(names),
        what=f"a raster with {len(names)} behaviours",
        size=(7.2, 2.8 + 1.1 * len(names)),
        sharex=True,
        gridspec_kw={"height_ratios": [2.6, *[1.0] * len(names)]},
    )
    labels, trains = _trains(tree, units, start, stop)
    shaded = _intervals(tree, trials)
    if shaded is not None:
        for one in axes:
            _shade(one, shaded, start, stop)
    _draw_spikes(axes[0], trains, start, stop)
    axes[0].set(ylabel="unit", ylim=(-0.5, len(labels) - 0.5))
    _unit_ticks(axes[0], labels)
    for one, name in zip(axes[1:], names, strict=True):
        _draw_behavior(one, name, tree["behavior"][name].to_dataset(), start, stop)
    axes[-1].set(xlabel="session time (s)", xlim=(start, stop))
    return axes


@styled
def event_raster(
    recording: xr.DataTree,
    unit: Any,
    *,
    to: str | Sequence[float] | np.ndarray,
    window: tuple[float, float] = (-1.0, 2.0),
    by: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw one unit's spikes around events, one row an event.

    Parameters
    ----------
    recording
        A recording.
    unit
        Label of the unit.
    to
        ``"events/NAME"``, ``"trials/COLUMN"`` or times in session seconds; a missing one (NaN) has no row.
    window
        Seconds before and after each event.
    by
        A column beside the events (same node); rows are grouped and coloured by its values.
    ax
        Axes to draw in, or None for a new figure.

    Returns
    -------
    ax : Axes

    Raises
    ------
    NeurokitError
        When the unit, node or column is unknown, or the window is empty.

    Examples
    --------
    >>> import neurokit_snn as nk
    >>> tree = nk.recording.build(spikes={"a": [0.1, 0.5, 1.2]})
    >>> nk.plot.event_raster(tree, "a", to=[0.0, 1.0], window=(-0.5, 0.5)).get_xlabel()
    'time from event (s)'
    """
    from neurokit_snn.recording import spike_times, to_session_clock

    before, after = window
    if not before < after:
        raise NeurokitError(f"window {window} is empty; give (seconds before, seconds after)")
    tree = to_session_clock(recording)
    times, groups, word = _events(tree, to, by)
    known = np.isfinite(times)
    times, groups = times[known], None if groups is None else groups[known]
    spikes = spike_times(tree, unit)
    values = [None] if groups is None else list(dict.fromkeys(np.sort(groups).tolist()))
    (one,) = axes_array(ax, 1, what="an event raster", size=(4.2, 3.2))
    row = 0
    for index, value in enumerate(values):
        chosen = times if groups is None else times[groups == value]
        rows = [spikes[slice(*np.searchsorted(spikes, (t + before, t + after)))] - t for t in chosen]
        one.eventplot(
            rows or [[]],
            lineoffsets=np.arange(row, row + max(len(rows), 1)),
            linelengths=0.9,
            linewidths=0.8,
            colors=PALETTE[index % len(PALETTE)] if groups is not None else "black",
            label=None if value is None else f"{by} = {value}",
        )
        row += len(rows)
    one.axvline(0.0, color=GREY, linewidth=0.8)
    one.set(
        xlim=window,
        ylim=(row - 0.5, -0.5),
        xlabel=f"time from {word} (s)",
        ylabel="event",
        title=f"unit {unit}",
    )
    legend(np.array([one]), own_figure=ax is None)
    return one


def _events(tree: xr.DataTree, to: Any, by: str | None) -> tuple[np.ndarray, np.ndarray | None, str]:
    """Find the times of the events, their group (or None), and what to call them."""
    if not isinstance(to, str):
        if by is not None:
            raise NeurokitError(f"by={by!r} needs to='events/NAME' or 'trials/COLUMN', not plain times")
        return np.asarray(to, dtype=float).ravel(), None, "event"
    node, _, column = to.partition("/")
    if node == "events" and "events" in tree.children and column in tree["events"].children:
        table, times = tree["events"][column].to_dataset(), "time"
    elif node == "trials" and "trials" in tree.children and column in tree["trials"].data_vars:
        table, times = tree["trials"].to_dataset(), column
    else:
        raise NeurokitError(
            f"to={to!r} names nothing in this recording; use 'events/NAME' or 'trials/COLUMN'"
        )
    if by is not None and by not in table:
        raise NeurokitError(f"by={by!r} is no column of {to}; it has {', '.join(map(str, table.data_vars))}")
    word = column if node == "events" else f"trial {column}"
    return table[times].values.astype(float), None if by is None else table[by].values, word


def _intervals(tree: xr.DataTree, trials: str | xr.Dataset | None) -> xr.Dataset | None:
    if trials is None or isinstance(trials, xr.Dataset):
        return trials
    if trials == "trials":
        return tree["trials"].to_dataset() if "trials" in tree.children else None
    group, _, name = trials.partition("/")
    if group != "epochs" or "epochs" not in tree.children or name not in tree["epochs"].children:
        raise NeurokitError(
            f"trials={trials!r} names nothing in this recording; use 'trials' or 'epochs/NAME'"
        )
    return tree["epochs"][name].to_dataset()


def _behavior_names(tree: xr.DataTree, wanted: str | Sequence[str] | None) -> list[str]:
    there = list(tree["behavior"].children) if "behavior" in tree.children else []
    if wanted is None:
        return there
    wanted = [wanted] if isinstance(wanted, str) else list(wanted)
    for name in wanted:
        if name not in there:
            raise NeurokitError(f"no behaviour {name!r}; this recording has {', '.join(there) or 'none'}")
    return wanted


def _trains(
    tree: xr.DataTree, units: Sequence[Any] | None, start: float, stop: float
) -> tuple[list[Any], list[np.ndarray]]:
    """Labels and the spike times inside ``[start, stop)`` of the units asked for."""
    if "spikes" not in tree.children:
        return [], []
    spikes = tree["spikes"].to_dataset()
    there = spikes["unit"].values.tolist()
    runs = np.split(spikes["time"].values, np.cumsum(spikes["row_size"].values)[:-1]) if there else []
    chosen = there if units is None else list(units)
    for unit in chosen:
        if unit not in there:
            raise NeurokitError(
                f"no unit {unit!r}; this recording has {len(there)} units from {there[0]!r} to {there[-1]!r}"
            )
    inside = [runs[there.index(unit)] for unit in chosen]
    return chosen, [run[slice(*np.searchsorted(run, (start, stop)))] for run in inside]


def _draw_spikes(ax: Axes, trains: list[np.ndarray], start: float, stop: float) -> None:
    if sum(map(len, trains)) <= MOST_TICKS:
        ax.eventplot(
            trains or [np.empty(0)], linelengths=0.8, linewidths=0.5, colors="black", rasterized=True
        )
        return
    columns = np.linspace(start, stop, DENSITY_COLUMNS + 1)
    image = np.stack([np.histogram(train, columns)[0] for train in trains]) / np.diff(columns)
    drawn = ax.imshow(
        image,
        aspect="auto",
        origin="lower",
        extent=(start, stop, -0.5, len(trains) - 0.5),
        cmap="Greys",
        vmax=max(float(np.quantile(image, 0.995)), 1e-9),
    )
    ax.figure.colorbar(drawn, ax=ax, label="spikes/s", pad=0.01)


def _unit_ticks(ax: Axes, labels: list[Any]) -> None:
    step = max(1, -(-len(labels) // 8))
    ax.set_yticks(range(0, len(labels), step), [str(unit) for unit in labels[::step]])


def _shade(ax: Axes, trials: xr.Dataset, start: float, stop: float) -> None:
    """Grey every trial in the window, in two greys by turns so that neighbours are told apart."""
    first, last = trials["start"].values, trials["stop"].values
    inside = np.flatnonzero((last > start) & (first < stop))
    for turn, grey in enumerate(("0.94", "0.88")):
        bars = [(first[i], last[i] - first[i]) for i in inside[turn::2]]
        ax.broken_barh(
            bars, (0.0, 1.0), transform=ax.get_xaxis_transform(), color=grey, linewidth=0, zorder=0
        )


def _draw_behavior(ax: Axes, name: str, node: xr.Dataset, start: float, stop: float) -> None:
    value, time = node["value"], node["time"].values
    part = slice(*np.searchsorted(time, (start, stop)))
    time, table = time[part], value.values[part].reshape(time[part].size, -1)
    kind = value.attrs.get("kind", "continuous")
    extra = [dim for dim in value.dims if dim != "time"]
    names = value[extra[0]].values.tolist() if len(extra) == 1 else [None] * table.shape[1]
    for column, part_name in zip(table.T, names, strict=True):
        if kind == "categorical":
            ax.step(time, column, where="post", label=part_name)
            continue
        shown = column.astype(float)
        if kind == "circular":
            shown = _break_wraps(shown, value.attrs)
        ax.plot(time, shown, label=part_name, linewidth=0.8, rasterized=True)
    ax.set_ylabel(label(name, value.attrs))
    if len(extra) == 1:
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), handlelength=1.0)


def _break_wraps(angle: np.ndarray, attrs: dict[Any, Any]) -> np.ndarray:
    """Put NaN where an angle passes its period, so that no line crosses the whole panel."""
    period = 360.0 if str(attrs.get("units", "rad")).startswith("deg") else 2 * np.pi
    shown = angle.copy()
    shown[1:][np.abs(np.diff(angle)) > period / 2] = np.nan
    return shown
