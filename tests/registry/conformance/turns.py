"""Promises of what is registered beyond a limit: it waits, and goes live in turns."""

import random
from collections import Counter
from dataclasses import dataclass, replace

import pytest

from disrupt.core.acts import SERVER, Act, Action
from disrupt.core.plausibility import PICTURE_HASHES
from disrupt.core.policy import MINORS
from disrupt.core.registrations import Outcome
from disrupt.core.states import ItemState, WaitReason
from disrupt.registry.records import TurnQueue
from disrupt.registry.registry import RegistryReader, RegistryWriter
from rig.media.registrations import ACT, DAY, NEXT_DAY, OWN, item_of, registration
from tests.registry.conformance.opened import Opened

CROP = (1, 0, 0)
DAY_S = 86_400
WAITED = (ItemState.WAITING, WaitReason.LIMIT)


def stands(reader: RegistryReader, number: str) -> list[tuple[ItemState, WaitReason | None]]:
    record = reader.case(number)
    assert record is not None
    return [(item.state, item.wait_reason) for item in record.items]


@dataclass
class Waiting:
    """An item of the model that waits."""

    number: int
    case: str
    is_paid: bool


class TurnsConformance(Opened):
    """Nothing is live at once beyond what may be, and each queue has an order."""

    def test_so_many_pictures_go_live_and_the_others_wait(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        rows = [(1, at, 0) for at in range(PICTURE_HASHES)]
        large = item_of(chance, 9, OWN, *rows)  # a hash more than a picture has
        items = [item_of(chance, 1), large, item_of(chance, 2), item_of(chance, 3)]
        asked = replace(registration(chance, None, *items), live_pictures=2.5)
        done = writer.register(asked, day=DAY)
        assert done.live_pictures == 1 + (1 + 1 / PICTURE_HASHES)
        reasons = [None, None, WaitReason.LIMIT, WaitReason.LIMIT]
        assert [item.wait_reason for item in done.items] == reasons
        assert writer.register(asked, day=DAY) == done
        assert stands(writer, done.case_number)[2:] == [WAITED] * 2
        again = registration(chance, done.case_number, item_of(chance, 3))
        (kept,) = writer.register(again, day=DAY).items
        assert (kept.outcome, kept.state, kept.wait_reason) == (Outcome.KEPT, *WAITED)

    def test_a_queue_is_an_origin_of_a_day_or_a_key(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        for key_id, origin, day in (
            ("k", b"a", DAY),
            ("l", b"a", DAY),
            ("k", b"b", DAY),
            ("k", b"a", NEXT_DAY),
            ("k", b"", DAY),
            ("k", b"", NEXT_DAY),
            ("l", b"", DAY),
        ):
            one = registration(chance)
            writer.register(replace(one, key_id=key_id, origin=origin, live_pictures=0), day=day)
        queues = reader.turn_queues()
        tags = {queue.origin_tag for queue in queues} - {None}
        assert len(tags) == 3
        assert {len(tag or b"") for tag in tags} == {8}
        of = sorted((queue.key_id, queue.day, queue.items) for queue in queues)
        assert of == [
            *(("", DAY, 1), ("", DAY, 2), ("", NEXT_DAY, 1)),
            *(("k", NEXT_DAY, 2), ("l", DAY, 1)),
        ]

    def test_what_tags_were_made_with_is_forgotten(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        def wait(day: str) -> None:
            asked = registration(chance)
            writer.register(replace(asked, origin=b"a", live_pictures=0), day=day)

        wait(DAY)
        writer.forget_origins(day=DAY)
        wait(DAY)
        assert [queue.items for queue in reader.turn_queues()] == [2]
        writer.forget_origins(day=NEXT_DAY)
        wait(DAY)
        assert sorted(queue.items for queue in reader.turn_queues()) == [1, 2]

    @pytest.mark.parametrize("seed", range(3))
    def test_turns_are_those_of_a_naive_model(
        self, writer: RegistryWriter, reader: RegistryReader, seed: int
    ) -> None:
        chance = random.Random(seed)
        cases, items, had = list[str](), dict[bytes, Waiting](), Counter[str]()
        made = 0
        for at in range(40):
            if chance.random() < 0.7:
                number = chance.choice(cases) if cases and chance.random() < 0.6 else None
                new = [item_of(chance, 10 * at + each) for each in range(chance.randint(1, 3))]
                asked = replace(
                    registration(chance, number, *new),
                    origin=b"o",
                    paid_pictures=chance.choice([0, 0, 1, 2]),
                    live_pictures=0,
                )
                case = writer.register(asked, day=DAY).case_number
                cases = list(dict.fromkeys([*cases, case]))
                for place, each in enumerate(new):
                    made += 1
                    items[each.item_id] = Waiting(made, case, place < asked.paid_pictures)
                continue
            for _ in range(chance.randint(1, 3)):
                if not items:
                    break
                expected = min(items, key=lambda of: self.place(items, had, of))
                (queue,) = reader.turn_queues()
                assert queue.items == len(items)
                (turn,) = reader.next_turns(queue, 1)
                assert turn.hashes == 1
                assert [*writer.give_turns([turn.number], at_s=at)] == [expected]
                had[items.pop(expected).case] += 1
        if items:
            (queue,) = reader.turn_queues()
            assert len(reader.next_turns(queue, 1000)) == len(items)
        acts = [record.act for record in reader.acts(1000)]
        assert {(act.actor, act.action, act.reason) for act in acts} == {
            (SERVER, Action.RELEASE, "turn")
        }

    @staticmethod
    def place(items: dict[bytes, Waiting], had: Counter[str], of: bytes) -> tuple[int, int, int]:
        """Return what orders items: those paid for first, then by the turns of their cases."""
        item = items[of]
        before = sum(
            other.case == item.case and other.is_paid == item.is_paid and other.number < item.number
            for other in items.values()
        )
        return (not item.is_paid, had[item.case] + before, item.number)

    def test_only_what_waits_goes_live_and_what_staff_keep_has_no_turn(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        items = [item_of(chance, at) for at in range(3)]
        asked = replace(registration(chance, None, *items), live_pictures=0)
        number = writer.register(asked, day=DAY).case_number
        (queue,) = reader.turn_queues()
        turns = reader.next_turns(queue, 9)
        writer.set_states([items[0].item_id], ItemState.DISABLED, ACT)
        assert [*writer.give_turns([turn.number for turn in turns], at_s=1)] == [
            item.item_id for item in items[1:]
        ]
        assert [state for state, _ in stands(writer, number)] == [
            *(ItemState.DISABLED, ItemState.LIVE, ItemState.LIVE),
        ]
        writer.set_states([items[1].item_id], ItemState.WAITING, ACT)
        assert reader.turn_queues() == []

    def test_waits_for_a_review_end_in_turns_and_those_by_staff_at_once(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        unlike = replace(item_of(chance, 1), is_unlike_a_picture=True)
        first = writer.register(registration(chance, None, unlike), day=DAY).case_number
        writer.change_bank(replace(MINORS, goes_live=False), act=ACT)
        of_bank = registration(chance, None, item_of(chance, 2), bank=MINORS.number)
        second = writer.register(of_bank, day=DAY).case_number
        limited = replace(registration(chance, None, item_of(chance, 3)), live_pictures=0)
        third = writer.register(limited, day=DAY).case_number
        kept = item_of(chance, 4)
        fourth = writer.register(registration(chance, None, kept), day=DAY).case_number
        hold = Act("key", "hotline", Action.HOLD, 10)
        writer.set_states([kept.item_id], ItemState.WAITING, hold)
        assert stands(writer, first) == [(ItemState.WAITING, WaitReason.UNLIKE_A_PICTURE)]
        assert stands(writer, second) == [(ItemState.WAITING, WaitReason.BANK)]
        assert stands(writer, third) == [WAITED]
        assert stands(writer, fourth) == [(ItemState.WAITING, None)]
        late_s = 40_000 * DAY_S
        assert len(writer.release(since_s=late_s, at_s=late_s)) == 3
        assert writer.release(since_s=late_s, at_s=late_s) == ()
        assert [stands(writer, case) for case in (first, second, third)] == [[WAITED]] * 3
        assert stands(writer, fourth) == [(ItemState.LIVE, None)]
        assert sum(queue.items for queue in reader.turn_queues()) == 3

    @pytest.mark.parametrize("state", list(ItemState))
    def test_new_hashes_of_a_renewal_inherit_nothing_that_shows(
        self, writer: RegistryWriter, chance: random.Random, state: ItemState
    ) -> None:
        first, later = item_of(chance, 1), item_of(chance, 1, OWN, CROP)
        done = writer.register(registration(chance, None, first), day=DAY)
        writer.set_states([first.item_id], state, ACT)
        again = replace(registration(chance, done.case_number, later), live_pictures=0)
        waits = writer.register(again, day=DAY)
        if not state.matches:
            assert [item.outcome for item in waits.items] == [Outcome.RENEWED]
            assert stands(writer, done.case_number) == [(state, None)]
            return
        assert [(item.outcome, item.hashes) for item in waits.items] == [(Outcome.KEPT, 1)]
        assert stands(writer, done.case_number) == [(state, None)]
        renewed = writer.register(registration(chance, done.case_number, later), day=DAY)
        assert [item.outcome for item in renewed.items] == [Outcome.RENEWED]
        assert renewed.live_pictures == 1
        assert stands(writer, done.case_number) == [(ItemState.LIVE, None)]

    def test_what_waits_goes_on_waiting_when_it_is_renewed(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        asked = replace(registration(chance, None, item_of(chance, 1)), live_pictures=0)
        number = writer.register(asked, day=DAY).case_number
        unlike = replace(item_of(chance, 1, OWN, CROP), is_unlike_a_picture=True)
        for item, expected in (
            (item_of(chance, 1, OWN, (1, 1, 0)), WAITED),
            (unlike, (ItemState.WAITING, WaitReason.UNLIKE_A_PICTURE)),
        ):
            again = writer.register(registration(chance, number, item), day=DAY)
            assert again.live_pictures == 0
            assert stands(writer, number) == [expected]
        assert TurnQueue(None, "", DAY, 1) not in reader.turn_queues()
