"""Withdrawals on a full disk use the space that was reserved for them."""

from __future__ import annotations

import errno
import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from disrupt.core.media import NOT_NARROWED
from disrupt.core.outcomes import (
    MatchedVersion,
    MatchOutcome,
    NarrowingPolicy,
    OutcomeReport,
)
from disrupt.data_directory import JOURNAL, RESERVE
from disrupt.errors import StorageFullError
from disrupt.registry import journal, sqlite
from disrupt.registry.registry import RegistryWriter
from disrupt.registry.sql import disk_reserve, disputes
from disrupt.registry.sql.disk_reserve import DiskReserve
from rig.media.registrations import (
    ACT,
    DAY,
    all_changes,
    api_key,
    ensure_key,
    new_item,
    registration,
)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a file system needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(disk: Path) -> None:
    for block_bytes in (1 << 16, 1):
        with (disk / "filler").open("ab", buffering=0) as filler, suppress(OSError):
            while filler.write(bytes(block_bytes)):
                pass


def held_bytes(disk: Path) -> int:
    return (disk / RESERVE).stat().st_blocks * 512


def register(writer: RegistryWriter, chance: random.Random) -> str:
    return writer.register(registration(chance, None, new_item(chance, 400)), day=DAY).case_number


def test_withdrawals_take_the_reserve_one_after_another_and_give_it_back(disk: Path) -> None:
    chance = random.Random(1)
    with sqlite.open_writer(disk / "registry.db") as writer:
        numbers = [register(writer, chance) for _ in range(4)]
        for number in numbers:
            fill(disk)
            with pytest.raises(StorageFullError):
                register(writer, chance)
            writer.withdraw(number, None, day=DAY)
            assert held_bytes(disk) == disk_reserve.SIZE_BYTES
        assert not [change for change in all_changes(writer) if hasattr(change, "item")]


def test_a_key_can_be_revoked_on_a_full_disk(disk: Path) -> None:
    with sqlite.open_writer(disk / "registry.db") as writer:
        keys = [api_key(f"{at}" * 8) for at in range(4)]
        for key in keys:
            writer.add_key(key, act=ACT)
        for key in keys:
            writer.checkpoint()
            fill(disk)
            assert writer.revoke_key(key.key_id, day=DAY, act=ACT).revoked_on == DAY
            assert held_bytes(disk) == disk_reserve.SIZE_BYTES


def test_a_key_that_disputes_many_items_is_revoked_on_a_full_disk_and_they_are_widened_later(
    disk: Path,
) -> None:
    chance = random.Random(6)
    with sqlite.open_writer(disk / "registry.db") as writer:
        items = [new_item(chance) for _ in range(300)]
        for at in range(0, len(items), 50):
            writer.register(registration(chance, None, *items[at : at + 50]), day=DAY)
        key_ids = [ensure_key(writer, organisation) for organisation in "ab"]
        for item, organisation in product(items, "ab"):
            row = item.fingerprints[0]
            versions = (MatchedVersion(int(row["plan"]), int(row["ordinal"]), 20),)
            false = MatchOutcome.FALSE_POSITIVE
            report = OutcomeReport(item.item_id, organisation, false, b"a match", versions)
            writer.report(report, day=DAY)
        writer.checkpoint()
        fill(disk)
        with capture_logs() as logs:
            assert writer.revoke_key(key_ids[0], day=DAY, act=ACT).revoked_on == DAY
        assert "narrowings_late" in [entry["event"] for entry in logs]
        (disk / "filler").unlink()
        writer.refresh_narrowings(NarrowingPolicy(), day=DAY)
        matched = writer.matched_items(0, writer.head(), len(items))
        assert len(matched) == len(items)
        assert (matched.below_bits == NOT_NARROWED).all()


def test_a_key_is_not_said_to_be_as_before_where_the_disk_is_full_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StorageFullError("full")

    with sqlite.open_writer(tmp_path / "registry.db") as writer:
        monkeypatch.setattr(disputes, "refresh_some", full)
        key = api_key("0a1b2c3d")
        writer.add_key(key, act=ACT)
        changed = replace(key, expires_on="2027-01-01")
        writer.change_key(changed, act=ACT)
        assert writer.keys() == (changed,)


def test_a_removal_that_is_not_journaled_is_not_said_to_be_undone(disk: Path) -> None:
    with sqlite.open_writer(disk / "registry.db") as writer:
        number = register(writer, random.Random(5))

        def full(*_: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(os, "pwrite", full)
            with pytest.raises(StorageFullError, match="has taken effect") as refused:
                writer.withdraw(number, None, day=DAY)
        assert "nothing was stored" not in refused.value.message
        assert not [change for change in all_changes(writer) if hasattr(change, "item")]
        writer.withdraw(number, None, day=DAY)
    contents = journal.read(disk / JOURNAL)
    assert contents is not None
    assert len(contents.removed) == 1


def test_a_registry_opens_on_a_full_disk_and_keeps_room_for_withdrawals(disk: Path) -> None:
    chance = random.Random(4)
    with sqlite.open_writer(disk / "registry.db") as writer:
        numbers = [register(writer, chance) for _ in range(3)]
    fill(disk)
    with sqlite.open_writer(disk / "registry.db") as writer:
        for number in numbers:
            assert held_bytes(disk) >= disk_reserve.SIZE_BYTES // 2
            fill(disk)  # what others take meanwhile
            with pytest.raises(StorageFullError):
                register(writer, chance)
            writer.withdraw(number, None, day=DAY)
        assert not [change for change in all_changes(writer) if hasattr(change, "item")]


def test_without_the_reserve_a_full_disk_refuses_a_withdrawal_and_keeps_the_case(
    disk: Path,
) -> None:
    chance = random.Random(2)
    with sqlite.open_writer(disk / "registry.db") as writer:
        number = register(writer, chance)
        (disk / RESERVE).unlink()
        fill(disk)
        with pytest.raises(StorageFullError):
            writer.withdraw(number, None, day=DAY)
        assert [change for change in all_changes(writer) if hasattr(change, "item")]
        (disk / "filler").unlink()
        writer.withdraw(number, None, day=DAY)
        # The reserve is taken again once there is room.
        assert held_bytes(disk) == disk_reserve.SIZE_BYTES


def test_reserve_that_finds_no_room_holds_nothing(disk: Path) -> None:
    fill(disk)
    short = DiskReserve(disk / "short")
    short.fill()
    assert not short.release()
    (disk / "filler").unlink()
    short.fill()
    assert short.release()
    assert not short.release()


def test_a_check_of_the_storage_fails_while_the_disk_is_full_and_changes_nothing(
    disk: Path,
) -> None:
    chance = random.Random(3)
    with sqlite.open_writer(disk / "registry.db") as writer:
        writer.register(registration(chance, None, new_item(chance)), day=DAY)
        before = writer.head()
        writer.check_storage()
        fill(disk)
        with suppress(StorageFullError):
            for _ in range(1000):  # the log may have some room left
                writer.check_storage()
        with pytest.raises(StorageFullError):
            writer.check_storage()
        (disk / "filler").unlink()
        writer.check_storage()
        assert writer.head() == before
        assert len(all_changes(writer)) == 1
