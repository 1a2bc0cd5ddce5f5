"""What withdrawing promises."""

import random

import pytest

from disrupt.core.changes import Addition, Removal
from disrupt.core.policy import MINORS
from disrupt.errors import (
    NotFoundError,
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

    def test_withdrawing_an_unknown_case_is_refused(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        with pytest.raises(NotFoundError):
            writer.withdraw(new_case(chance).number, None, day=DAY)
