"""What the README tells people to type works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


@pytest.mark.slow
def test_the_ten_lines_run(tmp_path, monkeypatch, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert "rotation" in capsys.readouterr().out
    assert (tmp_path / "comparison.nk" / "manifest.json").exists()


def test_every_make_target_and_file_it_names_exists():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"`make ([a-z-]+)`", README))
    assert len(targets) >= 9
    assert targets <= set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_extra_it_names_exists():
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (named,) = re.findall(r"what you need of: ([a-z ]+), or all", README)
    assert set(named.split()) == set(extras) - {"all", "test", "docs"}
