"""Every file we ever wrote still opens, to the same values (promise P2)."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

import neurokit_snn as nk
from neurokit_snn.artefact import manifest

GOLDEN = Path(__file__).parent.parent / "golden" / "artefacts"
VERSIONS = sorted(path.name for path in GOLDEN.glob("v*"))


def _contents():
    spec = importlib.util.spec_from_file_location("golden_contents", GOLDEN / "contents.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.CONTENTS


CONTENTS = _contents()


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("version", VERSIONS)
def test_golden_artefacts_open(tmp_path, assert_same, version, name, lazy):
    # A copy: reading must not depend on where an artefact was written, and must not change the golden one.
    path = shutil.copytree(GOLDEN / version / f"{name}.nk", tmp_path / "moved.nk")
    found = nk.load(path, lazy=lazy)
    assert_same(found, CONTENTS[name]())
    if name == "recording":
        nk.recording.validate(found)


def test_the_present_version_has_golden_artefacts():
    """A new format or schema version needs a new folder of golden artefacts."""
    seen = set()
    for path in GOLDEN.glob("v*/*.nk/manifest.json"):
        entries = json.loads(path.read_text())
        seen.add((entries["format"], entries["kind"], entries["schema_version"]))
    for kind in CONTENTS:
        assert (manifest.FORMAT, kind, manifest.SCHEMA_VERSIONS[kind]) in seen
