"""A registry against a plain model: subclass the machine, and define ``open_writer``."""

import random
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from disrupt.core import media
from disrupt.core.cases import CaseStatus
from disrupt.core.changes import Cursor
from disrupt.core.policy import FIRST_BANKS, Bank
from disrupt.errors import CaseClosedError, NotFoundError, RequestIdReusedError
from disrupt.registry.contract import (
    CaseItem,
    NewItem,
    Registered,
    Registration,
    RegistryWriter,
)
from tests.registry.examples import DAY, NEXT_DAY, new_case, new_item, pages, plain, registration

HOW_MANY = st.integers(1, 3)
BANKS = st.sampled_from(FIRST_BANKS)


@dataclass
class ModelCase:
    pin_hash: str
    items: dict[bytes, NewItem] = field(default_factory=dict)
    closed_on: str = ""


@dataclass
class ModelRequest:
    registration: Registration
    result: Registered
    erased: bool = False


class RegistryMachine(RuleBasedStateMachine):
    """The model is dictionaries and a list; every step compares them to all that can be read."""

    case_numbers = Bundle("case_numbers")

    def __init__(self) -> None:
        super().__init__()
        self.closing = ExitStack()
        self.cases: dict[str, ModelCase] = {}
        self.requests: dict[bytes, ModelRequest] = {}
        self.log: list[bytes] = []
        """Item ids; the first mention of one is its addition, the second its removal."""
        self.banks: dict[bytes, int] = {}
        self.numbers: dict[bytes, object] = {}

    def open_writer(self) -> AbstractContextManager[RegistryWriter]:
        """Open the one registry of this run."""
        raise NotImplementedError

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self._open()

    def _open(self) -> None:
        self.writer = self.closing.enter_context(self.open_writer())

    def teardown(self) -> None:
        self.closing.close()

    @rule()
    def reopen(self) -> None:
        head = self.writer.head()
        self.closing.close()
        self._open()
        assert self.writer.head() == head

    @rule()
    def checkpoint(self) -> None:
        assert self.writer.checkpoint()

    @rule(target=case_numbers, items=HOW_MANY, bank=BANKS)
    def open_case(self, items: int, bank: Bank) -> str:
        case = new_case(self.chance)
        self.cases[case.number] = ModelCase(case.pin_hash)
        request = registration(self.chance, case, *self._items(items), bank=bank.number)
        self._register(request, case.number)
        return case.number

    @rule(number=case_numbers, items=HOW_MANY, bank=BANKS)
    def add_to_case(self, number: str, items: int, bank: Bank) -> None:
        request = registration(self.chance, number, *self._items(items), bank=bank.number)
        if self.cases[number].closed_on:
            with pytest.raises(CaseClosedError):
                self.writer.register(request, day=DAY)
        else:
            self._register(request, number)

    def _items(self, count: int) -> list[NewItem]:
        return [new_item(self.chance, self.chance.randint(1, 3)) for _ in range(count)]

    def _register(self, request: Registration, number: str) -> None:
        result = self.writer.register(request, day=DAY)
        assert result.case_number == number
        assert result.cursor == self.writer.head()
        self.requests[request.request_id] = ModelRequest(request, result)
        for item in request.items:
            self.cases[number].items[item.item_id] = item
            self.banks[item.item_id] = request.bank
            self.log.append(item.item_id)

    @rule(pick=st.randoms(use_true_random=False), same_digest=st.booleans())
    def retry(self, pick: random.Random, *, same_digest: bool) -> None:
        if not self.requests:
            return
        known = self.requests[pick.choice(sorted(self.requests))]
        request = known.registration
        if not same_digest:
            request = Registration(
                request.request_id,
                self.chance.randbytes(32),
                request.case,
                request.bank,
                request.assurance,
                request.items,
            )
        if same_digest and not known.erased:
            assert self.writer.register(request, day=NEXT_DAY) == known.result
        else:
            with pytest.raises(RequestIdReusedError):
                self.writer.register(request, day=NEXT_DAY)

    @rule(number=case_numbers, pick=st.randoms(use_true_random=False))
    def withdraw_some(self, number: str, pick: random.Random) -> None:
        items = self.cases[number].items
        gone = pick.sample(sorted(items), pick.randint(0, len(items)))
        self.writer.withdraw(number, gone, day=NEXT_DAY)
        self._forget(number, gone)

    @rule(number=case_numbers)
    def withdraw_all(self, number: str) -> None:
        self.writer.withdraw(number, None, day=NEXT_DAY)
        self._forget(number, list(self.cases[number].items))

    @rule(number=case_numbers, pick=st.randoms(use_true_random=False))
    def withdraw_what_is_not_there(self, number: str, pick: random.Random) -> None:
        strange = [
            item
            for case_number, case in self.cases.items()
            if case_number != number
            for item in case.items
        ]
        strange.append(self.chance.randbytes(16))
        mine = list(self.cases[number].items)
        with pytest.raises(NotFoundError):
            self.writer.withdraw(number, [*mine, pick.choice(strange)], day=NEXT_DAY)

    def _forget(self, number: str, gone: list[bytes]) -> None:
        case = self.cases[number]
        for item_id in case.items:
            if item_id in gone:
                self.log.append(item_id)
        for item_id in gone:
            del case.items[item_id]
            for request in self.requests.values():
                if item_id in {item.item_id for item in request.registration.items}:
                    request.erased = True
        if not case.items and not case.closed_on:
            case.closed_on = NEXT_DAY

    def _expected_feed(self) -> list[tuple[object, ...]]:
        alive = {
            item_id: item for case in self.cases.values() for item_id, item in case.items.items()
        }
        return [
            (
                item_id,
                self.banks[item_id],
                alive[item_id].kind,
                1,
                media.pack(alive[item_id].fingerprints),
            )
            if item_id in alive
            else (item_id, self.banks[item_id])
            for item_id in self.log
        ]

    @rule(limit=st.integers(1, 7), start=st.integers(0, 50))
    def read_on_from_any_cursor(self, limit: int, start: int) -> None:
        whole = [change for page, _ in pages(self.writer) for change in page]
        start = min(start, len(whole))
        sequence, mark = (whole[start - 1].sequence, whole[start - 1].mark) if start else (0, b"")
        cursor = Cursor(self.writer.head().epoch, sequence, mark)
        rest = [change for page, _ in pages(self.writer, cursor, limit) for change in page]
        assert [plain(change)[1:] for change in rest] == self._expected_feed()[start:]
        for change in rest:
            number, item_id = plain(change)[:2]
            assert isinstance(item_id, bytes)
            assert self.numbers.setdefault(item_id, number) == number
        assert len(set(self.numbers.values())) == len(self.numbers)

    @invariant()
    def feed_is_as_in_the_model(self) -> None:
        changes = [change for page, _ in pages(self.writer) for change in page]
        assert [plain(change)[1:] for change in changes] == self._expected_feed()

    @invariant()
    def cases_are_as_in_the_model(self) -> None:
        for number, case in self.cases.items():
            record = self.writer.case(number)
            assert record is not None
            closed = bool(case.closed_on)
            assert record.status == (CaseStatus.WITHDRAWN if closed else CaseStatus.ACTIVE)
            assert (record.opened_on, record.closed_on) == (DAY, case.closed_on)
            assert record.pin_hash == case.pin_hash
            assert record.items == tuple(
                CaseItem(item_id, self.banks[item_id], item.kind, len(item.fingerprints))
                for item_id, item in case.items.items()
            )

    @invariant()
    def requests_are_as_in_the_model(self) -> None:
        for request_id, known in self.requests.items():
            expected = (known.registration.request_digest, known.result)
            assert self.writer.registered(request_id) == (None if known.erased else expected)
