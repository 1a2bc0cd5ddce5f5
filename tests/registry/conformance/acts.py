"""What the log of acts promises."""

import json
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from disrupt.core.acts import OPERATOR, Act, Action, ActRecord, Verification
from disrupt.core.media import ItemState, StateReason
from disrupt.core.policy import ADULTS, ApiKey, Right
from disrupt.errors import DisruptError
from disrupt.registry.contract import RegistryReader, RegistryWriter, Successor
from tests.registry.conformance.opened import Opened, OpenWriter
from tests.registry.examples import DAY, NEXT_DAY, new_item, registration

AT_S = 1_795_000_000
KEY = ApiKey("aa", "platform", bytes(32), frozenset({Right.MATCH}), frozenset({ADULTS.number}), DAY)
SHOWN = {"key": "aa", "rights": ["match"], "banks": ["adults"], "expires_on": ""}


def act(action: Action, **subject: str) -> Act:
    return Act(OPERATOR, action, AT_S, subject)


def all_acts(reader: RegistryReader, limit: int = 2) -> list[ActRecord]:
    """Return the acts, of which every page verifies."""
    acts, verification = list[ActRecord](), Verification()
    while page := reader.acts(acts[-1].number if acts else 0, limit):
        assert len(page) <= limit
        verification.read(page)
        acts += page
    assert (verification.broken, verification.acts) == (None, len(acts))
    return acts


def subjects(reader: RegistryReader) -> list[tuple[int, dict[str, object]]]:
    return [(record.action, json.loads(record.subject)) for record in all_acts(reader)]


class ActsConformance(Opened):
    """An act is stored with its effect, and not without."""

    def test_changes_of_keys_are_acts(self, writer: RegistryWriter, reader: RegistryReader) -> None:
        assert reader.acts(0, 1) == []
        writer.add_key(KEY, act=act(Action.KEY_CREATED))
        changed = act(Action.KEY_CHANGED)
        for _ in range(2):
            writer.change_key("aa", rights={Right.REVIEW}, expires_on=NEXT_DAY, act=changed)
        successor = Successor("bb", bytes(32), DAY, "")
        writer.rotate_key(
            "aa", successor, overlap_until=DAY, act=replace(act(Action.KEY_ROTATED), actor="0c")
        )
        for _ in range(2):
            writer.revoke_key("aa", day=DAY, act=act(Action.KEY_REVOKED))
        review = SHOWN | {"rights": ["review"]}
        assert subjects(reader) == [
            (Action.KEY_CREATED, SHOWN),
            (Action.KEY_CHANGED, review | {"expires_on": NEXT_DAY}),
            (Action.KEY_ROTATED, review | {"expires_on": DAY, "successor": "bb"}),
            (Action.KEY_REVOKED, {"key": "aa"}),
        ]
        assert [record.actor for record in reader.acts(0, 9)] == [OPERATOR] * 2 + ["0c", OPERATOR]
        assert {record.at_s for record in reader.acts(0, 9)} == {AT_S}

    def test_an_act_names_the_items_that_it_changed_and_why(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        items = [new_item(chance), new_item(chance)]
        first, second = (item.item_id for item in items)
        writer.register(registration(chance, None, *items), day=DAY)
        disable = act(Action.ITEMS_DISABLED, ticket="7")
        writer.set_states([first], ItemState.DISABLED, day=DAY, act=disable)
        for reason in (StateReason.STAFF, StateReason.STAFF, None):
            writer.set_states(
                [second, first], ItemState.DISABLED, day=DAY, act=disable, reason=reason
            )
        enable = act(Action.ITEMS_ENABLED)
        for _ in range(2):
            writer.set_states(
                [second], ItemState.LIVE, day=DAY, act=enable, reason=StateReason.UNREVIEWED
            )
        writer.set_states([], ItemState.LIVE, day=DAY, act=enable)
        both = {"items": [first.hex(), second.hex()], "reason": "staff", "ticket": "7"}
        assert subjects(reader) == [
            (Action.ITEMS_DISABLED, {"items": [first.hex()], "ticket": "7"}),
            (Action.ITEMS_DISABLED, both),
            (Action.ITEMS_ENABLED, {"items": [second.hex()], "reason": "unreviewed"}),
        ]
        reasons = [record.reason for record in reader.states([first, second])]
        assert reasons == [StateReason.STAFF, StateReason.UNREVIEWED]

    def test_what_fails_leaves_no_act(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        writer.add_key(KEY, act=act(Action.KEY_CREATED))
        item = new_item(chance)
        writer.register(registration(chance, None, item), day=DAY)
        plain, successor = act(Action.KEY_CHANGED), Successor("aa", bytes(32), DAY, "")
        no_bank = {ADULTS.number, 9}
        failing: list[Callable[[], object]] = [
            lambda: writer.add_key(KEY, act=plain),
            lambda: writer.change_key("aa", banks=no_bank, act=plain),
            lambda: writer.change_key("zz", act=plain),
            lambda: writer.rotate_key("aa", successor, overlap_until=DAY, act=plain),
            lambda: writer.revoke_key("zz", day=DAY, act=plain),
            lambda: writer.set_states(
                [item.item_id, bytes(16)], ItemState.DISABLED, day=DAY, act=plain
            ),
        ]
        for fail in failing:
            with pytest.raises(DisruptError):
                fail()
        assert len(all_acts(reader)) == 1

    def test_acts_outlive_the_writer_and_the_item(
        self, open_writer: OpenWriter, chance: random.Random
    ) -> None:
        item = new_item(chance)
        with open_writer() as writer:
            number = writer.register(registration(chance, None, item), day=DAY).case_number
            disable = act(Action.ITEMS_DISABLED)
            writer.set_states([item.item_id], ItemState.DISABLED, day=DAY, act=disable)
            before = all_acts(writer)
        with open_writer() as writer:
            writer.withdraw(number, None, day=DAY)
            assert all_acts(writer) == before
