"""P8: importing the package loads neither jax nor torch nor anything else that is heavy."""

from __future__ import annotations

import ast
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

import neurokit_snn

HEAVY = (
    "jax",
    "torch",
    "numpyro",
    "numba",
    "sklearn",
    "matplotlib",
    "scipy",
    "h5netcdf",
    "typer",
    "pooch",
    "nemos",
)


def _in_fresh_python(code: str) -> object:
    """What a new interpreter prints as JSON after running ``code``."""
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert child.returncode == 0, child.stderr
    return json.loads(child.stdout)


def test_import_loads_nothing_heavy_beyond_what_xarray_loads():
    report = (
        "import json, sys\n"
        "import {package}\n"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    theirs = _in_fresh_python(report.format(package="xarray"))
    ours = _in_fresh_python(report.format(package="neurokit_snn"))
    assert set(ours) <= set(theirs)
    assert not {"jax", "torch"} & set(ours)


WRITTEN_IN_JAX_OR_TORCH = {
    "MMGPVAE": "jax",
    "Neuroformer": "torch",
    "SpikingEncoder": "torch",
    "BayesianSpiking": "torch",
    "SpikingDecoder": "torch",
}
"""Models that are programs of such a library through and through: naming one is its first use."""


def test_every_public_name_resolves_without_jax_or_torch():
    code = (
        "import json, sys, neurokit_snn as nk\n"
        f"names = [name for name in nk.__all__ if name not in {list(WRITTEN_IN_JAX_OR_TORCH)!r}]\n"
        "missing = [name for name in names if getattr(nk, name, None) is None]\n"
        "print(json.dumps([missing, [name for name in ('jax', 'torch') if name in sys.modules]]))"
    )
    assert _in_fresh_python(code) == [[], []]


@pytest.mark.parametrize("library", sorted(set(WRITTEN_IN_JAX_OR_TORCH.values())))
def test_models_written_in_jax_or_torch_resolve(library: str):
    """All of a library in one process, which takes seconds to load it."""
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    other = {"jax": "torch", "torch": "jax"}[library]
    names = [name for name, written in WRITTEN_IN_JAX_OR_TORCH.items() if written == library]
    code = (
        f"import json, sys, neurokit_snn as nk\nfound = [{library!r} in sys.modules]\n"
        f"found += [getattr(nk, name).__name__ for name in {names!r}]\n"
        f"print(json.dumps([*found, {library!r} in sys.modules, {other!r} in sys.modules]))"
    )
    assert _in_fresh_python(code) == [False, *names, True, False]


def test_accessor_is_registered_by_the_import_alone():
    code = (
        "import json, neurokit_snn, xarray\n"
        "print(json.dumps([hasattr(xarray.DataTree, 'nk'), hasattr(xarray.Dataset, 'nk')]))"
    )
    assert _in_fresh_python(code) == [True, True]


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="MeanRat"):
        _ = neurokit_snn.MeanRat


def test_stub_and_runtime_name_the_same_things():
    stub = ast.parse(Path(neurokit_snn.__file__).with_suffix(".pyi").read_text())
    imported = {
        alias.asname or alias.name
        for node in ast.walk(stub)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported == set(neurokit_snn.__all__)
    assert set(dir(neurokit_snn)) >= imported


def test_version_is_the_installed_one():
    from importlib.metadata import version

    assert neurokit_snn.__version__ == version("neurokit_snn")
