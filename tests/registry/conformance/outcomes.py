"""Promises of the outcomes of matches."""

import random
from dataclasses import replace
from itertools import product

import pytest

from disrupt.core.acts import OPERATOR, Act, Action
from disrupt.core.outcomes import MatchedVersion, MatchOutcome, OutcomeReport
from disrupt.core.policy import ADULTS, MINORS
from disrupt.core.states import ItemState
from disrupt.errors import InvalidRequestError, NotFoundError, QuotaExceededError
from disrupt.registry.registry import RegistryReader, RegistryWriter
from rig.media.registrations import (
    ACT,
    DAY,
    NEXT_DAY,
    OWN,
    api_key,
    ensure_key,
    item_of,
    new_item,
    registration,
)
from tests.registry.conformance.opened import Opened

BLOCKED, NOT_BLOCKED, PENDING_REVIEW, FALSE_POSITIVE = MatchOutcome
OTHERS = (BLOCKED, NOT_BLOCKED, PENDING_REVIEW)
THIRD_DAY = "2026-11-26"


def report(
    writer: RegistryWriter,
    item_id: bytes,
    outcome: MatchOutcome = BLOCKED,
    organisation: str = "platform",
    *,
    match: bytes = b"a match",
    day: str = DAY,
) -> None:
    ensure_key(writer, organisation)
    versions = (MatchedVersion(0, 0, 20),)
    writer.report(OutcomeReport(item_id, organisation, outcome, match, versions), day=day)


