"""Erasures without a PIN against a plain model: subclass it, and define ``open_writer``."""

import random
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from disrupt.core.acts import Action
from disrupt.core.case_erasures import day_of
from disrupt.core.media import ItemState, StateReason
from disrupt.core.policy import ApiKey
from disrupt.errors import DisruptError
from disrupt.registry.contract import RegistryWriter
from tests.registry.case_erasures import (
    AT_S,
    DAY_S,
    HOUR_S,
    REVIEWERS,
    by,
    by_server,
    reviewer,
)
from tests.registry.examples import ACT, DAY, all_changes, new_item, registration

HOLDERS = (*REVIEWERS, reviewer("00000003", REVIEWERS[0].name), reviewer("00000004", "Carla"))
"""Keys of three persons: the first has two."""

KEYS = st.sampled_from(HOLDERS)
HOURS = st.sampled_from((1, 23, 24, 6 * 24, 7 * 24))

State = tuple[ItemState, StateReason | None]
LIVE: State = (ItemState.LIVE, None)
PIN_LOST: State = (ItemState.DISABLED, StateReason.PIN_LOST)


@dataclass
class ModelCase:
    """What is known of a case: for each item its state, and that to give back if there is one."""

    items: dict[bytes, list[State]]
    requested: tuple[ApiKey, int] | None = None
    due_at_s: int | None = None
    erased: bool = False
    closed: bool = field(default=False)


