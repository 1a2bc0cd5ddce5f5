"""What registering a picture again in its case promises."""

import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from disrupt.core import media
from disrupt.core.changes import Addition
from disrupt.core.media import MediaKind
from disrupt.core.policy import ADULTS, MINORS
from disrupt.core.registrations import Outcome
from disrupt.errors import LimitExceededError, RequestIdReusedError
from disrupt.registry.contract import HeldItem, NewItem, Registered, RegistryReader, RegistryWriter
from tests.registry.conformance.opened import Opened
from tests.registry.examples import (
    DAY,
    NEXT_DAY,
    OWN,
    Row,
    all_changes,
    item_of,
    new_case,
    new_item,
    pages,
    plain,
    registration,
)

CROP, TURN, LATER = (1, 0, 0), (1, 1, 0), (2, 0, 0)


def holds(writer: RegistryReader, number: str) -> list[bytes]:
    """Return the ids of the items of a case."""
    record = writer.case(number)
    assert record is not None
    return [item.item_id for item in record.items]


def stored(writer: RegistryReader) -> dict[bytes, bytes]:
    """Return the fingerprints of each item that is there, packed."""
    return {
        change.item.item_id: media.pack(change.item.fingerprints)
        for change in all_changes(writer)
        if isinstance(change, Addition)
    }


