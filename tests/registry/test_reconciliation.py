"""Registry and journal of removals agree once a writer has opened them, after any fault."""

import errno
import os
import random
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
import tracemalloc
from contextlib import closing
from pathlib import Path
from unittest.mock import Mock

import pytest
from structlog.testing import capture_logs

from disrupt.core.cases import CaseStatus
from disrupt.core.changes import Removal
from disrupt.data_directory import JOURNAL
from disrupt.errors import (
    CursorExpiredError,
    RequestIdReusedError,
    StorageFullError,
    UnavailableError,
)
from disrupt.registry import journal, sqlite
from disrupt.registry.journal import Epoch
from disrupt.registry.records import Removed
from rig.media.registrations import (
    ACT,
    DAY,
    OWN,
    all_changes,
    api_key,
    item_of,
    new_case,
    new_item,
    plain,
    registration,
)
from tests.registry import withdraw_under_strace
from tests.registry.test_journal import ShortWrites
from tests.registry.withdraw_under_strace import renewal_of, request_of

ROOT = Path(__file__).resolve().parents[2]


def journaled(path: Path) -> list[bytes]:
    contents = journal.read(path.with_name(JOURNAL))
    assert contents is not None
    assert not contents.torn
    assert not contents.damaged_records
    return [removal.item_id for removal in contents.removed]


def removed(path: Path) -> set[bytes]:
    with sqlite.open_reader(path) as reader:
        return {change.item_id for change in all_changes(reader) if isinstance(change, Removal)}


def test_every_withdrawn_item_is_in_the_journal_once(path: Path, chance: random.Random) -> None:
    first, second = new_item(chance), new_item(chance)
    with sqlite.open_writer(path) as writer:
        number = writer.register(registration(chance, None, first, second), day=DAY).case_number
        assert journaled(path) == []
        writer.withdraw(number, [first.item_id], day=DAY)
        assert journaled(path) == [first.item_id]
        writer.withdraw(number, None, day=DAY)
        writer.withdraw(number, None, day=DAY)
    with sqlite.open_writer(path):
        assert journaled(path) == [first.item_id, second.item_id]


@pytest.mark.parametrize(
    ("fault", "removal"),
    [
        ("pwrite64:error=EIO:signal=KILL", "withdraw"),
        ("fsync:error=EIO:signal=KILL", "renew"),
    ],
    ids=["before the record", "before it is durable"],
)
def test_writer_killed_between_commit_and_journal_acknowledged_nothing_and_is_repaired(
    path: Path, fault: str, removal: str
) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    with sqlite.open_writer(path):
        pass  # opening makes the journal
    command = [sys.executable, "-m", withdraw_under_strace.__name__, str(path), "5", removal]
    file = str(path.with_name(JOURNAL))
    strace = ["strace", "-f", "-qq", "-P", file, "-e", f"inject={fault}", "-o", os.devnull]
    done = subprocess.run(
        [*strace, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == "registered\n", done.stderr
    ids = {item.item_id for item in request_of(5).items}
    assert removed(path) == ids  # the database has committed
    with sqlite.open_writer(path) as writer:
        assert set(journaled(path)) == ids
        if removal == "renew":
            renewal = renewal_of(5, writer.register(request_of(6), day=DAY).case_number)
            assert writer.registered(renewal.request_id) is not None


def test_opening_takes_few_bytes_for_each_item_ever_withdrawn(
    path: Path, chance: random.Random
) -> None:
    count = 20_000
    with sqlite.open_writer(path):
        pass
    with closing(sqlite3.connect(path)) as connection:
        rows = ((number, chance.randbytes(16)) for number in range(1, count + 1))
        connection.executemany("INSERT INTO items (number, item_id, bank) VALUES (?, ?, 1)", rows)
        connection.commit()
    for known in (0, count):
        assert path.with_name(JOURNAL).stat().st_size == 48 * (2 + known)
        tracemalloc.start()
        try:
            with sqlite.open_writer(path):
                _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak_bytes < 350 * count
    assert len(set(journaled(path))) == count


def test_a_torn_journal_is_completed_from_the_registry(path: Path, chance: random.Random) -> None:
    request = registration(chance, None, *(new_item(chance) for _ in range(5)))
    with sqlite.open_writer(path) as writer:
        writer.withdraw(writer.register(request, day=DAY).case_number, None, day=DAY)
    whole = journaled(path)
    file = path.with_name(JOURNAL)
    for size in (48, 48 + 7, 3 * 48, 4 * 48 + 47):
        os.truncate(file, size)
        with sqlite.open_writer(path):
            assert journaled(path) == whole
    file.unlink()
    with sqlite.open_writer(path):
        assert journaled(path) == whole


def test_damage_is_logged_and_mended_from_the_registry(path: Path, chance: random.Random) -> None:
    request = registration(chance, None, *(new_item(chance) for _ in range(3)))
    with sqlite.open_writer(path) as writer:
        writer.withdraw(writer.register(request, day=DAY).case_number, None, day=DAY)
    file = path.with_name(JOURNAL)
    content = bytearray(file.read_bytes())
    content[60] ^= 1
    file.write_bytes(content)
    with capture_logs() as logs, sqlite.open_writer(path):
        assert sorted(journaled(path)) == sorted(item.item_id for item in request.items)
    assert [entry["event"] for entry in logs] == ["removals_journal_damaged"]


def test_a_journal_mended_after_damage_names_the_present_epoch_only(
    path: Path, chance: random.Random
) -> None:
    def epochs() -> tuple[Epoch, ...]:
        contents = journal.read(path.with_name(JOURNAL))
        assert contents is not None
        return contents.epochs

    with sqlite.open_writer(path) as writer:
        earlier = Epoch(writer.head().epoch)
        writer.withdraw(writer.register(registration(chance), day=DAY).case_number, None, day=DAY)
        writer.begin_epoch()
        present = Epoch(writer.head().epoch)
    file = path.with_name(JOURNAL)
    assert epochs() == (earlier, present)
    content = bytearray(file.read_bytes())
    content[108] ^= 1  # the item, between the epochs
    file.write_bytes(content)
    with sqlite.open_writer(path):
        assert epochs() == (present,)


def test_withdrawal_whose_record_cannot_be_written_is_completed_by_repeating_it(
    path: Path, chance: random.Random
) -> None:
    request = registration(chance, None, new_item(chance), new_item(chance))
    file = path.with_name(JOURNAL)
    # So long that a limit on file size stops the journal, but not the database.
    journal.write(file, [Removed(number, chance.randbytes(16)) for number in range(30_000)])
    with sqlite.open_writer(path) as writer:
        number = writer.register(request, day=DAY).case_number
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 49, hard))
        try:
            for _ in range(2):
                with pytest.raises(StorageFullError):
                    writer.withdraw(number, None, day=DAY)
                assert len(journaled(path)) == 30_000
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert len(removed(path)) == 2  # the database has committed
        writer.withdraw(number, None, day=DAY)
        assert set(journaled(path)[30_000:]) == {item.item_id for item in request.items}


