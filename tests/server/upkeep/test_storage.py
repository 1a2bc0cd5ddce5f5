"""The writer sees what the disk holds: room, withdrawn bytes that are late, the newest backup."""

from __future__ import annotations

import asyncio
import os
import random
import time
from pathlib import Path

import pytest

from disrupt.data_directory import DataDirectory
from disrupt.index.generations import create_first, directory_of
from disrupt.registry import backup, opening
from disrupt.server.config import Config
from disrupt.server.metrics import families
from disrupt.server.metrics.rows import Row
from disrupt.server.upkeep import storage
from disrupt.server.upkeep.storage import Storage
from disrupt.upkeep.rebuild import rebuild
from rig.media.codes import rewrite_manifest
from rig.media.registrations import DAY, new_item, registration


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    directory = DataDirectory(tmp_path / "data")
    directory.make()
    directory.secrets()
    return directory


def value(row: Row, gauge: families.Gauge) -> float:
    """Return what a gauge without labels shows."""
    return {name: numbers[0] for name, numbers in row.read()}[f'["{gauge.name}"]']


def test_withdrawn_bytes_that_are_late_and_the_newest_backup_are_seen(
    row: Row, directory: DataDirectory, tmp_path: Path
) -> None:
    config = Config(data_dir=directory.path, backups_dir=tmp_path / "backups")
    (tmp_path / "backups").mkdir()

    def shown(gauge: families.Gauge) -> float:
        asyncio.run(disk.look())
        return value(row, gauge)

    with opening.writing(directory) as registry:
        create_first(directory.index, registry.head().epoch)
        disk = Storage(config, registry)
        assert shown(families.OLDEST_WITHDRAWN) == shown(families.BACKUP_TIME) == 0
        assert shown(families.DISK_FREE) > 0
        assert disk.erasure_late_s == 0

        backup.back_up(directory.path, tmp_path / "backups" / "first")
        (directory_of(directory.index, 1) / "manifest.json").write_text("unreadable")
        assert abs(shown(families.BACKUP_TIME) - time.time()) < 3600
        assert disk.erasure_late_s == 0  # a moment ago there was nothing to erase

        disk = Storage(config, registry)  # as of a server that was started now
        late_s = shown(families.OLDEST_WITHDRAWN) - value(row, families.ERASE_WITHIN)
        assert disk.erasure_late_s == late_s > 0


def test_what_is_withdrawn_from_an_old_index_is_late_once_its_own_time_is_over(
    row: Row, directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opening.writing(directory) as registry:
        create_first(directory.index, registry.head().epoch)
        case = registry.register(
            registration(random.Random(1), None, new_item(random.Random(1))), day=DAY
        ).case_number
        rebuild(registry, directory.index)
        begun_s = int(time.time()) - 90_000
        rewrite_manifest(
            directory_of(directory.index, 2), lambda body: body.update(begun_s=begun_s)
        )
        disk = Storage(Config(data_dir=directory.path), registry)
        asyncio.run(disk.look())
        registry.withdraw(case, None, day=DAY)
        asyncio.run(disk.look())
        held = [name for name, numbers in row.read() if "oldest_withdrawn" in name and numbers[0]]
        assert (len(held), disk.erasure_late_s) == (1, 0)

        later_s = time.clock_gettime(time.CLOCK_BOOTTIME) + 86_500
        monkeypatch.setattr(storage, "_now_s", lambda: later_s)
        asyncio.run(disk.look())
        assert 0 < disk.erasure_late_s < 200


def test_what_postgresql_was_not_cleared_of_is_late_as_an_index_is(
    row: Row, directory: DataDirectory
) -> None:
    with opening.writing(directory) as registry:
        assert registry.uncleared_s() == 0
        config = Config(data_dir=directory.path)
        disk = Storage(config, registry, lambda: 90_000.0)
        asyncio.run(disk.look())
        assert disk.erasure_late_s == 90_000 - config.erase_within_h * 3600
        assert value(row, families.OLDEST_WITHDRAWN) == 90_000


def test_what_a_killed_command_left_is_seen_until_it_is_removed(
    row: Row, directory: DataDirectory
) -> None:
    def unfinished_s() -> float:
        asyncio.run(disk.look())
        return value(row, families.INDEX_UNFINISHED)

    with opening.writing(directory) as registry:
        create_first(directory.index, registry.head().epoch)
        disk = Storage(Config(data_dir=directory.path), registry)
        assert unfinished_s() == 0
        left = directory.index / "building"
        left.mkdir()
        (left / "codes.faiss").touch()
        long_ago_s = time.time() - 1000
        for path in (left / "codes.faiss", left):
            os.utime(path, (long_ago_s, long_ago_s))
        assert unfinished_s() >= 1000
        rebuild(registry, directory.index)
        assert unfinished_s() == 0
