"""What every picture shares: the house style as a context, the Axes, the legend and the words on the axes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from neurokit_snn.errors import NeurokitError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["GREY", "PALETTE", "axes_array", "label", "legend", "outer_labels", "panels", "style", "styled"]

P = ParamSpec("P")
T = TypeVar("T")

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colours in the order in which pictures use them."""

GREY = "#6B6B6B"
MOST_PANELS = 64


@contextmanager
def style() -> Iterator[None]:
    """Use the house style inside a ``with`` block; the caller's rcParams are the same afterwards.

    Examples
    --------
    >>> import matplotlib
    >>> before = matplotlib.rcParams["axes.spines.top"]
    >>> with style():
    ...     inside = matplotlib.rcParams["axes.spines.top"]
    >>> inside, matplotlib.rcParams["axes.spines.top"] == before
    (False, True)
    """
    import matplotlib.style

    with matplotlib.style.context(str(Path(__file__).with_name("house.mplstyle"))):
        yield


def styled(function: Callable[P, T]) -> Callable[P, T]:
    """Run a drawing function in the house style."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        with style():
            return function(*args, **kwargs)

    return wrapper


def axes_array(
    ax: Axes | Sequence[Axes] | np.ndarray | None,
    count: int,
    *,
    what: str,
    size: tuple[float, float],
    **subplots: Any,
) -> np.ndarray:
    """Return ``count`` Axes in a flat array: the ones given, or those of a new figure.

    Parameters
    ----------
    ax
        One Axes, several, or None for a new figure.
    count
        How many Axes the picture needs.
    what
        What they are for, for the error.
    size
        Width and height of a new figure in inches.
    **subplots
        Further arguments of `matplotlib.pyplot.subplots`. More cells than ``count`` are removed.

    Raises
    ------
    NeurokitError
        When ``ax`` holds another number of Axes.
    """
    if ax is None:
        from matplotlib import pyplot

        subplots.setdefault("nrows", count)
        figure, made = pyplot.subplots(figsize=size, squeeze=False, **subplots)
        flat = made.ravel()
        for spare in flat[count:]:
            figure.delaxes(spare)
        return flat[:count]
    given = np.asarray(ax, dtype=object).ravel()
    if given.size != count:
        raise NeurokitError(f"ax holds {given.size} Axes, but {what} needs {count}; pass {count} or None")
    return given


def panels(
    ax: Any, count: int, *, what: str, columns: int = 6, cell: tuple[float, float] = (1.9, 1.5)
) -> np.ndarray:
    """Return ``count`` Axes of small multiples, those given or a new grid at most ``columns`` wide."""
    if not 0 < count <= MOST_PANELS:
        raise NeurokitError(f"{count} panels for {what}; choose 1 to {MOST_PANELS} with units=[...]")
    across = min(columns, count)
    down = -(-count // across)
    size = (max(3.6, cell[0] * across), max(2.6, cell[1] * down + 0.5))
    return axes_array(ax, count, what=what, size=size, nrows=down, ncols=across, sharex=True)


def label(name: str, attrs: dict[Any, Any], *, part: object = None) -> str:
    """Word an axis: the long name or the name, a part of it, and the units in brackets.

    Examples
    --------
    >>> label("behavior_position", {"units": "px"}, part="x")
    'position x (px)'
    >>> label("time", {"units": "s", "long_name": "time from lick"})
    'time from lick (s)'
    """
    text = str(attrs.get("long_name") or name.removeprefix("behavior_").replace("_", " "))
    if part is not None:
        text = f"{text} {part}"
    units = str(attrs.get("units", ""))
    return f"{text} ({units})" if units not in ("", "1") else text


def outer_labels(axes: np.ndarray, x: str, y: str) -> None:
    """Label only the left column and the lowest panel of each column, as the others share theirs."""
    specs = [one.get_subplotspec() for one in axes]
    for one, spec in zip(axes, specs, strict=True):
        if spec is None or spec.is_first_col():
            one.set_ylabel(y)
        below = spec is not None and any(
            other is not None
            and other.rowspan.start > spec.rowspan.start
            and other.colspan.start == spec.colspan.start
            for other in specs
        )
        if not below:
            one.set_xlabel(x)
            one.tick_params(labelbottom=True)


def legend(axes: np.ndarray, *, own_figure: bool) -> None:
    """Put the legend of the first Axes above a figure of our own, or inside the Axes that were given."""
    handles, names = axes[0].get_legend_handles_labels()
    once = dict(zip(names, handles, strict=True))  # an event plot makes one artist a row
    if not once:
        return
    if own_figure:
        axes[0].figure.legend(once.values(), once.keys(), loc="outside upper right", ncols=min(len(once), 4))
    else:
        axes[0].legend(once.values(), once.keys())
