"""A flow's window answers every batch once, in order, whatever becomes of its calls; no server."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from disrupt.client.retries import Attempts, RetryPolicy
from disrupt.client.window import IN_FLIGHT, Answers, Request, Sender, Window
from disrupt.core.hashes import HASH_BYTES
from disrupt.errors import (
    DeadlineExceededError,
    DisruptError,
    InvalidRequestError,
    UnauthenticatedError,
    UnavailableError,
)
from disrupt.v1 import match_pb2

TIMEOUT_S = 10.0
PAUSE_S = 0.1
AWAY = UnavailableError("Away.")
LATE = DeadlineExceededError("Late.")


class Clock:
    """A clock that stands until it is set."""

    now_s = 0.0

    def attempts(self) -> Attempts:
        return Attempts(
            RetryPolicy(None, PAUSE_S, PAUSE_S),
            TIMEOUT_S,
            clock=lambda: self.now_s,
            jitter=lambda: 0.0,
        )


def request_of(number: int) -> Request:
    return Request(hashes=number.to_bytes(8) + bytes(HASH_BYTES - 8))


def answer_to(
    request: match_pb2.StreamMatchHashesRequest,
) -> match_pb2.StreamMatchHashesResponse:
    cursor = str(int.from_bytes(request.batch.hashes[:8]))
    batch = match_pb2.MatchHashesResponse(index_cursor=cursor)
    return match_pb2.StreamMatchHashesResponse(batch=batch, sequence=request.sequence)


def numbers(answers: Answers | None) -> list[int]:
    assert answers is not None
    return [int(answer.index_cursor) for answer in answers]


class Flow(RuleBasedStateMachine):
    """A window beside a list of batches, a server that answers or fails, and a taker."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.window = Window(self.clock.attempts)
        self.batches: list[list[int]] = []
        self.taken = 0
        self.asked = 0
        self.answered = 0
        self.given = False
        self.sender: Sender | None = None
        self.failed = False
        self.sent: deque[match_pb2.StreamMatchHashesRequest] = deque()

    @property
    def answers(self) -> int:
        """Number of batches that are answered and not taken."""
        ends, whole = 0, 0
        for batch in self.batches:
            ends += len(batch)
            whole += ends <= self.answered
        return whole - self.taken

    @precondition(lambda self: not self.given and self.window.takes_more())
    @rule(parts=st.integers(1, 3))
    def add(self, parts: int) -> None:
        batch = list(range(self.asked, self.asked + parts))
        assert self.window.add([request_of(number) for number in batch])
        self.asked += parts
        self.batches.append(batch)

    @precondition(lambda self: not self.given)
    @rule()
    def finish(self) -> None:
        self.window.finish(None)
        self.given = True

    @precondition(lambda self: not self.sender and self.window.settled())
    @rule()
    def call(self) -> None:
        self.sender = self.window.call()
        assert (self.sender is None) == (self.answered == self.asked)
        self.sent.clear()
        self.next, self.began_at = self.answered, self.answered

    @precondition(lambda self: self.sender and self.sender.ready())
    @rule()
    def send(self) -> None:
        assert self.sender
        request = self.sender.next()
        if request is None:
            assert self.next == self.asked or not self.sender.left_s()
            return
        assert request.sequence == self.next
        assert request.batch == request_of(self.next)
        assert self.sender.left_s() or self.next == self.began_at
        assert not self.failed or self.next == self.began_at or self.answered > self.began_at
        self.sent.append(request)
        self.next += 1

    @precondition(lambda self: self.sent)
    @rule()
    def answer(self) -> None:
        self.window.receive(answer_to(self.sent.popleft()))
        self.answered += 1

    @precondition(lambda self: self.sender)
    @rule()
    def let_half_its_time_pass(self) -> None:
        assert self.sender
        self.clock.now_s += self.sender.left_s()

    @precondition(
        lambda self: (
            self.sender
            and (self.answered > self.began_at or self.sender.attempts.remaining_s() > 2 * PAUSE_S)
        )
    )
    @rule()
    def lose_the_call(self) -> None:
        assert self.sender
        pause_s = self.window.end_call(self.sender, AWAY)
        assert pause_s == PAUSE_S
        self.clock.now_s += pause_s
        assert self.sender.next() is None
        self.sender, self.failed = None, True
        self.sent.clear()

    @precondition(lambda self: self.sender and self.answered > self.began_at)
    @rule(failed=st.sampled_from([None, LATE]))
    def end_the_call(self, failed: DisruptError | None) -> None:
        assert self.sender
        assert self.window.end_call(self.sender, failed) == 0
        self.sender, self.failed = None, False
        self.sent.clear()

    @precondition(lambda self: self.answers)
    @rule()
    def take(self) -> None:
        assert numbers(self.window.take()) == self.batches[self.taken]
        self.taken += 1

    @invariant()
    def holds_no_more_than_it_may(self) -> None:
        assert self.window.answered() == (self.answers > 0 or self.window.over)
        assert self.asked - self.answered + self.answers < IN_FLIGHT + 3

    def teardown(self) -> None:
        """Go on with a server that answers: whatever came before, all is answered."""
        if not self.given:
            self.finish()
        while self.answered < self.asked:
            if not self.sender:
                self.call()
            while self.sent:
                self.answer()
            assert self.sender and self.sender.ready()  # noqa: PT018 the type needs the first
            sent = self.next
            self.send()
            if self.next == sent:
                self.end_the_call(None)
        while self.answers:
            self.take()
        if self.sender:
            self.window.end_call(self.sender, None)
        assert self.window.call() is None
        self.window.stop()
        assert self.taken == len(self.batches)
        assert self.window.take() is None


