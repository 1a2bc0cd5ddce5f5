"""A faulty new generation is refused with its name, and the served one stays."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from disrupt.errors import OtherHistoryError
from disrupt.index import writing
from disrupt.index.manifest import FILES, TABLES
from disrupt.index.multi_index import engine
from disrupt.registry import sqlite
from disrupt.upkeep.compaction import compact
from disrupt.upkeep.erasure import erase
from disrupt.upkeep.rebuild import rebuild
from rig.media.codes import rewrite_manifest
from tests.feed.test_follower import Site

_FILES = ("manifest.json", *FILES, *TABLES)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Serve generation 2, which has tables and uses them."""
    monkeypatch.setattr(writing, "TABLES_FROM_HASHES", 1)
    monkeypatch.setattr(engine, "CODE_NS", 1e9)
    with sqlite.open_writer(tmp_path / "registry.db") as writer:
        site = Site(tmp_path, writer)
        site.register(3)
        rebuild(writer, site.index_dir)
        site.follower.step()
        assert site.live.status().engine == "multi_index"
        yield site


def missing(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    os.truncate(path, 0)


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def altered_in_front(path: Path) -> None:
    _flip(path, 0)


def altered_in_the_middle(path: Path) -> None:
    _flip(path, path.stat().st_size // 2)


def altered_at_the_end(path: Path) -> None:
    _flip(path, path.stat().st_size - 1)


def replaced_by_a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


HARMS = (
    *(missing, empty, truncated, altered_in_front, altered_in_the_middle, altered_at_the_end),
    replaced_by_a_directory,
)


@pytest.mark.parametrize(
    ("name", "harm"),
    [*zip(_FILES, cycle(HARMS)), *((name, altered_in_the_middle) for name in _FILES)],
)
def test_a_damaged_file_is_refused_by_name_and_the_served_generation_goes_on(
    site: Site, name: str, harm: Callable[[Path], None]
) -> None:
    check_refused(site, lambda directory: harm(directory / name), f"00000003/{name} refused")


def manifest_with(**changed: Any) -> Callable[[Path], None]:
    """Return a function that writes these values into a manifest and makes its checksum fit."""
    return lambda directory: rewrite_manifest(directory, lambda body: body.update(changed))


def other_engine(**changed: Any) -> Callable[[Path], None]:
    return lambda directory: rewrite_manifest(
        directory, lambda body: body["engine"].update(changed)
    )


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (manifest_with(format_version=1), "format version 1, this build reads 3"),
        (other_engine(chunks=11), "engine parameters"),
        (other_engine(tables_version=2), "engine parameters"),
        (other_engine(code_bits=128), "engine parameters"),
        (manifest_with(items=5), "of length 5"),
        (manifest_with(hashes=9), "of length 9"),
    ],
)
def test_a_generation_that_does_not_fit_is_refused_and_the_served_one_goes_on(
    site: Site, harm: Callable[[Path], None], reason: str
) -> None:
    check_refused(site, harm, reason)


@pytest.mark.parametrize(
    "harm",
    [manifest_with(epoch="0" * 32), manifest_with(sequence=2**40), manifest_with(mark="0" * 16)],
    ids=["epoch", "sequence", "mark"],
)
def test_a_generation_of_another_history_stops_who_starts_until_somebody_decides(
    site: Site, harm: Callable[[Path], None]
) -> None:
    rebuild(site.writer, site.index_dir)
    harm(site.index_dir / "00000003")
    with capture_logs() as logs:
        for _ in range(2):
            site.follower.step()
    assert [entry["event"] for entry in logs] == ["snapshot_refused"]
    assert site.matching(list(site.present.values())) == site.present.keys()
    site.restart()
    assert not site.live.serving
    for refused in (rebuild, compact, erase):
        with pytest.raises(OtherHistoryError, match=r"registry .* index/00000003"):
            refused(site.writer, site.index_dir)
    rebuild(site.writer, site.index_dir, accept_registry=True)
    site.follower.step()
    assert site.matching(list(site.present.values())) == site.present.keys()


def check_refused(site: Site, harm: Callable[[Path], None], reason: str) -> None:
    """Check that a server and a new process refuse the generation until a rebuild is there."""
    items = site.register(1)
    rebuild(site.writer, site.index_dir)
    harm(site.index_dir / "00000003")
    with capture_logs() as logs:
        for _ in range(2):
            site.follower.step()
    assert [entry["event"] for entry in logs] == ["snapshot_refused"]
    assert "00000003/" in logs[0]["reason"]
    assert reason in logs[0]["reason"]
    assert "disrupt-index rebuild" in logs[0]["reason"]
    every_item = list(site.present.values())
    for _ in range(2):
        assert site.live.status().generation == 2
        assert site.matching(every_item) == site.present.keys()
        site.restart()
    rebuild(site.writer, site.index_dir)
    site.follower.step()
    assert site.live.status().generation == 4
    assert site.matching(items) == {items[0].item_id}
