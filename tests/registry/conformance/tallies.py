"""Promises of the tallies: what happened is counted once, and nothing lowers it."""

import random
from collections import Counter
from dataclasses import replace
from datetime import datetime

import pytest

from disrupt.core.acts import SERVER, Act, Action
from disrupt.core.cases import AgeBand
from disrupt.core.outcomes import MatchedVersion, MatchOutcome, OutcomeReport, Settlement
from disrupt.core.policy import MINORS, Right
from disrupt.core.review import ItemFilter
from disrupt.core.states import ItemState
from disrupt.core.tallies import Count, Statement, Tally, UploadBatch
from disrupt.registry.registry import RegistryReader, RegistryWriter
from rig.media.registrations import ACT, DAY, NEXT_DAY, api_key, new_item, registration
from tests.registry.conformance.opened import Opened

SAID = Statement(AgeBand.UNSURE)
NOON_S = int(datetime.fromisoformat(f"{DAY}T12:00+00:00").timestamp())
"""A time of DAY."""
_DAY_S = 86_400
BLOCKED, FALSE = MatchOutcome.BLOCKED, MatchOutcome.FALSE_POSITIVE


def counted(registry: RegistryReader, *names: Tally) -> dict[tuple[str, ...], int]:
    """Return the counts of all days by day, name unless it is the only one, and labels."""
    counts = registry.tallies("0001-01-01", "9999-12-31", names, limit=10_000)
    return {
        (each.day, *([each.tally] if len(names) != 1 else []), *each.labels): each.count
        for each in counts
    }


def staff(action: Action, after_days: int = 0) -> Act:
    return Act("0a1b2c3d", "hotline", action, NOON_S + after_days * _DAY_S)


