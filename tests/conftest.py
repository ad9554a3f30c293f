"""What every test shares: bounded hypothesis runs, headless matplotlib, guards on global state, real data."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import numpy as np
import pytest

os.environ["MPLBACKEND"] = "Agg"

hypothesis.settings.register_profile(
    "ci",
    max_examples=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile(
    "thorough", parent=hypothesis.settings.get_profile("ci"), max_examples=500
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Keep ``--doctest-modules`` to the package: programs that tests start are not imported as tests."""
    program = collection_path.suffix == ".py" and not collection_path.name.startswith("test_")
    return True if program else None


def _global_state() -> dict[str, object]:
    """Settings of the libraries loaded so far that a test could change for all tests after it."""
    state: dict[str, object] = {
        "numpy.geterr": np.geterr(),
        "numpy.get_printoptions": {key: repr(value) for key, value in np.get_printoptions().items()},
        "os.getcwd": os.getcwd(),
    }
    # Importing jax draws from numpy's global generator: only states with jax, or without it, are comparable.
    generator = np.random.get_state(legacy=False)["state"]["key"]  # noqa: NPY002
    state[f"numpy.random (jax loaded: {'jax' in sys.modules})"] = hash(generator.tobytes())
    # Looked up, never imported: a guard must not load what the test did not.
    if (torch := sys.modules.get("torch")) is not None and hasattr(torch, "get_default_dtype"):
        state["torch.get_default_dtype"] = torch.get_default_dtype()
        state["torch.is_grad_enabled"] = torch.is_grad_enabled()
        state["torch.are_deterministic_algorithms_enabled"] = torch.are_deterministic_algorithms_enabled()
    if (jax := sys.modules.get("jax")) is not None and hasattr(jax, "config"):
        state["jax.config.jax_enable_x64"] = jax.config.jax_enable_x64
    if (matplotlib := sys.modules.get("matplotlib")) is not None and hasattr(matplotlib, "rcParams"):
        settings = dict(matplotlib.rcParams.copy())
        settings.pop("backend")  # resolves itself on the first figure, which is no change by the test
        state.update({f"matplotlib.rcParams[{key}]": repr(value) for key, value in settings.items()})
    if (xarray := sys.modules.get("xarray")) is not None and hasattr(xarray, "get_options"):
        state["xarray.get_options"] = dict(xarray.get_options())
    return state


@pytest.fixture(autouse=True)
def _global_state_is_kept() -> Iterator[None]:
    """Fail the test that leaves a global setting of numpy, torch, jax, matplotlib or xarray changed."""
    before = _global_state()
    yield
    after = _global_state()
    changed = [
        f"{name}: {before[name]!r} -> {after[name]!r}"
        for name in sorted(before.keys() & after.keys())
        if before[name] != after[name]
    ]
    assert not changed, "the test changed global state: " + "; ".join(changed)


@pytest.fixture(autouse=True)
def _figures_are_closed() -> Iterator[None]:
    """Close what a test drew: open figures pile up, and matplotlib warns at twenty."""
    yield
    if (pyplot := sys.modules.get("matplotlib.pyplot")) is not None:
        pyplot.close("all")


@pytest.fixture(scope="session")
def catalog_data() -> Path:
    """Folder of prepared data sets that ``NEUROKIT_DATA`` names, or a skip that says what is missing."""
    folder = os.environ.get("NEUROKIT_DATA", "")
    if not folder:
        pytest.skip("NEUROKIT_DATA is not set: no prepared data sets on this machine")
    if not Path(folder).is_dir():
        pytest.skip(f"NEUROKIT_DATA names {folder}, which is no folder")
    return Path(folder)


@pytest.fixture(scope="session")
def linear_track_path(catalog_data: Path) -> Path:
    """Folder of the linear-track recording, prepared and original files."""
    folder = catalog_data / "hippocampus_linear_track"
    if not folder.is_dir():
        pytest.skip(f"{folder.name} is not in NEUROKIT_DATA")
    return folder
