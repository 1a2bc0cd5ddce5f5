"""The promises of every registry backend: subclass this, and define the two fixtures."""

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import pairwise

import pytest

from disrupt.core import media
from disrupt.core.cases import CaseStatus
from disrupt.core.changes import Addition, Cursor, Removal
from disrupt.core.media import MediaKind
from disrupt.core.policy import ADULTS, FIRST_BANKS, MINORS, ApiKey, Right
from disrupt.errors import (
    CaseClosedError,
    CursorExpiredError,
    InvalidRequestError,
    NotFoundError,
    RequestIdReusedError,
    UnavailableError,
)
from disrupt.registry.contract import (
    CaseItem,
    NewCase,
    Registration,
    RegistryReader,
    RegistryWriter,
)
from tests.registry.examples import (
    DAY,
    NEXT_DAY,
    all_changes,
    new_case,
    new_item,
    pages,
    plain,
    plain_items,
    registration,
)

OpenWriter = Callable[[], AbstractContextManager[RegistryWriter]]
OpenReader = Callable[[], AbstractContextManager[RegistryReader]]


class RegistryConformance:
    """Subclasses define fixtures ``open_writer`` and ``open_reader``, on the same registry."""

    @pytest.fixture
    def chance(self) -> random.Random:
        return random.Random(20261124)

    @pytest.fixture
    def writer(self, open_writer: OpenWriter) -> Iterator[RegistryWriter]:
        with open_writer() as writer:
            yield writer

    @pytest.fixture
    def reader(self, writer: RegistryWriter, open_reader: OpenReader) -> Iterator[RegistryReader]:
        del writer  # the writer makes the registry that a reader needs
        with open_reader() as reader:
            yield reader

    # a new registry

    def test_new_registry_has_the_first_banks_and_nothing_else(
        self, reader: RegistryReader
    ) -> None:
        assert reader.banks() == FIRST_BANKS
        assert reader.keys() == ()
        assert reader.head().sequence == 0
        assert len(reader.head().epoch) == 16
        assert all_changes(reader) == []

    def test_epoch_stays_when_reopened(
        self, open_writer: OpenWriter, chance: random.Random
    ) -> None:
        with open_writer() as writer:
            head = writer.register(registration(chance), day=DAY).cursor
        with open_writer() as writer:
            assert writer.head() == head
            assert writer.banks() == FIRST_BANKS

    # registering

    def test_registration_opens_an_active_case_with_its_items_in_order(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        case = new_case(chance)
        items = (new_item(chance, 1), new_item(chance, 300, MediaKind.VIDEO), new_item(chance, 3))
        request = registration(chance, case, *items, bank=MINORS.number)
        result = writer.register(request, day=DAY)
        assert result.case_number == case.number
        assert result.status == CaseStatus.ACTIVE
        assert result.items == tuple((item.item_id, len(item.fingerprints)) for item in items)
        assert result.cursor == reader.head()
        record = reader.case(case.number)
        assert record is not None
        assert (record.number, record.pin_hash) == (case.number, case.pin_hash)
        assert (record.status, record.opened_on, record.closed_on) == (CaseStatus.ACTIVE, DAY, "")
        assert record.items == tuple(
            CaseItem(item.item_id, MINORS.number, item.kind, len(item.fingerprints))
            for item in items
        )

    def test_changes_carry_whole_items_as_registered(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        items = (new_item(chance, 1), new_item(chance, 500, MediaKind.VIDEO))
        request = registration(chance, None, *items, bank=MINORS.number)
        result = writer.register(request, day=DAY)
        changes = all_changes(reader)
        assert [plain(change)[1:] for change in changes] == [
            (
                item.item_id,
                MINORS.number,
                item.kind,
                request.assurance,
                media.pack(item.fingerprints),
            )
            for item in items
        ]
        assert changes[-1].sequence == result.cursor.sequence

    def test_items_of_one_case_are_in_the_banks_of_their_registrations(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        case = new_case(chance)
        first = registration(chance, case, bank=ADULTS.number)
        second = registration(chance, case.number, bank=MINORS.number)
        writer.register(first, day=DAY)
        result = writer.register(second, day=NEXT_DAY)
        assert result.case_number == case.number
        record = writer.case(case.number)
        assert record is not None
        assert record.opened_on == DAY
        expected = [
            (first.items[0].item_id, ADULTS.number),
            (second.items[0].item_id, MINORS.number),
        ]
        assert [(item.item_id, item.bank) for item in record.items] == expected
        assert [plain(change)[1:3] for change in all_changes(writer)] == expected

    def test_same_request_is_answered_as_before_and_stored_once(
        self, open_writer: OpenWriter, chance: random.Random
    ) -> None:
        request = registration(chance, None, new_item(chance), new_item(chance))
        with open_writer() as writer:
            first = writer.register(request, day=DAY)
            writer.register(registration(chance), day=DAY)
            assert writer.register(request, day=NEXT_DAY) == first
        with open_writer() as writer:
            # The server draws these anew for a retry, and the registry ignores them.
            retry = Registration(
                request.request_id,
                request.request_digest,
                new_case(chance),
                request.bank,
                request.assurance,
                (new_item(chance),),
            )
            assert writer.register(retry, day=NEXT_DAY) == first
            assert writer.registered(request.request_id) == (request.request_digest, first)
            assert len(all_changes(writer)) == 3

    def test_request_id_with_other_content_is_refused(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        request = registration(chance)
        writer.register(request, day=DAY)
        second = Registration(
            request.request_id,
            chance.randbytes(32),
            new_case(chance),
            request.bank,
            request.assurance,
            (new_item(chance),),
        )
        with pytest.raises(RequestIdReusedError):
            writer.register(second, day=DAY)
        assert len(all_changes(writer)) == 1
        assert isinstance(second.case, NewCase)
        assert writer.case(second.case.number) is None

    def test_unknown_request_id_is_none(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        assert writer.registered(chance.randbytes(16)) is None

    def test_registering_nothing_is_refused(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        empty = Registration(
            chance.randbytes(16),
            chance.randbytes(32),
            new_case(chance),
            ADULTS.number,
            registration(chance).assurance,
            (),
        )
        with pytest.raises(InvalidRequestError):
            writer.register(empty, day=DAY)

    def test_adding_to_an_unknown_case_is_refused(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        with pytest.raises(NotFoundError):
            writer.register(registration(chance, new_case(chance).number), day=DAY)
        assert writer.head().sequence == 0

    def test_taken_case_number_or_item_id_keeps_nothing(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        first = registration(chance)
        writer.register(first, day=DAY)
        assert isinstance(first.case, NewCase)
        same_number = registration(chance, NewCase(first.case.number, "other"))
        same_item = registration(chance, new_case(chance), new_item(chance), first.items[0])
        before = writer.head()
        for refused in (same_number, same_item):
            with pytest.raises(UnavailableError):
                writer.register(refused, day=DAY)
            assert writer.registered(refused.request_id) is None
        assert writer.head() == before
        assert isinstance(same_item.case, NewCase)
        assert writer.case(same_item.case.number) is None

    # withdrawing

    def test_withdrawn_case_keeps_number_pin_hash_status_and_days_only(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        case = new_case(chance)
        writer.register(registration(chance, case, new_item(chance), new_item(chance)), day=DAY)
        cursor = writer.withdraw(case.number, None, day=NEXT_DAY)
        assert cursor == reader.head()
        record = reader.case(case.number)
        assert record is not None
        assert (record.number, record.pin_hash) == (case.number, case.pin_hash)
        assert record.status == CaseStatus.WITHDRAWN
        assert (record.opened_on, record.closed_on) == (DAY, NEXT_DAY)
        assert record.items == ()

    def test_withdrawn_addition_is_delivered_as_a_removal(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        kept, gone = registration(chance), registration(chance, bank=MINORS.number)
        first = writer.register(gone, day=DAY)
        writer.register(kept, day=DAY)
        before = all_changes(reader)
        assert all(isinstance(change, Addition) for change in before)
        writer.withdraw(first.case_number, None, day=DAY)
        after = all_changes(reader)
        assert isinstance(after[0], Removal)
        assert isinstance(after[2], Removal)
        assert plain(after[0]) == plain(after[2]) == plain(before[0])[:3]
        assert plain(after[1]) == plain(before[1])
        assert [change.sequence for change in after[:2]] == [change.sequence for change in before]

    def test_items_are_withdrawn_one_by_one_and_the_last_closes_the_case(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        case = new_case(chance)
        first, second = new_item(chance), new_item(chance)
        writer.register(registration(chance, case, first, second), day=DAY)
        writer.withdraw(case.number, [first.item_id], day=DAY)
        record = writer.case(case.number)
        assert record is not None
        assert record.status == CaseStatus.ACTIVE
        assert [item.item_id for item in record.items] == [second.item_id]
        writer.withdraw(case.number, [second.item_id], day=NEXT_DAY)
        record = writer.case(case.number)
        assert record is not None
        assert (record.status, record.closed_on) == (CaseStatus.WITHDRAWN, NEXT_DAY)

    def test_withdrawing_again_changes_nothing(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        case = new_case(chance)
        item, other_item = new_item(chance), new_item(chance)
        writer.register(registration(chance, case, item, other_item), day=DAY)
        first = writer.withdraw(case.number, [item.item_id, item.item_id], day=DAY)
        assert writer.withdraw(case.number, [item.item_id], day=DAY) == first
        assert writer.withdraw(case.number, [], day=DAY) == first
        whole = writer.withdraw(case.number, None, day=DAY)
        record = writer.case(case.number)
        assert writer.withdraw(case.number, None, day=NEXT_DAY) == whole
        assert (
            writer.withdraw(case.number, [item.item_id, other_item.item_id], day=NEXT_DAY) == whole
        )
        assert writer.case(case.number) == record

    def test_withdrawing_an_item_of_another_case_withdraws_nothing(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        mine, foreign = registration(chance), registration(chance)
        case_number = writer.register(mine, day=DAY).case_number
        head = writer.register(foreign, day=DAY).cursor
        for item_id in (foreign.items[0].item_id, chance.randbytes(16)):
            with pytest.raises(NotFoundError):
                writer.withdraw(case_number, [mine.items[0].item_id, item_id], day=DAY)
        assert writer.head() == head
        assert all(isinstance(change, Addition) for change in all_changes(writer))

    def test_withdrawing_an_unknown_case_is_refused(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        with pytest.raises(NotFoundError):
            writer.withdraw(new_case(chance).number, None, day=DAY)

    def test_withdrawn_case_takes_no_more_items(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        case = new_case(chance)
        writer.register(registration(chance, case), day=DAY)
        head = writer.withdraw(case.number, None, day=DAY)
        with pytest.raises(CaseClosedError):
            writer.register(registration(chance, case.number), day=DAY)
        assert writer.head() == head

    @pytest.mark.parametrize("whole", [True, False])
    def test_late_retry_never_brings_back_what_was_withdrawn(
        self, writer: RegistryWriter, chance: random.Random, *, whole: bool
    ) -> None:
        request = registration(chance, None, new_item(chance), new_item(chance))
        result = writer.register(request, day=DAY)
        gone = None if whole else [request.items[0].item_id]
        head = writer.withdraw(result.case_number, gone, day=DAY)
        assert writer.registered(request.request_id) is None
        with pytest.raises(RequestIdReusedError):
            writer.register(request, day=DAY)
        assert writer.head() == head

    def test_checkpoint_changes_nothing_that_is_read(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        writer.register(registration(chance), day=DAY)
        before = list(map(plain, all_changes(reader)))
        assert writer.checkpoint()
        assert list(map(plain, all_changes(reader))) == before

    def test_removed_since_counts_what_was_there_and_is_gone(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        first = writer.register(
            registration(chance, None, new_item(chance), new_item(chance)), day=DAY
        )
        between = reader.head()
        second = writer.register(registration(chance), day=DAY)
        start, both = Cursor(between.epoch, 0), reader.head()
        writer.withdraw(second.case_number, None, day=DAY)
        assert [reader.removed_since(cursor) for cursor in (start, between, both)] == [0, 0, 1]
        writer.withdraw(first.case_number, [first.items[0][0]], day=DAY)
        writer.withdraw(first.case_number, None, day=DAY)
        assert [reader.removed_since(cursor) for cursor in (start, between, both)] == [0, 2, 3]
        assert reader.removed_since(reader.head()) == 0
        for strange in (Cursor(bytes(16), 0), Cursor(both.epoch, reader.head().sequence + 1)):
            with pytest.raises(CursorExpiredError):
                reader.removed_since(strange)

    def test_hashes_since_weighs_what_changed(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        first = writer.register(
            registration(chance, None, new_item(chance, hashes=3), new_item(chance, hashes=5)),
            day=DAY,
        )
        between = reader.head()
        writer.register(registration(chance, None, new_item(chance, hashes=7)), day=DAY)
        start, both = Cursor(between.epoch, 0), reader.head()
        assert [reader.hashes_since(cursor) for cursor in (start, between, both)] == [15, 7, 0]
        writer.withdraw(first.case_number, [first.items[0][0]], day=DAY)
        # The withdrawn item's addition and its removal count as a change without hashes each.
        assert [reader.hashes_since(cursor) for cursor in (start, between, both)] == [14, 8, 1]
        with pytest.raises(CursorExpiredError):
            reader.hashes_since(Cursor(bytes(16), 0))

    # the feed

    def test_item_numbers_and_sequences_only_grow(
        self, open_writer: OpenWriter, chance: random.Random
    ) -> None:
        numbers: list[int] = []
        for _ in range(4):
            with open_writer() as writer:
                request = registration(chance)
                result = writer.register(request, day=DAY)
                newest = all_changes(writer)[-1]
                assert isinstance(newest, Addition)
                numbers.append(newest.item.number)
                writer.withdraw(result.case_number, None, day=DAY)
        assert all(low < high for low, high in pairwise(numbers))
        with open_writer() as writer:
            sequences = [change.sequence for change in all_changes(writer)]
        assert all(low < high for low, high in pairwise(sequences))

    @pytest.mark.parametrize("limit", [1, 2, 100])
    def test_pages_of_any_size_add_up_to_everything(
        self, writer: RegistryWriter, chance: random.Random, limit: int
    ) -> None:
        for _ in range(5):
            writer.register(registration(chance), day=DAY)
        everything = [plain(change) for change in all_changes(writer)]
        listed = list(pages(writer, limit=limit))
        assert all(len(page) <= limit for page, _ in listed)
        assert [plain(change) for page, _ in listed for change in page] == everything
        assert listed[-1][1] == writer.head()

    def test_reader_at_the_head_gets_nothing_and_its_cursor_back(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        head = writer.register(registration(chance), day=DAY).cursor
        assert writer.changes(head, 10) == ([], head)

    def test_cursor_of_another_epoch_or_beyond_the_head_is_refused(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        head = writer.register(registration(chance), day=DAY).cursor
        for dead in (
            Cursor(chance.randbytes(16), 0),
            Cursor(chance.randbytes(16), head.sequence),
            Cursor(head.epoch, head.sequence + 1),
            Cursor(head.epoch, 2**64 - 1),
            replace(head, mark=chance.randbytes(8)),
            replace(head, mark=b""),
        ):
            assert not writer.knows(dead)
            with pytest.raises(CursorExpiredError):
                writer.changes(dead, 10)

    def test_every_cursor_that_was_given_out_is_known(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        given = [reader.head()]
        for _ in range(3):
            request = registration(chance, None, new_item(chance), new_item(chance))
            done = writer.register(request, day=DAY)
            given.append(done.cursor)
        stored = reader.registered(request.request_id)
        assert stored is not None
        assert stored[1] == done
        given.append(writer.withdraw(done.case_number, None, day=DAY))
        given += [cursor for _, cursor in pages(reader, limit=1)]
        given += [
            Cursor(given[0].epoch, change.sequence, change.mark) for change in all_changes(reader)
        ]
        _, cursor = reader.additions(given[0], reader.head(), 1)
        assert all(map(reader.knows, [*given, cursor]))

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    def test_additions_are_the_living_items_between_two_cursors(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random, limit: int
    ) -> None:
        cases = [
            writer.register(
                registration(chance, None, *(new_item(chance, hashes) for hashes in sizes)), day=DAY
            ).case_number
            for sizes in ((1, 2), (3,), (1,), (5, 1), (2,))
        ]
        between = reader.head()
        _, third = reader.changes(Cursor(between.epoch, 0), 3)
        cases.append(writer.register(registration(chance), day=DAY).case_number)
        until = reader.head()
        writer.register(registration(chance), day=DAY)
        for gone in (cases[1], cases[4]):
            writer.withdraw(gone, None, day=DAY)
        for after, before in (
            (Cursor(until.epoch, 0), until),
            (third, between),
            (between, reader.head()),
            (until, until),
        ):
            expected = [
                plain(change)
                for change in all_changes(reader)
                if isinstance(change, Addition) and after.sequence < change.sequence
                if change.sequence <= before.sequence
            ]
            cursor, items = after, []
            while cursor.sequence < before.sequence:
                page, cursor = reader.additions(cursor, before, limit)
                assert len(page) <= limit
                items += plain_items(page)
            assert (items, cursor) == (expected, before)

    def test_a_read_brings_few_items_of_the_greatest_size(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        largest = [new_item(chance, 8000) for _ in range(12)]
        last = registration(chance, None, *largest, new_item(chance))
        head = writer.register(last, day=DAY).cursor
        beginning = Cursor(head.epoch, 0)
        read = [
            [change.item.fingerprints.nbytes for change in page if isinstance(change, Addition)]
            for page, _ in pages(writer, limit=1000)
        ]
        cursor, additions = beginning, []
        while cursor.sequence < head.sequence:
            page, cursor = writer.additions(cursor, head, 1000)
            additions.append([46 * length for length in page.lengths.tolist()])
        assert additions == read == [[368_000] * 5, [368_000] * 5, [368_000] * 2 + [2 * 46]]

    @pytest.mark.parametrize("most_bytes", [0, 46, 100])
    def test_what_a_read_may_bring_changes_nothing_of_the_feed(
        self,
        writer: RegistryWriter,
        chance: random.Random,
        monkeypatch: pytest.MonkeyPatch,
        most_bytes: int,
    ) -> None:
        for bank in (1, 2, 1, 2):
            items = [new_item(chance, hashes) for hashes in (1, 3, 1)]
            done = writer.register(registration(chance, None, *items, bank=bank), day=DAY)
        writer.withdraw(done.case_number, None, day=DAY)
        whole = list(map(plain, all_changes(writer)))
        monkeypatch.setattr("disrupt.registry.queries.BYTES_AT_ONCE", most_bytes)
        assert [plain(change) for page, _ in pages(writer) for change in page] == whole
        cursor, seen = Cursor(writer.head().epoch, 0), list[tuple[object, ...]]()
        while cursor != writer.head():
            page, cursor = writer.changes(cursor, 100, [2])
            seen += map(plain, page)
        assert seen == [change for change in whole if change[2] == 2]

    def test_additions_after_a_strange_cursor_are_refused(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        head = writer.register(registration(chance), day=DAY).cursor
        for dead in (Cursor(bytes(16), 0), Cursor(head.epoch, head.sequence + 1)):
            with pytest.raises(CursorExpiredError):
                writer.additions(dead, head, 10)

    def test_readers_that_follow_a_writer_miss_nothing(
        self, writer: RegistryWriter, open_reader: OpenReader, chance: random.Random
    ) -> None:
        finished = threading.Event()

        def follow(limit: int) -> list[tuple[object, ...]]:
            seen: list[tuple[object, ...]] = []
            with open_reader() as reader:
                cursor = Cursor(reader.head().epoch, 0)
                while True:
                    last_round = finished.is_set()
                    page, cursor = reader.changes(cursor, limit)
                    seen += map(plain, page)
                    if last_round and not page:
                        return seen

        with ThreadPoolExecutor(3) as pool:
            followers = [pool.submit(follow, limit) for limit in (1, 3, 50)]
            try:
                for _ in range(60):
                    request = registration(chance, None, new_item(chance), new_item(chance))
                    writer.register(request, day=DAY)
            finally:
                finished.set()
        everything = list(map(plain, all_changes(writer)))
        assert len(everything) == 120
        assert [follower.result() for follower in followers] == [everything] * 3

    def test_the_pin_hash_of_a_case_is_that_it_was_opened_with(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        case = new_case(chance)
        writer.register(registration(chance, case), day=DAY)
        for _ in range(2):
            assert writer.pin_hash(case.number) == case.pin_hash
            writer.withdraw(case.number, None, day=DAY)
        assert writer.pin_hash(new_case(chance).number) is None

    def test_changes_of_some_banks_are_all_changes_of_these(
        self, writer: RegistryWriter, chance: random.Random, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("disrupt.registry.queries.CHANGES_AT_ONCE", 4)
        start = Cursor(writer.head().epoch, 0)
        for bank in [1, 2, 2, 2, 2, 2, 2, 1, 2, 1, 1, 1, 2]:
            case = new_case(chance)
            writer.register(registration(chance, case, bank=bank), day=DAY)
            if chance.random() < 0.3:
                writer.withdraw(case.number, None, day=DAY)
        for banks in ([], [1], [2], [1, 2]):
            expected = [change for change in map(plain, all_changes(writer)) if change[2] in banks]
            for limit in (1, 2, 100):
                seen, cursor = list[tuple[object, ...]](), start
                while cursor != writer.head():
                    page, after = writer.changes(cursor, limit, banks)
                    assert len(page) <= limit
                    assert after.sequence > cursor.sequence
                    seen, cursor = seen + list(map(plain, page)), after
                assert seen == expected

    def test_many_threads_read_and_write_through_one_writer(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        requests = [registration(chance) for _ in range(40)]

        def register(request: Registration) -> bool:
            result = writer.register(request, day=DAY)
            # Whatever is acknowledged is visible at once.
            return writer.head().sequence >= result.cursor.sequence and writer.registered(
                request.request_id
            ) == (request.request_digest, result)

        with ThreadPoolExecutor(20) as pool:
            assert all(pool.map(register, requests))
        assert len(all_changes(writer)) == 40

    # keys

    def test_keys_are_kept_oldest_first_and_revoked_once(
        self, open_writer: OpenWriter, chance: random.Random
    ) -> None:
        keys = [
            ApiKey(
                key_id,
                f"platform {key_id}",
                chance.randbytes(32),
                frozenset(rights),
                frozenset(banks),
                DAY,
            )
            for key_id, rights, banks in (
                ("zz", {Right.MATCH, Right.OPERATOR}, {ADULTS.number, MINORS.number}),
                ("aa", set[Right](), set[int]()),
            )
        ]
        with open_writer() as writer:
            for key in keys:
                writer.add_key(key)
            revoked = writer.revoke_key("zz", day=NEXT_DAY)
            assert revoked.revoked_on == NEXT_DAY
            assert writer.revoke_key("zz", day="2026-12-01") == revoked
        with open_writer() as writer:
            assert writer.keys() == (revoked, keys[1])
            assert revoked.secret_sha256 == keys[0].secret_sha256
            assert (revoked.rights, revoked.banks) == (keys[0].rights, keys[0].banks)
            with pytest.raises(UnavailableError):
                writer.add_key(keys[1])

    def test_revoking_an_unknown_key_is_refused(self, writer: RegistryWriter) -> None:
        with pytest.raises(NotFoundError):
            writer.revoke_key("nobody", day=DAY)
