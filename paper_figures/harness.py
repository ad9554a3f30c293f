"""What every figure of a paper shares: claims and how they are judged, cached fits, the files and the JSON line.

A figure is a file with a `Figure` and a ``main``::

    FIGURE = Figure(name="delays", paper="Author et al. (2024)", claims={"accuracy": accuracy}, picture=draw)

    def main(words: Sequence[str] | None = None) -> int:
        return run_figure(FIGURE, words)

Each claim is a function of the `Run`; it asks the run for its fits (`Run.result`, kept on disk), writes down what it measured
(`Run.record`, the rows of the CSV) and returns a `Claim`.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import hashlib
import json
import operator
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import neurokit_snn as nk
from neurokit_snn import artefact
from neurokit_snn.catalog.access import cache_folder
from neurokit_snn.evaluate.intervals import interval

OPERATORS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
REPLICATES = 4000
KIND = "figure-result"


@dataclasses.dataclass(frozen=True)
class Claim:
    """One line of what a figure promises, and what was found."""

    id: str  # the id of the table, with a part after a dot where a row holds several claims
    claim: str
    value: float
    op: str
    target: float
    low: (
        float  # 95% interval of the value over data sets or seeds; NaN (null in the JSON) with fewer than two
    )
    high: float
    n_seeds: int
    scale: str
    holds: bool


Claims = Mapping[str, Callable[["Run"], Claim]]


@dataclasses.dataclass(frozen=True)
class Figure:
    """A figure: its name (of the files), the paper, its claims by id, and what draws the picture from the rows of a run."""

    name: str
    paper: str
    claims: Claims
    picture: Callable[[Run, Path], None]


@dataclasses.dataclass
class Run:
    """One call of a figure."""

    figure: str
    scale: str  # "small" or "paper"
    seed: int
    dry_run: bool
    cache: Path
    rows: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    _kept: dict[Path, xr.Dataset] = dataclasses.field(default_factory=dict)

    def seeds(self, count: int) -> list[int]:
        """So many seeds from the first on; one in a dry run."""
        return [self.seed + i for i in range(1 if self.dry_run else count)]

    def record(
        self, claim: str, *, quantity: str, seed: int, arm: str = "", of: str = "", value: float
    ) -> None:
        """Write down one measured number, a row of the CSV."""
        row = {
            "claim": claim,
            "quantity": quantity,
            "arm": arm,
            "of": of,
            "seed": seed,
            "value": float(value),
        }
        if row not in self.rows:
            self.rows.append(row)

    def values(self, *, quantity: str, arm: str = "", of: str = "") -> dict[int, float]:
        """Numbers that were recorded under these words, by seed."""
        wanted = (quantity, arm, of)
        return {r["seed"]: r["value"] for r in self.rows if (r["quantity"], r["arm"], r["of"]) == wanted}

    def result(self, name: str, key: Mapping[str, Any], make: Callable[[Path], xr.Dataset]) -> xr.Dataset:
        """What `make` gives, from the cache where it was made before.

        Parameters
        ----------
        name
            Beginning of the name of the artefact.
        key
            Everything that the result depends on, besides the version of the package; must be JSON.
        make
            Is given a folder for checkpoints, the same whenever the key is, which is removed once there is a result.
        """
        full = {"name": name, "version": nk.__version__, **key}
        mark = hashlib.sha256(json.dumps(full, sort_keys=True).encode()).hexdigest()[:16]
        path = self.cache / self.figure / f"{name}-{mark}.nk"
        if path not in self._kept:
            found = artefact.read_if_there(path, kind=KIND)
            if found is None:
                checkpoints = path.with_suffix(".checkpoints")
                checkpoints.mkdir(parents=True, exist_ok=True)
                began = time.perf_counter()
                made = make(checkpoints)
                artefact.write(path, kind=KIND, trees={"result": made}, config=full, overwrite=True)
                shutil.rmtree(checkpoints, ignore_errors=True)
                print(f"{path.stem}: {time.perf_counter() - began:.1f} s", file=sys.stderr, flush=True)
                found = artefact.read(path, kind=KIND)
            self._kept[path] = found.dataset("result").load()
        return self._kept[path]

    def judge(
        self,
        claim: str,
        words: str,
        values: Sequence[float] | np.ndarray,
        *,
        op: str,
        target: float,
        reduce: Callable[[np.ndarray], Any] = np.mean,
        surely: bool = False,
    ) -> Claim:
        """Compare what was found with the target.

        Parameters
        ----------
        claim, words
            Id and text.
        values
            One number for each data set or seed; of differences, the paired ones.
        op, target
            ``">="`` and the like, and the number that the value is compared with.
        reduce
            Makes the value from the numbers; where that is not the mean, there is no interval.
        surely
            Whether the end of the interval that lies nearer to failure has to pass as well.
        """
        found = np.asarray(values, dtype=np.float64)
        value = float(reduce(found))
        low, high = mean_interval(found) if reduce is np.mean else (float("nan"), float("nan"))
        passes = OPERATORS[op]
        holds = bool(passes(value, target))
        if surely:
            holds = holds and bool(passes(low if op.startswith(">") else high, target))
        return Claim(claim, words, value, op, float(target), low, high, found.size, self.scale, holds)


def mean_interval(values: np.ndarray) -> tuple[float, float]:
    """95% interval of a mean: the bootstrap of `nk.evaluate.intervals`; NaN for fewer than two values."""
    if values.size < 2:
        return float("nan"), float("nan")
    counts = np.random.default_rng(0).multinomial(
        values.size, np.full(values.size, 1 / values.size), REPLICATES
    )
    left_out = (values.sum() - values) / (values.size - 1)
    low, high = interval(values.mean(), counts @ values / values.size, left_out)
    return float(low), float(high)


def chosen(claims: Claims, wanted: str | None) -> list[str]:
    """Ids to run: all, the one that is named, or all of a row of the table."""
    if wanted is None:
        return list(claims)
    found = [name for name in claims if name == wanted or name.startswith(f"{wanted}.")]
    if not found:
        raise SystemExit(f"no claim {wanted!r}; there are {', '.join(claims)}")
    return found


def run_figure(figure: Figure, words: Sequence[str] | None = None) -> int:
    """Parse the command line, run the claims, write picture and table, print the JSON line; 1 where a claim fails."""
    parser = argparse.ArgumentParser(prog=f"python -m paper_figures.{figure.name}", description=figure.paper)
    parser.add_argument("--claim", help="an id, or the part before its dot; all by default")
    parser.add_argument("--scale", choices=("small", "paper"), default="small")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder of the picture and the table")
    parser.add_argument(
        "--dry-run", action="store_true", help="one step of one small fit; what it finds means nothing"
    )
    options = parser.parse_args(words)
    ids = chosen(figure.claims, options.claim)
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) if options.dry_run else cache_folder() / "figures"
        run = Run(figure.name, options.scale, options.seed, options.dry_run, kept)
        claims = []
        for name in ids:
            claims.append(figure.claims[name](run))
            print(said(claims[-1]), file=sys.stderr, flush=True)
        options.out.mkdir(parents=True, exist_ok=True)
        write_rows(run.rows, options.out / f"{figure.name}.csv")
        with artefact.atomic_file(options.out / f"{figure.name}.png", overwrite=True) as path:
            figure.picture(run, path)
    print(line(figure, claims, dry_run=options.dry_run), flush=True)
    return 0 if options.dry_run or all(claim.holds for claim in claims) else 1


def said(claim: Claim) -> str:
    """A claim for people."""
    mark = "holds" if claim.holds else "FAILS"
    spread = "" if np.isnan(claim.low) else f" [{claim.low:.3f}, {claim.high:.3f}]"
    return f"{mark}  {claim.id}: {claim.value:.3f}{spread} {claim.op} {claim.target:g}  ({claim.claim})"


def line(figure: Figure, claims: Sequence[Claim], *, dry_run: bool) -> str:
    """The JSON line; numbers that are not there are null."""

    def plain(value: Any) -> Any:
        return round(value, 5) if isinstance(value, float) and np.isfinite(value) else value

    listed = [{k: plain(v) for k, v in dataclasses.asdict(claim).items()} for claim in claims]
    listed = [
        {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in c.items()} for c in listed
    ]
    return json.dumps({"paper": figure.paper, "claims": listed} | ({"dry_run": True} if dry_run else {}))


def write_rows(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Measured numbers as a table, one a line."""
    with artefact.atomic_file(path, overwrite=True) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["claim", "quantity", "arm", "of", "seed", "value"])
        writer.writeheader()
        writer.writerows(rows)
