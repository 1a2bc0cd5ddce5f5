"""What rules by which items wait promise."""

import json
import random
from dataclasses import replace

import numpy as np
import pytest

from disrupt.core.acts import SERVER, Action
from disrupt.core.media import Assurance, ItemState, StateReason
from disrupt.core.outcomes import Outcome, Report
from disrupt.core.policy import ADULTS, MINORS
from disrupt.core.registrations import Outcome as Registered
from disrupt.core.waiting import ReportPolicy
from disrupt.registry.contract import Negatives, RegistryReader, RegistryWriter
from tests.registry.conformance.opened import Opened, OpenWriter
from tests.registry.examples import ACT, DAY, NEXT_DAY, OWN, item_of, new_item, registration

LIVE, WAITING, DISABLED = ItemState
NORTH, SOUTH = "North", "South"
HOUR_S = 3600
AT_S = 500_000 * HOUR_S + 1234
POLICY = ReportPolicy()
MANY = StateReason.MANY_LOOKUPS


def registered(writer: RegistryWriter, chance: random.Random, bank: int = ADULTS.number) -> bytes:
    """Register an item into a case of its own; return its id."""
    request = registration(chance, None, bank=bank)
    writer.register(request, day=DAY)
    return request.items[0].item_id


def far(chance: random.Random, item_id: bytes, reporter: str, *, is_far: bool = True) -> Report:
    """Return a false positive of a match that nobody has reported."""
    digest = chance.randbytes(16)
    return Report(item_id, reporter, digest, Outcome.FALSE_POSITIVE, is_far)


def accuse(writer: RegistryWriter, *reports: Report) -> list[bool]:
    """Report; return of each whether the item began to wait."""
    return [writer.report(each, day=DAY, policy=POLICY, at_s=AT_S) for each in reports]


def state(reader: RegistryReader, item_id: bytes) -> tuple[ItemState, StateReason | None]:
    (record,) = reader.states([item_id])
    return record.state, record.reason