class RenewingConformance(Opened):
    """A case has each picture once, and what is registered again takes nothing away."""

    @staticmethod
    def again(
        writer: RegistryWriter, chance: random.Random, first: NewItem, again: NewItem
    ) -> tuple[str, Registered]:
        """Register an item, and another into the same case; return its number and the result."""
        number = writer.register(registration(chance, None, first), day=DAY).case_number
        return number, writer.register(registration(chance, number, again), day=NEXT_DAY)

    def test_a_picture_with_a_newer_plan_takes_the_place_of_that_with_an_older_one(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        old, new = item_of(chance, 1, OWN, CROP), item_of(chance, 1, OWN, LATER)
        first = registration(chance, None, old, new_item(chance))
        number = writer.register(first, day=DAY).case_number
        again = registration(chance, number, new)
        result = writer.register(again, day=NEXT_DAY)
        assert result.items == (HeldItem(new.item_id, 2, Outcome.RENEWED),)
        assert result.cursor == writer.head()
        assert holds(writer, number) == [first.items[1].item_id, new.item_id]
        assert stored(writer)[new.item_id] == media.pack(new.fingerprints)
        assert writer.register(again, day=DAY) == result, "a replay"

        whole = [plain(change)[1:3] for change in all_changes(writer)]
        bank = ADULTS.number
        added = [(item.item_id, bank) for item in (*first.items, new)]
        assert whole == [*added, (old.item_id, bank)], "removed as a withdrawal removes"
        assert old.item_id not in stored(writer)
        assert writer.registered(first.request_id) is None
        with pytest.raises(RequestIdReusedError):
            writer.register(first, day=NEXT_DAY)
        assert writer.withdraw(number, [old.item_id], day=NEXT_DAY) == result.cursor

    def test_what_brings_nothing_more_is_not_stored_and_named_as_the_stored_item(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        item = item_of(chance, 1, OWN, CROP, TURN)
        first = registration(chance, None, item)
        result = writer.register(first, day=DAY)
        for rows in ([OWN], [TURN, OWN], [OWN, CROP, TURN]):
            again = registration(chance, result.case_number, item_of(chance, 1, *rows))
            named = writer.register(again, day=NEXT_DAY)
            assert named.items == (HeldItem(item.item_id, 3, Outcome.KEPT),)
            assert writer.head() == named.cursor == result.cursor
            assert writer.register(again, day=NEXT_DAY) == named
        assert writer.registered(first.request_id) == (first.request_digest, result)
        assert len(all_changes(writer)) == 1
        writer.withdraw(result.case_number, None, day=NEXT_DAY)
        assert writer.registered(again.request_id) is None
        with pytest.raises(RequestIdReusedError):
            writer.register(again, day=NEXT_DAY)

    @pytest.mark.parametrize(
        ("first", "again", "outcome"),
        [
            ([OWN, LATER], [OWN, CROP, TURN], Outcome.KEPT),
            ([OWN, CROP], [OWN, TURN], Outcome.RENEWED),
            ([OWN, CROP, TURN], [OWN, LATER], Outcome.RENEWED),
            ([OWN, CROP], [OWN, (1, 0, 1)], Outcome.RENEWED),
        ],
        ids=["lower plan", "same plan", "higher plan", "other hash of the same plan"],
    )
    def test_where_each_has_what_the_other_lacks_the_highest_plan_decides_then_the_later(
        self,
        writer: RegistryWriter,
        chance: random.Random,
        first: list[Row],
        again: list[Row],
        outcome: Outcome,
    ) -> None:
        old, new = item_of(chance, 1, *first), item_of(chance, 1, *again)
        number, result = self.again(writer, chance, old, new)
        winner = old if outcome == Outcome.KEPT else new
        assert result.items == (HeldItem(winner.item_id, len(winner.fingerprints), outcome),)
        assert holds(writer, number) == [winner.item_id]

    @pytest.mark.parametrize("again", [[OWN], [OWN, CROP], [OWN, CROP, LATER]])
    def test_another_age_moves_the_picture_to_its_bank_and_takes_no_hash_away(
        self, writer: RegistryWriter, chance: random.Random, again: list[Row]
    ) -> None:
        old, new = item_of(chance, 1, OWN, CROP), item_of(chance, 1, *again)
        first = registration(chance, None, old, bank=MINORS.number)
        number = writer.register(first, day=DAY).case_number
        result = writer.register(registration(chance, number, new), day=NEXT_DAY)
        most = new if LATER in again else old
        assert result.items == (HeldItem(new.item_id, len(most.fingerprints), Outcome.RENEWED),)
        record = writer.case(number)
        assert record is not None
        assert [(item.item_id, item.bank) for item in record.items] == [
            (new.item_id, ADULTS.number)
        ]
        assert stored(writer) == {new.item_id: media.pack(most.fingerprints)}

    def test_one_registration_stores_a_picture_once_with_all_that_it_brings(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        poor, rich, other = (
            item_of(chance, 1),
            item_of(chance, 1, OWN, CROP),
            item_of(chance, 2),
        )
        request = registration(chance, None, poor, other, rich, item_of(chance, 1))
        result = writer.register(request, day=DAY)
        kept = HeldItem(rich.item_id, 2, Outcome.KEPT)
        assert result.items == (
            HeldItem(rich.item_id, 2),
            HeldItem(other.item_id, 1),
            kept,
            kept,
        )
        assert holds(writer, result.case_number) == [rich.item_id, other.item_id]
        assert len(all_changes(writer)) == 2
        assert writer.register(request, day=NEXT_DAY) == result
        assert writer.registered(request.request_id) == (request.request_digest, result)

    def test_order_and_quality_of_hashes_make_no_difference(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        first = item_of(chance, 1, OWN, (0, 1, 0), CROP)
        fingerprints = first.fingerprints[::-1].copy()
        fingerprints["quality"] ^= 1
        again = NewItem(chance.randbytes(16), first.kind, fingerprints)
        _, result = self.again(writer, chance, first, again)
        assert result.items == (HeldItem(first.item_id, 3, Outcome.KEPT),)

    @pytest.mark.parametrize("field", ["kind", "hash", "ordinal", "start_ms", "end_ms", "more"])
    def test_what_differs_in_kind_or_plan_0_is_another_picture(
        self, writer: RegistryWriter, chance: random.Random, field: str
    ) -> None:
        first = item_of(chance, 1, OWN, CROP, kind=MediaKind.VIDEO)
        fingerprints, kind = first.fingerprints.copy(), first.kind
        if field == "kind":
            kind = MediaKind.IMAGE
        elif field == "more":
            more = item_of(chance, 1, (0, 1, 0)).fingerprints
            fingerprints = np.concatenate([fingerprints, more])
        else:
            fingerprints[field][0] ^= 1
        again = NewItem(chance.randbytes(16), kind, fingerprints)
        number, result = self.again(writer, chance, first, again)
        assert result.items == (HeldItem(again.item_id, len(fingerprints)),)
        assert holds(writer, number) == [first.item_id, again.item_id]

    def test_without_plan_0_nothing_shows_that_a_picture_is_the_same(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        first, again = item_of(chance, 1, CROP), item_of(chance, 1, CROP)
        number, _ = self.again(writer, chance, first, again)
        assert holds(writer, number) == [first.item_id, again.item_id]

    def test_cases_of_others_and_what_was_withdrawn_are_left_alone(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        elsewhere = writer.register(registration(chance, None, item_of(chance, 1)), day=DAY)
        gone, kept = item_of(chance, 1), item_of(chance, 2)
        number = writer.register(registration(chance, None, gone, kept), day=DAY).case_number
        writer.withdraw(number, [gone.item_id], day=DAY)
        again = item_of(chance, 1, OWN, CROP)
        result = writer.register(registration(chance, number, again), day=DAY)
        assert result.items == (HeldItem(again.item_id, 2),)
        assert holds(writer, elsewhere.case_number) == [elsewhere.items[0].item_id]

    def test_a_full_case_takes_a_picture_again_and_no_other(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        items = [item_of(chance, picture) for picture in range(3)]
        case = new_case(chance)
        writer.register(registration(chance, case, *items), day=DAY, items_per_case=3)
        again = [item_of(chance, 0, OWN, CROP), item_of(chance, 1)]
        request = registration(chance, case.number, *again)
        result = writer.register(request, day=DAY, items_per_case=3)
        more = registration(chance, case.number, item_of(chance, 2, OWN, CROP), new_item(chance))
        with pytest.raises(LimitExceededError, match="3 items in one case"):
            writer.register(more, day=DAY, items_per_case=3)
        assert writer.registered(more.request_id) is None
        assert writer.head() == result.cursor
        assert len(holds(writer, case.number)) == 3
        opening = registration(chance, None, new_item(chance), new_item(chance))
        with pytest.raises(LimitExceededError):
            writer.register(opening, day=DAY, items_per_case=1)
        assert writer.head() == result.cursor

    def test_the_addition_comes_before_the_removal(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        first = writer.register(registration(chance, None, item_of(chance, 1)), day=DAY)
        before = writer.head()
        new = item_of(chance, 1, OWN, CROP)
        writer.register(registration(chance, first.case_number, new), day=DAY)
        addition, removal = (page for page, _ in pages(reader, before, limit=1))
        assert [type(change) is Addition for change in (*addition, *removal)] == [True, False]
        assert addition[0].mark == removal[0].mark, "one commit"

    def test_a_picture_registered_by_many_at_once_is_in_the_case_once(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        case = new_case(chance)
        writer.register(registration(chance, case), day=DAY)
        requests = [
            registration(chance, case.number, item_of(chance, 1, OWN, *[(1, 0, 0)] * (at % 2)))
            for at in range(16)
        ]
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda request: writer.register(request, day=DAY), requests))
        (_, left) = holds(writer, case.number)
        assert left in {result.items[0].item_id for result in results}
        living = stored(writer)
        assert len(living) == 2
        assert len(media.unpack(living[left])) == 2
