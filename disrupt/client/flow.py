"""Look up a flow of batches, for threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from typing import Any, Generic, TypeVar

import grpc

from disrupt.client.calls import CallSettings, usable
from disrupt.client.window import Answers, Request, Sender, Window
from disrupt.errors import DisruptError
from disrupt.v1 import match_pb2

_Batch = TypeVar("_Batch")
_Result = TypeVar("_Result")


class Flow(Generic[_Batch]):
    """A flow of ``batches``, which a thread reads; ``parts`` turns each into 1 to n requests.

    ``method`` returns the method of each call: that of the next connection.
    """

    def __init__(
        self,
        batches: Iterable[_Batch],
        parts: Callable[[_Batch], list[Request]],
        method: Callable[[], Any],
        settings: CallSettings,
    ) -> None:
        self._batches = batches
        self._parts = parts
        self._method = method
        self._settings = settings
        self._window = Window(settings.flow_attempts)
        self._changed = threading.Condition()

    def answers(self) -> Generator[Answers]:
        """Yield the answers to each batch, in order."""
        window = self._window
        for work in (self._feed, self._ask):
            threading.Thread(target=work, name="disrupt-flow", daemon=True).start()
        try:
            while (answers := self._change(window.take, window.answered)) is not None:
                yield answers
        finally:
            self._change(window.stop)

    def _feed(self) -> None:
        window = self._window
        failed = None
        try:
            for batch in self._batches:
                parts = self._parts(batch)
                if not self._change(partial(window.add, parts), window.takes_more):
                    return
        except BaseException as error:  # noqa: BLE001 raised where answers are taken
            failed = error
        self._change(partial(window.finish, failed))

    def _ask(self) -> None:
        window = self._window
        try:
            while (sender := self._change(window.call, window.settled)) is not None:
                failed = self._call(sender)
                time.sleep(self._change(partial(window.end_call, sender, failed)))
            self._change(window.stop)
        except Exception as error:  # noqa: BLE001 raised where answers are taken
            self._change(partial(window.fail, error))

    def _call(self, sender: Sender) -> DisruptError | None:
        with usable():
            call = self._settings.begin(self._method(), self._messages(sender), sender.attempts)
        try:
            for response in call:
                self._change(partial(self._window.receive, response))
                if self._window.over:
                    break
        except grpc.RpcError as error:
            return self._settings.failure(error)
        finally:
            call.cancel()
        return None

    def _messages(self, sender: Sender) -> Iterator[match_pb2.StreamMatchHashesRequest]:
        while True:
            with self._changed:
                self._changed.wait_for(sender.ready, sender.left_s())
                request = sender.next()
            if request is None:
                return
            yield request

    def _change(
        self, change: Callable[[], _Result], when: Callable[[], bool] = lambda: True
    ) -> _Result:
        """Change the window once ``when`` holds, and wake whatever waits for a change."""
        with self._changed:
            self._changed.wait_for(when)
            result = change()
            self._changed.notify_all()
        return result
