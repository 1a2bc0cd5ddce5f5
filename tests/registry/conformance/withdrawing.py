"""What withdrawing promises."""

import random

import pytest

from disrupt.core.cases import CaseStatus
from disrupt.core.changes import Addition, Removal
from disrupt.core.policy import MINORS
from disrupt.errors import (
    CaseClosedError,
    NotFoundError,
    RequestIdReusedError,
)
from disrupt.registry.contract import (
    RegistryReader,
    RegistryWriter,
)
from tests.registry.conformance.opened import Opened
from tests.registry.examples import (
    DAY,
    NEXT_DAY,
    all_changes,
    new_case,
    new_item,
    plain,
    registration,
)


class WithdrawingConformance(Opened):
    """Withdrawing removes items for good, and keeps what a case was."""

    def test_withdrawn_case_keeps_number_pin_hash_status_and_days_only(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        case = new_case(chance)
        writer.register(registration(chance, case, new_item(chance), new_item(chance)), day=DAY)
        cursor = writer.withdraw(case.number, None, day=NEXT_DAY)
        assert cursor == reader.head()
        record = reader.case(case.number)
        assert record is not None
        assert (record.number, record.pin_hash) == (case.number, case.pin_hash)
        assert record.status == CaseStatus.WITHDRAWN
        assert (record.opened_on, record.closed_on) == (DAY, NEXT_DAY)
        assert record.items == ()

    def test_withdrawn_addition_is_delivered_as_a_removal(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        kept, gone = registration(chance), registration(chance, bank=MINORS.number)
        first = writer.register(gone, day=DAY)
        writer.register(kept, day=DAY)
        before = all_changes(reader)
        assert all(isinstance(change, Addition) for change in before)
        writer.withdraw(first.case_number, None, day=DAY)
        after = all_changes(reader)
        assert isinstance(after[0], Removal)
        assert isinstance(after[2], Removal)
        assert plain(after[0]) == plain(after[2]) == plain(before[0])[:3]
        assert plain(after[1]) == plain(before[1])
        assert [change.sequence for change in after[:2]] == [change.sequence for change in before]

    def test_items_are_withdrawn_one_by_one_and_the_last_closes_the_case(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        case = new_case(chance)
        first, second = new_item(chance), new_item(chance)
        writer.register(registration(chance, case, first, second), day=DAY)
        writer.withdraw(case.number, [first.item_id], day=DAY)
        record = writer.case(case.number)
        assert record is not None
        assert record.status == CaseStatus.ACTIVE
        assert [item.item_id for item in record.items] == [second.item_id]
        writer.withdraw(case.number, [second.item_id], day=NEXT_DAY)
        record = writer.case(case.number)
        assert record is not None
        assert (record.status, record.closed_on) == (CaseStatus.WITHDRAWN, NEXT_DAY)

    def test_withdrawing_again_changes_nothing(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        case = new_case(chance)
        item, other_item = new_item(chance), new_item(chance)
        writer.register(registration(chance, case, item, other_item), day=DAY)
        first = writer.withdraw(case.number, [item.item_id, item.item_id], day=DAY)
        assert writer.withdraw(case.number, [item.item_id], day=DAY) == first
        assert writer.withdraw(case.number, [], day=DAY) == first
        whole = writer.withdraw(case.number, None, day=DAY)
        record = writer.case(case.number)
        assert writer.withdraw(case.number, None, day=NEXT_DAY) == whole
        assert (
            writer.withdraw(case.number, [item.item_id, other_item.item_id], day=NEXT_DAY) == whole
        )
        assert writer.case(case.number) == record

    def test_withdrawing_an_item_of_another_case_withdraws_nothing(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        mine, foreign = registration(chance), registration(chance)
        case_number = writer.register(mine, day=DAY).case_number
        head = writer.register(foreign, day=DAY).cursor
        for item_id in (foreign.items[0].item_id, chance.randbytes(16)):
            with pytest.raises(NotFoundError):
                writer.withdraw(case_number, [mine.items[0].item_id, item_id], day=DAY)
        assert writer.head() == head
        assert all(isinstance(change, Addition) for change in all_changes(writer))

    def test_withdrawing_an_unknown_case_is_refused(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        with pytest.raises(NotFoundError):
            writer.withdraw(new_case(chance).number, None, day=DAY)

    def test_withdrawn_case_takes_no_more_items(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        case = new_case(chance)
        writer.register(registration(chance, case), day=DAY)
        head = writer.withdraw(case.number, None, day=DAY)
        with pytest.raises(CaseClosedError):
            writer.register(registration(chance, case.number), day=DAY)
        assert writer.head() == head

    @pytest.mark.parametrize("whole", [True, False])
    def test_late_retry_never_brings_back_what_was_withdrawn(
        self, writer: RegistryWriter, chance: random.Random, *, whole: bool
    ) -> None:
        request = registration(chance, None, new_item(chance), new_item(chance))
        result = writer.register(request, day=DAY)
        gone = None if whole else [request.items[0].item_id]
        head = writer.withdraw(result.case_number, gone, day=DAY)
        assert writer.registered(request.request_id) is None
        with pytest.raises(RequestIdReusedError):
            writer.register(request, day=DAY)
        assert writer.head() == head
