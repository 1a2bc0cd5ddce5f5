"""Promises of registering a picture again in its case."""

import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from disrupt.core import media
from disrupt.core.changes import Addition
from disrupt.core.media import MediaKind
from disrupt.core.registrations import Outcome
from disrupt.core.states import ItemState
from disrupt.registry.records import HeldItem, NewItem, Registered
from disrupt.registry.registry import RegistryReader, RegistryWriter
from rig.media.registrations import (
    ACT,
    DAY,
    NEXT_DAY,
    OWN,
    all_changes,
    item_of,
    new_case,
    pages,
    registration,
)
from tests.registry.conformance.opened import Opened

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

    def test_order_and_quality_of_hashes_make_no_difference(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        first = item_of(chance, 1, OWN, (0, 1, 0), CROP)
        fingerprints = first.fingerprints[::-1].copy()
        fingerprints["quality"] ^= 1
        again = NewItem(chance.randbytes(16), first.kind, fingerprints)
        _, result = self.again(writer, chance, first, again)
        assert result.items == (HeldItem(first.item_id, 3, 1, Outcome.KEPT),)

    @pytest.mark.parametrize("state", list(ItemState))
    @pytest.mark.parametrize("shows_more", [False, True])
    def test_the_answer_says_how_a_picture_stands_that_the_case_had(
        self, writer: RegistryWriter, chance: random.Random, state: ItemState, *, shows_more: bool
    ) -> None:
        first = item_of(chance, 1)
        number = writer.register(registration(chance, None, first), day=DAY).case_number
        writer.set_states([first.item_id], state, ACT)
        again = item_of(chance, 1, OWN, *[CROP] * shows_more)
        asked = registration(chance, number, again)
        result = writer.register(asked, day=NEXT_DAY)
        (held,) = result.items
        assert held.outcome == (Outcome.RENEWED if shows_more else Outcome.KEPT)
        assert held.wait_reason is None
        record = writer.case(number)
        assert record is not None
        assert held.state == record.items[0].state
        assert held.state.matches == state.matches
        assert writer.register(asked, day=NEXT_DAY) == result, "a replay"

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
        assert result.items == (HeldItem(again.item_id, len(fingerprints), 2),)
        assert holds(writer, number) == [first.item_id, again.item_id]

    def test_without_plan_0_nothing_shows_that_a_picture_is_the_same(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        first, again = item_of(chance, 1, CROP), item_of(chance, 1, CROP)
        number, _ = self.again(writer, chance, first, again)
        assert holds(writer, number) == [first.item_id, again.item_id]

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
