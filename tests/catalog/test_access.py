"""Finding, checking and fetching the files of a dataset."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from neurokit_snn import artefact, catalog
from neurokit_snn.catalog import access
from neurokit_snn.catalog.entries import ENTRIES, DataFile, Entry
from neurokit_snn.errors import CatalogError

TEXT = "To be, or not to be: that is the question.\n"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("NEUROKIT_DATA", raising=False)
    monkeypatch.setenv("NEUROKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the loopback address that serves it."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def _entry(monkeypatch: pytest.MonkeyPatch, *, text: str = TEXT, url: str) -> Entry:
    """The text dataset, with other bytes and another origin."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    file = DataFile(path="tinyshakespeare/input.txt", sha256=digest, url=url)
    entry = dataclasses.replace(ENTRIES["tinyshakespeare"], origin=(file,))
    monkeypatch.setitem(ENTRIES, "tinyshakespeare", entry)
    return entry


def _spelled(data: xr.Dataset | xr.DataTree) -> str:
    return "".join(map(chr, data["character"].values))


def test_names_are_unique_and_every_entry_can_be_read_somehow() -> None:
    assert [e.name for e in catalog.list()] == list(ENTRIES)
    for entry in catalog.list():
        assert entry.licence
        assert entry.citation
        assert (entry.read is not None) or entry.origin
        assert bool(entry.origin) == (entry.read_origin is not None)
        for file in entry.origin:
            assert file.url is not None
            assert "main" not in file.url.split("/"), "an origin is a commit, not a branch"


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(CatalogError, match="'linear-trak'; did you mean 'linear-track'"):
        catalog.open("linear-trak")
    with pytest.raises(CatalogError, match="known: linear-track"):
        catalog.open("zzzzzzzz")


def test_download_goes_to_the_cache_and_is_used_from_there(
    cache: Path, server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = server
    (folder / "input.txt").write_text(TEXT)
    _entry(monkeypatch, url=f"{address}/input.txt")
    assert _spelled(catalog.open("tinyshakespeare")) == TEXT
    (folder / "input.txt").unlink()
    assert (cache / "tinyshakespeare" / "input.txt").read_text() == TEXT
    assert _spelled(catalog.open("tinyshakespeare")) == TEXT


def test_what_was_converted_is_kept_and_made_anew_when_damaged(
    cache: Path, server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = server
    (folder / "input.txt").write_text(TEXT)
    entry = _entry(monkeypatch, url=f"{address}/input.txt")
    prepared = DataFile(path="tinyshakespeare/prepared.npz", sha256="0" * 64)
    monkeypatch.setitem(
        ENTRIES, entry.name, dataclasses.replace(entry, read=entry.read_origin, prepared=(prepared,))
    )
    first = catalog.open("tinyshakespeare")
    kept = cache / "tinyshakespeare-1.nk"
    original = cache / "tinyshakespeare" / "input.txt"
    original.unlink()
    (folder / "input.txt").unlink()
    xr.testing.assert_identical(catalog.open("tinyshakespeare"), first)  # without the original, near or far
    (kept / "data.nc").write_bytes(b"damaged")
    with pytest.raises(CatalogError, match="cannot be reached"):
        catalog.open("tinyshakespeare")
    (folder / "input.txt").write_text(TEXT)
    xr.testing.assert_identical(catalog.open("tinyshakespeare"), first)
    assert artefact.load(kept).identical(first)


def test_a_damaged_file_in_the_cache_is_fetched_again(
    cache: Path, server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = server
    (folder / "input.txt").write_text(TEXT)
    _entry(monkeypatch, url=f"{address}/input.txt")
    catalog.open("tinyshakespeare")
    (cache / "tinyshakespeare" / "input.txt").write_text(TEXT[:-5])
    assert _spelled(catalog.open("tinyshakespeare")) == TEXT


def test_a_simulated_dataset_takes_no_path(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="is made when asked for and has no files"):
        catalog.open("digits-multimodal", tmp_path)


def test_download_of_other_bytes_is_refused_and_not_kept(
    cache: Path, server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = server
    (folder / "input.txt").write_text("something else")
    _entry(monkeypatch, url=f"{address}/input.txt")
    with pytest.raises(CatalogError, match="not what the catalog expects"):
        catalog.open("tinyshakespeare")
    assert not (cache / "tinyshakespeare" / "input.txt").exists()


def test_unreachable_says_where_it_looked(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _entry(monkeypatch, url="http://127.0.0.1:9/input.txt")
    with pytest.raises(
        CatalogError, match=r"neither in NEUROKIT_DATA \(not set\).*set NEUROKIT_DATA to a folder"
    ):
        catalog.open("tinyshakespeare")


def test_environment_goes_before_the_cache(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _entry(monkeypatch, url="http://127.0.0.1:9/input.txt")
    data = tmp_path / "data" / "tinyshakespeare"
    data.mkdir(parents=True)
    (data / "input.txt").write_text(TEXT)
    monkeypatch.setenv("NEUROKIT_DATA", str(tmp_path / "data"))
    assert _spelled(catalog.open("tinyshakespeare")) == TEXT


@pytest.mark.parametrize("place", ["file", "folder"])
def test_a_path_is_used_alone_and_checked(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    _entry(monkeypatch, url="http://127.0.0.1:9/input.txt")
    file = tmp_path / "input.txt"
    file.write_text(TEXT)
    path = file if place == "file" else tmp_path
    assert _spelled(catalog.open("tinyshakespeare", path)) == TEXT
    file.write_text(TEXT.upper())
    with pytest.raises(CatalogError, match=r"input\.txt has SHA-256 .*, the catalog says"):
        catalog.open("tinyshakespeare", path)
    file.unlink()
    with pytest.raises(CatalogError, match=r"holds none of its files \(input\.txt\)"):
        catalog.open("tinyshakespeare", path)


def test_one_file_for_a_dataset_of_two_says_so(tmp_path: Path) -> None:
    (tmp_path / "MackeviciusData.mat").write_bytes(b"x")
    with pytest.raises(CatalogError, match=r"needed are MackeviciusData\.mat, songbird_spikes\.txt"):
        catalog.open("songbird-hvc", tmp_path / "MackeviciusData.mat")


def test_checksum_is_computed_once_for_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = _entry(monkeypatch, url="http://127.0.0.1:9/input.txt")
    file = tmp_path / "input.txt"
    file.write_text(TEXT)
    calls = []
    real = access.sha256_of
    monkeypatch.setattr(access, "sha256_of", lambda path: calls.append(path) or real(path))
    for _ in range(3):
        catalog.open(entry.name, file)
    assert len(calls) == 1


def test_split_of_the_text_is_nanogpts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _entry(monkeypatch, text="x" * 101, url="http://127.0.0.1:9/input.txt")
    (tmp_path / "input.txt").write_text("x" * 101)
    data = catalog.open("tinyshakespeare", tmp_path)
    assert int(np.sum(data["split"].values == "train")) == 90