def test_renewal_whose_record_cannot_be_written_is_answered_once_it_is(
    path: Path, chance: random.Random
) -> None:
    old, new = item_of(chance, 1), item_of(chance, 1, OWN, (1, 0, 0))
    with sqlite.open_writer(path) as writer:
        number = writer.register(registration(chance, None, old), day=DAY).case_number
        renewal = registration(chance, number, new)
        with pytest.MonkeyPatch.context() as patched:
            full = OSError(errno.ENOSPC, "No space left on device")
            patched.setattr(os, "pwrite", Mock(side_effect=full))
            for _ in range(2):
                # Not that nothing was stored: it was.
                with pytest.raises(UnavailableError, match="has taken effect"):
                    writer.register(renewal, day=DAY)
                with pytest.raises(UnavailableError, match="has taken effect"):
                    writer.registered(renewal.request_id)
            writer.register(registration(chance), day=DAY)
            assert journaled(path) == []
        assert removed(path) == {old.item_id}
        known = writer.registered(renewal.request_id)
        assert journaled(path) == [old.item_id]
        assert known is not None
        assert writer.register(renewal, day=DAY) == known[1]
        assert [place.item_id for place in known[1].items] == [new.item_id]


def test_an_older_registry_keeps_what_was_only_renewed_since_and_is_seen_to_be_older(
    path: Path, chance: random.Random
) -> None:
    case, old, other = new_case(chance), item_of(chance, 1), item_of(chance, 2)
    with sqlite.open_writer(path) as writer:
        writer.register(registration(chance, case, old, other), day=DAY)
    older = path.read_bytes()
    renewal = registration(chance, case.number, item_of(chance, 1, OWN, (1, 0, 0)))
    with sqlite.open_writer(path) as writer:
        before = writer.register(renewal, day=DAY).cursor
    path.write_bytes(older)
    with capture_logs() as logs, sqlite.open_writer(path) as writer:
        assert removed(path) == set()
        assert not writer.knows(before)
    assert "registry_older_than_its_journal" in [entry["event"] for entry in logs]
    with capture_logs() as logs, sqlite.open_writer(path) as writer:
        assert removed(path) == set()
        assert journaled(path) == [old.item_id]
        # As what was registered since, the renewal is to be sent again.
        writer.register(renewal, day=DAY)
        record = writer.case(case.number)
        assert record is not None
        ids = [renewal.items[0].item_id, other.item_id]
        assert [item.item_id for item in record.items] == ids
    assert logs == []


