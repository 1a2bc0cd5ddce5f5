"""Run the processes of a module in one event loop."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import pytest

from disrupt.errors import DisruptError

_T = TypeVar("_T")
Run = Callable[[Awaitable[_T]], _T]


@pytest.fixture(scope="module")
def run() -> Iterator[Run[Any]]:
    with asyncio.Runner() as runner:
        yield lambda awaitable: runner.run(_awaited(awaitable))


async def _awaited(awaitable: Awaitable[_T]) -> _T:
    return await awaitable


async def failure(call: Awaitable[object]) -> DisruptError:
    """Return the error that a call ends with."""
    with pytest.raises(DisruptError) as raised:
        await call
    return raised.value
