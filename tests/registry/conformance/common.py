"""Promises of the bank of pictures in common use."""

import random
from dataclasses import replace

import numpy as np
import pytest

from disrupt.core.acts import Act, Action
from disrupt.core.policy import ADULTS, COMMON
from disrupt.core.review import ItemFilter
from disrupt.errors import NotFoundError
from disrupt.registry.records import NewItem, Registered, Registration, Removed
from disrupt.registry.registry import RegistryWriter
from rig.media.registrations import DAY, new_item, registration
from tests.registry.conformance.opened import Opened

ADDED = Act("0a1b2c3d", "hotline", Action.COMMON_ADDED, 1, "app_screen")
REMOVED = Act("0a1b2c3d", "hotline", Action.COMMON_REMOVED, 2)
OF_COMMON = ItemFilter(frozenset({COMMON.number}))


def adding(chance: random.Random, item: NewItem) -> Registration:
    return replace(registration(chance, None, item, bank=COMMON.number), act=ADDED)


class CommonConformance(Opened):
    """What staff add is listed and read, with an act on each, until they take it out."""

    def test_hashes_of_the_bank_are_those_that_were_added_and_not_taken_out(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        assert writer.common_hashes().shape == (0, 32)
        writer.register(registration(chance), day=DAY)
        pictures = [new_item(chance, hashes) for hashes in (2, 1, 3)]
        for picture in pictures:
            writer.register(adding(chance, picture), day=DAY)
        cursor = writer.remove_common([pictures[1].item_id], REMOVED, day=DAY)
        assert cursor == writer.head()
        kept = [picture.fingerprints["hash"] for picture in (pictures[0], pictures[2])]
        assert np.array_equal(writer.common_hashes(), np.concatenate(kept))
        listed = [item.item_id for item in writer.items_for_review(OF_COMMON, 9).items]
        assert listed == [pictures[2].item_id, pictures[0].item_id]
        assert [each.item_id for each in writer.journaled() if isinstance(each, Removed)] == [
            pictures[1].item_id
        ]

    def test_each_picture_that_is_added_or_taken_out_is_noted_once(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        picture = new_item(chance)
        asked = adding(chance, picture)

        def add() -> Registered:
            return writer.register(asked, day=DAY)

        assert add() == add(), "a replay"
        writer.remove_common([picture.item_id, picture.item_id], REMOVED, day=DAY)
        acts = [(record.act, record.item_id, record.bank) for record in writer.acts(9)]
        assert acts == [(act, picture.item_id, COMMON.number) for act in (REMOVED, ADDED)]
        assert list(writer.acts(9, banks={ADULTS.number})) == []

    def test_nothing_of_another_bank_is_taken_out(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        victims, picture, gone = new_item(chance), new_item(chance), new_item(chance)
        writer.register(registration(chance, None, victims), day=DAY)
        for added in (picture, gone):
            writer.register(adding(chance, added), day=DAY)
        writer.remove_common([gone.item_id], REMOVED, day=DAY)
        head = writer.head()
        for other in (victims.item_id, gone.item_id, bytes(16)):
            with pytest.raises(NotFoundError):
                writer.remove_common([picture.item_id, other], REMOVED, day=DAY)
        assert writer.head() == head
        assert len(writer.acts(9)) == 3