class OutcomesConformance(Opened):
    """The last outcome by organisation and item counts, is shown a day late, and goes with it."""

    def test_an_outcome_is_shown_from_the_next_day_on(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        item, other = new_item(chance), new_item(chance)
        number = writer.register(registration(chance, None, item, other), day=DAY).case_number
        elsewhere = writer.register(registration(chance), day=DAY).case_number
        head = writer.head()
        report(writer, item.item_id)
        assert reader.outcomes(number, before=DAY) == {}
        assert reader.outcomes(number, before=NEXT_DAY) == {item.item_id: {BLOCKED: DAY}}
        assert reader.outcomes(elsewhere, before=NEXT_DAY) == {}
        assert reader.head() == head

    @pytest.mark.parametrize(("first", "second"), [*product(OTHERS, repeat=2)])
    def test_the_last_outcome_counts_and_shows_when_its_day_is_over(
        self,
        writer: RegistryWriter,
        chance: random.Random,
        first: MatchOutcome,
        second: MatchOutcome,
    ) -> None:
        item = new_item(chance)
        number = writer.register(registration(chance, None, item), day=DAY).case_number
        for outcome in (second, first):
            report(writer, item.item_id, outcome)
        assert writer.outcomes(number, before=DAY) == {}
        for outcome in (first, second, second):
            report(writer, item.item_id, outcome, day=NEXT_DAY)
        assert writer.outcomes(number, before=NEXT_DAY) == {item.item_id: {first: DAY}}
        assert writer.outcomes(number, before=THIRD_DAY) == {item.item_id: {second: NEXT_DAY}}

    def test_a_false_positive_of_another_match_leaves_the_outcome(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        item = new_item(chance)
        number = writer.register(registration(chance, None, item), day=DAY).case_number
        report(writer, item.item_id, BLOCKED, match=b"one")
        for day in (DAY, NEXT_DAY):
            report(writer, item.item_id, FALSE_POSITIVE, match=day.encode(), day=day)
            assert writer.outcomes(number, before=THIRD_DAY) == {item.item_id: {BLOCKED: DAY}}
        report(writer, item.item_id, FALSE_POSITIVE, "another", match=b"one")
        assert writer.outcomes(number, before=THIRD_DAY) == {item.item_id: {BLOCKED: DAY}}

    @pytest.mark.parametrize("outcome", OTHERS)
    def test_a_false_positive_takes_the_outcome_of_its_match_back_and_gives_way_to_it(
        self, writer: RegistryWriter, chance: random.Random, outcome: MatchOutcome
    ) -> None:
        item = new_item(chance)
        number = writer.register(registration(chance, None, item), day=DAY).case_number
        for _ in range(2):
            report(writer, item.item_id, outcome)
            assert writer.disputes() == []
            assert writer.outcomes(number, before=NEXT_DAY) == {item.item_id: {outcome: DAY}}
            report(writer, item.item_id, FALSE_POSITIVE)
            assert len(writer.disputes()) == 1
            assert writer.outcomes(number, before=NEXT_DAY) == {}

    def test_what_is_taken_back_on_a_later_day_shows_until_that_is_over(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        item = new_item(chance)
        number = writer.register(registration(chance, None, item), day=DAY).case_number
        report(writer, item.item_id, BLOCKED)
        report(writer, item.item_id, FALSE_POSITIVE, day=NEXT_DAY)
        assert writer.outcomes(number, before=NEXT_DAY) == {item.item_id: {BLOCKED: DAY}}
        assert writer.outcomes(number, before=THIRD_DAY) == {}

    def test_the_outcome_of_an_earlier_day_comes_back_when_todays_is_taken_back(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        item = new_item(chance)
        number = writer.register(registration(chance, None, item), day=DAY).case_number
        report(writer, item.item_id, NOT_BLOCKED, match=b"earlier")
        for outcome in (BLOCKED, FALSE_POSITIVE):
            report(writer, item.item_id, outcome, match=b"later", day=NEXT_DAY)
        assert writer.outcomes(number, before=THIRD_DAY) == {item.item_id: {NOT_BLOCKED: DAY}}

    def test_an_earlier_outcome_that_was_taken_back_too_does_not_come_back(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        for is_first in (True, False):
            item = new_item(chance)
            number = writer.register(registration(chance, None, item), day=DAY).case_number
            report(writer, item.item_id, BLOCKED, match=b"earlier")
            if is_first:
                report(writer, item.item_id, FALSE_POSITIVE, match=b"earlier", day=NEXT_DAY)
            report(writer, item.item_id, BLOCKED, match=b"later", day=NEXT_DAY)
            if not is_first:
                report(writer, item.item_id, FALSE_POSITIVE, match=b"earlier", day=NEXT_DAY)
            report(writer, item.item_id, FALSE_POSITIVE, match=b"later", day=NEXT_DAY)
            assert writer.outcomes(number, before=NEXT_DAY) == {item.item_id: {BLOCKED: DAY}}
            assert writer.outcomes(number, before=THIRD_DAY) == {}

    def test_each_outcome_has_the_newest_day_of_any_organisation(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        item = new_item(chance)
        number = writer.register(registration(chance, None, item), day=DAY).case_number
        for organisation, outcome, day in (
            ("a", BLOCKED, DAY),
            ("b", BLOCKED, NEXT_DAY),
            ("c", BLOCKED, DAY),
            ("d", NOT_BLOCKED, DAY),
        ):
            report(writer, item.item_id, outcome, organisation, day=day)
        assert writer.outcomes(number, before=THIRD_DAY) == {
            item.item_id: {BLOCKED: NEXT_DAY, NOT_BLOCKED: DAY}
        }

    def test_of_organisations_only_those_with_a_valid_key_count(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        item = new_item(chance)
        number = writer.register(registration(chance, None, item), day=DAY).case_number
        leaving = replace(api_key("00000001"), organisation="leaving", expires_on=THIRD_DAY)
        writer.add_key(leaving, act=ACT)
        report(writer, item.item_id, BLOCKED, "leaving")
        report(writer, item.item_id, NOT_BLOCKED, "revoked")
        both = {BLOCKED: DAY, NOT_BLOCKED: DAY}
        assert reader.outcomes(number, before=NEXT_DAY) == {item.item_id: both}
        assert reader.outcomes(number, before=THIRD_DAY) == {item.item_id: {NOT_BLOCKED: DAY}}
        writer.revoke_key(ensure_key(writer, "revoked"), day=NEXT_DAY, act=ACT)
        assert reader.outcomes(number, before=NEXT_DAY) == {item.item_id: {BLOCKED: DAY}}
        writer.add_key(replace(api_key("00000002"), organisation="revoked"), act=ACT)
        assert reader.outcomes(number, before=NEXT_DAY) == {item.item_id: both}

    def test_a_withdrawal_takes_the_outcomes_and_later_reports_are_refused(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        item = new_item(chance)
        number = writer.register(registration(chance, None, item), day=DAY).case_number
        report(writer, item.item_id)
        writer.withdraw(number, None, day=DAY)
        for item_id in (item.item_id, chance.randbytes(16)):
            with pytest.raises(NotFoundError):
                report(writer, item_id)
        assert writer.outcomes(number, before=NEXT_DAY) == {}

    def test_a_picture_that_is_registered_again_keeps_its_outcomes(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        first = item_of(chance, 1, OWN)
        number = writer.register(registration(chance, None, first), day=DAY).case_number
        report(writer, first.item_id, BLOCKED, "a")
        report(writer, first.item_id, PENDING_REVIEW, "b")
        second = item_of(chance, 1, OWN, (2, 1, 0))
        writer.register(registration(chance, number, second), day=DAY)
        report(writer, first.item_id, NOT_BLOCKED, "b")
        assert writer.outcomes(number, before=NEXT_DAY) == {
            second.item_id: {BLOCKED: DAY, NOT_BLOCKED: DAY}
        }

    def test_a_mirror_reports_what_may_be_matched_in_its_banks_and_so_much_a_day(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        item = new_item(chance, 1)
        writer.register(registration(chance, None, item), day=DAY)
        ensure_key(writer, "platform")
        plan, ordinal = (int(item.fingerprints[name][0]) for name in ("plan", "ordinal"))

        def passed_on(
            outcome: MatchOutcome,
            bits: int = 20,
            *,
            place: int = ordinal,
            bank: int = ADULTS.number,
            match: bytes = b"a",
            day: str = DAY,
        ) -> None:
            versions = (MatchedVersion(plan, place, bits),)
            mirrored = OutcomeReport(item.item_id, "platform", outcome, match, versions)
            writer.report_mirrored(mirrored, day=day, banks={bank}, disputes_max=2)

        passed_on(BLOCKED, ADULTS.max_distance_bits)
        with pytest.raises(NotFoundError):
            passed_on(BLOCKED, bank=MINORS.number)
        with pytest.raises(InvalidRequestError):
            passed_on(BLOCKED, ADULTS.max_distance_bits + 1)
        with pytest.raises(InvalidRequestError):
            passed_on(BLOCKED, place=(ordinal + 1) % 2**16)
        for match in b"a", b"b", b"a":
            passed_on(FALSE_POSITIVE, match=match)
        with pytest.raises(QuotaExceededError):
            passed_on(FALSE_POSITIVE, match=b"c")
        passed_on(BLOCKED, match=b"c")
        passed_on(FALSE_POSITIVE, match=b"c", day=NEXT_DAY)
        disabled = Act(OPERATOR, "", Action.DISABLE, 1)
        writer.set_states([item.item_id], ItemState.DISABLED, disabled)
        with pytest.raises(NotFoundError):
            passed_on(BLOCKED)
