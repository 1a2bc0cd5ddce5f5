"""Withdrawals on a full disk use the space that was reserved for them."""

from __future__ import annotations

import errno
import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import insert

from disrupt.core.acts import Action
from disrupt.core.media import ItemState
from disrupt.core.outcomes import Outcome
from disrupt.core.policy import ApiKey, Right
from disrupt.data_directory import JOURNAL, RESERVE
from disrupt.errors import NotFoundError, StorageFullError
from disrupt.registry import journal, reserve, schema, statements
from disrupt.registry.reserve import Reserve
from disrupt.registry.sql import SqlRegistry, SqlRegistryWriter
from tests.registry.case_erasures import AT_S, REVIEWERS, by, by_server
from tests.registry.examples import (
    ACT,
    DAY,
    NEXT_DAY,
    all_changes,
    new_item,
    new_report,
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


def register(writer: SqlRegistryWriter, chance: random.Random) -> str:
    return writer.register(registration(chance, None, new_item(chance, 400)), day=DAY).case_number


def test_withdrawals_take_the_reserve_one_after_another_and_give_it_back(disk: Path) -> None:
    chance = random.Random(1)
    with SqlRegistry.open_writer(disk / "registry.db") as writer:
        numbers = [register(writer, chance) for _ in range(4)]
        for number in numbers:
            fill(disk)
            with pytest.raises(StorageFullError):
                register(writer, chance)
            writer.withdraw(number, None, day=DAY)
            assert held_bytes(disk) == reserve.SIZE_BYTES
        assert not [change for change in all_changes(writer) if change.item]


def test_reports_on_a_full_disk_are_refused_and_leave_the_reserve_to_withdrawals(
    disk: Path,
) -> None:
    chance = random.Random(2)
    with SqlRegistry.open_writer(disk / "registry.db") as writer:
        kept = registration(chance, None, new_item(chance, 400))
        gone = registration(chance, None, new_item(chance, 400))
        numbers = [writer.register(request, day=DAY).case_number for request in (kept, gone)]
        reports = [new_report(chance, request.items[0].item_id) for request in (kept, gone)]
        writer.report(reports[1], day=DAY)
        writer.checkpoint()
        fill(disk)
        with pytest.raises(StorageFullError, match="nothing was stored"):
            writer.report(reports[0], day=DAY)
        assert held_bytes(disk) == reserve.SIZE_BYTES
        assert writer.outcomes(numbers[0], before=NEXT_DAY) == {}
        writer.withdraw(numbers[1], None, day=DAY)
        (disk / "filler").unlink()
        writer.report(reports[0], day=DAY)
        assert writer.outcomes(numbers[0], before=NEXT_DAY)
        with pytest.raises(NotFoundError):
            writer.report(reports[1], day=DAY)


def test_a_withdrawal_of_much_reported_items_takes_little_of_the_reserve(tmp_path: Path) -> None:
    chance = random.Random(3)
    with SqlRegistry.open_writer(tmp_path / "registry.db") as writer:
        gone, kept = (
            registration(chance, None, *(new_item(chance) for _ in range(items)))
            for items in (10, 200)
        )
        number, _ = (writer.register(request, day=DAY).case_number for request in (gone, kept))
        reports = [
            {
                "item": item,
                "reporter": "platform",
                "match_digest": chance.randbytes(16),
                "outcome": Outcome.BLOCKED,
                "reported_on": DAY,
            }
            for item in range(1, 211)
            for _ in range(100)
        ]
        with writer._writer.begin() as connection:
            connection.execute(insert(schema.outcomes), reports)
        writer.checkpoint()
        with writer._writer.begin() as connection:
            statements.withdraw(connection, number, None, DAY)
        assert (tmp_path / "registry.db-wal").stat().st_size < reserve.SIZE_BYTES / 16


def test_a_key_can_be_revoked_on_a_full_disk(disk: Path) -> None:
    with SqlRegistry.open_writer(disk / "registry.db") as writer:
        keys = [
            ApiKey(
                f"{at}" * 8, "a", bytes([at]) * 32, frozenset({Right.MATCH}), frozenset({1}), DAY
            )
            for at in range(4)
        ]
        for key in keys:
            writer.add_key(key, act=ACT)
        for key in keys:
            writer.checkpoint()
            fill(disk)
            assert writer.revoke_key(key.key_id, day=DAY, act=ACT).revoked_on == DAY
            assert held_bytes(disk) == reserve.SIZE_BYTES


@pytest.mark.parametrize("state", [ItemState.WAITING, ItemState.DISABLED])
def test_items_can_be_switched_off_on_a_full_disk_and_not_on(disk: Path, state: ItemState) -> None:
    chance = random.Random(6)
    with SqlRegistry.open_writer(disk / "registry.db") as writer:
        requests = [registration(chance, None, new_item(chance, 400)) for _ in range(4)]
        for request in requests:
            writer.register(request, day=DAY)
        item_ids = [request.items[0].item_id for request in requests]
        for item_id in item_ids:
            writer.checkpoint()
            fill(disk)
            writer.set_states([item_id], state, day=DAY, act=ACT)
            assert held_bytes(disk) == reserve.SIZE_BYTES
        assert {record.state for record in writer.states(item_ids)} == {state}
        assert len(writer.acts(0, 10)) == 4
        writer.checkpoint()
        fill(disk)
        with suppress(StorageFullError):
            for item_id in item_ids * 500:  # the log may have some room left
                for other in (ItemState.LIVE, state):
                    writer.set_states([item_id], other, day=DAY, act=ACT)
                    fill(disk)
        with pytest.raises(StorageFullError):
            writer.set_states(item_ids, ItemState.LIVE, day=DAY, act=ACT)
        assert held_bytes(disk) == reserve.SIZE_BYTES


def test_a_case_whose_pin_is_lost_can_be_switched_off_and_erased_on_a_full_disk(
    disk: Path,
) -> None:
    chance = random.Random(7)
    with SqlRegistry.open_writer(disk / "registry.db") as writer:
        for key in REVIEWERS:
            writer.add_key(key, act=ACT)
        number = register(writer, chance)
        writer.request_erasure(number, act=by(REVIEWERS[0], AT_S))
        writer.checkpoint()
        fill(disk)
        confirmed = writer.confirm_erasure(number, day=DAY, act=by(REVIEWERS[1], AT_S))
        assert confirmed.due_at_s is not None
        assert not [change for change in all_changes(writer) if change.item]
        writer.checkpoint()
        fill(disk)
        writer.complete_erasure(number, day=DAY, act=by_server(confirmed.due_at_s))
        record = writer.case(number)
        assert record is not None
        assert record.items == ()
        assert held_bytes(disk) >= reserve.SIZE_BYTES - 2**20  # the database may have grown


def test_whoever_has_the_pin_keeps_a_case_on_a_full_disk(disk: Path) -> None:
    chance = random.Random(8)
    with SqlRegistry.open_writer(disk / "registry.db") as writer:
        for key in REVIEWERS:
            writer.add_key(key, act=ACT)
        numbers = [register(writer, chance) for _ in range(40)]
        for number in numbers:
            writer.request_erasure(number, act=by(REVIEWERS[0], AT_S))
            writer.confirm_erasure(number, day=DAY, act=by(REVIEWERS[1], AT_S))
        writer.checkpoint()
        fill(disk)
        for number in numbers:
            writer.stop_erasure(number, day=DAY, act=by_server(AT_S, Action.ERASURE_STOPPED))
            fill(disk)
        assert len([change for change in all_changes(writer) if change.item]) == len(numbers)
        assert held_bytes(disk) >= reserve.SIZE_BYTES - 2**20


def test_a_removal_that_is_not_journaled_is_not_said_to_be_undone(disk: Path) -> None:
    with SqlRegistry.open_writer(disk / "registry.db") as writer:
        number = register(writer, random.Random(5))

        def full(*_: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(os, "pwrite", full)
            with pytest.raises(StorageFullError, match="has taken effect") as refused:
                writer.withdraw(number, None, day=DAY)
        assert "nothing was stored" not in refused.value.message
        assert not [change for change in all_changes(writer) if change.item]
        writer.withdraw(number, None, day=DAY)
    contents = journal.read(disk / JOURNAL)
    assert contents is not None
    assert len(contents.removed) == 1


def test_a_registry_opens_on_a_full_disk_and_keeps_room_for_withdrawals(disk: Path) -> None:
    chance = random.Random(4)
    with SqlRegistry.open_writer(disk / "registry.db") as writer:
        numbers = [register(writer, chance) for _ in range(3)]
    fill(disk)
    with SqlRegistry.open_writer(disk / "registry.db") as writer:
        for number in numbers:
            assert held_bytes(disk) >= reserve.SIZE_BYTES // 2
            fill(disk)  # what others take meanwhile
            with pytest.raises(StorageFullError):
                register(writer, chance)
            writer.withdraw(number, None, day=DAY)
        assert not [change for change in all_changes(writer) if change.item]


def test_without_the_reserve_a_full_disk_refuses_a_withdrawal_and_keeps_the_case(
    disk: Path,
) -> None:
    chance = random.Random(2)
    with SqlRegistry.open_writer(disk / "registry.db") as writer:
        number = register(writer, chance)
        (disk / RESERVE).unlink()
        fill(disk)
        with pytest.raises(StorageFullError):
            writer.withdraw(number, None, day=DAY)
        assert [change for change in all_changes(writer) if change.item]
        (disk / "filler").unlink()
        writer.withdraw(number, None, day=DAY)
        # The reserve is taken again once there is room.
        assert held_bytes(disk) == reserve.SIZE_BYTES


def test_reserve_that_finds_no_room_holds_nothing(disk: Path) -> None:
    fill(disk)
    short = Reserve(disk / "short")
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
    with SqlRegistry.open_writer(disk / "registry.db") as writer:
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
