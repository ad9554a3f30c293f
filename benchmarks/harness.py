"""What every benchmark shares: ours and the peer by turns, medians, peak memory, one JSON line per case.

A benchmark is a file with a ``main`` that returns the exit code::

    def main() -> int:
        case = run_case("binning", "1 h x 500 units", ours="benchmarks.binning:prepare_ours",
                        peer="benchmarks.binning:prepare_peer", peer_name="pynapple 0.11.4", target=10.0)
        return exit_code([case])

Only the standard library is imported here: the children that measure memory and import time start from it.
"""

from __future__ import annotations

import gc
import importlib
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SLOW_PEER_S = 10.0

Side = Callable[[], Any] | str


@dataclass(frozen=True)
class Result:
    """One line of ``make bench``."""

    bench: str
    case: str
    ours_s: float
    peer: str | None  # name and version of what we are compared with
    peer_s: float | None
    ratio: float | None  # peer_s / ours_s: above 1, we are faster
    ours_mb: float | None  # peak resident memory, measured only in subprocesses
    peer_mb: float | None
    slope: float | None  # exponent of time over size, where the claim is about scaling
    target: float  # least ratio that holds; without a peer, most seconds
    holds: bool


@dataclass(frozen=True)
class _Run:
    seconds: float
    peak_mb: float | None
    value: Any


def run_case(
    bench: str,
    case: str,
    *,
    ours: Side,
    target: float,
    peer: Side | None = None,
    peer_name: str | None = None,
    repeats: int = 5,
    kwargs: Mapping[str, Any] | None = None,
    agree: Callable[[Any, Any], bool] | None = None,
    less_memory: bool = False,
    slope: float | None = None,
) -> Result:
    """Time ours and the peer by turns, print the JSON line and return it.

    Parameters
    ----------
    bench, case
        Names for the line.
    ours, peer
        Either a function without arguments, timed in this process; or ``"module:prepare"``, the name of a
        function that prepares its input and returns the function to be timed. The named kind runs in a fresh
        interpreter each time, where only the call of the returned function is timed and the peak memory of
        the whole is taken.
    target
        The least ``peer_s / ours_s`` that holds the promise; without a peer, the most seconds we may take.
    peer_name
        Library and version of the peer, for the line.
    repeats
        Runs of each side, of which the median counts; at least 5. Where the peer takes over 10 s, 3 runs.
    kwargs
        Given to the named prepare functions; must be JSON.
    agree
        Judge of ``(our value, the peer's value)``, called after every pair of runs. A case whose two sides
        disagree does not hold, however fast. Values of named functions travel as JSON: return a digest, not
        the array.
    less_memory
        Whether our peak memory must also lie below the peer's.
    slope
        Measured exponent to be printed, where the claim is about scaling.
    """
    if repeats < 5:
        raise ValueError(f"repeats={repeats}: a median of fewer than 5 runs says little; give 5 or more")
    if less_memory and not (isinstance(ours, str) and isinstance(peer, str)):
        raise ValueError("less_memory=True needs both sides by name, so that each runs in its own process")
    runs: dict[str, list[_Run]] = {"ours": [], "peer": []}
    same = True
    while len(runs["ours"]) < _needed(repeats, runs["peer"]):
        # The order turns round each time, so that neither side always runs on the warmer machine.
        order = ["ours", "peer"] if len(runs["ours"]) % 2 == 0 else ["peer", "ours"]
        for name in order:
            side = ours if name == "ours" else peer
            if side is not None:
                runs[name].append(_measure(side, kwargs or {}))
        if agree is not None:
            theirs = runs["peer"][-1].value if peer is not None else None
            same = bool(agree(runs["ours"][-1].value, theirs)) and same
    result = _judge(bench, case, runs, peer_name, target, same=same, less_memory=less_memory, slope=slope)
    print(json.dumps(asdict(result)), flush=True)
    if not same:
        print(f"{bench} {case}: the two sides disagree", file=sys.stderr)
    return result


def exit_code(results: Iterable[Result]) -> int:
    """0 where every case holds, else 1."""
    return 0 if all([result.holds for result in results]) else 1


def _needed(repeats: int, peer_runs: list[_Run]) -> int:
    slow = bool(peer_runs) and peer_runs[0].seconds > SLOW_PEER_S
    return 3 if slow else repeats


def _judge(
    bench: str,
    case: str,
    runs: Mapping[str, list[_Run]],
    peer_name: str | None,
    target: float,
    *,
    same: bool,
    less_memory: bool,
    slope: float | None,
) -> Result:
    ours_s, ours_mb = _medians(runs["ours"])
    assert ours_s is not None
    peer_s, peer_mb = _medians(runs["peer"])
    ratio = None if peer_s is None else peer_s / ours_s
    holds = same and (ours_s <= target if ratio is None else ratio >= target)
    if less_memory:
        holds = holds and ours_mb is not None and peer_mb is not None and ours_mb < peer_mb
    return Result(
        bench=bench,
        case=case,
        ours_s=_rounded(ours_s),
        peer=peer_name,
        peer_s=_rounded(peer_s),
        ratio=_rounded(ratio),
        ours_mb=_rounded(ours_mb),
        peer_mb=_rounded(peer_mb),
        slope=slope,
        target=target,
        holds=holds,
    )


def _medians(runs: list[_Run]) -> tuple[float | None, float | None]:
    if not runs:
        return None, None
    memory = [run.peak_mb for run in runs if run.peak_mb is not None]
    return statistics.median(run.seconds for run in runs), statistics.median(memory) if memory else None


def _rounded(value: Any, digits: int = 4) -> Any:
    """Four significant digits: more would be noise."""
    return value if not value else round(value, digits - 1 - math.floor(math.log10(abs(value))))


def _measure(side: Side, kwargs: Mapping[str, Any]) -> _Run:
    if isinstance(side, str):
        return _measure_in_child(side, kwargs)
    gc.collect()
    start = time.perf_counter()
    value = side()
    return _Run(time.perf_counter() - start, None, value)


def _measure_in_child(side: str, kwargs: Mapping[str, Any]) -> _Run:
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        child = subprocess.run(
            [sys.executable, "-m", "benchmarks.harness", side, json.dumps(dict(kwargs)), str(answer)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if child.returncode != 0:
            raise RuntimeError(f"{side} failed with exit code {child.returncode}:\n{child.stderr[-2000:]}")
        return _Run(**json.loads(answer.read_text()))


def _peak_mb() -> float:
    """Peak resident memory of this process.

    Linux keeps ``ru_maxrss`` across exec, so that the child of a large parent would report the parent's peak;
    the high-water mark in /proc belongs to the new program alone.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024


def _child(side: str, kwargs: str, answer: str) -> None:
    """Prepare, time one call, write seconds, peak memory and value: what runs in the fresh interpreter."""
    module, _, name = side.partition(":")
    timed = getattr(importlib.import_module(module), name)(**json.loads(kwargs))
    gc.collect()
    start = time.perf_counter()
    value = timed()
    seconds = time.perf_counter() - start
    Path(answer).write_text(json.dumps({"seconds": seconds, "peak_mb": _peak_mb(), "value": value}))
    # Skip the destructors of what was measured: freeing gigabytes is no part of the case.
    os._exit(0)


if __name__ == "__main__":
    _child(*sys.argv[1:])
