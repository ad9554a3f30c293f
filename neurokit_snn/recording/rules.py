"""What the numbers of a recording must obey; read block by block, vectorised over samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from neurokit_snn.recording.blocks import blocks
from neurokit_snn.recording.schema import BEHAVIOR_KINDS, NodeSpec

__all__ = ["Problem", "clocks_known", "content", "listed", "not_str", "runs", "units_agree"]


@dataclass(frozen=True)
class Problem:
    """One broken rule.

    Attributes
    ----------
    node
        Path of the node, as in ``/behavior/position``.
    rule
        Id of the rule, as in ``spikes.sorted``.
    index
        First offending index along the first dimension, or None where there is none.
    message
        What is wrong, with the value.
    remedy
        What to do.
    """

    node: str
    rule: str
    index: int | None
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.node} [{self.rule}] {self.message}; {self.remedy}"


def listed(found: Sequence[Problem], name: str) -> str:
    """Message about one problem (one line) or several (numbered, one line each)."""
    if len(found) == 1:
        return f"{name}: {found[0]}"
    lines = "\n".join(f"  {i}. {problem}" for i, problem in enumerate(found, start=1))
    return f"{name}: {len(found)} problems\n{lines}"


def not_str(values: np.ndarray) -> int | None:
    """Index of the first element of an object array that is no str, or None."""
    if values.dtype.kind != "O":
        return None
    return next((i for i, value in enumerate(values.ravel().tolist()) if not isinstance(value, str)), None)


def content(path: str, node: xr.Dataset, spec: NodeSpec) -> Iterator[Problem]:
    """Problems of the numbers of one node whose structure is sound; runs of units are left to `runs`."""
    family = spec.family
    for field in spec.fields:
        if field.kind == "seconds" and field.order != "increasing within a unit" and family != "observation":
            yield from _series(path, family, field.name, node.variables[field.name], field.order)
    if {"start", "stop"} <= set(node.variables) and family in ("trials", "epochs"):
        start, stop = node["start"].values, node["stop"].values
        if len(bad := np.flatnonzero(stop < start)):
            i = int(bad[0])
            message = f"start[{i}] = {start[i]} is after stop[{i}] = {stop[i]}"
            yield Problem(path, f"{family}.reversed", i, message, "swap them or drop the row")
    if family == "behavior":
        kind = node["value"].attrs.get("kind", "continuous")
        if kind not in BEHAVIOR_KINDS:
            message = f"attribute kind of value is {kind!r}"
            yield Problem(path, "behavior.kind", None, message, f"use one of {', '.join(BEHAVIOR_KINDS)}")
    if family == "clocks":
        slope, offset = node["slope"].values, node["offset"].values
        for i in np.flatnonzero(~(np.isfinite(slope) & (slope > 0) & np.isfinite(offset)))[:1].tolist():
            message = f"clock {node['clock'].values[i]!s} has slope {slope[i]} and offset {offset[i]}"
            yield Problem(path, "clocks.affine", i, message, "give a finite slope > 0 and a finite offset")


def _series(path: str, family: str, name: str, values: xr.Variable, order: str | None) -> Iterator[Problem]:
    """Problems of one clock: not finite, out of order."""
    last = -np.inf
    finite = ordered = True
    for offset, block in blocks(values):
        if finite and not (good := np.isfinite(block)).all():
            finite, i = False, int(np.argmin(good))
            message = f"{name}[{offset + i}] is {block[i]}"
            yield Problem(path, f"{family}.finite", offset + i, message, "drop the sample or give its time")
        before = np.concatenate([[last], block[:-1]])
        wrong = block <= before if order == "increasing" else block < before
        if ordered and order is not None and wrong.any():
            ordered, i = False, int(np.argmax(wrong))
            relation = "does not come after" if order == "increasing" else "comes before"
            message = f"{name}[{offset + i}] = {block[i]} {relation} {name}[{offset + i - 1}] = {before[i]}"
            repeat = order == "increasing" and block[i] == before[i]
            remedy = 'keep one: build(..., duplicates="drop")' if repeat else "sort them or mend the clock"
            yield Problem(path, f"{family}.sorted", offset + i, message, f"times must be {order}: {remedy}")
        if not (finite or ordered):
            return
        last = block[-1] if len(block) else last


def units_agree(nodes: Mapping[str, xr.Dataset], *, missing: bool) -> Iterator[Problem]:
    """Problems of the coordinate ``unit`` across nodes; ``missing`` says that there is no /units at all."""
    for path in ("/spikes", "/observation", "/calcium"):
        if path not in nodes:
            continue
        family = path[1:]
        if missing:
            message = f"{path} has units but there is no /units"
            yield Problem(path, f"{family}.units", None, message, "add /units with the coordinate unit")
        elif "/units" in nodes:
            ours, theirs = nodes["/units"]["unit"].values, nodes[path]["unit"].values
            if len(ours) != len(theirs):
                message = f"{len(theirs)} units, but /units has {len(ours)}"
                yield Problem(path, f"{family}.units", None, message, "give every node the units of /units")
            elif len(
                differ := np.flatnonzero(
                    [a != b for a, b in zip(ours.tolist(), theirs.tolist(), strict=True)]
                )
            ):
                i = int(differ[0])
                message = f"unit[{i}] is {theirs.tolist()[i]!r}, but /units has {ours.tolist()[i]!r} there"
                yield Problem(path, f"{family}.units", i, message, "order the units as in /units")


def clocks_known(nodes: Mapping[str, xr.Dataset], *, broken: bool) -> Iterator[Problem]:
    """Problems of the attribute ``clock`` across nodes; a broken /clocks is not asked which labels it has."""
    known = nodes["/clocks"]["clock"].values.tolist() if "/clocks" in nodes else []
    for path, node in nodes.items():
        clock, family = node.attrs.get("clock"), path.split("/")[1]
        if clock is not None and clock not in known and not broken and family not in ("truth", "extra"):
            message = f"clock {clock!r} is not in /clocks {known}"
            yield Problem(path, f"{family}.clock", None, message, "add it to /clocks or remove the attribute")
    if "/observation" in nodes and "/spikes" in nodes:
        ours, theirs = nodes["/observation"].attrs.get("clock"), nodes["/spikes"].attrs.get("clock")
        if ours != theirs:
            message = f"clock {ours!r} differs from {theirs!r} of /spikes"
            yield Problem("/observation", "observation.clock", None, message, "give both the same clock")


def runs(nodes: Mapping[str, xr.Dataset]) -> tuple[list[Problem], list[str]]:
    """Problems of the ragged nodes /spikes and /observation, and doubts about the unit of time."""
    found: list[Problem] = []
    whole = {}
    for path, dim in (("/observation", "interval"), ("/spikes", "spike")):
        if path in nodes:
            wrong = list(_row_size(path, nodes[path], dim))
            whole[path] = not wrong
            found += wrong
    edges = None
    if whole.get("/observation"):
        broken = list(_observation(nodes["/observation"]))
        found += broken
        edges = None if broken else nodes["/observation"]
    if not whole.get("/spikes"):
        return found, []
    scan = _SpikeScan(nodes["/spikes"], edges)
    return found + scan.problems, scan.doubts


def _row_size(path: str, node: xr.Dataset, dim: str) -> Iterator[Problem]:
    rows, rule = node["row_size"].values, f"{path[1:]}.row_size"
    if len(bad := np.flatnonzero(rows < 0)):
        i = int(bad[0])
        yield Problem(
            path, rule, i, f"row_size[{i}] = {rows[i]} is negative", "count the samples of the unit"
        )
    elif (total := int(rows.sum())) != node.sizes.get(dim, 0):
        message = f"row_size sums to {total} but there are {node.sizes.get(dim, 0)} {dim}s"
        yield Problem(path, rule, None, message, "the row sizes must add up; is the file cut short?")


def _observation(node: xr.Dataset) -> Iterator[Problem]:
    """Problems of observation intervals: not finite, empty, reversed, unsorted, overlapping, touching."""
    start, stop, sizes = node["start"].values, node["stop"].values, node["row_size"].values
    unit, labels = np.repeat(np.arange(len(sizes)), sizes), node["unit"].values.tolist()
    path = "/observation"
    if len(bad := np.flatnonzero(~(np.isfinite(start) & np.isfinite(stop)))):
        i = int(bad[0])
        message = f"unit {labels[unit[i]]!r}: interval {i} is [{start[i]}, {stop[i]})"
        yield Problem(path, "observation.finite", i, message, "give finite times")
    if len(bad := np.flatnonzero(start >= stop)):
        i = int(bad[0])
        message = f"unit {labels[unit[i]]!r}: start[{i}] = {start[i]} is not before stop[{i}] = {stop[i]}"
        yield Problem(path, "observation.reversed", i, message, "swap them or drop the interval")
    if len(bad := np.flatnonzero((unit[1:] == unit[:-1]) & (start[1:] <= stop[:-1]))):
        i = int(bad[0]) + 1
        message = (
            f"unit {labels[unit[i]]!r}: start[{i}] = {start[i]} is not after stop[{i - 1}] = {stop[i - 1]}"
        )
        yield Problem(path, "observation.overlap", i, message, "sort the intervals and join those that touch")


class _SpikeScan:
    """One pass over the spike times, block by block, with what is carried from block to block."""

    def __init__(self, spikes: xr.Dataset, observation: xr.Dataset | None):
        self.labels = spikes["unit"].values.tolist()
        self.sizes = spikes["row_size"].values.astype(np.int64)
        self.starts = np.concatenate([[0], np.cumsum(self.sizes)])
        self.edges: np.ndarray | None = None
        if observation is not None:
            # Every unit's edges, start and stop in turn, with the place where each unit's begin.
            pairs = (observation["start"].values, observation["stop"].values)
            self.edges = np.stack(pairs, axis=1).ravel()
            self.first_edge = 2 * np.concatenate([[0], np.cumsum(observation["row_size"].values)])
        self.firsts: dict[str, Problem] = {}
        self.last = np.nan
        self.slow = np.zeros(len(self.sizes), dtype=np.int64)
        self.begin = np.full(len(self.sizes), np.nan)
        self.end = np.full(len(self.sizes), np.nan)
        for offset, block in blocks(spikes.variables["time"]):
            self._scan(offset, block)
        self.problems = list(self.firsts.values())
        self.doubts = [] if self.problems else list(self._doubts())

    def _unit(self, index: int) -> int:
        return int(np.searchsorted(self.starts, index, side="right")) - 1

    def _report(self, rule: str, index: int, message: str, remedy: str) -> None:
        if rule not in self.firsts:
            unit = self._unit(index)
            place = f"unit {self.labels[unit]!r}: time[{index - self.starts[unit]}]"
            self.firsts[rule] = Problem("/spikes", f"spikes.{rule}", index, f"{place} {message}", remedy)

    def _scan(self, offset: int, block: np.ndarray) -> None:
        if not len(block):
            return
        if not (good := np.isfinite(block)).all():
            i = int(np.argmin(good))
            self._report("finite", offset + i, f"is {block[i]}", "drop the spike")
        previous, self.last = self.last, block[-1]
        gaps = np.diff(block, prepend=previous)
        inside = slice(*np.searchsorted(self.starts, (offset, offset + len(block))))
        gaps[np.unique(self.starts[:-1][inside]) - offset] = (
            np.nan
        )  # no interval before the first spike of a run
        if not (np.nanmin(gaps, initial=np.inf) > 0):
            self._disorder(offset, block, gaps, previous)
        late = np.flatnonzero(gaps > 1.0)
        self.slow += np.bincount(
            np.searchsorted(self.starts, late + offset, side="right") - 1, minlength=len(self.slow)
        )
        first, last = self._unit(offset), self._unit(offset + len(block) - 1)
        for unit in range(first, last + 1):
            run = block[max(self.starts[unit] - offset, 0) : self.starts[unit + 1] - offset]
            if not len(run):
                continue
            self.begin[unit] = run[0] if np.isnan(self.begin[unit]) else self.begin[unit]
            self.end[unit] = run[-1]
            if self.edges is not None and not self.firsts:
                edges = self.edges[self.first_edge[unit] : self.first_edge[unit + 1]]
                self._observed(edges, run, max(offset, int(self.starts[unit])))

    def _disorder(self, offset: int, block: np.ndarray, gaps: np.ndarray, previous: float) -> None:
        for rule, wrong, word, remedy in (
            ("sorted", gaps < 0, "comes after", "sort the times of each unit"),
            ("duplicates", gaps == 0, "repeats", 'keep one of them: build(..., duplicates="drop")'),
        ):
            if wrong.any():
                i = int(np.argmax(wrong))
                before = block[i - 1] if i else previous
                self._report(rule, offset + i, f"= {block[i]} {word} {before}", remedy)

    def _observed(self, edges: np.ndarray, run: np.ndarray, index: int) -> None:
        counts = np.searchsorted(run, edges, side="left")
        if (counts[1::2] - counts[::2]).sum() == len(run):
            return
        # An odd number of edges at or before a spike means that it lies inside an interval.
        i = int(np.argmax(np.searchsorted(edges, run, side="right") % 2 == 0))
        remedy = "widen the interval (they are half open) or drop the spike"
        self._report("observed", index + i, f"= {run[i]} is outside the unit's observation intervals", remedy)

    def _doubts(self) -> Iterator[str]:
        many = self.sizes >= 10
        if not many.any():
            return
        slow = many & (2 * self.slow > self.sizes - 1)
        if 2 * slow.sum() > many.sum():
            unit = self.labels[int(np.argmax(slow))]
            yield (
                f"/spikes: most interspike intervals exceed 1 s in {slow.sum()} of {many.sum()} units "
                f"({unit!r} first), so the times look like milliseconds; if they are, divide them by 1000"
            )
        duration = np.where(many, self.end - self.begin, np.inf)
        fast = many & ((self.sizes - 1) > 1000.0 * duration)
        if fast.any():
            i = int(np.argmax(fast))
            rate = (self.sizes[i] - 1) / duration[i] if duration[i] > 0 else np.inf
            yield (
                f"/spikes: unit {self.labels[i]!r} fires at {rate:.0f} spikes/s, above 1 kHz, so the times "
                "are not seconds, or were divided by 1000 twice; give seconds"
            )
