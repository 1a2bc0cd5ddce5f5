"""A registry against a plain model: subclass the machine, and define ``open_writer``."""

import random
from collections import Counter
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from disrupt.core import media
from disrupt.core.cases import AgeBand, CaseStatus
from disrupt.core.changes import NO_MARK, Cursor
from disrupt.core.media import MediaKind
from disrupt.core.policy import FIRST_BANKS, Bank
from disrupt.core.registrations import Outcome
from disrupt.core.renewals import identity_of
from disrupt.core.states import ItemState
from disrupt.core.tallies import Door, Statement, Tally
from disrupt.errors import (
    CaseClosedError,
    LimitExceededError,
    NotFoundError,
    RequestIdReusedError,
)
from disrupt.registry.records import CaseItem, HeldItem, NewItem, Registered, Registration
from disrupt.registry.registry import RegistryWriter
from rig.media.registrations import (
    DAY,
    NEXT_DAY,
    OWN,
    Row,
    item_of,
    new_case,
    new_item,
    pages,
    plain,
    registration,
)

HOW_MANY = st.integers(1, 3)
BANKS = st.sampled_from(FIRST_BANKS)
PARTS = [(plan, ordinal, version) for plan in (1, 2) for ordinal in (0, 1) for version in (0, 1)]
SHOWN = st.lists(
    st.tuples(
        st.integers(0, 1), st.lists(st.sampled_from(PARTS), unique=True), st.sampled_from(MediaKind)
    ),
    min_size=1,
    max_size=3,
)
SAID = {AgeBand.ADULT: "adults", AgeBand.MINOR: "minors", AgeBand.UNSURE: "unsure"}
Shown = list[tuple[int, list[Row], MediaKind]]
"""Contents of a registration: few pictures and videos, with any of few hashes of later plans."""


@dataclass
class ModelCase:
    pin_hash: str
    items: dict[bytes, NewItem] = field(default_factory=dict)
    numbers: dict[bytes, int] = field(default_factory=dict)
    """The number in the case of each item that it ever had."""
    successors: dict[bytes, bytes] = field(default_factory=dict)
    """Maps renewed items to those that took their places."""
    closed_on: str = ""

    def given(self) -> int:
        return max(self.numbers.values(), default=0)

    def names(self, item_id: bytes) -> list[bytes]:
        """Return the older ids of an item's picture, oldest last."""
        older = [old for old, new in self.successors.items() if new == item_id]
        return older + [name for old in older for name in self.names(old)]


def rows_of(item: NewItem) -> set[tuple[object, ...]]:
    """Return the plan of each fingerprint, and all else but its quality."""
    rest = ("hash", "profile", "ordinal", "start_ms", "end_ms")
    return {
        (int(row["plan"]), *(row[name].tobytes() for name in rest)) for row in item.fingerprints
    }


def is_same(item: NewItem, stored: NewItem) -> bool:
    """Tell whether two items are of one picture or video."""
    own, stored_own = ({row for row in rows_of(each) if row[0] == 0} for each in (item, stored))
    return item.kind == stored.kind and own == stored_own != set()


