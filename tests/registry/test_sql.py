"""The registry on SQLite keeps the promises of every registry."""

import random
import sqlite3
import tempfile
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest
from hypothesis import settings
from sqlalchemy import update

from disrupt.core.acts import Act, Action
from disrupt.core.review import ItemFilter
from disrupt.core.states import ItemState, WaitReason
from disrupt.registry import sqlite
from disrupt.registry.records import BYTES_AT_ONCE
from disrupt.registry.registry import RegistryReader, RegistryWriter
from disrupt.registry.sql import queries, schema, states
from rig.media.registrations import (
    DAY,
    NEXT_DAY,
    all_changes,
    item_of,
    new_case,
    new_item,
    plain,
    registration,
)
from rig.model.registry_machine import RegistryMachine
from tests.registry.conformance import OpenReader, OpenWriter, RegistryConformance
from tests.registry.conformance.outcomes import report


class SqlConformance(RegistryConformance):
    """What backends in SQL promise beside: reads are bounded, and lose nothing by that."""

    @pytest.mark.parametrize("most_bytes", [0, 100, BYTES_AT_ONCE])
    def test_whatever_a_read_may_bring_pages_hold_all_changes_of_their_banks(
        self,
        writer: RegistryWriter,
        chance: random.Random,
        monkeypatch: pytest.MonkeyPatch,
        most_bytes: int,
    ) -> None:
        start = writer.head()
        for bank in [1, 2, 2, 2, 2, 2, 2, 1, 2, 1, 1, 1, 2]:
            case, items = new_case(chance), [new_item(chance, hashes) for hashes in (1, 3, 1)]
            writer.register(registration(chance, case, *items, bank=bank), day=DAY)
            if chance.random() < 0.3:
                writer.withdraw(case.number, None, day=DAY)
        whole = list(map(plain, all_changes(writer)))
        monkeypatch.setattr(queries, "BYTES_AT_ONCE", most_bytes)
        monkeypatch.setattr(queries, "CHANGES_AT_ONCE", 4)
        assert list(map(plain, all_changes(writer))) == whole
        for banks in ([], [1], [2], [1, 2]):
            for limit in (1, 2, 100):
                seen, cursor = list[tuple[object, ...]](), start
                while cursor != writer.head():
                    page, after = writer.changes(cursor, limit, banks)
                    assert len(page) <= limit
                    assert after.sequence > cursor.sequence
                    seen, cursor = seen + list(map(plain, page)), after
                assert seen == [change for change in whole if change[2] in banks]

    def test_items_are_named_by_who_registered_them_and_why_they_wait_and_origins_are_forgotten(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        items = [new_item(chance) for _ in range(4)]
        writer.register(registration(chance, None, *items[:2]), day=DAY)
        writer.register(registration(chance, None, *items[2:]), day=NEXT_DAY)
        ids, (one, other) = [item.item_id for item in items], (b"1" * 8, b"2" * 8)
        stored = (
            (one, "0a1b2c3d", ItemState.LIVE, WaitReason.LIMIT),
            (other, "0a1b2c3d", ItemState.WAITING, WaitReason.LIMIT),
            (one, "4e5f6a7b", ItemState.WAITING, WaitReason.BANK),
            (None, "4e5f6a7b", ItemState.WAITING, None),
        )
        assert isinstance(writer, RegistryWriter)
        with writer._transaction() as connection:
            for item_id, (tag, key_id, state, reason) in zip(ids, stored, strict=True):
                known = {"origin_tag": tag, "key_id": key_id, "wait_reason": reason}
                connection.execute(
                    update(schema.items)
                    .where(schema.items.c.item_id == item_id)
                    .values(state=state, **known)
                )
        banks = frozenset({1})

        def named(wanted: ItemFilter) -> list[int]:
            page = writer.items_for_review(wanted, 9).items
            assert writer.count_items(wanted).items == len(page)
            return [ids.index(item.item_id) for item in page[::-1]]

        assert named(ItemFilter(banks, origin_tag=one)) == [0, 2]
        assert named(ItemFilter(banks, key_id="0a1b2c3d")) == [0, 1]
        assert named(ItemFilter(banks, wait_reason=WaitReason.LIMIT)) == [1]
        assert named(ItemFilter(banks, wait_reason=WaitReason.BANK, origin_tag=other)) == []
        listed = writer.items_for_review(ItemFilter(banks), 9).items[::-1]
        assert [(item.origin_tag, item.key_id, item.wait_reason) for item in listed] == [
            (one, "0a1b2c3d", None),
            (other, "0a1b2c3d", WaitReason.LIMIT),
            (one, "4e5f6a7b", WaitReason.BANK),
            (b"", "4e5f6a7b", None),
        ]
        of_key = ItemFilter(banks, key_id="0a1b2c3d")
        reject = Act("9a8b7c6d", "hotline", Action.REJECT, 1_795_000_000)
        assert writer.set_all_states(of_key, ItemState.REJECTED, reject, expected=2).items == 2
        assert writer.acts(1)[0].key_id == "0a1b2c3d"
        writer.forget(day="2026-12-24", at_s=1_795_000_000)
        assert named(ItemFilter(banks, origin_tag=one)) == [2]
        assert named(ItemFilter(banks, origin_tag=other)) == []

    def test_items_for_review_come_all_however_few_a_read_looks_at(
        self,
        writer: RegistryWriter,
        reader: RegistryReader,
        chance: random.Random,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(states, "NUMBERS_AT_ONCE", 2)
        self.test_items_for_review_are_those_that_meet_every_condition(writer, reader, chance)


class TestSqliteConforms(SqlConformance):
    @pytest.fixture
    def open_writer(self, tmp_path: Path) -> OpenWriter:
        return lambda: sqlite.open_writer(tmp_path / "registry.db")

    @pytest.fixture
    def open_reader(self, tmp_path: Path) -> OpenReader:
        return lambda: sqlite.open_reader(tmp_path / "registry.db")

    def test_a_withdrawal_erases_the_rows_of_outcomes(
        self, writer: RegistryWriter, chance: random.Random, tmp_path: Path
    ) -> None:
        withdrawn, kept = new_item(chance), new_item(chance)
        number = writer.register(registration(chance, None, withdrawn, kept), day=DAY).case_number
        rows = list[int]()
        for item in (withdrawn, kept):
            report(writer, item.item_id)
        for item_ids in ([], [withdrawn.item_id], [kept.item_id]):
            writer.withdraw(number, item_ids, day=DAY)
            with closing(sqlite3.connect(tmp_path / "registry.db")) as connection:
                rows += connection.execute("SELECT count(*) FROM outcomes").fetchone()
        assert rows == [2, 1, 0]


class SqliteMachine(RegistryMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()

    def open_writer(self) -> AbstractContextManager[RegistryWriter]:
        return sqlite.open_writer(Path(self.directory.name) / "registry.db")

    def teardown(self) -> None:
        super().teardown()
        self.directory.cleanup()


TestSqliteEqualsAPlainModel = SqliteMachine.TestCase
TestSqliteEqualsAPlainModel.settings = settings(max_examples=40, stateful_step_count=20)


def test_an_item_that_more_answers_name_than_a_statement_has_variables_can_be_withdrawn(
    tmp_path: Path,
) -> None:
    chance, path = random.Random(5), tmp_path / "registry.db"
    with sqlite.open_writer(path) as writer:
        pictures = [item_of(chance, number) for number in (1, 2, 3)]
        number = writer.register(registration(chance, None, *pictures), day=DAY).case_number
        again = [registration(chance, number, item_of(chance, 1)) for _ in range(60)]
        other = registration(chance, number, item_of(chance, 2))
        for request in (*again, other):
            writer.register(request, day=DAY)
        with closing(
            writer._writable.writer.raw_connection()
        ) as connection:  # the only one of its pool
            driver = connection.driver_connection
            assert driver is not None
            driver.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 50)
        writer.withdraw(number, [pictures[0].item_id], day=DAY)
        assert not any(writer.registered(request.request_id) for request in again)
        assert writer.registered(other.request_id) is not None
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT request_id FROM answers").fetchall()
        assert rows == [(other.request_id,)]
        cleared = "SELECT count(*) FROM requests WHERE digest IS NULL AND sequence IS NULL"
        assert connection.execute(cleared).fetchone() == (len(again) + 1,)
        linked = "SELECT count(*) FROM items WHERE request_id IS NOT NULL"
        assert connection.execute(linked).fetchone() == (0,)
