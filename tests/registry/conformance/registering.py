"""Promises of registering, from a new registry on."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from disrupt.core.policy import ADULTS, COMMON, FIRST_BANKS
from disrupt.errors import (
    InvalidRequestError,
    NotFoundError,
    UnavailableError,
)
from disrupt.registry.records import NewCase, Registration
from disrupt.registry.registry import RegistryReader, RegistryWriter
from rig.media.registrations import DAY, NEXT_DAY, all_changes, new_case, new_item, registration
from tests.registry.conformance.opened import Opened, OpenWriter


class RegisteringConformance(Opened):
    """Registering keeps whole requests, each of them once."""

    def test_new_registry_has_the_first_banks_and_nothing_else(
        self, reader: RegistryReader
    ) -> None:
        assert reader.banks() == (*FIRST_BANKS, COMMON)
        assert reader.keys() == ()
        assert reader.head().sequence == 0
        assert len(reader.head().epoch) == 16
        assert all_changes(reader) == []

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
