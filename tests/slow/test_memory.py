"""A recording larger than memory is binned and scored in little memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import h5netcdf
import numpy as np
import pytest

N_UNITS, N_SPIKES = 500, 1_000_000
DURATION, BIN_WIDTH = 50_000.0, 0.1
LIMIT_MB = 1500

SCORE = """
import json, sys
from pathlib import Path

import dask
import numpy as np
import xarray as xr
from neurokit_snn import recording
from neurokit_snn.evaluate.metrics import METRICS
from neurokit_snn.evaluate.scored import Scored
from neurokit_snn.io.netcdf import read_netcdf

path, bin_width, duration = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
dask.config.set(scheduler="threads", num_workers=2)
tree = read_netcdf(path, lazy=True)
data = recording.bin(tree, bin_width, start=0.0, stop=duration, chunks={"time": 10_000})
train, test = data.isel(time=slice(0, 250_000)), data.isel(time=slice(250_000, None))
mean = train["counts"].mean(["trial", "time"]).compute()  # spikes a bin
scored = Scored(
    target=test["counts"],
    mask=test["mask"],
    kind="counts",
    bin_width=bin_width,
    mean=xr.ones_like(test["counts"], dtype=float) * mean,
)
metric = METRICS["bits_per_spike"]
sums = metric.statistics(scored).compute()
above, spikes = metric.combine(sums, blocks=np.zeros(1, int), weights=np.ones((1, 1)))
status = Path("/proc/self/status").read_text().splitlines()
peak = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
print(json.dumps({"bits": (above / spikes)[0].tolist(), "spikes": spikes[0].tolist(), "peak_mb": peak}))
"""


def write_recording(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Write 4 GB of Poisson spikes, unit by unit; the spikes of each unit in the first and the second half.

    Units fire faster in one half than in the other, each by a factor of its own, so that a mean rate learnt from
    the first half is wrong about the second by a known amount.
    """
    rng = np.random.default_rng(2)
    halves = np.zeros((2, N_UNITS), np.int64)
    with h5netcdf.File(path, "w") as file:
        file.attrs.update({"schema": "neurokit_snn.recording", "schema_version": 1, "session_id": "made"})
        for name in ("subject", "start", "source", "licence", "citation"):
            file.attrs[name] = ""
        for name in ("units", "spikes"):
            file.create_group(name).dimensions = {"unit": N_UNITS}
            file[name].create_variable("unit", ("unit",), data=np.arange(N_UNITS))
        spikes = file["spikes"]
        spikes.dimensions["spike"] = N_UNITS * N_SPIKES
        times = spikes.create_variable("time", ("spike",), "f8", chunks=(65536,), fletcher32=True)
        times.attrs["units"] = "s"
        for unit in range(N_UNITS):
            share = 0.5 + 0.4 * unit / N_UNITS  # of the spikes that fall into the first half
            first = rng.binomial(N_SPIKES, share)
            for half, n in enumerate((first, N_SPIKES - first)):
                steps = np.cumsum(rng.standard_exponential(n + 1))
                begin = unit * N_SPIKES + half * first
                # Poisson spikes given their number: normalised sums of exponential steps.
                times[begin : begin + n] = (half + steps[:-1] / steps[-1]) * DURATION / 2
                halves[half, unit] = n
        spikes.create_variable("row_size", ("unit",), data=np.full(N_UNITS, N_SPIKES))
        spikes["row_size"].attrs["sample_dimension"] = "spike"
    return halves[0], halves[1]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_four_gigabytes_are_binned_and_scored_below_1500_mb(tmp_path):
    path = tmp_path / "recording.nc"
    first, second = write_recording(path)
    assert path.stat().st_size > 3.9e9
    child = subprocess.run(
        [sys.executable, "-c", SCORE, str(path), str(BIN_WIDTH), str(DURATION)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stderr[-3000:]
    found = json.loads(child.stdout)
    np.testing.assert_array_equal(found["spikes"], second)
    # By hand: S ln(m) - N m for a constant mean m, against the same with the best constant S / N.
    n_bins, learnt = DURATION / BIN_WIDTH / 2, first / (DURATION / BIN_WIDTH / 2)
    log_p = second * np.log(learnt) - n_bins * learnt
    null = second * np.log(second / n_bins) - second
    np.testing.assert_allclose(found["bits"], (log_p - null) / np.log(2) / second, rtol=1e-6, atol=1e-9)
    assert found["peak_mb"] < LIMIT_MB
