"""What registering promises, from a new registry on."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from disrupt.core import media
from disrupt.core.cases import CaseStatus
from disrupt.core.media import MediaKind
from disrupt.core.policy import ADULTS, FIRST_BANKS, MINORS
from disrupt.errors import (
    InvalidRequestError,
    NotFoundError,
    RequestIdReusedError,
    UnavailableError,
)
from disrupt.registry.contract import (
    CaseItem,
    HeldItem,
    NewCase,
    Registration,
    RegistryReader,
    RegistryWriter,
)
from tests.registry.conformance.opened import Opened, OpenWriter
from tests.registry.examples import (
    DAY,
    NEXT_DAY,
    all_changes,
    new_case,
    new_item,
    plain,
    registration,
)


class RegisteringConformance(Opened):
    """Registering keeps whole requests, each of them once."""

    def test_new_registry_has_the_first_banks_and_nothing_else(
        self, reader: RegistryReader
    ) -> None:
        assert reader.banks() == FIRST_BANKS
        assert reader.keys() == ()
        assert reader.head().sequence == 0
        assert len(reader.head().epoch) == 16
        assert all_changes(reader) == []

    def test_epoch_stays_when_reopened(
        self, open_writer: OpenWriter, chance: random.Random
    ) -> None:
        with open_writer() as writer:
            head = writer.register(registration(chance), day=DAY).cursor
        with open_writer() as writer:
            assert writer.head() == head
            assert writer.banks() == FIRST_BANKS

    def test_registration_opens_an_active_case_with_its_items_in_order(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        case = new_case(chance)
        items = (new_item(chance, 1), new_item(chance, 300, MediaKind.VIDEO), new_item(chance, 3))
        request = registration(chance, case, *items, bank=MINORS.number)
        result = writer.register(request, day=DAY)
        assert result.case_number == case.number
        assert result.status == CaseStatus.ACTIVE
        assert result.items == tuple(
            HeldItem(item.item_id, len(item.fingerprints)) for item in items
        )
        assert result.cursor == reader.head()
        record = reader.case(case.number)
        assert record is not None
        assert (record.number, record.pin_hash) == (case.number, case.pin_hash)
        assert (record.status, record.opened_on, record.closed_on) == (CaseStatus.ACTIVE, DAY, "")
        assert record.items == tuple(
            CaseItem(item.item_id, MINORS.number, item.kind, len(item.fingerprints))
            for item in items
        )

    def test_changes_carry_whole_items_as_registered(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        items = (new_item(chance, 1), new_item(chance, 500, MediaKind.VIDEO))
        request = registration(chance, None, *items, bank=MINORS.number)
        result = writer.register(request, day=DAY)
        changes = all_changes(reader)
        assert [plain(change)[1:] for change in changes] == [
            (
                item.item_id,
                MINORS.number,
                item.kind,
                request.assurance,
                media.pack(item.fingerprints),
            )
            for item in items
        ]
        assert changes[-1].sequence == result.cursor.sequence

    def test_items_of_one_case_are_in_the_banks_of_their_registrations(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        case = new_case(chance)
        first = registration(chance, case, bank=ADULTS.number)
        second = registration(chance, case.number, bank=MINORS.number)
        writer.register(first, day=DAY)
        result = writer.register(second, day=NEXT_DAY)
        assert result.case_number == case.number
        record = writer.case(case.number)
        assert record is not None
        assert record.opened_on == DAY
        expected = [
            (first.items[0].item_id, ADULTS.number),
            (second.items[0].item_id, MINORS.number),
        ]
        assert [(item.item_id, item.bank) for item in record.items] == expected
        assert [plain(change)[1:3] for change in all_changes(writer)] == expected

    def test_same_request_is_answered_as_before_and_stored_once(
        self, open_writer: OpenWriter, chance: random.Random
    ) -> None:
        request = registration(chance, None, new_item(chance), new_item(chance))
        with open_writer() as writer:
            first = writer.register(request, day=DAY)
            writer.register(registration(chance), day=DAY)
            assert writer.register(request, day=NEXT_DAY) == first
        with open_writer() as writer:
            # The server draws these anew for a retry, and the registry ignores them.
            retry = Registration(
                request.request_id,
                request.request_digest,
                new_case(chance),
                request.bank,
                request.assurance,
                (new_item(chance),),
            )
            assert writer.register(retry, day=NEXT_DAY) == first
            assert writer.registered(request.request_id) == (request.request_digest, first)
            assert len(all_changes(writer)) == 3

    def test_request_id_with_other_content_is_refused(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        request = registration(chance)
        writer.register(request, day=DAY)
        second = Registration(
            request.request_id,
            chance.randbytes(32),
            new_case(chance),
            request.bank,
            request.assurance,
            (new_item(chance),),
        )
        with pytest.raises(RequestIdReusedError):
            writer.register(second, day=DAY)
        assert len(all_changes(writer)) == 1
        assert isinstance(second.case, NewCase)
        assert writer.case(second.case.number) is None

    def test_unknown_request_id_is_none(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        assert writer.registered(chance.randbytes(16)) is None

    def test_registering_nothing_is_refused(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        empty = Registration(
            chance.randbytes(16),
            chance.randbytes(32),
            new_case(chance),
            ADULTS.number,
            registration(chance).assurance,
            (),
        )
        with pytest.raises(InvalidRequestError):
            writer.register(empty, day=DAY)

    def test_adding_to_an_unknown_case_is_refused(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        with pytest.raises(NotFoundError):
            writer.register(registration(chance, new_case(chance).number), day=DAY)
        assert writer.head().sequence == 0

    def test_taken_case_number_or_item_id_keeps_nothing(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        first = registration(chance)
        writer.register(first, day=DAY)
        assert isinstance(first.case, NewCase)
        same_number = registration(chance, NewCase(first.case.number, "other"))
        same_item = registration(chance, new_case(chance), new_item(chance), first.items[0])
        before = writer.head()
        for refused in (same_number, same_item):
            with pytest.raises(UnavailableError):
                writer.register(refused, day=DAY)
            assert writer.registered(refused.request_id) is None
        assert writer.head() == before
        assert isinstance(same_item.case, NewCase)
        assert writer.case(same_item.case.number) is None

    def test_the_pin_hash_of_a_case_is_that_it_was_opened_with(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        case = new_case(chance)
        writer.register(registration(chance, case), day=DAY)
        for _ in range(2):
            assert writer.pin_hash(case.number) == case.pin_hash
            writer.withdraw(case.number, None, day=DAY)
        assert writer.pin_hash(new_case(chance).number) is None

    def test_many_threads_read_and_write_through_one_writer(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        requests = [registration(chance) for _ in range(40)]

        def register(request: Registration) -> bool:
            result = writer.register(request, day=DAY)
            # Whatever is acknowledged is visible at once.
            return writer.head().sequence >= result.cursor.sequence and writer.registered(
                request.request_id
            ) == (request.request_digest, result)

        with ThreadPoolExecutor(20) as pool:
            assert all(pool.map(register, requests))
        assert len(all_changes(writer)) == 40
