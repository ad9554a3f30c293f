"""The reference names every public thing, and nothing that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from types import ModuleType

import neurokit_snn

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = set(
    re.findall(r"^   ([a-zA-Z_.0-9]+)$", (ROOT / "docs" / "reference.md").read_text(), re.MULTILINE)
)
# Where a name can be reached on two ways, the reference has the first.
ELSEWHERE = {"splits": "recording.splits"}
# Modules inside of a subpackage of which the reference has the names, not the module.
BY_NAME = ("recording.tokens",)


def _public_names() -> Iterator[str]:
    """Names at the root, and in its subpackages; a module inside of a subpackage is one entry."""
    for name in neurokit_snn.__all__:
        thing = getattr(neurokit_snn, name)
        if isinstance(thing, ModuleType):
            for inner in (f"{ELSEWHERE.get(name, name)}.{inner}" for inner in thing.__all__):
                yield from (
                    (f"{inner}.{n}" for n in _resolved(inner).__all__) if inner in BY_NAME else (inner,)
                )
        else:
            yield name


def _resolved(name: str) -> object:
    return reduce(getattr, name.split("."), neurokit_snn)


def test_every_entry_exists():
    assert len(REFERENCE) > 80
    assert [name for name in sorted(REFERENCE) if not hasattr(_resolved(name), "__doc__")] == []


def test_every_public_name_has_an_entry():
    shown = {id(_resolved(name)) for name in REFERENCE}
    missing = [name for name in _public_names() if id(_resolved(name)) not in shown]
    assert [name for name in missing if name != "recording.splits"] == []


def test_decisions_are_numbered_and_listed():
    folder = ROOT / "docs" / "adr"
    pages = sorted(path.stem for path in folder.glob("[0-9]*.md"))
    assert [int(page[:3]) for page in pages] == list(range(1, len(pages) + 1))
    assert re.findall(r"^(\d{3}-.*)$", (folder / "index.md").read_text(), re.MULTILINE) == pages
