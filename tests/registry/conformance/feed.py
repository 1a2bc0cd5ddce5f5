"""Promises of the feed of changes."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from disrupt.core.changes import NO_MARK, Addition, Cursor
from disrupt.errors import (
    CursorExpiredError,
)
from disrupt.registry.registry import RegistryReader, RegistryWriter
from rig.media.registrations import (
    DAY,
    all_changes,
    new_item,
    pages,
    plain,
    plain_items,
    registration,
)
from tests.registry.conformance.opened import Opened, OpenReader


class FeedConformance(Opened):
    """The feed delivers each change once, in order, from any cursor that was given out."""

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
            replace(head, mark=NO_MARK),
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
        given.append(writer.withdraw(done.case_number, None, day=DAY).cursor)
        given += [cursor for _, cursor in pages(reader, limit=1)]
        given += [
            Cursor(given[0].epoch, change.sequence, change.mark) for change in all_changes(reader)
        ]
        assert all(map(reader.knows, given))

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    def test_matched_items_are_the_living_ones_as_of_a_cursor(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random, limit: int
    ) -> None:
        cases = [
            writer.register(
                registration(chance, None, *(new_item(chance, hashes) for hashes in sizes)), day=DAY
            ).case_number
            for sizes in ((1, 2), (3,), (1,), (5, 1), (2,))
        ]
        between = reader.head()
        cases.append(writer.register(registration(chance), day=DAY).case_number)
        until = reader.head()
        writer.register(registration(chance), day=DAY)
        for gone in (cases[1], cases[4]):
            writer.withdraw(gone, None, day=DAY)
        for after, before in ((0, until), (3, between), (4, reader.head()), (9, until)):
            expected = [
                plain(change)
                for change in all_changes(reader)
                if isinstance(change, Addition) and change.number > after
                if change.sequence <= before.sequence
            ]
            number, items = after, []
            while len(page := reader.matched_items(number, before, limit)):
                assert len(page) <= limit
                items += plain_items(page)
                number = int(page.number[-1])
            assert items == expected

    def test_a_read_brings_few_items_of_the_greatest_size(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        largest = [new_item(chance, 8000) for _ in range(12)]
        last = registration(chance, None, *largest, new_item(chance))
        head = writer.register(last, day=DAY).cursor
        read = [
            [change.item.fingerprints.nbytes for change in page if isinstance(change, Addition)]
            for page, _ in pages(writer, limit=1000)
        ]
        number, matched = 0, []
        while len(page := writer.matched_items(number, head, 1000)):
            matched.append([46 * length for length in page.lengths.tolist()])
            number = int(page.number[-1])
        assert matched == read == [[368_000] * 5, [368_000] * 5, [368_000] * 2 + [2 * 46]]

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