def test_an_older_registry_put_in_place_by_hand_brings_nothing_back(
    path: Path, chance: random.Random
) -> None:
    kept, part, gone = (
        registration(chance, new_case(chance), new_item(chance), new_item(chance)) for _ in "123"
    )
    with sqlite.open_writer(path) as writer:
        kept_number = writer.register(kept, day=DAY).case_number
        part_number = writer.register(part, day=DAY).case_number
        gone_number = writer.register(gone, day=DAY).case_number
    older = path.read_bytes()
    with sqlite.open_writer(path) as writer:
        writer.withdraw(part_number, [part.items[0].item_id], day=DAY)
        writer.withdraw(gone_number, None, day=DAY)
        late = registration(chance)
        writer.withdraw(writer.register(late, day=DAY).case_number, None, day=DAY)
        numbers = {plain(change)[0] for change in all_changes(writer)}
        before = writer.head()
    path.write_bytes(older)

    with capture_logs() as logs, sqlite.open_writer(path) as writer:
        assert "registry_older_than_its_journal" in [entry["event"] for entry in logs]
        erased = {part.items[0].item_id, *(item.item_id for item in gone.items)}
        assert removed(path) == erased
        case = writer.case(gone_number)
        assert case is not None
        assert (case.status, case.items) == (CaseStatus.WITHDRAWN, ())
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", case.closed_on)
        case = writer.case(part_number)
        assert case is not None
        assert (case.status, len(case.items)) == (CaseStatus.ACTIVE, 1)
        case = writer.case(kept_number)
        assert case is not None
        assert (case.status, len(case.items)) == (CaseStatus.ACTIVE, 2)
        with pytest.raises(RequestIdReusedError):
            writer.register(gone, day=DAY)
        with pytest.raises(CursorExpiredError):
            writer.changes(before, 1)
        writer.register(registration(chance), day=DAY)
        newest = plain(all_changes(writer)[-1])[0]
        assert newest not in numbers
        assert set(journaled(path)) == {*erased, late.items[0].item_id}
        epoch = writer.head().epoch
    with sqlite.open_writer(path) as writer:
        assert writer.head().epoch == epoch


def test_a_registry_that_never_numbered_what_the_journal_lists_begins_an_epoch_once(
    path: Path, chance: random.Random
) -> None:
    with sqlite.open_writer(path) as writer:
        writer.register(registration(chance), day=DAY)
    older = path.read_bytes()
    with sqlite.open_writer(path) as writer:
        late = writer.register(registration(chance), day=DAY).case_number
        before = writer.withdraw(late, None, day=DAY).cursor
        number = plain(all_changes(writer)[-1])[0]
    path.write_bytes(older)
    with capture_logs() as logs, sqlite.open_writer(path) as writer:
        epoch = writer.head().epoch
        assert epoch != before.epoch
        writer.register(registration(chance), day=DAY)
        assert plain(all_changes(writer)[-1])[0] > number  # type: ignore[operator]
    assert [entry["event"] for entry in logs] == ["registry_older_than_its_journal"]
    with sqlite.open_writer(path) as writer:
        assert writer.head().epoch == epoch


def test_a_record_torn_between_short_writes_is_mended_at_the_next_start(
    path: Path, chance: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = registration(chance, None, new_item(chance), new_item(chance))
    with sqlite.open_writer(path) as writer:
        number = writer.register(request, day=DAY).case_number
        monkeypatch.setattr(os, "pwrite", ShortWrites(60))
        monkeypatch.setattr(os, "ftruncate", lambda *_: None)  # the torn record stays
        with pytest.raises(StorageFullError):
            writer.withdraw(number, None, day=DAY)
    monkeypatch.undo()
    contents = journal.read(path.with_name(JOURNAL))
    assert contents is not None
    assert contents.torn
    with sqlite.open_writer(path):
        assert set(journaled(path)) == {item.item_id for item in request.items}


def revoked(path: Path) -> list[str]:
    contents = journal.read(path.with_name(JOURNAL))
    assert contents is not None
    return [revocation.key_id for revocation in contents.revoked]


def test_every_revoked_key_is_in_the_journal_once(path: Path) -> None:
    with sqlite.open_writer(path) as writer:
        for key_id in ("00000001", "00000002"):
            writer.add_key(api_key(key_id), act=ACT)
        for _ in range(2):
            writer.revoke_key("00000001", day=DAY, act=ACT)
            assert revoked(path) == ["00000001"]
    path.with_name(JOURNAL).unlink()
    with sqlite.open_writer(path):
        assert revoked(path) == ["00000001"]


def test_a_revocation_whose_record_cannot_be_written_is_completed_by_repeating_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite.open_writer(path) as writer:
        writer.add_key(api_key("00000001"), act=ACT)
        monkeypatch.setattr(os, "pwrite", ShortWrites(5))
        with pytest.raises(StorageFullError):
            writer.revoke_key("00000001", day=DAY, act=ACT)
        assert revoked(path) == []
        monkeypatch.undo()
        writer.revoke_key("00000001", day=DAY, act=ACT)
        assert revoked(path) == ["00000001"]


def test_an_older_registry_put_in_place_by_hand_revives_no_key(path: Path) -> None:
    with sqlite.open_writer(path) as writer:
        writer.add_key(api_key("00000001"), act=ACT)
        writer.add_key(api_key("00000002"), act=ACT)
    older = path.read_bytes()
    with sqlite.open_writer(path) as writer:
        writer.revoke_key("00000001", day=DAY, act=ACT)
        epoch = writer.head().epoch
    path.write_bytes(older)
    with capture_logs() as logs, sqlite.open_writer(path) as writer:
        keys = writer.keys()
        assert [bool(key.revoked_on) for key in keys] == [True, False]
        assert writer.head().epoch != epoch
    assert [entry["event"] for entry in logs] == ["registry_older_than_its_journal"]