class CaseErasuresMachine(RuleBasedStateMachine):
    """Requests, confirmations, stops, withdrawals, staff's decisions, restarts and time."""

    numbers = Bundle("numbers")

    def __init__(self) -> None:
        super().__init__()
        self.closing = ExitStack()
        self.cases: dict[str, ModelCase] = {}
        self.now_s = AT_S

    def open_writer(self) -> AbstractContextManager[RegistryWriter]:
        """Open the one registry of this run."""
        raise NotImplementedError

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.writer = self.closing.enter_context(self.open_writer())
        for key in HOLDERS:
            self.writer.add_key(key, act=ACT)

    def teardown(self) -> None:
        self.closing.close()

    @rule()
    def restart(self) -> None:
        self.closing.close()
        self.writer = self.closing.enter_context(self.open_writer())

    @rule(target=numbers, items=st.integers(1, 3))
    def open_case(self, items: int) -> str:
        added = [new_item(self.chance) for _ in range(items)]
        request = registration(self.chance, None, *added)
        number = self.writer.register(request, day=DAY).case_number
        self.cases[number] = ModelCase({item.item_id: [LIVE] for item in added})
        return number

    @rule(number=numbers)
    def register(self, number: str) -> None:
        case, item = self.cases[number], new_item(self.chance)
        request = registration(self.chance, number, item)
        if case.closed or case.due_at_s is not None:
            reason = "CASE_CLOSED" if case.closed else "ERASURE_PENDING"
            self.refused(reason, lambda: self.writer.register(request, day=DAY))
        else:
            self.writer.register(request, day=DAY)
            case.items[item.item_id] = [LIVE]

    @rule(hours=HOURS)
    def let_time_pass(self, hours: int) -> None:
        self.now_s += hours * HOUR_S

    @rule(number=numbers, key=KEYS)
    def request(self, number: str, key: ApiKey) -> None:
        case = self.cases[number]
        if case.closed:
            self.refused("CASE_CLOSED", lambda: self._request(number, key))
            return
        self._request(number, key)
        if case.due_at_s is None and not self._is_requested(case):
            case.requested = (key, self.now_s)

    def _request(self, number: str, key: ApiKey) -> None:
        self.writer.request_erasure(number, act=by(key, self.now_s))

    def _is_requested(self, case: ModelCase) -> bool:
        return case.requested is not None and self.now_s < case.requested[1] + DAY_S

    @rule(number=numbers, key=KEYS)
    def confirm(self, number: str, key: ApiKey) -> None:
        case, day = self.cases[number], day_of(self.now_s)
        act = by(key, self.now_s, Action.ERASURE_CONFIRMED)

        def confirm() -> None:
            self.writer.confirm_erasure(number, day=day, act=act)

        if case.closed:
            self.refused("CASE_CLOSED", confirm)
        elif case.due_at_s is not None:
            confirm()
        elif case.requested is None or not self._is_requested(case):
            self.refused("ERASURE_NOT_REQUESTED", confirm)
        elif case.requested[0].name == key.name:
            self.refused("SECOND_KEY_NEEDED", confirm)
        else:
            confirm()
            case.due_at_s = self.now_s + 7 * DAY_S
            for states in case.items.values():
                if states[-1][0] != ItemState.DISABLED:
                    states.append(PIN_LOST)

    @rule(number=numbers)
    def request_and_confirm(self, number: str) -> None:
        first, second = REVIEWERS
        self.request(number, first)
        self.confirm(number, second)

    def refused(self, reason: str, call: Callable[[], object]) -> None:
        with pytest.raises(DisruptError) as error:
            call()
        assert error.value.reason == reason

    @rule(number=numbers)
    def stop(self, number: str) -> None:
        case = self.cases[number]

        def stop() -> None:
            act = by_server(self.now_s, Action.ERASURE_STOPPED)
            self.writer.stop_erasure(number, day=day_of(self.now_s), act=act)

        if case.closed:
            self.refused("CASE_CLOSED", stop)
            return
        stop()
        case.requested = case.due_at_s = None
        for states in case.items.values():
            states[:] = [states[0] if states[-1] == PIN_LOST else states[-1]]

    @rule(number=numbers, pick=st.randoms(use_true_random=False), whole=st.booleans())
    def withdraw(self, number: str, pick: random.Random, *, whole: bool) -> None:
        case = self.cases[number]
        gone = sorted(case.items) if whole else sorted(case.items)[: pick.randint(0, 1)]
        self.writer.withdraw(number, None if whole else gone, day=DAY)
        for item_id in gone:
            del case.items[item_id]
        if not case.items and not case.closed:
            case.closed, case.requested, case.due_at_s = True, None, None

    @rule(number=numbers, state=st.sampled_from(ItemState))
    def decide(self, number: str, state: ItemState) -> None:
        """Let staff give the first item of a case a state, without a reason if it is LIVE."""
        for item_id, states in list(self.cases[number].items.items())[:1]:
            reason = None if state == ItemState.LIVE else StateReason.STAFF
            self.writer.set_states([item_id], state, day=DAY, act=ACT, reason=reason)
            if states[-1] != (state, reason):
                states[:] = [*states[:-1], (state, reason)]

    @rule()
    def erase_what_is_due(self) -> None:
        due = [
            number
            for number, case in self.cases.items()
            if case.due_at_s is not None and not case.closed and self.now_s >= case.due_at_s
        ]
        assert list(self.writer.due_erasures(self.now_s)) == due
        for number in self.cases:  # also those that are not
            act = by_server(self.now_s)
            self.writer.complete_erasure(number, day=day_of(self.now_s), act=act)
        for number in due:
            case = self.cases[number]
            case.items.clear()
            case.closed = case.erased = True
        for case in self.cases.values():
            if case.due_at_s is None and not self._is_requested(case):
                case.requested = None

    @invariant()
    def all_is_as_in_the_model(self) -> None:
        live = set[bytes]()
        for number, case in self.cases.items():
            record = self.writer.case(number)
            assert record is not None
            assert {item.item_id for item in record.items} == set(case.items)
            states = self.writer.states(list(case.items))
            assert {state.item_id: (state.state, state.reason) for state in states} == {
                item_id: before[-1] for item_id, before in case.items.items()
            }
            live |= {state.item_id for state in states if state.state == ItemState.LIVE}
            erasure = record.erasure
            assert (erasure is not None) == (case.requested is not None)
            if erasure is not None and case.requested is not None:
                assert (erasure.requested_by, erasure.requested_at_s) == (
                    *(case.requested[0].key_id, case.requested[1]),
                )
                assert erasure.due_at_s == case.due_at_s
                assert bool(erasure.erased_on) == case.erased
        shown = {change.item.item_id for change in all_changes(self.writer) if change.item}
        assert shown == live