class TalliesConformance(Opened):
    """Each act is counted in its own transaction."""

    def test_the_age_is_that_which_was_said_whatever_the_bank_and_moves_change_nothing(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        items = [new_item(chance), new_item(chance)]
        request = registration(chance, None, *items, bank=MINORS.number, statement=SAID)
        number = writer.register(request, day=DAY).case_number
        registered = {(DAY, "image", "unsure"): 2}
        assert counted(writer, Tally.ITEMS_REGISTERED) == registered
        writer.move_items([items[0].item_id], 1, staff(Action.MOVE))
        for item in items:
            writer.withdraw(number, [item.item_id], day=NEXT_DAY)
            writer.withdraw(number, [item.item_id], day=NEXT_DAY)
        assert counted(writer, Tally.ITEMS_REGISTERED) == registered
        assert counted(writer, Tally.ITEMS_WITHDRAWN) == {
            (NEXT_DAY, "image", "adults"): 1,
            (NEXT_DAY, "image", "minors"): 1,
        }
        assert counted(writer, Tally.CASES_CLOSED) == {(NEXT_DAY, "withdrawn"): 1}

    def test_what_is_of_no_person_is_in_no_tally(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        writer.register(registration(chance), day=DAY)
        assert counted(writer) == {}

    def test_a_case_that_staff_erase_is_no_withdrawal(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        number = writer.register(registration(chance, statement=SAID), day=DAY).case_number
        for action, actor in ((Action.ERASE_REQUESTED, "1"), (Action.ERASE_CONFIRMED, "2")):
            act = replace(staff(action), actor=actor)
            writer.ask_erasure(number, act, partners={"1"}, banks={1})
        assert writer.erase_due(at_s=NOON_S + 8 * _DAY_S, day=NEXT_DAY)
        assert not writer.erase_due(at_s=NOON_S + 8 * _DAY_S, day=NEXT_DAY)
        assert counted(writer, Tally.ITEMS_WITHDRAWN) == {}
        assert counted(writer, Tally.ITEMS_ERASED) == {(NEXT_DAY, "image", "adults"): 1}
        assert counted(writer, Tally.CASES_CLOSED) == {(NEXT_DAY, "erased"): 1}

    def test_each_outcome_of_a_match_counts_once_with_the_days_that_it_took(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        item = new_item(chance)
        number = writer.register(registration(chance, None, item), day=DAY).case_number
        expected, seen = Counter[tuple[str, ...]](), set[tuple[bytes, MatchOutcome]]()
        for _ in range(60):
            match, outcome = bytes([chance.randrange(4)]) * 12, chance.choice([*MatchOutcome])
            day = chance.choice([DAY, NEXT_DAY])
            report = OutcomeReport(item.item_id, "platform", outcome, match, (), DAY)
            first = writer.report(report, day=day)
            assert first == ((match, outcome) not in seen)
            if first:
                days = "1" if day == NEXT_DAY else "0"
                expected[day, "platform", outcome.name.lower(), days] += 1
            seen.add((match, outcome))
            assert counted(writer, Tally.OUTCOMES) == expected
        writer.withdraw(number, None, day=NEXT_DAY)
        assert counted(writer, Tally.OUTCOMES) == expected

    def test_a_repeated_report_is_known_for_a_month(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        item = new_item(chance)
        writer.register(registration(chance, None, item), day=DAY)
        report = OutcomeReport(item.item_id, "platform", BLOCKED, b"a match", (), DAY)
        assert writer.report(report, day=DAY)
        writer.forget(day="2026-12-24", at_s=NOON_S)
        assert not writer.report(report, day="2026-12-24")
        writer.forget(day="2026-12-25", at_s=NOON_S)
        assert writer.report(report, day="2026-12-25")

    def test_an_item_counts_once_as_disputed_however_many_matches_of_it_are(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        item = new_item(chance)
        writer.register(registration(chance, None, item), day=DAY)
        for organisation in ("one", "other"):
            for match in (b"first", b"second", b"first"):
                nonce = organisation.encode() + match
                versions = (MatchedVersion(0, 0, 20),)
                said = OutcomeReport(item.item_id, organisation, FALSE, nonce, versions, DAY)
                writer.report(said, day=DAY)
        disputed = {(DAY, "one"): 1, (DAY, "other"): 1}
        assert counted(writer, Tally.DISPUTES) == disputed
        writer.settle_disputes([item.item_id], Settlement.WIDENED, staff(Action.WIDEN, 2))
        assert counted(writer, Tally.DISPUTES) == disputed
        assert counted(writer, Tally.REVIEWS) == {("2026-11-26", "widen", "2-3"): 1}

    def test_what_staff_decide_counts_by_item_with_the_days_since_it_was_theirs(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        items = [new_item(chance) for _ in range(3)]
        writer.register(registration(chance, None, *items), day=DAY)
        ids = [item.item_id for item in items]
        writer.set_states(ids[:2], ItemState.DISABLED, staff(Action.DISABLE, 1))
        writer.set_states(ids[:2], ItemState.DISABLED, staff(Action.DISABLE, 1))
        writer.set_states(ids[:1], ItemState.ENABLED, staff(Action.ENABLE, 9))
        writer.confirm_items(ids[2:], staff(Action.CONFIRM, 9))
        wanted = ItemFilter(frozenset({1}), item_ids=frozenset(ids))
        act = staff(Action.REJECT, 9)
        done = writer.set_all_states(wanted, ItemState.REJECTED, act, expected=3)
        writer.undo(done.act, staff(Action.UNDO, 10), banks={1})
        writer.set_states(ids, ItemState.DISABLED, replace(staff(Action.RELEASE, 10), actor=SERVER))
        assert counted(writer, Tally.REVIEWS) == {
            (NEXT_DAY, "disable", "1"): 2,
            ("2026-12-03", "enable", "8-30"): 1,
            ("2026-12-03", "confirm", "8-30"): 1,
            ("2026-12-03", "reject", "0"): 1,
            ("2026-12-03", "reject", "8-30"): 2,
            ("2026-12-04", "undo", "1"): 3,
        }

    def test_an_organisation_is_active_once_a_day_with_the_rights_of_its_keys(
        self, writer: RegistryWriter
    ) -> None:
        one = api_key("0a1b2c3d")
        other = replace(
            api_key("4e5f6a7b"), rights=frozenset({Right.MATCH, Right.FEED}), organisation="other"
        )
        for key in (one, other):
            writer.add_key(key, act=ACT)
        for ids in ([one.key_id], [one.key_id, other.key_id], ["00000000"]):
            writer.note_key_uses(ids, day=DAY)
        assert counted(writer, Tally.ORGANISATIONS_ACTIVE) == {
            (DAY, "some organisation", "match"): 1,
            (DAY, "other", "match"): 1,
            (DAY, "other", "feed"): 1,
        }

    def test_a_batch_of_a_worker_counts_once(self, writer: RegistryWriter) -> None:
        expected = Counter[tuple[str, ...]]()
        for run, number, day in (
            (b"a" * 16, 1, DAY),
            (b"a" * 16, 1, DAY),
            (b"b" * 16, 1, DAY),
            (b"a" * 16, 2, NEXT_DAY),
            (b"a" * 16, 1, NEXT_DAY),
            (b"a" * 16, 2, NEXT_DAY),
        ):
            labels = ("platform", "adults", "0-15", "whole")
            count = Count(day, Tally.UPLOADS_MATCHED, labels, 7)
            writer.count_uploads(UploadBatch(run, number, (count,)), day=day)
        expected[DAY, *labels] = 14
        expected[NEXT_DAY, *labels] = 7
        assert counted(writer, Tally.UPLOADS_MATCHED) == expected

    @pytest.mark.parametrize("size", [1, 2, 3, 100])
    def test_pages_have_every_count_of_the_days_and_names_once(
        self, writer: RegistryWriter, size: int
    ) -> None:
        names = ["a", "b", "é", 'quote"', "space bar", "Z"]
        counts = tuple(
            Count(day, Tally.UPLOADS_LOOKED_UP, (name,), 1)
            for day in (DAY, NEXT_DAY, "2026-11-30")
            for name in names
        )
        writer.count_uploads(UploadBatch(bytes(16), 1, counts), day=DAY)
        pages, last = list[Count](), None
        while page := writer.tallies(
            DAY, NEXT_DAY, [Tally.UPLOADS_LOOKED_UP], limit=size, after=last
        ):
            assert len(page) <= size
            pages += page
            last = page[-1]
        assert len(pages) == 2 * len(names)
        assert set(pages) == set(counts[: 2 * len(names)])
        assert writer.tallies(DAY, NEXT_DAY, [Tally.OUTCOMES], limit=1) == []
