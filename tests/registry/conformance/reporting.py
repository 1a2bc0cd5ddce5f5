"""What reporting outcomes promises."""

import random
from dataclasses import replace

import pytest

from disrupt.core.outcomes import Outcome
from disrupt.core.policy import MINORS
from disrupt.errors import LimitExceededError, NotFoundError
from disrupt.registry.contract import RegistryReader, RegistryWriter
from tests.registry.conformance.opened import Opened
from tests.registry.examples import (
    DAY,
    NEXT_DAY,
    OWN,
    item_of,
    new_item,
    new_report,
    registration,
)

DAY_AFTER = "2026-11-26"


class ReportingConformance(Opened):
    """A report is of one match, is corrected by the next, and goes with its item."""

    def test_an_outcome_shows_on_the_day_after_it_was_reported(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        request = registration(chance, None, new_item(chance), new_item(chance))
        number = writer.register(request, day=DAY).case_number
        item_id = request.items[0].item_id
        head = reader.head()
        writer.report(new_report(chance, item_id), day=DAY)
        assert reader.outcomes(number, before=DAY) == {}
        assert reader.outcomes(number, before=NEXT_DAY) == {item_id: {Outcome.BLOCKED}}
        assert reader.head() == head  # no change of the feed

    @pytest.mark.parametrize("outcome", Outcome)
    def test_the_same_report_again_changes_nothing(
        self, writer: RegistryWriter, chance: random.Random, outcome: Outcome
    ) -> None:
        request = registration(chance)
        number = writer.register(request, day=DAY).case_number
        report = new_report(chance, request.items[0].item_id, outcome)
        writer.report(report, day=DAY, reports_per_item=1)
        writer.report(report, day=NEXT_DAY, reports_per_item=1)
        reported = {report.item_id: {outcome}}
        assert writer.outcomes(number, before=NEXT_DAY) == reported
        assert writer.outcomes(number, before=DAY_AFTER) == reported

    def test_any_outcome_corrects_any_other_and_shows_the_day_after(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        for first in Outcome:
            for second in Outcome:
                request = registration(chance)
                number = writer.register(request, day=DAY).case_number
                report = new_report(chance, request.items[0].item_id, first)
                writer.report(report, day=DAY)
                writer.report(replace(report, outcome=second), day=NEXT_DAY)
                assert writer.outcomes(number, before=NEXT_DAY) == {report.item_id: {first}}
                assert writer.outcomes(number, before=DAY_AFTER) == {report.item_id: {second}}

    def test_of_several_corrections_of_a_day_only_the_last_is_ever_seen(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        request = registration(chance)
        number = writer.register(request, day=DAY).case_number
        report = new_report(chance, request.items[0].item_id)
        writer.report(report, day=DAY)
        for outcome in (Outcome.FALSE_POSITIVE, Outcome.NOT_BLOCKED):
            writer.report(replace(report, outcome=outcome), day=NEXT_DAY)
            assert writer.outcomes(number, before=NEXT_DAY) == {report.item_id: {Outcome.BLOCKED}}
        assert writer.outcomes(number, before=DAY_AFTER) == {report.item_id: {Outcome.NOT_BLOCKED}}

    def test_a_reporter_may_report_so_many_matches_of_an_item_and_correct_them(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        request = registration(chance, None, new_item(chance), new_item(chance))
        number = writer.register(request, day=DAY).case_number
        item_id, other = (item.item_id for item in request.items)
        reports = [new_report(chance, item_id, Outcome.PENDING_REVIEW) for _ in range(3)]
        for report in reports[:2]:
            writer.report(report, day=DAY, reports_per_item=2)
        with pytest.raises(LimitExceededError, match="2 matches"):
            writer.report(reports[2], day=DAY, reports_per_item=2)
        assert writer.outcomes(number, before=NEXT_DAY) == {item_id: {Outcome.PENDING_REVIEW}}
        writer.report(replace(reports[0], outcome=Outcome.BLOCKED), day=DAY, reports_per_item=2)
        writer.report(replace(reports[2], reporter="another"), day=DAY, reports_per_item=2)
        writer.report(new_report(chance, other), day=DAY, reports_per_item=2)
        assert writer.outcomes(number, before=NEXT_DAY) == {
            item_id: {Outcome.PENDING_REVIEW, Outcome.BLOCKED},
            other: {Outcome.BLOCKED},
        }

    def test_a_withdrawal_erases_the_outcomes_of_its_items_alone(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        request = registration(chance, None, new_item(chance), new_item(chance))
        number = writer.register(request, day=DAY).case_number
        reports = [new_report(chance, item.item_id) for item in request.items]
        for report in reports:
            writer.report(report, day=DAY)
        writer.withdraw(number, [reports[0].item_id], day=DAY)
        assert reader.outcomes(number, before=NEXT_DAY) == {reports[1].item_id: {Outcome.BLOCKED}}
        writer.withdraw(number, None, day=DAY)
        assert reader.outcomes(number, before=NEXT_DAY) == {}
        unknown = new_report(chance, chance.randbytes(16))
        refusals = []
        for report in (*reports, new_report(chance, reports[0].item_id), unknown):
            with pytest.raises(NotFoundError) as refused:
                writer.report(report, day=DAY)
            refusals.append(refused.value.message)
        assert len(set(refusals)) == 1  # erased, and never there: alike

    def test_a_renewed_item_begins_without_outcomes(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        first = registration(chance, None, item_of(chance, 1))
        number = writer.register(first, day=DAY).case_number
        report = new_report(chance, first.items[0].item_id)
        writer.report(report, day=DAY)
        again = registration(chance, number, item_of(chance, 1, OWN, (1, 0, 0)), bank=MINORS.number)
        writer.register(again, day=DAY)
        assert writer.outcomes(number, before=NEXT_DAY) == {}
        with pytest.raises(NotFoundError):
            writer.report(report, day=DAY)

    def test_outcomes_of_other_cases_and_of_none_are_not_shown(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        requests = [registration(chance), registration(chance)]
        numbers = [writer.register(request, day=DAY).case_number for request in requests]
        writer.report(new_report(chance, requests[0].items[0].item_id), day=DAY)
        assert writer.outcomes(numbers[1], before=NEXT_DAY) == {}
        assert writer.outcomes("4D62-TKMD-SPQ", before=NEXT_DAY) == {}
