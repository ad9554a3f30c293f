"""The arrows of docs/architecture.md, and that the linter which holds them would notice a wrong one."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import neurokit_snn

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path(neurokit_snn.__file__).parent

# Import-time neighbours of numpy and xarray that importing the package must not bring.
HEAVY = {
    "jax", "torch", "numpyro", "pyro", "nemos", "pynapple", "pynwb", "neo", "zarr", "dask", "distributed",
    "cebra", "PSID", "brian2", "arviz_base", "arviz_stats", "arviz_plots", "safetensors", "nir", "lightning_fabric",
}  # fmt: skip


def _lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Copy of the package and its contracts, to be broken."""
    shutil.copytree(PACKAGE, tmp_path / "neurokit_snn", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_arrows_point_one_way():
    outcome = _lint_imports(ROOT)
    assert outcome.returncode == 0, outcome.stdout


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("recording/schema.py", "import neurokit_snn.models.base"),
        ("evaluate/metrics.py", "import neurokit_snn.models.glm"),
        ("plot/raster.py", "import neurokit_snn.models.base"),
        ("torchloop/loop.py", "import neurokit_snn.models.base"),
        ("snn/neuron.py", "import neurokit_snn.recording.schema"),
        ("errors.py", "import neurokit_snn.recording"),
    ],
)
def test_a_wrong_arrow_is_noticed(checkout, module, line):
    path = checkout / "neurokit_snn" / module
    path.write_text(path.read_text() + f"\n\ndef _sneaks() -> None:\n    {line}\n")
    outcome = _lint_imports(checkout)
    assert outcome.returncode == 1
    assert "BROKEN" in outcome.stdout


def test_every_module_has_a_place_in_the_layers():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract for contract in contracts if contract["id"] == "layers")["layers"]
    placed = {name.strip() for layer in layers for name in re.split("[:|]", layer)}
    found = {
        path.stem
        for path in PACKAGE.iterdir()
        if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").exists()
    }
    assert found == placed


WHOLE = ("models/mmgpvae/", "models/neuroformer/", "models/spiking/", "snn/", "torchloop/")
"""Folders whose every module needs an extra; their ``__init__`` asks for it, and only ``models.registry`` names them."""

SHARED = ("snn/", "torchloop/")
"""Those of them that the others may import from: what they need, their users need, too."""


def test_optional_libraries_are_imported_inside_functions():
    """At the top of a module they would make the module, and all that import it, need an extra."""
    pattern = re.compile(r"^(?:import|from)\s+(\w+)", re.MULTILINE)
    guilty = [
        f"{path.relative_to(PACKAGE)}: {name}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for name in pattern.findall(path.read_text())
        if name in HEAVY and not path.relative_to(PACKAGE).as_posix().startswith(WHOLE)
    ]
    assert guilty == []


def test_folders_that_need_an_extra_are_reached_by_name_alone():
    """No module outside such a folder imports from it, not even inside a function."""
    pattern = re.compile(r"^[ \t]*(?:import|from)\s+([\w.]+)", re.MULTILINE)
    guilty = []
    for folder in WHOLE:
        dotted = "neurokit_snn." + folder.strip("/").replace("/", ".")
        welcome = WHOLE if folder in SHARED else (folder,)
        guilty += [
            f"{path.relative_to(PACKAGE)}: {name}"
            for path in sorted(PACKAGE.rglob("*.py"))
            for name in pattern.findall(path.read_text())
            if f"{name}.".startswith(f"{dotted}.")
            and not path.relative_to(PACKAGE).as_posix().startswith(welcome)
        ]
    assert guilty == []
    for folder in WHOLE:
        assert "require(" in (PACKAGE / folder / "__init__.py").read_text()


def test_nobody_goes_round_the_layers_through_the_root():
    """``import neurokit_snn as nk; nk.models...`` would load anything, and import-linter would not see it."""
    pattern = re.compile(r"^[ \t]*import neurokit_snn(?: as \w+)?$", re.MULTILINE)
    guilty = [
        str(path.relative_to(PACKAGE))
        for path in sorted(PACKAGE.rglob("*.py"))
        if pattern.search(path.read_text())
    ]
    assert guilty == []
