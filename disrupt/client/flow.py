"""Look up a flow of batches, for threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Generic, TypeVar

import grpc

from disrupt.client.calls import usable
from disrupt.client.retries import Attempts
from disrupt.client.window import Answers, Calls, Request, Sender, Window, after
from disrupt.v1 import match_pb2

_Batch = TypeVar("_Batch")


class Flow(Generic[_Batch]):
    """A flow of ``batches``, which a thread reads; ``parts`` turns each into 1 to n requests."""

    def __init__(
        self, batches: Iterable[_Batch], parts: Callable[[_Batch], list[Request]], calls: Calls
    ) -> None:
        self._batches = batches
        self._parts = parts
        self._calls = calls
        self._window = Window()
        self._changed = threading.Condition()

    def answers(self) -> Generator[Answers]:
        """Yield the answers to each batch, in order."""
        window, changed = self._window, self._changed
        for work in (self._feed, self._ask):
            threading.Thread(target=work, name="disrupt-flow", daemon=True).start()
        try:
            while True:
                with changed:
                    changed.wait_for(lambda: window.answered)
                    answers = window.take()
                    changed.notify_all()
                if answers is None:
                    return
                yield answers
        finally:
            with changed:
                window.over = True
                changed.notify_all()

    def _feed(self) -> None:
        window, changed = self._window, self._changed
        failed = None
        try:
            for batch in self._batches:
                parts = self._parts(batch)
                with changed:
                    changed.wait_for(lambda: window.takes_more)
                    if window.over:
                        return
                    window.add(parts)
                    changed.notify_all()
        except BaseException as error:  # noqa: BLE001 raised where answers are taken
            failed = error
        with changed:
            window.finish(failed)
            changed.notify_all()

    def _ask(self) -> None:
        window, changed = self._window, self._changed
        attempts: Attempts | None = None
        try:
            while True:
                with changed:
                    changed.wait_for(lambda: window.settled)
                    if window.over or not window.unanswered:
                        break
                    again, attempts = attempts is not None, attempts or self._calls.attempts()
                    sender = Sender(window, attempts, again=again)
                error = self._call(sender, attempts)
                with changed:
                    pause_s, attempts = after(window, sender, error, self._calls, attempts)
                    changed.notify_all()
                time.sleep(pause_s)
        except Exception as error:  # noqa: BLE001 raised where answers are taken
            with changed:
                window.fail(error)
        with changed:
            window.over = True
            changed.notify_all()

    def _call(self, sender: Sender, attempts: Attempts) -> grpc.RpcError | None:
        window, changed = self._window, self._changed
        with usable():
            call = self._calls.open(self._messages(sender), attempts)
        try:
            for response in call:
                with changed:
                    window.receive(response)
                    changed.notify_all()
                    if window.over:
                        break
        except grpc.RpcError as error:
            return error
        finally:
            call.cancel()
        return None

    def _messages(self, sender: Sender) -> Iterator[match_pb2.StreamMatchHashesRequest]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: sender.ready, sender.left_s)
                request = sender.next()
            if request is None:
                return
            yield request