TestFlow = Flow.TestCase
TestFlow.settings = settings(stateful_step_count=60)


def window_of(count: int) -> tuple[Window, Clock]:
    clock = Clock()
    window = Window(clock.attempts)
    for number in range(count):
        window.add([request_of(number)])
    return window, clock


def begun(window: Window) -> Sender:
    sender = window.call()
    assert sender
    return sender


def sequence(sender: Sender) -> int | None:
    request = sender.next()
    return request and request.sequence


def test_what_ended_a_flow_is_raised_though_the_batches_end_after_it() -> None:
    window, _ = window_of(1)
    window.fail(UnauthenticatedError("Revoked."))
    window.finish(None)
    with pytest.raises(UnauthenticatedError, match="Revoked"):
        window.take()


def test_answers_that_came_are_taken_before_a_failure_is_raised() -> None:
    window, _ = window_of(2)
    sender = begun(window)
    request = sender.next()
    assert request
    window.receive(answer_to(request))
    window.fail(UnauthenticatedError("Revoked."))
    assert not window.add([request_of(2)])
    assert numbers(window.take()) == [0]
    with pytest.raises(UnauthenticatedError):
        window.take()


def test_a_call_takes_requests_for_half_of_its_time() -> None:
    window, clock = window_of(3)
    sender = begun(window)
    assert sequence(sender) == 0
    clock.now_s = TIMEOUT_S / 2 - 1
    assert sequence(sender) == 1
    clock.now_s = TIMEOUT_S / 2
    assert sequence(sender) is None


def test_the_first_request_is_sent_however_late_it_is() -> None:
    window, clock = window_of(2)
    sender = begun(window)
    clock.now_s = 2 * TIMEOUT_S
    assert [sequence(sender), sequence(sender)] == [0, None]


def test_after_a_failed_call_only_the_first_is_sent_until_it_is_answered() -> None:
    window, _ = window_of(3)
    window.end_call(begun(window), AWAY)
    sender = begun(window)
    request = sender.next()
    assert request
    assert not sender.ready()
    assert sender.next() is None
    window.receive(answer_to(request))
    assert [sequence(sender), sequence(sender)] == [1, 2]


def test_a_flow_ends_with_the_failure_that_lasts_as_long_as_an_answer_may_take() -> None:
    window, clock = window_of(1)
    while (sender := begun(window)).attempts.remaining_s() > PAUSE_S:
        clock.now_s += window.end_call(sender, AWAY)
    assert clock.now_s >= TIMEOUT_S - PAUSE_S
    with pytest.raises(UnavailableError, match="Away"):
        window.end_call(sender, AWAY)


@pytest.mark.parametrize("failed", [LATE, InvalidRequestError("Wrong."), None])
def test_what_no_repetition_mends_ends_a_flow_at_once(failed: DisruptError | None) -> None:
    window, _ = window_of(1)
    with pytest.raises(type(failed) if failed else DisruptError):
        window.end_call(begun(window), failed)


@pytest.mark.parametrize("number", [0, 2])
def test_an_answer_to_another_request_is_refused(number: int) -> None:
    window, _ = window_of(3)
    sender = begun(window)
    requests = [sender.next() for _ in range(3)]
    assert requests[0]
    window.receive(answer_to(requests[0]))
    answered = requests[number]
    assert answered
    with pytest.raises(DisruptError, match="order"):
        window.receive(answer_to(answered))
