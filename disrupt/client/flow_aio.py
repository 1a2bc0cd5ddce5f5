"""Look up a flow of batches, for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
)
from contextlib import suppress
from typing import Generic, TypeVar

import grpc

from disrupt.client.calls import usable
from disrupt.client.retries import Attempts
from disrupt.client.window import Answers, Calls, Request, Sender, Window, after
from disrupt.v1 import match_pb2

_Batch = TypeVar("_Batch")


class AsyncFlow(Generic[_Batch]):
    """Flow for asyncio; batches that do not come asynchronously are read on the loop."""

    def __init__(
        self,
        batches: AsyncIterable[_Batch] | Iterable[_Batch],
        parts: Callable[[_Batch], Awaitable[list[Request]]],
        calls: Calls,
    ) -> None:
        self._batches = batches
        self._parts = parts
        self._calls = calls
        self._window = Window()
        self._changed = asyncio.Condition()

    async def answers(self) -> AsyncGenerator[Answers]:
        """Yield the answers to each batch, in order."""
        window, changed = self._window, self._changed
        tasks = [asyncio.create_task(work()) for work in (self._feed, self._ask)]
        try:
            while True:
                async with changed:
                    await changed.wait_for(lambda: window.answered)
                    answers = window.take()
                    changed.notify_all()
                if answers is None:
                    return
                yield answers
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _feed(self) -> None:
        window, changed = self._window, self._changed
        failed: BaseException | None = None
        try:
            async for batch in _each(self._batches):
                parts = await self._parts(batch)
                async with changed:
                    await changed.wait_for(lambda: window.takes_more)
                    if window.over:
                        return
                    window.add(parts)
                    changed.notify_all()
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            failed = error  # cancelled by what the batches themselves waited for
        except Exception as error:  # noqa: BLE001 raised where answers are taken
            failed = error
        async with changed:
            window.finish(failed)
            changed.notify_all()

    async def _ask(self) -> None:
        window, changed = self._window, self._changed
        attempts: Attempts | None = None
        try:
            while True:
                async with changed:
                    await changed.wait_for(lambda: window.settled)
                    if not window.unanswered:
                        break
                    again, attempts = attempts is not None, attempts or self._calls.attempts()
                    sender = Sender(window, attempts, again=again)
                error = await self._call(sender, attempts)
                async with changed:
                    pause_s, attempts = after(window, sender, error, self._calls, attempts)
                    changed.notify_all()
                await asyncio.sleep(pause_s)
        except Exception as error:  # noqa: BLE001 raised where answers are taken
            window.fail(error)
        async with changed:
            window.over = True
            changed.notify_all()

    async def _call(self, sender: Sender, attempts: Attempts) -> grpc.RpcError | None:
        with usable():
            call = self._calls.open(self._messages(sender), attempts)
            try:
                async for response in call:
                    async with self._changed:
                        self._window.receive(response)
                        self._changed.notify_all()
            except grpc.RpcError as error:
                return error
            finally:
                call.cancel()
        return None

    async def _messages(self, sender: Sender) -> AsyncIterator[match_pb2.StreamMatchHashesRequest]:
        while True:
            async with self._changed:
                with suppress(TimeoutError):
                    async with asyncio.timeout(sender.left_s):
                        await self._changed.wait_for(lambda: sender.ready)
                request = sender.next()
            if request is None:
                return
            yield request


async def _each(batches: AsyncIterable[_Batch] | Iterable[_Batch]) -> AsyncIterator[_Batch]:
    if isinstance(batches, AsyncIterable):
        async for batch in batches:
            yield batch
    else:
        for batch in batches:
            yield batch