def improves(item: NewItem, stored: NewItem) -> bool:
    """Tell whether an item has fingerprints that belong in the place of the stored ones."""
    if rows_of(item).issubset(rows_of(stored)):
        return False
    return bool(item.fingerprints["plan"].max() >= stored.fingerprints["plan"].max())


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
        self.tallies = Counter[tuple[str, Tally, tuple[str, ...]]]()
        """What happened, by day, name and labels."""

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

    def _count(self, day: str, tally: Tally, *labels: str) -> None:
        self.tallies[day, tally, labels] += 1

    @rule()
    def checkpoint(self) -> None:
        assert self.writer.checkpoint()

    @rule(target=case_numbers, items=HOW_MANY, bank=BANKS)
    def open_case(self, items: int, bank: Bank) -> str:
        return self._open_case(self._items(items), bank)

    @rule(target=case_numbers, shown=SHOWN, bank=BANKS)
    def open_case_of_few_pictures(self, shown: Shown, bank: Bank) -> str:
        return self._open_case(self._pictures(shown), bank)

    def _open_case(self, items: list[NewItem], bank: Bank) -> str:
        case = new_case(self.chance)
        self.cases[case.number] = ModelCase(case.pin_hash)
        request = registration(
            self.chance, case, *items, bank=bank.number, statement=self._statement()
        )
        self._register(request, case.number)
        statement = request.statement
        assert statement is not None
        self._count(DAY, Tally.CASES_OPENED)
        self._count(f"{DAY[:7]}-01", Tally.DOORS, statement.door.name.lower())
        if statement.door == Door.PAGE:
            self._count(f"{DAY[:7]}-01", Tally.LANGUAGES, statement.language)
        return case.number

    def _statement(self) -> Statement:
        ages, doors = [*AgeBand], [*Door]
        language = self.chance.choice(["fr", "en", "other"])
        return Statement(self.chance.choice(ages), self.chance.choice(doors), language)

    @rule(number=case_numbers, items=HOW_MANY, bank=BANKS)
    def add_to_case(self, number: str, items: int, bank: Bank) -> None:
        self._add(number, self._items(items), bank)

    @rule(number=case_numbers, shown=SHOWN, bank=BANKS, room=st.none() | st.integers(0, 5))
    def add_few_pictures(self, number: str, shown: Shown, bank: Bank, room: int | None) -> None:
        self._add(number, self._pictures(shown), bank, room)

    def _add(self, number: str, items: list[NewItem], bank: Bank, room: int | None = None) -> None:
        request = registration(
            self.chance, number, *items, bank=bank.number, statement=self._statement()
        )
        case = self.cases[number]
        added, gone, *_ = self._arranged(request, case)
        growth = len(added) - len(gone)
        if case.closed_on:
            with pytest.raises(CaseClosedError):
                self.writer.register(request, day=DAY)
        elif room is not None and growth > 0 and len(case.items) + growth > room:
            with pytest.raises(LimitExceededError):
                self.writer.register(request, day=DAY, items_per_case=room)
        else:
            self._register(request, number, room)

    def _items(self, count: int) -> list[NewItem]:
        return [new_item(self.chance, self.chance.randint(1, 3)) for _ in range(count)]

    def _pictures(self, shown: Shown) -> list[NewItem]:
        return [
            item_of(self.chance, picture, OWN, *parts, kind=kind) for picture, parts, kind in shown
        ]

    def _arranged(
        self, request: Registration, case: ModelCase
    ) -> tuple[list[NewItem], dict[bytes, bytes], list[HeldItem]]:
        """Return what the case gets, what replaces what, and what it then has for each item."""
        added, gone, held = list[NewItem](), dict[bytes, bytes](), list[HeldItem]()
        given = case.given()
        for at, item in enumerate(request.items):
            earlier = [before for before in request.items[:at] if is_same(item, before)]
            if earlier:
                held.append(held[request.items.index(earlier[0])]._replace(outcome=Outcome.KEPT))
                continue
            best = item
            for again in request.items[at + 1 :]:
                if is_same(item, again) and improves(again, best):
                    best = again
            old = next((old for old in case.items.values() if is_same(item, old)), None)
            if old is not None and not improves(best, old):
                best = NewItem(best.item_id, best.kind, old.fingerprints)
                if self.banks[old.item_id] == request.bank:
                    at_hand = (old.item_id, len(old.fingerprints), case.numbers[old.item_id])
                    held.append(HeldItem(*at_hand, Outcome.KEPT))
                    continue
            added.append(best)
            if old is not None:
                gone[old.item_id] = best.item_id
                number, outcome = case.numbers[old.item_id], Outcome.RENEWED
            else:
                number = given = given + 1
                outcome = Outcome.ADDED
            held.append(HeldItem(best.item_id, len(best.fingerprints), number, outcome))
        return added, gone, held

    def _register(self, request: Registration, number: str, room: int | None = None) -> None:
        case = self.cases[number]
        added, gone, held = self._arranged(request, case)
        result = self.writer.register(request, day=DAY, items_per_case=room)
        assert result.case_number == number
        assert result.cursor == self.writer.head()
        assert result.items == tuple(held)
        assert request.statement is not None
        new = {holding.item_id for holding in held if holding.outcome == Outcome.ADDED}
        if new:
            self._count(DAY, Tally.REGISTRATIONS)
        for item in added:
            if item.item_id in new:
                age = SAID[request.statement.age]
                self._count(DAY, Tally.ITEMS_REGISTERED, item.kind.name.lower(), age)
        for item in added:
            case.items[item.item_id] = item
            case.numbers[item.item_id] = next(
                holding.number for holding in held if holding.item_id == item.item_id
            )
            self.banks[item.item_id] = request.bank
            self.log.append(item.item_id)
        for item_id in gone:
            self._forget(number, [item_id])
        case.successors |= gone
        self.requests[request.request_id] = ModelRequest(request, result)

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
                statement=request.statement,
            )
        if same_digest and not known.erased:
            assert self.writer.register(request, day=NEXT_DAY) == known.result
        else:
            with pytest.raises(RequestIdReusedError):
                self.writer.register(request, day=NEXT_DAY)

    @rule(number=case_numbers, pick=st.randoms(use_true_random=False))
    def withdraw_some(self, number: str, pick: random.Random) -> None:
        """Name items by their ids, by older ids, or by their numbers."""
        case = self.cases[number]
        gone = pick.sample(sorted(case.items), pick.randint(0, len(case.items)))
        numbers = {case.numbers[item_id] for item_id in gone if pick.random() < 1 / 3}
        ids = {item_id for item_id in gone if case.numbers[item_id] not in numbers}
        older = dict[bytes, list[bytes]]()
        for item_id in ids:
            names = case.names(item_id)
            if names and pick.random() < 1 / 2:
                older[item_id] = pick.sample(names, pick.randint(1, len(names)))
        named = [older.get(item_id, [item_id]) for item_id in sorted(ids)]
        done = self.writer.withdraw(
            number, [name for names in named for name in names], numbers=[*numbers], day=NEXT_DAY
        )
        assert done.cursor == self.writer.head()
        assert {
            (item.item_id, item.number, frozenset(item.replaced_ids)) for item in done.items
        } == {
            (item_id, case.numbers[item_id], frozenset(older.get(item_id, ()))) for item_id in gone
        }
        self._withdrawn(number, gone)

    @rule(number=case_numbers)
    def withdraw_all(self, number: str) -> None:
        items = list(self.cases[number].items)
        done = self.writer.withdraw(number, None, day=NEXT_DAY)
        assert {item.item_id for item in done.items} == set(items)
        self._withdrawn(number, items)

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
        case = self.cases[number]
        if not case.closed_on:
            with pytest.raises(NotFoundError):
                self.writer.withdraw(number, mine, numbers=[1, case.given() + 1], day=NEXT_DAY)
        gone = set(case.numbers) - set(case.items) - set(case.successors)
        numbers = {case.numbers[item_id] for item_id in gone}
        living = {case.numbers[item_id] for item_id in case.items}
        again = self.writer.withdraw(number, [*gone], numbers=[*numbers - living], day=NEXT_DAY)
        assert (again.items, again.cursor) == ((), self.writer.head())

    def _withdrawn(self, number: str, gone: list[bytes]) -> None:
        case = self.cases[number]
        for item_id in gone:
            age = "adults" if self.banks[item_id] == FIRST_BANKS[0].number else "minors"
            kind = case.items[item_id].kind.name.lower()
            self._count(NEXT_DAY, Tally.ITEMS_WITHDRAWN, kind, age)
        was_open = not case.closed_on
        self._forget(number, gone)
        if was_open and case.closed_on:
            self._count(NEXT_DAY, Tally.CASES_CLOSED, "withdrawn")

    def _forget(self, number: str, gone: list[bytes]) -> None:
        case = self.cases[number]
        for item_id in case.items:
            if item_id in gone:
                self.log.append(item_id)
        for item_id in gone:
            del case.items[item_id]
            for request in self.requests.values():
                if item_id in {item.item_id for item in request.result.items}:
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
        at = (whole[start - 1].sequence, whole[start - 1].mark) if start else (0, NO_MARK)
        cursor = Cursor(self.writer.head().epoch, *at)
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
        assert all(first.sequence < second.sequence for first, second in pairwise(changes))

    @invariant()
    def cases_are_as_in_the_model(self) -> None:
        for number, case in self.cases.items():
            record = self.writer.case(number)
            assert record is not None
            closed = bool(case.closed_on)
            assert record.status == (CaseStatus.WITHDRAWN if closed else CaseStatus.ACTIVE)
            assert (record.opened_on, record.closed_on) == (DAY, case.closed_on)
            assert record.pin_hash == self.writer.pin_hash(number) == case.pin_hash
            assert record.items == tuple(
                CaseItem(
                    *(item_id, self.banks[item_id], item.kind, len(item.fingerprints)),
                    *(case.numbers[item_id], DAY),
                    identity_of(item.kind, item.fingerprints),
                    ItemState.LIVE,
                )
                for item_id, item in sorted(
                    case.items.items(), key=lambda pair: case.numbers[pair[0]]
                )
            )
            assert record.numbers_given == (0 if closed else case.given())

    @invariant()
    def tallies_are_as_in_the_model(self) -> None:
        counts = self.writer.tallies("0001-01-01", "9999-12-31", limit=10_000)
        assert {(each.day, each.tally, each.labels): each.count for each in counts} == self.tallies

    @invariant()
    def requests_are_as_in_the_model(self) -> None:
        for request_id, known in self.requests.items():
            expected = (known.registration.request_digest, known.result)
            assert self.writer.registered(request_id) == (None if known.erased else expected)
