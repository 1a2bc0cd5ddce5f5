"""A registry against a plain model: subclass the machine, and define ``open_writer``."""

import hashlib
import random
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from disrupt.core import media
from disrupt.core.cases import CaseStatus
from disrupt.core.changes import Addition, Change, Cursor, Removal, StateChange
from disrupt.core.media import ItemState, MediaKind, StateReason
from disrupt.core.outcomes import Outcome as MatchOutcome
from disrupt.core.outcomes import Report
from disrupt.core.policy import FIRST_BANKS, Bank
from disrupt.core.registrations import Outcome
from disrupt.errors import (
    CaseClosedError,
    LimitExceededError,
    NotFoundError,
    RequestIdReusedError,
)
from disrupt.registry.contract import (
    CaseItem,
    NewItem,
    Place,
    Registered,
    Registration,
    RegistryWriter,
)
from tests.registry.examples import (
    ACT,
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
WAITS = (StateReason.BANK, StateReason.HARMLESS, StateReason.FLOOD)
PARTS = [(plan, ordinal, version) for plan in (1, 2) for ordinal in (0, 1) for version in (0, 1)]
SHOWN = st.lists(
    st.tuples(
        st.integers(0, 1), st.lists(st.sampled_from(PARTS), unique=True), st.sampled_from(MediaKind)
    ),
    min_size=1,
    max_size=3,
)
Shown = list[tuple[int, list[Row], MediaKind]]
"""What a registration shows: few pictures and videos, with any of few hashes of later plans."""


REPORTS_PER_ITEM = 2


def day_of(number: int) -> str:
    """Return the ISO date of a day, counted from the first."""
    return (date.fromisoformat(DAY) + timedelta(days=number)).isoformat()


@dataclass
class ModelCase:
    pin_hash: str
    items: dict[bytes, NewItem] = field(default_factory=dict)
    closed_on: str = ""


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


def as_in_the_model(change: Change) -> tuple[object, ...]:
    return (type(change), *plain(change)[1:])


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
        self.log: list[tuple[type[Change], bytes]] = []
        """Changes and the ids of their items, as they happened."""
        self.left: dict[int, int] = {}
        """Banks that items left, by the place in the log."""
        self.mirrors: dict[int, tuple[Cursor, set[bytes]]] = {}
        """Of each bank: how far it was read, and the items that are in it by what was read."""
        self.states: dict[bytes, ItemState] = {}
        self.banks: dict[bytes, int] = {}
        self.numbers: dict[bytes, object] = {}
        self.reports: list[tuple[int, Report]] = []
        """Days and reports that were recorded, of whatever item, oldest first."""
        self.day = 0

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
        return self._open_case(self._items(items), bank)

    @rule(target=case_numbers, shown=SHOWN, bank=BANKS)
    def open_case_of_few_pictures(self, shown: Shown, bank: Bank) -> str:
        return self._open_case(self._pictures(shown), bank)

    def _open_case(self, items: list[NewItem], bank: Bank) -> str:
        case = new_case(self.chance)
        self.cases[case.number] = ModelCase(case.pin_hash)
        request = registration(self.chance, case, *items, bank=bank.number)
        self._register(request, case.number)
        return case.number

    @rule(number=case_numbers, items=HOW_MANY, bank=BANKS)
    def add_to_case(self, number: str, items: int, bank: Bank) -> None:
        self._add(number, self._items(items), bank)

    @rule(number=case_numbers, shown=SHOWN, bank=BANKS, room=st.none() | st.integers(0, 5))
    def add_few_pictures(self, number: str, shown: Shown, bank: Bank, room: int | None) -> None:
        self._add(number, self._pictures(shown), bank, room)

    def _add(self, number: str, items: list[NewItem], bank: Bank, room: int | None = None) -> None:
        request = registration(self.chance, number, *items, bank=bank.number)
        case = self.cases[number]
        added, gone, _ = self._arranged(request, case)
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
            replace(
                item_of(self.chance, picture, OWN, *parts, kind=kind),
                waits=self.chance.choice([None, None, *WAITS]),
            )
            for picture, parts, kind in shown
        ]

    def _arranged(
        self, request: Registration, case: ModelCase
    ) -> tuple[list[NewItem], list[bytes], list[Place]]:
        """Return what the case gets and loses, and what it then has for each item."""
        added, gone, places = list[NewItem](), list[bytes](), list[Place]()
        for at, item in enumerate(request.items):
            earlier = [before for before in request.items[:at] if is_same(item, before)]
            if earlier:
                places.append(
                    places[request.items.index(earlier[0])]._replace(outcome=Outcome.KEPT)
                )
                continue
            best, waits = item, item.waits
            for again in request.items[at + 1 :]:
                if is_same(item, again):
                    waits = waits or again.waits
                    best = again if improves(again, best) else best
            old = next((old for old in case.items.values() if is_same(item, old)), None)
            if old is not None and not improves(best, old):
                best = NewItem(best.item_id, best.kind, old.fingerprints)
                if self.banks[old.item_id] == request.bank:
                    state = self.states[old.item_id]
                    places.append(Place(old.item_id, len(old.fingerprints), Outcome.KEPT, state))
                    continue
            added.append(best)
            gone += [old.item_id] if old is not None else []
            outcome = Outcome.RENEWED if old is not None else Outcome.ADDED
            state = self.states[old.item_id] if old is not None else ItemState.LIVE
            had = old is not None and self.banks[old.item_id] == request.bank
            if waits and state == ItemState.LIVE and not (waits == StateReason.BANK and had):
                state = ItemState.WAITING
            places.append(Place(best.item_id, len(best.fingerprints), outcome, state))
        return added, gone, places

    def _register(self, request: Registration, number: str, room: int | None = None) -> None:
        case = self.cases[number]
        added, gone, places = self._arranged(request, case)
        result = self.writer.register(request, day=DAY, items_per_case=room)
        assert result.case_number == number
        assert result.cursor == self.writer.head()
        assert result.items == tuple(places)
        for item in added:
            case.items[item.item_id] = item
            self.banks[item.item_id] = request.bank
            self.states[item.item_id] = ItemState.LIVE
            self.log.append((Addition, item.item_id))
        states = {place.item_id: place.state for place in places}
        for item in added:
            self._change_state(item.item_id, states[item.item_id])
        for item_id in gone:
            self._forget(number, [item_id])
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
            )
        if same_digest and not known.erased:
            assert self.writer.register(request, day=NEXT_DAY) == self._now(known)
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

    @rule()
    def let_a_day_pass(self) -> None:
        self.day += 1

    @rule(
        pick=st.randoms(use_true_random=False),
        reporter=st.sampled_from("ab"),
        outcome=st.sampled_from(MatchOutcome),
    )
    def report(self, pick: random.Random, reporter: str, outcome: MatchOutcome) -> None:
        known = sorted(self.banks)
        item_id = pick.choice(known) if known else self.chance.randbytes(16)
        digest = hashlib.sha256(item_id + reporter.encode() + bytes([pick.randrange(3)])).digest()
        report = Report(item_id, reporter, digest, outcome)
        digests = {
            earlier.match_digest
            for _, earlier in self.reports
            if (earlier.item_id, earlier.reporter) == (item_id, reporter)
        }
        refused: type[Exception] | None = None
        if not any(item_id in case.items for case in self.cases.values()):
            refused = NotFoundError
        elif digest not in digests and len(digests) == REPORTS_PER_ITEM:
            refused = LimitExceededError
        with pytest.raises(refused) if refused else nullcontext():
            self.writer.report(report, day=day_of(self.day), reports_per_item=REPORTS_PER_ITEM)
        if refused is None:
            self.reports.append((self.day, report))

    @invariant()
    def outcomes_are_as_in_the_model(self) -> None:
        for number, case in self.cases.items():
            for day in (self.day, self.day + 1):
                last = {
                    report.match_digest: report
                    for reported_on, report in self.reports
                    if reported_on < day and report.item_id in case.items
                }
                expected: dict[bytes, set[MatchOutcome]] = {}
                for report in last.values():
                    expected.setdefault(report.item_id, set()).add(report.outcome)
                assert self.writer.outcomes(number, before=day_of(day)) == expected

    def _forget(self, number: str, gone: list[bytes]) -> None:
        case = self.cases[number]
        for item_id in case.items:
            if item_id in gone:
                self.log.append((Removal, item_id))
        for item_id in gone:
            del case.items[item_id]
            for request in self.requests.values():
                if item_id in {place.item_id for place in request.result.items}:
                    request.erased = True
        if not case.items and not case.closed_on:
            case.closed_on = NEXT_DAY

    def _alive(self) -> dict[bytes, NewItem]:
        return {
            item_id: item for case in self.cases.values() for item_id, item in case.items.items()
        }

    @rule(pick=st.randoms(use_true_random=False), state=st.sampled_from(ItemState))
    def set_states(self, pick: random.Random, state: ItemState) -> None:
        alive = sorted(self._alive())
        item_ids = pick.sample(alive, pick.randint(0, min(3, len(alive))))
        assert self.writer.set_states(item_ids, state, day=DAY, act=ACT) == self.writer.head()
        for item_id in self.log_order(item_ids):
            self._change_state(item_id, state)

    @rule(pick=st.randoms(use_true_random=False), state=st.sampled_from(ItemState))
    def set_the_state_of_what_is_not_there(self, pick: random.Random, state: ItemState) -> None:
        alive = self._alive()
        gone = [item_id for item_id in self.banks if item_id not in alive]
        strange = pick.choice([*gone, self.chance.randbytes(16)])
        with pytest.raises(NotFoundError):
            self.writer.set_states([*alive, strange], state, day=DAY, act=ACT)

    @rule(pick=st.randoms(use_true_random=False), bank=BANKS)
    def move(self, pick: random.Random, bank: Bank) -> None:
        alive = sorted(self._alive())
        item_ids = pick.sample(alive, pick.randint(0, min(3, len(alive))))
        assert self.writer.move_items(item_ids, bank.number, act=ACT) == self.writer.head()
        moved = [item for item in self.log_order(item_ids) if self.banks[item] != bank.number]
        for item_id in moved:
            self.left[len(self.log)] = self.banks[item_id]
            self.log.append((StateChange, item_id))
            self.banks[item_id] = bank.number
            if self.states[item_id] == ItemState.LIVE:
                self.log.append((StateChange, item_id))

    @rule(bank=BANKS, limit=st.integers(1, 7))
    def read_one_bank(self, bank: Bank, limit: int) -> None:
        start = (Cursor(self.writer.head().epoch, 0), set[bytes]())
        cursor, held = self.mirrors.get(bank.number, start)
        changes, cursor = self.writer.changes(cursor, limit, [bank.number])
        for change in changes:
            assert change.bank == bank.number
            if change.item is None:
                held.discard(change.item_id)
            else:
                assert change.item_id not in held
                held.add(change.item_id)
        self.mirrors[bank.number] = (cursor, held)
        if cursor == self.writer.head():
            assert held == {
                item_id
                for item_id in self._alive()
                if self.states[item_id] == ItemState.LIVE and self.banks[item_id] == bank.number
            }

    def log_order(self, item_ids: list[bytes]) -> list[bytes]:
        """Return item ids in the order of their additions."""
        return [item_id for kind, item_id in self.log if kind is Addition and item_id in item_ids]

    def _change_state(self, item_id: bytes, state: ItemState) -> None:
        if self.states[item_id] != state:
            self.states[item_id] = state
            self.log.append((StateChange, item_id))

    def _expected_feed(self) -> list[tuple[object, ...]]:
        alive = self._alive()
        newest = {item_id: at for at, (kind, item_id) in enumerate(self.log) if kind is not Removal}
        feed = list[tuple[object, ...]]()
        for at, (kind, item_id) in enumerate(self.log):
            what: tuple[object, ...] = (kind, item_id, self.left.get(at, self.banks[item_id]))
            is_live = item_id in alive and self.states[item_id] == ItemState.LIVE
            if is_live and newest[item_id] == at:
                item = alive[item_id]
                what += (item.kind, 1, media.pack(item.fingerprints))
            elif kind is Addition:
                what = (Removal, *what[1:])
            feed.append(what)
        return feed

    @rule(limit=st.integers(1, 7), start=st.integers(0, 50))
    def read_on_from_any_cursor(self, limit: int, start: int) -> None:
        whole = [change for page, _ in pages(self.writer) for change in page]
        start = min(start, len(whole))
        sequence, mark = (whole[start - 1].sequence, whole[start - 1].mark) if start else (0, b"")
        cursor = Cursor(self.writer.head().epoch, sequence, mark)
        rest = [change for page, _ in pages(self.writer, cursor, limit) for change in page]
        assert [as_in_the_model(change) for change in rest] == self._expected_feed()[start:]
        for change in rest:
            number, item_id = plain(change)[:2]
            assert isinstance(item_id, bytes)
            assert self.numbers.setdefault(item_id, number) == number
        assert len(set(self.numbers.values())) == len(self.numbers)

    @invariant()
    def feed_is_as_in_the_model(self) -> None:
        changes = [change for page, _ in pages(self.writer) for change in page]
        assert [as_in_the_model(change) for change in changes] == self._expected_feed()

    @invariant()
    def additions_are_what_is_live(self) -> None:
        head = self.writer.head()
        items, cursor = self.writer.additions(Cursor(head.epoch, 0), head, 10_000)
        alive = self._alive()
        live = [item for item in alive if self.states[item] == ItemState.LIVE]
        assert [item_id.tobytes() for item_id in items.item_id] == self.log_order(live)
        assert cursor == head

    @invariant()
    def states_are_as_in_the_model(self) -> None:
        alive = self.log_order(list(self._alive()))
        records = self.writer.states(alive)
        assert [(record.item_id, record.state) for record in records] == [
            (item_id, self.states[item_id]) for item_id in alive
        ]

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
                CaseItem(
                    item_id,
                    self.banks[item_id],
                    item.kind,
                    len(item.fingerprints),
                    self.states[item_id],
                )
                for item_id, item in case.items.items()
            )

    def _now(self, known: ModelRequest) -> Registered:
        """Return the answer to a request, with the states that its items have now."""
        places = (
            place._replace(state=self.states.get(place.item_id, place.state))
            for place in known.result.items
        )
        return replace(known.result, items=tuple(places))

    @invariant()
    def requests_are_as_in_the_model(self) -> None:
        for request_id, known in self.requests.items():
            expected = (known.registration.request_digest, self._now(known))
            assert self.writer.registered(request_id) == (None if known.erased else expected)
