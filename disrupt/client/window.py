"""A continuous flow of batches, over calls that follow each other; for threads and for asyncio.

A call takes batches for half of its deadline, then another goes on, over the next connection. So
each answer has a deadline, the load spreads over the server's workers, and neither a server that
stops nor the age of a connection ends a flow. What a failed call left unanswered is sent again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from disrupt.client import requests, results
from disrupt.client.results import HashAnswer
from disrupt.client.retries import Attempts
from disrupt.errors import DeadlineExceededError, DisruptError
from disrupt.v1 import match_pb2

IN_FLIGHT = 32
"""Most requests under way, and batches whose answers were not taken, that a flow holds."""

Request: TypeAlias = match_pb2.MatchHashesRequest
Answers: TypeAlias = tuple[HashAnswer, ...]


class Window:
    """Requests under way, numbered from the beginning of the flow, and answers not taken yet.

    ``attempts`` makes the attempts at one more answer. Not thread-safe: lock it.
    """

    def __init__(self, attempts: Callable[[], Attempts]) -> None:
        self.first = 0
        """Number of the first request without an answer."""
        self.sender: Sender | None = None
        self.over = False
        """True once no more answers can come, or none are wanted."""
        self.given = False
        """True once no more batches come."""
        self._new_attempts = attempts
        self._attempts: Attempts | None = None
        self._failure: BaseException | None = None
        self._requests: deque[tuple[Request, bool]] = deque()
        self._part_answers: list[Answers] = []
        self._answers: deque[Answers] = deque()

    def takes_more(self) -> bool:
        """Tell whether there is room for a batch, or no use in waiting for it."""
        return self.over or len(self._requests) + len(self._answers) < IN_FLIGHT

    def settled(self) -> bool:
        """Tell whether it is known if there is more to send."""
        return self.over or self.given or bool(self._requests)

    def answered(self) -> bool:
        """Tell whether ``take`` can return."""
        return self.over or bool(self._answers)

    def add(self, parts: list[Request]) -> bool:
        """Add one batch, as the requests that it was turned into; False if the flow is over."""
        if not self.over:
            self._requests.extend((part, part is parts[-1]) for part in parts)
        return not self.over

    def finish(self, failure: BaseException | None) -> None:
        """End the batches. ``failure`` is raised once those before it are answered."""
        self.given = True
        # The flow may have failed before: raise its first failure.
        if self._failure is None:
            self._failure = failure

    def stop(self) -> None:
        """End the flow: no more answers come, or none are wanted."""
        self.over = True

    def fail(self, failure: BaseException) -> None:
        """End the flow with ``failure``, which is raised after the answers that came before it."""
        self._requests.clear()
        self._failure = failure
        self.stop()

    def call(self) -> Sender | None:
        """Begin the next call, once ``settled``; None where nothing is left to ask."""
        if self.over or not self._requests:
            return None
        again = self._attempts is not None
        self.sender = Sender(self, self._attempts or self._new_attempts(), again=again)
        return self.sender

    def end_call(self, sender: Sender, failed: DisruptError | None) -> float:
        """End a call; return the time to wait before the next one. Raises what ends the flow."""
        self.sender = self._attempts = None
        progress = self.first > sender.began_at
        if self.over:
            return 0.0
        if failed is None:
            if not progress:
                raise DisruptError("The server ended the flow without an answer.")
            return 0.0
        if progress and isinstance(failed, DeadlineExceededError):
            return 0.0
        self._attempts = self._new_attempts() if progress else sender.attempts
        return self._attempts.pause_s(failed)

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
        self.attempts = attempts
        self.began_at = window.first
        self._window = window
        self._again = again
        self._number = window.first
        self._reserved_s = attempts.remaining_s() / 2

    def left_s(self) -> float:
        """Return the time left in which the call takes requests."""
        return max(0.0, self.attempts.remaining_s() - self._reserved_s)

    def ready(self) -> bool:
        """Tell whether ``next`` can return."""
        window = self._window
        if window.over or window.sender is not self:
            return True
        if self._again and self._number > self.began_at == window.first:
            return False
        return window.given or window.request(self._number) is not None

    def next(self) -> match_pb2.StreamMatchHashesRequest | None:
        """Return the next request; None where the call takes no more."""
        window = self._window
        if window.over or window.sender is not self or not self.ready():
            return None
        # Send the first however late it is: a call without requests gets no answer.
        if self._number > self.began_at and not self.left_s():
            return None
        request = window.request(self._number)
        self._number += 1
        return request
