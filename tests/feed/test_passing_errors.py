"""A passing shortage of resources costs no generation: the follower opens it afterwards."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from disrupt.index import writing
from disrupt.index.multi_index import engine
from disrupt.registry import sqlite
from disrupt.upkeep.rebuild import rebuild
from tests.feed.test_follower import Site


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Serve generation 1; later generations have tables."""
    with sqlite.open_writer(tmp_path / "registry.db") as writer:
        site = Site(tmp_path, writer)
        monkeypatch.setattr(writing, "TABLES_FROM_HASHES", 1)
        monkeypatch.setattr(engine, "CODE_NS", 1e9)
        yield site


@contextmanager
def few_descriptors(spare: int) -> Iterator[None]:
    """Let only ``spare`` more files be opened."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(64)]  # so that no number is free below
    resource.setrlimit(resource.RLIMIT_NOFILE, (taken[-1] + 1 + spare, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for descriptor in taken:
            os.close(descriptor)


@pytest.mark.parametrize("serving", [True, False], ids=["at_work", "at_the_start"])
def test_a_generation_that_met_no_free_descriptor_is_taken_up_when_there_is_one(
    site: Site, *, serving: bool
) -> None:
    items = site.register(3)
    site.follower.step()
    rebuild(site.writer, site.index_dir)
    if not serving:
        site.follower._live.suspend("not loaded yet")
        site.follower._taken = None
    late = site.register(1)
    site.withdraw(items[0].item_id)
    with capture_logs() as logs, few_descriptors(0):
        for _ in range(3):
            site.follower.step()
        assert site.live.serving == serving
        if serving:  # changes go on while the generation is not opened
            assert site.matching(items + late) == {item.item_id for item in (*items[1:], *late)}
    events = [entry["event"] for entry in logs]
    assert "snapshot_refused" not in events
    assert events.count("follower_fault") == 1
    site.follower.step()
    assert site.live.status().generation == 2
    assert site.matching(items + late) == {item.item_id for item in (*items[1:], *late)}


FILES = ["CURRENT", "manifest.json", "codes.faiss", "entries.npy", "items.npy", "search-low.npy"]
FAILURES = [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR, errno.EIO, errno.EACCES]


@pytest.mark.parametrize(("name", "number"), [*zip(FILES, FAILURES, strict=True)])
def test_whichever_file_cannot_be_opened_once_the_generation_is_taken_up_at_the_next_step(
    site: Site, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    items = site.register(2)
    rebuild(site.writer, site.index_dir)
    failed: list[Any] = []

    def failing(opening: Callable[..., Any]) -> Callable[..., Any]:
        def opened(file: Any, *arguments: Any, **options: Any) -> Any:
            if Path(str(file)).name == name and not failed:
                failed.append(file)
                raise OSError(number, os.strerror(number), str(file))
            return opening(file, *arguments, **options)

        return opened

    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr("io.open", failing(open))
        patch.setattr("builtins.open", failing(open))
        site.follower.step()
    assert failed
    assert "snapshot_refused" not in [entry["event"] for entry in logs]
    assert site.live.status().generation == 1
    site.follower.step()
    assert site.live.status().generation == 2
    assert site.matching(items) == {item.item_id for item in items}


def test_a_process_that_cannot_read_the_newest_generation_serves_the_one_before_meanwhile(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = site.register(2)
    rebuild(site.writer, site.index_dir)
    with monkeypatch.context() as patch:
        refuse_to_open(site.index_dir / "00000002" / "codes.faiss", patch)
        site.restart()
        assert site.live.status().generation == 1
        assert site.matching(items) == {item.item_id for item in items}
    site.follower.step()
    assert site.live.status().generation == 2


def test_a_process_that_cannot_read_which_history_the_index_is_of_serves_nothing_until_it_can(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = site.register(2)
    rebuild(site.writer, site.index_dir)
    with monkeypatch.context() as patch:
        refuse_to_open(site.index_dir / "00000002" / "manifest.json", patch)
        site.restart()
        assert not site.live.serving
    site.follower.step()
    assert site.live.status().generation == 2
    assert site.matching(items) == {item.item_id for item in items}


def refuse_to_open(file: Path, patch: pytest.MonkeyPatch) -> None:
    opening = Path.open

    def opened(path: Path, *arguments: Any, **options: Any) -> Any:
        if path == file:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opening(path, *arguments, **options)

    patch.setattr(Path, "open", opened)
