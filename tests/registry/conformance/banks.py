"""What keeping banks promises."""

import json
import random

import pytest

from disrupt.core.acts import OPERATOR, Act, Action
from disrupt.core.media import ItemState, StateReason
from disrupt.core.policy import ADULTS, FIRST_BANKS, MINORS, ApiKey, Bank, BankPolicy, Right
from disrupt.errors import InvalidRequestError, NotFoundError
from disrupt.registry.contract import RegistryReader, RegistryWriter
from tests.registry.conformance.opened import Opened, OpenWriter
from tests.registry.examples import ACT, DAY, NEXT_DAY, OWN, item_of, new_item, registration

MADE = Act(OPERATOR, Action.BANK_CREATED, 1)
CHANGED = Act(OPERATOR, Action.BANK_CHANGED, 2)


class BanksConformance(Opened):
    """Banks are numbered as they are made, and have the policy that they were last given."""

    def test_a_new_registry_has_the_first_banks_live_and_whole(
        self, reader: RegistryReader
    ) -> None:
        assert reader.banks() == FIRST_BANKS
        assert [(bank.waiting, bank.visible_to, bank.share_percent) for bank in FIRST_BANKS] == [
            (False, frozenset(), 100)
        ] * 2

    def test_banks_are_made_and_changed_and_outlive_the_writer(
        self, open_writer: OpenWriter
    ) -> None:
        policy = BankPolicy(20, waiting=True, visible_to=frozenset({"b", "a"}), share_percent=1)
        with open_writer() as writer:
            partners = writer.add_bank("partners", policy, act=MADE)
            assert partners == Bank(3, "partners", 20, True, frozenset({"a", "b"}), 1)  # noqa: FBT003
            assert writer.add_bank("plain", BankPolicy(), act=MADE) == Bank(4, "plain")
            minors = writer.change_bank("minors", BankPolicy(share_percent=40), act=CHANGED)
            assert minors == Bank(2, "minors", share_percent=40)
        with open_writer() as writer:
            assert writer.banks() == (ADULTS, minors, partners, Bank(4, "plain"))
            whole = BankPolicy(0, waiting=False, visible_to=frozenset(), share_percent=100)
            assert writer.change_bank("partners", whole, act=CHANGED) == Bank(3, "partners", 0)

    def test_a_taken_name_and_an_unknown_bank_are_refused_and_no_act(
        self, writer: RegistryWriter
    ) -> None:
        with pytest.raises(InvalidRequestError, match="there is a bank 'adults'"):
            writer.add_bank("adults", BankPolicy(5), act=MADE)
        with pytest.raises(NotFoundError, match="no bank 'partners'"):
            writer.change_bank("partners", BankPolicy(5), act=CHANGED)
        assert writer.banks() == FIRST_BANKS
        assert writer.acts(0, 9) == []

    def test_changes_of_banks_are_acts(self, writer: RegistryWriter) -> None:
        writer.add_bank("partners", BankPolicy(visible_to=frozenset({"b", "a"})), act=MADE)
        for _ in range(2):
            writer.change_bank("partners", BankPolicy(7, waiting=True), act=CHANGED)
        shown = {"bank": "partners", "visible_to": ["a", "b"], "share_percent": 100}
        assert [(record.action, json.loads(record.subject)) for record in writer.acts(0, 9)] == [
            (Action.BANK_CREATED, shown | {"max_distance_bits": 31, "waiting": 0}),
            (Action.BANK_CHANGED, shown | {"max_distance_bits": 7, "waiting": 1}),
        ]

    def test_a_key_may_have_a_new_bank(self, writer: RegistryWriter) -> None:
        writer.add_bank("partners", BankPolicy(), act=MADE)
        key = ApiKey("aa", "a", bytes(32), frozenset({Right.MATCH}), frozenset({1}), DAY)
        writer.add_key(key, act=ACT)
        assert writer.change_key("aa", banks={1, 3}, act=ACT).banks == {1, 3}

    def test_what_is_registered_into_a_waiting_bank_waits_and_nothing_else(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        before = item_of(chance, 1)
        number = writer.register(registration(chance, None, before), day=DAY).case_number
        writer.change_bank("adults", BankPolicy(waiting=True), act=CHANGED)
        new, minor = new_item(chance), new_item(chance)
        into_adults = writer.register(registration(chance, number, new), day=DAY)
        request = registration(chance, number, minor, bank=MINORS.number)
        into_minors = writer.register(request, day=DAY)
        assert [place.state for place in into_adults.items] == [ItemState.WAITING]
        assert [place.state for place in into_minors.items] == [ItemState.LIVE]
        (record,) = writer.states([new.item_id])
        assert (record.reason, record.changed_on) == (StateReason.BANK, DAY)
        renewed = item_of(chance, 1, OWN, (1, 0, 0))
        again = writer.register(registration(chance, number, renewed), day=NEXT_DAY)
        assert [place.state for place in again.items] == [ItemState.LIVE]
        moved = item_of(chance, 1, OWN, (1, 0, 0))
        writer.change_bank("minors", BankPolicy(waiting=True), act=CHANGED)
        request = registration(chance, number, moved, bank=MINORS.number)
        assert [place.state for place in writer.register(request, day=DAY).items] == [
            ItemState.WAITING
        ]
        writer.change_bank("minors", BankPolicy(waiting=False), act=CHANGED)
        (record,) = writer.states([moved.item_id])
        assert record.state == ItemState.WAITING
