"""Made sessions whose truth is known, and small models that a comparison can be tested with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr


def made_session(
    *,
    n_trials: int = 40,
    n_time: int = 20,
    n_units: int = 6,
    bin_width: float = 0.1,
    depth: float = 1.0,
    layout: str = "windows",
    seed: int = 0,
    subject: str = "",
) -> xr.Dataset:
    """Windows of one session with a slow angle and units tuned to it; ``rate_truth`` is the expected count."""
    rng = np.random.default_rng(seed)
    angle = np.cumsum(rng.normal(scale=0.25, size=n_trials * n_time)) % (2 * np.pi)
    preferred = np.linspace(0, 2 * np.pi, n_units, endpoint=False)
    expected = 0.6 * np.exp(depth * np.cos(angle[:, None] - preferred))
    counts = rng.poisson(expected).astype(np.int32)
    mask = np.ones((n_trials, n_time, n_units), dtype=bool)
    mask[::7, -2:, 0] = False
    shaped = counts.reshape(n_trials, n_time, n_units)
    start = np.arange(n_trials) * n_time * bin_width
    place = np.stack([np.cos(angle), np.sin(angle)], axis=-1).reshape(n_trials, n_time, 2)
    return xr.Dataset(
        {
            "counts": (("trial", "time", "unit"), np.where(mask, shaped, 0)),
            "mask": (("trial", "time", "unit"), mask),
            "behavior_angle": (
                ("trial", "time"),
                angle.reshape(n_trials, n_time),
                {"units": "rad", "kind": "circular"},
            ),
            "mask_behavior_angle": (("trial", "time"), np.ones((n_trials, n_time), dtype=bool)),
            "behavior_place": (("trial", "time", "axis"), place, {"units": "m", "kind": "continuous"}),
            "mask_behavior_place": (("trial", "time"), np.ones((n_trials, n_time), dtype=bool)),
        },
        coords={
            "trial": np.arange(n_trials),
            "time": (np.arange(n_time) + 0.5) * bin_width,
            "unit": np.arange(10, 10 + n_units),
            "axis": ["x", "y"],
            "trial_start": ("trial", start),
            "trial_stop": ("trial", start + n_time * bin_width),
            "condition": ("trial", np.arange(n_trials) % 2),
        },
        attrs={
            "schema": "neurokit_snn.binned",
            "schema_version": 1,
            "bin_width": bin_width,
            "layout": layout,
            "session_id": f"s{seed}",
            "subject": subject,
        },
    )


@pytest.fixture(scope="session")
def made() -> Callable[..., xr.Dataset]:
    return made_session
