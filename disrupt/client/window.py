"""A continuous flow of batches, over calls that follow each other; for threads and for asyncio.

A call takes batches for half of its deadline, then another goes on, over the next connection. So
each answer has a deadline, the load spreads over the server's workers, and neither a server that
stops nor the age of a connection ends a flow. What a failed call left unanswered is sent again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import grpc

from disrupt.client import requests, results
from disrupt.client.connection import Connection
from disrupt.client.failures import failure
from disrupt.client.results import HashAnswer
from disrupt.client.retries import Attempts, RetryPolicy
from disrupt.errors import DeadlineExceededError, DisruptError
from disrupt.v1 import match_pb2

IN_FLIGHT = 32
"""Most requests under way, and batches whose answers were not taken, that a flow holds."""

Request: TypeAlias = match_pb2.MatchHashesRequest
Answers: TypeAlias = tuple[HashAnswer, ...]


@dataclass(frozen=True, slots=True)
class Calls:
    """Settings of the calls of a flow; ``method`` returns the next connection's method."""

    method: Callable[[], Any]
    connection: Connection
    timeout_s: float
    retries: RetryPolicy

    def open(self, messages: object, attempts: Attempts) -> Any:  # noqa: ANN401 of either API
        """Begin a call that sends what ``messages`` iterates over."""
        return self.method()(
            messages, timeout=attempts.remaining_s(), metadata=self.connection.metadata
        )

    def attempts(self) -> Attempts:
        """Return the attempts at one more answer, bounded by time alone, to outlast a restart."""
        return Attempts(replace(self.retries, attempts=None), self.timeout_s)


class Window:
    """Requests under way, numbered from the beginning of the flow, and answers not taken yet."""

    def __init__(self) -> None:
        self.first = 0
        """Number of the first request without an answer."""
        self.sender: Sender | None = None
        self.over = False
        """Whether no more answers can come, or none are wanted."""
        self.given = False
        """Whether no more batches come."""
        self._failure: BaseException | None = None
        self._requests: deque[tuple[Request, bool]] = deque()
        self._part_answers: list[Answers] = []
        self._answers: deque[Answers] = deque()

    @property
    def takes_more(self) -> bool:
        """Whether there is room for a batch, or no use in waiting for it."""
        return self.over or len(self._requests) + len(self._answers) < IN_FLIGHT

    @property
    def unanswered(self) -> bool:
        """Whether a request has no answer yet."""
        return bool(self._requests)

    @property
    def settled(self) -> bool:
        """Whether it is known if there is more to send."""
        return self.over or self.given or self.unanswered

    @property
    def answered(self) -> bool:
        """Whether ``take`` can return."""
        return self.over or bool(self._answers)

    def add(self, parts: list[Request]) -> None:
        """Add one batch, as the requests that it was turned into."""
        self._requests.extend((part, part is parts[-1]) for part in parts)

    def finish(self, failure: BaseException | None) -> None:
        """End the batches. ``failure`` is raised once those before it are answered."""
        self.given = True
        # The flow may have failed before: raise its first failure.
        if self._failure is None:
            self._failure = failure

    def fail(self, failure: BaseException) -> None:
        """End the answers with ``failure``."""
        self._requests.clear()
        self._failure = failure

    def request(self, number: int) -> match_pb2.StreamMatchHashesRequest | None:
        """Return the request of this number, to send it; None while there is none."""
        at = number - self.first
        if at >= len(self._requests):
            return None
        return match_pb2.StreamMatchHashesRequest(batch=self._requests[at][0], sequence=number)

    def receive(self, response: match_pb2.StreamMatchHashesResponse) -> None:
        """Take in the server's next answer. Raises DisruptError if it is to another request."""
        if not self._requests or response.sequence != self.first:
            raise DisruptError("The server's answers are not in the order of the requests.")
        request, last = self._requests.popleft()
        self.first += 1
        self._part_answers.append(results.hash_answers(response.batch, requests.count(request)))
        if last:
            self._answers.append(results.in_order(self._part_answers))
            self._part_answers = []

    def take(self) -> Answers | None:
        """Return the answers to the next batch; None after the last. Raises the flow's failure."""
        if self._answers:
            return self._answers.popleft()
        if self._failure is not None:
            raise self._failure
        return None


class Sender:
    """The requests that one call sends, for half of its time, from the first unanswered one on.

    ``again``: the call before failed. Then only the first is sent until it is answered.
    """

    def __init__(self, window: Window, attempts: Attempts, *, again: bool) -> None:
        self.began_at = window.first
        self._window = window
        self._again = again
        self._number = window.first
        self._until_s = time.monotonic() + attempts.remaining_s() / 2
        window.sender = self

    @property
    def left_s(self) -> float:
        """Time left in which the call takes requests."""
        return max(0.0, self._until_s - time.monotonic())

    @property
    def ready(self) -> bool:
        """Whether ``next`` can return."""
        window = self._window
        if window.over or window.sender is not self:
            return True
        if self._again and self._number > self.began_at == window.first:
            return False
        return window.given or window.request(self._number) is not None

    def next(self) -> match_pb2.StreamMatchHashesRequest | None:
        """Return the next request; None where the call takes no more."""
        window = self._window
        if window.over or window.sender is not self or not self.ready:
            return None
        # Send the first however late it is: a call without requests gets no answer.
        if self._number > self.began_at and not self.left_s:
            return None
        request = window.request(self._number)
        self._number += 1
        return request


def after(
    window: Window,
    sender: Sender,
    error: grpc.RpcError | None,
    calls: Calls,
    attempts: Attempts,
) -> tuple[float, Attempts | None]:
    """Return the time to wait after a call, and the attempts that go on. Raises lasting errors."""
    window.sender = None
    progress = window.first > sender.began_at
    if window.over:
        return 0.0, None
    if error is None:
        if not progress:
            raise DisruptError("The server ended the flow without an answer.")
        return 0.0, None
    failed = failure(error, calls.connection.server)
    if not progress:
        return attempts.pause_s(failed), attempts
    if isinstance(failed, DeadlineExceededError):
        return 0.0, None
    attempts = calls.attempts()
    return attempts.pause_s(failed), attempts
