"""Nothing we load can run code (promise P3)."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import neurokit_snn as nk
from neurokit_snn import artefact
from neurokit_snn.artefact import manifest
from neurokit_snn.errors import NeurokitError

PACKAGE = Path(nk.__file__).parent
BANNED = {"eval", "exec", "compile", "__import__"}
UNPICKLERS = {"pickle", "cPickle", "cloudpickle", "dill", "joblib.load", "shelve", "marshal"}


def _dotted(node: ast.expr) -> str:
    return (
        f"{_dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    )


def _offences(source: str) -> list[str]:
    """Calls that could execute what a file holds."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
            found += [f"{node.lineno}: import {name}" for name in names if name.split(".")[0] in UNPICKLERS]
        if not isinstance(node, ast.Call):
            continue
        name, options = _dotted(node.func), {keyword.arg: keyword.value for keyword in node.keywords}
        is_true = [
            getattr(options.get(key), "value", None) is True for key in ("allow_pickle", "weights_only")
        ]
        if (isinstance(node.func, ast.Name) and name in BANNED) or name in UNPICKLERS:
            found.append(f"{node.lineno}: {name}")
        elif is_true[0] or (name in ("np.load", "numpy.load") and "allow_pickle" not in options):
            found.append(f"{node.lineno}: {name} without allow_pickle=False")
        elif name == "torch.load" and not is_true[1]:
            found.append(f"{node.lineno}: torch.load without weights_only=True")
    return found


def test_no_reader_of_the_package_unpickles_or_evaluates():
    guilty = {str(path.relative_to(PACKAGE)): _offences(path.read_text()) for path in PACKAGE.rglob("*.py")}
    assert len(guilty) > 50
    assert {path: found for path, found in guilty.items() if found} == {}


@pytest.mark.parametrize(
    "line",
    ["import pickle", "from dill import load", "eval('1')", "np.load('a')", "np.load('a', allow_pickle=True)",
     "torch.load('a')", "torch.load('a', weights_only=False)", "joblib.load('a')"],
)  # fmt: skip
def test_the_check_would_notice(line):
    assert _offences(line)


@pytest.mark.parametrize(
    "line", ["np.load('a', allow_pickle=False)", "torch.load('a', weights_only=True)", "re.compile('a')"]
)
def test_the_check_lets_pass(line):
    assert not _offences(line)


def test_a_manifest_cannot_name_code(tmp_path):
    """Kind and class are looked up in tables; a class that no table holds is an error, not an import."""
    for i, (kind, config) in enumerate(
        [("model", {"class": "os.system", "parameters": {}, "bin_width": 0.1}), ("os.system", {})]
    ):
        path = artefact.write(
            tmp_path / f"{i}.nk",
            kind=kind,
            trees={"units": xr.Dataset()},
            config=config,
            extra={"class": "os.system"},
        )
        with pytest.raises(NeurokitError, match=r"os\.system"):
            nk.load(path)


def test_pickled_bytes_stay_text(tmp_path):
    text = "cos\nsystem\n(S'touch hacked'\ntR."
    data = xr.Dataset({"a": ("x", np.array([text, ""], dtype=object))}, attrs={"a": text})
    found = nk.load(nk.save(data, tmp_path / "a.nk"))
    assert found["a"].values[0] == found.attrs["a"] == text
    assert b"$import" not in manifest.render({"a": text})