class WaitingConformance(Opened):
    """Rules hide no item of a minor and none twice by the same evidence, and end by themselves."""

    def test_false_positives_of_two_organisations_hide_an_item_and_that_is_an_act(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        item_id, other = registered(writer, chance), registered(writer, chance)
        first, again, second = (far(chance, item_id, by) for by in (NORTH, NORTH, SOUTH))
        assert accuse(writer, first, again) == [False, False]
        head, acts = writer.head(), len(reader.acts(0, 100))
        assert state(reader, item_id) == (LIVE, None)
        assert accuse(writer, second) == [True]
        assert reader.head().sequence == head.sequence + 1
        assert state(reader, item_id) == (WAITING, StateReason.FALSE_POSITIVES)
        assert state(reader, other) == (LIVE, None)
        (act,) = reader.acts(acts, 100)
        assert (act.actor, act.action, act.at_s) == (SERVER, Action.ITEMS_SET_WAITING, AT_S)
        said = {"items": [item_id.hex()], "reason": "false_positives"}
        assert json.loads(act.subject) == said
        # The same again, or corrected, changes nothing.
        corrected = replace(second, outcome=Outcome.BLOCKED)
        assert accuse(writer, second, first, corrected) == [False] * 3
        assert state(reader, item_id) == (WAITING, StateReason.FALSE_POSITIVES)

    def test_near_matches_other_outcomes_and_items_of_minors_hide_nothing(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        item_id = registered(writer, chance)
        near = [far(chance, item_id, by, is_far=False) for by in (NORTH, SOUTH, "East")]
        others = [
            replace(far(chance, item_id, by), outcome=outcome)
            for by in (NORTH, SOUTH)
            for outcome in set(Outcome) - {Outcome.FALSE_POSITIVE}
        ]
        minor = registered(writer, chance, MINORS.number)
        of_minor = [far(chance, minor, by) for by in (NORTH, SOUTH, "East", "West")]
        assert not any(accuse(writer, *near, *others, *of_minor, far(chance, item_id, NORTH)))
        assert not writer.hide(minor, MANY, day=DAY, at_s=AT_S)
        assert [state(writer, each) for each in (item_id, minor)] == [(LIVE, None)] * 2

    def test_a_correction_counts_until_the_item_waits_and_not_after(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        item_id = registered(writer, chance)
        first, second = (far(chance, item_id, by) for by in (NORTH, SOUTH))
        accuse(writer, first, replace(first, outcome=Outcome.BLOCKED))
        assert accuse(writer, second) == [False]
        assert accuse(writer, first) == [True]

    def test_what_was_reported_before_a_decision_never_counts_again(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        item_id = registered(writer, chance)
        first, second = (far(chance, item_id, by) for by in (NORTH, SOUTH))
        accuse(writer, first, second, far(chance, item_id, "East"))
        writer.set_states([item_id], LIVE, day=DAY, act=ACT)
        pending = replace(first, outcome=Outcome.PENDING_REVIEW)
        assert not any(accuse(writer, first, second, pending, first))
        assert accuse(writer, far(chance, item_id, NORTH)) == [False]
        assert accuse(writer, far(chance, item_id, NORTH)) == [False]
        assert accuse(writer, far(chance, item_id, SOUTH)) == [True]

    def test_reports_hide_an_item_that_nobody_reviewed_in_time_once_until_staff_decide(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        done = writer.register(registration(chance, None, item_of(chance, 1)), day=DAY)
        item_id = done.items[0].item_id

        def report_new_matches(item_id: bytes) -> list[bool]:
            return accuse(writer, *(far(chance, item_id, by) for by in (NORTH, SOUTH, "East")))

        assert any(report_new_matches(item_id))
        assert writer.release(AT_S, day=DAY, at_s=AT_S, limit=9) == (item_id,)
        assert not any(report_new_matches(item_id))
        assert state(writer, item_id) == (LIVE, StateReason.UNREVIEWED)
        better = registration(chance, done.case_number, item_of(chance, 1, OWN, (1, 0, 0)))
        (place,) = writer.register(better, day=DAY).items
        assert place.outcome == Registered.RENEWED
        assert not any(report_new_matches(place.item_id))
        for decided in (DISABLED, LIVE):
            writer.set_states([place.item_id], decided, day=DAY, act=ACT)
        assert any(report_new_matches(place.item_id))

    @pytest.mark.parametrize("is_moved", [True, False])
    def test_what_was_reported_before_staff_moved_or_confirmed_an_item_does_not_count(
        self, writer: RegistryWriter, chance: random.Random, *, is_moved: bool
    ) -> None:
        item_id = registered(writer, chance, MINORS.number if is_moved else ADULTS.number)
        first, second = (far(chance, item_id, by) for by in (NORTH, SOUTH))
        accuse(writer, first, *([second] if is_moved else []))
        if is_moved:
            writer.move_items([item_id], ADULTS.number, act=ACT)
        else:
            writer.confirm_items([item_id], act=ACT)
        assert not any(accuse(writer, first, far(chance, item_id, SOUTH)))
        assert accuse(writer, far(chance, item_id, NORTH)) == [True]

    def test_lookups_hide_an_item_once_and_none_that_staff_have_reviewed(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        item_id = registered(writer, chance)
        assert writer.hide(item_id, MANY, day=DAY, at_s=AT_S)
        assert state(writer, item_id) == (WAITING, MANY)
        assert not writer.hide(item_id, MANY, day=DAY, at_s=AT_S)
        writer.set_states([item_id], LIVE, day=DAY, act=ACT)
        assert not writer.hide(item_id, MANY, day=DAY, at_s=AT_S)
        reviewed = replace(registration(chance), assurance=Assurance.REVIEWED)
        writer.register(reviewed, day=DAY)
        for other in (reviewed.items[0].item_id, chance.randbytes(16)):
            assert not writer.hide(other, MANY, day=DAY, at_s=AT_S)
        writer.set_states([item_id], DISABLED, day=DAY, act=ACT)
        assert not writer.hide(item_id, StateReason.FALSE_POSITIVES, day=DAY, at_s=AT_S)

    def test_only_what_a_rule_hid_is_released_and_not_before_its_hour(
        self, open_writer: OpenWriter, chance: random.Random
    ) -> None:
        reasons = (StateReason.HARMLESS, StateReason.FLOOD, StateReason.BANK, None)
        items = [replace(new_item(chance), waits=reason) for reason in reasons]
        with open_writer() as writer:
            request = replace(registration(chance, None, *items), at_s=AT_S)
            writer.register(request, day=DAY)
            by_lookups, by_staff = registered(writer, chance), registered(writer, chance)
            writer.hide(by_lookups, MANY, day=DAY, at_s=AT_S + HOUR_S)
            writer.hide(by_staff, MANY, day=DAY, at_s=AT_S)
            writer.set_states([by_staff], WAITING, day=DAY, act=ACT, reason=StateReason.STAFF)
        with open_writer() as writer:
            before = AT_S - HOUR_S
            assert writer.release(before, day=NEXT_DAY, at_s=AT_S, limit=9) == ()
            harmless, flood, bank, _ = (item.item_id for item in items)
            assert writer.release(AT_S, day=NEXT_DAY, at_s=AT_S, limit=1) == (harmless,)
            assert writer.release(AT_S, day=NEXT_DAY, at_s=AT_S, limit=9) == (flood,)
            later = AT_S + HOUR_S
            assert writer.release(later, day=NEXT_DAY, at_s=later, limit=9) == (by_lookups,)
            assert writer.release(later, day=NEXT_DAY, at_s=later, limit=9) == ()
            assert state(writer, harmless) == (LIVE, StateReason.UNREVIEWED)
            assert state(writer, bank) == (WAITING, StateReason.BANK)
            assert state(writer, by_staff) == (WAITING, StateReason.STAFF)
            acts = [(act.actor, act.action) for act in writer.acts(0, 100)][-3:]
            assert acts == [(SERVER, Action.ITEMS_ENABLED)] * 3

    def test_a_renewed_item_takes_its_wait_along_and_is_not_hidden_for_that_again(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        harmless = StateReason.HARMLESS
        first = replace(item_of(chance, 1), waits=harmless)
        request = replace(registration(chance, None, first), at_s=AT_S)
        number = writer.register(request, day=DAY).case_number
        renewed = replace(item_of(chance, 1, OWN, (1, 0, 0)), waits=harmless)
        later = replace(registration(chance, number, renewed), at_s=AT_S + 9 * HOUR_S)
        (place,) = writer.register(later, day=DAY).items
        assert (place.outcome, place.state) == (Registered.RENEWED, WAITING)
        assert writer.release(AT_S, day=DAY, at_s=AT_S, limit=9) == (place.item_id,)
        again = replace(item_of(chance, 1, OWN, (2, 0, 0)), waits=harmless)
        (place,) = writer.register(registration(chance, number, again), day=DAY).items
        assert (place.outcome, place.state) == (Registered.RENEWED, LIVE)
        assert writer.release(AT_S + 99 * HOUR_S, day=DAY, at_s=AT_S, limit=9) == ()

    def test_a_withdrawn_item_is_not_released(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        item = replace(new_item(chance), waits=StateReason.FLOOD)
        done = writer.register(registration(chance, None, item), day=DAY)
        writer.withdraw(done.case_number, None, day=DAY)
        assert writer.release(AT_S, day=DAY, at_s=AT_S, limit=9) == ()
        assert not writer.hide(item.item_id, MANY, day=DAY, at_s=AT_S)

    def test_harmless_hashes_are_kept_once_by_label_in_no_feed_and_removed(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        head = reader.head()
        hashes = np.frombuffer(chance.randbytes(96), np.uint8).reshape(3, 32)
        assert not len(reader.negatives().hashes)
        assert writer.add_negatives(Negatives(hashes[:2], ("a", "b")), day=DAY, act=ACT) == 2
        again = Negatives(hashes[[1, 2, 2]], ("c",) * 3)
        assert writer.add_negatives(again, day=DAY, act=ACT) == 1
        assert writer.add_negatives(again, day=DAY, act=ACT) == 0
        held = reader.negatives()
        rows = {row.tobytes(): label for row, label in zip(held.hashes, held.labels, strict=True)}
        assert rows == {row.tobytes(): label for row, label in zip(hashes, "abc", strict=True)}
        assert writer.remove_negatives("b", act=ACT) == 1
        assert writer.remove_negatives("b", act=ACT) == 0
        assert sorted(reader.negatives().labels) == ["a", "c"]
        assert reader.head() == head
        assert len(reader.acts(0, 100)) == 3
