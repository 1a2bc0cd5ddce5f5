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
from functools import partial
from typing import Any, Generic, TypeVar

import grpc

from disrupt.client.calls import CallSettings, usable
from disrupt.client.window import Answers, Request, Sender, Window
from disrupt.errors import DisruptError
from disrupt.v1 import match_pb2

_Batch = TypeVar("_Batch")
_Result = TypeVar("_Result")


class AsyncFlow(Generic[_Batch]):
    """Flow for asyncio; batches that do not come asynchronously are read on the loop."""

    def __init__(
        self,
        batches: AsyncIterable[_Batch] | Iterable[_Batch],
        parts: Callable[[_Batch], Awaitable[list[Request]]],
        method: Callable[[], Any],
        settings: CallSettings,
    ) -> None:
        self._batches = batches
        self._parts = parts
        self._method = method
        self._settings = settings
        self._window = Window(settings.flow_attempts)
        self._changed = asyncio.Condition()

    async def answers(self) -> AsyncGenerator[Answers]:
        """Yield the answers to each batch, in order."""
        window = self._window
        tasks = [asyncio.create_task(work()) for work in (self._feed, self._ask)]
        try:
            while (answers := await self._change(window.take, window.answered)) is not None:
                yield answers
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _feed(self) -> None:
        window = self._window
        failed: BaseException | None = None
        try:
            async for batch in _each(self._batches):
                parts = await self._parts(batch)
                if not await self._change(partial(window.add, parts), window.takes_more):
                    return
        except GeneratorExit:  # this coroutine is closed, and may not await any more
            raise
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            failed = error  # cancelled by what the batches themselves waited for
        except BaseException as error:  # noqa: BLE001 raised where answers are taken
            failed = error
        await self._change(partial(window.finish, failed))

    async def _ask(self) -> None:
        window = self._window
        try:
            while (sender := await self._change(window.call, window.settled)) is not None:
                failed = await self._call(sender)
                await asyncio.sleep(await self._change(partial(window.end_call, sender, failed)))
            await self._change(window.stop)
        except Exception as error:  # noqa: BLE001 raised where answers are taken
            await self._change(partial(window.fail, error))

    async def _call(self, sender: Sender) -> DisruptError | None:
        with usable():
            call = self._settings.begin(self._method(), self._messages(sender), sender.attempts)
            try:
                async for response in call:
                    await self._change(partial(self._window.receive, response))
            except grpc.RpcError as error:
                return self._settings.failure(error)
            finally:
                call.cancel()
        return None

    async def _messages(self, sender: Sender) -> AsyncIterator[match_pb2.StreamMatchHashesRequest]:
        while True:
            async with self._changed:
                with suppress(TimeoutError):
                    async with asyncio.timeout(sender.left_s()):
                        await self._changed.wait_for(sender.ready)
                request = sender.next()
            if request is None:
                return
            yield request

    async def _change(
        self, change: Callable[[], _Result], when: Callable[[], bool] = lambda: True
    ) -> _Result:
        """Change the window once ``when`` holds, and wake whatever waits for a change."""
        async with self._changed:
            await self._changed.wait_for(when)
            result = change()
            self._changed.notify_all()
        return result


async def _each(batches: AsyncIterable[_Batch] | Iterable[_Batch]) -> AsyncIterator[_Batch]:
    if isinstance(batches, AsyncIterable):
        async for batch in batches:
            yield batch
    else:
        for batch in batches:
            yield batch
